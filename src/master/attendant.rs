//! The admin process as its master sees it: the address that is held for it, and when it is started again.
//!
//! What it serves is [`crate::admin`]'s. The subtle rule: its library binds by itself and would share the port with any
//! process of its user, so the master holds the address from the start on, after it found nobody else there.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use ::log::LevelFilter;

use super::generation::Generation;
use super::supervisor::back_off;
use crate::config::LogFormat;
use crate::error::StartupError;
use crate::sandbox::Sandbox;
use crate::sys::process::{self, Exit, Fork, Identity};
use crate::sys::{link, socket};
use crate::{admin, log};

/// How soon an address that the predecessor has is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What an admin process is made from besides its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// The user to become.
    pub identity: Option<Identity>,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// How it logs, which it has from its master at the fork.
    log: (LevelFilter, Option<PathBuf>, LogFormat),
}

impl Means {
    /// Those of a generation's settings.
    pub fn of(generation: &Generation) -> Means {
        let settings = &generation.settings;
        let log = (settings.log_level, settings.log_file.clone(), settings.log_format);
        Means { identity: generation.identity(), sandbox: generation.sandbox, log }
    }
}

/// The admin process, running or about to.
pub struct Attendant {
    means: Means,
    asked_for: SocketAddr,
    address: SocketAddr,
    /// Bound to the address, and never listens. `None` while the predecessor of an upgrade has the address.
    reservation: Option<OwnedFd>,
    times: Times,
    child: Option<(i32, OwnedFd)>,
}

/// What the fork of an admin process came to.
pub enum Forked {
    /// This is the admin process, with its end of the link, its address and what else it is made from.
    Child(OwnedFd, SocketAddr, Means),
    /// This is the master.
    Parent,
}

impl Attendant {
    /// Holds the address, or, where it `may_wait`, tries to for as long as somebody has it. The process is due at once.
    ///
    /// # Errors
    /// [`StartupError::Bind`] where it can't be had and may not wait.
    pub fn new(
        addr: SocketAddr,
        means: Means,
        may_wait: bool,
        now: Duration,
    ) -> Result<Attendant, StartupError> {
        let times = Times::new(now);
        let mut attendant =
            Attendant { means, asked_for: addr, address: addr, reservation: None, times, child: None };
        match attendant.reserve() {
            Err(source) if !may_wait => Err(StartupError::Bind { addr, source }),
            _ => Ok(attendant),
        }
    }

    fn reserve(&mut self) -> io::Result<()> {
        if self.reservation.is_none() {
            let reservation = socket::reserve(self.asked_for)?;
            self.address = socket::local_address(&reservation)?;
            self.reservation = Some(reservation);
        }
        Ok(())
    }

    /// The address that the settings had.
    pub fn asked_for(&self) -> SocketAddr {
        self.asked_for
    }

    /// What it is made from.
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// When it is to be started; `None` while it runs.
    pub fn due(&self) -> Option<Duration> {
        self.times.due
    }

    /// Forks it.
    ///
    /// # Errors
    /// What socketpair(2) and fork(2) say. It is tried again later.
    pub fn fork(&mut self, now: Duration) -> io::Result<Forked> {
        if self.reserve().is_err() {
            // The predecessor says nothing when it goes, and there is no hurry.
            self.times.due = Some(now + RETRY);
            return Ok(Forked::Parent);
        }
        self.times.started(now);
        let forked = link::pair().and_then(|(mine, theirs)| Ok((process::fork()?, mine, theirs)));
        match forked {
            Ok((Fork::Child, mine, theirs)) => {
                drop(mine);
                Ok(Forked::Child(theirs, self.address, self.means.clone()))
            }
            Ok((Fork::Parent(pid), mine, _)) => {
                self.child = Some((pid, mine));
                ::log::info!("admin started at {}, pid {pid}", self.address);
                Ok(Forked::Parent)
            }
            Err(error) => {
                self.times.ended(now);
                Err(error)
            }
        }
    }

    /// Takes in that a process ended; true when it was this one, which is then due again.
    pub fn ended(&mut self, pid: i32, exit: Exit, now: Duration) -> bool {
        let Some((_, link)) = self.child.take_if(|(child, _)| *child == pid) else { return false };
        while let link::Received::Message(message, _) = link::receive(&link) {
            ::log::error!("admin could not serve: {}", String::from_utf8_lossy(&message));
        }
        let wait = self.times.ended(now);
        let when = if wait.is_zero() { "at once".to_owned() } else { format!("in {wait:?}") };
        ::log::warn!("admin ended ({exit}); the next one starts {when}");
        true
    }

    /// Has it go on in the error log as it was opened anew.
    pub fn change_log(&self) {
        let descriptors: Vec<BorrowedFd<'_>> = log::descriptor().into_iter().collect();
        if let Some((_, link)) = &self.child
            && !link::send(link, admin::LOGS, &descriptors)
        {
            ::log::debug!("admin does not listen to its master");
        }
    }

    /// Ends it, and has it start again at once.
    pub fn restart(&mut self, now: Duration) {
        self.stop();
        self.times = Times::new(now);
    }

    /// Has another process, made from this, take its place at once.
    pub fn renew(&mut self, means: Means, now: Duration) {
        self.means = means;
        self.restart(now);
    }

    /// Ends it: it has no clients to serve to their end, and shall not hold its port when the next one starts. The
    /// master's to call: a worker that was forked drops its copy of this, and must not.
    pub fn stop(&mut self) {
        if let Some((pid, _)) = self.child.take() {
            process::end(pid);
        }
    }
}

/// When the process starts: by the rules of workers, at once after a long life, and later and later after short ones.
struct Times {
    due: Option<Duration>,
    since: Duration,
    last_wait: Duration,
}

impl Times {
    fn new(now: Duration) -> Times {
        Times { due: Some(now), since: now, last_wait: Duration::ZERO }
    }

    fn started(&mut self, now: Duration) {
        self.due = None;
        self.since = now;
    }

    /// How long the next one waits.
    fn ended(&mut self, now: Duration) -> Duration {
        let lived = now.saturating_sub(self.since);
        self.last_wait = back_off(self.last_wait, lived);
        self.due = Some(now + self.last_wait);
        self.last_wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_dies_young_again_and_again_waits_longer_and_one_that_lived_does_not() {
        let ms = Duration::from_millis;
        let mut times = Times::new(ms(5));
        assert_eq!(times.due, Some(ms(5)));
        let mut now = ms(5);
        for wait in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000].map(ms) {
            times.started(now);
            assert_eq!(times.due, None);
            now += ms(20);
            assert_eq!(times.ended(now), wait);
            assert_eq!(times.due, Some(now + wait));
            now += wait;
        }
        times.started(now);
        assert_eq!(times.ended(now + ms(10_000)), ms(0));
    }
}
