//! Which workers give no sign of life: from their last heartbeats and the time to events. Pure, like the supervisor.
//!
//! The subtle rule: a master that was itself stopped or starved finds all heartbeats old when it wakes, and must not take
//! that for the death of its workers. After it has overslept it counts from its own awakening.

use std::time::Duration;

use super::supervisor::{Event, Id};

/// Silence after which a worker gets no new connections. It beats ten times a second.
const SILENT: Duration = Duration::from_secs(1);

/// How often a silent worker is looked at, so that it soon gets connections again.
const LOOK: Duration = Duration::from_millis(100);

/// A look that comes later than this after it was due tells more of the master than of the workers.
const OVERSLEPT: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alive,
    Silent,
    Hung,
}

#[derive(Debug)]
struct Watched {
    id: Id,
    /// Its last sign of life, as far as it counts.
    beat: Duration,
    verdict: Verdict,
}

/// The workers' last signs of life. All times are on one monotonic clock.
#[derive(Debug)]
pub struct Watchdog {
    /// Silence after which a worker counts as hung; `None` for never.
    patience: Option<Duration>,
    watched: Vec<Watched>,
    looked: Duration,
    /// When the master last woke too late: older signs count as given then.
    awakening: Duration,
}

impl Watchdog {
    /// A watchdog that takes workers for hung after so much silence, or never.
    pub fn new(patience: Option<Duration>, now: Duration) -> Watchdog {
        Watchdog { patience, watched: Vec::new(), looked: now, awakening: Duration::ZERO }
    }

    /// Has it take workers for hung after so much silence from now on, or never.
    pub fn set_patience(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    /// Takes in that a worker has ended: its successor may have the same name, and be there before the next look.
    pub fn ended(&mut self, id: Id) {
        self.watched.retain(|watched| watched.id != id);
    }

    /// Takes in when each worker last gave a sign, and says whose state has changed by that.
    pub fn look(&mut self, beats: &[(Id, Duration)], now: Duration) -> Vec<Event> {
        if self.due().is_some_and(|due| now > due + OVERSLEPT) {
            self.awakening = now;
        }
        self.looked = now;
        let before = std::mem::take(&mut self.watched);
        let mut events = Vec::new();
        for &(id, sign) in beats {
            let beat = sign.max(self.awakening);
            let silence = now.saturating_sub(beat);
            let known = before.iter().find(|watched| watched.id == id);
            let was = known.map_or(Verdict::Alive, |watched| watched.verdict);
            // That the master overslept is no sign of a silent worker's.
            let still_silent = was == Verdict::Silent && known.is_some_and(|watched| sign <= watched.beat);
            let is = match was {
                // It was given up, and its exit is awaited.
                Verdict::Hung => Verdict::Hung,
                _ if self.patience.is_some_and(|patience| silence >= patience) => Verdict::Hung,
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

    /// When the next look is due; `None` while there is nobody to look at.
    pub fn due(&self) -> Option<Duration> {
        let due = |watched: &Watched| match watched.verdict {
            Verdict::Alive => Some(watched.beat + SILENT),
            Verdict::Silent => Some(self.looked + LOOK),
            Verdict::Hung => None,
        };
        self.watched.iter().filter_map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Id = Id { generation: 1, slot: 0 };
    const B: Id = Id { generation: 1, slot: 1 };

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn watching(now: Duration) -> Watchdog {
        let mut watchdog = Watchdog::new(Some(ms(30_000)), now);
        assert_eq!(watchdog.look(&[(A, now), (B, now)], now), []);
        watchdog
    }

    #[test]
    fn a_worker_is_silent_after_a_second_and_hung_after_the_patience_and_each_is_said_once() {
        let mut dog = watching(ms(5000));
        assert_eq!(dog.due(), Some(ms(6000)));
        assert_eq!(dog.look(&[(A, ms(5000)), (B, ms(5900))], ms(6000)), [Event::Silent(A)]);
        let mut now = ms(6000);
        while now < ms(34_900) {
            now += ms(100);
            assert_eq!(dog.due(), Some(now), "a silent one is looked at often");
            assert_eq!(dog.look(&[(A, ms(5000)), (B, now)], now), []);
        }
        let hung = Event::Hung(A, ms(30_000));
        assert_eq!(dog.look(&[(A, ms(5000)), (B, ms(34_950))], ms(35_000)), [hung]);
        assert_eq!(dog.due(), Some(ms(35_950)), "the hung one is not looked at any more");
        assert_eq!(dog.look(&[(A, ms(35_100)), (B, ms(35_100))], ms(35_100)), []);
    }

    #[test]
    fn a_worker_that_beats_again_is_heard() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.look(&[(A, ms(0)), (B, ms(1000))], ms(1000)), [Event::Silent(A)]);
        assert_eq!(dog.look(&[(A, ms(1090)), (B, ms(1000))], ms(1100)), [Event::Heard(A)]);
        assert_eq!(dog.look(&[(A, ms(1090)), (B, ms(2000))], ms(2090)), [Event::Silent(A)]);
    }

    #[test]
    fn a_master_that_overslept_blames_nobody() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.look(&[(A, ms(0)), (B, ms(0))], ms(90_000)), []);
        assert_eq!(dog.due(), Some(ms(91_000)));
        assert_eq!(dog.look(&[(A, ms(0)), (B, ms(90_900))], ms(91_000)), [Event::Silent(A)]);
    }

    #[test]
    fn a_silent_worker_is_not_heard_because_the_master_overslept() {
        let mut dog = watching(ms(0));
        assert_eq!(dog.look(&[(A, ms(0)), (B, ms(1000))], ms(1000)), [Event::Silent(A)]);
        assert_eq!(dog.look(&[(A, ms(0)), (B, ms(3000))], ms(3000)), []);
        assert_eq!(dog.look(&[(A, ms(3050)), (B, ms(3050))], ms(3100)), [Event::Heard(A)]);
    }

    #[test]
    fn without_patience_nobody_is_hung() {
        let mut dog = Watchdog::new(None, ms(0));
        dog.look(&[(A, ms(0))], ms(0));
        assert_eq!(dog.look(&[(A, ms(0))], ms(1000)), [Event::Silent(A)]);
        for tenth in 11..4000 {
            assert_eq!(dog.look(&[(A, ms(0))], ms(tenth * 100)), []);
        }
        dog.set_patience(Some(ms(5000)));
        assert_eq!(dog.look(&[(A, ms(0))], ms(400_000)), [Event::Hung(A, ms(400_000))]);
    }

    #[test]
    fn a_successor_is_judged_by_its_own_signs() {
        let mut dog = watching(ms(0));
        dog.look(&[(A, ms(0)), (B, ms(1000))], ms(1000));
        dog.ended(A);
        assert_eq!(dog.look(&[(A, ms(1150)), (B, ms(1100))], ms(1200)), []);
        assert_eq!(dog.look(&[(A, ms(1150)), (B, ms(2100))], ms(2150)), [Event::Silent(A)]);
    }

    #[test]
    fn the_successor_of_a_hung_worker_may_hang_too() {
        let mut dog = Watchdog::new(Some(ms(1000)), ms(0));
        dog.look(&[(A, ms(0))], ms(0));
        for round in 1..4 {
            assert_eq!(
                dog.look(&[(A, ms(round * 1000 - 1000))], ms(round * 1000)),
                [Event::Hung(A, ms(1000))]
            );
            dog.ended(A);
            assert_eq!(dog.look(&[(A, ms(round * 1000))], ms(round * 1000)), []);
        }
    }
}
