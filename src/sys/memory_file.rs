//! Files in memory that no process can change any more (memfd_create(2)), to hand bytes to children.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags};

use super::file::{read_at, stat};

/// No write, no other size, no other seals.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::SEAL);

/// A file with these bytes, sealed. `name` shows in /proc.
///
/// # Errors
/// See memfd_create(2) and write(2), such as `ENOMEM`.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    rustix::fs::fcntl_add_seals(&file, SEALS)?;
    Ok(file.into())
}

/// All bytes of such a file.
///
/// # Errors
/// See fstat(2) and pread(2); `FileTooLarge` for more than `most` bytes.
pub fn contents(fd: BorrowedFd<'_>, most: usize) -> io::Result<Vec<u8>> {
    let (_, stamp) = stat(fd)?;
    let size = usize::try_from(stamp.size).unwrap_or(usize::MAX);
    if size > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; size];
    let count = read_at(fd, &mut bytes, 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_was_written_is_read_and_can_not_be_changed() {
        for bytes in [&b""[..], b"anna:hash\n", &[7; 100_000]] {
            let fd = sealed("test", bytes).unwrap();
            assert_eq!(contents(fd.as_fd(), 100_000).unwrap(), bytes);
            let file = File::from(fd.try_clone().unwrap());
            assert!(file.write_at(b"x", 0).is_err() && file.set_len(9).is_err());
        }
        let fd = sealed("test", b"more").unwrap();
        assert_eq!(contents(fd.as_fd(), 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
