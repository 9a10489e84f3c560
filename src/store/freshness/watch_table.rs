//! The watched inodes of one inotify instance, and which entries depend on each.
//!
//! A cache entry depends on the inodes on the path to its file: the directories, the symbolic links and the
//! file. Apart from a mount over a directory, a name can lead elsewhere only when the inode that it led to is
//! moved, removed or replaced by a rename over it, and the kernel reports all of that for the inode. So a
//! change by another hard link is seen, and the names in a directory do not matter.
//!
//! A file that may have variants depends on names as well: a variant may come. So the names that are added to
//! its directory or removed from it make events, and those that no variant could have are ignored. The kernel
//! also reports changed attributes of all files in a watched directory, which are ignored too.
//!
//! Knows no content and no time. **Invariant:** a watch is added first, and then the path is checked to still
//! lead to that inode. Otherwise a change in between is missed.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use crate::http::content_coding::ContentCoding;
use crate::store::freshness::watched_path::{self, PathEnd, PathError};
use crate::store::open_file::OpenFile;
use crate::store::open_forms::{OpenForms, VariantNames};
use crate::sys::file::{self, Kind, LinkPolicy, OpenError, Root};
use crate::sys::inotify::{BUFFER_BYTES, Inotify, WatchError, WatchEvent, WatchId};

/// Identifies a watched entry; pass it to `WatchTable::unwatch` when the entry is dropped.
#[derive(Debug)]
pub struct WatchHandle(u64);

/// A file that was just opened, and the entry to report when it changes.
pub struct WatchTarget<'a> {
    /// The number of the root. One number stands for one directory as long as entries beneath it are watched.
    pub root_number: usize,
    /// The root.
    pub root: &'a Root,
    /// The file's path beneath the root.
    pub path: &'a [u8],
    /// The links that are followed on the way.
    pub links: LinkPolicy,
    /// The entry's key in the cache.
    pub key: &'a [u8],
    /// The open file, and its variants.
    pub forms: &'a OpenForms,
}

/// Entries that may differ from the disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChangedEntries {
    /// Their keys.
    pub keys: Vec<Box<[u8]>>,
    /// True if events were lost: all entries may differ.
    pub all: bool,
}

/// The watches and their dependents.
pub struct WatchTable {
    inotify: Inotify,
    max_watches: usize,
    /// Invariant: each watch has a dependent.
    dependents: HashMap<WatchId, HashSet<Dependent>>,
    directories: HashMap<DirectoryKey, WatchedDirectory>,
    entries: HashMap<u64, WatchedEntry>,
    next_entry: u64,
    buffer: Box<[u8]>,
}

/// What depends on a watch.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Dependent {
    Directory(DirectoryKey),
    Entry(u64),
}

/// A directory by its root and its path there: several roots may have a directory of one path.
#[derive(Clone, PartialEq, Eq, Hash)]
struct DirectoryKey {
    root_number: usize,
    /// Empty for the root itself.
    path: Arc<[u8]>,
}

/// The path to a directory, whose watches the entries in it share.
/// Invariant: it has an entry.
#[derive(Default)]
struct WatchedDirectory {
    watches: Vec<WatchId>,
    entries: HashSet<u64>,
    /// The watch that reports names that come and go, once an entry depends on them.
    names: Option<WatchId>,
    /// The entries whose files may have variants, by the names of these files.
    varied: HashMap<Box<[u8]>, Vec<u64>>,
}

struct WatchedEntry {
    key: Box<[u8]>,
    /// What it alone depends on: the file, and links that are not on the path to the directory.
    watches: Vec<WatchId>,
    directory: Option<DirectoryKey>,
    /// The name of its file, if that may have variants.
    varied: Option<Box<[u8]>>,
}

/// An event that matters to entries.
#[derive(Clone, Copy)]
enum Change {
    Inode(WatchId),
    /// The watch has ended as well.
    Ended(WatchId),
    /// The name of a variant was added or removed.
    Variant(u64),
    /// Events were lost.
    Any,
}

impl WatchTable {
    /// An empty table of at most `max_watches`.
    pub fn new(inotify: Inotify, max_watches: usize) -> WatchTable {
        WatchTable {
            inotify,
            max_watches,
            dependents: HashMap::new(),
            directories: HashMap::new(),
            entries: HashMap::new(),
            next_entry: 0,
            buffer: vec![0; BUFFER_BYTES].into(),
        }
    }

    /// Number of watches.
    pub fn len(&self) -> usize {
        self.dependents.len()
    }

