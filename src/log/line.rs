//! One line of the log of requests: what it says, in which format, and how a client's bytes are escaped in it.
//!
//! It owns the formats. Where lines go is [`access`](super::access)'s business, and the times are given to it: it reads
//! no clock. The subtle rule: no byte that a client sent can end a field or a line, in any format.
//!
//! ```text
//! common    192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] "GET / HTTP/1.1" 200 34
//! combined  … "referer" "user agent"
//! json      {"time":"2026-11-21T10:07:03Z","worker":0,"connection":7,"request":1,"peer":"192.0.2.7","method":"GET",
//!            "target":"/","protocol":"HTTP/1.1","referer":null,"user_agent":"curl/8","status":200,"bytes":34,
//!            "duration":0.000213,"end":"finished"}
//!           {"time":"2026-11-21T10:07:09Z","worker":0,"connection":8,"requests":5,"peer":"192.0.2.7",
//!            "end":"peer_closed"}
//! ```
//!
//! In JSON the last line of a connection that asked anything has `end`. When the end is decided by the last request
//! (the reply said `Connection: close`, the request was refused, sending failed), it stands in that request's line;
//! when it comes later, it has a line of its own, which has `requests` and no `method`.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

use super::access::Buffer;
use super::escape;
use crate::config::AccessFormat;
use crate::sys::socket::PeerAddress;

/// The present second as the formats write it, rendered once for all requests in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// `[21/Nov/2026:10:07:03 +0000]`.
    clf: [u8; 28],
    /// `2026-11-21T10:07:03Z` (RFC 3339).
    rfc3339: [u8; 20],
}

impl Stamp {
    /// Renders `now` in UTC. A clock outside the years 1970 to 9999 is taken for the nearest second within.
    pub fn render(now: SystemTime) -> Self {
        let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let now = now.clamp(UNIX_EPOCH, last);
        // Wire form of the source: "Sat, 21 Nov 2026 10:07:03 GMT".
        let mut date = [0u8; 29];
        let mut clf = *b"[01/Jan/1970:00:00:00 +0000]";
        if write!(&mut date[..], "{}", HttpDate::from(now)).is_ok() {
            clf[1..3].copy_from_slice(&date[5..7]);
            clf[4..7].copy_from_slice(&date[8..11]);
            clf[8..12].copy_from_slice(&date[12..16]);
            clf[13..21].copy_from_slice(&date[17..25]);
        }
        let mut rfc3339 = *b"1970-01-01T00:00:00Z";
        // Within these years it has exactly this length.
        let _ = write!(&mut rfc3339[..], "{}", humantime::format_rfc3339_seconds(now));
        Self { clf, rfc3339 }
    }
}

/// A client's address as text, rendered once a connection and kept without an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    text: [u8; 39],
    length: u8,
}

impl Peer {
    /// Renders `address`.
    pub fn new(address: PeerAddress) -> Self {
        let mut text = [0; 39];
        // The longest address is eight groups of four digits, so that it always fits.
        let mut rest = &mut text[..];
        let fits = write!(rest, "{address}").is_ok();
        let left = rest.len();
        Self { text, length: if fits { (39 - left) as u8 } else { 0 } }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

/// Whose a line is: numbers that a reader joins the lines of one connection by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The worker's slot.
    pub worker: usize,
    /// The connection, counted from 1 in each worker process.
    pub connection: u64,
    /// The request on it, counted from 1.
    pub request: u64,
    /// Who asks.
    pub peer: Peer,
}

/// What a request says.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The request line without its end, which may be any bytes.
    pub line: &'a [u8],
    /// The Referer field's value.
    pub referer: Option<&'a [u8]>,
    /// The User-Agent field's value.
    pub user_agent: Option<&'a [u8]>,
    /// When its head was complete, on the monotonic clock. A format without a duration doesn't look at it.
    pub since: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The status of the reply.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// When the last of them was, on the clock of [`Asked::since`].
    pub until: Duration,
    /// Why the connection ends with this request, if it does.
    pub end: Option<&'static str>,
}

/// True when the lines of this format tell how long a request took, so that two readings of a clock are needed.
pub fn has_duration(format: AccessFormat) -> bool {
    format == AccessFormat::Json
}

