//! How a connection hears that it has something to do besides what its socket says: a stream may go on, a job
//! is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task;

use crate::background::Wake;
use crate::connection::leadership::Leadership;

/// Stands for the key of a connection that is being served.
const SERVED: usize = usize::MAX;

/// Whether a connection has something to do, and where it waits. All calls are made on the thread that
/// serves.
pub struct Wakeup {
    leadership: &'static dyn Leadership,
    /// True if there is something to do.
    is_due: AtomicBool,
    /// The key of the idle connection; [`SERVED`] while it is served.
    key: AtomicUsize,
}

impl Wakeup {
    /// That of a connection that is being served.
    pub fn new(leadership: &'static dyn Leadership) -> Arc<Wakeup> {
        Arc::new(Wakeup { leadership, is_due: AtomicBool::new(false), key: AtomicUsize::new(SERVED) })
    }

    /// The connection is being served.
    pub fn set_served(&self) {
        self.key.store(SERVED, Relaxed);
    }

    /// The connection waits under this key from now on. True if there is something to do already.
    pub fn set_idle(&self, key: usize) -> bool {
        self.key.store(key, Relaxed);
        self.is_due.load(Relaxed)
    }

    /// True if there is something to do.
    pub fn is_due(&self) -> bool {
        self.is_due.load(Relaxed)
    }

    /// True if there was something to do since the last call.
    pub fn take(&self) -> bool {
        self.is_due.swap(false, Relaxed)
    }

    /// There is something to do.
    pub fn set_due(&self) {
        let was_due = self.is_due.swap(true, Relaxed);
        let key = self.key.load(Relaxed);
        if !was_due && key != SERVED {
            self.leadership.wake(key);
        }
    }
}

impl task::Wake for Wakeup {
    fn wake(self: Arc<Wakeup>) {
        self.set_due();
    }

    fn wake_by_ref(self: &Arc<Wakeup>) {
        self.set_due();
    }
}

/// Ends the wait for a job.
pub struct JobWakeup(pub Arc<Wakeup>);

impl Wake for JobWakeup {
    fn wake(&self) {
        self.0.set_due();
    }
}
