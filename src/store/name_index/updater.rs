//! Keeps the table of a name index as the disk is: reads directories, takes reported changes, and checks
//! names.
//!
//! Does one step at a time, so that its caller can take changes in between. Three invariants:
//!
//! - A directory is watched before it is read. Otherwise a change in between is missed.
//! - An event only means that a name must be checked, since it may have changed again. So the number and the
//!   order of events do not matter.
//! - Changes come before directories to read. So a change of a name that is known already does not wait for
//!   the rest of a large tree.

use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::directory_watches::{DirectoryChange, DirectoryWatches};
use super::path::{join, split};
use super::table::NameTable;
use super::warning::WaitingWarnings;
use crate::sys::file::{self, Kind, OpenError, Root};

/// Bytes of names that are read from a directory at once: about 1000 names.
const BUFFER_BYTES: usize = 32 * 1024;

/// Why a step was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// Descriptors or memory have run out. The step is still to do.
    OutOfDescriptors,
    /// There are more names than the limit. What is known is a part of them.
    TooManyNames,
}

/// A table, and what is known about its differences from the disk.
pub struct Updater {
    /// The names.
    pub table: NameTable,
    /// What reports changes.
    pub watches: DirectoryWatches,
    /// What the operator should know.
    pub warnings: WaitingWarnings,
    changes: VecDeque<Change>,
    /// Directories to read.
    unread: VecDeque<Arc<[u8]>>,
    lacks_directories: bool,
    max_names: usize,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// A change that the table does not have yet.
#[derive(PartialEq, Eq)]
enum Change {
    /// This name in the directory at this path must be checked.
    Name(Arc<[u8]>, Box<[u8]>),
    /// The directory at this path is gone.
    Gone(Arc<[u8]>),
}

/// An open directory and its identity, device and inode number.
struct OpenDirectory {
    descriptor: OwnedFd,
    identity: (u64, u64),
}

impl Updater {
    /// An empty table of at most `max_names`, with nothing to do.
    pub fn new(watches: DirectoryWatches, max_names: usize) -> Updater {
        Updater {
            table: NameTable::default(),
            watches,
            warnings: WaitingWarnings::default(),
            changes: VecDeque::new(),
            unread: VecDeque::new(),
            lacks_directories: false,
            max_names,
            buffer: Box::new_uninit_slice(BUFFER_BYTES),
        }
    }

    /// Drops all names and watches, with nothing to do.
    pub fn clear(&mut self) {
        self.table = NameTable::default();
        self.watches.restart();
        self.changes.clear();
        self.unread.clear();
        self.lacks_directories = false;
    }

    /// Has all names read again.
    pub fn read_all(&mut self) {
        self.clear();
        self.unread.push_back(Arc::default());
    }

    /// True if nothing is left to do.
    pub fn is_current(&self) -> bool {
        self.changes.is_empty() && self.unread.is_empty()
    }

    /// True if names were removed with their directory, and their files may lie in one that was not read yet.
    /// Without that, the table has all files that it had and that are still there.
    pub fn lacks_directories(&self) -> bool {
        self.lacks_directories
    }

    /// Takes note of the changes that were reported. True if all names must be read again, because events
    /// were lost.
    pub fn take_changes(&mut self) -> bool {
        let Updater { watches, changes, .. } = self;
        let mut all = false;
        watches.take_changes(|change| match change {
            DirectoryChange::Name(_, name) if name.starts_with(b".") => {}
            DirectoryChange::Name(directory, name) => push_name(changes, directory, name),
            DirectoryChange::Gone(path) => {
                all |= path.is_empty();
                let (parent, name) = split(&path);
                let parent = parent.into();
                changes.push_back(Change::Gone(Arc::clone(&path)));
                push_name(changes, &parent, name);
            }
            DirectoryChange::Any => all = true,
        });
        all
    }

    /// Does the next step: one change, or the reading of one directory.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn step(&mut self, root: &Root) -> Result<(), UpdateError> {
        match self.changes.pop_front() {
            Some(Change::Name(directory, name)) => self.check_name(root, directory, name)?,
            Some(Change::Gone(path)) => self.remove_directory(&path),
            None => match self.unread.pop_front() {
                Some(path) => self.read_directory(root, path)?,
                None => return Ok(()),
            },
        }
        self.lacks_directories &= !self.is_current();
        self.check_limit()
    }

    fn check_limit(&self) -> Result<(), UpdateError> {
        let names = self.table.len() + self.unread.len();
        if names > self.max_names { Err(UpdateError::TooManyNames) } else { Ok(()) }
    }

