//! Workers that hang: new connections keep away from them, and after the watchdog's time they are killed and
//! replaced.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::process::{Process, Stray};
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, eventually, within};

/// Waits until the log says it `times` times.
#[track_caller]
fn says(server: &Server, what: &str, times: usize) {
    eventually(what, || (server.log().matches(what).count() >= times).then_some(()));
}

/// Stops a worker, and waits until new connections keep away from its slot.
#[track_caller]
fn hang(server: &Server, worker: &Process) {
    let before = server.log().matches("no new connections go to slot").count();
    worker.stop();
    says(server, "no new connections go to slot", before + 1);
}

#[track_caller]
fn answers_all(server: &Server, count: usize) {
    (0..count).for_each(|_| server.get("/page.html").is(200, PAGE));
}

/// Opens connections until each worker has one, which the worker's descriptors tell; the connections.
#[track_caller]
fn reach_all(server: &Server) -> Vec<Client> {
    let descriptors = || server.workers().iter().map(|worker| worker.descriptors()).collect::<Vec<_>>();
    let before = descriptors();
    let mut clients = Vec::new();
    for _ in 0..400 {
        let mut client = server.client();
        client.still_serves();
        clients.push(client);
        let after = descriptors();
        if before.iter().zip(&after).all(|(before, after)| before.is_none() || after > before) {
            return clients;
        }
    }
    panic!("some worker gets no connection: {before:?} {:?}", descriptors());
}

#[test]
fn new_connections_keep_away_from_a_stopped_worker() {
    for stopped in [0, 1] {
        let server = Launch::site().workers(2).start();
        let worker = server.workers()[stopped];
        hang(&server, &worker);
        server.says("which worker is silent", |line| {
            line.contains(&format!("worker {stopped} has had no heartbeat for a second"))
        });
        answers_all(&server, 200);
        worker.signal(Signal::CONT);
        says(&server, "new connections go to all workers again", 1);
        reach_all(&server);
    }
}

#[test]
fn every_address_is_steered() {
    let server = Launch::site().workers(3).listen(&["127.0.0.1:0", "[::1]:0"]).start();
    hang(&server, &server.workers()[1]);
    for address in &server.addresses {
        for _ in 0..50 {
            let mut client = Client::connect(*address);
            client.send(ASK_PAGE);
            client.response().is(200, PAGE);
        }
    }
}

#[test]
fn a_hung_worker_is_killed_and_its_successor_serves_what_waited() {
    let server = Launch::site().workers(2).flags(["--watchdog", "3s"]).start();
    let worker = server.workers()[0];
    worker.stop();
    // At most a second passes before connections keep away, so that some of these wait for the stopped one.
    let mut clients: Vec<_> = (0..40).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.send(ASK_PAGE)));
    server.says("why it is killed", |line| {
        line.contains("ERROR") && line.contains("worker 0 has had no heartbeat for 3 s and is killed")
    });
    server.says("that it is replaced", |line| line.contains("worker 0 ended (signal 9, SIGKILL)"));
    clients.iter_mut().for_each(|client| client.response().is(200, PAGE));
    assert!(!worker.lives());
    reach_all(&server);
}

#[test]
fn the_successor_of_a_hung_worker_is_watched_as_well() {
    let server = Launch::site().workers(2).flags(["--watchdog", "2s"]).start();
    let steady = server.workers()[1];
    for times in 1..=2 {
        let worker = eventually("both workers live", || {
            let others: Vec<_> = server.workers().into_iter().filter(|worker| *worker != steady).collect();
            others.first().copied()
        });
        worker.stop();
        says(&server, "worker 0 has had no heartbeat for 2 s and is killed", times);
        says(&server, "worker 0 started", times + 1);
    }
    reach_all(&server);
}

#[test]
fn without_a_watchdog_a_stopped_worker_is_left_alone() {
    let server = Launch::site().workers(2).flags(["--watchdog", "off"]).start();
    let (worker, other) = (server.workers()[0], server.workers()[1]);
    hang(&server, &worker);
    // The other one's share of time, ticks of its timer, is the clock of this test.
    let before = other.cpu_time();
    within(Duration::from_secs(60), "the other worker works", || {
        answers_all(&server, 100);
        (other.cpu_time() > before + Duration::from_millis(500)).then_some(())
    });
    assert!(worker.lives() && !server.log().contains("is killed"), "{}", server.log());
    worker.signal(Signal::CONT);
    says(&server, "new connections go to all workers again", 1);
}

