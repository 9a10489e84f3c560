//! Writes records to the error log, one line and one write each.
//!
//! A line that cannot be written is dropped and counted. The next line that can be written is preceded by one
//! that says how many were lost.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

use ::log::{Level, LevelFilter, Log, Metadata, Record};

use super::label::label;
use super::record::{RecordLine, Style};
use super::wait_budget::WaitBudget;
use crate::config::LogFormat;
use crate::sys::stream::StreamWriter;
use crate::sys::{file, timer};

/// Where the log goes, what its lines look like, and what became of the last lines.
pub(super) struct Output {
    pub(super) fd: OwnedFd,
    json: AtomicBool,
    journal: AtomicBool,
    wait_budget: WaitBudget,
    /// Lines lost since the last line that was written.
    lost: AtomicU64,
    /// True if the last write broke off within its line.
    torn: AtomicBool,
}

impl Output {
    pub(super) fn new(fd: OwnedFd, format: LogFormat, standard_error: bool) -> Self {
        let [json, journal, torn] = [const { AtomicBool::new(false) }; 3];
        let (wait_budget, lost) = (WaitBudget::default(), AtomicU64::new(0));
        let output = Self { fd, json, journal, wait_budget, lost, torn };
        output.set_format(format, standard_error);
        output
    }

    /// Call it after another file was put behind the descriptor. A broken line is in the old file.
    pub(super) fn file_replaced(&self) {
        self.torn.store(false, Relaxed);
        self.wait_budget.record_flush(true, None, timer::monotonic());
    }

    pub(super) fn set_format(&self, format: LogFormat, standard_error: bool) {
        self.json.store(format == LogFormat::Json, Relaxed);
        self.journal.store(standard_error && is_journal(self.fd.as_fd()), Relaxed);
    }

    fn style(&self) -> Style {
        let format = if self.json.load(Relaxed) { LogFormat::Json } else { LogFormat::Text };
        Style { format, journal: self.journal.load(Relaxed) }
    }
}

/// True if `fd` is the stream to the journal that systemd named (systemd.exec(5) `JOURNAL_STREAM`).
fn is_journal(fd: BorrowedFd<'_>) -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    file::stat(fd).is_ok_and(|(_, stamp)| named == format!("{}:{}", stamp.identity.0, stamp.identity.1))
}

/// The logger for the crate `log`. The level is set in that crate, because it may change while the logger
/// stays.
pub(super) fn logger(output: Arc<Output>) -> Box<dyn Log> {
    let sink: Box<dyn Log> = Box::new(Sink(output));
    let dispatch = fern::Dispatch::new()
        // At info level the scheduler logs each descriptor that it registers.
        .level_for("may", LevelFilter::Warn)
        .level_for("generator", LevelFilter::Warn)
        // It logs an error when a signal interrupts a wait.
        .level_for("may::io::event_loop", LevelFilter::Off)
        // It logs an error when a client closes.
        .level_for("may_minihttp", LevelFilter::Off)
        .chain(sink);
    dispatch.into_log().1
}

/// Writes each record in one call. The standard error of std would write a line in pieces.
struct Sink(Arc<Output>);

impl Sink {
    /// Writes a line, or as much of it as fits. True if the whole line was written.
    fn write(&self, mut line: Vec<u8>) -> bool {
        let Output { fd, wait_budget, torn, .. } = &*self.0;
        if torn.load(Relaxed) {
            // End the broken line, so that this one is whole.
            line.insert(0, b'\n');
        }
        let mut writer = StreamWriter::new(fd.as_fd(), wait_budget.left(timer::monotonic()));
        let mut rest = &line[..];
        while !rest.is_empty() {
            match writer.write(&rest[..rest.len().min(writer.piece())]) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => break,
            }
        }
        wait_budget.record_flush(rest.is_empty(), writer.waited(), timer::monotonic());
        if rest.len() < line.len() {
            torn.store(!rest.is_empty(), Relaxed);
        }
        rest.is_empty()
    }

    /// Writes a line that says how many lines are lost, if any are.
    fn report_lost(&self) {
        let lost = self.0.lost.load(Relaxed);
        if lost == 0 {
            return;
        }
        let lines = if lost == 1 { "line" } else { "lines" };
        let message = format_args!("this log could not be written: {lost} {lines} lost");
        let line =
            RecordLine { now: SystemTime::now(), level: Level::Warn, label: label(), message: &message };
        if self.write(self.0.style().render(&line)) {
            self.0.lost.fetch_sub(lost, Relaxed);
        }
    }
}

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.report_lost();
        let (now, message) = (SystemTime::now(), record.args());
        let line = RecordLine { now, level: record.level(), label: label(), message };
        if !self.write(self.0.style().render(&line)) {
            // It cannot be reported anywhere else. The next line that is written reports it.
            self.0.lost.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::log::wait_budget;
    use crate::sys::stream;

    #[test]
    fn the_scheduler_is_heard_from_warn_up_and_a_file_is_appended_to() {
        let path = std::env::temp_dir().join(format!("mayhttpd-log-{}", std::process::id()));
        std::fs::write(&path, "before\n").unwrap();
        let output = Output::new(stream::open(&path).unwrap(), LogFormat::Text, false);
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

    #[test]
    fn lines_that_find_no_reader_are_lost_without_a_wait_and_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sink = Sink(Arc::new(Output::new(writer.into(), LogFormat::Text, false)));
        let text = "x".repeat(1000);
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            sink.log(&Record::builder().args(format_args!("{text}")).build());
        }
        assert!(start.elapsed() < wait_budget::MAX_WAIT * 20, "{:?}", start.elapsed());
        let lost = sink.0.lost.load(Relaxed);
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
        let output = Output::new(stream::open(&path).unwrap(), LogFormat::Text, false);
        let sink = Sink(Arc::new(output));
        std::fs::write(&path, "broken o").unwrap();
        sink.0.torn.store(true, Relaxed);
        sink.0.lost.store(1, Relaxed);
        sink.log(&Record::builder().args(format_args!("whole")).build());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let ends: Vec<&str> = text.lines().map(|line| line.split("] ").last().unwrap()).collect();
        assert_eq!(ends, ["broken o", "this log could not be written: 1 line lost", "whole"]);
    }
}
