//! The access log: gathers the lines of a worker and writes them in large pieces.
//!
//! The format of a line is in [`line`](super::line). The worker decides when to write, and holds the lock
//! around the buffer: there is no clock and no thread here.
//!
//! Writing never disturbs serving. Lines that cannot be written are dropped and counted. A line is in the log
//! whole or not at all; after a write that broke off within a line, the next line begins on a new line.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::line_limit::MAX_LINE;
use super::wait_budget::{LAST_WAIT, WaitBudget};
use crate::config;
use crate::sys::stream::{self, StreamWriter};
use crate::sys::{file, timer};

/// The bytes that a worker gathers before it writes: with lines of 100 bytes, one write for 650 lines.
pub const CAPACITY: usize = 64 * 1024;

/// The least that it gathers where it has many logs.
const LEAST_CAPACITY: usize = 2 * MAX_LINE;

/// The bytes that it gathers in all logs together, unless they are so many that each has the least.
const TOTAL_CAPACITY: usize = 16 * CAPACITY;

/// An open access log. Clones share the descriptor. The master opens it before it forks.
#[derive(Debug, Clone)]
pub struct AccessLogOutput {
    fd: Arc<OwnedFd>,
}

impl AccessLogOutput {
    /// Opens the log of the settings without waiting; `None` if it is off. A new file gets the mode 0640.
    ///
    /// # Errors
    /// The error of [`stream::open`].
    pub fn open(setting: &config::AccessLogTarget) -> io::Result<Option<Self>> {
        let fd = match setting {
            config::AccessLogTarget::Off => return Ok(None),
            config::AccessLogTarget::Stdout => stream::own_descriptor(io::stdout().as_fd())?,
            config::AccessLogTarget::File(path) => stream::open(path)?,
        };
        Ok(Some(Self { fd: Arc::new(fd) }))
    }

    /// Opens the log again by its name, behind the same descriptor. Standard output stays as it is.
    ///
    /// # Errors
    /// The system error of the file. The current file stays in use.
    pub fn reopen(&self, setting: &config::AccessLogTarget) -> io::Result<()> {
        match setting {
            config::AccessLogTarget::File(path) => {
                file::replace(self.descriptor(), stream::open(path)?.as_fd())
            }
            config::AccessLogTarget::Off | config::AccessLogTarget::Stdout => Ok(()),
        }
    }

    /// The descriptor that lines go to.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The lines of one worker that are not written yet. Drop writes them.
#[derive(Debug)]
pub struct Buffer {
    log: AccessLogOutput,
    lines: Vec<u8>,
    /// The most bytes in `lines`.
    capacity: usize,
    wait_budget: WaitBudget,
    /// How long the worker may still wait for the readers of all its logs together.
    shared_budget: Arc<WaitBudget>,
    /// Lines that were lost since the caller last reset this count.
    pub dropped: u64,
}

impl Buffer {
    /// Makes an empty buffer. Its memory is taken for the first line, and kept for the life of the worker.
    pub fn new(log: AccessLogOutput) -> Self {
        Self::one_of(1, log, Arc::default())
    }

    /// Makes an empty buffer of a worker that has this many logs, which share memory and the time for waits.
    pub fn one_of(logs: usize, log: AccessLogOutput, shared_budget: Arc<WaitBudget>) -> Self {
        let capacity = (TOTAL_CAPACITY / logs.max(1)).clamp(LEAST_CAPACITY, CAPACITY);
        let wait_budget = WaitBudget::default();
        Self { log, lines: Vec::new(), capacity, wait_budget, shared_budget, dropped: 0 }
    }

    /// Adds one line with its end. If the buffer is full, it is written first.
    pub fn push(&mut self, line: &[u8]) {
        self.push_pieces(&[line]);
    }

