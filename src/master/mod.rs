//! The master process: opens what the settings name, forks the workers and supervises them. It serves no
//! client itself.
//!
//! Steps: open what the settings name (`start.rs`). Run the supervisor's first actions, which fork a worker
//! for each slot. Then wait for events, have the supervisor decide and run its actions (`actions.rs`), until
//! it decides that the master ends.
//!
//! **Invariants:**
//! - The master has a single thread and never touches the scheduler, so that every fork is sound.
//! - It keeps all listeners open, so that a dead worker's accept queue waits for the next worker.

pub mod actions;
pub mod admin_listener;
pub mod admin_process;
pub mod announcement;
pub mod background;
pub mod certificate_watch;
pub mod certificates;
pub mod children;
pub mod drain;
pub mod generation;
pub mod generation_tls;
pub mod handover;
pub mod identity;
pub mod listeners;
pub mod new_connections;
pub mod open_root;
pub mod pid_file;
pub mod process;
pub mod reload;
pub mod root_watch;
pub mod roots;
pub mod signals;
pub mod start;
pub mod state;
pub mod steering;
pub mod supervisor;
pub mod systemd;
pub mod ticket_page;
pub mod upgrade;
pub mod users;
pub mod users_file;
pub mod users_watch;
pub mod watchdog;
pub mod worker_limits;

use std::os::fd::{AsFd, BorrowedFd};

use crate::config::Settings;
use crate::config::load::Inputs;
use crate::error::StartupError;
use crate::sys::process::wait_readable;
use crate::sys::signal::SignalRequest;
use crate::sys::timer;

use background::BackgroundStart;
use state::Master;
use supervisor::event::{ChildId, Event};

/// Serves with these settings until a signal ends it. Reports to `background_start` whether the start
/// succeeded.
///
/// # Errors
/// The step that failed, when the server can't start.
pub fn run(
    settings: Settings,
    inputs: Inputs,
    mut background_start: BackgroundStart,
) -> Result<(), StartupError> {
    let has_log_file = settings.log_file.is_some();
    // All is opened before the first fork, so that no worker repeats the error.
    let end = match Master::from_settings(settings, inputs) {
        Ok(mut master) => {
            master.background_start = background_start;
            let end = master.supervise();
            background_start = std::mem::take(&mut master.background_start);
            end
        }
        Err(error) => Err(error),
    };
    end.inspect_err(|error| {
        background_start.failed(error);
        if has_log_file {
            // The caller also writes it to standard error, which may lead nowhere.
            ::log::error!("{error}");
        }
    })
}

impl Master {
    /// Waits for events and handles them, until the supervisor says that the master ends.
    fn supervise(&mut self) -> Result<(), StartupError> {
        let actions = std::mem::take(&mut self.first_actions);
        let mut end = self.run_actions(actions);
        while end.is_none() {
            self.close_unserved_listeners();
            self.steer();
            self.systemd.beat(timer::monotonic());
            end = self.wait().into_iter().find_map(|event| self.handle_event(event));
        }
        end.unwrap_or(Ok(()))
    }

    /// Has the supervisor decide on an event, and runs the actions before the next event: the supervisor
    /// assumes that they have been run. Then runs the operations that have waited.
    fn handle_event(&mut self, event: Event) -> Option<Result<(), StartupError>> {
        let actions = self.supervisor.step(event, timer::monotonic());
        let mut end = self.run_actions(actions);
        while end.is_none()
            && let Some(actions) = self.supervisor.resume(timer::monotonic())
        {
            end = self.run_actions(actions);
        }
        end
    }

    /// Waits for events. A deadline that has passed is an event too.
    fn wait(&mut self) -> Vec<Event> {
        if !self.caused_events.is_empty() {
            return std::mem::take(&mut self.caused_events);
        }
        let mut events = self.check_heartbeats();
        events.extend(self.check_roots());
        events.extend(self.check_certificates());
        self.check_users();
        self.rotate_ticket_keys();
        if !events.is_empty() {
            return events;
        }
        let Some(readable) = self.wait_readable() else { return vec![Event::Tick] };
        // The messages of a child come before its exit.
        let mut events: Vec<Event> = readable.into_iter().flat_map(|id| self.receive(id)).collect();
        events.extend(self.handle_signals());
        events.push(Event::Tick);
        events
    }

    /// Waits until a signal has come, a child has sent a message or the next deadline has passed. Returns the
    /// children with a message; `None` if waiting failed.
    fn wait_readable(&self) -> Option<Vec<ChildId>> {
        let of_files = [self.roots_due(), self.users_due(), self.certificates_due(), self.ticket_key_due()];
        let due = [self.supervisor.deadline(), self.watchdog.due(), self.systemd.due()];
        let deadline = due.into_iter().chain(of_files).flatten().min();
        let timeout = deadline.map(|at| at.saturating_sub(timer::monotonic()));
        let links = self.children.links();
        let fds: Vec<BorrowedFd<'_>> =
            std::iter::once(self.signals.as_fd()).chain(links.iter().map(|(_, link)| *link)).collect();
        let readable = wait_readable(&fds, timeout).ok()?;
        let children = links.iter().zip(readable.iter().skip(1)).filter(|(_, readable)| **readable);
        Some(children.map(|((id, _), _)| *id).collect())
    }

    /// The events of all signals that have come. Requests come before exits, since a terminal sends INT to
    /// the workers as well: the stop explains their exits.
    fn handle_signals(&mut self) -> Vec<Event> {
        let (mut events, mut exits) = (Vec::new(), Vec::new());
        while let Some(request) = self.signals.next() {
            match request {
                SignalRequest::Child => exits.extend(self.reap()),
                other => events.extend(self.handle_signal(other)),
            }
        }
        events.extend(exits);
        events
    }

    /// Checks the heartbeats of the workers, and logs what has changed.
    fn check_heartbeats(&mut self) -> Vec<Event> {
        let events = self.watchdog.check(&self.children.heartbeats(), timer::monotonic());
        for event in &events {
            match event {
                Event::Silent(id) => ::log::warn!("{id} has had no heartbeat for a second"),
                Event::Heard(id) => ::log::info!("{id} has a heartbeat again"),
                _ => {}
            }
        }
        events
    }
}
