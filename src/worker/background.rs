//! The coroutine that hears of finished jobs and wakes those that wait for them.

use std::io;

use may::io::{CoIo, WaitIo};

use crate::background::Background;
use crate::sys::timer;

/// The body of that coroutine. It runs for ever.
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
