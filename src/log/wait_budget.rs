//! How long a process waits for the reader of a log: briefly, and for a bounded part of its time.
//!
//! Plain data; the time is passed in. A reader that is slow for a moment costs no lines. A reader that stays
//! slower than the log, or has stopped, costs lines instead of time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The longest wait of one write of gathered lines.
pub const MAX_WAIT: Duration = Duration::from_millis(100);

/// The longest wait to write the last lines of a process that ends, for all its logs together. It is well
/// below the time after which the master kills the process.
pub const LAST_WAIT: Duration = Duration::from_millis(500);

/// At most one part in this many of the time is spent on waits.
const PART: u32 = 4;

/// The value of [`WaitBudget::used`] after a flush that could not write everything.
const STOPPED: u64 = u64::MAX;

/// How long the process may still wait for the reader of one log, or for the readers of several together.
#[derive(Debug, Default)]
pub struct WaitBudget {
    /// The time at which the waits so far are paid off, in nanoseconds on the monotonic clock.
    used: AtomicU64,
}

impl WaitBudget {
    /// How long a flush that begins `now` may wait. Zero after a flush that could not write everything, until
    /// one can.
    pub fn left(&self, now: Duration) -> Duration {
        match self.used.load(Relaxed) {
            STOPPED => Duration::ZERO,
            used => {
                let used = Duration::from_nanos(used).max(now);
                ((now + MAX_WAIT * PART).saturating_sub(used)) / PART
            }
        }
    }

    /// True after a flush that could not write everything, until one can.
    pub fn reader_stopped(&self) -> bool {
        self.used.load(Relaxed) == STOPPED
    }

    /// Records a flush that ended `now`: whether it wrote everything, and how long it waited.
    pub fn record_flush(&self, whole: bool, waited: Option<Duration>, now: Duration) {
        let used = match self.used.load(Relaxed) {
            STOPPED => now,
            used => Duration::from_nanos(used).max(now),
        };
        let used = used + waited.unwrap_or_default() * PART;
        let used = if whole { u64::try_from(used.as_nanos()).unwrap_or(STOPPED - 1) } else { STOPPED };
        self.used.store(used, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_reader_costs_a_part_of_the_time_and_a_stopped_one_costs_none() {
        let ms = Duration::from_millis;
        let wait_budget = WaitBudget::default();
        assert_eq!(wait_budget.left(ms(5000)), MAX_WAIT);
        wait_budget.record_flush(true, None, ms(5000));
        assert_eq!(wait_budget.left(ms(5000)), MAX_WAIT);
        wait_budget.record_flush(true, Some(ms(60)), ms(5060));
        assert_eq!(wait_budget.left(ms(5060)), ms(40));
        wait_budget.record_flush(true, Some(ms(40)), ms(5100));
        assert_eq!(wait_budget.left(ms(5100)), ms(10));
        assert_eq!(wait_budget.left(ms(5300)), ms(60));
        assert_eq!(wait_budget.left(ms(5460)), MAX_WAIT);
        wait_budget.record_flush(false, Some(ms(100)), ms(5600));
        assert!(wait_budget.reader_stopped());
        assert_eq!(wait_budget.left(ms(60_000)), Duration::ZERO);
        wait_budget.record_flush(true, None, ms(60_000));
        assert_eq!(wait_budget.left(ms(60_000)), MAX_WAIT);
    }
}
