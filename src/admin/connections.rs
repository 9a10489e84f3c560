//! The open connections of the admin listener: a bounded number, and no client is served before the process
//! is confined.
//!
//! The library accepts by itself and asks for a service for each connection, so the acceptor waits here. When
//! all permits are taken, the connection that has been idle longest is closed for the new one. Idle means
//! that no request has been complete since: a client that sends half a request is idle.

use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use may::sync::{Condvar, Mutex, MutexGuard};

use crate::sys::{limits, socket, timer};

/// The most connections at once. Each takes some 140 KiB.
const LIMIT: usize = 64;

/// Descriptors that connections leave free: for the connection that waits for a permit, a file of /proc and a
/// reopened log.
const RESERVE: u64 = 8;

/// The connections of this process. Clones share them.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Descriptors that the process has open besides those of connections.
    descriptors: u64,
}

struct State {
    /// False until the process is confined.
    admits: bool,
    open: Vec<Open>,
}

struct Open {
    socket: RawFd,
    /// When it was accepted or had its last request, on the monotonic clock.
    used: Duration,
    /// True once the connection is being closed.
    ending: bool,
}

/// The permit for one open connection. It is dropped before the socket is closed, while no other socket can
/// have the same number.
pub struct Permit {
    connections: Connections,
    socket: RawFd,
}

impl Connections {
    /// No connections yet. Clients are served from [`Connections::admit`] on.
    ///
    /// # Errors
    /// A sentence part, where so few descriptors are left that no connection could be served.
    pub fn new() -> Result<Connections, String> {
        let descriptors = limits::open_descriptors().unwrap_or(0);
        let limit = limits::descriptor_limit();
        if limit <= descriptors.saturating_add(RESERVE) {
            return Err(format!("{limit} open files are too few"));
        }
        let state = State { admits: false, open: Vec::with_capacity(LIMIT) };
        Ok(Connections(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), descriptors })))
    }

    /// Serves clients from now on.
    pub fn admit(&self) {
        self.lock().admits = true;
        self.0.changed.notify_all();
    }

    /// Waits for a permit for a connection that was accepted. If no permit is free, closes the connection
    /// that has been idle longest.
    pub fn permit(&self, socket: RawFd) -> Permit {
        let mut state = self.lock();
        while !state.admits || state.open.len() >= self.limit() {
            if state.admits {
                state.end_longest_idle();
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.open.push(Open { socket, used: timer::monotonic(), ending: false });
        drop(state);
        Permit { connections: self.clone(), socket }
    }

    /// The most open connections, by the current limit on descriptors. Without free descriptors the library
    /// would spin.
    fn limit(&self) -> usize {
        let free = limits::descriptor_limit().saturating_sub(self.0.descriptors.saturating_add(RESERVE));
        usize::try_from(free).unwrap_or(LIMIT).clamp(1, LIMIT)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Closes the connection that has been idle longest, unless another one is closing already.
    fn end_longest_idle(&mut self) {
        if self.open.iter().any(|open| open.ending) {
            return;
        }
        if let Some(open) = self.open.iter_mut().min_by_key(|open| open.used) {
            ::log::debug!("{} connections are open: the one that has been idle longest is closed", LIMIT);
            open.ending = true;
            socket::stop(open.socket);
        }
    }
}

impl Permit {
    /// Notes a request.
    pub fn used(&self) {
        let mut state = self.connections.lock();
        state
            .open
            .iter_mut()
            .filter(|open| open.socket == self.socket)
            .for_each(|open| open.used = timer::monotonic());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connections.lock().open.retain(|open| open.socket != self.socket);
        self.connections.0.changed.notify_one();
    }
}
