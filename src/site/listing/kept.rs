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
use crate::http::content_coding::ContentCoding;
use crate::sys::file::{LinkPolicy, Stamp};

/// Bytes that a kept listing takes beside its page.
const OVERHEAD: u64 = 1024;

/// How many places in the order of pages that were replaced are left there before they are removed.
const REPLACED: usize = 64;

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
    /// The content coding that is wanted.
    pub coding: Option<ContentCoding>,
    /// What is left out.
    pub hidden: HiddenNames,
    /// Which links are followed.
    pub links: LinkPolicy,
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
        if self.order.len() > 2 * self.pages.len() + REPLACED {
            self.order.retain(|(key, made)| self.pages.get(key).is_some_and(|kept| kept.made == *made));
        }
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

#[cfg(test)]
mod tests {
    use super::super::memory::ListingMemory;
    use super::*;
    use crate::site::hidden_dotfiles::HiddenDotfiles;

    const STAMP: Stamp = Stamp { identity: (1, 2), size: 3, mtime: (4, 5), ctime: (6, 7), links: 1 };
    const LIFETIME: u32 = 10;

    fn key(path: &str) -> ListingKey {
        let (view, hidden) = (ListingView::default(), HiddenNames::default());
        ListingKey {
            root: 0,
            identity: STAMP.identity,
            path: path.as_bytes().into(),
            view,
            coding: None,
            hidden,
            links: LinkPolicy::Inside,
        }
    }

    fn page(size: usize) -> Arc<ListingPage> {
        Arc::new(ListingPage::of_bytes(vec![0; size], STAMP, ListingMemory::new(1 << 20).reserve()))
    }

    #[test]
    fn a_page_answers_for_its_time_while_the_stamp_is_the_same() {
        let mut kept = KeptListings::new(1 << 20, LIFETIME);
        kept.insert(key("a"), page(1), 100);
        let is_fresh = |kept: &KeptListings, path: &str, stamp: Stamp, tick| {
            kept.fresh(&key(path), &stamp, tick).is_some()
        };
        for (path, stamp, tick, fresh) in [
            ("a", STAMP, 100, true),
            ("a", STAMP, 109, true),
            ("a", STAMP, 110, false),
            ("a", STAMP, 99, true),
            ("b", STAMP, 100, false),
            ("a", Stamp { mtime: (4, 6), ..STAMP }, 100, false),
            ("a", Stamp { ctime: (6, 8), ..STAMP }, 100, false),
            ("a", Stamp { identity: (1, 3), ..STAMP }, 100, false),
        ] {
            assert_eq!(is_fresh(&kept, path, stamp, tick), fresh, "{path} {stamp:?} {tick}");
        }
        let hidden = HiddenNames { dotfiles: HiddenDotfiles::None, others: &[] };
        assert!(kept.fresh(&ListingKey { hidden, ..key("a") }, &STAMP, 100).is_none());
        // A later one takes its place, and the first one's time does not end that of the second.
        kept.insert(key("a"), page(2), 105);
        kept.sweep(110);
        assert!(is_fresh(&kept, "a", STAMP, 114));
        kept.sweep(115);
        assert!(kept.pages.is_empty() && kept.order.is_empty() && kept.bytes == 0);
    }

    #[test]
    fn the_oldest_pages_make_room_and_a_large_one_is_not_kept() {
        let of_one = 100 + OVERHEAD;
        let mut kept = KeptListings::new(3 * of_one, LIFETIME);
        for (tick, path) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
            kept.insert(key(path), page(100), u32::try_from(tick).unwrap());
            assert!(kept.bytes <= 3 * of_one);
        }
        let left = ["a", "b", "c", "d"].map(|path| kept.fresh(&key(path), &STAMP, 5).is_some());
        assert_eq!((left, kept.bytes), ([true, false, true, true], 3 * of_one));
        kept.insert(key("d"), page(3 * of_one as usize), 6);
        assert_eq!((kept.pages.len(), kept.bytes), (2, 2 * of_one));
        (10..1000).for_each(|tick| kept.insert(key("a"), page(1), tick));
        assert!(kept.order.len() <= 2 * kept.pages.len() + REPLACED + 1, "{}", kept.order.len());
        let mut none = KeptListings::new(3 * of_one, 0);
        none.insert(key("a"), page(1), 1);
        assert!(none.pages.is_empty());
    }
}
