//! Header fields: their syntax, the Host field, how many and how long they may be.

use crate::support::tree::{PAGE, text};
use crate::support::{Server, every};

#[test]
fn a_request_of_http_1_1_has_exactly_one_host() {
    let server = Server::start(&[]);
    let rows = [
        ("none", "GET /page.html HTTP/1.1\r\n\r\n"),
        ("two", "GET /page.html HTTP/1.1\r\nHost: test\r\nHost: other.example\r\n\r\n"),
        ("the same twice", "GET /page.html HTTP/1.1\r\nHost: test\r\nHost: test\r\n\r\n"),
        ("two over HTTP/1.0", "GET /page.html HTTP/1.0\r\nHost: test\r\nHost: other.example\r\n\r\n"),
        ("two, in other cases", "GET /page.html HTTP/1.1\r\nHost: test\r\nhOST: test\r\n\r\n"),
        ("a space before the colon", "GET /page.html HTTP/1.1\r\nHost : test\r\n\r\n"),
        ("only after a space", "GET /page.html HTTP/1.1\r\n Host: test\r\n\r\n"),
    ];
    every(rows, |raw| drop(server.refuses(raw, &[400])));
}

#[test]
fn a_host_has_to_be_one() {
    let server = Server::start(&[]);
    let bad: [&[u8]; 18] = [
        b"exa mple.com",
        b"a/b",
        b"user@example.com",
        b"a\x01b",
        b"example.com:80x",
        b"example.com:-80",
        b"example.com:80:80",
        b"[::1",
        b"::1",
        b"a?b",
        b"a#b",
        b"a\\b",
        b"a.example, b.example",
        b"a\x00b",
        b"a%zz",
        b"[::1]x",
        b"<b>",
        b"a\tb",
    ];
    every(bad.map(|host| (host.escape_ascii().to_string(), host)), |host| {
        let raw = [b"GET /page.html HTTP/1.1\r\nHost: ", host, b"\r\n\r\n"].concat();
        server.refuses(raw, &[400]);
    });
}

