//! The master: binds, forks, supervises, and serves nothing itself.
//!
//! Steps: open what the settings name, fork a worker for each slot, say where to look once all serve, and then
//! wait → step → perform until there is no worker left and none is to come.
//!
//! The subtle rule: it stays single-threaded and never touches the scheduler, so that every fork is sound. It keeps all
//! listeners open, so that a dead worker's accept queue waits for the successor.

pub mod attendance;
pub mod attendant;
pub mod children;
pub mod generation;
pub mod orders;
pub mod perform;
pub mod pidfile;
pub mod report;
pub mod sockets;
pub mod starter;
pub mod steering;
pub mod supervisor;
pub mod upgrade;
pub mod watchdog;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Settings};
use crate::error::StartupError;
use crate::log;
use crate::metrics::Table;
use crate::sys::signal::{Request, Signals};
use crate::sys::{file, process, socket, timer};

use attendance::Attendance;
use children::{Children, Word};
use generation::Generation;
use pidfile::PidFile;
use report::Report;
use sockets::{Group, Sockets};
use starter::Starter;
use steering::Steering;
use supervisor::{Action, Event, Id, Supervisor};
use watchdog::Watchdog;

/// Serves with these settings until a signal ends it, and tells whoever waits for it how the start went.
///
/// # Errors
/// The step that failed, when the server can't start.
pub fn run(settings: Settings, mut starter: Starter) -> Result<(), StartupError> {
    let has_log_file = settings.log_file.is_some();
    // Bound and checked before any process is made, so that the first error is the only one.
    let end = match begin(settings) {
        Ok(mut master) => {
            master.starter = starter;
            let end = master.supervise();
            starter = std::mem::take(&mut master.starter);
            end
        }
        Err(error) => Err(error),
    };
    end.inspect_err(|error| {
        starter.failed(error);
        if has_log_file {
            // Standard error, which has it as well, may lead nowhere.
            ::log::error!("{error}");
        }
    })
}

fn begin(settings: Settings) -> Result<Master, StartupError> {
    log::init(&settings)?;
    for warning in &settings.warnings {
        ::log::warn!("{warning}");
    }
    Master::prepare(settings)
}

struct Master {
    signals: Signals,
    supervisor: Supervisor,
    /// What the supervisor wanted done before there was anybody to do it.
    first_actions: Vec<Action>,
    generations: Vec<Generation>,
    children: Children,
    watchdog: Watchdog,
    steering: Steering,
    admin: Attendance,
    /// What is counted.
    metrics: Table,
    pid_file: Option<PidFile>,
    report: Report,
    starter: Starter,
    /// The new program's master, while there is one.
    successor: Option<i32>,
    /// The master that handed the listeners on, if one did. While it lives it is this one's parent.
    predecessor: Option<i32>,
    /// The listeners that stay although the workers were told to leave, until others serve.
    kept: Sockets,
    /// What performing an action brought about.
    aftermath: Vec<Event>,
}

impl Master {
    fn prepare(settings: Settings) -> Result<Master, StartupError> {
        if !file::kernel_has_openat2() {
            let what = "openat2(2) is missing or forbidden here; it needs Linux 5.6 or later".to_owned();
            return Err(StartupError::Kernel { what });
        }
        let lent = Sockets::lent()?;
        if !lent.lent.is_empty() && settings.listen != [config::address::DEFAULT] {
            ::log::info!("listening on inherited sockets; --listen, --host and --port are passed over");
        }
        let signals = Signals::of_master()
            .map_err(|source| StartupError::System { step: "take up signals", source })?;
        let inherited = upgrade::inherited().map_err(|what| StartupError::Inherited { what })?;
        let predecessor = inherited.is_some().then(process::parent);
        let mut steering = Steering::default();
        inherited.iter().for_each(|sockets| steering.inherit(&sockets.groups));
        let others: Vec<&Sockets> = inherited.iter().chain([&lent]).collect();
        let pid_file = settings.pid_file.clone();
        let generation = Generation::open(1, settings, &others)?;
        // A predecessor's admin process still has the address.
        let admin = Attendance::start(&generation, predecessor.is_some(), timer::monotonic())?;
        let slots = generation.settings.workers;
        let metrics =
            Table::new(slots).map_err(|source| StartupError::System { step: "map the counters", source })?;
        let pid_file = pid_file.as_deref().map(PidFile::write).transpose()?;
        ::log::info!("sandbox: {}", generation.sandbox);
        let (supervisor, first_actions) =
            Supervisor::start(slots, generation.settings.drain_timeout, timer::monotonic());
        let watchdog = Watchdog::new(generation.settings.watchdog, timer::monotonic());
        Ok(Master {
            signals,
            supervisor,
            first_actions,
            generations: vec![generation],
            children: Children::default(),
            watchdog,
            steering,
            admin,
            metrics,
            pid_file,
            report: Report::from_environment(timer::monotonic(), predecessor.is_some()),
            starter: Starter::default(),
            successor: None,
            predecessor,
            kept: Sockets::default(),
            aftermath: Vec::new(),
        })
    }

    /// Wait, step, perform, until the supervisor says that all is over.
    fn supervise(&mut self) -> Result<(), StartupError> {
        let mut actions = std::mem::take(&mut self.first_actions);
        loop {
            if let Some(end) = self.perform(actions) {
                return end;
            }
            self.attend();
            self.close_unattended();
            self.steer();
            actions = Vec::new();
            self.report.beat(timer::monotonic());
            for event in self.wait() {
                actions.extend(self.supervisor.step(event, timer::monotonic()));
            }
        }
    }

