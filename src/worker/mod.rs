//! A worker: the child process that serves connections.
//!
//! Steps: take on its own identity (label, signals, CPU, user), build what its connections share, start the
//! scheduler, tell the master that it is ready, serve until the master stops it or is gone.
//!
//! **Invariant:** the scheduler starts here, after the fork, and never in the master. What can fail is done
//! before it starts, and the text of an error goes to the master.

mod abort;
pub mod acceptor;
pub mod acceptors;
mod background;
mod context;
pub mod control;
pub mod coroutines;
mod exit;
pub mod idle_set;
mod leader;
pub mod permits;
pub mod start;
pub mod ticker;
pub mod yield_queue;

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use may::go;

use crate::background::Background;
use crate::connection::context::Context;
use crate::ipc::FromChild;
use crate::log::{self, Label};
use crate::sandbox::{self, Sandbox};
use crate::site::auth::SignIns;
use crate::store::root::OpenedRoot;
use crate::sys::allowed_calls::AllowedCalls;
use crate::sys::file::Root;
use crate::sys::filesystem::FileSystemClass;
use crate::sys::link;
use crate::sys::process;
use crate::sys::signal::{self, Signals};

use abort::start_permanent;
use acceptor::Acceptor;
use acceptors::Acceptors;
use control::Control;
use coroutines::Coroutines;
use start::{Listener, WorkerStart};
use ticker::Ticker;

/// Machine words of a coroutine's stack: 16 KiB, and a multiple of 512, or stacks are not pooled. Without
/// optimisation frames have room for every intermediate value, and are more than twice as large.
const STACK_WORDS: usize = if cfg!(debug_assertions) { 4096 } else { 2048 };

/// The same where connections may speak TLS or HTTP/2: 64 KiB. A handshake takes more than half of that.
const LARGE_STACK_WORDS: usize = 4 * STACK_WORDS;

/// Stacks that the scheduler makes ready at its start and keeps.
const READY_STACKS: usize = 128;

/// How long a worker that starts waits for the names of files that are found by name. While it does, the
/// generation before it serves.
const NAMES_WAIT: Duration = Duration::from_secs(60);

/// Serves until the end of the process.
pub fn run(start: WorkerStart) -> ! {
    log::set_label(Label::Worker(start.slot));
    process::write_no_backtraces();
    let master = match link::duplicate(&start.link) {
        Ok(link) => link,
        Err(_) => process::exit_now(1),
    };
    match serve(start) {
        Ok(()) => process::exit_now(1),
        Err((step, error)) => fail(&master, &format!("cannot {step}: {error}")),
    }
}

/// Tells the master why this worker can't serve, and ends it.
pub fn fail(master: &OwnedFd, why: &str) -> ! {
    link::send(master, &FromChild::Failed(why.to_owned()).encode(), &[]);
    process::exit_now(1)
}

