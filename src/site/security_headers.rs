//! Fields that restrict what a page may do, `security_headers` in the settings.
//!
//! Each gives way to the same field in `headers`, also to one that is taken away there.

use crate::config::scope::headers::Headers;
use crate::http::response_head;

/// The fields. Strict-Transport-Security is not one of them: it has no meaning without TLS (RFC 6797 §7.2).
const FIELDS: [(&str, &str); 5] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ("Content-Security-Policy", "frame-ancestors 'self'"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
];

/// Writes the fields that `headers` does not have.
pub fn write(out: &mut Vec<u8>, headers: &Headers) {
    for (name, value) in FIELDS {
        if headers.find(name).is_none() {
            response_head::field(out, name, value.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_settings_counts_before_the_usual_one() {
        let lines = |text: &str| vec![text.to_owned()];
        let headers = Headers(vec![
            ("referrer-policy".to_owned(), lines("no-referrer")),
            ("Permissions-Policy".to_owned(), Vec::new()),
        ]);
        let mut fields = Vec::new();
        write(&mut fields, &headers);
        assert_eq!(
            String::from_utf8(fields).unwrap(),
            "X-Content-Type-Options: nosniff\r\nContent-Security-Policy: frame-ancestors 'self'\r\n\
             Cross-Origin-Opener-Policy: same-origin\r\n"
        );
    }
}
