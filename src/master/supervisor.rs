//! What the master decides: from events and the time to actions. Pure: it forks, kills, waits and logs nothing.
//!
//! The subtle rule: the first generation has to come up whole. A worker that fails before all have said that they serve
//! stops the start, with the worker's own words; later the same failure is tried again, ever more slowly.

use std::time::Duration;

use crate::sys::process::Exit;

/// A worker that dies sooner than this after its start died young, and its successor has to wait.
const YOUNG: Duration = Duration::from_secs(1);

/// The first and the longest wait of a successor; it doubles in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How long workers that were told to stop at once have before they are killed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What the master has come to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The worker in this slot serves.
    Ready(usize),
    /// The worker in this slot can't serve, and says why. Its exit follows.
    Failed(usize, String),
    /// The worker in this slot has ended.
    Exited(usize, Exit),
    /// Stop at once.
    Stop,
    /// Serve the clients to their end, then stop.
    Drain,
    /// Time has passed.
    Tick,
}

/// What the master is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fork a worker for this slot.
    Start(usize),
    /// All slots serve for the first time: say so.
    Announce,
    /// Tell this slot's worker to drain.
    Drain(usize),
    /// Tell this slot's worker to stop at once.
    Stop(usize),
    /// Kill this slot's worker.
    Kill(usize),
    /// Log that this slot's worker ended, and when the next one starts.
    Report(usize, Exit, Duration),
    /// Log why this slot's worker could not serve.
    Complain(usize, String),
    /// All is over; the start failed if there is a slot and its worker's words.
    Finish(Option<(usize, String)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// Nobody, until somebody is started at this time.
    Vacant(Duration),
    /// A worker since this time, which does not serve yet.
    Booting(Duration),
    /// A worker since this time.
    Serving(Duration),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mode {
    Starting,
    Running,
    /// Until this time.
    Draining(Duration),
    /// Until this time, then by force. The start failed if there is a slot and words.
    Stopping(Duration, Option<(usize, String)>),
}

/// The master's knowledge of its workers. All times are on one monotonic clock.
#[derive(Debug)]
pub struct Supervisor {
    slots: Vec<Slot>,
    /// How long the worker in each slot was waited with.
    last_wait: Vec<Duration>,
    mode: Mode,
    drain_timeout: Duration,
}

impl Supervisor {
    /// A supervisor of `slots` slots, and the actions that start them.
    pub fn start(slots: usize, drain_timeout: Duration, now: Duration) -> (Supervisor, Vec<Action>) {
        let supervisor = Supervisor {
            slots: vec![Slot::Booting(now); slots],
            last_wait: vec![Duration::ZERO; slots],
            mode: Mode::Starting,
            drain_timeout,
        };
        (supervisor, (0..slots).map(Action::Start).collect())
    }

    /// Takes in one event and says what is to be done.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Ready(slot) => self.ready(slot),
            Event::Failed(slot, why) => self.failed(slot, why, now),
            Event::Exited(slot, exit) => self.exited(slot, exit, now),
            Event::Drain => self.drain(now),
            Event::Stop => self.stop(None, now),
            Event::Tick => self.tick(now),
        }
    }

    /// When a [`Event::Tick`] is due, if time alone changes anything.
    pub fn deadline(&self) -> Option<Duration> {
        match self.mode {
            Mode::Draining(until) | Mode::Stopping(until, _) => Some(until),
            Mode::Starting | Mode::Running => self.slots.iter().filter_map(Slot::due).min(),
        }
    }

    fn ready(&mut self, slot: usize) -> Vec<Action> {
        if let Slot::Booting(since) = self.slots[slot] {
            self.slots[slot] = Slot::Serving(since);
        }
        let all = self.slots.iter().all(|slot| matches!(slot, Slot::Serving(_)));
        if all && self.mode == Mode::Starting {
            self.mode = Mode::Running;
            return vec![Action::Announce];
        }
        Vec::new()
    }

    fn failed(&mut self, slot: usize, why: String, now: Duration) -> Vec<Action> {
        match self.mode {
            Mode::Starting => self.stop(Some((slot, why)), now),
            _ => vec![Action::Complain(slot, why)],
        }
    }

    fn exited(&mut self, slot: usize, exit: Exit, now: Duration) -> Vec<Action> {
        let since = match self.slots[slot] {
            Slot::Booting(since) | Slot::Serving(since) => since,
            Slot::Vacant(_) => return Vec::new(),
        };
        self.slots[slot] = Slot::Vacant(now);
        match &self.mode {
            Mode::Starting => self.stop(Some((slot, format!("it ended before it served ({exit})"))), now),
            Mode::Running => self.succeed(slot, exit, since, now),
            Mode::Draining(_) | Mode::Stopping(..) => self.finish_if_over(),
        }
    }

    /// Arranges for a slot's next worker: at once, or after a wait where the last one died young. The wait grows while
    /// lives are shorter than it, so that a worker which can't live is tried ever more seldom, and one that is merely
    /// unlucky comes back soon.
    fn succeed(&mut self, slot: usize, exit: Exit, since: Duration, now: Duration) -> Vec<Action> {
        let lived = now.saturating_sub(since);
        let wait = match self.last_wait[slot] {
            _ if lived >= YOUNG => Duration::ZERO,
            last if lived < last => (last * 2).min(BACK_OFF.1),
            _ => BACK_OFF.0,
        };
        self.last_wait[slot] = wait;
        self.slots[slot] = Slot::Vacant(now + wait);
        let mut actions = vec![Action::Report(slot, exit, wait)];
        actions.extend(self.tick(now));
        actions
    }

    fn drain(&mut self, now: Duration) -> Vec<Action> {
        if self.mode != Mode::Running {
            // Before all serve there is nothing to drain, and a drain under way goes on.
            return if self.mode == Mode::Starting { self.stop(None, now) } else { Vec::new() };
        }
        self.mode = Mode::Draining(now + self.drain_timeout);
        let mut actions: Vec<Action> = self.occupied().map(Action::Drain).collect();
        actions.extend(self.finish_if_over());
        actions
    }

    fn stop(&mut self, failure: Option<(usize, String)>, now: Duration) -> Vec<Action> {
        if matches!(self.mode, Mode::Stopping(..)) {
            return Vec::new();
        }
        self.mode = Mode::Stopping(now + STOP_GRACE, failure);
        let mut actions: Vec<Action> = self.occupied().map(Action::Stop).collect();
        actions.extend(self.finish_if_over());
        actions
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match &self.mode {
            Mode::Draining(until) if *until <= now => self.stop(None, now),
            Mode::Stopping(until, failure) if *until <= now => {
                self.mode = Mode::Stopping(now + STOP_GRACE, failure.clone());
                self.occupied().map(Action::Kill).collect()
            }
            Mode::Starting | Mode::Running => {
                let due = |slot: &Slot| slot.due().is_some_and(|at| at <= now);
                let due: Vec<usize> = (0..self.slots.len()).filter(|&slot| due(&self.slots[slot])).collect();
                for &slot in &due {
                    self.slots[slot] = Slot::Booting(now);
                }
                due.into_iter().map(Action::Start).collect()
            }
            Mode::Draining(_) | Mode::Stopping(..) => Vec::new(),
        }
    }

    fn finish_if_over(&self) -> Vec<Action> {
        if self.occupied().next().is_some() {
            return Vec::new();
        }
        match &self.mode {
            Mode::Stopping(_, failure) => vec![Action::Finish(failure.clone())],
            _ => vec![Action::Finish(None)],
        }
    }

    fn occupied(&self) -> impl Iterator<Item = usize> {
        let occupied = |slot: &usize| !matches!(self.slots[*slot], Slot::Vacant(_));
        (0..self.slots.len()).filter(occupied).collect::<Vec<_>>().into_iter()
    }
}

