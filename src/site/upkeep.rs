//! Keeps the names beneath one root current: reads directories, is told of changes, and reads again where it can't be told.
//!
//! All that is to be done is in two lines: names to look at again and directories to leave, and then directories to read.
//! It is done in lots, and only when nothing is left do the names tell what is there. So a change that is large, or a tree
//! that is read as a whole, takes its time from nobody but those who ask for a name.
//!
//! It knows no requests and waits for nothing. Two subtle rules: a directory is watched before it is read, so that no
//! change falls between; and what an event says is only that a name is to be looked at, for it may have changed since.

use std::collections::{HashMap, VecDeque};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::names::{Names, join};
use super::notice::Notice;
use crate::sys::file::{self, Kind, OpenError, Root};
use crate::sys::inotify::{self, Event, Inotify, Watch, WatchError};
use crate::sys::timer;

/// What a lot takes at most, about a millisecond: a name that is read costs one.
const LOT: usize = 1000;
/// What it costs to open and watch a directory.
const DIRECTORY: usize = 10;
/// What it costs to look at a name.
const LOOK: usize = 5;

/// Bytes of names that are taken from a directory at once; some 1000 names.
const BUFFER: usize = 32 * 1024;

/// Ticks after which it is tried again to have changes reported, or to hold all names: a minute.
const RETRY_TICKS: u32 = 60 * 1000 / super::TICK_MS;

/// Ticks after which those who ask are told that it takes too long: 20 s.
const PATIENCE_TICKS: u32 = 20 * 1000 / super::TICK_MS;

/// Names whose changes are not reported are read again no sooner than after so many times what it took.
const PAUSES: u64 = 10;

/// The most notices that wait to be told; a disk that fails would have one for each directory.
const NOTICES: usize = 16;

/// Whether the names tell what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They do.
    Current,
    /// They will, after more lots.
    Later,
    /// They don't, and won't soon.
    Unable,
}

/// Something to be done before directories are read.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// To look what a name in the directory of this path is now.
    Look(Arc<[u8]>, Box<[u8]>),
    /// To leave the directory of this path, with all that is beneath it.
    Leave(Arc<[u8]>),
}

/// A directory that is being read.
struct Reading {
    path: Arc<[u8]>,
    directory: OwnedFd,
}

/// Descriptors have run out; the task that needed one is still to be done.
struct Stuck;

/// The names beneath one root, and what keeps them current.
pub struct Upkeep {
    names: Names,
    /// The means of being told, or why there is none.
    inotify: Result<Inotify, WatchError>,
    /// The paths of each directory that is watched; two are one directory that is mounted twice.
    watched: HashMap<Watch, Vec<Arc<[u8]>>>,
    tasks: VecDeque<Task>,
    /// The paths of directories that are to be read.
    unread: VecDeque<Arc<[u8]>>,
    reading: Option<Reading>,
    /// The most names, and the most watches.
    most_names: usize,
    most_watches: usize,
    /// True while all directories are watched.
    reported: bool,
    /// The tick from which on that is tried again.
    retry: u32,
    /// The tick at which there were too many names, while that holds.
    overfull: Option<u32>,
    /// The tick at which all had been read, if it has.
    done: Option<u32>,
    /// What it has taken so far to read all, in nanoseconds.
    taken: u64,
    /// The tick from which on something is left to be done.
    late_since: Option<u32>,
    /// The time on the monotonic clock, in nanoseconds, until which others have their turn.
    pause: u64,
    notices: Vec<Notice>,
    /// Whether it is known already that there were too many, or that changes are not reported.
    told_overfull: bool,
    told_unreported: bool,
    events: Box<[u8]>,
    entries: Box<[MaybeUninit<u8>]>,
}

