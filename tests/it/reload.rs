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
    eventually("the old worker drains", || server.log().contains("is draining").then_some(()));
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
    eventually("the old worker drains", || server.log().contains("is draining").then_some(()));
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
        server.log().lines().find(|line| line.contains("reload failed")).map(str::to_owned)
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
        // Where descriptors can't be seen there is nothing to wait for.
        before.iter().zip(&descriptors()).all(|(before, now)| before.is_none() || now > before).then_some(())
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
    says(&server, "worker 1 is draining", 1);
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
    let mut killed = 0;
    while !server.log().contains("the next one starts in 800ms") {
        let young =
            eventually("worker 1 is there", || server.workers().into_iter().find(|worker| *worker != steady));
        young.signal(Signal::KILL);
        killed += 1;
        assert!(killed <= 20, "workers are not delayed: {}", server.log());
        says(&server, "the next one starts in", killed);
        // Before that, a client might be in the queue of the slot when its listener is closed.
        says(&server, "no new connections go to slot 1 for now", killed);
    }
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
        line.contains("the reload failed") && line.contains("could not serve")
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
        line.contains("the reload failed") && line.contains("mayhttpd.toml:2:1: naem: unknown key")
    });
    assert_eq!(server.workers(), before);
    assert_eq!(server.get("/page.html").field("Server"), Some("before"));

    fs::write(&file, "name = \"after\"\n").unwrap();
    reload(&server);
    eventually("the new name is said", || {
        (server.get("/page.html").field("Server") == Some("after")).then_some(())
    });
}

/// The lines of the log that say a generation serves: its number and how many workers it has.
fn generations(server: &Server) -> Vec<(u32, usize)> {
    let log = server.log();
    let whole = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
    let after = |line: &str, word: &str| -> Option<String> {
        Some(line[line.find(word)? + word.len()..].split(' ').next()?.to_owned())
    };
    whole
        .lines()
        .filter(|line| line.contains(" serves ") && line.contains(" workers of "))
        .map(|line| {
            let number = after(line, "generation ").unwrap().parse().unwrap();
            (number, after(line, " with ").unwrap().parse().unwrap())
        })
        .collect()
}

/// Counts in the log the reloads that began at their HUP, and the HUPs that waited for another reload to end.
fn reloads(log: &str) -> (usize, usize) {
    let (mut direct, mut waited, mut waiting) = (0, 0, false);
    for line in log.lines() {
        if line.contains("this reload waits") {
            waited += 1;
            waiting = true;
        } else if line.contains("reloading: generation") && !std::mem::take(&mut waiting) {
            direct += 1;
        }
    }
    (direct, waited)
}

#[test]
fn a_hup_during_a_reload_is_followed_by_one_more_with_the_settings_of_that_time() {
    // Enough workers that the first reload is mostly still under way when the next ones are asked for.
    let settings = |name: &str| format!("workers = 8\nname = \"{name}\"\n");
    let filed = Filed::start(&settings("first"), &["127.0.0.1:0"]);
    let server = &filed.server;
    let begun = || server.log().matches("reloading: generation").count();
    for round in 1..=3 {
        let before = begun();
        fs::write(&filed.file, settings("second")).unwrap();
        server.signal(Signal::HUP);
        says(server, "reloading: generation", before + 1);
        let last = format!("third{round}");
        for name in ["x", "y", &last] {
            fs::write(&filed.file, settings(name)).unwrap();
            server.signal(Signal::HUP);
        }
        eventually("the last settings are served", || {
            (server.get("/page.html").field("Server") == Some(&last)).then_some(())
        });
        server.signal(Signal::USR1);
        says(server, "logs reopened", round);
        eventually("the last reload is over", || (generations(server).len() == 1 + begun()).then_some(()));
    }
    assert!(generations(server).len() >= 7, "{}", server.log());
    // HUPs that wait come to one more reload. A HUP that comes later, on a slow machine, has its own.
    let (direct, waited) = reloads(&server.log());
    assert!(direct + waited <= 12, "{direct} began at once, {waited} waited: {}", server.log());
    eventually("the earlier workers leave", || (server.workers().len() == 8).then_some(()));
}

