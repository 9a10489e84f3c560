//! A worker never waits for a disk: whatever the disk does, files in memory and those of other disks are
//! answered, and what comes from the disk in the end is right.
//!
//! A test holds the disk, so nothing here depends on how long anything takes.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use crate::support::process::may_have_descriptors;
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::{Caching, Operation};
use crate::support::tree::{PAGE, text};
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, pattern, within};

use Operation::{Lookup, Open, Read};

/// Threads of a worker for disks, by default, and how many of them one root may have.
const THREADS: usize = 16;
const OF_ONE_ROOT: usize = THREADS * 3 / 4;
/// Jobs that may wait in a worker for a thread.
const LINE: usize = 1024;

/// A server whose root is on a slow disk, and whose location /local/ is on a quick one. What it has read it
/// keeps without asking again.
struct Site {
    // The disk goes first: no process could end that waits for it.
    disk: SlowDisk,
    server: Server,
    local: Tree,
    _settings: Tree,
}

#[track_caller]
fn site(tree: Tree, caching: Caching, flags: &[&str]) -> Site {
    site_valid_for("1h", tree, caching, flags)
}

/// The same, which keeps what it has read for so long without asking again.
#[track_caller]
fn site_valid_for(valid: &str, tree: Tree, caching: Caching, flags: &[&str]) -> Site {
    let (local, settings) = (Tree::empty(), Tree::empty());
    local.file("page.txt", PAGE);
    let disk = SlowDisk::of(tree, caching);
    let file = settings.file("may.toml", location("/local/", local.path().to_str().unwrap()));
    let launch = Launch::of_path(disk.path()).flags(["--cache-valid", valid, "-c", file.to_str().unwrap()]);
    let server = launch.flags(flags).start();
    Site { disk, server, local, _settings: settings }
}

