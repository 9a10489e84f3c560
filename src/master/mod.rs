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
pub mod pidfile;
pub mod report;
pub mod sockets;
pub mod steering;
pub mod supervisor;
pub mod upgrade;
pub mod watchdog;

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Invocation, Settings};
use crate::error::{StartupError, cause};
use crate::metrics::{Row, State, Table};
use crate::sys::process::{self, Exit, Fork};
use crate::sys::signal::{Request, Signals};
use crate::sys::{file, link, socket, timer};
use crate::{admin, log, worker};

use attendance::Attendance;
use attendant::{Forked, Means};
use children::{Children, Word};
use generation::Generation;
use pidfile::PidFile;
use report::Report;
use sockets::{Group, Sockets};
use steering::Steering;
use supervisor::{Action, Event, Id, Supervisor};
use watchdog::Watchdog;

/// Serves with these settings until a signal ends it.
///
/// # Errors
/// The step that failed, when the server can't start.
pub fn run(settings: Settings) -> Result<(), StartupError> {
    // Bound and checked before any process is made, so that the first error is the only one.
    let mut master = Master::prepare(settings)?;
    master.supervise()
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
    /// The new program's master, while there is one.
    successor: Option<i32>,
    /// The master that handed the listeners on, if one did. While it lives it is this one's parent.
    predecessor: Option<i32>,
    /// True when the workers were told to leave without the master: the listeners stay.
    emptied: bool,
    /// The listeners of an emptied master.
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
            steering: Steering::default(),
            admin,
            metrics,
            pid_file,
            report: Report::from_environment(timer::monotonic(), predecessor.is_some()),
            successor: None,
            predecessor,
            emptied: false,
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
                events.push(Event::Exited(id, exit));
            }
        }
        events
    }

    /// What a signal comes to: an event for the supervisor, or something done at once.
    fn heed(&mut self, request: Request) -> Option<Event> {
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
                self.emptied = true;
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
    fn follow_root(&mut self, id: Id) -> Option<Event> {
        if self.supervisor.current() != Some(id.generation) {
            return None;
        }
        let number = self.supervisor.next_generation()?;
        let current = self.generations.iter().find(|generation| generation.number == id.generation)?;
        let others: Vec<&Sockets> = self.generations.iter().map(|g| &g.sockets).collect();
        match Generation::open(number, current.settings.clone(), &others) {
            Ok(generation) => {
                ::log::info!("the root's path leads elsewhere now: generation {number} starts there");
                Some(self.succeed(generation))
            }
            Err(error) => {
                ::log::error!("the root's path leads elsewhere now, where it can't be followed: {error}");
                None
            }
        }
    }

    fn succeed(&mut self, generation: Generation) -> Event {
        let event = Event::Reload(generation.settings.workers, generation.settings.drain_timeout);
        self.generations.push(generation);
        self.emptied = false;
        self.kept = Sockets::default();
        event
    }

    fn next_generation(&mut self, number: u32) -> Result<Generation, StartupError> {
        let settings = match config::from_args(std::env::args_os(), std::env::vars_os())? {
            Invocation::Serve(settings) => *settings,
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

    /// Performs actions in order; the last one of all brings the end.
    fn perform(&mut self, actions: Vec<Action>) -> Option<Result<(), StartupError>> {
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

    /// Lets go of a generation that nobody is left of. An emptied master keeps its listeners, so that clients wait
    /// instead of being refused.
    fn forget(&mut self, number: u32) {
        self.admin.forget(number);
        let Some(index) = self.generations.iter().position(|g| g.number == number) else { return };
        let generation = self.generations.remove(index);
        if self.emptied {
            self.kept = generation.sockets;
        }
    }

    /// Starts the admin process when it is time to.
    fn attend(&mut self) {
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
                std::mem::forget(self.pid_file.take());
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
        // The file is the master's, and dropping it here would remove it.
        std::mem::forget(self.pid_file.take());
        mine.become_worker(id.slot, master, link, metrics)
    }

    /// Has a worker drain. Listeners that somebody else goes on with are left to them; the others are closed once
    /// whoever is on the way has come in.
    fn drain(&mut self, id: Id) {
        let Some(generation) = self.generations.iter().find(|g| g.number == id.generation) else { return };
        ::log::info!("{} serves its clients to their end", name(id));
        let later = || self.generations.iter().filter(|g| g.number > id.generation);
        let other_master = self.successor.is_some() || self.predecessor == Some(process::parent());
        let goes_on = |listener: &Arc<OwnedFd>| {
            generation.sockets.is_lent(listener)
                || self.emptied
                || other_master
                || later().any(|g| g.sockets.have(listener))
        };
        let mut message = worker::DRAIN.to_vec();
        for listener in generation.sockets.of_slot(id.slot) {
            let fate = if goes_on(&listener) {
                worker::KEEP
            } else if socket::refuse_handshakes(listener.as_fd()).is_ok() {
                worker::CLOSE
            } else {
                // Newer kernels let root alone do this. Without it a client that is just connecting may be lost.
                worker::CLOSE_SOON
            };
            message.push(fate);
        }
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
            // Nobody may be reading; that is no reason not to serve.
            let _ = io::stdout().write_all(text.as_bytes());
        }
        self.report.ready(&format!("generation {number} serves {what} with {workers} workers"));
        let places = generation.places();
        ::log::info!("generation {number} serves {what} with {workers} workers of {places} connections");
    }
}

/// A worker in the log's words.
fn name(id: Id) -> String {
    match id.generation {
        1 => format!("worker {}", id.slot),
        number => format!("worker {} of generation {number}", id.slot),
    }
}
