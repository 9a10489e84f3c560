//! One line of the access log, from the request's head to the end of the response.
//!
//! It reads no clock: times are passed in. [`access`](super::access) writes the lines.
//!
//! **Invariant:** no byte from a client can end a field or a line, in any format.
//!
//! **Invariant:** a line has at most [`MAX_LINE`] bytes. If the fields of the client are too long for that,
//! the longest of them are cut to one length. In the text formats a cut field ends in `...`; a line of JSON
//! has `"truncated":true`.

use std::time::Duration;

use super::access::Buffer;
use super::line_limit::MAX_LINE;
use super::request::{LoggedRequest, LoggedResponse, RequestOrigin};
use super::timestamp::Timestamp;
use super::{escape, json_line, text_line};
use crate::config::AccessFormat;

/// True if lines of this format have the duration of a request, which takes two readings of the clock.
pub fn has_duration(format: AccessFormat) -> bool {
    format == AccessFormat::Json
}

/// Most lines fit into this many bytes.
const USUAL_LINE: usize = 256;

/// Fields of this total length fit into any line, even if every byte needs the longest escape.
const ALWAYS_FITS: usize = (MAX_LINE - 1024) / escape::GROWTH;

/// The bytes reserved for a long line.
const LONG_LINE: usize = MAX_LINE + USUAL_LINE;

/// The part of a line that the request decides. The response completes it.
///
/// It is a copy, because the buffer of the request may be reused before the response is sent. The memory of a
/// short line is kept for the next request. A long line takes no more memory than it has bytes, and
/// [`PendingLine::finish`] frees it.
#[derive(Debug, Default)]
pub struct PendingLine {
    format: AccessFormat,
    /// The escaped parts of the line that the request decides, one after the other.
    text: Vec<u8>,
    /// The offset of the time in the text formats.
    peer_end: usize,
    /// The offset of status and bytes in the text formats.
    request_end: usize,
    since: Duration,
    /// True if the current request gets no line.
    muted: bool,
}

impl PendingLine {
    /// Copies what the log keeps of a request. It replaces what was copied before.
    pub fn capture(&mut self, format: AccessFormat, origin: &RequestOrigin, asked: &LoggedRequest<'_>) {
        self.format = format;
        self.since = asked.since;
        self.muted = false;
        self.text.clear();
        let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
        let sent = asked.line.len() + length(asked.user) + length(asked.referer) + length(asked.user_agent);
        // Reserve once. To grow step by step takes longer than all the rest, and fragments the heap for a
        // long line.
        let long = (USUAL_LINE + escape::GROWTH * sent).min(LONG_LINE);
        let room = if sent <= USUAL_LINE / 2 { USUAL_LINE } else { long };
        self.text.reserve(room);
        let fits = sent <= ALWAYS_FITS;
        if format != AccessFormat::Json {
            self.write_text(format, origin, asked, fits);
        } else {
            json_line::write_origin(&mut self.text, origin, "request");
            json_line::write_user(&mut self.text, asked.user);
            json_line::write_tls(&mut self.text, asked.tls);
            if fits {
                json_line::write_request(&mut self.text, asked);
            } else {
                json_line::write_long_request(&mut self.text, asked);
            }
        }
        if self.text.capacity() > 2 * USUAL_LINE {
            // The line may be kept for as long as the client is slow.
            self.text.shrink_to_fit();
        }
    }

    /// Writes the parts of the text formats that the request decides.
    fn write_text(
        &mut self,
        format: AccessFormat,
        origin: &RequestOrigin,
        asked: &LoggedRequest<'_>,
        fits: bool,
    ) {
        text_line::write_or_dash(&mut self.text, origin.peer.as_bytes());
        self.text.extend_from_slice(b" - ");
        text_line::write_user(&mut self.text, asked.user);
        self.peer_end = self.text.len();
        let has_client = format == AccessFormat::Combined;
        if !fits {
            self.request_end = text_line::write_long_request(&mut self.text, asked, has_client);
            return;
        }
        self.text.extend_from_slice(b" \"");
        text_line::write_or_dash(&mut self.text, asked.line);
        self.text.extend_from_slice(b"\" ");
        self.request_end = self.text.len();
        if has_client {
            text_line::write_client(&mut self.text, asked.referer, asked.user_agent);
        }
        self.text.push(b'\n');
    }

