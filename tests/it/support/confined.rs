//! Processes that confine themselves as those of the server do, and then try what they may not.

use std::path::Path;

use mayhttpd::config::SandboxMode as Wanted;
use mayhttpd::sandbox::{Sandbox, give_up_privileges};
use mayhttpd::sys::allowed_calls::AllowedCalls;
use mayhttpd::sys::file::Root;
use mayhttpd::sys::process::{Fork, exit_now, fork};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};

use super::{eventually, skipped};

/// How a confined process came out of what it tried.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// With this error number.
    Refused(i32),
    KilledBy(Signal),
}

/// What a kernel must have for a test.
#[derive(Clone, Copy)]
pub struct Needs {
    pub landlock: u32,
    pub seccomp: bool,
}

pub const LANDLOCK: Needs = Needs { landlock: 1, seccomp: false };
pub const SECCOMP: Needs = Needs { landlock: 0, seccomp: true };
pub const BOTH: Needs = Needs { landlock: 1, seccomp: true };

/// A sandbox with these parts alone, or None with a plain word where this kernel can't.
pub fn sandbox(test: &str, needs: Needs) -> Option<Sandbox> {
    let all = Sandbox::plan(Wanted::On).unwrap();
    let landlock = all.landlock.filter(|abi| needs.landlock > 0 && *abi >= needs.landlock);
    let lacks_landlock = needs.landlock > 0 && landlock.is_none();
    if lacks_landlock && skipped(test, &format!("the kernel has no Landlock of ABI {}", needs.landlock)) {
        return None;
    }
    if needs.seccomp && !all.seccomp && skipped(test, "the kernel has no seccomp filters") {
        return None;
    }
    Some(Sandbox { landlock, seccomp: needs.seccomp, ..all })
}

/// Has a process of its own confine itself to a directory and to the calls of some work, and then try
/// something.
#[track_caller]
pub fn try_in(
    sandbox: Sandbox,
    calls: AllowedCalls,
    directory: &Path,
    attempt: impl FnOnce() -> std::io::Result<()>,
) -> Outcome {
    /// No error number, but that of a process which could not be confined.
    const NOT_CONFINED: i32 = 255;
    let root = Root::open(directory).unwrap();
    let pid = match fork().unwrap() {
        Fork::Parent(pid) => Pid::from_raw(pid).unwrap(),
        Fork::Child => {
            let confined = give_up_privileges(|| Ok(())).is_ok()
                && sandbox.confine_files(&[&root]).is_ok_and(|done| done == sandbox.landlock.is_some())
                && sandbox.confine_calls(calls).is_ok_and(|done| done == sandbox.seccomp);
            if !confined {
                exit_now(NOT_CONFINED);
            }
            exit_now(attempt().map_or_else(|error| error.raw_os_error().unwrap_or(254), |()| 0));
        }
    };
    // This child alone: other tests wait for their own.
    let status = eventually("the attempt ends", || waitpid(Some(pid), WaitOptions::NOHANG).unwrap());
    let (_, status) = status;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(NOT_CONFINED), _) => panic!("it could not be confined"),
        (Some(0), _) => Outcome::Succeeded,
        (Some(number), _) => Outcome::Refused(number),
        (None, signal) => Outcome::KilledBy(Signal::from_named_raw(signal.unwrap()).unwrap()),
    }
}

pub fn denied() -> Outcome {
    Outcome::Refused(rustix::io::Errno::ACCESS.raw_os_error())
}

pub fn read(path: &Path) -> std::io::Result<()> {
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(file, &mut [0u8; 1])?;
    Ok(())
}
