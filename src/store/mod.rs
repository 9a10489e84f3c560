//! The store finds: from a key, which is a site path, to a cache entry, which is a file ready to be sent. It
//! opens files, caches entries and keeps them fresh. Requests, statuses and locations are the site's.
//!
//! The steps of [`Store::get`]:
//!
//! 1. Entries whose files have changed are dropped, as the kernel has reported.
//! 2. The root's path is opened again where that is due; another directory may have become the root.
//! 3. The cached entry answers, if it is fresh.
//! 4. Otherwise the file is opened beneath its root. While descriptors have run out, a cached entry answers
//!    for 10 s.
//! 5. The open file confirms the cached entry, or becomes a new one.
//!
//! Steps 2, 4 and 5 are done at once where the kernel says that they take no wait for a disk; otherwise
//! background threads do them, and the request waits for its job while others are served.

pub mod cache;
mod cold;
mod compressed_cache;
pub mod content;
mod description;
mod digest_wait;
mod digests;
pub mod directory;
pub mod entity_tag;
pub mod entry;
pub mod file_policy;
pub mod freshness;
mod lookup;
mod lookup_jobs;
pub mod name_index;
pub mod open;
pub mod open_file;
pub mod open_forms;
pub mod page_in;
pub mod resident_parts;
pub mod root;
pub mod site_file;
mod state;
mod variant_names;
mod watched_cache;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::background::{Background, Completion, JobWaiter};
use crate::config::Settings;
use crate::http::content_coding::ContentCoding;
use crate::metrics::Row;
use crate::sys::file::{self, Root};
use crate::sys::timer;
use crate::time::Now;

use cache::Key;
use digests::Digests;
use directory::Directory;
use entry::Entry;
use lookup::{Cold, Lookup};
use name_index::{IndexLimits, NameIndex, NamedFile};
use open::Miss;
use root::{ContentRoot, OpenedRoot, RootDirectory};
use state::{ROOT_TICKS, StoreState};

pub use state::Exhaustion;

/// The most jobs for its file that one lookup waits for: one, one more where the first had begun before the
/// request, and one more where descriptors had run out.
const MAX_JOBS: u32 = 3;

/// The files of one worker.
pub struct Store {
    /// Who does jobs.
    pub background: &'static Background,
    metrics: Row,
    /// What is held of the names beneath each root, but for the watches.
    name_limits: IndexLimits,
    digests: Digests,
    state: Mutex<StoreState>,
}

impl Store {
    /// A store over an open root directory and the path it was opened by; without one, the built-in welcome
    /// page. `directories` are those of [`Settings::directories`], open, in the same order.
    pub fn new(
        settings: &Settings,
        root: Option<OpenedRoot>,
        directories: Vec<OpenedRoot>,
        metrics: Row,
        background: &'static Background,
        now: Now,
    ) -> Store {
        let _ = file::has_coarse_clock();
        let directory = |opened| ContentRoot::Directory(RootDirectory::new(opened, now));
        let welcome = || {
            let page = Entry::built_in(include_bytes!("welcome.html"), "text/html", true, now);
            ContentRoot::Welcome(Arc::new(page))
        };
        let own = root.map_or_else(welcome, directory);
        let roots = std::iter::once(own).chain(directories.into_iter().map(directory)).collect();
        let state = Mutex::new(StoreState::new(settings, roots, metrics, background));
        let (max_names, valid) = (settings.find_limit, settings.cache_valid);
        let name_limits = IndexLimits { max_names, max_watches: 0, valid };
        Store { background, metrics, name_limits, digests: Digests::default(), state }
    }

