//! The error log: one line for each record, to standard error or to a file.
//!
//! It owns the format of a line and the label of the process that writes it. The log of requests is
//! [`access`], with its formats in [`mod@line`].
//!
//! A record becomes exactly one line and leaves in one write, so that the lines of several processes never
//! mix, and what a client sent can't pass for a line of ours: control characters are escaped.
//!
//! As with the log of requests, a line that can't be written is dropped and counted, and serving goes on. The next line
//! that gets through says how many are lost.

pub mod access;
pub mod escape;
pub mod line;

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use crate::config::{LogFormat, Settings};
use crate::error::StartupError;
use crate::sys::{file, link};

/// Which process writes, as it stands in each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The parent.
    Master,
    /// The child in this slot.
    Worker(usize),
    /// The child that serves the status page.
    Admin,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("master"),
            Self::Worker(slot) => write!(f, "worker {slot}"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

/// What [`LABEL`] holds in the master and in the admin process, for no slot is ever that high.
const MASTER: usize = usize::MAX;
const ADMIN: usize = MASTER - 1;

/// The label of this process. A fork copies it, so that a child must set its own.
static LABEL: AtomicUsize = AtomicUsize::new(MASTER);

/// Sets the label of this process, in a child right after the fork.
pub fn set_label(label: Label) {
    LABEL.store(
        match label {
            Label::Master => MASTER,
            Label::Worker(slot) => slot,
            Label::Admin => ADMIN,
        },
        Relaxed,
    );
}

fn label() -> Label {
    match LABEL.load(Relaxed) {
        MASTER => Label::Master,
        ADMIN => Label::Admin,
        slot => Label::Worker(slot),
    }
}

/// The open log. Every process writes through the same descriptor number, behind which a reopening puts another file.
static OPEN: OnceLock<Open> = OnceLock::new();

struct Open {
    output: Arc<Output>,
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
        let output = Arc::new(Output::new(file, settings.log_format, path.is_none()));
        ::log::set_boxed_logger(logger(Arc::clone(&output))).map_err(io::Error::other)?;
        let path = Mutex::new(path.clone());
        OPEN.set(Open { output, path }).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))
    });
    ::log::set_max_level(settings.log_level);
    opened.map_err(|source| failed(path, source))
}

/// Goes on with the level, the format and the file of new settings.
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
    log.output.dress(settings.log_format, current.is_none());
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
    let Some(log) = OPEN.get() else { return Ok(()) };
    file::replace(log.output.file.as_fd(), file)?;
    log.output.look();
    Ok(())
}

/// The descriptor that the log is written to, once there is one.
pub fn descriptor() -> Option<BorrowedFd<'static>> {
    OPEN.get().map(|log| log.output.file.as_fd())
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

/// Where the log goes and what its lines look like, for all who write to it or change it.
struct Output {
    file: File,
    json: AtomicBool,
    journal: AtomicBool,
    /// Whether a write can wait for whoever reads: into a pipe, a socket or a terminal.
    waits: AtomicBool,
}

impl Output {
    fn new(file: File, format: LogFormat, standard_error: bool) -> Self {
        let [json, journal, waits] = [const { AtomicBool::new(false) }; 3];
        let output = Self { file, json, journal, waits };
        output.look();
        output.dress(format, standard_error);
        output
    }

    /// Finds out what the file is, after it was put behind the descriptor.
    fn look(&self) {
        // What can't be looked at is treated with the greater care.
        let regular = self.file.metadata().is_ok_and(|found| found.is_file());
        self.waits.store(!regular, Relaxed);
    }

    fn dress(&self, format: LogFormat, standard_error: bool) {
        self.json.store(format == LogFormat::Json, Relaxed);
        self.journal.store(standard_error && is_journal(&self.file), Relaxed);
    }

    fn style(&self) -> Style {
        let format = if self.json.load(Relaxed) { LogFormat::Json } else { LogFormat::Text };
        Style { format, journal: self.journal.load(Relaxed) }
    }
}

/// True when `file` is the stream to the journal that systemd says standard error is (systemd.exec(5) `JOURNAL_STREAM`).
fn is_journal(file: &File) -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    file.metadata().is_ok_and(|found| named == format!("{}:{}", found.dev(), found.ino()))
}

