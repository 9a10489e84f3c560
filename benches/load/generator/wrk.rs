//! wrk: kept connections, each of which asks again when its answer has come. Its `done` hook prints one line
//! of JSON, which has p99.9 and counts every kind of error; the plain summary is read where that line is
//! missing.

use std::fs;

use serde::Deserialize;

use super::super::tls::openssl_settings;
use super::{Load, Order, url};

/// Prints what was measured.
const DONE: &str = include_str!("done.lua");
/// What the line of `done.lua` begins with.
const MARK: &str = "mayhttpd-load ";

/// The command; `script` is put behind the hook that reports. What it offers by TLS is told to OpenSSL by a
/// file, since wrk has no flags for it.
///
/// # Errors
/// Where the script or that file can't be written.
pub fn command(order: &Order<'_>, connections: u32, script: &str) -> Result<Vec<String>, String> {
    let file = order.directory.join("wrk.lua");
    fs::write(&file, format!("{DONE}\n{script}")).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut words: Vec<String> = Vec::new();
    if order.protocol.is_encrypted() {
        let file = order.directory.join("openssl.cnf");
        fs::write(&file, openssl_settings()).map_err(|error| format!("{}: {error}", file.display()))?;
        words.extend(["env".into(), format!("OPENSSL_CONF={}", file.display())]);
    }
    let threads = order.threads.min(connections as usize).max(1);
    words.extend([order.program.into(), "--latency".into()]);
    words.extend(["-t".into(), threads.to_string(), "-c".into(), connections.to_string()]);
    words.extend(["-d".into(), format!("{}s", order.seconds), "--timeout".into(), "10s".into()]);
    words.extend(["-s".into(), file.to_string_lossy().into_owned()]);
    let close = order.close.then(|| ("Connection".to_owned(), "close".to_owned()));
    for (name, value) in order.fields.iter().chain(&close) {
        words.extend(["-H".into(), format!("{name}: {value}")]);
    }
    words.push(url(order));
    Ok(words)
}

/// The line of `done.lua`; times in microseconds.
#[derive(Deserialize)]
struct Line {
    requests: u64,
    duration: f64,
    bytes: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
}

/// What wrk said.
///
/// # Errors
/// Where there is neither the line nor a summary.
pub fn parse(output: &str) -> Result<Load, String> {
    match output.lines().find_map(|line| line.strip_prefix(MARK)) {
        Some(line) => {
            let line: Line = serde_json::from_str(line).map_err(|error| format!("wrk's line: {error}"))?;
            // It says 0 where it finds no percentile, be it for want of answers or for its correction of
            // pipelined ones.
            let known = |time: f64| (time > 0.0).then_some(time);
            Ok(Load {
                requests: line.requests,
                seconds: line.duration / 1e6,
                bytes: line.bytes,
                failed: line.connect + line.read + line.write + line.timeout,
                non_2xx: line.status,
                p50_us: known(line.p50),
                p99_us: known(line.p99),
                p999_us: known(line.p999),
                beside: None,
            })
        }
        None => plain(output).ok_or_else(|| format!("wrk's output has no summary: {}", output.trim())),
    }
}

/// The summary that wrk prints for people.
fn plain(output: &str) -> Option<Load> {
    // "  305106 requests in 2.10s, 40.44MB read"
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let (requests, seconds, bytes) = (words.first()?, words.get(3)?, words.get(4)?);
    // "  Socket errors: connect 0, read 5, write 0, timeout 2"
    let errors = output.lines().find_map(|line| line.trim().strip_prefix("Socket errors:"));
    let counts = errors.unwrap_or_default().split([',', ' ']).filter_map(|word| word.parse::<u64>().ok());
    let percentile = |label: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(label))?;
        Some(scaled(line.trim(), TIMES)? * 1e6)
    };
    Some(Load {
        requests: requests.parse().ok()?,
        seconds: scaled(seconds.trim_end_matches(','), TIMES)?,
        bytes: scaled(bytes, SIZES)?,
        failed: counts.sum(),
        non_2xx: super::number(output, "Non-2xx or 3xx responses").unwrap_or_default() as u64,
        p50_us: percentile("50%"),
        p99_us: percentile("99%"),
        p999_us: None,
        beside: None,
    })
}

/// Units in seconds; a longer name comes before one that ends like it.
const TIMES: &[(&str, f64)] = &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
/// Units in bytes, as wrk counts them.
const SIZES: &[(&str, f64)] =
    &[("KB", 1024.0), ("MB", 1048576.0), ("GB", 1073741824.0), ("TB", 1099511627776.0), ("B", 1.0)];

fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (number, scale) = units.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    Some(number.parse::<f64>().ok()? * scale)
}
