//! The clock of a worker, and the deadlines of the sockets that a coroutine waits for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use may::io::WaitIoWaker;

use super::idle_order::IdleOrder;
use crate::time::clock::{Clock, phase_of};
use crate::time::timer_wheel::{TimerEntry, TimerWheel};

/// The clock of a worker, and the deadlines of the sockets that a coroutine waits for.
pub struct SocketTimers {
    /// The time.
    pub clock: Clock,
    wheel: Mutex<TimerWheel<WaitIoWaker>>,
    /// The idle connections among those in the wheel.
    idle: Mutex<IdleOrder>,
}

impl SocketTimers {
    /// Starts the clock of the worker in a slot.
    pub fn start(slot: usize) -> SocketTimers {
        SocketTimers { clock: Clock::start(phase_of(slot)), wheel: Mutex::default(), idle: Mutex::default() }
    }

    /// The tick at which the longest-idle connection that still has a waiting coroutine became idle.
    pub fn idle_longest(&self) -> Option<u32> {
        lock(&self.idle).oldest().map(|(_, since)| since)
    }

    /// Ends the wait for that connection now, so that its coroutine moves it to the idle set.
    pub fn wake_idle_longest(&self) {
        let mut idle = lock(&self.idle);
        if let Some((index, _)) = idle.oldest() {
            idle.remove(index);
            if let Some(waker) = lock(&self.wheel).expire(index) {
                waker.wakeup();
            }
        }
    }

    /// Wakes the coroutines whose deadline has passed; true when there are more of them than should run
    /// before other coroutines get a turn.
    pub fn turn_wheel(&self) -> bool {
        lock(&self.wheel).turn(self.clock.tick(), WaitIoWaker::wakeup)
    }

    /// Adds a socket, whose coroutine the waker resumes.
    pub(super) fn enter(&'static self, waker: WaitIoWaker) -> SocketDeadline {
        SocketDeadline { entry: lock(&self.wheel).enter(waker), timers: self }
    }
}

/// A socket's entry in the timer wheel. Dropping it frees the entry.
pub(super) struct SocketDeadline {
    entry: TimerEntry,
    timers: &'static SocketTimers,
}

impl SocketDeadline {
    /// Has the wait end at this tick.
    pub(super) fn set(&self, tick: u32) {
        if self.entry.alarm().set(tick) {
            lock(&self.timers.wheel).file(&self.entry);
        }
    }

    /// The tick at which the wait ends.
    pub(super) fn get(&self) -> u32 {
        self.entry.alarm().deadline()
    }

    /// Notes that the connection has been idle since this tick, or with `None` that it is not.
    pub(super) fn set_idle_since(&self, since: Option<u32>) {
        let (mut idle, index) = (lock(&self.timers.idle), self.entry.index());
        match since {
            Some(since) => idle.push(index, since),
            None => idle.remove(index),
        }
    }
}

impl Drop for SocketDeadline {
    fn drop(&mut self) {
        lock(&self.timers.idle).remove(self.entry.index());
        lock(&self.timers.wheel).leave(self.entry.index());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