    /// Waits for events; a deadline that passes is one too.
    fn wait(&mut self) -> Vec<Event> {
        if !self.aftermath.is_empty() {
            return std::mem::take(&mut self.aftermath);
        }
        let events = self.watch();
        if !events.is_empty() {
            return events;
        }
        let due = [self.supervisor.deadline(), self.watchdog.due(), self.report.due(), self.admin.due()];
        let deadline = due.into_iter().flatten().min();
        let timeout = deadline.map(|at| at.saturating_sub(timer::monotonic()));
        let links = self.children.links();
        let mut fds = vec![self.signals.as_fd()];
        fds.extend(links.iter().map(|(_, link)| *link));
        let ids: Vec<Id> = links.iter().map(|(id, _)| *id).collect();
        let Ok(readable) = process::wait_readable(&fds, timeout) else { return vec![Event::Tick] };
        let mut events = Vec::new();
        // What workers said comes before how they ended.
        for (&id, _) in ids.iter().zip(&readable[1..]).filter(|(_, readable)| **readable) {
            events.extend(self.listen(id));
        }
        // An order to stop comes before the deaths it explains: a terminal's INT reaches the workers as well.
        let mut exits = Vec::new();
        while let Some(request) = self.signals.next() {
            match request {
                Request::Child => exits.extend(self.reap()),
                other => events.extend(self.heed(other)),
            }
        }
        events.extend(exits);
        events.push(Event::Tick);
        events
    }

    /// Looks which workers have begun or ceased to give signs of life.
    fn watch(&mut self) -> Vec<Event> {
        let beat = |(id, pid): (Id, i32)| Some((id, self.metrics.heartbeat(id.slot, pid)?));
        let beats: Vec<(Id, Duration)> = self.children.processes().filter_map(beat).collect();
        let events = self.watchdog.look(&beats, timer::monotonic());
        for event in &events {
            match event {
                Event::Silent(id) => ::log::warn!("{} has given no sign of life for a second", name(*id)),
                Event::Heard(id) => ::log::info!("{} gives signs of life again", name(*id)),
                _ => {}
            }
        }
        events
    }

    /// Has new connections come to where they are answered. Another master on the same sockets has its own view, and the
    /// newer one's counts.
    fn steer(&mut self) {
        if self.predecessor.is_some_and(|pid| pid != process::parent()) {
            self.predecessor.take().into_iter().for_each(|pid| self.steering.ended(pid));
        }
        if self.successor.is_some() || self.supervisor.current().is_none() {
            return;
        }
        let mut groups: Vec<&Group> = Vec::new();
        for group in self.generations.iter().filter(|g| self.supervisor.stays(g.number)) {
            for group in &group.sockets.groups {
                match groups.iter_mut().find(|other| other.bound == group.bound) {
                    Some(other) if other.listeners.len() < group.listeners.len() => *other = group,
                    Some(_) => {}
                    None => groups.push(group),
                }
            }
        }
        let (children, predecessor) = (&self.children, self.predecessor);
        self.steering.update(&groups, |slot| children.of_slot(slot).chain(predecessor).collect());
    }

    /// Closes what a generation on its way out listened on, where nobody goes on with it and the worker that was to empty
    /// and close it is not there: it died first, or was yet to come. Clients would wait there in vain.
    fn close_unattended(&mut self) {
        if self.has_other_master() {
            return;
        }
        let mut unattended = Vec::new();
        for generation in self.generations.iter().filter(|g| !self.supervisor.stays(g.number)) {
            for group in &generation.sockets.groups {
                for (slot, listener) in group.listeners.iter().enumerate() {
                    let stays = |g: &Generation| self.supervisor.stays(g.number) && g.sockets.have(listener);
                    let nobody = self.children.of_slot(slot).next().is_none();
                    if nobody && !self.kept.have(listener) && !self.generations.iter().any(stays) {
                        unattended.push(Arc::clone(listener));
                    }
                }
            }
        }
        for listener in unattended {
            socket::stop_listening(listener.as_fd());
            self.generations.iter_mut().for_each(|generation| generation.sockets.close(&listener));
        }
    }

    /// Whether another master has these listeners as well.
    fn has_other_master(&self) -> bool {
        self.successor.is_some() || self.predecessor == Some(process::parent())
    }

    /// What a worker has said since the last time.
    fn listen(&mut self, id: Id) -> Vec<Event> {
        let words = self.children.listen(id);
        let event = |word| match word {
            Word::Ready => Some(Event::Ready(id)),
            Word::Failed(why) => Some(Event::Failed(id, why)),
            Word::Moved => self.follow_root(id),
        };
        words.into_iter().filter_map(event).collect()
    }

    /// Takes in the ends of all children that have ended.
    fn reap(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((pid, exit)) = process::reap() {
            self.metrics.release(pid);
            self.steering.ended(pid);
            if self.admin.ended(pid, exit, timer::monotonic()) {
                self.metrics.admin_restarted();
            }
            if self.successor == Some(pid) {
                self.successor = None;
                self.steering.doubt();
                ::log::warn!("the new program ended ({exit}); this one serves on");
                if let Some(Err(error)) = self.pid_file.as_mut().map(PidFile::step_back) {
                    ::log::error!("cannot put the pid file back: {error}");
                }
            } else if let Some(id) = self.children.id(pid) {
                events.extend(self.listen(id));
                self.children.remove(id);
                self.watchdog.ended(id);
                events.push(Event::Exited(id, exit));
            }
        }
        events
    }
}

/// A worker in the log's words.
fn name(id: Id) -> String {
    match id.generation {
        1 => format!("worker {}", id.slot),
        number => format!("worker {} of generation {number}", id.slot),
    }
}
