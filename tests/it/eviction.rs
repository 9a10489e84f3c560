//! Where all connections that there may be are open, the one that has been idle longest is closed for a new
//! client; where none is idle, new clients wait.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::process::Process;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, root};

/// A part of a request.
const PART: &[u8] = b"GET /page.html HTTP/1.1\r\nHo";

/// What completes it.
const REST: &[u8] = b"st: test\r\n\r\n";

fn start(places: usize, flags: &[&str]) -> (Server, SocketAddr) {
    let limit = places.to_string();
    let launch = Launch::site().flags(["--admin", "0", "--max-connections", &limit, "--idle-timeout", "1h"]);
    let server = launch.flags(flags).start();
    let admin = server.admin_address();
    // A client whose page comes from the disk waits with a coroutine, and the tests are about order.
    server.ask("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").is(200, PAGE);
    until_none_is_open(admin);
    (server, admin)
}

/// The server hears of a client that went in its own time, and might close its connection for the next one.
#[track_caller]
fn until_none_is_open(admin: SocketAddr) {
    eventually("none is open", || {
        (Exposition::of(admin).sum("mayhttpd_connections_open", "") == 0.0).then_some(())
    });
}

fn open(admin: SocketAddr, phase: &str) -> usize {
    Exposition::of(admin).sum("mayhttpd_connections_open", &format!("phase=\"{phase}\"")) as usize
}

fn evicted(admin: SocketAddr) -> usize {
    Exposition::of(admin).sum("mayhttpd_connections_ended_total", "reason=\"evicted\"") as usize
}

#[track_caller]
fn until_open(admin: SocketAddr, phase: &str, count: usize) {
    eventually(&format!("{count} connections in the phase {phase}"), || {
        (open(admin, phase) == count).then_some(())
    });
}

/// Clients that have been answered once, one after the other, and stay.
#[track_caller]
fn idle(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    clients
}

/// A new client that has been answered.
#[track_caller]
fn newcomer(server: &Server) -> Client {
    idle(server, 1).pop().unwrap()
}

#[test]
fn the_connection_idle_longest_is_closed_for_a_new_client() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let (server, admin) =
        start(4, &["--access-log", path.to_str().unwrap(), "--access-format", "json", "--log-level", "info"]);
    let mut clients = idle(&server, 4);
    for round in 1..=6 {
        clients.push(newcomer(&server));
        // A plain end, without a word.
        clients.remove(0).closed();
        assert_eq!(evicted(admin), round);
    }
    assert_eq!(open(admin, "idle"), 4, "no more were closed than there had to be");
    clients.iter_mut().for_each(Client::still_serves);
    // The first connection is that of the start.
    let end = eventually("the end of the second in the access log", || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let mut ends = text.lines().map(Json::parse).filter(|line| line.field("end").is_some());
        let ends = ends.nth(1)?;
        Some((ends.number("connection"), ends.text("end").to_owned()))
    });
    assert_eq!(end, (2.0, "evicted".to_owned()));
    server.says("that connections are closed for others", |line| {
        line.contains("WARN") && line.contains("idle longest") && line.contains("--max-connections")
    });
}

#[test]
fn a_connection_that_is_used_is_not_the_one_idle_longest() {
    let (server, _) = start(3, &[]);
    let mut clients = idle(&server, 3);
    clients[0].still_serves();
    let _one = newcomer(&server);
    clients[1].closed();
    clients[0].still_serves();
    let _two = newcomer(&server);
    clients[2].closed();
    let _three = newcomer(&server);
    // The first newcomer's turn would come before that of the one that was used after it came.
    clients[0].still_serves();
}

#[test]
fn the_only_connection_that_there_may_be_is_closed_for_a_new_client() {
    let (server, admin) = start(1, &[]);
    let mut last = newcomer(&server);
    for round in 1..=20 {
        let next = newcomer(&server);
        last.closed();
        last = next;
        assert_eq!(evicted(admin), round);
    }
}

#[test]
fn a_connection_that_has_asked_for_nothing_is_idle_too() {
    let (server, admin) = start(1, &["--head-timeout", "1h"]);
    let mut silent = server.client();
    until_open(admin, "handshake", 1);
    let _client = newcomer(&server);
    silent.closed();
}

#[test]
fn a_connection_that_is_idle_within_its_first_second_is_closed_too() {
    // Its coroutine stays with a client that it had to wait for.
    let (server, admin) = start(1, &[]);
    for round in 1..=5 {
        let mut client = server.client();
        client.send(PART);
        until_open(admin, "head", 1);
        client.send(REST);
        client.response().is(200, PAGE);
        let mut next = newcomer(&server);
        client.closed();
        assert_eq!(evicted(admin), round);
        next.still_serves();
        drop(next);
        until_none_is_open(admin);
    }
}

