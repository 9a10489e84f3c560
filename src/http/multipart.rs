//! The body of a reply with several ranges, multipart/byteranges (RFC 9110 §14.6), and the Content-Range
//! field.
//!
//! Holds none of the content, only what goes around it. The subtle rule: the length is the sum of what is
//! written here, so heads and closing are rendered before the reply's own head is.
//!
//! ```text
//!          --boundary CRLF                            ┐
//!          Content-Type: text/plain CRLF              │ head of the first part
//!          Content-Range: bytes 0-9/100 CRLF          │
//!          CRLF                                       ┘
//!          …10 bytes…
//!     CRLF --boundary CRLF                            ┐
//!          Content-Type: text/plain CRLF              │ head of every other part,
//!          Content-Range: bytes 90-99/100 CRLF        │ with the CRLF that ends the part before
//!          CRLF                                       ┘
//!          …10 bytes…
//!     CRLF --boundary-- CRLF                            closing
//! ```

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::head;
use super::reply::Part;

/// What surrounds the slices of a multipart body.
#[derive(Debug)]
pub struct Multipart {
    /// The slices in the order given, each with its head.
    pub parts: Vec<Part>,
    /// What follows the last slice.
    pub closing: Vec<u8>,
    /// Number of bytes of the whole body.
    pub length: u64,
    /// The media type of the whole body, with its boundary.
    pub content_type: Vec<u8>,
}

/// Puts `ranges` of content of `size` bytes and type `content_type` together.
pub fn build(ranges: &[Range<u64>], size: u64, content_type: &str) -> Multipart {
    let boundary = boundary();
    let mut parts = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut head = Vec::with_capacity(160);
        if !parts.is_empty() {
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"--");
        head.extend_from_slice(boundary.as_bytes());
        head.extend_from_slice(b"\r\n");
        head::field(&mut head, "Content-Type", content_type.as_bytes());
        head::field(&mut head, "Content-Range", &content_range(range, size));
        head.extend_from_slice(b"\r\n");
        parts.push(Part { head, range: range.clone() });
    }
    let closing = format!("\r\n--{boundary}--\r\n").into_bytes();
    let length = parts.iter().map(Part::len).sum::<u64>() + closing.len() as u64;
    let content_type = format!("multipart/byteranges; boundary={boundary}").into_bytes();
    Multipart { parts, closing, length, content_type }
}

/// The value of a Content-Range field (RFC 9110 §14.4) for a range that is not empty: `bytes 0-9/100`.
pub fn content_range(range: &Range<u64>, size: u64) -> Vec<u8> {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)).into_bytes()
}

/// A boundary that nobody can have put into a file beforehand: 32 hex digits from a seed that each process
/// draws for itself and a count. At 128 bits, no one has to search the content for it.
fn boundary() -> String {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{:016x}", SEED.hash_one((count, 0)), SEED.hash_one((count, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    fn render(multipart: &Multipart, content: &[u8]) -> String {
        let mut body = Vec::new();
        for part in &multipart.parts {
            body.extend_from_slice(&part.head);
            let (start, end) = (part.range.start.try_into().unwrap(), part.range.end.try_into().unwrap());
            body.extend_from_slice(&content[Range::<usize> { start, end }]);
        }
        body.extend_from_slice(&multipart.closing);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_body_is_written_to_the_byte() {
        let multipart = build(&[0..3, 35..36], 36, "text/plain");
        let content_type = String::from_utf8(multipart.content_type.clone()).unwrap();
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/36\r\n\r\n012\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 35-35/36\r\n\r\nz\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(render(&multipart, CONTENT), expected);
    }

    #[test]
    fn the_length_is_that_of_the_rendered_bytes() {
        let lists: [&[Range<u64>]; 4] =
            [&[0..1, 2..3], &[10..36, 0..10], &[0..36, 1..2], &[5..6, 7..8, 9..10]];
        for ranges in lists {
            let multipart = build(ranges, 36, "application/octet-stream");
            assert_eq!(multipart.length, render(&multipart, CONTENT).len() as u64);
            assert_eq!(multipart.parts.len(), ranges.len());
        }
    }

    #[test]
    fn no_boundary_is_used_twice() {
        let boundaries: std::collections::HashSet<String> = (0..1000).map(|_| boundary()).collect();
        assert_eq!(boundaries.len(), 1000);
        let legal =
            |boundary: &String| boundary.len() == 32 && boundary.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(boundaries.iter().all(legal));
    }

    #[track_caller]
    fn check(range: Range<u64>, size: u64, expected: &str) {
        assert_eq!(content_range(&range, size), expected.as_bytes());
    }

    #[test]
    fn content_range_names_the_last_byte() {
        check(0..10, 100, "bytes 0-9/100");
        check(99..100, 100, "bytes 99-99/100");
        check(0..u64::MAX, u64::MAX, "bytes 0-18446744073709551614/18446744073709551615");
    }
}
