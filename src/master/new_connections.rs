//! Which listeners of all generations get new connections.
//!
//! Collects what [`super::steering`] needs; that file decides and tells the kernel.

use super::listeners::ListenerGroup;
use super::state::Master;
use crate::sys::process;

impl Master {
    /// From now on no new connections go to these slots, in ascending order. The list replaces the one
    /// before.
    pub(super) fn avoid(&mut self, slots: Vec<usize>) {
        let shown: Vec<String> = slots.iter().map(usize::to_string).collect();
        self.steering.avoid(slots);
        // Done before it is logged.
        self.steer();
        match &shown[..] {
            [] => ::log::info!("new connections go to all workers again"),
            slots => ::log::info!("no new connections go to slot {} for now", slots.join(", ")),
        }
    }

    /// Sends new connections to slots with a worker that answers. During an upgrade two masters share the
    /// sockets; the newer one decides.
    pub(super) fn steer(&mut self) {
        if self.previous_master.is_some_and(|pid| pid != process::parent()) {
            self.previous_master.take().into_iter().for_each(|pid| self.steering.process_ended(pid));
        }
        if self.successor.is_some() || self.supervisor.current().is_none() {
            return;
        }
        let serving = self.generations.iter().find(|g| Some(g.number) == self.supervisor.current());
        let serving = serving.into_iter().flat_map(|generation| &generation.listeners.groups);
        // A starting generation may have more listeners, which no worker serves yet.
        self.steering.hold_back(serving.map(|group| (group.bound, group.listeners.len())).collect());
        let active = self.generations.iter().filter(|g| self.supervisor.is_active(g.number));
        let groups = largest_groups(active.flat_map(|generation| &generation.listeners.groups));
        let (children, previous) = (&self.children, self.previous_master);
        self.steering.update(&groups, |slot| children.holders_of_slot(slot).chain(previous).collect());
    }

    /// While `closed`, new listeners get no connections. They have no workers yet, and would lose the
    /// connections if their generation failed.
    pub(super) fn hold_back_new_listeners(&mut self, closed: bool) {
        self.steering.hold_back_new_listeners(closed);
        if closed {
            self.steer();
        }
    }
}

/// The group with the most listeners, for each address.
fn largest_groups<'a>(all: impl Iterator<Item = &'a ListenerGroup>) -> Vec<&'a ListenerGroup> {
    let mut groups: Vec<&ListenerGroup> = Vec::new();
    for group in all {
        match groups.iter_mut().find(|other| other.bound == group.bound) {
            Some(other) if other.listeners.len() < group.listeners.len() => *other = group,
            Some(_) => {}
            None => groups.push(group),
        }
    }
    groups
}
