//! The log of requests: lines gathered per worker and written in large pieces.
//!
//! It owns the file and the buffer; what a line says is [`line`](super::line)'s. Who flushes it and when is the worker's
//! business, and so is any lock around it: here is neither a clock nor a thread.
//!
//! A log must not disturb serving. What can't be written is dropped and counted, and a line is either whole
//! in the log or missing; after a write that broke off within a line, the next one starts afresh.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::config;
use crate::sys::{file, link};

/// The bytes a worker gathers before it writes. At 100 bytes a line this makes one call of 650.
pub const CAPACITY: usize = 64 * 1024;

/// The most that a pipe takes in one piece, as POSIX promises it (PIPE_BUF on Linux).
const PIPE_PIECE: usize = 4096;

/// How long the reader of a full pipe is waited for: a moment of everybody's time, once.
const PATIENCE: Duration = Duration::from_millis(100);

/// An open access log. Clones share the descriptor, so the master opens it once and forks.
#[derive(Debug, Clone)]
pub struct AccessLog {
    fd: Arc<OwnedFd>,
    /// The longest write that other writers can't get between.
    piece: usize,
}

impl AccessLog {
    /// Opens what the settings ask for; `None` where that is nothing. A new file gets the mode 0640.
    ///
    /// # Errors
    /// What the system says about the file.
    pub fn open(setting: &config::AccessLog) -> io::Result<Option<Self>> {
        let fd = match setting {
            config::AccessLog::Off => return Ok(None),
            config::AccessLog::Stdout => io::stdout().as_fd().try_clone_to_owned()?,
            config::AccessLog::File(path) => super::append_to(path)?.into(),
        };
        let file = File::from(fd);
        // Appending to a regular file is atomic at any length. Into a pipe it is up to PIPE_BUF, and beyond
        // it the lines of two workers would mix.
        let piece = if file.metadata()?.is_file() { usize::MAX } else { PIPE_PIECE };
        Ok(Some(Self { fd: Arc::new(file.into()), piece }))
    }
}

impl AccessLog {
    /// Opens the log anew by its name, behind the same descriptor. Standard output stays what it is.
    ///
    /// # Errors
    /// What the system says about the file; the log goes on as it was.
    pub fn reopen(&self, setting: &config::AccessLog) -> io::Result<()> {
        match setting {
            config::AccessLog::File(path) => {
                file::replace(self.descriptor(), super::append_to(path)?.as_fd())
            }
            config::AccessLog::Off | config::AccessLog::Stdout => Ok(()),
        }
    }

    /// The descriptor that lines are written to.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The lines of one worker that are not written yet. Dropping it writes them.
#[derive(Debug)]
pub struct Buffer {
    log: AccessLog,
    lines: Vec<u8>,
    /// True after a write that failed.
    reader_gone: bool,
    /// Lines that could not be written and are gone, since somebody last took the count.
    pub dropped: u64,
}

impl Buffer {
    /// An empty buffer. Its memory stays with the worker.
    pub fn new(log: AccessLog) -> Self {
        Self { log, lines: Vec::with_capacity(CAPACITY), reader_gone: false, dropped: 0 }
    }

    /// Adds one line, with its end, and writes first what would not leave room for it.
    pub fn push(&mut self, line: &[u8]) {
        self.push_pieces(&[line]);
    }

    /// Adds one line that comes in pieces.
    pub(super) fn push_pieces(&mut self, pieces: &[&[u8]]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if self.lines.len() + length > CAPACITY {
            self.flush();
        }
        for piece in pieces {
            self.lines.extend_from_slice(piece);
        }
        if length > CAPACITY {
            // A rare giant: not kept, and the memory that it took is given back.
            self.flush();
            self.lines.shrink_to(CAPACITY);
        }
    }

