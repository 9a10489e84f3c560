//! The parts of a request line, for the access log.
//!
//! The line may be any bytes, because requests that were refused are logged too.

/// Splits a request line into method, target and protocol. A line without these three parts is all target.
pub(super) fn split(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let spaces = memchr::memchr(b' ', line).zip(memchr::memrchr(b' ', line));
    match spaces {
        Some((first, last)) if first < last && line[last + 1..].starts_with(b"HTTP/") => {
            (&line[..first], &line[first + 1..last], &line[last + 1..])
        }
        _ => (b"", line, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_is_split_at_its_first_and_last_space() {
        for (line, method, target, protocol) in [
            (&b"GET / HTTP/1.1"[..], &b"GET"[..], &b"/"[..], &b"HTTP/1.1"[..]),
            (b"GET /a b HTTP/1.0", b"GET", b"/a b", b"HTTP/1.0"),
            (b"GET  HTTP/1.1", b"GET", b"", b"HTTP/1.1"),
            (b"GET HTTP/1.1", b"", b"GET HTTP/1.1", b""),
            (b"GET / http/1.1", b"", b"GET / http/1.1", b""),
            (b"nonsense", b"", b"nonsense", b""),
            (b"", b"", b"", b""),
        ] {
            assert_eq!(split(line), (method, target, protocol), "{line:?}");
        }
    }
}
