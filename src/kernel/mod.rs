//! `mayhttpd kernel`: the running kernel beside `sysctl.conf`, and beside what the server's own settings ask for.
//!
//! It owns the verdicts, the three tasks of the command and the arithmetic of [`places`]. It asks the kernel by files
//! alone, and decides from what they say. The subtle rule: nothing that a kernel allows is ever taken away, so a value
//! that is larger than the wanted one passes the check and is left alone by `apply`.

pub mod apply;
pub mod check;

pub mod keys;
pub mod limits;
pub mod row;
pub mod table;

pub mod cgroup;
pub mod places;
pub mod proc;
pub mod value;
pub mod wanted;

use crate::config::{KernelTask, Settings};
use crate::error::StartupError;
use proc::Proc;

/// What a task has to say, and how it ends.
#[derive(Debug)]
pub struct Report {
    /// For standard output.
    pub text: String,
    /// The exit code, with its reason.
    pub outcome: Result<(), StartupError>,
}

/// Does a task of the command, for a server with these settings.
pub fn run(task: &KernelTask, settings: &Settings) -> Report {
    match task {
        KernelTask::Check { proc } => check::run(&Proc::at(proc), settings, table::Layout::of_stdout()),
        KernelTask::Print { docker: false } => Report { text: wanted::FILE.to_owned(), outcome: Ok(()) },
        KernelTask::Print { docker: true } => Report { text: docker_flags(), outcome: Ok(()) },
        KernelTask::Apply { proc } => apply::run(&Proc::at(proc), settings),
    }
}

/// A line of flags for `docker run`, as a shell reads them: what a container's network namespace has of its own.
///
/// Docker takes any `net.*` by its name (docs.docker.com, `docker run --sysctl`), and then fails to start the container
/// where the namespace has no such key.
fn docker_flags() -> String {
    let inside = wanted::all().into_iter().filter(|wanted| wanted.scope == wanted::Scope::Namespace);
    let flags: Vec<String> = inside
        .map(|wanted| match wanted.value.to_string() {
            one if !one.contains(' ') => format!("--sysctl {}={one}", wanted.key),
            several => format!("--sysctl '{}={several}'", wanted.key),
        })
        .collect();
    flags.join(" ") + "\n"
}

/// What the kernel cuts this backlog to, where it does.
pub fn backlog_cut(proc: &Proc, backlog: u32) -> Option<u64> {
    proc.number("net.core.somaxconn").filter(|most| *most < u64::from(backlog))
}
