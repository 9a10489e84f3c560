//! siege: slower than the others, and here as a check that they agree.

use std::fs;

use serde::Deserialize;

use super::{Load, Order, url};

/// The command; its settings are in a file of ours, so that those of the user don't count and none are left
/// behind.
///
/// # Errors
/// Where that file can't be written.
pub fn command(order: &Order<'_>, connections: u32) -> Result<Vec<String>, String> {
    let file = order.directory.join("siegerc");
    let settings = "protocol = HTTP/1.1\nconnection = keep-alive\nparser = false\nlogging = false\n\
                    show-logfile = false\nquiet = true\njson_output = true\nlimit = 2000\ncolor = off\n";
    fs::write(&file, settings).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut words: Vec<String> =
        vec!["env".into(), format!("HOME={}", order.directory.display()), order.program.into()];
    words.push(format!("--rc={}", file.display()));
    words.extend([
        "-b".into(),
        "-c".into(),
        connections.to_string(),
        "-t".into(),
        format!("{}S", order.seconds),
    ]);
    for (name, value) in order.fields {
        words.extend(["-H".into(), format!("{name}: {value}")]);
    }
    words.push(url(order));
    Ok(words)
}

/// What siege says: seconds, megabytes of 2^20 bytes.
#[derive(Deserialize)]
struct Summary {
    transactions: u64,
    elapsed_time: f64,
    data_transferred: f64,
    successful_transactions: u64,
    failed_transactions: u64,
}

/// What siege said. It has no percentiles.
///
/// # Errors
/// Where there is no summary.
pub fn parse(output: &str) -> Result<Load, String> {
    let object = output.find('{').zip(output.rfind('}')).and_then(|(start, end)| output.get(start..=end));
    let object = object.ok_or_else(|| format!("siege gave up: {}", output.trim()))?;
    let summary: Summary =
        serde_json::from_str(object).map_err(|error| format!("siege's summary: {error}"))?;
    Ok(Load {
        requests: summary.transactions,
        seconds: summary.elapsed_time,
        bytes: summary.data_transferred * 1048576.0,
        failed: summary.failed_transactions,
        // A status of 400 and more is no success.
        non_2xx: summary.transactions.saturating_sub(summary.successful_transactions),
        ..Load::default()
    })
}
