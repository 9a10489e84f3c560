//! `mayhttpd kernel`: compares the running kernel with `sysctl.conf` and with what the server's settings
//! need.
//!
//! It reads and writes files below /proc. The arithmetic is in [`capacity`](crate::capacity).
//!
//! **Invariant:** no task lowers a limit. A value above the recommended one passes the check, and `apply`
//! leaves it alone.

pub mod apply;
pub mod check;

pub mod keys;
pub mod limits;
pub mod row;
pub mod table;

pub mod recommended;
pub mod report;

use crate::capacity::proc::Proc;
use crate::commands::parser::KernelTask;
use crate::config::Settings;

use report::KernelReport;

/// Runs a task of the command, for a server with these settings.
pub fn run(task: &KernelTask, settings: &Settings) -> KernelReport {
    match task {
        KernelTask::Check { proc } => check::run(&Proc::at(proc), settings, table::Layout::of_stdout()),
        KernelTask::Print { docker: false } => {
            KernelReport { text: recommended::FILE.to_owned(), outcome: Ok(()) }
        }
        KernelTask::Print { docker: true } => KernelReport { text: docker_flags(), outcome: Ok(()) },
        KernelTask::Apply { proc } => apply::run(&Proc::at(proc), settings),
    }
}

/// A line of flags for `docker run`, quoted for a shell: the keys that each network namespace has for itself.
///
/// Docker accepts any `net.*` key (docs.docker.com, `docker run --sysctl`). It fails to start the container
/// if the namespace has no such key.
fn docker_flags() -> String {
    let inside = recommended::all().into_iter().filter(|key| key.scope == recommended::Scope::Namespace);
    let flags: Vec<String> = inside
        .map(|key| match key.value.to_string() {
            one if !one.contains(' ') => format!("--sysctl {}={one}", key.name),
            several => format!("--sysctl '{}={several}'", key.name),
        })
        .collect();
    flags.join(" ") + "\n"
}
