//! The admin process: serves the status page, the metrics and the health check at an address of its own. It
//! reads all of it from the table of counters.
//!
//! Serves no files, and knows a worker only by its row. The HTTP library is may_minihttp. It has no limits
//! and no timeouts, answers HEAD with a body, leaves HTTP/1.0 connections open, and takes a request's body
//! for the next request. So it is for the operator alone, at a local address. [`service`] closes every
//! connection that this could confuse. Any other failure, such as of memory, ends this process, and the
//! master starts another.
//!
//! The library writes to standard error, so standard error is muted here; the error log has a descriptor of
//! its own. The library also makes its own socket, so the main thread keeps the master's user and rights
//! until it listens. Then the master's user owns the socket, and no process of the workers' user can bind
//! beside it.
//!
//! **Invariant:** no thread that talks to clients has the master's rights. A thread without them starts the
//! scheduler's threads, which serve no client before the main thread has given up its rights too
//! ([`connections`]).

pub mod connections;
pub mod host;
pub mod service;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use may::go;
use may_minihttp::HttpServiceFactory;

use crate::ipc::{FromChild, ToChild};
use crate::log::{self, Label};
use crate::metrics::Table;
use crate::sandbox::{self, Sandbox};
use crate::sys::allowed_calls::AllowedCalls;
use crate::sys::file::Root;
use crate::sys::limits;
use crate::sys::link::{self, Incoming};
use crate::sys::process::{self, Groups, Identity};
use crate::sys::signal::{self, SignalRequest, Signals};

use connections::Connections;

/// The stack of a coroutine in machine words: 64 KiB, since pages are rendered on it.
const STACK_WORDS: usize = 8192;

/// The most memory of this process, in bytes: a hundred times what it needs.
const MEMORY: u64 = 256 << 20;

/// What the admin process is started with.
pub struct AdminStart {
    /// The master's process id.
    pub master: i32,
    /// The admin's end of the link.
    pub link: OwnedFd,
    /// Where to listen.
    pub address: SocketAddr,
    /// The host names that it answers for at a loopback address, besides localhost.
    pub hosts: Vec<String>,
    /// The user to become.
    pub identity: Option<Identity>,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// The table of counters.
    pub metrics: Table,
}

/// Serves until the end of the process.
pub fn run(start: AdminStart) -> ! {
    log::set_label(Label::Admin);
    process::set_name(c"mayhttpd-admin");
    process::write_no_backtraces();
    if let Err((step, error)) = serve(&start) {
        let why = format!("cannot {step}: {}", crate::error::cause(&error));
        link::send(&start.link, &FromChild::Failed(why).encode(), &[]);
    }
    process::exit_now(1)
}

/// Starts everything, then waits for the end.
fn serve(start: &AdminStart) -> Result<(), (&'static str, io::Error)> {
    let signals = Signals::of_worker().map_err(|e| ("set up signals", e))?;
    start.metrics.only_read().map_err(|e| ("give up the right to change counts", e))?;
    limits::limit_memory(MEMORY);
    process::mute_standard_error().map_err(|e| ("mute standard error", e))?;
    std::panic::set_hook(Box::new(|panic| ::log::error!("{panic}")));
    let user =
        User::of(start.identity.as_ref()).map_err(|e| ("look up the groups of the workers' user", e))?;
    let confined = start_scheduler(start.sandbox, user.clone()).map_err(|e| ("start the scheduler", e))?;
    let connections = Connections::new().map_err(|why| ("serve", io::Error::other(why)))?;
    let (metrics, hosts) = (start.metrics, Arc::from(&*start.hosts));
    let factory = service::Factory { metrics, hosts, connections: connections.clone() };
    let acceptor = factory.start(start.address).map_err(|e| ("listen", e))?;
    link::send(&start.link, &FromChild::Listens.encode(), &[]);
    user.take().map_err(|e| ("change to the workers' user", e))?;
    // After the change of user, which would undo it.
    if !process::die_with_parent(start.master).map_err(|e| ("follow the master", e))? {
        return Err(("follow the master", io::Error::other("it has gone")));
    }
    // The first call also asks for the kernel's units, by a system call that seccomp forbids later.
    let visible = process::usage(start.master).is_some();
    if confined {
        confine_files(start.sandbox).map_err(|e| ("confine itself", e))?;
    }
    // The library installed handlers of its own when it started.
    signal::die_of_memory_faults().map_err(|e| ("set up signals", e))?;
    std::thread::spawn(move || {
        // It accepts for ever, unless it panics because it gets no stack.
        let _ = acceptor.join();
        process::exit_now(1);
    });
    if visible && process::usage(start.master).is_none() {
        ::log::warn!("this /proc hides processes (hidepid), and now the workers: what they take is left out");
    }
    start.sandbox.confine_calls(AllowedCalls::Admin).map_err(|e| ("confine itself by seccomp", e))?;
    connections.admit();
    wait_for_the_end(&start.link, &signals)
}

/// The user that each thread becomes; looked up before there is a second thread.
#[derive(Clone)]
struct User(Option<(Identity, Groups)>);

impl User {
    fn of(identity: Option<&Identity>) -> io::Result<User> {
        let with_groups = |identity: &Identity| Ok((identity.clone(), process::groups_of(identity)?));
        identity.map(with_groups).transpose().map(User)
    }

    /// Gives up all privileges of this thread, and those of its user.
    fn take(&self) -> io::Result<()> {
        sandbox::give_up_privileges(|| match &self.0 {
            Some((identity, groups)) => process::become_identity_in_thread(identity, groups),
            None => Ok(()),
        })
    }
}

/// Starts the scheduler from a thread that has given up its rights, since the scheduler's threads inherit
/// them. Returns true if Landlock confines them.
fn start_scheduler(sandbox: Sandbox, user: User) -> io::Result<bool> {
    let config = may::config();
    config.set_workers(1).set_stack_size(STACK_WORDS).set_pool_capacity(8).set_worker_pin(false);
    let thread = std::thread::Builder::new().spawn(move || {
        user.take()?;
        let confined = confine_files(sandbox)?;
        // The scheduler starts its threads at the first coroutine.
        go!(|| ()).join().map_err(|_| io::Error::other("its first coroutine panicked"))?;
        Ok(confined)
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

/// Confines this thread, and the threads that it starts later, to the files of /proc, which tell the CPU time
/// and memory of the workers.
fn confine_files(sandbox: Sandbox) -> io::Result<bool> {
    // Without /proc, no files are left.
    sandbox.confine_files(&Root::open("/proc".as_ref()).iter().collect::<Vec<_>>())
}

/// Handles the messages of the master until the master is gone or a stop signal comes. Then ends the process.
fn wait_for_the_end(link: &OwnedFd, signals: &Signals) -> ! {
    loop {
        let readable = process::wait_readable(&[link.as_fd(), signals.as_fd()], None);
        let closed = match link::receive(link) {
            Incoming::Message(message, descriptors) => {
                if ToChild::parse(&message) == Some(ToChild::Logs(0)) {
                    change_log(&descriptors);
                }
                false
            }
            Incoming::Closed => true,
            Incoming::Empty | Incoming::TooLong => false,
        };
        if readable.is_err() || closed || signals.next() == Some(SignalRequest::Stop) {
            process::exit_now(0);
        }
    }
}

/// Logs to the error log that the master has opened again.
fn change_log(descriptors: &[OwnedFd]) {
    let moved = descriptors.first().map_or(Ok(()), |file| log::move_to(file.as_fd()));
    if let Err(error) = moved {
        ::log::error!("cannot change to the reopened log: {error}");
    }
}
