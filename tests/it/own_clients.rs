//! The clients of these tests, held to nginx: what they say of a server is of worth only if they are right
//! about one that is known to be.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use rustls::version::{TLS12, TLS13};

use crate::support::authority::{Authority, Issued, Wish};
use crate::support::balancer::{Balancer, is_missing};
use crate::support::h2::Failure;
use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Connection, Ignored, Stream};
use crate::support::tls::Refusal;
use crate::support::transport::End;
use crate::support::tree::{INDEX, PAGE, large, text};
use crate::support::{Client, DEADLINE, H2, Tls, Tree, every};

/// nginx with the usual site, and the certificate that it has for `test`.
struct Peer {
    nginx: Balancer,
    authority: Authority,
    certificate: Issued,
    _tree: Tree,
}

impl Peer {
    /// None, with a plain word, where there is no nginx.
    fn start(test: &str) -> Option<Self> {
        if is_missing("nginx", test) {
            return None;
        }
        let (tree, authority) = (Tree::site(), Authority::new());
        let certificate = authority.issue(&["test", "*.site.test"]);
        let nginx = Balancer::files(tree.path(), &certificate);
        Some(Self { nginx, authority, certificate, _tree: tree })
    }

    fn plain(&self) -> SocketAddr {
        self.nginx.addresses[0]
    }

    fn tls(&self) -> SocketAddr {
        self.nginx.addresses[1]
    }
}

#[track_caller]
fn asks_for_all(mut client: H2) {
    client.get("/").is(200, INDEX);
    client.get("/page.html").is(200, PAGE);
    client.get("/absent").has_status(&[404]);
    client.get("/empty.txt").is(200, "");
    client.get_with("/text.txt", &[("range", "bytes=10-19")]).is(206, &text()[10..20]);
    let tag = client.get("/page.html")["etag"].clone();
    client.get_with("/page.html", &[("if-none-match", &tag)]).is(304, "");
    let head = client.ask("HEAD", "/large.html", &[]);
    assert_eq!(client.response(head).length(), Some(large().len() as u64));
    let body = large();
    let streams: Vec<u32> = (0..30).map(|_| client.ask("GET", "/large.html", &[])).collect();
    streams.into_iter().for_each(|stream| client.response(stream).is(200, &body));
    let long = "x".repeat(3000);
    client.get_with("/page.html", &[("x-a", &long), ("x-b", &long)]).is(200, PAGE);
    let left = client.ask("GET", "/large.html", &[]);
    client.until("a part of the body", |client| !client.streams[&left].body.is_empty());
    client.put(rst_stream(left, CANCEL));
    client.get("/page.html").is(200, PAGE);
    client.ping();
}

#[test]
fn http2_is_spoken_with_tls_and_without() {
    let Some(peer) = Peer::start("http2_is_spoken_with_tls_and_without") else { return };
    asks_for_all(H2::connect(peer.plain()));
    asks_for_all(H2::connect_with(peer.plain(), &[(INITIAL_WINDOW_SIZE, 300), (HEADER_TABLE_SIZE, 0)]));
    asks_for_all(H2::tls(&Tls::trusting(&peer.authority), peer.tls()));
}

#[test]
fn windows_are_kept_and_opened() {
    let Some(peer) = Peer::start("windows_are_kept_and_opened") else { return };
    let mut client = H2::connect_with(peer.plain(), &[(INITIAL_WINDOW_SIZE, 0)]).keeping_windows();
    let stream = client.ask("GET", "/page.html", &[]);
    client.until("a head", |client| client.streams[&stream].head.is_some());
    client.ping();
    assert!(client.streams[&stream].body.is_empty());
    client.open_window(stream, 7);
    client.until("a part", |client| client.streams[&stream].body.len() == 7);
    client.change_initial_window(10);
    client.until("a part", |client| client.streams[&stream].body.len() == 17);
    client.open_window(stream, 1000);
    client.response(stream).is(200, PAGE);
}

#[test]
fn reactions_are_told_apart() {
    let Some(peer) = Peer::start("reactions_are_told_apart") else { return };
    let connect = || {
        let mut client = H2::connect(peer.plain());
        client.known(9);
        client
    };
    let mut client = connect();
    client.put(data(0, "x"));
    client.reacts(&Connection(&[PROTOCOL_ERROR]));
    let mut client = connect();
    client.put(frame(PING, 0, 0, [0; 6]));
    client.reacts(&Connection(&[FRAME_SIZE_ERROR]));
    let mut client = connect();
    client.put([post(1), window_update(1, 0)].concat());
    client.reacts(&Stream(&[PROTOCOL_ERROR]));
    let mut client = connect();
    client.put(frame(0x42, 0, 0, "unknown"));
    client.reacts(&Ignored);
    let rows: [(&str, Vec<u8>); 2] =
        [("another code", frame(PING, 0, 0, [0; 6])), ("no error", ping(&[0; 8]))];
    for (name, bytes) in rows {
        let address = peer.plain();
        let judged = std::panic::catch_unwind(|| {
            let mut client = H2::connect(address).patient(std::time::Duration::from_millis(300));
            client.put(&bytes);
            client.reacts(&Connection(&[FLOW_CONTROL_ERROR]));
        });
        assert!(judged.is_err(), "{name} is taken for the right one");
    }
    let mut client = connect();
    let stream = client.begin(PAGE_FIELDS);
    client.put(request(stream, &[(":method", "GET"), (":scheme", "http"), ("X-Upper", "1")]));
    assert!(matches!(client.outcome(stream), Err(Failure::Reset(PROTOCOL_ERROR)) | Ok(_)));
}

