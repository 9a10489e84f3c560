//! Wrong passwords by the address of the client, and how long its next attempt must wait for them.
//!
//! Pure. All attempts of an address wait in one line, so that more connections make no more guesses. What is
//! remembered as right does not wait.

use lru::LruCache;

use super::origin::Origin;
use crate::time::TICK_MS;

/// How long an attempt waits after so many failures, in ticks; after more of them as long as the last says.
const DELAYS: [u32; 7] = [0, 2, 4, 8, 16, 32, 50];

/// The longest wait for one's turn, in ticks: 10 s. An attempt that would have to wait longer is refused.
const MAX_WAIT: u32 = 10_000 / TICK_MS;

/// A failure is forgiven after so many ticks: 30 s.
const FORGIVEN_AFTER: u32 = 30_000 / TICK_MS;

/// Failures that are counted: those are forgiven in 10 minutes.
const MOST_FAILURES: u32 = 20;

/// The most addresses, in some 400 KiB. Beyond it the one that failed longest ago is forgotten.
const MOST_ADDRESSES: usize = 4096;

/// Wrong passwords by address.
pub struct SignInFailures(LruCache<Origin, FailureCount>);

#[derive(Clone, Copy)]
struct FailureCount {
    /// How many, at the tick `since`.
    count: u32,
    since: u32,
    /// The tick at which the next attempt may be made.
    next: u32,
}

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// At once.
    Now,
    /// After so many ticks, which are kept for it.
    After(u32),
    /// Not now: too many attempts wait. It could be tried again after so many ticks.
    Refused(u32),
}

impl SignInFailures {
    /// None.
    pub fn new() -> SignInFailures {
        SignInFailures(LruCache::unbounded())
    }

    /// Admits an attempt of this origin.
    pub fn admit(&mut self, origin: Origin, tick: u32) -> Admission {
        let Some(failures) = self.0.peek_mut(&origin) else { return Admission::Now };
        let delay = failures.delay(tick);
        let start = failures.next.max(tick);
        let wait = start - tick;
        if wait > MAX_WAIT {
            return Admission::Refused(wait);
        }
        failures.next = start + delay;
        if wait == 0 { Admission::Now } else { Admission::After(wait) }
    }

    /// Counts a failure of this origin.
    pub fn add(&mut self, origin: Origin, tick: u32) {
        let none = || FailureCount { count: 0, since: tick, next: tick };
        let failures = self.0.get_or_insert_mut(origin, none);
        failures.count = (failures.count_at(tick) + 1).min(MOST_FAILURES);
        failures.since = tick;
        failures.next = failures.next.max(tick + failures.delay(tick));
        if self.0.len() > MOST_ADDRESSES {
            self.0.pop_lru();
        }
    }
}

impl FailureCount {
    /// How many are not forgiven yet.
    fn count_at(self, tick: u32) -> u32 {
        self.count.saturating_sub(tick.saturating_sub(self.since) / FORGIVEN_AFTER)
    }

    fn delay(self, tick: u32) -> u32 {
        let most = DELAYS.len() - 1;
        DELAYS[usize::try_from(self.count_at(tick)).unwrap_or(most).min(most)]
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{After, Now, Refused};
    use super::*;
    use crate::sys::socket::PeerAddress;

    fn at(address: &str) -> Origin {
        Origin::of(PeerAddress::Ip(address.parse().unwrap()))
    }

    #[test]
    fn each_failure_makes_the_next_attempt_wait_longer_up_to_some_seconds() {
        let (mut failures, client) = (SignInFailures::new(), at("192.0.2.1"));
        let mut tick = 100;
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = match failures.admit(client, tick) {
                Now => 0,
                After(wait) => wait,
                Refused(_) => panic!("{tick}"),
            };
            waits.push(wait);
            tick += wait;
            failures.add(client, tick);
        }
        assert_eq!(waits, [0, 2, 4, 8, 16, 32, 50, 50, 50]);
        assert_eq!(failures.admit(at("192.0.2.2"), tick), Now, "another address");
    }

    #[test]
    fn attempts_at_once_wait_in_one_line_that_is_not_endless() {
        let (mut failures, client) = (SignInFailures::new(), at("192.0.2.1"));
        (0..4).for_each(|_| failures.add(client, 100));
        let admissions: Vec<_> = (0..8).map(|_| failures.admit(client, 100)).collect();
        let expected = [16, 32, 48, 64, 80, 96].map(After);
        assert_eq!(admissions, [&expected[..], &[Refused(112), Refused(112)]].concat());
        assert_eq!(failures.admit(client, 112), After(100));
    }

    #[test]
    fn the_count_falls_with_time() {
        let (mut failures, client) = (SignInFailures::new(), at("192.0.2.1"));
        (0..100).for_each(|_| failures.add(client, 100));
        assert_eq!(failures.admit(client, 100), After(50));
        for (later, count) in [(0, 20), (299, 20), (300, 19), (5699, 2), (5700, 1), (6000, 0), (9000, 0)] {
            let failures = failures.0.peek(&client).unwrap();
            assert_eq!(failures.count_at(100 + later), count, "{later}");
        }
        assert_eq!(failures.admit(client, 100 + 6000), Now);
        assert_eq!(failures.admit(client, 100 + 6000), Now);
    }

    #[test]
    fn no_more_than_some_thousand_addresses_are_kept() {
        let mut failures = SignInFailures::new();
        for number in 0..=u32::try_from(MOST_ADDRESSES).unwrap() {
            failures.add(Origin::of(PeerAddress::Ip(std::net::Ipv4Addr::from(number).into())), 100);
        }
        assert_eq!(failures.0.len(), MOST_ADDRESSES);
        assert_eq!(failures.admit(at("0.0.0.0"), 100), Now);
        assert_eq!(failures.admit(at("0.0.0.1"), 100), After(2));
    }
}
