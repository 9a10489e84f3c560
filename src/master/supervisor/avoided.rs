//! Which slots to avoid. An avoided slot gets no new connections, since no worker of it answers while a
//! worker of another slot does.

use super::Supervisor;
use super::event::Action;
use super::generation_slots::{GenerationSlots, Mode};
use super::slot::SlotState;

impl Supervisor {
    /// The action that avoids slots, if the list has changed.
    pub(super) fn avoid(&mut self) -> Option<Action> {
        let avoided = self.unanswered();
        if avoided == self.avoided || self.ending {
            return None;
        }
        self.avoided.clone_from(&avoided);
        Some(Action::Avoid(avoided))
    }

    /// The slots without a worker that takes new connections, while other slots have one.
    fn unanswered(&self) -> Vec<usize> {
        let Some(serving) = self.in_mode(Mode::Serving) else { return Vec::new() };
        let mut answered = false;
        let mut unanswered = Vec::new();
        for (index, slot) in serving.slots.iter().enumerate() {
            let own = match slot.state() {
                SlotState::Booting(_) | SlotState::Serving(_) => !self.is_silent(serving, index),
                SlotState::AwaitingStart(_) | SlotState::Hung { .. } => false,
                // Its listeners are gone.
                SlotState::Draining(_)
                | SlotState::Stopping(_)
                | SlotState::Killed(_)
                | SlotState::Closed => continue,
            };
            if own {
                answered = true;
            } else {
                unanswered.push(index);
            }
        }
        if answered { unanswered } else { Vec::new() }
    }

    fn is_silent(&self, generation: &GenerationSlots, index: usize) -> bool {
        self.silent.contains(&generation.id(index))
    }
}
