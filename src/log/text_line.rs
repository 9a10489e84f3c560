//! The text formats of a line of the access log.
//!
//! ```text
//! common    192.0.2.7 - - [21/Nov/2026:10:07:03 +0000] "GET / HTTP/1.1" 200 34
//! combined  … "referer" "user agent"
//! ```

use super::escape;
use super::field_width::max_width;
use super::line_limit::{ELLIPSIS, MAX_LINE};
use super::request::LoggedRequest;
use super::request_line::split;

/// The most bytes of a line around the fields of the client, with the time.
const MAX_REST: usize = "[21/Nov/2026:10:07:03 +0000] \"  \" 65535 18446744073709551615 \"-\" \"-\"\n".len();

/// Writes what follows the time, for fields that may not fit. Returns the offset where status and bytes go.
#[cold]
pub(super) fn write_long_request(out: &mut Vec<u8>, asked: &LoggedRequest<'_>, has_client: bool) -> usize {
    out.reserve_exact(MAX_LINE);
    let (method, target, protocol) = split(asked.line);
    let (referer, user_agent) = if has_client { (asked.referer, asked.user_agent) } else { (None, None) };
    let fields = [Some(method), Some(target), Some(protocol), referer, user_agent];
    let most = max_width(fields, MAX_LINE - MAX_REST - out.len(), escape::hex_that_fits);
    out.extend_from_slice(b" \"");
    if asked.line.is_empty() {
        out.push(b'-');
    } else if method.is_empty() {
        write_cut(out, target, most);
    } else {
        write_cut(out, method, most);
        out.push(b' ');
        write_cut(out, target, most);
        out.push(b' ');
        write_cut(out, protocol, most);
    }
    out.extend_from_slice(b"\" ");
    let request_end = out.len();
    if has_client {
        for field in [referer, user_agent] {
            out.extend_from_slice(if out.len() == request_end { b" \"" } else { b"\" \"" });
            match field {
                None | Some(b"") => out.push(b'-'),
                Some(field) => write_cut(out, field, most),
            }
        }
        out.push(b'"');
    }
    out.push(b'\n');
    request_end
}

/// Writes a field in at most `most` bytes. A field that is cut ends in [`ELLIPSIS`].
fn write_cut(out: &mut Vec<u8>, field: &[u8], most: Option<usize>) {
    match most {
        Some(most) if escape::hex_that_fits(field, most).length < field.len() => {
            let found = escape::hex_that_fits(field, most.saturating_sub(ELLIPSIS.len()));
            escape::hex(out, &field[..found.length]);
            out.extend_from_slice(ELLIPSIS);
        }
        _ => escape::hex(out, field),
    }
}

/// Writes the name of a user, or a dash, and a space. A space in the name would look like its end.
pub(super) fn write_user(out: &mut Vec<u8>, user: Option<&[u8]>) {
    match user {
        None | Some(b"") => out.push(b'-'),
        Some(user) => {
            for (nth, word) in user.split(|&byte| byte == b' ').enumerate() {
                if nth > 0 {
                    out.extend_from_slice(b"\\x20");
                }
                escape::hex(out, word);
            }
        }
    }
    out.push(b' ');
}

/// Writes Referer and User-Agent.
pub(super) fn write_client(out: &mut Vec<u8>, referer: Option<&[u8]>, user_agent: Option<&[u8]>) {
    out.extend_from_slice(b" \"");
    write_or_dash(out, referer.unwrap_or_default());
    out.extend_from_slice(b"\" \"");
    write_or_dash(out, user_agent.unwrap_or_default());
    out.push(b'"');
}

/// Writes an escaped text, or a dash if it is empty.
pub(super) fn write_or_dash(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() { out.push(b'-') } else { escape::hex(out, text) }
}
