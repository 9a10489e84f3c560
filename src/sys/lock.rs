//! Record locks over whole files (fcntl_locking(2)): one process holds a file.
//!
//! **Invariant:** the holder must not open the file a second time. A record lock belongs to a process: no
//! child inherits it, and it ends when the process closes any descriptor of the file.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType};

/// The holder of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No other process.
    NoProcess,
    /// The process with this id.
    Process(i32),
    /// A process of another namespace, without an id here.
    Elsewhere,
}

/// Locks a file that is open for writing, until this process ends or closes it.
///
/// # Errors
/// `WouldBlock` if another process holds it; see fcntl(2), such as `ENOLCK`.
pub fn take(file: impl AsFd) -> io::Result<()> {
    match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        // POSIX allows either.
        Err(rustix::io::Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
        other => Ok(other?),
    }
}

/// Finds the holder of a file. A process that can only read the file cannot take this lock.
///
/// # Errors
/// See fcntl(2).
pub fn holder(file: impl AsFd) -> io::Result<Holder> {
    // Only a write lock conflicts with a read lock.
    let found = rustix::process::fcntl_getlk(file, &Flock::from(FlockType::ReadLock))?;
    Ok(match found {
        None => Holder::NoProcess,
        Some(Flock { pid: None, .. }) => Holder::Elsewhere,
        Some(Flock { pid: Some(pid), .. }) => Holder::Process(pid.as_raw_nonzero().get()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_that_no_other_process_holds_can_be_taken_again_and_again() {
        let path = std::env::temp_dir().join(format!("mayhttpd-lock-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        take(&file).unwrap();
        // A process's own lock does not conflict.
        assert_eq!(holder(&file).unwrap(), Holder::NoProcess);
        take(&file).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
