//! Fields that restrict what a page may do, `security_headers` and `hsts` in the settings.
//!
//! Each gives way to the same field in `headers`, also to one that is taken away there.

use std::time::Duration;

use crate::config::scope::Scope;
use crate::config::scope::headers::Headers;
use crate::config::scope::hsts::HstsSetting;
use crate::http::response_head;

/// Has browsers use TLS alone. Only responses over TLS may have it (RFC 6797 §7.2).
const HSTS: &str = "Strict-Transport-Security";

/// Its age where the settings say none: a year.
const HSTS_AGE: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The fields of all responses.
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

/// The Strict-Transport-Security line of responses over TLS; empty if they have none.
pub fn hsts(scope: &Scope) -> Vec<u8> {
    let age = match scope.hsts {
        HstsSetting::MaxAge(age) => Some(age),
        HstsSetting::ByDefault => scope.security_headers.then_some(HSTS_AGE),
        HstsSetting::Off => None,
    };
    let mut out = Vec::new();
    if let Some(age) = age.filter(|_| scope.headers.find(HSTS).is_none()) {
        response_head::field(&mut out, HSTS, format!("max-age={}", age.as_secs()).as_bytes());
    }
    out
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

    #[test]
    fn browsers_use_tls_alone_as_long_as_the_settings_say() {
        let day = HstsSetting::MaxAge(Duration::from_secs(86400));
        let field = |hsts, security_headers, headers: &[(&str, &[&str])]| {
            let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
            let headers = headers.iter().map(|(name, values)| ((*name).to_owned(), lines(values))).collect();
            let scope = Scope { hsts, security_headers, headers: Headers(headers), ..Scope::default() };
            String::from_utf8(super::hsts(&scope)).unwrap()
        };
        let by_default = HstsSetting::ByDefault;
        assert_eq!(field(by_default, false, &[]), "");
        assert_eq!(field(by_default, true, &[]), "Strict-Transport-Security: max-age=31536000\r\n");
        assert_eq!(field(HstsSetting::Off, true, &[]), "");
        assert_eq!(field(day, true, &[]), "Strict-Transport-Security: max-age=86400\r\n");
        assert_eq!(field(day, false, &[("X-A", &["b"])]), "Strict-Transport-Security: max-age=86400\r\n");
        assert_eq!(field(day, true, &[("strict-transport-security", &["max-age=1"])]), "");
        assert_eq!(field(day, true, &[("Strict-Transport-Security", &[])]), "");
    }
}
