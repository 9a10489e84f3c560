//! The sandbox of a child process: no capabilities, the files beneath some directories to read, the system
//! calls of its work.
//!
//! Owns which part applies, when, and what happens where the kernel lacks one. The rules for files are here;
//! the system calls are listed in [`crate::sys::allowed_calls`].
//!
//! **Invariant:** privileges and files are given up before the scheduler starts, because its threads inherit
//! both. The filter of system calls is installed after that, because the scheduler starts threads.

use std::fmt;
use std::io;
use std::os::fd::AsFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};

use crate::config;
use crate::sys::allowed_calls::AllowedCalls;
use crate::sys::file::Root;
use crate::sys::landlock::landlock_version;
use crate::sys::{privileges, seccomp};

/// Landlock's rights that a process gives up: all that Linux 6.12 has. Of an older kernel it gives up those
/// that the kernel has. Rights of newer kernels are not added before they were tried.
const RIGHTS: ABI = ABI::V6;

/// The parts that this kernel has and the settings ask for. Capabilities are given up in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The version of the kernel's Landlock interface, if it has Landlock.
    pub landlock: Option<u32>,
    /// True if system calls are filtered.
    pub seccomp: bool,
    /// What the settings ask for.
    pub wanted: config::SandboxMode,
}

impl Sandbox {
    /// Finds out what the kernel has.
    ///
    /// # Errors
    /// A sentence on the missing part, under `--sandbox require`.
    pub fn plan(wanted: config::SandboxMode) -> Result<Sandbox, String> {
        match wanted {
            config::SandboxMode::Off => Ok(Sandbox { landlock: None, seccomp: false, wanted }),
            _ => Sandbox { landlock: landlock_version(), seccomp: seccomp::is_available(), wanted }.checked(),
        }
    }

    /// Checks that no required part is missing.
    fn checked(self) -> Result<Sandbox, String> {
        let missing = match self {
            Sandbox { wanted: config::SandboxMode::On | config::SandboxMode::Off, .. } => return Ok(self),
            Sandbox { landlock: None, .. } => "Landlock is missing or switched off; it needs Linux 5.13",
            Sandbox { seccomp: false, .. } => {
                "seccomp is missing or forbidden; it needs Linux 4.14 on x86-64 or arm64"
            }
            _ => return Ok(self),
        };
        Err(format!("--sandbox require: {missing}"))
    }

    /// Limits this thread, and those it starts, to reading the files beneath these roots; without roots, to
    /// no file at all. Returns true if it is limited. Needs `no_new_privs`.
    ///
    /// # Errors
    /// See landlock_create_ruleset(2), landlock_add_rule(2) and landlock_restrict_self(2), under `--sandbox
    /// require`. Otherwise the error is logged.
    pub fn confine_files(&self, roots: &[&Root]) -> io::Result<bool> {
        if self.landlock.is_none() {
            return Ok(false);
        }
        self.confined("landlock", allow_reading(roots))
    }

    /// Limits all threads to these system calls. Call it when the scheduler runs. Returns true if they are
    /// limited.
    ///
    /// # Errors
    /// See seccomp(2), under `--sandbox require`. Otherwise the error is logged.
    pub fn confine_calls(&self, calls: AllowedCalls) -> io::Result<bool> {
        if !self.seccomp {
            return Ok(false);
        }
        self.confined("seccomp", seccomp::allow(calls))
    }

    fn confined(&self, part: &str, result: io::Result<()>) -> io::Result<bool> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if self.wanted == config::SandboxMode::Require => Err(error),
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
        if self.wanted == config::SandboxMode::Off {
            return f.write_str(", else off");
        }
        match self.landlock {
            Some(version) => write!(f, ", landlock ABI {version}")?,
            None => f.write_str(", no landlock in this kernel")?,
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp in this kernel" })
    }
}

