//! Handshakes: which versions, suites and protocols are agreed on, which certificate is chosen, where
//! sessions are resumed, and what becomes of clients that do not get so far.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;
use rustls::AlertDescription;
use rustls::version::{TLS12, TLS13};

use crate::support::authority::{Authority, Issued, Wish};
use crate::support::balancer::is_missing;
use crate::support::configured::{Configured, launched};
use crate::support::tls::Refusal;
use crate::support::transport::{End, Handshake};
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Dice, H2, Launch, Tls, eventually, every};

/// A server with these certificates, and these settings before their tables.
#[track_caller]
fn start(certificates: &[&Issued], settings: &str, flags: &[&str]) -> Configured {
    let tables: String = certificates.iter().map(|certificate| certificate.table()).collect();
    launched(Launch::site().tls().flags(flags.iter().copied()), &format!("{settings}{tables}"))
}

/// A server with a certificate for `test`, and a client that trusts it.
#[track_caller]
fn usual(settings: &str, flags: &[&str]) -> (Configured, Tls, Authority) {
    let authority = Authority::new();
    let server = start(&[&authority.issue(&["test"])], settings, flags);
    (server, Tls::trusting(&authority), authority)
}

fn alert(which: AlertDescription) -> Refusal {
    Refusal::Ended(End::Alert(which))
}

/// Why a client gets no session.
#[track_caller]
fn refused(tls: &Tls, address: SocketAddr) -> Refusal {
    match tls.attempt(address) {
        Ok(transport) => panic!("a session: {:?}", transport.handshake()),
        Err(refusal) => refusal,
    }
}

