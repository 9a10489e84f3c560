//! Signals to the master: TERM and INT stop at once, QUIT drains; the exit code is 0 for all of them.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Tree, eventually, pattern, root};

#[test]
fn term_and_int_stop_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Launch::site().workers(2).start();
        let workers = server.workers();
        let mut idle = server.client();
        idle.still_serves();
        let mut partial = server.client();
        partial.send("GET / HT");
        server.signal(signal);
        assert_eq!(server.exit_code(), Some(0));
        assert!(!workers.iter().any(|worker| worker.lives()));
        idle.closed();
    }
}

#[test]
fn term_does_not_wait_for_a_download() {
    let (mut server, _) = downloads(1, &[]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

/// A server with a large file.
fn downloads(workers: usize, flags: &[&str]) -> (Server, Vec<u8>) {
    let tree = Tree::site();
    let body = pattern(5, 24 << 20);
    tree.file("big.bin", &body);
    (Launch::of(tree).workers(workers).flags(flags).start(), body)
}

/// Reads the rest of a body.
#[track_caller]
fn finish(client: &mut Client, body: &[u8]) {
    let mut got = 0;
    let mut buffer = vec![0; 256 << 10];
    while got < body.len() {
        let count = client.read(&mut buffer);
        assert!(count > 0, "cut at {got} of {}", body.len());
        assert!(buffer[..count] == body[got..got + count], "wrong content at {got}");
        got += count;
    }
}

#[test]
fn quit_lets_a_download_complete() {
    let (mut server, body) = downloads(2, &[]);
    let mut clients: Vec<_> = (0..4).map(|_| Client::with_small_window(server.address())).collect();
    for client in &mut clients {
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.head().unwrap().has_status(&[200]);
    }
    server.signal(Signal::QUIT);
    // New clients are refused soon; then the drain has begun for certain.
    eventually("new clients are refused", || TcpStream::connect(server.address()).is_err().then_some(()));
    for client in &mut clients {
        finish(client, &body);
    }
    // They were told that they may ask again, so the drain ends with them and not before.
    drop(clients);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn quit_without_clients_ends_by_itself() {
    let mut server = Launch::site().workers(2).start();
    server.get("/page.html").is(200, PAGE);
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn quit_under_load_answers_those_that_came_in_and_refuses_the_others() {
    // Root, and other users who may, have the kernel hold new clients off in another way.
    let as_other_user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let wrappers = if root() { vec![&[][..], &as_other_user] } else { vec![&[][..]] };
    let addresses = ["127.0.0.1:0", "[::1]:0"];
    for (wrapper, listen) in wrappers.iter().flat_map(|wrapper| addresses.map(|address| (wrapper, address))) {
        let launch = Launch::site().workers(2).listen(&[listen]).under(wrapper.iter().copied());
        let mut server = launch.start();
        let address = server.address();
        let served = AtomicUsize::new(0);
        let ask = || {
            let mut lost = 0;
            // To be refused is the end of it.
            while let Ok(stream) = TcpStream::connect(address) {
                let mut client = Client::from(stream);
                client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                match client.answer() {
                    Some(response) => response.is(200, PAGE),
                    None => lost += 1,
                }
                served.fetch_add(1, Ordering::Relaxed);
            }
            lost
        };
        let lost: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            let enough = || (served.load(Ordering::Relaxed) > 100).then_some(());
            eventually("requests are served", enough);
            server.signal(Signal::QUIT);
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(lost, 0, "connections lost");
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn quit_answers_a_client_that_had_connected_and_asks_late() {
    let as_other_user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let wrappers = if root() { vec![&[][..], &as_other_user] } else { vec![&[][..]] };
    for wrapper in wrappers {
        let mut server = Launch::site().workers(2).under(wrapper.iter().copied()).start();
        let mut client = server.client();
        server.signal(Signal::QUIT);
        server.says("that it drains", |line| line.contains("is draining"));
        // The case itself: longer than the listeners need to find that no further client comes, and less than
        // they wait.
        std::thread::sleep(Duration::from_millis(600));
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().is(200, PAGE);
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn quit_answers_a_request_that_is_under_way() {
    let mut server = Launch::site().flags(["--drain-timeout", "60s"]).start();
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\nHo");
    // Served after it: the part above has been taken up as well.
    server.get("/page.html").is(200, PAGE);
    server.signal(Signal::QUIT);
    eventually("new clients are refused", || TcpStream::connect(server.address()).is_err().then_some(()));
    client.send("st: test\r\n\r\n");
    let response = client.response();
    response.is(200, PAGE);
    assert!(response.closes(), "a drained connection says that it closes");
    client.closed();
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn quit_destroys_no_answer_of_a_client_that_asks_again_too_soon() {
    let tree = Tree::site();
    let body = pattern(6, 1 << 20);
    tree.file("answer.bin", &body);
    let mut server = Launch::of(tree).flags(["--drain-timeout", "60s", "--head-timeout", "60s"]).start();
    // Each asks again with so much of its answer still to come: before the server has sent all, and after.
    let left = [1 << 20, 1 << 19, 1 << 17, 1 << 16, 1 << 15, 1 << 13];
    let mut clients: Vec<_> = left.iter().map(|_| Client::with_small_window(server.address())).collect();
    for client in &mut clients {
        client.send("GET /answer.bin HTTP/1.1\r\nHo");
    }
    // Served after them: the parts above have been taken up as well.
    server.get("/page.html").is(200, PAGE);
    server.signal(Signal::QUIT);
    eventually("new clients are refused", || TcpStream::connect(server.address()).is_err().then_some(()));
    for (client, left) in clients.iter_mut().zip(left) {
        client.send("st: test\r\nConnection: keep-alive\r\n\r\n");
        let head = client.head().unwrap();
        head.has_status(&[200]);
        assert!(head.closes(), "a drained connection says that it closes");
        let (mut got, mut asked, mut buffer) = (0, false, [0; 4096]);
        while got < body.len() {
            if !asked && body.len() - got <= left {
                asked = client.send(ASK_PAGE);
            }
            let count = client.read(&mut buffer);
            assert!(count > 0, "cut at {got} of {}, having asked with {left} to come", body.len());
            assert!(buffer[..count] == body[got..got + count], "wrong content at {got}");
            got += count;
        }
        client.closed();
    }
    drop(clients);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn quit_ends_idle_connections_in_time() {
    let mut server = Launch::site().flags(["--drain-timeout", "1s"]).start();
    let mut client = server.client();
    client.still_serves();
    server.signal(Signal::QUIT);
    // Closed, or answered once more with `close`; either way it ends and the server with it.
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
    if let Some(response) = client.answer() {
        response.is(200, PAGE);
    }
    client.rest();
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn quit_waits_no_longer_than_the_drain_timeout() {
    let (mut server, _) = downloads(1, &["--drain-timeout", "500ms"]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap();
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn term_cuts_a_drain_short() {
    let (mut server, _) = downloads(1, &["--drain-timeout", "1h", "--send-timeout", "1h"]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap();
    server.signal(Signal::QUIT);
    eventually("new clients are refused", || TcpStream::connect(server.address()).is_err().then_some(()));
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn signals_of_a_terminal_that_closes_or_a_pipe_that_breaks_kill_no_worker() {
    let server = Launch::site().workers(1).start();
    let worker = server.workers()[0];
    worker.signal(Signal::PIPE);
    server.master.signal(Signal::PIPE);
    (0..10).for_each(|_| server.get("/page.html").is(200, PAGE));
    assert!(worker.lives());
}
