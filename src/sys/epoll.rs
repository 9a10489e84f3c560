//! Waiting for many sockets that no coroutine waits for (epoll(7)).
//!
//! **Invariant:** a socket is reported each time something arrives (`EPOLLET`), and what arrived before it
//! was added is reported as well. A socket that stays in the set needs no call to be waited for again. An
//! event is reported once, whether the caller takes it or not.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

/// What is reported of each socket.
const ARRIVALS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

/// The most events of one epoll_wait(2).
const BATCH: usize = 64;

/// A set of sockets, each with a key.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// Sockets that were reported and not taken yet.
pub struct Ready {
    found: Vec<ReadySocket>,
    taken: usize,
    /// True if the kernel may have more to report.
    more: bool,
}

/// A socket with something to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadySocket {
    /// The key of the socket.
    pub key: u64,
    /// True for an end of stream or an error.
    pub ending: bool,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// See epoll_create1(2), such as `EMFILE`.
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// A second descriptor of the set. It becomes readable when a socket in the set becomes ready.
    ///
    /// # Errors
    /// See fcntl(2), such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Adds a socket until it is closed. Bytes, its end and errors are reported as they arrive.
    ///
    /// # Errors
    /// `ENOSPC` beyond `/proc/sys/fs/epoll/max_user_watches`, `ENOMEM`.
    pub fn add(&self, socket: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(key), ARRIVALS)?)
    }

    /// Has a socket reported as well when it has room to send again.
    ///
    /// # Errors
    /// `ENOENT` for a socket that was not added.
    pub fn watch_room(&self, socket: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let interest = ARRIVALS.union(EventFlags::OUT);
        Ok(epoll::modify(&self.0, socket, EventData::new_u64(key), interest)?)
    }

    /// Takes the next ready socket; asks the kernel for more, without waiting, when all are taken. After a
    /// `None` the [`Epoll::descriptor`] becomes readable when there is more.
    pub fn next(&self, ready: &mut Ready) -> Option<ReadySocket> {
        if ready.taken == ready.found.len() && ready.more {
            self.wait(ready);
        }
        let socket = ready.found.get(ready.taken).copied();
        if socket.is_some() {
            ready.taken += 1
        } else {
            ready.more = true
        }
        socket
    }

    fn wait(&self, ready: &mut Ready) {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; BATCH];
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        let found = loop {
            match epoll::wait(&self.0, &mut events, Some(&no_wait)) {
                Err(rustix::io::Errno::INTR) => {}
                found => break found.map_or(&mut [][..], |(found, _)| found),
            }
        };
        ready.more = found.len() == BATCH;
        ready.taken = 0;
        ready.found.clear();
        ready.found.extend(found.iter().map(|event| {
            let (flags, ending) = (event.flags, EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            ReadySocket { key: event.data.u64(), ending: flags.intersects(ending) }
        }));
    }
}

impl Default for Ready {
    fn default() -> Ready {
        Ready { found: Vec::with_capacity(BATCH), taken: 0, more: true }
    }
}
