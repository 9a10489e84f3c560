//! The entries that a worker keeps ready, by site path: bounded in number and in bytes, least recently used out first.
//!
//! Opens nothing and knows no clock. The subtle rule: a path is either a directory or a file at any time, so one key
//! serves for `/x` and `/x/`, and `Entry::is_index` tells which of the two it answers.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::entry::Entry;

/// A bounded map of site path to entry.
pub struct Cache {
    entries: LruCache<Box<[u8]>, Arc<Entry>>,
    bytes: u64,
    max_bytes: u64,
}

impl Cache {
    /// A cache of at most `max_entries` entries that hold at most `max_bytes` bytes of content in memory.
    pub fn new(max_entries: usize, max_bytes: u64) -> Cache {
        let capacity = NonZeroUsize::new(max_entries).unwrap_or(NonZeroUsize::MIN);
        Cache { entries: LruCache::new(capacity), bytes: 0, max_bytes }
    }

    /// The entry for a path, which becomes the most recently used.
    pub fn get(&mut self, path: &[u8]) -> Option<&Arc<Entry>> {
        self.entries.get(path)
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts an entry in, and the least recently used out until the bounds hold. One that alone exceeds the bytes is
    /// not kept.
    pub fn insert(&mut self, path: &[u8], entry: Arc<Entry>) {
        let weight = weight(&entry);
        self.remove(path);
        if weight > self.max_bytes {
            return;
        }
        self.bytes += weight;
        if let Some((_, evicted)) = self.entries.push(path.into(), entry) {
            self.bytes -= self::weight(&evicted);
        }
        while self.bytes > self.max_bytes {
            let Some((_, evicted)) = self.entries.pop_lru() else { break };
            self.bytes -= self::weight(&evicted);
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, path: &[u8]) {
        if let Some(entry) = self.entries.pop(path) {
            self.bytes -= weight(&entry);
        }
    }

    /// Takes out the entries that were last confirmed before tick `before`: nobody asks for them, and one may hold open
    /// a file that is deleted, whose space the disk can't reuse until then.
    pub fn sweep(&mut self, before: u32) {
        while let Some((_, entry)) = self.entries.peek_lru()
            && entry.checked() < before
        {
            let Some((_, entry)) = self.entries.pop_lru() else { break };
            self.bytes -= weight(&entry);
        }
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// The bytes of memory that an entry's content takes; a descriptor takes none worth counting.
fn weight(entry: &Entry) -> u64 {
    entry.in_memory().map_or(0, |bytes| bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::Now;
    use super::*;

    fn entry(size: usize) -> Arc<Entry> {
        let now = Now { tick: 0, wall: SystemTime::UNIX_EPOCH };
        Arc::new(Entry::built_in(&vec![b'x'; size], "text/plain", false, now))
    }

    #[test]
    fn the_least_recently_used_leaves_when_entries_run_out() {
        let mut cache = Cache::new(2, 1000);
        cache.insert(b"a", entry(1));
        cache.insert(b"b", entry(1));
        assert!(cache.get(b"a").is_some());
        cache.insert(b"c", entry(1));
        assert!(cache.get(b"a").is_some() && cache.get(b"c").is_some());
        assert!(cache.get(b"b").is_none());
        assert_eq!(cache.bytes, 2);
    }

    #[test]
    fn the_least_recently_used_leave_when_bytes_run_out() {
        let mut cache = Cache::new(100, 10);
        cache.insert(b"a", entry(4));
        cache.insert(b"b", entry(4));
        cache.insert(b"c", entry(9));
        assert!(cache.get(b"a").is_none() && cache.get(b"b").is_none() && cache.get(b"c").is_some());
        assert_eq!(cache.bytes, 9);
    }

    #[test]
    fn entries_that_nobody_asks_for_leave() {
        let mut cache = Cache::new(4, 100);
        let at = |tick| Now { tick, wall: SystemTime::UNIX_EPOCH };
        cache.insert(b"old", Arc::new(Entry::built_in(b"x", "text/plain", false, at(10))));
        cache.insert(b"new", Arc::new(Entry::built_in(b"x", "text/plain", false, at(50))));
        cache.sweep(10);
        assert!(cache.entries.contains(&b"old"[..]));
        cache.sweep(50);
        assert!(!cache.entries.contains(&b"old"[..]) && cache.entries.contains(&b"new"[..]));
        assert_eq!(cache.bytes, 1);
    }

    #[test]
    fn replacing_and_removing_keep_the_count_of_bytes() {
        let mut cache = Cache::new(4, 100);
        cache.insert(b"a", entry(40));
        cache.insert(b"a", entry(7));
        assert_eq!(cache.bytes, 7);
        cache.insert(b"big", entry(101));
        assert!(cache.get(b"big").is_none());
        cache.remove(b"a");
        cache.remove(b"a");
        assert_eq!(cache.bytes, 0);
    }
}
