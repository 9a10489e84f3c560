//! Finds the end of a request's body (RFC 9112 §6 and §7.1), and with it the start of the next request.
//!
//! The body is not kept, because the server has no use for it. Each byte is read once and nothing is
//! buffered, so the result does not depend on how the body was cut into reads.
//!
//! ```text
//! 1A;extension CRLF      chunk-size in hex, ignored extensions
//! 26 octets CRLF
//! 0 CRLF                 the last chunk
//! Name: value CRLF       trailer fields, any number
//! CRLF
//! ```

use crate::http::fields::{is_token_byte, is_value_byte};
use crate::http::framing::Framing;

/// The most bytes of the extensions of one chunk.
pub const MAX_EXTENSIONS: usize = 1024;
/// The most bytes of the trailer section.
pub const MAX_TRAILERS: usize = 8 * 1024;
/// The most digits of a chunk size. A size needs sixteen; the rest may be leading zeros.
const MAX_SIZE_DIGITS: usize = 64;

/// Finds the end of one body.
#[derive(Debug)]
pub struct BodySkipper {
    state: State,
    /// How many more bytes the current part may have, if it is bounded.
    allowance: usize,
}

/// The result of [`BodySkipper::feed`].
#[derive(Debug, PartialEq, Eq)]
pub struct Skip {
    /// How many bytes belong to the body. All of them, unless the body is done.
    pub used: usize,
    /// True if the body has ended.
    pub done: bool,
}

/// The body is malformed. Its end is unknown, so nothing after it may be read.
#[derive(Debug, PartialEq, Eq)]
pub struct BadBody;

/// The part of the body that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This many bytes, then the body is done.
    Length(u64),
    /// The first digit of a chunk size.
    SizeStart,
    /// More digits, an extension or the end of the line.
    Size(u64),
    /// White space that must lead to an extension.
    ExtensionSpace(u64),
    Extension(u64),
    SizeLf(u64),
    /// This many bytes of chunk data.
    Data(u64),
    DataCr,
    DataLf,
    /// A trailer field's name, or the empty line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

impl BodySkipper {
    /// Starts to skip a body with this framing.
    pub fn new(framing: Framing) -> BodySkipper {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::SizeStart,
        };
        BodySkipper { state, allowance: MAX_SIZE_DIGITS }
    }

    /// Reads the next bytes. Bytes that it does not use come after the body.
    ///
    /// # Errors
    /// The body is malformed. Do not call it again.
    pub fn feed(&mut self, input: &[u8]) -> Result<Skip, BadBody> {
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            match self.state {
                State::Done => break,
                State::Length(left) => {
                    let left = skip(left, input, &mut used);
                    self.state = if left == 0 { State::Done } else { State::Length(left) };
                }
                State::Data(left) => {
                    let left = skip(left, input, &mut used);
                    self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                }
                _ => {
                    self.state = self.after(byte)?;
                    used += 1;
                }
            }
        }
        Ok(Skip { used, done: self.state == State::Done })
    }

    /// The state after one byte of the chunk framing.
    fn after(&mut self, byte: u8) -> Result<State, BadBody> {
        match (self.state, byte) {
            (State::SizeStart, _) => {
                self.allowance = MAX_SIZE_DIGITS;
                self.digit(0, byte)
            }
            (State::Size(size) | State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Size(size), b';' | b' ' | b'\t') => {
                self.allowance = MAX_EXTENSIONS;
                self.spend(if byte == b';' { State::Extension(size) } else { State::ExtensionSpace(size) })
            }
            (State::Size(size), _) => self.digit(size, byte),
            (State::ExtensionSpace(_), b' ' | b'\t') => self.spend(self.state),
            (State::ExtensionSpace(size), b';') => self.spend(State::Extension(size)),
            (State::Extension(_), _) if is_value_byte(byte) => self.spend(self.state),
            (State::SizeLf(0), b'\n') => {
                self.allowance = MAX_TRAILERS;
                Ok(State::TrailerStart)
            }
            (State::SizeLf(size), b'\n') => Ok(State::Data(size)),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            _ => self.after_in_trailers(byte),
        }
    }

    fn after_in_trailers(&mut self, byte: u8) -> Result<State, BadBody> {
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerName, b':') => self.spend(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                self.spend(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => self.spend(State::TrailerLf),
            (State::TrailerValue, _) if is_value_byte(byte) => self.spend(State::TrailerValue),
            (State::TrailerLf, b'\n') => self.spend(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::Done),
            _ => Err(BadBody),
        }
    }

    /// Adds one digit to a chunk size. An overflow is an error: other servers might read another size.
    fn digit(&mut self, size: u64, byte: u8) -> Result<State, BadBody> {
        let digit = char::from(byte).to_digit(16).ok_or(BadBody)?;
        let size = size.checked_mul(16).ok_or(BadBody)? + u64::from(digit);
        self.spend(State::Size(size))
    }

    fn spend(&mut self, next: State) -> Result<State, BadBody> {
        self.allowance = self.allowance.checked_sub(1).ok_or(BadBody)?;
        Ok(next)
    }
}

