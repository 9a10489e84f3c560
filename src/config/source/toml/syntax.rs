//! What the parser of TOML refuses, in words that name the key and the fix.

use toml::de::DeValue;

use crate::config::source_map::Fault;

/// The fault for an error of the parser in this text.
pub fn fault(text: &str, error: &toml::de::Error) -> Fault {
    let span = error.span().unwrap_or_default();
    if error.message() == "duplicate key" {
        let why = "duplicate key (each key may be given once)".to_owned();
        return Fault { at: span.start, key: text.get(span).map(str::to_owned), why };
    }
    if let Some(fault) = unquoted(text, span.start) {
        return fault;
    }
    let message = error.message().replace('\n', " ");
    let why = match message.split_once(", expected ") {
        Some((wrong, "nothing")) => wrong.to_owned(),
        Some((wrong, allowed)) => format!("{wrong} (expected {allowed})"),
        None => message,
    };
    Fault { at: span.start, key: None, why }
}

/// The fault for the commonest mistake, a string without quotation marks. The parser's own words mislead: for
/// `info` it expects `inf`.
fn unquoted(text: &str, at: usize) -> Option<Fault> {
    let start = text.get(..at)?.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next()?;
    let (name, rest) = line.split_once('=')?;
    let name = name.trim();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if name.is_empty() || !name.bytes().all(bare) {
        return None;
    }
    let value = rest.split('#').next()?.trim();
    if value.starts_with(['"', '\'', '[', '{']) || value.contains('=') || DeValue::parse(value).is_ok() {
        return None;
    }
    let at = start + line.len() - rest.trim_start().len();
    let why = match value {
        "" => "has no value".to_owned(),
        _ => format!("invalid value {} (strings need quotes: {value:?})", value.escape_debug()),
    };
    Some(Fault::of(name, at, why))
}
