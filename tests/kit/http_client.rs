//! The client that sees whether a server serves what it should.

use std::io::{self, Read, Write};
use std::net::TcpListener;

use crate::load::http_client::{Answer, ask};

/// What `ask` makes of a server that says this and closes.
fn told(answer: &'static str) -> io::Result<Answer> {
    exchange(&[("Range", "bytes=0-1")], answer).1
}

/// The head of a request with these fields, and what `ask` makes of a server that says this and closes.
fn exchange(fields: &[(&str, &str)], answer: &'static str) -> (String, io::Result<Answer>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(head).unwrap()
    });
    let fields: Vec<_> = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    let answer = ask(address, "/x", &fields).map(|(answer, _)| answer);
    (server.join().unwrap(), answer)
}

#[test]
fn a_request_names_the_host_that_it_is_told_to() {
    let end = "HTTP/1.1 204 N\r\n\r\n";
    let head = exchange(&[("Host", "host-0.example")], end).0;
    assert_eq!(head, "GET /x HTTP/1.1\r\nHost: host-0.example\r\n\r\n");
    assert!(exchange(&[], end).0.starts_with("GET /x HTTP/1.1\r\nHost: 127.0.0.1:"));
}

#[test]
fn an_answer_has_its_coding_and_its_location() {
    let answer = told("HTTP/1.1 301 M\r\nLocation: /new\r\nContent-Encoding: br\r\n\r\n").unwrap();
    assert_eq!((answer.location.as_deref(), answer.coding.as_deref()), (Some("/new"), Some("br")));
}

#[test]
fn an_answer_is_read_to_its_end() {
    let answer = told("HTTP/1.1 206 P\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\nab").unwrap();
    assert_eq!((answer.status, answer.length, answer.etag.as_deref()), (206, 2, Some("\"x\"")));
    assert_eq!(told("HTTP/1.0 200 OK\r\n\r\nabc").unwrap().length, 3);
    assert_eq!(told("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n").unwrap().length, 0);
}

#[test]
fn an_answer_that_is_cut_is_an_error() {
    assert!(told("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab").is_err());
    assert!(told("HTTP/1.1 200 OK\r\n").is_err());
    assert!(told("nonsense\r\n\r\n").is_err());
}

#[test]
fn a_chunked_answer_is_as_long_as_its_content() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let told = |body: &str| told(format!("{HEAD}{body}").leak()).map(|answer| answer.length);
    assert_eq!(told("3\r\nabc\r\nA;x\r\n0123456789\r\n0\r\n\r\n").unwrap(), 13);
    assert_eq!(told("0\r\n\r\n").unwrap(), 0);
    for cut in ["", "3\r\nab", "3\r\nabc\r\n", "3\r\nabc\r\n0\r\n", "nonsense", "ffffffffffffffff\r\n"] {
        assert!(told(cut).is_err(), "{cut:?}");
    }
}
