//! The slot of the admin process.
//!
//! It outlives generations: a reload replaces its process only if the settings of the process change. The
//! process never drains: the master kills it and waits for its end.

use std::time::Duration;

use super::event::{Action, AdminChange, ChildId};
use super::slot::{ChildSlot, DueStep, SlotState};
use crate::sys::process::Exit;

/// The time after which an address that another process still holds is tried again.
const ADDRESS_RETRY: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct AdminSlot {
    /// The generation whose settings the process is started with.
    generation: u32,
    slot: ChildSlot,
}

impl AdminSlot {
    /// The slot of the first generation. If `wanted`, the process is due at once.
    pub(super) fn new(wanted: bool, now: Duration) -> AdminSlot {
        let state = if wanted { SlotState::AwaitingStart(now) } else { SlotState::Closed };
        AdminSlot { generation: 1, slot: ChildSlot::new(state) }
    }

    fn id(&self) -> ChildId {
        ChildId::admin(self.generation)
    }

    /// Applies the change that this generation brings, which serves now.
    pub(super) fn change(&mut self, generation: u32, change: AdminChange, now: Duration) -> Option<Action> {
        let state = match change {
            AdminChange::Keep => return None,
            AdminChange::Replace => SlotState::AwaitingStart(now),
            AdminChange::Close => SlotState::Closed,
        };
        *self = AdminSlot { generation, slot: ChildSlot::new(state) };
        Some(Action::SwitchAdmin(generation))
    }

    /// Closes the slot: ends the process, if it runs or is to start, and starts no other one.
    pub(super) fn close(&mut self) -> Option<Action> {
        let before = std::mem::replace(&mut self.slot, ChildSlot::new(SlotState::Closed));
        (before.state() != SlotState::Closed).then_some(Action::CloseAdmin)
    }

    pub(super) fn ready(&mut self, id: ChildId) {
        if id == self.id() {
            self.slot.ready();
        }
    }

    /// The address is not free yet.
    pub(super) fn address_in_use(&mut self, id: ChildId, now: Duration) {
        if id == self.id() {
            self.slot.postpone(now + ADDRESS_RETRY);
        }
    }

    /// The process has ended. The end of a process that was replaced meanwhile is ignored.
    pub(super) fn exited(&mut self, id: ChildId, exit: Exit, now: Duration) -> Option<Action> {
        let (SlotState::Booting(since) | SlotState::Serving(since) | SlotState::Hung { since, .. }) =
            self.slot.state()
        else {
            return None;
        };
        (id == self.id()).then(|| Action::LogExit(id, exit, self.slot.schedule_next(since, now)))
    }

    pub(super) fn mark_hung(&mut self, id: ChildId, now: Duration) -> bool {
        id == self.id() && self.slot.mark_hung(now)
    }

    /// The action that is due now, if any.
    pub(super) fn tick(&mut self, now: Duration) -> Option<Action> {
        let id = self.id();
        self.slot.tick(now).map(|step| match step {
            DueStep::Start => Action::Start(id),
            DueStep::Stop => Action::Stop(id),
            DueStep::Kill => Action::Kill(id),
        })
    }

    /// Gives up the process if it was killed long ago and has not ended.
    pub(super) fn give_up_overdue(&mut self, now: Duration) -> Option<Action> {
        let SlotState::Hung { since, .. } = self.slot.state() else { return None };
        let is_overdue = self.slot.is_overdue(now);
        is_overdue.then(|| Action::GiveUp(self.id(), Some(self.slot.schedule_next(since, now))))
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.slot.due()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILLED: Exit = Exit::Signal(9);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn running() -> AdminSlot {
        let mut admin = AdminSlot::new(true, ms(0));
        assert_eq!(admin.tick(ms(0)), Some(Action::Start(ChildId::admin(1))));
        admin.ready(ChildId::admin(1));
        admin
    }

    #[test]
    fn a_process_that_dies_young_waits_longer_each_time() {
        let mut admin = running();
        let mut now = ms(50);
        for wait in [100, 200, 400].map(ms) {
            let log = Action::LogExit(ChildId::admin(1), KILLED, wait);
            assert_eq!(admin.exited(ChildId::admin(1), KILLED, now), Some(log));
            assert_eq!((admin.due(), admin.tick(now)), (Some(now + wait), None));
            now += wait;
            assert_eq!(admin.tick(now), Some(Action::Start(ChildId::admin(1))));
        }
    }

    #[test]
    fn an_address_in_use_is_tried_again_soon_and_counts_as_no_failure() {
        let mut admin = running();
        admin.address_in_use(ChildId::admin(1), ms(10));
        assert_eq!((admin.due(), admin.tick(ms(209))), (Some(ms(210)), None));
        assert_eq!(admin.tick(ms(210)), Some(Action::Start(ChildId::admin(1))));
        let log = Action::LogExit(ChildId::admin(1), KILLED, ms(0));
        assert_eq!(admin.exited(ChildId::admin(1), KILLED, ms(310)), Some(log));
    }

    #[test]
    fn a_slot_that_was_closed_meanwhile_stays_closed() {
        let mut admin = running();
        assert_eq!(admin.close(), Some(Action::CloseAdmin));
        admin.address_in_use(ChildId::admin(1), ms(10));
        assert_eq!((admin.due(), admin.tick(ms(1000))), (None, None));
    }

    #[test]
    fn a_generation_that_asks_for_another_process_replaces_it_and_the_exit_of_the_old_one_changes_nothing() {
        let mut admin = running();
        assert_eq!(admin.change(2, AdminChange::Keep, ms(10)), None);
        assert_eq!(admin.change(3, AdminChange::Replace, ms(10)), Some(Action::SwitchAdmin(3)));
        assert_eq!(admin.tick(ms(10)), Some(Action::Start(ChildId::admin(3))));
        assert_eq!(admin.exited(ChildId::admin(1), KILLED, ms(11)), None);
        assert!(!admin.mark_hung(ChildId::admin(1), ms(11)) && admin.mark_hung(ChildId::admin(3), ms(11)));
        assert_eq!(admin.change(4, AdminChange::Close, ms(12)), Some(Action::SwitchAdmin(4)));
        assert_eq!((admin.due(), admin.close()), (None, None));
    }

    #[test]
    fn a_killed_process_that_does_not_end_is_given_up_and_replaced() {
        let mut admin = running();
        assert!(admin.mark_hung(ChildId::admin(1), ms(9000)));
        assert_eq!((admin.due(), admin.give_up_overdue(ms(13_999))), (Some(ms(14_000)), None));
        assert_eq!(admin.give_up_overdue(ms(14_000)), Some(Action::GiveUp(ChildId::admin(1), Some(ms(0)))));
        assert_eq!(admin.tick(ms(14_000)), Some(Action::Start(ChildId::admin(1))));
    }

    #[test]
    fn a_process_that_is_closed_is_not_started_again() {
        let mut admin = running();
        assert_eq!(admin.close(), Some(Action::CloseAdmin));
        assert_eq!(admin.exited(ChildId::admin(1), KILLED, ms(5)), None);
        assert_eq!((admin.due(), admin.tick(ms(99_000)), admin.close()), (None, None, None));
    }
}
