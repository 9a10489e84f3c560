//! From the bytes at the front of a connection to one request's head (RFC 9112 §2, §3, §5, §6, §9.3).
//!
//! Reads no sockets, decodes no paths and answers nothing. The subtle rule: what is certain to be refused is refused at
//! once, with or without the rest of the head, and what is refused is never told from where a next request might begin.
//!
//! ```text
//! *CRLF
//! method SP target SP "HTTP/1." DIGIT CRLF
//! name ":" OWS value OWS CRLF                 any number
//! CRLF
//! ```
//!
//! 1. Pass over the empty lines.
//! 2. Read the request line.
//! 3. Split the field lines.
//! 4. Check Host, find the body's framing, and see whether the connection may go on.

use memchr::{memchr, memchr_iter};

use crate::http::fields::{Field, Fields, Line, is_token_byte};
use crate::http::framing::Framing;
use crate::http::host;
use crate::http::status::Status;
use crate::http::target::Target;

/// The request line may have this many bytes without its end.
pub const MAX_REQUEST_LINE: usize = 8 * 1024;
/// A head may have this many bytes, with all its line ends and the empty lines in front.
pub const MAX_HEAD: usize = 32 * 1024;
/// A head may have this many field lines.
pub const MAX_FIELDS: usize = 100;

/// Room for this many field lines is made at first: few requests have more, and those are split twice.
const USUAL_FIELDS: usize = 16;

