//! The entries that a worker keeps ready, by key: the least recently used leave first.
//!
//! There are two bounds: bytes for content in memory, and a number for files that are held open. So a site of
//! many small files needs few descriptors, and large files don't evict small ones. The variants of an entry
//! count as well.
//!
//! Opens nothing and knows no clock. **Invariant:** a path is either a directory or a file at any time, so
//! one key serves for `/x` and `/x/`; `Entry::is_index` tells which of the two it answers.

use std::sync::Arc;

use lru::LruCache;

use crate::http::target::SitePath;
use crate::store::entry::Entry;
use crate::store::freshness::Freshness;

/// Bytes of memory that an entry, or a variant, takes beside its content: its key, fields, validators and
/// watches. Measured at 0.8 to 1 KiB.
const OVERHEAD: u64 = 1024;

/// Inotify watches that an entry, or a variant, may need: its file, and some directories and links on its
/// path.
const WATCHES: usize = 4;

/// The most entries that one sweep removes. Each may have watches to remove, which takes system calls.
const SWEPT: usize = 4096;

/// What an entry is looked up by.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// A site path, or for files found by name bytes that no site path can be.
    pub path: &'a [u8],
    /// True if a directory was requested.
    pub is_directory: bool,
}

impl<'a> From<&'a SitePath<'_>> for Key<'a> {
    fn from(path: &'a SitePath<'_>) -> Key<'a> {
        Key { path: path.as_bytes(), is_directory: path.is_directory() }
    }
}

/// A bounded map of key to entry.
pub struct Cache {
    /// Entries with all of their content in memory.
    small: LruCache<Box<[u8]>, Cached>,
    /// Entries that hold a file open, for themselves or for a variant.
    large: LruCache<Box<[u8]>, Cached>,
    /// What all entries take.
    used: Weight,
    /// What they may take.
    most: Weight,
}

/// What entries take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    /// Bytes of memory, but for entries whose content is in a file.
    bytes: u64,
    /// Open files.
    open: usize,
}

/// What is kept for a key.
#[derive(Debug)]
pub struct Cached {
    /// The entry.
    pub entry: Arc<Entry>,
    /// How changes of its file are detected.
    pub freshness: Freshness,
    /// How often its path was opened again.
    pub checks: u32,
}

impl Cache {
    /// A cache of at most `max_open` open files, at least one, and of `max_bytes` of content in memory.
    pub fn new(max_open: usize, max_bytes: u64) -> Cache {
        Cache {
            small: LruCache::unbounded(),
            large: LruCache::unbounded(),
            used: Weight::default(),
            most: Weight { bytes: max_bytes, open: max_open.max(1) },
        }
    }

    /// Inotify watches that a full cache may need.
    pub fn most_watches(&self) -> usize {
        let small = usize::try_from(self.most.bytes / OVERHEAD).unwrap_or(usize::MAX);
        self.most.open.saturating_add(small).saturating_mul(WATCHES)
    }

    /// What is kept for a path; it becomes the most recently used.
    pub fn get(&mut self, path: &[u8]) -> Option<&mut Cached> {
        if let Some(cached) = self.small.get_mut(path) {
            return Some(cached);
        }
        self.large.get_mut(path)
    }

