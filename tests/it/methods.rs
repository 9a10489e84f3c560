//! Methods: GET and HEAD are served, OPTIONS says so, every other is 405, and nothing a client sends comes
//! back to it.

use crate::support::tree::PAGE;
use crate::support::{Server, every};

#[test]
fn every_other_method_is_405_with_allow() {
    let server = Server::start(&[]);
    let methods = [
        "POST",
        "PUT",
        "DELETE",
        "PATCH",
        "options",
        "TRACE",
        "PROPFIND",
        "MKCOL",
        "LOCK",
        "FROB",
        "get",
        "Get",
        "GETX",
        "HEADS",
        "G",
        "!#$%&'*+-.^_`|~",
        "PURGE",
    ];
    every(methods.map(|method| (method, method)), |method| {
        let raw = format!("{method} /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
        let response = server.answers(raw, &[405]);
        assert_eq!(response["allow"], "GET, HEAD, OPTIONS");
    });
    assert_eq!(std::fs::read(server.tree().at("page.html")).unwrap(), PAGE);
}

#[test]
fn a_refused_method_is_405_wherever_it_points() {
    let server = Server::start(&[]);
    for target in ["/", "/absent", "/bare/", "/dir"] {
        server.answers(format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), &[405]);
    }
}

#[test]
fn options_is_answered_wherever_it_points() {
    let server = Server::start(&[]);
    for target in ["*", "/", "/page.html", "/absent", "/%zz", "http://test/"] {
        let mut client = server.client();
        for body in ["", "Content-Length: 2\r\n\r\n{}"] {
            let end = if body.is_empty() { "\r\n" } else { body };
            client.send(format!("OPTIONS {target} HTTP/1.1\r\nHost: test\r\n{end}"));
            let response = client.response();
            response.is(204, "");
            assert_eq!(response["allow"], "GET, HEAD, OPTIONS", "{target}");
            assert_eq!(response.field("content-length"), None, "RFC 9110 §8.6");
        }
        client.still_serves();
    }
}

#[test]
fn connect_is_405() {
    let server = Server::start(&[]);
    let connect = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n";
    server.answers(connect, &[405]);
}

#[test]
fn trace_reflects_nothing() {
    let server = Server::start(&[]);
    let raw = "TRACE /page.html HTTP/1.1\r\nHost: test\r\nX-Secret: s3cr3t\r\n\r\n";
    let response = server.answers(raw, &[405]);
    assert!(!response.text().contains("s3cr3t") && !response.text().contains("TRACE"));
}

#[test]
fn a_refused_method_ignores_conditions_and_no_range() {
    let server = Server::start(&[]);
    server.answers(
        "POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nIf-None-Match: *\r\nRange: bytes=0-1\r\n\r\n",
        &[405],
    );
}

#[test]
fn head_is_answered_as_get_with_no_body() {
    let server = Server::start(&[]);
    let targets = ["/", "/page.html", "/large.html", "/empty.txt", "/dir/", "/dir", "/absent", "/bare/"];
    server.settled_tag("/large.html");
    every(targets.map(|target| (target, target)), |target| {
        let get = server.get(target);
        let mut client = server.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let head = client.response_to_head();
        assert_eq!(head.status, get.status);
        for name in [
            "content-length",
            "content-type",
            "etag",
            "last-modified",
            "accept-ranges",
            "location",
            "connection",
        ] {
            assert_eq!(head.field(name), get.field(name), "{name}");
        }
        client.still_serves();
    });
}

#[test]
fn head_ignores_a_range() {
    let server = Server::start(&[]);
    for range in ["bytes=0-3", "bytes=1000-", "bytes=0-0,2-2"] {
        let raw = format!("HEAD /page.html HTTP/1.1\r\nHost: test\r\nRange: {range}\r\n\r\n");
        let response = server.ask(raw);
        response.has_status(&[200]);
        assert_eq!(response.length(), Some(38), "{range}");
    }
}

#[test]
fn a_body_with_head_is_skipped() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("HEAD /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n0123456789");
    let response = client.response_to_head();
    response.has_status(&[200]);
    client.ends_as(&response);
}
