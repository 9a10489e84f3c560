//! The name of a host in the settings, `example.org` or `*.example.org`.

use std::fmt;

/// A name that requests are compared with: in lower case, without a dot at its end, and in ASCII (RFC 5890
/// §2.3.2.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostName {
    /// This name or IP address; an IPv6 address is in brackets.
    Exact(String),
    /// Each name that has one or more labels before a dot and this name.
    Wildcard(String),
}

impl HostName {
    /// Reads a name in Unicode or ASCII, or an IP address.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read(text: &str) -> Result<HostName, String> {
        let (is_wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let expected = "expected a host name such as example.org, or *.example.org for all beneath it";
        if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Result<std::net::Ipv6Addr, _> = address.parse();
            return match address {
                Ok(address) if !is_wildcard => Ok(HostName::Exact(format!("[{address}]"))),
                _ => Err(expected.to_owned()),
            };
        }
        if name.contains([':', '/', '*']) || name.contains(char::is_whitespace) {
            return Err(format!("{expected}, without a port"));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let ascii = ascii(name).filter(|ascii| is_name(ascii)).ok_or_else(|| expected.to_owned())?;
        Ok(if is_wildcard { HostName::Wildcard(ascii) } else { HostName::Exact(ascii) })
    }
}

/// The name in ASCII and lower case: labels in Unicode by IDNA (UTS #46). An underscore is taken, since names
/// in private networks have them.
fn ascii(name: &str) -> Option<String> {
    idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY).ok().map(Into::into)
}

/// RFC 1123 §2.1 with underscores: labels of 1 to 63 letters, digits and hyphens, 253 in all.
fn is_name(ascii: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ascii.len() <= 253
        && ascii.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(in_label))
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostName::Exact(name) => f.write_str(name),
            HostName::Wildcard(name) => write!(f, "*.{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_in_unicode_or_ascii() {
        for (text, expected) in [
            ("example.org", "example.org"),
            ("EXAMPLE.Org.", "example.org"),
            ("*.Example.net", "*.example.net"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("*.bücher.example", "*.xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("localhost", "localhost"),
            ("my_host.lan", "my_host.lan"),
            ("192.0.2.1", "192.0.2.1"),
            ("[::1]", "[::1]"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ] {
            assert_eq!(HostName::read(text).map(|name| name.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = format!("{}.example", "x".repeat(64));
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a..b",
            "a.*.b",
            "*.*.a",
            "a:80",
            "http://a",
            "a b",
            "a/b",
            "[::1",
            "*.[::1]",
            "[x]",
            ".a",
            "a\n",
            "a%20",
            &long,
            "xn--zzzzzzzzzz\u{0}",
        ] {
            let found = HostName::read(text);
            assert!(found.as_ref().is_err_and(|why| why.starts_with("expected ")), "{text:?}: {found:?}");
        }
    }
}
