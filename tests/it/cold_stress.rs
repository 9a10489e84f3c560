//! Thousands of requests for cold files, while clients leave, workers are killed, added and taken away, and
//! settings are read again.

use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::Caching;
use crate::support::{DEADLINE, Dice, Launch, Server, Tree, eventually, pattern, within};

const ANSWERS: usize = 10_000;
const CLIENTS: usize = 24;
const FILES: usize = 5000;
/// One file in so many is long, and one that a worker may keep open.
const LONG: usize = 500;
/// So many answers after one event comes the next.
const STEP: usize = 500;
/// What the memory of both workers may grow by from one load to the next like it.
const GROWTH: u64 = 4 << 20;

fn body(number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(LONG) { 200_000 + number } else { 600 + number * 7919 % 3496 };
    pattern(number as u64, length)
}

/// What the clients have seen.
#[derive(Default)]
struct Seen {
    answers: AtomicUsize,
    /// The ports of clients whose connections ended without an answer, or within one.
    lost: Mutex<Vec<u16>>,
}

/// Asks until so many answers have come to all clients; one client in ten leaves without its own.
fn ask(server: &Server, seen: &Seen, seed: u64, answers: usize) {
    let mut dice = Dice::new(seed);
    let mut kept = None;
    while seen.answers.load(Relaxed) < answers {
        let mut client = kept.take().unwrap_or_else(|| server.client());
        let (number, port) = (dice.below(FILES), client.port());
        client.send(format!("GET /{}/{number}.bin HTTP/1.1\r\nHost: test\r\n\r\n", number % 10));
        match dice.below(20) {
            0 => client.reset(),
            1 => drop(client),
            _ => match client.answer_unless_lost() {
                Some(response) => {
                    response.is(200, body(number));
                    seen.answers.fetch_add(1, Relaxed);
                    kept = (!response.closes()).then_some(client);
                }
                None => {
                    let mut lost = seen.lost.lock().unwrap();
                    lost.push(port);
                    assert!(lost.len() < answers, "connections are lost again and again");
                }
            },
        }
    }
}

/// Has all clients ask, beside what `meanwhile` does.
fn load(server: &Server, answers: usize, meanwhile: impl FnOnce(&Seen)) -> Vec<u16> {
    let seen = Seen::default();
    std::thread::scope(|scope| {
        for seed in 0..CLIENTS as u64 {
            let seen = &seen;
            scope.spawn(move || ask(server, seen, seed, answers));
        }
        meanwhile(&seen);
    });
    seen.lost.into_inner().unwrap()
}

/// Kills a worker; the ports of the clients whose connections it had.
fn kill(worker: Process) -> HashSet<u16> {
    worker.stop();
    let sockets: HashSet<String> = fs::read_dir(format!("/proc/{}/fd", worker.pid))
        .unwrap()
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_str()?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let its_own = sockets.contains(&format!("socket:[{}]", fields.get(9)?));
        its_own.then(|| u16::from_str_radix(fields[2].split_once(':')?.1, 16).ok())?
    };
    let ports = table.lines().skip(1).filter_map(port).collect();
    worker.signal(Signal::KILL);
    ports
}

/// Kills, reads settings again, drains a worker and adds one, time and again.
fn disturb(server: &Server, seen: &Seen, killed: &mut HashSet<u16>) {
    for step in 1..ANSWERS / STEP {
        within(DEADLINE * 2, "answers go on to come", || {
            (seen.answers.load(Relaxed) >= step * STEP).then_some(())
        });
        match step % 4 {
            0 => server.signal(Signal::HUP),
            1 => {
                let worker = eventually("a worker lives", || server.workers().last().copied());
                killed.extend(kill(worker));
            }
            2 => server.signal(Signal::TTOU),
            _ => server.signal(Signal::TTIN),
        }
    }
}

#[test]
#[ignore = "sends over 10,000 requests through a slow disk; .ci/run runs it"]
fn workers_that_come_and_go_lose_and_mix_up_nothing() {
    let test = "workers_that_come_and_go_lose_and_mix_up_nothing";
    if !can_be_slow(test) {
        return;
    }
    let tree = Tree::site();
    (0..FILES).for_each(|number| drop(tree.file(format!("{}/{number}.bin", number % 10), body(number))));
    let disk = SlowDisk::of(tree, Caching::Nothing);
    // A cache that holds a fraction of them, so that files are read again and again.
    let flags = ["--cache-valid", "0", "--cache-size", "1MiB", "--drain-timeout", "10s"];
    let server = Launch::of_path(disk.path()).workers(2).flags(flags).start();
    // The disk is dropped first: no process could end that waits for it.
    let site = (disk, server);
    let (disk, server) = &site;
    // By now each has served.
    (0..20).for_each(|_| drop(server.get("/page.html")));
    if !server.workers()[0].shows_descriptors(test) {
        return;
    }
    let descriptors = || -> Vec<usize> { server.workers().iter().filter_map(Process::descriptors).collect() };
    let (before, of_master) = (descriptors(), server.master.descriptors());
    disk.set_delay(Duration::from_millis(1));

    let mut killed = HashSet::new();
    let lost = load(server, ANSWERS, |seen| disturb(server, seen, &mut killed));
    let beyond: Vec<&u16> = lost.iter().filter(|port| !killed.contains(port)).collect();
    assert!(beyond.is_empty(), "{} connections are lost that no killed worker had", beyond.len());
    assert!(!killed.is_empty(), "no worker was killed while it had a connection");

    within(DEADLINE * 2, "the number of workers is as before", || {
        (server.workers().len() == before.len()).then_some(())
    });
    let memory = || server.workers().iter().map(Process::memory).sum::<u64>();
    let mut rounds = Vec::new();
    for _ in 0..3 {
        assert!(load(server, ANSWERS / 10, |_| {}).is_empty(), "a connection is lost");
        eventually("nothing waits for the disk", || (disk.waiting() == 0).then_some(()));
        rounds.push(memory());
    }
    assert!(rounds[2] <= rounds[1] + GROWTH, "the memory grows from load to load: {rounds:?}");
    // A worker keeps long files open for a while, and no other.
    let least = before.iter().min().unwrap() + FILES / LONG;
    within(DEADLINE * 2, "descriptors are closed", || {
        let now = descriptors();
        let same = server.master.descriptors() == of_master && now.iter().all(|count| *count <= least);
        same.then_some(())
    });
}
