//! Sockets that are inherited from the process that starts the server: it serves on them, never ends them,
//! and refuses what is no listening stream socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually};

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A server that inherits this socket, which stays open here as it does with systemd.
fn activated(socket: &TcpListener, workers: usize, flags: &[&str]) -> Server {
    let inherited = socket.try_clone().unwrap();
    Launch::site().workers(workers).listen(&[]).flags(flags).activated_by(inherited, 1).start()
}

#[test]
fn an_inherited_socket_takes_the_place_of_addresses() {
    let socket = listener();
    let server = activated(&socket, 2, &["--listen", "127.0.0.1:0"]);
    assert_eq!(server.addresses, [socket.local_addr().unwrap()]);
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
    assert!(server.log().contains("--listen, --host and --port are ignored"), "{}", server.log());
    let silent = activated(&listener(), 1, &[]);
    assert!(!silent.log().contains("are ignored"), "{}", silent.log());
}

#[test]
fn what_is_inherited_is_not_passed_on() {
    let server = activated(&listener(), 1, &[]);
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/3", server.master.pid)).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    let flags = u32::from_str_radix(flags, 8).unwrap();
    // O_CLOEXEC and O_NONBLOCK, in the octal of fcntl.h.
    assert_eq!(flags & 0o2_004_000, 0o2_004_000, "{flags:o}");
}

#[test]
fn several_are_served_side_by_side() {
    let socket = listener();
    let inherited = socket.try_clone().unwrap();
    let server = Launch::site().listen(&[]).activated_by(inherited, 2).start();
    eventually("both are printed", || (server.output().matches("http://").count() == 2).then_some(()));
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
}

#[test]
fn all_workers_share_the_socket_and_each_keeps_its_limit() {
    let server = activated(&listener(), 2, &["--max-connections", "2", "--head-timeout", "1h"]);
    let mut inside: Vec<_> = (0..4).map(|_| server.client()).collect();
    for client in &mut inside {
        client.still_serves();
        // None of them is idle, or it would be closed for a new client.
        client.send("GET /page.html HTTP/1.1\r\nHo");
    }
    let mut outside = server.client();
    outside.send(ASK_PAGE);
    // Some ticks of the workers' clocks.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!outside.has_news(), "a fifth connection was let in");
    drop(inside.pop());
    outside.response().is(200, PAGE);
    for client in &mut inside {
        client.send("st: test\r\n\r\n");
        client.response().is(200, PAGE);
    }
}

#[test]
fn idle_connections_are_closed_for_a_new_client_where_no_worker_has_room() {
    const ROUNDS: usize = 5;
    let server = activated(&listener(), 2, &["--max-connections", "2"]);
    let mut closed_early = 0;
    for _ in 0..ROUNDS {
        let mut clients = Vec::new();
        let mut closed = 0;
        for _ in 0..6 {
            let mut client = server.client();
            client.still_serves();
            clients.push(client);
            let before = clients.len();
            clients.retain_mut(|client| !client.is_closed());
            closed += before - clients.len();
            closed_early += if clients.len() < 4 { before - clients.len() } else { 0 };
        }
        assert!(closed >= 2 && clients.len() <= 4, "{closed} of 6 were closed");
    }
    // A full worker leaves a new client to the other one, which the machine may not let run in time.
    assert!(closed_early <= ROUNDS, "{closed_early} connections were closed while a worker had room");
}

#[test]
fn a_killed_worker_is_replaced_on_the_same_socket() {
    let server = activated(&listener(), 2, &[]);
    let victim = server.workers()[0];
    victim.signal(Signal::KILL);
    eventually("a successor is started", || (!victim.lives() && server.workers().len() == 2).then_some(()));
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
}

