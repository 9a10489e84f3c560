//! Open descriptors: reading from them, and replacing the file behind them.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Bytes that [`read_through`] reads at once.
const DROPPED: usize = 64 << 10;

/// Fills `buffer` from `offset` on. Returns the number of bytes, less than asked for at the end of the file.
///
/// # Errors
/// See pread(2).
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Fills `buffer` from `offset` on with what is in memory, without a wait for a disk (preadv2(2)
/// `RWF_NOWAIT`). Returns true if it is full.
pub fn read_cached(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> bool {
    let wanted = buffer.len();
    let mut buffers = [io::IoSliceMut::new(buffer)];
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    rustix::io::preadv2(fd, &mut buffers, offset, flags).is_ok_and(|read| read == wanted)
}

/// Puts another file behind an open descriptor (dup2(2)), for all users of its number.
///
/// # Errors
/// See dup3(2).
pub fn replace(open: BorrowedFd<'_>, with: BorrowedFd<'_>) -> io::Result<()> {
    let (open, with) = (open.as_raw_fd(), with.as_raw_fd());
    // SAFETY: both numbers are open descriptors, and the first stays open, so its owners stay valid.
    let result = unsafe { libc::dup3(with, open, libc::O_CLOEXEC) };
    if result == open { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel begin to read a part of a file into its memory (posix_fadvise(2) `POSIX_FADV_WILLNEED`).
/// May wait for a disk. An error is ignored, because the read that follows has it too.
pub fn read_ahead(fd: BorrowedFd<'_>, part: &Range<u64>) {
    let length = NonZeroU64::new(part.end.saturating_sub(part.start));
    let _ = rustix::fs::fadvise(fd, part.start, length, rustix::fs::Advice::WillNeed);
}

/// Reads a part of a file, so that it is in the kernel's memory, and drops what was read. Stops at the end of
/// the file. May wait for a disk.
///
/// # Errors
/// See pread(2).
pub fn read_through(fd: BorrowedFd<'_>, part: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; DROPPED];
    let mut offset = part.start;
    while offset < part.end {
        let left = usize::try_from(part.end - offset).unwrap_or(DROPPED).min(DROPPED);
        match read_at(fd, &mut buffer[..left], offset)? {
            0 => break,
            read => offset += read as u64,
        }
    }
    Ok(())
}
