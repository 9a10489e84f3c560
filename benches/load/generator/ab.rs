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
    // It says 0 for what is below a millisecond.
    let percentile = |label: &str| Some(wanted(label)? * 1e3).filter(|time| *time > 0.0);
    let read = || {
        let rate = wanted("Requests per second")?;
        let requests = wanted("Complete requests")?;
        Some(Load {
            requests: requests as u64,
            // Its time has three places, its rate has more.
            seconds: if rate > 0.0 { requests / rate } else { wanted("Time taken for tests")? },
            bytes: wanted("Total transferred")?,
            failed: wanted("Failed requests")? as u64,
            non_2xx: wanted("Non-2xx responses").unwrap_or_default() as u64,
            p50_us: percentile("50%"),
            p99_us: percentile("99%"),
            p999_us: None,
            beside: None,
        })
    };
    read().ok_or_else(|| {
        let why = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
        format!("ab gave up: {why}")
    })
}
