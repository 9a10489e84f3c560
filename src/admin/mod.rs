//! The admin process: a listener of its own with the status page, the metrics and the health of the server, all read
//! from the table that the workers count in.
//!
//! Serves no files and knows no worker but by its row. Its HTTP is may_minihttp's, which has no limits and no timeouts,
//! answers HEAD with a body, leaves HTTP/1.0 open and takes a request's body for the next request; so it is for the
//! operator alone, at a local address. [`service`] ends every connection that this could confuse, and whatever goes
//! wrong all the same, memory included, ends this process, which the master replaces.
//!
//! Two subtle rules. The library writes to standard error by itself, so that is muted here; the error log has a
//! descriptor of its own. And it makes its socket by itself: so the thread that has it do so keeps the right to a port
//! below 1024 until then, and the scheduler's threads, which talk to clients, are started by one that never had it.

pub mod service;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use may::go;
use may_minihttp::HttpServiceFactory;

use crate::log::{self, Label};
use crate::metrics::Table;
use crate::sandbox::{self, Sandbox};
use crate::sys::file::Root;
use crate::sys::link::{self, Received};
use crate::sys::process::{self, Identity};
use crate::sys::seccomp::Work;
use crate::sys::signal::{self, Request, Signals};
use crate::sys::{limits, privileges};

/// Machine words of a coroutine's stack: 64 KiB, for pages are rendered on it; there are few.
const STACK_WORDS: usize = 8192;

/// Bytes of memory that this process may have: a hundred times what it needs.
const MEMORY: u64 = 256 << 20;

/// What the master says when the error log was opened anew; its descriptor comes along.
pub const LOGS: &[u8] = b"logs";

/// All that an admin process is given.
pub struct Start {
    /// The master's process id.
    pub master: i32,
    /// The admin's end of the link.
    pub link: OwnedFd,
    /// Where to listen.
    pub address: SocketAddr,
    /// The user to become.
    pub identity: Option<Identity>,
    /// How it is confined.
    pub sandbox: Sandbox,
    /// What the workers count in.
    pub metrics: Table,
}

/// Serves until the end of the process.
pub fn run(start: Start) -> ! {
    log::set_label(Label::Admin);
    process::set_name(c"mayhttpd-admin");
    if let Err((step, error)) = serve(&start) {
        link::send(&start.link, format!("cannot {step}: {}", crate::error::cause(&error)).as_bytes(), &[]);
    }
    process::exit_now(1)
}

/// Starts everything, then waits for the end.
fn serve(start: &Start) -> Result<(), (&'static str, io::Error)> {
    let signals = Signals::of_worker().map_err(|e| ("set up signals", e))?;
    let become_user = || start.identity.as_ref().map_or(Ok(()), process::become_identity);
    sandbox::give_up_all_but_low_ports(become_user).map_err(|e| ("change to the workers' user", e))?;
    // After the change of user, which would undo it.
    if !process::die_with_parent(start.master).map_err(|e| ("follow the master", e))? {
        return Err(("follow the master", io::Error::other("it has gone")));
    }
    limits::bound_memory(MEMORY);
    process::mute_standard_error().map_err(|e| ("mute standard error", e))?;
    std::panic::set_hook(Box::new(|panic| ::log::error!("{panic}")));
    // The kernel's units are asked for once, by a call that no list has.
    let visible = process::usage(start.master).is_some();
    let confined = start_scheduler(start.sandbox).map_err(|e| ("start the scheduler", e))?;
    let acceptor = service::Factory(start.metrics).start(start.address).map_err(|e| ("listen", e))?;
    give_up_the_rest(start.sandbox, confined).map_err(|e| ("confine itself", e))?;
    // The library installed handlers of its own when it started.
    signal::die_of_memory_faults().map_err(|e| ("set up signals", e))?;
    std::thread::spawn(move || {
        // It accepts for ever, unless it panics for want of a stack.
        let _ = acceptor.join();
        process::exit_now(1);
    });
    if visible && process::usage(start.master).is_none() {
        ::log::warn!("this /proc hides processes (hidepid), and now the workers: what they take is left out");
    }
    start.sandbox.confine_calls(Work::Administering).map_err(|e| ("confine itself by seccomp", e))?;
    wait_for_the_end(&start.link, &signals)
}

/// Starts the scheduler from a thread with nothing but what its threads shall have. Returns whether Landlock confines
/// them.
fn start_scheduler(sandbox: Sandbox) -> io::Result<bool> {
    let config = may::config();
    config.set_workers(1).set_stack_size(STACK_WORDS).set_pool_capacity(8).set_worker_pin(false);
    let starter = std::thread::Builder::new().spawn(move || {
        let confined = give_up_the_rest(sandbox, true)?;
        // Its first coroutine has it start its threads.
        go!(|| ()).join().map_err(|_| io::Error::other("its first coroutine panicked"))?;
        Ok(confined)
    })?;
    starter.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
}

/// Gives up what is left of capabilities, and, where `files` says so, all files but those of /proc, which tell what the
/// workers take. For this thread and those it starts from now on.
fn give_up_the_rest(sandbox: Sandbox, files: bool) -> io::Result<bool> {
    privileges::give_up()?;
    // Where there is no /proc, there is nothing to leave.
    Ok(files && sandbox.confine_files(&Root::open("/proc".as_ref()).iter().collect::<Vec<_>>())?)
}

/// Heeds the master until it is gone, or a signal comes.
fn wait_for_the_end(link: &OwnedFd, signals: &Signals) -> ! {
    loop {
        let readable = process::wait_readable(&[link.as_fd(), signals.as_fd()], None);
        let closed = match link::receive(link) {
            Received::Message(message, descriptors) => {
                if message == LOGS {
                    change_log(&descriptors);
                }
                false
            }
            Received::Closed => true,
            Received::Empty => false,
        };
        if readable.is_err() || closed || signals.next() == Some(Request::Stop) {
            process::exit_now(0);
        }
    }
}

/// Goes on in the error log that the master has opened anew.
fn change_log(descriptors: &[OwnedFd]) {
    let moved = descriptors.first().map_or(Ok(()), |file| log::move_to(file.as_fd()));
    if let Err(error) = moved {
        ::log::error!("cannot change to the reopened log: {error}");
    }
}
