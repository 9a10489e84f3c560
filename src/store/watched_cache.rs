//! The cache together with the watches that tell which of its entries are fresh.
//!
//! **Invariant:** an entry that leaves the cache gives up the watches that only it needed. So entries are put
//! in and taken out only here.

use std::sync::Arc;

use crate::config::Settings;
use crate::store::cache::{Cache, Cached, Key};
use crate::store::entry::Entry;
use crate::store::freshness::{ChangedEntries, Freshness, WatchTarget, Watches};
use crate::time::{Now, TICK_MS};

/// How old a stale entry may be that is served because descriptors or memory have run out: 10 s since its
/// path was last opened. Without a bound, a file that was replaced, removed or forbidden would still be
/// served.
const STALE_TICKS: u32 = 10_000 / TICK_MS;

/// How long an entry is kept without a request after it has to be opened again: a minute.
const UNUSED_TICKS: u32 = 60 * 1000 / TICK_MS;

/// How long a file stays open in the cache without a use: half a second, so that it is closed within a second
/// of the last request, and can be deleted or unmounted.
const OPEN_TICKS: u32 = 500 / TICK_MS;

/// The most files that one call closes, which takes about a millisecond.
const CLOSED_AT_ONCE: usize = 256;

/// A cache whose entries are watched.
pub struct WatchedCache {
    cache: Cache,
    watches: Watches,
}

impl WatchedCache {
    /// An empty cache of these settings. Nothing is watched before [`WatchedCache::watch_changes`].
    pub fn new(settings: &Settings, valid_ticks: u32) -> WatchedCache {
        // The start has set both.
        let cache = Cache::new(settings.cache_entries.unwrap_or(1), settings.cache_size.unwrap_or(0));
        WatchedCache { cache, watches: Watches::new(valid_ticks) }
    }

    /// Has changes reported to the calling thread, by at most `max_watches` watches. See [`Watches::start`].
    ///
    /// # Errors
    /// Why changes can't be reported here.
    pub fn watch_changes(&mut self, max_watches: usize) -> Result<(), String> {
        self.watches.start(max_watches.min(self.cache.most_watches()))
    }

    /// Removes the entries that have changed.
    #[inline]
    pub fn drop_changed(&mut self) {
        if let Some(changed) = self.watches.changed() {
            self.remove_changed(changed);
        }
    }

    #[cold]
    fn remove_changed(&mut self, changed: ChangedEntries) {
        if changed.all {
            self.clear();
        }
        for key in changed.keys {
            self.remove(&key);
        }
    }

    /// The entry of `key`, whether it is fresh or not.
    #[inline(always)]
    pub fn lookup(&mut self, key: Key<'_>) -> Option<&mut Cached> {
        self.cache.lookup(key)
    }

    /// The entry of `key`, if it may be served without opening its path.
    #[inline(always)]
    pub fn fresh(&mut self, key: Key<'_>, now: Now) -> Option<Arc<Entry>> {
        let cached = self.cache.lookup(key)?;
        let age = now.tick.wrapping_sub(cached.entry.checked());
        if !self.watches.is_fresh(&cached.freshness, age) {
            return None;
        }
        cached.entry.use_intact(now)
    }

    /// The stale entry of `key`, to serve while its path can't be opened. `None` if the path was last opened
    /// more than 10 s ago.
    pub fn stale(&mut self, key: Key<'_>, now: Now) -> Option<Arc<Entry>> {
        let cached = self.cache.lookup(key)?;
        let age = now.tick.wrapping_sub(cached.entry.checked());
        if age < STALE_TICKS { cached.entry.use_intact(now) } else { None }
    }

    /// Watches a file that was just opened, and the path to it.
    pub fn watch(&mut self, target: &WatchTarget<'_>, now: Now) -> Freshness {
        self.watches.watch(target, now.tick)
    }

    /// Removes the watches of a file that does not get into the cache.
    pub fn unwatch(&mut self, freshness: &Option<Freshness>) {
        freshness.iter().for_each(|freshness| self.watches.unwatch(freshness));
    }

