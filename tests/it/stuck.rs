//! A worker with a thread that waits in the kernel for a file system: it does not end, not even by SIGKILL,
//! before the file system answers. The master goes on without it.

use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::Caching;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Tree, within};

/// Longer than the watchdog's time, or the drain's, and the seconds that a killed worker is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose root is on a disk that can be held.
struct Site {
    // The disk goes first: no process that waits for it can end.
    disk: SlowDisk,
    server: Server,
}

fn site(flags: &[&str]) -> Site {
    let tree = Tree::empty();
    tree.file("page.html", PAGE);
    tree.file("cold.txt", PAGE);
    let disk = SlowDisk::of(tree, Caching::All);
    let server = Launch::of_path(disk.path()).workers(1).flags(flags).start();
    Site { disk, server }
}

impl Site {
    /// Holds the disk, and has the worker ask it for a file. Returns the client that waits for the file.
    #[track_caller]
    fn hold(&self) -> Client {
        self.disk.hold();
        let mut client = self.server.client();
        client.send("GET /cold.txt HTTP/1.1\r\nHost: test\r\n\r\n");
        self.disk.until_waiting(1);
        client
    }

    #[track_caller]
    fn says(&self, what: &str) {
        within(PATIENCE, what, || self.server.log().contains(what).then_some(()));
    }
}

/// The log of a worker that is given up, from its process id on.
fn given_up(pid: u32) -> String {
    format!("worker 0, pid {pid}, was killed and has not ended: a thread waits in the kernel (")
}

#[test]
fn a_killed_worker_that_does_not_end_is_replaced_and_its_end_changes_nothing() {
    if !can_be_slow("a_killed_worker_that_does_not_end_is_replaced_and_its_end_changes_nothing") {
        return;
    }
    let site = site(&["--watchdog", "4s"]);
    let worker = site.server.workers()[0];
    let _waiting = site.hold();
    worker.signal(Signal::KILL);
    site.says(&given_up(worker.pid));
    let started = |times| {
        let what = format!("worker 0 starts {times} times");
        within(PATIENCE, &what, || {
            (site.server.log().matches("worker 0 started").count() == times).then_some(())
        });
    };
    started(2);
    site.disk.release();
    site.says(&format!("worker 0, pid {}, which did not end when it was killed, has ended", worker.pid));
    site.server.get("/cold.txt").is(200, PAGE);
    started(2);
    assert!(!site.server.log().contains("worker 0 ended"), "{}", site.server.log());
}

#[test]
fn clients_see_the_end_of_a_worker_that_does_not_end() {
    if !can_be_slow("clients_see_the_end_of_a_worker_that_does_not_end") {
        return;
    }
    for signal in [Signal::TERM, Signal::QUIT] {
        let site = site(&["--drain-timeout", "1s"]);
        let (worker, mut idle) = (site.server.workers()[0], site.server.client());
        idle.still_serves();
        let mut waiting = site.hold();
        site.server.signal(signal);
        idle.closed();
        waiting.closed();
        assert!(worker.lives(), "{signal:?}: it does not wait for the disk");
    }
}

#[test]
fn a_master_ends_although_a_worker_does_not_and_leaves_its_address_free() {
    if !can_be_slow("a_master_ends_although_a_worker_does_not_and_leaves_its_address_free") {
        return;
    }
    // A worker that is killed can close nothing.
    for (signal, killed) in [(Signal::TERM, true), (Signal::QUIT, false)] {
        let mut site = site(&["--drain-timeout", "1s"]);
        let (worker, address) = (site.server.workers()[0], site.server.address());
        let _waiting = site.hold();
        if killed {
            worker.signal(Signal::KILL);
        }
        site.server.signal(signal);
        assert_eq!(site.server.exit_code_within(PATIENCE), Some(0), "{signal:?}");
        // A thread of this test reads the log, maybe later than the end.
        site.says(&given_up(worker.pid));
        site.says("stopped");
        assert!(TcpStream::connect(address).is_err(), "{signal:?}: the worker still listens");
        let next = Launch::site().listen(&[&address.to_string()]).start();
        next.ask(ASK_PAGE).is(200, PAGE);
    }
}
