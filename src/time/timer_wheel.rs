//! Deadlines of the connections that wait: a timer wheel of 100 ms ticks.
//!
//! Knows neither clocks nor sockets; a waker is any value, and its owner wakes by it. A connection moves its
//! deadline by a store into its [`Alarm`]. The wheel reads the alarm only at the tick under which it was
//! filed, so only a deadline earlier than that tick has to be filed again.
//!
//! **Invariant:** alarms are allocated in blocks, since they outlive the connections. Single alarms between
//! the freed memory of closed connections would keep that memory from the system.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Buckets of the wheel. A deadline further ahead is filed at the horizon, and again when the horizon is
/// reached.
const BUCKETS: u32 = 1024;

/// The most that one turn wakes. When thousands have the same deadline, connections that are served meanwhile
/// must not wait for all of them.
const MOST_WOKEN: usize = 16;

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
    /// Moves the deadline to this tick. True when the wheel must be told by [`TimerWheel::file`].
    #[must_use]
    pub fn set(&self, deadline: u32) -> bool {
        self.deadline.store(deadline, Relaxed);
        deadline < self.filed.load(Relaxed)
    }

    /// The tick of the deadline.
    pub fn deadline(&self) -> u32 {
        self.deadline.load(Relaxed)
    }
}

/// A connection's entry in the wheel.
#[derive(Debug)]
pub struct TimerEntry {
    index: u32,
    block: Arc<[Alarm]>,
}

impl TimerEntry {
    /// Its number, which no other entry of the wheel has.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The entry's alarm.
    pub fn alarm(&self) -> &Alarm {
        &self.block[self.index as usize % BLOCK]
    }
}

/// The deadlines of a worker's connections.
pub struct TimerWheel<W> {
    alarms: Vec<Arc<[Alarm]>>,
    wakers: Vec<Option<W>>,
    vacant: Vec<u32>,
    buckets: Vec<Vec<u32>>,
    /// Filed numbers whose tick has come and that are not handled yet.
    due: VecDeque<u32>,
    now: u32,
}

impl<W> Default for TimerWheel<W> {
    fn default() -> TimerWheel<W> {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        TimerWheel {
            alarms: Vec::new(),
            wakers: Vec::new(),
            vacant: Vec::new(),
            buckets,
            due: VecDeque::new(),
            now: 0,
        }
    }
}

impl<W> TimerWheel<W> {
    /// Gives a connection an entry. It has no deadline until its alarm is set.
    pub fn enter(&mut self, waker: W) -> TimerEntry {
        let index = self.vacant.pop().unwrap_or_else(|| {
            if self.wakers.len().is_multiple_of(BLOCK) {
                let alarm = || Alarm { deadline: AtomicU32::new(NEVER), filed: AtomicU32::new(NEVER) };
                self.alarms.push(std::iter::repeat_with(alarm).take(BLOCK).collect());
            }
            self.wakers.push(None);
            u32::try_from(self.wakers.len() - 1).unwrap_or(u32::MAX)
        });
        self.wakers[index as usize] = Some(waker);
        TimerEntry { index, block: Arc::clone(&self.alarms[index as usize / BLOCK]) }
    }

    /// Takes an entry back. If its number is still filed, that serves the next owner of the entry.
    pub fn leave(&mut self, index: u32) {
        self.wakers[index as usize] = None;
        self.alarm(index).deadline.store(NEVER, Relaxed);
        self.vacant.push(index);
    }

    /// Moves the deadline of an entry to this tick.
    pub fn set(&mut self, index: u32, deadline: u32) {
        if self.alarm(index).set(deadline) {
            self.file_index(index);
        }
    }

    /// Moves the deadline of an entry to now, and returns its waker.
    pub fn expire(&self, index: u32) -> Option<&W> {
        let waker = self.wakers.get(index as usize)?.as_ref()?;
        self.alarm(index).deadline.store(0, Relaxed);
        Some(waker)
    }

    fn alarm(&self, index: u32) -> &Alarm {
        &self.alarms[index as usize / BLOCK][index as usize % BLOCK]
    }

    /// Files an entry under its alarm's deadline.
    pub fn file(&mut self, entry: &TimerEntry) {
        self.file_index(entry.index);
    }

    fn file_index(&mut self, index: u32) {
        let alarm = self.alarm(index);
        let tick = alarm.deadline.load(Relaxed).clamp(self.now + 1, self.now + BUCKETS - 1);
        alarm.filed.store(tick, Relaxed);
        self.buckets[(tick % BUCKETS) as usize].push(index);
    }