fn location(path: &str, directory: &str) -> String {
    format!("[[location]]\npath = {path:?}\nalias = {directory:?}\n")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

impl Site {
    /// Has the server read the page, which all its clients then get from memory.
    #[track_caller]
    fn warm(&self) -> Client {
        let mut client = self.server.client();
        client.still_serves();
        client
    }

    /// Holds the disk, and has a client ask for a file that the server has not seen yet.
    #[track_caller]
    fn hold_and_ask(&self, path: &str) -> Client {
        self.disk.hold();
        let mut client = self.server.client();
        client.send(get(&format!("/{path}")));
        self.disk.until_asked(Lookup, path);
        client
    }

    /// Holds the server to serving all that does not need the slow disk, to a client that is there and to new
    /// ones.
    #[track_caller]
    fn serves_the_rest(&self, warm: &mut Client) {
        for number in 0..10 {
            warm.still_serves();
            self.server.get("/page.html").is(200, PAGE);
            self.server.get("/local/page.txt").is(200, PAGE);
            self.server.get(format!("/local/absent-{number}")).has_status(&[404]);
            let name = format!("cold-{number}.txt");
            self.local.file(&name, &name);
            self.server.get(format!("/local/{name}")).is(200, &name);
        }
    }
}

#[test]
fn a_held_disk_holds_up_what_needs_it_and_nothing_else() {
    if !can_be_slow("a_held_disk_holds_up_what_needs_it_and_nothing_else") {
        return;
    }
    let site = site(Tree::site(), Caching::All, &[]);
    let mut warm = site.warm();
    let mut cold = site.hold_and_ask("text.txt");
    site.serves_the_rest(&mut warm);
    assert!(!cold.has_news() && site.disk.waiting() > 0);
    site.disk.release();
    cold.response().is(200, text());
    cold.still_serves();
}

#[test]
fn a_hundred_requests_for_a_cold_file_ask_the_disk_once() {
    if !can_be_slow("a_hundred_requests_for_a_cold_file_ask_the_disk_once") {
        return;
    }
    let site = site(Tree::site(), Caching::All, &[]);
    let mut warm = site.warm();
    let mut clients = vec![site.hold_and_ask("text.txt")];
    clients.extend((1..100).map(|_| site.warm()));
    for client in &mut clients[1..] {
        client.send(get("/text.txt"));
    }
    // The worker has then read what came before.
    (0..5).for_each(|_| warm.still_serves());
    assert_eq!(site.disk.waiting(), 1);
    site.disk.release();
    for client in &mut clients {
        client.response().is(200, text());
    }
    let asked = [Lookup, Open, Read].map(|operation| site.disk.count_of(operation, "text.txt"));
    assert_eq!(asked, [1, 1, 1]);
}

#[test]
fn many_cold_files_come_right_and_beside_each_other() {
    if !can_be_slow("many_cold_files_come_right_and_beside_each_other") {
        return;
    }
    const CLIENTS: usize = 40;
    const EACH: usize = 10;
    let body = |number: usize| pattern(number as u64, if number % 20 == 7 { 200_000 } else { number * 9 });
    let tree = Tree::site();
    for number in 0..CLIENTS * EACH {
        tree.file(format!("{}/{number}.bin", number % 7), body(number));
    }
    let site = site(tree, Caching::All, &[]);
    site.disk.set_delay(Duration::from_millis(20));
    std::thread::scope(|scope| {
        for first in 0..CLIENTS {
            let site = &site;
            scope.spawn(move || {
                let mut client = site.server.client();
                for number in (0..EACH).map(|index| first + index * CLIENTS) {
                    client.send(get(&format!("/{}/{number}.bin", number % 7)));
                    client.response().is(200, body(number));
                }
            });
        }
    });
    let most = site.disk.most_waiting();
    assert!((OF_ONE_ROOT / 2..=OF_ONE_ROOT).contains(&most), "{most} waited for the disk at once");
    site.disk.set_delay(Duration::ZERO);
}

#[test]
fn the_data_of_a_known_file_is_waited_for_by_those_who_want_it() {
    if !can_be_slow("the_data_of_a_known_file_is_waited_for_by_those_who_want_it") {
        return;
    }
    let (tree, body) = (Tree::site(), pattern(5, 1 << 20));
    tree.file("big.bin", &body);
    for flags in [&[][..], &["--sendfile", "off"]] {
        tree.file("other.bin", b"");
        let site = site(Tree::site(), Caching::AllButOpens, flags);
        site.disk.tree().file("big.bin", &body);
        let mut warm = site.warm();
        site.server.ask("HEAD /big.bin HTTP/1.1\r\nHost: test\r\n\r\n").has_status(&[200]);
        assert_eq!(site.disk.count_of(Read, "big.bin"), 0);
        site.disk.hold();
        let mut whole = site.server.client();
        whole.send(get("/big.bin"));
        let mut part = site.server.client();
        part.send("GET /big.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=700001-900000\r\n\r\n");
        let mut slow = Client::with_small_window(site.server.address());
        slow.send(get("/big.bin"));
        site.disk.until_asked(Read, "big.bin");
        site.serves_the_rest(&mut warm);
        site.disk.set_delay(Duration::from_millis(2));
        site.disk.release();
        part.response().is(206, &body[700_001..900_001]);
        whole.response().is(200, &body);
        warm.still_serves();
        slow.response().is(200, &body);
        [part, whole, slow].iter_mut().for_each(Client::still_serves);
    }
}

#[test]
fn clients_that_leave_while_their_files_are_read_leave_nothing_behind() {
    const CLIENTS: usize = 50;
    let test = "clients_that_leave_while_their_files_are_read_leave_nothing_behind";
    if !can_be_slow(test) {
        return;
    }
    let body = |number: usize| pattern(number as u64, 100 + number);
    let tree = Tree::site();
    (0..CLIENTS).for_each(|number| drop(tree.file(format!("{number}.txt"), body(number))));
    tree.file("big.bin", pattern(1, 1 << 20));
    let site = site(tree, Caching::All, &[]);
    site.server.ask("HEAD /big.bin HTTP/1.1\r\nHost: test\r\n\r\n").has_status(&[200]);
    drop(site.warm());
    let worker = site.server.workers()[0];
    if !worker.shows_descriptors(test) {
        return;
    }
    // With the connections so far closed by the worker too, and the large file, which stays open for a while.
    let (mut before, mut since) = (worker.descriptors(), Instant::now());
    eventually("the worker's descriptors stay the same for two seconds", || {
        let now = worker.descriptors();
        if now != before {
            (before, since) = (now, Instant::now());
        }
        (since.elapsed() > Duration::from_secs(2)).then_some(())
    });
    for round in 0..2 {
        let mut warm = site.warm();
        site.disk.hold();
        for number in 0..CLIENTS {
            let mut client = site.server.client();
            // Some ask for a file of their own, some for one that another asks for too.
            let path = if number % 5 == 4 { "big.bin".into() } else { format!("{}.txt", number / 2 * 2) };
            client.send(get(&format!("/{path}")));
            warm.still_serves();
            if number % 3 == 0 { client.reset() } else { drop(client) }
        }
        warm.still_serves();
        assert!(round > 0 || site.disk.waiting() > 0);
        site.disk.release();
        warm.still_serves();
        drop(warm);
        eventually("the descriptors are as before", || (worker.descriptors() == before).then_some(()));
    }
    assert!(worker.lives());
    for number in 0..CLIENTS {
        site.server.get(format!("/{number}.txt")).is(200, body(number));
    }
}

#[test]
fn a_server_stops_while_the_disk_is_held() {
    if !can_be_slow("a_server_stops_while_the_disk_is_held") {
        return;
    }
    for signal in [Signal::TERM, Signal::QUIT] {
        let mut site = site(Tree::site(), Caching::All, &["--drain-timeout", "1s"]);
        drop(site.warm());
        let mut cold = site.hold_and_ask("text.txt");
        site.server.signal(signal);
        assert_eq!(site.server.exit_code(), Some(0), "{signal:?}");
        // A worker that the disk keeps from ending has no socket any more.
        cold.closed();
        let address = site.server.address();
        eventually("the address is free", || TcpStream::connect(address).err());
        assert!(site.disk.waiting() > 0);
    }
}

/// Holds the server to answering the text, and to closing behind it.
#[track_caller]
fn answers_last(client: &mut Client) {
    let response = client.response();
    response.is(200, text());
    assert!(response.closes(), "a worker that drains keeps the connection");
    client.closed();
}

#[test]
fn a_drain_gives_the_disk_its_time() {
    if !can_be_slow("a_drain_gives_the_disk_its_time") {
        return;
    }
    let mut site = site(Tree::site(), Caching::All, &["--drain-timeout", "1m"]);
    let mut cold = site.hold_and_ask("text.txt");
    site.server.signal(Signal::QUIT);
    site.server.says("that it drains", |line| line.contains("drain"));
    site.disk.release();
    answers_last(&mut cold);
    assert_eq!(site.server.exit_code(), Some(0));
}

#[test]
fn a_reload_goes_on_while_the_disk_is_held() {
    if !can_be_slow("a_reload_goes_on_while_the_disk_is_held") {
        return;
    }
    let site = site(Tree::site(), Caching::All, &["--drain-timeout", "1m"]);
    let mut cold = site.hold_and_ask("text.txt");
    let before = site.server.workers();
    site.server.signal(Signal::HUP);
    eventually("a new worker serves", || {
        let fresh = site.server.workers().into_iter().any(|worker| !before.contains(&worker));
        (fresh && site.server.log().contains("generation 2 serves")).then_some(())
    });
    site.server.get("/local/page.txt").is(200, PAGE);
    assert!(!cold.has_news());
    site.disk.release();
    answers_last(&mut cold);
    eventually("the old worker ends", || (!before[0].lives()).then_some(()));
    site.server.get("/text.txt").is(200, text());
}

#[test]
fn a_killed_worker_that_the_disk_keeps_has_a_successor() {
    if !can_be_slow("a_killed_worker_that_the_disk_keeps_has_a_successor") {
        return;
    }
    let site = site(Tree::site(), Caching::All, &["--watchdog", "2s"]);
    let _cold = site.hold_and_ask("text.txt");
    let worker = site.server.workers()[0];
    worker.signal(Signal::KILL);
    // The kernel says nothing of its end; it has no heartbeat, and is given up some seconds later.
    within(DEADLINE * 2, "a successor serves", || {
        let fresh = site.server.workers().into_iter().any(|other| other != worker);
        fresh.then(|| site.server.get("/local/page.txt").is(200, PAGE))
    });
    site.disk.release();
    eventually("the killed one ends", || (!worker.lives()).then_some(()));
    site.server.get("/text.txt").is(200, text());
}

#[test]
fn the_close_of_a_file_that_was_checked_holds_up_no_other_request() {
    if !can_be_slow("the_close_of_a_file_that_was_checked_holds_up_no_other_request") {
        return;
    }
    let body = pattern(7, 200_000);
    let tree = Tree::site();
    tree.file("big.bin", &body);
    // A file that has just changed is read again however it looks.
    let changed = fs::metadata(tree.at("big.bin")).unwrap().ctime();
    let is_old =
        || SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(changed.cast_unsigned() + 3);
    eventually("the files have not changed lately", || is_old().then_some(()));
    let site = site_valid_for("0", tree, Caching::AllButCloses, &[]);
    for (path, body) in [("text.txt", text()), ("big.bin", body)] {
        // The first request opens and reads the file, the next one finds it unchanged.
        site.server.get(format!("/{path}")).is(200, &body);
        site.server.get(format!("/{path}")).is(200, &body);
        site.disk.hold_only(Operation::Flush);
        let mut client = site.server.client();
        client.send(get(&format!("/{path}")));
        site.disk.until_waiting(1);
        for _ in 0..10 {
            site.server.get("/local/page.txt").is(200, PAGE);
        }
        site.disk.release();
        client.response().is(200, &body);
    }
}

#[test]
fn a_request_waits_for_the_disk_no_longer_than_the_send_timeout() {
    if !can_be_slow("a_request_waits_for_the_disk_no_longer_than_the_send_timeout") {
        return;
    }
    let tree = Tree::site();
    tree.file("big.bin", pattern(5, 1 << 20));
    let site = site(tree, Caching::AllButOpens, &["--send-timeout", "1s"]);
    let mut warm = site.warm();
    site.server.ask("HEAD /big.bin HTTP/1.1\r\nHost: test\r\n\r\n").has_status(&[200]);
    let mut cold = site.hold_and_ask("text.txt");
    let mut under_way = site.server.client();
    under_way.send(get("/big.bin"));
    let refused = cold.response();
    refused.has_status(&[503]);
    assert_eq!(refused["retry-after"], "1");
    cold.still_serves();
    // Its head has gone out, so all that is left is to end it.
    let head = under_way.head().unwrap();
    head.has_status(&[200]);
    under_way.closed();
    warm.still_serves();
    site.disk.release();
    site.server.get("/text.txt").is(200, text());
}

#[test]
fn a_request_that_finds_the_line_full_is_told_to_come_again() {
    const CLIENTS: usize = LINE + 200;
    let test = "a_request_that_finds_the_line_full_is_told_to_come_again";
    if !can_be_slow(test) || !may_have_descriptors(test, CLIENTS as u64 * 2) {
        return;
    }
    let tree = Tree::site();
    (0..CLIENTS).for_each(|number| drop(tree.file(format!("{number}.txt"), format!("this is {number}\n"))));
    let site = site(tree, Caching::All, &["--send-timeout", "10m"]);
    let mut warm = site.warm();
    site.server.get("/local/page.txt").is(200, PAGE);
    site.disk.hold();
    let mut clients: Vec<Client> = (0..CLIENTS)
        .map(|number| {
            let mut client = site.server.client();
            client.send(get(&format!("/{number}.txt")));
            client
        })
        .collect();
    // All wait in the line, or at the disk, or have been refused.
    let least = CLIENTS - LINE - THREADS;
    eventually("requests are refused", || {
        let told = clients.iter_mut().filter_map(|client| client.has_news().then_some(())).count();
        (told >= least).then_some(())
    });
    // What is in memory needs no place in the line.
    warm.still_serves();
    site.server.get("/local/page.txt").is(200, PAGE);
    let mut refused = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        if !client.has_news() {
            continue;
        }
        let response = client.response();
        response.has_status(&[503]);
        assert!(response["retry-after"].parse::<u32>().is_ok_and(|seconds| seconds > 0));
        refused.push(number);
    }
    assert!((least..=CLIENTS - LINE).contains(&refused.len()), "{} are refused", refused.len());
    site.disk.release();
    for (number, client) in clients.iter_mut().enumerate() {
        if !refused.contains(&number) {
            client.response().is(200, format!("this is {number}\n"));
        }
    }
    for number in refused {
        site.server.get(format!("/{number}.txt")).is(200, format!("this is {number}\n"));
    }
}

