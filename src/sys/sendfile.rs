//! Moving a file's bytes to a socket inside the kernel (sendfile(2)).
//!
//! The subtle rule: one call moves at most 2 GiB whatever it is asked, so callers loop on the offset that it advances.

use std::io;
use std::os::fd::BorrowedFd;

/// Sends up to `count` bytes of `file` from `*offset` on to `socket`, advances the offset, and returns how many; 0 means
/// that the file ends there.
///
/// # Errors
/// `EAGAIN` when the socket is full, `EINVAL` where the file system has no sendfile, and what else sendfile(2) says.
pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(offset), count)?)
}
