//! How long a client may take nothing of the responses under way.
//!
//! As for HTTP/1.1, the kernel is asked for the client's progress after each part of the time, since a socket
//! takes more only when much of its buffer is free.

use crate::connection::uptake::Uptake;

/// The number of parts that the time is split into.
const PARTS: u32 = 4;

/// The wait for a client that has to take something, in ticks.
#[derive(Debug, Default)]
pub struct SendWait {
    /// When the client last made progress.
    since: u32,
    /// How long it may make none.
    limit: u32,
    /// The last reading, if nothing was sent after it.
    uptake: Option<Uptake>,
}

impl SendWait {
    /// The client has made progress, or the wait begins.
    pub fn restart(&mut self, now: u32, limit: u32) {
        *self = SendWait { since: now, limit, uptake: None };
    }

    /// Something was sent, which may be no progress: two readings do not compare then.
    pub fn send(&mut self) {
        self.uptake = None;
    }

    /// When the client's progress is to be looked at next.
    pub fn deadline(&self, now: u32) -> u32 {
        (self.since + self.limit).min(now + self.limit.div_ceil(PARTS))
    }

    /// True if the client has made no progress for its time, after this reading.
    pub fn is_over(&mut self, uptake: Uptake, now: u32) -> bool {
        if self.uptake.get_or_insert(uptake).advances_to(uptake) {
            self.since = now;
        }
        now >= self.since + self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_takes_something_in_each_part_is_waited_for_and_another_one_is_not() {
        let (steady, none) = (|bytes| Uptake::reading(bytes, 0), Uptake::reading(1000, 0));
        let mut wait = SendWait::default();
        wait.restart(10, 8);
        assert_eq!(wait.deadline(10), 12);
        for part in 1..100 {
            assert!(!wait.is_over(steady(100_000 - i64::from(part)), 10 + 2 * part), "{part}");
        }
        let mut wait = SendWait::default();
        wait.restart(10, 8);
        let over: Vec<u32> =
            (1..=6).map(|part| 10 + 2 * part).filter(|now| wait.is_over(none, *now)).collect();
        assert_eq!(over, [18, 20, 22]);
        assert_eq!(wait.deadline(17), 18);
    }

    #[test]
    fn what_is_sent_meanwhile_is_no_progress() {
        let mut wait = SendWait::default();
        wait.restart(10, 8);
        for part in 1..4 {
            assert!(!wait.is_over(Uptake::reading(1000 - i64::from(part), 0), 10 + 2 * part));
            wait.send();
        }
        assert!(wait.is_over(Uptake::reading(0, 0), 18));
    }
}
