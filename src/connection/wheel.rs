//! Deadlines of the connections that wait: a timer wheel of 100 ms ticks.
//!
//! Knows neither clocks nor sockets; a waker is whatever its owner wakes. Alarms stand in blocks, since they outlive the
//! connections: one here and there between what a crowd had on the heap would keep all of that from the system. The subtle
//! rule is laziness: a connection moves
//! its deadline by a store into its [`Alarm`], and the wheel looks at it only when the tick comes under which the alarm
//! was filed. Only a deadline earlier than that tick has to be filed anew.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Buckets of the wheel. A deadline further ahead is filed at the horizon and again when that comes.
const BUCKETS: u32 = 1024;

/// The most that one turn wakes. Where thousands have the same deadline, those who are served meanwhile would wait for
/// all of them.
const LOT: usize = 16;

/// Alarms of a block.
const BLOCK: usize = 256;

/// No deadline, or not filed.
const NEVER: u32 = u32::MAX;

/// The deadline of one connection, shared by it and the wheel.
#[derive(Debug)]
pub struct Alarm {
    deadline: AtomicU32,
    filed: AtomicU32,
}

impl Alarm {
    /// Moves the deadline to this tick. True when the wheel must be told by [`Wheel::file`].
    #[must_use]
    pub fn set(&self, deadline: u32) -> bool {
        self.deadline.store(deadline, Relaxed);
        deadline < self.filed.load(Relaxed)
    }
}

/// A connection's place in the wheel.
#[derive(Debug)]
pub struct Place {
    index: u32,
    block: Arc<[Alarm]>,
}

impl Place {
    /// The place's alarm.
    pub fn alarm(&self) -> &Alarm {
        &self.block[self.index as usize % BLOCK]
    }
}

/// The deadlines of a worker's connections.
pub struct Wheel<W> {
    alarms: Vec<Arc<[Alarm]>>,
    wakers: Vec<Option<W>>,
    vacant: Vec<u32>,
    buckets: Vec<Vec<u32>>,
    /// Filings whose tick has come and that have not been looked at.
    due: VecDeque<u32>,
    now: u32,
}

impl<W> Default for Wheel<W> {
    fn default() -> Wheel<W> {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        Wheel {
            alarms: Vec::new(),
            wakers: Vec::new(),
            vacant: Vec::new(),
            buckets,
            due: VecDeque::new(),
            now: 0,
        }
    }
}

impl<W> Wheel<W> {
    /// Gives a connection a place. It has no deadline until its alarm is set.
    pub fn enter(&mut self, waker: W) -> Place {
        let index = self.vacant.pop().unwrap_or_else(|| {
            if self.wakers.len().is_multiple_of(BLOCK) {
                let alarm = || Alarm { deadline: AtomicU32::new(NEVER), filed: AtomicU32::new(NEVER) };
                self.alarms.push(std::iter::repeat_with(alarm).take(BLOCK).collect());
            }
            self.wakers.push(None);
            u32::try_from(self.wakers.len() - 1).unwrap_or(u32::MAX)
        });
        self.wakers[index as usize] = Some(waker);
        Place { index, block: Arc::clone(&self.alarms[index as usize / BLOCK]) }
    }

    /// Takes a place back. A filing that is still out serves the place's next owner.
    pub fn leave(&mut self, place: &Place) {
        self.wakers[place.index as usize] = None;
        place.alarm().deadline.store(NEVER, Relaxed);
        self.vacant.push(place.index);
    }

    fn alarm(&self, index: u32) -> &Alarm {
        &self.alarms[index as usize / BLOCK][index as usize % BLOCK]
    }

    /// Files a place under its alarm's deadline.
    pub fn file(&mut self, place: &Place) {
        self.file_index(place.index);
    }

    fn file_index(&mut self, index: u32) {
        let alarm = self.alarm(index);
        let tick = alarm.deadline.load(Relaxed).clamp(self.now + 1, self.now + BUCKETS - 1);
        alarm.filed.store(tick, Relaxed);
        self.buckets[(tick % BUCKETS) as usize].push(index);
    }

    /// Turns the wheel to tick `now` and calls `wake` for places whose deadline has come. True when that was the most of
    /// one turn, and another at the same tick may find more.
    pub fn turn(&mut self, now: u32, mut wake: impl FnMut(&W)) -> bool {
        // After a long sleep (a stopped or suspended machine) every bucket is looked at once, not once per lap.
        let first = (self.now + 1).max(now.saturating_sub(BUCKETS - 1));
        self.now = self.now.max(now);
        // All that is due is taken out before anything is filed again, or a new filing could be taken for a stale one.
        for tick in first..=now {
            self.due.extend(std::mem::take(&mut self.buckets[(tick % BUCKETS) as usize]));
        }
        let mut woken = 0;
        while woken < LOT {
            let Some(index) = self.due.pop_front() else { break };
            let alarm = self.alarm(index);
            if alarm.filed.load(Relaxed) > now {
                continue; // It was filed anew under an earlier tick, and again since then.
            }
            alarm.filed.store(NEVER, Relaxed);
            match (&self.wakers[index as usize], alarm.deadline.load(Relaxed)) {
                (None, _) | (_, NEVER) => {}
                (Some(waker), deadline) if deadline <= now => {
                    wake(waker);
                    woken += 1;
                }
                _ => self.file_index(index),
            }
        }
        if self.due.is_empty() {
            // What a crowd took is given back.
            self.due = VecDeque::new();
        }
        woken == LOT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        wheel: Wheel<&'static str>,
    }

