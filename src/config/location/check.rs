//! What the keys of a location may hold beside each other, and the fields that a location may set.
//!
//! **Invariant:** a text that goes into a response's head later has no line break; every such text is checked
//! here or in [`types`](crate::config::types).

use super::LocationSettings;

/// Fields that the server writes itself, or that would break framing. A location may not set them.
const OWN_FIELDS: [&str; 14] = [
    "Accept-Ranges",
    "Allow",
    "Connection",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Keep-Alive",
    "Last-Modified",
    "Server",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Checks a location that was read completely.
///
/// # Errors
/// A key, and what is wrong with it.
pub fn check(location: &LocationSettings) -> Result<(), (String, String)> {
    let fault = |key: &str, why: &str| Err((key.to_owned(), why.to_owned()));
    let response = location.response.as_ref();
    if response.is_some_and(|response| response.status == 204 && response.body.is_some()) {
        return fault("return.body", "is not allowed with status 204");
    }
    let has_age = |text: &String| text.to_ascii_lowercase().contains("max-age");
    if location.expires.is_some() && location.cache_control.as_ref().is_some_and(has_age) {
        return fault("cache_control", "can't set max-age beside expires");
    }
    let redirects = response.is_some_and(|response| (300..400).contains(&response.status));
    let target = location.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    match target {
        Some((name, _)) if !redirects => {
            fault(&format!("headers.{name}"), "needs a return with status 301, 302, 303, 307 or 308")
        }
        None if redirects => {
            fault("return", "a redirect needs a Location header (headers = { Location = \"...\" })")
        }
        _ => Ok(()),
    }
}

/// Checks the name of a further field in `headers`.
///
/// # Errors
/// What is wrong with it.
pub fn field_name(location: &LocationSettings, name: &str) -> Result<(), String> {
    // RFC 9110 §5.6.2.
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(in_token) {
        return Err("is not a valid field name".to_owned());
    }
    if OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err("is set by the server itself".to_owned());
    }
    for (own, key) in [("Cache-Control", "cache_control"), ("Expires", "expires")] {
        if own.eq_ignore_ascii_case(name) {
            return Err(format!("has a key of its own: {key}"));
        }
    }
    if location.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Err("duplicate field (a list of strings makes several lines)".to_owned());
    }
    Ok(())
}

/// The value of a field, which goes into a head as it is.
///
/// # Errors
/// What is allowed.
pub fn field_value(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("a field is one line, without control characters".to_owned());
    }
    if text.is_empty() || text != text.trim() {
        return Err("expected text without white space at its ends".to_owned());
    }
    Ok(text.to_owned())
}
