//! The master and its workers: who replaces whom, who dies with whom, and as which user they serve.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Stop, Tree, eventually, root, skipped};

#[test]
fn there_are_as_many_workers_as_asked_for() {
    for count in [1, 2, 4] {
        let server = Launch::site().workers(count).start();
        assert_eq!(server.workers().len(), count);
        (0..10).for_each(|_| server.get("/page.html").is(200, PAGE));
    }
}

#[test]
fn there_are_as_many_workers_as_a_cgroup_v2_quota_has_cpus() {
    let test = "there_are_as_many_workers_as_a_cgroup_v2_quota_has_cpus";
    let able = Command::new("unshare").args(["--mount", "true"]).output();
    if !able.is_ok_and(|output| output.status.success()) && skipped(test, "namespaces need root and unshare")
    {
        return;
    }
    let all = std::thread::available_parallelism().unwrap().get();
    // The files as that kind of cgroup has them, in the place of the machine's own, whichever kind those are.
    let hierarchy = "mount -t tmpfs tmpfs /sys/fs/cgroup && mkdir -p /sys/fs/cgroup/pod/box && \
                     echo cpu >/sys/fs/cgroup/pod/cgroup.controllers && \
                     echo cpu >/sys/fs/cgroup/pod/box/cgroup.controllers && \
                     echo $0 >/sys/fs/cgroup/pod/cpu.max && echo max 100000 >/sys/fs/cgroup/pod/box/cpu.max && \
                     echo 0::/pod/box >/sys/fs/cgroup/mine && mount --bind /sys/fs/cgroup/mine /proc/$$/cgroup && \
                     exec \"$@\"";
    // The quota of a group holds for those below it too.
    for (quota, count) in
        [("max 100000", all), ("100000 100000", 1), ("150000 100000", 1), ("20000 100000", 1)]
    {
        let launch = Launch::site().by_default().listen(&["127.0.0.1:0"]);
        let server = launch.under(["unshare", "--mount", "sh", "-c", hierarchy, quota]).start();
        assert_eq!(server.workers().len(), count, "{quota}");
    }
}

#[test]
fn every_worker_gets_connections() {
    let server = Launch::site().workers(2).start();
    let before: Vec<_> = server.workers().iter().map(|worker| worker.descriptors()).collect();
    let mut clients: Vec<_> = (0..200).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    let after: Vec<_> = server.workers().iter().map(|worker| worker.descriptors()).collect();
    let visible = before.iter().chain(&after).all(Option::is_some);
    assert!(
        !visible || before.iter().zip(&after).all(|(before, after)| after > before),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_killed_worker_is_replaced_and_the_others_go_on() {
    let server = Launch::site().workers(2).start();
    let old: HashSet<_> = server.workers().into_iter().collect();
    // Kept connections, spread over both; those of the worker that lives must go on.
    let mut kept: Vec<_> = (0..40).map(|_| server.client()).collect();
    kept.iter_mut().for_each(Client::still_serves);
    let victim = server.workers()[0];
    victim.signal(Signal::KILL);
    eventually("a successor is started", || {
        let now: HashSet<_> = server.workers().into_iter().collect();
        (now.len() == 2 && !now.contains(&victim)).then_some(())
    });
    assert_eq!(server.workers().iter().filter(|worker| old.contains(worker)).count(), 1);
    let mut lost = 0;
    for client in &mut kept {
        if client.is_closed() {
            lost += 1;
        } else {
            client.still_serves();
        }
    }
    assert!(lost < kept.len(), "every kept connection was lost");
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
}

#[test]
fn workers_killed_under_load_cost_no_refused_connection() {
    let server = Launch::site().workers(2).start();
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let lost: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask_until(&server, &stop, &served))).collect();
        let ending = Stop(&stop);
        for _ in 0..4 {
            let target = served.load(Ordering::Relaxed) + 200;
            eventually("requests are served", || (served.load(Ordering::Relaxed) > target).then_some(()));
            let victim = server.workers()[0];
            victim.signal(Signal::KILL);
            eventually("a successor is started", || {
                (!victim.lives() && server.workers().len() == 2).then_some(())
            });
        }
        let target = served.load(Ordering::Relaxed) + 200;
        eventually("requests are served", || (served.load(Ordering::Relaxed) > target).then_some(()));
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    // What a killed worker had in its hands is lost with it, and no more than that.
    assert!(lost <= 4 * 3 * 2, "{lost} requests lost by 4 kills with 3 clients");
}

/// Asks on a new connection each time; how many got no answer. To be refused a connection is a panic.
fn ask_until(server: &Server, stop: &AtomicBool, served: &AtomicUsize) -> usize {
    let mut lost = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut client = server.client();
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        match client.answer() {
            Some(response) => {
                response.is(200, PAGE);
                served.fetch_add(1, Ordering::Relaxed);
            }
            None => lost += 1,
        }
    }
    lost
}

#[test]
fn what_waits_for_a_killed_worker_is_served_by_its_successor() {
    let server = Launch::site().start();
    server.get("/page.html").is(200, PAGE);
    let worker = server.workers()[0];
    worker.stop();
    let mut waiting: Vec<_> = (0..20).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|client| assert!(client.send(ASK_PAGE)));
    worker.signal(Signal::KILL);
    waiting.iter_mut().for_each(|client| client.response().is(200, PAGE));
    assert_ne!(server.workers(), [worker]);
}