    impl Bench {
        fn enter(&mut self, name: &'static str, deadline: u32) -> Place {
            let place = self.wheel.enter(name);
            self.set(&place, deadline);
            place
        }

        fn set(&mut self, place: &Place, deadline: u32) {
            if place.alarm().set(deadline) {
                self.wheel.file(place);
            }
        }

        fn turn(&mut self, now: u32) -> Vec<&'static str> {
            let mut woken = Vec::new();
            while self.wheel.turn(now, |waker| woken.push(*waker)) {}
            woken
        }
    }

    fn bench() -> Bench {
        Bench { wheel: Wheel::default() }
    }

    #[test]
    fn a_deadline_wakes_at_its_tick_and_once() {
        let mut bench = bench();
        let _place = bench.enter("a", 5);
        assert!(bench.turn(4).is_empty());
        assert_eq!(bench.turn(5), ["a"]);
        assert!(bench.turn(3000).is_empty());
    }

    #[test]
    fn a_deadline_that_moved_on_is_followed_lazily() {
        let mut bench = bench();
        let place = bench.enter("a", 5);
        assert!(!place.alarm().set(50), "a later deadline needs no filing");
        assert!(bench.turn(49).is_empty());
        assert_eq!(bench.turn(50), ["a"]);
    }

    #[test]
    fn an_earlier_deadline_is_filed_anew() {
        let mut bench = bench();
        let place = bench.enter("a", 500);
        bench.set(&place, 10);
        assert_eq!(bench.turn(10), ["a"]);
        bench.set(&place, 700);
        assert!(bench.turn(699).is_empty(), "the first filing, under 500, is stale");
        assert_eq!(bench.turn(700), ["a"]);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_is_kept() {
        let mut bench = bench();
        let _place = bench.enter("a", 5000);
        for now in 1..5000 {
            assert!(bench.turn(now).is_empty(), "woken at {now}");
        }
        assert_eq!(bench.turn(5000), ["a"]);
    }

    #[test]
    fn a_place_taken_back_wakes_nobody_and_serves_the_next() {
        let mut bench = bench();
        let place = bench.enter("a", 5);
        bench.wheel.leave(&place);
        let next = bench.enter("b", 9);
        assert_eq!(next.index, place.index);
        assert!(bench.turn(8).is_empty());
        assert_eq!(bench.turn(9), ["b"]);
        assert_eq!(bench.wheel.wakers.len(), 1);
    }

    #[test]
    fn places_that_come_and_go_leave_no_pile_of_filings() {
        let mut bench = bench();
        for _ in 0..10_000 {
            let place = bench.enter("a", 600);
            bench.wheel.leave(&place);
        }
        let filings: usize = bench.wheel.buckets.iter().map(Vec::len).sum();
        assert_eq!(filings, 1);
    }

    #[test]
    fn a_crowd_is_woken_in_lots_each_once() {
        let mut bench = bench();
        let places: Vec<_> = (0..3 * LOT).map(|_| bench.enter("a", 5)).collect();
        let turn = |bench: &mut Bench, now| {
            let mut woken = 0;
            let more = bench.wheel.turn(now, |_| woken += 1);
            (woken, more)
        };
        assert_eq!(turn(&mut bench, 5), (LOT, true));
        // Deadlines that move while they are due are followed, those of the woken and those of the others.
        places.iter().step_by(2).for_each(|place| bench.set(place, 7));
        assert_eq!(turn(&mut bench, 6), (LOT, true));
        assert_eq!(turn(&mut bench, 6), (0, false));
        assert_eq!(turn(&mut bench, 7), (LOT, true));
        assert_eq!(turn(&mut bench, 7), (LOT / 2, false));
        assert_eq!(turn(&mut bench, 3000), (0, false));
    }

    #[test]
    fn a_long_sleep_loses_no_deadline() {
        let mut bench = bench();
        let _a = bench.enter("a", 100);
        let _b = bench.enter("b", 90_000);
        assert_eq!(bench.turn(50_000), ["a"]);
        assert!(bench.turn(89_999).is_empty());
        assert_eq!(bench.turn(90_000), ["b"]);
    }
}
