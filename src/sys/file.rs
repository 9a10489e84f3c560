//! Opening files beneath a directory, and what their descriptors say of them.
//!
//! Does not know of HTTP or caching. The subtle rule: whatever names and symbolic links say, the kernel keeps the look-up
//! beneath the root (openat2(2) `RESOLVE_BENEATH`), and an open never waits for a FIFO's other end (`O_NONBLOCK`).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

/// How often an open is tried again when a concurrent rename made the kernel unsure (`EAGAIN`, openat2(2)).
const RENAME_RETRIES: u32 = 16;

/// What fstat(2) tells of an open file: enough to see whether two opens of a name met the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode number.
    pub identity: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of content: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the last change of content or attributes: seconds since 1970 and nanoseconds.
    pub ctime: (i64, u32),
}

impl Stamp {
    /// True when both speak of the same content; owner, mode and number of links may differ.
    pub fn is_content_of(&self, other: &Stamp) -> bool {
        (self.identity, self.size, self.mtime) == (other.identity, other.size, other.mtime)
    }
}

/// The kinds of file that matter to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link, which only [`look_up`] meets as such.
    Link,
    /// A FIFO, socket or device: never served.
    Special,
}

/// Why a name could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Nothing of that name can exist there (`ENOENT`, `ENOTDIR`, `ENAMETOOLONG`).
    Missing,
    /// The permissions forbid it, or it is no kind of file to open (`EACCES`, `EPERM`, `ENXIO`).
    Denied,
    /// Links lead outside the root or in a circle (`EXDEV`, `ELOOP`).
    Outside,
    /// Descriptors or memory have run out for now (`EMFILE`, `ENFILE`, `ENOMEM`).
    Exhausted,
    /// Anything else, such as a failing disk.
    Other(io::Error),
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::Missing,
            Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV => OpenError::Denied,
            Errno::XDEV | Errno::LOOP => OpenError::Outside,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => OpenError::Exhausted,
            other => OpenError::Other(other.into()),
        }
    }
}

/// A directory that look-ups start from and never leave.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens `path` as a root.
    ///
    /// # Errors
    /// What open(2) says, such as `ENOENT`, `ENOTDIR` or `EACCES`.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Opens the file or directory at `relative` for reading, beneath this root.
    ///
    /// # Errors
    /// See [`OpenError`]; openat2(2) names the causes.
    pub fn open_beneath(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        self.open_at(relative, flags, ResolveFlags::empty())
    }

    /// Opens the directory at `relative`, to which no symbolic link leads.
    ///
    /// # Errors
    /// See [`OpenError`]; a link on the way is `Outside`.
    pub fn open_directory(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_at(relative, flags, ResolveFlags::NO_SYMLINKS)
    }

    fn open_at(&self, relative: &[u8], flags: OFlags, further: ResolveFlags) -> Result<OwnedFd, OpenError> {
        let path = if relative.is_empty() { b"." } else { relative };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | further;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < RENAME_RETRIES => tries += 1,
                other => return Ok(other?),
            }
        }
    }

    /// True when `relative` is a directory beneath this root, whether or not it may be read.
    pub fn is_directory(&self, relative: &[u8]) -> bool {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = if relative.is_empty() { b"." } else { relative };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve).is_ok()
    }

    /// Device and inode number of the root itself.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        Ok(stat(self.directory.as_fd())?.1.identity)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// Kind and stamp of an open file.
///
/// # Errors
/// What fstat(2) says.
pub fn stat(fd: BorrowedFd<'_>) -> io::Result<(Kind, Stamp)> {
    let stat = rustix::fs::fstat(fd)?;
    let kind = kind(FileType::from_raw_mode(stat.st_mode));
    let nanos = |n: u64| u32::try_from(n).unwrap_or(0);
    let stamp = Stamp {
        identity: (stat.st_dev, stat.st_ino),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: (stat.st_mtime, nanos(stat.st_mtime_nsec)),
        ctime: (stat.st_ctime, nanos(stat.st_ctime_nsec)),
    };
    Ok((kind, stamp))
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::Regular,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Special,
    }
}

/// Opens what `name`, which is no path, is in a directory: itself where it is a link, and not to be read (`O_PATH`).
///
/// # Errors
/// See [`OpenError`].
pub fn look_up(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve)?)
}

/// Device and inode number of what `name` is in a directory, itself where it is a link.
///
/// # Errors
/// See [`OpenError`].
pub fn identity_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(u64, u64), OpenError> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Kind, device and inode number of what `name` is in a directory, itself where it is a link.
///
/// # Errors
/// See [`OpenError`].
pub fn kind_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(Kind, (u64, u64)), OpenError> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((kind(FileType::from_raw_mode(stat.st_mode)), (stat.st_dev, stat.st_ino)))
}

/// Where an open link leads to.
///
/// # Errors
/// See [`OpenError`].
pub fn target(link: BorrowedFd<'_>) -> Result<Vec<u8>, OpenError> {
    Ok(rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes())
}

/// Fills `buffer` from `offset` on, and returns how much the file had to give.
///
/// # Errors
/// What pread(2) says.
pub fn read_at(fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// The names in an open directory, without `.` and `..`, and whether each is a directory; at most `limit` of them.
///
/// # Errors
/// What getdents64(2) says.
pub fn list(fd: BorrowedFd<'_>, limit: usize) -> io::Result<Vec<(Vec<u8>, bool)>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type() == FileType::Directory));
        }
        if names.len() == limit {
            break;
        }
    }
    Ok(names)
}

/// Has `each` see the next names in an open directory, without `.` and `..`: as many as the buffer holds. The kind is none
/// where the file system does not tell it here. False at the end of the directory.
///
/// # Errors
/// What getdents64(2) says.
pub fn entries(
    directory: BorrowedFd<'_>,
    buffer: &mut [MaybeUninit<u8>],
    mut each: impl FnMut(&[u8], Option<Kind>),
) -> io::Result<bool> {
    let mut entries = RawDir::new(directory, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let told = entry.file_type() != FileType::Unknown;
            each(name, told.then(|| kind(entry.file_type())));
        }
        if entries.is_buffer_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts another file behind an open descriptor (dup2(2)), for all who use its number.
///
/// # Errors
/// What dup3(2) says.
pub fn replace(open: BorrowedFd<'_>, with: BorrowedFd<'_>) -> io::Result<()> {
    let (open, with) = (open.as_raw_fd(), with.as_raw_fd());
    // SAFETY: both numbers are of open descriptors, and the first stays one: no owner of it notices but by its content.
    let result = unsafe { libc::dup3(with, open, libc::O_CLOEXEC) };
    if result == open { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// True when this kernel has openat2(2) (Linux 5.6), without which no path can be opened safely.
pub fn kernel_has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL))
}
