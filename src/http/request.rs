//! Parses the head of one request (RFC 9112 §2, §3, §5, §6, §9.3).
//!
//! It reads no sockets and decodes no paths. A head that is certain to be refused is refused at once, before
//! the rest of it was received. The connection then ends, because the start of the next request is unknown.
//!
//! ```text
//! *CRLF                                       removed before, see `empty_lines`
//! method SP target SP "HTTP/1." DIGIT CRLF
//! name ":" OWS value OWS CRLF                 any number
//! CRLF
//! ```
//!
//! 1. Read the request line.
//! 2. Split the field lines.
//! 3. Check Host, find the body's framing, and decide whether the connection may go on.

use memchr::memchr_iter;

use super::fields::{Field, Fields, Line};
use super::framing::Framing;
use super::host;
use super::method::Method;
use super::reject::Reject;
use super::request_line::{self, RequestLine};
use super::target::Target;
use super::version::HttpVersion;

/// The most bytes of a head, with all line ends.
pub const MAX_HEAD: usize = 32 * 1024;
/// The most field lines of a head.
pub const MAX_FIELDS: usize = 100;

/// The most empty lines before a request line. RFC 9112 §2.2 asks for at least one. More are an attack: they
/// cost the client nothing.
pub const MAX_EMPTY_LINES: usize = 32;

/// Field lines that memory is reserved for at first. The few requests with more lines are split twice.
const USUAL_FIELDS: usize = 16;

/// What the bytes received so far are.
#[derive(Debug)]
pub enum ParsedHead<'a> {
    /// A head, and its length in bytes.
    Complete(Request<'a>, usize),
    /// The start of a head.
    Partial,
    /// Bytes that can't become a valid head. The connection must end.
    Reject(Reject),
}

/// The head of one request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The request line without its end, as the client spelt it.
    pub line: &'a [u8],
    /// The target. Methods other than GET and HEAD may have a target without a path; it is then all in
    /// `path`.
    pub target: Target<'a>,
    /// The HTTP version.
    pub version: HttpVersion,
    /// The field lines.
    pub fields: Fields<'a>,
    /// How the body after the head ends.
    pub framing: Framing,
    /// True if the client allows the connection to go on after the response (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// True if the client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// True if it came over TLS, which the head does not say: the parser leaves it false.
    pub is_https: bool,
    /// True if it names a host whose certificate is another than that of the connection (RFC 9110 §15.5.20).
    pub is_misdirected: bool,
}

impl<'a> Request<'a> {
    /// The authority that it is for: that of its target, else the Host field (RFC 9112 §3.2.2).
    pub fn authority(&self) -> Option<&'a [u8]> {
        self.target.authority.or_else(|| self.fields.only(Field::Host))
    }
}

