//! The connection limit: how many permits there are, and the acceptors that wait for one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use may::coroutine::{self, Coroutine};

use crate::connection::permit::{ConnectionPermit, PermitIssuer};

/// The permits of a worker.
pub struct Permits {
    limit: usize,
    /// Permits that are taken: connections that were accepted and are not closed.
    taken: AtomicUsize,
    /// Acceptors that wait for a permit.
    waiting: Mutex<Vec<Coroutine>>,
    any_waits: AtomicBool,
}

impl Permits {
    /// Permits for `limit` connections at once.
    pub fn new(limit: usize) -> Permits {
        Permits {
            limit,
            taken: AtomicUsize::new(0),
            waiting: Mutex::default(),
            any_waits: AtomicBool::new(false),
        }
    }

    /// The connection limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Connections that are open.
    pub fn taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    /// Whether the limit is reached.
    pub fn are_all_taken(&self) -> bool {
        self.taken() >= self.limit
    }

    /// Takes a permit. The caller has made sure that the limit is not reached.
    pub fn take(&'static self) -> ConnectionPermit {
        self.taken.fetch_add(1, Relaxed);
        ConnectionPermit::new(self)
    }

    /// Has the running acceptor wait until [`Permits::wake`].
    pub fn wait(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(coroutine::current());
        self.any_waits.store(true, Relaxed);
        coroutine::park();
    }

    /// Wakes all acceptors that wait.
    pub fn wake(&self) {
        if self.any_waits.swap(false, Relaxed) {
            for acceptor in self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                acceptor.unpark();
            }
        }
    }
}

impl PermitIssuer for Permits {
    fn release(&self) {
        self.taken.fetch_sub(1, Relaxed);
        self.wake();
    }
}
