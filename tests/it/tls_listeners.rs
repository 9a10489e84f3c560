//! TLS listeners beside others: where they are opened, what a reload and an upgrade make of them, and which
//! settings are refused. What is said over TLS is tested elsewhere.

use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;

use crate::support::certificate::Certificate;
use crate::support::configured::{launched, refused};
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, eventually, every};

/// The addresses of TLS listeners, as they were said at the start.
fn tls_addresses(server: &Server, count: usize) -> Vec<SocketAddr> {
    eventually("the addresses of TLS listeners", || {
        let output = server.output();
        let lines = output.lines().filter_map(|line| line.strip_prefix("  https://"));
        let addresses: Vec<SocketAddr> =
            lines.map(|line| line.strip_suffix('/').unwrap().parse().unwrap()).collect();
        (addresses.len() == count).then_some(addresses)
    })
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Sends HUP, and waits until all workers are new ones: those of before may accept until they drain.
fn reload(server: &Server) {
    let before = server.workers();
    server.signal(Signal::HUP);
    eventually("the workers are replaced", || {
        let workers = server.workers();
        let is_new = workers.iter().all(|worker| !before.contains(worker));
        (workers.len() == before.len() && is_new).then_some(())
    });
}

#[test]
fn tls_listeners_are_announced_after_those_without() {
    let certificate = Certificate::for_localhost();
    let server = Launch::site()
        .flags(["--tls-listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"])
        .flags(certificate.flags())
        .start();
    let addresses = tls_addresses(&server, 2);
    assert!(addresses.iter().all(|address| accepts(*address)));
    let output = server.output();
    let schemes: Vec<&str> =
        output.lines().skip(1).filter_map(|line| line.trim().split("://").next()).collect();
    assert_eq!(schemes, ["http", "https", "https"], "{output}");
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn without_another_address_there_are_only_tls_listeners() {
    let certificate = Certificate::for_localhost();
    let launch = || Launch::site().listen(&[]).flags(certificate.flags());
    let server = launch().flags(["--tls-listen", "127.0.0.1:0", "--proxy-protocol", "127.0.0.1:0"]).start();
    assert_eq!(tls_addresses(&server, 1), server.addresses);
    assert!(!server.output().contains("http://"), "{}", server.output());
    let dump = launch().flags(["--tls-listen", "443", "-T"]).run();
    assert!(dump.output.contains("\nlisten = \"off\""), "{dump:?}");
}

#[test]
fn a_reload_adds_and_removes_tls_and_turns_an_address_to_it() {
    let certificate = Certificate::for_localhost();
    let pair = format!("[[certificate]]\nchain = {:?}\nkey = {:?}\n", certificate.chain(), certificate.key());
    let server = launched(Launch::site().workers(2).listen(&["127.0.0.1:0"]), "name = 'a'\n");
    server.get("/page.html").is(200, PAGE);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    server.settings.file("may.toml", format!("tls_listen = '{free}'\n{pair}"));
    reload(&server);
    assert!(accepts(free));
    server.get("/page.html").is(200, PAGE);
    server.settings.file("may.toml", "name = 'a'\n");
    reload(&server);
    eventually("it listens there no more", || (!accepts(free)).then_some(()));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn an_address_that_changes_its_kind_keeps_its_socket() {
    let certificate = Certificate::for_localhost();
    let pair = format!("[[certificate]]\nchain = {:?}\nkey = {:?}\n", certificate.chain(), certificate.key());
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let launch = Launch::site().workers(2).listen(&[]);
    let server = launched(launch, &format!("listen = '{address}'\n"));
    server.get("/page.html").is(200, PAGE);
    server.settings.file("may.toml", format!("tls_listen = '{address}'\n{pair}"));
    reload(&server);
    assert!(accepts(address));
    server.settings.file("may.toml", format!("listen = '{address}'\n{pair}"));
    reload(&server);
    server.get("/page.html").is(200, PAGE);
    server.says("that the certificate has no use", |line| {
        line.contains("may.toml:2: this certificate has no use without --tls-listen")
    });
}

#[test]
fn an_upgrade_hands_tls_listeners_over() {
    let certificate = Certificate::for_localhost();
    let mut server =
        Launch::site().workers(2).flags(["--tls-listen", "127.0.0.1:0"]).flags(certificate.flags()).start();
    let [tls] = tls_addresses(&server, 1)[..] else { panic!("{}", server.output()) };
    server.signal(Signal::USR2);
    let successor = eventually("the new program has workers", || {
        server.master.children().into_iter().find(|child| child.children().len() == 2)
    });
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    assert!(accepts(tls));
    server.get("/page.html").is(200, PAGE);
    successor.signal(Signal::QUIT);
    eventually("the new program ends", || (!successor.lives()).then_some(()));
    assert!(!accepts(tls));
}

#[test]
fn an_inherited_socket_is_for_tls_by_its_address() {
    let certificate = Certificate::for_localhost();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let launch = |tls: &str| {
        let launch = Launch::site().listen(&[]).flags(["--tls-listen", tls]).flags(certificate.flags());
        launch.activated_by(socket.try_clone().unwrap(), 1)
    };
    let server = launch(&address.to_string()).start();
    assert_eq!(tls_addresses(&server, 1), [address]);
    drop(server);
    let finished = launch("127.0.0.1:1").run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let why = "mayhttpd: cannot use TLS on 127.0.0.1:1: no listener is there";
    assert!(finished.errors.lines().any(|line| line.ends_with(why)), "{finished:?}");
}

#[test]
fn settings_that_can_not_be_combined_are_refused_with_their_place() {
    every(
        [
            ("tls_listen = '443'\n", "FILE:1:14: tls_listen: needs a certificate: --tls-cert and --tls-key, or "),
            ("https_redirect = true\n", "FILE:1:18: https_redirect: needs --tls-listen"),
            ("tls_cert = 'c'\n", "FILE:1:12: tls_cert: needs tls_key beside it"),
            ("listen = 'off'\n", "FILE:1:10: listen: leaves no listener"),
            (
                "listen = '443'\ntls_listen = '[::1]:443'\n",
                "FILE:2:14: tls_listen: invalid value \"[::1]:443\" ([::1]:443 overlaps *:443, an address without",
            ),
            ("[[certificate]]\nkey = 'k'\n", "FILE:1:1: certificate: has no chain (each certificate needs"),
        ]
        .map(|row| (row.0, row)),
        |(text, error)| {
            let found = refused(text);
            assert!(found.starts_with(&format!("mayhttpd: {error}")), "{found}");
        },
    );
}