impl Upkeep {
    /// Of so many names and watches at most; nothing is read yet.
    pub fn new(
        inotify: Result<Inotify, WatchError>,
        most_names: usize,
        most_watches: usize,
        tick: u32,
    ) -> Upkeep {
        let mut upkeep = Upkeep {
            names: Names::default(),
            inotify,
            watched: HashMap::new(),
            tasks: VecDeque::new(),
            unread: VecDeque::new(),
            reading: None,
            most_names,
            most_watches,
            reported: true,
            retry: tick,
            overfull: None,
            done: None,
            taken: 0,
            late_since: None,
            pause: 0,
            notices: Vec::new(),
            told_overfull: false,
            told_unreported: false,
            events: vec![0; inotify::BUFFER].into(),
            entries: Box::new_uninit_slice(BUFFER),
        };
        upkeep.begin(tick);
        upkeep
    }

    /// The names as far as they are known.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What was noticed since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Has all be read anew, because another root has taken the place of the one that was read.
    pub fn begin(&mut self, tick: u32) {
        self.leave_all();
        self.unread.push_back(Arc::default());
        self.overfull = None;
        self.taken = 0;
        if tick >= self.retry {
            self.reported = true;
        }
    }

    fn leave_all(&mut self) {
        self.tasks.clear();
        self.unread.clear();
        self.reading = None;
        self.tasks.push_back(Task::Leave(Arc::default()));
        self.done = None;
    }

    /// Does all that is to be done, however long it takes; `between` is called between lots.
    pub fn complete(&mut self, root: &Root, tick: u32, mut between: impl FnMut()) {
        while self.is_late() && self.lot(root, tick).is_ok() {
            between();
        }
    }

    /// Does a lot of what is to be done, unless it is the turn of others; true where there is more.
    pub fn advance(&mut self, root: &Root, tick: u32) -> bool {
        if !self.is_late() {
            return false;
        }
        self.late_since.get_or_insert(tick);
        if timer::nanoseconds() < self.pause {
            return true;
        }
        let end = self.lot(root, tick);
        if !self.is_late() {
            self.late_since = None;
        }
        end.is_ok() && self.is_late()
    }

    /// Does a lot where something is to be done, and tells whether the names are what is there. Where changes are not
    /// reported, names older than `valid_ticks` are not.
    pub fn ask(&mut self, root: &Root, valid_ticks: u32, tick: u32) -> State {
        match self.overfull {
            Some(since) if tick.wrapping_sub(since) < RETRY_TICKS => return State::Unable,
            Some(_) => self.begin(tick),
            None => {}
        }
        if let Some(done) = self.done
            && !self.reported
        {
            let pause = self.taken / 1_000_000 * PAUSES / u64::from(super::TICK_MS);
            if u64::from(tick.wrapping_sub(done)) >= pause.max(valid_ticks.into()) {
                self.begin(tick);
            }
        }
        let more = self.advance(root, tick);
        match self.late_since {
            _ if self.overfull.is_some() => State::Unable,
            None => State::Current,
            Some(since) if more && tick.wrapping_sub(since) < PATIENCE_TICKS => State::Later,
            Some(_) => State::Unable,
        }
    }

    fn is_late(&self) -> bool {
        self.reading.is_some() || !self.tasks.is_empty() || !self.unread.is_empty()
    }