#[test]
fn workers_added_during_a_reload_are_added_to_the_new_ones() {
    let filed = Filed::start("workers = 6\n", &["127.0.0.1:0"]);
    let server = &filed.server;
    server.signal(Signal::HUP);
    says(server, "reloading: generation 2 starts", 1);
    server.signal(Signal::TTIN);
    says(server, "generation 2 serves", 1);
    says(server, "worker 6 of generation 2 started", 1);
    eventually("the earlier workers leave", || (server.workers().len() == 7).then_some(()));
    serves_many(server);
}

#[test]
fn a_master_emptied_during_a_reload_is_empty_and_serves_again_after_a_hup() {
    let filed = Filed::start("workers = 6\n", &["127.0.0.1:0"]);
    let server = &filed.server;
    server.signal(Signal::HUP);
    says(server, "reloading: generation 2 starts", 1);
    server.signal(Signal::WINCH);
    says(server, "generation 2 serves", 1);
    eventually("all workers leave", || server.workers().is_empty().then_some(()));
    let mut waiting = server.client();
    waiting.send(ASK_PAGE);
    server.signal(Signal::HUP);
    waiting.response().is(200, PAGE);
    eventually("there are workers again", || (server.workers().len() == 6).then_some(()));
}

#[test]
fn a_stop_during_a_reload_ends_it() {
    for signal in [Signal::QUIT, Signal::TERM] {
        let mut filed = Filed::start("workers = 6\n", &["127.0.0.1:0"]);
        filed.server.signal(Signal::HUP);
        says(&filed.server, "reloading: generation 2 starts", 1);
        filed.server.signal(Signal::HUP);
        filed.server.signal(signal);
        assert_eq!(filed.server.exit_code(), Some(0));
        assert!(!filed.server.log().contains("generation 3"), "{}", filed.server.log());
    }
}

/// Has a reload fail after the fork: the workers of the next generation can't serve.
#[track_caller]
fn fail_late(filed: &Filed, settings: &str) {
    let failed = "could not serve";
    let before = filed.server.log().matches(failed).count();
    // Enough for the master, and too little for the threads of a worker.
    let master = filed.server.master;
    master.set_address_space_limit(Some(master.address_space() + (1 << 20)));
    fs::write(&filed.file, settings).unwrap();
    filed.server.signal(Signal::HUP);
    says(&filed.server, failed, before + 1);
    master.set_address_space_limit(None);
}

#[test]
fn a_reload_that_fails_late_leaves_the_log_as_it_was() {
    let filed = Filed::start("workers = 2\n", &["127.0.0.1:0"]);
    let logs = Tree::empty();
    let new = logs.at("errors");
    let settings = format!(
        "workers = 2\nlog_level = \"error\"\nlog_format = \"json\"\nlog_file = \"{}\"\n",
        new.display()
    );
    fail_late(&filed, &settings);
    let server = &filed.server;
    let line = server.log().lines().find(|line| line.contains("could not serve")).unwrap().to_owned();
    assert!(line.contains(" ERROR [master] the reload failed"), "{line}");
    server.signal(Signal::USR1);
    server.says("in the old format", |line| line.ends_with(" INFO [master] logs reopened"));
    let text = fs::read_to_string(&new).unwrap_or_default();
    assert!(!text.contains("\"process\":\"master\""), "{text}");
    // Workers that are replaced are those of before as well.
    server.workers()[0].signal(Signal::KILL);
    server
        .says("in the old format", |line| line.contains(" INFO [master] worker") && line.contains("started"));
    serves_many(server);

    fs::write(&filed.file, settings.replace("\"error\"", "\"info\"")).unwrap();
    server.signal(Signal::HUP);
    eventually("the new log is in use once the workers serve", || {
        let text = fs::read_to_string(&new).ok()?;
        text.lines().any(|line| line.contains("generation 3 serves") && line.starts_with('{')).then_some(())
    });
    fs::rename(&new, logs.at("errors.1")).unwrap();
    server.signal(Signal::USR1);
    eventually("it is opened again by its name", || {
        fs::read_to_string(&new).ok()?.contains("logs reopened").then_some(())
    });
}

