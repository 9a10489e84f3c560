//! System errors and paths as they stand in the middle of a message.

use std::io;
use std::path::Path;

/// The text of a system error for the middle of a sentence: a small first letter, and no error number.
pub fn cause(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error ").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        // Abbreviations such as "I/O error" keep their capital.
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

/// A path as it is, or quoted if it is empty or has control characters.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.is_empty() || text.contains(char::is_control) { format!("{text:?}") } else { text.into_owned() }
}