/// Bytes that most lines fit into.
const USUAL_LINE: usize = 256;

/// A line whose beginning is known and whose outcome is not: the request's buffer may be reused before
/// the answer is sent. The memory is kept for the next request; drop the value to give it back.
#[derive(Debug, Default)]
pub struct Pending {
    format: AccessFormat,
    /// The parts of the line that the request decides, behind each other, escaped.
    text: Vec<u8>,
    /// Where the time goes in common and combined.
    peer_end: usize,
    /// Where the outcome goes in common and combined.
    request_end: usize,
    since: Duration,
}

impl Pending {
    /// Captures what a request says, in place of what was captured before.
    pub fn capture(&mut self, format: AccessFormat, origin: &Origin, asked: &Asked<'_>) {
        self.format = format;
        self.since = asked.since;
        self.text.clear();
        // Most lines are shorter, and to grow step by step would take longer than all the rest.
        self.text.reserve(USUAL_LINE);
        if format == AccessFormat::Json {
            return write_json_request(&mut self.text, origin, asked);
        }
        write_or_dash(&mut self.text, origin.peer.as_bytes());
        self.text.extend_from_slice(b" - - ");
        self.peer_end = self.text.len();
        self.text.extend_from_slice(b" \"");
        write_or_dash(&mut self.text, asked.line);
        self.text.extend_from_slice(b"\" ");
        self.request_end = self.text.len();
        if format == AccessFormat::Combined {
            write_client(&mut self.text, asked.referer, asked.user_agent);
        }
        self.text.push(b'\n');
    }

    /// True when no request waits for its outcome.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Forgets what was captured: nothing is written of this request.
    pub fn discard(&mut self) {
        self.text.clear();
    }

    /// Adds the outcome and hands the line to `buffer`. Without a capture before it does nothing, and a
    /// second call does nothing either: a request is logged once.
    pub fn finish(&mut self, buffer: &mut Buffer, stamp: &Stamp, outcome: &Outcome) {
        if self.text.is_empty() {
            return;
        }
        let (mut s, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, bytes) = (s.format(outcome.status).as_bytes(), b.format(outcome.bytes).as_bytes());
        if self.format == AccessFormat::Json {
            let took = outcome.until.saturating_sub(self.since);
            let mut seconds = itoa::Buffer::new();
            let (comma, end, quote) = match outcome.end {
                Some(end) => (&b",\"end\":\""[..], end, &b"\""[..]),
                None => (&b""[..], "", &b""[..]),
            };
            buffer.push_pieces(&[
                b"{\"time\":\"",
                &stamp.rfc3339,
                &self.text,
                b",\"status\":",
                status,
                b",\"bytes\":",
                bytes,
                b",\"duration\":",
                seconds.format(took.as_secs()).as_bytes(),
                &fraction(took),
                comma,
                end.as_bytes(),
                quote,
                b"}\n",
            ]);
        } else {
            let (peer, rest) = self.text.split_at(self.peer_end);
            let (request, client) = rest.split_at(self.request_end - self.peer_end);
            buffer.push_pieces(&[peer, &stamp.clf, request, status, b" ", bytes, client]);
        }
        self.text.clear();
    }
}

/// The line of a connection whose end came after its last request, in JSON; other formats have no such line.
pub fn push_end(buffer: &mut Buffer, stamp: &Stamp, origin: &Origin, end: &'static str) {
    let mut line = Vec::with_capacity(160);
    line.extend_from_slice(b"{\"time\":\"");
    line.extend_from_slice(&stamp.rfc3339);
    write_json_origin(&mut line, origin, "requests");
    line.extend_from_slice(b",\"end\":\"");
    line.extend_from_slice(end.as_bytes());
    line.extend_from_slice(b"\"}\n");
    buffer.push(&line);
}

/// Writes what follows the time, from the quote behind it to the last field of the client.
fn write_json_request(out: &mut Vec<u8>, origin: &Origin, asked: &Asked<'_>) {
    write_json_origin(out, origin, "request");
    let (method, target, protocol) = split(asked.line);
    for (name, text) in [("method", method), ("target", target), ("protocol", protocol)] {
        write_json_text(out, name, Some(text));
    }
    write_json_text(out, "referer", asked.referer);
    write_json_text(out, "user_agent", asked.user_agent);
}

