//! What the master decides: from events and the time to actions. Pure: it forks, kills, waits and logs nothing.
//!
//! Workers come in generations, one for each settling of the settings. Two subtle rules: a generation has to come up
//! whole. If a worker of the first one fails before all have said that they serve, the start fails with the worker's
//! words; if one of a later generation does, that generation is given up and the one before serves on. And a generation
//! is told to leave only when the next one serves, so that at every moment somebody does.
//!
//! New connections are kept from slots where nobody answers, as long as another slot's worker does.

use std::time::Duration;

use crate::sys::process::Exit;

/// The first and the longest wait of a successor; it doubles in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How long workers that were told to stop at once have before they are killed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Names a worker: its generation's number, counted from 1, and its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// The generation.
    pub generation: u32,
    /// The slot.
    pub slot: usize,
}

/// What the master has come to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This worker serves.
    Ready(Id),
    /// This worker can't serve, and says why. Its exit follows.
    Failed(Id, String),
    /// This worker has ended.
    Exited(Id, Exit),
    /// This worker gives no sign of life.
    Silent(Id),
    /// This worker gives signs of life again.
    Heard(Id),
    /// This worker has given no sign of life for so long that it is given up.
    Hung(Id, Duration),
    /// New settings are settled: start a generation of so many slots, and give the one before so long to leave.
    Reload(usize, Duration),
    /// Have the workers leave, and the master stay (WINCH).
    Empty,
    /// One worker more (TTIN).
    More,
    /// One worker less (TTOU).
    Fewer,
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
    /// Fork this worker.
    Start(Id),
    /// All of this generation serve for the first time: say so.
    Announce(u32),
    /// Tell this worker to drain.
    Drain(Id),
    /// Tell this worker to stop at once.
    Stop(Id),
    /// Kill this worker, which does not stop.
    Kill(Id),
    /// Kill this worker, which has given no sign of life for so long.
    Condemn(Id, Duration),
    /// Keep new connections from these slots, in ascending order, and from no others.
    Avoid(Vec<usize>),
    /// Log that this worker ended, and when the next one starts.
    Report(Id, Exit, Duration),
    /// Log why this worker could not serve.
    Complain(Id, String),
    /// Log that this generation is given up, since the worker in this slot could not serve.
    Abandon(u32, usize, String),
    /// Nobody of this generation is left: let go of what it had.
    Forget(u32),
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
    /// A worker since this time that was killed for its silence, and has yet to end.
    Hung(Duration),
    /// A worker that was told to drain, and has until this time.
    Draining(Duration),
    /// A worker that was told to stop, and is killed at this time.
    Stopping(Duration),
    /// Nobody, for good.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not all have said yet that they serve.
    Starting,
    /// Whoever dies is replaced.
    Serving,
    /// Nobody is replaced.
    Leaving,
}

#[derive(Debug)]
struct Generation {
    number: u32,
    mode: Mode,
    slots: Vec<Slot>,
    /// So many slots have a worker or are to have one: always the first, for they are those that have listeners.
    wanted: usize,
    /// How long the worker in each slot was waited with.
    last_wait: Vec<Duration>,
}

/// The master's knowledge of its workers. All times are on one monotonic clock.
#[derive(Debug)]
pub struct Supervisor {
    /// Oldest first. At most one of them starts, and at most one serves.
    generations: Vec<Generation>,
    last_number: u32,
    drain_timeout: Duration,
    /// Workers that give no sign of life.
    silent: Vec<Id>,
    /// The slots that get no new connections.
    avoided: Vec<usize>,
    /// Whether the master is to end with its last worker.
    ending: bool,
    failure: Option<(usize, String)>,
}

impl Supervisor {
    /// A supervisor of `slots` slots, and the actions that start them.
    pub fn start(slots: usize, drain_timeout: Duration, now: Duration) -> (Supervisor, Vec<Action>) {
        let mut supervisor = Supervisor {
            generations: Vec::new(),
            last_number: 0,
            drain_timeout,
            silent: Vec::new(),
            avoided: Vec::new(),
            ending: false,
            failure: None,
        };
        let actions = supervisor.generate(slots, now);
        (supervisor, actions)
    }

