//! A reply as plain data: the status, the fields about its content, and where the content's bytes are.
//!
//! Sends nothing and opens nothing: `F` stands for whatever keeps a file's bytes at hand. The subtle rule: a
//! body's length is settled before the first byte of the head is written, and `Content-Length` in the fields
//! says the same.

use std::ops::Range;

use super::status::Status;

/// What is to be sent in answer to a request, and nothing yet of the connection: no Date, no keep-alive.
#[derive(Debug)]
pub struct Reply<F> {
    /// The status.
    pub status: Status,
    /// The fields that belong to the content.
    pub fields: FieldBlock<F>,
    /// The content, which is left out in answer to HEAD.
    pub body: Body<F>,
}

/// Rendered field lines, each ended by CRLF, without the empty line.
#[derive(Debug)]
pub enum FieldBlock<F> {
    /// Made for this reply.
    Owned(Vec<u8>),
    /// Kept ready by the file that is served.
    Of(F),
}

/// The bytes after the head.
#[derive(Debug)]
pub enum Body<F> {
    /// None.
    Empty,
    /// Made for this reply.
    Owned(Vec<u8>),
    /// A slice of a file, all of it perhaps.
    Slice(F, Range<u64>),
    /// Several slices of a file, each after its own head, and what closes the last (RFC 9110 §14.6).
    Multipart(F, Vec<Part>, Vec<u8>),
}

/// One slice of a multipart body.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The delimiter, the part's fields and the empty line.
    pub head: Vec<u8>,
    /// The slice that follows.
    pub range: Range<u64>,
}

impl<F> Body<F> {
    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Owned(bytes) => bytes.len() as u64,
            Body::Slice(_, range) => range.end.saturating_sub(range.start),
            Body::Multipart(_, parts, closing) => {
                parts.iter().map(Part::len).sum::<u64>() + closing.len() as u64
            }
        }
    }

    /// True when there are no bytes to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Part {
    pub(super) fn len(&self) -> u64 {
        self.head.len() as u64 + self.range.end.saturating_sub(self.range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &Body<()>, length: u64) {
        assert_eq!(body.len(), length);
        assert_eq!(body.is_empty(), length == 0);
    }

    #[test]
    fn a_body_knows_its_length() {
        check(&Body::Empty, 0);
        check(&Body::Owned(b"abc".to_vec()), 3);
        check(&Body::Owned(vec![0; 70_000]), 70_000);
        check(&Body::Slice((), 0..0), 0);
        check(&Body::Slice((), 5..5), 0);
        check(&Body::Slice((), 5..12), 7);
        check(&Body::Slice((), 0..u64::MAX), u64::MAX);
        let parts = vec![Part { head: vec![0; 10], range: 0..5 }, Part { head: vec![0; 20], range: 7..8 }];
        check(&Body::Multipart((), parts, vec![0; 4]), 40);
    }
}
