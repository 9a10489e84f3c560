//! The threads of a worker beside the one that serves: how they run, and what they do where there is no disk.

use std::path::Path;

use crate::support::exposition::Exposition;
use crate::support::{Launch, Server, Tree, eventually, skipped};

/// The bit of SIGIO, by which the kernel tells the thread that serves of changed files.
const SIGIO: u64 = 1 << (29 - 1);

/// The type of a tmpfs (statfs(2)).
const TMPFS: i64 = 0x0102_1994;

#[test]
fn they_leave_signals_and_the_cpu_to_the_thread_that_serves() {
    let server = Server::of(Tree::site(), &[]);
    server.get("/page.html").has_status(&[200]);
    for worker in server.workers() {
        for (name, niceness) in [("disk", 0), ("cpu", 19)] {
            let thread = worker.thread_named(name);
            // Each thread sets its own niceness once it runs.
            eventually("it has its niceness", || (worker.niceness_of(thread) == niceness).then_some(()));
            let blocked = u64::from_str_radix(&worker.thread_status(thread, "SigBlk:"), 16).unwrap();
            assert_ne!(blocked & SIGIO, 0, "{name}: {blocked:x}");
        }
    }
}

#[test]
fn a_long_listing_of_a_directory_in_memory_is_made_by_a_thread_and_a_short_one_is_not() {
    let memory = Path::new("/dev/shm");
    if !rustix::fs::statfs(memory).is_ok_and(|found| found.f_type == TMPFS) {
        skipped("a_long_listing_of_a_directory_in_memory_is_made_by_a_thread", "/dev/shm is no tmpfs");
        return;
    }
    let tree = Tree::empty_in(memory);
    for (directory, count) in [("short", 200), ("long", 201)] {
        (0..count).for_each(|number| drop(tree.file(format!("{directory}/{number}.txt"), b"")));
    }
    let server = Launch::of(tree).flags(["--listing", "--admin", "0"]).start();
    let admin = server.admin_address();
    for (path, count, jobs) in [("/short/", 200, 0.0), ("/long/", 201, 1.0)] {
        let page = server.get(path);
        page.has_status(&[200]);
        let names = (0..count).filter(|number| page.text().contains(&format!(">{number}.txt<")));
        assert_eq!(names.count(), count, "{path}");
        let ended = Exposition::of(admin).sum("mayhttpd_background_jobs_ended_total", "kind=\"list\"");
        assert_eq!(ended, jobs, "{path}");
    }
}