    /// Takes in one event and says what is to be done.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = self.decide(event, now);
        let avoided = self.unanswered();
        if avoided != self.avoided && !self.ending {
            actions.push(Action::Avoid(avoided.clone()));
            self.avoided = avoided;
        }
        actions
    }

    fn decide(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Ready(id) => self.ready(id, now),
            Event::Failed(id, why) => self.failed(id, why, now),
            Event::Exited(id, exit) => {
                self.silent.retain(|silent| *silent != id);
                self.exited(id, exit, now)
            }
            Event::Silent(id) => {
                self.silent.push(id);
                Vec::new()
            }
            Event::Heard(id) => {
                self.silent.retain(|silent| *silent != id);
                Vec::new()
            }
            Event::Hung(id, silence) => self.hung(id, silence),
            Event::Reload(slots, drain_timeout) => self.reload(slots, drain_timeout, now),
            Event::Empty => self.empty(now),
            Event::More => self.more(now),
            Event::Fewer => self.fewer(now),
            Event::Drain => self.end(Supervisor::drain_all, now),
            Event::Stop => self.end(Supervisor::stop_all, now),
            Event::Tick => self.tick(now),
        }
    }

    /// When a [`Event::Tick`] is due, if time alone changes anything.
    pub fn deadline(&self) -> Option<Duration> {
        self.generations.iter().flat_map(|generation| &generation.slots).filter_map(Slot::due).min()
    }

    /// The number that the next generation will have, unless one is just starting or all is coming to its end.
    pub fn next_generation(&self) -> Option<u32> {
        let busy = self.ending || self.generations.iter().any(|generation| generation.mode == Mode::Starting);
        (!busy).then_some(self.last_number + 1)
    }

    /// The generation that clients are served by, if there is one.
    pub fn current(&self) -> Option<u32> {
        self.generations.iter().find(|generation| generation.mode == Mode::Serving).map(|g| g.number)
    }

    /// How many workers clients are to be served by, where there is a generation that does.
    pub fn wanted(&self) -> Option<usize> {
        self.generations.iter().find(|generation| generation.mode == Mode::Serving).map(|g| g.wanted)
    }

    /// True for a generation that is not on its way out.
    pub fn stays(&self, number: u32) -> bool {
        self.generations.iter().any(|g| g.number == number && g.mode != Mode::Leaving)
    }

    fn generate(&mut self, slots: usize, now: Duration) -> Vec<Action> {
        self.last_number += 1;
        let number = self.last_number;
        self.generations.push(Generation {
            number,
            mode: Mode::Starting,
            slots: vec![Slot::Booting(now); slots],
            wanted: slots,
            last_wait: vec![Duration::ZERO; slots],
        });
        (0..slots).map(|slot| Action::Start(Id { generation: number, slot })).collect()
    }

    fn generation(&mut self, number: u32) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    fn serving(&mut self) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.mode == Mode::Serving)
    }

    fn ready(&mut self, id: Id, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        if let Slot::Booting(since) = generation.slots[id.slot] {
            generation.slots[id.slot] = Slot::Serving(since);
        }
        let all = generation.slots.iter().all(|slot| matches!(slot, Slot::Serving(_)));
        if !all || generation.mode != Mode::Starting {
            return Vec::new();
        }
        let mut actions = vec![Action::Announce(id.generation)];
        if let Some(before) = self.serving() {
            actions.extend(before.drain(until));
        }
        if let Some(generation) = self.generation(id.generation) {
            generation.mode = Mode::Serving;
        }
        actions.extend(self.sweep());
        actions
    }

    fn failed(&mut self, id: Id, why: String, now: Duration) -> Vec<Action> {
        match self.generation(id.generation).map(|generation| generation.mode) {
            Some(Mode::Starting) => self.give_up(id, why, now),
            Some(Mode::Serving | Mode::Leaving) => vec![Action::Complain(id, why)],
            None => Vec::new(),
        }
    }

    fn exited(&mut self, id: Id, exit: Exit, now: Duration) -> Vec<Action> {
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        let state = std::mem::replace(&mut generation.slots[id.slot], Slot::Gone);
        match (generation.mode, state) {
            (Mode::Starting, Slot::Serving(_)) => self.give_up(id, format!("it ended ({exit})"), now),
            (Mode::Starting, _) => self.give_up(id, format!("it ended before it served ({exit})"), now),
            (Mode::Serving, Slot::Booting(since) | Slot::Serving(since) | Slot::Hung(since)) => {
                let wait = generation.succeed(id.slot, now.saturating_sub(since), now);
                let mut actions = vec![Action::Report(id, exit, wait)];
                actions.extend(self.tick(now));
                actions
            }
            (Mode::Serving, _) => generation.fill(now),
            (Mode::Leaving, _) => self.sweep(),
        }
    }

    fn hung(&mut self, id: Id, silence: Duration) -> Vec<Action> {
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        let slot = &mut generation.slots[id.slot];
        match *slot {
            Slot::Booting(since) | Slot::Serving(since) => *slot = Slot::Hung(since),
            // It is to go either way.
            Slot::Draining(_) | Slot::Stopping(_) | Slot::Hung(_) => {}
            Slot::Vacant(_) | Slot::Gone => return Vec::new(),
        }
        vec![Action::Condemn(id, silence)]
    }

    /// The slots where nobody takes new connections, while in other slots somebody does.
    fn unanswered(&self) -> Vec<usize> {
        let mode = |mode| self.generations.iter().find(move |generation| generation.mode == mode);
        let Some(serving) = mode(Mode::Serving) else { return Vec::new() };
        let silent =
            |generation: &Generation, slot| self.silent.contains(&Id { generation: generation.number, slot });
        // A next generation's worker takes connections as soon as it is there.
        let next = |slot| {
            mode(Mode::Starting).is_some_and(|starting| {
                matches!(starting.slots.get(slot), Some(Slot::Serving(_))) && !silent(starting, slot)
            })
        };
        let mut answered = false;
        let mut unanswered = Vec::new();
        for (slot, state) in serving.slots.iter().enumerate() {
            match state {
                Slot::Booting(_) | Slot::Serving(_) if !silent(serving, slot) => answered = true,
                Slot::Vacant(_) | Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_) if next(slot) => {
                    answered = true;
                }
                Slot::Vacant(_) | Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_) => {
                    unanswered.push(slot)
                }
                // Its listeners are gone.
                Slot::Draining(_) | Slot::Stopping(_) | Slot::Gone => {}
            }
        }
        if answered { unanswered } else { Vec::new() }
    }

    /// A generation that can't come up whole leaves again: the first one with the master.
    fn give_up(&mut self, id: Id, why: String, now: Duration) -> Vec<Action> {
        let first = self.generations.len() == 1;
        let until = now + self.drain_timeout;
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        let mut actions = Vec::new();
        if first && id.generation == 1 {
            actions.extend(generation.stop(now + STOP_GRACE));
            self.ending = true;
            self.failure = Some((id.slot, why));
        } else {
            actions.push(Action::Abandon(id.generation, id.slot, why));
            actions.extend(generation.leave(until, now));
        }
        actions.extend(self.sweep());
        actions
    }

    fn reload(&mut self, slots: usize, drain_timeout: Duration, now: Duration) -> Vec<Action> {
        if self.next_generation().is_none() {
            return Vec::new();
        }
        self.drain_timeout = drain_timeout;
        self.generate(slots, now)
    }

    fn empty(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let mut actions = self.serving().map(|generation| generation.drain(until)).unwrap_or_default();
        actions.extend(self.sweep());
        actions
    }

    fn more(&mut self, now: Duration) -> Vec<Action> {
        let Some(generation) = self.serving() else { return Vec::new() };
        generation.wanted += 1;
        generation.fill(now)
    }

    fn fewer(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let Some(generation) = self.serving() else { return Vec::new() };
        if generation.wanted < 2 {
            // The last one stays: to stop serving is another order.
            return Vec::new();
        }
        generation.wanted -= 1;
        let slot = generation.wanted;
        match generation.slots.get(slot) {
            // Where nobody is to drain, there are still listeners to close.
            Some(Slot::Vacant(_) | Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_)) => {
                generation.drain_slot(slot, until);
                vec![Action::Drain(Id { generation: generation.number, slot })]
            }
            // It was told to leave before, and its successor would have waited for that.
            _ => Vec::new(),
        }
    }

    /// Has all come to its end, in the given way, and the master with it.
    fn end(&mut self, how: fn(&mut Supervisor, Duration) -> Vec<Action>, now: Duration) -> Vec<Action> {
        self.ending = true;
        let mut actions = how(self, now);
        actions.extend(self.sweep());
        actions
    }

    fn drain_all(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let leave = |generation: &mut Generation| match generation.mode {
            Mode::Serving => generation.drain(until),
            Mode::Starting => generation.leave(until, now),
            Mode::Leaving => Vec::new(),
        };
        self.generations.iter_mut().flat_map(leave).collect()
    }

    fn stop_all(&mut self, now: Duration) -> Vec<Action> {
        self.generations.iter_mut().flat_map(|generation| generation.stop(now + STOP_GRACE)).collect()
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        self.generations.iter_mut().flat_map(|generation| generation.tick(now)).collect()
    }

    /// Lets go of the generations that nobody is left of.
    fn sweep(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.generations.retain(|generation| {
            let over = generation.mode == Mode::Leaving && generation.slots.iter().all(|s| *s == Slot::Gone);
            if over {
                actions.push(Action::Forget(generation.number));
            }
            !over
        });
        if self.ending && self.generations.is_empty() {
            actions.push(Action::Finish(self.failure.take()));
        }
        actions
    }
}

