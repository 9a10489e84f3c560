//! The bodies of answers that refuse: small, HTML, framed, and free of what the client sent.

use crate::support::{Server, every};

#[test]
fn a_refusal_has_a_small_html_body_of_the_announced_length() {
    let server = Server::start(&[]);
    let asked = [
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (403, "GET /bare/ HTTP/1.1\r\nHost: test\r\n\r\n"),
        (404, "GET /absent HTTP/1.1\r\nHost: test\r\n\r\n"),
        (405, "DELETE /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        (412, "GET / HTTP/1.1\r\nHost: test\r\nIf-Match: \"other\"\r\n\r\n"),
        (416, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=100-\r\n\r\n"),
    ];
    every(asked.map(|(status, raw)| (status, (status, raw))), |(status, raw)| {
        let response = server.ask(raw);
        response.has_status(&[status]);
        assert_eq!(response["content-type"].split(';').next(), Some("text/html"));
        let text = response.text();
        assert!(text.contains(&status.to_string()) && text.len() < 2000, "{text}");
        assert!(response.field("etag").is_none() && response.field("last-modified").is_none());
    });
}

#[test]
fn refusals_that_are_no_fault_of_framing_keep_the_connection() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let asked = [
        (404, "GET /absent HTTP/1.1\r\nHost: test\r\n\r\n"),
        (403, "GET /bare/ HTTP/1.1\r\nHost: test\r\n\r\n"),
        (405, "DELETE /page.html HTTP/1.1\r\nHost: test\r\n\r\n"),
        (301, "GET /dir HTTP/1.1\r\nHost: test\r\n\r\n"),
        (412, "GET / HTTP/1.1\r\nHost: test\r\nIf-Match: \"other\"\r\n\r\n"),
        (416, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=100-\r\n\r\n"),
    ];
    for (status, raw) in asked {
        client.send(raw);
        let response = client.response();
        response.has_status(&[status]);
        assert_eq!(response["connection"], "keep-alive", "after {status}");
    }
    client.still_serves();
}

#[test]
fn markup_in_the_target_is_never_reflected() {
    let server = Server::start(&[]);
    let targets = [
        "/<script>alert(1)</script>",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/\"><script>x",
        "/dir?<script>x",
        "/absent?<script>x",
    ];
    every(targets.map(|target| (target, target)), |target| {
        let response = server.get(target);
        response.has_status(&[301, 400, 404]);
        assert!(!response.text().contains("<script"), "{}", response.text());
    });
}

#[test]
fn a_refusal_to_head_has_a_head_alone() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for (status, target) in [(404, "/absent"), (403, "/bare/"), (301, "/dir")] {
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.response_to_head().has_status(&[status]);
    }
    client.still_serves();
}
