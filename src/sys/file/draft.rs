//! Drafts: new files that are written under a hidden name, and get their own by a rename when they are whole.
//!
//! **Invariant:** a draft is locked (flock(2)) while its writer lives. So one that can be locked was
//! abandoned by a process that was killed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::permissions::copy_permissions;
use super::stamp::{Kind, Stamp, stat};

/// A file that is being written.
#[derive(Debug)]
pub struct Draft {
    file: File,
    directory: Arc<OwnedFd>,
    name: Vec<u8>,
}

impl Draft {
    /// Creates an empty file that only its owner may read. The name must not be in use.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is in use; see openat(2), such as `EACCES`, `EROFS` or `ENOSPC`.
    pub fn create(directory: Arc<OwnedFd>, name: Vec<u8>) -> io::Result<Draft> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR)?;
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        // Another process may have taken it for an abandoned one before it was locked.
        if locked == Err(Errno::WOULDBLOCK) || stat(file.as_fd())?.1.links == 0 {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Draft { file: file.into(), directory, name })
    }

    /// Where its bytes go.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the permissions, the owner and the mtime of another file, and has all of it written to the
    /// disk. An owner that this process may not give is left. Where it may not give the group or the access
    /// control list, others get less.
    ///
    /// # Errors
    /// See fchmod(2), utimensat(2) and fsync(2).
    pub fn complete(&self, like: BorrowedFd<'_>) -> io::Result<()> {
        let (model, own) = (rustix::fs::fstat(like)?, rustix::fs::fstat(&self.file)?);
        copy_permissions((self.file.as_fd(), &own), (like, &model))?;
        if model.st_uid != own.st_uid {
            let _ = rustix::fs::fchown(&self.file, Some(Uid::from_raw(model.st_uid)), None);
        }
        let nanoseconds = i64::try_from(model.st_mtime_nsec).unwrap_or(0);
        let time = Timespec { tv_sec: model.st_mtime, tv_nsec: nanoseconds };
        rustix::fs::futimens(&self.file, &Timestamps { last_access: time, last_modification: time })?;
        // A rename may reach the disk before the bytes; a file of zeros would then look complete.
        Ok(rustix::fs::fsync(&self.file)?)
    }

    /// Gives it its name, in place of the file that has it.
    ///
    /// # Errors
    /// See renameat(2), such as `EISDIR`.
    pub fn rename(&self, name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.directory, &self.name, &self.directory, name)?)
    }

    /// Removes it. An error is ignored: the next run removes what was abandoned.
    pub fn remove(&self) {
        let _ = remove(self.directory.as_fd(), &self.name);
    }
}

/// Removes a draft whose writer has ended. Others stay, and those that this process may not open.
pub fn remove_abandoned(directory: BorrowedFd<'_>, name: &[u8]) {
    let open = |access| {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        rustix::fs::openat(directory, name, flags, Mode::empty())
    };
    // NFS locks only what is open to be written. A draft that was about to get its name may be read-only.
    let file = match open(OFlags::WRONLY) {
        Err(Errno::ACCESS) => open(OFlags::RDONLY),
        other => other,
    };
    let Ok(file) = file else { return };
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        let _ = remove(directory, name);
    }
}

/// Removes the name of a file.
///
/// # Errors
/// See unlinkat(2).
pub fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(directory, name, AtFlags::empty())?)
}

/// Opens the directory at `relative` beneath another one. Links are not followed.
///
/// # Errors
/// See openat2(2); `ELOOP` for a link.
pub fn open_beneath(root: BorrowedFd<'_>, relative: &[u8]) -> io::Result<OwnedFd> {
    let path = if relative.is_empty() { b"." } else { relative };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)?)
}

/// Opens a regular file to be read, and returns its stamp. A link is not followed.
///
/// # Errors
/// See openat(2); `InvalidInput` if it is no regular file.
pub fn open_regular(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<(File, Stamp)> {
    // A FIFO that took the name meanwhile must not make the open wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    match stat(file.as_fd())? {
        (Kind::Regular, stamp) => Ok((file.into(), stamp)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::path::PathBuf;

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> (Place, Arc<OwnedFd>) {
            let path = std::env::temp_dir().join(format!("mayhttpd-draft-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let directory = File::open(&path).unwrap().into();
            (Place(path), Arc::new(directory))
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_draft_becomes_a_file_like_its_model() {
        let (place, directory) = Place::new("model");
        fs::write(place.0.join("a"), "model").unwrap();
        fs::set_permissions(place.0.join("a"), fs::Permissions::from_mode(0o4754)).unwrap();
        fs::write(place.0.join("a.gz"), "earlier").unwrap();
        let (model, stamp) = open_regular(directory.as_fd(), b"a").unwrap();
        let draft = Draft::create(Arc::clone(&directory), b".d".to_vec()).unwrap();
        draft.file().write_all(b"bytes").unwrap();
        draft.complete(model.as_fd()).unwrap();
        assert_eq!(fs::read(place.0.join("a.gz")).unwrap(), b"earlier", "until it is whole");
        draft.rename(b"a.gz").unwrap();
        assert_eq!(place.names(), ["a", "a.gz"]);
        let made = fs::metadata(place.0.join("a.gz")).unwrap();
        assert_eq!((made.mtime(), made.mode() & 0o7777), (stamp.mtime.0, 0o754));
        assert_eq!(stat_of(&directory, b"a.gz").mtime, stamp.mtime);
    }

    fn stat_of(directory: &OwnedFd, name: &[u8]) -> Stamp {
        super::super::stat_at(directory.as_fd(), name).unwrap().unwrap().1
    }

    #[test]
    fn only_an_abandoned_draft_is_removed() {
        let (place, directory) = Place::new("abandoned");
        let draft = Draft::create(Arc::clone(&directory), b".d".to_vec()).unwrap();
        remove_abandoned(directory.as_fd(), b".d");
        assert_eq!(place.names(), [".d"]);
        let taken = Draft::create(Arc::clone(&directory), b".d".to_vec()).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        drop(draft);
        remove_abandoned(directory.as_fd(), b".d");
        assert_eq!(place.names(), [""; 0]);
        remove_abandoned(directory.as_fd(), b"none");
    }

    #[test]
    fn links_are_not_followed() {
        let (place, directory) = Place::new("links");
        fs::create_dir(place.0.join("dir")).unwrap();
        fs::write(place.0.join("file"), "").unwrap();
        for (link, target) in [("to-dir", "dir"), ("to-file", "file"), ("out", "/")] {
            std::os::unix::fs::symlink(target, place.0.join(link)).unwrap();
        }
        assert!(open_beneath(directory.as_fd(), b"dir").is_ok());
        assert!(open_beneath(directory.as_fd(), b"").is_ok());
        for name in [&b"to-dir"[..], b"out", b"..", b"/", b"to-dir/../dir", b"file"] {
            assert!(open_beneath(directory.as_fd(), name).is_err(), "{}", name.escape_ascii());
        }
        assert!(open_regular(directory.as_fd(), b"file").is_ok());
        for name in [&b"to-file"[..], b"dir", b"none"] {
            assert!(open_regular(directory.as_fd(), name).is_err(), "{}", name.escape_ascii());
        }
    }
}
