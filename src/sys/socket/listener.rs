//! Listening sockets: opening, adopting, accepting.
//!
//! **Invariant:** the first socket at an address listens before it allows others beside it
//! ([`listen_alone`]).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};
use rustix::time::Timespec;

use super::address::{PeerAddress, peer_address};
use super::ending;
use super::option::set_option;

/// Seconds that the kernel may hold back a connection until its client sends data (tcp(7)
/// `TCP_DEFER_ACCEPT`).
const DEFER_ACCEPT_SECONDS: libc::c_int = 1;

/// Opens a listener at a free address, then allows further listeners of this user there (socket(7)
/// `SO_REUSEPORT`).
///
/// It listens while the address is still exclusive. An address that another process serves is refused, even
/// if that is a server of this kind, which `SO_REUSEPORT` would allow. With port 0 the kernel chooses the
/// port. If `both` is set, a socket at `[::]` accepts IPv4 as well.
///
/// # Errors
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`; see socket(2), bind(2) and listen(2).
pub fn listen_alone(address: SocketAddr, both: bool, backlog: u32) -> io::Result<OwnedFd> {
    let socket = stream_socket(address, both)?;
    rustix::net::bind(&socket, &address)?;
    set_backlog(&socket, backlog)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    Ok(socket)
}

/// Opens a further listener at an address of this program; the kernel spreads new connections over all of
/// them.
///
/// # Errors
/// As [`listen_alone`].
pub fn listen_beside(address: SocketAddr, both: bool, backlog: u32) -> io::Result<OwnedFd> {
    let socket = stream_socket(address, both)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    set_backlog(&socket, backlog)?;
    Ok(socket)
}

/// Checks that no process serves an address. The address stays free.
///
/// # Errors
/// `EADDRINUSE` if a process does; see socket(2) and bind(2).
pub fn check_free(address: SocketAddr) -> io::Result<()> {
    Ok(rustix::net::bind(stream_socket(address, false)?, &address)?)
}

/// True for an error that means that IPv6 is missing: the kernel lacks it (ipv6(7)), or a filter such as
/// systemd's `RestrictAddressFamilies=` forbids it.
pub fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Makes a bound socket listen with an accept queue of this length, or changes the length (listen(2)).
///
/// # Errors
/// See listen(2), such as `EADDRINUSE`.
pub fn set_backlog(socket: impl AsFd, backlog: u32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX))?)
}

/// Takes ownership of a listener that this process was started with, by its descriptor's number.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`, or `EINVAL` if it does not listen.
pub fn adopt_listener(number: RawFd) -> io::Result<OwnedFd> {
    adopt(number, true)
}

pub(super) fn adopt(number: RawFd, listens: bool) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(rustix::io::Errno::INVAL.into());
    }
    // SAFETY: the descriptor was left open for this process, no other owner exists, and it is checked before
    // its use.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    match sockopt::socket_acceptconn(&socket) {
        Ok(found) if found == listens => {}
        other => {
            // A descriptor that is not the expected socket is not closed.
            let _ = socket.into_raw_fd();
            return Err(other.err().unwrap_or(rustix::io::Errno::INVAL).into());
        }
    }
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

fn stream_socket(address: SocketAddr, both: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // Set in both cases, because net.ipv6.bindv6only sets the default. Without IPv4, 0.0.0.0:80 can
        // listen beside [::]:80.
        sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    // Accepted sockets inherit it: a response is sent without waiting for an acknowledgement of the one
    // before.
    sockopt::set_tcp_nodelay(&socket, true)?;
    set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &DEFER_ACCEPT_SECONDS)?;
    Ok(socket)
}

/// Accepts one connection, non-blocking and close-on-exec, with the client's address.
///
/// # Errors
/// `EAGAIN` if the queue is empty; see accept(2), such as `EMFILE` or `ECONNABORTED`.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, PeerAddress)> {
    let (socket, peer) =
        rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    ending::record(socket.as_fd());
    Ok((socket, peer.map_or(PeerAddress::Unix, peer_address)))
}

/// True if other processes accept from the same queue: the listener is the only one at its address.
pub fn is_shared(listener: BorrowedFd<'_>) -> bool {
    !sockopt::socket_reuseport(listener).unwrap_or(false)
}

/// True if an [`accept`] failed at the process's limit of descriptors.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE)
}

/// True if the socket still listens and a client is in its queue.
pub fn has_client(listener: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(listener, PollFlags::IN)];
    let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut polled, Some(&no_wait)).is_ok() && polled[0].revents() == PollFlags::IN
}

/// Ends listening for every process that shares the socket. Clients in its queue are reset.
pub fn stop_listening(listener: BorrowedFd<'_>) {
    // It fails only if the socket listens no more.
    let _ = rustix::net::shutdown(listener, Shutdown::Both);
}
