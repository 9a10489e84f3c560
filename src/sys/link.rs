//! The link between master and worker: a pair of sockets that keeps messages whole (unix(7) `SOCK_SEQPACKET`).
//!
//! The subtle rule: end-of-file is a message too, and the kernel sends it when the other side is gone, however it went.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// The longest message, in bytes; the text of a start-up error fits.
pub const MAX_MESSAGE: usize = 1024;

/// What a receive found.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A whole message.
    Message(Vec<u8>),
    /// The other side is gone.
    Closed,
    /// Nothing yet.
    Empty,
}

/// Makes a link: one end for the master, one for the worker, both non-blocking.
///
/// # Errors
/// What socketpair(2) says, such as `EMFILE`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A second descriptor of the same end.
///
/// # Errors
/// What fcntl(2) says, such as `EMFILE`.
pub fn duplicate(end: &OwnedFd) -> io::Result<OwnedFd> {
    end.try_clone()
}

/// Sends one message; false when the other side is gone or does not read.
pub fn send(end: impl AsFd, message: &[u8]) -> bool {
    let message = &message[..message.len().min(MAX_MESSAGE)];
    rustix::net::send(end, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
}

/// Takes the next message.
pub fn receive(end: impl AsFd) -> Received {
    let mut buffer = [0; MAX_MESSAGE];
    match rustix::net::recv(end, &mut buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Received::Closed,
        Ok((n, _)) => Received::Message(buffer[..n].to_vec()),
        Err(Errno::AGAIN | Errno::INTR) => Received::Empty,
        Err(_) => Received::Closed,
    }
}

/// Waits up to `timeout` until a pipe or socket takes a piece of a write (poll(2) `POLLOUT`; for a pipe that is a page),
/// and tells whether it does.
pub fn takes_more(end: impl AsFd, timeout: Duration) -> bool {
    let mut poll = [PollFd::new(&end, PollFlags::OUT)];
    let timeout =
        Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: timeout.subsec_nanos().into() };
    rustix::event::poll(&mut poll, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Ends a link for both sides, while the descriptor stays.
pub fn close_both_ways(end: impl AsFd) {
    // It fails only where the other side has gone already.
    let _ = rustix::net::shutdown(end, rustix::net::Shutdown::Both);
}
