//! Warnings of a want that lasts: the first is given, and then one a minute.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::site::TICK_MS;

/// Ticks between two warnings of the same want: a minute.
const PERIOD: u32 = 60 * 1000 / TICK_MS;

/// When a warning was last given.
#[derive(Debug, Default)]
pub struct Warning(AtomicU32);

impl Warning {
    /// True when it is to be given at this tick; it counts as given then.
    pub fn is_due(&self, tick: u32) -> bool {
        let last = self.0.load(Relaxed);
        let due = last == 0 || tick - last >= PERIOD;
        if due {
            self.0.store(tick, Relaxed);
        }
        due
    }
}
