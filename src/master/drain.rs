//! What happens to the listeners of a worker that drains: they stay open for another owner, or close after
//! the connections in their queues were accepted.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::generation::Generation;
use super::state::Master;
use super::supervisor::event::ChildId;
use crate::ipc::{ListenerDrain, ToChild};
use crate::sys::{process, socket};

impl Master {
    /// Tells a worker to drain, and what to do with each of its listeners. A listener with another owner
    /// stays open. The worker closes the others after it has accepted the connections in their queues.
    pub(super) fn drain(&mut self, id: ChildId) {
        let Some(generation) = self.generations.iter().find(|g| g.number == id.generation) else { return };
        if self.children.ids().contains(&id) {
            ::log::info!("{id} is draining");
        }
        let listeners = generation.listeners.of_slot(id.slot);
        let drains: Vec<ListenerDrain> =
            listeners.iter().map(|listener| self.listener_drain(generation, listener)).collect();
        let closing = listeners.iter().zip(&drains).filter(|(_, drain)| **drain != ListenerDrain::Keep);
        for (listener, _) in closing {
            self.generations.iter_mut().for_each(|generation| generation.listeners.mark_closing(listener));
        }
        drop(listeners);
        // The serving generation loses this slot (TTOU), and so its listeners.
        if self.supervisor.current() == Some(id.generation) {
            for generation in self.generations.iter_mut().filter(|g| g.number == id.generation) {
                generation.listeners.truncate(id.slot);
            }
            self.metrics.set_slots(id.slot);
        }
        // First no new connections come to what closes, then it closes.
        self.steer();
        self.children.send(id, &ToChild::Drain(drains), &[]);
    }

    /// What a worker of `generation` does with a listener. Has the kernel refuse new connections to one that
    /// closes.
    fn listener_drain(&self, generation: &Generation, listener: &Arc<OwnedFd>) -> ListenerDrain {
        let has_other_owner = generation.listeners.is_inherited(listener)
            || self.kept_listeners.contains(listener)
            || self.has_other_master()
            || self.is_in_use(listener, Some(generation.number));
        if has_other_owner {
            ListenerDrain::Keep
        } else if socket::refuse_handshakes(listener.as_fd()).is_ok() {
            ListenerDrain::Close
        } else {
            // Without it a client that is just connecting may be lost.
            ListenerDrain::CloseSoon
        }
    }

    /// Closes the listeners of leaving generations that have no other owner and no worker to drain them: the
    /// worker died, or was never started. Otherwise clients would wait there in vain.
    pub(super) fn close_unserved_listeners(&mut self) {
        if self.has_other_master() {
            return;
        }
        for listener in self.unserved_listeners() {
            socket::stop_listening(listener.as_fd());
            self.generations.iter_mut().for_each(|generation| generation.listeners.mark_closing(&listener));
        }
    }

    /// At the end of the master: closes the listeners that stayed open without workers, if a process that has
    /// not ended may keep them open. Otherwise the next start would find the address in use.
    pub(super) fn stop_kept_listeners(&self) {
        if self.children.has_given_up() && !self.has_other_master() {
            let groups = self.kept_listeners.groups.iter();
            groups
                .flat_map(|group| &group.listeners)
                .for_each(|listener| socket::stop_listening(listener.as_fd()));
        }
    }

    fn unserved_listeners(&self) -> Vec<Arc<OwnedFd>> {
        let leaving = self.generations.iter().filter(|g| !self.supervisor.is_active(g.number));
        let groups = leaving.flat_map(|generation| &generation.listeners.groups);
        let listeners = groups.flat_map(|group| group.listeners.iter().enumerate());
        let unserved = listeners.filter(|(slot, listener)| {
            self.children.of_slot(*slot).next().is_none()
                && !self.kept_listeners.contains(listener)
                && !self.is_in_use(listener, None)
        });
        unserved.map(|(_, listener)| Arc::clone(listener)).collect()
    }

    /// True if a generation that stays has this listener, other than `except`.
    fn is_in_use(&self, listener: &Arc<OwnedFd>, except: Option<u32>) -> bool {
        let active = self.generations.iter().filter(|g| self.supervisor.is_active(g.number));
        active.filter(|g| Some(g.number) != except).any(|g| g.listeners.contains(listener))
    }

    /// Keeps the listeners of a generation open while its workers drain and after.
    pub(super) fn keep_listeners(&mut self, number: u32) {
        let kept = self.generations.iter().find(|g| g.number == number);
        self.kept_listeners = kept.map(|generation| generation.listeners.clone()).unwrap_or_default();
    }

    /// True if another master has these listeners as well.
    fn has_other_master(&self) -> bool {
        self.successor.is_some() || self.previous_master == Some(process::parent())
    }
}