#[test]
fn handshakes_are_told() {
    let Some(peer) = Peer::start("handshakes_are_told") else { return };
    let tls = Tls::trusting(&peer.authority);
    let shaken = tls.connect(peer.tls()).handshake();
    assert_eq!((shaken.version.as_str(), shaken.alpn), ("TLSv1_3", None));
    assert!(shaken.suite.starts_with("TLS13_") && !shaken.is_resumed);
    assert_eq!(shaken.certificate, peer.certificate.der);
    let versions = [(&TLS12, "TLSv1_2"), (&TLS13, "TLSv1_3")];
    for (version, name) in versions {
        let tls = Tls::with(Some(&peer.authority), &[version], &[]);
        let shaken = tls.offering(&["http/1.1"]).connect(peer.tls()).handshake();
        assert_eq!((shaken.version.as_str(), shaken.alpn.as_deref()), (name, Some("http/1.1")));
    }
    let suite = "TLS13_CHACHA20_POLY1305_SHA256";
    let tls = Tls::with(None, &[&TLS13], &[suite]);
    assert_eq!(tls.named("other").connect(peer.tls()).handshake().suite, suite);
}

#[test]
fn a_wrong_certificate_is_refused() {
    let Some(peer) = Peer::start("a_wrong_certificate_is_refused") else { return };
    let stranger = Authority::new();
    let disliked = |tls: Tls| matches!(tls.attempt(peer.tls()), Err(Refusal::Disliked(_)));
    assert!(disliked(Tls::trusting(&stranger)));
    assert!(disliked(Tls::trusting(&peer.authority).named("other")));
    Tls::trusting(&peer.authority).named("x.site.test").connect(peer.tls());
    Tls::trusting(&peer.authority).without_sni().connect(peer.tls());
    Tls::trusting_all().named("other").connect(peer.tls());
}

#[test]
fn sessions_are_resumed_by_their_tickets() {
    let Some(peer) = Peer::start("sessions_are_resumed_by_their_tickets") else { return };
    for tls in [Tls::old(&peer.authority), Tls::new(&peer.authority)] {
        for round in 0..4 {
            let mut client = tls.client(peer.tls());
            client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            client.response().is(200, PAGE);
            assert_eq!(client.handshake().is_resumed, round > 0);
            client.closed();
            assert_eq!(client.end(), Some(End::Orderly));
        }
        assert!(!tls.named("x.site.test").connect(peer.tls()).handshake().is_resumed);
    }
}

/// Lets through so many bytes of what a server sends, then ends with a FIN.
fn cutting(server: SocketAddr, count: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect_timeout(&server, DEADLINE).unwrap();
        server.set_read_timeout(Some(DEADLINE)).unwrap();
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
        let _ = std::io::copy(&mut server.take(count), &mut &client);
        let _ = client.shutdown(Shutdown::Write);
        let _ = (&client).flush();
    });
    address
}

#[test]
fn a_cut_is_told_from_an_end() {
    let Some(peer) = Peer::start("a_cut_is_told_from_an_end") else { return };
    let tls = Tls::trusting(&peer.authority);
    let address = cutting(peer.tls(), 100_000);
    let mut client: Client = tls.client(address);
    client.send("GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    assert!(client.rest().len() > 50_000);
    assert_eq!(client.end(), Some(End::Cut));
    assert_eq!(tls.attempt(cutting(peer.tls(), 100)).err(), Some(Refusal::Ended(End::Cut)));
    let mut client = H2::tls(&tls, cutting(peer.tls(), 50_000));
    let stream = client.ask("GET", "/large.html", &[]);
    assert_eq!(client.outcome(stream).err(), Some(Failure::Ended(End::Cut)));
}

#[test]
fn certificates_are_what_was_wished() {
    let Some(peer) = Peer::start("certificates_are_what_was_wished") else { return };
    let rows = [("RSA", true, 90, true), ("expired", false, -1, false), ("short", false, 3, true)];
    every(rows.map(|(name, is_rsa, days, is_right)| (name, (is_rsa, days, is_right))), |row| {
        let (is_rsa, days, is_right) = row;
        let tree = Tree::site();
        let wish = Wish { names: &["test", "127.0.0.1"], is_rsa, days };
        let nginx = Balancer::files(tree.path(), &peer.authority.grant(&wish));
        for tls in [Tls::old(&peer.authority), Tls::new(&peer.authority)] {
            assert_eq!(tls.named("127.0.0.1").attempt(nginx.addresses[1]).is_ok(), is_right);
        }
    });
}
