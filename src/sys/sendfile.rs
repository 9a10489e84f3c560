//! Sending a file's bytes to a socket inside the kernel (sendfile(2)).
//!
//! One call sends at most 2 GiB, so callers loop until the offset reaches the end.

use std::io;
use std::os::fd::BorrowedFd;

/// Sends up to `count` bytes of `file`, from `*offset` on, to `socket`, and advances the offset. Returns the
/// number of bytes; 0 is the end of the file.
///
/// # Errors
/// `EAGAIN` if the socket is full, `EINVAL` if the file system has no sendfile; see sendfile(2).
pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(offset), count)?)
}
