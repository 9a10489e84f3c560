//! The names in a directory, and the file behind each name.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags};

use super::open_error::OpenError;
use super::stamp::{Kind, Stamp, kind, kind_and_stamp};

/// Opens `name`, which must not be a path, in a directory. A link is not followed, and the descriptor cannot
/// be read (`O_PATH`).
///
/// # Errors
/// See [`OpenError`].
pub fn look_up(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve)?)
}

/// Device and inode number of `name` in a directory. A link is not followed.
///
/// # Errors
/// See [`OpenError`].
pub fn identity_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(u64, u64), OpenError> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Kind, device and inode number of `name` in a directory. A link is not followed.
///
/// # Errors
/// See [`OpenError`].
pub fn kind_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(Kind, (u64, u64)), OpenError> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((kind(FileType::from_raw_mode(stat.st_mode)), (stat.st_dev, stat.st_ino)))
}

/// The target of an open link.
///
/// # Errors
/// See [`OpenError`].
pub fn target(link: BorrowedFd<'_>) -> Result<Vec<u8>, OpenError> {
    Ok(rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes())
}

/// Kind and stamp of `name` in a directory. A link is not followed.
///
/// # Errors
/// See [`OpenError`].
pub fn stat_of(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(Kind, Stamp), OpenError> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)?;
    Ok(kind_and_stamp(&stat))
}

/// A second descriptor of an open directory, at its beginning: a copy of the first would share the position
/// with it.
///
/// # Errors
/// See [`OpenError`].
pub fn reopen_directory(directory: BorrowedFd<'_>) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, ".", flags, Mode::empty())?)
}

/// Calls `each` for the next names in an open directory, without `.` and `..`: as many as the buffer holds.
/// The kind is `None` if the file system does not report it. Returns false at the end of the directory.
///
/// # Errors
/// See getdents64(2).
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
            let known = entry.file_type() != FileType::Unknown;
            each(name, known.then(|| kind(entry.file_type())));
        }
        if entries.is_buffer_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
