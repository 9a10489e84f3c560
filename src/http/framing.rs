//! The framing of a request's body: how its end is found (RFC 9112 §6).
//!
//! `body.rs` reads the body.
//!
//! **Invariant:** a head that two servers could frame differently is refused. Otherwise one of them would
//! take a smuggled request for a part of the body.

use super::fields::{Field, Fields, is_token};
use super::reject::Reject;
use super::version::HttpVersion;

/// How the end of the body is found (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, or an empty one.
    None,
    /// A body of this many bytes, at least one.
    Length(u64),
    /// A chunked body, which marks its own end.
    Chunked,
}

impl Framing {
    /// Decides the framing (RFC 9112 §6.3). What another server could read differently is refused (§11.2).
    ///
    /// # Errors
    /// The rejection of a head that does not define the end of its body.
    pub fn of(fields: &Fields<'_>, version: HttpVersion) -> Result<Framing, Reject> {
        match (fields.has(Field::ContentLength), fields.has(Field::TransferEncoding)) {
            (false, false) => Ok(Framing::None),
            (true, false) => content_length(fields),
            (false, true) => transfer_encoding(fields, version),
            (true, true) => Err(Reject::BadRequest("both Content-Length and Transfer-Encoding")),
        }
    }
}

/// RFC 9110 §8.6: the same length may be repeated.
fn content_length(fields: &Fields<'_>) -> Result<Framing, Reject> {
    let mut members = fields.members(Field::ContentLength);
    let digits = members.next().unwrap_or_default();
    if !members.all(|other| other == digits) {
        return Err(Reject::BadRequest("differing Content-Length"));
    }
    match decimal(digits) {
        Some(0) => Ok(Framing::None),
        Some(length) => Ok(Framing::Length(length)),
        None => Err(Reject::BadRequest("bad Content-Length")),
    }
}

/// `1*DIGIT`, unlike `str::parse`, which takes a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// RFC 9112 §6.1 and §7: chunked is the only coding that this server knows.
fn transfer_encoding(fields: &Fields<'_>, version: HttpVersion) -> Result<Framing, Reject> {
    match fields.only(Field::TransferEncoding) {
        _ if version == HttpVersion::Http10 => Err(Reject::BadRequest("Transfer-Encoding in HTTP/1.0")),
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        Some(coding) if is_token(coding) => Err(Reject::NotImplemented("unknown Transfer-Encoding")),
        _ => Err(Reject::BadRequest("bad Transfer-Encoding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::ParsedHead;

    #[track_caller]
    fn framing_is(lines: impl AsRef<[u8]>, expected: Result<Framing, Reject>) {
        let input = [b"GET / HTTP/1.1\r\nHost: example.com\r\n", lines.as_ref(), b"\r\n"].concat();
        let found = match ParsedHead::parse(&input) {
            ParsedHead::Complete(request, _) => Ok(request.framing),
            ParsedHead::Reject(reject) => Err(reject),
            ParsedHead::Partial => panic!("partial: {}", input.escape_ascii()),
        };
        match (found, expected) {
            (Err(Reject::BadRequest(_)), Err(Reject::BadRequest(_))) => {}
            _ => assert_eq!(found, expected, "{}", input.escape_ascii()),
        }
    }

    const BAD: Result<Framing, Reject> = Err(Reject::BadRequest(""));
    const UNKNOWN: Result<Framing, Reject> = Err(Reject::NotImplemented("unknown Transfer-Encoding"));

    #[test]
    fn a_content_length_is_digits() {
        let refused = |values: &[&str]| {
            for value in values {
                framing_is(format!("Content-Length: {value}\r\n"), BAD);
            }
        };
        framing_is("", Ok(Framing::None));
        for (value, length) in [
            ("5", 5),
            ("0005", 5),
            (" \t5\t ", 5),
            ("18446744073709551615", u64::MAX),
            ("5, 5", 5),
            ("5\t,5,5", 5),
        ] {
            framing_is(format!("Content-Length: {value}\r\n"), Ok(Framing::Length(length)));
        }
        framing_is("Content-Length: 0\r\n", Ok(Framing::None));
        framing_is("content-LENGTH: 000, 000\r\n", Ok(Framing::None));
        framing_is("Content-Length: 5\r\nX: y\r\nContent-Length: 5\r\n", Ok(Framing::Length(5)));
        refused(&["+5", "-5", "-0", "0x5", "5 5", "", "5.0", "five", "5e0", "1_0", "5,", ",5", ",", "5,,5"]);
        refused(&["5;5", "\"5\"", "5, 6", "5, 05", "18446744073709551616", "18446744073709551621"]);
        refused(&["99999999999999999999999999999999999999", "\u{0665}"]);
        framing_is(b"Content-Length: 5\xa0\r\n", BAD);
        framing_is(b"Content-Length: \x0b5\r\n", BAD);
        framing_is("Content-Length: 5\r\nContent-Length: 6\r\n", BAD);
        framing_is("Content-Length: 5\r\nContent-Length:\r\n", BAD);
    }

    #[test]
    fn chunked_is_the_only_transfer_encoding() {
        let refused = |values: &[&str]| {
            for value in values {
                framing_is(format!("Transfer-Encoding: {value}\r\n"), BAD);
            }
        };
        framing_is("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked));
        framing_is("TRANSFER-encoding:\tChunked \r\n", Ok(Framing::Chunked));
        for value in ["gzip", "identity", "xchunked", "chunkedx"] {
            framing_is(format!("Transfer-Encoding: {value}\r\n"), UNKNOWN);
        }
        refused(&["chunked, gzip", "gzip, chunked", "chunked, chunked", "\"chunked\"", "\x0bchunked"]);
        refused(&["chunked;q=1", "chunked x", "chunked\0", "", "chunked,", ",chunked", ",", "chun ked"]);
        refused(&["chunked\u{e9}"]);
        framing_is("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BAD);
        framing_is("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", BAD);
        framing_is("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", BAD);
        framing_is("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", BAD);
        framing_is("Content-Length: 0\r\nTransfer-Encoding: gzip\r\n", BAD);
        for coding in ["chunked", "gzip"] {
            let input =
                format!("GET / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: {coding}\r\n\r\n");
            assert!(
                matches!(ParsedHead::parse(input.as_bytes()), ParsedHead::Reject(Reject::BadRequest(_))),
                "{coding}"
            );
        }
    }
}
