//! The entries that a worker keeps ready, by site path: the least recently used leave first.
//!
//! Two bounds hold, each for its own kind: memory for the entries that have their content there, and a number for those
//! that hold a file open. So a site of many small files needs no descriptor for each, and large files don't push them out.
//!
//! Opens nothing and knows no clock. The subtle rule: a path is either a directory or a file at any time, so one key
//! serves for `/x` and `/x/`, and `Entry::is_index` tells which of the two it answers.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::entry::Entry;
use super::watch::Sight;
use crate::http::target::SitePath;

/// What an entry takes in memory beside its content, in bytes: its key, fields and validators, and what is known of its
/// watches. Measured at 0.8 to 1 KiB.
const OVERHEAD: u64 = 1024;

/// Inotify watches that an entry may need: its file, and some directories and links on the way.
const WATCHES: usize = 4;

/// Under what an entry is kept.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// A site path, or what no site path can be.
    pub path: &'a [u8],
    /// Whether a directory was asked for.
    pub is_directory: bool,
}

impl<'a> From<&'a SitePath<'_>> for Key<'a> {
    fn from(path: &'a SitePath<'_>) -> Key<'a> {
        Key { path: path.as_bytes(), is_directory: path.is_directory() }
    }
}

/// A bounded map of site path to entry.
pub struct Cache {
    /// Entries with their content in memory.
    small: LruCache<Box<[u8]>, Slot>,
    /// Entries that hold a file open.
    large: LruCache<Box<[u8]>, Slot>,
    /// What the small ones take.
    bytes: u64,
    max_bytes: u64,
}

/// What is kept for a path.
#[derive(Debug)]
pub struct Slot {
    /// What is served.
    pub entry: Arc<Entry>,
    /// How it is known to be what the path leads to.
    pub sight: Sight,
    /// How often the path was looked at again.
    pub looks: u32,
}

impl Cache {
    /// A cache of at most `max_open` entries that hold a file open, and of others that take at most `max_bytes` bytes.
    pub fn new(max_open: usize, max_bytes: u64) -> Cache {
        let capacity = NonZeroUsize::new(max_open).unwrap_or(NonZeroUsize::MIN);
        Cache { small: LruCache::unbounded(), large: LruCache::new(capacity), bytes: 0, max_bytes }
    }

    /// Inotify watches that a full cache may need.
    pub fn most_watches(&self) -> usize {
        let small = usize::try_from(self.max_bytes / OVERHEAD).unwrap_or(usize::MAX);
        self.large.cap().get().saturating_add(small).saturating_mul(WATCHES)
    }

