//! What the supervisor decided, done: workers forked, told, killed, and what that means for listeners and reports.
//!
//! Decides nothing. The subtle rule: a child of a fork has the master's memory whole, and drops first what would keep
//! others alive or their ports open.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::attendance::Attendance;
use super::attendant::{Forked, Means};
use super::children::Children;
use super::generation::Generation;
use super::pidfile::PidFile;
use super::report::Report;
use super::sockets::Sockets;
use super::starter::Starter;
use super::supervisor::{Action, Event, Id};
use super::{Master, name};
use crate::config;
use crate::error::{StartupError, cause};
use crate::metrics::{Row, State};
use crate::sys::process::{self, Exit, Fork};
use crate::sys::{link, socket, timer};
use crate::{admin, worker};

impl Master {
    /// Performs actions in order; the last one of all brings the end.
    pub(super) fn perform(&mut self, actions: Vec<Action>) -> Option<Result<(), StartupError>> {
        for action in actions {
            match action {
                Action::Start(id) => self.start(id),
                Action::Announce(number) => {
                    self.admin.commit(number, timer::monotonic());
                    self.announce(number);
                }
                Action::Drain(id) => self.drain(id),
                Action::Stop(id) => self.children.stop(id),
                Action::Kill(id) => {
                    ::log::warn!("{} does not stop and is killed", name(id));
                    self.children.kill(id);
                }
                Action::Condemn(id, silence) => {
                    let silence = silence.as_secs();
                    ::log::error!("{} has given no sign of life for {silence} s and is killed", name(id));
                    self.children.kill(id);
                }
                Action::Avoid(slots) => self.avoid(slots),
                Action::Complain(id, why) => ::log::error!("{} could not serve: {why}", name(id)),
                Action::Report(id, exit, wait) if wait.is_zero() => {
                    self.metrics.restarted(id.slot);
                    ::log::warn!("{} ended ({exit}); the next one starts at once", name(id));
                }
                Action::Report(id, exit, wait) => {
                    self.metrics.restarted(id.slot);
                    ::log::warn!("{} ended young ({exit}); the next one starts in {wait:?}", name(id));
                }
                Action::Abandon(number, slot, why) => {
                    let id = Id { generation: number, slot };
                    ::log::error!("the reload is given up: {} could not serve: {why}", name(id));
                    // It may have had more slots.
                    self.supervisor.wanted().into_iter().for_each(|slots| self.metrics.set_slots(slots));
                    self.report.ready("serving as before a reload that was given up");
                }
                Action::Forget(number) => self.forget(number),
                Action::Finish(None) => {
                    self.admin.close();
                    ::log::info!("stopped");
                    return Some(Ok(()));
                }
                Action::Finish(Some((slot, text))) => return Some(Err(StartupError::Worker { slot, text })),
            }
        }
        None
    }

    /// Lets go of a generation that nobody is left of.
    fn forget(&mut self, number: u32) {
        self.admin.forget(number);
        self.generations.retain(|generation| generation.number != number);
    }

    /// Starts the admin process when it is time to.
    pub(super) fn attend(&mut self) {
        let master = process::id();
        match self.admin.fork(timer::monotonic()) {
            Ok(Forked::Parent) => {}
            Ok(Forked::Child(link, address, Means { identity, sandbox, .. })) => {
                self.report = Report::default();
                // What it does not need it must not hold: others' links and ports would outlive their owners.
                self.children = Children::default();
                self.admin = Attendance::default();
                self.generations.clear();
                self.kept = Sockets::default();
                self.starter = Starter::default();
                self.pid_file.take().into_iter().for_each(PidFile::leave_to_master);
                let metrics = self.metrics;
                admin::run(admin::Start { master, link, address, identity, sandbox, metrics })
            }
            Err(error) => ::log::error!("admin cannot be started: {}", cause(&error)),
        }
    }

    /// Starts a worker. A fork that fails counts as a worker that could not serve, and is tried again.
    fn start(&mut self, id: Id) {
        if let Err(why) = self.fork(id) {
            self.aftermath.extend([Event::Failed(id, why), Event::Exited(id, Exit::Code(1))]);
        }
    }

    fn fork(&mut self, id: Id) -> Result<(), String> {
        let cannot = |error: io::Error| format!("cannot fork: {}", cause(&error));
        let index = self.generations.iter().position(|generation| generation.number == id.generation);
        let Some(index) = index else { return Err("its generation is gone".to_owned()) };
        let backlog = self.generations[index].settings.backlog;
        self.generations[index].sockets.reach(id.slot + 1, backlog).map_err(|error| error.to_string())?;
        let (mine, theirs) = link::pair().map_err(cannot)?;
        let master = process::id();
        let row = self.metrics.claim(id.slot);
        match process::fork().map_err(cannot)? {
            Fork::Parent(pid) => {
                self.children.insert(id, pid, mine);
                self.metrics.occupy(row, pid, id.generation, timer::monotonic());
                ::log::info!("{} started, pid {pid}", name(id));
                Ok(())
            }
            Fork::Child => {
                drop(mine);
                self.become_worker(id, index, master, theirs, row)
            }
        }
    }

