//! When the certificates are looked at, when they are replaced, and when those that expire soon are logged.
//! Pure.

use std::time::Duration;

use crate::tls::certificate_pair::CertificatePair;

/// How often the files are looked at. To look takes microseconds.
const PERIOD: Duration = Duration::from_secs(5);

/// The shortest time between two attempts to replace the certificates of the same generation.
const AGAIN: Duration = Duration::from_secs(60);

/// How often a certificate that expires soon is logged.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// When the certificates are looked at next. All times are on one monotonic clock.
#[derive(Debug, Default)]
pub struct CertificateWatch {
    next: Duration,
    next_warning: Duration,
    /// The last attempt to replace certificates: of which generation, and when.
    attempt: Option<(u32, Duration)>,
    /// The certificates that the next generation is started with.
    pub renewed: Option<Vec<CertificatePair>>,
}

impl CertificateWatch {
    /// When there is something to do: to look, if the files are watched, else to warn.
    pub fn due(&self, is_watched: bool) -> Duration {
        if is_watched { self.next } else { self.next.max(self.next_warning) }
    }

    /// True when it is due; it counts as done.
    pub fn begin(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + PERIOD;
        }
        due
    }

    /// All that there is to warn of was logged.
    pub fn warned(&mut self, now: Duration) {
        self.next_warning = now + DAY;
    }

    /// True if it is time to warn again; that counts as done.
    pub fn begin_warning(&mut self, now: Duration) -> bool {
        let due = now >= self.next_warning;
        if due {
            self.warned(now);
        }
        due
    }

    /// False if the certificates of this generation were to be replaced a short while ago, and it still
    /// serves: the next one could not. An attempt that is allowed counts as made.
    pub fn may_attempt(&mut self, generation: u32, now: Duration) -> bool {
        let failed = self.attempt.is_some_and(|(last, at)| last == generation && now < at + AGAIN);
        if !failed {
            self.attempt = Some((generation, now));
        }
        !failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_files_are_looked_at_every_five_seconds() {
        let mut watch = CertificateWatch::default();
        assert!(watch.begin(seconds(100)) && !watch.begin(seconds(100)) && !watch.begin(seconds(104)));
        assert_eq!(watch.due(true), seconds(105));
        assert!(watch.begin(seconds(105)));
        // Files that are not watched are a reason to wake for a warning alone.
        watch.warned(seconds(105));
        assert_eq!((watch.due(true), watch.due(false)), (seconds(110), seconds(86_505)));
    }

    #[test]
    fn an_attempt_that_came_to_nothing_is_made_again_after_a_minute() {
        let mut watch = CertificateWatch::default();
        assert!(watch.may_attempt(1, seconds(10)) && !watch.may_attempt(1, seconds(69)));
        assert!(watch.may_attempt(1, seconds(70)) && !watch.may_attempt(1, seconds(75)));
        // It has succeeded, and the files have changed once more.
        assert!(watch.may_attempt(2, seconds(76)));
    }

    #[test]
    fn warnings_come_once_a_day() {
        let mut watch = CertificateWatch::default();
        watch.warned(seconds(50));
        assert!(!watch.begin_warning(seconds(86_449)) && watch.begin_warning(seconds(86_450)));
        assert!(!watch.begin_warning(seconds(172_849)) && watch.begin_warning(seconds(172_850)));
    }
}
