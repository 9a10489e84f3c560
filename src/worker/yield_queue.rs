//! The queue of coroutines that have spent their yield budget. They wait until all other ready coroutines
//! have run.
//!
//! Its event goes through epoll, so that coroutines whose sockets are ready get a turn first. Yielding to the
//! run queue alone would never poll epoll.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use may::coroutine::{self, Coroutine};
use may::io::{CoIo, WaitIo};

use crate::sys::timer;

/// The coroutines that wait for their next turn.
pub struct YieldQueue {
    event: OwnedFd,
    waiting: Mutex<Vec<Coroutine>>,
}

impl YieldQueue {
    /// An empty queue.
    ///
    /// # Errors
    /// What eventfd(2) says, such as `EMFILE`.
    pub fn new() -> io::Result<YieldQueue> {
        Ok(YieldQueue { event: timer::event()?, waiting: Mutex::default() })
    }

    /// Lets the other coroutines run first.
    pub fn give_way(&self) {
        let mut waiting = self.lock();
        // The first one raises the event for all.
        if waiting.is_empty() {
            timer::raise(&self.event);
        }
        waiting.push(coroutine::current());
        drop(waiting);
        coroutine::park();
    }

    /// The body of the coroutine that resumes those that wait, each time the scheduler has looked at all
    /// sockets. It runs for ever.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn resumer(&'static self) -> io::Result<impl FnOnce() + Send> {
        let event = CoIo::new(self.event.try_clone()?)?;
        Ok(move || {
            loop {
                event.wait_io();
                timer::take_expirations(event.inner());
                let waiting = std::mem::take(&mut *self.lock());
                for coroutine in waiting {
                    coroutine.unpark();
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Coroutine>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
