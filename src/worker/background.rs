//! The coroutines that hear of finished jobs and of waits for jobs that are at their end, and wake those that
//! wait.

use std::io;

use may::io::{CoIo, WaitIo};

use crate::background::Background;
use crate::sys::timer;

/// The body of the coroutine that hears of finished jobs. It runs for ever.
///
/// # Errors
/// See dup(2) and epoll_ctl(2).
pub fn listener(background: &'static Background) -> io::Result<impl FnOnce() + Send> {
    let event = CoIo::new(background.event()?)?;
    Ok(move || {
        loop {
            event.wait_io();
            // First: a job that finishes from now on raises the event again.
            timer::take_expirations(event.inner());
            background.wake_waiters();
        }
    })
}

/// The body of the coroutine that ends waits whose limit has passed. It runs for ever.
///
/// # Errors
/// See dup(2) and epoll_ctl(2).
pub fn limiter(background: &'static Background) -> io::Result<impl FnOnce() + Send> {
    let timer = CoIo::new(background.limits.timer()?)?;
    Ok(move || {
        loop {
            timer.wait_io();
            // First: a limit that is added from now on sets the timer again.
            timer::take_expirations(timer.inner());
            background.limits.wake_expired();
        }
    })
}
