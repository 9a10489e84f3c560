//! Connections that are idle hold no stack, and are served one after the other by the leader; for their
//! clients nothing is different, whatever the others do meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::process::may_have_descriptors;
use crate::support::tree::{LARGE, PAGE, TEXT};
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, root, within};

/// What an idle connection may cost. The aim is 1 KiB.
const IDLE_MEMORY: u64 = 2 << 10;

/// So many bytes of a request are a part of its head.
const HEAD_PART: usize = 20;

/// Clients whose coroutines are more than the server keeps.
const CROWD: usize = 1000;

fn start(flags: &[&str]) -> (Server, SocketAddr) {
    let server = Launch::site().flags(["--admin", "0"]).flags(flags).start();
    let admin = server.admin_address();
    (server, admin)
}

/// Like `start`, with an access log in JSON.
fn start_logging(flags: &[&str]) -> (Server, SocketAddr, Tree) {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let log = ["--access-log", path.to_str().unwrap(), "--access-format", "json"];
    let (server, admin) = start(&[&log[..], flags].concat());
    (server, admin, logs)
}

#[track_caller]
fn metrics(admin: SocketAddr) -> Exposition {
    Exposition::of(admin)
}

fn idle(admin: SocketAddr) -> usize {
    metrics(admin).sum("mayhttpd_connections_in_idle_set", "") as usize
}

#[track_caller]
fn until_idle(admin: SocketAddr, count: usize) {
    within(DEADLINE * 2, &format!("{count} connections are idle"), || (idle(admin) == count).then_some(()));
}

/// Waits until so many connections have ended for this reason, and none is left open.
#[track_caller]
fn until_ended(admin: SocketAddr, reason: &str, count: usize) {
    let label = format!("reason=\"{reason}\"");
    within(DEADLINE * 2, &format!("{count} connections have ended: {reason}"), || {
        let metrics = metrics(admin);
        (metrics.sum("mayhttpd_connections_ended_total", &label) == count as f64
            && metrics.sum("mayhttpd_connections_open", "") == 0.0
            && metrics.sum("mayhttpd_connections_in_idle_set", "") == 0.0)
            .then_some(())
    });
}

/// The end that the last line of the log tells, once there are so many lines.
#[track_caller]
fn logged_end(logs: &Tree, lines: usize) -> String {
    eventually(&format!("{lines} lines in the access log"), || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let last = text.lines().nth(lines - 1)?;
        Some(Json::parse(last).text("end").to_owned())
    })
}

/// Clients that have been answered once.
fn crowd(server: &Server, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = server.client();
        client.still_serves();
        clients.push(client);
    }
    clients
}

#[test]
fn an_idle_connection_answers_its_next_request_again_and_again() {
    let (server, admin) = start(&[]);
    let mut client = server.client();
    for _ in 0..3 {
        client.still_serves();
        until_idle(admin, 1);
        let metrics = metrics(admin);
        assert_eq!(metrics.sum("mayhttpd_connections_open", "phase=\"idle\""), 1.0);
        assert_eq!(metrics.sum("mayhttpd_connections_open", ""), 1.0);
    }
    assert_eq!(metrics(admin).sum("mayhttpd_connections_accepted_total", ""), 1.0);
}

/// Has a client send a part of a head, and waits until the worker waits for the rest with so many.
#[track_caller]
fn begin_a_head(admin: SocketAddr, client: &mut Client, count: usize) {
    assert!(client.send(&ASK_PAGE[..HEAD_PART]));
    until_in(admin, "head", count);
}

/// Waits until so many connections are in a phase.
#[track_caller]
fn until_in(admin: SocketAddr, phase: &str, count: usize) {
    let label = format!("phase=\"{phase}\"");
    within(DEADLINE, &format!("{count} connections are in the phase {phase}"), || {
        (metrics(admin).sum("mayhttpd_connections_open", &label) == count as f64).then_some(())
    });
}

#[test]
fn a_connection_that_had_to_be_waited_for_is_idle_after_a_while() {
    let (server, admin) = start(&[]);
    let mut client = server.client();
    for _ in 0..3 {
        begin_a_head(admin, &mut client, 1);
        assert_eq!(idle(admin), 0, "a part of a head is there");
        client.send(&ASK_PAGE[HEAD_PART..]);
        client.response().is(200, PAGE);
        client.still_serves();
        until_idle(admin, 1);
        client.still_serves();
        until_idle(admin, 1);
    }
}

