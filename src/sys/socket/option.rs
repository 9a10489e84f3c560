//! Socket options that rustix does not name.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets an option. `T` must be the type that socket(7) or tcp(7) names for it.
pub(in crate::sys) fn set_option<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let value = std::ptr::from_ref(value).cast();
    let fd = socket.as_raw_fd();
    // SAFETY: `value` points to `size` bytes that outlive the call.
    let result = unsafe { libc::setsockopt(fd, level, name, value, size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
