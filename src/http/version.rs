//! The HTTP version that a client speaks (RFC 9110 §2.5).

/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1. A higher minor version counts as 1.1, because its client must understand a response of
    /// version 1.1.
    Http11,
}
