//! The link between master and worker: a pair of sockets that keeps messages whole (unix(7) `SOCK_SEQPACKET`).
//!
//! The subtle rule: end-of-file is a message too, and the kernel sends it when the other side is gone, however it went.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// The longest message, in bytes; the text of a start-up error fits.
pub const MAX_MESSAGE: usize = 1024;

/// The most descriptors that go with one message.
pub const MAX_DESCRIPTORS: usize = 2;

/// What a receive found.
#[derive(Debug)]
pub enum Received {
    /// A whole message, and the descriptors that came with it.
    Message(Vec<u8>, Vec<OwnedFd>),
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

/// Sends one message, and with it up to [`MAX_DESCRIPTORS`] descriptors (unix(7) `SCM_RIGHTS`); false when the other side
/// is gone or does not read.
pub fn send(end: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
    let message = [IoSlice::new(&message[..message.len().min(MAX_MESSAGE)])];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return false;
    }
    rustix::net::sendmsg(end, &message, &mut ancillary, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
}

/// Takes the next message and what came with it.
pub fn receive(end: impl AsFd) -> Received {
    let mut buffer = [0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    match rustix::net::recvmsg(end, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags) {
        Ok(received) if received.bytes == 0 => Received::Closed,
        Ok(received) => {
            let mut descriptors = Vec::new();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            Received::Message(buffer[..received.bytes].to_vec(), descriptors)
        }
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
    loop {
        match rustix::event::poll(&mut poll, Some(&timeout)) {
            // A signal is no reason to give up; the time begins anew, since signals are few.
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|ready| ready > 0),
        }
    }
}

/// Ends a link for both sides, while the descriptor stays.
pub fn close_both_ways(end: impl AsFd) {
    // It fails only where the other side has gone already.
    let _ = rustix::net::shutdown(end, rustix::net::Shutdown::Both);
}
