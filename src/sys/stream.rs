//! Output streams of logs and messages (a file, FIFO, pipe, socket or terminal), written without waiting for
//! the reader.
//!
//! Does not know lines. Other processes share an inherited description, so its flags are never changed.
//!
//! **Invariant:** no write here blocks on a reader. The method depends on the stream:
//!
//! 1. A regular file: write(2), which may wait for the disk.
//! 2. A socket: send(2) with `MSG_DONTWAIT`.
//! 3. A description with `O_NONBLOCK`: write(2). Streams opened by name have it. For an inherited pipe or
//!    terminal a second description is opened through /proc ([`own_descriptor`]).
//! 4. If that is not allowed, such as for a pipe of another user: pwritev2(2) with `RWF_NOWAIT` (for pipes
//!    from Linux 6.4 on).
//! 5. Otherwise (another user's terminal, and before Linux 6.4 another user's pipe): poll(2), then one
//!    write(2) of at most [`PIECE`] bytes. This can wait: on a pipe if another process writes between the two
//!    calls, on a terminal if there is room for a part only.

use std::fs::OpenOptions;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::SendFlags;

use super::timer;

/// The most bytes that a pipe takes whole or not at all (`PIPE_BUF` on Linux, pipe(7)).
pub const PIECE: usize = 4096;

/// How often a write is retried after signals.
const INTERRUPTIONS: u32 = 100;

/// Opens `path` for appending, without waiting for a reader. A new file gets the mode 0640.
///
/// # Errors
/// See open(2). A FIFO without a reader, a socket and a block device are errors.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = OpenOptions::new().create(true).append(true).mode(0o640).custom_flags(flags).open(path);
    match opened {
        Ok(file) if kind(file.as_fd()) == Some(FileType::BlockDevice) => {
            Err(io::Error::other("it is a block device"))
        }
        Ok(file) => Ok(file.into()),
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Err(unread(path, error)),
        Err(error) => Err(error),
    }
}

/// The meaning of `ENXIO` for this path.
fn unread(path: &Path, error: io::Error) -> io::Error {
    match rustix::fs::stat(path).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::Fifo) => io::Error::other("it is a FIFO without a reader"),
        Ok(FileType::Socket) => io::Error::other("it is a socket, which can't be opened by its name"),
        _ => error,
    }
}

/// A descriptor of an inherited stream for this program: a second description that does not block, or else a
/// duplicate.
///
/// # Errors
/// See fcntl(2), such as `EMFILE`.
pub fn own_descriptor(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    if let Some(FileType::Fifo | FileType::CharacterDevice) = kind(stream) {
        let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(second) = rustix::fs::open(path, flags, Mode::empty())
            && is_same(stream, second.as_fd())
        {
            return Ok(second);
        }
    }
    stream.try_clone_to_owned()
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let identity = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    identity(one).is_ok_and(|one| identity(other) == Ok(one))
}

fn kind(stream: BorrowedFd<'_>) -> Option<FileType> {
    rustix::fs::fstat(stream).ok().map(|stat| FileType::from_raw_mode(stat.st_mode))
}

/// Writes `bytes` to a standard stream, as many as it takes within a second.
pub fn print(stream: BorrowedFd<'_>, bytes: &[u8]) {
    // If no descriptor is left, the stream itself is written to.
    let own = own_descriptor(stream).ok();
    let mut writer =
        StreamWriter::new(own.as_ref().map_or(stream, |own| own.as_fd()), Duration::from_secs(1));
    let mut rest = bytes;
    while let Ok(written) = writer.write(&rest[..rest.len().min(writer.piece())])
        && written > 0
    {
        rest = &rest[written..];
    }
}

/// The method of writing to a stream; see the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Regular,
    Socket,
    NonBlocking,
    NoWait,
    Polled,
}

impl Method {
    fn of(stream: BorrowedFd<'_>) -> Method {
        match kind(stream) {
            Some(FileType::RegularFile | FileType::BlockDevice) => Method::Regular,
            Some(FileType::Socket) => Method::Socket,
            _ => match rustix::fs::fcntl_getfl(stream) {
                Ok(flags) if flags.contains(OFlags::NONBLOCK) => Method::NonBlocking,
                _ => Method::NoWait,
            },
        }
    }
}

/// The writes of one flush, with one deadline for all.
#[derive(Debug)]
pub struct StreamWriter<'a> {
    stream: BorrowedFd<'a>,
    method: Method,
    patience: Duration,
    /// When the first wait for the reader began, on the monotonic clock.
    since: Option<Duration>,
}

