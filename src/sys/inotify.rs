//! Watches on inodes (inotify(7)), and a flag that is up when there may be something to read.
//!
//! Does not know what is watched or why. The subtle rule is how the flag comes to be in time: the kernel has a signal
//! (SIGIO) pending for the watching thread before the call that changes a file returns, and a thread takes its signals
//! before it comes back from a system call. So whoever has received bytes that were sent after a change finds the flag
//! up, and to look at it costs a load. Waiting for the descriptor instead would depend on the order in which epoll
//! reports it and the client's socket, which may have been in its list of ready ones already.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::file::Kind;

/// What is reported of a directory or a link: it was moved or removed, or who may pass it changed. Of a directory this
/// brings the attributes of what is in it along, under its name.
const PLACE: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF).union(WatchFlags::ATTRIB);

/// What is reported of a file: the same, and each change of its content by whatever name it is done. A change through a
/// memory map is not reported, but the last close of a file that was open for writing is. The attributes have the number
/// of links, so a name that is taken away or put on another file is reported at once, who ever has the file open.
const CONTENT: WatchFlags = PLACE.union(WatchFlags::MODIFY).union(WatchFlags::CLOSE_WRITE);

/// What is reported of a directory for the sake of the names in it: each that comes, goes or gets other attributes.
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR);

/// The events by which a name comes or goes.
const COMES_OR_GOES: ReadFlags =
    ReadFlags::CREATE.union(ReadFlags::DELETE).union(ReadFlags::MOVED_FROM).union(ReadFlags::MOVED_TO);

/// The bytes of an event before its name: watch, mask, cookie, length of the name.
const HEADER: usize = 16;

/// The most bytes of an event, with a name of 255 and its end. What leaves so many of a buffer free was all there was.
const LONGEST: usize = HEADER + 256;

/// Bytes of a buffer that holds a good many events.
pub const BUFFER: usize = 4096;

/// The file systems whose every change goes through this kernel, by the number in `statfs` (statfs(2), linux/magic.h,
/// and for the last two their own sources). On others, such as NFS or FUSE, somebody else may change a file.
const LOCAL: &[u64] = &[
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // f2fs
    0x3153_464a, // jfs
    0x3434,      // nilfs2
    0x4d44,      // vfat
    0x2011_bab0, // exfat
    0x7366_746e, // ntfs3
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x9660,      // iso9660
    0x1501_3346, // udf
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // zfs
];

/// `F_SETOWN_EX` and `F_OWNER_TID` (fcntl(2)).
const SET_OWNER: c_int = 15;
const THREAD: c_int = 0;

/// `struct f_owner_ex`: who is signalled.
#[repr(C)]
struct Owner {
    kind: c_int,
    id: libc::pid_t,
}

/// Up when events may have come since it was taken down.
static NEWS: AtomicBool = AtomicBool::new(false);

/// True when there may be events to read. The thread that [`Inotify::start`] was called on sees all that happened before
/// its last system call returned.
pub fn has_news() -> bool {
    NEWS.load(Relaxed)
}

/// Takes the flag down, and tells whether it was up. The events of all instances are to be taken after it: what comes
/// later raises it again.
pub fn take_news() -> bool {
    NEWS.swap(false, Relaxed)
}

/// Why something is not watched.
#[derive(Debug)]
pub enum WatchError {
    /// The user has as many watches or instances as are allowed (`ENOSPC`, `EMFILE`), or memory has run out.
    Exhausted,
    /// Its changes can't be seen: another kind of file system, no right to read it, a system without this means.
    Unseen(io::Error),
}

impl From<Errno> for WatchError {
    fn from(errno: Errno) -> WatchError {
        match errno {
            Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM => WatchError::Exhausted,
            other => WatchError::Unseen(other.into()),
        }
    }
}

impl From<io::Error> for WatchError {
    fn from(error: io::Error) -> WatchError {
        Errno::from_io_error(&error).map_or(WatchError::Unseen(error), WatchError::from)
    }
}

/// The number of a watch; one inode has one, and a number that was given up does not come back soon.
pub type Watch = i32;

/// What was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// What is watched here changed.
    Changed(Watch),
    /// This name came or went in the directory that is watched here, or is a directory whose attributes changed.
    Named(Watch, &'a [u8]),
    /// The watch is no more.
    Ended(Watch),
    /// Events were lost, since too many waited.
    Lost,
}