#[test]
fn hosts_of_every_legal_form_are_served() {
    let server = Server::start(&[]);
    let good = [
        "[::1]:80",
        "[::1]",
        "example.com:8080",
        "EXAMPLE.Com",
        "example.com.",
        "foo_bar.example",
        "example.com:",
        "10.1.2.3",
        "xn--nxasmq6b",
        "a-b.c",
        "a%41b",
    ];
    every(good.map(|host| (host, host)), |host| {
        server.answers(format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"), &[200]).is(200, PAGE);
    });
    server.answers("GET /page.html HTTP/1.1\r\nHost:\r\n\r\n", &[200, 400]);
}

#[test]
fn a_malformed_field_is_refused() {
    let server = Server::start(&[]);
    let bad: [(&str, &[u8]); 24] = [
        ("space before the colon", b"X-A : b\r\n"),
        ("tab before the colon", b"X-A\t: b\r\n"),
        ("space in the name", b"X A: b\r\n"),
        ("no colon", b"JustAWord\r\n"),
        ("no name", b": b\r\n"),
        ("parentheses in the name", b"X(A): b\r\n"),
        ("high byte in the name", b"X\xe9A: b\r\n"),
        ("control character in the name", b"X\x01A: b\r\n"),
        ("NUL in the name", b"X\x00A: b\r\n"),
        ("NUL in the value", b"X-A: b\x00c\r\n"),
        ("CR in the value", b"X-A: b\rc\r\n"),
        ("CR in the name", b"X\rA: b\r\n"),
        ("CR CR LF", b"X-A: b\r\r\n"),
        ("LF in the value", b"X-A: b\nc\r\n"),
        ("LF ends the line", b"X-A: b\nX-B: c\r\n"),
        ("a folded line", b"X-A: b\r\n c\r\n"),
        ("a line folded with a tab", b"X-A: b\r\n\tc\r\n"),
        ("a folded Transfer-Encoding", b"Transfer-Encoding:\r\n chunked\r\n"),
        ("a fold to nothing", b"X-A: b\r\n \r\n"),
        ("quotes in the name", b"\"X-A\": b\r\n"),
        ("slash in the name", b"X/A: b\r\n"),
        ("at in the name", b"X@A: b\r\n"),
        ("brackets in the name", b"X[A]: b\r\n"),
        ("DEL in the name", b"X\x7fA: b\r\n"),
    ];
    every(bad, |field| {
        let raw = [b"GET /page.html HTTP/1.1\r\nHost: test\r\n", field, b"\r\n"].concat();
        server.refuses(raw, &[400]);
        // A field that comes first is judged as those that come later.
        let raw = [b"GET /page.html HTTP/1.1\r\n", field, b"Host: test\r\n\r\n"].concat();
        server.refuses(raw, &[400]);
    });
}

#[test]
fn whitespace_before_the_first_field_is_refused() {
    let server = Server::start(&[]);
    server.refuses("GET /page.html HTTP/1.1\r\n X-A: b\r\nHost: test\r\n\r\n", &[400]);
    server.refuses("GET /page.html HTTP/1.1\r\n\tX-A: b\r\nHost: test\r\n\r\n", &[400]);
}

#[test]
fn a_head_ended_by_bare_line_feeds_is_refused() {
    let server = Server::start(&[]);
    server.refuses("GET /page.html HTTP/1.1\r\nHost: test\r\n\n", &[400]);
    server.refuses("GET /page.html HTTP/1.1\r\nHost: test\n\r\n", &[400]);
}

#[test]
fn unusual_but_legal_fields_are_taken() {
    let server = Server::start(&[]);
    let good: [(&str, &[u8]); 13] = [
        ("bytes above ASCII", b"X-A: \x80\xe9\xff\r\n"),
        ("a tab inside", b"X-A: b\tc\r\n"),
        ("every token character", b"!#$%&'*+-.^_`|~09Az: b\r\n"),
        ("an underscore", b"X_A: b\r\n"),
        ("empty values", b"X-A:\r\nX-B: \r\nX-C:\t\r\n"),
        ("an upgrade to websocket", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        (
            "an upgrade to h2c",
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n",
        ),
        ("TE", b"TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n"),
        ("empty list members", b"Connection: ,, keep-alive ,,\r\n"),
        ("odd codings", b"Accept-Encoding: ;;q=,gzip;q=9,,*;q=0\r\n"),
        ("an unacceptable type", b"Accept: image/nothing\r\n"),
        ("a field twice", b"X-A: b\r\nX-A: c\r\n"),
        ("4000 bytes", &[b"X-F: ".as_slice(), &[b'v'; 4000], b"\r\n"].concat()),
    ];
    every(good, |field| {
        let raw = [b"GET /page.html HTTP/1.1\r\nHost: test\r\n", field, b"\r\n"].concat();
        server.answers(raw, &[200]).is(200, PAGE);
    });
}

#[test]
fn names_and_the_space_around_values_are_read_as_the_rfc_says() {
    let server = Server::start(&[]);
    let rows = [
        ("capitals", "hOsT: test\r\nRANGE: bytes=0-4\r\n"),
        ("no space", "Host:test\r\nRange:bytes=0-4\r\n"),
        ("spaces", "Host:   test  \r\nRange:   bytes=0-4   \r\n"),
        ("tabs", "Host:\ttest\t\r\nRange:\tbytes=0-4\t\r\n"),
    ];
    every(rows, |fields| {
        server.answers(format!("GET /text.txt HTTP/1.1\r\n{fields}\r\n"), &[206]).is(206, &text()[..5]);
    });
}

#[test]
fn a_hundred_fields_are_the_limit() {
    let server = Server::start(&[]);
    let fields =
        |count: usize| -> String { (1..count).map(|number| format!("X-F{number}: {number}\r\n")).collect() };
    for count in [90, 100] {
        server.get_with("/page.html", &fields(count)).is(200, PAGE);
    }
    for count in [101, 500] {
        let raw = format!("GET /page.html HTTP/1.1\r\nHost: test\r\n{}\r\n", fields(count));
        server.refuses(raw, &[431]);
    }
}

#[test]
fn a_head_of_32_kib_is_the_limit() {
    let server = Server::start(&[]);
    let raw = |length: usize| {
        let frame = "GET /page.html HTTP/1.1\r\nHost: test\r\nX-F: \r\n\r\n".len();
        format!("GET /page.html HTTP/1.1\r\nHost: test\r\nX-F: {}\r\n\r\n", "v".repeat(length - frame))
    };
    server.answers(raw(32 << 10), &[200]).is(200, PAGE);
    for length in [(32 << 10) + 1, 40 << 10, 64 << 10] {
        server.refuses(raw(length), &[431]);
    }
}

#[test]
fn a_head_without_end_is_refused_before_it_ends() {
    let server = Server::start(&[]);
    let rows = [
        ("one value", "v".repeat(1 << 20)),
        ("one name", "\r\n".to_owned() + &"X".repeat(1 << 20)),
        ("many fields", "\r\n".to_owned() + &"X: y\r\n".repeat(200_000)),
    ];
    every(rows, |endless| {
        let mut client = server.client();
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nX-F: ");
        client.send(&endless);
        let response = client.response();
        response.has_status(&[431]);
        assert!(response.closes());
        client.closed();
    });
}

#[test]
fn an_unknown_expectation_fails_or_is_ignored() {
    let server = Server::start(&[]);
    server.answers("GET /page.html HTTP/1.1\r\nHost: test\r\nExpect: frobnicate\r\n\r\n", &[200, 417]);
}