/// How long the successor of a process that `lived` so long has to wait, after its own wait of `last`. The wait begins and
/// grows where lives are shorter than it, so that a process which can't live is tried ever more seldom, none is started
/// more than about ten times a second, and one that is merely unlucky comes back at once.
pub(super) fn back_off(last: Duration, lived: Duration) -> Duration {
    match last {
        _ if lived >= last.max(BACK_OFF.0) => Duration::ZERO,
        Duration::ZERO => BACK_OFF.0,
        last => (last * 2).min(BACK_OFF.1),
    }
}

impl Generation {
    /// Arranges for a slot's next worker: at once, or after a wait where the last one died young.
    fn succeed(&mut self, slot: usize, lived: Duration, now: Duration) -> Duration {
        let wait = back_off(self.last_wait[slot], lived);
        self.last_wait[slot] = wait;
        self.slots[slot] = Slot::Vacant(now + wait);
        wait
    }

    /// Starts workers in slots that were taken away and are wanted again. A slot's last worker has to end first, and slots
    /// come in order, since one with listeners and without a worker would leave its clients waiting.
    fn fill(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        for slot in 0..self.wanted {
            if slot == self.slots.len() {
                self.slots.push(Slot::Gone);
                self.last_wait.push(Duration::ZERO);
            }
            match self.slots[slot] {
                Slot::Gone => {
                    self.slots[slot] = Slot::Booting(now);
                    actions.push(Action::Start(Id { generation: self.number, slot }));
                }
                Slot::Draining(_) | Slot::Stopping(_) => break,
                Slot::Vacant(_) | Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_) => {}
            }
        }
        actions
    }

    fn drain(&mut self, until: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        (0..self.slots.len()).filter_map(|slot| self.drain_slot(slot, until)).collect()
    }

    fn drain_slot(&mut self, slot: usize, until: Duration) -> Option<Action> {
        match self.slots[slot] {
            Slot::Vacant(_) => self.slots[slot] = Slot::Gone,
            Slot::Hung(_) => self.slots[slot] = Slot::Stopping(until),
            Slot::Booting(_) | Slot::Serving(_) => {
                self.slots[slot] = Slot::Draining(until);
                return Some(Action::Drain(Id { generation: self.number, slot }));
            }
            Slot::Draining(_) | Slot::Stopping(_) | Slot::Gone => {}
        }
        None
    }

    /// Has a generation leave that never came up whole. Workers that serve have clients already, since they share the queues
    /// of the generation before; they drain until `until`.
    fn leave(&mut self, until: Duration, now: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        let mut actions = Vec::new();
        for slot in 0..self.slots.len() {
            let id = Id { generation: self.number, slot };
            match self.slots[slot] {
                Slot::Serving(_) => actions.extend(self.drain_slot(slot, until)),
                Slot::Booting(_) => {
                    self.slots[slot] = Slot::Stopping(now + STOP_GRACE);
                    actions.push(Action::Stop(id));
                }
                Slot::Hung(_) => self.slots[slot] = Slot::Stopping(now + STOP_GRACE),
                Slot::Vacant(_) => self.slots[slot] = Slot::Gone,
                Slot::Draining(_) | Slot::Stopping(_) | Slot::Gone => {}
            }
        }
        actions
    }

    fn stop(&mut self, until: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        let mut actions = Vec::new();
        for (slot, state) in self.slots.iter_mut().enumerate() {
            match state {
                Slot::Vacant(_) => *state = Slot::Gone,
                Slot::Hung(_) => *state = Slot::Stopping(until),
                Slot::Booting(_) | Slot::Serving(_) | Slot::Draining(_) => {
                    *state = Slot::Stopping(until);
                    actions.push(Action::Stop(Id { generation: self.number, slot }));
                }
                Slot::Stopping(_) | Slot::Gone => {}
            }
        }
        actions
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        for (slot, state) in self.slots.iter_mut().enumerate() {
            if state.due().is_none_or(|due| due > now) {
                continue;
            }
            let id = Id { generation: self.number, slot };
            match state {
                Slot::Vacant(_) => {
                    *state = Slot::Booting(now);
                    actions.push(Action::Start(id));
                }
                Slot::Draining(_) => {
                    *state = Slot::Stopping(now + STOP_GRACE);
                    actions.push(Action::Stop(id));
                }
                Slot::Stopping(_) => {
                    *state = Slot::Stopping(now + STOP_GRACE);
                    actions.push(Action::Kill(id));
                }
                Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_) | Slot::Gone => {}
            }
        }
        actions
    }
}

