//! Waits for a job that end after a while, done or not: a list of when each ends, and one timer for the next.
//!
//! The deadlines of connections are ticks of 100 ms, which is too coarse for this.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::completion::Wake;
use crate::sys::timer;

/// The waits with a limit. There are few at any time, each for a file that is read the first time.
pub struct WaitLimits {
    timer: OwnedFd,
    list: Mutex<LimitList>,
}

#[derive(Default)]
struct LimitList {
    next: u64,
    limits: Vec<Limit>,
}

struct Limit {
    number: u64,
    /// When it ends, on the monotonic clock.
    end: Duration,
    waiter: Box<dyn Wake>,
}

impl WaitLimits {
    /// An empty list.
    ///
    /// # Errors
    /// See timerfd_create(2), such as `EMFILE`.
    pub fn new() -> io::Result<WaitLimits> {
        Ok(WaitLimits { timer: timer::one_shot()?, list: Mutex::default() })
    }

    /// A second descriptor of the timer, which becomes readable when a limit has passed.
    ///
    /// # Errors
    /// See dup(2), such as `EMFILE`.
    pub fn timer(&self) -> io::Result<OwnedFd> {
        self.timer.try_clone()
    }

    /// Adds one to be resumed at `end`, a time of the monotonic clock, until the returned value is dropped.
    pub fn add(&self, end: Duration, waiter: Box<dyn Wake>) -> WaitLimit<'_> {
        let mut list = self.lock();
        let number = list.next;
        list.next += 1;
        let is_next = list.limits.iter().all(|other| end < other.end);
        list.limits.push(Limit { number, end, waiter });
        if is_next {
            timer::expire_at(&self.timer, end);
        }
        WaitLimit { limits: self, number }
    }

    /// Resumes those whose limit has passed, and sets the timer for the next. To be called on the thread that
    /// serves, after the timer was read.
    pub fn wake_expired(&self) {
        let now = timer::monotonic();
        let mut list = self.lock();
        let limits = std::mem::take(&mut list.limits);
        let (mut expired, left): (Vec<Limit>, Vec<Limit>) =
            limits.into_iter().partition(|limit| limit.end <= now);
        list.limits = left;
        if let Some(next) = list.limits.iter().map(|limit| limit.end).min() {
            timer::expire_at(&self.timer, next);
        }
        drop(list);
        expired.sort_by_key(|limit| limit.end);
        // Not under the lock: a waiter that is resumed removes itself.
        expired.iter().for_each(|limit| limit.waiter.wake());
    }

    fn lock(&self) -> MutexGuard<'_, LimitList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait with a limit.
pub struct WaitLimit<'a> {
    limits: &'a WaitLimits,
    number: u64,
}

impl Drop for WaitLimit<'_> {
    fn drop(&mut self) {
        // The timer is left; what it ends then is nothing.
        self.limits.lock().limits.retain(|limit| limit.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc::{self, Sender};

    use super::*;
    use crate::sys::process::wait_readable;

    struct Waker(Sender<u32>, u32);

    impl Wake for Waker {
        fn wake(&self) {
            let _ = self.0.send(self.1);
        }
    }

    #[test]
    fn waits_end_in_the_order_of_their_limits_and_those_that_are_over_do_not() {
        let limits = WaitLimits::new().unwrap();
        let timer = limits.timer().unwrap();
        let (woken, wakes) = mpsc::channel();
        let start = timer::monotonic();
        let add = |number: u32, milliseconds: u64| {
            let end = start + Duration::from_millis(milliseconds);
            limits.add(end, Box::new(Waker(woken.clone(), number)))
        };
        let waits = [add(1, 40), add(2, 0), add(3, 20)];
        drop(add(4, 10));
        let mut order = Vec::new();
        while order.len() < 3 {
            let ready = wait_readable(&[timer.as_fd()], Some(Duration::from_secs(10))).unwrap();
            assert_eq!(ready, [true], "no limit passed in time");
            timer::take_expirations(&timer);
            limits.wake_expired();
            order.extend(wakes.try_iter());
        }
        assert_eq!(order, [2, 3, 1]);
        assert!(timer::monotonic() - start >= Duration::from_millis(40));
        drop(waits);
    }
}
