//! The URL of a request's target at https, for redirects of requests that came without TLS.
//!
//! The path stays as the client wrote it, so that one which can't be decoded is refused there and not here.

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::host;
use super::target::Target;

/// The port that a URL of https leaves out.
const HTTPS_PORT: u16 = 443;

/// The characters that are escaped, because no URL has them (RFC 3986 §2): they could end a field line or a
/// link, and browsers read a backslash as a slash. Escapes are copied.
const IN_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The URL of `target` at this port of the host in `authority`, which is valid or empty (see
/// [`host::is_valid`]). `None` if there is no host, or the target has no path.
pub fn https_location(target: &Target<'_>, authority: &[u8], port: u16) -> Option<Vec<u8>> {
    let name = host::name(authority);
    if name.is_empty() || !target.path.starts_with(b"/") {
        return None;
    }
    let mut url = Vec::with_capacity(target.path.len() + name.len() + 32);
    url.extend_from_slice(b"https://");
    url.extend_from_slice(&name);
    if port != HTTPS_PORT {
        url.push(b':');
        url.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
    }
    url.extend(percent_encode(target.path, IN_URL).flat_map(str::bytes));
    if let Some(query) = target.query {
        url.push(b'?');
        url.extend(percent_encode(query, IN_URL).flat_map(str::bytes));
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(authority: &str, port: u16, (path, query): (&[u8], Option<&[u8]>), expected: Option<&str>) {
        let found = https_location(&Target { path, query, authority: None }, authority.as_bytes(), port);
        let found = found.map(|url| String::from_utf8(url).unwrap());
        assert_eq!(found.as_deref(), expected, "{authority} {}", path.escape_ascii());
    }

    #[test]
    fn the_url_has_host_port_path_and_query_of_the_request() {
        for (authority, port, url) in [
            ("example.org", 443, "https://example.org/a"),
            ("EXAMPLE.org.:80", 443, "https://example.org/a"),
            ("example.org", 8443, "https://example.org:8443/a"),
            ("[::1]:80", 1, "https://[::1]:1/a"),
            ("192.0.2.1:8080", 443, "https://192.0.2.1/a"),
        ] {
            check(authority, port, (b"/a", None), Some(url));
        }
        check("a", 443, (b"/", Some(b"")), Some("https://a/?"));
        check("a", 443, (b"/b/../c//d/", Some(b"e=/f?g")), Some("https://a/b/../c//d/?e=/f?g"));
    }

    #[test]
    fn escapes_are_copied_and_what_no_url_has_is_escaped() {
        check("a", 443, (b"/%2e%zz%", None), Some("https://a/%2e%zz%"));
        check("a", 443, (b"//evil\\x", None), Some("https://a//evil%5Cx"));
        check("a", 443, (b"/\"<>^`{|}", Some(b"<\">")), Some("https://a/%22%3C%3E%5E%60%7B%7C%7D?%3C%22%3E"));
        check("a", 443, ("/ü\x01".as_bytes(), None), Some("https://a/%C3%BC%01"));
    }

    #[test]
    fn without_a_host_or_a_path_there_is_no_url() {
        for authority in ["", ".", ".:80"] {
            check(authority, 443, (b"/", None), None);
        }
        for path in [&b"*"[..], b"", b"example.com:443", b"http://u@h/"] {
            check("a", 443, (path, None), None);
        }
    }
}
