//! Clients that misbehave in numbers: whatever they do, others are served and nothing is left behind.

use crate::support::process::Process;
use crate::support::tree::PAGE;
use crate::support::{Client, Server, Tree, eventually, pattern};

/// Holds a server to serving others, by the worker that it began with, and to having let go of what it held.
#[track_caller]
fn unharmed(server: &Server, worker: Process, descriptors: Option<usize>) {
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    assert_eq!(server.workers(), [worker], "the worker was replaced");
    eventually("the connections are let go", || (worker.descriptors() <= descriptors).then_some(()));
}

fn subject() -> (Server, Process, Option<usize>) {
    let tree = Tree::site();
    tree.file("big.bin", pattern(1, 8 << 20));
    let server = Server::of(tree, &["--send-timeout", "2s", "--head-timeout", "2s"]);
    // Whatever the worker opens once is open before it is counted, the files of the test included.
    for target in ["/page.html", "/big.bin", "/text.txt"] {
        server.get(target).has_status(&[200]);
    }
    let worker = server.workers()[0];
    let descriptors = worker.descriptors().map(|count| count + 2);
    (server, worker, descriptors)
}

#[test]
fn two_thousand_that_connect_and_leave() {
    let (server, worker, descriptors) = subject();
    (0..2000).for_each(|_| drop(server.client()));
    unharmed(&server, worker, descriptors);
}

#[test]
fn two_thousand_that_connect_and_reset() {
    let (server, worker, descriptors) = subject();
    (0..2000).for_each(|_| server.client().reset());
    unharmed(&server, worker, descriptors);
}

#[test]
fn hundreds_that_leave_within_a_head() {
    let (server, worker, descriptors) = subject();
    for round in 0..400 {
        let mut client = server.client();
        client.send("GET /page.html HTTP/1.1\r\nHo");
        if round % 2 == 0 {
            client.reset();
        }
    }
    unharmed(&server, worker, descriptors);
}

#[test]
fn hundreds_that_leave_before_their_answer() {
    let (server, worker, descriptors) = subject();
    for round in 0..400 {
        let mut client = server.client();
        client.send("GET /text.txt HTTP/1.1\r\nHost: test\r\n\r\n".repeat(3));
        if round % 2 == 0 {
            client.reset();
        }
    }
    unharmed(&server, worker, descriptors);
}

#[test]
fn hundreds_that_reset_within_a_large_answer() {
    let (server, worker, descriptors) = subject();
    for _ in 0..200 {
        let mut client = server.client();
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.read(&mut [0; 1000]);
        client.reset();
    }
    unharmed(&server, worker, descriptors);
}

#[test]
fn hundreds_that_drip_their_heads() {
    let (server, worker, descriptors) = subject();
    let mut clients: Vec<_> = (0..300).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send("GET /page.html HTTP/1.1\r\nHost: x\r\nX-")));
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    for client in &mut clients {
        client.send("a");
    }
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    clients.iter_mut().for_each(|client| client.response().has_status(&[408]));
    unharmed(&server, worker, descriptors);
}

#[test]
fn a_hundred_that_ask_for_much_and_read_nothing() {
    let (server, worker, descriptors) = subject();
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = Client::with_small_window(server.address());
            client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
            client
        })
        .collect();
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    // The server drops them by itself, after its send timeout.
    unharmed(&server, worker, descriptors);
    drop(clients);
}

#[test]
fn a_thousand_connections_at_once() {
    let (server, worker, descriptors) = subject();
    let mut clients: Vec<_> = (0..1000).map(|_| server.client()).collect();
    clients
        .iter_mut()
        .for_each(|client| assert!(client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n")));
    clients.iter_mut().for_each(|client| client.response().is(200, PAGE));
    clients.iter_mut().rev().for_each(Client::still_serves);
    drop(clients);
    unharmed(&server, worker, descriptors);
}

#[test]
fn a_thousand_connections_one_after_another_leave_nothing() {
    let (server, worker, descriptors) = subject();
    (0..1000).for_each(|_| server.get("/page.html").is(200, PAGE));
    unharmed(&server, worker, descriptors);
}
