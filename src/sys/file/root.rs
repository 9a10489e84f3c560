//! Opening files beneath a directory.
//!
//! **Invariant:** whatever names and symbolic links say, the kernel keeps the look-up beneath the root
//! (openat2(2) `RESOLVE_BENEATH`). Only regular files and directories are opened, because an open alone
//! affects other processes: it lets the writer of a FIFO go on, and a device may act on it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::open_error::OpenError;
use super::stamp::{Kind, Stamp, stat, stat_cached};

/// How often an open is retried after a concurrent rename (`EAGAIN`, openat2(2)).
const RENAME_RETRIES: u32 = 16;

/// How a file or directory is opened that was seen to be one.
const TO_READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A directory that look-ups never leave.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens `path` as a root.
    ///
    /// # Errors
    /// See open(2), such as `ENOENT`, `ENOTDIR` or `EACCES`.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// A second descriptor of the same directory.
    ///
    /// # Errors
    /// See fcntl(2), such as `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Root> {
        Ok(Root { directory: self.directory.try_clone()? })
    }

    /// Opens the regular file or directory at `relative` for reading, beneath this root.
    ///
    /// # Errors
    /// See [`OpenError`] and openat2(2). Anything else than a file or directory is `Denied`, and is not
    /// opened.
    pub fn open_beneath(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        if matches!(self.kind_beneath(relative)?, Kind::Special | Kind::Link) {
            return Err(OpenError::Denied);
        }
        // Only /proc could make the `O_PATH` descriptor readable, so the name is resolved again. It may lead
        // to a FIFO by now. Then `O_NONBLOCK` keeps the open from waiting for a writer, and the caller sees
        // the kind by `stat`.
        self.open_at(relative, TO_READ, ResolveFlags::empty())
    }

    /// [`Root::open_beneath`] on the root's own mount alone; with `cached` also without a wait for a disk
    /// (openat2(2) `RESOLVE_CACHED`).
    ///
    /// # Errors
    /// [`OpenError::Cold`] where it would leave the mount, or wait. A link that leads outside the root is
    /// `Cold` as well.
    pub fn open_on_mount(&self, relative: &[u8], cached: bool) -> Result<OwnedFd, OpenError> {
        if matches!(self.kind_on_mount(relative, cached)?, Kind::Special | Kind::Link) {
            return Err(OpenError::Denied);
        }
        self.open_at_once(relative, TO_READ, cached)
    }

    /// [`Root::kind_beneath`] as [`Root::open_on_mount`] looks it up.
    ///
    /// # Errors
    /// See [`Root::open_on_mount`].
    pub fn kind_on_mount(&self, relative: &[u8], cached: bool) -> Result<Kind, OpenError> {
        let seen = self.open_at_once(relative, OFlags::PATH | OFlags::CLOEXEC, cached)?;
        stat(seen.as_fd()).map(|(kind, _)| kind).map_err(OpenError::Other)
    }

    fn open_at_once(&self, relative: &[u8], flags: OFlags, cached: bool) -> Result<OwnedFd, OpenError> {
        let cached = if cached { ResolveFlags::CACHED } else { ResolveFlags::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV | cached;
        match rustix::fs::openat2(&self.directory, or_dot(relative), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR | Errno::XDEV) => Err(OpenError::Cold),
            other => Ok(other?),
        }
    }

    /// Opens `path` as a root if that takes no wait for a disk.
    ///
    /// # Errors
    /// [`OpenError::Cold`] where it would wait.
    pub fn reopen_cached(path: &Path) -> Result<Root, OpenError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            // Before Linux 5.12 there was no such flag.
            Err(Errno::AGAIN | Errno::INTR | Errno::INVAL) => Err(OpenError::Cold),
            other => Ok(Root { directory: other? }),
        }
    }

    /// Opens the directory at `relative`, without following symbolic links.
    ///
    /// # Errors
    /// See [`OpenError`]; a link in the path is `Outside`.
    pub fn open_directory(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_at(relative, flags, ResolveFlags::NO_SYMLINKS)
    }

    fn open_at(&self, relative: &[u8], flags: OFlags, further: ResolveFlags) -> Result<OwnedFd, OpenError> {
        let path = or_dot(relative);
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | further;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < RENAME_RETRIES => tries += 1,
                other => return Ok(other?),
            }
        }
    }

    /// The kind of `relative` beneath this root, links followed, even if it may not be read. It is not opened
    /// (`O_PATH`).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn kind_beneath(&self, relative: &[u8]) -> Result<Kind, OpenError> {
        self.stat_beneath(relative).map(|(kind, _)| kind)
    }

    /// Kind and stamp of `relative` beneath this root, links followed, as [`Root::kind_beneath`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn stat_beneath(&self, relative: &[u8]) -> Result<(Kind, Stamp), OpenError> {
        let seen = self.open_at(relative, OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::empty())?;
        stat(seen.as_fd()).map_err(OpenError::Other)
    }

    /// Device and inode number of the root itself, which never change.
    ///
    /// # Errors
    /// See statx(2).
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        Ok(stat_cached(self.directory.as_fd())?.identity)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// A path for openat2(2), which takes no empty one.
fn or_dot(relative: &[u8]) -> &[u8] {
    if relative.is_empty() { b"." } else { relative }
}

/// True if this kernel has openat2(2) (Linux 5.6), without which no path can be opened safely.
pub fn kernel_has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL))
}

/// True if this kernel can look up names without a wait for a disk (openat2(2) `RESOLVE_CACHED`, Linux 5.12).
pub fn kernel_has_cached_lookups() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::CACHED);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL))
}
