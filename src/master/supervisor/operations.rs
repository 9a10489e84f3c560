//! What the supervisor decides about an operation, and when the path of a root leads to another directory.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, AdminChange, ChildId, Operation};
use super::slot::SlotState;

impl Supervisor {
    /// Begins an operation. The caller checks that no generation starts.
    pub(super) fn run_operation(&mut self, operation: Operation, now: Duration) -> Vec<Action> {
        match operation {
            Operation::Reload => vec![Action::Prepare(self.begin_preparing())],
            Operation::DrainWorkers => self.drain_workers(now),
            Operation::AddWorker => self.add_worker(now),
            Operation::RemoveWorker => self.remove_worker(now),
            Operation::Upgrade => vec![Action::Upgrade],
        }
    }

    /// Marks the next generation as being prepared. Returns its number.
    fn begin_preparing(&mut self) -> u32 {
        *self.preparing.insert(self.last_number + 1)
    }

    /// Opens the roots again after a worker's report. A report that comes too soon is dropped, since workers
    /// repeat it.
    pub(super) fn root_move_reported(&mut self, id: ChildId, now: Duration) -> Vec<Action> {
        let counts = self.current() == Some(id.generation) && !self.is_busy();
        if counts && self.follow_limit.allows(now) { self.reopen_roots() } else { Vec::new() }
    }

    /// Has the master prepare a generation on the directories that the paths of the roots lead to now, with
    /// as many workers as the serving one.
    pub(super) fn reopen_roots(&mut self) -> Vec<Action> {
        self.prepare_alike(Action::ReopenRoots)
    }

    /// Has the master prepare a generation with the certificates that were read, and as many workers as the
    /// serving one.
    pub(super) fn renew_certificates(&mut self) -> Vec<Action> {
        self.prepare_alike(Action::RenewCertificates)
    }

    fn prepare_alike(&mut self, action: fn(u32, usize) -> Action) -> Vec<Action> {
        match self.wanted() {
            Some(slots) if !self.is_busy() => vec![action(self.begin_preparing(), slots)],
            _ => Vec::new(),
        }
    }

    /// Starts the generation that was prepared, or drops it if the master has begun to end.
    pub(super) fn prepared(
        &mut self,
        workers: usize,
        drain_timeout: Duration,
        admin: AdminChange,
        now: Duration,
    ) -> Vec<Action> {
        match self.preparing.take() {
            Some(number) if self.ending => vec![Action::CloseGeneration(number)],
            Some(_) => self.start_generation(workers, drain_timeout, admin, now),
            None => Vec::new(),
        }
    }

    /// Drains all workers, and keeps their listeners open for the workers of a later reload.
    fn drain_workers(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let Some(generation) = self.serving() else { return Vec::new() };
        let mut actions = vec![Action::KeepListeners(generation.number)];
        actions.extend(generation.drain(until));
        actions.extend(self.remove_ended());
        actions
    }

    fn add_worker(&mut self, now: Duration) -> Vec<Action> {
        let Some(generation) = self.serving() else { return Vec::new() };
        generation.wanted += 1;
        generation.fill(now)
    }

    fn remove_worker(&mut self, now: Duration) -> Vec<Action> {
        let until = now + self.drain_timeout;
        let Some(generation) = self.serving() else { return Vec::new() };
        if generation.wanted < 2 {
            // The last worker stays: WINCH and QUIT stop serving.
            return Vec::new();
        }
        generation.wanted -= 1;
        let (index, id) = (generation.wanted, generation.id(generation.wanted));
        let Some(slot) = generation.slots.get_mut(index) else { return Vec::new() };
        match slot.state() {
            // Its worker was told to leave before, or the slot had no worker.
            SlotState::Draining(_) | SlotState::Stopping(_) | SlotState::Killed(_) | SlotState::Closed => {
                Vec::new()
            }
            // The action also closes the listeners of a slot without a worker.
            SlotState::AwaitingStart(_)
            | SlotState::Booting(_)
            | SlotState::Serving(_)
            | SlotState::Hung { .. } => {
                slot.drain(until);
                vec![Action::Drain(id)]
            }
        }
    }
}
