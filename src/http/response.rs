//! A response as plain data: the status, the fields about the content, and where the bytes of the content
//! are.
//!
//! It sends nothing and opens nothing. The type parameter `F` is whatever holds an open file.
//!
//! **Invariant:** the length of a body is known before the head is written, and equals the `Content-Length`
//! in the fields.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::multipart::Multipart;
use super::status::Status;

/// A response without what belongs to the connection, such as Date and keep-alive. `F` is an open file.
#[derive(Debug)]
pub struct Response<F> {
    /// The status.
    pub status: Status,
    /// The fields that describe the content.
    pub fields: FieldBlock<F>,
    /// The content. It is not sent in response to HEAD.
    pub body: Body<F>,
}

/// Rendered field lines, each with its CRLF, without the empty line.
#[derive(Debug)]
pub enum FieldBlock<F> {
    /// Rendered for this response.
    Owned(Vec<u8>),
    /// The lines that the file keeps ready.
    Of(F),
}

/// The body of a response.
#[derive(Debug)]
pub enum Body<F> {
    /// No bytes.
    Empty,
    /// Bytes made for this response.
    Owned(Vec<u8>),
    /// Bytes in memory that other responses have as well.
    Shared(Arc<dyn SharedBytes>),
    /// A slice of a file, or the whole file.
    Slice(F, Range<u64>),
    /// Several slices of a file, each after its own head (RFC 9110 §14.6).
    Multipart(F, Multipart),
}

/// Bytes in memory that several responses share.
pub trait SharedBytes: fmt::Debug + Send + Sync {
    /// The bytes.
    fn bytes(&self) -> &[u8];
}

impl<F> Body<F> {
    /// The length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Owned(bytes) => bytes.len() as u64,
            Body::Shared(shared) => shared.bytes().len() as u64,
            Body::Slice(_, range) => range.end.saturating_sub(range.start),
            Body::Multipart(_, multipart) => multipart.length,
        }
    }

    /// True if there are no bytes to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::multipart;
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
        let multipart = multipart::build(vec![0..5, 7..8], 10, "text/plain".into());
        let length = multipart.length;
        check(&Body::Multipart((), multipart), length);
    }
}
