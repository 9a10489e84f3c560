//! The wait of a coroutine that answers one stream while the others of its connection go on: until a job is
//! done, or a time has come.
//!
//! **Invariant:** the coroutine is resumed exactly once for each time that it parks. One resumed once more
//! would not park the next time.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use may::coroutine::{self, Coroutine};

use super::context::Context;
use super::leadership::Leadership;
use crate::background::{Completion, GaveUp, JobWaiter, Wake};
use crate::metrics::phase::Phase;
use crate::sys::timer;
use crate::time::{Now, TICK_MS};

/// Waits for jobs, without a client.
pub struct JobWait {
    context: &'static Context,
    leadership: &'static dyn Leadership,
    waits: Arc<JobWaits>,
}

/// The waits for one client, which end when it has gone.
#[derive(Default)]
pub struct JobWaits {
    is_over: AtomicBool,
    paused: Mutex<Vec<Arc<PausedCoroutine>>>,
}

impl JobWaits {
    /// The client has gone.
    pub fn end(&self) {
        self.is_over.store(true, Relaxed);
        let paused = std::mem::take(&mut *self.lock());
        paused.into_iter().for_each(|paused| Resume(paused).wake());
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    fn add(&self, paused: &Arc<PausedCoroutine>) {
        self.lock().push(Arc::clone(paused));
    }

    fn remove(&self, paused: &Arc<PausedCoroutine>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, paused));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<PausedCoroutine>>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A coroutine that is paused, or not.
struct PausedCoroutine {
    coroutine: Coroutine,
    is_paused: AtomicBool,
}

struct Resume(Arc<PausedCoroutine>);

impl Wake for Resume {
    fn wake(&self) {
        if self.0.is_paused.swap(false, Relaxed) {
            self.0.coroutine.unpark();
        }
    }
}

impl JobWait {
    /// To be used in the coroutine that makes it.
    pub fn new(
        context: &'static Context,
        leadership: &'static dyn Leadership,
        waits: Arc<JobWaits>,
    ) -> JobWait {
        JobWait { context, leadership, waits }
    }

    /// Parks until the job is done or `end` has come, a time of the monotonic clock.
    ///
    /// # Errors
    /// [`GaveUp::ClientGone`].
    fn park(&self, job: Option<&Completion>, end: Duration) -> Result<(), GaveUp> {
        self.leadership.hand_over();
        let paused =
            Arc::new(PausedCoroutine { coroutine: coroutine::current(), is_paused: AtomicBool::new(false) });
        let resume = || Box::new(Resume(Arc::clone(&paused)));
        let _waiting = job.map(|job| job.add_waiter(resume()));
        let _limit = self.context.site.store.background.limits.add(end, resume());
        self.waits.add(&paused);
        while !self.waits.is_over() && !job.is_some_and(Completion::is_done) && timer::monotonic() < end {
            paused.is_paused.store(true, Relaxed);
            coroutine::park();
        }
        self.waits.remove(&paused);
        if self.waits.is_over() { Err(GaveUp::ClientGone) } else { Ok(()) }
    }

    fn now(&self) -> Now {
        self.context.timers.clock.now()
    }
}

impl JobWaiter for JobWait {
    fn wait(&mut self, job: &Completion) -> Result<Now, GaveUp> {
        let ticks = self.context.timeouts.of(Phase::Send);
        self.park(Some(job), timer::monotonic() + duration(ticks))?;
        if job.is_done() { Ok(self.now()) } else { Err(GaveUp::TimedOut) }
    }

    fn pause(&mut self, ticks: u32) -> Result<Now, GaveUp> {
        self.park(None, timer::monotonic() + duration(ticks))?;
        Ok(self.now())
    }

    fn wait_until(&mut self, job: &Completion, end: Duration) -> Result<Now, GaveUp> {
        self.park(Some(job), end)?;
        Ok(self.now())
    }
}

fn duration(ticks: u32) -> Duration {
    Duration::from_millis(u64::from(ticks) * u64::from(TICK_MS))
}

/// For an answer that must not wait: the first wait is refused.
#[derive(Default)]
pub struct NoWait {
    /// True if a wait was refused: the answer is none.
    pub was_refused: bool,
}

impl NoWait {
    fn refuse(&mut self) -> Result<Now, GaveUp> {
        self.was_refused = true;
        Err(GaveUp::ClientGone)
    }
}

impl JobWaiter for NoWait {
    fn may_wait(&mut self) -> bool {
        self.was_refused = true;
        false
    }

    fn wait(&mut self, _: &Completion) -> Result<Now, GaveUp> {
        self.refuse()
    }

    fn pause(&mut self, _: u32) -> Result<Now, GaveUp> {
        self.refuse()
    }

    fn wait_until(&mut self, _: &Completion, _: Duration) -> Result<Now, GaveUp> {
        self.refuse()
    }
}
