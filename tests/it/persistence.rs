//! Whether the connection stays: 1.1 keeps it, `close` ends it, and the answer always says which.

use crate::support::tree::{INDEX, PAGE};
use crate::support::{Server, every};

#[test]
fn http_1_1_keeps_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for _ in 0..300 {
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
        let response = client.response();
        response.is(200, PAGE);
        assert_eq!(response["connection"], "keep-alive");
    }
}

#[test]
fn close_is_followed_in_every_form() {
    let server = Server::start(&[]);
    let forms = [
        "Connection: close",
        "Connection: CLOSE",
        "connection:close",
        "Connection: x-foo, close, x-bar",
        "Connection: x-foo,close",
        "Connection: \tclose\t",
        "Connection: x-foo\r\nConnection: close",
        "Connection: close\r\nConnection: keep-alive",
        "Connection: ,,close,,",
    ];
    every(forms.map(|form| (form, form)), |form| {
        let mut client = server.client();
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: test\r\n{form}\r\n\r\n"));
        let response = client.response();
        response.is(200, PAGE);
        assert!(response.closes());
        client.closed();
    });
}

#[test]
fn what_only_looks_like_close_is_not() {
    let server = Server::start(&[]);
    for form in ["Connection: closed", "Connection: x-close", "X-Connection: close", "Connection: \"close\""]
    {
        let mut client = server.client();
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: test\r\n{form}\r\n\r\n"));
        let response = client.response();
        assert!(!response.closes(), "{form}");
        client.ends_as(&response);
    }
}

#[test]
fn nothing_after_close_is_answered() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let asked = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    client.send(format!(
        "GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n{}",
        asked.repeat(3)
    ));
    client.response().is(200, PAGE);
    client.closed();
}

#[test]
fn close_is_followed_with_every_answer() {
    let server = Server::start(&[]);
    let rows = [
        (206, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9\r\n"),
        (301, "GET /dir HTTP/1.1\r\nHost: test\r\n"),
        (304, "GET / HTTP/1.1\r\nHost: test\r\nIf-None-Match: *\r\n"),
        (403, "GET /bare/ HTTP/1.1\r\nHost: test\r\n"),
        (404, "GET /absent HTTP/1.1\r\nHost: test\r\n"),
        (405, "DELETE / HTTP/1.1\r\nHost: test\r\n"),
        (412, "GET / HTTP/1.1\r\nHost: test\r\nIf-Match: \"other\"\r\n"),
        (416, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=5000-\r\n"),
        (200, "GET /large.html HTTP/1.1\r\nHost: test\r\n"),
    ];
    every(rows.map(|(status, raw)| (status, (status, raw))), |(status, raw)| {
        let mut client = server.client();
        client.send(format!("{raw}Connection: close\r\n\r\n"));
        let response = client.response();
        response.has_status(&[status]);
        assert!(response.closes());
        client.closed();
        // The same without the wish stays.
        server.answers(format!("{raw}\r\n"), &[status]);
    });
}

#[test]
fn a_half_closed_client_gets_its_answer() {
    let server = Server::start(&[]);
    every([("/", 200), ("/absent", 404), ("/large.html", 200)], |status| {
        let target = if status == 404 { "/absent" } else { "/" };
        let mut client = server.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.half_close();
        client.response().has_status(&[status]);
        client.closed();
    });
}

#[test]
fn a_half_closed_client_gets_a_large_answer_whole() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n");
    client.half_close();
    client.response().is(200, crate::support::tree::large());
    client.closed();
}

#[test]
fn a_client_that_says_nothing_and_half_closes_is_let_go() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.half_close();
    client.closed();
}

#[test]
fn an_empty_line_between_requests_is_skipped() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.response().is(200, PAGE);
    client.response().is(200, INDEX);
    client.send("\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n");
    client.response().is(200, INDEX);
}

#[test]
fn an_urgent_byte_harms_no_other_client() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send_urgent(b'!');
    client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    if let Some(response) = client.answer() {
        response.has_status(&[200, 400, 405]);
    }
    server.get("/").is(200, INDEX);
}

#[test]
fn what_one_client_left_behind_is_never_another_s() {
    // Buffers are used again by the connections that follow.
    let server = Server::start(&[]);
    for _ in 0..100 {
        let mut first = server.client();
        first.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\nGET /large.html HTTP/1.1\r\nHost: te");
        first.response().is(200, PAGE);
        drop(first);
        server.refuses("st\r\n\r\n", &[400]);
        server.get("/").is(200, INDEX);
    }
}
