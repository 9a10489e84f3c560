//! What reaches the worker from outside: the master's messages over the link, and signals.
//!
//! **Invariant:** the worker exits at once when the link ends. The death of the master ends the link too.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use may::io::{CoIo, WaitIo};

use super::abort::start_permanent;
use super::acceptors::Acceptors;
use super::exit::exit;
use crate::connection::context::Context;
use crate::ipc::{FromChild, ToChild};
use crate::log;
use crate::password::users::{self, Users};
use crate::sys::link::{self, Incoming};
use crate::sys::memory_file;
use crate::sys::signal::{SignalRequest, Signals};

/// The coroutines that handle messages and signals.
pub struct Control {
    acceptors: &'static Acceptors,
    link: CoIo<OwnedFd>,
    signals: CoIo<Signals>,
}

impl Control {
    /// Takes over link and signals.
    ///
    /// # Errors
    /// What epoll_ctl(2) says.
    pub fn new(acceptors: &'static Acceptors, link: OwnedFd, signals: Signals) -> io::Result<Control> {
        Ok(Control { acceptors, link: watched(link)?, signals: watched(signals)? })
    }

    /// Tells the master that this worker is ready, handles the messages that it has sent so far, and those
    /// that come and signals from now on.
    pub fn start(self) {
        let Control { acceptors, link, signals } = self;
        link::send(link.inner(), &FromChild::Ready.encode(), &[]);
        handle_sent_messages(acceptors, &link);
        start_permanent(move || handle_messages(acceptors, &link));
        start_permanent(move || handle_signals(acceptors.context, &signals));
    }
}

fn watched<T: AsRawFd>(io: T) -> io::Result<CoIo<T>> {
    CoIo::new(io).map_err(io::Error::from)
}

fn handle_messages(acceptors: &'static Acceptors, link: &CoIo<OwnedFd>) {
    loop {
        handle_sent_messages(acceptors, link);
        link.wait_io();
    }
}

/// Handles the messages that are there.
fn handle_sent_messages(acceptors: &'static Acceptors, link: &CoIo<OwnedFd>) {
    loop {
        match link::receive(link.inner()) {
            Incoming::Message(message, descriptors) => match ToChild::parse(&message) {
                Some(ToChild::Drain(listeners)) => {
                    acceptors.drain(listeners);
                    link::send(link.inner(), &FromChild::Draining.encode(), &[]);
                }
                Some(ToChild::Accept) => acceptors.accept(),
                Some(ToChild::Logs(first)) => change_logs(acceptors.context, first, &descriptors),
                Some(ToChild::Users(file)) => change_users(acceptors.context, file, &descriptors),
                None => {}
            },
            // The master sends no such message, but descriptors are lost when there is no room for them.
            Incoming::TooLong => ::log::error!("cannot take what the master has sent: no descriptor is left"),
            Incoming::Closed => exit(acceptors.context),
            Incoming::Empty => return,
        }
    }
}

fn handle_signals(context: &Context, signals: &CoIo<Signals>) {
    loop {
        match signals.inner().next() {
            Some(SignalRequest::Stop) => exit(context),
            Some(_) => {}
            None => {
                signals.wait_io();
            }
        }
    }
}

/// Continues with another version of a users file, which the master has checked.
fn change_users(context: &Context, file: u16, descriptors: &[OwnedFd]) {
    let read = |fd: &OwnedFd| memory_file::contents(fd.as_fd(), users::MAX_FILE).ok();
    let users = descriptors.first().and_then(read).and_then(|bytes| Users::parse(&bytes).ok());
    match (users, &context.site.sign_ins) {
        (Some(users), Some(sign_ins)) => sign_ins.replace(usize::from(file), Arc::new(users)),
        _ => ::log::error!("cannot change to the new users file"),
    }
}

/// Continues with logs that the master has reopened; the first descriptor is that of the log with the number
/// `first`. 0 is the error log, and the access logs follow.
fn change_logs(context: &Context, first: u16, descriptors: &[OwnedFd]) {
    for (number, descriptor) in (first..).zip(descriptors) {
        let changed = match number.checked_sub(1) {
            None => log::move_to(descriptor.as_fd()),
            Some(access) => {
                context.access.get(access).map_or(Ok(()), |mut log| log.move_to(descriptor.as_fd()))
            }
        };
        if let Err(error) = changed {
            ::log::error!("cannot change to the reopened log: {error}");
        }
    }
}
