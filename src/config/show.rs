//! How the value of a setting is written in a settings file, so that the file gives the same value again.
//!
//! It owns the notation. Which setting is written in which way is in [`table`](super::table).

use std::path::Path;
use std::time::Duration;

/// The value of a setting as a settings file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A value of TOML.
    Value(String),
    /// Words for a comment: a file has no value that means the same.
    Comment(String),
    /// Nothing: another row shows it, or it is no setting.
    Nothing,
}

/// A string.
pub fn text(text: &str) -> Shown {
    Shown::Value(string(text))
}

/// A number or a boolean.
pub fn plain(value: impl ToString) -> Shown {
    Shown::Value(value.to_string())
}

/// The value as `show` has it, or `word` where there is none.
pub fn or_word<T>(value: Option<T>, word: &str, show: impl Fn(T) -> Shown) -> Shown {
    value.map_or_else(|| text(word), show)
}

/// The string, or a comment where there is none.
pub fn or_comment(value: Option<&str>, comment: &str) -> Shown {
    value.map_or_else(|| Shown::Comment(comment.to_owned()), text)
}

/// A path. One that is not UTF-8 is a comment.
pub fn path(path: &Path) -> Shown {
    match path.to_str() {
        Some(path) => text(path),
        None => Shown::Comment(format!("{path:?}, which is not UTF-8")),
    }
}

/// A list of strings, `off` where it is empty.
pub fn list(values: &[impl ToString]) -> Shown {
    if values.is_empty() {
        return text("off");
    }
    let values: Vec<String> = values.iter().map(|value| string(&value.to_string())).collect();
    Shown::Value(format!("[{}]", values.join(", ")))
}

/// A time, in seconds where they are whole.
pub fn time(time: Duration) -> Shown {
    match time.subsec_nanos() {
        0 => text(&format!("{}s", time.as_secs())),
        _ => text(&humantime::format_duration(time).to_string()),
    }
}

/// A size, in the largest unit that leaves a whole number. It is a string in any case: TOML's numbers end at
/// 63 bits.
pub fn size(bytes: u64) -> Shown {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift) {
        Some((shift, unit)) => text(&format!("{}{unit}", bytes >> shift)),
        None => text(&bytes.to_string()),
    }
}

/// A basic string of TOML.
pub fn string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    for letter in text.chars() {
        match letter {
            '"' | '\\' => string.extend(['\\', letter]),
            _ if letter.is_control() => string.push_str(&format!("\\u{:04X}", u32::from(letter))),
            _ => string.push(letter),
        }
    }
    format!("\"{string}\"")
}
