//! The request line: what is taken, what is refused, and that it may come in any pieces.

use std::time::Duration;

use crate::support::tree::{PAGE, text};
use crate::support::{Server, every, pattern};

/// The most empty lines that may stand before a request.
const MAX_EMPTY_LINES: usize = 32;

#[test]
fn the_plain_forms_are_taken() {
    let server = Server::start(&[]);
    let rows: [(&str, &[u8]); 7] = [
        ("origin form", b"GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("an empty line before", b"\r\nGET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("absolute form", b"GET http://test/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("absolute form with a port", b"GET http://test:8080/page.html HTTP/1.1\r\nHost: test:8080\r\n\r\n"),
        ("absolute form, scheme in capitals", b"GET HTTP://test/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("absolute form of https", b"GET https://test/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("absolute form, query", b"GET http://test/page.html?a=b HTTP/1.1\r\nHost: test\r\n\r\n"),
    ];
    every(rows, |raw| server.answers(raw, &[200]).is(200, PAGE));
}

#[test]
fn an_absolute_form_without_a_path_is_the_root() {
    let server = Server::start(&[]);
    server.answers("GET http://test HTTP/1.1\r\nHost: test\r\n\r\n", &[200]);
    server.answers("GET http://test?q=1 HTTP/1.1\r\nHost: test\r\n\r\n", &[200]);
}

#[test]
fn an_absolute_form_overrules_the_host_field() {
    // RFC 9112 §3.2.2: the field is ignored, yet it has to be there.
    let server = Server::start(&[]);
    server.answers("GET http://test/page.html HTTP/1.1\r\nHost: other.example\r\n\r\n", &[200, 421]);
    server.refuses("GET http://test/page.html HTTP/1.1\r\n\r\n", &[400]);
}

#[test]
fn a_malformed_line_is_refused() {
    let server = Server::start(&[]);
    let rows: [(&str, &[u8]); 36] = [
        ("bare CR for a space", b"GET /page.html\rHTTP/1.1\r\nHost: test\r\n\r\n"),
        ("bare CR ends the line", b"GET /page.html HTTP/1.1\rHost: test\r\n\r\n"),
        ("bare LF ends the line", b"GET /page.html HTTP/1.1\nHost: test\r\n\r\n"),
        ("bare LF throughout", b"GET /page.html HTTP/1.1\nHost: test\n\n"),
        ("two spaces before the target", b"GET  /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("two spaces after the target", b"GET /page.html  HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("space at the end", b"GET /page.html HTTP/1.1 \r\nHost: test\r\n\r\n"),
        ("tabs", b"GET\t/page.html\tHTTP/1.1\r\nHost: test\r\n\r\n"),
        ("control character in the method", b"G\x01T /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("NUL in the method", b"G\x00T /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("parenthesis in the method", b"G(T /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("high byte in the method", b"G\xe9T /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("no target", b"GET HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("a space before the method", b" GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("no method", b" /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("no version", b"GET /page.html\r\n\r\n"),
        ("a word after the version", b"GET /page.html HTTP/1.1 x\r\nHost: test\r\n\r\n"),
        ("authority form", b"GET example.com:80 HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("asterisk form", b"GET * HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("no slash", b"GET page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("another scheme", b"GET ftp://test/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("a scheme without authority", b"GET http:///page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("control character in the target", b"GET /\x01page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("DEL in the target", b"GET /\x7fpage.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("NUL in the target", b"GET /page.html\x00.txt HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("tab in the target", b"GET /page\t.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("space in the target", b"GET /with space.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("NUL alone", b"\x00\r\n\r\n"),
        ("another protocol", b"EHLO localhost\r\n\r\n"),
        ("an answer", b"HTTP/1.1 200 OK\r\nHost: test\r\n\r\n"),
        ("TLS", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x5a\x17\x99\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        ("a quote", b"\"GET / HTTP/1.1\"\r\nHost: test\r\n\r\n"),
        ("CR CR LF", b"GET /page.html HTTP/1.1\r\r\nHost: test\r\n\r\n"),
        ("a no-break space", b"GET\xa0/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        ("vertical tab", b"GET\x0b/page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
    ];
    every(rows, |raw| drop(server.refuses(raw, &[400])));
}

#[test]
fn noise_is_refused() {
    let server = Server::start(&[]);
    every((0..20).map(|seed| (seed, seed)), |seed| {
        let mut noise = pattern(seed, 4096);
        noise.extend_from_slice(b"\r\n\r\n");
        server.refuses(noise, &[400]);
    });
}

#[test]
fn bytes_above_ascii_in_a_target_are_a_name_or_refused() {
    // RFC 3986 wants them escaped; browsers of old didn't.
    let tree = crate::support::Tree::site();
    tree.file("ünï.txt", "raw\n");
    let server = Server::of(tree, &[]);
    let response = server.answers("GET /ünï.txt HTTP/1.1\r\nHost: test\r\n\r\n", &[200, 400]);
    assert!(response.status == 400 || response.body == b"raw\n");
    server.answers("GET /page.html#part HTTP/1.1\r\nHost: test\r\n\r\n", &[200, 400, 404]);
}

#[test]
fn a_line_of_8_kib_is_the_limit() {
    let server = Server::start(&[]);
    let line = |length: usize| {
        let frame = "GET /page.html? HTTP/1.1\r\n".len();
        format!("GET /page.html?{} HTTP/1.1\r\nHost: test\r\n\r\n", "x".repeat(length - frame))
    };
    server.answers(line(1000), &[200]).is(200, PAGE);
    server.answers(line(8000), &[200]).is(200, PAGE);
    every([8300, 16 << 10, 64 << 10, 1 << 20].map(|length| (length, length)), |length| {
        let mut client = server.client();
        client.send(line(length));
        let response = client.response();
        response.has_status(&[414]);
        assert!(response.closes());
        client.closed();
    });
}

#[test]
fn a_line_without_end_is_refused_before_it_ends() {
    let server = Server::start(&[]);
    let rows = [("target", "GET /"), ("method", ""), ("absolute form", "GET http://test/")];
    every(rows, |start| {
        let mut client = server.client();
        client.send(start);
        client.send("A".repeat(256 << 10));
        let response = client.response();
        response.has_status(&[400, 414, 501]);
        assert!(response.closes());
        client.closed();
    });
}

#[test]
fn a_request_may_come_a_byte_at_a_time() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for byte in b"GET /text.txt HTTP/1.1\r\nHost: test\r\nX-Pad: 1\r\nRange: bytes=0-3\r\n\r\n" {
        client.send([*byte]);
    }
    client.response().is(206, &text()[..4]);
    client.still_serves();
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let server = Server::start(&[]);
    let raw = b"\r\nGET /text.txt?x=%41 HTTP/1.1\r\nHost: test\r\nRange: bytes=1-5\r\nX-Empty:\r\n\r\n";
    let mut client = server.client();
    for cut in 1..raw.len() {
        client.send(&raw[..cut]);
        std::thread::yield_now();
        client.send(&raw[cut..]);
        client.response().is(206, &text()[1..6]);
    }
}

#[test]
fn no_beginning_of_a_request_is_answered_before_it_is_whole() {
    // Each beginning is followed by the client's end: at most a refusal comes, never a file.
    let server = Server::start(&[]);
    let raw = b"GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    every((0..raw.len()).map(|length| (length, length)), |length| {
        let mut client = server.client();
        client.send(&raw[..length]);
        client.half_close();
        if let Some(response) = client.answer() {
            response.has_status(&[400, 408]);
        }
        client.closed();
    });
}

#[test]
fn a_few_empty_lines_before_a_request_are_ignored() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for count in [1, 2, 8, MAX_EMPTY_LINES, 1] {
        client.send("\r\n".repeat(count));
        client.still_serves();
        // Each in a segment of its own, and the connection idle in between.
        for _ in 0..count {
            client.send("\r\n");
            std::thread::sleep(Duration::from_millis(2));
        }
        client.still_serves();
    }
}

#[test]
fn more_empty_lines_before_a_request_are_refused_however_they_come() {
    let server = Server::start(&[]);
    let (lines, ask) = ("\r\n".repeat(MAX_EMPTY_LINES + 1), "GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
    server.refuses(&lines, &[400]);
    server.refuses(format!("{lines}{ask}"), &[400]);
    server.refuses(format!("{}{lines}{ask}", "\r\n".repeat(50_000)), &[400]);
    for kept in [false, true] {
        for piece in [1, 2, 3, 7] {
            let mut client = server.client();
            if kept {
                client.still_serves();
            }
            // The pauses let the server take each piece by itself, and the connection be idle in between.
            for piece in lines.as_bytes().chunks(piece) {
                client.send(piece);
                std::thread::sleep(Duration::from_millis(2));
            }
            let response = client.response();
            response.has_status(&[400]);
            assert!(response.closes());
            client.closed();
        }
    }
    // Some before the pause, and some with the request.
    let mut client = server.client();
    client.send("\r\n".repeat(MAX_EMPTY_LINES - 1));
    std::thread::sleep(Duration::from_millis(20));
    client.send(format!("\r\n\r\n{ask}"));
    client.response().has_status(&[400]);
    client.closed();
}

#[test]
fn an_empty_line_without_a_carriage_return_is_refused() {
    let server = Server::start(&[]);
    for start in ["\n", "\n\n", "\r\n\n", "\r\r\n", "\n\r\n"] {
        server.refuses(format!("{start}GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"), &[400]);
    }
}