#[test]
fn the_order_holds_among_connections_with_and_without_a_coroutine() {
    let (server, admin) = start(3, &[]);
    let mut waited_for = server.client();
    waited_for.send(PART);
    until_open(admin, "head", 1);
    let mut first = newcomer(&server);
    std::thread::sleep(Duration::from_millis(250));
    waited_for.send(REST);
    waited_for.response().is(200, PAGE);
    // So that the clock that the order goes by has moved.
    std::thread::sleep(Duration::from_millis(250));
    let mut last = newcomer(&server);
    let _one = newcomer(&server);
    first.closed();
    let _two = newcomer(&server);
    waited_for.closed();
    let _three = newcomer(&server);
    last.closed();
}

#[test]
fn a_connection_that_left_its_coroutine_keeps_its_place_in_the_order() {
    let (server, admin) = start(2, &[]);
    let mut waited_for = server.client();
    waited_for.send(PART);
    until_open(admin, "head", 1);
    waited_for.send(REST);
    waited_for.response().is(200, PAGE);
    std::thread::sleep(Duration::from_millis(250));
    let mut later = newcomer(&server);
    let idle = || (Exposition::of(admin).sum("mayhttpd_connections_in_idle_set", "") == 2.0).then_some(());
    eventually("both are idle", idle);
    let _newcomer = newcomer(&server);
    waited_for.closed();
    later.still_serves();
}

#[test]
fn connections_that_are_not_idle_are_left_alone() {
    let (server, admin) = start(3, &["--head-timeout", "1h", "--send-timeout", "1h"]);
    server.tree().file("big.bin", vec![0; 32 << 20]);
    let mut partial = server.client();
    partial.send(PART);
    let mut body = server.client();
    body.send("GET /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe");
    let mut reader = Client::with_small_window(server.address());
    reader.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    ["head", "body", "send"].iter().for_each(|phase| until_open(admin, phase, 1));
    let mut waiting = server.client();
    waiting.send(ASK_PAGE);
    // Some ticks of the server's clock pass: it may look again.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!waiting.has_news(), "a client was served beyond the limit");
    assert_eq!(evicted(admin), 0);
    // One that becomes idle makes room.
    body.send("llo");
    body.response().is(200, PAGE);
    waiting.response().is(200, PAGE);
    body.closed();
    partial.send(REST);
    partial.response().is(200, PAGE);
}

#[test]
fn a_connection_whose_request_has_come_is_not_closed() {
    let (server, admin) = start(2, &[]);
    for round in 1..=10 {
        let mut clients = idle(&server, 2);
        let worker = server.workers()[0];
        worker.stop();
        clients[0].send(ASK_PAGE);
        let mut new = server.client();
        new.send(ASK_PAGE);
        worker.signal(Signal::CONT);
        clients[0].response().is(200, PAGE);
        new.response().is(200, PAGE);
        clients[1].closed();
        drop((clients, new));
        until_none_is_open(admin);
        assert_eq!(evicted(admin), round);
    }
}

#[test]
fn no_connection_is_closed_before_a_new_client_comes() {
    let (server, admin) = start(2, &[]);
    let mut clients = idle(&server, 2);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(evicted(admin), 0);
    clients.iter_mut().for_each(Client::still_serves);
}

#[test]
fn a_drain_closes_no_idle_connection_for_a_new_client() {
    let (server, admin) = start(1, &["--drain-timeout", "1h"]);
    let mut client = newcomer(&server);
    server.signal(Signal::QUIT);
    eventually("the worker drains", || {
        let (status, _) = crate::support::plain::get(admin, "/healthz")?;
        (status == 503).then_some(())
    });
    // It may still reach the queue.
    let late = std::net::TcpStream::connect_timeout(&server.address(), DEADLINE);
    std::thread::sleep(Duration::from_millis(500));
    assert!(!client.is_closed(), "a drain closes an idle connection");
    client.send(ASK_PAGE);
    let response = client.response();
    response.is(200, PAGE);
    assert!(response.closes());
    drop(late);
}

#[test]
fn a_crowd_of_new_clients_is_served_past_a_crowd_of_idle_ones() {
    let (server, admin) = start(20, &[]);
    let mut idle = idle(&server, 20);
    let mut new: Vec<_> = (0..20).map(|_| server.client()).collect();
    new.iter_mut().for_each(|client| assert!(client.send(ASK_PAGE)));
    new.iter_mut().for_each(|client| client.response().is(200, PAGE));
    idle.iter_mut().for_each(Client::closed);
    assert_eq!((evicted(admin), open(admin, "idle")), (20, 20));
}

#[test]
fn idle_connections_make_room_where_descriptors_have_run_out() {
    // The worker stays the user that the test is, which may change its limits.
    let user = if root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let (server, admin) = start(1000, user);
    let worker: Process = server.workers()[0];
    let mut clients = idle(&server, 10);
    // None is left below the limit: what is lower than the last is taken by connections that stay.
    worker.set_descriptor_limit(worker.last_descriptor().unwrap() as u64 + 1);
    while evicted(admin) == 0 {
        clients.push(newcomer(&server));
    }
    clients.remove(0).closed();
    for round in 2..=5 {
        clients.push(newcomer(&server));
        clients.remove(0).closed();
        assert_eq!(evicted(admin), round);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(evicted(admin), 5, "one was closed without a new client");
    clients.iter_mut().for_each(Client::still_serves);
}
