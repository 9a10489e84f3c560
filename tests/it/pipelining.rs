//! Requests sent before the answers to those ahead of them: every one is answered, in order, and a client
//! that reads none of the answers is not read from without bound.

use std::time::Duration;

use crate::support::tree::{INDEX, PAGE, large, text};
use crate::support::{Dice, Server};

const MIXED: &[(&str, u16)] = &[
    ("GET / HTTP/1.1\r\nHost: test\r\n\r\n", 200),
    ("GET /absent HTTP/1.1\r\nHost: test\r\n\r\n", 404),
    ("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", 200),
    ("GET /text.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9\r\n\r\n", 206),
    ("GET /text.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=5000-\r\n\r\n", 416),
    ("GET / HTTP/1.1\r\nHost: test\r\nIf-None-Match: *\r\n\r\n", 304),
    ("GET /dir HTTP/1.1\r\nHost: test\r\n\r\n", 301),
    ("HEAD /absent HTTP/1.1\r\nHost: test\r\n\r\n", 404),
    ("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", 405),
    ("GET /empty.txt HTTP/1.1\r\nHost: test\r\n\r\n", 200),
    ("GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n", 200),
    ("HEAD /large.html HTTP/1.1\r\nHost: test\r\n\r\n", 200),
    ("GET /page.html HTTP/1.1\r\nHost: test\r\nIf-Match: \"x\"\r\n\r\n", 412),
];

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let asked: [(&str, &[u8]); 5] = [
        ("/", INDEX),
        ("/page.html", PAGE),
        ("/empty.txt", b""),
        ("/dir/", b"index of dir\n"),
        ("/dir/inner.txt", b"in dir\n"),
    ];
    let raw: String =
        asked.iter().map(|(target, _)| format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).collect();
    client.send(raw.repeat(10));
    for _ in 0..10 {
        asked.iter().for_each(|(_, body)| client.response().is(200, body));
    }
}

#[test]
fn answers_of_every_kind_keep_their_order() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let raw: String = MIXED.iter().map(|(raw, _)| *raw).collect();
    client.send(raw.repeat(3));
    for (raw, status) in MIXED.iter().cycle().take(MIXED.len() * 3) {
        let head = raw.starts_with("HEAD");
        let response = if head { client.response_to_head() } else { client.response() };
        response.has_status(&[*status]);
    }
    client.still_serves();
}

#[test]
fn pipelined_requests_may_be_cut_anywhere() {
    let server = Server::start(&[]);
    let raw: String = MIXED.iter().map(|(raw, _)| *raw).collect();
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let mut client = server.client();
        let mut rest = raw.as_bytes();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(1 + dice.below(60)));
            client.send(piece);
            rest = after;
        }
        for (raw, status) in MIXED {
            let head = raw.starts_with("HEAD");
            let response = if head { client.response_to_head() } else { client.response() };
            response.has_status(&[*status]);
        }
    }
}

#[test]
fn two_thousand_at_once_are_all_answered() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let raw = "GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n".repeat(2000);
    // Sent by a thread: neither side's buffers hold all of it.
    let mut sender = client.twin();
    std::thread::scope(|scope| {
        scope.spawn(move || assert!(sender.send(raw)));
        (0..2000).for_each(|_| client.response().is(200, PAGE));
    });
}

#[test]
fn answers_may_be_read_after_all_was_sent() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /text.txt HTTP/1.1\r\nHost: test\r\n\r\n".repeat(400));
    let body = text();
    (0..400).for_each(|_| client.response().is(200, &body));
}

#[test]
fn large_and_small_answers_alternate() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let pair = "GET /large.html HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n";
    client.send(pair.repeat(4));
    let body = large();
    for _ in 0..4 {
        client.response().is(200, &body);
        client.response().is(200, INDEX);
    }
}

#[test]
fn a_half_close_after_pipelined_requests_loses_none() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n".repeat(50));
    client.half_close();
    (0..50).for_each(|_| client.response().is(200, PAGE));
    client.closed();
}

#[test]
fn a_refusal_comes_after_the_answers_before_it() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let good = "GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n";
    client.send(format!("{good}{good}GET /page.html HTTP/1.1\r\nHost : test\r\n\r\n{good}"));
    client.response().is(200, PAGE);
    client.response().is(200, PAGE);
    client.response().has_status(&[400]);
    client.closed();
}

#[test]
fn a_client_that_reads_nothing_is_not_read_from_without_bound() {
    let server = Server::start(&[]);
    let asked = "GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000);
    let mut client = crate::support::Client::with_small_window(server.address());
    let limit = 32 << 20;
    let mut taken = 0;
    while taken < limit {
        let count = client.send_until_full(asked.as_bytes(), Duration::from_secs(1));
        taken += count;
        if count < asked.len() {
            break;
        }
    }
    assert!(taken < limit, "{taken} bytes of requests were taken unanswered");
    server.get("/").is(200, INDEX);
}
