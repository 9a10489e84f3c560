//! Names and values of fields that settings may add to responses.

use super::fields;

/// Fields that the server writes itself, or that would break framing. No setting may write them.
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

/// True if `name` is a token (RFC 9110 §5.6.2).
pub fn is_valid(name: &str) -> bool {
    fields::is_token(name.as_bytes())
}

/// True if the server alone writes this field.
pub fn is_own(name: &str) -> bool {
    OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Checks a value, which goes into a head as it is.
///
/// # Errors
/// What is allowed.
pub fn check_value(text: &str) -> Result<(), &'static str> {
    if text.contains(char::is_control) {
        return Err("a field is one line, without control characters");
    }
    if text.is_empty() || text != text.trim() {
        return Err("expected text without white space at its ends");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_that_the_server_does_not_write() {
        for (name, valid, own) in [
            ("X-Frame-Options", true, false),
            ("etag", true, true),
            ("CONTENT-length", true, true),
            ("Content-Type-Options", true, false),
            ("", false, false),
            ("a b", false, false),
            ("a:", false, false),
            ("ü", false, false),
            ("a\r\nb", false, false),
        ] {
            assert_eq!((is_valid(name), is_own(name)), (valid, own), "{name}");
        }
    }

    #[test]
    fn values_are_one_line() {
        assert!(check_value("a, b; c=\"d\"").is_ok() && check_value("ü").is_ok());
        for value in ["", " a", "a ", "a\r\nb", "a\0", "a\x7f", "a\u{85}b"] {
            assert!(check_value(value).is_err(), "{value:?}");
        }
    }
}