/// The level is `log`'s own, which may change while the logger stays.
fn logger(output: Arc<Output>) -> Box<dyn Log> {
    let sink: Box<dyn Log> = Box::new(Sink::new(output));
    let dispatch = fern::Dispatch::new()
        // The scheduler logs a line at info for every descriptor it registers.
        .level_for("may", LevelFilter::Warn)
        .level_for("generator", LevelFilter::Warn)
        // It calls a wait that a signal interrupted an error.
        .level_for("may::io::event_loop", LevelFilter::Off)
        // It calls every client that closes an error.
        .level_for("may_minihttp", LevelFilter::Off)
        .chain(sink);
    dispatch.into_log().1
}

/// What a line looks like.
#[derive(Debug, Clone, Copy)]
struct Style {
    format: LogFormat,
    /// Whether the journal reads it, which takes the level from a number in front (sd-daemon(3)).
    journal: bool,
}

impl Style {
    /// The line with its end.
    fn render(self, line: &Line<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        if self.journal {
            out.extend_from_slice(&[b'<', priority(line.level), b'>']);
        }
        // Writing to memory fails only where the message's own rendering does; what there is of it is told.
        let _ = match self.format {
            LogFormat::Text => write!(out, "{line}"),
            LogFormat::Json => line.write_json(&mut out),
        };
        out.push(b'\n');
        out
    }
}

/// The digit of a level, as syslog(3) counts them.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => b'3',
        Level::Warn => b'4',
        Level::Info => b'6',
        Level::Debug | Level::Trace => b'7',
    }
}

/// One line without its end, as it is written in either format:
///
/// ```text
/// 2026-11-21T10:07:03Z INFO [worker 0] text
/// {"time":"2026-11-21T10:07:03Z","level":"info","process":"worker","worker":0,"message":"text"}
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

