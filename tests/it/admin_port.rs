//! The admin listener's port is the server's alone: no process of another user, and none of the workers'
//! user, listens there, whatever becomes of the admin process. The same for the workers' own listeners.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use mayhttpd::sys::process::{Fork, die_with_parent, exit_now, fork, id};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use crate::admin_reload::held;
use crate::support::exposition::Exposition;
use crate::support::process::Stray;
use crate::support::{Client, Launch, Server, Tree, eventually, plain, root, skipped};

/// What the workers become where root starts the server, and a user that has no part in it.
const USERS: [u32; 2] = [65534, 12345];

/// Whether SO_REUSEADDR and SO_REUSEPORT are on.
const OPTIONS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

/// A listener at this address, with these options.
fn take(address: SocketAddr, (reuse_address, reuse_port): (bool, bool)) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, reuse_address)?;
    sockopt::set_socket_reuseport(&socket, reuse_port)?;
    bind(&socket, &address)?;
    listen(&socket, 16)?;
    Ok(socket)
}

/// Runs `body` in a process of this user, and gives its id. The code that `body` returns is its exit code.
fn as_user(user: u32, body: impl FnOnce() -> i32) -> Pid {
    let parent = id();
    match fork().unwrap() {
        Fork::Parent(pid) => Pid::from_raw(pid).unwrap(),
        Fork::Child => {
            let group = rustix::fs::Gid::from_raw(user);
            let changed = set_thread_groups(&[])
                .and_then(|()| set_thread_gid(group))
                .and_then(|()| set_thread_uid(rustix::fs::Uid::from_raw(user)));
            // It ends with the thread of the test.
            let follows = die_with_parent(parent);
            exit_now(if changed.is_ok() && follows.is_ok() { body() } else { 100 });
        }
    }
}

/// Holds every user to being refused at this address, with every choice of options.
#[track_caller]
fn is_refused_to_all(address: SocketAddr, when: &str) {
    for user in USERS {
        for (number, options) in OPTIONS.into_iter().enumerate() {
            let child = as_user(user, || match take(address, options) {
                Ok(_) => 1,
                Err(rustix::io::Errno::ADDRINUSE) => 0,
                Err(_) => 2,
            });
            let status =
                eventually("the attempt ends", || waitpid(Some(child), WaitOptions::NOHANG).unwrap());
            let code = status.1.exit_status();
            assert_eq!(code, Some(0), "user {user} with options {:?}, {when}", OPTIONS[number]);
        }
    }
}

/// Processes that try to listen at an address again and again, until they can.
struct Rivals(Vec<Pid>);

impl Rivals {
    fn start(address: SocketAddr) -> Self {
        let rival = |user| {
            as_user(user, || {
                loop {
                    for options in OPTIONS {
                        if let Ok(_listener) = take(address, options) {
                            // It goes on listening, as one that means harm would.
                            std::thread::park();
                            exit_now(1);
                        }
                    }
                    // Two of these on a small machine leave the server little of it.
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            })
        };
        Self(USERS.map(rival).into())
    }
}

impl Drop for Rivals {
    fn drop(&mut self) {
        for pid in &self.0 {
            kill_process(*pid, Signal::KILL).unwrap();
            eventually("it ends", || waitpid(Some(*pid), WaitOptions::NOHANG).unwrap());
        }
    }
}

/// How many sockets listen at a port of an IPv4 address.
fn listeners(port: u16) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let listens = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")) && fields[3] == "0A"
    };
    table.lines().skip(1).filter(listens).count()
}

/// Kills the admin process, and waits for the next one. Nothing else ever listens at its port.
#[track_caller]
fn replace(server: &Server, address: SocketAddr) {
    let old = server.admin().unwrap();
    old.signal(Signal::KILL);
    eventually("the next one answers", || {
        assert!(listeners(address.port()) <= 1);
        server.admin().filter(|new| *new != old)?;
        plain::get(address, "/healthz")
    });
}

