//! TLS while the server is operated: reloads, upgrades and a killed worker under load, certificates that are
//! renewed, tickets that outlive a program, keys that workers may not read, and the sandbox.

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::authority::{Authority, Issued};
use crate::support::client::ASK_PAGE;
use crate::support::configured::{Configured, launched};
use crate::support::process::{Process, Stray};
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Stop, Tls, eventually, root, skipped, within};

struct Operated {
    server: Configured,
    authority: Authority,
    certificate: Issued,
}

impl Operated {
    #[track_caller]
    fn start(workers: usize, flags: &[&str]) -> Self {
        let authority = Authority::new();
        let certificate = authority.issue(&["test"]);
        let launch = Launch::site().tls().workers(workers).flags(flags.iter().copied());
        let server = launched(launch, &certificate.table());
        Self { server, authority, certificate }
    }

    fn address(&self) -> SocketAddr {
        self.server.tls_address()
    }

    /// Sends HUP, and waits until all workers are new ones.
    #[track_caller]
    fn reload(&self) {
        let before = self.server.workers();
        self.server.signal(Signal::HUP);
        eventually("the workers are replaced", || {
            let workers = self.server.workers();
            let are_new = workers.iter().all(|worker| !before.contains(worker));
            (workers.len() == before.len() && are_new).then_some(())
        });
    }

    /// Sends USR2, and waits until the new program has its workers.
    #[track_caller]
    fn upgrade(&self, workers: usize) -> Stray {
        self.server.signal(Signal::USR2);
        let has_workers = |child: &Process| child.children().len() == workers;
        let new = || self.server.master.children().into_iter().find(has_workers);
        Stray(eventually("the new program has workers", new))
    }

    /// Has clients ask while `operate` works on the server: with full handshakes, with tickets, and over
    /// connections that are kept as long as the server keeps them. None of them may fail.
    fn under_load(&self, operate: impl FnOnce()) {
        let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
        let address = self.address();
        let is_over = || {
            asked.fetch_add(1, Ordering::Relaxed);
            over.load(Ordering::Relaxed)
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over() {
                    ask(&mut Tls::trusting(&self.authority).client(address));
                }
            });
            for tls in [Tls::old(&self.authority), Tls::new(&self.authority)] {
                scope.spawn(move || {
                    while !is_over() {
                        ask(&mut tls.client(address));
                    }
                });
            }
            scope.spawn(|| {
                let tls = Tls::trusting(&self.authority);
                let mut client = tls.client(address);
                while !is_over() {
                    if ask(&mut client) {
                        client = tls.client(address);
                    }
                }
            });
            let stop = Stop(&over);
            eventually("the load begins", || (asked.load(Ordering::Relaxed) > 20).then_some(()));
            operate();
            let so_far = asked.load(Ordering::Relaxed);
            eventually("the load goes on", || (asked.load(Ordering::Relaxed) > so_far + 20).then_some(()));
            drop(stop);
        });
    }
}

/// Asks for a page. True if the server closes the connection.
#[track_caller]
fn ask(client: &mut Client) -> bool {
    client.send(ASK_PAGE);
    let response = client.response();
    response.is(200, PAGE);
    response.closes()
}

#[test]
fn reloads_under_load_lose_no_request_over_tls() {
    let server = Operated::start(2, &[]);
    server.under_load(|| (0..5).for_each(|_| server.reload()));
}

#[test]
fn an_upgrade_under_load_loses_no_request_and_no_ticket() {
    let mut server = Operated::start(2, &[]);
    let address = server.address();
    let clients = [Tls::old(&server.authority), Tls::new(&server.authority)];
    // The second is resumed, and leaves a ticket for the third.
    clients.iter().for_each(|tls| assert_eq!([0; 2].map(|_| resumes(tls, address)), [false, true]));
    let mut new = None;
    server.under_load(|| {
        new = Some(server.upgrade(2));
        server.server.signal(Signal::QUIT);
        within(crate::support::DEADLINE, "the old program's workers leave", || {
            server.server.workers().is_empty().then_some(())
        });
    });
    assert_eq!(server.server.server.exit_code(), Some(0));
    for tls in &clients {
        assert!(resumes(tls, address), "a ticket of the program before");
        assert!(resumes(tls, address));
    }
    drop(new);
}

/// Asks for a page over a new connection. True if its session goes on from an earlier one.
#[track_caller]
fn resumes(tls: &Tls, address: SocketAddr) -> bool {
    let mut client = tls.client(address);
    client.still_serves();
    client.handshake().is_resumed
}

#[test]
fn a_killed_worker_takes_its_own_connections_along_and_no_other() {
    let server = Operated::start(2, &[]);
    let tls = Tls::trusting(&server.authority);
    let mut clients: Vec<Client> = (0..40).map(|_| tls.client(server.address())).collect();
    clients.iter_mut().for_each(Client::still_serves);
    let workers = server.server.workers();
    workers[0].signal(Signal::KILL);
    eventually("a successor is started", || {
        let now = server.server.workers();
        (now.len() == 2 && !now.contains(&workers[0])).then_some(())
    });
    let before = clients.len();
    clients.retain_mut(|client| !client.is_closed());
    assert!(clients.len() < before && !clients.is_empty(), "{} of {before} are left", clients.len());
    clients.iter_mut().for_each(Client::still_serves);
    (0..20).for_each(|_| tls.client(server.address()).still_serves());
    assert!(server.server.workers().contains(&workers[1]));
}

#[test]
fn a_renewed_certificate_is_served_without_a_word_to_the_server() {
    let server = Operated::start(1, &[]);
    let tls = Tls::trusting(&server.authority);
    let certificate = || tls.without_sni().connect(server.address()).handshake().certificate;
    assert!(certificate() == server.certificate.der);
    let next = server.authority.issue(&["test"]);
    server.authority.replace(&server.certificate, &next);
    within(2 * crate::support::DEADLINE, "the new certificate is served", || {
        (certificate() == next.der).then_some(())
    });
    tls.client(server.address()).still_serves();
}

#[test]
fn the_key_is_read_before_privileges_go() {
    if !root() && skipped("the_key_is_read_before_privileges_go", "it takes root") {
        return;
    }
    let server = Operated::start(1, &["--user", "nobody"]);
    let key = std::fs::metadata(&server.certificate.key).unwrap();
    assert_eq!((key.permissions().mode() & 0o777, key.uid()), (0o600, 0));
    assert_ne!(server.server.workers()[0].user(), 0);
    let tls = Tls::trusting(&server.authority);
    tls.client(server.address()).still_serves();
    // A reload reads it again.
    server.reload();
    assert_ne!(server.server.workers()[0].user(), 0);
    tls.client(server.address()).still_serves();
}

#[test]
fn tls_is_spoken_in_the_whole_sandbox() {
    use mayhttpd::config::SandboxMode;
    use mayhttpd::sandbox::Sandbox;
    if Sandbox::plan(SandboxMode::Require).is_err()
        && skipped("tls_is_spoken_in_the_whole_sandbox", "the kernel lacks a part")
    {
        return;
    }
    let server = Operated::start(1, &["--sandbox", "require"]);
    let worker = server.server.workers()[0];
    for tls in [Tls::old(&server.authority), Tls::new(&server.authority)] {
        assert_eq!([0; 2].map(|_| resumes(&tls, server.address())), [false, true]);
        let mut client = tls.client(server.address());
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        client.response().is(200, PAGE);
        client.closed();
        assert!(tls.named("test").offering(&["none"]).attempt(server.address()).is_err());
    }
    assert_eq!(server.server.workers(), [worker], "{}", server.server.log());
}
