//! A set of descriptors that wait for something to come (epoll(7)), for those that no coroutine waits on.
//!
//! The subtle rule: a descriptor is told of each time something comes (`EPOLLET`), and what came before it was added
//! counts as coming then. So one that stays in the set costs no call to be waited for again; and what a look has told of
//! is not told again, taken or not.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

/// The most events of one look.
const BATCH: usize = 64;

/// A set of descriptors, each under a key.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// What was found ready and has not been taken yet.
pub struct Ready {
    found: Vec<News>,
    taken: usize,
    /// True when there may be more than the last look found.
    more: bool,
}

/// Something that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// The key of the descriptor.
    pub key: u64,
    /// Whether it was an end of stream or an error.
    pub ending: bool,
}

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// A descriptor of the same set, which becomes readable when something in it becomes ready.
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Adds a socket until it is closed: bytes, its end and errors are told of as they come.
    ///
    /// # Errors
    /// `ENOSPC` beyond `/proc/sys/fs/epoll/max_user_watches`, `ENOMEM`.
    pub fn add(&self, socket: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.0, socket, EventData::new_u64(key), interest)?)
    }

    /// Takes the next of what was found ready, and looks for more, without waiting, when all of it is taken. After a
    /// `None` the [`Epoll::descriptor`] says when there is more.
    pub fn next(&self, ready: &mut Ready) -> Option<News> {
        if ready.taken == ready.found.len() && ready.more {
            self.look(ready);
        }
        let news = ready.found.get(ready.taken).copied();
        if news.is_some() {
            ready.taken += 1
        } else {
            ready.more = true
        }
        news
    }

    fn look(&self, ready: &mut Ready) {
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
            News { key: event.data.u64(), ending: flags.intersects(ending) }
        }));
    }
}

impl Default for Ready {
    fn default() -> Ready {
        Ready { found: Vec::with_capacity(BATCH), taken: 0, more: true }
    }
}
