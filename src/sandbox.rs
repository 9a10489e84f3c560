//! What is left to a child process: no capability, one directory's files to read, and the system calls of its work.
//!
//! Owns which of it applies and when; how is `sys`'s business. The subtle rule is the order: privileges and files before
//! the scheduler starts, because its threads inherit both; system calls after it has, because it starts threads.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use crate::config;
use crate::sys::file::Root;
use crate::sys::seccomp::Work;
use crate::sys::{landlock, privileges, seccomp};

/// The parts that this kernel has and the settings want. Capabilities are given up without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Landlock, with the version of its interface.
    pub landlock: Option<u32>,
    /// The filter of system calls.
    pub seccomp: bool,
    /// What the settings want.
    pub wanted: config::Sandbox,
}

impl Sandbox {
    /// Looks at what the kernel has.
    ///
    /// # Errors
    /// What is missing, where all is required.
    pub fn plan(wanted: config::Sandbox) -> Result<Sandbox, String> {
        match wanted {
            config::Sandbox::Off => Ok(Sandbox { landlock: None, seccomp: false, wanted }),
            _ => Sandbox { landlock: landlock::abi(), seccomp: seccomp::is_available(), wanted }.checked(),
        }
    }

    /// Itself, unless a part is required and not there.
    fn checked(self) -> Result<Sandbox, String> {
        let missing = match self {
            Sandbox { wanted: config::Sandbox::On | config::Sandbox::Off, .. } => return Ok(self),
            Sandbox { landlock: None, .. } => "Landlock is missing or switched off; it needs Linux 5.13",
            Sandbox { seccomp: false, .. } => {
                "seccomp is missing or forbidden; it needs Linux 4.14 on x86-64 or arm64"
            }
            _ => return Ok(self),
        };
        Err(format!("--sandbox require: {missing}"))
    }

    /// Confines this thread, and those it starts, to reading what lies beneath these roots, or to no file at all.
    ///
    /// # Errors
    /// What the kernel says, where all is required; else the log says it. Returns whether it is confined.
    pub fn confine_files(&self, roots: &[&Root]) -> io::Result<bool> {
        let Some(abi) = self.landlock else { return Ok(false) };
        let directories: Vec<_> = roots.iter().map(|root| root.as_fd()).collect();
        self.achieved("landlock", landlock::leave_to_read(&directories, abi))
    }

    /// Confines all threads to the system calls of this work. After the scheduler has started.
    ///
    /// # Errors
    /// As [`Sandbox::confine_files`].
    pub fn confine_calls(&self, work: Work) -> io::Result<bool> {
        if !self.seccomp {
            return Ok(false);
        }
        self.achieved("seccomp", seccomp::allow(work))
    }

    fn achieved(&self, part: &str, result: io::Result<()>) -> io::Result<bool> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if self.wanted == config::Sandbox::Require => Err(error),
            Err(error) => {
                ::log::warn!("the sandbox goes without {part}: {error}");
                Ok(false)
            }
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no capabilities")?;
        if self.wanted == config::Sandbox::Off {
            return f.write_str(", else off");
        }
        match self.landlock {
            Some(abi) => write!(f, ", landlock ABI {abi}")?,
            None => f.write_str(", no landlock in this kernel")?,
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp in this kernel" })
    }
}

/// Gives up every capability for good, in a process that has just one thread; before a change of user, for that would
/// take away the right to empty the bounding set, and again after it.
///
/// # Errors
/// What capset(2) and prctl(2) say.
pub fn give_up_privileges(become_user: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    privileges::empty_bounding_set();
    become_user()?;
    privileges::give_up()
}

/// As [`give_up_privileges`], but for the right to bind ports below 1024, where there is one: for a process that binds
/// by itself, and gives that up too when it has.
///
/// # Errors
/// As [`give_up_privileges`].
pub fn give_up_all_but_low_ports(become_user: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    privileges::empty_bounding_set();
    privileges::keep_through_change_of_user(true);
    become_user()?;
    privileges::keep_through_change_of_user(false);
    privileges::give_up_all_but_low_ports()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_told_in_one_line() {
        let sandbox = |wanted, landlock, seccomp| Sandbox { landlock, seccomp, wanted }.to_string();
        let (on, off) = (config::Sandbox::On, config::Sandbox::Off);
        assert_eq!(sandbox(on, Some(6), true), "no capabilities, landlock ABI 6, seccomp");
        assert_eq!(sandbox(on, None, true), "no capabilities, no landlock in this kernel, seccomp");
        assert_eq!(sandbox(on, Some(1), false), "no capabilities, landlock ABI 1, no seccomp in this kernel");
        assert_eq!(sandbox(off, None, false), "no capabilities, else off");
    }

    #[test]
    fn what_is_required_must_be_there_and_what_is_wanted_may_be_missing() {
        let check = |wanted, landlock, seccomp| Sandbox { landlock, seccomp, wanted }.checked();
        for (landlock, seccomp, missing) in
            [(Some(1), true, None), (None, true, Some("Landlock")), (Some(1), false, Some("seccomp"))]
        {
            assert!(check(config::Sandbox::On, landlock, seccomp).is_ok());
            let required = check(config::Sandbox::Require, landlock, seccomp);
            let words = |why: String| missing.is_some_and(|part| why.contains(part));
            assert!(required.map_or_else(words, |_| missing.is_none()), "{missing:?}");
        }
    }

    #[test]
    fn off_asks_the_kernel_nothing() {
        let off = Sandbox::plan(config::Sandbox::Off).unwrap();
        assert_eq!((off.landlock, off.seccomp), (None, false));
        assert!(!off.confine_files(&[]).unwrap() && !off.confine_calls(Work::Serving).unwrap());
    }
}