/// What the bytes received so far are.
#[derive(Debug)]
pub enum Head<'a> {
    /// A head, and how many bytes it has with the empty lines in front of it.
    Complete(Request<'a>, usize),
    /// Not yet a head.
    Partial,
    /// Nothing that can become a head that is served. The connection must end.
    Reject(Reject),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET`, RFC 9110 §9.3.1.
    Get,
    /// `HEAD`, RFC 9110 §9.3.2.
    Head,
    /// Any other, `get` among them: methods are case-sensitive.
    Other,
}

/// The HTTP version of the client (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and any higher minor, which a client must be able to answer for as 1.1.
    Http11,
}

/// The head of one request.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The request line without its end, as the client spelt it.
    pub line: &'a [u8],
    /// Of what. For a method other than GET and HEAD, which may have a target without a path, possibly all of it.
    pub target: Target<'a>,
    /// In which version.
    pub version: Version,
    /// The field lines.
    pub fields: Fields<'a>,
    /// What follows the head.
    pub framing: Framing,
    /// Whether the client lets the connection go on after the reply (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// It is not HTTP, or could be understood in two ways.
    BadRequest(&'static str),
    /// The request line is longer than [`MAX_REQUEST_LINE`].
    UriTooLong,
    /// The head is larger than [`MAX_HEAD`] or has more than [`MAX_FIELDS`].
    HeadTooLarge,
    /// It is not HTTP/1.
    VersionNotSupported,
    /// The body is coded in a way that this server can't find the end of.
    NotImplemented(&'static str),
}

impl<'a> Head<'a> {
    /// Reads the head at the front of `input`, which is all that was received since the last request.
    ///
    /// Nothing is kept between calls, and one call reads each byte a constant number of times.
    pub fn parse(input: &'a [u8]) -> Head<'a> {
        // What does not end within the window is too large, whatever comes after it.
        let window = &input[..input.len().min(MAX_HEAD)];
        match read(window) {
            Ok(Some((request, length))) => Head::Complete(request, length),
            Ok(None) if window.len() == MAX_HEAD => Head::Reject(Reject::HeadTooLarge),
            Ok(None) => Head::Partial,
            Err(reject) => Head::Reject(reject),
        }
    }
}

impl Reject {
    /// The status that tells the client.
    pub fn status(self) -> Status {
        match self {
            Reject::BadRequest(_) => Status::BAD_REQUEST,
            Reject::UriTooLong => Status::URI_TOO_LONG,
            Reject::HeadTooLarge => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Reject::VersionNotSupported => Status::HTTP_VERSION_NOT_SUPPORTED,
            Reject::NotImplemented(_) => Status::NOT_IMPLEMENTED,
        }
    }

    /// What was wrong, for the log.
    pub fn reason(self) -> &'static str {
        match self {
            Reject::BadRequest(reason) | Reject::NotImplemented(reason) => reason,
            Reject::UriTooLong => "request line too long",
            Reject::HeadTooLarge => "head too large",
            Reject::VersionNotSupported => "not HTTP/1",
        }
    }
}

/// The parts of a request line.
struct RequestLine<'a> {
    line: &'a [u8],
    method: Method,
    target: Target<'a>,
    version: Version,
}

/// The head at the front of `window` and its length, or `None` while it is not complete.
fn read(window: &[u8]) -> Result<Option<(Request<'_>, usize)>, Reject> {
    // 1. Pass over the empty lines.
    let start = empty_lines(window);
    // 2. Read the request line.
    let Some((line, length)) = request_line(&window[start..])? else { return Ok(None) };
    let fields_start = start + length;
    // 3. Split the field lines.
    let Some((fields, length)) = field_lines(&window[fields_start..])? else { return Ok(None) };
    let end = fields_start + length;
    // 4. Check Host, find the body's framing, and see whether the connection may go on.
    check_host(&fields, line.version)?;
    let framing = Framing::of(&fields, line.version)?;
    let keep_alive = keep_alive(&fields, line.version);
    let expects_continue = framing != Framing::None && expects_continue(&fields, line.version);
    let RequestLine { line, method, target, version } = line;
    Ok(Some((Request { method, line, target, version, fields, framing, keep_alive, expects_continue }, end)))
}

/// How many bytes of empty lines are in front (RFC 9112 §2.2).
fn empty_lines(window: &[u8]) -> usize {
    window.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2
}

/// The request line at the front and its length with the line end.
fn request_line(bytes: &[u8]) -> Result<Option<(RequestLine<'_>, usize)>, Reject> {
    if matches!(bytes, b"" | b"\r") {
        return Ok(None);
    }
    // Before anything else, so that what never was HTTP is not waited for: it may never send a line end.
    let method_end = bytes.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(bytes.len());
    if method_end == 0 || bytes.get(method_end).is_some_and(|&byte| byte != b' ') {
        return Err(Reject::BadRequest("bad method"));
    }
    let end = memchr(b'\n', bytes);
    let so_far = &bytes[..end.unwrap_or(bytes.len())];
    let line = so_far.strip_suffix(b"\r");
    if line.unwrap_or(so_far).len() > MAX_REQUEST_LINE {
        return Err(Reject::UriTooLong);
    }
    let Some(end) = end else { return Ok(None) };
    let line = line.ok_or(Reject::BadRequest("bare LF"))?;
    Ok(Some((parts(line, method_end)?, end + 1)))
}

/// Splits a line whose method is known to end at a space, at `method_end` (RFC 9112 §3).
fn parts(line: &[u8], method_end: usize) -> Result<RequestLine<'_>, Reject> {
    let method = match &line[..method_end] {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        _ => Method::Other,
    };
    let rest = &line[method_end + 1..];
    // A line without a second space is one of HTTP/0.9.
    let target_end = memchr(b' ', rest).ok_or(Reject::BadRequest("no version"))?;
    let raw = &rest[..target_end];
    if raw.is_empty() || !raw.iter().all(|&byte| is_target_byte(byte)) {
        return Err(Reject::BadRequest("bad character in the target"));
    }
    let version = version(&rest[target_end + 1..])?;
    let target = target(raw, method).ok_or(Reject::BadRequest("bad target"))?;
    Ok(RequestLine { line, method, target, version })
}

/// RFC 9112 §2.3. A server of HTTP/1.1 answers every HTTP/1 (RFC 9110 §2.5).
fn version(bytes: &[u8]) -> Result<Version, Reject> {
    match bytes {
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => Ok(Version::Http11),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Reject::VersionNotSupported)
        }
        _ => Err(Reject::BadRequest("bad version")),
    }
}

/// More than RFC 3986 lets stand in a URL, because browsers send it: what is refused could be read as a delimiter.
const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7F && byte != b'#'
}

/// RFC 9112 §3.2. Methods that are not served may have any form of target, so that they are answered as such.
fn target(raw: &[u8], method: Method) -> Option<Target<'_>> {
    if raw.starts_with(b"/") {
        return Some(split_query(raw));
    }
    match method {
        Method::Get | Method::Head => absolute(raw),
        Method::Other => Some(absolute(raw).unwrap_or(Target { path: raw, query: None })),
    }
}

/// RFC 9112 §3.2.2. Which host it names does not matter: all are served alike.
fn absolute(raw: &[u8]) -> Option<Target<'_>> {
    let colon = memchr(b':', raw)?;
    let (scheme, rest) = raw.split_at(colon);
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.is_empty() || !host::is_valid(authority) {
        return None;
    }
    let target = split_query(rest);
    Some(if target.path.is_empty() { Target { path: b"/", ..target } } else { target })
}

fn split_query(raw: &[u8]) -> Target<'_> {
    match memchr(b'?', raw) {
        Some(mark) => Target { path: &raw[..mark], query: Some(&raw[mark + 1..]) },
        None => Target { path: raw, query: None },
    }
}

/// The field lines up to the empty line and their length with it (RFC 9112 §5).
fn field_lines(bytes: &[u8]) -> Result<Option<(Fields<'_>, usize)>, Reject> {
    let split = match split_lines(bytes, USUAL_FIELDS) {
        Err(httparse::Error::TooManyHeaders) => split_lines(bytes, MAX_FIELDS),
        split => split,
    };
    let split = split.map_err(bad_line)?;
    let length = split.as_ref().map_or(bytes.len(), |&(_, length)| length);
    // What httparse lets pass. It has refused every CR without an LF.
    if !memchr_iter(b'\n', &bytes[..length]).all(|lf| lf > 0 && bytes[lf - 1] == b'\r') {
        return Err(Reject::BadRequest("bare LF"));
    }
    // The lines are as large as the headers, and collect into the room that these had.
    Ok(split.map(|(headers, length)| (Fields::new(headers.into_iter().map(line_of).collect()), length)))
}

/// What a split gives: the lines and their length, or `None` while they are not complete.
type Split<'a> = Option<(Vec<httparse::Header<'a>>, usize)>;

/// Makes the room on the heap: a coroutine's stack is small.
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

/// RFC 9112 §3.2: one Host line, which only HTTP/1.0 may leave out.
fn check_host(fields: &Fields<'_>, version: Version) -> Result<(), Reject> {
    match fields.only(Field::Host) {
        Some(value) if host::is_valid(value) => Ok(()),
        Some(_) => Err(Reject::BadRequest("bad Host")),
        None if fields.has(Field::Host) => Err(Reject::BadRequest("repeated Host")),
        None if version == Version::Http10 => Ok(()),
        None => Err(Reject::BadRequest("no Host")),
    }
}

/// RFC 9112 §9.3. One `close` outweighs every `keep-alive`.
fn keep_alive(fields: &Fields<'_>, version: Version) -> bool {
    let has =
        |option: &[u8]| fields.members(Field::Connection).any(|member| member.eq_ignore_ascii_case(option));
    !has(b"close") && (version == Version::Http11 || has(b"keep-alive"))
}

/// RFC 9110 §10.1.1: an HTTP/1.0 client does not know the 100, whatever it sends. Other expectations are let pass.
fn expects_continue(fields: &Fields<'_>, version: Version) -> bool {
    let mut members = fields.members(Field::Expect);
    version == Version::Http11 && members.any(|member| member.eq_ignore_ascii_case(b"100-continue"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "Host: example.com\r\n";

    #[track_caller]
    fn complete(input: &[u8]) -> Request<'_> {
        match Head::parse(input) {
            Head::Complete(request, length) => {
                assert!(length <= input.len());
                request
            }
            other => panic!("{other:?} for {}", input.escape_ascii()),
        }
    }

    #[track_caller]
    fn reject(input: &[u8]) -> Reject {
        match Head::parse(input) {
            Head::Reject(reject) => reject,
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
        let head = Head::parse(input);
        assert!(matches!(head, Head::Partial), "{head:?} for {}", input.escape_ascii());
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
        let input = format!("\r\nGET /a/b.txt?q=1?2 HTTP/1.1\r\n{fields}\r\nGET /next");
        let Head::Complete(request, length) = Head::parse(input.as_bytes()) else { panic!("not complete") };
        assert_eq!(&input[length..], "GET /next");
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.line, b"GET /a/b.txt?q=1?2 HTTP/1.1");
        assert_eq!(request.target.path, b"/a/b.txt");
        assert_eq!(request.target.query, Some(&b"q=1?2"[..]));
        assert_eq!(request.version, Version::Http11);
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
            ("1.0", Version::Http10),
            ("1.1", Version::Http11),
            ("1.2", Version::Http11),
            ("1.9", Version::Http11),
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
        let is_good = |line: Vec<u8>| matches!(Head::parse(&http11(line)), Head::Complete(..));
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
    fn empty_lines_in_front_count() {
        let simple = http11("");
        let fitting = "\r\n".repeat((MAX_HEAD - simple.len()) / 2);
        complete(&[fitting.as_bytes(), &simple].concat());
        assert_eq!(reject(&[fitting.as_bytes(), b"\r\n", &simple].concat()), Reject::HeadTooLarge);
        assert_eq!(reject("\r\n".repeat(MAX_HEAD / 2).as_bytes()), Reject::HeadTooLarge);
        partial("\r\n".repeat(MAX_HEAD / 2 - 1).as_bytes());
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
            b"\r\n\r\nGET /a?b HTTP/1.1\r\nHost: example.com\r\n\r\n".to_vec(),
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
            let Head::Complete(_, length) = Head::parse(&sample) else { panic!("{}", sample.escape_ascii()) };
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
            if let Head::Complete(_, length) = Head::parse(&input) {
                assert!(length <= input.len());
                let again = Head::parse(&input[..length]);
                assert!(matches!(again, Head::Complete(_, l) if l == length), "{}", input.escape_ascii());
                completed += 1;
            }
        }
        assert!((2_000..18_000).contains(&completed), "{completed} of 20000 are no test of both ways");
    }

    /// However the bytes come in, the first verdict on them is the last.
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
        match Head::parse(input) {
            Head::Complete(_, length) => Some(Ok(length)),
            Head::Partial => None,
            Head::Reject(reject) => Some(Err(reject.status())),
        }
    }

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