fn write_json_origin(out: &mut Vec<u8>, origin: &Origin, request: &'static str) {
    out.push(b'"');
    let worker = origin.worker as u64;
    for (name, number) in [("worker", worker), ("connection", origin.connection), (request, origin.request)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
    write_json_text(out, "peer", Some(origin.peer.as_bytes()));
}

fn write_json_text(out: &mut Vec<u8>, name: &'static str, text: Option<&[u8]>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    let Some(text) = text else { return out.extend_from_slice(b"\":null") };
    out.extend_from_slice(b"\":\"");
    escape::json(out, text);
    out.push(b'"');
}

/// Method, target and protocol of a request line. One that has not these three parts is all target.
fn split(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let spaces = memchr::memchr(b' ', line).zip(memchr::memrchr(b' ', line));
    match spaces {
        Some((first, last)) if first < last && line[last + 1..].starts_with(b"HTTP/") => {
            (&line[..first], &line[first + 1..last], &line[last + 1..])
        }
        _ => (b"", line, b""),
    }
}

/// Microseconds as the fraction of a second: `.000213`.
fn fraction(time: Duration) -> [u8; 7] {
    let mut text = *b".000000";
    let mut rest = time.subsec_micros();
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}

fn write_client(out: &mut Vec<u8>, referer: Option<&[u8]>, user_agent: Option<&[u8]>) {
    out.extend_from_slice(b" \"");
    write_or_dash(out, referer.unwrap_or_default());
    out.extend_from_slice(b"\" \"");
    write_or_dash(out, user_agent.unwrap_or_default());
    out.push(b'"');
}

fn write_or_dash(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() { out.push(b'-') } else { escape::hex(out, text) }
}

#[cfg(test)]
mod tests {
    use super::super::access::AccessLog;
    use super::*;
    use crate::config;

    fn now() -> Stamp {
        Stamp::render(UNIX_EPOCH + Duration::from_secs(1_795_255_623))
    }

    fn origin(request: u64) -> Origin {
        Origin {
            worker: 3,
            connection: 7,
            request,
            peer: Peer::new(PeerAddress::Ip("192.0.2.7".parse().unwrap())),
        }
    }

    /// What `write` hands to a buffer.
    fn written(name: &str, write: impl FnOnce(&mut Buffer)) -> String {
        let path = std::env::temp_dir().join(format!("mayhttpd-line-{name}-{}", std::process::id()));
        let log = AccessLog::open(&config::AccessLog::File(path.clone())).unwrap().unwrap();
        write(&mut Buffer::new(log));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    fn asked<'a>(line: &'a [u8], referer: Option<&'a [u8]>, user_agent: Option<&'a [u8]>) -> Asked<'a> {
        Asked { line, referer, user_agent, since: Duration::from_millis(500) }
    }

    fn outcome(status: u16, bytes: u64, end: Option<&'static str>) -> Outcome {
        Outcome { status, bytes, until: Duration::from_nanos(2_500_213_999), end }
    }

    #[test]
    fn no_byte_can_forge_a_line() {
        type Case<'a> = (&'a [u8], u16, u64, Option<&'a [u8]>, Option<&'a [u8]>, &'a str);
        let cases: [Case<'_>; 5] = [
            (
                b"GET / HTTP/1.1",
                200,
                34,
                Some(b"http://a/"),
                Some(b"curl/8 (x)"),
                r#""GET / HTTP/1.1" 200 34 "http://a/" "curl/8 (x)""#,
            ),
            (b"", 400, 0, None, Some(b""), r#""-" 400 0 "-" "-""#),
            (b"G\"\\\x00\x1f\x7f\x80\xff\r\nx", 400, 1, None, None, {
                r#""G\x22\x5C\x00\x1F\x7F\x80\xFF\x0D\x0Ax" 400 1 "-" "-""#
            }),
            (b"GET /caf\xc3\xa9 HTTP/1.1", 404, u64::MAX, Some(b"a\nb"), Some(b"\x1b[31m"), {
                r#""GET /caf\xC3\xA9 HTTP/1.1" 404 18446744073709551615 "a\x0Ab" "\x1B[31m""#
            }),
            (b"-", 304, 0, Some(b"\""), None, r#""-" 304 0 "\x22" "-""#),
        ];
        let mut expected = String::new();
        let text = written("forms", |buffer| {
            let mut pending = Pending::default();
            for (line, status, bytes, referer, user_agent, end) in cases {
                pending.capture(AccessFormat::Combined, &origin(1), &asked(line, referer, user_agent));
                pending.finish(buffer, &now(), &outcome(status, bytes, None));
                pending.finish(buffer, &now(), &outcome(status, bytes, None));
                expected.push_str(&format!("192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] {end}\n"));
            }
        });
        assert_eq!(text, expected);
    }

    #[test]
    fn times_outside_the_calendar_do_not_panic() {
        for (seconds, clf, rfc3339) in [
            (0, "[01/Jan/1970:00:00:00 +0000]", "1970-01-01T00:00:00Z"),
            (951_782_400, "[29/Feb/2000:00:00:00 +0000]", "2000-02-29T00:00:00Z"),
            (253_402_300_799, "[31/Dec/9999:23:59:59 +0000]", "9999-12-31T23:59:59Z"),
            (999_999_999_999, "[31/Dec/9999:23:59:59 +0000]", "9999-12-31T23:59:59Z"),
        ] {
            let stamp = Stamp::render(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(std::str::from_utf8(&stamp.clf), Ok(clf));
            assert_eq!(std::str::from_utf8(&stamp.rfc3339), Ok(rfc3339));
        }
        let before = Stamp::render(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(&before.clf, b"[01/Jan/1970:00:00:00 +0000]");
    }

    #[test]
    fn a_peer_is_rendered_whole() {
        for (address, text) in [
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("::1", "::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"),
        ] {
            let peer = Peer::new(PeerAddress::Ip(address.parse().unwrap()));
            assert_eq!(std::str::from_utf8(peer.as_bytes()), Ok(text));
        }
        assert_eq!(Peer::new(PeerAddress::Unix).as_bytes(), b"unix:");
    }

    #[test]
    fn common_is_combined_without_the_client() {
        let text = written("common", |buffer| {
            let mut pending = Pending::default();
            let asked = asked(b"GET /\" HTTP/1.1", Some(b"http://a/"), Some(b"curl"));
            pending.capture(AccessFormat::Common, &origin(1), &asked);
            pending.finish(buffer, &now(), &outcome(200, 34, Some("finished")));
        });
        assert_eq!(text, "192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] \"GET /\\x22 HTTP/1.1\" 200 34\n");
    }

    #[test]
    fn a_line_of_json_has_every_field() {
        let text = written("json", |buffer| {
            let mut pending = Pending::default();
            let mut log = |request, asked: Asked<'_>, outcome: Outcome| {
                pending.capture(AccessFormat::Json, &origin(request), &asked);
                pending.finish(buffer, &now(), &outcome);
                pending.finish(buffer, &now(), &outcome);
            };
            log(1, asked(b"GET /a b?c HTTP/1.1", None, Some(b"curl/8")), outcome(200, 34, None));
            log(2, asked(b"\x16\x03\"\n", Some(b""), None), outcome(400, 0, Some("rejected")));
            push_end(buffer, &now(), &origin(2), "peer_closed");
        });
        let start = r#"{"time":"2026-11-21T10:07:03Z","worker":3,"connection":7,"#;
        let lines: Vec<&str> = text.lines().map(|line| line.strip_prefix(start).unwrap()).collect();
        assert_eq!(
            lines,
            [
                concat!(
                    r#""request":1,"peer":"192.0.2.7","method":"GET","target":"/a b?c","protocol":"HTTP/1.1","#,
                    r#""referer":null,"user_agent":"curl/8","status":200,"bytes":34,"duration":2.000213}"#
                ),
                concat!(
                    r#""request":2,"peer":"192.0.2.7","method":"","target":"\u0016\u0003\"\n","protocol":"","#,
                    r#""referer":"","user_agent":null,"status":400,"bytes":0,"duration":2.000213,"#,
                    r#""end":"rejected"}"#
                ),
                r#""requests":2,"peer":"192.0.2.7","end":"peer_closed"}"#,
            ]
        );
    }

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
