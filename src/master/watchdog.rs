//! The watchdog: finds workers without a heartbeat, from the time of each last heartbeat. Pure, like the
//! supervisor.
//!
//! **Invariant:** if the master itself was stopped or got no CPU, no worker counts as hung for that. When it
//! wakes, all heartbeats look old. So silence then counts from the time when the master woke.

use std::time::Duration;

use super::supervisor::event::{ChildId, Event};

/// Time without a heartbeat after which a worker gets no new connections. A worker has ten heartbeats a
/// second.
const SILENT: Duration = Duration::from_secs(1);

/// How often a silent worker is checked, so that it soon gets connections again.
const CHECK_PERIOD: Duration = Duration::from_millis(100);

/// If a check is late by more than this, the master was stopped or got no CPU.
const OVERSLEPT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alive,
    Silent,
    Hung,
}

#[derive(Debug)]
struct Watched {
    id: ChildId,
    /// Its last heartbeat, or the time when the master woke after it.
    beat: Duration,
    verdict: Verdict,
}

/// The workers' last heartbeats. All times are on one monotonic clock.
#[derive(Debug)]
pub struct Watchdog {
    /// Time without a heartbeat after which a worker counts as hung; `None` for never.
    limit: Option<Duration>,
    watched: Vec<Watched>,
    checked: Duration,
    /// When the master last woke too late. Older heartbeats count as if they were of that time.
    woken: Duration,
}

impl Watchdog {
    /// A watchdog with this limit: the time without a heartbeat after which a worker counts as hung. `None`
    /// for never.
    pub fn new(limit: Option<Duration>, now: Duration) -> Watchdog {
        Watchdog { limit, watched: Vec::new(), checked: now, woken: Duration::ZERO }
    }

    /// Changes the limit; `None` for never.
    pub fn set_limit(&mut self, limit: Option<Duration>) {
        self.limit = limit;
    }

    /// Notes that a worker has ended. The next worker may have the same id, and start before the next check.
    pub fn ended(&mut self, id: ChildId) {
        self.watched.retain(|watched| watched.id != id);
    }

    /// Checks all workers. `beats` has the time of each worker's last heartbeat. Returns what has changed.
    pub fn check(&mut self, beats: &[(ChildId, Duration)], now: Duration) -> Vec<Event> {
        if self.due().is_some_and(|due| now > due + OVERSLEPT) {
            self.woken = now;
        }
        self.checked = now;
        let before = std::mem::take(&mut self.watched);
        let mut events = Vec::new();
        for &(id, beat_seen) in beats {
            let beat = beat_seen.max(self.woken);
            let silence = now.saturating_sub(beat);
            let known = before.iter().find(|watched| watched.id == id);
            let was = known.map_or(Verdict::Alive, |watched| watched.verdict);
            // A silent worker is not heard because the master overslept.
            let still_silent =
                was == Verdict::Silent && known.is_some_and(|watched| beat_seen <= watched.beat);
            let is = match was {
                // It is being killed.
                Verdict::Hung => Verdict::Hung,
                _ if self.limit.is_some_and(|limit| silence >= limit) => Verdict::Hung,
                _ if silence >= SILENT || still_silent => Verdict::Silent,
                _ => Verdict::Alive,
            };
            if is != was {
                events.push(match is {
                    Verdict::Alive => Event::Heard(id),
                    Verdict::Silent => Event::Silent(id),
                    Verdict::Hung => Event::Hung(id, silence),
                });
            }
            self.watched.push(Watched { id, beat, verdict: is });
        }
        events
    }