#[test]
fn both_versions_are_spoken_and_the_newer_preferred() {
    let (server, tls, authority) = usual("", &[]);
    let version = |tls: &Tls| tls.connect(server.tls_address()).handshake().version;
    assert_eq!(version(&tls), "TLSv1_3");
    assert_eq!(version(&Tls::old(&authority)), "TLSv1_2");
    assert_eq!(version(&Tls::new(&authority)), "TLSv1_3");
    // The plain listener stays what it was.
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_version_may_be_left_out() {
    for (kept, gone, text) in [(&TLS13, &TLS12, "1.3"), (&TLS12, &TLS13, "1.2")] {
        let (server, _, authority) = usual(&format!("tls_versions = ['{text}']\n"), &[]);
        Tls::with(Some(&authority), &[kept], &[]).client(server.tls_address()).still_serves();
        let refusal = refused(&Tls::with(Some(&authority), &[gone], &[]), server.tls_address());
        assert_eq!(refusal, alert(AlertDescription::ProtocolVersion));
    }
}

#[test]
fn each_suite_is_spoken_alone() {
    let authority = Authority::new();
    let ecdsa = authority.issue(&["test"]);
    let rsa = authority.grant(&Wish { is_rsa: true, ..Wish::default() });
    let server = start(&[&ecdsa, &rsa], "", &[]);
    let suites = [
        (&TLS13, "TLS13_AES_128_GCM_SHA256"),
        (&TLS13, "TLS13_AES_256_GCM_SHA384"),
        (&TLS13, "TLS13_CHACHA20_POLY1305_SHA256"),
        (&TLS12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        (&TLS12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        (&TLS12, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
        (&TLS12, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (&TLS12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        (&TLS12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    ];
    every(suites.map(|(version, suite)| (suite, (version, suite))), |(version, suite)| {
        let tls = Tls::with(Some(&authority), &[version], &[suite]);
        let mut client = tls.client(server.tls_address());
        assert_eq!(client.handshake().suite, suite);
        let wanted = if suite.contains("_RSA_") { &rsa.der } else { &ecdsa.der };
        assert!(version == &TLS13 || client.handshake().certificate == *wanted);
        client.still_serves();
    });
}

/// Settings, the protocols that are offered, and the chosen one.
type Offer<'a> = (&'a str, &'a [&'a str], Result<Option<&'a str>, Refusal>);

#[test]
fn an_offered_protocol_is_chosen_or_the_handshake_ends() {
    let none = alert(AlertDescription::NoApplicationProtocol);
    let rows: [Offer; 9] = [
        ("", &["h2", "http/1.1"], Ok(Some("h2"))),
        ("", &["http/1.1", "h2"], Ok(Some("h2"))),
        ("", &["h2"], Ok(Some("h2"))),
        ("", &["http/1.1"], Ok(Some("http/1.1"))),
        ("", &[], Ok(None)),
        ("", &["h3", "http/1.1"], Ok(Some("http/1.1"))),
        ("", &["h3"], Err(none.clone())),
        ("http2 = false\n", &["h2", "http/1.1"], Ok(Some("http/1.1"))),
        ("http2 = false\n", &["h2"], Err(none)),
    ];
    every(rows.map(|row| (format!("{}{:?}", row.0, row.1), row)), |(settings, offered, wanted)| {
        let (server, tls, _) = usual(settings, &[]);
        match tls.offering(offered).attempt(server.tls_address()) {
            Ok(transport) => {
                let chosen = transport.handshake().alpn;
                assert_eq!(wanted.clone(), Ok(chosen.as_deref()));
                match chosen.as_deref() {
                    Some("h2") => H2::over(transport, "https", &[]).get("/page.html").is(200, PAGE),
                    _ => Client::from(transport).still_serves(),
                }
            }
            Err(refusal) => assert_eq!(wanted, Err(refusal)),
        }
    });
}

#[test]
fn the_name_chooses_the_certificate() {
    let authority = Authority::new();
    let first = authority.issue(&["test", "www.test"]);
    let wild = authority.issue(&["*.wild.test", "wild.test"]);
    let exact = authority.issue(&["exact.wild.test"]);
    let rsa = authority.grant(&Wish { names: &["exact.wild.test"], is_rsa: true, ..Wish::default() });
    let server = start(&[&first, &wild, &exact, &rsa], "", &[]);
    let chosen = |name: &str| Tls::trusting_all().named(name).connect(server.tls_address()).handshake();
    for (name, wanted) in [
        ("test", &first),
        ("WWW.Test", &first),
        ("wild.test", &wild),
        ("a.wild.test", &wild),
        ("exact.wild.test", &exact),
        // A star is one label.
        ("a.b.wild.test", &first),
        ("unknown.example", &first),
        ("127.0.0.1", &first),
    ] {
        assert!(chosen(name).certificate == wanted.der, "another certificate for {name}");
    }
    let silent = Tls::trusting_all().without_sni().connect(server.tls_address()).handshake();
    assert!(silent.certificate == first.der, "another certificate without a name");
    let old = Tls::with(Some(&authority), &[&TLS12], &["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
    let shaken = old.named("exact.wild.test").connect(server.tls_address()).handshake();
    assert!(shaken.certificate == rsa.der, "another certificate for a client of RSA");
}

#[test]
fn names_that_no_certificate_has_may_be_rejected() {
    let authority = Authority::new();
    let settings = "tls_unknown_names = 'reject'\n";
    let server = start(&[&authority.issue(&["test", "*.site.test"])], settings, &[]);
    let all = Tls::trusting_all();
    for version in [&TLS12, &TLS13] {
        let tls = Tls::with(None, &[version], &[]);
        let refusal = refused(&tls.named("other.example"), server.tls_address());
        let known = [AlertDescription::UnrecognisedName, AlertDescription::AccessDenied];
        assert!(known.map(alert).contains(&refusal), "{refusal:?}");
    }
    all.named("x.site.test").client(server.tls_address()).still_serves();
}

/// Connects once to get a ticket, and then again and again; true for each that is resumed.
#[track_caller]
fn resumed(tls: &Tls, address: SocketAddr, count: usize) -> Vec<bool> {
    resumed_once(tls, address);
    (0..count).map(|_| resumed_once(tls, address)).collect()
}

#[track_caller]
fn resumed_once(tls: &Tls, address: SocketAddr) -> bool {
    let mut client = tls.client(address);
    // The tickets of version 1.3 come behind the handshake, and each is used once.
    client.still_serves();
    client.handshake().is_resumed
}

#[test]
fn tickets_are_good_at_each_worker() {
    let authority = Authority::new();
    let tables = authority.issue(&["test"]).table();
    let server = launched(Launch::site().tls().workers(2), &tables);
    for tls in [Tls::old(&authority), Tls::new(&authority)] {
        let resumed = resumed(&tls, server.tls_address(), 20);
        assert!(resumed.iter().all(|resumed| *resumed), "{resumed:?}");
    }
}

#[test]
fn tickets_outlive_a_reload_and_a_worker() {
    let (server, _, authority) = usual("", &[]);
    for tls in [Tls::old(&authority), Tls::new(&authority)] {
        assert_eq!(resumed(&tls, server.tls_address(), 1), [true]);
        let before = server.workers();
        server.signal(Signal::HUP);
        eventually("the worker is replaced", || {
            let workers = server.workers();
            (workers.len() == 1 && workers != before).then_some(())
        });
        assert!(resumed_once(&tls, server.tls_address()), "after a reload");
        server.replace_worker();
        assert!(resumed_once(&tls, server.tls_address()), "after a kill");
    }
}

#[test]
fn no_ticket_allows_data_before_the_handshake_is_complete() {
    let (server, _, authority) = usual("", &[]);
    let tls = Tls::new(&authority);
    assert_eq!(resumed(&tls, server.tls_address(), 1), [true]);
    // It has a ticket of the last connection.
    assert!(!tls.has_early_data());
}

#[test]
fn a_ticket_of_another_server_is_a_full_handshake() {
    let authority = Authority::new();
    let certificate = authority.issue(&["test"]);
    let servers = [start(&[&certificate], "", &[]), start(&[&certificate], "", &[])];
    for tls in [Tls::old(&authority), Tls::new(&authority)] {
        assert_eq!(resumed(&tls, servers[0].tls_address(), 1), [true]);
        let mut client = tls.client(servers[1].tls_address());
        assert!(!client.handshake().is_resumed);
        client.still_serves();
    }
}

#[test]
fn another_certificate_is_taken_up_by_a_reload() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(&["test"]), authority.issue(&["test"]));
    let server = start(&[&old], "", &[]);
    let tls = Tls::trusting(&authority);
    let certificate = || tls.without_sni().connect(server.tls_address()).handshake().certificate;
    assert!(certificate() == old.der);
    let mut kept = tls.client(server.tls_address());
    kept.still_serves();
    authority.replace(&old, &new);
    server.signal(Signal::HUP);
    eventually("the new one is served", || (certificate() == new.der).then_some(()));
    // A pair that does not fit keeps the one before.
    std::fs::copy(&authority.issue(&["test"]).key, &old.key).unwrap();
    server.signal(Signal::HUP);
    server.says("that the key does not fit", |line| line.contains(old.key.to_str().unwrap()));
    assert!(certificate() == new.der);
    tls.client(server.tls_address()).still_serves();
}

#[test]
fn a_hello_that_stays_half_is_not_waited_for_without_end() {
    let (server, tls, _) = usual("", &["--head-timeout", "500ms", "--idle-timeout", "1s"]);
    let hello = tls.hello();
    let begun = Instant::now();
    let mut clients: Vec<Client> = [0, 1, 5, 6, 100, hello.len() - 1, hello.len()]
        .map(|length| {
            let mut client = Client::connect(server.tls_address()).patient(DEADLINE * 2);
            client.send(&hello[..length]);
            client
        })
        .into();
    clients.iter_mut().for_each(|client| drop(client.rest()));
    assert!(begun.elapsed() < DEADLINE * 2);
    tls.client(server.tls_address()).still_serves();
}

#[test]
fn a_dripped_hello_is_cut_at_its_deadline() {
    let (server, tls, _) = usual("", &["--head-timeout", "1s"]);
    let hello = tls.hello();
    let mut client = Client::connect(server.tls_address());
    let begun = Instant::now();
    for byte in hello.iter().cycle().take(hello.len() - 1) {
        if client.is_closed() {
            return;
        }
        client.send([*byte]);
        assert!(begun.elapsed() < DEADLINE, "a drip is waited for without end");
        // The pace of the drip, not a wait.
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    client.rest();
}

#[test]
fn what_is_no_hello_ends_the_connection() {
    let (server, tls, _) = usual("", &[]);
    let hello = tls.hello();
    let altered = |at: usize, value: u8| {
        let mut hello = hello.clone();
        hello[at] = value;
        hello
    };
    let mut dice = Dice::new(5);
    let noise: Vec<u8> = (0..5000).map(|_| dice.next() as u8).collect();
    let rows: [(&str, Vec<u8>); 10] = [
        ("a plain request", b"GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n".to_vec()),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("noise", noise),
        ("zeros", vec![0; 5000]),
        ("a record that is too long", [&[0x16, 3, 1, 0xff, 0xff][..], &[0; 70_000]].concat()),
        ("an empty record", [0x16, 3, 1, 0, 0].repeat(100)),
        ("data before the handshake", [0x17, 3, 3, 0, 5, 1, 2, 3, 4, 5].repeat(10)),
        ("an alert", vec![0x15, 3, 1, 0, 2, 2, 40]),
        ("another version of the record", altered(1, 9)),
        ("another message", altered(5, 2)),
    ];
    every(rows, |bytes| {
        let mut client = Client::connect(server.tls_address());
        client.send(&bytes);
        client.half_close();
        let rest = client.rest();
        assert!(memchr::memmem::find(&rest, PAGE).is_none(), "a page came");
        assert!(rest.len() < 1000, "{} bytes came", rest.len());
    });
    tls.client(server.tls_address()).still_serves();
}

#[test]
fn hellos_with_a_wrong_byte_do_no_harm() {
    let (server, tls, _) = usual("", &[]);
    let worker = server.workers()[0];
    let hello = tls.hello();
    let mut dice = Dice::new(11);
    for _ in 0..300 {
        let mut hello = hello.clone();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(hello.len());
            hello[at] = dice.next() as u8;
        }
        let mut client = Client::connect(server.tls_address());
        client.send(&hello);
        client.half_close();
        client.rest();
    }
    tls.client(server.tls_address()).still_serves();
    assert_eq!(server.workers(), [worker], "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

#[test]
fn hundreds_that_leave_within_the_handshake_leave_nothing_behind() {
    let (server, tls, _) = usual("", &[]);
    tls.client(server.tls_address()).still_serves();
    let worker = server.workers()[0];
    let descriptors = worker.descriptors().map(|count| count + 2);
    let hello = tls.hello();
    for round in 0..300 {
        let mut client = Client::connect(server.tls_address());
        client.send(&hello[..hello.len() * (round % 4 + 1) / 4]);
        if round % 2 == 0 {
            client.reset();
        }
    }
    tls.client(server.tls_address()).still_serves();
    assert_eq!(server.workers(), [worker]);
    eventually("the connections are let go", || (worker.descriptors() <= descriptors).then_some(()));
}

#[test]
fn a_proxy_header_comes_before_the_hello() {
    let (server, tls, _) = usual("", &["--proxy-protocol", "all"]);
    for header in ["PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", "PROXY UNKNOWN\r\n"] {
        let mut stream = TcpStream::connect(server.tls_address()).unwrap();
        stream.write_all(header.as_bytes()).unwrap();
        Client::from(tls.over(stream).unwrap()).still_serves();
        // In one segment.
        let stream = TcpStream::connect(server.tls_address()).unwrap();
        Client::from(tls.behind(header.as_bytes(), stream).unwrap()).still_serves();
        let mut stream = TcpStream::connect(server.tls_address()).unwrap();
        stream.write_all(&[header.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"].concat()).unwrap();
        Client::from(stream).rest();
    }
    assert!(tls.attempt(server.tls_address()).is_err(), "a hello without the header");
}

/// What openssl s_client says of a connection with these flags, where there is an openssl.
fn s_client(test: &str, address: SocketAddr, flags: &[&str]) -> Option<String> {
    if is_missing("openssl", test) {
        return None;
    }
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string(), "-servername", "test"]).args(flags);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn openssl_sees_what_it_should() {
    let (server, _, authority) = usual("", &[]);
    let root = authority.file();
    let trust = ["-CAfile", root.to_str().unwrap(), "-verify_return_error", "-verify_hostname", "test"];
    let say = |flags: &[&str]| s_client("openssl_sees…", server.tls_address(), &[&trust, flags].concat());
    let Some(text) = say(&["-alpn", "h2,http/1.1"]) else { return };
    assert!(text.contains("Verify return code: 0 (ok)") && text.contains("ALPN protocol: h2"), "{text}");
    assert!(text.contains("TLSv1.3"), "{text}");
    let text = say(&["-tls1_2"]).unwrap();
    assert!(
        text.contains("Secure Renegotiation IS supported") && text.contains("Compression: NONE"),
        "{text}"
    );
    let sessions = server.settings.at("session");
    let session = sessions.to_str().unwrap();
    let text = say(&["-tls1_2", "-sess_out", session]).unwrap();
    assert!(text.contains("New, TLSv1.2"), "{text}");
    assert!(say(&["-tls1_2", "-sess_in", session]).unwrap().contains("Reused, TLSv1.2"));
    for old in ["-tls1_1", "-tls1"] {
        let text = say(&[old, "-cipher", "DEFAULT@SECLEVEL=0"]).unwrap();
        assert!(!text.contains("Verify return code: 0 (ok)\n---\nDONE") && text.contains("alert"), "{text}");
    }
}

#[test]
fn a_session_is_told_as_it_is() {
    let (server, tls, _) = usual("", &[]);
    let handshakes: Vec<Handshake> = (0..2)
        .map(|_| {
            let mut client = tls.client(server.tls_address());
            client.still_serves();
            client.handshake()
        })
        .collect();
    assert!(!handshakes[0].is_resumed && handshakes[1].is_resumed);
    assert_eq!(handshakes[0].certificate, handshakes[1].certificate);
}

#[test]
fn each_group_of_the_key_exchange_is_spoken_alone() {
    let (server, _, authority) = usual("", &[]);
    let groups = ["X25519", "secp256r1", "secp384r1", "X25519MLKEM768"];
    every(groups.map(|group| (group, group)), |group| {
        let mut client = Tls::with_group(&authority, group).client(server.tls_address());
        assert_eq!(client.handshake().group.as_deref(), Some(group));
        client.still_serves();
    });
}
