//! Watches on inodes (inotify(7)), and a count of signals that tells when there may be events to read.
//!
//! Does not know what is watched or why. An instance signals the thread that serves, or a thread of its own
//! waits for it.
//!
//! **Invariant:** if a file changed before the client sent the request, the count has already grown when the
//! worker looks the file up. The kernel has SIGIO pending for the watching thread before the call that
//! changes a file returns, and a thread takes its signals before it returns from a system call. The check is
//! one atomic load. A wait for the descriptor would depend on the order in which epoll reports it and the
//! client's socket: docs/design/freshness.md.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::file::Kind;
use super::filesystem;

/// Events of a directory or a link on a path: it was moved or removed, or its permissions changed. For a
/// directory the kernel also reports the attributes of the files in it, under their names.
const PATH_EVENTS: WatchFlags =
    WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF).union(WatchFlags::ATTRIB);

/// Events of a file: the same, and each change of its content, by any of its names. A store through a memory
/// map makes no event, but the last close of a file that was open for writing does, after the map is gone.
/// The attributes include the number of links, so a name that is removed or given to another file is reported
/// at once, even if a process has the file open.
const FILE_EVENTS: WatchFlags = PATH_EVENTS.union(WatchFlags::MODIFY).union(WatchFlags::CLOSE_WRITE);

/// Events of the names in a directory that are added or removed.
const ADDITION_EVENTS: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// Events of the names in a directory: each that is added, removed or gets other attributes.
const NAME_EVENTS: WatchFlags = ADDITION_EVENTS.union(WatchFlags::ATTRIB);

/// The events by which a name is added or removed.
const ADDED_OR_REMOVED: ReadFlags =
    ReadFlags::CREATE.union(ReadFlags::DELETE).union(ReadFlags::MOVED_FROM).union(ReadFlags::MOVED_TO);

/// Bytes of an event before its name: watch, mask, cookie, length of the name.
const HEADER: usize = 16;

/// The most bytes of an event: the header, a name of 255 bytes and its final NUL. If a read leaves this much
/// of the buffer free, it has read all events.
const MAX_EVENT: usize = HEADER + 256;

/// Bytes of a buffer for [`Inotify::read_events`]: room for 15 events of the longest names, or 256 without a
/// name.
pub const BUFFER_BYTES: usize = 4096;

/// `F_SETOWN_EX` and `F_OWNER_TID` (fcntl(2)).
const SET_OWNER: c_int = 15;
const THREAD: c_int = 0;

/// `struct f_owner_ex`: which thread gets the signal.
#[repr(C)]
struct Owner {
    kind: c_int,
    id: libc::pid_t,
}

/// The signals that this process has received: at least one after each event.
static SIGNALS: AtomicUsize = AtomicUsize::new(0);

/// One reader's position in the count of signals. All instances that signal raise the same count, and each
/// reader has its own position.
#[derive(Debug)]
pub struct SignalPosition(usize);

impl SignalPosition {
    /// The position after all signals so far.
    pub fn now() -> SignalPosition {
        SignalPosition(SIGNALS.load(Relaxed))
    }

    /// True if there may be events that were not read. The thread that called [`Inotify::start`] sees all
    /// events from before its last system call returned.
    #[inline]
    pub fn is_behind(&self) -> bool {
        SIGNALS.load(Relaxed) != self.0
    }

    /// Moves to the end of the count; true if it was behind. The caller must read the events after this call,
    /// not before it: an event that comes later raises the count again.
    pub fn catch_up(&mut self) -> bool {
        // One load: a signal between two would be skipped.
        let count = SIGNALS.load(Relaxed);
        std::mem::replace(&mut self.0, count) != count
    }
}

/// Why an inode is not watched.
#[derive(Debug)]
pub enum WatchError {
    /// The user has as many watches or instances as are allowed (`ENOSPC`, `EMFILE`), or memory has run out.
    Exhausted,
    /// The kernel does not report its changes: the file system is not local, there is no permission to read
    /// it, or this system has no inotify.
    Unsupported(io::Error),
}

impl From<Errno> for WatchError {
    fn from(errno: Errno) -> WatchError {
        match errno {
            Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM => WatchError::Exhausted,
            other => WatchError::Unsupported(other.into()),
        }
    }
}

impl From<io::Error> for WatchError {
    fn from(error: io::Error) -> WatchError {
        Errno::from_io_error(&error).map_or(WatchError::Unsupported(error), WatchError::from)
    }
}