    /// When the next check is due; `None` while there is no worker to check.
    pub fn due(&self) -> Option<Duration> {
        let due = |watched: &Watched| match watched.verdict {
            Verdict::Alive => Some(watched.beat + SILENT),
            Verdict::Silent => Some(self.checked + CHECK_PERIOD),
            Verdict::Hung => None,
        };
        self.watched.iter().filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ChildId = ChildId::worker(1, 0);
    const B: ChildId = ChildId::worker(1, 1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn watching(now: Duration) -> Watchdog {
        let mut watchdog = Watchdog::new(Some(ms(30_000)), now);
        assert_eq!(watchdog.check(&[(A, now), (B, now)], now), []);
        watchdog
    }

    #[test]
    fn a_worker_is_silent_after_a_second_and_hung_after_the_limit_and_each_is_reported_once() {
        let mut dog = watching(ms(5000));
        assert_eq!(dog.due(), Some(ms(6000)));
        assert_eq!(dog.check(&[(A, ms(5000)), (B, ms(5900))], ms(6000)), [Event::Silent(A)]);
        let mut now = ms(6000);
        while now < ms(34_900) {
            now += ms(100);
            assert_eq!(dog.due(), Some(now), "a silent one is checked often");
            assert_eq!(dog.check(&[(A, ms(5000)), (B, now)], now), []);
        }
        let hung = Event::Hung(A, ms(30_000));
        assert_eq!(dog.check(&[(A, ms(5000)), (B, ms(34_950))], ms(35_000)), [hung]);
        assert_eq!(dog.due(), Some(ms(35_950)), "the hung one is not checked any more");
        assert_eq!(dog.check(&[(A, ms(35_100)), (B, ms(35_100))], ms(35_100)), []);
    }

    #[test]
    fn a_worker_that_beats_again_is_heard() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.check(&[(A, ms(0)), (B, ms(1000))], ms(1000)), [Event::Silent(A)]);
        assert_eq!(dog.check(&[(A, ms(1090)), (B, ms(1000))], ms(1100)), [Event::Heard(A)]);
        assert_eq!(dog.check(&[(A, ms(1090)), (B, ms(2000))], ms(2090)), [Event::Silent(A)]);
    }

    #[test]
    fn a_master_that_overslept_blames_no_worker() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.check(&[(A, ms(0)), (B, ms(0))], ms(90_000)), []);
        assert_eq!(dog.due(), Some(ms(91_000)));
        assert_eq!(dog.check(&[(A, ms(0)), (B, ms(90_900))], ms(91_000)), [Event::Silent(A)]);
    }

    #[test]
    fn a_silent_worker_is_not_heard_because_the_master_overslept() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.check(&[(A, ms(0)), (B, ms(1000))], ms(1000)), [Event::Silent(A)]);
        assert_eq!(dog.check(&[(A, ms(0)), (B, ms(3000))], ms(3000)), []);
        assert_eq!(dog.check(&[(A, ms(3050)), (B, ms(3050))], ms(3100)), [Event::Heard(A)]);
    }

    #[test]
    fn without_a_limit_no_worker_is_hung() {
        let mut dog = Watchdog::new(None, ms(0));
        dog.check(&[(A, ms(0))], ms(0));
        assert_eq!(dog.check(&[(A, ms(0))], ms(1000)), [Event::Silent(A)]);
        for tenth in 11..4000 {
            assert_eq!(dog.check(&[(A, ms(0))], ms(tenth * 100)), []);
        }
        dog.set_limit(Some(ms(5000)));
        assert_eq!(dog.check(&[(A, ms(0))], ms(400_000)), [Event::Hung(A, ms(400_000))]);
    }

    #[test]
    fn the_next_worker_is_judged_by_its_own_heartbeats() {
        let mut dog = watching(ms(0));
        dog.check(&[(A, ms(0)), (B, ms(1000))], ms(1000));
        dog.ended(A);
        assert_eq!(dog.check(&[(A, ms(1150)), (B, ms(1100))], ms(1200)), []);
        assert_eq!(dog.check(&[(A, ms(1150)), (B, ms(2100))], ms(2150)), [Event::Silent(A)]);
    }

    #[test]
    fn the_worker_after_a_hung_one_may_hang_too() {
        let mut dog = Watchdog::new(Some(ms(1000)), ms(0));
        dog.check(&[(A, ms(0))], ms(0));
        for round in 1..4 {
            assert_eq!(
                dog.check(&[(A, ms(round * 1000 - 1000))], ms(round * 1000)),
                [Event::Hung(A, ms(1000))]
            );
            dog.ended(A);
            assert_eq!(dog.check(&[(A, ms(round * 1000))], ms(round * 1000)), []);
        }
    }
}