    fn remove_directory(&mut self, path: &[u8]) {
        let Updater { table, watches, lacks_directories, .. } = self;
        table.remove_directory(path, |path, watch| {
            *lacks_directories = true;
            if let Some(watch) = watch {
                watches.unwatch(path, watch);
            }
        });
    }

    /// Adds a directory: watches it and reads it.
    fn read_directory(&mut self, root: &Root, path: Arc<[u8]>) -> Result<(), UpdateError> {
        let directory = match open_directory(root, &path) {
            Ok(directory) => directory,
            Err(OpenError::Exhausted) => {
                self.unread.push_front(path);
                return Err(UpdateError::OutOfDescriptors);
            }
            Err(OpenError::Missing) if !path.is_empty() => {
                // It may have been moved, together with what it is in, and may come back without an event of
                // its own.
                self.check_again(&path);
                return Ok(());
            }
            Err(error) => {
                self.skip_directory(&path, error);
                return Ok(());
            }
        };
        match self.table.directory(&path) {
            Some(known) if known.identity == directory.identity => return Ok(()),
            Some(_) => self.remove_directory(&path),
            None => {}
        }
        let watch = self.watches.watch(&directory.descriptor, &path).unwrap_or_else(|why| {
            self.warnings.unwatched(why);
            None
        });
        self.table.add_directory(Arc::clone(&path), directory.identity, watch);
        self.read_names(&path, &directory.descriptor)
    }

    /// Adds the names in an open directory, the one at `path`.
    fn read_names(&mut self, path: &Arc<[u8]>, directory: &OwnedFd) -> Result<(), UpdateError> {
        loop {
            let Updater { table, changes, unread, buffer, .. } = self;
            let result = file::entries(directory.as_fd(), buffer, |name, kind| match kind {
                _ if name.starts_with(b".") => {}
                Some(kind @ (Kind::Regular | Kind::Link)) => table.add_file(path, name, kind),
                Some(Kind::Directory) => unread.push_back(join(path, name).into()),
                Some(Kind::Special) => {}
                // The file system does not say.
                None => push_name(changes, path, name),
            });
            match result {
                Ok(true) => self.check_limit()?,
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.skip_directory(path, OpenError::Other(error));
                    return Ok(());
                }
            }
        }
    }

    /// Has the table say what a name in a directory is now.
    fn check_name(&mut self, root: &Root, path: Arc<[u8]>, name: Box<[u8]>) -> Result<(), UpdateError> {
        if self.table.directory(&path).is_none() {
            return Ok(());
        }
        let found = match root.open_directory(&path) {
            Ok(directory) => file::kind_of(directory.as_fd(), &name),
            Err(OpenError::Missing | OpenError::Link(_)) if !path.is_empty() => {
                // Nothing can be checked here. If it comes back unchanged, it must be read again.
                self.remove_directory(&path);
                self.check_again(&path);
                return Ok(());
            }
            Err(error) => Err(error),
        };
        let child = join(&path, &name);
        let known = self.table.directory(&child).map(|known| known.identity);
        match found {
            Err(OpenError::Exhausted) => {
                self.changes.push_front(Change::Name(path, name));
                return Err(UpdateError::OutOfDescriptors);
            }
            Ok((Kind::Directory, identity)) => {
                self.table.remove_file(&path, &name);
                if known != Some(identity) {
                    self.unread.push_front(child.into());
                }
                return Ok(());
            }
            Ok((kind @ (Kind::Regular | Kind::Link), _)) => self.table.add_file(&path, &name, kind),
            Ok((Kind::Special, _)) | Err(OpenError::Missing) => self.table.remove_file(&path, &name),
            // The directory itself has changed, which its parent reports.
            Err(_) => return Ok(()),
        }
        if known.is_some() {
            self.remove_directory(&child);
        }
        Ok(())
    }

    /// Has the name of a directory checked next, in the directory that it is in.
    fn check_again(&mut self, path: &[u8]) {
        let (parent, name) = split(path);
        self.changes.push_front(Change::Name(parent.into(), name.into()));
    }

    /// Goes on without a directory that can't be opened or read: it is gone, which its parent reports too,
    /// this user may not read it, or the disk fails.
    fn skip_directory(&mut self, path: &[u8], error: OpenError) {
        let why = match error {
            OpenError::Other(error) if path.is_empty() || !is_gone(&error) => error.to_string(),
            _ if path.is_empty() => "it can't be opened".to_owned(),
            _ => return,
        };
        if path.is_empty() {
            self.watches.miss_changes();
            self.warnings.unwatched(why);
        } else {
            self.warnings.unreadable(path, why);
        }
    }
}

