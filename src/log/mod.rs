//! The error log: one line for each record, to standard error or to a file.
//!
//! It owns the format of a line and the label of the process that writes it. The log of requests is
//! [`access`], with its formats in [`mod@line`].
//!
//! A record becomes exactly one line and leaves in one write, so that the lines of several processes never
//! mix, and what a client sent can't pass for a line of ours: control characters are escaped.

pub mod access;
pub mod json;
pub mod line;

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::Settings;
use crate::error::StartupError;
use crate::sys::file;

/// Which process writes, as it stands in each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The parent.
    Master,
    /// The child in this slot.
    Worker(usize),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Worker(slot) => write!(f, "worker {slot}"),
        }
    }
}

/// What [`LABEL`] holds in the master, for no slot is ever that high.
const MASTER: usize = usize::MAX;

/// The label of this process. A fork copies it, so that a child must set its own.
static LABEL: AtomicUsize = AtomicUsize::new(MASTER);

/// Sets the label of this process, in a child right after the fork.
pub fn set_label(label: Label) {
    LABEL.store(
        match label {
            Label::Master => MASTER,
            Label::Worker(slot) => slot,
        },
        Relaxed,
    );
}

fn label() -> Label {
    match LABEL.load(Relaxed) {
        MASTER => Label::Master,
        slot => Label::Worker(slot),
    }
}

/// The open log. Every process writes through the same descriptor number, behind which a reopening puts another file.
static OPEN: OnceLock<Open> = OnceLock::new();

struct Open {
    file: Arc<File>,
    /// The file's name; none is standard error.
    path: Mutex<Option<PathBuf>>,
}

/// Opens the log and makes it the one that `log`'s macros write to. Called once, before the privileges are
/// dropped, because workers keep writing to what root could open.
///
/// # Errors
/// [`StartupError::Log`] where the file can't be opened for appending, or a log is set already.
pub fn init(settings: &Settings) -> Result<(), StartupError> {
    let path = settings.log_file.clone();
    let opened = open(path.as_deref()).and_then(|file| {
        let file = Arc::new(file);
        ::log::set_boxed_logger(logger(Arc::clone(&file))).map_err(io::Error::other)?;
        let path = Mutex::new(path.clone());
        OPEN.set(Open { file, path }).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))
    });
    ::log::set_max_level(settings.log_level);
    opened.map_err(|source| failed(path, source))
}

/// Goes on with the level and the file of new settings.
///
/// # Errors
/// [`StartupError::Log`] where the file can't be opened; the log goes on as it was.
pub fn adopt(settings: &Settings) -> Result<(), StartupError> {
    let path = settings.log_file.clone();
    let Some(log) = OPEN.get() else { return Ok(()) };
    let mut current = log.path.lock().unwrap_or_else(PoisonError::into_inner);
    if *current != path {
        let opened = open(path.as_deref());
        opened.and_then(|file| move_to(file.as_fd())).map_err(|source| failed(path.clone(), source))?;
        *current = path;
    }
    ::log::set_max_level(settings.log_level);
    Ok(())
}

/// Opens the log's file anew by its name, for it may have been moved away. Standard error stays what it is.
///
/// # Errors
/// What the system says about the file; the log goes on as it was.
pub fn reopen() -> io::Result<()> {
    let Some(log) = OPEN.get() else { return Ok(()) };
    let path = log.path.lock().unwrap_or_else(PoisonError::into_inner).clone();
    path.map_or(Ok(()), |path| move_to(append_to(&path)?.as_fd()))
}

/// Goes on with another file, behind the same descriptor.
///
/// # Errors
/// What dup3(2) says; the log goes on as it was.
pub fn move_to(file: BorrowedFd<'_>) -> io::Result<()> {
    OPEN.get().map_or(Ok(()), |log| file::replace(log.file.as_fd(), file))
}

/// The descriptor that the log is written to, once there is one.
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    OPEN.get().map(|log| log.file.as_fd())
}

fn open(path: Option<&Path>) -> io::Result<File> {
    match path {
        Some(path) => append_to(path),
        None => io::stderr().as_fd().try_clone_to_owned().map(File::from),
    }
}