    /// Writes all lines. It waits for a disk as `write` does. For the reader of a pipe it waits a moment, and after one
    /// that it waited for in vain no more, until the reader is back: what does not fit into the pipe is dropped.
    pub fn flush(&mut self) {
        let patience = if self.reader_gone { Duration::ZERO } else { PATIENCE };
        let result = write_whole_lines(&self.log, &self.lines, patience);
        self.reader_gone = result.is_err();
        let torn = match result {
            Ok(()) => false,
            Err(Lost { lines, torn }) => {
                self.dropped += lines;
                torn
            }
        };
        self.lines.clear();
        if torn {
            // The end of the broken line, so that the next one is whole.
            self.lines.push(b'\n');
        }
    }
}

impl Buffer {
    /// Writes what there is to the log as it was, and from then on to another file.
    ///
    /// # Errors
    /// What dup3(2) says; the log goes on as it was.
    pub fn move_to(&mut self, log: BorrowedFd<'_>) -> io::Result<()> {
        self.flush();
        file::replace(self.log.descriptor(), log)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What a failed write leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Lost {
    /// Lines that did not get into the log, or not as a whole.
    lines: u64,
    /// Whether the log now ends within a line.
    torn: bool,
}

/// Writes `lines`, each of which ends in a newline, in pieces of whole lines.
fn write_whole_lines(log: &AccessLog, lines: &[u8], patience: Duration) -> Result<(), Lost> {
    let mut done = 0;
    while done < lines.len() {
        let end = done + whole_lines(&lines[done..], log.piece);
        while done < end {
            if log.piece != usize::MAX && !link::takes_more(&*log.fd, patience) {
                return Err(lost(lines, done));
            }
            match rustix::io::write(&*log.fd, &lines[done..end]) {
                Err(Errno::INTR) => {}
                Ok(written) if written > 0 => done += written,
                _ => return Err(lost(lines, done)),
            }
        }
    }
    Ok(())
}

/// How many bytes of `lines` make as many whole lines as fit into `piece`, or else one line.
fn whole_lines(lines: &[u8], piece: usize) -> usize {
    if lines.len() <= piece {
        return lines.len();
    }
    let fitting = memchr::memrchr(b'\n', &lines[..piece]);
    let end = fitting.or_else(|| memchr::memchr(b'\n', lines));
    end.map_or(lines.len(), |end| end + 1)
}

fn lost(lines: &[u8], done: usize) -> Lost {
    // A newline in front is the end of an older broken line, which was counted when it broke.
    let unmended = done == 0 && lines.starts_with(b"\n");
    let torn = unmended || (done > 0 && lines[done - 1] != b'\n');
    let ends = memchr::memchr_iter(b'\n', &lines[done..]).count() as u64;
    Lost { lines: ends - u64::from(unmended), torn }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A file of the test's own, and the log on it.
    fn file(name: &str) -> (PathBuf, AccessLog) {
        let path = std::env::temp_dir().join(format!("mayhttpd-access-{name}-{}", std::process::id()));
        let log = AccessLog::open(&config::AccessLog::File(path.clone())).unwrap().unwrap();
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
        let giant = [b"y".repeat(2 * CAPACITY), b"\n".to_vec()].concat();
        buffer.push(&giant);
        assert_eq!(size(), 66 * 1000 + giant.len());
        buffer.push(b"last\n");
        buffer.flush();
        buffer.push(b"dropped\n");
        drop(buffer);
        assert!(taken(path).ends_with(b"y\nlast\ndropped\n"));
    }

    #[test]
    fn a_full_disk_drops_whole_lines_and_counts_them() {
        let fd = File::options().write(true).open("/dev/full").unwrap();
        let mut buffer = Buffer::new(AccessLog { fd: Arc::new(fd.into()), piece: usize::MAX });
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
    fn what_is_lost_is_counted_once_and_the_next_line_starts_afresh() {
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
        let (mut reader, writer) = io::pipe().unwrap();
        let log = AccessLog { fd: Arc::new(writer.into()), piece: PIPE_PIECE };
        let writers: Vec<_> = [b'a', b'b']
            .into_iter()
            .map(|letter| {
                let log = log.clone();
                std::thread::spawn(move || {
                    let mut buffer = Buffer::new(log);
                    for length in 0..5000 {
                        let mut line = vec![letter; 50 + length % 100];
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
            assert!(line.len() >= 51 && line[..line.len() - 1].iter().all(|&byte| byte == line[0]));
        }
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_and_not_time() {
        let (_reader, writer) = io::pipe().unwrap();
        let mut buffer = Buffer::new(AccessLog { fd: Arc::new(writer.into()), piece: PIPE_PIECE });
        let line = [&[b'x'; 99][..], b"\n"].concat();
        for _ in 0..10_000 {
            buffer.push(&line);
        }
        buffer.flush();
        assert!(buffer.reader_gone && buffer.dropped > 9000, "{} dropped", buffer.dropped);
    }

    #[test]
    fn off_opens_nothing_and_a_file_is_not_for_everyone() {
        use std::os::unix::fs::PermissionsExt;

        assert!(AccessLog::open(&config::AccessLog::Off).unwrap().is_none());
        assert!(AccessLog::open(&config::AccessLog::File("/no/such/log".into())).is_err());
        let (path, _log) = file("mode");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
        taken(path);
    }
}
