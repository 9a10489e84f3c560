//! Socket activation: listening sockets that this process inherits from its service manager
//! (sd_listen_fds(3), systemd.socket(5)).
//!
//! Takes ownership of their descriptors and checks them; what is served on them is decided elsewhere.
//!
//! **Invariant:** an inherited socket is closed, never shut down, because its service manager goes on
//! listening when this process has ended.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// The number of the first such descriptor.
const FIRST: RawFd = 3;

/// The variables that describe them: for which process, how many, and their names.
const PID: &str = "LISTEN_PID";
const COUNT: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";

/// A descriptor that cannot be served on, and the reason.
pub type UnfitDescriptor = (RawFd, io::Error);

/// Takes the sockets that are meant for this process, and makes them non-blocking and close-on-exec. Removes
/// the variables, so that no child takes the sockets for its own.
///
/// Call it once, while this process has one thread.
///
/// # Errors
/// The first descriptor that is not a listening stream socket of TCP or unix(7).
pub fn take() -> Result<Vec<OwnedFd>, UnfitDescriptor> {
    let (pid, count) = (std::env::var(PID), std::env::var(COUNT));
    for name in [PID, COUNT, NAMES] {
        // SAFETY: this process has one thread, so no other thread reads or changes the environment.
        unsafe { std::env::remove_var(name) };
    }
    // The variables of another process, such as an ancestor, are ignored.
    if pid.ok().and_then(|pid| pid.parse().ok()) != Some(super::process::id()) {
        return Ok(Vec::new());
    }
    let count = count.ok().and_then(|count| count.parse().ok()).filter(|count| (0..=1024).contains(count));
    let Some(count): Option<RawFd> = count else {
        let why = "LISTEN_FDS is not a number of sockets";
        return Err((FIRST, io::Error::new(io::ErrorKind::InvalidInput, why)));
    };
    (FIRST..FIRST + count).map(|number| adopt(number).map_err(|why| (number, why))).collect()
}

fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the number is not -1, and if it is not open the calls below fail and change nothing.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = sockopt::socket_type(socket)?;
    if kind != SocketType::STREAM || !sockopt::socket_acceptconn(socket)? {
        return Err(unfit("it is not a listening stream socket"));
    }
    match sockopt::socket_domain(socket)? {
        AddressFamily::UNIX => {}
        // Accepted sockets inherit it: a response is sent without waiting for an acknowledgement of the one
        // before.
        AddressFamily::INET | AddressFamily::INET6 => sockopt::set_tcp_nodelay(socket, true)?,
        _ => return Err(unfit("it is neither of TCP nor of unix(7)")),
    }
    rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    let flags = rustix::fs::fcntl_getfl(socket)?;
    rustix::fs::fcntl_setfl(socket, flags | OFlags::NONBLOCK)?;
    // SAFETY: it is a listening socket, and this process has opened none yet, so nothing here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn unfit(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