/// The step that failed, and why.
type StepError = (&'static str, io::Error);

/// Prepares and starts everything, then leaves the work to the scheduler's thread.
fn serve(mut start: WorkerStart) -> Result<(), StepError> {
    let signals = Signals::of_worker().map_err(|e| ("set up signals", e))?;
    take_identity(&start)?;
    // Before the worker is confined: then it could not read what is mounted.
    let root = start.root.take().map(OpenedRoot::new);
    let directories: Vec<_> =
        std::mem::take(&mut start.directories).into_iter().map(OpenedRoot::new).collect();
    let all = || root.iter().chain(&directories);
    warn_if_unreadable(&start, all());
    let roots: Vec<&Root> = all().map(|opened| &opened.root).collect();
    let confined = start.sandbox.confine_files(&roots).map_err(|e| ("confine itself by Landlock", e))?;
    // The threads inherit the confinement.
    let (disk_threads, cpu_threads) = (start.settings.disk_threads, start.settings.cpu_threads);
    let background = Background::start(disk_threads, cpu_threads, start.metrics)
        .map_err(|e| ("start background threads", e))?;
    let background: &'static Background = Box::leak(Box::new(background));
    let sign_ins = sign_ins(&mut start).map_err(|e| ("make a random key", e))?;
    let context = context::build(&mut start, (root, directories), background, sign_ins);
    if confined {
        context.site.store.pin_roots();
    }
    let context: &'static Context = Box::leak(Box::new(context));
    context.site.load_site_files();
    ticker::log_site_file_warnings(context);
    let for_names =
        index_names(context, start.watches).map_err(|e| ("start the threads that read names", e))?;
    let coroutines = Coroutines::new(context).map_err(|e| ("make the scheduler's descriptors", e))?;
    let coroutines: &'static Coroutines = Box::leak(Box::new(coroutines));
    let acceptors = Acceptors::new(context, coroutines, start.max_connections, start.waits);
    let acceptors: &'static Acceptors = Box::leak(Box::new(acceptors));
    let (link, listeners, sandbox) = (start.link, start.listeners, start.sandbox);
    let is_large = context.tls.is_some() || context.http2_plain;
    let stack_words = if is_large { LARGE_STACK_WORDS } else { STACK_WORDS };
    let watches = start.watches - for_names;
    let parts = Parts { acceptors, signals, link, listeners, sandbox, watches, stack_words };
    start_scheduler(parts).map_err(|e| ("start the scheduler", e))
}

/// What decides on sign-ins, if there are users files.
fn sign_ins(start: &mut WorkerStart) -> io::Result<Option<SignIns>> {
    let users = std::mem::take(&mut start.users);
    if users.is_empty() { Ok(None) } else { SignIns::new(users).map(Some) }
}

/// Takes on what is the worker's own: counts, CPU, user.
fn take_identity(start: &WorkerStart) -> Result<(), StepError> {
    start.metrics.leave_others().map_err(|e| ("leave the counts of other workers", e))?;
    if start.settings.cpu_affinity {
        process::pin_to_cpu(start.slot).map_err(|e| ("bind to a CPU", e))?;
    }
    let become_user = || start.identity.as_ref().map_or(Ok(()), process::become_identity);
    sandbox::give_up_privileges(become_user).map_err(|e| ("change to the workers' user", e))?;
    // After the change of user, which would undo it.
    if !process::die_with_parent(start.master).map_err(|e| ("follow the master", e))? {
        return Err(("follow the master", io::Error::other("it has gone")));
    }
    Ok(())
}

struct Parts {
    acceptors: &'static Acceptors,
    signals: Signals,
    link: OwnedFd,
    listeners: Vec<Listener>,
    sandbox: Sandbox,
    watches: usize,
    stack_words: usize,
}

/// Starts the scheduler and its first coroutine; returns only with an error.
fn start_scheduler(parts: Parts) -> io::Result<()> {
    std::panic::set_hook(Box::new(|panic| ::log::error!("{panic}")));
    let config = may::config();
    config.set_workers(1).set_stack_size(parts.stack_words).set_pool_capacity(READY_STACKS);
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
    let Parts { acceptors, signals, link, listeners, sandbox, watches, .. } = parts;
    // The library installed handlers of its own when it started.
    signal::die_of_memory_faults()?;
    let Acceptors { context, coroutines, .. } = *acceptors;
    watch_files(context, watches);
    coroutines.start()?;
    let yield_queue = coroutines.yield_queue.resumer()?;
    let finished_jobs = background::listener(context.site.store.background)?;
    let job_limits = background::limiter(context.site.store.background)?;
    let ticker = Ticker::new(acceptors, link::duplicate(&link)?)?;
    let control = Control::new(acceptors, link, signals)?;
    let acceptors = listeners.into_iter().map(|listener| Acceptor::new(acceptors, listener));
    let acceptors = acceptors.collect::<io::Result<Vec<_>>>()?;
    // All descriptors are made and all threads run now; serving needs fewer system calls.
    sandbox.confine_calls(AllowedCalls::Worker)?;
    start_permanent(yield_queue);
    start_permanent(finished_jobs);
    start_permanent(job_limits);
    start_permanent(move || ticker.run());
    // The master may have sent a drain already. Then nothing must be accepted.
    control.start();
    for acceptor in acceptors {
        start_permanent(move || acceptor.run());
    }
    Ok(())
}

/// Starts the threads that read the names of files that are found by name. Returns how many watches they may
/// have: half of them.
fn index_names(context: &Context, watches: usize) -> io::Result<usize> {
    let for_names = if context.site.finds_by_name() { watches / 2 } else { 0 };
    context.site.index_names(for_names)?;
    Ok(for_names)
}

/// Begins to watch files, and waits for the names of files that are found by name. Called in a coroutine,
/// because changes of files are signalled to the thread that calls this.
fn watch_files(context: &Context, watches: usize) {
    if let Err(why) = context.site.store.watch_changes(watches) {
        ::log::info!("changes of files are not reported here ({why}); they show after --cache-valid");
    }
    context.site.store.wait_for_names(NAMES_WAIT);
    ticker::log_name_warnings(context);
}

/// Warns, in one worker alone, when the workers' user can't read a root.
fn warn_if_unreadable<'a>(start: &WorkerStart, roots: impl Iterator<Item = &'a OpenedRoot>) {
    if start.slot != 0 {
        return;
    }
    let user = start.identity.as_ref().map_or("the user who started this", |identity| &identity.name);
    // Elsewhere the worker could have to wait for an answer before it serves.
    let local = roots.filter(|opened| opened.class != FileSystemClass::Remote);
    for OpenedRoot { root, path, .. } in local {
        if root.open_beneath(b"").is_err() {
            ::log::warn!("{user} cannot read {}: requests may get 403", path.display());
        }
    }
}
