//! What a store does before and after a job of a background thread looks a file up.
//!
//! **Invariant:** a change that comes between a job's read and the insertion of its entry is not lost: the
//! entry is inserted without watches, so the next request opens its path again. Where changes are not
//! reported it is fresh from before the job on.

use std::sync::Arc;

use crate::background::JobHandle;
use crate::store::cache::{Cached, Key};
use crate::store::directory::Directory;
use crate::store::entry::Entry;
use crate::store::freshness::Freshness;
use crate::store::lookup::{Cold, FoundEntry, LookupJob};
use crate::store::lookup_jobs::{self, FoundOrMiss};
use crate::store::open::Miss;
use crate::store::open_forms::OpenForms;
use crate::store::state::{CHECKS_BEFORE_WATCH, StoreState};
use crate::sys::file::Root;
use crate::sys::filesystem::FileSystemClass;
use crate::time::Now;

impl StoreState {
    /// Starts the job that looks a key up, or takes part in the one that is under way. True if that one had
    /// begun before.
    ///
    /// # Errors
    /// [`Miss::Overloaded`] if too many jobs wait already.
    pub fn start_lookup(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        cold: Cold,
        now: Now,
    ) -> Result<(JobHandle<FoundOrMiss>, bool), Miss> {
        let path = directory.file_path(key);
        let root = self.roots[directory.root].directory().ok_or(Miss::NotFound)?;
        let job = LookupJob {
            root: Arc::clone(&root.root),
            path: path.path.to_vec(),
            index: path.index.map(<[u8]>::to_vec),
            links: path.links,
            open: if let Cold::Load(open) = cold { Some(open) } else { None },
            description: self.describe(key, directory, now),
            known: self.cache.lookup(key).map(|cached| Arc::clone(&cached.entry)),
        };
        self.lookups.start(key, directory.root, self.background, job).map_err(|_| Miss::Overloaded)
    }

    /// Takes the result of a job. `None` if the lookup must be repeated, which it is not after the last
    /// attempt.
    pub fn finish_lookup(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        job: &JobHandle<FoundOrMiss>,
        now: Now,
        is_last: bool,
    ) -> Option<Result<Arc<Entry>, Miss>> {
        let result = lookup_jobs::result_of(job);
        // The first of those who waited does for all of them what changes the cache.
        let taken = self.lookups.take_done(key, job);
        match result? {
            Ok(found) => {
                // Another directory may have become the root meanwhile.
                let began =
                    taken.filter(|(root, _)| self.is_root(directory.root, root)).map(|(_, began)| began);
                if let Some(began) = began {
                    self.keep(key, directory, &found, began);
                }
                let (FoundEntry::Same(entry, _) | FoundEntry::New(entry)) = found;
                Some(Ok(entry))
            }
            Err(Miss::Exhausted) => {
                if let Some(entry) = self.stale(key, now) {
                    return Some(Ok(entry));
                }
                self.exhaustion.refused += u64::from(is_last);
                is_last.then_some(Err(Miss::Exhausted))
            }
            Err(miss) => {
                if taken.is_some() {
                    self.remove_missing(key);
                }
                Some(Err(miss))
            }
        }
    }

    fn is_root(&self, number: usize, root: &Arc<Root>) -> bool {
        self.roots[number].directory().is_some_and(|now| Arc::ptr_eq(&now.root, root))
    }

    /// Keeps what a job found that began at that time.
    fn keep(&mut self, key: Key<'_>, directory: &Directory, found: &FoundEntry, began: Now) {
        let checks = self.cache.lookup(key).map_or(0, |cached| cached.checks.saturating_add(1));
        match found {
            FoundEntry::New(entry) => {
                let freshness = match entry.class {
                    FileSystemClass::Remote => Freshness::Unwatchable,
                    _ => Freshness::Unwatched,
                };
                self.cache.insert(key, Cached { entry: Arc::clone(entry), freshness, checks });
            }
            FoundEntry::Same(entry, open) => {
                let is_kept = |cached: &&mut Cached| Arc::ptr_eq(&cached.entry, entry);
                let Some(cached) = self.cache.lookup(key).filter(is_kept) else { return };
                cached.checks = checks;
                entry.confirm(began);
                let is_unwatched = matches!(cached.freshness, Freshness::Unwatched);
                if let Some(open) = open
                    && is_unwatched
                    && checks >= CHECKS_BEFORE_WATCH
                {
                    self.watch_same(key, directory, entry, open, began);
                }
            }
        }
    }

    /// Watches a file that a job found unchanged: one on another mount than its root, which jobs look up.
    fn watch_same(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        entry: &Arc<Entry>,
        open: &OpenForms,
        now: Now,
    ) {
        let freshness = self.watch(key, directory, open, now);
        // It may have changed before it was watched.
        let is_same = open.is_unchanged() && entry.is_same(open);
        match (self.cache.lookup(key), freshness) {
            (Some(cached), Some(freshness)) if is_same => cached.freshness = freshness,
            (_, freshness) => self.cache.unwatch(&freshness),
        }
    }
}
