//! The JSON format of a line of the access log.
//!
//! ```text
//! {"time":"2026-11-21T10:07:03Z","worker":0,"connection":7,"request":1,"peer":"192.0.2.7","method":"GET",
//!  "target":"/","protocol":"HTTP/1.1","referer":null,"user_agent":"curl/8","status":200,"bytes":34,
//!  "duration":0.000213,"end":"finished"}
//! {"time":"2026-11-21T10:07:09Z","worker":0,"connection":8,"requests":5,"peer":"192.0.2.7",
//!  "end":"peer_closed"}
//! ```
//!
//! The last line of a connection has `end`. If the last request decides the close reason, `end` is in the
//! line of that request: the response said `Connection: close`, the request was refused, or sending failed.
//! Otherwise it is in a line of its own, which has `requests` and no `method`. A connection without any
//! request has no line.

use std::time::Duration;

use super::escape;
use super::field_width::max_width;
use super::line_limit::MAX_LINE;
use super::request::{LoggedRequest, LoggedTls, RequestOrigin};
use super::request_line::split;

/// The most bytes around the origin and the fields of the client, with the longest
/// [`LoggedResponse::end`](super::request::LoggedResponse::end).
const MAX_REST: usize = concat!(
    r#"{"time":"2026-11-21T10:07:03Z,"method":"","target":"","protocol":"","referer":null,"user_agent":null"#,
    r#","status":65535,"bytes":18446744073709551615,"duration":18446744073709551615.999999"#,
    r#","end":"................................"}"#,
    "\n"
)
.len();

/// What a line has after fields that were cut.
const TRUNCATED: &[u8] = b",\"truncated\":true";

/// Writes the name of the user that has signed in, if one has.
pub(super) fn write_user(out: &mut Vec<u8>, user: Option<&[u8]>) {
    if user.is_some() {
        write_text(out, "user", user);
    }
}

/// Writes what is known of TLS, by the names that nginx has for it.
pub(super) fn write_tls(out: &mut Vec<u8>, tls: Option<LoggedTls<'_>>) {
    let Some(tls) = tls else { return };
    write_text(out, "ssl_protocol", Some(tls.protocol.as_bytes()));
    write_text(out, "ssl_cipher", Some(tls.cipher.as_bytes()));
    write_text(out, "ssl_server_name", tls.server_name.map(str::as_bytes));
    let reused: &[u8] = if tls.is_resumed { b"true" } else { b"false" };
    out.extend_from_slice(b",\"ssl_session_reused\":");
    out.extend_from_slice(reused);
}

/// Writes the fields that the client sent.
pub(super) fn write_request(out: &mut Vec<u8>, asked: &LoggedRequest<'_>) {
    let (method, target, protocol) = split(asked.line);
    for (name, text) in [("method", method), ("target", target), ("protocol", protocol)] {
        write_text(out, name, Some(text));
    }
    write_text(out, "referer", asked.referer);
    write_text(out, "user_agent", asked.user_agent);
}

/// Like [`write_request`], for fields that may not fit.
#[cold]
pub(super) fn write_long_request(out: &mut Vec<u8>, asked: &LoggedRequest<'_>) {
    out.reserve_exact(MAX_LINE);
    let (method, target, protocol) = split(asked.line);
    let names = ["method", "target", "protocol", "referer", "user_agent"];
    let fields = [Some(method), Some(target), Some(protocol), asked.referer, asked.user_agent];
    let room = MAX_LINE - MAX_REST - out.len();
    let mut most = max_width(fields, room, escape::json_that_fits);
    if most.is_some() {
        most = max_width(fields, room - TRUNCATED.len(), escape::json_that_fits);
    }
    for (name, field) in names.into_iter().zip(fields) {
        let whole_or_cut = |field: &'_ [u8]| match most {
            Some(most) => escape::json_that_fits(field, most).length,
            None => field.len(),
        };
        write_text(out, name, field.map(|field| &field[..whole_or_cut(field)]));
    }
    if most.is_some() {
        out.extend_from_slice(TRUNCATED);
    }
}

/// Writes the origin. `request` is the name of its request number.
pub(super) fn write_origin(out: &mut Vec<u8>, origin: &RequestOrigin, request: &'static str) {
    out.push(b'"');
    let worker = origin.worker as u64;
    for (name, number) in [("worker", worker), ("connection", origin.connection), (request, origin.request)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
    write_text(out, "peer", Some(origin.peer.as_bytes()));
}

fn write_text(out: &mut Vec<u8>, name: &'static str, text: Option<&[u8]>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    let Some(text) = text else { return out.extend_from_slice(b"\":null") };
    out.extend_from_slice(b"\":\"");
    escape::json(out, text);
    out.push(b'"');
}

/// The microseconds of a duration as the fraction of a second, such as `.000213`.
pub(super) fn fraction(time: Duration) -> [u8; 7] {
    let mut text = *b".000000";
    let mut rest = time.subsec_micros();
    for digit in text[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text
}