#[test]
fn idle_clients_are_served_beside_any_number_that_are_waited_for() {
    const MANY: usize = 60;
    let (server, admin) = start(&[]);
    let mut patient = crowd(&server, MANY);
    let mut others = crowd(&server, 3);
    until_idle(admin, MANY + 3);
    for (index, client) in patient.iter_mut().enumerate() {
        begin_a_head(admin, client, index + 1);
        others.iter_mut().for_each(Client::still_serves);
    }
    // In another order than they began.
    for (index, client) in patient.iter_mut().rev().enumerate() {
        client.send(&ASK_PAGE[HEAD_PART..]);
        client.response().is(200, PAGE);
        others.iter_mut().for_each(Client::still_serves);
        until_in(admin, "head", MANY - 1 - index);
    }
    until_idle(admin, MANY + 3);
    patient.iter_mut().chain(&mut others).for_each(Client::still_serves);
}

#[test]
fn idle_clients_are_served_beside_one_that_does_not_read() {
    const ASK_LARGE: &[u8] = b"GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n";
    const MORE_THAN_SOCKETS_TAKE: usize = 12;
    let (server, admin) = start(&[]);
    let mut others = crowd(&server, 3);
    let mut slow = Client::with_small_window(server.address());
    slow.still_serves();
    until_idle(admin, 4);
    for _ in 0..3 {
        slow.send(ASK_LARGE.repeat(MORE_THAN_SOCKETS_TAKE));
        until_in(admin, "send", 1);
        // The rest of what it asks comes while it is waited for, and is not passed to a coroutine that could
        // take it.
        slow.send(ASK_PAGE);
        others.iter_mut().for_each(Client::still_serves);
        for _ in 0..MORE_THAN_SOCKETS_TAKE {
            assert_eq!(slow.response().body.len(), LARGE);
        }
        slow.response().is(200, PAGE);
        until_idle(admin, 4);
        slow.still_serves();
    }
}

#[test]
fn clients_that_leave_in_the_middle_of_a_request_take_no_other_along() {
    let (server, admin) = start(&[]);
    let mut others = crowd(&server, 3);
    for round in 0..20 {
        let mut leaver = server.client();
        leaver.still_serves();
        begin_a_head(admin, &mut leaver, 1);
        if round % 2 == 0 {
            leaver.reset()
        } else {
            drop(leaver)
        }
        others.iter_mut().for_each(Client::still_serves);
        until_in(admin, "head", 0);
    }
    until_idle(admin, 3);
}

#[test]
fn pipelined_requests_wake_an_idle_connection() {
    let (server, admin) = start(&[]);
    let mut client = server.client();
    client.still_serves();
    until_idle(admin, 1);
    client.send([ASK_PAGE, ASK_PAGE, ASK_PAGE, b"GET /page.html HTTP/1.1\r\nHo"].concat());
    (0..3).for_each(|_| client.response().is(200, PAGE));
    assert_eq!(metrics(admin).sum("mayhttpd_connections_in_idle_set", ""), 0.0, "a part of a head is there");
    client.send("st: test\r\n\r\n");
    client.response().is(200, PAGE);
    until_idle(admin, 1);
    client.still_serves();
}

#[test]
fn a_client_that_never_said_anything_is_idle_too() {
    let (server, admin) = start(&["--head-timeout", "1h"]);
    let mut client = server.client();
    until_idle(admin, 1);
    assert_eq!(metrics(admin).sum("mayhttpd_connections_open", "phase=\"handshake\""), 1.0);
    client.still_serves();
}

#[test]
fn a_part_of_a_head_after_an_idle_time_gets_408_in_its_time() {
    let (server, admin) = start(&["--head-timeout", "1500ms"]);
    let mut client = server.client();
    client.still_serves();
    until_idle(admin, 1);
    let begun = Instant::now();
    client.send("GET /page.html HT");
    client.response().has_status(&[408]);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "cut after {:?}", begun.elapsed());
    client.closed();
    until_ended(admin, "timed_out", 1);
    let series = "mayhttpd_connection_timeouts_total{worker=\"0\",phase=\"head\"}";
    assert_eq!(metrics(admin).value(series), 1.0);
}

