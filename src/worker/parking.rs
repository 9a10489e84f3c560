//! Where connections wait that are idle: without a coroutine, whose stack would take most of their memory, and without a
//! map for it.
//!
//! A connection has a seat here from the first time that it is parked until it ends, and one epoll set has the sockets of
//! all seats, so to be parked and to be taken costs no system call. Two subtle rules: what comes while a connection is
//! served is told of once, so its seat keeps it, and the connection is served again instead of parked; and a large crowd
//! that becomes due at once is dealt with in lots, so that others get their turn in between.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;

use super::pool::Guest;
use crate::connection::client::News;
use crate::connection::shared::Shared;
use crate::connection::wheel::{Place, Wheel};
use crate::sys::epoll::{Epoll, Ready};

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
    seats: Slab<Seat>,
    /// When each seat's guest has been silent for too long.
    wheel: Wheel<usize>,
    /// What the sockets were found to have.
    ready: Ready,
}

struct Seat {
    /// Who is parked here; nobody while the connection is served.
    guest: Option<Guest>,
    /// What came meanwhile, if anything did: whether it was an end of stream or an error.
    missed: Option<bool>,
    place: Place,
}

/// A connection's seat, which is free again when this is dropped.
pub struct Ticket {
    parking: &'static Parking,
    key: usize,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut lot = self.parking.lock();
        if let Some(seat) = lot.seats.try_remove(self.key) {
            lot.wheel.leave(&seat.place);
        }
    }
}

/// Why a connection was not parked.
pub enum Refused {
    /// Something may have come that it has not seen yet.
    Stirred(Guest),
    /// The kernel would not watch its socket.
    Unwatchable(Guest),
}

impl Parking {
    /// An empty one.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(shared: &'static Shared) -> io::Result<Parking> {
        Ok(Parking { shared, epoll: Epoll::new()?, lot: Mutex::default() })
    }

    /// The set of their sockets, which becomes readable when there is somebody to [`Parking::take`].
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<std::os::fd::OwnedFd> {
        self.epoll.descriptor()
    }

    /// Parks a connection.
    ///
    /// # Errors
    /// The connection, to be served on.
    pub fn park(&'static self, mut guest: Guest) -> Result<(), Refused> {
        let mut lot = self.lock();
        let Lot { seats, wheel, .. } = &mut *lot;
        let key = match &guest.ticket {
            Some(ticket) => ticket.key,
            None => {
                let entry = seats.vacant_entry();
                let key = entry.key();
                if self.epoll.add(guest.client.socket(), key as u64).is_err() {
                    return Err(Refused::Unwatchable(guest));
                }
                entry.insert(Seat { guest: None, missed: None, place: wheel.enter(key) });
                guest.ticket = Some(Ticket { parking: self, key });
                key
            }
        };
        let seat = &mut seats[key];
        if let Some(ending) = seat.missed.take() {
            guest.client.ending = ending;
            return Err(Refused::Stirred(guest));
        }
        if seat.place.alarm().set(guest.client.deadline()) {
            wheel.file(&seat.place);
        }
        guest.client.set_parked(true);
        seat.guest = Some(guest);
        Ok(())
    }

    /// Takes out a connection for which something has come.
    pub fn take(&self) -> Option<Guest> {
        let mut lot = self.lock();
        let Lot { seats, ready, .. } = &mut *lot;
        while let Some(news) = self.epoll.next(ready) {
            let seat = usize::try_from(news.key).ok().and_then(|key| seats.get_mut(key));
            // What came last for a connection that has ended may still be told of.
            let Some(seat) = seat else { continue };
            if let Some(mut guest) = seat.guest.take() {
                guest.client.set_parked(false);
                guest.client.ending = news.ending;
                return Some(guest);
            }
            seat.missed = Some(news.ending);
        }
        None
    }

    /// Ends those that have been silent for too long at this tick, a lot of them; who has just sent something is handed
    /// to `serve`. True when there are more.
    pub fn time_out(&self, tick: u32, serve: impl Fn(Guest)) -> bool {
        let mut due = Vec::new();
        let mut lot = self.lock();
        let Lot { seats, wheel, .. } = &mut *lot;
        let more = wheel.turn(tick, |key| due.extend(seats.get_mut(*key).and_then(|seat| seat.guest.take())));
        // Not at each end, for what this costs grows with the table.
        if seats.capacity() > SMALL && seats.len() < seats.capacity() / 4 {
            seats.shrink_to_fit();
        }
        drop(lot);
        for mut guest in due {
            guest.client.set_parked(false);
            match guest.client.news() {
                News::None => guest.client.time_out(self.shared),
                News::Gone(end) => guest.client.end(self.shared, end),
                News::Bytes => serve(guest),
            }
        }
        more
    }

    fn lock(&self) -> MutexGuard<'_, Lot> {
        self.lot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
