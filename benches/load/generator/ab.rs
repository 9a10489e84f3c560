//! ab (ApacheBench): a connection and HTTP/1.0 for each request, and a fixed number of them.

use super::{Load, Order, number, url};

/// The command.
pub fn command(order: &Order<'_>, requests: u32, connections: u32) -> Vec<String> {
    let mut words: Vec<String> = vec![order.program.into(), "-q".into()];
    words.extend(["-n".into(), requests.to_string(), "-c".into(), connections.to_string()]);
    words.extend(["-s".into(), "30".into()]);
    if !order.close {
        words.push("-k".into());
    }
    for (name, value) in order.fields {
        words.extend(["-H".into(), format!("{name}: {value}")]);
    }
    words.push(url(order));
    words
}

/// What ab said. Its percentiles are whole milliseconds, and it has none beyond 99.
///
/// # Errors
/// Where it gave up before its end.
pub fn parse(output: &str) -> Result<Load, String> {
    let wanted = |label: &str| number(output, label);
    let percentile = |label: &str| wanted(label).map(|milliseconds| milliseconds * 1e3);
    let read = || {
        let seconds = wanted("Time taken for tests")?;
        // The rate and not the count, which is rounded less: both must be there.
        let (requests, _rate) = (wanted("Complete requests")?, wanted("Requests per second")?);
        Some(Load {
            requests: requests as u64,
            seconds,
            bytes: wanted("Total transferred")?,
            failed: wanted("Failed requests")? as u64,
            non_2xx: wanted("Non-2xx responses").unwrap_or_default() as u64,
            p50_us: percentile("50%"),
            p99_us: percentile("99%"),
            p999_us: None,
        })
    };
    read().ok_or_else(|| {
        let why = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
        format!("ab gave up: {why}")
    })
}
