//! Signals that change a running server: HUP, WINCH, TTIN, TTOU. The master's pid never changes.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::process::Process;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Tree, eventually, pattern};

/// Sends HUP, and waits until all workers are new ones.
#[track_caller]
fn reload(server: &Server) -> Vec<Process> {
    let before: HashSet<Process> = server.workers().into_iter().collect();
    server.signal(Signal::HUP);
    eventually("the workers are replaced", || {
        let workers = server.workers();
        let fresh = workers.len() == before.len() && workers.iter().all(|worker| !before.contains(worker));
        fresh.then_some(workers)
    })
}

#[test]
fn hup_replaces_the_workers_and_keeps_the_master() {
    let server = Launch::site().workers(2).start();
    for _ in 0..3 {
        assert_eq!(reload(&server).len(), 2);
        assert!(server.master.lives());
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn reloads_under_load_lose_no_request() {
    let server = Launch::site().workers(2).start();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let fresh = || {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                server.get("/page.html").is(200, PAGE);
                count += 1;
            }
            count
        };
        let kept = || {
            let mut client = server.client();
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                client.send(ASK_PAGE);
                let response = client.response();
                response.is(200, PAGE);
                if response.closes() {
                    client = server.client();
                }
                count += 1;
            }
            count
        };
        let clients = [scope.spawn(fresh), scope.spawn(fresh), scope.spawn(kept), scope.spawn(kept)];
        for _ in 0..10 {
            reload(&server);
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
}

#[test]
fn a_kept_connection_learns_of_a_reload_by_its_next_answer() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.still_serves();
    let before = server.workers();
    server.signal(Signal::HUP);
    eventually("the next generation is there", || (server.workers() != before).then_some(()));
    eventually("the old worker drains", || server.log().contains("to their end").then_some(()));
    // Requests may overtake the order to drain; none of them is lost.
    eventually("an answer says that the connection ends", || {
        client.send(ASK_PAGE);
        let response = client.response();
        response.is(200, PAGE);
        response.closes().then_some(())
    });
    client.closed();
}

