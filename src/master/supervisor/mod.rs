//! The supervisor decides: from events and the time to actions. Pure: it forks, kills, waits and logs
//! nothing.
//!
//! Steps, for each event: decide what follows for generations and slots (`child_events.rs`, `operations.rs`),
//! then say which slots new connections avoid. What an operator asks for is queued; [`Supervisor::resume`]
//! runs it when no generation starts.
//!
//! Workers come in generations. A reload starts one with the settings it reads. A root that has moved starts
//! one with the same settings, where the workers can't follow it themselves, and so do new certificates. The
//! admin process has a slot of its own. Both are supervised by the rules of `slot`.
//!
//! **Invariants:**
//! - A generation becomes the serving one only when all its workers serve. If a worker of the first
//!   generation fails before all serve, the start fails with its reason. If a worker of a later one does,
//!   that generation leaves (`abandon`) and the one before serves on.
//! - The serving generation leaves when the next one serves, so that clients are served at every moment.
//!   Otherwise it leaves only when an operator ends it (WINCH, QUIT, TERM).
//! - A new connection comes to the next generation only when none comes to the one before (`takeover.rs`).

mod admin_slot;
mod avoided;
mod backoff;
mod child_events;
pub mod event;
mod follow_limit;
mod generation_slots;
mod operation_queue;
mod operations;
mod slot;
mod takeover;

use std::time::Duration;

use admin_slot::AdminSlot;
use event::{Action, AdminChange, ChildId, Event};
use follow_limit::FollowLimit;
use generation_slots::{GenerationSlots, Mode};
use operation_queue::OperationQueue;
use slot::ChildSlot;
use takeover::Takeover;

/// The master's knowledge of its child processes. All times are on one monotonic clock.
#[derive(Debug)]
pub struct Supervisor {
    /// Oldest first. At most one of them starts, and at most one serves.
    generations: Vec<GenerationSlots>,
    admin: AdminSlot,
    last_number: u32,
    /// The number of the generation that the master prepares: it reads the settings and opens what they name.
    preparing: Option<u32>,
    /// The operations that wait until no generation starts.
    queue: OperationQueue,
    /// The wait of the serving generation for the one before, if it waits.
    takeover: Option<Takeover>,
    /// Limits how often workers' reports start a generation.
    follow_limit: FollowLimit,
    /// How long draining workers have: the setting of the generation that serves.
    drain_timeout: Duration,
    /// Workers that were killed, given up and have not ended.
    given_up: Vec<ChildId>,
    /// Workers without a heartbeat.
    silent: Vec<ChildId>,
    /// The slots that get no new connections.
    avoided: Vec<usize>,
    /// True if the master ends after its last worker.
    ending: bool,
    /// Why the start failed, if it did: the slot, and its worker's reason.
    failure: Option<(usize, String)>,
}

impl Supervisor {
    /// A supervisor of `slots` slots, and of an admin process `with_admin`, and the actions that start them.
    pub fn start(
        slots: usize,
        drain_timeout: Duration,
        with_admin: bool,
        now: Duration,
    ) -> (Supervisor, Vec<Action>) {
        let mut supervisor = Supervisor {
            generations: Vec::new(),
            admin: AdminSlot::new(with_admin, now),
            last_number: 0,
            preparing: None,
            queue: OperationQueue::default(),
            takeover: None,
            follow_limit: FollowLimit::default(),
            drain_timeout,
            given_up: Vec::new(),
            silent: Vec::new(),
            avoided: Vec::new(),
            ending: false,
            failure: None,
        };
        let mut actions = supervisor.start_generation(slots, drain_timeout, AdminChange::Keep, now);
        actions.extend(supervisor.admin.tick(now));
        (supervisor, actions)
    }

