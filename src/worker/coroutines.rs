//! The coroutines that serve connections, and the queue of connections that wait for one.
//!
//! A coroutine that has served waits here for the next connection, because waking a coroutine is cheaper than
//! making one. One of them leads, see `leader.rs`.
//!
//! **Invariant:** a connection stays in the queue until a running coroutine takes it out, so that it is not
//! lost when no coroutine can be made.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use may::coroutine::{self, Coroutine};
use may::go;
use may::io::{CoIo, WaitIo};

use super::abort::AbortOnPanic;
use super::idle_set::{IdleSet, NotIdle};
use super::yield_queue::YieldQueue;
use crate::connection::Connection;
use crate::connection::context::Context;
use crate::connection::leadership::{Leadership, Task};
use crate::connection::multiplexed::Served;
use crate::connection::service;
use crate::connection::socket::YIELD_BUDGET;
use crate::metrics::close_reason::CloseReason;
use crate::time::TICK_MS;
use crate::time::warning::Warning;

/// Waiting coroutines that are kept for connections to come; each holds the memory its stack ever touched.
const KEPT: usize = 512;

/// Ticks between two attempts to make a coroutine when memory maps have run out: a second.
const RETRY_TICKS: u32 = 1000 / TICK_MS;

/// The minimum cost of serving a connection against the yield budget, in bytes, so that thousands of plain
/// disconnects also force a yield.
const SERVICE_COST: usize = 2 << 10;

/// The coroutines of a worker.
pub struct Coroutines {
    pub(super) context: &'static Context,
    pub(super) idle_set: IdleSet,
    /// The idle set's descriptor, which the leader waits on.
    pub(super) idle_events: OnceLock<CoIo<OwnedFd>>,
    pub(super) yield_queue: YieldQueue,
    state: Mutex<PoolState>,
    /// True while the running coroutine has the lead and serves a connection.
    leading: AtomicBool,
    /// What was spent of the [`YIELD_BUDGET`] on connections that are idle or closed again, since the last
    /// yield.
    spent: AtomicUsize,
    /// True while no coroutine can be made, because memory maps have run out. Connections may be left in the
    /// queue then.
    out_of_maps: AtomicBool,
    /// The tick of the last failed attempt to make a coroutine.
    last_attempt: AtomicU32,
    warning: Warning,
}

#[derive(Default)]
struct PoolState {
    waiting: Vec<Coroutine>,
    /// What no coroutine has taken yet. A coroutine is on its way to each, unless none can be made.
    queue: VecDeque<CoroutineWork>,
    /// True when the lead is free, for the next coroutine that has nothing to do.
    leaderless: bool,
}

/// What a coroutine is for.
pub(super) enum CoroutineWork {
    /// A connection is to be served.
    Serve(Box<Connection>),
    /// A task is to be run.
    Run(Task),
}

impl Coroutines {
    /// No coroutines yet.
    ///
    /// # Errors
    /// What epoll_create1(2) and eventfd(2) say, such as `EMFILE`.
    pub fn new(context: &'static Context) -> io::Result<Coroutines> {
        Ok(Coroutines {
            context,
            idle_set: IdleSet::new(context)?,
            idle_events: OnceLock::new(),
            yield_queue: YieldQueue::new()?,
            state: Mutex::default(),
            leading: AtomicBool::new(false),
            spent: AtomicUsize::new(0),
            out_of_maps: AtomicBool::new(false),
            last_attempt: AtomicU32::new(0),
            warning: Warning::default(),
        })
    }

    /// Makes the first leader. Called in a coroutine, because the call starts the scheduler.
    ///
    /// # Errors
    /// What fcntl(2) and epoll_ctl(2) say, such as `EMFILE`.
    pub fn start(&'static self) -> io::Result<()> {
        let idle_events = CoIo::new(self.idle_set.descriptor()?)?;
        self.idle_events.get_or_init(|| idle_events);
        self.replace_leader();
        Ok(())
    }

    /// The connections that wait without a coroutine.
    pub fn idle_set(&self) -> &IdleSet {
        &self.idle_set
    }

    /// Hands a connection to a coroutine: a waiting one, or a new one. False when memory maps have run out;
    /// the connection then waits until a coroutine is done with another, or one can be made.
    pub fn dispatch(&'static self, connection: Box<Connection>) -> bool {
        self.enqueue(CoroutineWork::Serve(connection))
    }

    fn enqueue(&'static self, work: CoroutineWork) -> bool {
        self.lock().queue.push_back(work);
        let called = self.wake_or_make_one();
        if !called && let Some(idle_events) = self.idle_events.get() {
            // The leader, if it waits, has nothing else to do.
            idle_events.waker().wakeup();
        }
        called
    }

    /// Called at every tick: closes idle connections that time out, and tries again to make coroutines for
    /// the queue. True when there is more to do than should be done before others get a turn.
    pub fn tick(&'static self) -> bool {
        let now = self.context.timers.clock.tick();
        if self.out_of_maps.load(Relaxed) && now - self.last_attempt.load(Relaxed) >= RETRY_TICKS {
            let state = self.lock();
            let wanted = state.queue.len() + usize::from(state.leaderless);
            drop(state);
            let all = (0..wanted).all(|_| self.wake_one() || self.make_one());
            self.out_of_maps.store(!all, Relaxed);
        }
        self.idle_set.time_out(now, |connection| {
            self.dispatch(connection);
        })
    }

