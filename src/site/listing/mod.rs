//! Listings: the pages of directories without an index, where they are switched on.
//!
//! The steps of [`Listings::respond`]:
//!
//! 1. The view: how to sort, and HTML or JSON (`view.rs`); and the content coding, if pages are compressed.
//! 2. The page: a kept one (`kept.rs`) while the directory's stamp is the same; else it is made at once if
//!    that is short and takes no disk, else by a job, which all that want the same page share (`jobs.rs`).
//! 3. The response: preconditions, then the page (`response.rs`).
//!
//! **Invariants:** a name never becomes markup (`text.rs`). What all listings of a worker take is bounded
//! (`memory.rs`).

pub mod entries;
pub mod hidden;
mod html;
pub mod jobs;
mod json;
mod kept;
mod memory;
mod page;
mod response;
mod size;
mod sort;
pub mod text;
mod time;
pub mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answer::SiteResponse;
use super::negotiation;
use crate::background::{Background, JobHandle, JobWaiter};
use crate::config::Settings;
use crate::http::accept_encoding::AcceptEncoding;
use crate::http::content_coding::ContentCoding;
use crate::http::date;
use crate::http::request::Request;
use crate::store::open::Miss;
use crate::sys::filesystem::FileSystemClass;
use crate::time::{Now, TICK_MS};

use entries::{ListedDirectory, ReadLimit};
use jobs::{ListingJobs, PageOrMiss};
use kept::{KeptListings, ListingKey};
use memory::ListingMemory;
use page::ListingPage;
use response::Vary;
use view::ListingView;

/// Bounds of the memory of all listings of a worker, in bytes. In between it is twice `--cache-size`, which
/// follows the memory of the machine.
const MEMORY: std::ops::RangeInclusive<u64> = 8 << 20..=128 << 20;

/// The names up to which a directory is read and its page made by the thread that serves, where that takes no
/// disk.
const MAX_AT_ONCE: usize = 200;

/// The most jobs for its page that one request waits for: one, one more where the first had begun before the
/// request and the directory has changed since, and one more where one was dropped.
const MAX_JOBS: u32 = 3;

/// Seconds after a change of a directory in which its listing is not kept.
const RACY: i64 = 1;

/// The listings of one worker.
pub struct Listings {
    background: &'static Background,
    memory: Arc<ListingMemory>,
    state: Mutex<ListingState>,
}

/// What is behind the lock, which is never held in a wait.
struct ListingState {
    kept: KeptListings,
    jobs: ListingJobs,
}

/// A directory without an index that a request is for.
pub struct ListingRequest<'a> {
    /// The directory.
    pub directory: ListedDirectory,
    /// The class of its file system.
    pub class: FileSystemClass,
    /// The number of the store's root that it is beneath.
    pub root: usize,
    /// Its site path, without a slash at either end.
    pub path: &'a [u8],
    /// The request.
    pub request: &'a Request<'a>,
    /// True if pages are compressed for clients that want that.
    pub compress: bool,
    /// True if the location says itself how long clients may keep what it serves.
    pub has_cache_control: bool,
    /// The fields that the location adds, rendered. None of them is sent twice.
    pub location_fields: &'a [u8],
}

impl Listings {
    /// No listings yet.
    pub fn new(settings: &Settings, background: &'static Background) -> Listings {
        let most = (settings.cache_size.unwrap_or(0) * 2).clamp(*MEMORY.start(), *MEMORY.end());
        let lifetime = settings.cache_valid.as_millis() / u128::from(TICK_MS);
        let kept = KeptListings::new(most / 4, u32::try_from(lifetime).unwrap_or(u32::MAX));
        let state = Mutex::new(ListingState { kept, jobs: ListingJobs::default() });
        Listings { background, memory: ListingMemory::new(most), state }
    }