    /// Adds one line that consists of pieces.
    pub(super) fn push_pieces(&mut self, pieces: &[&[u8]]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        debug_assert!(length <= MAX_LINE, "a line of {length} bytes");
        if self.lines.len() + length > self.capacity {
            self.flush();
        }
        if self.lines.capacity() == 0 {
            self.lines.reserve_exact(self.capacity);
        }
        for piece in pieces {
            self.lines.extend_from_slice(piece);
        }
    }

    /// Writes all lines. It waits for a disk like write(2), and for the reader of a pipe as long as
    /// [`WaitBudget`] allows. Lines that can't be written are dropped.
    pub fn flush(&mut self) {
        let now = timer::monotonic();
        let (own, shared) = (self.wait_budget.left(now), self.shared_budget.left(now));
        self.flush_within(own.min(shared), own <= shared);
    }

    /// Writes the last lines of a worker that ends. Waits at most so long for the reader of a pipe.
    pub fn finish(&mut self, wait: Duration) {
        // Do not wait for a reader that has stopped.
        self.flush_within(if self.wait_budget.reader_stopped() { Duration::ZERO } else { wait }, true);
    }

    /// Writes all lines. If they are not all written and `is_own`, the reader has stopped; otherwise the
    /// readers of other logs may have taken the time.
    fn flush_within(&mut self, wait_budget: Duration, is_own: bool) {
        if self.lines.is_empty() {
            return;
        }
        let mut writer = StreamWriter::new(self.log.descriptor(), wait_budget);
        let result = write_whole_lines(&mut writer, &self.lines);
        let now = timer::monotonic();
        self.wait_budget.record_flush(result.is_ok() || !is_own, writer.waited(), now);
        self.shared_budget.record_flush(true, writer.waited(), now);
        let torn = match result {
            Ok(()) => false,
            Err(Lost { lines, torn }) => {
                self.dropped += lines;
                torn
            }
        };
        self.lines.clear();
        if torn {
            // End the broken line, so that the next one is whole.
            self.lines.push(b'\n');
        }
    }

    /// Writes the gathered lines to the current file, and later lines to another file.
    ///
    /// # Errors
    /// The error of dup3(2). The current file stays in use.
    pub fn move_to(&mut self, log: BorrowedFd<'_>) -> io::Result<()> {
        self.flush();
        file::replace(self.log.descriptor(), log)?;
        // A broken line is in the old file, and the new file has another reader.
        self.lines.clear();
        self.wait_budget = WaitBudget::default();
        Ok(())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.finish(LAST_WAIT);
    }
}

/// The result of a failed write.
#[derive(Debug, PartialEq, Eq)]
struct Lost {
    /// Lines that are not in the log, or only in part.
    lines: u64,
    /// True if the log now ends within a line.
    torn: bool,
}

/// Writes `lines`, each with its newline, in pieces of whole lines.
fn write_whole_lines(writer: &mut StreamWriter<'_>, lines: &[u8]) -> Result<(), Lost> {
    let mut done = 0;
    while done < lines.len() {
        let end = done + whole_lines(&lines[done..], writer.piece());
        while done < end {
            match writer.write(&lines[done..end]) {
                Ok(written) if written > 0 => done += written,
                _ => return Err(lost(lines, done)),
            }
        }
    }
    Ok(())
}

/// The length of the whole lines at the start of `lines` that fit into `piece`, or of one line if none fits.
fn whole_lines(lines: &[u8], piece: usize) -> usize {
    if lines.len() <= piece {
        return lines.len();
    }
    let fitting = memchr::memrchr(b'\n', &lines[..piece]);
    let end = fitting.or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines.len(), |end| end + 1)
}