impl<'a> StreamWriter<'a> {
    /// Writes to `stream`, and waits for its reader for at most `patience`, over all writes and counted from
    /// the first wait.
    pub fn new(stream: BorrowedFd<'a>, patience: Duration) -> StreamWriter<'a> {
        StreamWriter { stream, method: Method::of(stream), patience, since: None }
    }

    /// The most bytes of one write, so that lines of several writers do not mix.
    pub fn piece(&self) -> usize {
        if self.method == Method::Regular { usize::MAX } else { PIECE }
    }

    /// Writes some of `bytes`, which must be at most [`StreamWriter::piece`]. A pipe takes all or none.
    /// Returns their number.
    ///
    /// # Errors
    /// `EAGAIN` after `patience`; see write(2).
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut interruptions = 0;
        loop {
            match self.attempt(bytes) {
                Err(Errno::AGAIN) if self.wait() => {}
                Err(Errno::INTR) if interruptions < INTERRUPTIONS => interruptions += 1,
                result => return Ok(result?),
            }
        }
    }

    /// How long the writer has waited for the reader so far; `None` if it has not.
    pub fn waited(&self) -> Option<Duration> {
        self.since.map(|since| timer::monotonic().saturating_sub(since))
    }

    fn attempt(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if self.method == Method::NoWait {
            // The offset -1 stands for the position of the description (pwritev2(2)).
            match rustix::io::pwritev2(self.stream, &[IoSlice::new(bytes)], u64::MAX, ReadWriteFlags::NOWAIT)
            {
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => self.method = Method::Polled,
                result => return result,
            }
        }
        match self.method {
            Method::Socket => {
                rustix::net::send(self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
            Method::Polled if !self.has_room(Duration::ZERO) => Err(Errno::AGAIN),
            _ => rustix::io::write(self.stream, bytes),
        }
    }

    /// Waits until there may be room; false after `patience`.
    fn wait(&mut self) -> bool {
        if self.patience.is_zero() {
            return false;
        }
        let now = timer::monotonic();
        let until = *self.since.get_or_insert(now) + self.patience;
        if now >= until {
            return false;
        }
        self.has_room(until - now);
        true
    }

    /// True if there is room for at least a byte within `timeout`. A signal ends the wait.
    fn has_room(&self, timeout: Duration) -> bool {
        let mut poll = [PollFd::from_borrowed_fd(self.stream, PollFlags::OUT)];
        let timeout =
            Timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: timeout.subsec_nanos().into() };
        rustix::event::poll(&mut poll, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

    use super::*;
    use crate::sys::process;

    /// A path of the test's own. A file there is removed with the value.
    struct TemporaryPath(PathBuf);

    impl TemporaryPath {
        fn new(name: &str) -> TemporaryPath {
            TemporaryPath(std::env::temp_dir().join(format!("mayhttpd-stream-{name}-{}", std::process::id())))
        }

        fn fifo(name: &str) -> TemporaryPath {
            let path = TemporaryPath::new(name);
            rustix::fs::mknodat(rustix::fs::CWD, &path.0, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .unwrap();
            path
        }

        fn reader(&self) -> OwnedFd {
            rustix::fs::open(&self.0, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap()
        }
    }

    impl Drop for TemporaryPath {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    /// Writes pieces until one fails. Returns the bytes written, and the error.
    fn fill(writer: &mut StreamWriter<'_>, piece: &[u8]) -> (usize, io::Error) {
        let mut whole = 0;
        loop {
            match writer.write(piece) {
                Ok(written) => whole += written,
                Err(error) => return (whole, error),
            }
        }
    }

    #[test]
    fn a_full_stream_of_any_kind_is_not_waited_for() {
        let (_read, pipe) = io::pipe().unwrap();
        let own = own_descriptor(pipe.as_fd()).unwrap();
        let (_other, socket) = UnixStream::pair().unwrap();
        let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY);
        let terminal = terminal.ok().and_then(|pty| {
            rustix::pty::grantpt(&pty).and_then(|()| rustix::pty::unlockpt(&pty)).ok()?;
            let name = rustix::pty::ptsname(&pty, Vec::new()).ok()?;
            Some((open(Path::new(name.to_str().ok()?)).ok()?, pty))
        });
        let mut cases = vec![
            (own.as_fd(), Method::NonBlocking),
            (pipe.as_fd(), Method::NoWait),
            (socket.as_fd(), Method::Socket),
        ];
        cases.extend(terminal.as_ref().map(|(terminal, _)| (terminal.as_fd(), Method::NonBlocking)));
        for (stream, method) in cases {
            let mut writer = StreamWriter::new(stream, Duration::ZERO);
            assert_eq!(writer.method, method);
            let (_, error) = fill(&mut writer, &[b'x'; PIECE]);
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{method:?}");
            assert_eq!(writer.waited(), None);
        }
    }

    #[test]
    fn a_second_description_leaves_the_first_as_it_was() {
        let (_read, pipe) = io::pipe().unwrap();
        let second = own_descriptor(pipe.as_fd()).unwrap();
        assert!(rustix::fs::fcntl_getfl(&second).unwrap().contains(OFlags::NONBLOCK));
        assert!(!rustix::fs::fcntl_getfl(&pipe).unwrap().contains(OFlags::NONBLOCK));
        assert!(is_same(pipe.as_fd(), second.as_fd()));
    }

    #[test]
    fn a_piece_goes_into_a_pipe_as_a_whole_or_not_at_all() {
        for polled in [false, true] {
            let (mut read, pipe) = io::pipe().unwrap();
            let mut writer = StreamWriter::new(pipe.as_fd(), Duration::ZERO);
            if polled {
                writer.method = Method::Polled;
            }
            let (_, error) = fill(&mut writer, &[b'x'; PIECE]);
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            // Room for a part of a piece is not enough.
            read.read_exact(&mut [0; PIECE - 1]).unwrap();
            assert_eq!(writer.write(&[b'y'; PIECE]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            read.read_exact(&mut [0; 1]).unwrap();
            assert_eq!(writer.write(&[b'y'; PIECE]).unwrap(), PIECE);
        }
    }

    #[test]
    fn a_reader_that_takes_a_page_now_and_then_is_waited_for_once_in_all() {
        let (mut read, pipe) = io::pipe().unwrap();
        let own = own_descriptor(pipe.as_fd()).unwrap();
        let patience = Duration::from_millis(200);
        let reader = std::thread::spawn(move || {
            let mut page = [0; PIECE];
            while read.read_exact(&mut page).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut writer = StreamWriter::new(own.as_fd(), patience);
        let start = std::time::Instant::now();
        let (_, error) = fill(&mut writer, &[b'x'; PIECE]);
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(start.elapsed() >= patience && writer.waited() >= Some(patience));
        drop((own, pipe));
        reader.join().unwrap();
    }

    #[test]
    fn signals_do_not_extend_the_wait() {
        let (_read, pipe) = io::pipe().unwrap();
        let own = own_descriptor(pipe.as_fd()).unwrap();
        fill(&mut StreamWriter::new(own.as_fd(), Duration::ZERO), &[b'x'; PIECE]);
        // A handler without SA_RESTART, as good as the kernel's SIGIO: poll(2) ends early.
        extern "C" fn nothing(_: libc::c_int) {}
        let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, and no other code here uses this signal.
        unsafe { sigaction(Signal::SIGURG, &action) }.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let id = process::id();
        let waiting = rustix::thread::gettid().as_raw_nonzero().get();
        let signaller = std::thread::spawn({
            let done = Arc::clone(&done);
            move || {
                while !done.load(Relaxed) {
                    // SAFETY: tgkill(2) of a thread of this process, which waits for this one.
                    unsafe { libc::syscall(libc::SYS_tgkill, id, waiting, libc::SIGURG) };
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let mut writer = StreamWriter::new(own.as_fd(), Duration::from_millis(100));
        let error = writer.write(&[b'x'; PIECE]).unwrap_err();
        done.store(true, Relaxed);
        signaller.join().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_path_that_takes_no_log_is_refused_at_once_with_the_reason() {
        let fifo = TemporaryPath::fifo("fifo");
        assert_eq!(open(&fifo.0).unwrap_err().to_string(), "it is a FIFO without a reader");
        let socket = TemporaryPath::new("socket");
        let _listener = UnixListener::bind(&socket.0).unwrap();
        let words = open(&socket.0).unwrap_err().to_string();
        assert_eq!(words, "it is a socket, which can't be opened by its name");
        assert_eq!(open(&std::env::temp_dir()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert!(open(Path::new("/dev/null")).is_ok());
    }

    #[test]
    fn a_fifo_whose_reader_has_gone_is_an_error_and_another_reader_gets_what_follows() {
        let fifo = TemporaryPath::fifo("left");
        let reader = fifo.reader();
        let stream = open(&fifo.0).unwrap();
        let mut writer = StreamWriter::new(stream.as_fd(), Duration::from_secs(60));
        assert_eq!(writer.write(b"one\n").unwrap(), 4);
        drop(reader);
        assert_eq!(writer.write(b"two\n").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let reader = fifo.reader();
        assert_eq!(writer.write(b"three\n").unwrap(), 6);
        let mut text = [0; 16];
        let length = rustix::io::read(&reader, &mut text).unwrap();
        // What the reader before left is still there.
        assert_eq!(&text[..length], b"one\nthree\n");
    }
}
