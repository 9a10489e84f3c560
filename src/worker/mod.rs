//! A worker: the child process that serves clients.
//!
//! Steps: take up its own identity (label, signals, CPU, user), build what its connections share, start the scheduler,
//! tell the master that it is ready, serve until the master says otherwise or is gone.
//!
//! The subtle rule: the scheduler starts here, after the fork, and never in the master; what can fail is done before it
//! starts, and its error goes to the master in words.

pub mod accept;
pub mod control;
pub mod parking;
pub mod pool;
pub mod ticker;
mod warning;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use may::go;

use crate::config::Settings;
use crate::connection::inbox::Pool;
use crate::connection::phase::Timeouts;
use crate::connection::proxies::Proxies;
use crate::connection::shared::Shared;
use crate::connection::transmit::FileWay;
use crate::connection::transport::Reactor;
use crate::log::{self, Label, access};
use crate::metrics::Row;
use crate::sandbox::{self, Sandbox};
use crate::site::Site;
use crate::sys::file::Root;
use crate::sys::process::{self, Identity};
use crate::sys::seccomp::Work;
use crate::sys::signal::{self, Signals};
use crate::sys::{link, socket};

use accept::Door;

/// Machine words of a coroutine's stack: 16 KiB, and a multiple of 512, without which stacks are not pooled. Without
/// optimisation frames have room for every intermediate value, and are more than twice as large.
const STACK_WORDS: usize = if cfg!(debug_assertions) { 4096 } else { 2048 };

/// Stacks that the scheduler makes ready at its start and keeps.
const READY_STACKS: usize = 128;

/// What a worker says once it serves.
pub const READY: &[u8] = b"ready";

/// What the master says to a worker that shall serve its clients to their end and leave. A byte for each listener
/// follows: [`KEEP`], [`CLOSE`] or [`CLOSE_SOON`].
pub const DRAIN: &[u8] = b"drain ";

/// Of a listener that a drain leaves to somebody else.
pub const KEEP: u8 = b'k';

/// Of a listener that a drain empties and closes; no new client begins there any more.
pub const CLOSE: u8 = b'c';

/// Of a listener that a drain closes soon, since clients go on to begin there unless the worker can hold them off.
pub const CLOSE_SOON: u8 = b's';

/// What the master says when the logs were opened anew; the error log's descriptor comes along, and the access log's
/// where there is one.
pub const LOGS: &[u8] = b"logs";

/// What a confined worker says when its root's path leads to another directory, where it can't follow.
pub const MOVED: &[u8] = b"moved";

/// A listener, and how connections begin there.
pub struct Listener {
    /// The socket.
    pub socket: OwnedFd,
    /// Whether with a PROXY header.
    pub announced: bool,
}

/// All that a worker is given.
pub struct Start {
    /// Its slot's index.
    pub slot: usize,
    /// The master's process id.
    pub master: i32,
    /// The worker's end of the link.
    pub link: OwnedFd,
    /// Its slot's listeners, one for each address.
    pub listeners: Vec<Listener>,
    /// The site's root and the path it was opened by; none serves the welcome page.
    pub root: Option<(Root, PathBuf)>,
    /// The directories of locations and the paths they were opened by, as [`Settings::directories`] has them.
    pub directories: Vec<(Root, PathBuf)>,
    /// The user to become.
    pub identity: Option<Identity>,
    /// Where a line for each request goes.
    pub access: Option<access::AccessLog>,
    /// Connections at once.
    pub places: usize,
    /// Inotify watches at once, at most.
    pub watches: usize,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// What it counts in.
    pub metrics: Row,
    /// The settings.
    pub settings: Settings,
}

/// Serves until the end of the process.
pub fn run(start: Start) -> ! {
    log::set_label(Label::Worker(start.slot));
    let master = match link::duplicate(&start.link) {
        Ok(link) => link,
        Err(_) => process::exit_now(1),
    };
    if let Err((step, error)) = serve(start) {
        link::send(&master, format!("cannot {step}: {error}").as_bytes(), &[]);
    }
    process::exit_now(1)
}