#[test]
fn a_worker_started_while_the_root_is_away_serves_what_was_there_or_nothing() {
    for (comes_back, page) in [("away", "at home\n"), ("other", "another\n")] {
        let outer = Tree::empty();
        outer.file("www/index.html", "at home\n");
        outer.file("other/index.html", "another\n");
        let server = Launch::of_path(outer.at("www")).start();
        server.get("/").is(200, "at home\n");
        fs::rename(outer.at("www"), outer.at("away")).unwrap();
        server.replace_worker();
        for target in ["/", "/index.html", "/absent"].repeat(10) {
            let response = server.get(target);
            let is_own = response.status == 200 && response.body == b"at home\n";
            assert!(is_own || response.status == 404, "{target}: {} {}", response.status, response.text());
        }
        fs::rename(outer.at(comes_back), outer.at("www")).unwrap();
        eventually("the root is served again", || {
            let response = server.get("/");
            response.has_status(&[200, 404]);
            (response.text() == page).then_some(())
        });
        // Where the root is another directory, a confined worker makes room for one that may read it.
        eventually("one worker is left", || (server.workers().len() == 1).then_some(()));
        server.get("/index.html").is(200, page);
    }
}

#[test]
fn a_killed_worker_is_replaced_where_chld_was_ignored() {
    // The `trap` of some shells does this for every signal but this one.
    let ignoring = ["env", "--ignore-signal=CHLD"];
    let mut server = Launch::site().under(ignoring).start();
    for _ in 0..2 {
        server.replace_worker();
        server.get("/page.html").is(200, PAGE);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_worker_that_dies_young_again_and_again_is_not_replaced_in_a_frenzy() {
    let server = Launch::site().workers(2).start();
    let mut seen: HashSet<_> = HashSet::new();
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        for worker in server.workers() {
            if seen.insert(worker) {
                worker.signal(Signal::KILL);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(seen.len() < 40, "{} workers in three seconds", seen.len());
    assert!(server.master.lives());
    eventually("both workers are back", || (server.workers().len() == 2).then_some(()));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn workers_leave_when_their_master_is_killed() {
    let mut server = Launch::site().workers(3).start();
    let workers = server.workers();
    assert_eq!(workers.len(), 3);
    let mut client = server.client();
    client.still_serves();
    server.kill();
    eventually("the workers are gone", || (!workers.iter().any(|worker| worker.lives())).then_some(()));
}

#[test]
fn a_stopped_worker_doesn_t_stop_the_others() {
    let server = Launch::site().workers(2).start();
    let mut clients: Vec<_> = (0..40).map(|_| server.client()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    let stopped = server.workers()[0];
    stopped.stop();
    clients.iter_mut().for_each(|client| assert!(client.send(ASK_PAGE)));
    // Some have their answer now; those of the stopped worker get theirs once it goes on.
    eventually("the other worker answers", || clients.iter_mut().any(Client::has_news).then_some(()));
    stopped.signal(Signal::CONT);
    clients.iter_mut().for_each(|client| client.response().is(200, PAGE));
}

#[test]
fn workers_of_root_are_nobody() {
    if !root() && skipped("workers_of_root_are_nobody", "the server isn't started by root") {
        return;
    }
    let server = Launch::site().workers(2).start();
    let nobody = std::fs::read_to_string("/etc/passwd").unwrap();
    let nobody = nobody.lines().find(|line| line.starts_with("nobody:")).unwrap();
    let user: u32 = nobody.split(':').nth(2).unwrap().parse().unwrap();
    for worker in server.workers() {
        assert_eq!(worker.user(), user);
        assert!(!worker.groups().contains(&0), "a worker keeps root's groups: {:?}", worker.groups());
    }
    assert_eq!(server.master.user(), 0);
}

#[test]
fn the_user_of_the_workers_can_be_chosen() {
    if !root() && skipped("the_user_of_the_workers_can_be_chosen", "the server isn't started by root") {
        return;
    }
    let server = Launch::site().flags(["--user", "daemon", "--group", "nogroup"]).start();
    let worker = server.workers()[0];
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let daemon = passwd.lines().find(|line| line.starts_with("daemon:")).unwrap();
    assert_eq!(worker.user(), daemon.split(':').nth(2).unwrap().parse::<u32>().unwrap());
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_root_that_the_workers_can_not_read_is_warned_of() {
    if !root() && skipped("a_root_that_the_workers_can_not_read…", "the server isn't started by root") {
        return;
    }
    let tree = Tree::empty();
    tree.file("private/www/index.html", "index\n");
    tree.mode("private/www", 0o700);
    let server = Launch::of_path(tree.at("private/www")).start();
    server.says("that the root can't be read", |line| line.contains("WARN") && line.contains("private/www"));
    server.get("/").has_status(&[403]);
}

#[test]
fn cpu_affinity_binds_each_worker_to_one_cpu() {
    let server = Launch::site().workers(2).flags(["--cpu-affinity", "on"]).start();
    for worker in server.workers() {
        let cpus = worker.cpus();
        assert!(cpus.parse::<usize>().is_ok(), "more than one CPU: {cpus}");
    }
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
}