#[test]
fn an_idle_connection_times_out_when_it_would_have_anyway() {
    let timeout = Duration::from_millis(2500);
    let (server, admin, logs) = start_logging(&["--idle-timeout", "2500ms"]);
    let mut client = server.client();
    let begun = Instant::now();
    client.still_serves();
    until_idle(admin, 1);
    client.closed();
    assert!(begun.elapsed() >= timeout, "closed after {:?}", begun.elapsed());
    assert_eq!(logged_end(&logs, 2), "idle_timeout");
    until_ended(admin, "timed_out", 1);
    let series = "mayhttpd_connection_timeouts_total{worker=\"0\",phase=\"idle\"}";
    assert_eq!(metrics(admin).value(series), 1.0);
}

#[test]
fn a_silent_client_times_out_idle() {
    let (server, admin, logs) = start_logging(&["--head-timeout", "2500ms", "--idle-timeout", "1h"]);
    let mut client = server.client().patient(DEADLINE * 2);
    until_idle(admin, 1);
    client.closed();
    until_ended(admin, "timed_out", 1);
    let series = "mayhttpd_connection_timeouts_total{worker=\"0\",phase=\"handshake\"}";
    assert_eq!(metrics(admin).value(series), 1.0);
    // It asked nothing, and leaves no line.
    server.get_with("/page.html", "Connection: close\r\n").is(200, PAGE);
    assert_eq!(logged_end(&logs, 1), "finished");
}

#[test]
fn an_empty_line_gains_an_idle_connection_no_time() {
    let (server, admin, logs) = start_logging(&["--idle-timeout", "4s"]);
    let mut first = server.client();
    first.still_serves();
    until_idle(admin, 1);
    let mut second = server.client();
    second.still_serves();
    until_idle(admin, 2);
    first.send("\r\n");
    first.closed();
    second.closed();
    until_ended(admin, "timed_out", 2);
    // The second was idle before the empty line came.
    assert_eq!(logged_end(&logs, 4), "idle_timeout");
    let text = fs::read_to_string(logs.at("access.log")).unwrap();
    let ends: Vec<_> = text.lines().skip(2).map(|line| Json::parse(line).number("connection")).collect();
    assert_eq!(ends, [1.0, 2.0], "the empty line gained time");
}

#[test]
fn a_client_that_leaves_while_it_is_idle_is_gone() {
    let (server, admin, logs) = start_logging(&[]);
    let clients = crowd(&server, 3);
    until_idle(admin, 3);
    drop(clients);
    until_ended(admin, "peer_closed", 3);
    assert_eq!(logged_end(&logs, 6), "peer_closed");
}

#[test]
fn a_client_that_is_reset_while_it_is_idle_is_gone() {
    let (server, admin, logs) = start_logging(&[]);
    let mut clients = crowd(&server, 1);
    until_idle(admin, 1);
    clients.pop().unwrap().reset();
    until_ended(admin, "broken", 1);
    assert_eq!(logged_end(&logs, 2), "broken");
}

#[test]
fn a_last_request_before_the_end_of_an_idle_clients_stream_is_answered() {
    let (server, admin) = start(&[]);
    let mut client = server.client();
    client.still_serves();
    until_idle(admin, 1);
    client.send(ASK_PAGE);
    client.half_close();
    client.response().is(200, PAGE);
    client.closed();
    until_ended(admin, "peer_closed", 1);
}

#[test]
fn an_end_that_comes_with_a_request_while_its_client_is_served_is_seen() {
    // More than are answered in one turn, and no more than the server receives at once.
    const REQUESTS: usize = 190;
    const ASK_TEXT: &[u8] = b"GET /text.txt HTTP/1.1\r\nHost: test\r\n\r\n";
    let (server, admin) = start(&["--idle-timeout", "1h"]);
    // The first round leaves a coroutine for each client of the next, and they take turns.
    for round in 1..=3 {
        let mut clients = crowd(&server, 20);
        until_idle(admin, 20);
        clients.iter_mut().for_each(|client| assert!(client.send(ASK_TEXT.repeat(REQUESTS))));
        for client in &mut clients {
            // The first answers come while most requests wait for a turn.
            assert_eq!(client.response().body.len(), TEXT);
            client.send(ASK_PAGE);
            client.half_close();
        }
        for client in &mut clients {
            (1..REQUESTS).for_each(|_| assert_eq!(client.response().body.len(), TEXT));
            client.response().is(200, PAGE);
            client.closed();
        }
        until_ended(admin, "peer_closed", 20 * round);
    }
}