    /// The response to a request for a directory without an index. Waits, by `waiter`, where the page takes
    /// a job, and `now` becomes the time after that.
    ///
    /// # Errors
    /// See [`Miss`].
    #[inline(never)]
    pub fn respond(
        &self,
        request: &ListingRequest<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<SiteResponse, Miss> {
        // 1. The view.
        let (view, is_accepted) = ListingView::of(request.request);
        // Without threads for disks the one that serves makes all pages, and has no time for that.
        let compresses = request.compress && self.background.has_disk_threads();
        let accepted = compresses.then(|| AcceptEncoding::of(&request.request.fields));
        let coding = accepted.and_then(|accepted| negotiation::wanted(&accepted));
        let vary = Vary { accept: is_accepted, accept_encoding: compresses };
        // 2. The page.
        let page = self.page(request, (view, coding), now, waiter)?;
        // 3. The response.
        let location = (request.has_cache_control, request.location_fields);
        Ok(response::response(page, request.request, vary, location))
    }

    /// Drops what is kept no more. To be called every second.
    pub fn sweep(&self, now: Now) {
        let mut state = self.lock();
        state.kept.sweep(now.tick);
        state.jobs.remove_done();
    }

    fn page(
        &self,
        request: &ListingRequest<'_>,
        (view, coding): (ListingView, Option<ContentCoding>),
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<ListingPage>, Miss> {
        let ListingRequest { directory, root, path, .. } = request;
        let stamp = directory.stamp()?;
        let key = ListingKey {
            root: *root,
            identity: stamp.identity,
            path: (*path).into(),
            view,
            coding,
            hidden: directory.hidden,
            links: directory.links,
        };
        let kept = self.lock().kept.fresh(&key, &stamp, now.tick);
        if let Some(page) = kept {
            return Ok(page);
        }
        if let Some(page) = self.page_at_once(request, (view, coding))? {
            return Ok(self.keep(key, Arc::new(page), *now));
        }
        for attempt in 1..=MAX_JOBS {
            let (job, is_late) = self.start_job(&key, request, *now)?;
            *now = waiter.wait(job.completion()).map_err(|_| Miss::Overloaded)?;
            let began = self.lock().jobs.take_done(&key, &job);
            let Some(page) = jobs::result_of(&job).transpose()? else { continue };
            if let Some(began) = began {
                self.keep(key.clone(), Arc::clone(&page), began);
            }
            // A name may have come or gone after the job had read it, and before this request.
            if !is_late || page.stamp == stamp || attempt == MAX_JOBS {
                return Ok(page);
            }
        }
        Err(Miss::Overloaded)
    }

    /// The job for the page, and true if it had begun before.
    fn start_job(
        &self,
        key: &ListingKey,
        request: &ListingRequest<'_>,
        now: Now,
    ) -> Result<(JobHandle<PageOrMiss>, bool), Miss> {
        let (directory, path) = (request.directory.clone(), key.path.clone());
        let (view, coding) = (key.view, key.coding);
        let memory = self.memory.reserve();
        let work = move || {
            let page = ListingPage::make(&directory, (&path, view, coding), ReadLimit::Whole, memory)?;
            page.map(Arc::new).ok_or(Miss::Failed)
        };
        let job = self.lock().jobs.start((key, request.class), self.background, now, work);
        job.map_err(|_| Miss::Overloaded)
    }

    /// The page, if the thread that serves makes it: a short one that takes no disk, and all where there are
    /// no threads for disks.
    fn page_at_once(
        &self,
        request: &ListingRequest<'_>,
        (view, coding): (ListingView, Option<ContentCoding>),
    ) -> Result<Option<ListingPage>, Miss> {
        let limit = match request.class {
            // Compression takes a millisecond or more.
            FileSystemClass::Memory if coding.is_some() => return Ok(None),
            FileSystemClass::Memory => ReadLimit::Short(MAX_AT_ONCE),
            _ if self.background.has_disk_threads() => return Ok(None),
            _ => ReadLimit::Whole,
        };
        ListingPage::make(&request.directory, (request.path, view, coding), limit, self.memory.reserve())
    }

    /// Keeps a page, unless its directory has changed while it was read or just before: it may change once
    /// more within the same tick of the file system's clock, and its stamp does not show that.
    fn keep(&self, key: ListingKey, page: Arc<ListingPage>, made: Now) -> Arc<ListingPage> {
        let is_recent = page.stamp.ctime.0.saturating_add(RACY) >= date::seconds(made.wall).cast_signed();
        if page.is_consistent && !is_recent {
            self.lock().kept.insert(key, Arc::clone(&page), made.tick);
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, ListingState> {
        // A panic under the lock leaves a map that is at worst too small.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