/// The number of a watch. An inode has one watch in an instance, and the number of a removed watch is not
/// used again soon.
pub type WatchId = i32;

/// An event of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchEvent<'a> {
    /// The watched inode changed.
    Changed(WatchId),
    /// This name was added to or removed from the watched directory, or is a directory whose attributes
    /// changed.
    NameChanged(WatchId, &'a [u8]),
    /// The watch has ended.
    Ended(WatchId),
    /// Events were lost, because too many waited.
    Overflow,
}

/// An inotify instance.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    /// An instance that signals the calling thread, which must be the one that reads it.
    ///
    /// # Errors
    /// `Exhausted` when the user has as many as are allowed; `Unsupported` where the kernel has no inotify or
    /// does not signal at once, or /proc is missing.
    pub fn start() -> Result<Inotify, WatchError> {
        let inotify = Inotify::new()?;
        count_signals()?;
        inotify.signal_this_thread()?;
        inotify.check_signal()?;
        Ok(inotify)
    }

    /// An instance without a signal: it becomes readable, for a thread that waits for that.
    ///
    /// # Errors
    /// `Exhausted` when the user has as many as are allowed; `Unsupported` where the kernel has no inotify,
    /// or /proc is missing.
    pub fn start_unsignalled() -> Result<Inotify, WatchError> {
        let inotify = Inotify::new()?;
        if inotify.reports_an_end()? { Ok(inotify) } else { Err(unsupported()) }
    }

    fn new() -> io::Result<Inotify> {
        Ok(Inotify { fd: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)? })
    }

    fn signal_this_thread(&self) -> io::Result<()> {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let owner = Owner { kind: THREAD, id: thread };
        let at = &raw const owner;
        // SAFETY: the operation reads the structure at `at`, which outlives the call.
        let owned = unsafe { libc::fcntl(self.fd.as_raw_fd(), SET_OWNER, at) };
        if owned < 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::O_NONBLOCK | libc::O_ASYNC;
        // SAFETY: the operation takes a number.
        let set = unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, flags) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Makes an event and checks that its signal has come right after it.
    fn check_signal(&self) -> Result<(), WatchError> {
        let position = SignalPosition::now();
        if self.reports_an_end()? && position.is_behind() { Ok(()) } else { Err(unsupported()) }
    }

    /// Adds a watch and removes it. True if its end is reported at once.
    fn reports_an_end(&self) -> Result<bool, WatchError> {
        let watch = inotify::add_watch(&self.fd, "/proc/self/fd", PATH_EVENTS)?;
        inotify::remove_watch(&self.fd, watch)?;
        let mut ended = false;
        self.read_events(&mut [0; HEADER], |event| ended |= event == WatchEvent::Ended(watch));
        Ok(ended)
    }

    /// Watches an open file, directory or link: the inode, whatever its name leads to. The descriptor may be
    /// an `O_PATH` one. An inode that is watched already keeps its number and its events.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn watch(&self, node: BorrowedFd<'_>, kind: Kind) -> Result<WatchId, WatchError> {
        let events = if kind == Kind::Regular { FILE_EVENTS } else { PATH_EVENTS };
        self.add(node, events | WatchFlags::MASK_ADD)
    }

    /// [`Inotify::watch`] of an open directory, with the names that are added to it or removed from it.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn watch_with_additions(&self, directory: BorrowedFd<'_>) -> Result<WatchId, WatchError> {
        self.add(directory, PATH_EVENTS | ADDITION_EVENTS | WatchFlags::MASK_ADD)
    }

    /// Watches the names in an open directory.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn watch_names(&self, directory: BorrowedFd<'_>) -> Result<WatchId, WatchError> {
        self.add(directory, NAME_EVENTS)
    }

    fn add(&self, node: BorrowedFd<'_>, mask: WatchFlags) -> Result<WatchId, WatchError> {
        if !filesystem::is_local(node)? {
            return Err(unsupported());
        }
        let path = format!("/proc/self/fd/{}", node.as_raw_fd());
        Ok(inotify::add_watch(&self.fd, path, mask)?)
    }

    /// Removes a watch, which makes an `Ended` event. Does nothing if the watch has ended already.
    pub fn unwatch(&self, watch: WatchId) {
        let _ = inotify::remove_watch(&self.fd, watch);
    }

    /// Reads as many events as `buffer` holds and calls `handle` with each. True if there may be more.
    pub fn read_events(&self, buffer: &mut [u8], mut handle: impl FnMut(WatchEvent<'_>)) -> bool {
        let Ok(length) = rustix::io::read(&self.fd, &mut *buffer) else { return false };
        let mut rest = &buffer[..length];
        while let Some((event, after)) = split_event(rest) {
            rest = after;
            event.into_iter().for_each(&mut handle);
        }
        length + MAX_EVENT > buffer.len()
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn unsupported() -> WatchError {
    io::Error::from(io::ErrorKind::Unsupported).into()
}

/// The first event, unless it is one to ignore, and the bytes after it.
fn split_event(bytes: &[u8]) -> Option<(Option<WatchEvent<'_>>, &[u8])> {
    let word = |index: usize| Some(u32::from_ne_bytes(*bytes.get(4 * index..)?.first_chunk()?));
    let (watch, mask, name) = (word(0)?.cast_signed(), ReadFlags::from_bits_retain(word(1)?), word(3)?);
    let (name, rest) = bytes.get(HEADER..)?.split_at_checked(usize::try_from(name).ok()?)?;
    let event = if mask.contains(ReadFlags::QUEUE_OVERFLOW) {
        Some(WatchEvent::Overflow)
    } else if mask.contains(ReadFlags::IGNORED) {
        Some(WatchEvent::Ended(watch))
    } else if name.is_empty() {
        Some(WatchEvent::Changed(watch))
    } else {
        // Attributes of a file are ignored: a file that matters has a watch of its own.
        let matters = mask.intersects(ADDED_OR_REMOVED) || mask.contains(ReadFlags::ISDIR);
        // The kernel pads the name with NULs.
        let name = &name[..memchr::memchr(0, name).unwrap_or(name.len())];
        matters.then_some(WatchEvent::NameChanged(watch, name))
    };
    Some((event, rest))
}

/// Installs the handler that counts signals. It restarts the system calls that can be restarted, and runs on
/// the thread's alternate stack if there is one, because the stacks of coroutines are small.
fn count_signals() -> io::Result<()> {
    let flags = SaFlags::SA_RESTART | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::Handler(count_signal), flags, SigSet::empty());
    // SAFETY: the handler only adds to an atomic, which is safe wherever the signal comes.
    unsafe { sigaction(Signal::SIGIO, &action) }?;
    Ok(())
}

extern "C" fn count_signal(_: c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watch: i32, mask: ReadFlags, name: &[u8]) -> Vec<u8> {
        let words = [watch.cast_unsigned(), mask.bits(), 0, u32::try_from(name.len()).unwrap()];
        [words.map(u32::to_ne_bytes).concat(), name.to_vec()].concat()
    }

    #[test]
    fn events_are_parsed_and_those_of_a_file_s_attributes_ignored() {
        let bytes = [
            event(1, ReadFlags::MODIFY, b""),
            event(2, ReadFlags::ATTRIB, b"name\0\0\0\0"),
            event(2, ReadFlags::ATTRIB | ReadFlags::ISDIR, b"directory\0\0\0"),
            event(2, ReadFlags::CREATE, b"new\0"),
            event(2, ReadFlags::MOVE_SELF, b""),
            event(3, ReadFlags::IGNORED, b""),
            event(-1, ReadFlags::QUEUE_OVERFLOW, b""),
        ]
        .concat();
        let (mut rest, mut found) = (&bytes[..], Vec::new());
        while let Some((event, after)) = split_event(rest) {
            found.extend(event);
            rest = after;
        }
        assert_eq!(
            found,
            [
                WatchEvent::Changed(1),
                WatchEvent::NameChanged(2, b"directory"),
                WatchEvent::NameChanged(2, b"new"),
                WatchEvent::Changed(2),
                WatchEvent::Ended(3),
                WatchEvent::Overflow
            ]
        );
        assert!(split_event(&bytes[..HEADER - 1]).is_none(), "a part of an event is not an event");
    }

    #[test]
    fn each_reader_has_its_own_position_in_the_count_of_signals() {
        let Ok(inotify) = Inotify::start() else { return };
        let (mut first, mut second) = (SignalPosition::now(), SignalPosition::now());
        let directory = std::fs::File::open("/").unwrap();
        let Ok(watch) = inotify.watch_names(directory.as_fd()) else { return };
        inotify.unwatch(watch);
        assert!(first.catch_up() && second.is_behind() && second.catch_up());
    }
}
