//! The time as a worker's connections see it: refreshed by the ticker, read without a system call.
//!
//! At most a tick (100 ms) old, or as old as one round of the scheduler. The subtle rule: ticks follow the monotonic
//! clock and only grow; the wall clock may jump, and is used for what clients and logs are told.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::http::date;
use crate::log::line::Stamp;
use crate::site::{Now, TICK_MS};
use crate::sys::timer;

/// A worker's clock.
pub struct Clock {
    start: Duration,
    tick: AtomicU32,
    wall_ms: AtomicU64,
    rendered: Mutex<Rendered>,
}

/// The present second as text, rendered once.
struct Rendered {
    second: u64,
    date: [u8; 29],
    stamp: Stamp,
}

impl Clock {
    /// Starts a clock at tick 1, so that no deadline is tick 0.
    pub fn start() -> Clock {
        let wall = SystemTime::now();
        let rendered = Rendered { second: 0, date: date::render(wall), stamp: Stamp::render(wall) };
        let start = timer::monotonic().saturating_sub(Duration::from_millis(TICK_MS.into()));
        let clock = Clock {
            start,
            tick: AtomicU32::new(1),
            wall_ms: AtomicU64::new(0),
            rendered: Mutex::new(rendered),
        };
        clock.refresh();
        clock
    }

    /// Reads the kernel's clocks. Returns true when a new second has begun.
    pub fn refresh(&self) -> bool {
        let ticks = (timer::monotonic() - self.start).as_millis() / u128::from(TICK_MS);
        self.tick.store(u32::try_from(ticks).unwrap_or(u32::MAX), Relaxed);
        let wall = SystemTime::now();
        let since_epoch = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.wall_ms.store(u64::try_from(since_epoch.as_millis()).unwrap_or(0), Relaxed);
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let new_second = rendered.second != since_epoch.as_secs();
        if new_second {
            *rendered = Rendered {
                second: since_epoch.as_secs(),
                date: date::render(wall),
                stamp: Stamp::render(wall),
            };
        }
        new_second
    }

    /// The present tick.
    pub fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(self.wall_ms.load(Relaxed));
        Now { tick: self.tick(), wall }
    }

    /// The present second as a Date field has it (RFC 9110 §5.6.7).
    pub fn date(&self) -> [u8; 29] {
        self.rendered.lock().unwrap_or_else(PoisonError::into_inner).date
    }

    /// The present second as an access log has it.
    pub fn stamp(&self) -> Stamp {
        self.rendered.lock().unwrap_or_else(PoisonError::into_inner).stamp.clone()
    }
}
