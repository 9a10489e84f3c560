//! What the master does at a signal: stop, drain, reload, reopen the logs, upgrade, add or remove a worker.
//!
//! Decides nothing about processes: it makes events for the supervisor.

use std::os::fd::BorrowedFd;

use super::state::Master;
use super::supervisor::event::{ChildKind, Event, Operation};
use crate::ipc::ToChild;
use crate::log::{self, ErrorLog};
use crate::metrics::State;
use crate::sys::signal::SignalRequest;

/// How many descriptors of logs a message has. A worker that holds as many connections as it may has room for
/// these; it closes them before it takes the next message.
const LOGS_AT_ONCE: usize = 16;

impl Master {
    /// Handles a signal at once, or returns the events for the supervisor.
    pub(super) fn handle_signal(&mut self, request: SignalRequest) -> Vec<Event> {
        match request {
            SignalRequest::Stop => self.handle_stop(),
            SignalRequest::Drain => self.handle_drain(),
            SignalRequest::Reload => self.ask("reload", Operation::Reload),
            SignalRequest::DrainWorkers => self.ask("request to stop the workers", Operation::DrainWorkers),
            SignalRequest::AddWorker => self.ask("request to add a worker", Operation::AddWorker),
            SignalRequest::RemoveWorker => self.ask("request to remove a worker", Operation::RemoveWorker),
            SignalRequest::Upgrade => self.ask("upgrade", Operation::Upgrade),
            SignalRequest::Reopen => {
                self.reopen_logs();
                Vec::new()
            }
            SignalRequest::Child => Vec::new(),
        }
    }

    fn handle_stop(&self) -> Vec<Event> {
        self.metrics.set_state(State::Stopping);
        self.notify_leaving("stopping");
        vec![Event::Stop]
    }

    fn handle_drain(&self) -> Vec<Event> {
        self.metrics.set_state(State::Draining);
        self.notify_leaving("serving the last clients");
        // The admin process of the new program waits for the address.
        let hand_on = self.successor.map(|_| Event::HandAdminOn);
        hand_on.into_iter().chain([Event::Drain]).collect()
    }

    /// Makes the event that asks for an operation. While a generation starts, the operation waits, and this
    /// is logged. `what` names it in the log.
    fn ask(&self, what: &str, operation: Operation) -> Vec<Event> {
        if self.supervisor.is_ending() {
            ::log::warn!("the server is ending; this {what} is ignored");
            return Vec::new();
        }
        if self.supervisor.is_busy() {
            ::log::info!("this {what} waits until the workers that start have started");
        }
        vec![Event::Asked(operation)]
    }

    /// Tells the service manager that this master ends, or that the new program's master replaces it.
    fn notify_leaving(&self, status: &str) {
        match self.successor {
            Some(pid) => self.systemd.handed_on(pid),
            None => self.systemd.stopping(status),
        }
    }

    /// Opens the logs again by their names, and sends each child its own (USR1). If a log can't be opened,
    /// the file that is open stays in use.
    fn reopen_logs(&mut self) {
        let mut failed = log::reopen().inspect_err(|error| ::log::error!("{error}")).is_err();
        for generation in &self.generations {
            if let Some(Err(error)) = generation.log.as_ref().map(ErrorLog::reopen) {
                // Not the master's own log, which was reported above: that one is only taken over here.
                ::log::error!("generation {}: {error}", generation.number);
                failed = true;
            }
            for error in generation.reopen_access() {
                ::log::error!("{error}");
                failed = true;
            }
            let descriptors = generation.logs();
            let workers = self.children.ids().into_iter().filter(|id| id.kind == ChildKind::Worker);
            for id in workers.filter(|id| id.generation == generation.number) {
                let mut messages = (0_u16..).step_by(LOGS_AT_ONCE).zip(descriptors.chunks(LOGS_AT_ONCE));
                let sent = messages.all(|(first, logs)| self.children.send(id, &ToChild::Logs(first), logs));
                if !sent {
                    // A user may have no more descriptors on their way than it may have open (unix(7)
                    // `ETOOMANYREFS`).
                    ::log::warn!("{id} may not have taken up all logs; a further USR1 sends them again");
                }
            }
        }
        let descriptors: Vec<BorrowedFd<'_>> = log::descriptor().into_iter().collect();
        for id in self.children.ids().into_iter().filter(|id| id.kind == ChildKind::Admin) {
            self.children.send(id, &ToChild::Logs(0), &descriptors);
        }
        if !failed {
            ::log::info!("logs reopened");
        }
    }
}
