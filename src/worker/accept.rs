//! The door: accepts clients as long as there are places, and hands each to the pool of coroutines.
//!
//! Two subtle rules: a client counts as live from its accept on, before its coroutine runs, or a drain could end in between; and a
//! listener is taken out of epoll before it is closed, for the master holds the same socket, and epoll would go on
//! reporting it to a coroutine that is gone.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use may::coroutine::{self, Coroutine};
use may::io::{CoIo, WaitIo, WaitIoWaker};

use super::pool::{Guest, Pool};
use super::warning::Warning;
use super::{CLOSE, CLOSE_SOON, KEEP, Listener, address_of, control};
use crate::connection::client::Client;
use crate::connection::shared::Shared;
use crate::sys::socket;

/// Accepts after which the clients get a turn.
const BATCH: u32 = 64;

/// Ticks without a client after which a drain takes the queue for empty: the round trip of a client that has begun.
const QUIET_TICKS: u32 = 3;

/// Ticks that a drain goes on at least. The kernel has put off clients that connected and sent nothing so far; a second
/// after it has answered them it does so again, and lets them in at the sign that they heard it.
const HANDSHAKE_TICKS: u32 = 13;

/// Where clients come in.
pub struct Door {
    shared: &'static Shared,
    places: usize,
    pool: Pool,
    /// Acceptors that wait for a place.
    waiting: Mutex<Vec<Coroutine>>,
    crowded: AtomicBool,
    /// Acceptors that have not emptied their queue for a drain yet, and what wakes them from their wait.
    open: AtomicUsize,
    /// That descriptors have run out.
    warning: Warning,
    wakers: Mutex<Vec<WaitIoWaker>>,
    /// The tick at which the drain began.
    drain_start: AtomicU32,
    /// For each listener, in order, what a drain does with it.
    fates: Mutex<Vec<u8>>,
}

/// A client's place under the limit of connections; it is free again when this is dropped, however its connection ended.
pub struct Place(&'static Door);

impl Place {
    fn take(door: &'static Door) -> Place {
        door.shared.live.fetch_add(1, Relaxed);
        Place(door)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shared.live.fetch_sub(1, Relaxed);
        self.0.wake_acceptors();
    }
}

impl Door {
    /// A door with so many places.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(shared: &'static Shared, places: usize) -> io::Result<Door> {
        Ok(Door {
            shared,
            places,
            pool: Pool::new(shared)?,
            waiting: Mutex::default(),
            crowded: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            warning: Warning::default(),
            wakers: Mutex::default(),
            drain_start: AtomicU32::new(0),
            fates: Mutex::default(),
        })
    }

    /// The coroutines that serve who comes in.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What the connections of this worker share.
    pub fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// An acceptor for a listener.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn acceptor(&'static self, listener: Listener) -> io::Result<Acceptor> {
        let Listener { socket, announced } = listener;
        let listener = CoIo::new(socket)?;
        lock(&self.wakers).push(listener.waker());
        let index = self.open.fetch_add(1, Relaxed);
        Ok(Acceptor { door: self, index, listener, announced })
    }

    /// Accepts no more from listeners that somebody else goes on with; from those that are to be closed, who is in the
    /// queue or on the way there. The worker leaves when its last client has. `fates` has a byte for each listener.
    pub fn drain(&self, fates: &[u8]) {
        *lock(&self.fates) = fates.to_vec();
        self.drain_start.store(self.shared.reactor.clock.tick(), Relaxed);
        self.shared.draining.store(true, Relaxed);
        self.wake_listeners();
    }

    /// Whether a drain is done with a listener, however many clients still come to it.
    fn is_over(&self, index: usize) -> bool {
        match self.fate(index) {
            KEEP => true,
            CLOSE_SOON => self.has_heard_all(),
            _ => false,
        }
    }

    /// Whether a drain has gone on for so long that whoever had connected before has come in.
    fn has_heard_all(&self) -> bool {
        self.shared.reactor.clock.tick() - self.drain_start.load(Relaxed) >= HANDSHAKE_TICKS
    }

    fn fate(&self, index: usize) -> u8 {
        lock(&self.fates).get(index).copied().unwrap_or(CLOSE)
    }

    fn wake_listeners(&self) {
        for waker in lock(&self.wakers).iter() {
            waker.wakeup();
        }
    }

    /// Called at every tick: lets acceptors try again, since descriptors that ran out may have been freed elsewhere, and
    /// brings a drain forward, to the worker's end.
    pub fn tick(&self) {
        self.wake_acceptors();
        if !self.shared.draining.load(Relaxed) {
            return;
        }
        match (self.open.load(Relaxed), self.shared.live.load(Relaxed)) {
            (0, 0) => control::leave(self.shared),
            (0, _) => {}
            _ => self.wake_listeners(),
        }
    }

    fn wake_acceptors(&self) {
        if self.crowded.swap(false, Relaxed) {
            for acceptor in lock(&self.waiting).drain(..) {
                acceptor.unpark();
            }
        }
    }

    /// Waits until a place has become free, or a tick has passed, and then for all who are ready: where clients come
    /// faster than they are served, an acceptor woken by the end of one would otherwise keep the scheduler from epoll.
    fn wait_for_place(&self) {
        lock(&self.waiting).push(coroutine::current());
        self.crowded.store(true, Relaxed);
        coroutine::park();
        self.shared.reactor.give_way();
    }
}

