//! `start`, `stop`, `restart` and `status`, as init scripts have them.
//!
//! Owns the words and the exit codes (LSB, "Init Script Actions"). Who runs is asked of the pid file's lock, how a server
//! begins and ends is the master's. The subtle rule: the process in the background is made before anything of the server
//! is, so that all its descriptors, locks and children are its own; it stays in the directory that it was started in, and
//! relative paths go on meaning what they meant.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, Init, Settings};
use crate::error::{StartupError, cause, shown};
use crate::master::generation;
use crate::master::pidfile::{self, Found, Master};
use crate::master::starter::{self, Starter};
use crate::master::upgrade;
use crate::sys::process::{self, Away};
use crate::sys::signal::Request;
use crate::sys::timer;

/// How much longer than its drain may take a server is waited for, and then again after TERM. The master itself kills what
/// does not stop within two seconds.
const GRACE: Duration = Duration::from_secs(5);

/// The exit codes of `status` for a server that does not run: with a pid file, without one, and where it can't be told.
const DEAD: u8 = 1;
const NOT_RUNNING: u8 = 3;
const UNKNOWN: u8 = 4;

/// What has come of a word.
#[derive(Debug)]
pub enum Outcome {
    /// It is done. The text is for standard output.
    Done {
        /// The exit code.
        code: u8,
        /// One line or more, each with its end.
        text: String,
    },
    /// This is the process that is to serve with these settings, and to tell who waits for it.
    Serve(Box<Settings>, Starter),
}

impl Outcome {
    fn done(code: u8, text: String) -> Outcome {
        Outcome::Done { code, text: text + "\n" }
    }
}

/// Does what a word asks for. Call it only while this process has a single thread.
///
/// # Errors
/// What kept a server from starting or stopping.
pub fn run(word: Init, mut settings: Settings) -> Result<Outcome, StartupError> {
    let file = settings.pid_file.take().map_or_else(default_pid_file, Ok)?;
    settings.pid_file = Some(file.clone());
    // The words that started a server start the one of its upgrade too, which is in the background already.
    if upgrade::is_successor() {
        return Ok(Outcome::Serve(Box::new(settings), Starter::default()));
    }
    match word {
        Init::Start => start(settings, &file),
        Init::Stop => stop(&file, settings.drain_timeout),
        Init::Restart => restart(settings, &file),
        Init::Status => Ok(status(&file)),
    }
}

/// Where the pid file is when none is named.
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
    let unkept = settings.log_file.as_deref() == Some(Path::new(config::NO_LOG));
    let unkept = unkept.then_some("no error log is kept, since --log-file names no file for it");
    for warning in settings.warnings.iter().map(String::as_str).chain(unkept) {
        // Nobody may be reading; that is no reason not to start.
        let _ = writeln!(std::io::stderr(), "mayhttpd: {warning}");
    }
    let system = |step| move |source| StartupError::System { step, source };
    let (reader, writer) = std::io::pipe().map_err(system("make a pipe"))?;
    match process::fork_away().map_err(system("start in the background"))? {
        Away::Child => {
            drop(reader);
            Ok(Outcome::Serve(Box::new(settings), Starter::waiting(writer)))
        }
        Away::Parent => {
            drop(writer);
            Ok(Outcome::Done { code: 0, text: starter::hear(reader)? })
        }
    }
}

fn stop(file: &Path, drain: Duration) -> Result<Outcome, StartupError> {
    let masters = masters(file)?;
    if masters.is_empty() {
        return Ok(not_running(0, file));
    }
    for (request, patience) in [(Request::Drain, drain + GRACE), (Request::Stop, GRACE)] {
        for master in &masters {
            tell(master, request)?;
        }
        if all_end_within(&masters, patience)? {
            return Ok(Outcome::done(0, "mayhttpd has stopped".to_owned()));
        }
    }
    let what = format!("{} did not end at TERM", named(&masters));
    Err(StartupError::Unstopped { what })
}

fn restart(settings: Settings, file: &Path) -> Result<Outcome, StartupError> {
    let masters = masters(file)?;
    let Some(master) = masters.last() else { return start(settings, file) };
    // It would find out by itself, and say so in its log alone.
    generation::check(&settings)?;
    tell(master, Request::Reload)?;
    Ok(Outcome::done(0, format!("mayhttpd takes up its settings anew, process {}", master.pid)))
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
    let stale = match pidfile::read(file) {
        Some(pid) => format!(" names process {pid}, which is no server or has ended"),
        None if file.exists() => " has no process id in it".to_owned(),
        None => " is not there".to_owned(),
    };
    Outcome::done(code, format!("mayhttpd does not run: {}{stale}", shown(file)))
}

/// The masters that live: the one that an upgrade is about to end, where there is one, and that of the file itself.
fn masters(file: &Path) -> Result<Vec<Master>, StartupError> {
    let mut masters = Vec::new();
    for path in [pidfile::aside(file), file.to_owned()] {
        match pidfile::find(&path) {
            Ok(Found::Master(master)) => masters.push(master),
            Ok(Found::Stale(_) | Found::Nothing) => {}
            Err(source) => return Err(StartupError::Untold { path, source }),
        }
    }
    Ok(masters)
}

/// One that has ended meanwhile needs to be told nothing.
fn tell(master: &Master, request: Request) -> Result<(), StartupError> {
    match master.process.tell(request) {
        Err(_) if matches!(master.process.has_ended(Duration::ZERO), Ok(true)) => Ok(()),
        Err(error) => {
            let what = format!("process {}: {}", master.pid, cause(&error));
            Err(StartupError::Signal { what })
        }
        Ok(()) => Ok(()),
    }
}

fn all_end_within(masters: &[Master], patience: Duration) -> Result<bool, StartupError> {
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

fn named(masters: &[Master]) -> String {
    let pids: Vec<String> = masters.iter().map(|master| format!("process {}", master.pid)).collect();
    pids.join(" and ")
}