    /// True if no request, not even a muted one, waits for its response.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.muted
    }

    /// Drops the line of the current request.
    pub fn mute(&mut self) {
        self.clear();
        self.muted = true;
    }

    /// True, once, if the current request is muted.
    pub fn take_muted(&mut self) -> bool {
        std::mem::take(&mut self.muted)
    }

    /// Clears the line, and frees the memory of a long one.
    fn clear(&mut self) {
        self.text.clear();
        if self.text.capacity() > 2 * USUAL_LINE {
            self.text = Vec::new();
        }
    }

    /// Completes the line with the response and adds it to `buffer`. A request is logged once: a call without
    /// a capture before it, or a second call, does nothing.
    pub fn finish(&mut self, buffer: &mut Buffer, stamp: &Timestamp, response: &LoggedResponse) {
        if self.text.is_empty() {
            return;
        }
        let (mut s, mut b) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (status, bytes) = (s.format(response.status).as_bytes(), b.format(response.bytes).as_bytes());
        if self.format == AccessFormat::Json {
            let took = response.until.saturating_sub(self.since);
            let mut seconds = itoa::Buffer::new();
            debug_assert!(response.end.is_none_or(|end| end.len() <= 32), "the longest end has 32 bytes");
            let (comma, end, quote) = match response.end {
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
                &json_line::fraction(took),
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
        self.clear();
    }
}

/// Adds the line of a connection that ended after its last request. Only JSON has such a line.
pub fn push_end(buffer: &mut Buffer, stamp: &Timestamp, origin: &RequestOrigin, end: &'static str) {
    let mut line = Vec::with_capacity(160);
    line.extend_from_slice(b"{\"time\":\"");
    line.extend_from_slice(&stamp.rfc3339);
    json_line::write_origin(&mut line, origin, "requests");
    line.extend_from_slice(b",\"end\":\"");
    line.extend_from_slice(end.as_bytes());
    line.extend_from_slice(b"\"}\n");
    buffer.push(&line);
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::access::AccessLogOutput;
    use super::super::peer::Peer;
    use super::*;
    use crate::config;
    use crate::sys::socket::PeerAddress;

    fn now() -> Timestamp {
        Timestamp::render(UNIX_EPOCH + Duration::from_secs(1_795_255_623))
    }

    fn origin(request: u64) -> RequestOrigin {
        RequestOrigin {
            worker: 3,
            connection: 7,
            request,
            peer: Peer::new(PeerAddress::Ip("192.0.2.7".parse().unwrap())),
        }
    }

    /// What `write` hands to a buffer.
    fn written(name: &str, write: impl FnOnce(&mut Buffer)) -> String {
        let path = std::env::temp_dir().join(format!("mayhttpd-line-{name}-{}", std::process::id()));
        let log = AccessLogOutput::open(&config::AccessLogTarget::File(path.clone())).unwrap().unwrap();
        write(&mut Buffer::new(log));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    fn asked<'a>(
        line: &'a [u8],
        referer: Option<&'a [u8]>,
        user_agent: Option<&'a [u8]>,
    ) -> LoggedRequest<'a> {
        let since = Duration::from_millis(500);
        LoggedRequest { user: None, line, referer, user_agent, tls: None, since }
    }

    fn response(status: u16, bytes: u64, end: Option<&'static str>) -> LoggedResponse {
        LoggedResponse { status, bytes, until: Duration::from_nanos(2_500_213_999), end }
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
            let mut pending = PendingLine::default();
            for (line, status, bytes, referer, user_agent, end) in cases {
                pending.capture(AccessFormat::Combined, &origin(1), &asked(line, referer, user_agent));
                pending.finish(buffer, &now(), &response(status, bytes, None));
                pending.finish(buffer, &now(), &response(status, bytes, None));
                expected.push_str(&format!("192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] {end}\n"));
            }
        });
        assert_eq!(text, expected);
    }

    #[test]
    fn a_long_line_takes_no_more_memory_than_it_has_bytes_and_none_when_it_is_written() {
        let long = [0xFF; 900];
        for format in [AccessFormat::Common, AccessFormat::Combined, AccessFormat::Json] {
            let mut pending = PendingLine::default();
            pending.capture(format, &origin(1), &asked(&long, Some(&long), Some(&long)));
            assert!(pending.text.capacity() < pending.text.len() + 64, "{}", pending.text.capacity());
            let text = written("long", |buffer| pending.finish(buffer, &now(), &response(200, 1, None)));
            assert_eq!((text.matches('\n').count(), pending.text.capacity()), (1, 0));
            pending.capture(format, &origin(1), &asked(b"GET / HTTP/1.1", None, None));
            pending.mute();
            assert!(pending.text.capacity() >= USUAL_LINE, "a usual one is kept for the next request");
        }
    }

    /// What a client may send: letters, quotes, controls, bytes that are no UTF-8, and characters of several
    /// bytes.
    fn fields(length: usize) -> [Vec<u8>; 5] {
        let fill = |pattern: &[u8]| pattern.iter().copied().cycle().take(length).collect();
        [fill(b"a"), fill(b"\"\\"), fill(b"\x01"), fill(b"\xff"), fill("a\u{80}\u{65e5}".as_bytes())]
    }

    /// The lines of a request whose line, referer and user agent have so many bytes, and its quarters: with
    /// numbers as long as they get, and as usual.
    fn long_lines(format: AccessFormat, length: usize) -> Vec<String> {
        let worst = RequestOrigin {
            worker: usize::MAX,
            connection: u64::MAX,
            request: u64::MAX,
            peer: Peer::new(PeerAddress::Ip("1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap())),
        };
        // The longest name, of which no byte is letters.
        let user = b" \xff\"".repeat(85);
        let text = written(&format!("long-{format:?}-{length}"), |buffer| {
            let mut pending = PendingLine::default();
            for field in fields(length) {
                for line in [field.clone(), [b"GET ", &field[..], b" HTTP/1.1"].concat()] {
                    for (referer, user_agent) in [
                        (None, None),
                        (Some(&field[..]), None),
                        (Some(&b"http://a/"[..]), Some(&field[..])),
                        (Some(&field[..length / 4]), Some(&field[..])),
                    ] {
                        for (origin, end) in [(worst, Some("handshake_timeout")), (origin(1), None)] {
                            let user = end.map(|_| &user[..]);
                            let since = Duration::ZERO;
                            let asked =
                                LoggedRequest { user, line: &line, referer, user_agent, tls: None, since };
                            pending.capture(format, &origin, &asked);
                            let (bytes, until) = (u64::MAX, Duration::MAX);
                            pending.finish(
                                buffer,
                                &now(),
                                &LoggedResponse { status: 65535, bytes, until, end },
                            );
                        }
                    }
                }
            }
        });
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_line_is_cut_to_what_a_pipe_takes_as_a_whole_and_not_before() {
        for format in [AccessFormat::Common, AccessFormat::Combined, AccessFormat::Json] {
            let (mut whole, mut longest, mut shortest_cut) = (0, 0, usize::MAX);
            for length in
                [10, 100, 300, 500, 597, 598, 599, 700, 900, 1000, 1300, 2000, 3700, 3900, 5000, 32_768]
            {
                for line in long_lines(format, length) {
                    let cut = line.contains("...") || line.contains(",\"truncated\":true,");
                    let all = line.len() + 1;
                    assert!(all <= MAX_LINE, "{all} bytes for {length}: {line}");
                    if cut {
                        shortest_cut = shortest_cut.min(all);
                    } else {
                        whole += 1;
                        longest = longest.max(all);
                    }
                    assert!(line.contains("65535") && line.contains("18446744073709551615"), "{line}");
                }
            }
            // What is kept for numbers as long as they get, for an escape, and for the division among fields.
            assert!(shortest_cut > MAX_LINE - 150, "{format:?}: a line of {shortest_cut} is cut");
            assert!(whole > 100 && longest > MAX_LINE - 600, "{format:?}: {whole} whole, up to {longest}");
        }
    }

    #[test]
    fn the_longest_fields_are_cut_and_the_others_stay_whole() {
        let long = "x".repeat(20_000);
        let cut = |format, line: &str, referer: &str, user_agent: &str| {
            written("cut", |buffer| {
                let mut pending = PendingLine::default();
                let (referer, user_agent) = (Some(referer.as_bytes()), Some(user_agent.as_bytes()));
                pending.capture(format, &origin(1), &asked(line.as_bytes(), referer, user_agent));
                pending.finish(buffer, &now(), &response(200, 34, Some("finished")));
            })
        };
        let text = cut(AccessFormat::Combined, "GET /a HTTP/1.1", "http://a/", &long);
        assert!(text.contains("\"GET /a HTTP/1.1\" 200 34 \"http://a/\" \"xxx"), "{text}");
        assert!(text.ends_with("xxx...\"\n"), "{text}");
        let text = cut(AccessFormat::Combined, &format!("GET /{long} HTTP/1.1"), "http://a/", "curl/8");
        assert!(text.contains("xxx... HTTP/1.1\" 200 34 \"http://a/\" \"curl/8\"\n"), "{text}");
        let text = cut(AccessFormat::Common, &long, "http://a/", "curl/8");
        assert!(text.ends_with("xxx...\" 200 34\n"), "{text}");
        let text = cut(AccessFormat::Json, &format!("GET /{long} HTTP/1.1"), &long, "curl/8");
        let (before, after) = text.split_once("\",\"protocol\":\"HTTP/1.1\",\"referer\":\"").unwrap();
        let (referer, after) = after.split_once('"').unwrap();
        let target = before.split_once("\"target\":\"").unwrap().1;
        // They have the same share of the room.
        assert_eq!(target.len(), referer.len());
        assert_eq!(
            after,
            ",\"user_agent\":\"curl/8\",\"truncated\":true,\"status\":200,\"bytes\":34,\"duration\":2.000213,\
             \"end\":\"finished\"}\n"
        );
    }

    #[test]
    fn a_muted_request_gets_no_line_and_the_next_one_does() {
        let text = written("muted", |buffer| {
            let mut pending = PendingLine::default();
            pending.mute();
            assert!(!pending.is_empty());
            pending.finish(buffer, &now(), &response(400, 0, None));
            assert!(pending.take_muted() && !pending.take_muted() && pending.is_empty());
            pending.mute();
            pending.capture(AccessFormat::Common, &origin(1), &asked(b"GET / HTTP/1.1", None, None));
            assert!(!pending.take_muted());
            pending.finish(buffer, &now(), &response(200, 34, None));
        });
        assert_eq!(text, "192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] \"GET / HTTP/1.1\" 200 34\n");
    }

    #[test]
    fn common_is_combined_without_the_client() {
        let text = written("common", |buffer| {
            let mut pending = PendingLine::default();
            let asked = asked(b"GET /\" HTTP/1.1", Some(b"http://a/"), Some(b"curl"));
            pending.capture(AccessFormat::Common, &origin(1), &asked);
            pending.finish(buffer, &now(), &response(200, 34, Some("finished")));
        });
        assert_eq!(text, "192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] \"GET /\\x22 HTTP/1.1\" 200 34\n");
    }

    #[test]
    fn a_line_of_json_has_every_field() {
        let text = written("json", |buffer| {
            let mut pending = PendingLine::default();
            let mut log = |request, asked: LoggedRequest<'_>, response: LoggedResponse| {
                pending.capture(AccessFormat::Json, &origin(request), &asked);
                pending.finish(buffer, &now(), &response);
                pending.finish(buffer, &now(), &response);
            };
            log(1, asked(b"GET /a b?c HTTP/1.1", None, Some(b"curl/8")), response(200, 34, None));
            log(2, asked(b"\x16\x03\"\n", Some(b""), None), response(400, 0, Some("rejected")));
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
}
