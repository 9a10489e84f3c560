//! The watches of a name index: one for each directory, which reports the names that are added or removed in
//! it.
//!
//! Has an inotify instance of its own: an inode has one watch in an instance, and the watches of the cache
//! have other events and another lifetime. **Invariant:** where a directory can't be watched, no directory
//! is. Watches of a part would not show whether the index is current, and other programs can use them.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sys::inotify::{BUFFER_BYTES, Inotify, WatchError, WatchEvent, WatchId};

/// How long after a failure it is tried again to watch all directories.
const RETRY: Duration = Duration::from_secs(60);

/// So many watches are removed before their events are read. The kernel keeps 16,384 events by default.
const UNREAD_ENDS: usize = 1024;

/// The watches of the directories beneath one root.
pub struct DirectoryWatches {
    /// The instance, or the reason why it could not be started.
    inotify: Result<Inotify, WatchError>,
    max_watches: usize,
    /// The paths of each watched directory. A directory has two if it is mounted twice.
    paths: HashMap<WatchId, Vec<Arc<[u8]>>>,
    reports_all: bool,
    /// When a restart tries to watch again.
    retry: Option<Instant>,
    buffer: Box<[u8]>,
}

/// A change that was reported. The paths are those of the index.
pub enum DirectoryChange<'a> {
    /// This name was added to or removed from the directory at this path, or its attributes changed.
    Name(&'a Arc<[u8]>, &'a [u8]),
    /// The directory at this path is gone or has moved, and is no longer watched.
    Gone(Arc<[u8]>),
    /// Events were lost: any name may have changed.
    Any,
}

impl DirectoryWatches {
    /// At most `max_watches` watches.
    pub fn start(max_watches: usize) -> DirectoryWatches {
        DirectoryWatches {
            inotify: Inotify::start_unsignalled(),
            max_watches,
            paths: HashMap::new(),
            reports_all: true,
            retry: None,
            buffer: vec![0; BUFFER_BYTES].into(),
        }
    }

    /// True while the change of any name is reported.
    pub fn reports_all(&self) -> bool {
        self.reports_all
    }

    /// The root can't be read, and no event tells when it can be read again.
    pub fn miss_changes(&mut self) {
        self.reports_all = false;
    }

    /// What becomes readable with a change, if there is an inotify instance.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().ok().map(AsFd::as_fd)
    }

    /// All directories will be read again: removes all watches, and tries to watch again if the last failure
    /// is old enough.
    pub fn restart(&mut self) {
        self.remove_all();
        self.reports_all = self.retry.is_none_or(|retry| Instant::now() >= retry);
    }

    /// Watches an open directory, the one at `path`. `None` while not all directories can be watched.
    ///
    /// # Errors
    /// Why not, for the log. All watches are removed then.
    pub fn watch(&mut self, directory: &OwnedFd, path: &Arc<[u8]>) -> Result<Option<WatchId>, String> {
        if !self.reports_all {
            return Ok(None);
        }
        let result = match &self.inotify {
            Ok(_) if self.paths.len() >= self.max_watches => Err("no watch is left".to_owned()),
            Ok(inotify) => inotify.watch_names(directory.as_fd()).map_err(|error| reason(&error)),
            Err(error) => Err(reason(error)),
        };
        match result {
            Ok(watch) => self.paths.entry(watch).or_default().push(Arc::clone(path)),
            Err(_) => {
                self.remove_all();
                self.reports_all = false;
                self.retry = Some(Instant::now() + RETRY);
            }
        }
        result.map(Some)
    }

    /// The end of each watch is an event. They are dropped with all that came before, because all directories
    /// are read again: more of them than the kernel keeps would count as lost.
    fn remove_all(&mut self) {
        let DirectoryWatches { inotify, paths, buffer, .. } = self;
        let Ok(inotify) = inotify else { return };
        for (index, (watch, _)) in paths.drain().enumerate() {
            inotify.unwatch(watch);
            if index % UNREAD_ENDS == 0 {
                while inotify.read_events(buffer, |_| {}) {}
            }
        }
        while inotify.read_events(buffer, |_| {}) {}
    }

    /// Removes the watch of the directory at `path`.
    pub fn unwatch(&mut self, path: &Arc<[u8]>, watch: WatchId) {
        let Some(paths) = self.paths.get_mut(&watch) else { return };
        paths.retain(|other| other != path);
        if paths.is_empty() {
            self.paths.remove(&watch);
            self.inotify.iter().for_each(|inotify| inotify.unwatch(watch));
        }
    }

    /// Reads all events and calls `handle` with each change.
    pub fn take_changes(&mut self, mut handle: impl FnMut(DirectoryChange<'_>)) {
        let DirectoryWatches { inotify, paths, buffer, .. } = self;
        let Ok(inotify) = inotify else { return };
        let mut handle_event = |event: WatchEvent<'_>| match event {
            WatchEvent::NameChanged(watch, name) => {
                for path in paths.get(&watch).into_iter().flatten() {
                    handle(DirectoryChange::Name(path, name));
                }
            }
            // Its parent reports the same change under its name.
            WatchEvent::Changed(_) => {}
            WatchEvent::Ended(watch) => {
                for path in paths.remove(&watch).into_iter().flatten() {
                    handle(DirectoryChange::Gone(path));
                }
            }
            WatchEvent::Overflow => handle(DirectoryChange::Any),
        };
        while inotify.read_events(buffer, &mut handle_event) {}
    }
}

fn reason(error: &WatchError) -> String {
    match error {
        WatchError::Exhausted => "no watch is left".to_owned(),
        WatchError::Unsupported(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn the_removal_of_more_watches_than_the_kernel_keeps_events_loses_none() {
        let events = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
        let count = events.trim().parse::<usize>().unwrap() + 100;
        let top = std::env::temp_dir().join(format!("directory-watches-{}", std::process::id()));
        let mut watches = DirectoryWatches::start(count);
        for path in (0..count).map(|number| number.to_string()) {
            fs::create_dir_all(top.join(&path)).unwrap();
            let directory = File::open(top.join(&path)).unwrap().into();
            // Where there are too few watches nothing can be lost.
            let _ = watches.watch(&directory, &path.into_bytes().into());
        }
        watches.restart();
        let mut lost = false;
        watches.take_changes(|change| lost |= matches!(change, DirectoryChange::Any));
        fs::remove_dir_all(top).unwrap();
        assert!(!lost);
    }
}
