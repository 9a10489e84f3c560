//! Why the head of a request is refused, and the status that tells the client.
//!
//! Only the parsers decide that a head is refused. Here is the one map from that decision to a status and to
//! a text for the log.

use super::status::Status;

/// Why a head is refused. The connection ends after the error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The bytes are not HTTP, or two servers could read them differently. The text says what is wrong.
    BadRequest(&'static str),
    /// The request line is longer than [`MAX_REQUEST_LINE`](super::request_line::MAX_REQUEST_LINE).
    UriTooLong,
    /// The head is larger than [`MAX_HEAD`](super::request::MAX_HEAD), or has more than
    /// [`MAX_FIELDS`](super::request::MAX_FIELDS).
    HeadTooLarge,
    /// The request is not HTTP/1.
    VersionNotSupported,
    /// The body has a coding whose end this server cannot find. The text says which.
    NotImplemented(&'static str),
}

impl Reject {
    /// The rejection of more than [`MAX_EMPTY_LINES`](super::request::MAX_EMPTY_LINES) empty lines.
    pub const TOO_MANY_EMPTY_LINES: Reject = Reject::BadRequest("too many empty lines");

    /// The status of the error response.
    pub fn status(self) -> Status {
        match self {
            Reject::BadRequest(_) => Status::BAD_REQUEST,
            Reject::UriTooLong => Status::URI_TOO_LONG,
            Reject::HeadTooLarge => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reject::VersionNotSupported => Status::HTTP_VERSION_NOT_SUPPORTED,
            Reject::NotImplemented(_) => Status::NOT_IMPLEMENTED,
        }
    }

    /// What is wrong, for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Reject::BadRequest(reason) | Reject::NotImplemented(reason) => reason,
            Reject::UriTooLong => "request line too long",
            Reject::HeadTooLarge => "head too large",
            Reject::VersionNotSupported => "not HTTP/1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_has_its_status() {
        for (reject, status) in [
            (Reject::BadRequest("x"), Status::BAD_REQUEST),
            (Reject::UriTooLong, Status::URI_TOO_LONG),
            (Reject::HeadTooLarge, Status::REQUEST_HEADER_FIELDS_TOO_LARGE),
            (Reject::VersionNotSupported, Status::HTTP_VERSION_NOT_SUPPORTED),
            (Reject::NotImplemented("x"), Status::NOT_IMPLEMENTED),
        ] {
            assert_eq!(reject.status(), status);
            assert!(!reject.reason().is_empty());
        }
    }
}