    /// Has another coroutine lead. If none can be made, the first that has nothing to do leads.
    fn replace_leader(&'static self) {
        self.lock().leaderless = true;
        self.wake_or_make_one();
    }

    /// Wakes a coroutine that waits, or makes another; false when neither is possible.
    fn wake_or_make_one(&'static self) -> bool {
        self.wake_one() || (!self.out_of_maps.load(Relaxed) && self.make_one())
    }

    /// Wakes a coroutine that waits; false when none waits.
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
            let now = self.context.timers.clock.tick();
            self.out_of_maps.store(true, Relaxed);
            self.last_attempt.store(now, Relaxed);
            if self.warning.is_due(now) {
                ::log::error!("no memory map left for a coroutine's stack; see vm.max_map_count");
            }
        }
        made.is_ok()
    }

    /// The body of a coroutine. It leads when the lead is free, else serves a connection from the queue, else
    /// waits.
    fn run(&'static self) {
        let _abort = AbortOnPanic;
        loop {
            let mut state = self.lock();
            if std::mem::take(&mut state.leaderless) {
                drop(state);
                self.lead();
                continue;
            }
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                self.run_work(work);
                continue;
            }
            if state.waiting.len() >= KEPT {
                return;
            }
            state.waiting.push(coroutine::current());
            drop(state);
            coroutine::park();
        }
    }

    /// Does what a coroutine is for.
    pub(super) fn run_work(&'static self, work: CoroutineWork) {
        match work {
            CoroutineWork::Serve(connection) => self.serve(connection),
            CoroutineWork::Run(task) => {
                // A panic is logged, and ends what the task was for.
                let _ = catch_unwind(AssertUnwindSafe(task));
                self.spend(SERVICE_COST);
            }
        }
    }

    /// What is left in the queue, if no coroutine can be made for it.
    pub(super) fn take_queued(&self) -> Option<CoroutineWork> {
        if self.out_of_maps.load(Relaxed) { self.lock().queue.pop_front() } else { None }
    }

    /// Serves a connection until it closes, be it by a panic, or is in the idle set.
    #[inline(never)]
    pub(super) fn serve(&'static self, connection: Box<Connection>) {
        let mut next = Some(connection);
        while let Some(mut connection) = next {
            next = if self.serve_once(&mut connection) { self.make_idle(connection) } else { None };
        }
    }

    /// Serves a connection until it is idle; false when it is closed.
    fn serve_once(&self, connection: &mut Connection) -> bool {
        let served = catch_unwind(AssertUnwindSafe(|| service::serve(connection)));
        self.spend(connection.take_spent().max(SERVICE_COST));
        matches!(served, Ok(Served::Idle))
    }

    /// Moves an idle connection to the idle set. Returns it when it is to be served again.
    #[inline(never)]
    fn make_idle(&'static self, connection: Box<Connection>) -> Option<Box<Connection>> {
        match self.idle_set.insert(connection) {
            Ok(is_woken) => {
                if is_woken {
                    self.wake_leader();
                }
                None
            }
            Err(NotIdle::ReadyAgain(connection)) => {
                // Events come without end when a client sends without end.
                self.give_way_if_due();
                Some(connection)
            }
            Err(NotIdle::Unwatchable(connection)) => {
                connection.close(CloseReason::Unwatchable);
                None
            }
        }
    }

    /// Adds the cost of a finished service to the amount spent since the last yield.
    pub(super) fn spend(&self, cost: usize) {
        // One thread runs all coroutines, so a locked instruction is not needed.
        self.spent.store(self.spent.load(Relaxed).saturating_add(cost), Relaxed);
    }

    /// Lets the other coroutines run first, if the [`YIELD_BUDGET`] is spent.
    pub(super) fn give_way_if_due(&'static self) {
        if self.spent.load(Relaxed) >= YIELD_BUDGET {
            self.spent.store(0, Relaxed);
            self.give_way();
        }
    }

    /// Records that the running coroutine leads while it serves a connection.
    pub(super) fn set_leading(&self) {
        debug_assert!(!self.leading.load(Relaxed), "a coroutine waits that has the lead");
        self.leading.store(true, Relaxed);
    }

    /// Records that the connection is served. False when the lead was handed over meanwhile.
    pub(super) fn stop_leading(&self) -> bool {
        let leading = self.leading.load(Relaxed);
        self.leading.store(false, Relaxed);
        leading
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coroutines {
    /// Has the clients told that the worker drains that can be told while they are idle: those of HTTP/2.
    pub(super) fn announce_drain(&self) {
        self.idle_set.wake_http2();
        self.wake_leader();
    }

    /// Has the leader look at the idle set again, if it waits.
    fn wake_leader(&self) {
        if let Some(idle_events) = self.idle_events.get() {
            idle_events.waker().wakeup();
        }
    }
}

impl Leadership for Coroutines {
    fn hand_over(&'static self) {
        if self.stop_leading() {
            self.replace_leader();
        }
    }

    fn give_way(&'static self) {
        self.hand_over();
        self.yield_queue.give_way();
    }

    fn wake(&'static self, key: usize) {
        self.idle_set.wake(key);
        self.wake_leader();
    }

    fn spawn(&'static self, task: Task) {
        self.enqueue(CoroutineWork::Run(task));
    }
}