    /// Turns the wheel to tick `now` and calls `wake` for entries whose deadline has come. True when it woke
    /// the most of one turn; another turn at the same tick may then wake more.
    pub fn turn(&mut self, now: u32, mut wake: impl FnMut(&W)) -> bool {
        // After a long pause (a stopped or suspended machine) every bucket is emptied once, not once per lap.
        let first = (self.now + 1).max(now.saturating_sub(BUCKETS - 1));
        self.now = self.now.max(now);
        // All that is due is taken out before anything is filed again, or a new filing could be mistaken for
        // a stale one.
        for tick in first..=now {
            self.due.extend(std::mem::take(&mut self.buckets[(tick % BUCKETS) as usize]));
        }
        let mut woken = 0;
        while woken < MOST_WOKEN {
            let Some(index) = self.due.pop_front() else { break };
            let alarm = self.alarm(index);
            if alarm.filed.load(Relaxed) > now {
                continue; // It was filed again under an earlier tick, and once more since then.
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
            // Gives the memory back that many deadlines at once took.
            self.due = VecDeque::new();
        }
        woken == MOST_WOKEN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        wheel: TimerWheel<&'static str>,
    }

    impl Fixture {
        fn enter(&mut self, name: &'static str, deadline: u32) -> TimerEntry {
            let entry = self.wheel.enter(name);
            self.set(&entry, deadline);
            entry
        }

        fn set(&mut self, entry: &TimerEntry, deadline: u32) {
            if entry.alarm().set(deadline) {
                self.wheel.file(entry);
            }
        }

        fn turn(&mut self, now: u32) -> Vec<&'static str> {
            let mut woken = Vec::new();
            while self.wheel.turn(now, |waker| woken.push(*waker)) {}
            woken
        }
    }

    fn fixture() -> Fixture {
        Fixture { wheel: TimerWheel::default() }
    }

    #[test]
    fn a_deadline_wakes_at_its_tick_and_once() {
        let mut fixture = fixture();
        let _place = fixture.enter("a", 5);
        assert!(fixture.turn(4).is_empty());
        assert_eq!(fixture.turn(5), ["a"]);
        assert!(fixture.turn(3000).is_empty());
    }

    #[test]
    fn a_deadline_that_moved_on_is_followed_lazily() {
        let mut fixture = fixture();
        let entry = fixture.enter("a", 5);
        assert!(!entry.alarm().set(50), "a later deadline needs no filing");
        assert!(fixture.turn(49).is_empty());
        assert_eq!(fixture.turn(50), ["a"]);
    }

    #[test]
    fn an_earlier_deadline_is_filed_again() {
        let mut fixture = fixture();
        let entry = fixture.enter("a", 500);
        fixture.set(&entry, 10);
        assert_eq!(fixture.turn(10), ["a"]);
        fixture.set(&entry, 700);
        assert!(fixture.turn(699).is_empty(), "the first filing, under 500, is stale");
        assert_eq!(fixture.turn(700), ["a"]);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_is_kept() {
        let mut fixture = fixture();
        let _place = fixture.enter("a", 5000);
        for now in 1..5000 {
            assert!(fixture.turn(now).is_empty(), "woken at {now}");
        }
        assert_eq!(fixture.turn(5000), ["a"]);
    }

    #[test]
    fn an_entry_taken_back_wakes_nothing_and_serves_the_next() {
        let mut fixture = fixture();
        let entry = fixture.enter("a", 5);
        fixture.wheel.leave(entry.index());
        let next = fixture.enter("b", 9);
        assert_eq!(next.index, entry.index);
        assert!(fixture.turn(8).is_empty());
        assert_eq!(fixture.turn(9), ["b"]);
        assert_eq!(fixture.wheel.wakers.len(), 1);
    }

    #[test]
    fn entries_that_come_and_go_leave_few_filings() {
        let mut fixture = fixture();
        for _ in 0..10_000 {
            let entry = fixture.enter("a", 600);
            fixture.wheel.leave(entry.index());
        }
        let filings: usize = fixture.wheel.buckets.iter().map(Vec::len).sum();
        assert_eq!(filings, 1);
    }

    #[test]
    fn many_are_woken_in_batches_each_once() {
        let mut fixture = fixture();
        let entries: Vec<_> = (0..3 * MOST_WOKEN).map(|_| fixture.enter("a", 5)).collect();
        let turn = |fixture: &mut Fixture, now| {
            let mut woken = 0;
            let more = fixture.wheel.turn(now, |_| woken += 1);
            (woken, more)
        };
        assert_eq!(turn(&mut fixture, 5), (MOST_WOKEN, true));
        // Deadlines that move while they are due are followed, whether their waker was called or not.
        entries.iter().step_by(2).for_each(|entry| fixture.set(entry, 7));
        assert_eq!(turn(&mut fixture, 6), (MOST_WOKEN, true));
        assert_eq!(turn(&mut fixture, 6), (0, false));
        assert_eq!(turn(&mut fixture, 7), (MOST_WOKEN, true));
        assert_eq!(turn(&mut fixture, 7), (MOST_WOKEN / 2, false));
        assert_eq!(turn(&mut fixture, 3000), (0, false));
    }

    #[test]
    fn a_deadline_can_be_moved_to_now() {
        let mut fixture = fixture();
        let entry = fixture.enter("a", 50);
        assert_eq!(fixture.wheel.expire(entry.index()), Some(&"a"));
        assert_eq!(entry.alarm().deadline(), 0);
        assert_eq!(fixture.wheel.expire(entry.index() + 1), None);
        fixture.wheel.leave(entry.index());
        assert_eq!(fixture.wheel.expire(entry.index()), None);
    }

    #[test]
    fn a_long_pause_loses_no_deadline() {
        let mut fixture = fixture();
        let _a = fixture.enter("a", 100);
        let _b = fixture.enter("b", 90_000);
        assert_eq!(fixture.turn(50_000), ["a"]);
        assert!(fixture.turn(89_999).is_empty());
        assert_eq!(fixture.turn(90_000), ["b"]);
    }
}
