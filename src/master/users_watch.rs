//! When the users files are looked at. Pure.

use std::time::Duration;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// When the files are looked at next. All times are on one monotonic clock.
#[derive(Debug, Default)]
pub struct UsersWatch {
    next: Duration,
}

impl UsersWatch {
    /// When that is due.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// True when it is due; it counts as done.
    pub fn begin(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + PERIOD;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_looked_at_once_a_second() {
        let mut watch = UsersWatch::default();
        let at = Duration::from_millis;
        assert!(watch.begin(at(5000)) && !watch.begin(at(5000)) && !watch.begin(at(5999)));
        assert_eq!(watch.due(), at(6000));
        assert!(watch.begin(at(6000)));
    }
}
