//! The time as a worker's connections see it: refreshed by the ticker, read without a system call.
//!
//! It is at most a tick (100 ms) old, or as old as one round of the scheduler. A deadline starts from a fresh
//! reading of the kernel's clock. **Invariant:** ticks follow the monotonic clock and never go back. The wall
//! clock may jump; it is used only for responses and logs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use crate::sys::timer;
use crate::time::{Now, TICK_MS};

/// Nanoseconds of a tick.
const TICK: u64 = TICK_MS as u64 * 1_000_000;

/// A worker's clock.
pub struct Clock {
    /// The monotonic clock at tick 0, in nanoseconds.
    start: u64,
    tick: AtomicU32,
    wall_ms: AtomicU64,
}

impl Clock {
    /// Starts a clock at tick 1, so that no deadline is tick 0.
    pub fn start() -> Clock {
        let start = timer::nanoseconds().saturating_sub(TICK);
        let clock = Clock { start, tick: AtomicU32::new(1), wall_ms: AtomicU64::new(0) };
        clock.refresh();
        clock
    }

    /// Reads the kernel's clocks.
    pub fn refresh(&self) {
        self.read();
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.wall_ms.store(u64::try_from(since_epoch.as_millis()).unwrap_or(0), Relaxed);
    }

    /// The present tick, as of the last reading of the kernel's clock.
    pub fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    /// Reads the kernel's clock and returns the present tick.
    pub fn read(&self) -> u32 {
        self.advance(timer::nanoseconds());
        self.tick()
    }

    /// Sets the tick by a reading of the monotonic clock, in nanoseconds.
    pub fn advance(&self, now: u64) {
        let ticks = now.saturating_sub(self.start) / TICK;
        self.tick.store(u32::try_from(ticks).unwrap_or(u32::MAX), Relaxed);
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(self.wall_ms.load(Relaxed));
        Now { tick: self.tick(), wall }
    }
}