#[test]
fn a_reload_that_fails_late_leaves_the_backlog_as_it_was() {
    let settings = |backlog: u32| format!("workers = 1\nbacklog = {backlog}\n");
    let filed = Filed::start(&settings(100), &["127.0.0.1:0"]);
    let Some(before) = filed.server.backlog() else {
        crate::support::skipped("a_reload_that_fails_late_leaves_the_backlog_as_it_was", "there is no ss(8)");
        return;
    };
    assert_eq!(before, "100");
    fail_late(&filed, &settings(77));
    assert_eq!(filed.server.backlog().unwrap(), "100");
    filed.server.replace_worker();
    filed.server.get("/page.html").is(200, PAGE);
    assert_eq!(filed.server.backlog().unwrap(), "100");
    filed.reload(&settings(77), 3);
    assert_eq!(filed.server.backlog().unwrap(), "77");
}

#[test]
fn a_reload_that_fails_late_leaves_the_drain_timeout_as_it_was() {
    let settings = |time: &str| format!("workers = 1\ndrain_timeout = \"{time}\"\n");
    let mut filed = Filed::start(&settings("300ms"), &["127.0.0.1:0"]);
    let mut kept = filed.server.client();
    kept.still_serves();
    fail_late(&filed, &settings("1h"));
    filed.server.signal(Signal::QUIT);
    assert_eq!(filed.server.exit_code(), Some(0));
}

#[test]
fn a_reload_that_fails_late_leaves_the_number_of_slots_as_it_was() {
    let place = Tree::empty();
    let file = place.at("mayhttpd.toml");
    let settings = |workers: usize| format!("workers = {workers}\nadmin = \"127.0.0.1:0\"\n");
    fs::write(&file, settings(2)).unwrap();
    let server = Launch::site().by_file(&file).start();
    let admin = server.admin_address();
    let filed = Filed { file, _place: place, server };
    let slots = || {
        let (_, text) = crate::support::plain::get(admin, "/metrics")?;
        Some(text.lines().filter(|line| line.starts_with("mayhttpd_worker_restarts_total{")).count())
    };
    assert_eq!(eventually("the admin answers", slots), 2);
    fail_late(&filed, &settings(5));
    assert_eq!(eventually("the admin answers", slots), 2);
    // Where no worker serves either.
    filed.server.signal(Signal::WINCH);
    eventually("the workers leave", || filed.server.workers().is_empty().then_some(()));
    fail_late(&filed, &settings(5));
    assert_eq!(eventually("the admin answers", slots), 2);
    filed.reload(&settings(3), 4);
    assert_eq!(eventually("the admin answers", slots), 3);
}

#[test]
fn reloads_that_fail_late_with_more_workers_lose_no_connection() {
    let filed = Filed::start("workers = 1\n", &["127.0.0.1:0"]);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = crate::support::Stop(&over);
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        filed.server.get("/page.html").is(200, PAGE);
                    }
                })
            })
            .collect();
        for _ in 0..6 {
            fail_late(&filed, "workers = 4\n");
        }
        over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    serves_many(&filed.server);
}

#[test]
fn a_reload_whose_log_or_address_can_not_be_had_leaves_no_new_file() {
    let place = Tree::empty();
    let (access, errors) = (place.at("access"), place.at("errors"));
    let filed = Filed::start("workers = 1\nlisten = [\"127.0.0.1:0\"]\n", &[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for (listen, log) in [
        (taken.local_addr().unwrap().to_string(), errors.clone()),
        ("127.0.0.1:0".into(), "/no/such/log".into()),
    ] {
        let settings = format!(
            "workers = 1\nname = \"never\"\nlisten = [\"{listen}\"]\naccess_log = \"{}\"\nlog_file = \"{}\"\n",
            access.display(),
            log.display()
        );
        let before = filed.server.log().matches("the reload failed").count();
        fs::write(&filed.file, settings).unwrap();
        filed.server.signal(Signal::HUP);
        says(&filed.server, "the reload failed", before + 1);
        assert!(!errors.exists());
        assert_eq!(filed.server.get("/page.html").field("Server"), Some("mayhttpd"));
        assert!(fs::read_to_string(&access).unwrap_or_default().is_empty());
    }
    assert_eq!(filed.server.workers().len(), 1);
}
