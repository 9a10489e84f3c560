//! Versions of HTTP: 1.0 and every 1.x are spoken, all else is refused; an answer says HTTP/1.1 always.

use crate::support::tree::PAGE;
use crate::support::{Server, every};

#[test]
fn higher_minors_of_1_are_served_as_1_1() {
    let server = Server::start(&[]);
    for minor in ["1", "2", "9"] {
        let response = server.answers(format!("GET /page.html HTTP/1.{minor}\r\nHost: test\r\n\r\n"), &[200]);
        response.is(200, PAGE);
        assert_eq!(response["connection"], "keep-alive", "1.{minor}");
    }
}

#[test]
fn a_higher_minor_needs_a_host_too() {
    Server::start(&[]).refuses("GET /page.html HTTP/1.2\r\n\r\n", &[400]);
}

#[test]
fn other_versions_are_refused() {
    let server = Server::start(&[]);
    let versions = [
        "HTTP/2.0",
        "HTTP/3.0",
        "HTTP/0.9",
        "HTTP/0.0",
        "HTTP/9.9",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/1.10",
        "HTTP/11.1",
        "HTTP/01.1",
        "HTTP/1.01",
        "HTTP/-1.1",
        "HTTP/1.-1",
        "HTTP/x.y",
        "HTTP/1,1",
        "HTTP/1.1.1",
        "HTTP/1.1;x",
        "HTP/1.1",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "HTTP1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "/1.1",
        "ICY/1.1",
        "HTTP/1.1x",
        "HTTP",
    ];
    every(versions.map(|version| (version, version)), |version| {
        server.refuses(format!("GET /page.html {version}\r\nHost: test\r\n\r\n"), &[400, 505]);
    });
}

#[test]
fn the_preface_of_http_2_is_refused() {
    let server = Server::start(&[]);
    server.refuses(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", &[400, 505]);
}

#[test]
fn http_1_0_closes_unasked() {
    let server = Server::start(&[]);
    for fields in ["", "Host: test\r\n", "Connection: close\r\n", "Connection: upgrade\r\n"] {
        let mut client = server.client();
        client.send(format!("GET /page.html HTTP/1.0\r\n{fields}\r\n"));
        let response = client.response();
        response.is(200, PAGE);
        assert!(response.closes());
        client.closed();
    }
}

#[test]
fn http_1_0_is_kept_where_asked_until_it_asks_no_more() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for wish in ["keep-alive", "Keep-Alive", "x, KEEP-ALIVE"] {
        client.send(format!("GET /page.html HTTP/1.0\r\nConnection: {wish}\r\n\r\n"));
        let response = client.response();
        response.is(200, PAGE);
        assert_eq!(response["connection"], "keep-alive", "for {wish:?}");
    }
    client.send("GET /page.html HTTP/1.0\r\n\r\n");
    assert!(client.response().closes());
    client.closed();
}

#[test]
fn close_beats_keep_alive() {
    let server = Server::start(&[]);
    for version in ["1.0", "1.1"] {
        let mut client = server.client();
        client.send(format!(
            "GET /page.html HTTP/{version}\r\nHost: test\r\nConnection: keep-alive, close\r\n\r\n"
        ));
        assert!(client.response().closes());
        client.closed();
    }
}

#[test]
fn http_1_0_is_never_told_to_continue() {
    // RFC 9110 §10.1.1: an expectation of HTTP/1.0 is ignored.
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client.send("hello");
    client.response().is(200, PAGE);
    client.closed();
}

#[test]
fn refusals_over_http_1_0_close_too() {
    let server = Server::start(&[]);
    for target in ["/absent", "/bare/", "/dir", "/%zz"] {
        let mut client = server.client();
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        assert!(client.response().closes(), "{target}");
        client.closed();
    }
}
