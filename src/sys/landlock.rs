//! Landlock (landlock(7)): a process that gives up, for itself and all that come from it, the files it does not need.
//!
//! Does not choose the directories. Two subtle rules: what is allowed is the inode with all that lies beneath it, whatever
//! path led there, and can't be widened later; and only opens are checked, so descriptors that are open, or that somebody
//! passes, go on working, and `O_PATH` opens succeed anywhere while nothing can be read through them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: libc::c_uint = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const PATH_BENEATH: libc::c_uint = 1;
/// `LANDLOCK_ACCESS_FS_READ_FILE` and `LANDLOCK_ACCESS_FS_READ_DIR`.
const READ: u64 = 1 << 2 | 1 << 3;

/// `struct landlock_ruleset_attr`; kernels take one that is longer than theirs as long as the rest is zero.
#[repr(C)]
struct Ruleset {
    /// Rights over files that need a rule.
    files: u64,
    /// Rights over ports that need a rule; from ABI 4 on.
    ports: u64,
    /// Kinds of peers outside the process's own domain that can't be reached; from ABI 6 on.
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    directory: i32,
}

impl Ruleset {
    /// All that a kernel with this ABI can forbid.
    fn of(abi: u32) -> Ruleset {
        // EXECUTE to MAKE_SYM, then REFER, TRUNCATE and IOCTL_DEV.
        let files = match abi {
            0 | 1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            3 | 4 => (1 << 15) - 1,
            _ => (1 << 16) - 1,
        };
        // BIND_TCP and CONNECT_TCP.
        let ports = if abi >= 4 { 0b11 } else { 0 };
        // Abstract unix sockets, and signals.
        let scoped = if abi >= 6 { 0b11 } else { 0 };
        Ruleset { files, ports, scoped }
    }
}

/// The version of Landlock's interface, at least 1; none where the kernel lacks it, or it is switched off or forbidden.
pub fn abi() -> Option<u32> {
    let nothing = std::ptr::null::<Ruleset>();
    // SAFETY: with this flag the call takes a null pointer and the size 0, and returns a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0usize, VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

/// Leaves this thread, and those it starts, nothing but to read what lies beneath `directories`: no other file, no
/// execution, and as far as this ABI goes no TCP port to bind or connect to, no abstract unix socket and no signal to
/// processes outside. Needs `no_new_privs`.
///
/// # Errors
/// What landlock_create_ruleset(2), landlock_add_rule(2) and landlock_restrict_self(2) say.
pub fn leave_to_read(directories: &[BorrowedFd<'_>], abi: u32) -> io::Result<()> {
    let ruleset = create(&Ruleset::of(abi))?;
    for directory in directories {
        let rule = PathBeneath { allowed: READ, directory: directory.as_raw_fd() };
        let (ruleset, rule) = (ruleset.as_raw_fd(), &raw const rule);
        // SAFETY: `rule` points to the structure that this kind of rule takes, and outlives the call.
        let added = unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, rule, 0u32) };
        done(added)?;
    }
    // SAFETY: the call takes a descriptor and flags.
    let restricted = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) };
    done(restricted)
}

fn create(ruleset: &Ruleset) -> io::Result<OwnedFd> {
    let (attributes, size) = (std::ptr::from_ref(ruleset), size_of::<Ruleset>());
    // SAFETY: `attributes` points to `size` bytes that outlive the call.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size, 0u32) };
    done(fd)?;
    let fd = i32::try_from(fd).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
