//! Where idle connections wait: without a coroutine, whose stack would take most of their memory.
//!
//! A connection has an entry here from its first idle wait until it closes. One epoll set has the sockets of
//! all entries. The first move in adds the socket; no later move in or out costs a system call. Where a new
//! client needs a permit, the connection that has been idle longest is closed ([`IdleSet::evict`]), whether
//! it is here or a coroutine waits for it.
//!
//! **Invariants:** epoll reports an event once, so an event of a connection that is being served is kept in
//! its entry, and the connection is served again instead of becoming idle. Connections that time out together
//! are closed in batches, so that others get their turn in between.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slab::Slab;

use crate::connection::context::Context;
use crate::connection::idle_handle::{IdleEntries, IdleHandle};
use crate::connection::idle_order::IdleOrder;
use crate::connection::{Arrival, Connection, Overdue};
use crate::metrics::close_reason::CloseReason;
use crate::sys::epoll::{Epoll, Ready};
use crate::time::timer_wheel::TimerWheel;

/// The most connections that are checked to find one to evict: connections whose request has just come are
/// not evicted.
const MAX_CHECKED: usize = 16;

/// A table with room for fewer entries is not worth shrinking.
const SMALL: usize = 1024;

/// The idle connections of a worker.
pub struct IdleSet {
    context: &'static Context,
    epoll: Epoll,
    state: Mutex<IdleState>,
}

#[derive(Default)]
struct IdleState {
    entries: Slab<IdleEntry>,
    /// When the connection of each entry times out.
    wheel: TimerWheel<usize>,
    /// The entries with a connection, by how long each has been idle.
    order: IdleOrder,
    /// Events that epoll has reported and that are not taken yet.
    ready: Ready,
    /// Entries that are to be served though their sockets say nothing.
    woken: VecDeque<usize>,
    /// True if the next event is one of `woken`: both take turns.
    is_woken_next: bool,
}

struct IdleEntry {
    /// The connection when it is idle; `None` while it is served.
    connection: Option<Box<Connection>>,
    /// An event that came while it was served; true if it was an end of stream or an error.
    missed: Option<bool>,
    /// Its entry in the wheel.
    timer: u32,
    /// True if epoll reports room to send as well.
    watches_room: bool,
}

/// What the next event is about.
pub enum ReadyEvent {
    /// An idle connection, which is to be served.
    Connection(Box<Connection>),
    /// A connection that is being served, or is closed.
    Other,
    /// There is no event.
    Nothing,
}

/// Whether a connection was closed for a new client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// It was closed.
    Closed,
    /// A coroutine waits for the connection idle longest. The connection can be closed once that coroutine
    /// has run.
    Soon,
    /// No connection is idle.
    NoneIdle,
}

/// Why a connection did not become idle.
pub enum NotIdle {
    /// An event came while it was served, so there may be bytes to receive.
    ReadyAgain(Box<Connection>),
    /// The kernel refused to watch its socket.
    Unwatchable(Box<Connection>),
}

