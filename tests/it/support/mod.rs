//! What every test stands on: a document tree, a real server in its own process, a raw client that reads
//! answers strictly, and facts about processes. Nothing here sleeps to be safe: it waits for a condition,
//! with a deadline that only a broken server meets.

pub mod authority;
pub mod balancer;
pub mod browser;
pub mod certificate;
pub mod cgroup;
pub mod client;
pub mod configured;
pub mod confined;
pub mod container;
pub mod contents;
pub mod exposition;
pub mod h2;
pub mod h2_frames;
pub mod h2_reactions;
pub mod h2_state;
pub mod hpack;
pub mod json;
pub mod launch;
pub mod network;
pub mod plain;
pub mod proc;
pub mod process;
pub mod records;
pub mod response;
pub mod server;
pub mod slow_disk;
pub mod slow_files;
pub mod table;
pub mod tls;
pub mod transport;
pub mod tree;

pub use client::Client;
pub use contents::{Dice, pattern};
pub use h2::H2;
pub use launch::Launch;
pub use response::Response;
pub use server::Server;
pub use table::every;
pub use tls::Tls;
pub use tree::Tree;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take that should happen at once. Generous: a loaded machine must not fail a test.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// Asks `probe` again and again until it gives something, and panics with `what` when the deadline passes.
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, what, probe)
}

/// `eventually`, with a deadline of its own.
#[track_caller]
pub fn within<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Tells threads to stop when it goes out of scope, by a panic too; their scope would wait for them for ever.
pub struct Stop<'a>(pub &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// True, with a plain word on standard error, when a test can't run here.
pub fn skipped(test: &str, why: &str) -> bool {
    // Past the macros, whose output the test runner keeps to itself where a test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    true
}

/// Whether the tests run as root; the workers then run as nobody.
pub fn root() -> bool {
    rustix::process::geteuid().is_root()
}