fn open_directory(root: &Root, path: &[u8]) -> Result<OpenDirectory, OpenError> {
    let descriptor = root.open_directory(path)?;
    let (_, stamp) = file::stat(descriptor.as_fd()).map_err(OpenError::Other)?;
    Ok(OpenDirectory { descriptor, identity: stamp.identity })
}

/// Has a name checked, unless the last change is the same.
fn push_name(changes: &mut VecDeque<Change>, directory: &Arc<[u8]>, name: &[u8]) {
    let change = Change::Name(Arc::clone(directory), name.into());
    if changes.back() != Some(&change) {
        changes.push_back(change);
    }
}

/// True if an open directory can't be used because it was removed: `ENOENT` of getdents64(2), `ESTALE` on a
/// network file system.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::super::warning::IndexWarning;
    use super::*;

    #[test]
    fn a_directory_that_is_removed_before_it_is_read_makes_no_warning() {
        let path = std::env::temp_dir().join(format!("updater-removed-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let directory = File::open(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        assert_eq!(warnings_of_reading(b"a", directory), []);
    }

    #[test]
    fn a_directory_that_cannot_be_read_makes_a_warning() {
        let file = || File::open("/proc/self/exe").unwrap();
        let warnings = warnings_of_reading(b"a", file());
        assert!(matches!(&warnings[..], [IndexWarning::Unreadable(path, _)] if path == b"a"));
        assert!(matches!(warnings_of_reading(b"", file())[..], [IndexWarning::Unwatched(_)]));
    }

    #[test]
    fn while_directories_are_replaced_the_table_may_lack_files_that_are_there() {
        let path = std::env::temp_dir().join(format!("updater-replaced-{}", std::process::id()));
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/x"), "").unwrap();
        let root = Root::open(&path).unwrap();
        let mut updater = Updater::new(DirectoryWatches::start(10), 10);
        updater.read_all();
        let work = |updater: &mut Updater| {
            let mut lacked = Vec::new();
            while !updater.is_current() {
                updater.step(&root).unwrap();
                lacked.push(updater.lacks_directories());
            }
            lacked
        };
        assert_eq!(work(&mut updater), [false; 3], "nothing was known before");
        // As an event would have it: another directory is at the path.
        fs::rename(path.join("a"), path.join("old")).unwrap();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/x"), "").unwrap();
        push_name(&mut updater.changes, &Arc::default(), b"a");
        assert_eq!(work(&mut updater), [false, true, false], "it is checked, read, and what is in it read");
        assert!(updater.table.files().first(b"x", None).is_some());
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_directory_that_was_away_while_its_names_were_checked_is_read_again() {
        let path = std::env::temp_dir().join(format!("updater-away-{}", std::process::id()));
        fs::create_dir_all(path.join("a/b/c")).unwrap();
        fs::write(path.join("a/b/c/x"), "").unwrap();
        let root = Root::open(&path).unwrap();
        let mut updater = Updater::new(DirectoryWatches::start(10), 10);
        let has_x = |updater: &Updater| updater.table.files().first(b"x", None).is_some();
        let away = path.join("away");
        // A name is checked, or a directory is read, while it is elsewhere with its parent.
        for read in [false, true] {
            updater.read_all();
            let is_next = |updater: &Updater| updater.unread.front().is_some_and(|path| **path == *b"a/b/c");
            while !(updater.is_current() || read && is_next(&updater)) {
                updater.step(&root).unwrap();
            }
            fs::rename(path.join("a/b"), &away).unwrap();
            if !read {
                push_name(&mut updater.changes, &b"a/b/c"[..].into(), b"x");
            }
            updater.step(&root).unwrap();
            fs::rename(&away, path.join("a/b")).unwrap();
            // The events of both moves, which find all as it was.
            push_name(&mut updater.changes, &b"a"[..].into(), b"b");
            while !updater.is_current() {
                updater.step(&root).unwrap();
            }
            assert!(has_x(&updater), "{read}");
        }
        fs::remove_dir_all(path).unwrap();
    }

    /// Reads an open directory as the one at `path`.
    fn warnings_of_reading(path: &[u8], directory: File) -> Vec<IndexWarning> {
        let mut updater = Updater::new(DirectoryWatches::start(1), 10);
        assert_eq!(updater.read_names(&path.into(), &OwnedFd::from(directory)), Ok(()));
        assert!(updater.is_current());
        updater.warnings.take()
    }
}
