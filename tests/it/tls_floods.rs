//! Clients of TLS in great numbers, or that send without end what is of no use: they cost little, and do not
//! get far.

use rustls::ContentType::{ApplicationData, Handshake};

use crate::support::authority::Authority;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::process::may_have_descriptors;
use crate::support::{Client, DEADLINE, Launch, Tls, eventually, skipped, within};

/// What an idle connection of HTTP/1.1 over TLS may cost.
const IDLE_MEMORY: u64 = 5 << 10;

/// How much a worker may grow while one client floods it.
const FLOOD_MEMORY: u64 = 4 << 20;

/// The most records that a client may get rid of. The server stops it far earlier, after some tens; the rest
/// is what buffers on the way hold.
const MOST: usize = 1_000_000;

#[track_caller]
fn start(flags: &[&str]) -> (Configured, Authority) {
    let authority = Authority::new();
    let table = authority.issue(&["test"]).table();
    (launched(Launch::site().tls().flags(flags.iter().copied()), &table), authority)
}

/// Looks that a flood ends, costs the worker little memory, and no other client its answer.
#[track_caller]
fn is_stopped(server: &Configured, authority: &Authority, mut send: impl FnMut() -> bool) {
    let tls = Tls::trusting(authority);
    tls.client(server.tls_address()).still_serves();
    let worker = server.workers()[0];
    let before = worker.memory();
    assert!((0..MOST).any(|_| !send()), "{MOST} records were taken");
    tls.client(server.tls_address()).still_serves();
    assert_eq!(server.workers(), [worker], "{}", server.log());
    assert!(!server.log().contains("panicked"), "{}", server.log());
    let grown = worker.memory().saturating_sub(before);
    assert!(grown < FLOOD_MEMORY, "{grown} bytes");
}

#[test]
fn keys_that_change_without_end_end_the_connection() {
    let (server, authority) = start(&[]);
    let mut client = Tls::new(&authority).client(server.tls_address());
    // It takes no replies.
    is_stopped(&server, &authority, || {
        client.refresh_keys();
        client.send("")
    });
}

#[test]
fn records_without_content_end_the_connection() {
    let (server, authority) = start(&[]);
    for tls in [Tls::old(&authority), Tls::new(&authority)] {
        let mut client = tls.records(server.tls_address());
        is_stopped(&server, &authority, || {
            let record = client.record(ApplicationData, b"");
            client.send(&record)
        });
    }
}

#[test]
fn a_message_of_a_byte_a_record_ends_the_connection() {
    let (server, authority) = start(&[]);
    for tls in [Tls::old(&authority), Tls::new(&authority)] {
        let mut client = tls.records(server.tls_address());
        // The beginning says that it is 64 KiB long.
        let first = client.record(Handshake, &[24, 0, 0xff, 0xff]);
        client.send(&first);
        is_stopped(&server, &authority, || {
            let record = client.record(Handshake, &[0]);
            client.send(&record)
        });
    }
}

#[test]
fn changes_of_ciphers_without_end_end_the_handshake() {
    let (server, authority) = start(&[]);
    let mut client = Client::connect(server.tls_address());
    client.send(Tls::new(&authority).hello());
    is_stopped(&server, &authority, || client.send([0x14, 3, 3, 0, 1, 1]));
}

#[test]
fn an_idle_connection_over_tls_costs_little_memory() {
    const COUNT: usize = 1000;
    const TEST: &str = "an_idle_connection_over_tls_costs_little_memory";
    if cfg!(debug_assertions) && skipped(TEST, "only a release build is held to it") {
        return;
    }
    if !may_have_descriptors(TEST, 3 * COUNT as u64) {
        return;
    }
    let (server, authority) = start(&["--admin", "0", "--idle-timeout", "1h"]);
    let (admin, worker) = (server.admin_address(), server.workers()[0]);
    let tls = Tls::trusting(&authority);
    let crowd = |count: usize| {
        let mut clients: Vec<Client> = (0..count).map(|_| tls.client(server.tls_address())).collect();
        clients.iter_mut().for_each(Client::still_serves);
        within(DEADLINE * 2, "they are idle", || {
            let idle = Exposition::of(admin).sum("mayhttpd_connections_in_idle_set", "") as usize;
            (idle >= count).then_some(clients.len())
        });
        clients
    };
    // What the server keeps for clients to come is no cost of the idle.
    drop(crowd(COUNT));
    eventually("they have gone", || {
        (Exposition::of(admin).sum("mayhttpd_connections_open", "") == 0.0).then_some(())
    });
    let before = worker.memory();
    let mut clients = crowd(2 * COUNT);
    let each = worker.memory().saturating_sub(before) / (2 * COUNT) as u64;
    assert!(each <= IDLE_MEMORY, "{each} bytes for an idle connection");
    clients.iter_mut().for_each(Client::still_serves);
}