    /// Takes the events that have come, and makes tasks of them.
    pub fn take_events(&mut self, tick: u32) {
        let Upkeep { inotify: Ok(inotify), watched, tasks, events, .. } = self else { return };
        let mut lost = false;
        // What is reported of a directory itself is reported of a name in its parent as well.
        let mut heed = |event: Event<'_>| match event {
            Event::Named(watch, name) if !name.starts_with(b".") => {
                for path in watched.get(&watch).into_iter().flatten() {
                    let task = Task::Look(Arc::clone(path), name.into());
                    if tasks.back() != Some(&task) {
                        tasks.push_back(task);
                    }
                }
            }
            Event::Named(..) | Event::Changed(_) => {}
            Event::Ended(watch) => {
                for path in watched.remove(&watch).into_iter().flatten() {
                    lost |= path.is_empty();
                    let (parent, name) = split(&path);
                    let (parent, name) = (parent.into(), name.into());
                    tasks.push_back(Task::Leave(path));
                    tasks.push_back(Task::Look(parent, name));
                }
            }
            Event::Lost => lost = true,
        };
        while inotify.take(events, &mut heed) {}
        if lost && self.overfull.is_none() {
            self.begin(tick);
        }
    }

    fn lot(&mut self, root: &Root, tick: u32) -> Result<(), Stuck> {
        let (start, reads_all) = (timer::nanoseconds(), self.done.is_none());
        let end = self.lot_of_tasks(root, tick);
        let now = timer::nanoseconds();
        let taken = now.saturating_sub(start);
        // As much time for all others as was taken from them.
        self.pause = now + taken;
        if reads_all {
            self.taken += taken;
        }
        end
    }

    fn lot_of_tasks(&mut self, root: &Root, tick: u32) -> Result<(), Stuck> {
        let mut left = LOT;
        while left > 0 && self.is_late() {
            let cost = if let Some(reading) = self.reading.take() {
                self.read_on(reading)
            } else if let Some(task) = self.tasks.pop_front() {
                self.perform(task, root, left)?
            } else if let Some(path) = self.unread.pop_front() {
                self.read(root, path, tick)?;
                DIRECTORY
            } else {
                break;
            };
            left = left.saturating_sub(cost.max(1));
            if self.overfull.is_none() && self.names.len() + self.unread.len() > self.most_names {
                self.give_up(tick);
            }
        }
        if !self.is_late() && self.done.is_none() && self.overfull.is_none() {
            self.done = Some(tick);
            if std::mem::take(&mut self.told_overfull) {
                self.notices.push(Notice::Held(self.names.len()));
            }
        }
        Ok(())
    }

    fn perform(&mut self, task: Task, root: &Root, left: usize) -> Result<usize, Stuck> {
        match task {
            Task::Look(path, name) => {
                self.look(root, path, name)?;
                Ok(LOOK)
            }
            Task::Leave(path) => {
                let Upkeep { names, watched, inotify, .. } = self;
                let count = names.take_out_some(&path, left, |path, watch| {
                    let Some(watch) = watch else { return };
                    let Some(paths) = watched.get_mut(&watch) else { return };
                    paths.retain(|other| other != path);
                    if paths.is_empty() {
                        watched.remove(&watch);
                        inotify.iter().for_each(|inotify| inotify.unwatch(watch));
                    }
                });
                if count == left {
                    self.tasks.push_front(Task::Leave(path));
                }
                Ok(count)
            }
        }
    }

    /// Enters a directory: watches it, and begins to read it.
    fn read(&mut self, root: &Root, path: Arc<[u8]>, tick: u32) -> Result<(), Stuck> {
        let directory = match root.open_directory(&path) {
            Ok(directory) => directory,
            Err(OpenError::Exhausted) => {
                self.unread.push_front(path);
                return Err(Stuck);
            }
            Err(error) => {
                self.pass_over(&path, error);
                return Ok(());
            }
        };
        let identity = match file::stat(directory.as_fd()) {
            Ok((_, stamp)) => stamp.identity,
            Err(error) => {
                self.pass_over(&path, OpenError::Other(error));
                return Ok(());
            }
        };
        match self.names.directory(&path) {
            Some(known) if known.identity == identity => return Ok(()),
            Some(_) => {
                self.unread.push_front(Arc::clone(&path));
                self.tasks.push_front(Task::Leave(path));
                return Ok(());
            }
            None => {}
        }
        let watch = self.watch(&directory, tick);
        if let Some(watch) = watch {
            self.watched.entry(watch).or_default().push(Arc::clone(&path));
        }
        self.names.enter(Arc::clone(&path), identity, watch);
        self.reading = Some(Reading { path, directory });
        Ok(())
    }

    fn watch(&mut self, directory: &OwnedFd, tick: u32) -> Option<Watch> {
        if !self.reported {
            return None;
        }
        let watch = match &self.inotify {
            Ok(_) if self.watched.len() >= self.most_watches => Err("no watch is left".to_owned()),
            Ok(inotify) => inotify.watch_names(directory.as_fd()).map_err(|error| words(&error)),
            Err(error) => Err(words(error)),
        };
        let why = match watch {
            Ok(watch) => return Some(watch),
            Err(why) => why,
        };
        // To be told of a part is to be told of nothing: others can use those watches.
        self.reported = false;
        self.retry = tick.saturating_add(RETRY_TICKS);
        for (watch, _) in self.watched.drain() {
            self.inotify.iter().for_each(|inotify| inotify.unwatch(watch));
        }
        if !std::mem::replace(&mut self.told_unreported, true) {
            self.notices.push(Notice::Unreported(why));
        }
        None
    }

    /// Takes in some of the names in a directory.
    fn read_on(&mut self, reading: Reading) -> usize {
        let Upkeep { names, tasks, unread, entries, .. } = self;
        let mut count = 0;
        let path = &reading.path;
        let end = file::entries(reading.directory.as_fd(), entries, |name, kind| {
            count += 1;
            match kind {
                _ if name.starts_with(b".") => {}
                Some(kind @ (Kind::Regular | Kind::Link)) => names.put(path, name, kind),
                Some(Kind::Directory) => unread.push_back(join(path, name).into()),
                Some(Kind::Special) => {}
                None => tasks.push_back(Task::Look(Arc::clone(path), name.into())),
            }
        });
        match end {
            Ok(true) => self.reading = Some(reading),
            Ok(false) => {}
            Err(error) => self.pass_over(&reading.path, OpenError::Other(error)),
        }
        count
    }

    /// Takes in what a name in a directory is now.
    fn look(&mut self, root: &Root, path: Arc<[u8]>, name: Box<[u8]>) -> Result<(), Stuck> {
        if self.names.directory(&path).is_none() {
            return Ok(());
        }
        let found = root.open_directory(&path).and_then(|directory| file::kind_of(directory.as_fd(), &name));
        let child = join(&path, &name);
        let known = self.names.directory(&child).map(|known| known.identity);
        match found {
            Err(OpenError::Exhausted) => {
                self.tasks.push_front(Task::Look(path, name));
                return Err(Stuck);
            }
            Ok((Kind::Directory, identity)) => {
                self.names.take_out(&path, &name);
                if known != Some(identity) {
                    self.unread.push_front(child.into());
                }
                return Ok(());
            }
            Ok((kind @ (Kind::Regular | Kind::Link), _)) => self.names.put(&path, &name, kind),
            Ok((Kind::Special, _)) | Err(OpenError::Missing) => self.names.take_out(&path, &name),
            // The directory itself is not what it was, which its own parent is told.
            Err(_) => return Ok(()),
        }
        if known.is_some() {
            self.tasks.push_front(Task::Leave(child.into()));
        }
        Ok(())
    }

    /// Goes on without a directory that can't be opened: it is gone, or closed to this user, or the disk fails. Nobody
    /// reports when the root can be read again.
    fn pass_over(&mut self, path: &[u8], error: OpenError) {
        let why = match error {
            OpenError::Other(error) => error.to_string(),
            _ if path.is_empty() => "it can't be opened".to_owned(),
            _ => return,
        };
        if path.is_empty() {
            self.reported = false;
            if !std::mem::replace(&mut self.told_unreported, true) {
                self.notices.push(Notice::Unreported(why));
            }
        } else if self.notices.len() < NOTICES {
            self.notices.push(Notice::Unreadable(path.to_vec(), why));
        }
    }

    /// Leaves all, since there are more names than may be held.
    fn give_up(&mut self, tick: u32) {
        self.leave_all();
        self.overfull = Some(tick);
        if !std::mem::replace(&mut self.told_overfull, true) {
            self.notices.push(Notice::TooMany(self.most_names));
        }
    }
}

/// The directory that a path is in, and its name there.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn words(error: &WatchError) -> String {
    match error {
        WatchError::Exhausted => "no watch is left".to_owned(),
        WatchError::Unseen(error) => error.to_string(),
    }
}
