//! Writes the heads of a worker's responses, and single field lines.
//!
//! Every head of a worker comes from here. The admin process has heads of its own, made by `may_minihttp`.
//! This file chooses no status, and no field except the three that every response has.
//!
//! **Invariant:** a field line comes from [`field`], is a constant, or is `Server` or `Date`. No value can
//! end its line, so bytes from a client never become a field.

use super::status::Status;

/// Writes a whole head: status line (RFC 9112 §4), `Server`, `Date`, `Connection` (RFC 9112 §9.3), the
/// rendered lines in `fields`, and the empty line. `server` is the value of the Server field.
pub fn write(
    out: &mut Vec<u8>,
    status: Status,
    server: &[u8],
    date: &[u8; 29],
    keep_alive: bool,
    fields: &[u8],
) {
    // An HTTP/1.0 client needs `keep-alive`. To send it to all clients costs 24 bytes.
    let connection: &[u8] =
        if keep_alive { b"\r\nConnection: keep-alive\r\n" } else { b"\r\nConnection: close\r\n" };
    let pieces: [&[u8]; 8] =
        [status.line(), b"Server: ", server, b"\r\nDate: ", date, connection, fields, b"\r\n"];
    out.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        out.extend_from_slice(piece);
    }
}

/// Writes one field line. CR, LF and NUL in the value are left out, because they are dangerous (RFC 9110
/// §5.5).
pub fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for piece in value.split(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    #[track_caller]
    fn check(keep_alive: bool, status: Status, fields: &[u8], expected: &[u8]) {
        let mut out = b"before|".to_vec();
        write(&mut out, status, b"mayhttpd", DATE, keep_alive, fields);
        assert_eq!(out, [b"before|", expected].concat(), "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn a_head_is_written_to_the_byte() {
        check(
            true,
            Status::OK,
            b"Content-Length: 0\r\n",
            b"HTTP/1.1 200 OK\r\nServer: mayhttpd\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
              Connection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        );
        check(
            false,
            Status::NOT_FOUND,
            b"",
            b"HTTP/1.1 404 Not Found\r\nServer: mayhttpd\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
              Connection: close\r\n\r\n",
        );
    }

    #[test]
    fn a_head_asks_for_memory_once() {
        let mut out = Vec::new();
        write(&mut out, Status::OK, b"s", DATE, true, &[b'f'; 1000]);
        assert!(out.capacity() < out.len() + 16);
    }

    #[track_caller]
    fn check_field(value: &[u8], line: &[u8]) {
        let mut out = Vec::new();
        field(&mut out, "Location", value);
        assert_eq!(out, line);
    }

    #[test]
    fn no_value_ends_its_line() {
        check_field(b"", b"Location: \r\n");
        check_field(b"/dir/", b"Location: /dir/\r\n");
        check_field(b"/a\r\nX-Injected: 1", b"Location: /aX-Injected: 1\r\n");
        check_field(b"\r\n\r\n<html>\0\n", b"Location: <html>\r\n");
        check_field(b"\xff\t~", b"Location: \xff\t~\r\n");
    }
}
