//! An upgrade (USR2): starts the new program beside this one, and serves on alone if the new one ends.
//!
//! [`super::handover`] owns how the sockets are handed over.

use std::os::fd::AsFd;

use super::handover;
use super::pid_file::PidFile;
use super::state::Master;
use crate::error::cause;
use crate::sys::process::Exit;

impl Master {
    /// Starts the program again beside this one, with the same sockets.
    pub(super) fn upgrade(&mut self) {
        if self.successor.is_some() {
            ::log::warn!("a new program runs already; this upgrade is ignored");
            return;
        }
        let current = self.supervisor.current();
        let Some(generation) = self.generations.iter().find(|g| Some(g.number) == current) else {
            ::log::warn!("there are no workers; this upgrade is ignored");
            return;
        };
        if let Some(Err(error)) = self.pid_file.as_mut().map(PidFile::step_aside) {
            ::log::error!("the upgrade failed: cannot put the pid file aside: {error}");
            return;
        }
        let ticket_page = self.ticket_page.as_ref().map(AsFd::as_fd);
        match handover::start(&generation.listeners, self.admin.held(), ticket_page) {
            Ok(pid) => {
                ::log::info!(
                    "the new program starts beside this one, pid {pid}; QUIT to this one completes it"
                );
                self.successor = Some(pid);
            }
            Err(error) => {
                ::log::error!("the upgrade failed: {}", cause(&error));
                let _ = self.pid_file.as_mut().map(PidFile::step_back);
            }
        }
    }

    /// The new program has ended, so this master serves on alone.
    pub(super) fn successor_ended(&mut self, exit: Exit) {
        self.successor = None;
        self.steering.forget_choices();
        // At once: until then the kernel has the choices of the new program, which had workers of its own.
        self.steer();
        let current = self.supervisor.current();
        if let Some(generation) = self.generations.iter().find(|g| Some(g.number) == current) {
            // The new program may have changed it for the shared listeners.
            generation.set_backlog();
        }
        if let Some(Err(error)) = self.pid_file.as_mut().map(PidFile::step_back) {
            ::log::error!("cannot put the pid file back: {error}");
        }
        ::log::warn!("the new program ended ({exit}); this one serves on");
    }
}