    /// The cache entry of `key`, a file in `directory`; loads it if the cache lacks it. Waits, by `waiter`,
    /// where a disk has to be waited for, and `now` becomes the time after that.
    ///
    /// # Errors
    /// See [`Miss`].
    #[inline]
    pub fn get(
        &self,
        key: Key<'_>,
        directory: &Directory,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss> {
        let lookup = self.lock().get(key, directory, *now);
        match lookup {
            Lookup::Ready(result) => result,
            Lookup::Cold(cold) => self.get_cold(cold, (key, directory), now, waiter),
        }
    }

    /// [`Store::get`] by jobs of background threads.
    #[cold]
    #[inline(never)]
    fn get_cold(
        &self,
        mut cold: Cold,
        (key, directory): (Key<'_>, &Directory),
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss> {
        let (mut attempts, mut may_be_late) = (0, true);
        loop {
            match cold {
                Cold::Root(job) => *now = wait(waiter, job.completion())?,
                Cold::Open | Cold::Load(_) => {
                    attempts += 1;
                    let (job, is_late) = self.lock().start_lookup(key, directory, cold, *now)?;
                    *now = wait(waiter, job.completion())?;
                    let is_last = attempts >= MAX_JOBS;
                    let found = self.lock().finish_lookup(key, directory, &job, *now, is_last);
                    match found {
                        // The file may have changed after the job opened it, and before this request.
                        Some(_) if is_late && may_be_late => may_be_late = false,
                        Some(found) => return found,
                        None if is_last => return Err(Miss::Overloaded),
                        None => {}
                    }
                }
            }
            // The root's path was opened lately; now it is the turn of the file.
            let lookup = self.lock().get_beneath_root(key, directory, *now);
            match lookup {
                Lookup::Ready(result) => return result,
                Lookup::Cold(next) => cold = next,
            }
        }
    }

    /// The directory that is a root now, if it is one.
    pub fn root(&self, root: usize) -> Option<Arc<Root>> {
        self.lock().roots[root].directory().map(|directory| Arc::clone(&directory.root))
    }

    /// The content of an entry in this coding, if background threads have compressed it already; if not, they
    /// begin to.
    pub fn compressed(&self, entry: &Arc<Entry>, coding: ContentCoding) -> Option<Arc<Entry>> {
        self.lock().compressed.get(entry, coding, self.background)
    }

    /// The first file called `name` beneath a root, or the first after the path `after`, in the byte order
    /// of paths.
    pub fn find_by_name(&self, root: usize, name: &[u8], after: Option<&[u8]>) -> NamedFile {
        match self.lock().roots[root].directory() {
            Some(directory) => {
                directory.names.as_ref().map_or(NamedFile::Unavailable, |names| names.first(name, after))
            }
            None => NamedFile::NotFound,
        }
    }

    /// The same, with the path that leads there.
    pub fn root_and_path(&self, number: usize) -> Option<(Arc<Root>, PathBuf)> {
        let state = self.lock();
        let directory = state.roots.get(number)?.directory()?;
        Some((Arc::clone(&directory.root), directory.path.clone()))
    }

    /// Has changes of cached files reported to the calling thread, which must be the one that serves; by at
    /// most `max_watches` watches. Nothing is watched where every request opens its file again
    /// (`--cache-valid 0`).
    ///
    /// # Errors
    /// The reason why changes can't be reported. The store then opens paths again after `--cache-valid`.
    pub fn watch_changes(&self, max_watches: usize) -> Result<(), String> {
        let mut state = self.lock();
        if state.directories().next().is_none() {
            return Ok(());
        }
        state.cache.watch_changes(max_watches)
    }

    /// Starts a thread for each of these roots, which reads the names of all files beneath it and keeps them
    /// current; by at most `max_watches` watches in all.
    ///
    /// # Errors
    /// See [`NameIndex::start`].
    pub fn index_names(
        &self,
        roots: impl ExactSizeIterator<Item = usize>,
        max_watches: usize,
    ) -> io::Result<()> {
        let max_watches = max_watches / roots.len().max(1);
        let limits = IndexLimits { max_watches, ..self.name_limits };
        let mut state = self.lock();
        for root in roots {
            if let Some(directory) = state.roots[root].directory_mut() {
                directory.names = Some(NameIndex::start(&directory.root, limits)?);
            }
        }
        Ok(())
    }

    /// Waits until the names of all roots have been read once, or until `limit` has passed. To be called
    /// before anything is served.
    pub fn wait_for_names(&self, limit: Duration) {
        let end = timer::monotonic() + limit;
        for directory in self.lock().directories() {
            // A worker that waits is not hung.
            let beat = || self.metrics.beat(timer::monotonic());
            let left = end.saturating_sub(timer::monotonic());
            directory.names.iter().for_each(|names| names.wait_for_names(left, beat));
        }
    }

    /// The work of each tick: drops changed entries, follows the roots' paths, and closes unused files (a
    /// deleted file takes space while it is open). True if there is more to do at once.
    pub fn tick(&self, now: Now) -> bool {
        let mut state = self.lock();
        state.take_changes();
        for root in 0..state.roots.len() {
            if state.roots[root].directory().is_some_and(RootDirectory::is_local) {
                state.follow_root(root, ROOT_TICKS, now);
            }
        }
        state.lookups.remove_done();
        state.take_compressed();
        state.cache.close_unused(now)
    }

    /// Drops entries that had no request for a minute, and reports the cache's size. To be called every
    /// second.
    pub fn sweep(&self, now: Now) {
        let mut state = self.lock();
        state.cache.sweep(now);
        self.metrics.cache_entries(state.cache.entry_count());
        self.metrics.cache_watches(state.cache.watch_count());
    }

    /// Keeps the roots that are open now, whatever their paths lead to, because this process may read no
    /// other.
    pub fn pin_roots(&self) {
        self.lock().directories().for_each(RootDirectory::pin);
    }

    /// True if a root is pinned and its path was last seen to lead elsewhere.
    pub fn has_stale_root(&self) -> bool {
        self.lock().directories().any(|directory| directory.is_stale())
    }

    /// True if [`Store::take_exhaustion`] has something to report.
    pub fn is_exhausted(&self) -> bool {
        self.lock().exhaustion != Exhaustion::default()
    }

    /// The requests since the last call that exhaustion has affected.
    pub fn take_exhaustion(&self) -> Exhaustion {
        std::mem::take(&mut self.lock().exhaustion)
    }

    /// True once in the life of the worker: in the first call after watches ran out.
    pub fn take_watch_shortage(&self) -> bool {
        self.lock().cache.take_watch_shortage()
    }

    /// What the operator should know about names since the last call, each with its directory; true marks a
    /// warning, false the end of one.
    pub fn take_name_warnings(&self) -> Vec<(bool, String)> {
        let mut lines = Vec::new();
        for directory in self.lock().directories() {
            let warnings = directory.names.as_ref().map_or_else(Vec::new, NameIndex::take_warnings);
            for warning in warnings {
                let line = format!("find_by_name in {}: {warning}", directory.path.display());
                lines.push((!warning.is_over(), line));
            }
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, StoreState> {
        // A panic under the lock leaves a cache that is at worst too small, which is no reason to stop
        // serving.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(waiter: &mut dyn JobWaiter, job: &Completion) -> Result<Now, Miss> {
    waiter.wait(job).map_err(|_| Miss::Overloaded)
}