/// The coroutine that accepts from one listener.
pub struct Acceptor {
    door: &'static Door,
    index: usize,
    listener: CoIo<OwnedFd>,
    announced: bool,
}

impl Acceptor {
    /// Accepts until the worker drains, and the queue has been empty for a while or is somebody else's.
    pub fn run(self) {
        self.accept();
        let Acceptor { door, index, listener, .. } = self;
        let close = door.fate(index) != KEEP;
        // This takes the listener out of epoll while it is still open.
        let listener = listener.into_inner();
        if close {
            socket::stop_listening(listener.as_fd());
        }
        drop(listener);
        door.open.fetch_sub(1, Relaxed);
        loop {
            coroutine::park();
        }
    }

    fn accept(&self) {
        let Acceptor { door, index, listener, announced } = self;
        let mut accepted = 0;
        let mut quiet_since = None;
        let mut held_off = false;
        loop {
            let draining = door.shared.draining.load(Relaxed);
            if draining && !held_off && door.fate(*index) == CLOSE_SOON {
                // Here and not in the master, so that no client comes in with its mark before they are let in below.
                held_off = socket::hold_off(listener.inner().as_fd()).is_ok();
            }
            if draining && !held_off && door.is_over(*index) {
                return;
            }
            if door.shared.live.load(Relaxed) >= door.places {
                door.wait_for_place();
                continue;
            }
            match socket::accept(listener.inner().as_fd()) {
                Ok((socket, peer)) => {
                    if held_off {
                        socket::let_in(socket.as_fd());
                    }
                    let client = Client::accepted(door.shared, socket, peer, *announced);
                    if !door.pool.serve(Guest { client, place: Place::take(door), ticket: None }) {
                        door.wait_for_place();
                    }
                    quiet_since = None;
                    accepted += 1;
                    if accepted % BATCH == 0 {
                        door.shared.reactor.give_way();
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if draining {
                        let tick = door.shared.reactor.clock.tick();
                        let quiet = tick - *quiet_since.get_or_insert(tick) >= QUIET_TICKS;
                        if quiet && door.has_heard_all() {
                            return;
                        }
                    }
                    listener.wait_io();
                }
                // The client gave up while it waited in the queue, or a signal came; the next may be there.
                Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(e) => self.pause(&e),
            }
        }
    }

    /// Descriptors or memory have run out. Existing clients go on; the queue waits.
    fn pause(&self, error: &io::Error) {
        let tick = self.door.shared.reactor.clock.tick();
        if self.door.warning.is_due(tick) {
            ::log::warn!("cannot accept on {} for now: {error}", address_of(self.listener.inner()));
        }
        self.door.wait_for_place();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
