//! What is watched for the sake of the cache, and which of its entries depend on it.
//!
//! An entry depends on the inodes on the way to its file: the directories, the symbolic links and the file. A name leads
//! elsewhere only when the inode that it led to is moved, removed or covered by another, and all of this is reported of
//! the inode itself; so what else goes on in a directory costs nothing, and a change by another hard link is seen.
//!
//! Knows no content and waits for nothing. The subtle rule: what is watched is held to be there after that, not before,
//! so that no change falls between.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::trail::{self, Astray};
use crate::sys::file::{self, Kind, Root};
use crate::sys::inotify::{self, Event, Inotify, Watch, WatchError};

/// Ticks after which another watch is tried for when there was none to be had: 1 s.
const RETRY_TICKS: u32 = 1000 / super::TICK_MS;

/// How changes of what a name leads to are noticed.
#[derive(Debug, Default)]
pub enum Sight {
    /// By looking again at each request.
    #[default]
    Unwatched,
    /// They are reported.
    Watched(Lease),
    /// By looking again when the entry is old enough.
    Unseen,
}

/// The right of one entry to be told of changes.
#[derive(Debug)]
pub struct Lease(u64);

/// What a lease stands for.
struct Held {
    /// The entry's key in the cache.
    key: Box<[u8]>,
    /// What it depends on alone: the file, and links that are no part of the directory's way.
    watches: Vec<Watch>,
    /// The path of the directory that it is in.
    directory: Option<Arc<[u8]>>,
}

/// The way to a directory, which the entries in it share.
/// Invariant: it has an entry.
#[derive(Default)]
struct Way {
    watches: Vec<Watch>,
    leases: HashSet<u64>,
}

/// Who depends on a watch.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Dependent {
    /// The way to the directory of this path.
    Way(Arc<[u8]>),
    /// A lease.
    Lease(u64),
}

/// An event that matters here.
#[derive(Clone, Copy)]
enum Told {
    Changed(Watch),
    Ended(Watch),
    Lost,
}

/// What changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// The keys of the entries that may be old.
    pub keys: Vec<Box<[u8]>>,
    /// True when it is not known which are not.
    pub all: bool,
}

/// The watches of one worker.
pub struct Watches {
    /// The means, or why there is none.
    inotify: Result<Inotify, WatchError>,
    /// The most watches at once.
    bound: usize,
    /// For each watch, who depends on it.
    /// Invariant: none is without a dependent.
    dependents: HashMap<Watch, HashSet<Dependent>>,
    ways: HashMap<Arc<[u8]>, Way>,
    leases: HashMap<u64, Held>,
    next: u64,
    buffer: Box<[u8]>,
    /// The tick from which on watches are tried for again.
    retry: u32,
    shortage: Shortage,
}

/// Whether watches have run out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shortage {
    Never,
    Untold,
    Told,
}

impl Watches {
    /// At most `bound` watches by this means.
    pub fn new(inotify: Result<Inotify, WatchError>, bound: usize) -> Watches {
        Watches {
            shortage: match inotify {
                Err(WatchError::Exhausted) => Shortage::Untold,
                _ => Shortage::Never,
            },
            inotify,
            bound,
            dependents: HashMap::new(),
            ways: HashMap::new(),
            leases: HashMap::new(),
            next: 0,
            buffer: vec![0; inotify::BUFFER].into(),
            retry: 0,
        }
    }

    /// Number of watches.
    pub fn len(&self) -> usize {
        self.dependents.len()
    }

