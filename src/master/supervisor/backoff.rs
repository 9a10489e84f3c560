//! How long the next process of a slot waits after one that ended soon.

use std::time::Duration;

/// The first and the longest wait; it doubles in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The wait of a slot's last process.
#[derive(Debug, Default)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// The wait after a process that `lived` so long.
    ///
    /// The wait begins, and doubles, after lives that are shorter than it. So a process that can't live is
    /// tried ever more seldom, no slot starts more than about ten processes a second, and after a single
    /// failure the next process starts at once.
    pub(super) fn wait_after(&mut self, lived: Duration) -> Duration {
        let (first, longest) = BACK_OFF;
        self.0 = match self.0 {
            last if lived >= last.max(first) => Duration::ZERO,
            Duration::ZERO => first,
            last => (last * 2).min(longest),
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_as_long_as_it_waited_is_followed_at_once() {
        let ms = Duration::from_millis;
        assert_eq!(Backoff(ms(400)).wait_after(ms(399)), ms(800));
        assert_eq!(Backoff(ms(400)).wait_after(ms(400)), ms(0));
    }

    #[test]
    fn a_process_that_dies_young_again_and_again_waits_longer_and_one_that_lived_does_not() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::default();
        for wait in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(backoff.wait_after(ms(20)), ms(wait));
        }
        assert_eq!(backoff.wait_after(ms(10_000)), ms(0));
    }
}
