//! The messages between the master and its child processes, and their bytes.
//!
//! Owns what each message means and how it is written. [`crate::sys::link`] sends and receives the bytes and
//! the descriptors. The process that receives a message decides what follows.
//!
//! ```text
//! master → child   "drain " and one byte a listener: k keep, c close, s close soon
//!                  "accept"
//!                  "users " and the number of a users file, with the file in memory
//!                  "logs " and the number of the first one, with the descriptors of reopened logs
//! child → master   "ready"   "draining"   "moved"   "listens"   "failed " and the reason
//! ```

const DRAIN: &[u8] = b"drain ";
const ACCEPT: &[u8] = b"accept";
const LOGS: &[u8] = b"logs ";
const USERS: &[u8] = b"users ";
const READY: &[u8] = b"ready";
const DRAINING: &[u8] = b"draining";
const MOVED: &[u8] = b"moved";
const LISTENS: &[u8] = b"listens";
const FAILED: &[u8] = b"failed ";

/// What a draining worker does with one of its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerDrain {
    /// Stop accepting, leave the listener open for its next owner.
    Keep,
    /// Accept what is in the queue, then close: the kernel lets no new connection begin there.
    Close,
    /// Close soon: new connections can still begin there, unless the worker can hold them off.
    CloseSoon,
}

impl ListenerDrain {
    fn byte(self) -> u8 {
        match self {
            ListenerDrain::Keep => b'k',
            ListenerDrain::Close => b'c',
            ListenerDrain::CloseSoon => b's',
        }
    }

    fn of_byte(byte: u8) -> Option<ListenerDrain> {
        [ListenerDrain::Keep, ListenerDrain::Close, ListenerDrain::CloseSoon]
            .into_iter()
            .find(|drain| drain.byte() == byte)
    }
}

/// A message from the master to a child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToChild {
    /// Drain: finish the open connections, then exit. One entry for each listener, in the worker's order.
    Drain(Vec<ListenerDrain>),
    /// Accept clients: the workers of the generation before have stopped to.
    Accept,
    /// Logs were reopened. Their descriptors come along; the first is that of the log with this number. 0 is
    /// the error log, and the access logs follow.
    Logs(u16),
    /// The users file with this number has changed. Its descriptor comes along.
    Users(u16),
}

impl ToChild {
    /// The bytes of this message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            ToChild::Drain(listeners) => {
                DRAIN.iter().copied().chain(listeners.iter().map(|drain| drain.byte())).collect()
            }
            ToChild::Accept => ACCEPT.to_vec(),
            ToChild::Logs(first) => [LOGS, &first.to_be_bytes()].concat(),
            ToChild::Users(file) => [USERS, &file.to_be_bytes()].concat(),
        }
    }

    /// The message with these bytes; `None` for bytes that no message has.
    pub fn parse(bytes: &[u8]) -> Option<ToChild> {
        if bytes == ACCEPT {
            return Some(ToChild::Accept);
        }
        let number = |bytes: &[u8]| bytes.try_into().ok().map(u16::from_be_bytes);
        if let Some(listeners) = bytes.strip_prefix(DRAIN) {
            let listeners = listeners.iter().map(|byte| ListenerDrain::of_byte(*byte));
            return listeners.collect::<Option<_>>().map(ToChild::Drain);
        }
        if let Some(file) = bytes.strip_prefix(USERS) {
            return number(file).map(ToChild::Users);
        }
        number(bytes.strip_prefix(LOGS)?).map(ToChild::Logs)
    }
}

/// A message from a child process to the master. A child may have been taken over by a client, so the master
/// checks that the message fits the child and the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromChild {
    /// The worker is ready to accept.
    Ready,
    /// The worker drains: it accepts no client from a listener that is kept.
    Draining,
    /// The child can't serve, for this reason; its exit follows.
    Failed(String),
    /// The path of a root leads to another directory now, which the worker can't open. Its bytes are "moved".
    RootMoved,
    /// The admin process listens.
    Listens,
}

impl FromChild {
    /// The bytes of this message.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            FromChild::Ready => READY.to_vec(),
            FromChild::Draining => DRAINING.to_vec(),
            FromChild::Failed(why) => [FAILED, why.as_bytes()].concat(),
            FromChild::RootMoved => MOVED.to_vec(),
            FromChild::Listens => LISTENS.to_vec(),
        }
    }

    /// The message with these bytes; `None` for bytes that no message has. A reason that was cut within a
    /// character is read as far as it goes.
    pub fn parse(bytes: &[u8]) -> Option<FromChild> {
        match bytes {
            READY => Some(FromChild::Ready),
            DRAINING => Some(FromChild::Draining),
            MOVED => Some(FromChild::RootMoved),
            LISTENS => Some(FromChild::Listens),
            _ => {
                let why = bytes.strip_prefix(FAILED)?;
                Some(FromChild::Failed(String::from_utf8_lossy(why).into_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_to_a_child_is_read_as_it_was_written() {
        let drain = vec![ListenerDrain::Keep, ListenerDrain::CloseSoon, ListenerDrain::Close];
        for message in [
            ToChild::Logs(0),
            ToChild::Logs(513),
            ToChild::Users(7),
            ToChild::Accept,
            ToChild::Drain(Vec::new()),
            ToChild::Drain(drain),
        ] {
            assert_eq!(ToChild::parse(&message.encode()), Some(message));
        }
    }

    #[test]
    fn a_message_from_a_child_is_read_as_it_was_written() {
        let failed = [FromChild::Failed(String::new()), FromChild::Failed("cannot bind: ready".to_owned())];
        let short = [FromChild::Ready, FromChild::Draining, FromChild::RootMoved, FromChild::Listens];
        for message in short.into_iter().chain(failed) {
            assert_eq!(FromChild::parse(&message.encode()), Some(message));
        }
    }

    #[test]
    fn other_bytes_are_no_message() {
        for bytes in
            [&b""[..], b"drain", b"drain kx", b"log", b"logs ", b"logs x", b"logs abc", b"ready", b"\xff"]
        {
            assert_eq!(ToChild::parse(bytes), None, "{bytes:?}");
        }
        for bytes in [&b""[..], b"read", b"ready ", b"failed", b"Failed x", b"drain k", b"\xff"] {
            assert_eq!(FromChild::parse(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_reason_that_was_cut_within_a_character_is_read_as_far_as_it_goes() {
        let bytes = FromChild::Failed("no ü".to_owned()).encode();
        let cut = FromChild::parse(&bytes[..bytes.len() - 1]);
        assert_eq!(cut, Some(FromChild::Failed("no \u{fffd}".to_owned())));
    }
}
