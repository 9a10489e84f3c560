//! The coroutines that serve clients.
//!
//! One of them leads: it watches the [`Parking`] and serves the clients for which something comes there, one after the
//! other, on a stack that is in the processor's cache. Where a client has to be waited for, the leader stays with it, and
//! another coroutine leads from then on (the pattern is known as leader and followers). Coroutines that have served wait
//! here for the next client, since waking one is cheaper than making one. Two subtle rules: a client waits in the line until
//! a coroutine that runs takes it out, so that one for which no coroutine can be made is not lost; and before every wait
//! with a client the [`Baton`](crate::connection::baton::Baton) is passed on, or all parked clients would wait with it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use may::coroutine::{self, Coroutine};
use may::go;
use may::io::{CoIo, WaitIo};

use super::accept::Place;
use super::parking::{Parking, Refused, Ticket};
use super::warning::Warning;
use crate::connection;
use crate::connection::client::Client;
use crate::connection::end::End;
use crate::connection::shared::Shared;
use crate::site::TICK_MS;
use crate::sys::process;

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
    /// Its seat in the parking, once it has been there.
    pub ticket: Option<Ticket>,
}

/// The coroutines that serve clients, and where clients wait for one.
pub struct Pool {
    shared: &'static Shared,
    parking: Parking,
    /// The parking's descriptor, which the leader waits on.
    stir: OnceLock<CoIo<OwnedFd>>,
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
    /// True when nobody leads, and whoever comes next is to.
    vacancy: bool,
}

impl Pool {
    /// A pool without coroutines.
    ///
    /// # Errors
    /// What epoll_create1(2) says, such as `EMFILE`.
    pub fn new(shared: &'static Shared) -> io::Result<Pool> {
        Ok(Pool {
            shared,
            stir: OnceLock::new(),
            parking: Parking::new(shared)?,
            crew: Mutex::default(),
            short: AtomicBool::new(false),
            tried: AtomicU32::new(0),
            warning: Warning::default(),
        })
    }

    /// Has a coroutine lead. To be called in a coroutine, for it makes the scheduler start.
    ///
    /// # Errors
    /// What fcntl(2) and epoll_ctl(2) say, such as `EMFILE`.
    pub fn start(&'static self) -> io::Result<()> {
        let stir = CoIo::new(self.parking.descriptor()?)?;
        self.stir.get_or_init(|| stir);
        self.shared.reactor.baton.on_pass(|| self.replace_leader());
        self.replace_leader();
        Ok(())
    }

    /// Has a coroutine serve a client: one that waits, or a new one. False when memory maps have run out, and the client
    /// waits until a coroutine is done with another or one can be made.
    pub fn serve(&'static self, guest: Guest) -> bool {
        self.lock().line.push_back(guest);
        let called = self.call_one();
        if !called && let Some(stir) = self.stir.get() {
            // The leader, if it waits, has nothing else to do.
            stir.waker().wakeup();
        }
        called
    }

    /// Has another coroutine lead, or, where none can be made, whoever is done first.
    fn replace_leader(&'static self) {
        self.lock().vacancy = true;
        self.call_one();
    }

    fn call_one(&'static self) -> bool {
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

    /// The life of a coroutine: lead if nobody does, else serve one client, then whoever comes next.
    fn run(&'static self) {
        let _vital = Vital;
        loop {
            let mut crew = self.lock();
            if std::mem::take(&mut crew.vacancy) {
                drop(crew);
                self.lead();
                continue;
            }
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

    /// Serves parked clients for which something has come, until one of them had to be waited for and another leads.
    fn lead(&'static self) {
        let (reactor, Some(stir)) = (&self.shared.reactor, self.stir.get()) else { return };
        loop {
            while let Some(guest) = self.neglected().or_else(|| self.parking.take()) {
                reactor.baton.take();
                self.attend(guest);
                if !reactor.baton.put_down() {
                    return;
                }
                reactor.give_way_if_due();
            }
            stir.wait_io();
        }
    }

    /// A client for whom no coroutine could be made.
    fn neglected(&self) -> Option<Guest> {
        if self.short.load(Relaxed) { self.lock().line.pop_front() } else { None }
    }

    /// Serves a client until its connection ends, be it by a panic, or it can be parked.
    fn attend(&'static self, mut guest: Guest) {
        loop {
            let Guest { client, place, ticket } = guest;
            let served = catch_unwind(AssertUnwindSafe(|| connection::serve(self.shared, client)));
            let Ok(Some(client)) = served else { return };
            guest = match self.parking.park(Guest { client, place, ticket }) {
                Ok(()) => return,
                Err(Refused::Stirred(guest)) => guest,
                Err(Refused::Unwatchable(guest)) => return guest.client.end(self.shared, End::Unwatchable),
            }
        }
    }

    /// Called at every tick: ends parked connections that have been silent for too long, and tries again to have those
    /// served who are in the line. True when there is more to do than should be done before others get a turn.
    pub fn tick(&'static self) -> bool {
        let now = self.shared.reactor.clock.tick();
        if self.short.load(Relaxed) && now - self.tried.load(Relaxed) >= RETRY_TICKS {
            let crew = self.lock();
            let wanted = crew.line.len() + usize::from(crew.vacancy);
            drop(crew);
            let all = (0..wanted).all(|_| self.wake_one() || self.make_one());
            self.short.store(!all, Relaxed);
        }
        self.parking.time_out(now, |guest| {
            self.serve(guest);
        })
    }

    fn lock(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the worker, to be replaced, where a coroutine panics that is not with a client: without a leader, or without one
/// that a client waits for, the worker would be neither well nor dead.
struct Vital;

impl Drop for Vital {
    fn drop(&mut self) {
        if std::thread::panicking() {
            process::exit_now(1);
        }
    }
}