#[test]
fn a_crowd_that_leaves_at_once_keeps_no_other_client_waiting() {
    let name = "a_crowd_that_leaves_at_once_keeps_no_other_client_waiting";
    if !may_have_descriptors(name, CROWD as u64 * 2) {
        return;
    }
    let (server, admin, logs) = start_logging(&[]);
    let worker = server.workers()[0];
    let mut clients = crowd(&server, CROWD);
    until_idle(admin, CROWD);
    // After this the leader has just let others go first.
    clients[0].still_serves();
    until_idle(admin, CROWD);
    worker.stop();
    clients.iter().for_each(Client::half_close);
    let mut other = server.client();
    other.send(ASK_PAGE);
    worker.signal(Signal::CONT);
    other.response().is(200, PAGE);
    drop(clients);
    drop(other);
    until_ended(admin, "peer_closed", CROWD + 1);
    // A line for each request, and one for each end. The stranger is the last whom the worker took in.
    let text = eventually("the whole log", || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        (text.lines().count() == 2 * (CROWD + 1) + 1).then_some(text)
    });
    let stranger = |line| Json::parse(line).number("connection") == (CROWD + 1) as f64;
    let before = text.lines().skip(CROWD + 1).position(stranger).unwrap();
    assert!(before < CROWD / 2, "{before} of {CROWD} ended before a stranger was served");
}

