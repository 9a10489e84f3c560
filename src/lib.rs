//! A static-file server for HTTP/1.1, HTTP/2 and TLS: preforked workers, and in each a stackful coroutine for
//! every request under way.
//!
//! ```text
//! master (one thread, never touches the scheduler)     signals, fork, supervision
//!  ├─ worker 0..N-1  (may: one thread runs coroutines)  listener of its slot → coroutine → site → response
//!  │                 (background threads)               what may wait for a disk, or burns CPU
//!  └─ admin process  (may_minihttp)                     status page and metrics, from memory shared by all
//! ```
//!
//! The life of a connection: [`worker::acceptor`] takes it off the accept queue and gives it to a coroutine.
//! [`connection`] receives until [`http::request`] finds a complete head. [`site`] decides the response,
//! [`store`] opens the file, and [`connection::writer`] sends both. Before the first byte and between
//! requests the connection is in [`worker::idle_set`], without a coroutine. A connection whose socket the
//! scheduler watches already keeps its coroutine for up to a second before it goes there.
//!
//! [`http`] and [`site`] decide; they see no socket and read no clock. A coroutine waits for a client in
//! [`connection::socket`] alone, and there for a job of [`background`] as well. The other coroutines of
//! [`worker`] wait for new connections, for the timer, for finished jobs and for the master.
//!
//! **Invariants:** the scheduler starts after the fork. The path of a file that is served comes out of
//! [`http::target`] or [`store::name_index`], and openat2(2) keeps it beneath the root. The head of a
//! worker's response comes out of [`http::response_head`]. `unsafe` stays in [`sys`]. A module imports from
//! the groups below its own alone.

pub mod commands;

pub mod master;

pub mod admin;
pub mod worker;

pub mod connection;

pub mod site;

pub mod capacity;
pub mod ipc;
pub mod sandbox;
pub mod store;
pub mod tls;

pub mod background;

pub mod log;
pub mod metrics;

pub mod config;

pub mod compression;
pub mod password;
pub mod routing;

pub mod http;
pub mod time;

pub mod sys;

pub mod error;

use std::os::fd::AsFd;
use std::process::ExitCode;

use commands::Invocation;
use commands::service::Outcome;
use commands::{generate, healthcheck, inspect, kernel, password as password_command, precompress, service};
use error::StartupError;
use master::background::BackgroundStart;
use sys::stream;

/// Runs the program: reads what the command line asks for, and does it. Returns the exit code, which tells
/// more than an error for some commands.
///
/// # Errors
/// The step that failed.
pub fn run() -> Result<u8, StartupError> {
    match commands::read(std::env::args_os(), std::env::vars_os())? {
        Invocation::Serve(settings, inputs) => master::run(*settings, inputs, BackgroundStart::default())?,
        Invocation::Service(command, settings, inputs) => match service::run(command, *settings)? {
            Outcome::Done { code, text } => {
                inspect::print(&text)?;
                return Ok(code);
            }
            Outcome::Serve(settings, background) => master::run(*settings, inputs, background)?,
        },
        Invocation::Signal(request, file) => master::pid_file::signal(&file, request)?,
        Invocation::Healthcheck(page, timeout) => healthcheck::run(&page, timeout)?,
        Invocation::Test(settings) => inspect::test(*settings)?,
        Invocation::Dump(loaded) => inspect::dump(*loaded)?,
        Invocation::Kernel(task, settings) => {
            inspect::print_warnings(&settings);
            let kernel::report::KernelReport { text, outcome } = kernel::run(&task, &settings);
            inspect::print(&text).and(outcome)?;
        }
        Invocation::Precompress(task, settings) => {
            inspect::print_warnings(&settings);
            let precompress::PrecompressEnd { code, text } = precompress::run(&task, &settings)?;
            inspect::print(&text)?;
            return Ok(code);
        }
        Invocation::Password(user, hash) => inspect::print(&password_command::run(&user, hash)?)?,
        Invocation::Generate(product, out) => inspect::print(&generate::run(&product, out.as_deref())?)?,
        Invocation::Print(text) => inspect::print(&text)?,
    }
    Ok(0)
}

/// The exit code of a result. An error is written to standard error.
pub fn report(result: Result<u8, StartupError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // The exit code tells it too, so a failed write changes nothing.
            stream::print(std::io::stderr().as_fd(), format!("mayhttpd: {error}\n").as_bytes());
            ExitCode::from(error.exit_code())
        }
    }
}
