//! The address of the admin process, which the master reserves, and the settings of the process.
//!
//! Knows no process: the supervisor decides when it starts, and [`crate::admin`] owns what it serves.
//!
//! **Invariant:** at no moment, not even after the process died, can another user listen at the address. So
//! the master keeps a socket bound to the address as long as the settings name it. The library in the admin
//! process binds a socket of its own, with SO_REUSEADDR and SO_REUSEPORT. The master's socket allows that,
//! for processes of the same user, from the fork of the process until the process reports that it listens.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use ::log::LevelFilter;

use super::generation::Generation;
use super::handover::HeldAddress;
use crate::config::LogFormat;
use crate::error::StartupError;
use crate::sandbox::Sandbox;
use crate::sys::process::{self, Identity};
use crate::sys::socket;

/// What an admin process is started with, besides its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// The user to become.
    pub identity: Option<Identity>,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// How it logs. It inherits the log from the master at the fork.
    log: (LevelFilter, Option<PathBuf>, LogFormat),
    /// The host names that it answers for, besides localhost.
    pub hosts: Vec<String>,
}

impl AdminSettings {
    /// The admin settings of a generation.
    pub fn of(generation: &Generation) -> AdminSettings {
        let settings = &generation.settings;
        let log = (settings.log_level, settings.log_file.clone(), settings.log_format);
        let hosts = settings.admin_hosts.clone();
        AdminSettings { identity: generation.identity(), sandbox: generation.sandbox, log, hosts }
    }
}

/// The master before this one, in an upgrade.
pub struct PreviousMaster {
    /// Its process id.
    pub pid: i32,
    /// The address of its admin process, if it has handed one over.
    pub held: Option<HeldAddress<OwnedFd>>,
}

/// The address of the admin process, and the socket that reserves it.
pub struct AdminListener {
    settings: AdminSettings,
    asked_for: SocketAddr,
    address: SocketAddr,
    /// Bound to the address, and does not listen. `None` while the previous master has the address.
    reservation: Option<OwnedFd>,
    /// The master that may have an admin process at this address, in an upgrade.
    previous_master: Option<i32>,
    /// True from the fork of a process until it listens or ends.
    binding: bool,
}

impl AdminListener {
    /// Reserves an address that no other process has.
    ///
    /// # Errors
    /// [`StartupError::Bind`] if the address can't be bound.
    pub fn new(addr: SocketAddr, settings: AdminSettings) -> Result<AdminListener, StartupError> {
        let mut listener = AdminListener::at(addr, settings);
        let bind = |source| StartupError::Bind { addr: addr.to_string(), source };
        listener.reserve().map_err(bind)?;
        Ok(listener)
    }

    /// After an upgrade: takes over the reservation of the previous master if that has the same address.
    /// Otherwise tries to reserve the address.
    pub fn after(previous: PreviousMaster, addr: SocketAddr, settings: AdminSettings) -> AdminListener {
        let mut listener = AdminListener::at(addr, settings);
        listener.previous_master = Some(previous.pid);
        listener.reservation = previous.held.filter(|(asked, _)| *asked == addr).map(|(_, held)| held);
        // If this fails, it is tried again when the process is due.
        let _ = listener.reserve();
        listener
    }

    /// Reserves an address that overlaps the address of `current`, while the process of `current` still runs.
    ///
    /// # Errors
    /// [`StartupError::Bind`] if another process has the address.
    pub fn beside(
        current: &AdminListener,
        addr: SocketAddr,
        settings: AdminSettings,
    ) -> Result<AdminListener, StartupError> {
        current.share(true);
        let reserved =
            socket::reserve_beside(addr).and_then(|held| Ok((socket::local_address(&held)?, held)));
        match reserved {
            Ok((address, held)) => {
                Ok(AdminListener { address, reservation: Some(held), ..AdminListener::at(addr, settings) })
            }
            Err(source) => {
                current.share_while_binding();
                Err(StartupError::Bind { addr: addr.to_string(), source })
            }
        }
    }

    fn at(addr: SocketAddr, settings: AdminSettings) -> AdminListener {
        AdminListener {
            settings,
            asked_for: addr,
            address: addr,
            reservation: None,
            previous_master: None,
            binding: false,
        }
    }

    /// Reserves the address, if that is not done yet, and checks that no process of a previous master listens
    /// there.
    ///
    /// # Errors
    /// What socket(2) and bind(2) say; `EADDRINUSE` while the previous master has the address.
    pub fn reserve(&mut self) -> io::Result<()> {
        let Some(held) = &self.reservation else {
            let reservation = match socket::reserve(self.asked_for) {
                Err(error) if self.asked_for.ip().is_unspecified() && socket::is_without_ipv6(&error) => {
                    socket::reserve((Ipv4Addr::UNSPECIFIED, self.asked_for.port()).into())?
                }
                reservation => reservation?,
            };
            self.address = socket::local_address(&reservation)?;
            self.reservation = Some(reservation);
            self.previous_master = None;
            return Ok(());
        };
        let Some(previous) = self.previous_master else { return Ok(()) };
        if socket::shares(held) {
            if previous == process::parent() {
                // Its process is about to listen.
                return Err(ErrorKind::AddrInUse.into());
            }
            socket::share(held, false);
        }
        socket::check_alone(held)?;
        self.previous_master = None;
        Ok(())
    }

    /// The reserved address, to be handed over in an upgrade. A port that the kernel has chosen is not handed
    /// over.
    pub fn held(&self) -> Option<HeldAddress<BorrowedFd<'_>>> {
        let held = self.reservation.as_ref().filter(|_| self.asked_for.port() != 0)?;
        Some((self.asked_for, held.as_fd()))
    }

    /// The process is about to be forked, and will bind to the address.
    pub fn begin_binding(&mut self) {
        self.binding = true;
        self.share(true);
    }

    /// The process listens, or has ended.
    pub fn end_binding(&mut self) {
        self.binding = false;
        self.share(false);
    }

    /// Lets processes of this user bind to the address only while the admin process is about to.
    pub fn share_while_binding(&self) {
        self.share(self.binding);
    }

    fn share(&self, on: bool) {
        self.reservation.iter().for_each(|held| socket::share(held, on));
    }

    /// The address in the settings.
    pub fn asked_for(&self) -> SocketAddr {
        self.asked_for
    }

    /// The address that is reserved, with the port that the kernel has chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the process is started with.
    pub fn settings(&self) -> &AdminSettings {
        &self.settings
    }

    /// Sets what the next process is started with.
    pub fn set_settings(&mut self, settings: AdminSettings) {
        self.settings = settings;
    }
}