impl<'a> ParsedHead<'a> {
    /// Parses the head at the start of `input`: all bytes received since the last request, without
    /// [`empty_lines`] at the start.
    ///
    /// Nothing is kept between calls. One call reads each byte a constant number of times.
    pub fn parse(input: &'a [u8]) -> ParsedHead<'a> {
        // A head that does not end within the window is too large.
        let window = &input[..input.len().min(MAX_HEAD)];
        match read(window) {
            Ok(Some((request, length))) => ParsedHead::Complete(request, length),
            Ok(None) if window.len() == MAX_HEAD => ParsedHead::Reject(Reject::HeadTooLarge),
            Ok(None) => ParsedHead::Partial,
            Err(reject) => ParsedHead::Reject(reject),
        }
    }
}

/// The bytes of empty lines at the start of `input` (RFC 9112 §2.2). More than [`MAX_EMPTY_LINES`] lines are
/// [`Reject::TOO_MANY_EMPTY_LINES`], also over several reads.
pub fn empty_lines(input: &[u8]) -> usize {
    input.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2
}

/// The head at the start of `window` and its length, or `None` while it is incomplete.
fn read(window: &[u8]) -> Result<Option<(Request<'_>, usize)>, Reject> {
    // 1. Read the request line.
    let Some((line, fields_start)) = request_line::parse(window)? else { return Ok(None) };
    // 2. Split the field lines.
    let Some((fields, length)) = field_lines(&window[fields_start..])? else { return Ok(None) };
    let end = fields_start + length;
    // 3. Check Host, find the body's framing, and decide whether the connection may go on.
    check_host(&fields, line.version)?;
    let framing = Framing::of(&fields, line.version)?;
    let keep_alive = keep_alive(&fields, line.version);
    let expects_continue = framing != Framing::None && expects_continue(&fields, line.version);
    let RequestLine { line, method, target, version } = line;
    let request = Request {
        method,
        line,
        target,
        version,
        fields,
        framing,
        keep_alive,
        expects_continue,
        is_https: false,
        is_misdirected: false,
    };
    Ok(Some((request, end)))
}

/// The field lines, and their length with the empty line (RFC 9112 §5).
fn field_lines(bytes: &[u8]) -> Result<Option<(Fields<'_>, usize)>, Reject> {
    let split = match split_lines(bytes, USUAL_FIELDS) {
        Err(httparse::Error::TooManyHeaders) => split_lines(bytes, MAX_FIELDS),
        split => split,
    };
    let split = split.map_err(bad_line)?;
    let length = split.as_ref().map_or(bytes.len(), |&(_, length)| length);
    // httparse accepts an LF without a CR. It has refused each CR without an LF.
    if !memchr_iter(b'\n', &bytes[..length]).all(|lf| lf > 0 && bytes[lf - 1] == b'\r') {
        return Err(Reject::BadRequest("bare LF"));
    }
    // The lines are as large as the headers, and are collected into the same memory.
    Ok(split.map(|(headers, length)| (Fields::new(headers.into_iter().map(line_of).collect()), length)))
}

/// The lines and their length, or `None` while they are incomplete.
type Split<'a> = Option<(Vec<httparse::Header<'a>>, usize)>;

/// Splits into at most `room` lines. They are on the heap, because a coroutine's stack is small.
fn split_lines(bytes: &[u8], room: usize) -> Result<Split<'_>, httparse::Error> {
    let mut headers = vec![httparse::EMPTY_HEADER; room];
    match httparse::parse_headers(bytes, &mut headers)? {
        httparse::Status::Complete((length, lines)) => {
            let count = lines.len();
            headers.truncate(count);
            Ok(Some((headers, length)))
        }
        httparse::Status::Partial => Ok(None),
    }
}

