//! The floor, as a client meets it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::load::http_client::ask;
use crate::load::peers::floor::Floor;
use crate::load::server::free_port;

/// A floor on a thread that ends with the tests; a connection to it.
fn connect(body: usize, close: bool, after: u16) -> (SocketAddr, TcpStream) {
    let port = free_port(after).unwrap();
    std::thread::spawn(move || Floor { port, body, close }.run().unwrap());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let start = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                return (address, stream);
            }
            Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn it_responds_once_for_each_blank_line_wherever_the_pieces_are_cut() {
    let (address, mut stream) = connect(5, false, 7000);
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxxxxx";
    let requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40);
    for cut in [1, 3, 27, 28, 500] {
        for piece in requests.chunks(cut) {
            stream.write_all(piece).unwrap();
        }
        let mut responses = vec![0; response.len() * 40];
        stream.read_exact(&mut responses).unwrap();
        assert!(responses == response.repeat(40), "cut at {cut}");
    }
    assert_eq!(ask(address, "/", &[]).unwrap().0.length, 5);
}

#[test]
fn it_sends_a_long_response_whole_and_closes_where_it_should() {
    let (address, mut stream) = connect(3_000_000, true, 8000);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.starts_with(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\nConnection: close\r\n\r\nx"));
    assert!(all.ends_with(b"x") && all.len() > 3_000_000);
    assert_eq!(ask(address, "/", &[]).unwrap().0.length, 3_000_000);
}
