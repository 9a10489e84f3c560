//! Child processes: how they end, and their CPU time and memory.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};

use super::poll::wait_readable;
use crate::sys::timer;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => {
                write!(f, "signal {number}")?;
                let Ok(signal) = nix::sys::signal::Signal::try_from(*number) else { return Ok(()) };
                write!(f, ", {signal}")?;
                match signal {
                    nix::sys::signal::Signal::SIGSYS => {
                        f.write_str(": a system call that the sandbox does not allow")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Reaps one child, if one has ended.
pub fn reap() -> Option<(i32, Exit)> {
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let exit = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => continue,
                };
                return Some((pid.as_raw_nonzero().get(), exit));
            }
            Ok(None) | Err(rustix::io::Errno::CHILD) => return None,
            Err(_) => {}
        }
    }
}

/// Kills a child with SIGKILL. Does nothing if it has ended.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Kills a child with SIGKILL, waits for its end up to `limit` and reaps it. Returns false if it has not
/// ended: a thread of it waits in the kernel.
pub fn kill_and_wait(pid: i32, limit: Duration) -> bool {
    kill(pid);
    let Some(pid) = Pid::from_raw(pid) else { return true };
    let deadline = timer::monotonic() + limit;
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Ok(Some(_)) | Err(_) => return true,
        }
        if timer::monotonic() >= deadline {
            return false;
        }
        // A call that also waits for the end takes no limit. Most processes end before the first millisecond.
        let _ = wait_readable(&[], Some(Duration::from_millis(1)));
    }
}

/// The function of the kernel in which a thread of a process waits and can't be interrupted (proc(5), state D
/// and `wchan`), such as `request_wait_answer` for FUSE. `None` if no thread does, or /proc does not show it.
pub fn place_in_kernel(pid: i32) -> Option<String> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    threads.map(|thread| thread.path()).find_map(|thread| {
        let stat = std::fs::read_to_string(thread.join("stat")).ok()?;
        if !stat.get(stat.rfind(')')? + 1..)?.starts_with(" D") {
            return None;
        }
        let place = std::fs::read_to_string(thread.join("wchan")).ok()?;
        // Without the right to see the name, it is 0.
        Some(if place.is_empty() || place == "0" { "its place is hidden".to_owned() } else { place })
    })
}

/// CPU time (user and system) and resident memory in bytes of a process (proc(5)). `None` if it has ended or
/// /proc does not show it.
pub fn usage(pid: i32) -> Option<(Duration, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, so fields are counted from its end, where field 3 begins.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 2..)?.split(' ').collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)?;
    let cpu = Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1));
    Some((cpu, field(24)? * rustix::param::page_size() as u64))
}
