//! The same claim over many inputs: every row is tried, and all that fail are named together.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `check` for every row; one that panics doesn't keep the others from their turn.
#[track_caller]
pub fn every<N: Display, C>(rows: impl IntoIterator<Item = (N, C)>, check: impl Fn(C)) {
    let mut tried = 0;
    let mut failed = Vec::new();
    for (name, row) in rows {
        tried += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(row))) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked");
            failed.push(format!("  {name}: {text}"));
        }
    }
    assert!(tried > 0, "the table has no rows");
    assert!(failed.is_empty(), "{} of {tried} rows failed:\n{}", failed.len(), failed.join("\n"));
}