impl Slot {
    /// When time alone changes this.
    fn due(&self) -> Option<Duration> {
        match self {
            Slot::Vacant(at) | Slot::Draining(at) | Slot::Stopping(at) => Some(*at),
            Slot::Booting(_) | Slot::Serving(_) | Slot::Hung(_) | Slot::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal(9);
    const LEFT: Exit = Exit::Code(0);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn id(generation: u32, slot: usize) -> Id {
        Id { generation, slot }
    }

    fn starting(slots: usize) -> Supervisor {
        let (supervisor, actions) = Supervisor::start(slots, ms(30_000), ms(0));
        assert_eq!(actions, (0..slots).map(|slot| Action::Start(id(1, slot))).collect::<Vec<_>>());
        supervisor
    }

    fn running(slots: usize) -> Supervisor {
        let mut supervisor = starting(slots);
        for slot in 0..slots {
            let expected = if slot + 1 == slots { vec![Action::Announce(1)] } else { vec![] };
            assert_eq!(supervisor.step(Event::Ready(id(1, slot)), ms(5)), expected);
        }
        supervisor
    }

    #[test]
    fn a_worker_that_dies_is_replaced_at_once() {
        let mut s = running(2);
        let actions = s.step(Event::Exited(id(1, 1), KILLED), ms(5000));
        assert_eq!(actions, [Action::Report(id(1, 1), KILLED, ms(0)), Action::Start(id(1, 1))]);
        assert_eq!(s.step(Event::Ready(id(1, 1)), ms(5010)), [], "the announcement is made once");
        assert_eq!(s.deadline(), None);
    }

    #[test]
    fn a_worker_that_dies_young_waits_longer_each_time_and_never_over_ten_seconds() {
        let mut s = running(1);
        let mut now = ms(50);
        for wait in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            let report = Action::Report(id(1, 0), KILLED, ms(wait));
            assert_eq!(s.step(Event::Exited(id(1, 0), KILLED), now), [report]);
            assert_eq!(s.deadline(), Some(now + ms(wait)));
            assert_eq!(s.step(Event::Tick, now + ms(wait) - ms(1)), []);
            now += ms(wait);
            assert_eq!(s.step(Event::Tick, now), [Action::Start(id(1, 0))]);
        }
        now += ms(60_000);
        let actions = s.step(Event::Exited(id(1, 0), KILLED), now);
        assert_eq!(actions, [Action::Report(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
        now += ms(10);
        let actions = s.step(Event::Exited(id(1, 0), KILLED), now);
        assert_eq!(actions, [Action::Report(id(1, 0), KILLED, ms(100))]);
    }

    #[test]
    fn a_worker_that_lives_longer_than_it_was_waited_with_waits_no_longer() {
        let mut s = running(1);
        for round in 1..20 {
            let actions = s.step(Event::Exited(id(1, 0), KILLED), ms(round * 101));
            assert_eq!(actions, [Action::Report(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
        }
        assert_eq!(back_off(ms(400), ms(399)), ms(800));
        assert_eq!(back_off(ms(400), ms(400)), ms(0));
    }

    #[test]
    fn new_connections_are_kept_from_a_silent_worker_until_it_is_heard() {
        let mut s = running(3);
        assert_eq!(s.step(Event::Silent(id(1, 2)), ms(2000)), [Action::Avoid(vec![2])]);
        assert_eq!(s.step(Event::Silent(id(1, 0)), ms(2010)), [Action::Avoid(vec![0, 2])]);
        assert_eq!(s.step(Event::Tick, ms(2100)), []);
        assert_eq!(s.step(Event::Heard(id(1, 2)), ms(2200)), [Action::Avoid(vec![0])]);
        assert_eq!(s.step(Event::Heard(id(1, 0)), ms(2300)), [Action::Avoid(vec![])]);
    }

    #[test]
    fn when_nobody_answers_there_is_nobody_to_avoid() {
        let mut s = running(2);
        assert_eq!(s.step(Event::Silent(id(1, 0)), ms(2000)), [Action::Avoid(vec![0])]);
        assert_eq!(s.step(Event::Silent(id(1, 1)), ms(2000)), [Action::Avoid(vec![])]);
        assert_eq!(s.step(Event::Heard(id(1, 0)), ms(2100)), [Action::Avoid(vec![1])]);
    }

    #[test]
    fn a_hung_worker_is_killed_once_and_replaced() {
        let mut s = running(2);
        assert_eq!(s.step(Event::Silent(id(1, 1)), ms(2000)), [Action::Avoid(vec![1])]);
        let condemn = Action::Condemn(id(1, 1), ms(30_000));
        assert_eq!(s.step(Event::Hung(id(1, 1), ms(30_000)), ms(31_000)), [condemn]);
        assert_eq!(s.deadline(), None);
        let actions = s.step(Event::Exited(id(1, 1), KILLED), ms(31_001));
        let report = Action::Report(id(1, 1), KILLED, ms(0));
        assert_eq!(actions, [report, Action::Start(id(1, 1)), Action::Avoid(vec![])]);
        assert_eq!(s.step(Event::Ready(id(1, 1)), ms(31_010)), []);
    }

    #[test]
    fn a_hung_worker_that_does_not_die_holds_up_no_end_for_long() {
        let mut s = running(1);
        let condemn = Action::Condemn(id(1, 0), ms(30_000));
        assert_eq!(s.step(Event::Hung(id(1, 0), ms(30_000)), ms(31_000)), [condemn]);
        assert_eq!(s.step(Event::Stop, ms(32_000)), []);
        assert_eq!(s.step(Event::Tick, ms(34_000)), [Action::Kill(id(1, 0))]);
        let end = s.step(Event::Exited(id(1, 0), KILLED), ms(34_001));
        assert_eq!(end, [Action::Forget(1), Action::Finish(None)]);
    }

    #[test]
    fn a_worker_that_hangs_in_the_first_start_ends_it() {
        let mut s = starting(2);
        assert_eq!(s.step(Event::Silent(id(1, 0)), ms(1000)), []);
        let condemn = Action::Condemn(id(1, 0), ms(30_000));
        assert_eq!(s.step(Event::Hung(id(1, 0), ms(30_000)), ms(30_000)), [condemn]);
        assert_eq!(s.step(Event::Exited(id(1, 0), KILLED), ms(30_001)), [Action::Stop(id(1, 1))]);
    }

    #[test]
    fn a_slot_whose_next_worker_has_to_wait_is_avoided() {
        let mut s = running(2);
        let report = Action::Report(id(1, 0), KILLED, ms(100));
        assert_eq!(s.step(Event::Exited(id(1, 0), KILLED), ms(50)), [report, Action::Avoid(vec![0])]);
        let actions = s.step(Event::Tick, ms(150));
        assert_eq!(actions, [Action::Start(id(1, 0)), Action::Avoid(vec![])]);
    }

    #[test]
    fn a_slot_is_answered_by_the_next_generation_as_soon_as_its_worker_serves() {
        let mut s = running(2);
        s.step(Event::Silent(id(1, 0)), ms(2000));
        let start = [Action::Start(id(2, 0)), Action::Start(id(2, 1))];
        assert_eq!(s.step(Event::Reload(2, ms(7000)), ms(2100)), start);
        assert_eq!(s.step(Event::Ready(id(2, 0)), ms(2110)), [Action::Avoid(vec![])]);
        let actions = s.step(Event::Ready(id(2, 1)), ms(2120));
        assert_eq!(actions, [Action::Announce(2), Action::Drain(id(1, 0)), Action::Drain(id(1, 1))]);
        let condemn = Action::Condemn(id(1, 0), ms(30_000));
        assert_eq!(s.step(Event::Hung(id(1, 0), ms(30_000)), ms(31_000)), [condemn], "it drains for ever");
    }

    #[test]
    fn a_failure_before_all_serve_ends_the_start_with_its_words() {
        let mut s = starting(2);
        assert_eq!(s.step(Event::Ready(id(1, 0)), ms(1)), []);
        let actions = s.step(Event::Failed(id(1, 1), "no".into()), ms(2));
        assert_eq!(actions, [Action::Stop(id(1, 0)), Action::Stop(id(1, 1))]);
        assert_eq!(s.step(Event::Exited(id(1, 1), Exit::Code(1)), ms(3)), []);
        let end = s.step(Event::Exited(id(1, 0), LEFT), ms(4));
        assert_eq!(end, [Action::Forget(1), Action::Finish(Some((1, "no".into())))]);
    }

    #[test]
    fn a_death_before_all_serve_ends_the_start() {
        let mut s = starting(1);
        let actions = s.step(Event::Exited(id(1, 0), Exit::Signal(11)), ms(3));
        let words = "it ended before it served (signal 11, SIGSEGV)".to_owned();
        assert_eq!(actions, [Action::Forget(1), Action::Finish(Some((0, words)))]);
    }

    #[test]
    fn a_failure_later_is_told_and_tried_again() {
        let mut s = running(1);
        s.step(Event::Exited(id(1, 0), KILLED), ms(5000));
        let actions = s.step(Event::Failed(id(1, 0), "no".into()), ms(5001));
        assert_eq!(actions, [Action::Complain(id(1, 0), "no".into())]);
        let actions = s.step(Event::Exited(id(1, 0), Exit::Code(1)), ms(5002));
        assert_eq!(actions, [Action::Report(id(1, 0), Exit::Code(1), ms(100))]);
    }

    #[test]
    fn a_drain_ends_with_the_last_worker_and_replaces_none() {
        let mut s = running(2);
        assert_eq!(s.step(Event::Drain, ms(2000)), [Action::Drain(id(1, 0)), Action::Drain(id(1, 1))]);
        assert_eq!(s.step(Event::Drain, ms(2001)), []);
        assert_eq!(s.step(Event::Exited(id(1, 0), LEFT), ms(2500)), []);
        let end = s.step(Event::Exited(id(1, 1), KILLED), ms(2600));
        assert_eq!(end, [Action::Forget(1), Action::Finish(None)]);
    }

    #[test]
    fn a_drain_that_takes_too_long_becomes_a_stop_and_then_force() {
        let mut s = running(1);
        s.step(Event::Drain, ms(1000));
        assert_eq!(s.deadline(), Some(ms(31_000)));
        assert_eq!(s.step(Event::Tick, ms(31_000)), [Action::Stop(id(1, 0))]);
        assert_eq!(s.step(Event::Tick, ms(32_999)), []);
        assert_eq!(s.step(Event::Tick, ms(33_000)), [Action::Kill(id(1, 0))]);
        let end = s.step(Event::Exited(id(1, 0), KILLED), ms(33_001));
        assert_eq!(end, [Action::Forget(1), Action::Finish(None)]);
    }

    #[test]
    fn a_stop_cuts_a_drain_short_and_a_second_stop_changes_nothing() {
        let mut s = running(1);
        s.step(Event::Drain, ms(1000));
        assert_eq!(s.step(Event::Stop, ms(1500)), [Action::Stop(id(1, 0))]);
        assert_eq!(s.step(Event::Stop, ms(1600)), []);
        assert_eq!(s.deadline(), Some(ms(3500)));
    }

    #[test]
    fn a_slot_that_waits_for_its_successor_holds_up_no_end() {
        let mut s = running(1);
        s.step(Event::Exited(id(1, 0), KILLED), ms(50));
        assert_eq!(s.step(Event::Drain, ms(60)), [Action::Forget(1), Action::Finish(None)]);
    }

    #[test]
    fn a_reload_starts_the_next_generation_and_then_drains_the_one_before() {
        let mut s = running(2);
        assert_eq!(s.next_generation(), Some(2));
        assert_eq!(s.step(Event::Reload(1, ms(7000)), ms(2000)), [Action::Start(id(2, 0))]);
        assert_eq!((s.next_generation(), s.current()), (None, Some(1)));
        assert_eq!(s.step(Event::Reload(1, ms(7000)), ms(2001)), [], "one at a time");
        let actions = s.step(Event::Ready(id(2, 0)), ms(2010));
        assert_eq!(actions, [Action::Announce(2), Action::Drain(id(1, 0)), Action::Drain(id(1, 1))]);
        assert_eq!((s.next_generation(), s.current()), (Some(3), Some(2)));
        assert_eq!(s.deadline(), Some(ms(9010)));
        assert_eq!(s.step(Event::Exited(id(1, 0), LEFT), ms(2020)), []);
        assert_eq!(s.step(Event::Exited(id(1, 1), KILLED), ms(2021)), [Action::Forget(1)]);
        assert_eq!(s.step(Event::Drain, ms(4000)), [Action::Drain(id(2, 0))]);
    }

    #[test]
    fn a_reload_whose_generation_fails_leaves_the_one_before() {
        let mut s = running(1);
        s.step(Event::Reload(2, ms(7000)), ms(2000));
        s.step(Event::Ready(id(2, 0)), ms(2001));
        let actions = s.step(Event::Failed(id(2, 1), "no".into()), ms(2002));
        let abandon = Action::Abandon(2, 1, "no".into());
        assert_eq!(
            actions,
            [abandon, Action::Drain(id(2, 0)), Action::Stop(id(2, 1))],
            "one has clients already"
        );
        assert_eq!(s.step(Event::Exited(id(2, 1), Exit::Code(1)), ms(2003)), []);
        assert_eq!(s.step(Event::Exited(id(2, 0), LEFT), ms(2004)), [Action::Forget(2)]);
        assert_eq!((s.next_generation(), s.current(), s.wanted()), (Some(3), Some(1), Some(1)));
        let actions = s.step(Event::Exited(id(1, 0), KILLED), ms(5000));
        assert_eq!(actions[1], Action::Start(id(1, 0)), "the old generation is still looked after");
    }

    #[test]
    fn a_worker_of_the_generation_before_is_replaced_while_the_next_starts() {
        let mut s = running(1);
        s.step(Event::Reload(1, ms(7000)), ms(2000));
        let actions = s.step(Event::Exited(id(1, 0), KILLED), ms(2001));
        assert_eq!(actions, [Action::Report(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
    }

    #[test]
    fn an_end_during_a_reload_takes_both_generations_along() {
        let mut s = running(1);
        s.step(Event::Reload(1, ms(7000)), ms(2000));
        assert_eq!(s.step(Event::Drain, ms(2001)), [Action::Drain(id(1, 0)), Action::Stop(id(2, 0))]);
        assert_eq!(s.step(Event::Ready(id(2, 0)), ms(2002)), []);
        assert_eq!(s.step(Event::Exited(id(2, 0), LEFT), ms(2003)), [Action::Forget(2)]);
        let end = s.step(Event::Exited(id(1, 0), LEFT), ms(2004));
        assert_eq!(end, [Action::Forget(1), Action::Finish(None)]);
    }

    #[test]
    fn an_emptied_master_stays_and_takes_a_reload() {
        let mut s = running(1);
        assert_eq!(s.step(Event::Empty, ms(2000)), [Action::Drain(id(1, 0))]);
        assert_eq!(s.step(Event::Exited(id(1, 0), LEFT), ms(2001)), [Action::Forget(1)]);
        assert_eq!(s.step(Event::Tick, ms(9000)), []);
        assert_eq!(s.step(Event::Reload(1, ms(7000)), ms(9001)), [Action::Start(id(2, 0))]);
        assert_eq!(s.step(Event::Ready(id(2, 0)), ms(9002)), [Action::Announce(2)]);
    }

    #[test]
    fn workers_are_added_and_taken_away_one_by_one() {
        let mut s = running(1);
        assert_eq!(s.step(Event::Fewer, ms(2000)), [], "the last one stays");
        assert_eq!(s.step(Event::More, ms(2001)), [Action::Start(id(1, 1))]);
        assert_eq!(s.step(Event::Ready(id(1, 1)), ms(2002)), []);
        assert_eq!(s.step(Event::Fewer, ms(2003)), [Action::Drain(id(1, 1))]);
        assert_eq!(s.step(Event::Fewer, ms(2004)), []);
        assert_eq!(s.step(Event::Exited(id(1, 1), LEFT), ms(2005)), [], "and is not replaced");
        assert_eq!(s.step(Event::More, ms(2006)), [Action::Start(id(1, 1))]);
    }

    #[test]
    fn a_slot_that_is_wanted_again_while_its_worker_drains_is_filled_when_it_has_ended() {
        let mut s = running(3);
        assert_eq!(s.step(Event::Fewer, ms(2000)), [Action::Drain(id(1, 2))]);
        assert_eq!(s.step(Event::Fewer, ms(2001)), [Action::Drain(id(1, 1))]);
        assert_eq!(s.step(Event::More, ms(2002)), []);
        assert_eq!(s.step(Event::More, ms(2003)), []);
        assert_eq!(
            s.step(Event::Exited(id(1, 2), LEFT), ms(2004)),
            [],
            "slot 1 would have listeners and nobody"
        );
        let start = [Action::Start(id(1, 1)), Action::Start(id(1, 2))];
        assert_eq!(s.step(Event::Exited(id(1, 1), LEFT), ms(2005)), start);
        assert_eq!(s.step(Event::More, ms(2006)), [Action::Start(id(1, 3))]);
    }

    #[test]
    fn a_slot_that_is_wanted_again_and_then_not_stays_empty() {
        let mut s = running(2);
        assert_eq!(s.step(Event::Fewer, ms(2000)), [Action::Drain(id(1, 1))]);
        assert_eq!(s.step(Event::More, ms(2001)), []);
        assert_eq!(s.step(Event::Fewer, ms(2002)), []);
        assert_eq!(s.step(Event::Exited(id(1, 1), LEFT), ms(2003)), []);
    }

    #[test]
    fn a_slot_that_waits_for_its_successor_is_taken_away_with_its_listeners() {
        let mut s = running(2);
        s.step(Event::Exited(id(1, 1), KILLED), ms(50));
        assert_eq!(s.step(Event::Fewer, ms(60)), [Action::Drain(id(1, 1)), Action::Avoid(vec![])]);
        assert_eq!(s.step(Event::Tick, ms(1000)), []);
    }
}
