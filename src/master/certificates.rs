//! Looks for changes of certificates, and has the workers serve the new ones.
//!
//! [`super::certificate_watch`] decides when. The workers can't read the files, so that new certificates
//! start a generation with otherwise the same settings.

use std::time::Duration;

use super::listeners::Listeners;
use super::state::Master;
use super::supervisor::event::{AdminChange, Event};
use crate::sys::timer;

impl Master {
    /// When there is something to do for the certificates, if there are any.
    pub(super) fn certificates_due(&self) -> Option<Duration> {
        let current = self.supervisor.current()?;
        let generation = self.generations.iter().find(|g| g.number == current)?;
        generation.tls.as_ref().map(|tls| self.certificate_watch.due(tls.is_watched()))
    }

    /// Looks at the certificates of the generation that serves, if that is due.
    pub(super) fn check_certificates(&mut self) -> Option<Event> {
        let now = timer::monotonic();
        // While a generation starts no other one can start. They are looked at again when it serves.
        if !self.certificate_watch.begin(now) || self.supervisor.is_busy() {
            return None;
        }
        let current = self.supervisor.current()?;
        let tls = self.generations.iter_mut().find(|g| g.number == current)?.tls.as_mut()?;
        if self.certificate_watch.begin_warning(now) {
            tls.log_expiry();
        }
        let renewed = tls.check()?;
        if !self.certificate_watch.may_attempt(current, now) {
            return None;
        }
        self.certificate_watch.renewed = Some(renewed);
        Some(Event::CertificatesChanged)
    }

    /// Prepares the generation of this number with the certificates that were read. It has this many workers,
    /// and otherwise the settings in force.
    pub(super) fn renew_certificates(&mut self, number: u32, workers: usize) -> Event {
        let current = self.supervisor.current();
        let generation = self.generations.iter().find(|g| Some(g.number) == current);
        let (Some(pairs), Some(generation)) = (self.certificate_watch.renewed.take(), generation) else {
            return Event::NotPrepared;
        };
        let others: Vec<&Listeners> = self.generations.iter().map(|g| &g.listeners).collect();
        let next = generation.with_certificates((number, workers), pairs, &others);
        match next.and_then(|mut next| next.open_logs().map(|()| next)) {
            Ok(next) => {
                ::log::info!("certificates have changed: generation {number} starts with them");
                next.log_certificate_warnings();
                self.add_generation(next, AdminChange::Keep)
            }
            Err(error) => {
                ::log::error!("certificates have changed, and can't be taken up: {error}");
                Event::NotPrepared
            }
        }
    }
}
