//! The listings that a worker keeps, by directory and view.
//!
//! A kept listing answers while the directory has the stamp that it had, so a name that comes or goes shows
//! at once. A file changes without that, so its size and time are at most as old as `--cache-valid`.
//! Opens nothing and knows no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::hidden::HiddenNames;
use super::page::ListingPage;
use super::view::ListingView;
use crate::sys::file::Stamp;

/// Bytes that a kept listing takes beside its page.
const OVERHEAD: u64 = 1024;

/// What a listing is kept by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListingKey {
    /// The number of the store's root.
    pub root: usize,
    /// Device and inode number of the directory.
    pub identity: (u64, u64),
    /// The site path.
    pub path: Box<[u8]>,
    /// What is shown.
    pub view: ListingView,
    /// What is left out.
    pub hidden: HiddenNames,
}

/// Listings by key.
#[derive(Debug)]
pub struct KeptListings {
    pages: HashMap<Arc<ListingKey>, Kept>,
    /// Each page that was ever inserted and has not come to the front yet, the oldest first.
    order: VecDeque<(Arc<ListingKey>, u32)>,
    bytes: u64,
    most: u64,
    /// How many ticks a page answers.
    lifetime: u32,
}

#[derive(Debug)]
struct Kept {
    page: Arc<ListingPage>,
    /// The tick before its directory was read.
    made: u32,
}

impl KeptListings {
    /// Keeps at most so many bytes, each page for so many ticks.
    pub fn new(most: u64, lifetime: u32) -> KeptListings {
        KeptListings { pages: HashMap::new(), order: VecDeque::new(), bytes: 0, most, lifetime }
    }

    /// The page of a key, if its directory still has this stamp.
    pub fn fresh(&self, key: &ListingKey, stamp: &Stamp, tick: u32) -> Option<Arc<ListingPage>> {
        let kept = self.pages.get(key)?;
        let is_fresh = kept.page.stamp == *stamp && tick.saturating_sub(kept.made) < self.lifetime;
        is_fresh.then(|| Arc::clone(&kept.page))
    }

    /// Keeps a page that was made at tick `made`, unless it is too large; the oldest ones make room.
    pub fn insert(&mut self, key: ListingKey, page: Arc<ListingPage>, made: u32) {
        let size = page.size() + OVERHEAD;
        self.remove(&key);
        if size > self.most || self.lifetime == 0 {
            return;
        }
        while self.bytes + size > self.most && self.remove_oldest() {}
        let key = Arc::new(key);
        self.order.push_back((Arc::clone(&key), made));
        self.bytes += size;
        self.pages.insert(key, Kept { page, made });
    }

    /// Drops the pages that answer no more at this tick.
    pub fn sweep(&mut self, tick: u32) {
        while let Some((_, made)) = self.order.front()
            && tick.saturating_sub(*made) >= self.lifetime
        {
            self.remove_oldest();
        }
    }

    /// True unless nothing was left.
    fn remove_oldest(&mut self) -> bool {
        let Some((key, made)) = self.order.pop_front() else { return false };
        // It may have been replaced by a later one.
        if self.pages.get(&key).is_some_and(|kept| kept.made == made) {
            self.remove(&key);
        }
        true
    }

    fn remove(&mut self, key: &ListingKey) {
        if let Some(kept) = self.pages.remove(key) {
            self.bytes -= kept.page.size() + OVERHEAD;
        }
    }
}
