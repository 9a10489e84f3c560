//! The request line: method, target and version (RFC 9112 §3).
//!
//! Splits the target at its query, and decodes no path.

use memchr::memchr;

use super::fields::is_token_byte;
use super::host;
use super::method::Method;
use super::reject::Reject;
use super::target::Target;
use super::version::HttpVersion;

/// The most bytes of a request line, without its line end.
pub const MAX_REQUEST_LINE: usize = 8 * 1024;

/// The parts of a request line.
pub(super) struct RequestLine<'a> {
    /// The line without its end.
    pub(super) line: &'a [u8],
    pub(super) method: Method,
    pub(super) target: Target<'a>,
    pub(super) version: HttpVersion,
}

/// Reads the request line at the front of `bytes`. Returns it and its length with the line end, or `None`
/// while it is incomplete.
///
/// # Errors
/// The rejection of what can't become a request line. What is not HTTP is rejected before its line ends.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(RequestLine<'_>, usize)>, Reject> {
    if matches!(bytes, b"" | b"\r") {
        return Ok(None);
    }
    // Check the method first. A client that does not speak HTTP may never send a line end, and is not waited
    // for.
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

/// Splits a line whose method ends at a space, at `method_end` (RFC 9112 §3).
fn parts(line: &[u8], method_end: usize) -> Result<RequestLine<'_>, Reject> {
    let method = match &line[..method_end] {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"OPTIONS" => Method::Options,
        _ => Method::Other,
    };
    let rest = &line[method_end + 1..];
    // HTTP/0.9 has no version, and so no second space.
    let target_end = memchr(b' ', rest).ok_or(Reject::BadRequest("no version"))?;
    let raw = &rest[..target_end];
    if raw.is_empty() || !raw.iter().all(|&byte| is_target_byte(byte)) {
        return Err(Reject::BadRequest("bad character in the target"));
    }
    let version = version(&rest[target_end + 1..])?;
    let target = target(raw, method).ok_or(Reject::BadRequest("bad target"))?;
    Ok(RequestLine { line, method, target, version })
}

/// RFC 9112 §2.3. An HTTP/1.1 server answers every HTTP/1 version (RFC 9110 §2.5).
fn version(bytes: &[u8]) -> Result<HttpVersion, Reject> {
    match bytes {
        b"HTTP/1.0" => Ok(HttpVersion::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => {
            Ok(HttpVersion::Http11)
        }
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(Reject::VersionNotSupported)
        }
        _ => Err(Reject::BadRequest("bad version")),
    }
}

/// Allows more than RFC 3986, because browsers send it. Only bytes that could be read as a delimiter are
/// refused.
const fn is_target_byte(byte: u8) -> bool {
    byte > b' ' && byte != 0x7F && byte != b'#'
}

/// RFC 9112 §3.2. A method that is not served may have any target, so that the answer is 405 rather than 400.
fn target(raw: &[u8], method: Method) -> Option<Target<'_>> {
    if raw.starts_with(b"/") {
        return Some(split_query(raw));
    }
    match method {
        Method::Get | Method::Head => absolute(raw),
        Method::Options | Method::Other => {
            Some(absolute(raw).unwrap_or(Target { path: raw, query: None, authority: None }))
        }
    }
}

/// RFC 9112 §3.2.2.
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
    let target = Target { authority: Some(authority), ..split_query(rest) };
    Some(if target.path.is_empty() { Target { path: b"/", ..target } } else { target })
}

fn split_query(raw: &[u8]) -> Target<'_> {
    match memchr(b'?', raw) {
        Some(mark) => Target { path: &raw[..mark], query: Some(&raw[mark + 1..]), authority: None },
        None => Target { path: raw, query: None, authority: None },
    }
}
