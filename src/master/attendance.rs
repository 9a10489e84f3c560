//! Which admin process there is, and which one a reload is about to bring.
//!
//! The subtle rule: a reload has to have the next one's address before anything else changes, and the change itself is
//! made when the generation that it belongs to serves. Until then, or where that generation is given up, all stays as it
//! is. Of two processes the old one ends before the new one starts, so that one answers at a time.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::attendant::{Attendant, Forked, Means};
use super::generation::Generation;
use crate::config::address;
use crate::error::StartupError;
use crate::sys::process::Exit;

/// The admin process of the server, where one is asked for.
#[derive(Default)]
pub struct Attendance {
    current: Option<Attendant>,
    /// What becomes of it once the generation of this number serves.
    next: Option<(u32, Change)>,
}

enum Change {
    /// Another process at the same address.
    Renew(Means),
    /// Another address, or none.
    Replace(Option<Attendant>),
}

impl Attendance {
    /// Holds the address that the first generation's settings name, or, where it `may_wait`, tries to.
    ///
    /// # Errors
    /// As [`Attendant::new`].
    pub fn start(generation: &Generation, may_wait: bool, now: Duration) -> Result<Attendance, StartupError> {
        let attendant = |addr| Attendant::new(addr, Means::of(generation), may_wait, now);
        Ok(Attendance { current: generation.settings.admin.map(attendant).transpose()?, next: None })
    }

    /// Has all that the settings of a next generation ask for, where it is not what there is.
    ///
    /// # Errors
    /// [`StartupError::Bind`] where an address can't be had; what there is stays.
    pub fn prepare(&mut self, generation: &Generation, now: Duration) -> Result<(), StartupError> {
        self.next = None;
        let (asked, means) = (generation.settings.admin, Means::of(generation));
        let change = match &self.current {
            Some(current) if Some(current.asked_for()) == asked => {
                if *current.means() == means {
                    return Ok(());
                }
                Change::Renew(means)
            }
            None if asked.is_none() => return Ok(()),
            _ => Change::Replace(asked.map(|addr| self.reserve(addr, means, now)).transpose()?),
        };
        self.next = Some((generation.number, change));
        Ok(())
    }

    /// Holds another address. It may be the same port at a wildcard or no wildcard any more, where the running process
    /// is in the way. Whether anybody else is too can only be found out without it, so it is started anew then.
    fn reserve(&mut self, addr: SocketAddr, means: Means, now: Duration) -> Result<Attendant, StartupError> {
        let reserved = Attendant::new(addr, means.clone(), false, now);
        let in_use = matches!(&reserved, Err(StartupError::Bind { source, .. }) if source.kind() == ErrorKind::AddrInUse);
        match &mut self.current {
            Some(current) if in_use && overlap(current.address(), addr) => {
                current.restart(now);
                Attendant::new(addr, means, false, now)
            }
            _ => reserved,
        }
    }

    /// Makes the change that goes with this generation, which serves now.
    pub fn commit(&mut self, generation: u32, now: Duration) {
        match self.next.take_if(|(number, _)| *number == generation) {
            None => {}
            Some((_, Change::Renew(means))) => {
                self.current.iter_mut().for_each(|current| current.renew(means.clone(), now));
            }
            Some((_, Change::Replace(next))) => {
                self.current.iter_mut().for_each(Attendant::stop);
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

    /// Lets go of the change that goes with this generation.
    pub fn forget(&mut self, generation: u32) {
        self.next.take_if(|(number, _)| *number == generation);
    }

    /// Where it listens, if there is one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(Attendant::address)
    }

    /// When it is to be started; `None` while it runs, and where there is none.
    pub fn due(&self) -> Option<Duration> {
        self.current.as_ref().and_then(Attendant::due)
    }

    /// Forks it, when it is due.
    ///
    /// # Errors
    /// As [`Attendant::fork`].
    pub fn fork(&mut self, now: Duration) -> io::Result<Forked> {
        match &mut self.current {
            Some(current) if current.due().is_some_and(|due| due <= now) => current.fork(now),
            _ => Ok(Forked::Parent),
        }
    }

    /// Takes in that a process ended; true when it was this one, which is then due again.
    pub fn ended(&mut self, pid: i32, exit: Exit, now: Duration) -> bool {
        self.current.as_mut().is_some_and(|current| current.ended(pid, exit, now))
    }

    /// Has it go on in the error log as it was opened anew.
    pub fn change_log(&self) {
        self.current.iter().for_each(Attendant::change_log);
    }

    /// Ends it, and lets go of its address.
    pub fn close(&mut self) {
        self.current.iter_mut().for_each(Attendant::stop);
        *self = Attendance::default();
    }
}

/// True when a listener at one of these addresses keeps others from the other one.
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
