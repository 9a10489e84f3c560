//! The master: binds, forks, supervises, and serves nothing itself.
//!
//! Steps: check what can be checked (kernel, root, user, addresses), fork a worker for each slot, say where to look once
//! all serve, and then wait → step → perform until there is no worker left.
//!
//! The subtle rule: it stays single-threaded and never touches the scheduler, so that every fork is sound. It keeps all
//! listeners open, so that a dead worker's accept queue waits for the successor.

pub mod children;
pub mod supervisor;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{self, Settings};
use crate::error::StartupError;
use crate::log::access::AccessLog;
use crate::sys::file::{self, Root};
use crate::sys::process::{self, Exit, Fork, Identity};
use crate::sys::signal::{Request, Signals};
use crate::sys::{limits, link, socket, timer};
use crate::worker::{self, places};

use children::{Children, Word};
use supervisor::{Action, Event, Supervisor};

/// The unprivileged user that workers become when root starts the server, and its number where it has no name.
const NOBODY: (&str, &str) = ("nobody", "65534");

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
    settings: Settings,
    signals: Signals,
    /// The root as it was at the start, and its path.
    root: Option<(Root, PathBuf)>,
    identity: Option<Identity>,
    access: Option<AccessLog>,
    places: usize,
    /// For each address, its slots' listeners.
    listeners: Vec<Vec<OwnedFd>>,
    children: Children,
    /// What performing an action brought about.
    aftermath: Vec<Event>,
}

impl Master {
    fn prepare(mut settings: Settings) -> Result<Master, StartupError> {
        if !file::kernel_has_openat2() {
            let what = "openat2(2) is missing or forbidden here; it needs Linux 5.6 or later".to_owned();
            return Err(StartupError::Kernel { what });
        }
        let open = |path: PathBuf| match Root::open(&path) {
            Ok(root) => Ok((root, path)),
            Err(source) => Err(StartupError::Root { path, source }),
        };
        let root = match &settings.root {
            config::Root::Directory(path) => Some(open(path.clone())?),
            config::Root::Welcome => None,
        };
        let identity = identity(&settings)?;
        let access = AccessLog::open(&settings.access_log).map_err(|source| {
            let path = match &settings.access_log {
                config::AccessLog::File(path) => path.clone(),
                config::AccessLog::Off | config::AccessLog::Stdout => "standard output".into(),
            };
            StartupError::Log { path, source }
        })?;
        let places = settle_places(&mut settings);
        let bind = |&addr: &SocketAddr| {
            socket::listen_group(addr, settings.workers, settings.backlog)
                .map_err(|source| StartupError::Bind { addr, source })
        };
        let listeners = settings.listen.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        let signals = Signals::of_master()
            .map_err(|source| StartupError::System { step: "take up signals", source })?;
        let children = Children::new(settings.workers);
        Ok(Master {
            settings,
            signals,
            root,
            identity,
            access,
            places,
            listeners,
            children,
            aftermath: Vec::new(),
        })
    }

    /// Wait, step, perform, until the supervisor says that all is over.
    fn supervise(&mut self) -> Result<(), StartupError> {
        let now = timer::monotonic();
        let (mut supervisor, actions) =
            Supervisor::start(self.settings.workers, self.settings.drain_timeout, now);
        self.perform(actions);
        loop {
            for event in self.wait(supervisor.deadline()) {
                let actions = supervisor.step(event, timer::monotonic());
                if let Some(end) = self.perform(actions) {
                    return end;
                }
            }
        }
    }

    /// Waits for events; a deadline that passes is one too.
    fn wait(&mut self, deadline: Option<Duration>) -> Vec<Event> {
        if !self.aftermath.is_empty() {
            return std::mem::take(&mut self.aftermath);
        }
        let timeout = deadline.map(|at| at.saturating_sub(timer::monotonic()));
        let links = self.children.links();
        let mut fds = vec![self.signals.as_fd()];
        fds.extend(links.iter().map(|(_, link)| *link));
        let slots: Vec<usize> = links.iter().map(|(slot, _)| *slot).collect();
        let Ok(readable) = process::wait_readable(&fds, timeout) else { return vec![Event::Tick] };
        let mut events = Vec::new();
        // What workers said comes before how they ended.
        for (&slot, _) in slots.iter().zip(&readable[1..]).filter(|(_, readable)| **readable) {
            events.extend(self.listen(slot));
        }
        // An order to stop comes before the deaths it explains: a terminal's INT reaches the workers as well.
        let mut exits = Vec::new();
        while let Some(request) = self.signals.next() {
            match request {
                Request::Stop => events.push(Event::Stop),
                Request::Drain => events.push(Event::Drain),
                Request::Child => {
                    while let Some((pid, exit)) = process::reap() {
                        let Some(slot) = self.children.slot(pid) else { continue };
                        events.extend(self.listen(slot));
                        self.children.remove(slot);
                        exits.push(Event::Exited(slot, exit));
                    }
                }
            }
        }
        events.extend(exits);
        events.push(Event::Tick);
        events
    }

    /// Lets no more clients begin at a slot's listeners.
    fn refuse_handshakes(&self, slot: usize) {
        for listener in self.listeners.iter().filter_map(|group| group.get(slot)) {
            if let Err(error) = socket::refuse_handshakes(listener.as_fd()) {
                ::log::warn!("clients that connect now may be lost: {error}");
            }
        }
    }

    /// What a slot's worker has said since the last time.
    fn listen(&mut self, slot: usize) -> Vec<Event> {
        let event = |word| match word {
            Word::Ready => Event::Ready(slot),
            Word::Failed(why) => Event::Failed(slot, why),
        };
        self.children.listen(slot).into_iter().map(event).collect()
    }

