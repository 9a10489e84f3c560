//! What the master does at a signal: stop, drain, reload, reopen, upgrade.
//!
//! Decides nothing about processes; it hands the supervisor an event. The subtle rule: a reload opens all that the new
//! settings name before anything changes, so that settings which can't be had cost nothing but their error line.

use std::os::fd::BorrowedFd;

use super::generation::Generation;
use super::pidfile::PidFile;
use super::sockets::Sockets;
use super::supervisor::{Event, Id};
use super::{Master, upgrade};
use crate::config::{self, Init, Invocation};
use crate::error::{StartupError, cause};
use crate::metrics::State;
use crate::sys::signal::Request;
use crate::sys::timer;
use crate::{log, worker};

impl Master {
    /// What a signal comes to: an event for the supervisor, or something done at once.
    pub(super) fn heed(&mut self, request: Request) -> Option<Event> {
        match request {
            Request::Stop => {
                self.metrics.set_state(State::Stopping);
                self.report_leaving("stopping");
                Some(Event::Stop)
            }
            Request::Drain => {
                self.metrics.set_state(State::Draining);
                self.report_leaving("serving the last clients");
                if self.successor.is_some() {
                    // The new program's admin process waits for the address.
                    self.admin.close();
                }
                Some(Event::Drain)
            }
            Request::Reload => self.reload(),
            Request::Empty => {
                let current = self.supervisor.current();
                if let Some(generation) = self.generations.iter().find(|g| Some(g.number) == current) {
                    self.kept = generation.sockets.clone();
                }
                Some(Event::Empty)
            }
            Request::More => Some(Event::More),
            Request::Fewer => Some(Event::Fewer),
            Request::Reopen => {
                self.reopen_logs();
                None
            }
            Request::Upgrade => {
                self.upgrade();
                None
            }
            Request::Child => None,
        }
    }

    /// Tells the service manager that this master leaves, and whether another one stays.
    fn report_leaving(&self, status: &str) {
        match self.successor {
            Some(pid) => self.report.handed_on(pid),
            None => self.report.stopping(status),
        }
    }

    /// Settles the settings anew and opens what they name; only when all of it is there does anything change.
    fn reload(&mut self) -> Option<Event> {
        let Some(number) = self.supervisor.next_generation() else {
            ::log::warn!("a reload is under way or the end has come; this reload is passed over");
            return None;
        };
        self.report.reloading(timer::monotonic());
        match self.next_generation(number) {
            Ok(generation) => {
                ::log::info!("reloading: generation {number} starts");
                Some(self.succeed(generation))
            }
            Err(error) => {
                ::log::error!("the reload is given up and the settings stay as they are: {error}");
                self.report.ready("serving as before a reload that was given up");
                None
            }
        }
    }

    /// Has a next generation follow the root's path to where it leads now, since the workers of this one are confined to
    /// where it led. The settings stay what they are. Workers say it again as long as it is so.
    pub(super) fn follow_root(&mut self, id: Id) -> Option<Event> {
        if self.supervisor.current() != Some(id.generation) {
            return None;
        }
        let number = self.supervisor.next_generation()?;
        let current = self.generations.iter().find(|generation| generation.number == id.generation)?;
        let others: Vec<&Sockets> = self.generations.iter().map(|g| &g.sockets).collect();
        match Generation::open(number, current.settings.clone(), &others) {
            Ok(generation) => {
                ::log::info!("a root's path leads elsewhere now: generation {number} starts there");
                Some(self.succeed(generation))
            }
            Err(error) => {
                ::log::error!("a root's path leads elsewhere now, where it can't be followed: {error}");
                None
            }
        }
    }

    fn succeed(&mut self, generation: Generation) -> Event {
        let event = Event::Reload(generation.settings.workers, generation.settings.drain_timeout);
        self.generations.push(generation);
        event
    }

    fn next_generation(&mut self, number: u32) -> Result<Generation, StartupError> {
        let settings = match config::from_args(std::env::args_os(), std::env::vars_os())? {
            Invocation::Serve(settings) => *settings,
            Invocation::Init(Init::Start | Init::Restart, settings) => *settings,
            // The same arguments asked to serve when this process started.
            _ => return Err(StartupError::Usage("the command line does not ask to serve".to_owned())),
        };
        let mut others: Vec<&Sockets> = self.generations.iter().map(|g| &g.sockets).collect();
        others.push(&self.kept);
        let generation = Generation::open(number, settings, &others)?;
        self.admin.prepare(&generation, timer::monotonic())?;
        log::adopt(&generation.settings).inspect_err(|_| self.admin.forget(number))?;
        for warning in &generation.settings.warnings {
            ::log::warn!("{warning}");
        }
        Ok(generation)
    }

    /// Opens the logs anew by their names and hands them to the workers (USR1).
    fn reopen_logs(&mut self) {
        if let Err(error) = log::reopen() {
            ::log::error!("cannot reopen the error log: {error}");
        }
        for id in self.children.ids() {
            let Some(generation) = self.generations.iter().find(|g| g.number == id.generation) else {
                continue;
            };
            let mut descriptors: Vec<BorrowedFd<'_>> = log::descriptor().into_iter().collect();
            if let Some(access) = &generation.access {
                // Once for each worker rather than once in all: it is rare, and there is nothing to get wrong.
                match access.reopen(&generation.settings.access_log) {
                    Ok(()) => descriptors.push(access.descriptor()),
                    Err(error) => ::log::error!("cannot reopen the access log: {error}"),
                }
            }
            self.children.tell(id, worker::LOGS, &descriptors);
        }
        self.admin.change_log();
        ::log::info!("logs reopened");
    }

    /// Starts the program anew beside this one, with the same sockets (USR2).
    fn upgrade(&mut self) {
        if self.successor.is_some() {
            ::log::warn!("a new program runs already; this upgrade is passed over");
            return;
        }
        let current = self.supervisor.current();
        let Some(generation) = self.generations.iter().find(|g| Some(g.number) == current) else {
            ::log::warn!("there are no workers; this upgrade is passed over");
            return;
        };
        if let Some(Err(error)) = self.pid_file.as_mut().map(PidFile::step_aside) {
            ::log::error!("the upgrade is given up: cannot put the pid file aside: {error}");
            return;
        }
        match upgrade::start(&generation.sockets) {
            Ok(pid) => {
                ::log::info!(
                    "the new program starts beside this one, pid {pid}; QUIT to this one completes it"
                );
                self.successor = Some(pid);
            }
            Err(error) => {
                ::log::error!("the upgrade is given up: {}", cause(&error));
                let _ = self.pid_file.as_mut().map(PidFile::step_back);
            }
        }
    }
}
