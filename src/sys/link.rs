//! The link between the master and a child process: a pair of connected Unix sockets that keeps messages
//! whole (unix(7), `SOCK_SEQPACKET`). Not a symbolic link.
//!
//! What the messages mean is [`crate::ipc`]'s. When a process ends, however it ends, the kernel reports the
//! end of the stream to the other one.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// The longest message, in bytes, with room for the text of a start-up error.
pub const MAX_MESSAGE: usize = 1024;

/// The most descriptors of one message.
pub const MAX_DESCRIPTORS: usize = 64;

/// The result of a receive.
#[derive(Debug)]
pub enum Incoming {
    /// A whole message, and its descriptors.
    Message(Vec<u8>, Vec<OwnedFd>),
    /// A message was longer than [`MAX_MESSAGE`], or had more descriptors than there is room for. It is
    /// dropped.
    TooLong,
    /// The other process has ended or closed its end.
    Closed,
    /// No message yet.
    Empty,
}

/// Makes a link: an end for the master and one for the child, both non-blocking.
///
/// # Errors
/// See socketpair(2), such as `EMFILE`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A second descriptor of the same end.
///
/// # Errors
/// See fcntl(2), such as `EMFILE`.
pub fn duplicate(end: &OwnedFd) -> io::Result<OwnedFd> {
    end.try_clone()
}

/// Sends one message with up to [`MAX_DESCRIPTORS`] descriptors (unix(7) `SCM_RIGHTS`). Returns false if the
/// other process is gone or its queue is full.
pub fn send(end: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
    let message = [IoSlice::new(&message[..message.len().min(MAX_MESSAGE)])];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return false;
    }
    rustix::net::sendmsg(end, &message, &mut ancillary, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).is_ok()
}

/// Takes the next message and its descriptors.
pub fn receive(end: impl AsFd) -> Incoming {
    let mut buffer = [0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    match rustix::net::recvmsg(end, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, flags) {
        Ok(received) if received.bytes == 0 => Incoming::Closed,
        Ok(received) if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) => {
            Incoming::TooLong
        }
        Ok(received) => {
            let mut descriptors = Vec::new();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            Incoming::Message(buffer[..received.bytes].to_vec(), descriptors)
        }
        Err(Errno::AGAIN | Errno::INTR) => Incoming::Empty,
        Err(_) => Incoming::Closed,
    }
}

/// Ends a link for both processes. The descriptor stays open.
pub fn close_both_ways(end: impl AsFd) {
    // It fails only if the other process is gone.
    let _ = rustix::net::shutdown(end, rustix::net::Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_or_too_long() {
        let (mine, theirs) = pair().unwrap();
        let send = |message: &[u8], descriptors: &[BorrowedFd<'_>]| {
            let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 6))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
            let message = [IoSlice::new(message)];
            rustix::net::sendmsg(&theirs, &message, &mut ancillary, SendFlags::empty()).unwrap();
        };
        assert!(matches!(receive(&mine), Incoming::Empty));
        send(&[b'x'; MAX_MESSAGE], &[theirs.as_fd(); MAX_DESCRIPTORS]);
        send(&[b'x'; MAX_MESSAGE + 1], &[]);
        send(b"x", &[theirs.as_fd(); MAX_DESCRIPTORS + 6]);
        send(b"y", &[]);
        let Incoming::Message(message, descriptors) = receive(&mine) else { panic!("no message") };
        assert_eq!((message.len(), descriptors.len()), (MAX_MESSAGE, MAX_DESCRIPTORS));
        assert!(matches!(receive(&mine), Incoming::TooLong));
        assert!(matches!(receive(&mine), Incoming::TooLong));
        assert!(matches!(receive(&mine), Incoming::Message(message, _) if message == b"y"));
        drop((theirs, descriptors));
        assert!(matches!(receive(&mine), Incoming::Closed));
    }
}
