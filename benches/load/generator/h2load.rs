//! h2load: for HTTP/2, and in HTTP/1.1 as a check of wrk, so that one generator's mistake doesn't pass for a
//! server's. Its log has every request, from which the percentiles are taken.

use std::path::{Path, PathBuf};

use super::super::protocol::Protocol;
use super::super::tls::{GROUP, SUITE};
use super::{Load, Order, url};

/// Where the requests are logged.
pub fn log(directory: &Path) -> PathBuf {
    directory.join("h2load.log")
}

/// The command, for a number of requests. h2load could run for a time instead. But it does not end where that
/// is over before all its clients have connected by TLS, and of a server that is fair to all streams few long
/// answers have ended by then.
pub fn command(order: &Order<'_>, connections: u32, streams: u32, requests: u64) -> Vec<String> {
    let log = log(order.directory);
    // It appends.
    let _ = std::fs::remove_file(&log);
    let mut words: Vec<String> = vec![order.program.into()];
    match order.protocol {
        Protocol::Http2 => words.extend(["-m".into(), streams.to_string()]),
        Protocol::Plain | Protocol::Tls => words.push("--h1".into()),
    }
    if order.protocol.is_encrypted() {
        words.extend([format!("--tls13-ciphers={SUITE}"), format!("--groups={GROUP}")]);
    }
    words.extend(["-c".into(), connections.to_string(), "-t".into(), order.threads.to_string()]);
    words.extend(["-n".into(), requests.to_string()]);
    words.push(format!("--log-file={}", log.display()));
    for (name, value) in order.fields {
        words.extend(["-H".into(), format!("{name}: {value}")]);
    }
    words.push(url(order));
    words
}

/// Sees that servers spoke HTTP/2 where they should: h2load speaks HTTP/1.1 with those that don't choose it.
///
/// # Errors
/// Where they spoke another one, or h2load connected with none.
pub fn check(output: &str, protocol: Protocol) -> Result<(), String> {
    let spoken = output.lines().find_map(|line| line.strip_prefix("Application protocol: "));
    match (protocol, spoken) {
        (Protocol::Http2, Some("h2")) | (Protocol::Plain | Protocol::Tls, _) => Ok(()),
        (Protocol::Http2, Some(other)) => Err(format!("the server speaks {other}")),
        (Protocol::Http2, None) => Err("h2load could not connect".to_owned()),
    }
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
