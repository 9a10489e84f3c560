//! A server in a control group with little memory: its defaults keep within the limit, and the kernel kills
//! no worker.

use rustix::process::Signal;

use crate::support::cgroup::Group;
use crate::support::exposition::Exposition;
use crate::support::{Launch, Server, Tree, eventually, pattern, skipped};

const MIB: u64 = 1 << 20;

/// A group, or a word that there is none.
fn group(test: &str, mebibytes: u64) -> Option<Group> {
    match Group::with_memory(mebibytes * MIB) {
        Ok(group) => Some(group),
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

/// Files of these lengths, of which the whole would not fit.
fn tree(lengths: impl Iterator<Item = usize>) -> (Tree, Vec<usize>) {
    let tree = Tree::empty();
    let lengths: Vec<usize> = lengths.collect();
    for (number, length) in lengths.iter().enumerate() {
        tree.file(format!("{number}.bin"), pattern(number as u64, *length));
    }
    (tree, lengths)
}

/// Fetches every file and looks that it is whole. A server that drains ends connections, and says so.
#[track_caller]
fn fetch(server: &Server, lengths: &[usize]) {
    let mut client = server.client();
    for (number, length) in lengths.iter().enumerate() {
        client.send(format!("GET /{number}.bin HTTP/1.1\r\nHost: test\r\n\r\n"));
        let response = client.response();
        response.is(200, pattern(number as u64, *length));
        if response.closes() {
            client = server.client();
        }
    }
}

#[track_caller]
fn survives(test: &str, mebibytes: u64, workers: usize, lengths: impl Iterator<Item = usize>) {
    let Some(group) = group(test, mebibytes) else { return };
    let (tree, lengths) = tree(lengths);
    let server = Launch::of(tree).workers(workers).flags(["--admin", "0"]).under(group.wrapper()).start();
    let admin = server.admin_address();
    let before = server.workers();
    fetch(&server, &lengths);
    assert_eq!(server.workers(), before, "a worker was killed: {}", server.log());
    eventually("the cache keeps something", || {
        (Exposition::of(admin).sum("mayhttpd_cache_entries", "") > 0.0).then_some(())
    });
    // Two generations, the first of which has a full cache and a client that it waits for.
    let mut slow = server.client();
    slow.send("GET /0.bin HTTP/1.1\r\nHost: test\r\n");
    server.signal(Signal::HUP);
    fetch(&server, &lengths);
    server.says("the reload", |line| line.contains("generation 2 serves"));
    fetch(&server, &lengths);
    slow.send("\r\n");
    slow.response().has_status(&[200]);
    drop(slow);
    eventually("the first generation leaves", || (server.workers().len() == workers).then_some(()));
    assert!(!server.log().contains("SIGKILL"), "{}", server.log());
    assert!(group.kills().is_none_or(|kills| kills == 0), "{:?} were killed", group.kills());
}

#[test]
fn a_thousand_files_of_60_kb_go_through_32_mib() {
    survives("a_thousand_files…", 32, 1, std::iter::repeat_n(60_000, 1000));
}

#[test]
fn files_of_all_lengths_go_through_32_mib() {
    survives("files_of_all_lengths…", 32, 1, (0..1500).map(|number| number * 7919 % 66_000));
}

#[test]
fn two_workers_keep_within_48_mib() {
    survives("two_workers…", 48, 2, std::iter::repeat_n(60_000, 1000));
}

#[test]
fn the_dump_and_the_log_say_what_the_limit_lowers() {
    let Some(group) = group("the_dump_and_the_log…", 32) else { return };
    let dumped = Launch::rootless().listen(&[]).flags(["-T"]).under(group.wrapper()).run();
    assert_eq!((dumped.code, &*dumped.errors), (Some(0), ""), "{dumped:?}");
    for line in [
        "cache_size = \"3432KiB\"  # default, by the memory limit of 32 MiB",
        "cache_entries = 286  # default, by the memory limit of 32 MiB",
        "max_connections = 143  # default, by the memory limit of 32 MiB",
    ] {
        assert!(dumped.output.lines().any(|found| found == line), "no {line} in {}", dumped.output);
    }
    let server = Launch::site().under(group.wrapper()).start();
    server.says("the number of connections", |line| line.ends_with("with 1 workers of 143 connections"));
    server.says("why", |line| {
        line.ends_with(
            "less than by default, by the memory limit of 32 MiB: --cache-size 3 MiB, --cache-entries 286, \
             --max-connections 143",
        )
    });
}

#[test]
fn settings_that_were_given_are_kept_with_a_warning() {
    let Some(group) = group("settings_that_were_given…", 32) else { return };
    let given = ["--cache-size", "64MiB", "--cache-entries", "100", "--max-connections", "300"];
    let dumped = Launch::rootless().listen(&[]).flags(["-T"]).flags(given).under(group.wrapper()).run();
    for line in ["cache_size = \"64MiB\"  # --cache-size", "max_connections = 300  # --max-connections"] {
        assert!(dumped.output.lines().any(|found| found == line), "no {line} in {}", dumped.output);
    }
    let said = "which is more than the memory limit of 32 MiB: the kernel may kill workers";
    assert!(dumped.output.contains(said), "{}", dumped.output);
    let server = Launch::site().flags(given).under(group.wrapper()).start();
    server.says("the warning", |line| line.contains(said) && line.contains("WARN"));
    server.says("the number of connections", |line| line.ends_with("with 1 workers of 300 connections"));
    // What fits is no matter for a warning.
    let fitting = ["--cache-size", "1MiB", "--cache-entries", "100", "--max-connections", "100"];
    let dumped = Launch::rootless().listen(&[]).flags(["-T"]).flags(fitting).under(group.wrapper()).run();
    assert!(!dumped.output.contains("memory"), "{}", dumped.output);
}