    /// True when nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.dependents.is_empty()
    }

    /// Watches `file`, which was just opened by `path`, and the way to it, on behalf of the entry under `key`. What the
    /// file's descriptor says from now on holds until a change is reported.
    pub fn watch(
        &mut self,
        root: &Root,
        (path, key): (&[u8], &[u8]),
        (file, identity): (BorrowedFd<'_>, (u64, u64)),
        tick: u32,
    ) -> Sight {
        match &self.inotify {
            Err(WatchError::Unseen(_)) => return Sight::Unseen,
            Err(WatchError::Exhausted) => return Sight::Unwatched,
            Ok(_) if tick < self.retry => return Sight::Unwatched,
            Ok(_) => {}
        }
        let id = self.next;
        self.next += 1;
        self.leases.insert(id, Held { key: key.into(), watches: Vec::new(), directory: None });
        let end = self.watch_for(id, root, path, (file, identity));
        let lease = Lease(id);
        let Err(astray) = end else { return Sight::Watched(lease) };
        self.end(&lease);
        match astray {
            Astray::Watch(WatchError::Unseen(_)) => Sight::Unseen,
            Astray::Watch(WatchError::Exhausted) => {
                self.retry = tick.saturating_add(RETRY_TICKS);
                if self.shortage == Shortage::Never {
                    self.shortage = Shortage::Untold;
                }
                Sight::Unwatched
            }
            Astray::Nowhere => Sight::Unwatched,
        }
    }

    fn watch_for(
        &mut self,
        id: u64,
        root: &Root,
        path: &[u8],
        (file, identity): (BorrowedFd<'_>, (u64, u64)),
    ) -> Result<(), Astray> {
        let directory = match memchr::memrchr(b'/', path) {
            Some(slash) => &path[..slash],
            None => b"",
        };
        self.join_way(id, root, directory)?;
        self.add(&Dependent::Lease(id), file, Kind::Regular)?;
        // In a directory whose way is watched, the name alone is left to be held to.
        if file::identity_of(root.as_fd(), path)? == identity {
            return Ok(());
        }
        // It is a link, or was replaced since it was opened.
        let end = trail::follow(root, path, |node, kind| self.add(&Dependent::Lease(id), node, kind))?;
        if end == Some(identity) { Ok(()) } else { Err(Astray::Nowhere) }
    }

    /// Has a lease depend on the way to its directory, which is watched if it is not yet.
    fn join_way(&mut self, id: u64, root: &Root, directory: &[u8]) -> Result<(), Astray> {
        let known = self.ways.get_key_value(directory).map(|(path, _)| Arc::clone(path));
        let path = known.clone().unwrap_or_else(|| directory.into());
        self.ways.entry(Arc::clone(&path)).or_default().leases.insert(id);
        if let Some(held) = self.leases.get_mut(&id) {
            held.directory = Some(Arc::clone(&path));
        }
        if known.is_none() {
            let way = Dependent::Way(path);
            trail::follow(root, directory, |node, kind| self.add(&way, node, kind))?;
        }
        Ok(())
    }

    fn add(&mut self, dependent: &Dependent, node: BorrowedFd<'_>, kind: Kind) -> Result<(), WatchError> {
        let Ok(inotify) = &self.inotify else { return Err(WatchError::Exhausted) };
        if self.dependents.len() >= self.bound {
            return Err(WatchError::Exhausted);
        }
        let watch = inotify.watch(node, kind)?;
        if self.dependents.entry(watch).or_default().insert(dependent.clone()) {
            match dependent {
                Dependent::Way(path) => self.ways.get_mut(path).map(|way| way.watches.push(watch)),
                Dependent::Lease(id) => self.leases.get_mut(id).map(|held| held.watches.push(watch)),
            };
        }
        Ok(())
    }

    /// Gives up what only this lease needed. One that has ended already is none to end.
    pub fn end(&mut self, lease: &Lease) {
        self.end_lease(lease.0);
    }

    /// Gives up a sight's lease, if it has one.
    pub fn lose(&mut self, sight: &Sight) {
        if let Sight::Watched(lease) = sight {
            self.end(lease);
        }
    }

    /// Ends a lease; the key of its entry.
    fn end_lease(&mut self, id: u64) -> Option<Box<[u8]>> {
        let held = self.leases.remove(&id)?;
        self.release(&Dependent::Lease(id), &held.watches);
        if let Some(path) = held.directory
            && let Some(way) = self.ways.get_mut(&path)
        {
            way.leases.remove(&id);
            if way.leases.is_empty()
                && let Some(way) = self.ways.remove(&path)
            {
                self.release(&Dependent::Way(path), &way.watches);
            }
        }
        Some(held.key)
    }

    fn release(&mut self, dependent: &Dependent, watches: &[Watch]) {
        for watch in watches {
            let Some(dependents) = self.dependents.get_mut(watch) else { continue };
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(watch);
                if let Ok(inotify) = &self.inotify {
                    inotify.unwatch(*watch);
                }
            }
        }
    }

    /// All that changed since the last call, and ends the leases that it is about. The ends of watches that are given up
    /// here are events too.
    pub fn changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let Ok(inotify) = &self.inotify else { return changes };
        let mut events = Vec::new();
        let mut heed = |event: Event<'_>| match event {
            Event::Changed(watch) => events.push(Told::Changed(watch)),
            Event::Ended(watch) => events.push(Told::Ended(watch)),
            Event::Lost => events.push(Told::Lost),
            // What goes on in a directory beside what is cached.
            Event::Named(..) => {}
        };
        while inotify.take(&mut self.buffer, &mut heed) {}
        for event in events {
            self.apply(event, &mut changes);
        }
        changes
    }

    fn apply(&mut self, event: Told, changes: &mut Changes) {
        match event {
            Told::Changed(watch) => self.end_dependents(watch, changes),
            Told::Ended(watch) => {
                self.end_dependents(watch, changes);
                self.dependents.remove(&watch);
            }
            Told::Lost => {
                changes.all = true;
                let all: Vec<_> = self.leases.keys().copied().collect();
                for id in all {
                    self.end_lease(id);
                }
            }
        }
    }

    fn end_dependents(&mut self, watch: Watch, changes: &mut Changes) {
        // What was given up may have events that still wait.
        let Some(dependents) = self.dependents.get(&watch) else { return };
        for dependent in dependents.clone() {
            let leases = match dependent {
                Dependent::Lease(id) => vec![id],
                Dependent::Way(path) => {
                    self.ways.get(&path).map_or_else(Vec::new, |way| way.leases.iter().copied().collect())
                }
            };
            for id in leases {
                changes.keys.extend(self.end_lease(id));
            }
        }
    }

    /// True once, when watches have run out for the first time.
    pub fn take_shortage(&mut self) -> bool {
        let untold = self.shortage == Shortage::Untold;
        if untold {
            self.shortage = Shortage::Told;
        }
        untold
    }
}
