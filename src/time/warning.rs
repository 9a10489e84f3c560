//! Limits a recurring warning to one a minute.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::TICK_MS;

/// Ticks between two warnings of the same kind: a minute.
const PERIOD: u32 = 60 * 1000 / TICK_MS;

/// When a warning was last given.
#[derive(Debug, Default)]
pub struct Warning(AtomicU32);

impl Warning {
    /// True when the warning is due at this tick; it counts as given then.
    pub fn is_due(&self, tick: u32) -> bool {
        let last = self.0.load(Relaxed);
        let due = last == 0 || tick - last >= PERIOD;
        if due {
            self.0.store(tick, Relaxed);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_given_at_once_and_then_once_a_minute() {
        let warning = Warning::default();
        let given: Vec<u32> = (1..=2000).filter(|&tick| warning.is_due(tick)).collect();
        assert_eq!(given, [1, 601, 1201, 1801]);
    }
}