    /// What is kept for a key: `/x` and `/x/` have one path, but only one of them has the entry.
    #[inline(always)]
    pub fn lookup(&mut self, key: Key<'_>) -> Option<&mut Cached> {
        self.get(key.path).filter(|cached| cached.entry.is_index == key.is_directory)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.small.len() + self.large.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry and removes the least recently used until the bounds hold. An entry that alone exceeds
    /// them is not kept. `left` gets what is removed.
    pub fn insert(&mut self, path: &[u8], cached: Cached, mut left: impl FnMut(Cached)) {
        self.remove(path).into_iter().for_each(&mut left);
        let weight = cached.weight();
        if weight.bytes > self.most.bytes || weight.open > self.most.open {
            return left(cached);
        }
        self.used.bytes += weight.bytes;
        self.used.open += weight.open;
        let entries = if weight.open > 0 { &mut self.large } else { &mut self.small };
        entries.push(path.into(), cached);
        while self.used.open > self.most.open
            && let Some((_, cached)) = self.large.pop_lru()
        {
            self.used.subtract(cached.weight());
            left(cached);
        }
        while self.used.bytes > self.most.bytes {
            // The last one may be the new one.
            let has_other = self.small.len() > usize::from(weight.open == 0);
            let entries = if has_other { &mut self.small } else { &mut self.large };
            let Some((_, cached)) = entries.pop_lru() else { break };
            self.used.subtract(cached.weight());
            left(cached);
        }
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, path: &[u8]) -> Option<Cached> {
        let cached = self.small.pop(path).or_else(|| self.large.pop(path))?;
        self.used.subtract(cached.weight());
        Some(cached)
    }

    /// Removes entries that hold a file open and have not been used for more than `idle` ticks; at most
    /// `most`, and true if there may be more. An open file keeps the space of a deleted one, and its file
    /// system can't be unmounted. A file that is being sent stays: it is open in any case, and the next
    /// request can use it too. `left` gets the entries.
    pub fn close_unused(
        &mut self,
        (idle, tick): (u32, u32),
        most: usize,
        mut left: impl FnMut(Cached),
    ) -> bool {
        for _ in 0..most {
            let is_idle = |cached: &Cached| tick.saturating_sub(cached.entry.used()) > idle;
            if !self.large.peek_lru().is_some_and(|(_, cached)| is_idle(cached)) {
                return false;
            }
            let Some((path, cached)) = self.large.pop_lru() else { return false };
            if cached.is_sent() {
                cached.entry.note_use(tick);
                self.large.push(path, cached);
            } else {
                self.used.subtract(cached.weight());
                left(cached);
            }
        }
        true
    }

    /// Removes all entries that hold a file open; `left` gets them.
    pub fn close_all(&mut self, mut left: impl FnMut(Cached)) {
        while let Some((_, cached)) = self.large.pop_lru() {
            self.used.subtract(cached.weight());
            left(cached);
        }
    }

    /// Removes entries whose path was last opened before tick `before`; `left` gets them. Removes a part at a
    /// time, so that no client waits for all of a large site.
    pub fn sweep(&mut self, before: u32, mut left: impl FnMut(Cached)) {
        let mut most = SWEPT;
        for entries in [&mut self.small, &mut self.large] {
            while most > 0
                && let Some((_, cached)) = entries.peek_lru()
                && cached.entry.checked() < before
                && let Some((_, cached)) = entries.pop_lru()
            {
                most -= 1;
                self.used.subtract(cached.weight());
                left(cached);
            }
        }
    }

    /// Removes the entries of files beneath a root; `left` gets them.
    pub fn remove_of_root(&mut self, root: usize, mut left: impl FnMut(Cached)) {
        for entries in [&mut self.small, &mut self.large] {
            let of_root = entries.iter().filter(|(_, cached)| cached.entry.root == root);
            let paths: Vec<_> = of_root.map(|(path, _)| path.clone()).collect();
            for cached in paths.iter().filter_map(|path| entries.pop(path)) {
                self.used.subtract(cached.weight());
                left(cached);
            }
        }
    }

    /// Removes all entries; `left` gets them.
    pub fn clear(&mut self, mut left: impl FnMut(Cached)) {
        self.used = Weight::default();
        for entries in [&mut self.small, &mut self.large] {
            while let Some((_, cached)) = entries.pop_lru() {
                left(cached);
            }
        }
    }
}

impl Cached {
    /// What an entry takes with its variants.
    fn weight(&self) -> Weight {
        let mut weight = Weight::default();
        for form in self.forms() {
            match form.in_memory() {
                Some(bytes) => weight.bytes += bytes.len() as u64 + OVERHEAD,
                None => weight.open += 1,
            }
        }
        weight
    }

    /// True if the entry or a variant is being sent.
    fn is_sent(&self) -> bool {
        self.forms().any(|form| Arc::strong_count(form) > 1)
    }

    fn forms(&self) -> impl Iterator<Item = &Arc<Entry>> {
        std::iter::once(&self.entry).chain(&self.entry.variants)
    }
}

impl Weight {
    fn subtract(&mut self, other: Weight) {
        self.bytes -= other.bytes;
        self.open -= other.open;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};
    use std::time::SystemTime;

    use super::*;
    use crate::store::description::Description;
    use crate::store::directory::FilePath;
    use crate::store::open;
    use crate::store::open_file::OpenFile;
    use crate::store::open_forms::OpenForms;
    use crate::sys::file;
    use crate::sys::filesystem::FileSystemClass;
    use crate::time::Now;

