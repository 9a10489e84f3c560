//! Listening sockets that whoever started this process has made and keeps (sd_listen_fds(3), systemd.socket(5)).
//!
//! Takes them over and checks them; what is served on them is decided elsewhere. The subtle rule: the sockets are lent.
//! Who lent them goes on listening when this process has gone, so they may be closed here, never shut down.

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::OFlags;
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// The number of the first such descriptor.
const FIRST: RawFd = 3;

/// The variables that tell of them: for which process, how many, and how they are called.
const PID: &str = "LISTEN_PID";
const COUNT: &str = "LISTEN_FDS";
const NAMES: &str = "LISTEN_FDNAMES";

/// A descriptor that can't be served on, and why not.
pub type Unfit = (RawFd, io::Error);

/// Takes over the sockets that are meant for this process, none if there are none. They are non-blocking and
/// close-on-exec from here on, and the variables are gone, so that no child takes them for its own.
///
/// Call it once, while this process has one thread.
///
/// # Errors
/// The first descriptor that is no listening stream socket of TCP or unix(7).
pub fn take() -> Result<Vec<OwnedFd>, Unfit> {
    let (pid, count) = (std::env::var(PID), std::env::var(COUNT));
    for name in [PID, COUNT, NAMES] {
        // SAFETY: this process has one thread, so nobody else reads or changes the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    // What an ancestor was lent is none of this process's business.
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
    // SAFETY: the number is not -1, and where nothing is open under it the calls below say so and change nothing.
    let lent = unsafe { BorrowedFd::borrow_raw(number) };
    let kind = sockopt::socket_type(lent)?;
    if kind != SocketType::STREAM || !sockopt::socket_acceptconn(lent)? {
        return Err(unfit("it is not a listening stream socket"));
    }
    match sockopt::socket_domain(lent)? {
        AddressFamily::UNIX => {}
        // Accepted sockets inherit it: an answer leaves at once, never waiting for an acknowledgement of the last.
        AddressFamily::INET | AddressFamily::INET6 => sockopt::set_tcp_nodelay(lent, true)?,
        _ => return Err(unfit("it is neither of TCP nor of unix(7)")),
    }
    rustix::io::fcntl_setfd(lent, FdFlags::CLOEXEC)?;
    let flags = rustix::fs::fcntl_getfl(lent)?;
    rustix::fs::fcntl_setfl(lent, flags | OFlags::NONBLOCK)?;
    // SAFETY: it is a socket that listens, and this process has made none yet, so nothing here owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn unfit(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
