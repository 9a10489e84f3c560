//! What the supervisor decides when a child process serves, fails, ends, has to be killed or is given up.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, ChildId, ChildKind};
use super::generation_slots::{GenerationSlots, Mode};
use super::slot::SlotState;
use super::takeover::Takeover;
use crate::sys::process::Exit;

/// How many workers of a slot may have been given up and not have ended, when the next one is started.
const MAX_GIVEN_UP: usize = 4;

impl Supervisor {
    pub(super) fn ready(&mut self, id: ChildId, now: Duration) -> Vec<Action> {
        if id.kind == ChildKind::Admin {
            self.admin.ready(id);
            return Vec::new();
        }
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        generation.slots[id.slot].ready();
        if generation.all_serve() && generation.mode == Mode::Starting {
            self.commit(id.generation, now)
        } else {
            Vec::new()
        }
    }

    /// All workers of a generation serve: it becomes the serving generation, and the one before drains.
    fn commit(&mut self, number: u32, now: Duration) -> Vec<Action> {
        let Some(generation) = self.generation(number) else { return Vec::new() };
        let (drain_timeout, admin) = (generation.drain_timeout, generation.admin);
        self.drain_timeout = drain_timeout;
        // The commit comes first: what is logged of the admin process goes to the new log.
        let mut actions = vec![Action::Commit(number)];
        actions.extend(self.admin.change(number, admin, now));
        let mut accepting = Vec::new();
        if let Some(before) = self.serving() {
            accepting = before.serving();
            actions.extend(before.drain(now + drain_timeout));
        }
        // One that hangs accepts nothing, and does not answer.
        accepting.retain(|id| !self.silent.contains(id));
        self.takeover = Some(Takeover::begin(number, accepting, self.takeover.take(), now));
        if let Some(generation) = self.generation(number) {
            generation.mode = Mode::Serving;
        }
        actions.extend(self.remove_ended());
        // After the commit, since it inherits the error log.
        actions.extend(self.admin.tick(now));
        actions
    }

    /// Has the workers of the serving generation accept, once none of the generation before does.
    pub(super) fn end_takeover(&mut self, now: Duration) -> Vec<Action> {
        let Some(takeover) = self.takeover.take_if(|takeover| takeover.is_over(now)) else {
            return Vec::new();
        };
        self.generation(takeover.number).map(GenerationSlots::accept).unwrap_or_default()
    }

    pub(super) fn failed(&mut self, id: ChildId, why: String, now: Duration) -> Vec<Action> {
        if id.kind == ChildKind::Admin {
            return vec![Action::LogStartFailure(id, why)];
        }
        match self.generation(id.generation).map(|generation| generation.mode) {
            Some(Mode::Starting) => self.abandon(id, why, now),
            Some(Mode::Serving) => vec![Action::LogStartFailure(id, why)],
            // Its generation serves no more, or has failed already: the first of its workers has said why.
            Some(Mode::Leaving) | None => Vec::new(),
        }
    }

    pub(super) fn exited(&mut self, id: ChildId, exit: Exit, now: Duration) -> Vec<Action> {
        match id.kind {
            ChildKind::Worker => self.worker_ended(id, Some(exit), now),
            ChildKind::Admin => {
                let log = self.admin.exited(id, exit, now);
                log.into_iter().chain(self.admin.tick(now)).collect()
            }
        }
    }

    /// A worker has ended, or without an `exit` is given up: it was killed and has not ended.
    fn worker_ended(&mut self, id: ChildId, exit: Option<Exit>, now: Duration) -> Vec<Action> {
        self.silent.retain(|silent| *silent != id);
        self.takeover.iter_mut().for_each(|takeover| takeover.stopped(id));
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        let state = generation.slots[id.slot].exited();
        if let SlotState::Booting(since) | SlotState::Serving(since) | SlotState::Hung { since, .. } = state
            && generation.mode == Mode::Serving
        {
            let wait = generation.slots[id.slot].schedule_next(since, now);
            let log = exit.map_or(Action::GiveUp(id, Some(wait)), |exit| Action::LogExit(id, exit, wait));
            return std::iter::once(log).chain(self.do_due(now)).collect();
        }
        let mut actions = Vec::new();
        if exit.is_none() {
            actions.push(Action::GiveUp(id, None));
        }
        actions.extend(match generation.mode {
            Mode::Starting => self.abandon(id, why_not_there(state, exit), now),
            Mode::Serving => generation.fill(now),
            Mode::Leaving => self.remove_ended(),
        });
        actions
    }

    /// Gives up the workers that were killed long ago and have not ended. The next worker of a slot may come
    /// to wait for the same file system, so a slot where several were given up waits.
    pub(super) fn give_up_overdue(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(id) = self.generations.iter().find_map(|generation| generation.overdue(now)) {
            let given_up = self.given_up.iter().filter(|other| other.slot == id.slot).count();
            let has_too_many = given_up >= MAX_GIVEN_UP;
            if let Some(generation) = self.generation(id.generation)
                && generation.mode == Mode::Serving
                && has_too_many
            {
                generation.slots[id.slot].wait_longer(now);
            } else {
                self.given_up.push(id);
                actions.extend(self.worker_ended(id, None, now));
            }
        }
        actions
    }

    /// A worker that was given up has ended.
    pub(super) fn ended_late(&mut self, id: ChildId) {
        if let Some(index) = self.given_up.iter().position(|given_up| *given_up == id) {
            self.given_up.swap_remove(index);
        }
    }

    /// Has a child killed by `action`, if the child runs.
    pub(super) fn kill(&mut self, id: ChildId, action: Action, now: Duration) -> Vec<Action> {
        let is_there = match id.kind {
            ChildKind::Admin => self.admin.mark_hung(id, now),
            ChildKind::Worker => self
                .generation(id.generation)
                .is_some_and(|generation| generation.slots[id.slot].mark_hung(now)),
        };
        is_there.then_some(action).into_iter().collect()
    }

    /// Ends a starting generation, since the worker `id` failed. If it is the first one, the master ends too.
    fn abandon(&mut self, id: ChildId, why: String, now: Duration) -> Vec<Action> {
        let first = self.generations.len() == 1;
        let until = now + self.drain_timeout;
        let Some(generation) = self.generation(id.generation) else { return Vec::new() };
        let mut actions = Vec::new();
        if first && id.generation == 1 {
            actions.extend(generation.stop(now));
            self.ending = true;
            self.failure = Some((id.slot, why));
        } else {
            actions.push(Action::AbandonReload(id.generation, id.slot, why));
            actions.extend(generation.leave(until, now));
        }
        actions.extend(self.remove_ended());
        actions
    }
}

/// Why a worker of a starting generation is not there any more; `state` is that of its slot before.
fn why_not_there(state: SlotState, exit: Option<Exit>) -> String {
    match (exit, state) {
        (Some(exit), SlotState::Serving(_)) => format!("it ended ({exit})"),
        (Some(exit), _) => format!("it ended before it served ({exit})"),
        (None, _) => "it hung, was killed and has not ended".to_owned(),
    }
}