    /// Watches a file and the path to it.
    ///
    /// # Errors
    /// See [`PathError`]. Nothing is watched for this file then.
    pub fn watch(&mut self, target: &WatchTarget<'_>) -> Result<WatchHandle, PathError> {
        let entry = self.next_entry;
        self.next_entry += 1;
        let watched =
            WatchedEntry { key: target.key.into(), watches: Vec::new(), directory: None, varied: None };
        self.entries.insert(entry, watched);
        let result = self.watch_path(entry, target);
        result.inspect_err(|_| drop(self.remove_entry(entry)))?;
        Ok(WatchHandle(entry))
    }

    fn watch_path(&mut self, entry: u64, target: &WatchTarget<'_>) -> Result<(), PathError> {
        let WatchTarget { root, path, links, forms, .. } = *target;
        if forms.names == VariantNames::Obstructed {
            return Err(PathError::Unreachable);
        }
        self.watch_directory(entry, target)?;
        self.watch_file(entry, (root, path, links), &forms.identity)?;
        if forms.names == VariantNames::NotLookedUp {
            return Ok(());
        }
        for coding in ContentCoding::ALL {
            let path = [path, coding.suffix().as_bytes()].concat();
            match forms.variant(coding) {
                Some(variant) => self.watch_file(entry, (root, &path, links), &variant.file)?,
                // It may have come before the names were watched, or be a link that leads nowhere yet.
                None => match file::identity_of(root.as_fd(), &path) {
                    Err(OpenError::Missing) => {}
                    _ => return Err(PathError::Unreachable),
                },
            }
        }
        Ok(())
    }

    /// Watches a file that was opened by this path.
    fn watch_file(
        &mut self,
        entry: u64,
        (root, path, links): (&Root, &[u8], LinkPolicy),
        open: &OpenFile,
    ) -> Result<(), PathError> {
        self.add(&Dependent::Entry(entry), open.file.as_fd(), Kind::Regular)?;
        // The path to the directory is watched, so only the name in it can lead elsewhere.
        if file::identity_of(root.as_fd(), path)? == open.stamp.identity {
            return Ok(());
        }
        // The name is a link, or its file was replaced since it was opened.
        let end = watched_path::follow(root, (path, links), |node, kind| {
            self.add(&Dependent::Entry(entry), node, kind)
        })?;
        match end {
            PathEnd::File(identity) if identity == open.stamp.identity => Ok(()),
            PathEnd::File(_) | PathEnd::Directory(_) => Err(PathError::Unreachable),
        }
    }

    /// Makes an entry depend on the path to its directory, and on the names in it if its file may have
    /// variants. What is not watched yet is.
    fn watch_directory(&mut self, entry: u64, target: &WatchTarget<'_>) -> Result<(), PathError> {
        let slash = memchr::memrchr(b'/', target.path);
        let path = slash.map_or(&b""[..], |slash| &target.path[..slash]);
        let name = slash.map_or(target.path, |slash| &target.path[slash + 1..]);
        let directory = DirectoryKey { root_number: target.root_number, path: path.into() };
        let varied = (target.forms.names != VariantNames::NotLookedUp).then(|| Box::<[u8]>::from(name));
        let is_watched = self.directories.contains_key(&directory);
        let watched = self.directories.entry(directory.clone()).or_default();
        watched.entries.insert(entry);
        if let Some(name) = &varied {
            watched.varied.entry(name.clone()).or_default().push(entry);
        }
        let needs_names = varied.is_some() && watched.names.is_none();
        if let Some(watched) = self.entries.get_mut(&entry) {
            watched.directory = Some(directory.clone());
            watched.varied = varied;
        }
        if is_watched && !needs_names {
            return Ok(());
        }
        let dependent = Dependent::Directory(directory.clone());
        let end = watched_path::follow(target.root, (path, target.links), |node, kind| {
            self.add(&dependent, node, kind)
        })?;
        if needs_names && let PathEnd::Directory(end) = end {
            let end = end.as_ref().map_or(target.root.as_fd(), AsFd::as_fd);
            let names = self.inotify.watch_with_additions(end)?;
            self.directories.get_mut(&directory).map(|watched| watched.names.replace(names));
        }
        Ok(())
    }

    fn add(&mut self, dependent: &Dependent, node: BorrowedFd<'_>, kind: Kind) -> Result<(), WatchError> {
        if self.dependents.len() >= self.max_watches {
            return Err(WatchError::Exhausted);
        }
        let watch = self.inotify.watch(node, kind)?;
        if self.dependents.entry(watch).or_default().insert(dependent.clone()) {
            match dependent {
                Dependent::Directory(key) => self.directories.get_mut(key).map(|d| d.watches.push(watch)),
                Dependent::Entry(entry) => self.entries.get_mut(entry).map(|e| e.watches.push(watch)),
            };
        }
        Ok(())
    }

