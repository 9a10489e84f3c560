//! Where connections wait that have been idle for a while: without a coroutine, whose stack would take most of their
//! memory, and without a map for it.
//!
//! One epoll set has all of their sockets, and one coroutine waits on it. What it finds ready takes a coroutine again;
//! who has gone meanwhile ends without one. Two subtle rules: bytes that come while a connection is being parked are told
//! of as soon as it is in the set, so there is nothing to look for beforehand; and a large crowd that becomes ready or
//! due at once is dealt with in lots, so that others get their turn in between.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;

use super::pool::Guest;
use crate::connection::client::News;
use crate::connection::shared::Shared;
use crate::sys::epoll::{Epoll, Ready};

/// Connections that are timed out before others get a turn.
const LOT: usize = 16;

/// A table that has room for fewer than this is not worth making smaller.
const SMALL: usize = 1024;

/// The parked connections of a worker.
pub struct Parking {
    shared: &'static Shared,
    epoll: Epoll,
    lot: Mutex<Lot>,
}

#[derive(Default)]
struct Lot {
    guests: Slab<Guest>,
    /// For each guest, the tick at which it has been silent for too long, and its key.
    deadlines: BTreeSet<(u32, usize)>,
}

impl Parking {
    /// An empty one.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(shared: &'static Shared) -> io::Result<Parking> {
        Ok(Parking { shared, epoll: Epoll::new()?, lot: Mutex::default() })
    }

    /// The set of their sockets, which is readable when there is somebody to [`Parking::resume`].
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<std::os::fd::OwnedFd> {
        self.epoll.descriptor()
    }

    /// Parks a connection.
    ///
    /// # Errors
    /// The connection, where the kernel would not watch its socket.
    pub fn park(&self, mut guest: Guest) -> Result<(), Guest> {
        let mut lot = self.lock();
        let entry = lot.guests.vacant_entry();
        let key = entry.key();
        if self.epoll.add(guest.client.socket(), key as u64).is_err() {
            return Err(guest);
        }
        guest.client.set_parked(true);
        let deadline = guest.client.deadline();
        entry.insert(guest);
        lot.deadlines.insert((deadline, key));
        Ok(())
    }

    /// Takes a connection out.
    fn take(&self, key: usize) -> Option<Guest> {
        let mut lot = self.lock();
        let mut guest = lot.guests.try_remove(key)?;
        lot.deadlines.remove(&(guest.client.deadline(), key));
        self.epoll.remove(guest.client.socket());
        guest.client.set_parked(false);
        if lot.guests.capacity() > SMALL && lot.guests.len() < lot.guests.capacity() / 4 {
            lot.guests.shrink_to_fit();
        }
        Some(guest)
    }

    /// Ends those that have gone and hands those that sent something to `serve`, a lot of each. True when there may be
    /// more.
    pub fn resume(&self, ready: &mut Ready, serve: impl Fn(Guest)) -> bool {
        self.epoll.look(ready);
        for key in ready.keys() {
            if let Some(guest) = usize::try_from(key).ok().and_then(|key| self.take(key)) {
                self.attend(guest, &serve);
            }
        }
        !ready.is_empty()
    }

    fn attend(&self, guest: Guest, serve: impl Fn(Guest)) {
        match guest.client.news() {
            News::Gone(end) => guest.client.end(self.shared, end),
            News::Bytes | News::None => serve(guest),
        }
    }

    /// Ends those that have been silent for too long at this tick, a lot of them; who has just sent something is handed
    /// to `serve`. True when there are more.
    pub fn time_out(&self, tick: u32, serve: impl Fn(Guest)) -> bool {
        for _ in 0..LOT {
            let first = self.lock().deadlines.first().copied();
            let Some((_, key)) = first.filter(|(deadline, _)| *deadline <= tick) else { return false };
            match self.take(key) {
                Some(guest) if guest.client.news() == News::None => guest.client.time_out(self.shared),
                Some(guest) => self.attend(guest, &serve),
                None => {}
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Lot> {
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