fn failed(path: Option<PathBuf>, source: io::Error) -> StartupError {
    StartupError::Log { path: path.unwrap_or_else(|| "standard error".into()), source }
}

/// Opens a log for appending, readable by owner and group: requests and paths are nobody else's business.
pub(crate) fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// The level is `log`'s own, which may change while the logger stays.
fn logger(file: Arc<File>) -> Box<dyn Log> {
    let sink: Box<dyn Log> = Box::new(Sink(file));
    let dispatch = fern::Dispatch::new()
        // The scheduler logs a line at info for every descriptor it registers.
        .level_for("may", LevelFilter::Warn)
        .level_for("generator", LevelFilter::Warn)
        .format(|out, message, record| {
            let line = Line { now: SystemTime::now(), level: record.level(), label: label(), message };
            out.finish(format_args!("{line}"));
        })
        .chain(sink);
    dispatch.into_log().1
}

/// One line without its end, as it is written:
///
/// ```text
/// 2026-11-21T10:07:03Z INFO [worker 0] text
/// ```
struct Line<'a> {
    now: SystemTime,
    level: Level,
    label: Label,
    message: &'a fmt::Arguments<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = humantime::format_rfc3339_seconds(self.now);
        write!(f, "{now} {} [{}] ", self.level, self.label)?;
        Escaping(f).write_fmt(*self.message)
    }
}

/// Passes text on with control characters as `\n`, `\u{1b}` and the like.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (at, control) in text.match_indices(char::is_control) {
            self.0.write_str(&text[clean..at])?;
            write!(self.0, "{}", control.escape_default())?;
            clean = at + control.len();
        }
        self.0.write_str(&text[clean..])
    }
}

/// Writes each record in one call. Standard error as std has it would write a line in pieces.
struct Sink(Arc<File>);

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = String::with_capacity(160);
        if writeln!(line, "{}", record.args()).is_err() {
            return;
        }
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(&*self.0, rest) {
                Ok(0) => return,
                Ok(written) => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                // There is no place left to report it, and serving goes on.
                Err(_) => return,
            }
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(label: Label, message: fmt::Arguments<'_>, expected: &str) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_255_623);
        let line = Line { now, level: Level::Warn, label, message: &message };
        assert_eq!(line.to_string(), expected);
    }

    #[test]
    fn a_record_is_one_line_whatever_it_holds() {
        let plain = "2026-11-21T10:07:03Z WARN [master] ready";
        check(Label::Master, format_args!("ready"), plain);
        check(
            Label::Worker(3),
            format_args!("bad {}", "a\n2026 INFO [master] b\r\x1b[31m\0\u{85}é\\"),
            "2026-11-21T10:07:03Z WARN [worker 3] bad \
             a\\n2026 INFO [master] b\\r\\u{1b}[31m\\u{0}\\u{85}é\\",
        );
        check(Label::Worker(0), format_args!(""), "2026-11-21T10:07:03Z WARN [worker 0] ");
    }

    #[test]
    fn the_scheduler_is_heard_from_warn_up_and_a_file_is_appended_to() {
        let path = std::env::temp_dir().join(format!("mayhttpd-log-{}", std::process::id()));
        std::fs::write(&path, "before\n").unwrap();
        let log = logger(Arc::new(append_to(&path).unwrap()));
        for (level, target) in [
            (Level::Info, "mayhttpd::master"),
            (Level::Info, "may::io"),
            (Level::Warn, "may"),
            (Level::Info, "generator::stack"),
        ] {
            log.log(&Record::builder().level(level).target(target).args(format_args!("{target}")).build());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split("Z ").last().unwrap()).collect();
        assert_eq!(ends, ["before", "INFO [master] mayhttpd::master", "WARN [master] may"]);
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        let settings = Settings { log_file: Some("/no/such/dir/log".into()), ..Settings::default() };
        assert_eq!(
            init(&settings).unwrap_err().to_string(),
            "cannot open the log /no/such/dir/log: no such file or directory"
        );
    }

    #[test]
    fn a_process_is_the_master_until_it_says_otherwise() {
        assert_eq!(label(), Label::Master);
    }
}
