//! How many clients there may be, and what happens beyond: they wait, nothing spins, and those that are
//! served go on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::client::ASK_PAGE;
use crate::support::process::Process;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Stop, Tree, eventually, root, within};

/// What an idle connection may cost. The aim is 10 KiB in a release build; frames of a debug build are
/// several times as deep.
const IDLE_MEMORY: u64 = 40 << 10;

/// Holds a worker to using little CPU time over an interval in which it has nothing to do.
#[track_caller]
fn does_not_spin(worker: Process) {
    let before = worker.cpu_time();
    std::thread::sleep(Duration::from_secs(1));
    let used = worker.cpu_time() - before;
    assert!(used < Duration::from_millis(300), "{used:?} of CPU time in a second of doing nothing");
}

/// A part of a request: its client is no idle one, which would be closed for a new client.
const PART: &[u8] = b"GET /page.html HTTP/1.1\r\nHo";

/// What completes it.
const REST: &[u8] = b"st: test\r\n\r\n";

/// Clients that have sent this.
fn crowd(server: &Server, count: usize, bytes: &[u8]) -> Vec<Client> {
    let mut clients: Vec<_> = (0..count).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(bytes)));
    clients
}

/// Waits until all of them have their answer, in whatever order they get it.
#[track_caller]
fn all_are_answered(mut clients: Vec<Client>) {
    while !clients.is_empty() {
        let next = || clients.iter_mut().position(Client::has_news);
        let place = within(Duration::from_secs(30), "those that waited are served", next);
        clients.swap_remove(place).response().is(200, PAGE);
    }
}