impl Slot {
    /// When somebody is to be started here.
    fn due(&self) -> Option<Duration> {
        match self {
            Slot::Vacant(at) => Some(*at),
            Slot::Booting(_) | Slot::Serving(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal(9);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn starting(slots: usize) -> Supervisor {
        let (supervisor, actions) = Supervisor::start(slots, ms(30_000), ms(0));
        assert_eq!(actions, (0..slots).map(Action::Start).collect::<Vec<_>>());
        supervisor
    }

    fn running(slots: usize) -> Supervisor {
        let mut supervisor = starting(slots);
        for slot in 0..slots {
            let expected = if slot + 1 == slots { vec![Action::Announce] } else { vec![] };
            assert_eq!(supervisor.step(Event::Ready(slot), ms(5)), expected);
        }
        supervisor
    }

    #[test]
    fn a_worker_that_dies_is_replaced_at_once() {
        let mut s = running(2);
        let actions = s.step(Event::Exited(1, KILLED), ms(5000));
        assert_eq!(actions, [Action::Report(1, KILLED, ms(0)), Action::Start(1)]);
        assert_eq!(s.step(Event::Ready(1), ms(5010)), [], "the announcement is made once");
        assert_eq!(s.deadline(), None);
    }

    #[test]
    fn a_worker_that_dies_young_waits_longer_each_time_and_never_over_ten_seconds() {
        let mut s = running(1);
        let mut now = ms(500);
        for wait in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(s.step(Event::Exited(0, KILLED), now), [Action::Report(0, KILLED, ms(wait))]);
            assert_eq!(s.deadline(), Some(now + ms(wait)));
            assert_eq!(s.step(Event::Tick, now + ms(wait) - ms(1)), []);
            now += ms(wait);
            assert_eq!(s.step(Event::Tick, now), [Action::Start(0)]);
        }
        now += ms(60_000);
        assert_eq!(
            s.step(Event::Exited(0, KILLED), now),
            [Action::Report(0, KILLED, ms(0)), Action::Start(0)]
        );
        now += ms(10);
        assert_eq!(s.step(Event::Exited(0, KILLED), now), [Action::Report(0, KILLED, ms(100))]);
    }

    #[test]
    fn a_worker_that_lives_longer_than_it_was_waited_with_waits_no_longer() {
        let mut s = running(1);
        for round in 1..20 {
            let now = ms(round * 500);
            assert_eq!(s.step(Event::Exited(0, KILLED), now), [Action::Report(0, KILLED, ms(100))]);
            assert_eq!(s.step(Event::Tick, now + ms(100)), [Action::Start(0)]);
        }
    }

    #[test]
    fn a_failure_before_all_serve_ends_the_start_with_its_words() {
        let mut s = starting(2);
        assert_eq!(s.step(Event::Ready(0), ms(1)), []);
        let actions = s.step(Event::Failed(1, "no".into()), ms(2));
        assert_eq!(actions, [Action::Stop(0), Action::Stop(1)]);
        assert_eq!(s.step(Event::Exited(1, Exit::Code(1)), ms(3)), []);
        let end = s.step(Event::Exited(0, Exit::Code(0)), ms(4));
        assert_eq!(end, [Action::Finish(Some((1, "no".into())))]);
    }

    #[test]
    fn a_death_before_all_serve_ends_the_start() {
        let mut s = starting(1);
        let actions = s.step(Event::Exited(0, Exit::Signal(11)), ms(3));
        assert_eq!(actions, [Action::Finish(Some((0, "it ended before it served (signal 11)".into())))]);
    }

    #[test]
    fn a_failure_later_is_told_and_tried_again() {
        let mut s = running(1);
        s.step(Event::Exited(0, KILLED), ms(5000));
        assert_eq!(s.step(Event::Failed(0, "no".into()), ms(5001)), [Action::Complain(0, "no".into())]);
        let actions = s.step(Event::Exited(0, Exit::Code(1)), ms(5002));
        assert_eq!(actions, [Action::Report(0, Exit::Code(1), ms(100))]);
    }

    #[test]
    fn a_drain_ends_with_the_last_worker_and_replaces_none() {
        let mut s = running(2);
        assert_eq!(s.step(Event::Drain, ms(2000)), [Action::Drain(0), Action::Drain(1)]);
        assert_eq!(s.step(Event::Drain, ms(2001)), []);
        assert_eq!(s.step(Event::Exited(0, Exit::Code(0)), ms(2500)), []);
        assert_eq!(s.step(Event::Exited(1, KILLED), ms(2600)), [Action::Finish(None)]);
    }

    #[test]
    fn a_drain_that_takes_too_long_becomes_a_stop_and_then_force() {
        let mut s = running(1);
        s.step(Event::Drain, ms(1000));
        assert_eq!(s.deadline(), Some(ms(31_000)));
        assert_eq!(s.step(Event::Tick, ms(31_000)), [Action::Stop(0)]);
        assert_eq!(s.step(Event::Tick, ms(32_999)), []);
        assert_eq!(s.step(Event::Tick, ms(33_000)), [Action::Kill(0)]);
        assert_eq!(s.step(Event::Exited(0, KILLED), ms(33_001)), [Action::Finish(None)]);
    }

    #[test]
    fn a_stop_cuts_a_drain_short_and_a_second_stop_changes_nothing() {
        let mut s = running(1);
        s.step(Event::Drain, ms(1000));
        assert_eq!(s.step(Event::Stop, ms(1500)), [Action::Stop(0)]);
        assert_eq!(s.step(Event::Stop, ms(1600)), []);
        assert_eq!(s.deadline(), Some(ms(3500)));
    }

    #[test]
    fn a_slot_that_waits_for_its_successor_holds_up_no_end() {
        let mut s = running(1);
        s.step(Event::Exited(0, KILLED), ms(500));
        assert_eq!(s.step(Event::Drain, ms(510)), [Action::Finish(None)]);
    }
}