fn lost(lines: &[u8], done: usize) -> Lost {
    // A leading newline ends an older broken line, which has been counted already.
    let newline_unwritten = done == 0 && lines.starts_with(b"\n");
    let torn = newline_unwritten || (done > 0 && lines[done - 1] != b'\n');
    let ends = memchr::memchr_iter(b'\n', &lines[done..]).count() as u64;
    Lost { lines: ends - u64::from(newline_unwritten), torn }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::PathBuf;

    use super::super::wait_budget::MAX_WAIT;
    use super::*;

    /// A temporary file, and a log that writes to it.
    fn file(name: &str) -> (PathBuf, AccessLogOutput) {
        let path = std::env::temp_dir().join(format!("mayhttpd-access-{name}-{}", std::process::id()));
        let log = AccessLogOutput::open(&config::AccessLogTarget::File(path.clone())).unwrap().unwrap();
        (path, log)
    }

    fn taken(path: PathBuf) -> Vec<u8> {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    }

    #[test]
    fn lines_are_written_when_full_when_asked_and_at_the_end() {
        let (path, log) = file("full");
        let size = || std::fs::metadata(&path).unwrap().len() as usize;
        let mut buffer = Buffer::new(log);
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        for _ in 0..65 {
            buffer.push(&line);
        }
        assert_eq!(size(), 0);
        buffer.push(&line);
        assert_eq!(size(), 65 * 1000);
        buffer.push(b"last\n");
        buffer.flush();
        buffer.push(b"dropped\n");
        drop(buffer);
        assert!(taken(path).ends_with(b"x\nlast\ndropped\n"));
    }

    #[test]
    fn many_logs_share_the_memory_for_lines_out() {
        for (logs, capacity) in [(0, CAPACITY), (1, CAPACITY), (16, CAPACITY), (17, 61_680), (5000, 8192)] {
            let fd = File::options().write(true).open("/dev/null").unwrap();
            let mut buffer =
                Buffer::one_of(logs, AccessLogOutput { fd: Arc::new(fd.into()) }, Arc::default());
            buffer.push(b"line\n");
            assert_eq!((buffer.capacity, buffer.lines.capacity()), (capacity, capacity), "{logs}");
        }
    }

    #[test]
    fn a_full_disk_drops_whole_lines_and_counts_them() {
        let fd = File::options().write(true).open("/dev/full").unwrap();
        let mut buffer = Buffer::new(AccessLogOutput { fd: Arc::new(fd.into()) });
        buffer.push(b"one\n");
        buffer.push(b"two\n");
        buffer.flush();
        assert_eq!(buffer.dropped, 2);
        buffer.flush();
        assert_eq!(buffer.dropped, 2);
        buffer.push(b"three\n");
        buffer.flush();
        assert_eq!(buffer.dropped, 3);
    }

    #[test]
    fn logs_whose_readers_have_stopped_share_the_time_of_one() {
        let (shared, mut readers) = (Arc::<WaitBudget>::default(), Vec::new());
        let line = [&[b'x'; MAX_LINE - 1][..], b"\n"].concat();
        for number in 0..50 {
            let (reader, writer) = io::pipe().unwrap();
            let fd = stream::own_descriptor(writer.as_fd()).unwrap();
            readers.push(reader);
            let mut buffer = Buffer::one_of(50, AccessLogOutput { fd: Arc::new(fd) }, Arc::clone(&shared));
            while buffer.dropped == 0 {
                buffer.push(&line);
            }
            // Of the others it is not known: they were not waited for.
            assert!(number > 0 || buffer.wait_budget.reader_stopped());
            buffer.finish(Duration::ZERO);
        }
        assert!(shared.left(timer::monotonic()) < MAX_WAIT, "nothing was waited for");
        // What they have waited is paid off about as soon as that of one would be.
        assert_eq!(shared.left(timer::monotonic() + MAX_WAIT * 6), MAX_WAIT);
    }

    #[test]
    fn lost_lines_are_counted_once_and_the_next_line_is_whole() {
        for (lines, done, expected) in [
            (&b"one\ntwo\n"[..], 0, Lost { lines: 2, torn: false }),
            (b"one\ntwo\n", 4, Lost { lines: 1, torn: false }),
            (b"one\ntwo\n", 2, Lost { lines: 2, torn: true }),
            (b"one\ntwo\n", 7, Lost { lines: 1, torn: true }),
            (b"\none\n", 0, Lost { lines: 1, torn: true }),
            (b"\none\n", 1, Lost { lines: 1, torn: false }),
            (b"\none\n", 2, Lost { lines: 1, torn: true }),
            (b"\n", 0, Lost { lines: 0, torn: true }),
        ] {
            assert_eq!(lost(lines, done), expected, "{lines:?} {done}");
        }
    }

    #[test]
    fn a_pipe_is_written_in_pieces_of_whole_lines() {
        for (lines, piece, length) in [
            (&b"one\ntwo\n"[..], usize::MAX, 8),
            (b"one\ntwo\n", 8, 8),
            (b"one\ntwo\n", 7, 4),
            (b"one\ntwo\n", 4, 4),
            (b"one\ntwo\n", 3, 4),
            (b"one\ntwo\n", 1, 4),
        ] {
            assert_eq!(whole_lines(lines, piece), length, "{piece}");
        }
    }

    #[test]
    fn lines_of_two_writers_into_one_pipe_stay_whole() {
        // An open file description of its own, and an inherited one.
        for own in [true, false] {
            let (mut reader, writer) = io::pipe().unwrap();
            let fd = if own {
                stream::own_descriptor(writer.as_fd()).unwrap()
            } else {
                writer.try_clone().unwrap().into()
            };
            drop(writer);
            let log = AccessLogOutput { fd: Arc::new(fd) };
            let writers: Vec<_> = [b'a', b'b']
                .into_iter()
                .map(|letter| {
                    let log = log.clone();
                    std::thread::spawn(move || {
                        let mut buffer = Buffer::new(log);
                        for number in 0..5000 {
                            // Short ones, and now and then one as long as a line may be.
                            let length = if number % 10 == 0 { MAX_LINE - 1 } else { 50 + number % 100 };
                            let mut line = vec![letter; length];
                            line.push(b'\n');
                            buffer.push(&line);
                        }
                        buffer.flush();
                        buffer.dropped
                    })
                })
                .collect();
            drop(log);
            let mut text = Vec::new();
            io::Read::read_to_end(&mut reader, &mut text).unwrap();
            let dropped: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
            let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
            assert_eq!(lines.len() as u64 + dropped, 10_000);
            for line in lines {
                let length = line.len();
                assert!((51..=150).contains(&length) || length == MAX_LINE, "a line of {length}");
                assert!(line[..length - 1].iter().all(|&byte| byte == line[0]));
            }
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_not_time() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut buffer = Buffer::new(AccessLogOutput { fd: Arc::new(writer.into()) });
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..10_000 {
            buffer.push(&line);
        }
        buffer.flush();
        assert!(buffer.wait_budget.reader_stopped());
        assert!(buffer.dropped > 9000, "{} dropped", buffer.dropped);
    }

    #[test]
    fn a_log_that_moves_takes_neither_a_broken_line_nor_a_stopped_reader_along() {
        let fd = File::options().write(true).open("/dev/full").unwrap();
        let mut buffer = Buffer::new(AccessLogOutput { fd: Arc::new(fd.into()) });
        buffer.lines = b"\n".to_vec();
        buffer.push(b"one\n");
        buffer.flush();
        assert_eq!((buffer.dropped, &buffer.lines[..]), (1, &b"\n"[..]));
        let (path, log) = file("moved");
        buffer.move_to(log.descriptor()).unwrap();
        assert!(!buffer.wait_budget.reader_stopped());
        buffer.push(b"two\n");
        buffer.flush();
        assert_eq!(taken(path), b"two\n");
    }

    #[test]
    fn off_opens_nothing_and_a_file_is_not_for_everyone() {
        use std::os::unix::fs::PermissionsExt;

        assert!(AccessLogOutput::open(&config::AccessLogTarget::Off).unwrap().is_none());
        assert!(AccessLogOutput::open(&config::AccessLogTarget::File("/no/such/log".into())).is_err());
        let (path, _log) = file("mode");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
        taken(path);
    }
}
