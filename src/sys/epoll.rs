//! A set of descriptors that wait for something to come (epoll(7)), for those that no coroutine waits on.
//!
//! The subtle rule: a descriptor is told of once (`EPOLLONESHOT`), and as long as it is ready, not only when it becomes
//! so. What came before it was added is therefore told of too, and one that nobody can take yet is not told of again.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::time::Timespec;

/// The most events of one look.
const BATCH: usize = 16;

/// A set of descriptors, each under a key.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

/// The keys of those that were found ready.
pub struct Ready(Vec<Event>);

impl Epoll {
    /// An empty set.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new() -> io::Result<Epoll> {
        Ok(Epoll(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// A descriptor of the same set, which is readable while something in it is ready.
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Adds a socket; it is found ready once, when bytes, its end or an error have come.
    ///
    /// # Errors
    /// `ENOSPC` beyond `/proc/sys/fs/epoll/max_user_watches`, `ENOMEM`.
    pub fn add(&self, socket: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ONESHOT;
        Ok(epoll::add(&self.0, socket, EventData::new_u64(key), interest)?)
    }

    /// Takes a socket out.
    pub fn remove(&self, socket: BorrowedFd<'_>) {
        // It fails only for a socket that is not in the set.
        let _ = epoll::delete(&self.0, socket);
    }

    /// Looks for those that are ready, without waiting, and puts their keys in place of those of the last look.
    pub fn look(&self, ready: &mut Ready) {
        ready.0.clear();
        let no_wait = Timespec { tv_sec: 0, tv_nsec: 0 };
        while let Err(rustix::io::Errno::INTR) =
            epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut ready.0), Some(&no_wait))
        {}
    }
}

impl Default for Ready {
    fn default() -> Ready {
        Ready(Vec::with_capacity(BATCH))
    }
}

impl Ready {
    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().map(|event| event.data.u64())
    }

    /// True when nothing was ready.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when there may be more than one look finds.
    pub fn is_full(&self) -> bool {
        self.0.len() == self.0.capacity()
    }
}