#[test]
fn a_reload_replaces_a_stopped_worker_and_connections_come_to_all() {
    let server = Launch::site().workers(2).flags(["--drain-timeout", "1s"]).start();
    let worker = server.workers()[0];
    hang(&server, &worker);
    server.signal(Signal::HUP);
    says(&server, "new connections go to all workers again", 1);
    eventually("the stopped one ends with the drain", || (!worker.lives()).then_some(()));
    eventually("two workers are left", || (server.workers().len() == 2).then_some(()));
    reach_all(&server);
    answers_all(&server, 50);
}

#[test]
fn workers_that_come_and_go_are_steered_by_their_slots() {
    let server = Launch::site().workers(2).start();
    let count = |wanted: usize| {
        eventually("there are so many workers", || (server.workers().len() == wanted).then_some(()));
    };
    server.signal(Signal::TTIN);
    says(&server, "worker 2 started", 1);
    server.signal(Signal::TTIN);
    says(&server, "worker 3 started", 1);
    count(4);
    drop(reach_all(&server));
    for _ in 0..2 {
        let last = *server.workers().last().unwrap();
        server.signal(Signal::TTOU);
        // Until the master has taken note of it: its slot is free then, and not a moment before.
        eventually("the last worker has left", || Process::of(last.pid).is_none().then_some(()));
    }
    server.signal(Signal::TTIN);
    says(&server, "worker 2 started", 2);
    count(3);
    for slot in 0..3 {
        let worker = server.workers()[slot];
        hang(&server, &worker);
        answers_all(&server, 60);
        worker.signal(Signal::CONT);
        says(&server, "new connections go to all workers again", slot + 1);
    }
    reach_all(&server);
}

#[test]
fn a_worker_taken_away_costs_no_connection() {
    let server = Launch::site().workers(2).start();
    for round in 1..=10 {
        server.signal(Signal::TTOU);
        answers_all(&server, 50);
        eventually("one worker is left", || (server.workers().len() == 1).then_some(()));
        answers_all(&server, 20);
        server.signal(Signal::TTIN);
        says(&server, "worker 1 started", round + 1);
        answers_all(&server, 50);
    }
}

#[test]
fn a_master_that_was_stopped_with_its_workers_blames_none_of_them() {
    let server = Launch::site().workers(2).flags(["--watchdog", "2s"]).start();
    let workers = server.workers();
    server.master.stop();
    workers.iter().for_each(Process::stop);
    let clock = std::time::Instant::now();
    // Longer than the watchdog's time: time itself is what this test is about.
    within(Duration::from_secs(10), "time passes", || {
        (clock.elapsed() > Duration::from_millis(3500)).then_some(())
    });
    workers.iter().for_each(|worker| worker.signal(Signal::CONT));
    server.signal(Signal::CONT);
    answers_all(&server, 50);
    assert_eq!(server.workers(), workers);
    assert!(!server.log().contains("is killed"), "{}", server.log());
}

#[test]
fn a_master_that_takes_over_steers_by_its_own_workers() {
    let server = Launch::site().workers(2).flags(["--drain-timeout", "1s"]).start();
    let old = server.workers();
    hang(&server, &old[0]);
    server.signal(Signal::USR2);
    says(&server, "generation 1 serves", 2);
    let new = Stray(*server.master.children().iter().find(|child| !old.contains(child)).unwrap());
    let workers = eventually("its workers are there", || {
        let workers = new.0.children();
        (workers.len() == 2).then_some(workers)
    });
    // The stopped one shares its sockets with a new one, which answers.
    answers_all(&server, 50);
    workers[1].stop();
    says(&server, "no new connections go to slot 1", 1);
    answers_all(&server, 50);
    workers[1].signal(Signal::CONT);
    says(&server, "new connections go to all workers again", 1);
    new.0.signal(Signal::TERM);
    says(&server, "this one serves on", 1);
    // Back in charge, the first master keeps connections from its stopped worker again.
    answers_all(&server, 50);
}
