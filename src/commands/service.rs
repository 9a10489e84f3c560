//! `start`, `stop`, `restart` and `status`, as init scripts have them.
//!
//! Owns the output and the exit codes (LSB, "Init Script Actions"). The lock of the pid file tells which
//! server runs. The master owns how a server starts and ends.
//!
//! **Invariant:** the process in the background is forked before anything of the server is opened. So all
//! descriptors, locks and children belong to that process. It keeps the working directory, so that relative
//! paths keep their meaning.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::commands::ServiceCommand;
use crate::config::Settings;
use crate::config::load::NO_LOG;
use crate::error::{StartupError, cause, shown};
use crate::master::background::{self, BackgroundStart};
use crate::master::generation;
use crate::master::handover;
use crate::master::pid_file::{self, Found, RunningMaster};
use crate::sys::process::{self, BackgroundFork};
use crate::sys::signal::SignalRequest;
use crate::sys::timer;

/// How long `stop` waits after the drain timeout, before TERM.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// How long `stop` waits after TERM. The master kills a worker that does not stop within two seconds, and
/// gives it up five seconds later.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// The exit codes of `status` for a server that does not run, with a pid file and without one, and for an
/// unknown state.
const DEAD: u8 = 1;
const NOT_RUNNING: u8 = 3;
const UNKNOWN: u8 = 4;

/// How a command ended.
#[derive(Debug)]
pub enum Outcome {
    /// The command is complete. The text is for standard output.
    Done {
        /// The exit code.
        code: u8,
        /// One or more lines, each with a line break.
        text: String,
    },
    /// This is the process in the background: serve with these settings, and report to the process that
    /// waits.
    Serve(Box<Settings>, BackgroundStart),
}

impl Outcome {
    fn done(code: u8, text: String) -> Outcome {
        Outcome::Done { code, text: text + "\n" }
    }
}

/// Runs a command. Call it only while this process has a single thread.
///
/// # Errors
/// Why a server could not be started, stopped or signalled.
pub fn run(command: ServiceCommand, mut settings: Settings) -> Result<Outcome, StartupError> {
    let file = settings.pid_file.take().map_or_else(default_pid_file, Ok)?;
    settings.pid_file = Some(file.clone());
    // An upgrade starts the new program with the same arguments. It is in the background already.
    if handover::is_successor() {
        return Ok(Outcome::Serve(Box::new(settings), BackgroundStart::default()));
    }
    match command {
        ServiceCommand::Start => start(settings, &file),
        ServiceCommand::Stop => stop(&file, settings.drain_timeout),
        ServiceCommand::Restart => restart(settings, &file),
        ServiceCommand::Status => Ok(status(&file)),
    }
}

/// The pid file if the settings name none.
fn default_pid_file() -> Result<PathBuf, StartupError> {
    if process::is_root() {
        return Ok("/run/mayhttpd.pid".into());
    }
    let directory = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    directory.map(|directory| Path::new(&directory).join("mayhttpd.pid")).ok_or_else(|| {
        let why = "there is no XDG_RUNTIME_DIR for the pid file: name one by --pid-file";
        StartupError::Usage(why.to_owned())
    })
}

fn start(settings: Settings, file: &Path) -> Result<Outcome, StartupError> {
    if let Some(master) = masters(file)?.first() {
        return Ok(Outcome::done(0, format!("mayhttpd runs already, process {}", master.pid)));
    }
    let no_log = settings.log_file.as_deref() == Some(Path::new(NO_LOG));
    let no_log = no_log.then_some("no error log is kept, since --log-file names no file for it");
    for warning in settings.warnings.iter().map(String::as_str).chain(no_log) {
        // An error is ignored: the server can start although standard error is closed.
        let _ = writeln!(std::io::stderr(), "mayhttpd: {warning}");
    }
    let system = |step| move |source| StartupError::System { step, source };
    let (reader, writer) = std::io::pipe().map_err(system("make a pipe"))?;
    match process::fork_to_background().map_err(system("start in the background"))? {
        BackgroundFork::Child => {
            drop(reader);
            Ok(Outcome::Serve(Box::new(settings), BackgroundStart::new(writer)))
        }
        BackgroundFork::Parent => {
            drop(writer);
            Ok(Outcome::Done { code: 0, text: background::wait(reader)? })
        }
    }
}

