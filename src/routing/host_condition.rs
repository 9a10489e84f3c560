//! The `host` of a rule: the host name that a request must be for.

use crate::http::host;

/// A host name, or `*.` and the end of host names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCondition {
    /// In lower case, without a port or a dot at the end.
    pub name: Box<str>,
    /// True if the name has one or more labels before `name`.
    pub wildcard: bool,
}

impl HostCondition {
    /// Parses a name or wildcard.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<HostCondition, String> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_address = !wildcard && name.starts_with('[') && name.ends_with(']');
        let is_name =
            is_address || !name.is_empty() && !name.contains([':', '*', '%']) && !name.starts_with('.');
        if !is_name || !host::is_valid(name.as_bytes()) {
            return Err(
                "expected a host name without a port, such as www.example.org or *.example.org".to_owned()
            );
        }
        Ok(HostCondition { name: name.to_ascii_lowercase().into(), wildcard })
    }

    /// True if a comparable name fulfils the condition.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        let expected = self.name.as_bytes();
        if self.wildcard { parents(name).any(|parent| parent == expected) } else { name == expected }
    }
}

/// The name that conditions are compared with: the authority of a request without its port and the dot at
/// its end, in lower case.
pub(super) fn comparable(authority: &[u8]) -> Vec<u8> {
    // The colons in brackets are not before a port.
    let end = match memchr::memrchr(b']', authority) {
        Some(bracket) => bracket + 1,
        None => memchr::memchr(b':', authority).unwrap_or(authority.len()),
    };
    let name = &authority[..end];
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}

/// What is left of a comparable name without one or more labels at its beginning, the longest first.
pub(super) fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'.', name).map(|dot| &name[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_wildcards_are_read() {
        for (text, name, wildcard) in [
            ("example.org", "example.org", false),
            ("WWW.Example.org.", "www.example.org", false),
            ("*.Example.org", "example.org", true),
            ("10.0.0.1", "10.0.0.1", false),
            ("[::1]", "[::1]", false),
        ] {
            let expected = HostCondition { name: name.into(), wildcard };
            assert_eq!(HostCondition::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "", "*", "*.", "a:80", "a/b", "a.*.b", "*a", "user@a", "a b", "ü", ".a", ":a", "*.:a", "*.[::1]",
            "[a]",
        ] {
            assert!(HostCondition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_authority_is_compared_without_port_case_and_last_dot() {
        for (authority, expected) in [
            ("", ""),
            ("a", "a"),
            ("A.Example:8080", "a.example"),
            ("a.example.", "a.example"),
            ("a.example.:80", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            (":80", ""),
        ] {
            assert_eq!(comparable(authority.as_bytes()), expected.as_bytes(), "{authority}");
        }
        let all: Vec<&[u8]> = parents(b"a.b.c").collect();
        assert_eq!(all, [b"b.c".as_slice(), b"c"]);
    }
}