    /// Adds an entry. The entries that it displaces are no longer watched.
    pub fn insert(&mut self, key: Key<'_>, cached: Cached) {
        let WatchedCache { cache, watches } = self;
        cache.insert(key.path, cached, |left| watches.unwatch(&left.freshness));
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, path: &[u8]) {
        if let Some(cached) = self.cache.remove(path) {
            self.watches.unwatch(&cached.freshness);
        }
    }

    /// Removes the entries of files beneath a root.
    pub fn remove_of_root(&mut self, root: usize) {
        let WatchedCache { cache, watches } = self;
        cache.remove_of_root(root, |cached| watches.unwatch(&cached.freshness));
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        let WatchedCache { cache, watches } = self;
        cache.clear(|cached| watches.unwatch(&cached.freshness));
    }

    /// Removes the entries that hold a file open.
    pub fn close_files(&mut self) {
        let WatchedCache { cache, watches } = self;
        cache.close_all(|cached| watches.unwatch(&cached.freshness));
    }

    /// Closes files that have not been used for half a second; true if there are more. A deleted file takes
    /// space while it is open.
    pub fn close_unused(&mut self, now: Now) -> bool {
        let WatchedCache { cache, watches } = self;
        cache
            .close_unused((OPEN_TICKS, now.tick), CLOSED_AT_ONCE, |cached| watches.unwatch(&cached.freshness))
    }

    /// Removes entries that no request has used for a minute, a part of them in each call.
    pub fn sweep(&mut self, now: Now) {
        let max_age = self.watches.max_age().saturating_add(UNUSED_TICKS);
        let WatchedCache { cache, watches } = self;
        cache.sweep(now.tick.saturating_sub(max_age), |cached| watches.unwatch(&cached.freshness));
    }

    /// Number of entries.
    pub fn entry_count(&self) -> usize {
        self.cache.len()
    }

    /// Number of watches.
    pub fn watch_count(&self) -> usize {
        self.watches.count()
    }

    /// True once in the life of the worker: in the first call after watches ran out.
    pub fn take_watch_shortage(&mut self) -> bool {
        self.watches.take_shortage()
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::SystemTime;

    use super::*;
    use crate::store::description::Description;
    use crate::store::open_file::OpenFile;
    use crate::store::open_forms::OpenForms;
    use crate::sys::file;
    use crate::sys::filesystem::FileSystemClass;

    const KEY: Key<'_> = Key { path: b"a", is_directory: false };

    #[test]
    fn an_entry_that_can_not_be_checked_is_served_for_ten_seconds() {
        let mut cache = cache_with_long_file(at(100));
        assert!(cache.stale(KEY, at(199)).is_some());
        assert!(cache.stale(KEY, at(200)).is_none());
    }

    #[test]
    fn a_long_file_is_closed_within_a_second_of_its_last_use() {
        let mut cache = cache_with_long_file(at(100));
        assert!(cache.stale(KEY, at(103)).is_some());
        assert!(!cache.close_unused(at(105)));
        assert_eq!(cache.entry_count(), 1);
        assert!(!cache.close_unused(at(112)));
        assert_eq!(cache.entry_count(), 0);
    }

    fn at(tick: u32) -> Now {
        Now { tick, wall: SystemTime::UNIX_EPOCH }
    }

    /// A cache with one file, this program's, which was opened at that time.
    fn cache_with_long_file(now: Now) -> WatchedCache {
        let settings = Settings { cache_entries: Some(10), ..Settings::default() };
        let mut cache = WatchedCache::new(&settings, 10);
        let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        let (_, stamp) = file::stat(file.as_fd()).unwrap();
        let open = OpenFile { file, stamp, class: FileSystemClass::Memory };
        let entry = Arc::new(Entry::load(OpenForms::alone(open), Description::of_text(now)).unwrap());
        cache.insert(KEY, Cached { entry, freshness: Freshness::Unwatched, checks: 0 });
        cache
    }
}
