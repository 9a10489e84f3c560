//! A client's socket: single non-blocking sends and receives, its end, and what the kernel knows of its
//! queue.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, sockopt};

/// The epoll(7) bit of a socket with something to receive.
pub const READABLE: usize = EventFlags::IN.bits() as usize;

/// The epoll(7) bit of a socket with room to send.
pub const WRITABLE: usize = EventFlags::OUT.bits() as usize;

/// The epoll(7) bits of an end of stream or an error. A receive returns either.
pub const ENDING: usize = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).bits() as usize;

/// Appends received bytes to `buffer`, up to its capacity, which must have room. Returns their number; 0 is
/// the end of the stream.
///
/// # Errors
/// `EAGAIN` if nothing has arrived; see recv(2), such as `ECONNRESET`.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut Vec<u8>) -> io::Result<usize> {
    let (received, _) =
        rustix::net::recv(socket, rustix::buffer::spare_capacity(buffer), RecvFlags::empty())?;
    Ok(received)
}

/// True if bytes have arrived; false at the end of the stream. Takes no bytes.
///
/// # Errors
/// As [`receive`].
pub fn has_bytes(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let (seen, _) = rustix::net::recv(socket, &mut [0u8; 1], RecvFlags::PEEK)?;
    Ok(seen > 0)
}

/// Sends `first` and then `second` in one call. `more` tells the kernel that more bytes or the end of the
/// stream follow (send(2) `MSG_MORE`). Returns the number of bytes sent, of both together.
///
/// # Errors
/// `EAGAIN` if the socket is full; see sendmsg(2), such as `EPIPE` or `ECONNRESET`.
pub fn send(socket: BorrowedFd<'_>, first: &[u8], second: &[u8], more: bool) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | if more { SendFlags::MORE } else { SendFlags::empty() };
    if second.is_empty() {
        return Ok(rustix::net::send(socket, first, flags)?);
    }
    let slices = [IoSlice::new(first), IoSlice::new(second)];
    Ok(rustix::net::sendmsg(socket, &slices, &mut SendAncillaryBuffer::default(), flags)?)
}

/// The client's receive window: bytes that it allows beyond the acknowledged ones (`tcpi_snd_wnd` of tcp(7)
/// `TCP_INFO`, Linux 5.4). 0 if unknown, as for a unix(7) socket.
pub fn send_window(socket: BorrowedFd<'_>) -> u64 {
    /// The offset of the field in `struct tcp_info` (linux/tcp.h), in words of four bytes.
    const WINDOW: usize = 57;
    let mut info = [0u32; WINDOW + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    let (fd, at) = (socket.as_raw_fd(), info.as_mut_ptr().cast());
    // SAFETY: the call writes at most `length` bytes to `info`, and both outlive it.
    let result = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, at, &raw mut length) };
    let known = result == 0 && length as usize == size_of_val(&info);
    if known { info[WINDOW].into() } else { 0 }
}

/// Bytes of the send queue that the client has not acknowledged (tcp(7) `SIOCOUTQ`). 0 if unknown.
pub fn unacknowledged(socket: BorrowedFd<'_>) -> u64 {
    let mut bytes: libc::c_int = 0;
    let fd = socket.as_raw_fd();
    // SAFETY: this request of ioctl(2) writes one int, to `bytes`, which outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { u64::try_from(bytes).unwrap_or(0) } else { 0 }
}

/// Ends the sending direction: the client sees the end, and its last bytes can still be received (RFC 9112
/// §9.6).
pub fn finish_sending(socket: BorrowedFd<'_>) {
    // It fails only if the client is gone.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Makes the close of this socket reset the connection and discard unsent bytes.
pub fn reset_on_close(socket: BorrowedFd<'_>) {
    // If this fails, the kernel tries to send for a while, which is harmless.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Ends the receiving direction of the socket with this number. Bytes that have arrived can still be
/// received.
pub fn stop_receiving(fd: RawFd) {
    // SAFETY: the call touches no memory; for a number that is not a socket it returns an error, which is
    // ignored.
    unsafe { libc::shutdown(fd, libc::SHUT_RD) };
}

/// Ends both directions of the socket with this number. Its owner sees the end of the stream.
pub fn stop(fd: RawFd) {
    // SAFETY: the call touches no memory; for a number that is not a socket it returns an error, which is
    // ignored.
    unsafe { libc::shutdown(fd, libc::SHUT_RDWR) };
}