    /// In the child: keeps what is the worker's, drops what would keep others alive or their ports open, and serves.
    fn become_worker(&mut self, id: Id, index: usize, master: i32, link: OwnedFd, metrics: Row) -> ! {
        self.children = Children::default();
        self.report = Report::default();
        self.admin = Attendance::default();
        let mine = self.generations.swap_remove(index);
        self.generations.clear();
        self.kept = Sockets::default();
        self.starter = Starter::default();
        self.pid_file.take().into_iter().for_each(PidFile::leave_to_master);
        mine.become_worker(id.slot, master, link, metrics)
    }

    /// Has a worker drain. Listeners that somebody else goes on with are left to them; the others are closed once
    /// whoever is on the way has come in.
    fn drain(&mut self, id: Id) {
        let Some(generation) = self.generations.iter().find(|g| g.number == id.generation) else { return };
        if self.children.ids().contains(&id) {
            ::log::info!("{} serves its clients to their end", name(id));
        }
        let stays = |g: &&Generation| self.supervisor.stays(g.number) && g.number != id.generation;
        let other_master = self.has_other_master();
        let goes_on = |listener: &Arc<OwnedFd>| {
            generation.sockets.is_lent(listener)
                || self.kept.have(listener)
                || other_master
                || self.generations.iter().filter(stays).any(|g| g.sockets.have(listener))
        };
        let mut message = worker::DRAIN.to_vec();
        let mut closing = Vec::new();
        for listener in generation.sockets.of_slot(id.slot) {
            let fate = if goes_on(&listener) {
                worker::KEEP
            } else if socket::refuse_handshakes(listener.as_fd()).is_ok() {
                worker::CLOSE
            } else {
                // Without it a client that is just connecting may be lost.
                worker::CLOSE_SOON
            };
            message.push(fate);
            if fate != worker::KEEP {
                closing.push(listener);
            }
        }
        for generation in &mut self.generations {
            closing.iter().for_each(|listener| generation.sockets.close(listener));
        }
        drop(closing);
        // A slot that is taken away from a generation that stays takes its listeners along.
        if self.supervisor.current() == Some(id.generation) {
            for generation in self.generations.iter_mut().filter(|g| g.number == id.generation) {
                generation.sockets.cut(id.slot);
            }
            self.metrics.set_slots(id.slot);
        }
        // First no new connections come to what closes, then it closes.
        self.steer();
        self.children.tell(id, &message, &[]);
    }

    fn avoid(&mut self, slots: Vec<usize>) {
        match &slots[..] {
            [] => ::log::info!("new connections go to all workers again"),
            slots => {
                let slots: Vec<String> = slots.iter().map(usize::to_string).collect();
                ::log::info!("no new connections go to slot {} for now", slots.join(", "));
            }
        }
        self.steering.avoid(slots);
    }

    /// Says what is served and where: on standard output at the first time, for people and for whoever started this,
    /// and in the log.
    fn announce(&mut self, number: u32) {
        let Some(generation) = self.generations.iter().find(|g| g.number == number) else { return };
        let (what, workers) = (generation.what(), generation.settings.workers);
        self.metrics.set_slots(workers);
        self.metrics.set_generation(number);
        self.kept = Sockets::default();
        self.watchdog.set_patience(generation.settings.watchdog);
        self.metrics.set_state(State::Serving);
        if number == 1 {
            let plural = if workers == 1 { "" } else { "s" };
            let mut text = format!("mayhttpd serves {what} with {workers} worker{plural}:\n");
            for group in &generation.sockets.groups {
                text.push_str(&format!("  http://{}/\n", config::address::reachable(group.bound)));
            }
            for socket in &generation.sockets.lent {
                if let Ok(address) = socket::local_address(socket) {
                    text.push_str(&format!("  http://{}/\n", config::address::reachable(address)));
                } else if let Some(path) = socket::local_path(socket) {
                    text.push_str(&format!("  unix:{path}\n"));
                }
            }
            if let Some(address) = self.admin.address() {
                text.push_str(&format!("  admin: http://{}/status\n", config::address::reachable(address)));
            }
            if !self.starter.served(&text) {
                // Nobody may be reading; that is no reason not to serve.
                let _ = io::stdout().write_all(text.as_bytes());
            }
        }
        self.report.ready(&format!("generation {number} serves {what} with {workers} workers"));
        let places = generation.places();
        ::log::info!("generation {number} serves {what} with {workers} workers of {places} connections");
    }
}