impl Line<'_> {
    fn write_json(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let now = humantime::format_rfc3339_seconds(self.now);
        let level = self.level.as_str().to_ascii_lowercase();
        write!(out, "{{\"time\":\"{now}\",\"level\":\"{level}\",")?;
        match self.label {
            Label::Master => write!(out, "\"process\":\"master\",")?,
            Label::Worker(slot) => write!(out, "\"process\":\"worker\",\"worker\":{slot},")?,
            Label::Admin => write!(out, "\"process\":\"admin\",")?,
        }
        out.extend_from_slice(b"\"message\":\"");
        escape::json(out, self.message.to_string().as_bytes());
        out.extend_from_slice(b"\"}");
        Ok(())
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

/// A pipe, a socket or a terminal has room for this much at least when poll(2) says that it has room.
const PIECE: usize = 4096;

/// How long the reader of a full pipe is waited for, and after one wait in vain no more until it reads again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Writes each record in one call. Standard error as std has it would write a line in pieces.
struct Sink {
    output: Arc<Output>,
    /// Lines that could not be written since one last could.
    lost: AtomicU64,
    /// Whether the last write broke off within its line.
    torn: AtomicBool,
}

impl Sink {
    fn new(output: Arc<Output>) -> Self {
        Self { output, lost: AtomicU64::new(0), torn: AtomicBool::new(false) }
    }

    /// Writes a line, or as much of it as there is place for; true when it is whole.
    fn write(&self, mut line: Vec<u8>) -> bool {
        if self.torn.load(Relaxed) {
            // The end of the broken line, so that this one is whole.
            line.insert(0, b'\n');
        }
        let patience = if self.lost.load(Relaxed) > 0 { Duration::ZERO } else { PATIENCE };
        let Output { file, .. } = &*self.output;
        let (waits, piece) =
            if self.output.waits.load(Relaxed) { (true, PIECE) } else { (false, usize::MAX) };
        let mut rest = &line[..];
        while !rest.is_empty() {
            if waits && !link::takes_more(file, patience) {
                break;
            }
            match rustix::io::write(file, &rest[..rest.len().min(piece)]) {
                Ok(written) if written > 0 => rest = &rest[written..],
                Err(rustix::io::Errno::INTR) => {}
                _ => break,
            }
        }
        if rest.len() < line.len() {
            self.torn.store(!rest.is_empty(), Relaxed);
        }
        rest.is_empty()
    }

    /// Says how many lines are lost, if any are.
    fn confess(&self) {
        let lost = self.lost.load(Relaxed);
        if lost == 0 {
            return;
        }
        let lines = if lost == 1 { "line" } else { "lines" };
        let message = format_args!("this log could not be written: {lost} {lines} lost");
        let line = Line { now: SystemTime::now(), level: Level::Warn, label: label(), message: &message };
        if self.write(self.output.style().render(&line)) {
            self.lost.fetch_sub(lost, Relaxed);
        }
    }
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.confess();
        let (now, message) = (SystemTime::now(), record.args());
        let line = Line { now, level: record.level(), label: label(), message };
        if !self.write(self.output.style().render(&line)) {
            // There is no place left to report it, and serving goes on.
            self.lost.fetch_add(1, Relaxed);
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
        let output = Output::new(append_to(&path).unwrap(), LogFormat::Text, false);
        let log = logger(Arc::new(output));
        for (level, target) in [
            (Level::Info, "mayhttpd::master"),
            (Level::Info, "may::io"),
            (Level::Warn, "may"),
            (Level::Error, "may::io::event_loop"),
            (Level::Info, "generator::stack"),
        ] {
            log.log(&Record::builder().level(level).target(target).args(format_args!("{target}")).build());
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split("Z ").last().unwrap()).collect();
        assert_eq!(ends, ["before", "INFO [master] mayhttpd::master", "WARN [master] may"]);
    }

    #[track_caller]
    fn styled(style: Style, level: Level, label: Label, message: fmt::Arguments<'_>) -> String {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_255_623);
        let line = Line { now, level, label, message: &message };
        String::from_utf8(style.render(&line)).unwrap()
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let style = Style { format: LogFormat::Json, journal: false };
        assert_eq!(
            styled(style, Level::Info, Label::Master, format_args!("ready")),
            "{\"time\":\"2026-11-21T10:07:03Z\",\"level\":\"info\",\"process\":\"master\",\"message\":\"ready\"}\n"
        );
        assert_eq!(
            styled(style, Level::Error, Label::Worker(2), format_args!("\"{}\"", "a\nb\u{85}é")),
            "{\"time\":\"2026-11-21T10:07:03Z\",\"level\":\"error\",\"process\":\"worker\",\"worker\":2,\
             \"message\":\"\\\"a\\nb\\u0085é\\\"\"}\n"
        );
    }

    #[test]
    fn the_journal_gets_a_priority_in_front() {
        let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
        for (level, start) in levels.into_iter().zip(["<3>2026", "<4>2026", "<6>2026", "<7>2026", "<7>2026"])
        {
            let style = Style { format: LogFormat::Text, journal: true };
            let text = styled(style, level, Label::Master, format_args!("a\n<0>b"));
            assert!(text.starts_with(start) && text.ends_with(" [master] a\\n<0>b\n"), "{text}");
        }
    }

    #[test]
    fn lines_that_find_no_reader_are_lost_without_a_wait_and_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let sink = Sink::new(Arc::new(Output::new(file, LogFormat::Text, false)));
        let text = "x".repeat(1000);
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            sink.log(&Record::builder().args(format_args!("{text}")).build());
        }
        assert!(start.elapsed() < PATIENCE * 20, "{:?}", start.elapsed());
        let lost = sink.lost.load(Relaxed);
        assert!((900..1000).contains(&lost), "{lost} of 1000 lines were lost");
        let mut taken = vec![0; 1 << 20];
        let count = io::Read::read(&mut reader, &mut taken).unwrap();
        assert!(count > 0);
        sink.log(&Record::builder().args(format_args!("after")).build());
        drop(sink);
        taken.truncate(count);
        io::Read::read_to_end(&mut reader, &mut taken).unwrap();
        let text = String::from_utf8(taken).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("] ").unwrap().1).collect();
        assert_eq!(lines.len() as u64, 1000 - lost + 2);
        let end = &lines[lines.len() - 2..];
        assert_eq!(end, [&format!("this log could not be written: {lost} lines lost"), "after"]);
    }

    #[test]
    fn a_line_that_broke_off_is_ended_before_the_next() {
        let path = std::env::temp_dir().join(format!("mayhttpd-torn-{}", std::process::id()));
        let output = Output::new(append_to(&path).unwrap(), LogFormat::Text, false);
        let sink = Sink::new(Arc::new(output));
        std::fs::write(&path, "broken o").unwrap();
        sink.torn.store(true, Relaxed);
        sink.lost.store(1, Relaxed);
        sink.log(&Record::builder().args(format_args!("whole")).build());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split("] ").last().unwrap()).collect();
        assert_eq!(ends, ["broken o", "this log could not be written: 1 line lost", "whole"]);
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
