//! The request of a stream, as the site reads requests (RFC 9113 §8.3.1).

use bytes::Bytes;
use h2::server::SendResponse;
use http::request::Parts;

use crate::http::fields::{Field, Fields, Line};
use crate::http::framing::Framing;
use crate::http::host;
use crate::http::method::Method;
use crate::http::reject::Reject;
use crate::http::request::{MAX_FIELDS, Request};
use crate::http::request_line::MAX_REQUEST_LINE;
use crate::http::target::Target;
use crate::http::version::HttpVersion;

/// A request whose head has come, and its stream.
pub struct StreamRequest {
    /// The head.
    pub parts: Parts,
    /// What the response goes to.
    pub stream: SendResponse<Bytes>,
    /// When the head was complete, on the monotonic clock in nanoseconds.
    pub since: u64,
    /// See [`Request::is_https`].
    pub is_https: bool,
    /// See [`Request::is_misdirected`].
    pub is_misdirected: bool,
}

/// Writes the line that the log has for a request.
pub fn write_line(parts: &Parts, line: &mut Vec<u8>) {
    line.clear();
    line.extend_from_slice(parts.method.as_str().as_bytes());
    line.push(b' ');
    let target = parts.uri.path_and_query().map_or("*", |target| target.as_str());
    line.extend_from_slice(target.as_bytes());
    line.extend_from_slice(b" HTTP/2.0");
}

/// The request of a head; `line` is what [`write_line`] has written.
///
/// # Errors
/// What is answered by an error.
pub fn read<'a>(parts: &'a Parts, line: &'a [u8]) -> Result<Request<'a>, Reject> {
    if line.len() > MAX_REQUEST_LINE {
        return Err(Reject::UriTooLong);
    }
    if parts.headers.len() > MAX_FIELDS {
        return Err(Reject::HeadTooLarge);
    }
    let method = method(parts);
    let fields = fields(parts)?;
    let path = parts.uri.path().as_bytes();
    if matches!(method, Method::Get | Method::Head) && !path.starts_with(b"/") {
        return Err(Reject::BadRequest("bad target"));
    }
    let target = Target { path, query: parts.uri.query().map(str::as_bytes), authority: None };
    Ok(Request {
        method,
        line,
        target,
        version: HttpVersion::Http11,
        fields,
        framing: Framing::None,
        keep_alive: true,
        expects_continue: false,
        is_https: false,
        is_misdirected: false,
    })
}

/// The method of a request.
pub fn method(parts: &Parts) -> Method {
    match parts.method.as_str() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    }
}

/// The field lines. The authority stands as Host, which must be the same where both are there.
fn fields(parts: &Parts) -> Result<Fields<'_>, Reject> {
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut lines = Vec::with_capacity(parts.headers.len() + 1);
    if let Some(authority) = authority {
        lines.push(Line { name: Field::Host.name().as_bytes(), value: authority });
    }
    for (name, value) in &parts.headers {
        let line = Line { name: name.as_str().as_bytes(), value: value.as_bytes() };
        // RFC 9113 §8.2.1; the crate h2 checks the other bytes.
        if line.value != line.value.trim_ascii() {
            return Err(Reject::BadRequest("space around a field value"));
        }
        if name == http::header::HOST
            && let Some(authority) = authority
        {
            if !line.value.eq_ignore_ascii_case(authority) {
                return Err(Reject::BadRequest("Host and :authority differ"));
            }
            continue;
        }
        lines.push(line);
    }
    let fields = Fields::new(lines);
    match fields.only(Field::Host) {
        Some(value) if host::is_valid(value) => Ok(fields),
        Some(_) => Err(Reject::BadRequest("bad Host")),
        None if fields.has(Field::Host) => Err(Reject::BadRequest("repeated Host")),
        None => Err(Reject::BadRequest("no Host")),
    }
}
