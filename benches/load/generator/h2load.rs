//! h2load in HTTP/1.1: like wrk, from another hand, so that one generator's mistake doesn't pass for a
//! server's. Its log has every request, from which the percentiles are taken.

use std::path::{Path, PathBuf};

use super::{Load, Order, url};

/// Where the requests are logged.
pub fn log(directory: &Path) -> PathBuf {
    directory.join("h2load.log")
}

/// The command.
pub fn command(order: &Order<'_>, connections: u32) -> Vec<String> {
    let log = log(order.directory);
    // It appends.
    let _ = std::fs::remove_file(&log);
    let mut words: Vec<String> = vec![order.program.into(), "--h1".into()];
    words.extend(["-c".into(), connections.to_string(), "-t".into(), order.threads.to_string()]);
    words.extend(["-D".into(), order.seconds.to_string()]);
    words.push(format!("--log-file={}", log.display()));
    for (name, value) in order.fields {
        words.extend(["-H".into(), format!("{name}: {value}")]);
    }
    words.push(url(order));
    words
}

/// What h2load said, and what its log has.
///
/// # Errors
/// Where there is no summary.
pub fn parse(output: &str, log: &str) -> Result<Load, String> {
    let read = || {
        // "finished in 2.00s, 40561.50 req/s, 9.36MB/s"
        let line = |start: &str| output.lines().find_map(|line| line.strip_prefix(start));
        let rate = line("finished in ")?.split(", ").nth(1)?.strip_suffix(" req/s")?.parse::<f64>().ok()?;
        // "requests: 81123 total, 81187 started, 81123 done, 81123 succeeded, 0 failed, 0 errored, 0 timeout"
        let requests = line("requests: ")?;
        let done = count(requests, " done")?;
        // "status codes: 81123 2xx, 0 3xx, 0 4xx, 0 5xx"
        let statuses = line("status codes: ")?;
        let bad = count(statuses, " 4xx")? + count(statuses, " 5xx")?;
        // What failed has the bad statuses in it.
        let failed = count(requests, " failed")?.saturating_sub(bad) + count(requests, " timeout")?;
        // "traffic: 18.72MB (19631766) total, …"
        let bytes = line("traffic: ")?.split(['(', ')']).nth(1)?.parse::<f64>().ok()?;
        // Its time has two places alone; the rate has more.
        let seconds = if rate > 0.0 { done as f64 / rate } else { 0.0 };
        Some(Load { requests: done, seconds, bytes, failed, non_2xx: bad, ..Load::default() })
    };
    let mut load = read().ok_or_else(|| format!("h2load gave up: {}", output.trim()))?;
    let mut times = times(log);
    times.sort_unstable();
    let percentile = |share: f64| {
        let place = (times.len() as f64 * share).ceil() as usize;
        times.get(place.saturating_sub(1)).map(|time| *time as f64)
    };
    (load.p50_us, load.p99_us, load.p999_us) = (percentile(0.5), percentile(0.99), percentile(0.999));
    Ok(load)
}

/// The number in front of `label`, in a list with commas.
fn count(list: &str, label: &str) -> Option<u64> {
    list.split(", ").find_map(|part| part.trim().strip_suffix(label))?.parse().ok()
}

/// The third column, microseconds from request to answer.
fn times(log: &str) -> Vec<u64> {
    log.lines().filter_map(|line| line.split('\t').nth(2)?.parse().ok()).collect()
}
