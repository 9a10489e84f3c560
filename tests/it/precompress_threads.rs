//! The threads of the command `precompress`: one for each CPU that it may use.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::support::process::Process;
use crate::support::{Tree, eventually, skipped};

/// A site whose variants take a while, in several pieces of work.
fn tree() -> Tree {
    let tree = Tree::empty();
    for number in 0..8_u32 {
        let line = |index: u32| format!("part{} = {}\n", index ^ number, index.wrapping_mul(2_654_435_761));
        let script: Vec<u8> = (0..).flat_map(|index| line(index).into_bytes()).take(300_000).collect();
        tree.file(format!("{number}.js"), script);
    }
    tree
}

/// A run under this wrapper, which ends with the test.
struct Run(Child);

impl Run {
    fn start(wrapper: &[&str], tree: &Tree) -> Run {
        let words = [wrapper, &[env!("CARGO_BIN_EXE_mayhttpd"), "precompress"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(tree.path()).current_dir("/");
        Run(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// How many threads make variants now.
    fn threads(&self) -> usize {
        let pid = self.0.id();
        let Some(process) = Process::of(pid) else { return 0 };
        let name = |thread| fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm")).unwrap_or_default();
        process.threads().into_iter().filter(|thread| name(*thread).trim() == "precompress").count()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_cpu_has_a_thread_that_makes_variants() {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    if cpus < 2 {
        skipped("each_cpu_has_a_thread_that_makes_variants", "there is one CPU");
        return;
    }
    let tree = tree();
    // Three variants of each file, so there is work for 24 threads.
    let expected = cpus.min(24);
    let run = Run::start(&[], &tree);
    eventually("its threads run", || (run.threads() == expected).then_some(()));
}

#[test]
fn with_one_cpu_one_thread_makes_variants() {
    let found = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        skipped("with_one_cpu_one_thread_makes_variants", "there is no taskset");
        return;
    }
    let tree = tree();
    // The first CPU that the test may use.
    let own = Process::own().cpus();
    let first = own.split([',', '-']).next().unwrap();
    let run = Run::start(&["taskset", "-c", first], &tree);
    eventually("a draft is written", || {
        let mut names = fs::read_dir(tree.path()).unwrap().flatten().map(|entry| entry.file_name());
        names.any(|name| name.to_string_lossy().contains("precompress")).then_some(())
    });
    assert_eq!(run.threads(), 1);
}
