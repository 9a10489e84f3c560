//! Addresses of sockets: the local address and the peer's.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// The address of a client, from its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// A host.
    Ip(IpAddr),
    /// A process of this machine, without an address (unix(7)).
    Unix,
}

impl PeerAddress {
    /// The IP address, if there is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            PeerAddress::Ip(address) => Some(address),
            PeerAddress::Unix => None,
        }
    }
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // An IPv4 client of an IPv6 socket appears as IPv4.
            PeerAddress::Ip(address) => address.to_canonical().fmt(f),
            PeerAddress::Unix => f.write_str("unix:"),
        }
    }
}

/// The address of a peer. An IPv4-mapped IPv6 address becomes IPv4.
pub(super) fn peer_address(address: SocketAddrAny) -> PeerAddress {
    SocketAddr::try_from(address)
        .map_or(PeerAddress::Unix, |address| PeerAddress::Ip(address.ip().to_canonical()))
}

/// The address that a socket is bound to.
///
/// # Errors
/// See getsockname(2).
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?).map_err(|_| io::ErrorKind::Unsupported.into())
}

/// The path that a unix(7) socket is bound to, or an abstract name with `@` in front; `None` for another
/// family.
pub fn local_path(socket: impl AsFd) -> Option<String> {
    let address = SocketAddrUnix::try_from(rustix::net::getsockname(socket).ok()?).ok()?;
    let path = address.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned());
    path.or_else(|| Some(format!("@{}", String::from_utf8_lossy(address.abstract_name()?))))
}

/// True if the local address of the socket with this number is a loopback address, or unknown.
pub fn is_at_loopback(fd: RawFd) -> bool {
    // SAFETY: the caller's socket is open for the length of this call.
    let socket = unsafe { BorrowedFd::borrow_raw(fd) };
    local_address(socket).map_or(true, |address| address.ip().to_canonical().is_loopback())
}
