//! The roots that files are opened beneath, and the paths that lead there.
//!
//! A deployment may replace a root by switching a link in its path. Between requests and every second the
//! path is opened again, and the directory that it leads to now takes the old one's place. Does not open
//! files; `open.rs` does.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::background::{Background, JobHandle, JobOrder, JobOutcome};
use crate::metrics::job_kind::JobKind;
use crate::store::entry::Entry;
use crate::store::name_index::NameIndex;
use crate::sys::file::{OpenError, Root};
use crate::sys::filesystem::{self, FileSystemClass, Mounts};
use crate::time::Now;

/// What the keys of a root are answered from.
pub enum ContentRoot {
    /// A directory.
    Directory(RootDirectory),
    /// The built-in welcome page, for a server without a root.
    Welcome(Arc<Entry>),
}

impl ContentRoot {
    /// The directory, if it is one.
    pub fn directory(&self) -> Option<&RootDirectory> {
        match self {
            ContentRoot::Directory(directory) => Some(directory),
            ContentRoot::Welcome(_) => None,
        }
    }

    /// The directory, if it is one.
    pub fn directory_mut(&mut self) -> Option<&mut RootDirectory> {
        match self {
            ContentRoot::Directory(directory) => Some(directory),
            ContentRoot::Welcome(_) => None,
        }
    }
}

/// A root that was just opened.
pub struct OpenedRoot {
    /// The directory.
    pub root: Root,
    /// The path that led there.
    pub path: PathBuf,
    /// The class of the file system that it is on.
    pub class: FileSystemClass,
    /// False where opening the path may wait for a network file system.
    pub is_local: bool,
}

impl OpenedRoot {
    /// A root and its path. To be called before the process is confined to its files.
    pub fn new((root, path): (Root, PathBuf)) -> OpenedRoot {
        let (class, is_local) = (Mounts::read().class_of(root.as_fd()), filesystem::path_is_local(&path));
        OpenedRoot { root, path, class, is_local }
    }
}

/// An open root directory and the path that it was opened by.
pub struct RootDirectory {
    /// The directory.
    pub root: Arc<Root>,
    /// The class of the file system that it is on.
    pub class: FileSystemClass,
    /// Device and inode number of the directory, if they are known.
    identity: Option<(u64, u64)>,
    /// The path that leads there.
    pub path: PathBuf,
    path_state: RootPath,
    /// False where opening the path may wait for a network file system, which only a request for its files
    /// may do.
    is_local: bool,
    /// The tick at which the path was last opened.
    checked: u32,
    /// The job that opens the path, where that takes one.
    reopening: Option<JobHandle<Reopened>>,
    /// The names of the files beneath it, where files are found by name.
    pub names: Option<NameIndex>,
}

/// What a root's path leads to now; `None` if it can't be opened or the result was taken.
pub type Reopened = Mutex<Option<FoundRoot>>;

/// A directory that a root's path leads to.
pub struct FoundRoot {
    root: Root,
    identity: (u64, u64),
    class: FileSystemClass,
}

/// What a root's path means to this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RootPath {
    /// The path is opened again, and the root becomes what it leads to.
    Followed,
    /// The root stays, because this process may read no other directory. The path still leads to it.
    Pinned,
    /// The root stays, and the path was last seen to lead elsewhere.
    Stale,
}

impl RootDirectory {
    /// A root that was just opened by `path`, which is followed.
    pub fn new(opened: OpenedRoot, now: Now) -> RootDirectory {
        let OpenedRoot { root, path, class, is_local } = opened;
        RootDirectory {
            class,
            identity: root.identity().ok(),
            root: Arc::new(root),
            path,
            path_state: RootPath::Followed,
            is_local,
            checked: now.tick,
            reopening: None,
            names: None,
        }
    }

    /// Keeps the root that is open now, whatever its path leads to.
    pub fn pin(&mut self) {
        self.path_state = RootPath::Pinned;
    }

