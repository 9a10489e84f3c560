//! The project's own source, held to its layers, sizes, names and words.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

mod documents;
mod layers;
mod names;
mod sizes;
mod source;
mod words;

/// Fails with all the faults at once.
#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}
