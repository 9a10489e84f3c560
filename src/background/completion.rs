//! Whether a job is done, and who waits for that.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Resumes a coroutine that waits.
pub trait Wake: Send {
    /// Resumes it. Called on the thread that serves. It may be resumed for other reasons too.
    fn wake(&self);
}

/// The end of a job. Those that wait for it are resumed on the thread that serves.
#[derive(Default)]
pub struct Completion {
    begun: AtomicBool,
    done: AtomicBool,
    /// Handles of the job. Without one it need not be done.
    handles: AtomicUsize,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    next: u64,
    list: Vec<(u64, Box<dyn Wake>)>,
}

impl Completion {
    /// True once the job's result can be read.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// True once a thread has begun the job: what it finds may be older than what comes now.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Adds one to be resumed when the job is done, until the returned value is dropped. After that the job
    /// must be looked at once more, because it may have been done before.
    pub fn add_waiter(&self, waiter: Box<dyn Wake>) -> Waiting<'_> {
        let mut waiters = self.lock();
        let number = waiters.next;
        waiters.next += 1;
        waiters.list.push((number, waiter));
        Waiting { completion: self, number }
    }

    /// Has one resumed when the job is done, or later. If it is done already, nothing follows.
    pub fn wake_when_done(&self, waiter: Box<dyn Wake>) {
        // If the job is dropped, its list goes with it.
        std::mem::forget(self.add_waiter(waiter));
    }

    /// Notes that a thread begins the job.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// Notes that the result is there.
    pub(super) fn finish(&self) {
        self.done.store(true, Ordering::Release);
    }

    pub(super) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove_handle(&self) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn has_handles(&self) -> bool {
        self.handles.load(Ordering::Relaxed) > 0
    }

    /// Resumes all that wait.
    pub(super) fn wake_waiters(&self) {
        // Not under the lock: a waiter that is resumed removes itself.
        let list = std::mem::take(&mut self.lock().list);
        list.iter().for_each(|(_, waiter)| waiter.wake());
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those that are resumed.
pub struct Waiting<'a> {
    completion: &'a Completion,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.completion.lock().list.retain(|(number, _)| *number != self.number);
    }
}