#[test]
fn the_listing_of_a_cold_directory_holds_up_no_other_request() {
    if !can_be_slow("the_listing_of_a_cold_directory_holds_up_no_other_request") {
        return;
    }
    let tree = Tree::site();
    (0..300).for_each(|number| drop(tree.file(format!("cold/name-{number:0>3}.txt"), b"")));
    let site = site(tree, Caching::All, &["--listing", "on"]);
    let mut warm = site.warm();
    let mut cold = site.hold_and_ask("cold");
    cold.send(get("/cold/"));
    site.serves_the_rest(&mut warm);
    site.disk.release();
    cold.response().has_status(&[301]);
    // The names are read: the directory itself is known by now.
    site.disk.hold();
    let mut other = site.server.client();
    other.send(get("/cold/"));
    site.disk.until_waiting(1);
    site.serves_the_rest(&mut warm);
    site.disk.release();
    for client in [&mut cold, &mut other] {
        let listing = client.response();
        listing.has_status(&[200]);
        let named = (0..300).filter(|number| listing.text().contains(&format!("name-{number:0>3}.txt")));
        assert_eq!(named.count(), 300);
    }
}

#[test]
fn a_root_on_a_hung_disk_leaves_threads_to_the_others() {
    if !can_be_slow("a_root_on_a_hung_disk_leaves_threads_to_the_others") {
        return;
    }
    let (tree, settings) = (Tree::site(), Tree::empty());
    (0..100).for_each(|number| drop(tree.file(format!("{number}.txt"), format!("this is {number}\n"))));
    let hung = SlowDisk::of(tree, Caching::All);
    let good = SlowDisk::of(Tree::site(), Caching::All);
    (0..100).for_each(|number| drop(good.tree().file(format!("{number}.txt"), format!("other {number}\n"))));
    let file = settings.file("may.toml", location("/good/", good.path().to_str().unwrap()));
    let server = Launch::of_path(hung.path()).flags(["-c", file.to_str().unwrap()]).start();
    // Of a tuple the first is dropped first, and the server could not end while its disk is held.
    let site = (hung, good, server);
    let (hung, good, server) = &site;
    hung.hold();
    let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!("/{number}.txt")));
    }
    hung.until_waiting(OF_ONE_ROOT);
    good.set_delay(Duration::from_millis(1));
    for number in 0..100 {
        server.get(format!("/good/{number}.txt")).is(200, format!("other {number}\n"));
    }
    assert_eq!(hung.waiting(), OF_ONE_ROOT);
    hung.release();
    for (number, client) in clients.iter_mut().enumerate() {
        client.response().is(200, format!("this is {number}\n"));
    }
}