    /// What is kept for a path, which becomes the most recently used.
    pub fn get(&mut self, path: &[u8]) -> Option<&mut Slot> {
        if let Some(slot) = self.small.get_mut(path) {
            return Some(slot);
        }
        self.large.get_mut(path)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an entry in, and the least recently used out until the bounds hold. One that alone exceeds the bytes is
    /// not kept. `left` is given what is out.
    pub fn insert(&mut self, path: &[u8], slot: Slot, mut left: impl FnMut(Slot)) {
        self.remove(path).into_iter().for_each(&mut left);
        let Some(weight) = slot.weight() else {
            self.large.push(path.into(), slot).into_iter().for_each(|(_, slot)| left(slot));
            return;
        };
        if weight > self.max_bytes {
            return left(slot);
        }
        self.bytes += weight;
        self.small.push(path.into(), slot);
        while self.bytes > self.max_bytes
            && let Some((_, slot)) = self.small.pop_lru()
        {
            self.bytes -= slot.weight().unwrap_or(0);
            left(slot);
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, path: &[u8]) -> Option<Slot> {
        let slot = self.small.pop(path).or_else(|| self.large.pop(path))?;
        self.bytes -= slot.weight().unwrap_or(0);
        Some(slot)
    }

    /// Takes out the entries that were last confirmed before tick `before`: nobody asks for them, and one may hold open
    /// a file that is deleted, whose space the disk can't reuse until then. `left` is given them.
    pub fn sweep(&mut self, before: u32, mut left: impl FnMut(Slot)) {
        for entries in [&mut self.small, &mut self.large] {
            while let Some((_, slot)) = entries.peek_lru()
                && slot.entry.checked() < before
                && let Some((_, slot)) = entries.pop_lru()
            {
                self.bytes -= slot.weight().unwrap_or(0);
                left(slot);
            }
        }
    }

    /// Takes all out, and gives them to `left`.
    pub fn clear(&mut self, mut left: impl FnMut(Slot)) {
        self.bytes = 0;
        for entries in [&mut self.small, &mut self.large] {
            while let Some((_, slot)) = entries.pop_lru() {
                left(slot);
            }
        }
    }
}

impl Slot {
    /// The bytes of memory that an entry takes with its content; `None` where that is an open file.
    fn weight(&self) -> Option<u64> {
        self.entry.in_memory().map(|bytes| bytes.len() as u64 + OVERHEAD)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::SystemTime;

    use super::super::Now;
    use super::*;
    use crate::sys::file;

    fn small(size: usize) -> Slot {
        small_of(size, 0)
    }

    fn small_of(size: usize, tick: u32) -> Slot {
        let now = Now { tick, wall: SystemTime::UNIX_EPOCH };
        let entry = Arc::new(Entry::built_in(&vec![b'x'; size], "text/plain", false, now));
        Slot { entry, sight: Sight::Unwatched, looks: 0 }
    }

    /// One that holds a file open: this program's, which is long.
    fn large() -> Slot {
        let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        let (_, stamp) = file::stat(file.as_fd()).unwrap();
        let now = Now { tick: 0, wall: SystemTime::UNIX_EPOCH };
        let entry = Arc::new(Entry::load(file, stamp, b"exe", false, now).unwrap());
        assert!(entry.file().is_some());
        Slot { entry, sight: Sight::Unwatched, looks: 0 }
    }

    /// A cache for so many bytes of content in so many entries.
    fn cache(entries: u64, bytes: u64) -> Cache {
        Cache::new(2, entries * OVERHEAD + bytes)
    }

    /// Puts one in; how many that put out.
    fn insert(cache: &mut Cache, path: &[u8], slot: Slot) -> usize {
        let mut left = 0;
        cache.insert(path, slot, |_| left += 1);
        left
    }

    #[test]
    fn the_least_recently_used_leaves_when_descriptors_run_out() {
        let mut cache = cache(1, 0);
        insert(&mut cache, b"small", small(0));
        insert(&mut cache, b"a", large());
        insert(&mut cache, b"b", large());
        assert!(cache.get(b"a").is_some());
        assert_eq!(insert(&mut cache, b"c", large()), 1);
        assert!(cache.get(b"a").is_some() && cache.get(b"c").is_some() && cache.get(b"small").is_some());
        assert!(cache.get(b"b").is_none());
        assert_eq!((cache.len(), cache.bytes), (3, OVERHEAD));
    }

    #[test]
    fn the_least_recently_used_leave_when_bytes_run_out() {
        let mut cache = cache(2, 10);
        insert(&mut cache, b"large", large());
        insert(&mut cache, b"a", small(4));
        insert(&mut cache, b"b", small(4));
        assert_eq!(insert(&mut cache, b"c", small(8 + OVERHEAD as usize)), 2);
        assert!(cache.get(b"a").is_none() && cache.get(b"b").is_none() && cache.get(b"c").is_some());
        assert!(cache.get(b"large").is_some());
        assert_eq!(cache.bytes, 8 + 2 * OVERHEAD);
    }

    #[test]
    fn many_small_ones_need_no_descriptor() {
        let mut cache = cache(100, 0);
        let left: usize = (0..101_u32).map(|n| insert(&mut cache, &n.to_ne_bytes(), small(0))).sum();
        assert_eq!((left, cache.len()), (1, 100));
    }

    #[test]
    fn an_entry_may_change_its_kind() {
        let mut cache = cache(2, 100);
        insert(&mut cache, b"a", small(4));
        assert_eq!(insert(&mut cache, b"a", large()), 1);
        assert_eq!((cache.len(), cache.bytes), (1, 0));
        assert_eq!(insert(&mut cache, b"a", small(4)), 1);
        assert_eq!((cache.len(), cache.bytes), (1, 4 + OVERHEAD));
    }

    #[test]
    fn entries_that_nobody_asks_for_leave() {
        let mut cache = cache(4, 100);
        insert(&mut cache, b"old", small_of(1, 10));
        insert(&mut cache, b"new", small_of(1, 50));
        insert(&mut cache, b"large", large());
        cache.sweep(0, |_| panic!("none is old enough"));
        let mut left = 0;
        cache.sweep(50, |_| left += 1);
        assert_eq!((left, cache.len(), cache.bytes), (2, 1, 1 + OVERHEAD));
        assert!(cache.get(b"new").is_some());
    }

    #[test]
    fn replacing_and_removing_keep_the_count_of_bytes() {
        let mut cache = cache(1, 100);
        insert(&mut cache, b"a", small(40));
        insert(&mut cache, b"a", small(7));
        assert_eq!(cache.bytes, 7 + OVERHEAD);
        assert_eq!(insert(&mut cache, b"big", small(101)), 1, "itself");
        assert!(cache.get(b"big").is_none());
        assert!(cache.remove(b"a").is_some() && cache.remove(b"a").is_none());
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn whatever_leaves_is_handed_out() {
        let mut cache = cache(4, 0);
        assert_eq!(insert(&mut cache, b"a", small(0)), 0);
        assert_eq!(insert(&mut cache, b"a", small(0)), 1, "its predecessor");
        assert_eq!(insert(&mut cache, b"b", large()), 0);
        let mut left = 0;
        cache.clear(|_| left += 1);
        assert_eq!((left, cache.len(), cache.bytes), (2, 0, 0));
    }
}