#[test]
fn a_drain_answers_an_idle_connection_once_more() {
    let (mut server, admin) = start(&[]);
    let mut client = server.client();
    client.still_serves();
    until_idle(admin, 1);
    server.signal(Signal::QUIT);
    eventually("no client can connect any more", || {
        std::net::TcpStream::connect(server.address()).is_err().then_some(())
    });
    assert!(!client.is_closed(), "a drain cuts an idle connection");
    client.send(ASK_PAGE);
    let response = client.response();
    response.is(200, PAGE);
    assert!(response.closes());
    client.closed();
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_drain_ends_with_connections_that_stay_idle() {
    let (mut server, admin) = start(&["--drain-timeout", "2s"]);
    let mut client = server.client();
    client.still_serves();
    until_idle(admin, 1);
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    client.closed();
}

#[test]
fn a_connection_is_idle_in_a_drain_as_well() {
    let (mut server, admin) = start(&[]);
    let mut client = server.client();
    client.still_serves();
    server.signal(Signal::QUIT);
    // Once it listens no more it drains, and says so in each answer.
    eventually("no client can connect any more", || {
        std::net::TcpStream::connect(server.address()).is_err().then_some(())
    });
    until_idle(admin, 1);
    client.send(ASK_PAGE);
    let response = client.response();
    response.is(200, PAGE);
    assert!(response.closes());
    client.closed();
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_reload_leaves_idle_connections_to_the_worker_that_has_them() {
    let (server, admin) = start(&[]);
    let mut clients = crowd(&server, 3);
    until_idle(admin, 3);
    let old = server.workers()[0];
    server.signal(Signal::HUP);
    eventually("the next generation serves", || {
        let metrics = metrics(admin);
        (metrics.value("mayhttpd_generation") == 2.0 && metrics.sum("mayhttpd_worker_draining", "") == 1.0)
            .then_some(())
    });
    server.get("/page.html").is(200, PAGE);
    until_idle(admin, 3);
    let mut gone = clients.pop().unwrap();
    gone.half_close();
    gone.closed();
    for client in &mut clients {
        client.send(ASK_PAGE);
        let response = client.response();
        response.is(200, PAGE);
        assert!(response.closes());
        client.closed();
    }
    eventually("the old worker leaves", || (!old.lives()).then_some(()));
    assert_eq!(idle(admin), 0);
}

#[test]
fn a_killed_worker_takes_its_idle_connections_along() {
    let (server, admin) = start(&[]);
    let mut clients = crowd(&server, 3);
    until_idle(admin, 3);
    server.replace_worker();
    clients.iter_mut().for_each(Client::closed);
    eventually("none is idle or open", || {
        let metrics = metrics(admin);
        (metrics.sum("mayhttpd_connections_in_idle_set", "") == 0.0
            && metrics.sum("mayhttpd_connections_open", "") == 0.0)
            .then_some(())
    });
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_request_that_comes_while_its_connection_is_idle_is_not_lost() {
    let (server, admin) = start(&[]);
    let mut clients: Vec<_> = (0..300)
        .map(|_| {
            let mut client = server.client();
            // One that had to be waited for becomes idle a second after its last request.
            begin_a_head(admin, &mut client, 1);
            client.send(&ASK_PAGE[HEAD_PART..]);
            client.response().is(200, PAGE);
            (client, Instant::now())
        })
        .collect();
    for (index, (client, answered)) in clients.iter_mut().enumerate() {
        // From 850 to 1150 ms after its last request, and they become idle within a tick of a second: this is
        // the subject of the test, not a wait for anything.
        let pause = Duration::from_millis(850 + index as u64);
        std::thread::sleep((*answered + pause).saturating_duration_since(Instant::now()));
        assert!(client.send(ASK_PAGE));
    }
    for (client, _) in &mut clients {
        client.response().is(200, PAGE);
    }
}

#[test]
fn a_crowd_of_idle_connections_costs_next_to_no_memory_and_wakes_at_once() {
    let name = "a_crowd_of_idle_connections_costs_next_to_no_memory_and_wakes_at_once";
    if !may_have_descriptors(name, 3 * CROWD as u64) {
        return;
    }
    let (server, admin) = start(&[]);
    let worker = server.workers()[0];
    // The stacks that a server keeps for clients to come are no cost of the idle.
    let first = crowd(&server, CROWD);
    until_idle(admin, CROWD);
    drop(first);
    until_ended(admin, "peer_closed", CROWD);
    let before = worker.memory();
    let mut clients = crowd(&server, 2 * CROWD);
    until_idle(admin, 2 * CROWD);
    let each = worker.memory().saturating_sub(before) / (2 * CROWD) as u64;
    assert!(each <= IDLE_MEMORY, "{each} bytes for an idle connection");
    clients.iter_mut().for_each(|client| assert!(client.send(ASK_PAGE)));
    clients.iter_mut().for_each(|client| client.response().is(200, PAGE));
    until_idle(admin, 2 * CROWD);
    drop(clients);
    until_ended(admin, "peer_closed", 3 * CROWD);
}

#[test]
fn a_crowd_of_idle_connections_times_out() {
    if !may_have_descriptors("a_crowd_of_idle_connections_times_out", CROWD as u64 * 2) {
        return;
    }
    let (server, admin) = start(&["--idle-timeout", "5s"]);
    let mut clients = crowd(&server, CROWD);
    clients.iter_mut().for_each(Client::closed);
    until_ended(admin, "timed_out", CROWD);
}

#[test]
fn idle_clients_for_whom_there_is_no_stack_are_served_in_turn() {
    let name = "idle_clients_for_whom_there_is_no_stack_are_served_in_turn";
    if !may_have_descriptors(name, CROWD as u64 * 2) {
        return;
    }
    // The worker stays the user that the test is, which may change its limits.
    let flags = if root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let (server, admin) = start(flags);
    let worker = server.workers()[0];
    let mut clients = crowd(&server, CROWD);
    until_idle(admin, CROWD);
    // A few stacks more, and nothing but stacks is a new map.
    worker.set_address_space_limit(Some(worker.address_space() + (1 << 20)));
    // Each of them has to be waited for.
    clients.iter_mut().for_each(|client| assert!(client.send(&ASK_PAGE[..HEAD_PART])));
    server.says("that stacks ran out", |line| line.contains("no memory map left"));
    clients.iter_mut().for_each(|client| assert!(client.send(&ASK_PAGE[HEAD_PART..])));
    for client in &mut clients {
        client.response().is(200, PAGE);
    }
    assert!(worker.lives());
    until_idle(admin, CROWD);
}

#[test]
fn new_clients_for_whom_there_is_no_stack_are_served_in_turn() {
    const MANY: usize = 400;
    // The worker stays the user that the test is, which may change its limits.
    let flags = if root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let (server, admin) = start(flags);
    let worker = server.workers()[0];
    worker.set_address_space_limit(Some(worker.address_space() + (1 << 20)));
    let mut clients: Vec<_> = (0..MANY).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(&ASK_PAGE[..HEAD_PART])));
    server.says("that stacks ran out", |line| line.contains("no memory map left"));
    clients.iter_mut().for_each(|client| assert!(client.send(&ASK_PAGE[HEAD_PART..])));
    for client in &mut clients {
        client.response().is(200, PAGE);
    }
    assert!(worker.lives());
    until_idle(admin, MANY);
}
