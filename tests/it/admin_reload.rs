//! The admin process across reloads: an address that is added, removed or changed takes effect when the next
//! generation serves, one that can't be had leaves all as it is, and of two processes one answers at a time.
//! And across the rotation of its log.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};
use rustix::process::Signal;

use crate::support::exposition::Exposition;
use crate::support::network::Network;
use crate::support::process::Process;
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Tree, eventually, plain, root, skipped};

/// A server with a settings file that a test rewrites.
struct Reloading {
    server: Server,
    file: PathBuf,
    place: Tree,
}

impl Reloading {
    #[track_caller]
    fn start(settings: &str) -> Self {
        let place = Tree::empty();
        let file = place.at("mayhttpd.toml");
        fs::write(&file, settings).unwrap();
        let server = Launch::site().workers(2).flags(["--config", file.to_str().unwrap()]).start();
        Self { server, file, place }
    }

    /// With an admin listener that answers.
    #[track_caller]
    fn with_admin(address: SocketAddr) -> Self {
        let reloading = Self::start(&admin(address));
        assert_eq!(reloading.server.admin_address(), address);
        reloading
    }

    /// Rewrites the file and sends HUP, without waiting for what comes of it.
    fn hup(&self, settings: &str) {
        fs::write(&self.file, settings).unwrap();
        self.server.signal(Signal::HUP);
    }

    /// Reloads with these settings, and waits until the next generation serves.
    #[track_caller]
    fn reload(&self, settings: &str) {
        let generations = || self.count(" workers of ");
        let before = generations();
        self.hup(settings);
        eventually("the next generation serves", || (generations() > before).then_some(()));
    }

    /// Reloads with settings that can't be had, and waits for the line that says why.
    #[track_caller]
    fn fail(&self, settings: &str) -> String {
        let before = self.count("the reload failed");
        self.hup(settings);
        eventually("the reload failed", || {
            let log = self.server.log();
            log.lines().filter(|line| line.contains("the reload failed")).nth(before).map(str::to_owned)
        })
    }

    fn count(&self, words: &str) -> usize {
        // The last line may be half there.
        let log = self.server.log();
        log[..log.rfind('\n').map_or(0, |end| end + 1)].lines().filter(|line| line.contains(words)).count()
    }

    /// All children that are admin processes.
    fn admins(&self) -> usize {
        let is_admin = |child: &Process| child.name().is_some_and(|name| name == "mayhttpd-admin");
        self.server.master.children().iter().filter(|child| is_admin(child)).count()
    }
}

fn admin(address: SocketAddr) -> String {
    format!("admin = \"{address}\"\n")
}

