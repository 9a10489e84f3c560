//! Connections by TLS for one request each, against a server that answers each path with itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::load::content::Directory;
use crate::load::handshakes::{Handshakes, Seen, parse};
use crate::load::protocol::Protocol;
use crate::load::tls::KeyPair;

/// A server that chooses one of these protocols and keeps sessions or not; 404 for paths that end in 404.
fn server(protocols: &[&str], keeps_sessions: bool) -> SocketAddr {
    let directory = Directory::make().unwrap();
    let pair = KeyPair::make(directory.path()).unwrap();
    let chain = vec![CertificateDer::from_pem_file(pair.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(pair.key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|&name| name.into()).collect();
    if !keeps_sessions {
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(tls, stream.unwrap());
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut byte) {
                        Ok(1) => head.push(byte[0]),
                        _ => return,
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap();
                let status = if path.ends_with("404") { "404 Not Found" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{path}", path.len());
                // The client ends the connection.
                let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.read(&mut byte));
            });
        }
    });
    address
}

fn seen(address: SocketAddr, target: &str, resumed: bool) -> Result<Seen, String> {
    let (port, target) = (address.port(), target.to_owned());
    Handshakes { port, seconds: 1, target, clients: 2, resumed }.ask()
}

#[test]
fn handshakes_are_full_or_resumed_as_asked() {
    let address = server(&["http/1.1"], true);
    for resumed in [false, true] {
        let seen = seen(address, "/page", resumed).unwrap();
        assert_eq!((seen.failed, seen.non_2xx, seen.bytes), (0, 0, seen.answers * 5), "{seen:?}");
        assert!(seen.seconds >= 1.0 && seen.answers > 0 && seen.p50_us <= seen.p99_us, "{seen:?}");
    }
}

#[test]
fn a_session_that_is_not_resumed_is_a_failure() {
    let why = seen(server(&["http/1.1"], false), "/page", true).unwrap_err();
    assert_eq!(why, "the session was not resumed");
}

#[test]
fn no_good_answer_is_an_error() {
    let why = seen(server(&["http/1.1"], true), "/404", false).unwrap_err();
    assert_eq!(why, "no good answer");
    let why = seen(server(&[], true), "/page", false).unwrap_err();
    assert_eq!(why, "it chooses the protocol none");
}

#[test]
fn a_server_of_http2_must_choose_it() {
    let ask = |protocols| Protocol::Http2.ask(server(protocols, true), "/page", &[]);
    assert_eq!(ask(&["h2", "http/1.1"]).unwrap().length, 5);
    assert!(ask(&["http/1.1"]).is_err());
}

#[test]
fn its_line_is_read_like_the_output_of_the_others() {
    let line = r#"{"seconds":2.0,"answers":520,"bytes":19760,"failed":1,"non_2xx":2,"p50_us":105.0,"p99_us":270.5,"p999_us":null}"#;
    let load = parse(&format!("the first failure\n{line}\n")).unwrap();
    assert_eq!((load.requests, load.bytes, load.failed, load.non_2xx), (520, 19760.0, 1, 2));
    assert_eq!((load.p50_us, load.p99_us, load.p999_us), (Some(105.0), Some(270.5), None));
    assert_eq!(parse("load: no good answer\n").unwrap_err(), "load: no good answer");
}