fn stop(file: &Path, drain: Duration) -> Result<Outcome, StartupError> {
    let masters = masters(file)?;
    if masters.is_empty() {
        return Ok(not_running(0, file));
    }
    for (request, patience) in
        [(SignalRequest::Drain, drain + DRAIN_GRACE), (SignalRequest::Stop, STOP_GRACE)]
    {
        for master in &masters {
            send_signal(master, request)?;
        }
        if all_end_within(&masters, patience)? {
            return Ok(Outcome::done(0, "mayhttpd has stopped".to_owned()));
        }
    }
    let what = format!("{} did not end at TERM", named(&masters));
    Err(StartupError::StillRunning { what })
}

fn restart(settings: Settings, file: &Path) -> Result<Outcome, StartupError> {
    let masters = masters(file)?;
    let Some(master) = masters.last() else { return start(settings, file) };
    // The master makes the same checks, but reports errors in its log only.
    generation::check(&settings)?;
    send_signal(master, SignalRequest::Reload)?;
    Ok(Outcome::done(0, format!("mayhttpd is reloading its settings, process {}", master.pid)))
}

fn status(file: &Path) -> Outcome {
    match (masters(file), file.exists()) {
        (Ok(masters), false) if masters.is_empty() => not_running(NOT_RUNNING, file),
        (Ok(masters), true) if masters.is_empty() => not_running(DEAD, file),
        (Ok(masters), _) => Outcome::done(0, format!("mayhttpd runs, {}", named(&masters))),
        (Err(error), _) => Outcome::done(UNKNOWN, format!("mayhttpd: {error}")),
    }
}

fn not_running(code: u8, file: &Path) -> Outcome {
    let stale = match pid_file::read(file) {
        Some(pid) => format!(" names process {pid}, which is no server or has ended"),
        None if file.exists() => " has no process id in it".to_owned(),
        None => " is not there".to_owned(),
    };
    Outcome::done(code, format!("mayhttpd does not run: {}{stale}", shown(file)))
}

/// The running masters: during an upgrade the old one first, then the one of the file itself.
fn masters(file: &Path) -> Result<Vec<RunningMaster>, StartupError> {
    let mut masters = Vec::new();
    for path in [pid_file::aside(file), file.to_owned()] {
        match pid_file::find(&path) {
            Ok(Found::Master(master)) => masters.push(master),
            Ok(Found::Stale(_) | Found::Missing) => {}
            Err(source) => return Err(StartupError::UnknownState { path, source }),
        }
    }
    Ok(masters)
}

/// Sends a signal to a master. It is no error if the master has ended meanwhile.
fn send_signal(master: &RunningMaster, request: SignalRequest) -> Result<(), StartupError> {
    match master.process.signal(request) {
        Err(_) if matches!(master.process.has_ended(Duration::ZERO), Ok(true)) => Ok(()),
        Err(error) => {
            let what = format!("process {}: {}", master.pid, cause(&error));
            Err(StartupError::Signal { what })
        }
        Ok(()) => Ok(()),
    }
}

fn all_end_within(masters: &[RunningMaster], patience: Duration) -> Result<bool, StartupError> {
    let deadline = timer::monotonic() + patience;
    for master in masters {
        loop {
            let left = deadline.saturating_sub(timer::monotonic());
            let failed = |source| StartupError::System { step: "wait for the server", source };
            if master.process.has_ended(left).map_err(failed)? {
                break;
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn named(masters: &[RunningMaster]) -> String {
    let pids: Vec<String> = masters.iter().map(|master| format!("process {}", master.pid)).collect();
    pids.join(" and ")
}
