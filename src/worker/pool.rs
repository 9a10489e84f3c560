//! The coroutines that serve clients.
//!
//! Those that have served wait for the next client, since waking one is cheaper than making one; a client whose
//! connection has been idle for a while goes to the [`Parking`], and its coroutine comes here. The subtle rule: a client
//! waits in the line until a coroutine that runs takes it out, so that one for which no coroutine can be made is not lost.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use may::coroutine::{self, Coroutine};
use may::go;
use may::io::{CoIo, WaitIo};

use super::accept::Place;
use super::parking::Parking;
use super::warning::Warning;
use crate::connection::client::Client;
use crate::connection::shared::Shared;
use crate::connection::{self, Leave};
use crate::site::TICK_MS;
use crate::sys::epoll::Ready;

/// Waiting coroutines that are kept for clients to come; each holds the memory its stack ever touched.
const KEPT: usize = 512;

/// Ticks between two attempts to make a coroutine where memory maps have run out: a second.
const RETRY_TICKS: u32 = 1000 / TICK_MS;

/// A client, and its place under the limit of connections.
pub struct Guest {
    /// The client.
    pub client: Client,
    /// Its place.
    pub place: Place,
}

/// The coroutines that serve clients, and where clients wait for one.
pub struct Pool {
    shared: &'static Shared,
    parking: Parking,
    crew: Mutex<Crew>,
    /// True while somebody may be in the line for whom no coroutine could be made.
    short: AtomicBool,
    /// The tick of the last attempt to make one.
    tried: AtomicU32,
    warning: Warning,
}

#[derive(Default)]
struct Crew {
    waiting: Vec<Coroutine>,
    /// Clients that no coroutine has taken yet. One is on its way to each of them, unless the pool is short.
    line: VecDeque<Guest>,
}

impl Pool {
    /// A pool without coroutines.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(shared: &'static Shared) -> io::Result<Pool> {
        Ok(Pool {
            shared,
            parking: Parking::new(shared)?,
            crew: Mutex::default(),
            short: AtomicBool::new(false),
            tried: AtomicU32::new(0),
            warning: Warning::default(),
        })
    }

    /// Has a coroutine serve a client: one that waits, or a new one. False when memory maps have run out, and the client
    /// waits until a coroutine is done with another or one can be made.
    pub fn serve(&'static self, guest: Guest) -> bool {
        self.lock().line.push_back(guest);
        self.wake_one() || (!self.short.load(Relaxed) && self.make_one())
    }

    fn wake_one(&self) -> bool {
        let waiting = self.lock().waiting.pop();
        waiting.map(|coroutine| coroutine.unpark()).is_some()
    }

    fn make_one(&'static self) -> bool {
        // Making a stack panics when memory maps have run out.
        let made = catch_unwind(AssertUnwindSafe(|| {
            go!(move || self.run());
        }));
        if made.is_err() {
            let now = self.shared.reactor.clock.tick();
            self.short.store(true, Relaxed);
            self.tried.store(now, Relaxed);
            if self.warning.is_due(now) {
                ::log::error!("no memory map left for a coroutine's stack; see vm.max_map_count");
            }
        }
        made.is_ok()
    }

    /// The life of a coroutine: serve one client, then whoever comes next.
    fn run(&'static self) {
        loop {
            let mut crew = self.lock();
            if let Some(guest) = crew.line.pop_front() {
                drop(crew);
                self.attend(guest);
                continue;
            }
            if crew.waiting.len() >= KEPT {
                return;
            }
            crew.waiting.push(coroutine::current());
            drop(crew);
            coroutine::park();
        }
    }

    /// Serves a client until it leaves or can be parked.
    fn attend(&self, guest: Guest) {
        let Guest { mut client, mut place } = guest;
        let peer = client.peer();
        loop {
            client = match connection::serve(self.shared, client) {
                Leave::Idle(client) => client,
                Leave::Over(end) => {
                    ::log::trace!("{peer}: {end:?}");
                    return;
                }
            };
            // Where it can't be parked it waits here for another while.
            match self.parking.park(Guest { client, place }) {
                Ok(()) => return,
                Err(guest) => Guest { client, place } = guest,
            }
        }
    }

    /// Called at every tick: ends parked connections that have been silent for too long, and tries again to have those
    /// served who are in the line. True when there is more to do than should be done before others get a turn.
    pub fn tick(&'static self) -> bool {
        let now = self.shared.reactor.clock.tick();
        if self.short.load(Relaxed) && now - self.tried.load(Relaxed) >= RETRY_TICKS {
            let line = self.lock().line.len();
            let all = (0..line).all(|_| self.wake_one() || self.make_one());
            self.short.store(!all, Relaxed);
        }
        self.parking.time_out(now, |guest| {
            self.serve(guest);
        })
    }

    /// The coroutine that sees to parked connections when something comes. It runs for ever.
    ///
    /// # Errors
    /// What epoll_ctl(2) and fcntl(2) say.
    pub fn attendant(&'static self) -> io::Result<impl FnOnce() + Send> {
        let parking = CoIo::new(self.parking.descriptor()?)?;
        Ok(move || {
            let mut ready = Ready::default();
            loop {
                parking.wait_io();
                let serve = |guest| {
                    self.serve(guest);
                };
                while self.parking.resume(&mut ready, serve) {
                    if ready.is_full() {
                        self.shared.reactor.give_way();
                    }
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