    /// Decides on one event. The caller runs the actions before it calls this or [`Supervisor::resume`]
    /// again.
    pub fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = self.decide(event, now);
        actions.extend(self.end_takeover(now));
        actions.extend(self.avoid());
        actions
    }

    /// Runs the next queued operation, unless a generation starts. [`Supervisor::step`] queues every
    /// operation, so this is called after each step until it returns `None`.
    pub fn resume(&mut self, now: Duration) -> Option<Vec<Action>> {
        if self.is_busy() {
            return None;
        }
        let operation = self.queue.pop()?;
        let mut actions = self.run_operation(operation, now);
        actions.extend(self.avoid());
        Some(actions)
    }

    fn decide(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Ready(id) => return self.ready(id, now),
            Event::Failed(id, why) => return self.failed(id, why, now),
            Event::Exited(id, exit) => return self.exited(id, exit, now),
            Event::Hung(id, silence) => return self.kill(id, Action::KillHung(id, silence), now),
            Event::BadMessage(id, what) => return self.kill(id, Action::KillUntrusted(id, what), now),
            Event::RootMoveReported(id) => return self.root_move_reported(id, now),
            Event::RootMoved => return self.reopen_roots(),
            Event::CertificatesChanged => return self.renew_certificates(),
            Event::Prepared { workers, drain_timeout, admin } => {
                return self.prepared(workers, drain_timeout, admin, now);
            }
            Event::HandAdminOn => return self.admin.close().into_iter().collect(),
            Event::Drain => return self.end(Supervisor::drain_all, now),
            Event::Stop => return self.end(Supervisor::stop_all, now),
            Event::Tick => return self.tick(now),
            Event::Draining(id) => self.takeover.iter_mut().for_each(|takeover| takeover.stopped(id)),
            Event::EndedLate(id) => self.ended_late(id),
            Event::AddressInUse(id) => self.admin.address_in_use(id, now),
            Event::Silent(id) => self.silent.push(id),
            Event::Heard(id) => self.silent.retain(|silent| *silent != id),
            Event::NotPrepared => self.preparing = None,
            Event::Asked(_) if self.ending => {}
            // Run by `resume`, at once if no generation starts.
            Event::Asked(operation) => self.queue.push(operation),
        }
        Vec::new()
    }

    /// When a [`Event::Tick`] is due, if time alone changes anything.
    pub fn deadline(&self) -> Option<Duration> {
        let slots = self.generations.iter().flat_map(|generation| &generation.slots);
        let takeover = self.takeover.as_ref().map(|takeover| takeover.until);
        slots.filter_map(ChildSlot::due).chain(self.admin.due()).chain(takeover).min()
    }

    /// True while operations have to wait: a generation is being prepared or starts, or the master is ending.
    pub fn is_busy(&self) -> bool {
        let starting = |generation: &GenerationSlots| generation.mode == Mode::Starting;
        self.preparing.is_some() || self.ending || self.generations.iter().any(starting)
    }

    /// True once the master is to end.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// The generation that serves, if there is one.
    pub fn current(&self) -> Option<u32> {
        self.in_mode(Mode::Serving).map(|generation| generation.number)
    }

    /// The number of workers that the serving generation should have.
    pub fn wanted(&self) -> Option<usize> {
        self.in_mode(Mode::Serving).map(|generation| generation.wanted)
    }

    /// True for a generation that is being prepared, starts or serves.
    pub fn is_active(&self, number: u32) -> bool {
        (self.preparing == Some(number) && !self.ending)
            || self.generations.iter().any(|g| g.number == number && g.mode != Mode::Leaving)
    }

    fn start_generation(
        &mut self,
        slots: usize,
        drain_timeout: Duration,
        admin: AdminChange,
        now: Duration,
    ) -> Vec<Action> {
        self.last_number += 1;
        // Its workers share the accept queues of the generation before.
        let waits = (self.current().is_some(), now);
        let generation = GenerationSlots::starting(self.last_number, slots, drain_timeout, admin, waits);
        let actions = (0..slots).map(|slot| Action::Start(generation.id(slot))).collect();
        self.generations.push(generation);
        actions
    }

    /// True if a worker of this generation that starts now accepts nothing until [`Action::Accept`].
    pub fn keeps_from_accepting(&self, number: u32) -> bool {
        self.generations.iter().any(|generation| generation.number == number && generation.waits)
    }

    fn in_mode(&self, mode: Mode) -> Option<&GenerationSlots> {
        self.generations.iter().find(|generation| generation.mode == mode)
    }

    fn generation(&mut self, number: u32) -> Option<&mut GenerationSlots> {
        self.generations.iter_mut().find(|generation| generation.number == number)
    }

    fn serving(&mut self) -> Option<&mut GenerationSlots> {
        self.generations.iter_mut().find(|generation| generation.mode == Mode::Serving)
    }

    /// Ends all workers by `how`, and the master after them. Drops the queued operations.
    fn end(&mut self, how: fn(&mut Supervisor, Duration) -> Vec<Action>, now: Duration) -> Vec<Action> {
        self.ending = true;
        self.queue = OperationQueue::default();
        let mut actions = how(self, now);
        actions.extend(self.remove_ended());
        actions
    }

    fn drain_all(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let leave = |generation: &mut GenerationSlots| match generation.mode {
            Mode::Serving => generation.drain(until),
            Mode::Starting => generation.leave(until, now),
            Mode::Leaving => Vec::new(),
        };
        self.generations.iter_mut().flat_map(leave).collect()
    }

    fn stop_all(&mut self, now: Duration) -> Vec<Action> {
        self.generations.iter_mut().flat_map(|generation| generation.stop(now)).collect()
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = self.give_up_overdue(now);
        actions.extend(self.admin.give_up_overdue(now));
        actions.extend(self.do_due(now));
        actions
    }

    /// What is due, but for giving up. The end of a child that was killed may be a later event of those that
    /// came at once.
    fn do_due(&mut self, now: Duration) -> Vec<Action> {
        let generations = self.generations.iter_mut().flat_map(|generation| generation.tick(now));
        generations.chain(self.admin.tick(now)).collect()
    }

    /// Removes the generations that have no worker left. If the master is ending and no generation is left,
    /// ends it.
    fn remove_ended(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        self.generations.retain(|generation| {
            if generation.is_over() {
                actions.push(Action::CloseGeneration(generation.number));
            }
            !generation.is_over()
        });
        if self.ending && self.generations.is_empty() {
            actions.extend(self.admin.close());
            actions.push(Action::Finish(self.failure.take()));
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::event::Operation;
    use super::*;
    use crate::sys::process::Exit;

    const KILLED: Exit = Exit::Signal(9);
    const LEFT: Exit = Exit::Code(0);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn id(generation: u32, slot: usize) -> ChildId {
        ChildId::worker(generation, slot)
    }

    fn starting(slots: usize) -> Supervisor {
        let (supervisor, actions) = Supervisor::start(slots, ms(30_000), false, ms(0));
        assert_eq!(actions, (0..slots).map(|slot| Action::Start(id(1, slot))).collect::<Vec<_>>());
        supervisor
    }

    fn running(slots: usize) -> Supervisor {
        let mut supervisor = starting(slots);
        for slot in 0..slots {
            let expected = if slot + 1 == slots { vec![Action::Commit(1)] } else { vec![] };
            assert_eq!(supervisor.step(Event::Ready(id(1, slot)), ms(5)), expected);
        }
        supervisor
    }

    /// What comes of an event, with the changes that had to wait for it.
    fn step(s: &mut Supervisor, event: Event, now: Duration) -> Vec<Action> {
        let mut actions = s.step(event, now);
        while let Some(more) = s.resume(now) {
            actions.extend(more);
        }
        actions
    }

    fn prepared(workers: usize, drain_timeout: Duration, admin: AdminChange) -> Event {
        Event::Prepared { workers, drain_timeout, admin }
    }

    /// Begins a reload to a generation of `slots` slots. Returns the actions that start them.
    #[track_caller]
    fn reload(s: &mut Supervisor, slots: usize, now: Duration) -> Vec<Action> {
        let number = s.last_number + 1;
        assert_eq!(step(s, Event::Asked(Operation::Reload), now), [Action::Prepare(number)]);
        step(s, prepared(slots, ms(7000), AdminChange::Keep), now)
    }

    #[test]
    fn a_worker_that_dies_is_replaced_at_once() {
        let mut s = running(2);
        let actions = step(&mut s, Event::Exited(id(1, 1), KILLED), ms(5000));
        assert_eq!(actions, [Action::LogExit(id(1, 1), KILLED, ms(0)), Action::Start(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Ready(id(1, 1)), ms(5010)), [], "the announcement is made once");
        assert_eq!(s.deadline(), None);
    }

    #[test]
    fn a_worker_that_dies_young_waits_longer_each_time_and_never_over_ten_seconds() {
        let mut s = running(1);
        let mut now = ms(50);
        for wait in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            let report = Action::LogExit(id(1, 0), KILLED, ms(wait));
            assert_eq!(step(&mut s, Event::Exited(id(1, 0), KILLED), now), [report]);
            assert_eq!(s.deadline(), Some(now + ms(wait)));
            assert_eq!(step(&mut s, Event::Tick, now + ms(wait) - ms(1)), []);
            now += ms(wait);
            assert_eq!(step(&mut s, Event::Tick, now), [Action::Start(id(1, 0))]);
        }
        now += ms(60_000);
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), now);
        assert_eq!(actions, [Action::LogExit(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
        now += ms(10);
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), now);
        assert_eq!(actions, [Action::LogExit(id(1, 0), KILLED, ms(100))]);
    }

    #[test]
    fn a_worker_that_lives_longer_than_it_was_waited_with_waits_no_longer() {
        let mut s = running(1);
        for round in 1..20 {
            let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(round * 101));
            assert_eq!(actions, [Action::LogExit(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
        }
    }

    #[test]
    fn new_connections_are_kept_from_a_silent_worker_until_it_is_heard() {
        let mut s = running(3);
        assert_eq!(step(&mut s, Event::Silent(id(1, 2)), ms(2000)), [Action::Avoid(vec![2])]);
        assert_eq!(step(&mut s, Event::Silent(id(1, 0)), ms(2010)), [Action::Avoid(vec![0, 2])]);
        assert_eq!(step(&mut s, Event::Tick, ms(2100)), []);
        assert_eq!(step(&mut s, Event::Heard(id(1, 2)), ms(2200)), [Action::Avoid(vec![0])]);
        assert_eq!(step(&mut s, Event::Heard(id(1, 0)), ms(2300)), [Action::Avoid(vec![])]);
    }

    #[test]
    fn when_no_worker_answers_no_slot_is_avoided() {
        let mut s = running(2);
        assert_eq!(step(&mut s, Event::Silent(id(1, 0)), ms(2000)), [Action::Avoid(vec![0])]);
        assert_eq!(step(&mut s, Event::Silent(id(1, 1)), ms(2000)), [Action::Avoid(vec![])]);
        assert_eq!(step(&mut s, Event::Heard(id(1, 0)), ms(2100)), [Action::Avoid(vec![1])]);
    }

    #[test]
    fn a_hung_worker_is_killed_once_and_replaced() {
        let mut s = running(2);
        assert_eq!(step(&mut s, Event::Silent(id(1, 1)), ms(2000)), [Action::Avoid(vec![1])]);
        let kill = Action::KillHung(id(1, 1), ms(30_000));
        assert_eq!(step(&mut s, Event::Hung(id(1, 1), ms(30_000)), ms(31_000)), [kill]);
        let actions = step(&mut s, Event::Exited(id(1, 1), KILLED), ms(31_001));
        let report = Action::LogExit(id(1, 1), KILLED, ms(0));
        assert_eq!(actions, [report, Action::Start(id(1, 1)), Action::Avoid(vec![])]);
        assert_eq!(step(&mut s, Event::Ready(id(1, 1)), ms(31_010)), []);
        assert_eq!(s.deadline(), None);
    }

    /// A supervisor of `slots` workers, of which the last one hung and was killed at 31 s.
    #[track_caller]
    fn with_a_killed_one(slots: usize) -> Supervisor {
        let (mut s, killed) = (running(slots), id(1, slots - 1));
        let kill = Action::KillHung(killed, ms(30_000));
        assert_eq!(step(&mut s, Event::Hung(killed, ms(30_000)), ms(31_000))[0], kill);
        assert_eq!(s.deadline(), Some(ms(36_000)));
        assert_eq!(step(&mut s, Event::Tick, ms(35_999)), []);
        s
    }

    #[test]
    fn a_killed_worker_that_does_not_end_is_given_up_and_its_slot_filled_once() {
        let mut s = with_a_killed_one(2);
        let give_up = Action::GiveUp(id(1, 1), Some(ms(0)));
        let expected = [give_up, Action::Start(id(1, 1)), Action::Avoid(vec![])];
        assert_eq!(step(&mut s, Event::Tick, ms(36_000)), expected);
        assert_eq!((step(&mut s, Event::Tick, ms(99_000)), s.deadline()), (vec![], None));
        assert_eq!(step(&mut s, Event::Ready(id(1, 1)), ms(99_010)), []);
        // The next one can hang as well.
        let kill = Action::KillHung(id(1, 1), ms(30_000));
        let actions = step(&mut s, Event::Hung(id(1, 1), ms(30_000)), ms(131_000));
        assert_eq!(actions, [kill, Action::Avoid(vec![1])]);
        let give_up = Action::GiveUp(id(1, 1), Some(ms(0)));
        assert_eq!(step(&mut s, Event::Tick, ms(136_000))[..2], [give_up, Action::Start(id(1, 1))]);
    }

    #[test]
    fn a_slot_whose_workers_do_not_end_has_no_more_than_a_few() {
        let mut s = running(1);
        let mut now = ms(31_000);
        for _ in 0..4 {
            step(&mut s, Event::Hung(id(1, 0), ms(30_000)), now);
            now += ms(5000);
            assert_eq!(step(&mut s, Event::Tick, now)[0], Action::GiveUp(id(1, 0), Some(ms(0))));
            now += ms(30_000);
        }
        step(&mut s, Event::Hung(id(1, 0), ms(30_000)), now);
        for _ in 0..10 {
            now += ms(5000);
            assert_eq!(step(&mut s, Event::Tick, now), []);
            assert_eq!(s.deadline(), Some(now + ms(5000)));
        }
        assert_eq!(step(&mut s, Event::EndedLate(id(1, 0)), now), []);
        now += ms(5000);
        assert_eq!(step(&mut s, Event::Tick, now)[0], Action::GiveUp(id(1, 0), Some(ms(0))));
        // The end of the master is not held up.
        now += ms(30_000);
        step(&mut s, Event::Hung(id(1, 0), ms(30_000)), now);
        step(&mut s, Event::Stop, now);
        let end = step(&mut s, Event::Tick, now + ms(5000));
        assert_eq!(end, [Action::GiveUp(id(1, 0), None), Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_killed_worker_whose_end_is_among_the_next_events_is_not_given_up() {
        let mut s = with_a_killed_one(2);
        let ended = |slot| Action::LogExit(id(1, slot), KILLED, ms(0));
        // The master had no turn for a while.
        let first = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(40_000));
        assert_eq!(first[..2], [ended(0), Action::Start(id(1, 0))]);
        let second = step(&mut s, Event::Exited(id(1, 1), KILLED), ms(40_000));
        assert_eq!(second[..2], [ended(1), Action::Start(id(1, 1))]);
    }

    #[test]
    fn a_killed_worker_that_ends_in_time_is_not_given_up() {
        let mut s = with_a_killed_one(1);
        let report = Action::LogExit(id(1, 0), KILLED, ms(0));
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(35_999));
        assert_eq!(actions, [report, Action::Start(id(1, 0))]);
        assert_eq!((step(&mut s, Event::Tick, ms(36_000)), s.deadline()), (vec![], None));
    }

    #[test]
    fn several_workers_are_given_up_at_once() {
        let mut s = running(3);
        for slot in 0..3 {
            step(&mut s, Event::Hung(id(1, slot), ms(30_000)), ms(31_000));
        }
        let given_up = (0..3).map(|slot| Action::GiveUp(id(1, slot), Some(ms(0))));
        let started = (0..3).map(|slot| Action::Start(id(1, slot)));
        let actions = step(&mut s, Event::Tick, ms(36_000));
        for action in given_up.chain(started) {
            assert_eq!(actions.iter().filter(|found| **found == action).count(), 1, "{actions:?}");
        }
        assert_eq!(actions.len(), 6, "{actions:?}");
    }

    #[test]
    fn a_killed_worker_that_does_not_end_holds_up_no_end_for_long() {
        for (event, how) in [(Event::Stop, "stop"), (Event::Drain, "drain")] {
            let mut s = with_a_killed_one(1);
            assert_eq!(step(&mut s, event, ms(35_999)), [], "{how}: it is killed already");
            let end = step(&mut s, Event::Tick, ms(36_000));
            let give_up = Action::GiveUp(id(1, 0), None);
            assert_eq!(end, [give_up, Action::CloseGeneration(1), Action::Finish(None)], "{how}");
        }
    }

    #[test]
    fn a_stop_ends_although_a_worker_does_not() {
        let mut s = running(2);
        assert_eq!(step(&mut s, Event::Stop, ms(1000)), [Action::Stop(id(1, 0)), Action::Stop(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), LEFT), ms(1001)), []);
        assert_eq!(step(&mut s, Event::Tick, ms(3000)), [Action::Kill(id(1, 1))]);
        assert_eq!(s.deadline(), Some(ms(8000)));
        assert_eq!(step(&mut s, Event::Tick, ms(7999)), [], "it is killed once");
        let end = step(&mut s, Event::Tick, ms(8000));
        assert_eq!(end, [Action::GiveUp(id(1, 1), None), Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_reload_is_complete_although_a_worker_of_the_generation_before_does_not_end() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        step(&mut s, Event::Ready(id(2, 0)), ms(2010));
        assert_eq!(step(&mut s, Event::Tick, ms(2509)), []);
        assert_eq!(step(&mut s, Event::Tick, ms(2510)), [Action::Accept(id(2, 0))], "it waits no longer");
        assert_eq!(step(&mut s, Event::Tick, ms(9010)), [Action::Stop(id(1, 0))]);
        assert_eq!(step(&mut s, Event::Tick, ms(11_010)), [Action::Kill(id(1, 0))]);
        let actions = step(&mut s, Event::Tick, ms(16_010));
        assert_eq!(actions, [Action::GiveUp(id(1, 0), None), Action::CloseGeneration(1)]);
        assert_eq!((s.current(), s.deadline()), (Some(2), None));
    }

    #[test]
    fn a_slot_that_is_wanted_again_is_filled_although_its_worker_does_not_end() {
        let mut s = running(2);
        step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2000));
        step(&mut s, Event::Asked(Operation::AddWorker), ms(2001));
        let kill = Action::KillHung(id(1, 1), ms(30_000));
        assert_eq!(step(&mut s, Event::Hung(id(1, 1), ms(30_000)), ms(30_000)), [kill]);
        let actions = step(&mut s, Event::Tick, ms(35_000));
        assert_eq!(actions, [Action::GiveUp(id(1, 1), None), Action::Start(id(1, 1))]);
    }

    #[test]
    fn a_start_fails_although_the_worker_that_hung_in_it_does_not_end() {
        let mut s = starting(1);
        step(&mut s, Event::Hung(id(1, 0), ms(30_000)), ms(30_000));
        let words = "it hung, was killed and has not ended".to_owned();
        let finish = Action::Finish(Some((0, words)));
        let end = step(&mut s, Event::Tick, ms(35_000));
        assert_eq!(end, [Action::GiveUp(id(1, 0), None), Action::CloseGeneration(1), finish]);
    }

    #[test]
    fn a_worker_that_hangs_in_the_first_start_ends_it() {
        let mut s = starting(2);
        assert_eq!(step(&mut s, Event::Silent(id(1, 0)), ms(1000)), []);
        let kill = Action::KillHung(id(1, 0), ms(30_000));
        assert_eq!(step(&mut s, Event::Hung(id(1, 0), ms(30_000)), ms(30_000)), [kill]);
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), KILLED), ms(30_001)), [Action::Stop(id(1, 1))]);
    }

    #[test]
    fn a_slot_whose_next_worker_has_to_wait_is_avoided() {
        let mut s = running(2);
        let report = Action::LogExit(id(1, 0), KILLED, ms(100));
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), KILLED), ms(50)), [report, Action::Avoid(vec![0])]);
        let actions = step(&mut s, Event::Tick, ms(150));
        assert_eq!(actions, [Action::Start(id(1, 0)), Action::Avoid(vec![])]);
    }

    #[test]
    fn a_slot_is_answered_by_the_next_generation_once_that_takes_over() {
        let mut s = running(2);
        step(&mut s, Event::Silent(id(1, 0)), ms(2000));
        let start = [Action::Start(id(2, 0)), Action::Start(id(2, 1))];
        assert_eq!(reload(&mut s, 2, ms(2100)), start);
        assert_eq!(step(&mut s, Event::Ready(id(2, 0)), ms(2110)), []);
        let actions = step(&mut s, Event::Ready(id(2, 1)), ms(2120));
        let drains = [Action::Drain(id(1, 0)), Action::Drain(id(1, 1))];
        assert_eq!(actions, [&[Action::Commit(2)], &drains[..], &[Action::Avoid(vec![])]].concat());
        // The silent one is not waited for.
        let accept = [Action::Accept(id(2, 0)), Action::Accept(id(2, 1))];
        assert_eq!(step(&mut s, Event::Draining(id(1, 1)), ms(2121)), accept);
        let kill = Action::KillHung(id(1, 0), ms(30_000));
        assert_eq!(step(&mut s, Event::Hung(id(1, 0), ms(30_000)), ms(31_000)), [kill], "it drains for ever");
    }

    #[test]
    fn a_failure_before_all_serve_ends_the_start_with_its_words() {
        let mut s = starting(2);
        assert_eq!(step(&mut s, Event::Ready(id(1, 0)), ms(1)), []);
        let actions = step(&mut s, Event::Failed(id(1, 1), "no".into()), ms(2));
        assert_eq!(actions, [Action::Stop(id(1, 0)), Action::Stop(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Exited(id(1, 1), Exit::Code(1)), ms(3)), []);
        let end = step(&mut s, Event::Exited(id(1, 0), LEFT), ms(4));
        assert_eq!(end, [Action::CloseGeneration(1), Action::Finish(Some((1, "no".into())))]);
    }

    #[test]
    fn a_death_before_all_serve_ends_the_start() {
        let mut s = starting(1);
        let actions = step(&mut s, Event::Exited(id(1, 0), Exit::Signal(11)), ms(3));
        let words = "it ended before it served (signal 11, SIGSEGV)".to_owned();
        assert_eq!(actions, [Action::CloseGeneration(1), Action::Finish(Some((0, words)))]);
    }

    #[test]
    fn a_failure_later_is_told_and_tried_again() {
        let mut s = running(1);
        step(&mut s, Event::Exited(id(1, 0), KILLED), ms(5000));
        let actions = step(&mut s, Event::Failed(id(1, 0), "no".into()), ms(5001));
        assert_eq!(actions, [Action::LogStartFailure(id(1, 0), "no".into())]);
        let actions = step(&mut s, Event::Exited(id(1, 0), Exit::Code(1)), ms(5002));
        assert_eq!(actions, [Action::LogExit(id(1, 0), Exit::Code(1), ms(100))]);
    }

    #[test]
    fn a_drain_ends_with_the_last_worker_and_replaces_none() {
        let mut s = running(2);
        assert_eq!(step(&mut s, Event::Drain, ms(2000)), [Action::Drain(id(1, 0)), Action::Drain(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Drain, ms(2001)), []);
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2500)), []);
        let end = step(&mut s, Event::Exited(id(1, 1), KILLED), ms(2600));
        assert_eq!(end, [Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_drain_that_takes_too_long_becomes_a_stop_and_then_force() {
        let mut s = running(1);
        step(&mut s, Event::Drain, ms(1000));
        assert_eq!(s.deadline(), Some(ms(31_000)));
        assert_eq!(step(&mut s, Event::Tick, ms(31_000)), [Action::Stop(id(1, 0))]);
        assert_eq!(step(&mut s, Event::Tick, ms(32_999)), []);
        assert_eq!(step(&mut s, Event::Tick, ms(33_000)), [Action::Kill(id(1, 0))]);
        let end = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(33_001));
        assert_eq!(end, [Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_stop_cuts_a_drain_short_and_a_second_stop_changes_nothing() {
        let mut s = running(1);
        step(&mut s, Event::Drain, ms(1000));
        assert_eq!(step(&mut s, Event::Stop, ms(1500)), [Action::Stop(id(1, 0))]);
        assert_eq!(step(&mut s, Event::Stop, ms(1600)), []);
        assert_eq!(s.deadline(), Some(ms(3500)));
    }

    #[test]
    fn a_slot_that_waits_for_its_successor_holds_up_no_end() {
        let mut s = running(1);
        step(&mut s, Event::Exited(id(1, 0), KILLED), ms(50));
        assert_eq!(step(&mut s, Event::Drain, ms(60)), [Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_reload_starts_the_next_generation_and_then_drains_the_one_before() {
        let mut s = running(2);
        assert!(!s.is_busy());
        assert_eq!(reload(&mut s, 1, ms(2000)), [Action::Start(id(2, 0))]);
        assert_eq!((s.is_busy(), s.current()), (true, Some(1)));
        let actions = step(&mut s, Event::Ready(id(2, 0)), ms(2010));
        assert_eq!(actions, [Action::Commit(2), Action::Drain(id(1, 0)), Action::Drain(id(1, 1))]);
        assert_eq!((s.is_busy(), s.current()), (false, Some(2)));
        assert!(s.keeps_from_accepting(2));
        assert_eq!(step(&mut s, Event::Draining(id(1, 0)), ms(2011)), []);
        assert_eq!(step(&mut s, Event::Draining(id(7, 0)), ms(2011)), []);
        assert_eq!(step(&mut s, Event::Draining(id(1, 1)), ms(2012)), [Action::Accept(id(2, 0))]);
        assert!(!s.keeps_from_accepting(2));
        assert_eq!(s.deadline(), Some(ms(9010)));
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2020)), []);
        assert_eq!(step(&mut s, Event::Exited(id(1, 1), KILLED), ms(2021)), [Action::CloseGeneration(1)]);
        assert_eq!(step(&mut s, Event::Drain, ms(4000)), [Action::Drain(id(2, 0))]);
    }

    #[test]
    fn a_worker_that_ends_is_not_waited_for_and_a_later_generation_waits_for_all() {
        let mut s = running(2);
        reload(&mut s, 1, ms(2000));
        step(&mut s, Event::Ready(id(2, 0)), ms(2001));
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), KILLED), ms(2002)), []);
        reload(&mut s, 1, ms(2003));
        let actions = step(&mut s, Event::Ready(id(3, 0)), ms(2004));
        assert_eq!(actions, [Action::Commit(3), Action::Drain(id(2, 0))]);
        assert_eq!(step(&mut s, Event::Draining(id(2, 0)), ms(2005)), []);
        let actions = step(&mut s, Event::Exited(id(1, 1), LEFT), ms(2006));
        assert_eq!(actions, [Action::CloseGeneration(1), Action::Accept(id(3, 0))]);
    }

    #[test]
    fn a_reload_whose_generation_fails_leaves_the_one_before() {
        let mut s = running(1);
        reload(&mut s, 2, ms(2000));
        step(&mut s, Event::Ready(id(2, 0)), ms(2001));
        let actions = step(&mut s, Event::Failed(id(2, 1), "no".into()), ms(2002));
        let abandon = Action::AbandonReload(2, 1, "no".into());
        assert_eq!(
            actions,
            [abandon, Action::Drain(id(2, 0)), Action::Stop(id(2, 1))],
            "one has clients already"
        );
        assert_eq!(step(&mut s, Event::Failed(id(2, 0), "no".into()), ms(2002)), [], "that is said once");
        assert_eq!(step(&mut s, Event::Exited(id(2, 1), Exit::Code(1)), ms(2003)), []);
        assert_eq!(step(&mut s, Event::Exited(id(2, 0), LEFT), ms(2004)), [Action::CloseGeneration(2)]);
        assert_eq!((s.is_busy(), s.current(), s.wanted()), (false, Some(1), Some(1)));
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(5000));
        assert_eq!(actions[1], Action::Start(id(1, 0)), "the old generation is still supervised");
    }

    #[test]
    fn a_worker_of_the_generation_before_is_replaced_while_the_next_starts() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(2001));
        assert_eq!(actions, [Action::LogExit(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
    }

    #[test]
    fn an_end_during_a_reload_takes_both_generations_along() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        assert_eq!(step(&mut s, Event::Drain, ms(2001)), [Action::Drain(id(1, 0)), Action::Stop(id(2, 0))]);
        assert_eq!(step(&mut s, Event::Ready(id(2, 0)), ms(2002)), []);
        assert_eq!(step(&mut s, Event::Exited(id(2, 0), LEFT), ms(2003)), [Action::CloseGeneration(2)]);
        let end = step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2004));
        assert_eq!(end, [Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn an_emptied_master_stays_and_takes_a_reload() {
        let mut s = running(1);
        let empty = [Action::KeepListeners(1), Action::Drain(id(1, 0))];
        assert_eq!(step(&mut s, Event::Asked(Operation::DrainWorkers), ms(2000)), empty);
        assert_eq!(step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2001)), [Action::CloseGeneration(1)]);
        assert_eq!(step(&mut s, Event::Tick, ms(9000)), []);
        assert_eq!(reload(&mut s, 1, ms(9001)), [Action::Start(id(2, 0))]);
        assert_eq!(step(&mut s, Event::Ready(id(2, 0)), ms(9002)), [Action::Commit(2)]);
    }

    #[test]
    fn workers_are_added_and_taken_away_one_by_one() {
        let mut s = running(1);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2000)), [], "the last one stays");
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2001)), [Action::Start(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Ready(id(1, 1)), ms(2002)), []);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2003)), [Action::Drain(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2004)), []);
        assert_eq!(step(&mut s, Event::Exited(id(1, 1), LEFT), ms(2005)), [], "and is not replaced");
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2006)), [Action::Start(id(1, 1))]);
    }

    #[test]
    fn a_slot_that_is_wanted_again_while_its_worker_drains_is_filled_when_it_has_ended() {
        let mut s = running(3);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2000)), [Action::Drain(id(1, 2))]);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2001)), [Action::Drain(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2002)), []);
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2003)), []);
        assert_eq!(
            step(&mut s, Event::Exited(id(1, 2), LEFT), ms(2004)),
            [],
            "slot 1 would have listeners and no worker"
        );
        let start = [Action::Start(id(1, 1)), Action::Start(id(1, 2))];
        assert_eq!(step(&mut s, Event::Exited(id(1, 1), LEFT), ms(2005)), start);
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2006)), [Action::Start(id(1, 3))]);
    }

    #[test]
    fn a_slot_that_is_wanted_again_and_then_not_stays_empty() {
        let mut s = running(2);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2000)), [Action::Drain(id(1, 1))]);
        assert_eq!(step(&mut s, Event::Asked(Operation::AddWorker), ms(2001)), []);
        assert_eq!(step(&mut s, Event::Asked(Operation::RemoveWorker), ms(2002)), []);
        assert_eq!(step(&mut s, Event::Exited(id(1, 1), LEFT), ms(2003)), []);
    }

    #[test]
    fn a_slot_that_waits_for_its_successor_is_taken_away_with_its_listeners() {
        let mut s = running(2);
        step(&mut s, Event::Exited(id(1, 1), KILLED), ms(50));
        assert_eq!(
            step(&mut s, Event::Asked(Operation::RemoveWorker), ms(60)),
            [Action::Drain(id(1, 1)), Action::Avoid(vec![])]
        );
        assert_eq!(step(&mut s, Event::Tick, ms(1000)), []);
    }

    #[test]
    fn reloads_asked_for_while_one_is_under_way_come_to_one_more() {
        let mut s = running(1);
        assert_eq!(step(&mut s, Event::Asked(Operation::Reload), ms(2000)), [Action::Prepare(2)]);
        assert_eq!(step(&mut s, Event::Asked(Operation::Reload), ms(2000)), [], "while it is being opened");
        assert_eq!(
            step(&mut s, prepared(1, ms(7000), AdminChange::Keep), ms(2000)),
            [Action::Start(id(2, 0))]
        );
        assert_eq!(step(&mut s, Event::Asked(Operation::Reload), ms(2001)), []);
        let actions = step(&mut s, Event::Ready(id(2, 0)), ms(2002));
        assert_eq!(actions, [Action::Commit(2), Action::Drain(id(1, 0)), Action::Prepare(3)]);
        assert_eq!(
            step(&mut s, prepared(1, ms(7000), AdminChange::Keep), ms(2003)),
            [Action::Start(id(3, 0))]
        );
        assert_eq!(
            step(&mut s, Event::Ready(id(3, 0)), ms(2004)),
            [Action::Commit(3), Action::Drain(id(2, 0))]
        );
        assert!(!s.is_busy());
    }

    #[test]
    fn a_reload_that_waits_follows_one_that_fails() {
        let mut s = running(1);
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        assert_eq!(step(&mut s, Event::NotPrepared, ms(2001)), [Action::Prepare(2)]);
        step(&mut s, prepared(1, ms(7000), AdminChange::Keep), ms(2002));
        step(&mut s, Event::Asked(Operation::Reload), ms(2003));
        let actions = step(&mut s, Event::Failed(id(2, 0), "no".into()), ms(2004));
        assert_eq!(
            actions,
            [Action::AbandonReload(2, 0, "no".into()), Action::Stop(id(2, 0)), Action::Prepare(3)]
        );
        assert_eq!(step(&mut s, Event::NotPrepared, ms(2005)), []);
        assert!(!s.is_busy());
    }

    #[test]
    fn a_reload_asked_for_during_the_first_start_follows_it() {
        let mut s = starting(1);
        assert_eq!(step(&mut s, Event::Asked(Operation::Reload), ms(1)), []);
        assert_eq!(step(&mut s, Event::Ready(id(1, 0)), ms(2)), [Action::Commit(1), Action::Prepare(2)]);
    }

    #[test]
    fn workers_added_and_taken_away_during_a_reload_count_from_its_number() {
        let mut s = running(1);
        reload(&mut s, 2, ms(2000));
        for change in [
            Operation::RemoveWorker,
            Operation::AddWorker,
            Operation::AddWorker,
            Operation::RemoveWorker,
            Operation::AddWorker,
        ] {
            assert_eq!(step(&mut s, Event::Asked(change), ms(2001)), []);
        }
        step(&mut s, Event::Ready(id(2, 0)), ms(2002));
        let actions = step(&mut s, Event::Ready(id(2, 1)), ms(2003));
        let expected = [Action::Commit(2), Action::Drain(id(1, 0))];
        assert_eq!(actions[..2], expected);
        assert_eq!(actions[2..], [Action::Drain(id(2, 1))], "one less, then two more when that has ended");
        assert_eq!(s.wanted(), Some(3));
    }

    #[test]
    fn a_later_reload_makes_up_for_all_that_waits_but_an_upgrade() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        for change in [
            Operation::AddWorker,
            Operation::Upgrade,
            Operation::DrainWorkers,
            Operation::Reload,
            Operation::AddWorker,
        ] {
            assert_eq!(step(&mut s, Event::Asked(change), ms(2001)), []);
        }
        let actions = step(&mut s, Event::Ready(id(2, 0)), ms(2002));
        assert_eq!(actions, [Action::Commit(2), Action::Drain(id(1, 0)), Action::Prepare(3)]);
        step(&mut s, prepared(1, ms(7000), AdminChange::Keep), ms(2003));
        let actions = step(&mut s, Event::Ready(id(3, 0)), ms(2004));
        let expected = [Action::Commit(3), Action::Drain(id(2, 0))];
        assert_eq!(actions[..2], expected);
        assert_eq!(actions[2..], [Action::Start(id(3, 1)), Action::Upgrade]);
    }

    #[test]
    fn a_master_emptied_during_a_reload_is_empty_afterwards() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        assert_eq!(step(&mut s, Event::Asked(Operation::DrainWorkers), ms(2001)), []);
        assert_eq!(
            step(&mut s, Event::Asked(Operation::AddWorker), ms(2001)),
            [],
            "there is nothing to add to"
        );
        let actions = step(&mut s, Event::Ready(id(2, 0)), ms(2002));
        let expected = [Action::Commit(2), Action::Drain(id(1, 0))];
        assert_eq!(actions[..2], expected);
        assert_eq!(actions[2..], [Action::KeepListeners(2), Action::Drain(id(2, 0))]);
        assert_eq!((s.is_busy(), s.current()), (false, None));
    }

    #[test]
    fn an_end_forgets_what_waits_and_what_is_being_opened() {
        let mut s = running(1);
        assert!(!s.is_active(2));
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        assert!(s.is_active(2), "its listeners are in use");
        assert_eq!(step(&mut s, Event::Drain, ms(2001)), [Action::Drain(id(1, 0))]);
        assert!(!s.is_active(2));
        assert_eq!(
            step(&mut s, prepared(1, ms(7000), AdminChange::Keep), ms(2002)),
            [Action::CloseGeneration(2)]
        );
        assert_eq!(step(&mut s, Event::Asked(Operation::Reload), ms(2003)), []);
        let end = step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2004));
        assert_eq!(end, [Action::CloseGeneration(1), Action::Finish(None)]);
    }

    #[test]
    fn a_drain_takes_the_time_of_the_settings_that_serve() {
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        step(&mut s, Event::Failed(id(2, 0), "no".into()), ms(2001));
        step(&mut s, Event::Exited(id(2, 0), Exit::Code(1)), ms(2002));
        step(&mut s, Event::Drain, ms(3000));
        assert_eq!(s.deadline(), Some(ms(33_000)), "those of the failed reload never counted");
        let mut s = running(1);
        reload(&mut s, 1, ms(2000));
        step(&mut s, Event::Ready(id(2, 0)), ms(2001));
        step(&mut s, Event::Draining(id(1, 0)), ms(2002));
        assert_eq!(s.deadline(), Some(ms(9001)));
    }

    #[test]
    fn the_next_generation_follows_a_root_with_as_many_workers_as_there_are() {
        let mut s = running(1);
        step(&mut s, Event::Asked(Operation::AddWorker), ms(1000));
        assert_eq!(step(&mut s, Event::RootMoveReported(id(1, 0)), ms(2000)), [Action::ReopenRoots(2, 2)]);
        assert_eq!(step(&mut s, Event::RootMoveReported(id(1, 0)), ms(2001)), [], "it is on the way");
        step(&mut s, Event::Asked(Operation::Reload), ms(2002));
        assert_eq!(
            step(&mut s, Event::NotPrepared, ms(2003)),
            [Action::Prepare(2)],
            "what an operator asks for is kept"
        );
        step(&mut s, Event::NotPrepared, ms(2004));
        assert_eq!(
            step(&mut s, Event::RootMoveReported(id(7, 0)), ms(9000)),
            [],
            "it is not of those that serve"
        );
    }

    #[test]
    fn what_the_master_has_seen_itself_is_followed_each_time() {
        let mut s = running(1);
        for second in 2..20 {
            let now = ms(second * 1000);
            assert_eq!(step(&mut s, Event::RootMoved, now), [Action::ReopenRoots(2, 1)]);
            assert_eq!(step(&mut s, Event::RootMoved, now), [], "it is on the way");
            step(&mut s, Event::NotPrepared, now);
        }
    }

    #[test]
    fn new_certificates_start_a_generation_with_as_many_workers_as_there_are() {
        let mut s = running(2);
        step(&mut s, Event::Asked(Operation::AddWorker), ms(1000));
        let expected = [Action::RenewCertificates(2, 3)];
        assert_eq!(step(&mut s, Event::CertificatesChanged, ms(2000)), expected);
        assert_eq!(step(&mut s, Event::CertificatesChanged, ms(2001)), [], "it is on the way");
        let starts: Vec<Action> = (0..3).map(|slot| Action::Start(id(2, slot))).collect();
        assert_eq!(step(&mut s, prepared(3, ms(7000), AdminChange::Keep), ms(2002)), starts);
    }

    #[test]
    fn reports_cause_ever_fewer_reloads_while_they_go_on() {
        let mut s = running(1);
        let mut reloads = Vec::new();
        for tenth in 0..3000 {
            let now = ms(10_000 + tenth * 100);
            if step(&mut s, Event::RootMoveReported(id(1, 0)), now) == [Action::ReopenRoots(2, 1)] {
                reloads.push(tenth * 100);
                step(&mut s, Event::NotPrepared, now);
            }
        }
        assert_eq!(reloads[..5], [0, 1000, 3000, 7000, 15_000]);
        assert_eq!(reloads.len(), 10, "{reloads:?}");
        // After some quiet a report counts at once.
        let later = ms(10_000_000);
        assert_eq!(step(&mut s, Event::RootMoveReported(id(1, 0)), later), [Action::ReopenRoots(2, 1)]);
        step(&mut s, Event::NotPrepared, later);
        assert_eq!(step(&mut s, Event::RootMoveReported(id(1, 0)), later + ms(999)), []);
        assert_eq!(
            step(&mut s, Event::RootMoveReported(id(1, 0)), later + ms(5000)),
            [Action::ReopenRoots(2, 1)]
        );
        step(&mut s, Event::NotPrepared, later + ms(5000));
        assert_eq!(
            step(&mut s, Event::RootMoveReported(id(1, 0)), later + ms(6000)),
            [Action::ReopenRoots(2, 1)]
        );
    }

    #[test]
    fn a_worker_that_sends_what_no_worker_sends_is_killed_and_replaced() {
        let mut s = running(1);
        assert_eq!(
            step(&mut s, Event::BadMessage(id(1, 0), "x"), ms(2000)),
            [Action::KillUntrusted(id(1, 0), "x")]
        );
        let actions = step(&mut s, Event::Exited(id(1, 0), KILLED), ms(2001));
        assert_eq!(actions, [Action::LogExit(id(1, 0), KILLED, ms(0)), Action::Start(id(1, 0))]);
        assert_eq!(step(&mut s, Event::BadMessage(id(8, 0), "x"), ms(2002)), [], "there is no such worker");
    }

    #[test]
    fn the_admin_process_starts_after_the_workers_is_replaced_with_a_generation_and_ends_last() {
        let (mut s, actions) = Supervisor::start(1, ms(30_000), true, ms(0));
        assert_eq!(actions, [Action::Start(id(1, 0)), Action::Start(ChildId::admin(1))]);
        assert_eq!(step(&mut s, Event::Ready(ChildId::admin(1)), ms(1)), [], "it is no worker");
        assert_eq!(step(&mut s, Event::Ready(id(1, 0)), ms(1)), [Action::Commit(1)]);
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        let opened = prepared(1, ms(7000), AdminChange::Replace);
        assert_eq!(step(&mut s, opened, ms(2001)), [Action::Start(id(2, 0))]);
        let expected = [
            Action::Commit(2),
            Action::SwitchAdmin(2),
            Action::Drain(id(1, 0)),
            Action::Start(ChildId::admin(2)),
        ];
        assert_eq!(step(&mut s, Event::Ready(id(2, 0)), ms(2002)), expected);
        step(&mut s, Event::Exited(id(1, 0), LEFT), ms(2003));
        let failed = Event::Failed(ChildId::admin(2), "no".into());
        let log = Action::LogStartFailure(ChildId::admin(2), "no".into());
        assert_eq!(step(&mut s, failed, ms(2004)), [log]);
        assert_eq!(step(&mut s, Event::Drain, ms(3000)), [Action::Drain(id(2, 0))]);
        let end = step(&mut s, Event::Exited(id(2, 0), LEFT), ms(3001));
        assert_eq!(end, [Action::CloseGeneration(2), Action::CloseAdmin, Action::Finish(None)]);
    }

    #[test]
    fn the_admin_process_of_a_generation_that_fails_is_not_started() {
        let (mut s, _) = Supervisor::start(1, ms(30_000), true, ms(0));
        step(&mut s, Event::Ready(id(1, 0)), ms(1));
        step(&mut s, Event::Asked(Operation::Reload), ms(2000));
        step(&mut s, prepared(1, ms(7000), AdminChange::Close), ms(2001));
        let actions = step(&mut s, Event::Failed(id(2, 0), "no".into()), ms(2002));
        assert_eq!(actions, [Action::AbandonReload(2, 0, "no".into()), Action::Stop(id(2, 0))]);
        assert_eq!(step(&mut s, Event::HandAdminOn, ms(2003)), [Action::CloseAdmin]);
    }
}
