//! A static-file HTTP/1.1 server: preforked workers, and in each a stackful coroutine for every client.
//!
//! ```text
//! master (one thread, never touches the scheduler)      signals, fork, supervision
//!  └─ worker 0..N-1  (may, one scheduler thread)        listener of its slot → coroutine per client → site → reply
//!  └─ admin        (may_minihttp)                       status page and metrics, from memory shared by all
//! ```
//!
//! The life of a connection: [`worker::accept`] takes it off the accept queue and gives it a coroutine;
//! [`connection`] receives until [`http::request`] finds a complete head; [`site`] decides the reply from plain data;
//! [`connection::transmit`] sends it. Everything that decides is pure and never sees a socket or a clock; everything
//! that waits is in [`connection::transport`].
//!
//! Invariants: the scheduler starts after the fork; a path that is opened came out of [`http::target`]; header bytes
//! come out of [`http::head`]; `unsafe` stays in [`sys`]; imports go strictly downward in the order below.

pub mod generate;
pub mod healthcheck;
pub mod init;

pub mod master;

pub mod admin;
pub mod worker;

pub mod connection;

pub mod kernel;
pub mod site;

pub mod sandbox;

pub mod config;
pub mod log;
pub mod metrics;

pub mod http;
pub mod sys;

pub mod error;

use std::io::Write;
use std::process::ExitCode;

use config::Invocation;
use error::StartupError;
use master::starter::Starter;

/// Runs the program: settles what the command line and the environment ask for, and does it. Returns the exit code of a
/// command that has several for what is no error.
///
/// # Errors
/// The step that kept it from starting.
pub fn run() -> Result<u8, StartupError> {
    match config::from_args(std::env::args_os(), std::env::vars_os())? {
        Invocation::Print(text) => print(&text)?,
        Invocation::Signal(order, file) => master::pidfile::signal(&file, order)?,
        Invocation::Test(settings) => {
            say_warnings(&settings);
            for name in settings.listeners_to_be_lent() {
                let _ = writeln!(
                    std::io::stderr(),
                    "mayhttpd: --proxy-protocol names {name}, which is none of these settings and must be passed on"
                );
            }
            master::generation::check(&settings)?;
            // Nobody may be reading; the exit code says it too.
            let _ = writeln!(std::io::stderr(), "mayhttpd: the settings are fine");
        }
        Invocation::Kernel(task, settings) => {
            say_warnings(&settings);
            let kernel::Report { text, outcome } = kernel::run(&task, &settings);
            print(&text).and(outcome)?;
        }
        Invocation::Healthcheck { url, timeout, announced } => healthcheck::run(&url, timeout, announced)?,
        Invocation::Generate(product, out) => print(&generate::run(product, out.as_deref())?)?,
        Invocation::Init(word, settings) => match init::run(word, *settings)? {
            init::Outcome::Done { code, text } => {
                print(&text)?;
                return Ok(code);
            }
            init::Outcome::Serve(settings, starter) => master::run(*settings, starter)?,
        },
        Invocation::Serve(settings) => master::run(*settings, Starter::default())?,
    }
    Ok(0)
}

fn print(text: &str) -> Result<(), StartupError> {
    let mut out = std::io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that closed early has seen enough; a full disk has not got what was asked for.
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(StartupError::System { step: "write to standard output", source })
        }
        _ => Ok(()),
    }
}

/// For a command, which has no log.
fn say_warnings(settings: &config::Settings) {
    for warning in &settings.warnings {
        let _ = writeln!(std::io::stderr(), "mayhttpd: {warning}");
    }
}

/// The exit code that goes with a result, after its error is said on standard error.
pub fn report(result: Result<u8, StartupError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("mayhttpd: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
