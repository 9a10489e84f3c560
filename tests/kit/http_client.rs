//! The client that sees whether a server serves what it should.

use std::io::{self, Read, Write};
use std::net::TcpListener;

use crate::load::http_client::{Answer, ask};

/// What `ask` makes of a server that says this and closes.
fn told(answer: &'static str) -> io::Result<Answer> {
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
    });
    let answer = ask(address, "/x", &[("Range".into(), "bytes=0-1".into())]).map(|(answer, _)| answer);
    server.join().unwrap();
    answer
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
