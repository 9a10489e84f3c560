//! The slots of one generation, and what its workers are to do.
//!
//! Knows no other generation and no listeners.

use std::time::Duration;

use super::event::{Action, AdminChange, ChildId};
use super::slot::{ChildSlot, DueStep, STOP_GRACE, SlotState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Not all workers serve yet.
    Starting,
    /// A worker that dies is replaced.
    Serving,
    /// A worker that dies is not replaced.
    Leaving,
}

#[derive(Debug)]
pub(super) struct GenerationSlots {
    pub(super) number: u32,
    pub(super) mode: Mode,
    pub(super) slots: Vec<ChildSlot>,
    /// The number of slots that have a worker or are to have one. They are the first of `slots`, since those
    /// are the ones with listeners.
    pub(super) wanted: usize,
    /// True while its workers accept nothing, because those of the generation before may.
    pub(super) waits: bool,
    /// The drain timeout, in force once this generation serves.
    pub(super) drain_timeout: Duration,
    /// What happens to the admin process once this generation serves.
    pub(super) admin: AdminChange,
}

impl GenerationSlots {
    /// A generation whose workers are being started.
    pub(super) fn starting(
        number: u32,
        slots: usize,
        drain_timeout: Duration,
        admin: AdminChange,
        (waits, now): (bool, Duration),
    ) -> GenerationSlots {
        let booting = || ChildSlot::new(SlotState::Booting(now));
        GenerationSlots {
            number,
            mode: Mode::Starting,
            slots: std::iter::repeat_with(booting).take(slots).collect(),
            wanted: slots,
            waits,
            drain_timeout,
            admin,
        }
    }

    pub(super) fn id(&self, slot: usize) -> ChildId {
        ChildId::worker(self.number, slot)
    }

    /// True if all workers serve.
    pub(super) fn all_serve(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot.state(), SlotState::Serving(_)))
    }

    /// The workers that serve.
    pub(super) fn serving(&self) -> Vec<ChildId> {
        let slots = self.slots.iter().enumerate();
        let serving = slots.filter(|(_, slot)| matches!(slot.state(), SlotState::Serving(_)));
        serving.map(|(slot, _)| self.id(slot)).collect()
    }

    /// Ends the wait of its workers, if they wait.
    pub(super) fn accept(&mut self) -> Vec<Action> {
        let waited = std::mem::replace(&mut self.waits, false);
        let slots = if waited { 0..self.slots.len() } else { 0..0 };
        slots.map(|slot| Action::Accept(self.id(slot))).collect()
    }

    /// True if all workers have ended and no worker will start.
    pub(super) fn is_over(&self) -> bool {
        self.mode == Mode::Leaving && self.slots.iter().all(|slot| slot.state() == SlotState::Closed)
    }

    /// A worker that was killed so long ago that it is to be given up, if there is one.
    pub(super) fn overdue(&self, now: Duration) -> Option<ChildId> {
        self.slots.iter().position(|slot| slot.is_overdue(now)).map(|slot| self.id(slot))
    }

    /// Starts workers in closed slots that are wanted again. The worker that drains in a slot has to end
    /// first. Slots are filled in order: a slot with listeners and without a worker would leave clients
    /// waiting.
    pub(super) fn fill(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        for index in 0..self.wanted {
            if index == self.slots.len() {
                self.slots.push(ChildSlot::new(SlotState::Closed));
            }
            let id = self.id(index);
            match self.slots[index].state() {
                SlotState::Closed => {
                    self.slots[index].start(now);
                    actions.push(Action::Start(id));
                }
                SlotState::Draining(_) | SlotState::Stopping(_) | SlotState::Killed(_) => break,
                SlotState::AwaitingStart(_)
                | SlotState::Booting(_)
                | SlotState::Serving(_)
                | SlotState::Hung { .. } => {}
            }
        }
        actions
    }

    /// Drains all workers that run, at most until `until`, and replaces none of them.
    pub(super) fn drain(&mut self, until: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        self.each(|slot, id| slot.drain(until).then_some(Action::Drain(id)))
    }

    /// Ends a generation of which not all workers serve. Workers that serve drain, at most until `until`:
    /// clients may wait at addresses that only their settings have. The others stop.
    pub(super) fn leave(&mut self, until: Duration, now: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        self.each(|slot, id| match slot.state() {
            SlotState::Serving(_) => slot.drain(until).then_some(Action::Drain(id)),
            SlotState::Draining(_) => None,
            _ => slot.stop(now + STOP_GRACE).then_some(Action::Stop(id)),
        })
    }

    /// Stops all workers at once.
    pub(super) fn stop(&mut self, now: Duration) -> Vec<Action> {
        self.mode = Mode::Leaving;
        self.each(|slot, id| slot.stop(now + STOP_GRACE).then_some(Action::Stop(id)))
    }

    /// The actions that are due now.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Action> {
        self.each(|slot, id| {
            slot.tick(now).map(|step| match step {
                DueStep::Start => Action::Start(id),
                DueStep::Stop => Action::Stop(id),
                DueStep::Kill => Action::Kill(id),
            })
        })
    }

    fn each(&mut self, mut decide: impl FnMut(&mut ChildSlot, ChildId) -> Option<Action>) -> Vec<Action> {
        let number = self.number;
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(index, slot)| decide(slot, ChildId::worker(number, index))).collect()
    }
}
