//! How a worker hears from outside: the master's messages over the link, and signals.
//!
//! The subtle rule: end-of-file on the link is the order to stop at once, for it is also what a master's death looks
//! like.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::PoisonError;

use may::io::{CoIo, WaitIo};

use super::accept::Door;
use super::{DRAIN, LOGS, READY};
use crate::connection::shared::Shared;
use crate::log;
use crate::sys::link::{self, Received};
use crate::sys::process;
use crate::sys::signal::{Request, Signals};

/// The coroutines that listen to master and signals.
pub struct Control {
    door: &'static Door,
    link: CoIo<OwnedFd>,
    signals: CoIo<Signals>,
}

impl Control {
    /// Takes over link and signals.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn new(door: &'static Door, link: OwnedFd, signals: Signals) -> io::Result<Control> {
        Ok(Control { door, link: watched(link)?, signals: watched(signals)? })
    }

    /// Tells the master that this worker serves, and listens from now on.
    pub fn start(self) {
        let Control { door, link, signals } = self;
        link::send(link.inner(), READY, &[]);
        super::start_vital(move || obey(door, &link));
        super::start_vital(move || heed(door, &signals));
    }
}

fn watched<T: AsRawFd>(io: T) -> io::Result<CoIo<T>> {
    CoIo::new(io).map_err(io::Error::from)
}

fn obey(door: &'static Door, link: &CoIo<OwnedFd>) {
    loop {
        match link::receive(link.inner()) {
            Received::Message(message, descriptors) => match message.strip_prefix(DRAIN) {
                Some(fates) => door.drain(fates),
                None if message == LOGS => change_logs(door.shared(), &descriptors),
                None => {}
            },
            Received::Closed => leave(door.shared()),
            Received::Empty => {
                link.wait_io();
            }
        }
    }
}

fn heed(door: &'static Door, signals: &CoIo<Signals>) {
    loop {
        match signals.inner().next() {
            Some(Request::Stop) => leave(door.shared()),
            Some(_) => {}
            None => {
                signals.wait_io();
            }
        }
    }
}

/// Goes on with logs that the master has opened anew.
fn change_logs(shared: &Shared, descriptors: &[OwnedFd]) {
    let mut descriptors = descriptors.iter().map(AsFd::as_fd);
    let error_log = descriptors.next().map_or(Ok(()), log::move_to);
    let access_log = match (&shared.access, descriptors.next()) {
        (Some(access), Some(fd)) => access.lock().unwrap_or_else(PoisonError::into_inner).move_to(fd),
        _ => Ok(()),
    };
    if let Err(error) = error_log.and(access_log) {
        ::log::error!("cannot change to the reopened log: {error}");
    }
}

/// Ends the worker, with the log's last lines written.
pub fn leave(shared: &Shared) -> ! {
    if let Some(access) = &shared.access {
        access.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
    process::exit_now(0)
}
