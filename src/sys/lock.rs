//! Who holds a file: a record lock over all of it (fcntl_locking(2)).
//!
//! Does not decide what holding it means. The subtle rule: such a lock is a process's own, no child inherits it, and it
//! goes when that process closes any descriptor of the file. So the holder must not open the file a second time.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType};

/// Who holds a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No other process.
    Nobody,
    /// The process with this id.
    Process(i32),
    /// A process of another namespace, which has no id here.
    Elsewhere,
}

/// Takes hold of a file that is open for writing, for as long as this process lives or has it open.
///
/// # Errors
/// `WouldBlock` where another process holds it, and what else fcntl(2) says, such as `ENOLCK`.
pub fn take(file: impl AsFd) -> io::Result<()> {
    match rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        // POSIX allows either.
        Err(rustix::io::Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
        other => Ok(other?),
    }
}

/// Asks who holds a file. To be allowed to read it is not enough to seem its holder.
///
/// # Errors
/// What fcntl(2) says.
pub fn holder(file: impl AsFd) -> io::Result<Holder> {
    // Only a lock for writing is in the way of one for reading.
    let found = rustix::process::fcntl_getlk(file, &Flock::from(FlockType::ReadLock))?;
    Ok(match found {
        None => Holder::Nobody,
        Some(Flock { pid: None, .. }) => Holder::Elsewhere,
        Some(Flock { pid: Some(pid), .. }) => Holder::Process(pid.as_raw_nonzero().get()),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_that_nobody_else_holds_can_be_taken_again_and_again() {
        let path = std::env::temp_dir().join(format!("mayhttpd-lock-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        take(&file).unwrap();
        // Its own lock is in nobody's way.
        assert_eq!(holder(&file).unwrap(), Holder::Nobody);
        take(&file).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