    /// Performs actions in order; the last one of all brings the end.
    fn perform(&mut self, actions: Vec<Action>) -> Option<Result<(), StartupError>> {
        for action in actions {
            match action {
                Action::Start(slot) => self.start(slot),
                Action::Announce => self.announce(),
                Action::Drain(slot) => {
                    ::log::info!("worker {slot} serves its clients to their end");
                    self.refuse_handshakes(slot);
                    self.children.drain(slot);
                }
                Action::Stop(slot) => self.children.stop(slot),
                Action::Kill(slot) => {
                    ::log::warn!("worker {slot} does not stop and is killed");
                    self.children.kill(slot);
                }
                Action::Complain(slot, why) => ::log::error!("worker {slot} could not serve: {why}"),
                Action::Report(slot, exit, wait) if wait.is_zero() => {
                    ::log::warn!("worker {slot} ended ({exit}); the next one starts at once");
                }
                Action::Report(slot, exit, wait) => {
                    ::log::warn!("worker {slot} ended young ({exit}); the next one starts in {wait:?}");
                }
                Action::Finish(None) => {
                    ::log::info!("stopped");
                    return Some(Ok(()));
                }
                Action::Finish(Some((slot, text))) => return Some(Err(StartupError::Worker { slot, text })),
            }
        }
        None
    }

    /// Starts a worker for a slot. A fork that fails counts as a worker that could not serve, and is tried again.
    fn start(&mut self, slot: usize) {
        if let Err(error) = self.fork(slot) {
            let why = format!("cannot fork: {}", crate::error::cause(&error));
            self.aftermath.extend([Event::Failed(slot, why), Event::Exited(slot, Exit::Code(1))]);
        }
    }

    fn fork(&mut self, slot: usize) -> io::Result<()> {
        let (mine, theirs) = link::pair()?;
        let master = process::id();
        match process::fork()? {
            Fork::Parent(pid) => {
                self.children.insert(slot, pid, mine);
                ::log::info!("worker {slot} started, pid {pid}");
                Ok(())
            }
            Fork::Child => {
                drop(mine);
                self.become_worker(slot, master, theirs)
            }
        }
    }

    /// In the child: keeps what is the worker's, drops what would keep others alive or their ports open, and serves.
    fn become_worker(&mut self, slot: usize, master: i32, link: OwnedFd) -> ! {
        self.children = Children::default();
        let mine = |mut group: Vec<OwnedFd>| group.swap_remove(slot);
        let listeners = std::mem::take(&mut self.listeners).into_iter().map(mine).collect();
        // Opened anew, for the path may lead elsewhere by now, and with the master's rights, for it may lead through
        // where the workers' user may not go. A path that leads nowhere leaves the root of the start.
        let root = self.root.take().map(|(root, path)| (Root::open(&path).unwrap_or(root), path));
        worker::run(worker::Start {
            slot,
            master,
            link,
            listeners,
            root,
            identity: self.identity.take(),
            access: self.access.take(),
            places: self.places,
            settings: self.settings.clone(),
        })
    }

    /// Says on standard output what is served and where, for people and for whoever started this.
    fn announce(&self) {
        let what = match &self.root {
            Some((_, path)) => path.display().to_string(),
            None => "the built-in welcome page".to_owned(),
        };
        let workers = self.settings.workers;
        let plural = if workers == 1 { "" } else { "s" };
        let mut text = format!("mayhttpd serves {what} with {workers} worker{plural}:\n");
        for group in &self.listeners {
            if let Some(address) = group.first().and_then(|first| socket::local_address(first).ok()) {
                text.push_str(&format!("  http://{}/\n", reachable(address)));
            }
        }
        // Nobody may be reading; that is no reason not to serve.
        let _ = io::stdout().write_all(text.as_bytes());
        ::log::info!("serving {what}, {} connections a worker", self.places);
    }
}

/// The address under which this machine reaches a listener: a wildcard is no address to go to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The user that workers become: the one asked for, or nobody; without root's rights none.
fn identity(settings: &Settings) -> Result<Option<Identity>, StartupError> {
    if !process::is_root() {
        if settings.user.is_some() || settings.group.is_some() {
            ::log::warn!("--user and --group need root to start the server; they are passed over");
        }
        return Ok(None);
    }
    let group = settings.group.as_deref();
    let found = match settings.user.as_deref() {
        Some(user) => process::look_up(user, group),
        None => process::look_up(NOBODY.0, group).or_else(|_| process::look_up(NOBODY.1, group)),
    };
    let name = || settings.user.clone().unwrap_or_else(|| NOBODY.0.to_owned());
    found.map(Some).map_err(|why| StartupError::User { name: name(), why })
}

/// Settles how many connections a worker takes, and how many entries it caches, within what the kernel allows.
fn settle_places(settings: &mut Settings) -> usize {
    let descriptors = limits::raise_descriptor_limit();
    let maps = limits::max_map_count();
    let places = places::decide(settings.max_connections, settings.cache_entries, descriptors, maps);
    if let Some(asked) = settings.max_connections
        && asked > places.connections
    {
        let limit = match places.bound {
            places::Bound::Maps => format!("vm.max_map_count is {maps}"),
            places::Bound::Descriptors | places::Bound::Setting => {
                format!("{descriptors} open files are allowed")
            }
        };
        ::log::warn!("--max-connections lowered from {asked} to {}, since {limit}", places.connections);
    }
    settings.cache_entries = places.cache_entries;
    places.connections as usize
}