/// Gives up all of [`RIGHTS`] but to read files and directories beneath these roots (landlock(7)): no other
/// file, no execution, no TCP port to bind or connect to, no abstract unix socket and no signal to processes
/// outside.
///
/// A rule is for the directory's inode and all beneath it, whatever path leads there, and cannot be extended
/// later. Only opens are checked: descriptors that are open, or that another process passes, remain usable.
/// Opens with `O_PATH` succeed anywhere, but their descriptors cannot be read.
fn allow_reading(roots: &[&Root]) -> io::Result<()> {
    let restrict = || -> Result<RulesetStatus, RulesetError> {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(RIGHTS))?
            .handle_access(AccessNet::from_all(RIGHTS))?
            .scope(Scope::from_all(RIGHTS))?
            .create()?;
        let allowed = AccessFs::ReadFile | AccessFs::ReadDir;
        let rules = roots.iter().map(|root| Ok::<_, RulesetError>(PathBeneath::new(root.as_fd(), allowed)));
        Ok(ruleset.add_rules(rules)?.restrict_self()?.ruleset)
    };
    match restrict().map_err(io::Error::other)? {
        // The crate counts a kernel without Landlock as a success.
        RulesetStatus::NotEnforced => Err(io::ErrorKind::Unsupported.into()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Gives up every capability of this thread for good, and changes the user. Threads that it starts later have
/// none either.
///
/// The bounding set comes first, because a change of user takes away the right to empty it; the other sets
/// come last.
///
/// # Errors
/// See capset(2) and prctl(2).
pub fn give_up_privileges(become_user: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    privileges::empty_bounding_set();
    become_user()?;
    privileges::give_up()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_shown_in_one_line() {
        let sandbox = |wanted, landlock, seccomp| Sandbox { landlock, seccomp, wanted }.to_string();
        let (on, off) = (config::SandboxMode::On, config::SandboxMode::Off);
        assert_eq!(sandbox(on, Some(6), true), "no capabilities, landlock ABI 6, seccomp");
        assert_eq!(sandbox(on, None, true), "no capabilities, no landlock in this kernel, seccomp");
        assert_eq!(sandbox(on, Some(1), false), "no capabilities, landlock ABI 1, no seccomp in this kernel");
        assert_eq!(sandbox(off, None, false), "no capabilities, else off");
    }

    #[test]
    fn a_required_part_must_exist_and_a_wanted_part_may_be_missing() {
        let check = |wanted, landlock, seccomp| Sandbox { landlock, seccomp, wanted }.checked();
        for (landlock, seccomp, missing) in
            [(Some(1), true, None), (None, true, Some("Landlock")), (Some(1), false, Some("seccomp"))]
        {
            assert!(check(config::SandboxMode::On, landlock, seccomp).is_ok());
            let required = check(config::SandboxMode::Require, landlock, seccomp);
            let words = |why: String| missing.is_some_and(|part| why.contains(part));
            assert!(required.map_or_else(words, |_| missing.is_none()), "{missing:?}");
        }
    }

    #[test]
    fn all_rights_of_each_kernel_are_given_up() {
        // linux/landlock.h: rights over files, TCP ports, and what a scope ends.
        for (abi, files, ports, scopes) in [
            (ABI::V1, 13, 0, 0),
            (ABI::V2, 14, 0, 0),
            (ABI::V3, 15, 0, 0),
            (ABI::V4, 15, 2, 0),
            (ABI::V5, 16, 2, 0),
            (ABI::V6, 16, 2, 2),
            (ABI::V7, 16, 2, 2),
        ] {
            let lowest = |count: u32| (1 << count) - 1;
            assert_eq!(
                (AccessFs::from_all(RIGHTS) & AccessFs::from_all(abi)).bits(),
                lowest(files),
                "{abi:?}"
            );
            assert_eq!(
                (AccessNet::from_all(RIGHTS) & AccessNet::from_all(abi)).bits(),
                lowest(ports),
                "{abi:?}"
            );
            assert_eq!((Scope::from_all(RIGHTS) & Scope::from_all(abi)).bits(), lowest(scopes), "{abi:?}");
        }
    }

    #[test]
    fn off_asks_the_kernel_nothing() {
        let off = Sandbox::plan(config::SandboxMode::Off).unwrap();
        assert_eq!((off.landlock, off.seccomp), (None, false));
        assert!(!off.confine_files(&[]).unwrap() && !off.confine_calls(AllowedCalls::Worker).unwrap());
    }
}