    /// Removes the watches that only this entry needed. Does nothing for an entry that was reported as
    /// changed.
    pub fn unwatch(&mut self, handle: &WatchHandle) {
        self.remove_entry(handle.0);
    }

    /// Removes an entry; its key.
    fn remove_entry(&mut self, entry: u64) -> Option<Box<[u8]>> {
        let watched = self.entries.remove(&entry)?;
        self.release(&Dependent::Entry(entry), &watched.watches);
        if let Some(key) = watched.directory
            && let Some(directory) = self.directories.get_mut(&key)
        {
            directory.entries.remove(&entry);
            if let Some(name) = watched.varied
                && let Some(entries) = directory.varied.get_mut(&name)
            {
                entries.retain(|&other| other != entry);
                if entries.is_empty() {
                    directory.varied.remove(&name);
                }
            }
            if directory.entries.is_empty()
                && let Some(directory) = self.directories.remove(&key)
            {
                self.release(&Dependent::Directory(key), &directory.watches);
            }
        }
        Some(watched.key)
    }

    fn release(&mut self, dependent: &Dependent, watches: &[WatchId]) {
        for watch in watches {
            let Some(dependents) = self.dependents.get_mut(watch) else { continue };
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(watch);
                self.inotify.unwatch(*watch);
            }
        }
    }

    /// Reads all events, adds the entries that they concern to `changed`, and removes those entries' watches.
    pub fn take_changed(&mut self, changed: &mut ChangedEntries) {
        let mut changes = Vec::new();
        let (dependents, directories) = (&self.dependents, &self.directories);
        let mut handle = |event: WatchEvent<'_>| match event {
            WatchEvent::Changed(watch) => changes.push(Change::Inode(watch)),
            WatchEvent::Ended(watch) => changes.push(Change::Ended(watch)),
            WatchEvent::Overflow => changes.push(Change::Any),
            WatchEvent::NameChanged(watch, name) => {
                let entries = entries_varied_by(name, watch, dependents, directories);
                changes.extend(entries.map(Change::Variant));
            }
        };
        while self.inotify.read_events(&mut self.buffer, &mut handle) {}
        for change in changes {
            self.apply(change, changed);
        }
    }

    fn apply(&mut self, change: Change, changed: &mut ChangedEntries) {
        match change {
            Change::Inode(watch) => self.remove_dependents(watch, changed),
            Change::Ended(watch) => {
                self.remove_dependents(watch, changed);
                self.dependents.remove(&watch);
            }
            Change::Variant(entry) => changed.keys.extend(self.remove_entry(entry)),
            Change::Any => {
                changed.all = true;
                let all: Vec<_> = self.entries.keys().copied().collect();
                for entry in all {
                    self.remove_entry(entry);
                }
            }
        }
    }

    fn remove_dependents(&mut self, watch: WatchId, changed: &mut ChangedEntries) {
        // Events of a watch that was removed may still come.
        let Some(dependents) = self.dependents.get(&watch) else { return };
        for dependent in dependents.clone() {
            let entries = match dependent {
                Dependent::Entry(entry) => vec![entry],
                Dependent::Directory(key) => {
                    self.directories.get(&key).map_or_else(Vec::new, |d| d.entries.iter().copied().collect())
                }
            };
            for entry in entries {
                changed.keys.extend(self.remove_entry(entry));
            }
        }
    }
}

/// The entries whose file would have a variant of this name in the directory with this watch. Other names,
/// and the attributes of directories, matter to no entry: what does has a watch of its own.
fn entries_varied_by(
    name: &[u8],
    watch: WatchId,
    dependents: &HashMap<WatchId, HashSet<Dependent>>,
    directories: &HashMap<DirectoryKey, WatchedDirectory>,
) -> impl Iterator<Item = u64> {
    let file = ContentCoding::ALL.iter().find_map(|coding| name.strip_suffix(coding.suffix().as_bytes()));
    let dependents = file.and_then(|_| dependents.get(&watch)).into_iter().flatten();
    let watched = dependents.filter_map(|dependent| match dependent {
        Dependent::Directory(key) => directories.get(key),
        Dependent::Entry(_) => None,
    });
    let of_file = watched
        .filter(move |directory| directory.names == Some(watch))
        .filter_map(move |directory| directory.varied.get(file?));
    of_file.flatten().copied()
}