fn socket() -> OwnedFd {
    // No server inherits it.
    socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

/// A socket that keeps an address from other programs, and not from the server.
pub fn held() -> (OwnedFd, SocketAddr) {
    let socket = socket();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = getsockname(&socket).unwrap().try_into().unwrap();
    (socket, address)
}

/// Waits until no socket at all is bound to an address.
#[track_caller]
fn is_let_go_of(address: SocketAddr) {
    let socket = socket();
    eventually("the address is let go of", || bind(&socket, &address).ok());
}

#[track_caller]
fn answers(address: SocketAddr) {
    eventually("the admin listener answers", || {
        (plain::get(address, "/healthz")? == (200, "ready\n".to_owned())).then_some(())
    });
}

#[track_caller]
fn is_silent(address: SocketAddr) {
    eventually("nothing listens", || TcpStream::connect(address).is_err().then_some(()));
}

#[test]
fn an_admin_listener_can_be_added() {
    let reloading = Reloading::start("name = \"a\"\n");
    assert_eq!(reloading.admins(), 0);
    let (_held, address) = held();
    reloading.reload(&admin(address));
    answers(address);
    assert_eq!(reloading.admins(), 1);
    let (_, text) = plain::get(address, "/metrics").unwrap();
    let metrics = Exposition::parse(&text);
    assert_eq!(metrics.value("mayhttpd_generation"), 2.0);
    assert_eq!(metrics.value("mayhttpd_admin_restarts_total"), 0.0);
    reloading.server.says("where", |line| line.ends_with(&format!("moves to http://{address}/status")));
    reloading.server.get("/page.html").is(200, PAGE);
}

#[test]
fn an_admin_listener_can_be_removed() {
    let (held, address) = held();
    let reloading = Reloading::with_admin(address);
    reloading.reload("admin = \"off\"\n");
    is_silent(address);
    eventually("the process ends", || (reloading.admins() == 0).then_some(()));
    reloading.server.says("so", |line| line.ends_with("the admin listener is closed"));
    drop(held);
    is_let_go_of(address);
    reloading.server.get("/page.html").is(200, PAGE);
    // And it does not come back.
    reloading.reload("name = \"b\"\n");
    assert_eq!(reloading.admins(), 0);
}

#[test]
fn an_admin_listener_can_be_moved_and_one_answers_at_a_time() {
    let (held, addresses): (Vec<_>, Vec<_>) = [held(), held()].into_iter().unzip();
    let reloading = Reloading::with_admin(addresses[0]);
    for round in 1..=4 {
        let (old, new) = (addresses[(round + 1) % 2], addresses[round % 2]);
        if round == 2 {
            // One that hangs leaves at no request.
            reloading.server.admin().unwrap().stop();
        }
        fs::write(&reloading.file, admin(new)).unwrap();
        reloading.server.signal(Signal::HUP);
        eventually("it answers at the new address", || {
            assert!(reloading.admins() <= 1, "two at a time");
            plain::get(new, "/healthz")
        });
        assert!(TcpStream::connect(old).is_err(), "it answers at both");
        answers(new);
    }
    let (_, text) = plain::get(addresses[0], "/metrics").unwrap();
    assert_eq!(Exposition::parse(&text).value("mayhttpd_admin_restarts_total"), 0.0);
    drop(held);
}

#[test]
fn an_admin_port_that_is_taken_ends_the_reload_with_one_line_and_changes_nothing() {
    let (_held, old) = held();
    let reloading = Reloading::with_admin(old);
    let before = (reloading.server.admin(), reloading.server.workers());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let new = taken.local_addr().unwrap();
    // What else the file says must not take effect either.
    let settings = format!("name = \"never\"\nlog_file = \"{}\"\n", reloading.place.at("log").display());
    let line = reloading.fail(&(admin(new) + &settings));
    let why = format!("cannot listen on {new}: address already in use (another process holds this port)");
    assert!(line.contains("ERROR [master]") && line.ends_with(&why), "{line}");
    answers(old);
    assert_eq!((reloading.server.admin(), reloading.server.workers()), before);
    assert_eq!(reloading.server.get("/page.html").field("Server"), Some("mayhttpd"));
    assert!(!reloading.place.at("log").exists());
    assert_eq!(reloading.count("ERROR"), 1, "{}", reloading.server.log());

    drop(taken);
    reloading.reload(&admin(new));
    answers(new);
    is_silent(old);
}

#[test]
fn an_admin_listener_can_be_widened_and_narrowed_at_its_own_port() {
    // A wildcard is at the mercy of whatever else this machine does at any of its addresses.
    match Network::make(65536) {
        Ok(network) => network.enter(widen_and_narrow),
        Err(why) => {
            skipped("an_admin_listener_can_be_widened_and_narrowed_at_its_own_port", &why);
        }
    }
}

fn widen_and_narrow() {
    let at = |host: [u8; 4]| SocketAddr::from((host, 9000));
    let (narrow, wide, beside) = (at([127, 0, 0, 1]), at([0, 0, 0, 0]), at([127, 0, 0, 2]));
    let reloading = Reloading::with_admin(narrow);
    is_silent(beside);

    let process = reloading.server.admin();
    let taken = TcpListener::bind(beside).unwrap();
    let line = reloading.fail(&admin(wide));
    assert!(line.contains(&format!("cannot listen on {wide}: address already in use")), "{line}");
    answers(narrow);
    drop(taken);
    // The address can be had, and what can't be comes later.
    let line = reloading.fail(&(admin(wide) + "log_file = \"/nowhere/log\"\n"));
    assert!(line.contains("/nowhere/log"), "{line}");
    assert_eq!(reloading.server.admin(), process, "a reload that fails restarts it");
    assert_eq!(reloading.count("admin started"), 1, "{}", reloading.server.log());
    is_silent(beside);
    // Enough for the master, and too little for the threads of a worker.
    let master = reloading.server.master;
    master.set_address_space_limit(Some(master.address_space() + (1 << 20)));
    let line = reloading.fail(&admin(wide));
    assert!(line.contains("of generation 2 could not serve"), "{line}");
    master.set_address_space_limit(None);
    assert_eq!(reloading.server.admin(), process, "a generation that fails restarts it");
    assert_eq!(reloading.count("admin started"), 1, "{}", reloading.server.log());
    is_silent(beside);
    answers(narrow);
    // And it can still be started again.
    process.unwrap().signal(Signal::KILL);
    eventually("the next one comes", || reloading.server.admin().filter(|found| Some(*found) != process));
    answers(narrow);

    reloading.reload(&admin(wide));
    answers(beside);
    reloading.reload(&admin(narrow));
    answers(narrow);
    is_silent(beside);
    assert_eq!(reloading.admins(), 1);
    assert_eq!(reloading.count("could not serve:"), 1, "{}", reloading.server.log());
}

#[test]
fn a_generation_that_cannot_serve_takes_its_admin_address_along() {
    let ((_held, old), (new_held, new)) = (held(), held());
    let reloading = Reloading::with_admin(old);
    let process = reloading.server.admin();
    // Enough for the master, and too little for the threads of a worker.
    let master = reloading.server.master;
    master.set_address_space_limit(Some(master.address_space() + (1 << 20)));
    let line = reloading.fail(&admin(new));
    assert!(line.contains("of generation 2 could not serve"), "{line}");
    drop(new_held);
    is_let_go_of(new);
    answers(old);
    assert_eq!(reloading.server.admin(), process);

    master.set_address_space_limit(None);
    reloading.reload(&admin(new));
    answers(new);
    is_silent(old);
}

#[test]
fn an_admin_process_is_started_again_where_its_settings_change() {
    let (_held, address) = held();
    let reloading = Reloading::with_admin(address);
    let seccomp = |admin: Process| admin.thread_status(admin.pid, "Seccomp:");
    let first = reloading.server.admin().unwrap();
    reloading.reload(&(admin(address) + "name = \"other\"\n"));
    assert_eq!(reloading.server.admin(), Some(first), "the name is none of its business");

    reloading.reload(&(admin(address) + "sandbox = \"off\"\n"));
    let second = eventually("another one comes", || reloading.server.admin().filter(|found| *found != first));
    answers(address);
    // A container has a filter around everything in it.
    assert_eq!(seccomp(second), Process::own().status("Seccomp:"));

    let log = reloading.place.at("errors");
    let settings = format!("sandbox = \"off\"\nlog_level = \"debug\"\nlog_file = \"{}\"\n", log.display());
    fs::write(&reloading.file, admin(address) + &settings).unwrap();
    reloading.server.signal(Signal::HUP);
    eventually("it logs where the settings say now", || {
        plain::get(address, "/status.json")?;
        fs::read_to_string(&log).ok()?.contains("DEBUG [admin] GET /status.json").then_some(())
    });
    assert_eq!(reloading.admins(), 1);
}

#[test]
fn a_reload_brings_other_names_that_the_admin_answers_for() {
    let (_held, address) = held();
    let reloading = Reloading::with_admin(address);
    let ask = || {
        plain::ask(address, "GET /healthz HTTP/1.1\r\nHost: status.example\r\n\r\n").map(|(status, _)| status)
    };
    assert_eq!(ask(), Some(421));
    reloading.reload(&(admin(address) + "admin_hosts = [\"status.example\"]\n"));
    eventually("it answers for the name", || (ask()? == 200).then_some(()));
}

#[test]
fn an_emptied_master_starts_its_admin_again_as_the_same_user() {
    if !root() && skipped("an_emptied_master_starts_its_admin_again…", "the user changes for root alone") {
        return;
    }
    let (_held, address) = held();
    let reloading = Reloading::with_admin(address);
    let first = reloading.server.admin().unwrap();
    reloading.server.signal(Signal::WINCH);
    eventually("the workers leave", || reloading.server.workers().is_empty().then_some(()));
    first.signal(Signal::KILL);
    let second = eventually("another one comes", || {
        plain::get(address, "/status")?;
        reloading.server.admin().filter(|found| *found != first)
    });
    assert_ne!(second.user(), 0);
}

#[test]
fn the_admin_goes_on_in_a_log_that_is_opened_again() {
    let logs = Tree::empty();
    let (log, moved) = (logs.at("errors"), logs.at("errors.1"));
    let flags = ["--admin", "0", "--log-level", "debug", "--log-file", log.to_str().unwrap()];
    let server = Launch::site().flags(flags).start();
    let address = server.admin_address();
    let process = server.admin();
    let says = |path: &PathBuf, line: &str| {
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|found| found.ends_with(line)))
    };
    plain::get(address, "/status?before").unwrap();
    assert!(says(&log, "DEBUG [admin] GET /status?before"));
    for round in 0..3 {
        fs::rename(&log, &moved).unwrap();
        server.signal(Signal::USR1);
        eventually("the log is there again", || log.exists().then_some(()));
        let path = format!("/status?{round}");
        eventually("the admin writes to it", || {
            plain::get(address, &path)?;
            says(&log, &format!("DEBUG [admin] GET {path}")).then_some(())
        });
        let length = fs::metadata(&moved).unwrap().len();
        plain::get(address, "/status?after").unwrap();
        assert!(says(&log, "DEBUG [admin] GET /status?after"));
        assert_eq!(fs::metadata(&moved).unwrap().len(), length, "the old file still grows");
    }
    assert_eq!(server.admin(), process);
}
