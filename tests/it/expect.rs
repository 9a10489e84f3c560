//! `Expect: 100-continue`: it never hangs, and a body that was never sent is never waited for.

use crate::support::tree::PAGE;
use crate::support::{Client, Server};

const EXPECTING: &str =
    "GET /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// The final answer, with the body sent where the server says that it wants it.
#[track_caller]
fn final_answer(client: &mut Client) -> crate::support::Response {
    let first = client.response();
    if first.status != 100 {
        return first;
    }
    client.send("hello");
    client.response()
}

#[test]
fn an_expectation_is_answered_without_the_body() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(EXPECTING);
    let response = final_answer(&mut client);
    response.is(200, PAGE);
    client.ends_as(&response);
}

#[test]
fn a_body_that_comes_with_its_expectation_is_no_request() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(EXPECTING);
    client.send("hello");
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut response = client.response();
    if response.status == 100 {
        response = client.response();
    }
    response.is(200, PAGE);
    if response.closes() { client.closed() } else { client.response().is(200, PAGE) }
}

#[test]
fn an_expectation_without_a_body_changes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\r\n");
    client.still_serves_after(|response| response.is(200, PAGE));
}

#[test]
fn a_refused_method_with_an_expectation_is_answered_at_once() {
    let server = Server::start(&[]);
    for length in [5u64, 1 << 40] {
        let mut client = server.client();
        client.send(format!(
            "PUT /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nExpect: 100-Continue\r\n\r\n"
        ));
        let response = client.response();
        response.has_status(&[405, 413, 417]);
        client.ends_as(&response);
    }
}

#[test]
fn an_expectation_of_chunks_is_answered_too() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(
        "GET /page.html HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    );
    let mut response = client.response();
    if response.status == 100 {
        client.send("5\r\nhello\r\n0\r\n\r\n");
        response = client.response();
    }
    response.is(200, PAGE);
    client.ends_as(&response);
}