fn line_of(header: httparse::Header<'_>) -> Line<'_> {
    Line { name: header.name.as_bytes(), value: header.value }
}

fn bad_line(error: httparse::Error) -> Reject {
    match error {
        httparse::Error::TooManyHeaders => Reject::HeadTooLarge,
        httparse::Error::HeaderName => Reject::BadRequest("bad field name"),
        httparse::Error::HeaderValue => Reject::BadRequest("bad field value"),
        _ => Reject::BadRequest("bad field line"),
    }
}

/// RFC 9112 §3.2: exactly one Host line. Only HTTP/1.0 may leave it out.
fn check_host(fields: &Fields<'_>, version: HttpVersion) -> Result<(), Reject> {
    match fields.only(Field::Host) {
        Some(value) if host::is_valid(value) => Ok(()),
        Some(_) => Err(Reject::BadRequest("bad Host")),
        None if fields.has(Field::Host) => Err(Reject::BadRequest("repeated Host")),
        None if version == HttpVersion::Http10 => Ok(()),
        None => Err(Reject::BadRequest("no Host")),
    }
}

/// RFC 9112 §9.3. `close` takes precedence over `keep-alive`.
fn keep_alive(fields: &Fields<'_>, version: HttpVersion) -> bool {
    let has =
        |option: &[u8]| fields.members(Field::Connection).any(|member| member.eq_ignore_ascii_case(option));
    !has(b"close") && (version == HttpVersion::Http11 || has(b"keep-alive"))
}

/// RFC 9110 §10.1.1: HTTP/1.0 has no 100, so the field is ignored there. Other expectations are ignored too.
fn expects_continue(fields: &Fields<'_>, version: HttpVersion) -> bool {
    let mut members = fields.members(Field::Expect);
    version == HttpVersion::Http11 && members.any(|member| member.eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::fields::is_token_byte;
    use crate::http::request_line::MAX_REQUEST_LINE;
    use crate::http::status::Status;

    const HOST: &str = "Host: example.com\r\n";

    #[track_caller]
    fn complete(input: &[u8]) -> Request<'_> {
        match ParsedHead::parse(input) {
            ParsedHead::Complete(request, length) => {
                assert!(length <= input.len());
                request
            }
            other => panic!("{other:?} for {}", input.escape_ascii()),
        }
    }

    #[track_caller]
    fn reject(input: &[u8]) -> Reject {
        match ParsedHead::parse(input) {
            ParsedHead::Reject(reject) => reject,
            other => panic!("{other:?} for {}", input.escape_ascii()),
        }
    }

    #[track_caller]
    fn bad(input: &[u8]) {
        let reject = reject(input);
        assert!(matches!(reject, Reject::BadRequest(_)), "{reject:?} for {}", input.escape_ascii());
    }

    #[track_caller]
    fn partial(input: &[u8]) {
        let head = ParsedHead::parse(input);
        assert!(matches!(head, ParsedHead::Partial), "{head:?} for {}", input.escape_ascii());
    }

    /// A request with a Host and these field lines, each with its end.
    fn with_fields(version: &str, lines: impl AsRef<[u8]>) -> Vec<u8> {
        let start = format!("GET / {version}\r\n{HOST}");
        [start.as_bytes(), lines.as_ref(), b"\r\n"].concat()
    }

    fn http11(lines: impl AsRef<[u8]>) -> Vec<u8> {
        with_fields("HTTP/1.1", lines)
    }

    fn http10(lines: impl AsRef<[u8]>) -> Vec<u8> {
        with_fields("HTTP/1.0", lines)
    }

    /// A complete request with this request line.
    fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
        [line.as_ref(), b"\r\n", HOST.as_bytes(), b"\r\n"].concat()
    }

    /// The request line alone decides, before any field line is there.
    #[track_caller]
    fn bad_line(line: impl AsRef<[u8]>) {
        bad(&with_line(&line));
        bad(&[line.as_ref(), b"\r\n"].concat());
    }

    #[track_caller]
    fn bad_lines(lines: &[&str]) {
        lines.iter().for_each(bad_line);
    }

    #[track_caller]
    fn target_is(line: &str, path: &str, query: Option<&str>) {
        let input = with_line(line);
        let request = complete(&input);
        assert_eq!(request.line, line.as_bytes());
        assert_eq!(request.target.path, path.as_bytes(), "{line}");
        assert_eq!(request.target.query, query.map(str::as_bytes), "{line}");
    }

    #[test]
    fn a_request_is_taken_apart() {
        let fields = "hOST: example.com:80\r\nRange:\tbytes=0-4 \t\r\n";
        let input = format!("GET /a/b.txt?q=1?2 HTTP/1.1\r\n{fields}\r\nGET /next");
        let ParsedHead::Complete(request, length) = ParsedHead::parse(input.as_bytes()) else {
            panic!("not complete")
        };
        assert_eq!(&input[length..], "GET /next");
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.line, b"GET /a/b.txt?q=1?2 HTTP/1.1");
        assert_eq!(request.target.path, b"/a/b.txt");
        assert_eq!(request.target.query, Some(&b"q=1?2"[..]));
        assert_eq!(request.version, HttpVersion::Http11);
        assert_eq!(request.fields.only(Field::Host), Some(&b"example.com:80"[..]));
        assert_eq!(request.fields.only(Field::Range), Some(&b"bytes=0-4"[..]));
        assert_eq!(request.framing, Framing::None);
        assert!(request.keep_alive);
        assert!(!request.expects_continue);
    }

    #[test]
    fn methods_are_case_sensitive_tokens() {
        for (method, expected) in [
            ("GET", Method::Get),
            ("HEAD", Method::Head),
            ("get", Method::Other),
            ("Get", Method::Other),
            ("GETS", Method::Other),
            ("POST", Method::Other),
            ("FROB", Method::Other),
            ("!#$%&'*+-.^_`|~09", Method::Other),
        ] {
            assert_eq!(complete(&with_line(format!("{method} / HTTP/1.1"))).method, expected, "{method}");
        }
        bad_lines(&["G\x01T / HTTP/1.1", "G\0T / HTTP/1.1", "G(T / HTTP/1.1", "G\u{e9}T / HTTP/1.1"]);
        bad_lines(&[" GET / HTTP/1.1", " / HTTP/1.1", "HTTP/1.1 200 OK"]);
    }

    #[test]
    fn the_parts_of_a_request_line_stand_one_space_apart() {
        bad_lines(&["GET  / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ", "GET\t/\tHTTP/1.1"]);
        bad_lines(&["GET /\tHTTP/1.1", "GET HTTP/1.1", "GET", "GET ", "GET /", "GET / ", "GET / HTTP/1.1 x"]);
        bad_lines(&["GET /sp ace.txt HTTP/1.1", "EHLO localhost"]);
    }

    #[test]
    fn versions() {
        let refused =
            |versions: &[&str]| versions.iter().for_each(|version| bad_line(format!("GET / {version}")));
        for (version, expected) in [
            ("1.0", HttpVersion::Http10),
            ("1.1", HttpVersion::Http11),
            ("1.2", HttpVersion::Http11),
            ("1.9", HttpVersion::Http11),
        ] {
            assert_eq!(complete(&with_line(format!("GET / HTTP/{version}"))).version, expected, "{version}");
        }
        for version in ["2.0", "3.0", "0.9", "0.0", "9.9"] {
            for line in [format!("GET / HTTP/{version}"), format!("PRI * HTTP/{version}")] {
                assert_eq!(reject(&with_line(&line)), Reject::VersionNotSupported, "{line}");
                assert_eq!(reject(format!("{line}\r\n").as_bytes()), Reject::VersionNotSupported, "{line}");
            }
        }
        refused(&["HTTP/1", "HTTP/1.", "HTTP/x.y", "HTTP/1.x", "HTP/1.1", "http/1.1", "HTTP/1.10"]);
        refused(&["HTTP/11.1", "HTTP/-1.1", "HTTP/1,1", "HTTP 1.1", "HTTP/1.1\r", "HTTP/1.1\0", ""]);
        refused(&["HTTPS/1.1", "HTTP/ 1.1", "HTTP/2", "\u{ff11}.1"]);
    }

    #[test]
    fn a_path_and_its_query_part_at_the_first_mark() {
        target_is("GET / HTTP/1.1", "/", None);
        target_is("GET /? HTTP/1.1", "/", Some(""));
        target_is("GET /a?b?c HTTP/1.0", "/a", Some("b?c"));
        target_is("HEAD //a/../b%20;x=1 HTTP/1.1", "//a/../b%20;x=1", None);
        target_is("GET /\"<>\\^`{|}[] HTTP/1.1", "/\"<>\\^`{|}[]", None);
        target_is("GET /\u{fc} HTTP/1.1", "/\u{fc}", None);
        target_is("GET /http://h/x HTTP/1.1", "/http://h/x", None);
        complete(&with_line(b"GET /\x80\xff HTTP/1.1"));
    }

    #[test]
    fn an_absolute_target_loses_its_host() {
        target_is("GET http://example.com/p/a.txt HTTP/1.1", "/p/a.txt", None);
        target_is("GET HTTP://127.0.0.1:8080/a?b HTTP/1.1", "/a", Some("b"));
        target_is("GET hTTpS://[::1]:80/a HTTP/1.0", "/a", None);
        target_is("GET http://example.com HTTP/1.1", "/", None);
        target_is("GET http://example.com?q=1/2 HTTP/1.1", "/", Some("q=1/2"));
        target_is("GET http://example.com:?q HTTP/1.1", "/", Some("q"));
        target_is("POST http://example.com/a?b HTTP/1.1", "/a", Some("b"));
    }

    #[test]
    fn get_and_head_need_a_path() {
        let refused = |targets: &[&str]| {
            for target in targets {
                bad_line(format!("GET {target} HTTP/1.1"));
                bad_line(format!("HEAD {target} HTTP/1.1"));
            }
        };
        refused(&["*", "p/a.txt", "example.com:80", "?q", "http:", "http:/", "http:///a", "http://"]);
        refused(&["http://?q", "http:/a/b", "http://user@example.com/", "http://a:80x/", "http://:80/"]);
        refused(&["http://[::1/", "http://a,b/", "ftp://a/b", "httpx://a/", "://a/", ":", "http//a/"]);
        refused(&["http://a\\b/", "%2Fa"]);
    }

    #[test]
    fn other_methods_may_have_any_target() {
        target_is("OPTIONS * HTTP/1.1", "*", None);
        target_is("CONNECT example.com:443 HTTP/1.1", "example.com:443", None);
        target_is("POST /a?b HTTP/1.1", "/a", Some("b"));
        target_is("FROB http://u@h/?a HTTP/1.1", "http://u@h/?a", None);
        target_is("get p/a.txt HTTP/1.1", "p/a.txt", None);
    }

    #[test]
    fn a_target_has_no_control_characters_and_no_fragment() {
        for byte in (0..b' ').chain([b' ', b'#', 0x7F]) {
            for method in ["GET", "POST"] {
                bad(&with_line([method.as_bytes(), b" /a", &[byte], b"b HTTP/1.1"].concat()));
            }
        }
    }

    #[test]
    fn what_is_not_http_is_refused_at_once() {
        bad(b"\x16\x03\x01\x00\xc8");
        bad(b"\x16");
        bad(b" ");
        bad(b"\n");
        bad(b"\r\r");
        bad(b"\rG");
        bad(b"\r\n\n");
        bad(b"\r\n \r\n");
        bad(b"GET\r\n");
        bad(b"GET\t");
        bad(b"\0");
        bad(b"\x80\x01");
        bad(b"SSH-2.0-OpenSSH_9.6\r\n");
        bad(&[0x16; 9000]);
    }

    #[test]
    fn lines_end_with_crlf_alone() {
        bad(b"GET / HTTP/1.1\n");
        bad(b"GET / HTTP/1.1\nHost: x\n\n");
        bad(b"GET /\rHTTP/1.1\r\n");
        bad(b"GET / HTTP/1.1\rHost: x\r\n\r\n");
        bad(b"GET / HTTP/1.1\r\r\n");
        for lines in
            ["A: b\n", "A: b\r\nC: d\n", "A:\n", "A: b\rc\r\n", "A: b\r\r\n", "A\r: b\r\n", "\rA:\r\n"]
        {
            bad(&http11(lines));
        }
        bad(b"GET / HTTP/1.1\r\nHost: x\n");
        bad(b"GET / HTTP/1.1\r\nHost: x\r\n\n");
        bad(b"GET / HTTP/1.1\r\n\n");
        bad(b"GET / HTTP/1.1\r\nHost: x\r\n\rX");
        // What follows the head is not this head's business.
        complete(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\r\0");
    }

    #[test]
    fn bad_field_lines() {
        let refused = |lines: &[&str]| {
            for line in lines {
                bad(&http11(format!("{line}\r\n")));
                // Even when the head goes on.
                bad(format!("GET / HTTP/1.1\r\n{HOST}{line}\r\n").as_bytes());
            }
        };
        refused(&["X-A : b", "X-A\t: b", "Host : x", "X A: b", "JustAWord", ": b", "X(A): b", "X\u{e9}A: b"]);
        refused(&["X\x01A: b", "X\0A: b", "X-A: b\0c", "X-A: b\x01\x7fc", "X-A: b\x0bc", "X-A: b\r\n c"]);
        refused(&["X-A: b\r\n\tc", "X-A:\r\n b", " X: y", "Transfer-Encoding:\r\n chunked"]);
        refused(&["Content-Length : 5", "Transfer-Encoding : chunked"]);
        bad(b"GET / HTTP/1.1\r\n Host: x\r\n\r\n");
        bad(b"GET / HTTP/1.1\r\n X-A: b\r\nHost: x\r\n\r\n");
    }

    #[test]
    fn good_field_lines() {
        let accepted = |lines: &[&str]| {
            for line in lines {
                complete(&http11(format!("{line}\r\n")));
            }
        };
        complete(&http11(b"X-A: \x80\xe9\xff\r\n"));
        accepted(&["X-A: b\tc", "!#$%&'*+-.^_`|~09Az: b", "X_A: b", "X-A:", "X-A: ", "X-A:b:c", "X-A:\t\t"]);
        accepted(&["X: \"a, b\""]);
        complete(&http11(format!("X-F: {}\r\n", "v".repeat(4000))));
    }

    /// At every distance from the start of a value, because it is searched many bytes at a time.
    #[test]
    fn every_byte_of_a_value_and_of_a_name_counts() {
        let is_good = |line: Vec<u8>| matches!(ParsedHead::parse(&http11(line)), ParsedHead::Complete(..));
        for at in 0..70 {
            for byte in 0..=255_u8 {
                let mut value = [b'v'; 70];
                value[at] = byte;
                let good = byte == b'\t' || (byte >= b' ' && byte != 0x7F);
                assert_eq!(
                    is_good([b"X: ", &value[..], b"\r\n"].concat()),
                    good,
                    "{byte:#x} in a value at {at}"
                );
                let good = is_token_byte(byte) || byte == b':';
                assert_eq!(
                    is_good([b"Xx", &value[..], b": y\r\n"].concat()),
                    good,
                    "{byte:#x} in a name at {at}"
                );
            }
        }
    }

    #[test]
    fn one_host_is_needed_and_only_one() {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            for host in ["a", "", "[::1]:80", "example.com:", "foo_bar.example"] {
                complete(format!("GET / {version}\r\nHost: {host}\r\n\r\n").as_bytes());
            }
            for host in ["a b", "a/b", "u@h", "a, b", "a:80x", "[::1", "a%zz", "a\\b", "a?b", "a#b"] {
                bad(format!("GET / {version}\r\nHost: {host}\r\n\r\n").as_bytes());
            }
            bad(&with_fields(version, "Host: other.example\r\n"));
            bad(&with_fields(version, HOST));
        }
        complete(b"GET / HTTP/1.0\r\n\r\n");
        bad(b"GET / HTTP/1.1\r\n\r\n");
        bad(b"GET http://example.com/ HTTP/1.1\r\n\r\n");
        bad(b"GET / HTTP/1.2\r\nX: y\r\n\r\n");
        complete(b"GET http://example.com/ HTTP/1.1\r\nHost: other.example\r\n\r\n");
    }

    #[test]
    fn connections_go_on_as_the_version_and_the_options_say() {
        for (lines, in_11, in_10) in [
            ("", true, false),
            ("Connection: close\r\n", false, false),
            ("Connection: keep-alive\r\n", true, true),
            ("Connection: Keep-Alive\r\n", true, true),
            ("connection: CLOSE\r\n", false, false),
            ("Connection: ,, keep-alive ,,\r\n", true, true),
            ("Connection: keep-alive, close\r\n", false, false),
            ("Connection: close\r\nConnection: keep-alive\r\n", false, false),
            ("Connection: keep-alive\r\nConnection: TE,close\r\n", false, false),
            ("Connection: Upgrade\r\nUpgrade: websocket\r\n", true, false),
            ("Connection: closed, not-keep-alive\r\n", true, false),
            ("Connection:\r\n", true, false),
        ] {
            assert_eq!(complete(&http11(lines)).keep_alive, in_11, "{lines}");
            assert_eq!(complete(&http10(lines)).keep_alive, in_10, "{lines}");
        }
    }

    #[test]
    fn only_a_body_can_be_waited_with() {
        for (lines, expected) in [
            ("Expect: 100-continue\r\n", false),
            ("Expect: 100-continue\r\nContent-Length: 0\r\n", false),
            ("Expect: 100-continue\r\nContent-Length: 5\r\n", true),
            ("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
            ("Expect: x, 100-continue\r\nContent-Length: 5\r\n", true),
            ("Expect: frobnicate\r\nContent-Length: 5\r\n", false),
            ("Content-Length: 5\r\n", false),
        ] {
            assert_eq!(complete(&http11(lines)).expects_continue, expected, "{lines}");
        }
        assert!(!complete(&http10("Expect: 100-continue\r\nContent-Length: 5\r\n")).expects_continue);
    }

    #[test]
    fn a_request_line_is_bounded() {
        let line = |length: usize| format!("GET /{} HTTP/1.1", "a".repeat(length - 14));
        let longest = line(MAX_REQUEST_LINE);
        complete(&with_line(&longest));
        partial(longest.as_bytes());
        partial(format!("{longest}\r").as_bytes());
        let longer = line(MAX_REQUEST_LINE + 1);
        for input in [
            longer.clone(),
            format!("{longer}\r"),
            format!("{longer}\r\n"),
            format!("{longer}\n"),
            format!("{longest}\rx"),
        ] {
            assert_eq!(reject(input.as_bytes()), Reject::UriTooLong);
        }
        assert_eq!(reject(&with_line(&longer)), Reject::UriTooLong);
        assert_eq!(reject(&[b'A'; 1 << 20]), Reject::UriTooLong);
        assert_eq!(reject(&with_line(line(1 << 20))), Reject::UriTooLong);
    }

    #[test]
    fn a_head_is_bounded() {
        let sized = |size: usize| {
            let empty = http11("X: \r\n").len();
            http11(format!("X: {}\r\n", "v".repeat(size - empty)))
        };
        let largest = sized(MAX_HEAD);
        complete(&largest);
        complete(&[&largest[..], b"GET"].concat());
        partial(&largest[..MAX_HEAD - 1]);
        let larger = sized(MAX_HEAD + 1);
        partial(&larger[..MAX_HEAD - 1]);
        assert_eq!(reject(&larger[..MAX_HEAD]), Reject::HeadTooLarge);
        assert_eq!(reject(&larger), Reject::HeadTooLarge);
        assert_eq!(reject(&http11("X: y\r\n".repeat(20_000))), Reject::HeadTooLarge);
        assert_eq!(reject(&http11(format!("{}: y\r\n", "X".repeat(65536)))), Reject::HeadTooLarge);
    }

    #[test]
    fn empty_lines_in_front_end_with_crlf() {
        for (input, length) in [
            ("", 0),
            ("\r", 0),
            ("\r\n", 2),
            ("\r\n\r", 2),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", 4),
            ("\r\n\n\r\n", 2),
            ("\n\r\n", 0),
            ("GET\r\n\r\n", 0),
        ] {
            assert_eq!(empty_lines(input.as_bytes()), length, "{input:?}");
        }
    }

    #[test]
    fn a_head_begins_with_its_request_line() {
        bad(b"\r\n");
        bad(&[b"\r\n", &http11("")[..]].concat());
        partial(b"\r");
    }

    #[test]
    fn field_lines_are_bounded() {
        for count in [0, 1, 14, 15, 16, 17, 90, MAX_FIELDS - 1] {
            let input = http11("X: y\r\n".repeat(count));
            assert_eq!(complete(&input).fields.only(Field::Host), Some(&b"example.com"[..]), "{count}");
        }
        assert_eq!(reject(&http11("X: y\r\n".repeat(MAX_FIELDS))), Reject::HeadTooLarge);
        let endless = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(MAX_FIELDS));
        partial(endless.as_bytes());
        assert_eq!(reject(format!("{endless}X: y\r\n").as_bytes()), Reject::HeadTooLarge);
    }

    /// Requests of every shape, each of which is complete with its last byte and not before.
    fn samples() -> Vec<Vec<u8>> {
        let forty: String = (0..38).map(|i| format!("X-F{i}: value {i}\r\n")).collect();
        vec![
            http11(""),
            b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            b"GET /a?b HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
            b"GET http://example.com:80/p/a.txt?q HTTP/1.1\r\nHost:\r\n\r\n".to_vec(),
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
                .to_vec(),
            http10("Connection: keep-alive\r\nContent-Length: 5\r\n"),
            http11(format!("Range:  bytes=0-4  \r\n{forty}Connection: TE, close\r\n")),
            http11("If-None-Match: \"a\", W/\"b\"\r\nX-A:\r\nX-B: \t \r\nUser-Agent: a b\t\u{e9}\r\n"),
        ]
    }

    #[test]
    fn every_part_of_a_request_is_partial() {
        for sample in samples() {
            for end in 0..sample.len() {
                partial(&sample[..end]);
            }
            let ParsedHead::Complete(_, length) = ParsedHead::parse(&sample) else {
                panic!("{}", sample.escape_ascii())
            };
            assert_eq!(length, sample.len());
        }
    }

    /// Marsaglia's xorshift: the same inputs on every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % bound as u64) as usize
        }
    }

    /// A sample with a few bytes changed, taken out or put in, mostly by bytes that mean something.
    fn mutated(samples: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        const TELLING: &[u8] = b"\r\n \t:,;/?#@%[]\\\"\0\x7f\xff0159AZaz";
        let mut input = samples[random.below(samples.len())].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(input.len());
            let byte = if random.below(4) == 0 {
                random.below(256) as u8
            } else {
                TELLING[random.below(TELLING.len())]
            };
            match random.below(4) {
                0 => input[at] = byte,
                1 => input.insert(at, byte),
                2 => drop(input.remove(at)),
                _ => input.extend_from_within(at..),
            }
        }
        input
    }

    #[test]
    fn a_mutated_request_is_parsed_the_same_again() {
        let samples = samples();
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut completed = 0;
        for _ in 0..20_000 {
            let input = mutated(&samples, &mut random);
            if let ParsedHead::Complete(_, length) = ParsedHead::parse(&input) {
                assert!(length <= input.len());
                let again = ParsedHead::parse(&input[..length]);
                assert!(
                    matches!(again, ParsedHead::Complete(_, l) if l == length),
                    "{}",
                    input.escape_ascii()
                );
                completed += 1;
            }
        }
        assert!((2_000..18_000).contains(&completed), "{completed} of 20000 are no test of both ways");
    }

    /// The first verdict does not depend on how the bytes were cut into reads.
    #[test]
    fn more_bytes_never_change_a_verdict() {
        let samples = samples();
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        for _ in 0..200 {
            let input = mutated(&samples, &mut random);
            let whole = verdict(&input);
            for end in 0..input.len() {
                let early = verdict(&input[..end]);
                assert!(early.is_none() || early == whole, "{} at {end}", input.escape_ascii());
            }
        }
    }

    /// The length or the status, or `None` while there is no verdict.
    fn verdict(input: &[u8]) -> Option<Result<usize, Status>> {
        match ParsedHead::parse(input) {
            ParsedHead::Complete(_, length) => Some(Ok(length)),
            ParsedHead::Partial => None,
            ParsedHead::Reject(reject) => Some(Err(reject.status())),
        }
    }
}
