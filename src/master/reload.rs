//! A reload (HUP): the master prepares the next generation, then makes it the current one or abandons it.
//!
//! **Invariant:** the master opens all that the new settings name before it starts a worker. It keeps its
//! own settings, and the workers of the generation before, until all workers of the next one serve.
//!
//! The workers of a slot, old and new, accept from the same queues, but never at the same time: the new ones
//! wait until the old ones have stopped to. If a new worker fails before, the new workers that serve drain,
//! those that are starting are stopped, and all clients get the earlier settings.

use super::generation::Generation;
use super::listeners::Listeners;
use super::state::Master;
use super::supervisor::event::{AdminChange, ChildId, Event};
use super::ticket_page::ticket_keys;
use crate::error::StartupError;
use crate::metrics::State;
use crate::sys::timer;

/// What the service manager is told after a reload that failed.
const RELOAD_FAILED: &str = "serving with the earlier settings after a failed reload";

impl Master {
    /// Reads the settings and opens what they name, for the generation of this number.
    pub(super) fn prepare_generation(&mut self, number: u32) -> Event {
        if self.supervisor.is_ending() {
            return Event::NotPrepared;
        }
        self.systemd.reloading(timer::monotonic());
        self.hold_back_new_listeners(true);
        let generation = self.next_generation(number);
        self.hold_back_new_listeners(false);
        match generation {
            Ok((generation, admin)) => {
                ::log::info!("reloading: generation {number} starts");
                self.add_generation(generation, admin)
            }
            Err(error) => {
                ::log::error!("the reload failed and the settings stay as they are: {error}");
                self.systemd.ready(RELOAD_FAILED);
                Event::NotPrepared
            }
        }
    }

    /// Adds a prepared generation. The event has the supervisor start it.
    pub(super) fn add_generation(&mut self, mut generation: Generation, admin: AdminChange) -> Event {
        generation.number_hosts(self.metrics);
        let settings = &generation.settings;
        let event =
            Event::Prepared { workers: settings.workers, drain_timeout: settings.drain_timeout, admin };
        self.generations.push(generation);
        event
    }

    fn next_generation(&mut self, number: u32) -> Result<(Generation, AdminChange), StartupError> {
        let settings = self.inputs.load()?.settings;
        let mut others: Vec<&Listeners> = self.generations.iter().map(|g| &g.listeners).collect();
        others.push(&self.kept_listeners);
        let keys = ticket_keys(&mut self.ticket_page, &settings)?;
        let mut generation = Generation::open(number, settings, keys, &others)?;
        let admin = self.admin.prepare(&generation)?;
        generation.open_logs().inspect_err(|_| self.admin.forget(number))?;
        for warning in &generation.settings.warnings {
            ::log::warn!("{warning}");
        }
        generation.log_certificate_warnings();
        Ok((generation, admin))
    }

    /// All workers of a generation serve: applies its settings to the master itself.
    pub(super) fn commit(&mut self, number: u32) {
        let Some(generation) = self.generations.iter().find(|g| g.number == number) else { return };
        generation.apply_to_master();
        self.metrics.set_slots(generation.settings.workers);
        self.metrics.set_generation(number);
        self.metrics.set_state(State::Serving);
        self.metrics.set_certificates(&generation.certificates());
        self.certificate_watch.warned(timer::monotonic());
        self.kept_listeners = Listeners::default();
        self.watchdog.set_limit(generation.settings.watchdog);
        self.announce(number);
    }

    /// A worker of a starting generation failed: reports the failed reload. The supervisor ends the workers.
    pub(super) fn abandon_reload(&mut self, number: u32, slot: usize, why: &str) {
        ::log::error!("the reload failed: {} could not serve: {why}", ChildId::worker(number, slot));
        // Forget it now: `close_generation` would do so only after its last worker ends.
        self.admin.forget(number);
        self.systemd.ready(RELOAD_FAILED);
    }

    /// Closes all that a generation without workers has open.
    pub(super) fn close_generation(&mut self, number: u32) {
        self.admin.forget(number);
        if self.children.has_given_up() {
            // Such a process may keep them open, and clients would wait in their queues.
            self.close_unserved_listeners();
        }
        self.generations.retain(|generation| generation.number != number);
    }
}