/// Skips up to `left` bytes of the input and returns how many are missing.
fn skip(left: u64, input: &[u8], used: &mut usize) -> u64 {
    let here = input.len() - *used;
    let taken = usize::try_from(left).map_or(here, |left| left.min(here));
    *used += taken;
    left - taken as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces that end at every `cuts` and returns how many bytes the body has, or `None` while it goes
    /// on.
    fn run(framing: Framing, pieces: &[&[u8]]) -> Result<Option<usize>, BadBody> {
        let mut skipper = BodySkipper::new(framing);
        let mut total = 0;
        for piece in pieces {
            let skip = skipper.feed(piece)?;
            total += skip.used;
            if skip.done {
                return Ok(Some(total));
            }
            assert_eq!(skip.used, piece.len(), "only the end of the body leaves bytes over");
        }
        Ok(None)
    }

    /// Whole, byte at a time and in two at every offset the verdict must be the same.
    #[track_caller]
    fn check(framing: Framing, input: &[u8], expected: Result<Option<usize>, BadBody>) {
        let shown = input.escape_ascii();
        assert_eq!(run(framing, &[input]), expected, "{shown}");
        assert_eq!(run(framing, &input.chunks(1).collect::<Vec<_>>()), expected, "{shown}, byte at a time");
        for at in 0..=input.len() {
            let (head, tail) = input.split_at(at);
            assert_eq!(run(framing, &[head, tail]), expected, "{shown}, cut at {at}");
        }
    }

    #[track_caller]
    fn good(body: &[u8]) {
        check(Framing::Chunked, body, Ok(Some(body.len())));
        check(Framing::Chunked, &[body, b"GET / HTTP/1.1\r\n"].concat(), Ok(Some(body.len())));
        for end in 0..body.len() {
            assert_eq!(run(Framing::Chunked, &[&body[..end]]), Ok(None), "{}", body[..end].escape_ascii());
        }
    }

    #[track_caller]
    fn bad(body: &[u8]) {
        check(Framing::Chunked, body, Err(BadBody));
    }

    #[test]
    fn no_body_is_done_before_it_begins() {
        for framing in [Framing::None, Framing::Length(0)] {
            assert_eq!(BodySkipper::new(framing).feed(b""), Ok(Skip { used: 0, done: true }));
            assert_eq!(BodySkipper::new(framing).feed(b"GET /"), Ok(Skip { used: 0, done: true }));
        }
    }

    #[test]
    fn a_length_counts_bytes() {
        check(Framing::Length(5), b"hello", Ok(Some(5)));
        check(Framing::Length(5), b"helloGET / HTTP/1.1\r\n", Ok(Some(5)));
        check(Framing::Length(5), b"hell", Ok(None));
        check(Framing::Length(u64::MAX), b"hello", Ok(None));
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        good(b"0\r\n\r\n");
        good(b"5\r\nhello\r\n0\r\n\r\n");
        good(b"A\r\n0123456789\r\n01\r\nx\r\n000\r\n\r\n");
        good(b"a\r\n0\r\n\r\n01234\r\n0\r\n\r\n");
        good(&[&b"0".repeat(60)[..], b"1a\r\n", &b"z".repeat(26), b"\r\n0\r\n\r\n"].concat());
    }

    #[test]
    fn extensions_are_ignored() {
        good(b"5;a=b;c=\"d\"\r\nhello\r\n0;z\r\n\r\n");
        good(b"5 \t;\ta = \"\xff\"\r\nhello\r\n0;\r\n\r\n");
        good(&[b"0;", &b"e".repeat(MAX_EXTENSIONS - 1)[..], b"\r\n\r\n"].concat());
    }

    #[test]
    fn trailers_are_ignored() {
        good(b"5\r\nhello\r\n0\r\nX-T: v\r\nX-U:w\xff\t\r\nX-V:\r\n\r\n");
        good(&[b"0\r\nX:", &b"v".repeat(MAX_TRAILERS - 4)[..], b"\r\n\r\n"].concat());
    }

    #[test]
    fn a_size_is_hexadecimal_and_fits() {
        for size in
            ["xyz", "0x5", "-5", "+5", "0_5", " 5", "", "5 ", "5g", ";a", "5\x0b", "h", "5,5", "\u{665}"]
        {
            bad(&[size.as_bytes(), b"\r\nhello\r\n0\r\n\r\n"].concat());
        }
        bad(b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n");
        bad(b"10000000000000005\r\nhello\r\n0\r\n\r\n");
        bad(&b"0".repeat(MAX_SIZE_DIGITS + 1));
        check(Framing::Chunked, b"ffffffffffffffff\r\nhello", Ok(None));
        check(Framing::Chunked, b"000ffffffffffffffff\r\nhello", Ok(None));
    }

    #[test]
    fn a_chunk_ends_where_it_says() {
        bad(b"3\r\nhello\r\n0\r\n\r\n");
        bad(b"6\r\nhello\r\n0\r\n\r\n");
        bad(b"5\r\nhelloX0\r\n\r\n");
        bad(b"5\r\nhello\n0\r\n\r\n");
        bad(b"5\r\nhello\r0\r\n\r\n");
    }

    #[test]
    fn lines_end_with_crlf_alone() {
        bad(b"5\rhello\r\n0\r\n\r\n");
        bad(b"5\nhello\r\n0\r\n\r\n");
        bad(b"5;a\nhello\r\n0\r\n\r\n");
        bad(b"5;a\rb\r\nhello\r\n0\r\n\r\n");
        bad(b"5\r\r\nhello\r\n0\r\n\r\n");
        bad(b"0\r\n\n");
        bad(b"0\r\n\rX");
        bad(b"0\r\nX: v\n\r\n");
        bad(b"0\r\nX: v\rw\r\n\r\n");
    }

    #[test]
    fn extensions_are_bounded_and_plain() {
        bad(b"5;a\x00b\r\nhello\r\n0\r\n\r\n");
        bad(b"5;a\x7fb\r\nhello\r\n0\r\n\r\n");
        bad(b"5 a\r\nhello\r\n0\r\n\r\n");
        bad(&[b"0;", &b"e".repeat(MAX_EXTENSIONS)[..], b"\r\n\r\n"].concat());
        bad(&[b"0", &b" ".repeat(MAX_EXTENSIONS)[..], b";\r\n\r\n"].concat());
    }

    #[test]
    fn trailers_are_field_lines() {
        for line in
            ["X Y", "X", "X : v", "X\t: v", ": v", " X: v", "X(: v", "X: a\0b", "X: a\u{7f}b", "X\u{e9}: v"]
        {
            bad(&[b"5\r\nhello\r\n0\r\n", line.as_bytes(), b"\r\n\r\n"].concat());
        }
        bad(b"0\r\nX: v\r\n folded\r\n\r\n");
        bad(&[b"0\r\nX:", &b"v".repeat(MAX_TRAILERS - 3)[..], b"\r\n\r\n"].concat());
        bad(&[b"0\r\n", &b"X: y\r\n".repeat(MAX_TRAILERS / 6 + 1)[..], b"\r\n"].concat());
    }
}
