//! What the acceptors of a worker share: the permits, the coroutines that they hand connections to, and the
//! drain.
//!
//! **Invariant:** a connection has its permit from its accept on, before a coroutine serves it, or a drain
//! could end in between.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use may::io::WaitIoWaker;

use super::coroutines::Coroutines;
use super::exit;
use super::idle_set::Eviction;
use super::permits::Permits;
use crate::connection::context::Context;
use crate::connection::leadership::Leadership;
use crate::ipc::ListenerDrain;
use crate::time::warning::Warning;

/// The minimum of ticks that a drain waits for handshakes under way. The kernel defers a client that
/// connected and sent nothing (TCP_DEFER_ACCEPT). A second later it sends the SYN-ACK again, and queues the
/// connection when the client confirms that.
const HANDSHAKE_TICKS: u32 = 13;

/// What the acceptors of a worker share.
pub struct Acceptors {
    pub(super) context: &'static Context,
    pub(super) permits: Permits,
    pub(super) coroutines: &'static Coroutines,
    /// False while the workers of the generation before may accept.
    may_accept: AtomicBool,
    /// The number of acceptors that have not finished for a drain.
    open: AtomicUsize,
    /// Wake the acceptors that wait for their listeners.
    wakers: Mutex<Vec<WaitIoWaker>>,
    /// The tick at which the drain began.
    drain_start: AtomicU32,
    /// What the drain does with each listener, in order.
    drains: Mutex<Vec<ListenerDrain>>,
    /// Warns that descriptors or memory have run out.
    pub(super) shortage_warning: Warning,
    /// Warns that connections are closed for new clients.
    eviction_warning: Warning,
}

impl Acceptors {
    /// No acceptors yet, for connections up to a limit. If the worker `waits`, they accept nothing until
    /// [`Acceptors::accept`].
    pub fn new(
        context: &'static Context,
        coroutines: &'static Coroutines,
        max_connections: usize,
        waits: bool,
    ) -> Acceptors {
        Acceptors {
            context,
            permits: Permits::new(max_connections),
            coroutines,
            may_accept: AtomicBool::new(!waits),
            open: AtomicUsize::new(0),
            wakers: Mutex::default(),
            drain_start: AtomicU32::new(0),
            drains: Mutex::default(),
            shortage_warning: Warning::default(),
            eviction_warning: Warning::default(),
        }
    }

    /// Records an acceptor and the waker of its listener; returns its number.
    pub(super) fn add(&self, waker: WaitIoWaker) -> usize {
        lock(&self.wakers).push(waker);
        self.open.fetch_add(1, Relaxed)
    }

    /// Notes that an acceptor has finished for the drain.
    pub(super) fn remove(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Lets the acceptors of a worker that waits accept.
    pub fn accept(&self) {
        self.may_accept.store(true, Relaxed);
        self.wake_listeners();
    }

    /// True unless the worker waits.
    pub(super) fn may_accept(&self) -> bool {
        self.may_accept.load(Relaxed)
    }

    /// Begins the drain. Listeners that are kept are left to their next owner at once. From listeners that
    /// are closed, the connections in the queue or on their way there are accepted first. The worker exits
    /// when its last connection has closed. `listeners` has an entry for each listener. From now on nothing
    /// is accepted from one that is kept.
    pub fn drain(&self, listeners: Vec<ListenerDrain>) {
        *lock(&self.drains) = listeners;
        self.drain_start.store(self.context.timers.clock.tick(), Relaxed);
        self.context.draining.store(true, Relaxed);
        self.coroutines.announce_drain();
        self.wake_listeners();
    }

    /// True if the drain is done with a listener, even if new clients still come to it.
    pub(super) fn is_drained(&self, index: usize) -> bool {
        match self.drain_of(index) {
            ListenerDrain::Keep => true,
            ListenerDrain::Close => false,
            ListenerDrain::CloseSoon => self.handshakes_are_over(),
        }
    }

    /// True if the drain has lasted so long that all clients that had connected before it are accepted.
    pub(super) fn handshakes_are_over(&self) -> bool {
        self.context.timers.clock.tick() - self.drain_start.load(Relaxed) >= HANDSHAKE_TICKS
    }

    /// What the drain does with a listener.
    pub(super) fn drain_of(&self, index: usize) -> ListenerDrain {
        lock(&self.drains).get(index).copied().unwrap_or(ListenerDrain::Close)
    }

    fn wake_listeners(&self) {
        for waker in lock(&self.wakers).iter() {
            waker.wakeup();
        }
    }

    /// Called at every tick: lets acceptors try again, since descriptors may have been freed elsewhere, and
    /// advances the drain, up to the worker's exit.
    pub fn tick(&self) {
        self.permits.wake();
        if !self.context.is_draining() {
            return;
        }
        match (self.open.load(Relaxed), self.permits.taken()) {
            (0, 0) => exit::exit(self.context),
            (0, _) => {}
            _ => self.wake_listeners(),
        }
    }

    /// Closes an idle connection for a new client, at once or soon; false when no connection is idle.
    pub(super) fn evict_idle(&self) -> bool {
        match self.coroutines.idle_set().evict() {
            Eviction::Closed if self.eviction_warning.is_due(self.context.timers.clock.tick()) => {
                let (open, limit) = (self.permits.taken() + 1, self.permits.limit());
                ::log::warn!(
                    "{open} connections are open, of {limit} that there may be: those idle longest are \
                     closed for new clients; see --max-connections and the limit of open files"
                );
            }
            Eviction::Closed => {}
            Eviction::Soon => self.coroutines.give_way(),
            Eviction::NoneIdle => return false,
        }
        true
    }

    /// Waits until a permit is free or a tick has passed, and then lets all ready coroutines run. Otherwise,
    /// if clients come faster than they are served, an acceptor woken by each close would keep the scheduler
    /// from epoll.
    pub(super) fn wait_for_permit(&self) {
        self.permits.wait();
        self.coroutines.give_way();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