#[test]
fn clients_beyond_the_limit_wait_for_a_place_where_none_is_idle() {
    let server = Server::start(&["--max-connections", "4", "--head-timeout", "1h"]);
    let mut busy = crowd(&server, 4, ASK_PAGE);
    for client in &mut busy {
        client.response().is(200, PAGE);
        client.send(PART);
    }
    let mut waiting = crowd(&server, 8, ASK_PAGE);
    does_not_spin(server.workers()[0]);
    assert!(!waiting.iter_mut().any(Client::has_news), "one was served beyond the limit");
    // A place that becomes free goes to one that waits.
    drop(busy.pop());
    let first = || waiting.iter_mut().position(Client::has_news);
    let first = eventually("one that waited is served", first);
    waiting.swap_remove(first).response().is(200, PAGE);
    for client in &mut busy {
        client.send(REST);
        client.response().is(200, PAGE);
    }
    all_are_answered(waiting);
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_place_is_free_again_however_its_client_left() {
    let server =
        Server::start(&["--max-connections", "2", "--head-timeout", "500ms", "--idle-timeout", "500ms"]);
    for round in 0..6 {
        let mut clients = crowd(&server, 2, ASK_PAGE);
        clients.iter_mut().for_each(|client| client.response().is(200, PAGE));
        for mut client in clients {
            match round % 3 {
                0 => drop(client),
                1 => client.reset(),
                _ => client.closed(),
            }
        }
    }
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn without_descriptors_the_served_go_on_and_nothing_spins() {
    // More places are asked for than there are descriptors, and more clients come than either.
    let server =
        Launch::site().descriptors(128).flags(["--max-connections", "1000", "--head-timeout", "1h"]).start();
    let worker = server.workers()[0];
    let mut served = crowd(&server, 10, ASK_PAGE);
    for client in &mut served {
        client.response().is(200, PAGE);
        client.send(PART);
    }
    let mut crowd = crowd(&server, 110, PART);
    does_not_spin(worker);
    // A large file needs a descriptor of its own; without one it may fail, but the connection lives on.
    served[0].send([REST, b"GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n"].concat());
    served[0].response().is(200, PAGE);
    served[0].response().has_status(&[200, 500, 503]);
    for client in &mut served[1..] {
        client.send(REST);
        client.response().is(200, PAGE);
    }
    crowd.iter_mut().for_each(|client| assert!(client.send(REST)));
    all_are_answered(crowd);
    assert!(worker.lives(), "the worker was replaced");
    server.get("/large.html").has_status(&[200]);
}

#[test]
fn descriptors_that_run_out_under_a_running_server_are_survived() {
    // The worker stays the user that the test is, which may change its limits.
    let user = if root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let server = Launch::site().flags(["--head-timeout", "1h"]).flags(user).start();
    let worker = server.workers()[0];
    let mut first = server.client();
    first.still_serves();
    let before = worker.descriptors().unwrap() as u64;
    worker.set_descriptor_limit(before + 5);
    first.send(PART);
    let mut crowd = crowd(&server, 30, PART);
    does_not_spin(worker);
    first.send(REST);
    first.response().is(200, PAGE);
    crowd.iter_mut().for_each(|client| assert!(client.send(REST)));
    all_are_answered(crowd);
    assert!(worker.lives());
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
    let limits = ["sh", "-c", "ulimit -Sn 100 && ulimit -Hn 3000 && exec \"$@\"", "sh"];
    let server = Launch::site().under(limits).start();
    let (soft, hard) = server.workers()[0].descriptor_limit();
    assert_eq!((soft, hard), (3000, 3000));
}

#[test]
fn a_limit_that_had_to_be_lowered_is_said() {
    let server = Launch::site().descriptors(200).flags(["--max-connections", "100000"]).start();
    server.says("that the limit was lowered", |line| {
        line.contains("WARN")
            && line.contains("connections")
            && (line.contains("100000") || line.contains("lower"))
    });
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn hundreds_of_idle_clients_cost_no_cpu_time_and_little_memory() {
    let server = Server::start(&[]);
    let worker = server.workers()[0];
    server.get("/page.html").is(200, PAGE);
    let before = worker.memory();
    let mut clients: Vec<_> = (0..500).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    does_not_spin(worker);
    let each = worker.memory().saturating_sub(before) / 500;
    assert!(each <= IDLE_MEMORY, "{each} bytes for an idle connection");
    clients.iter_mut().for_each(Client::still_serves);
}

#[test]
fn idle_clients_that_sent_a_long_field_cost_as_little_memory() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let server = Server::start(&["--access-log", path.to_str().unwrap()]);
    let worker = server.workers()[0];
    let referer = "r".repeat(30 << 10);
    let long = format!("GET /page.html HTTP/1.1\r\nHost: test\r\nReferer: {referer}\r\n\r\n");
    server.ask(&long).is(200, PAGE);
    let before = worker.memory();
    let mut clients: Vec<_> = (0..300).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(&long);
        client.response().is(200, PAGE);
    }
    let each = worker.memory().saturating_sub(before) / 300;
    assert!(each <= IDLE_MEMORY, "{each} bytes for an idle connection");
    clients.iter_mut().for_each(Client::still_serves);
}

#[test]
fn the_timers_run_while_more_clients_come_than_there_are_places() {
    let server = Server::start(&["--max-connections", "2", "--head-timeout", "1s", "--cache-valid", "0"]);
    let mut partial = server.client();
    partial.still_serves();
    partial.send("GET /page.html HT");
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let goes_on = || {
        let target = served.load(Ordering::Relaxed) + 200;
        eventually("the others are served", || (served.load(Ordering::Relaxed) > target).then_some(()));
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| crowd_the_queue(&server, &stop, &served))));
        let _stop = Stop(&stop);
        goes_on();
        let response = partial.response();
        response.has_status(&[408]);
        assert!(response.closes());
        goes_on();
        partial.closed();
    });
}

/// Keeps clients in the accept queue whose requests are there already, and which cost the server more than
/// they cost their client, so that there is always one to serve.
fn crowd_the_queue(server: &Server, stop: &AtomicBool, served: &AtomicUsize) {
    const LAST: &str = "GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let requests = "HEAD /page.html HTTP/1.1\r\nHost: test\r\n\r\n".repeat(49) + LAST;
    let mut queue = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        while queue.len() < 64 {
            let mut client = server.client();
            client.send(&requests);
            queue.push_back(client);
        }
        if let Some(mut client) = queue.pop_front() {
            let answers = client.rest();
            assert_eq!(memchr::memmem::find_iter(&answers, b"HTTP/1.1 200 OK\r\n").count(), 50);
            served.fetch_add(1, Ordering::Relaxed);
        }
    }
}
