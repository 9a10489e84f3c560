//! A client that sends without end takes no more than its turn: others are answered meanwhile, and the worker
//! gives its heartbeat.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::ASK_PAGE;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Stop};

/// Answers that another client must get within [`DEADLINE`]. One that waits for half a second each time gets
/// few.
const ANSWERS: usize = 100;

/// Bytes that must have been sent before the answers are counted.
const BEGUN: usize = 1 << 20;

/// Sends `opening` and then `piece` again and again, as fast as it can, and throws away what comes. Connects
/// again where the server has closed.
fn flood(address: SocketAddr, opening: &[u8], piece: &[u8], stop: &AtomicBool, sent: &AtomicUsize) {
    let pieces = piece.repeat(((16 << 10) / piece.len()).max(1));
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect_timeout(&address, DEADLINE) else { continue };
        // So that a server that takes nothing does not keep the test.
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| std::io::copy(&mut &stream, &mut std::io::sink()));
            if (&stream).write_all(opening).is_ok() {
                while !stop.load(Ordering::Relaxed) {
                    match (&stream).write(&pieces) {
                        Ok(count) => sent.fetch_add(count, Ordering::Relaxed),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                        Err(_) => break,
                    };
                }
            }
            let _ = stream.shutdown(Shutdown::Both);
        });
    }
}

/// Holds a server to answering one client, on its connection and on new ones, while another floods it.
#[track_caller]
fn others_are_answered_beside(server: &Server, opening: &[u8], piece: &[u8]) {
    others_are_answered(server, opening, piece, ANSWERS);
}

#[track_caller]
fn others_are_answered(server: &Server, opening: &[u8], piece: &[u8], answers: usize) {
    let worker = server.workers()[0];
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shown = String::from_utf8_lossy(&piece[..piece.len().min(40)]).into_owned();
    std::thread::scope(|scope| {
        scope.spawn(|| flood(server.address(), opening, piece, &stop, &sent));
        let _stop = Stop(&stop);
        let begun = Instant::now();
        while sent.load(Ordering::Relaxed) < BEGUN {
            assert!(begun.elapsed() < DEADLINE, "the flood of {shown:?} does not begin");
            std::thread::sleep(Duration::from_millis(2));
        }
        let begun = Instant::now();
        let mut kept = server.client();
        for count in 0..answers / 2 {
            kept.still_serves();
            server.get("/page.html").is(200, PAGE);
            assert!(begun.elapsed() < DEADLINE, "{} answers beside a flood of {shown:?}", 2 * count);
        }
    });
    assert_eq!(server.workers(), [worker], "the worker was replaced");
    let silent = server.log().contains("no heartbeat");
    assert!(!silent, "a flood of {shown:?} keeps the worker from its heartbeat");
}

#[test]
fn a_flood_of_empty_lines_keeps_no_client_waiting() {
    let server = Server::start(&[]);
    others_are_answered(&server, b"", b"\r\n", 4 * ANSWERS);
    // After a request, where the connection has been idle.
    others_are_answered(&server, ASK_PAGE, b"\r\n", 4 * ANSWERS);
}

#[test]
fn a_flood_within_a_head_keeps_no_client_waiting() {
    let server = Server::start(&[]);
    others_are_answered_beside(&server, b"", b"\n");
    others_are_answered_beside(&server, b"GET /", b"a");
    others_are_answered_beside(&server, b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"a");
    others_are_answered_beside(&server, b"GET / HTTP/1.1\r\nHost: test\r\n", b"X: y\r\n");
}

#[test]
fn a_flood_within_a_body_keeps_no_client_waiting() {
    const CHUNKED: &str = "GET /page.html HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::start(&[]);
    for (start, piece) in [
        ("", "1\r\nx\r\n"),
        ("1;", "e"),
        ("0\r\nX:", "v"),
        ("0\r\n", "X: y\r\n"),
        ("", "0"),
        ("", "1;e\r\nx\r\n"),
    ] {
        others_are_answered_beside(&server, format!("{CHUNKED}{start}").as_bytes(), piece.as_bytes());
    }
    let long = b"GET /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 999999999999\r\n\r\n";
    others_are_answered_beside(&server, long, b"x");
}

#[test]
fn a_flood_of_requests_with_bodies_keeps_no_client_waiting() {
    const HEAD: &str = "GET /page.html HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let server = Server::start(&[]);
    let request = format!("{HEAD}{}0\r\n\r\n", "1\r\nx\r\n".repeat(10_000));
    others_are_answered_beside(&server, b"", request.as_bytes());
    others_are_answered_beside(&server, b"", format!("{HEAD}0\r\n\r\n\r\n").as_bytes());
}

#[test]
fn a_flood_behind_a_last_response_keeps_no_client_waiting() {
    let server = Server::start(&[]);
    others_are_answered_beside(&server, b"GET / HTTP/1.1\r\n\r\n", b"x");
    others_are_answered_beside(&server, b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", b"x");
}

#[test]
fn a_flood_in_place_of_a_proxy_header_keeps_no_client_waiting() {
    let server = Launch::site()
        .listen(&["127.0.0.1:0", "127.0.0.2:0"])
        .flags(["--proxy-protocol", "127.0.0.2:0"])
        .start();
    for piece in [&b"PROXY UNKNOWN "[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\0", b"PROXY UNKNOWN\r\n\r\n"] {
        let worker = server.workers()[0];
        let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| flood(server.addresses[1], b"", piece, &stop, &sent));
            let _stop = Stop(&stop);
            let begun = Instant::now();
            let mut kept = Client::connect(server.addresses[0]);
            for _ in 0..ANSWERS {
                kept.still_serves();
                assert!(begun.elapsed() < DEADLINE, "beside {:?}", piece.escape_ascii().to_string());
            }
        });
        assert_eq!(server.workers(), [worker], "the worker was replaced");
    }
}
