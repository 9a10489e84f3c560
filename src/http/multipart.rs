//! The body of a response with several ranges, multipart/byteranges (RFC 9110 §14.6), and the Content-Range
//! field.
//!
//! It holds no content, only the text around it. That text is rendered twice: once to compute the
//! Content-Length, and once when it is sent. A slow client thus keeps nothing in memory but its ranges.
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

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::response_head;

/// The slices of a multipart body, and the text around them.
#[derive(Debug)]
pub struct Multipart {
    /// The slices, in the order of the request.
    pub ranges: Vec<Range<u64>>,
    /// The length of the whole body in bytes.
    pub length: u64,
    boundary: String,
    /// The media type of each slice.
    part_type: Cow<'static, str>,
    /// The length of the whole file in bytes.
    size: u64,
}

/// Makes a body of `ranges` of content that has `size` bytes and the type `part_type`.
pub fn build(ranges: Vec<Range<u64>>, size: u64, part_type: Cow<'static, str>) -> Multipart {
    let mut multipart = Multipart { ranges, length: 0, boundary: boundary(), part_type, size };
    let mut rendered = Vec::with_capacity(192);
    multipart.write_closing(&mut rendered);
    let mut length = rendered.len() as u64;
    for (index, range) in multipart.ranges.iter().enumerate() {
        rendered.clear();
        multipart.write_head(index, &mut rendered);
        length += rendered.len() as u64 + range.end.saturating_sub(range.start);
    }
    multipart.length = length;
    multipart
}

impl Multipart {
    /// The media type of the whole body, with its boundary.
    pub fn content_type(&self) -> Vec<u8> {
        format!("multipart/byteranges; boundary={}", self.boundary).into_bytes()
    }

    /// Writes the text before a slice: the delimiter, the fields of the part and the empty line.
    pub fn write_head(&self, index: usize, out: &mut Vec<u8>) {
        if index > 0 {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(self.boundary.as_bytes());
        out.extend_from_slice(b"\r\n");
        response_head::field(out, "Content-Type", self.part_type.as_bytes());
        response_head::field(out, "Content-Range", &content_range(&self.ranges[index], self.size));
        out.extend_from_slice(b"\r\n");
    }

    /// Writes the text after the last slice.
    pub fn write_closing(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n--");
        out.extend_from_slice(self.boundary.as_bytes());
        out.extend_from_slice(b"--\r\n");
    }
}

/// The value of a Content-Range field (RFC 9110 §14.4) for a range that is not empty: `bytes 0-9/100`.
pub fn content_range(range: &Range<u64>, size: u64) -> Vec<u8> {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)).into_bytes()
}

/// A boundary that no file can contain on purpose: 32 hex digits from a random seed of this process and a
/// count. With 128 bits, the content need not be searched for it.
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
        for (index, range) in multipart.ranges.iter().enumerate() {
            multipart.write_head(index, &mut body);
            let (start, end) = (range.start.try_into().unwrap(), range.end.try_into().unwrap());
            body.extend_from_slice(&content[Range::<usize> { start, end }]);
        }
        multipart.write_closing(&mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_body_is_written_to_the_byte() {
        let multipart = build(vec![0..3, 35..36], 36, "text/plain".into());
        let content_type = String::from_utf8(multipart.content_type()).unwrap();
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
            let multipart = build(ranges.to_vec(), 36, "application/octet-stream".into());
            assert_eq!(multipart.length, render(&multipart, CONTENT).len() as u64);
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
