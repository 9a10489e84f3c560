//! What the admin process is started from: the current listener, and the next one that a reload prepares.
//!
//! A reload first reserves the next address. The change follows when the generation of the reload serves. If
//! that generation is abandoned, the process runs on unchanged. The old process ends before the new one
//! starts, so that only one answers. The supervisor decides when.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use super::admin_listener::{AdminListener, AdminSettings, PreviousMaster};
use super::generation::Generation;
use super::handover::HeldAddress;
use super::supervisor::event::AdminChange;
use crate::config::address;
use crate::error::StartupError;

/// The listener of the admin process, if the settings ask for one.
#[derive(Default)]
pub struct AdminProcess {
    current: Option<AdminListener>,
    /// What replaces it once the generation of this number serves.
    next: Option<(u32, NextListener)>,
}

enum NextListener {
    /// The same address with other settings.
    Same(AdminSettings),
    /// Another address, or none.
    Other(Option<AdminListener>),
}

impl AdminProcess {
    /// Reserves the address that the settings of the first generation name. In an upgrade the previous master
    /// may still have it.
    ///
    /// # Errors
    /// As [`AdminListener::new`].
    pub fn open(
        generation: &Generation,
        previous: Option<PreviousMaster>,
    ) -> Result<AdminProcess, StartupError> {
        let settings = AdminSettings::of(generation);
        let listener = |addr| match previous {
            Some(previous) => Ok(AdminListener::after(previous, addr, settings)),
            None => AdminListener::new(addr, settings),
        };
        Ok(AdminProcess { current: generation.settings.admin.map(listener).transpose()?, next: None })
    }

    /// Compares the settings of the next generation with the current listener, and reserves a new address if
    /// they differ.
    ///
    /// # Errors
    /// [`StartupError::Bind`] if the address can't be bound. The current listener stays.
    pub fn prepare(&mut self, generation: &Generation) -> Result<AdminChange, StartupError> {
        self.drop_next();
        let (asked, settings) = (generation.settings.admin, AdminSettings::of(generation));
        let (next, change) = match (&self.current, asked) {
            (None, None) => return Ok(AdminChange::Keep),
            (Some(current), Some(addr)) if current.asked_for() == addr => {
                if *current.settings() == settings {
                    return Ok(AdminChange::Keep);
                }
                (NextListener::Same(settings), AdminChange::Replace)
            }
            (_, Some(addr)) => {
                (NextListener::Other(Some(self.reserve(addr, settings)?)), AdminChange::Replace)
            }
            (Some(_), None) => (NextListener::Other(None), AdminChange::Close),
        };
        self.next = Some((generation.number, next));
        Ok(change)
    }

    /// Reserves another address. It may overlap the current one: the same port, once with a wildcard address.
    /// Then both reservations share the port, which no process of another user can, until one is closed.
    fn reserve(&self, addr: SocketAddr, settings: AdminSettings) -> Result<AdminListener, StartupError> {
        let reserved = AdminListener::new(addr, settings.clone());
        match (&reserved, &self.current) {
            (Err(StartupError::Bind { source, .. }), Some(current))
                if source.kind() == ErrorKind::AddrInUse && overlap(current.address(), addr) =>
            {
                AdminListener::beside(current, addr, settings)
            }
            _ => reserved,
        }
    }

    /// Makes the listener that was prepared for this generation the current one. The old process has ended.
    pub fn switch(&mut self, generation: u32) {
        let Some((_, next)) = self.next.take_if(|(number, _)| *number == generation) else { return };
        self.end_binding();
        match next {
            NextListener::Same(settings) => {
                self.current.iter_mut().for_each(|current| current.set_settings(settings.clone()));
            }
            NextListener::Other(next) => {
                match &next {
                    Some(next) => {
                        let address = address::reachable(next.address());
                        ::log::info!("the admin listener moves to http://{address}/status");
                    }
                    None => ::log::info!("the admin listener is closed"),
                }
                self.current = next;
            }
        }
    }

    /// Drops what was prepared for this generation.
    pub fn forget(&mut self, generation: u32) {
        if self.next.as_ref().is_some_and(|(number, _)| *number == generation) {
            self.drop_next();
        }
    }

    fn drop_next(&mut self) {
        self.next = None;
        self.current.iter().for_each(AdminListener::share_while_binding);
    }

    /// Closes the address, and the one that was prepared. The process has ended.
    pub fn close(&mut self) {
        *self = AdminProcess::default();
    }

    /// The listener that the next process is started with.
    pub fn listener(&mut self) -> Option<&mut AdminListener> {
        self.current.as_mut()
    }

    /// The process listens, or has ended.
    pub fn end_binding(&mut self) {
        self.current.iter_mut().for_each(AdminListener::end_binding);
    }

    /// The reserved address, to be handed over in an upgrade.
    pub fn held(&self) -> Option<HeldAddress<BorrowedFd<'_>>> {
        self.current.as_ref().and_then(AdminListener::held)
    }

    /// The address, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(AdminListener::address)
    }
}

/// True if a listener at one of these addresses makes a bind to the other one fail.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let either_is_wild = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || either_is_wild)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_at_one_port_where_they_are_the_same_or_one_is_a_wildcard() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "0.0.0.0:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:1", "0.0.0.0:2", false),
        ] {
            assert_eq!(overlap(one.parse().unwrap(), other.parse().unwrap()), expected, "{one} {other}");
        }
    }
}
