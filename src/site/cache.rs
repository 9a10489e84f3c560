//! The entries that a worker keeps ready, by site path: bounded in number and in bytes, least recently used out first.
//!
//! Opens nothing and knows no clock. The subtle rule: a path is either a directory or a file at any time, so one key
//! serves for `/x` and `/x/`, and `Entry::is_index` tells which of the two it answers.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::entry::Entry;
use super::watch::Sight;

/// A bounded map of site path to entry.
pub struct Cache {
    entries: LruCache<Box<[u8]>, Slot>,
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
    /// A cache of at most `max_entries` entries that hold at most `max_bytes` bytes of content in memory.
    pub fn new(max_entries: usize, max_bytes: u64) -> Cache {
        let capacity = NonZeroUsize::new(max_entries).unwrap_or(NonZeroUsize::MIN);
        Cache { entries: LruCache::new(capacity), bytes: 0, max_bytes }
    }

    /// What is kept for a path, which becomes the most recently used.
    pub fn get(&mut self, path: &[u8]) -> Option<&mut Slot> {
        self.entries.get_mut(path)
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
    /// not kept. `left` is given what is out.
    pub fn insert(&mut self, path: &[u8], slot: Slot, mut left: impl FnMut(Slot)) {
        let weight = slot.weight();
        self.remove(path).into_iter().for_each(&mut left);
        if weight > self.max_bytes {
            return left(slot);
        }
        self.bytes += weight;
        if let Some((_, slot)) = self.entries.push(path.into(), slot) {
            self.bytes -= slot.weight();
            left(slot);
        }
        while self.bytes > self.max_bytes {
            let Some((_, slot)) = self.entries.pop_lru() else { break };
            self.bytes -= slot.weight();
            left(slot);
        }
    }

    /// Takes an entry out, if it is there.
    pub fn remove(&mut self, path: &[u8]) -> Option<Slot> {
        let slot = self.entries.pop(path)?;
        self.bytes -= slot.weight();
        Some(slot)
    }

    /// Takes out the entries that were last confirmed before tick `before`: nobody asks for them, and one may hold open
    /// a file that is deleted, whose space the disk can't reuse until then. `left` is given them.
    pub fn sweep(&mut self, before: u32, mut left: impl FnMut(Slot)) {
        while let Some((_, slot)) = self.entries.peek_lru()
            && slot.entry.checked() < before
        {
            let Some((_, slot)) = self.entries.pop_lru() else { break };
            self.bytes -= slot.weight();
            left(slot);
        }
    }

    /// Takes all out, and gives them to `left`.
    pub fn clear(&mut self, mut left: impl FnMut(Slot)) {
        self.bytes = 0;
        while let Some((_, slot)) = self.entries.pop_lru() {
            left(slot);
        }
    }
}

impl Slot {
    /// The bytes of memory that the content takes; a descriptor takes none worth counting.
    fn weight(&self) -> u64 {
        self.entry.in_memory().map_or(0, |bytes| bytes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::Now;
    use super::*;

    fn slot(size: usize) -> Slot {
        slot_of(size, 0)
    }

    fn slot_of(size: usize, tick: u32) -> Slot {
        let now = Now { tick, wall: SystemTime::UNIX_EPOCH };
        let entry = Arc::new(Entry::built_in(&vec![b'x'; size], "text/plain", false, now));
        Slot { entry, sight: Sight::Unwatched, looks: 0 }
    }

    /// Puts one in; how many that put out.
    fn insert(cache: &mut Cache, path: &[u8], slot: Slot) -> usize {
        let mut left = 0;
        cache.insert(path, slot, |_| left += 1);
        left
    }

    #[test]
    fn the_least_recently_used_leaves_when_entries_run_out() {
        let mut cache = Cache::new(2, 1000);
        insert(&mut cache, b"a", slot(1));
        insert(&mut cache, b"b", slot(1));
        assert!(cache.get(b"a").is_some());
        insert(&mut cache, b"c", slot(1));
        assert!(cache.get(b"a").is_some() && cache.get(b"c").is_some());
        assert!(cache.get(b"b").is_none());
        assert_eq!(cache.bytes, 2);
    }

    #[test]
    fn the_least_recently_used_leave_when_bytes_run_out() {
        let mut cache = Cache::new(100, 10);
        insert(&mut cache, b"a", slot(4));
        insert(&mut cache, b"b", slot(4));
        insert(&mut cache, b"c", slot(9));
        assert!(cache.get(b"a").is_none() && cache.get(b"b").is_none() && cache.get(b"c").is_some());
        assert_eq!(cache.bytes, 9);
    }

    #[test]
    fn entries_that_nobody_asks_for_leave() {
        let mut cache = Cache::new(4, 100);
        insert(&mut cache, b"old", slot_of(1, 10));
        insert(&mut cache, b"new", slot_of(1, 50));
        cache.sweep(10, |_| panic!("it is not old enough"));
        assert!(cache.entries.contains(&b"old"[..]));
        cache.sweep(50, drop);
        assert!(!cache.entries.contains(&b"old"[..]) && cache.entries.contains(&b"new"[..]));
        assert_eq!(cache.bytes, 1);
    }

    #[test]
    fn replacing_and_removing_keep_the_count_of_bytes() {
        let mut cache = Cache::new(4, 100);
        insert(&mut cache, b"a", slot(40));
        insert(&mut cache, b"a", slot(7));
        assert_eq!(cache.bytes, 7);
        insert(&mut cache, b"big", slot(101));
        assert!(cache.get(b"big").is_none());
        assert!(cache.remove(b"a").is_some() && cache.remove(b"a").is_none());
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn whatever_leaves_is_handed_out() {
        let mut cache = Cache::new(2, 10);
        assert_eq!(insert(&mut cache, b"a", slot(4)), 0);
        assert_eq!(insert(&mut cache, b"a", slot(4)), 1, "its predecessor");
        assert_eq!(insert(&mut cache, b"b", slot(4)), 0);
        assert_eq!(insert(&mut cache, b"c", slot(4)), 1, "one too many");
        assert_eq!(insert(&mut cache, b"c", slot(10)), 2, "its predecessor and one for want of bytes");
        assert_eq!(insert(&mut cache, b"d", slot(11)), 1, "itself");
        let mut left = 0;
        cache.clear(|_| left += 1);
        assert_eq!((left, cache.len(), cache.bytes), (1, 0, 0));
    }
}