/// An inotify instance.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    /// An instance whose flag is for the calling thread, which must be the one that reads it. All instances of a process
    /// have one flag, which is up after this.
    ///
    /// # Errors
    /// `Exhausted` when the user has as many as are allowed; `Unseen` where the kernel has no such means, or does not
    /// signal at once, or /proc is missing.
    pub fn start() -> Result<Inotify, WatchError> {
        let inotify = Inotify { fd: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)? };
        raise_flag_at_signal()?;
        inotify.signal_this_thread()?;
        inotify.prove()?;
        // Another instance's events may have raised it before.
        NEWS.store(true, Relaxed);
        Ok(inotify)
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

    /// Has something happen, and looks whether the flag is up right after it. The end of a watch is an event too.
    fn prove(&self) -> Result<(), WatchError> {
        let watch = inotify::add_watch(&self.fd, "/proc/self/fd", PLACE)?;
        NEWS.store(false, Relaxed);
        inotify::remove_watch(&self.fd, watch)?;
        let mut ended = false;
        let signalled = has_news();
        self.take(&mut [0; HEADER], |event| ended |= event == Event::Ended(watch));
        if signalled && ended { Ok(()) } else { Err(io::Error::from(io::ErrorKind::Unsupported).into()) }
    }

    /// Watches an open file, directory or link, which may be open by `O_PATH`: the inode, whatever its name leads to.
    /// What is watched already keeps its number.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn watch(&self, node: BorrowedFd<'_>, kind: Kind) -> Result<Watch, WatchError> {
        self.add(node, if kind == Kind::Regular { CONTENT } else { PLACE })
    }

    /// Watches the names in an open directory.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn watch_names(&self, directory: BorrowedFd<'_>) -> Result<Watch, WatchError> {
        self.add(directory, NAMES)
    }

    fn add(&self, node: BorrowedFd<'_>, mask: WatchFlags) -> Result<Watch, WatchError> {
        if !is_local(node)? {
            return Err(io::Error::from(io::ErrorKind::Unsupported).into());
        }
        let path = format!("/proc/self/fd/{}", node.as_raw_fd());
        Ok(inotify::add_watch(&self.fd, path, mask)?)
    }

    /// Gives up a watch, which reports its end. One that has ended by itself is none to give up.
    pub fn unwatch(&self, watch: Watch) {
        let _ = inotify::remove_watch(&self.fd, watch);
    }

    /// Takes events by way of `buffer`, as many as it holds, and tells whether there may be more.
    pub fn take(&self, buffer: &mut [u8], mut heed: impl FnMut(Event<'_>)) -> bool {
        let Ok(length) = rustix::io::read(&self.fd, &mut *buffer) else { return false };
        let mut rest = &buffer[..length];
        while let Some((event, after)) = split_event(rest) {
            rest = after;
            event.into_iter().for_each(&mut heed);
        }
        length + LONGEST > buffer.len()
    }
}

/// The first event, unless it is none to heed, and what comes after it.
fn split_event(bytes: &[u8]) -> Option<(Option<Event<'_>>, &[u8])> {
    let word = |index: usize| Some(u32::from_ne_bytes(*bytes.get(4 * index..)?.first_chunk()?));
    let (watch, mask, name) = (word(0)?.cast_signed(), ReadFlags::from_bits_retain(word(1)?), word(3)?);
    let (name, rest) = bytes.get(HEADER..)?.split_at_checked(usize::try_from(name).ok()?)?;
    let event = if mask.contains(ReadFlags::QUEUE_OVERFLOW) {
        Some(Event::Lost)
    } else if mask.contains(ReadFlags::IGNORED) {
        Some(Event::Ended(watch))
    } else if name.is_empty() {
        Some(Event::Changed(watch))
    } else {
        // Of other attributes than a directory's, what they are about is told if it has a watch of its own.
        let told = mask.intersects(COMES_OR_GOES) || mask.contains(ReadFlags::ISDIR);
        // Zeros fill the name up.
        let name = &name[..memchr::memchr(0, name).unwrap_or(name.len())];
        told.then_some(Event::Named(watch, name))
    };
    Some((event, rest))
}

fn is_local(node: BorrowedFd<'_>) -> io::Result<bool> {
    // Some machines have the number signed, but none has one of more than 32 bits.
    let magic = rustix::fs::fstatfs(node)?.f_type as u64 & 0xffff_ffff;
    Ok(LOCAL.contains(&magic))
}

/// Calls that a signal interrupts are begun again, as far as they can be, and it has a stack of its own where the thread
/// has one: those of coroutines are small.
fn raise_flag_at_signal() -> io::Result<()> {
    let flags = SaFlags::SA_RESTART | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::Handler(raise_flag), flags, SigSet::empty());
    // SAFETY: the handler does nothing but a store to an atomic, which is safe wherever the signal comes.
    unsafe { sigaction(Signal::SIGIO, &action) }?;
    Ok(())
}

extern "C" fn raise_flag(_: c_int) {
    NEWS.store(true, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watch: i32, mask: ReadFlags, name: &[u8]) -> Vec<u8> {
        let words = [watch.cast_unsigned(), mask.bits(), 0, u32::try_from(name.len()).unwrap()];
        [words.map(u32::to_ne_bytes).concat(), name.to_vec()].concat()
    }

    #[test]
    fn events_are_told_apart_and_those_of_a_file_s_attributes_passed_over() {
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
                Event::Changed(1),
                Event::Named(2, b"directory"),
                Event::Named(2, b"new"),
                Event::Changed(2),
                Event::Ended(3),
                Event::Lost
            ]
        );
        assert!(split_event(&bytes[..HEADER - 1]).is_none(), "a part of an event is none");
    }
}