    /// True if the root is pinned and its path was last seen to lead elsewhere.
    pub fn is_stale(&self) -> bool {
        self.path_state == RootPath::Stale
    }

    /// True if opening the path again waits for no network file system.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Opens the path again, unless that was done in the last `period` ticks. A job of a background thread
    /// does it if it would have to wait for a disk; then the result is taken by a later call. True if another
    /// directory is the root now.
    #[inline]
    pub fn follow(&mut self, (number, period): (usize, u32), now: Now, background: &Background) -> bool {
        let is_due = now.tick.wrapping_sub(self.checked) >= period;
        if !is_due && self.reopening.is_none() {
            return false;
        }
        self.reopen((number, is_due), now, background)
    }

    /// The job that opens the path, if one is under way. A request whose file is not cached waits for it.
    pub fn reopening(&self) -> Option<&JobHandle<Reopened>> {
        self.reopening.as_ref().filter(|job| job.outcome().is_none())
    }

    #[cold]
    fn reopen(&mut self, (number, is_due): (usize, bool), now: Now, background: &Background) -> bool {
        let mut is_changed = false;
        if let Some(job) = &self.reopening {
            let found = match job.outcome() {
                None => return false,
                Some(JobOutcome::Result(found)) => {
                    found.lock().unwrap_or_else(PoisonError::into_inner).take()
                }
                Some(JobOutcome::Panicked | JobOutcome::Dropped) => None,
            };
            self.reopening = None;
            is_changed = self.take_found(found);
            // It may have waited long for a request to take it.
            if !is_due {
                return is_changed;
            }
        }
        self.checked = now.tick;
        let found = if background.has_disk_threads() {
            let Some(found) = self.find_cached() else {
                let path = self.path.clone();
                let job = background.submit_disk(JobKind::Root, (number, JobOrder::First), move || {
                    Mutex::new(find_root(&path))
                });
                self.reopening = job.ok();
                return is_changed;
            };
            found
        } else {
            find_root(&self.path)
        };
        self.take_found(found) || is_changed
    }

    /// What the path leads to, or `None` if finding that out may take a wait.
    fn find_cached(&self) -> Option<Option<FoundRoot>> {
        match Root::reopen_cached(&self.path) {
            Ok(root) => {
                let identity = root.identity().ok()?;
                // Another device may be that of another machine.
                let same_device = self.identity.is_some_and(|(device, _)| device == identity.0);
                same_device.then_some(Some(FoundRoot { root, identity, class: self.class }))
            }
            Err(OpenError::Cold) => None,
            Err(_) => Some(None),
        }
    }

    /// Follows the path to what was found there. True if another directory is the root now.
    fn take_found(&mut self, found: Option<FoundRoot>) -> bool {
        let Some(FoundRoot { root, identity, class }) = found else {
            // A path that can't be opened any more leaves the open root in service.
            if self.path_state == RootPath::Stale {
                self.path_state = RootPath::Pinned;
            }
            return false;
        };
        let is_same = self.identity == Some(identity);
        match self.path_state {
            RootPath::Followed if !is_same => {
                (self.root, self.identity, self.class) = (Arc::new(root), Some(identity), class);
                // By the directory alone: the filter of system calls forbids to look at the path.
                self.is_local = self.is_local && class != FileSystemClass::Remote;
                if let Some(names) = &self.names {
                    names.change_root(&self.root);
                }
                return true;
            }
            RootPath::Followed => {}
            RootPath::Pinned | RootPath::Stale => {
                self.path_state = if is_same { RootPath::Pinned } else { RootPath::Stale };
            }
        }
        false
    }
}

/// What a root's path leads to. May wait for a disk.
fn find_root(path: &Path) -> Option<FoundRoot> {
    let root = Root::open(path).ok()?;
    let identity = root.identity().ok()?;
    let class = filesystem::class_of(root.as_fd()).ok()?;
    Some(FoundRoot { root, identity, class })
}