impl IdleSet {
    /// An empty set.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(context: &'static Context) -> io::Result<IdleSet> {
        Ok(IdleSet { context, epoll: Epoll::new()?, state: Mutex::default() })
    }

    /// A descriptor that becomes readable when there is an event for [`IdleSet::take`].
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.epoll.descriptor()
    }

    /// Inserts an idle connection. True if it has something to do already.
    ///
    /// # Errors
    /// The connection, and the reason why it can't wait here.
    pub fn insert(&'static self, mut connection: Box<Connection>) -> Result<bool, NotIdle> {
        let mut state = self.lock();
        let IdleState { entries, wheel, order, .. } = &mut *state;
        let key = match connection.idle_key() {
            Some(key) => key,
            None => {
                let entry = entries.vacant_entry();
                let key = entry.key();
                if connection.fd().and_then(|socket| self.epoll.add(socket, key as u64)).is_err() {
                    return Err(NotIdle::Unwatchable(connection));
                }
                let timer = wheel.enter(key).index();
                entry.insert(IdleEntry { connection: None, missed: None, timer, watches_room: false });
                connection.set_idle_handle(IdleHandle::new(self, key));
                key
            }
        };
        let entry = &mut entries[key];
        if connection.is_http2() && !entry.watches_room {
            entry.watches_room = true;
            if connection.fd().and_then(|socket| self.epoll.watch_room(socket, key as u64)).is_err() {
                return Err(NotIdle::Unwatchable(connection));
            }
        }
        if let Some(ending) = entry.missed.take() {
            connection.resume(ending);
            return Err(NotIdle::ReadyAgain(connection));
        }
        wheel.set(entry.timer, connection.idle_deadline());
        if let Some(since) = connection.idle_since() {
            order.push(number(key), since);
        }
        let is_woken = entry.connection.insert(connection).enter_idle_set();
        if is_woken {
            state.woken.push_back(key);
        }
        Ok(is_woken)
    }

    /// Has all connections served that speak HTTP/2, whose clients learn of a drain by that.
    pub fn wake_http2(&self) {
        let mut state = self.lock();
        let IdleState { entries, woken, .. } = &mut *state;
        let is_http2 =
            |entry: &IdleEntry| entry.connection.as_ref().is_some_and(|connection| connection.is_http2());
        woken.extend(entries.iter().filter(|(_, entry)| is_http2(entry)).map(|(key, _)| key));
    }

    /// Has the idle connection of an entry served. Nothing if it is served now, or closed.
    pub fn wake(&self, key: usize) {
        let mut state = self.lock();
        if state.entries.get(key).is_some_and(|entry| entry.connection.is_some()) {
            state.woken.push_back(key);
        }
    }

    /// Takes the next event. If its connection is idle, takes that out as well.
    pub fn take(&self) -> ReadyEvent {
        let mut state = self.lock();
        let IdleState { entries, order, ready, woken, is_woken_next, .. } = &mut *state;
        *is_woken_next = !*is_woken_next;
        let first_woken = if *is_woken_next { woken.pop_front() } else { None };
        if let Some(key) = first_woken {
            return take_woken(entries, order, key);
        }
        let Some(event) = self.epoll.next(ready) else {
            return woken.pop_front().map_or(ReadyEvent::Nothing, |key| take_woken(entries, order, key));
        };
        let key = usize::try_from(event.key).unwrap_or(usize::MAX);
        // The last event of a connection may be reported after its close.
        let Some(entry) = entries.get_mut(key) else { return ReadyEvent::Other };
        let Some(mut connection) = entry.connection.take() else {
            entry.missed = Some(event.ending);
            return ReadyEvent::Other;
        };
        order.remove(number(key));
        connection.leave_idle_set();
        connection.resume(event.ending);
        ReadyEvent::Connection(connection)
    }

    /// Closes the connection that has been idle longest, for a new client. A connection whose request has
    /// come meanwhile is left alone.
    pub fn evict(&self) -> Eviction {
        let timers = &self.context.timers;
        let mut state = self.lock();
        for _ in 0..MAX_CHECKED {
            let IdleState { entries, order, .. } = &mut *state;
            let oldest = order.oldest();
            if let Some(since) = timers.idle_longest()
                && oldest.is_none_or(|(_, oldest_since)| since < oldest_since)
            {
                timers.wake_idle_longest();
                return Eviction::Soon;
            }
            let Some((number, _)) = oldest else { break };
            let Some(entry) = entries.get_mut(number as usize) else { break };
            let reason = match entry.connection.as_ref().map(|connection| connection.arrival()) {
                Some(Arrival::Bytes) => {
                    order.push(number, timers.clock.tick());
                    continue;
                }
                Some(Arrival::Close(reason)) => reason,
                Some(Arrival::Nothing) | None => CloseReason::Evicted,
            };
            order.remove(number);
            let connection = entry.connection.take();
            // Its handle takes the lock.
            drop(state);
            if let Some(connection) = connection {
                connection.close(reason);
            }
            return Eviction::Closed;
        }
        Eviction::NoneIdle
    }

    /// Closes connections that time out at this tick, a batch of them. A connection that has just received
    /// something is handed to `serve` instead. True when there are more.
    pub fn time_out(&self, tick: u32, serve: impl Fn(Box<Connection>)) -> bool {
        let mut due = Vec::new();
        let mut state = self.lock();
        let IdleState { entries, wheel, order, .. } = &mut *state;
        let more = wheel.turn(tick, |key| {
            due.extend(entries.get_mut(*key).and_then(|entry| entry.connection.take()));
            order.remove(number(*key));
        });
        // Not at each close, because the cost grows with the table.
        if entries.capacity() > SMALL && entries.len() < entries.capacity() / 4 {
            entries.shrink_to_fit();
            order.shrink_to(entries.capacity());
        }
        drop(state);
        for mut connection in due {
            connection.leave_idle_set();
            match (connection.arrival(), connection.overdue()) {
                (Arrival::Close(reason), _) => connection.close(reason),
                (_, Overdue::Uptake) | (Arrival::Nothing, Overdue::Request) => connection.time_out(),
                (Arrival::Bytes, _) | (Arrival::Nothing, Overdue::Nothing) => {
                    connection.resume(false);
                    serve(connection);
                }
            }
        }
        more
    }

    fn lock(&self) -> MutexGuard<'_, IdleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleEntries for IdleSet {
    fn remove(&self, key: usize) {
        let mut state = self.lock();
        if let Some(entry) = state.entries.try_remove(key) {
            state.wheel.leave(entry.timer);
        }
    }
}

/// Takes the connection of an entry that was woken.
fn take_woken(entries: &mut Slab<IdleEntry>, order: &mut IdleOrder, key: usize) -> ReadyEvent {
    let Some(mut connection) = entries.get_mut(key).and_then(|entry| entry.connection.take()) else {
        return ReadyEvent::Other;
    };
    order.remove(number(key));
    connection.leave_idle_set();
    ReadyEvent::Connection(connection)
}

/// An entry's number in the order. There are fewer entries than descriptors.
fn number(key: usize) -> u32 {
    u32::try_from(key).unwrap_or(u32::MAX / 2)
}