/// Prepares and starts everything, then leaves the work to the scheduler's thread.
fn serve(start: Start) -> Result<(), (&'static str, io::Error)> {
    let signals = Signals::of_worker().map_err(|e| ("set up signals", e))?;
    if start.settings.cpu_affinity {
        process::pin_to_cpu(start.slot).map_err(|e| ("bind to a CPU", e))?;
    }
    let become_user = || start.identity.as_ref().map_or(Ok(()), process::become_identity);
    sandbox::give_up_privileges(become_user).map_err(|e| ("change to the workers' user", e))?;
    // After the change of user, which would undo it.
    if !process::die_with_parent(start.master).map_err(|e| ("follow the master", e))? {
        return Err(("follow the master", io::Error::other("it has gone")));
    }
    warn_if_unreadable(&start);
    let roots: Vec<&Root> = start.root.iter().chain(&start.directories).map(|(root, _)| root).collect();
    let confined = start.sandbox.confine_files(&roots).map_err(|e| ("confine itself by Landlock", e))?;
    let reactor = Reactor::new().map_err(|e| ("make the scheduler's descriptors", e))?;
    let now = reactor.clock.now();
    let site = Site::new(&start.settings, start.root, start.directories, start.metrics, now);
    if confined {
        site.stay_at_root();
    }
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        site,
        reactor,
        proxies: Proxies::new(&start.settings),
        timeouts: Timeouts::new(&start.settings),
        files: FileWay { sendfile: start.settings.sendfile, chunk: start.settings.send_chunk },
        server: start.settings.name.clone().into_bytes(),
        access: start.access.map(|log| Mutex::new(access::Buffer::new(log))),
        access_format: start.settings.access_format,
        slot: start.slot,
        connections: AtomicU64::new(0),
        pool: Pool::default(),
        live: AtomicUsize::new(0),
        metrics: start.metrics,
        draining: AtomicBool::new(false),
    }));
    let door = Door::new(shared, start.places).map_err(|e| ("make the scheduler's descriptors", e))?;
    let door: &'static Door = Box::leak(Box::new(door));
    let (link, listeners, sandbox) = (start.link, start.listeners, start.sandbox);
    let parts = Parts { door, signals, link, listeners, sandbox, watches: start.watches };
    start_scheduler(parts).map_err(|e| ("start the scheduler", e))
}

struct Parts {
    door: &'static Door,
    signals: Signals,
    link: OwnedFd,
    listeners: Vec<Listener>,
    sandbox: Sandbox,
    watches: usize,
}

/// Starts the scheduler and its first coroutine; returns only with an error.
fn start_scheduler(parts: Parts) -> io::Result<()> {
    std::panic::set_hook(Box::new(|panic| ::log::error!("{panic}")));
    let config = may::config();
    config.set_workers(1).set_stack_size(STACK_WORDS).set_pool_capacity(READY_STACKS);
    // Pinning would put every worker process on the same CPU.
    config.set_worker_pin(false);
    let main = go!(move || start_coroutines(parts));
    match main.join() {
        Ok(Ok(())) => loop {
            std::thread::park_timeout(Duration::MAX);
        },
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("its first coroutine panicked")),
    }
}

fn start_coroutines(parts: Parts) -> io::Result<()> {
    let Parts { door, signals, link, listeners, sandbox, watches } = parts;
    // The library installed handlers of its own when it started.
    signal::die_of_memory_faults()?;
    // Here, for all coroutines run on this thread, and this is the one that changes are signalled to.
    let shared = door.shared();
    let finds_by_name = shared.site.finds_by_name();
    let for_names = if finds_by_name { watches / 2 } else { 0 };
    if let Err(why) = shared.site.watch_changes(watches - for_names) {
        ::log::info!("changes of files are not reported here ({why}); --cache-valid says when they show");
    }
    if finds_by_name {
        shared.site.read_names(for_names, shared.reactor.clock.now());
        ticker::tell_of_names(shared);
    }
    door.pool().start()?;
    let turnstile = door.shared().reactor.turnstile()?;
    let ticker = ticker::Ticker::new(door, link::duplicate(&link)?)?;
    let control = control::Control::new(door, link, signals)?;
    let acceptors = listeners.into_iter().map(|l| door.acceptor(l)).collect::<io::Result<Vec<_>>>()?;
    // From here on all descriptors are made and all threads run, and what is left is to serve.
    sandbox.confine_calls(Work::Serving)?;
    start_vital(turnstile);
    start_vital(move || ticker.run());
    for acceptor in acceptors {
        start_vital(move || acceptor.run());
    }
    control.start();
    Ok(())
}

/// Starts a coroutine that the worker can't do without. It never returns, and where it panics the worker ends, to be
/// replaced: without it, it would be neither well nor dead.
fn start_vital(body: impl FnOnce() + Send + 'static) {
    struct Vital;
    impl Drop for Vital {
        fn drop(&mut self) {
            process::exit_now(1);
        }
    }
    go!(move || {
        let _vital = Vital;
        body();
    });
}

/// Says once, in the log, when the workers' user can't read what it is to serve.
fn warn_if_unreadable(start: &Start) {
    if start.slot != 0 {
        return;
    }
    let who = start.identity.as_ref().map_or("the user who started this", |identity| &identity.name);
    for (root, path) in start.root.iter().chain(&start.directories) {
        if root.open_beneath(b"").is_err() {
            ::log::warn!("{who} cannot read {}: requests may get 403", path.display());
        }
    }
}

/// Names the address of a listener for messages.
pub fn address_of(listener: &OwnedFd) -> String {
    let address = socket::local_address(listener).map(|address| address.to_string()).ok();
    address.or_else(|| socket::local_path(listener)).unwrap_or_else(|| "a listener".to_owned())
}
