//! Runs the supervisor's actions, each by one call.
//!
//! Decides nothing. What follows from an action at once, such as a fork that fails, is an event for the next
//! round.

use std::fmt::Arguments;
use std::time::Duration;

use super::state::Master;
use super::supervisor::event::{Action, ChildId, ChildKind};
use crate::error::StartupError;
use crate::ipc::ToChild;
use crate::sys::process::{self, Exit};

impl Master {
    /// Runs the actions in order. Returns the master's result if it ends.
    pub(super) fn run_actions(&mut self, actions: Vec<Action>) -> Option<Result<(), StartupError>> {
        actions.into_iter().find_map(|action| self.run_action(action))
    }

    fn run_action(&mut self, action: Action) -> Option<Result<(), StartupError>> {
        match action {
            Action::Prepare(number) => {
                let event = self.prepare_generation(number);
                self.caused_events.push(event);
            }
            Action::ReopenRoots(number, workers) => {
                let event = self.reopen_roots(number, workers);
                self.caused_events.push(event);
            }
            Action::RenewCertificates(number, workers) => {
                let event = self.renew_certificates(number, workers);
                self.caused_events.push(event);
            }
            Action::Upgrade => self.upgrade(),
            Action::KeepListeners(number) => self.keep_listeners(number),
            Action::Start(id) => self.start_child(id),
            Action::Commit(number) => self.commit(number),
            Action::AbandonReload(number, slot, why) => self.abandon_reload(number, slot, &why),
            Action::CloseGeneration(number) => self.close_generation(number),
            Action::Drain(id) => self.drain(id),
            Action::Accept(id) => {
                if !self.children.send(id, &ToChild::Accept, &[]) {
                    // It would never accept. The next one does not wait.
                    self.kill(id, ::log::Level::Error, format_args!("does not read its messages"));
                }
            }
            Action::Stop(id) => self.children.stop(id),
            Action::Kill(id) => self.kill(id, ::log::Level::Warn, format_args!("does not stop")),
            Action::KillHung(id, silence) => {
                let silence = silence.as_secs();
                self.kill(id, ::log::Level::Error, format_args!("has had no heartbeat for {silence} s"));
            }
            Action::KillUntrusted(id, what) => self.kill(id, ::log::Level::Error, format_args!("{what}")),
            Action::GiveUp(id, next) => self.give_up(id, next),
            Action::SwitchAdmin(number) => {
                self.children.end_admin();
                self.admin.switch(number);
            }
            Action::CloseAdmin => {
                self.children.end_admin();
                self.admin.close();
            }
            Action::Avoid(slots) => self.avoid(slots),
            Action::LogExit(id, exit, wait) => self.log_exit(id, exit, wait),
            Action::LogStartFailure(id, why) => ::log::error!("{id} could not serve: {why}"),
            Action::Finish(failure) => return Some(self.finish(failure)),
        }
        None
    }

    fn finish(&self, failure: Option<(usize, String)>) -> Result<(), StartupError> {
        self.stop_kept_listeners();
        match failure {
            Some((slot, text)) => Err(StartupError::Worker { slot, text }),
            None => {
                ::log::info!("stopped");
                Ok(())
            }
        }
    }

    fn kill(&mut self, id: ChildId, level: ::log::Level, why: Arguments<'_>) {
        ::log::log!(level, "{id} {why} and is killed");
        self.children.kill(id);
    }

    fn log_exit(&self, id: ChildId, exit: Exit, wait: Duration) {
        self.count_restart(id);
        ::log::warn!("{id} ended ({exit}); {}", next_start(wait));
    }

    fn count_restart(&self, id: ChildId) {
        match id.kind {
            ChildKind::Worker => self.metrics.restarted(id.slot),
            ChildKind::Admin => self.metrics.admin_restarted(),
        }
    }

    /// Goes on without a process that was killed and has not ended. No code of it runs any more, so its
    /// counters are final. [`Master::reap`] sees its end.
    fn give_up(&mut self, id: ChildId, next: Option<Duration>) {
        let Some(pid) = self.children.give_up(id) else { return };
        self.forget_child(id, pid);
        if next.is_some() {
            self.count_restart(id);
        }
        let place = process::place_in_kernel(pid);
        let cause = match &place {
            Some(place) => format!(
                "a thread waits in the kernel ({place}), likely for a file system or a disk that does not answer"
            ),
            None => "the kernel does not say why".to_owned(),
        };
        let next = next.map_or("the master goes on without it".to_owned(), next_start);
        ::log::error!("{id}, pid {pid}, was killed and has not ended: {cause}; {next}");
    }
}

fn next_start(wait: Duration) -> String {
    if wait.is_zero() {
        "the next one starts at once".to_owned()
    } else {
        format!("the next one starts in {wait:?}")
    }
}
