//! Stream sockets: making listeners, accepting, and single non-blocking sends and receives.
//!
//! Never waits: a full or empty socket is `EAGAIN`, and the connection layer decides what that means. The subtle rule is
//! in [`listen_alone`]: the first socket of an address is bound and listening before it allows others beside it.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny, SocketAddrUnix,
    SocketFlags, SocketType, sockopt,
};

/// Seconds that the kernel may hold back a connection whose client has sent nothing (tcp(7) `TCP_DEFER_ACCEPT`).
const DEFER_ACCEPT_SECONDS: libc::c_int = 1;

/// Instructions of classic BPF (linux/filter.h): load a byte, jump when bits are set, return.
const BPF_LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const BPF_JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const BPF_RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The largest number of hops that a packet can have left (RFC 791 §3.1, RFC 8200 §3).
const ALL_HOPS: libc::c_int = 255;

/// The epoll(7) bit of a socket with something to receive.
pub const READABLE: usize = EventFlags::IN.bits() as usize;
/// The epoll(7) bit of a socket with room to send.
pub const WRITABLE: usize = EventFlags::OUT.bits() as usize;
/// The epoll(7) bits of an end of stream or an error: receives must be tried until they say so.
pub const ENDING: usize = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).bits() as usize;

/// Opens a listener at an address that nobody else has, and lets others of this program stand beside it from then on
/// (socket(7) `SO_REUSEPORT`).
///
/// It is bound and listening while the address is still exclusive, so that an address which any other process serves
/// (another server of this kind included, which `SO_REUSEPORT` would let in silently) is refused. With port 0 the
/// kernel chooses one.
///
/// # Errors
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` and what else bind(2) and listen(2) say.
pub fn listen_alone(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    rustix::net::bind(&socket, &address)?;
    set_backlog(&socket, backlog)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    Ok(socket)
}

/// Opens a further listener at an address that this program has; the kernel spreads new connections among them.
///
/// # Errors
/// As [`listen_alone`].
pub fn listen_beside(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    set_backlog(&socket, backlog)?;
    Ok(socket)
}

/// Has a bound socket listen, or a listening one have a queue of this length (listen(2)).
///
/// # Errors
/// `EADDRINUSE` and what else listen(2) says.
pub fn set_backlog(socket: impl AsFd, backlog: u32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX))?)
}

/// Takes over a listener that this process was started with, by its descriptor's number.
///
/// # Errors
/// `EBADF`, `ENOTSOCK`, or `EINVAL` when it does not listen.
pub fn adopt_listener(number: RawFd) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(rustix::io::Errno::INVAL.into());
    }
    // SAFETY: the descriptor was left open for this process alone, and is looked at before it is used.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    match sockopt::socket_acceptconn(&socket) {
        Ok(true) => {}
        other => {
            // What is not ours is not closed either.
            let _ = socket.into_raw_fd();
            return Err(other.err().unwrap_or(rustix::io::Errno::INVAL).into());
        }
    }
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

fn stream_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // So that 0.0.0.0:80 and [::]:80 can be asked for side by side.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // Accepted sockets inherit it: an answer leaves at once, never waiting for an acknowledgement of the last.
    sockopt::set_tcp_nodelay(&socket, true)?;
    set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &DEFER_ACCEPT_SECONDS)?;
    Ok(socket)
}

/// Sets an option that rustix does not name. `T` must be what socket(7) or tcp(7) says of it.
pub(super) fn set_option<T>(
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

/// Has a listener let no new client begin, and those that have begun come in without waiting for their data: clients
/// that try are not answered, and try again a second later. It takes the place of nothing; a close then loses nobody
/// who was told that the connection stands.
///
/// # Errors
/// `EPERM` where the kernel lets only an administrator of the network do this, as newer ones do, and what else
/// setsockopt(2) says.
pub fn refuse_handshakes(listener: BorrowedFd<'_>) -> io::Result<()> {
    // A classic BPF program (socket(7) SO_ATTACH_FILTER) over the TCP header: drop what has the SYN flag.
    let load_flags = libc::sock_filter { code: BPF_LOAD_BYTE, jt: 0, jf: 0, k: 13 };
    let if_syn = libc::sock_filter { code: BPF_JUMP_IF_SET, jt: 0, jf: 1, k: 0x02 };
    let drop = libc::sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: 0 };
    let pass = libc::sock_filter { code: BPF_RETURN, jt: 0, jf: 0, k: u32::MAX };
    let mut filter = [load_flags, if_syn, drop, pass];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    set_option(listener, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &0)
}

/// Does what [`refuse_handshakes`] does in a way that everybody may: packets must have all their hops left, which no usual
/// SYN has. The kernel doesn't ask that of the packet that ends a handshake. Each socket that is accepted from then on has
/// inherited it, and needs [`let_in`].
///
/// # Errors
/// What setsockopt(2) says.
pub fn hold_off(listener: BorrowedFd<'_>) -> io::Result<()> {
    need_hops_left(listener, ALL_HOPS)?;
    set_option(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &0)
}

/// Has a client that came to a listener after [`hold_off`] be heard. What it has sent before this is lost, and its kernel
/// sends it again a moment later.
pub fn let_in(client: BorrowedFd<'_>) {
    // It fails for no socket that came from such a listener.
    let _ = need_hops_left(client, 0);
}

/// Has a socket drop packets with fewer hops left than this (RFC 5082 §3).
fn need_hops_left(socket: BorrowedFd<'_>, hops: libc::c_int) -> io::Result<()> {
    let (level, name) = match sockopt::socket_domain(socket)? {
        AddressFamily::INET6 => (libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT),
        _ => (libc::IPPROTO_IP, libc::IP_MINTTL),
    };
    set_option(socket, level, name, &hops)
}

/// Who a client is, as far as its socket tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// A host.
    Ip(IpAddr),
    /// A process of this machine, which has no name (unix(7)).
    Unix,
}

impl PeerAddress {
    /// Its address, if it has one.
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

/// The name of the socket file that a unix(7) socket is bound to, one of the abstract kind with `@` in front; `None`
/// for a socket of another family.
pub fn local_path(socket: impl AsFd) -> Option<String> {
    let address = SocketAddrUnix::try_from(rustix::net::getsockname(socket).ok()?).ok()?;
    let path = address.path_bytes().map(|path| String::from_utf8_lossy(path).into_owned());
    path.or_else(|| Some(format!("@{}", String::from_utf8_lossy(address.abstract_name()?))))
}

/// The address that a socket is bound to.
///
/// # Errors
/// What getsockname(2) says.
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?).map_err(|_| io::ErrorKind::Unsupported.into())
}

/// Takes one connection off the accept queue, non-blocking and close-on-exec, with the client's address.
///
/// # Errors
/// `EAGAIN` when the queue is empty, `EMFILE`, `ECONNABORTED` and what else accept(2) says.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, PeerAddress)> {
    let (socket, peer) =
        rustix::net::acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    Ok((socket, peer.map_or(PeerAddress::Unix, identify)))
}

fn identify(address: SocketAddrAny) -> PeerAddress {
    SocketAddr::try_from(address).map_or(PeerAddress::Unix, |address| PeerAddress::Ip(address.ip()))
}

/// Appends what has arrived to `buffer`, up to its capacity, which must not be exhausted; 0 is the end of the stream.
///
/// # Errors
/// `EAGAIN` when nothing has arrived, `ECONNRESET` and what else recv(2) says.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let (received, _) =
        rustix::net::recv(socket, rustix::buffer::spare_capacity(buffer), RecvFlags::empty())?;
    Ok(received)
}

/// Whether bytes have arrived, without taking them; false is the end of the stream.
///
/// # Errors
/// As [`receive`].
pub fn has_bytes(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let (seen, _) = rustix::net::recv(socket, &mut [0u8; 1], RecvFlags::PEEK)?;
    Ok(seen > 0)
}

/// Receives into `scratch` bytes that nobody will look at; 0 is the end of the stream.
///
/// # Errors
/// As [`receive`].
pub fn discard(socket: BorrowedFd<'_>, scratch: &mut [u8]) -> io::Result<usize> {
    let (received, _) = rustix::net::recv(socket, scratch, RecvFlags::empty())?;
    Ok(received)
}

/// Sends `first` and then `second` in one call; `more` tells the kernel that a body follows (send(2) `MSG_MORE`).
/// Returns how many bytes of the two it took.
///
/// # Errors
/// `EAGAIN` when the socket is full, `EPIPE`, `ECONNRESET` and what else sendmsg(2) says.
pub fn send(socket: BorrowedFd<'_>, first: &[u8], second: &[u8], more: bool) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
    if second.is_empty() {
        return Ok(rustix::net::send(socket, first, flags)?);
    }
    let slices = [IoSlice::new(first), IoSlice::new(second)];
    Ok(rustix::net::sendmsg(socket, &slices, &mut SendAncillaryBuffer::default(), flags)?)
}

/// Bytes of the send queue that the client has not acknowledged (tcp(7) `SIOCOUTQ`); 0 where the kernel does not tell.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> u64 {
    let mut bytes: libc::c_int = 0;
    let fd = socket.as_raw_fd();
    // SAFETY: this request of ioctl(2) writes one int, to `bytes`, which outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Ends the sending direction, so that the client sees the end while its last bytes are still read (RFC 9112 §9.6).
pub fn finish_sending(socket: BorrowedFd<'_>) {
    // A client that has gone already needs no end.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Has the close of this socket reset the connection and throw away what is still to be sent.
pub fn reset_on_close(socket: BorrowedFd<'_>) {
    // Without the option the kernel keeps trying to send for a while, which is all that is lost.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Holds an address for a listener that another process of ours will open beside this socket (socket(7)
/// `SO_REUSEPORT`), and finds out first whether anybody else serves it. With port 0 the kernel chooses one.
///
/// # Errors
/// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL` and what else bind(2) says.
pub fn reserve(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    rustix::net::bind(&socket, &address)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    Ok(socket)
}

/// Ends the receiving direction of a socket that is known by its number alone; what has come can still be read.
pub fn stop_receiving(fd: RawFd) {
    // SAFETY: the call touches no memory; of a number that is no socket it makes an error, which says nothing new.
    unsafe { libc::shutdown(fd, libc::SHUT_RD) };
}

/// Ends listening, for every process that shares the socket; clients still in its queue are reset.
pub fn stop_listening(listener: BorrowedFd<'_>) {
    // It fails only where the socket does not listen any more.
    let _ = rustix::net::shutdown(listener, Shutdown::Both);
}
