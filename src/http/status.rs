//! The statuses of this server's responses: code, reason phrase and status line.
//!
//! A [`Status`] is always one of the constants, so each status line is a constant and none is formatted.

/// A status (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(
    /// Invariant: the code of one of the constants below.
    u16,
);

macro_rules! statuses {
    ($($(#[$doc:meta])+ $name:ident = $code:literal $reason:literal;)+) => {
        impl Status {
            $($(#[$doc])+ pub const $name: Status = Status($code);)+

            /// The reason phrase of RFC 9110.
            pub const fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)+
                    _ => "",
                }
            }

            /// The status with this code, if this server knows it.
            pub const fn of(code: u16) -> Option<Status> {
                match code {
                    $($code => Some(Status::$name),)+
                    _ => None,
                }
            }

            /// The status line with its CRLF (RFC 9112 §4).
            pub(super) const fn line(self) -> &'static [u8] {
                match self.0 {
                    $($code => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n").as_bytes(),)+
                    _ => b"HTTP/1.1 500 Internal Server Error\r\n",
                }
            }

            #[cfg(test)]
            const ALL: &[Status] = &[$(Status::$name,)+];
        }
    };
}

statuses! {
    /// RFC 9110 §15.3.1.
    OK = 200 "OK";
    /// RFC 9110 §15.3.5.
    NO_CONTENT = 204 "No Content";
    /// RFC 9110 §15.3.7.
    PARTIAL_CONTENT = 206 "Partial Content";
    /// RFC 9110 §15.4.2.
    MOVED_PERMANENTLY = 301 "Moved Permanently";
    /// RFC 9110 §15.4.3.
    FOUND = 302 "Found";
    /// RFC 9110 §15.4.4.
    SEE_OTHER = 303 "See Other";
    /// RFC 9110 §15.4.5.
    NOT_MODIFIED = 304 "Not Modified";
    /// RFC 9110 §15.4.8.
    TEMPORARY_REDIRECT = 307 "Temporary Redirect";
    /// RFC 9110 §15.4.9.
    PERMANENT_REDIRECT = 308 "Permanent Redirect";
    /// RFC 9110 §15.5.1.
    BAD_REQUEST = 400 "Bad Request";
    /// RFC 9110 §15.5.2.
    UNAUTHORIZED = 401 "Unauthorized";
    /// RFC 9110 §15.5.4.
    FORBIDDEN = 403 "Forbidden";
    /// RFC 9110 §15.5.5.
    NOT_FOUND = 404 "Not Found";
    /// RFC 9110 §15.5.6.
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed";
    /// RFC 9110 §15.5.7.
    NOT_ACCEPTABLE = 406 "Not Acceptable";
    /// RFC 9110 §15.5.9.
    REQUEST_TIMEOUT = 408 "Request Timeout";
    /// RFC 9110 §15.5.11.
    GONE = 410 "Gone";
    /// RFC 9110 §15.5.13.
    PRECONDITION_FAILED = 412 "Precondition Failed";
    /// RFC 9110 §15.5.15.
    URI_TOO_LONG = 414 "URI Too Long";
    /// RFC 9110 §15.5.17.
    RANGE_NOT_SATISFIABLE = 416 "Range Not Satisfiable";
    /// RFC 9110 §15.5.20.
    MISDIRECTED_REQUEST = 421 "Misdirected Request";
    /// RFC 6585 §4.
    TOO_MANY_REQUESTS = 429 "Too Many Requests";
    /// RFC 6585 §5.
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431 "Request Header Fields Too Large";
    /// RFC 7725 §3.
    UNAVAILABLE_FOR_LEGAL_REASONS = 451 "Unavailable For Legal Reasons";
    /// RFC 9110 §15.6.1.
    INTERNAL_SERVER_ERROR = 500 "Internal Server Error";
    /// RFC 9110 §15.6.2.
    NOT_IMPLEMENTED = 501 "Not Implemented";
    /// RFC 9110 §15.6.4.
    SERVICE_UNAVAILABLE = 503 "Service Unavailable";
    /// RFC 9110 §15.6.6.
    HTTP_VERSION_NOT_SUPPORTED = 505 "HTTP Version Not Supported";
}

impl Status {
    /// The three digits.
    pub const fn code(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_says_the_code_and_the_reason() {
        for status in Status::ALL {
            let line = format!("HTTP/1.1 {} {}\r\n", status.code(), status.reason());
            assert_eq!(status.line(), line.as_bytes());
            assert_eq!(Status::of(status.code()), Some(*status));
            assert!(!status.reason().is_empty());
        }
    }

    #[test]
    fn no_code_has_two_names() {
        let mut codes: Vec<u16> = Status::ALL.iter().map(|status| status.code()).collect();
        codes.dedup();
        assert_eq!(codes.len(), Status::ALL.len());
        assert!(codes.is_sorted());
    }
}
