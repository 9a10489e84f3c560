//! The jobs that have finished since the serving thread last looked, and the eventfd that tells it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::completion::Completion;
use crate::sys::timer;

/// Jobs that are done and whose waiters are not resumed yet.
pub struct Finished {
    list: Mutex<Vec<Arc<Completion>>>,
    event: OwnedFd,
}

impl Finished {
    /// An empty list.
    ///
    /// # Errors
    /// See eventfd(2), such as `EMFILE`.
    pub fn new() -> io::Result<Finished> {
        Ok(Finished { list: Mutex::default(), event: timer::event()? })
    }

    /// A second descriptor of the event.
    ///
    /// # Errors
    /// See dup(2), such as `EMFILE`.
    pub fn event(&self) -> io::Result<OwnedFd> {
        self.event.try_clone()
    }

    /// Adds a job. The first one raises the event for all.
    pub fn push(&self, job: Arc<Completion>) {
        let mut list = self.lock();
        list.push(job);
        let first = list.len() == 1;
        drop(list);
        if first {
            timer::raise(&self.event);
        }
    }

    /// Resumes all that wait for these jobs, and empties the list.
    pub fn wake_waiters(&self) {
        let list = std::mem::take(&mut *self.lock());
        list.iter().for_each(|job| job.wake_waiters());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Completion>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