/// Makes a connection that the server closes first, so that its kernel keeps the port in use for a minute.
#[track_caller]
fn closed_by_the_server(address: SocketAddr) {
    let mut client = Client::connect(address);
    client.send(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"));
    assert!(client.rest().ends_with(b"ready\n"));
}

#[test]
fn no_process_of_another_user_or_of_the_workers_listens_at_the_admin_port() {
    let name = "no_process_of_another_user_or_of_the_workers_listens_at_the_admin_port";
    if !root() && skipped(name, "other users need root") {
        return;
    }
    let place = Tree::empty();
    let file = place.file("mayhttpd.toml", "name = \"a\"\n");
    let server = Launch::site().flags(["--admin", "0", "--config", file.to_str().unwrap()]).start();
    let address = server.admin_address();
    is_refused_to_all(address, "while the process serves");

    let rivals = Rivals::start(address);
    for round in 0..3 {
        replace(&server, address);
        // A reload with another name keeps the process, with another sandbox it does not.
        let old = server.admin();
        fs::write(&file, format!("sandbox = \"{}\"\n", ["off", "on"][round % 2])).unwrap();
        server.signal(Signal::HUP);
        eventually("another process answers", || {
            assert!(listeners(address.port()) <= 1);
            server.admin().filter(|_| server.admin() != old)?;
            plain::get(address, "/healthz")
        });
    }
    for _ in 0..20 {
        assert_eq!(plain::get(address, "/healthz"), Some((200, "ready\n".to_owned())));
    }
    assert_eq!(listeners(address.port()), 1);
    drop(rivals);

    // With no process at all: the next one waits after a short life.
    server.admin().unwrap().signal(Signal::KILL);
    is_refused_to_all(address, "after the death of the process");
}

#[test]
fn no_process_of_another_user_or_of_the_workers_listens_at_the_admin_port_in_an_upgrade() {
    let name = "no_process_of_another_user_or_of_the_workers_listens_at_the_admin_port_in_an_upgrade";
    if !root() && skipped(name, "other users need root") {
        return;
    }
    let (_held, address) = held();
    let mut server = Launch::site().flags(["--admin", &address.to_string()]).start();
    server.admin_address();
    closed_by_the_server(address);
    let started = || {
        let (_, text) = plain::get(address, "/metrics")?;
        Some(Exposition::parse(&text).value("mayhttpd_start_time_seconds"))
    };
    let old = started().unwrap();
    let rivals = Rivals::start(address);
    let before = server.master.children();
    server.signal(Signal::USR2);
    let new = eventually("the new program has a worker", || {
        let children = server.master.children();
        let new =
            children.into_iter().find(|child| !before.contains(child) && !child.children().is_empty())?;
        (server.log().matches("generation 1 serves").count() == 2).then(|| Stray(new))
    });
    assert_eq!(started(), Some(old));
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    eventually("the new program's admin answers", || {
        assert!(listeners(address.port()) <= 1);
        started().filter(|&start| start > old)
    });
    for _ in 0..20 {
        assert_eq!(plain::get(address, "/healthz"), Some((200, "ready\n".to_owned())));
    }
    drop(rivals);
    is_refused_to_all(address, "after the upgrade");
    drop(new);
}

#[test]
fn a_port_below_a_wildcard_is_held_for_both_families() {
    let name = "a_port_below_a_wildcard_is_held_for_both_families";
    if !root() && skipped(name, "other users need root") {
        return;
    }
    if TcpListener::bind("[::1]:0").is_err() && skipped(name, "there is no IPv6") {
        return;
    }
    let server = Launch::site().flags(["--admin", "[::]:0"]).start();
    let port: u16 = eventually("the address is told", || {
        let output = server.output();
        let url = output.lines().find_map(|line| line.trim().strip_prefix("admin: http://[::1]:"))?;
        url.strip_suffix("/status")?.parse().ok()
    });
    let at = |host: [u8; 4]| SocketAddr::from((host, port));
    let ask = || plain::get(at([127, 0, 0, 1]), "/healthz");
    eventually("it answers over IPv4", ask);
    for address in [at([127, 0, 0, 1]), at([0, 0, 0, 0]), format!("[::1]:{port}").parse().unwrap()] {
        is_refused_to_all(address, "while the process serves");
    }
    server.admin().unwrap().signal(Signal::KILL);
    for address in [at([127, 0, 0, 1]), at([0, 0, 0, 0]), format!("[::]:{port}").parse().unwrap()] {
        is_refused_to_all(address, "after its death");
    }
}

#[test]
fn a_restarted_server_has_its_admin_port_although_connections_of_the_last_one_have_yet_to_time_out() {
    let (_held, address) = held();
    for _ in 0..3 {
        let mut server = Launch::site().flags(["--admin", &address.to_string()]).start();
        server.admin_address();
        closed_by_the_server(address);
        if root() {
            is_refused_to_all(address, "with a connection that has yet to time out");
        }
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn no_process_of_another_user_or_of_the_workers_joins_the_workers_listeners() {
    let name = "no_process_of_another_user_or_of_the_workers_joins_the_workers_listeners";
    if !root() && skipped(name, "other users need root") {
        return;
    }
    let server = Launch::site().workers(2).start();
    is_refused_to_all(server.address(), "while two workers listen");
    for worker in server.workers() {
        worker.signal(Signal::KILL);
    }
    is_refused_to_all(server.address(), "after the death of the workers");
    server.signal(Signal::HUP);
    server.says("the next generation", |line| line.contains("generation 2 serves"));
    is_refused_to_all(server.address(), "after a reload");
}

#[test]
fn a_held_address_takes_no_connections() {
    let held = mayhttpd::sys::socket::reserve("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = mayhttpd::sys::socket::local_address(held.as_fd()).unwrap();
    assert!(std::net::TcpStream::connect(address).is_err());
}
