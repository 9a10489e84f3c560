//! The end of all sockets of this process, right before the process itself ends.
//!
//! The end of a process closes its descriptors only when its last thread has ended. A thread that waits in
//! the kernel for a file system may not end for hours, and until then no client would see the end of its
//! connection.
//!
//! **Invariant:** a socket is closed, never shut down: other processes share the listeners and the sockets of
//! logs.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// The descriptors that a process makes before it accepts are below this number. So are the few that it gets
/// later.
const FIRST_DESCRIPTORS: RawFd = 1024;

/// The highest descriptor of an accepted socket so far.
static HIGHEST: AtomicI32 = AtomicI32::new(0);

/// Records a socket that was accepted. The limit of descriptors may be a million, too many to try them all at
/// the end.
pub(super) fn record(socket: BorrowedFd<'_>) {
    let number = socket.as_raw_fd();
    if number > HIGHEST.load(Relaxed) {
        HIGHEST.fetch_max(number, Relaxed);
    }
}

/// Closes all sockets of this process but standard input, output and error, as the end of the process would.
/// Bytes that are in a send queue are still sent. Call it only right before the process ends: the sockets
/// still have owners.
pub fn close_all_sockets() {
    for number in 3..=HIGHEST.load(Relaxed).max(FIRST_DESCRIPTORS) {
        if is_socket(number) {
            // SAFETY: no owner uses its descriptor again, or closes it, because the process ends now.
            unsafe { libc::close(number) };
        }
    }
}

fn is_socket(number: RawFd) -> bool {
    let mut kind: libc::c_int = 0;
    let mut length = size_of_val(&kind) as libc::socklen_t;
    let at = (&raw mut kind).cast();
    // SAFETY: the call writes at most `length` bytes to `kind`, and both outlive it. For a number that is not
    // a socket it returns an error.
    unsafe { libc::getsockopt(number, libc::SOL_SOCKET, libc::SO_TYPE, at, &raw mut length) == 0 }
}