    fn small(size: usize) -> Cached {
        small_of(size, 0)
    }

    fn small_of(size: usize, tick: u32) -> Cached {
        let now = Now { tick, wall: SystemTime::UNIX_EPOCH };
        let entry = Arc::new(Entry::built_in(&vec![b'x'; size], "text/plain", false, now));
        Cached { entry, freshness: Freshness::Unwatched, checks: 0 }
    }

    /// An entry that holds a file open: this program's, which is long.
    fn large() -> Cached {
        large_of(0)
    }

    /// Likewise, beneath the root of this number.
    fn large_of(root: usize) -> Cached {
        let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap());
        let (_, stamp) = file::stat(file.as_fd()).unwrap();
        let now = Now { tick: 0, wall: SystemTime::UNIX_EPOCH };
        let open = OpenFile { file, stamp, class: FileSystemClass::Memory };
        let description = Description { root, ..Description::of_text(now) };
        let entry = Arc::new(Entry::load(OpenForms::alone(open), description).unwrap());
        assert!(entry.file().is_some());
        Cached { entry, freshness: Freshness::Unwatched, checks: 0 }
    }

    #[test]
    fn entries_of_one_root_leave_and_the_others_stay() {
        let mut cache = Cache::new(10, 10_000);
        for (path, root) in [("a", 0), ("b", 1), ("c", 1)] {
            cache.insert(path.as_bytes(), large_of(root), |_| panic!("one left"));
        }
        cache.insert(b"d", small(10), |_| panic!("one left"));
        let mut left = 0;
        cache.remove_of_root(1, |cached| left += cached.entry.root);
        assert_eq!((left, cache.len(), cache.used.open), (2, 2, 1));
        assert!(cache.get(b"a").is_some() && cache.get(b"d").is_some() && cache.get(b"b").is_none());
        cache.remove_of_root(0, |_| {});
        assert_eq!((cache.len(), cache.used), (0, Weight::default()));
    }

