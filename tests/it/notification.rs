//! What the server tells a service manager, heard by a stand-in for it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Tree, eventually};

/// The socket of a service manager, in a directory of its own.
struct Manager {
    socket: UnixDatagram,
    address: String,
    _tree: Option<Tree>,
}

impl Manager {
    fn at_a_path() -> Self {
        let tree = Tree::empty();
        let path = tree.at("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, address: path.to_str().unwrap().to_owned(), _tree: Some(tree) }
    }

    fn abstract_one() -> Self {
        let name = format!("mayhttpd-it-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Self { socket, address: format!("@{name}"), _tree: None }
    }

    fn launch(&self) -> Launch {
        Launch::site().workers(2).environment("NOTIFY_SOCKET", &self.address)
    }

    /// The assignments of the next datagram.
    #[track_caller]
    fn hears(&self) -> Vec<String> {
        self.socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("nothing was told");
        std::str::from_utf8(&buffer[..length]).unwrap().lines().map(str::to_owned).collect()
    }

    /// Whether nothing waits to be heard.
    fn is_idle(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let idle = self.socket.recv(&mut [0; 16]).is_err();
        self.socket.set_nonblocking(false).unwrap();
        idle
    }
}

#[test]
fn it_says_when_it_serves_and_when_it_stops() {
    let managers = [Manager::at_a_path(), Manager::abstract_one()];
    for (manager, signal) in managers.iter().zip([Signal::TERM, Signal::QUIT]) {
        let mut server = manager.launch().start();
        let told = manager.hears();
        assert_eq!(told[0], "READY=1");
        assert!(
            told[1].starts_with("STATUS=generation 1 serves /") && told[1].ends_with(" with 2 workers"),
            "{told:?}"
        );
        assert_eq!(told[2], format!("MAINPID={}", server.master.pid));
        server.get("/page.html").is(200, PAGE);
        server.workers()[0].signal(Signal::KILL);
        server.signal(signal);
        assert_eq!(manager.hears()[0], "STOPPING=1");
        assert_eq!(server.exit_code(), Some(0));
        assert!(manager.is_idle(), "more was told than that");
    }
}

#[test]
fn a_drain_is_told_while_it_lasts() {
    let manager = Manager::at_a_path();
    let mut server = manager.launch().start();
    assert_eq!(manager.hears()[0], "READY=1");
    let mut client = Client::with_small_window(server.address());
    client.send("GET /large.html HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    server.signal(Signal::QUIT);
    assert_eq!(manager.hears(), ["STOPPING=1", "STATUS=serving the last clients"]);
    assert!(server.master.lives());
    drop(client);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_reload_is_told_from_its_begin_to_its_end() {
    let manager = Manager::at_a_path();
    let tree = Tree::empty();
    let config = tree.file("may.toml", "workers = 2\n");
    let launch = Launch::site().flags(["--config", config.to_str().unwrap()]);
    let server = launch.environment("NOTIFY_SOCKET", &manager.address).start();
    assert_eq!(manager.hears()[0], "READY=1");
    for (text, status) in [
        ("name = \"x\"\n", "STATUS=generation 2 serves"),
        ("nonsense", "STATUS=serving with the earlier settings after a failed reload"),
    ] {
        tree.file("may.toml", text);
        server.signal(Signal::HUP);
        let told = manager.hears();
        assert_eq!(told[0], "RELOADING=1");
        assert!(told[1].strip_prefix("MONOTONIC_USEC=").is_some_and(|time| time.parse::<u64>().is_ok()));
        let told = manager.hears();
        assert!(told[0] == "READY=1" && told[1].starts_with(status), "{told:?}");
    }
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn an_upgrade_tells_who_stays() {
    let manager = Manager::at_a_path();
    let mut server = manager.launch().environment("WATCHDOG_USEC", "400000").start();
    let hears_but_the_watchdog = || loop {
        let told = manager.hears();
        if told[0] != "WATCHDOG=1" {
            return told;
        }
    };
    assert_eq!(hears_but_the_watchdog()[0], "READY=1");
    server.signal(Signal::USR2);
    let told = hears_but_the_watchdog();
    assert_eq!(told[0], "READY=1");
    let successor = eventually("it has workers", || {
        server.master.children().into_iter().find(|child| child.children().len() == 2)
    });
    assert_eq!(told[2], format!("MAINPID={}", successor.pid));
    server.signal(Signal::QUIT);
    assert_eq!(hears_but_the_watchdog(), [format!("MAINPID={}", successor.pid)]);
    assert_eq!(server.exit_code(), Some(0));
    while !manager.is_idle() {}
    assert_eq!(manager.hears(), ["WATCHDOG=1"], "the new master is not heard");
    successor.signal(Signal::TERM);
    eventually("the new program ends", || (!successor.lives()).then_some(()));
}

#[test]
fn a_start_that_fails_says_nothing() {
    let manager = Manager::at_a_path();
    let tree = Tree::empty();
    let finished = Launch::of_path(tree.at("absent")).environment("NOTIFY_SOCKET", &manager.address).run();
    assert_eq!(finished.code, Some(1));
    assert!(manager.is_idle());
}

#[test]
fn the_watchdog_hears_from_the_master_twice_in_its_time() {
    let manager = Manager::at_a_path();
    let server = manager.launch().environment("WATCHDOG_USEC", "400000").start();
    let mut beats = Vec::new();
    while beats.len() < 8 {
        match manager.hears().join("\n").as_str() {
            "WATCHDOG=1" => beats.push(Instant::now()),
            other => assert!(other.starts_with("READY=1"), "{other}"),
        }
    }
    // Seven spans of 200 ms; those that a busy machine makes longer are no fault.
    let took = beats[7] - beats[0];
    assert!(took > Duration::from_millis(1000), "8 beats in {took:?}");
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_watchdog_of_another_process_hears_nothing() {
    let manager = Manager::at_a_path();
    let watchdog = [("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "1")];
    let launch =
        watchdog.into_iter().fold(manager.launch(), |launch, (name, value)| launch.environment(name, value));
    let mut server = launch.start();
    assert_eq!(manager.hears()[0], "READY=1");
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    server.signal(Signal::TERM);
    assert_eq!(manager.hears()[0], "STOPPING=1");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_service_manager_that_is_not_there_is_warned_of_and_no_more() {
    for address in ["/no/such/socket", "vsock:2:1234"] {
        let server = Launch::site().environment("NOTIFY_SOCKET", address).start();
        server.get("/page.html").is(200, PAGE);
        let warned = |line: &str| line.contains("WARN") && line.contains("cannot report to");
        eventually("a warning", || server.log().lines().any(warned).then_some(()));
    }
}
