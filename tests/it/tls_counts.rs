//! What the metrics and the access log say of TLS: handshakes and why they fail, phases, ends, and the fields
//! that a line in JSON has.

use std::fs;
use std::net::SocketAddr;

use crate::support::authority::Authority;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::{Client, H2, Launch, Tls, Tree, eventually};

const FAILURES: &str = "mayhttpd_tls_handshake_failures_total";
const ENDED: &str = "mayhttpd_connections_ended_total";
const TIMEOUTS: &str = "mayhttpd_connection_timeouts_total";

struct Counted {
    server: Configured,
    admin: SocketAddr,
    authority: Authority,
}

impl Counted {
    #[track_caller]
    fn start(settings: &str, flags: &[&str]) -> Self {
        let authority = Authority::new();
        let table = authority.issue(&["test"]).table();
        let launch = Launch::site().tls().flags(["--admin", "0"]).flags(flags.iter().copied());
        let server = launched(launch, &format!("{settings}{table}"));
        let admin = server.admin_address();
        Self { server, admin, authority }
    }

    fn address(&self) -> SocketAddr {
        self.server.tls_address()
    }

    fn count(&self, family: &str, label: &str, value: &str) -> usize {
        Exposition::of(self.admin).sum(family, &format!("{label}=\"{value}\"")) as usize
    }

    #[track_caller]
    fn until(&self, family: &str, (label, value): (&str, &str), count: usize) {
        eventually(&format!("{count} in {family} of {value}"), || {
            (self.count(family, label, value) == count).then_some(())
        });
    }

    /// Sends bytes as they are, and ends the connection.
    fn send(&self, bytes: &[u8]) {
        let mut client = Client::connect(self.address());
        client.send(bytes);
        client.half_close();
        client.rest();
    }
}

#[test]
fn handshakes_are_counted_as_full_or_resumed() {
    let server = Counted::start("", &[]);
    for tls in [Tls::old(&server.authority), Tls::new(&server.authority)] {
        (0..3).for_each(|_| tls.client(server.address()).still_serves());
    }
    server.until("mayhttpd_tls_handshakes_total", ("kind", "full"), 2);
    server.until("mayhttpd_tls_handshakes_total", ("kind", "resumed"), 4);
    assert_eq!(Exposition::of(server.admin).sum(FAILURES, ""), 0.0);
}

#[test]
fn handshakes_that_fail_are_counted_by_their_reasons() {
    let settings = "tls_versions = ['1.3']\ntls_unknown_names = 'reject'\n";
    let server = Counted::start(settings, &[]);
    let (authority, address) = (&server.authority, server.address());
    let tls = Tls::new(authority);
    server.send(b"GET / HTTP/1.1\r\n\r\n");
    server.until(FAILURES, ("reason", "not_tls"), 1);
    assert!(Tls::old(authority).attempt(address).is_err());
    server.until(FAILURES, ("reason", "version"), 1);
    assert!(tls.named("other.example").attempt(address).is_err());
    server.until(FAILURES, ("reason", "unknown_name"), 1);
    assert!(Tls::new(&Authority::new()).attempt(address).is_err());
    server.until(FAILURES, ("reason", "alert"), 1);
    server.send(&tls.hello()[..50]);
    server.until(FAILURES, ("reason", "closed"), 1);
    // What should be the end of the handshake is not sealed with its keys.
    server.send(&[&tls.hello()[..], &[0x17, 3, 3, 0, 40], &[1; 40]].concat());
    server.until(FAILURES, ("reason", "protocol"), 1);
    tls.client(address).still_serves();

    let server = Counted::start("", &[]);
    let rsa = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let old = Tls::with(Some(&server.authority), &[&rustls::version::TLS12], &[rsa]);
    assert!(old.attempt(server.address()).is_err());
    server.until(FAILURES, ("reason", "parameters"), 1);
}

#[test]
fn a_handshake_that_times_out_is_counted_in_its_own_phase() {
    let server = Counted::start("", &["--head-timeout", "500ms"]);
    let hello = Tls::new(&server.authority).hello();
    let mut clients: Vec<Client> = [1, 10, hello.len()]
        .map(|length| {
            let mut client = Client::connect(server.address());
            client.send(&hello[..length]);
            client
        })
        .into();
    server.until(TIMEOUTS, ("phase", "tls"), 3);
    clients.iter_mut().for_each(|client| drop(client.rest()));
    server.until(ENDED, ("reason", "timed_out"), 3);
    assert_eq!(server.count(TIMEOUTS, "phase", "handshake"), 0);
}

#[test]
fn an_end_without_close_notify_is_told_from_an_orderly_one() {
    let server = Counted::start("", &[]);
    let mut cut = 0;
    for tls in [Tls::old(&server.authority), Tls::new(&server.authority)] {
        // Between requests, in the middle of a head, and in the middle of a body.
        for part in
            ["", "GET /page.html HT", "POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nx"]
        {
            let mut client = tls.client(server.address());
            client.still_serves();
            client.send(part);
            client.half_close();
            client.rest();
            cut += 1;
            server.until(ENDED, ("reason", "truncated"), cut);
        }
        let mut client = tls.client(server.address());
        client.still_serves();
        client.send_close_notify();
        client.closed();
    }
    server.until(ENDED, ("reason", "peer_closed"), 2);
    assert_eq!(server.count(ENDED, "reason", "truncated"), cut);
    assert_eq!(server.count(ENDED, "reason", "broken"), 0);
}

#[test]
fn a_line_in_json_has_what_was_agreed_on() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let server = Counted::start("", &["--access-log", path.to_str().unwrap(), "--access-format", "json"]);
    let with = |version| {
        let suites = ["TLS13_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"];
        Tls::with(Some(&server.authority), &[version], &suites)
    };
    let (old, new) = (with(&rustls::version::TLS12), with(&rustls::version::TLS13));
    (0..2).for_each(|_| old.client(server.address()).still_serves());
    new.client(server.address()).still_serves();
    H2::tls(&new, server.address()).get("/page.html").has_status(&[200]);
    new.without_sni().client(server.address()).still_serves();
    server.server.get("/page.html").has_status(&[200]);
    let lines = eventually("six requests in the access log", || {
        let text = fs::read_to_string(&path).unwrap();
        let requests = text.lines().map(Json::parse).filter(|line| line.field("method").is_some());
        let requests: Vec<Json> = requests.collect();
        (requests.len() == 6).then_some(requests)
    });
    let of_old = ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    let of_new = ("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    for (line, (version, suite)) in lines.iter().zip([of_old, of_old, of_new, of_new, of_new]) {
        assert_eq!((line.text("ssl_protocol"), line.text("ssl_cipher")), (version, suite));
    }
    for (line, is_resumed) in lines.iter().zip([false, true]) {
        let found = format!("{:?}", line.field("ssl_session_reused").unwrap());
        assert!(found.contains(&is_resumed.to_string()), "{found}");
    }
    assert!(lines[..4].iter().all(|line| line.text("ssl_server_name") == "test"));
    assert!(!format!("{:?}", lines[4].field("ssl_server_name")).contains("test"));
    for field in ["ssl_protocol", "ssl_cipher", "ssl_server_name", "ssl_session_reused"] {
        assert!(lines[5].field(field).is_none(), "{field} without TLS");
    }
}
