//! How often workers' reports that a root's path has moved may start a generation.

use std::time::Duration;

/// The shortest and the longest time between two generations that reports start; it doubles in between.
const FOLLOW_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Limits the generations that reports start: a worker that a client has taken over can report what it likes.
#[derive(Debug, Default)]
pub(super) struct FollowLimit {
    last: Option<Duration>,
    wait: Duration,
}

impl FollowLimit {
    /// True if a generation may be started now. It then counts as started.
    pub(super) fn allows(&mut self, now: Duration) -> bool {
        let since = self.last.map(|last| now.saturating_sub(last));
        if since.is_some_and(|since| since < self.wait) {
            return false;
        }
        let soon = since.is_some_and(|since| since < 2 * self.wait);
        self.wait = if soon { (2 * self.wait).min(FOLLOW_WAIT.1) } else { FOLLOW_WAIT.0 };
        self.last = Some(now);
        true
    }
}