    /// An entry of a file of 100 bytes with a variant of 50 bytes and a long one.
    fn varied(name: &str) -> Cached {
        let place = std::env::temp_dir().join(format!("mayhttpd-cache-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        for (file, length) in [("a", 100), ("a.br", 50), ("a.gz", 70_000)] {
            std::fs::write(place.join(file), vec![b'x'; length]).unwrap();
        }
        let path = FilePath { path: b"a", index: None, links: file::LinkPolicy::Inside };
        let open = open::open(&file::Root::open(&place).unwrap(), &path, true).unwrap();
        std::fs::remove_dir_all(&place).unwrap();
        let now = Now { tick: 0, wall: SystemTime::UNIX_EPOCH };
        let description = Description { with_variants: true, ..Description::of_text(now) };
        let entry = Arc::new(Entry::load(open, description).unwrap());
        assert_eq!(entry.variants.len(), 2);
        Cached { entry, freshness: Freshness::Unwatched, checks: 0 }
    }

    /// A cache for so many bytes of content in so many entries.
    fn cache(entries: u64, bytes: u64) -> Cache {
        Cache::new(2, entries * OVERHEAD + bytes)
    }

    /// Adds an entry; returns how many that removed.
    fn insert(cache: &mut Cache, path: &[u8], cached: Cached) -> usize {
        let mut left = 0;
        cache.insert(path, cached, |_| left += 1);
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
        assert_eq!((cache.len(), cache.used.bytes), (3, OVERHEAD));
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
        assert_eq!(cache.used.bytes, 8 + 2 * OVERHEAD);
    }

    #[test]
    fn variants_count_in_memory_and_in_files() {
        let mut cache = cache(5, 200);
        insert(&mut cache, b"varied", varied("counted"));
        assert_eq!(cache.used, Weight { bytes: 150 + 2 * OVERHEAD, open: 1 });
        insert(&mut cache, b"large", large());
        assert_eq!(insert(&mut cache, b"next", large()), 1, "three files would be open");
        assert!(cache.get(b"varied").is_none());
        assert_eq!(cache.used, Weight { bytes: 0, open: 2 });
        insert(&mut cache, b"varied", varied("evicted"));
        insert(&mut cache, b"small", small(50));
        assert_eq!(insert(&mut cache, b"other", small(2 * OVERHEAD as usize + 1)), 1);
        assert!(cache.get(b"small").is_none(), "what is in memory alone leaves first");
        assert_eq!(insert(&mut cache, b"other", small(4 * OVERHEAD as usize + 100)), 3, "all but itself");
        assert_eq!(cache.used, Weight { bytes: 5 * OVERHEAD + 100, open: 0 });
    }

    #[test]
    fn an_entry_stays_as_long_as_a_variant_of_it_is_sent() {
        let mut cache = cache(5, 200);
        let cached = varied("sent");
        let sent = Arc::clone(&cached.entry.variants[1]);
        insert(&mut cache, b"varied", cached);
        cache.close_unused((5, 6), 9, |_| panic!("it is being sent"));
        drop(sent);
        let mut left = 0;
        cache.close_unused((5, 12), 9, |_| left += 1);
        assert_eq!((left, cache.len(), cache.used), (1, 0, Weight::default()));
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
        assert_eq!((cache.len(), cache.used.bytes), (1, 0));
        assert_eq!(insert(&mut cache, b"a", small(4)), 1);
        assert_eq!((cache.len(), cache.used.bytes), (1, 4 + OVERHEAD));
    }

    #[test]
    fn entries_without_requests_leave() {
        let mut cache = cache(4, 100);
        insert(&mut cache, b"old", small_of(1, 10));
        insert(&mut cache, b"new", small_of(1, 50));
        insert(&mut cache, b"large", large());
        cache.sweep(0, |_| panic!("none is old enough"));
        let mut left = 0;
        cache.sweep(50, |_| left += 1);
        assert_eq!((left, cache.len(), cache.used.bytes), (2, 1, 1 + OVERHEAD));
        assert!(cache.get(b"new").is_some());
    }

    #[test]
    fn open_files_that_are_not_used_are_closed_a_few_at_a_time() {
        let mut cache = Cache::new(8, 100 * OVERHEAD);
        insert(&mut cache, b"small", small(1));
        let sent = large();
        let in_use = Arc::clone(&sent.entry);
        insert(&mut cache, b"sent", sent);
        for path in [b"a", b"b", b"c"] {
            insert(&mut cache, path, large());
        }
        insert(&mut cache, b"used", large());
        cache.get(b"used").unwrap().entry.note_use(4);
        let close = |cache: &mut Cache, tick, most| {
            let mut left = 0;
            let more = cache.close_unused((5, tick), most, |_| left += 1);
            (left, more)
        };
        assert_eq!(close(&mut cache, 5, 9), (0, false), "none has been idle for long enough");
        assert_eq!(close(&mut cache, 6, 3), (2, true), "the one that is sent counts as one of them");
        assert_eq!(close(&mut cache, 6, 3), (1, false));
        assert!(cache.get(b"used").is_some() && cache.get(b"small").is_some());
        assert!(cache.get(b"sent").is_some());
        drop(in_use);
        assert_eq!(close(&mut cache, 11, 9), (1, false), "that one was last used at tick 4");
        assert_eq!(close(&mut cache, 12, 9), (1, false), "this one was being sent at tick 6");
        assert_eq!((cache.len(), cache.used.bytes), (1, 1 + OVERHEAD));
    }

    #[test]
    fn replacing_and_removing_keep_the_count_of_bytes() {
        let mut cache = cache(1, 100);
        insert(&mut cache, b"a", small(40));
        insert(&mut cache, b"a", small(7));
        assert_eq!(cache.used.bytes, 7 + OVERHEAD);
        assert_eq!(insert(&mut cache, b"big", small(101)), 1, "itself");
        assert!(cache.get(b"big").is_none());
        assert!(cache.remove(b"a").is_some() && cache.remove(b"a").is_none());
        assert_eq!(cache.used.bytes, 0);
    }

    #[test]
    fn each_entry_that_leaves_is_handed_out() {
        let mut cache = cache(4, 0);
        assert_eq!(insert(&mut cache, b"a", small(0)), 0);
        assert_eq!(insert(&mut cache, b"a", small(0)), 1, "its predecessor");
        assert_eq!(insert(&mut cache, b"b", large()), 0);
        let mut left = 0;
        cache.clear(|_| left += 1);
        assert_eq!((left, cache.len(), cache.used.bytes), (2, 0, 0));
    }
}