#[test]
fn a_download_outlives_the_generation_that_serves_it() {
    let tree = Tree::site();
    let body = pattern(7, 24 << 20);
    tree.file("big.bin", &body);
    let server = Server::of(tree, &[]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    let old = server.workers()[0];
    server.signal(Signal::HUP);
    eventually("the old worker drains", || server.log().contains("to their end").then_some(()));
    assert!(old.lives());
    let (mut got, mut buffer) = (0, vec![0; 256 << 10]);
    while got < body.len() {
        let count = client.read(&mut buffer);
        assert!(count > 0, "cut at {got}");
        assert!(buffer[..count] == body[got..got + count], "wrong content at {got}");
        got += count;
    }
    drop(client);
    eventually("the old worker leaves", || (!old.lives()).then_some(()));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_reload_that_cannot_succeed_says_why_and_changes_nothing() {
    let tree = Tree::site();
    let root = tree.path().to_owned();
    let aside = root.with_extension("aside");
    let server = Server::of(tree, &[]);
    let before = server.workers();
    fs::rename(&root, &aside).unwrap();
    server.signal(Signal::HUP);
    let line = eventually("the reason is logged", || {
        server.log().lines().find(|line| line.contains("reload is given up")).map(str::to_owned)
    });
    assert!(line.contains(root.to_str().unwrap()) && line.contains("no such file"), "{line}");
    assert_eq!(server.workers(), before);
    server.get("/page.html").is(200, PAGE);
    fs::rename(&aside, &root).unwrap();
    reload(&server);
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn ttin_and_ttou_change_the_number_of_workers() {
    let server = Launch::site().workers(1).start();
    let count = |wanted: usize| {
        eventually("the number of workers changes", || (server.workers().len() == wanted).then_some(()));
        for _ in 0..20 {
            server.get("/page.html").is(200, PAGE);
        }
    };
    server.signal(Signal::TTIN);
    count(2);
    server.signal(Signal::TTIN);
    count(3);
    server.signal(Signal::TTOU);
    count(2);
    server.signal(Signal::TTOU);
    count(1);
    server.signal(Signal::TTOU);
    server.signal(Signal::TTIN);
    count(2);
}

/// Opens connections until each worker has one.
#[track_caller]
fn reach_all(server: &Server) -> Vec<Client> {
    let descriptors = || server.workers().iter().map(|worker| worker.descriptors()).collect::<Vec<_>>();
    let before = descriptors();
    let mut clients = Vec::new();
    eventually("each worker has a connection", || {
        let mut client = server.client();
        client.still_serves();
        clients.push(client);
        before.iter().zip(&descriptors()).all(|(before, now)| now > before).then_some(())
    });
    clients
}

#[track_caller]
fn serves_many(server: &Server) {
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
}

/// Waits until the log says it `times` times.
#[track_caller]
fn says(server: &Server, what: &str, times: usize) {
    eventually(what, || (server.log().matches(what).count() >= times).then_some(()));
}

#[test]
fn a_worker_wanted_again_while_it_drains_has_a_successor_when_it_ends() {
    let server = Launch::site().workers(2).start();
    let kept = reach_all(&server);
    server.signal(Signal::TTOU);
    says(&server, "worker 1 serves its clients to their end", 1);
    server.signal(Signal::TTIN);
    serves_many(&server);
    drop(kept);
    says(&server, "worker 1 started", 2);
    reach_all(&server);
    serves_many(&server);
}

#[test]
fn a_slot_taken_away_while_it_waits_for_a_worker_leaves_no_client_waiting() {
    let server = Launch::site().workers(2).start();
    let steady = server.workers()[0];
    eventually("the next worker has to wait for a while", || {
        let young = server.workers().into_iter().find(|worker| *worker != steady)?;
        young.signal(Signal::KILL);
        eventually("it has ended", || (!young.lives()).then_some(()));
        eventually("and the master knows", || (server.workers().last() != Some(&young)).then_some(()));
        server.log().contains("the next one starts in 800ms").then_some(())
    });
    server.signal(Signal::TTOU);
    eventually("one worker is left", || (server.workers() == [steady]).then_some(()));
    serves_many(&server);
    server.signal(Signal::TTIN);
    eventually("there are two again", || (server.workers().len() == 2).then_some(()));
    reach_all(&server);
}

/// A settings file, and a server that has its settings from there.
struct Filed {
    file: std::path::PathBuf,
    _place: Tree,
    server: Server,
}

impl Filed {
    #[track_caller]
    fn start(settings: &str, listen: &[&str]) -> Self {
        let place = Tree::empty();
        let file = place.at("mayhttpd.toml");
        fs::write(&file, settings).unwrap();
        let server = Launch::site().by_file(&file).listen(listen).start();
        Self { file, _place: place, server }
    }

    /// Reloads with these settings, and waits until a generation of that number serves.
    #[track_caller]
    fn reload(&self, settings: &str, number: u32) {
        fs::write(&self.file, settings).unwrap();
        self.server.signal(Signal::HUP);
        says(&self.server, &format!("generation {number} serves"), 1);
    }
}

#[test]
fn a_reload_takes_no_listener_that_an_earlier_one_has_told_to_close() {
    let filed = Filed::start("workers = 2\n", &["127.0.0.1:0"]);
    let kept = reach_all(&filed.server);
    filed.reload("workers = 1\n", 2);
    filed.reload("workers = 2\n", 3);
    serves_many(&filed.server);
    drop(kept);
    eventually("the earlier workers end", || (filed.server.workers().len() == 2).then_some(()));
    reach_all(&filed.server);
    serves_many(&filed.server);
}

#[test]
fn an_address_comes_back_while_workers_that_were_to_close_it_drain() {
    let filed = Filed::start("workers = 2\nlisten = [\"127.0.0.1:0\"]\n", &[]);
    let kept = reach_all(&filed.server);
    filed.reload("workers = 2\nlisten = [\"127.0.0.2:0\"]\n", 2);
    filed.reload("workers = 2\nlisten = [\"127.0.0.1:0\"]\n", 3);
    serves_many(&filed.server);
    drop(kept);
    eventually("the earlier workers end", || (filed.server.workers().len() == 2).then_some(()));
    serves_many(&filed.server);
}

#[test]
fn a_worker_that_dies_before_it_has_closed_its_listener_leaves_no_client_waiting() {
    let filed = Filed::start("workers = 2\n", &["127.0.0.1:0"]);
    let server = &filed.server;
    let old = server.workers();
    let kept = reach_all(server);
    old[1].stop();
    filed.reload("workers = 1\n", 2);
    old[1].signal(Signal::KILL);
    eventually("it has ended", || (server.workers().len() == 2).then_some(()));
    assert!(old[0].lives(), "the other one still drains");
    serves_many(server);
    drop(kept);
}

#[test]
fn winch_empties_the_master_and_hup_fills_it_again() {
    let mut server = Launch::site().workers(2).start();
    server.signal(Signal::WINCH);
    eventually("the workers leave", || server.workers().is_empty().then_some(()));
    assert!(server.master.lives());
    // The listeners are still there, so that a client waits rather than being refused.
    let mut waiting = server.client();
    waiting.send(ASK_PAGE);
    server.signal(Signal::HUP);
    eventually("there are workers again", || (server.workers().len() == 2).then_some(()));
    waiting.response().is(200, PAGE);
    server.signal(Signal::QUIT);
    drop(waiting);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn an_emptied_master_keeps_its_listeners_when_a_reload_fails() {
    let server = Launch::site().workers(2).start();
    server.signal(Signal::WINCH);
    eventually("the workers leave", || server.workers().is_empty().then_some(()));
    // Enough for the master, and too little for the threads of a worker.
    let master = server.master;
    master.set_address_space_limit(Some(master.address_space() + (1 << 20)));
    server.signal(Signal::HUP);
    server.says("that the reload failed", |line| {
        line.contains("the reload is given up") && line.contains("could not serve")
    });
    eventually("the new workers leave", || server.workers().is_empty().then_some(()));
    let mut waiting = server.client();
    waiting.send(ASK_PAGE);
    master.set_address_space_limit(None);
    server.signal(Signal::HUP);
    waiting.response().is(200, PAGE);
}

#[test]
fn a_reload_takes_up_what_the_settings_file_says_now() {
    let place = Tree::empty();
    let file = place.path().join("mayhttpd.toml");
    fs::write(&file, "name = \"before\"\n").unwrap();
    let server = Server::start(&["--config", file.to_str().unwrap()]);
    assert_eq!(server.get("/page.html").field("Server"), Some("before"));

    fs::write(&file, "name = \"before\"\nnaem = \"typo\"\n").unwrap();
    let before = server.workers();
    server.signal(Signal::HUP);
    server.says("where the file is wrong", |line| {
        line.contains("the reload is given up") && line.contains("mayhttpd.toml:2:1: naem: unknown key")
    });
    assert_eq!(server.workers(), before);
    assert_eq!(server.get("/page.html").field("Server"), Some("before"));

    fs::write(&file, "name = \"after\"\n").unwrap();
    reload(&server);
    eventually("the new name is said", || {
        (server.get("/page.html").field("Server") == Some("after")).then_some(())
    });
}