#[test]
fn who_comes_after_the_end_waits_for_the_next_server() {
    for signal in [Signal::QUIT, Signal::TERM] {
        let socket = listener();
        let mut first = activated(&socket, 2, &[]);
        let mut kept = first.client();
        kept.still_serves();
        drop(kept);
        first.signal(signal);
        assert_eq!(first.exit_code(), Some(0));
        let mut waiting = first.client();
        waiting.send(ASK_PAGE);
        let second = activated(&socket, 2, &[]);
        waiting.response().is(200, PAGE);
        second.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn no_client_is_lost_from_one_server_to_the_next() {
    let socket = listener();
    let address = socket.local_addr().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut server = activated(&socket, 2, &[]);
    std::thread::scope(|scope| {
        let ending = crate::support::Stop(&stop);
        let ask = || {
            let mut served = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let mut client = Client::from(TcpStream::connect(address).unwrap());
                client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                client.response().is(200, PAGE);
                served += 1;
            }
            served
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        for _ in 0..3 {
            (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
            server.signal(Signal::QUIT);
            assert_eq!(server.exit_code(), Some(0));
            server = activated(&socket, 2, &[]);
        }
        drop(ending);
        assert!(clients.into_iter().all(|client| client.join().unwrap() > 0));
    });
}

#[test]
fn a_download_is_completed_before_the_end() {
    let socket = listener();
    let mut server = activated(&socket, 2, &[]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n");
    let length = client.head().unwrap().length().unwrap() as usize;
    server.signal(Signal::QUIT);
    eventually("the drain has begun", || server.log().contains("is draining").then_some(()));
    client.half_close();
    assert_eq!(client.rest().len(), length);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_reload_and_an_upgrade_go_on_with_the_socket() {
    let socket = listener();
    let mut server = activated(&socket, 2, &[]);
    server.signal(Signal::HUP);
    eventually("the next generation serves", || server.log().contains("generation 2 serves").then_some(()));
    eventually("the old one is gone", || (server.workers().len() == 2).then_some(()));
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
    server.signal(Signal::USR2);
    eventually("the new program serves", || server.log().contains("generation 1 serves").then_some(()));
    let successor = eventually("it has workers", || {
        server.master.children().into_iter().find(|child| child.children().len() == 2)
    });
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
    successor.signal(Signal::QUIT);
    eventually("the new program ends", || (!successor.lives()).then_some(()));
    TcpStream::connect(socket.local_addr().unwrap()).expect("its owner still listens");
}

#[test]
fn a_unix_socket_is_served_too() {
    let tree = Tree::empty();
    let (path, log) = (tree.at("socket"), tree.at("access.log"));
    let socket = UnixListener::bind(&path).unwrap();
    let launch = Launch::site().workers(2).listen(&[]).flags(["--access-log", log.to_str().unwrap()]);
    let mut server = launch.activated_by(socket.try_clone().unwrap(), 1).start();
    assert!(server.output().contains(&format!("  unix:{}\n", path.display())), "{}", server.output());
    for (target, length) in [("page.html", PAGE.len()), ("large.html", crate::support::tree::LARGE)] {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let ask = format!("GET /{target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", answer[..64].escape_ascii());
        let body = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer.len() - body, length);
    }
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().count() == 2 && text.lines().all(|line| line.starts_with("unix: - - [")), "{text}");
    UnixStream::connect(&path).expect("its owner still listens");
}

#[test]
fn what_is_meant_for_another_process_is_ignored() {
    let server = Launch::site().environment("LISTEN_PID", "1").environment("LISTEN_FDS", "1").start();
    server.get("/page.html").is(200, PAGE);
    let server = Launch::site().environment("LISTEN_FDS", "1").start();
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn what_is_no_listening_stream_socket_is_refused() {
    let deaf = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let rows: [(OwnedFd, usize, &str); 4] = [
        (
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            1,
            "descriptor 3: it is not a listening stream socket",
        ),
        (deaf, 1, "descriptor 3: it is not a listening stream socket"),
        (file.into(), 1, "descriptor 3: socket operation on non-socket"),
        (listener().into(), 5000, "descriptor 3: LISTEN_FDS is not a number of sockets"),
    ];
    for (socket, count, words) in rows {
        let launch = Launch::site().listen(&[]).activated_by(socket, count.min(1));
        let launch = if count > 1 {
            let script = format!("export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$@\"");
            launch.under(["sh", "-c", &script, "sh"])
        } else {
            launch
        };
        let finished = launch.run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.errors.trim_end().ends_with(words), "{finished:?}");
    }
}
