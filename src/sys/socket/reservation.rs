//! Reserved addresses: bound sockets that do not listen, by which the master keeps the admin process's
//! address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::listener::{adopt, set_backlog};

/// Reserves an address: no other process can bind or listen there. A listener of this user can, while
/// [`share`] is on. With port 0 the kernel chooses the port.
///
/// # Errors
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`; see bind(2) and listen(2).
pub fn reserve(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = plain_socket(address)?;
    match rustix::net::bind(&socket, &address) {
        // Closed connections (TIME_WAIT) keep a port for a minute, unless both sockets have SO_REUSEADDR.
        Err(rustix::io::Errno::ADDRINUSE) if address.port() != 0 => reserve_after_use(address),
        bound => Ok(bound.map(|()| socket)?),
    }
}

/// Reserves an address with connections of an earlier listener in TIME_WAIT. SO_REUSEADDR lets this socket
/// bind beside them, but would let others bind beside it. A listen(2) ends that, and fails if another socket
/// listens.
fn reserve_after_use(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = plain_socket(address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    check_alone(&socket)?;
    Ok(socket)
}

/// Checks that no other socket listens at a reserved address, by listening there for a moment. A port that
/// the kernel chose would be lost by this.
///
/// # Errors
/// `EADDRINUSE` if another socket listens.
pub fn check_alone(held: &OwnedFd) -> io::Result<()> {
    // Otherwise connections in TIME_WAIT would count.
    sockopt::set_socket_reuseaddr(held, true)?;
    let listened = set_backlog(held, 1);
    sockopt::set_socket_reuseaddr(held, false)?;
    listened?;
    Ok(rustix::net::shutdown(held, Shutdown::Both)?)
}

/// True if other sockets of this user may bind to the address of this one.
pub fn shares(socket: &OwnedFd) -> bool {
    sockopt::socket_reuseport(socket).unwrap_or(false)
}

/// Reserves an address that overlaps one for which [`share`] is on. It is on for the new socket as well.
///
/// # Errors
/// `EADDRINUSE` if a socket of another user, or one that does not share, has the address; else as
/// [`reserve`].
pub fn reserve_beside(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = plain_socket(address)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// Sets whether other sockets of this user may bind to the address of this one (socket(7) `SO_REUSEPORT`).
pub fn share(socket: &OwnedFd, on: bool) {
    // It cannot fail for a TCP socket. If it did, the process that listens later would report it.
    let _ = sockopt::set_socket_reuseport(socket, on);
}

/// Takes ownership of a socket that reserves an address, as [`super::adopt_listener`] does of a listener.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`, or `EINVAL` if it listens.
pub fn adopt_held(number: RawFd) -> io::Result<OwnedFd> {
    adopt(number, false)
}

/// A socket as `may` makes it for the admin listener: IPv6 sockets accept IPv4 as well, unless
/// net.ipv6.bindv6only is set.
fn plain_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}
