//! What answers a request: from the parsed request to the reply, in the order of the steps below. Never sees a socket.
//!
//! 1. The method: GET and HEAD only.
//! 2. The target's path becomes a site path, or 400.
//! 3. The site path becomes an entry: from the cache while it is fresh, else opened beneath the root.
//! 4. Preconditions (RFC 9110 §13.2.2) against the entry's validators: 304, 412.
//! 5. The range (RFC 9110 §14): 206, 416.
//! 6. Otherwise the whole content, 200.
//!
//! The subtle rule: nothing here may wait, for `answer` runs on a coroutine with the cache's lock held.

pub mod cache;
pub mod entry;
pub mod error_page;
pub mod listing;
pub mod resolve;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::config::{MissingIndex, Settings};
use crate::http::conditional::{self, Precondition};
use crate::http::fields::Field;
use crate::http::range::{self, Ranges};
use crate::http::reply::{Body, FieldBlock, Reply};
use crate::http::request::{Method, Request};
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::http::{head, multipart};
use crate::metrics::Row;
use crate::sys::file::{self, Root};

use cache::Cache;
use entry::Entry;
use resolve::{Found, Refusal};

/// The moment a request is answered at, as its worker's clock has it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Ticks of 100 ms since the worker started; never goes back.
    pub tick: u32,
    /// The wall clock, at most a tick old.
    pub wall: SystemTime,
}

/// Length of a tick in milliseconds.
pub const TICK_MS: u32 = 100;

/// How long an entry is kept past its re-check when nobody asks for it: a minute.
const UNUSED_TICKS: u32 = 60 * 1000 / TICK_MS;

/// A reply about a site's content.
pub type SiteReply = Reply<Arc<Entry>>;

/// The one site that a worker serves.
pub struct Site {
    rules: Rules,
    metrics: Row,
    state: Mutex<State>,
}

/// What the settings ask for, resolved before the first request.
struct Rules {
    missing_index: Status,
    listing: bool,
    dotfiles: bool,
    /// How many ticks an entry is believed without a look at its name.
    valid_ticks: u32,
}

struct State {
    source: Source,
    cache: Cache,
}

/// Whether a root's path is followed to where it leads now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// It is.
    No,
    /// It is not, and leads here yet.
    Here,
    /// It is not, and leads elsewhere now.
    Behind,
}

enum Source {
    Directory { root: Root, path: PathBuf, checked: u32, stay: Stay },
    Welcome(Arc<Entry>),
}

impl Site {
    /// A site over an open root directory; without one, the built-in welcome page.
    pub fn new(settings: &Settings, root: Option<(Root, PathBuf)>, metrics: Row, now: Now) -> Site {
        let welcome = || Entry::built_in(include_bytes!("welcome.html"), "text/html", true, now);
        let source = match root {
            Some((root, path)) => Source::Directory { root, path, checked: now.tick, stay: Stay::No },
            None => Source::Welcome(Arc::new(welcome())),
        };
        let rules = Rules {
            missing_index: match settings.missing_index {
                MissingIndex::Forbidden => Status::FORBIDDEN,
                MissingIndex::NotFound => Status::NOT_FOUND,
            },
            listing: settings.listing,
            dotfiles: settings.dotfiles,
            valid_ticks: u32::try_from(settings.cache_valid.as_millis() / u128::from(TICK_MS))
                .unwrap_or(u32::MAX),
        };
        let cache = Cache::new(settings.cache_entries, settings.cache_size);
        Site { rules, metrics, state: Mutex::new(State { source, cache }) }
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request<'_>, now: Now) -> SiteReply {
        if request.method == Method::Other {
            return error_page::reply(Status::METHOD_NOT_ALLOWED, b"Allow: GET, HEAD\r\n");
        }
        let Ok(path) = SitePath::parse(request.target.path) else {
            return error_page::reply(Status::BAD_REQUEST, b"");
        };
        if !self.rules.dotfiles && path.has_hidden_segment() {
            return error_page::reply(Status::NOT_FOUND, b"");
        }
        match self.entry(&path, request, now) {
            Ok(entry) => represent(entry, request, now),
            Err(reply) => *reply,
        }
    }

    /// Has the site stay with the directory that its root's path led to, because this process may read no other.
    pub fn stay_at_root(&self) {
        if let Source::Directory { stay, .. } = &mut self.lock().source {
            *stay = Stay::Here;
        }
    }

    /// True when the root's path was last seen to lead elsewhere, and the site stays.
    pub fn root_has_moved(&self) -> bool {
        matches!(self.lock().source, Source::Directory { stay: Stay::Behind, .. })
    }

    /// Forgets what nobody has asked for in a minute; called now and then.
    pub fn sweep(&self, now: Now) {
        let age = self.rules.valid_ticks.saturating_add(UNUSED_TICKS);
        let mut state = self.lock();
        state.cache.sweep(now.tick.saturating_sub(age));
        self.metrics.cache_entries(state.cache.len());
    }

    /// The entry at `path`, or the reply that says why there is none.
    fn entry(
        &self,
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: Now,
    ) -> Result<Arc<Entry>, Box<SiteReply>> {
        let mut state = self.lock();
        if let Some(entry) = state.cache.get(path.as_bytes())
            && entry.is_index == path.is_directory()
            && now.tick.wrapping_sub(entry.checked()) < self.rules.valid_ticks
            && entry.is_intact()
        {
            self.metrics.cache_hit();
            return Ok(Arc::clone(entry));
        }
        if let Source::Welcome(entry) = &state.source {
            let found = path.as_bytes().is_empty().then(|| Arc::clone(entry));
            return found.ok_or_else(|| Box::new(refuse(Refusal::NotFound)));
        }
        self.metrics.cache_miss();
        state.follow_root(self.rules.valid_ticks, now);
        let mut found = state.resolve(path);
        if matches!(found, Err(Refusal::Exhausted)) {
            // An entry that can't be re-checked for want of descriptors is better than no answer.
            if let Some(entry) =
                state.cache.get(path.as_bytes()).filter(|e| e.is_index == path.is_directory())
            {
                return Ok(Arc::clone(entry));
            }
            // The cache holds files open that nobody is waiting for.
            state.cache.clear();
            found = state.resolve(path);
        }
        if !matches!(found, Ok(Found::File(..))) {
            state.cache.remove(path.as_bytes());
        }
        match found {
            Ok(Found::File(file, stamp)) => {
                state.settle(path, file, stamp, now).map_err(|_| Box::new(refuse(Refusal::Failed)))
            }
            Ok(Found::DirectoryWithoutSlash) => Err(Box::new(redirect(path, request))),
            Ok(Found::DirectoryWithoutIndex(directory)) => {
                Err(Box::new(self.without_index(path, &directory)))
            }
            Err(refusal) => Err(Box::new(refuse(refusal))),
        }
    }

    fn without_index(&self, path: &SitePath<'_>, directory: &OwnedFd) -> SiteReply {
        if !self.rules.listing {
            return error_page::reply(self.rules.missing_index, b"");
        }
        let Ok(names) = file::list(directory.as_fd(), listing::MAX_NAMES) else {
            return refuse(Refusal::Failed);
        };
        let page = listing::page(path.as_bytes(), names, self.rules.dotfiles);
        let mut fields = Vec::with_capacity(64);
        head::field(&mut fields, "Content-Type", b"text/html; charset=utf-8");
        head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(page.len()).as_bytes());
        Reply { status: Status::OK, fields: FieldBlock::Owned(fields), body: Body::Owned(page) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves a cache that is at worst too small, which is no reason to stop serving.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn resolve(&self, path: &SitePath<'_>) -> Result<Found, Refusal> {
        match &self.source {
            Source::Directory { root, .. } => resolve::resolve(root, path),
            Source::Welcome(_) => Err(Refusal::NotFound),
        }
    }

    /// Where the root's path leads somewhere else now (a deployment that switches a link), follows it.
    fn follow_root(&mut self, valid_ticks: u32, now: Now) {
        let Source::Directory { root, path, checked, stay } = &mut self.source else { return };
        if now.tick.wrapping_sub(*checked) < valid_ticks {
            return;
        }
        *checked = now.tick;
        // A path that can't be opened any more leaves the root that is open in service.
        let Ok(found) = Root::open(path) else { return };
        let (Ok(new), Ok(old)) = (found.identity(), root.identity()) else { return };
        match stay {
            Stay::No if new != old => {
                *root = found;
                self.cache.clear();
            }
            Stay::No => {}
            Stay::Here | Stay::Behind => *stay = if new == old { Stay::Here } else { Stay::Behind },
        }
    }

    /// The entry for a file that was just opened: the cached one when it still has the same content, else a new one.
    fn settle(
        &mut self,
        path: &SitePath<'_>,
        file: OwnedFd,
        stamp: file::Stamp,
        now: Now,
    ) -> std::io::Result<Arc<Entry>> {
        let is_index = path.is_directory();
        if let Some(entry) = self.cache.get(path.as_bytes())
            && entry.is_index == is_index
            && entry.confirm(&stamp, now)
        {
            return Ok(Arc::clone(entry));
        }
        let name = if is_index { resolve::INDEX } else { path.as_bytes() };
        let entry = Arc::new(Entry::load(file, stamp, name, is_index, now)?);
        self.cache.insert(path.as_bytes(), Arc::clone(&entry));
        Ok(entry)
    }
}

/// Steps 4 to 6: what of an entry a request gets.
fn represent(entry: Arc<Entry>, request: &Request<'_>, now: Now) -> SiteReply {
    let validators = entry.validators();
    match conditional::evaluate(&request.fields, &validators) {
        Precondition::Proceed => {}
        Precondition::NotModified => return not_modified(&entry),
        Precondition::Failed => return error_page::reply(Status::PRECONDITION_FAILED, b""),
    }
    // RFC 9110 §14.2: Range means something for GET alone.
    if request.method == Method::Get
        && let Some(asked) = request.fields.only(Field::Range)
        && conditional::if_range_holds(&request.fields, &validators, now.wall)
    {
        match range::select(asked, entry.size) {
            Ranges::Whole => {}
            Ranges::Single(range) => return partial(entry, range),
            Ranges::Several(ranges) => return multipart(entry, &ranges),
            Ranges::Unsatisfiable => return unsatisfiable(&entry),
        }
    }
    let size = entry.size;
    Reply {
        status: Status::OK,
        fields: FieldBlock::Of(Arc::clone(&entry)),
        body: Body::Slice(entry, 0..size),
    }
}

fn not_modified(entry: &Entry) -> SiteReply {
    let mut fields = Vec::with_capacity(128);
    entry.write_validators(&mut fields);
    Reply { status: Status::NOT_MODIFIED, fields: FieldBlock::Owned(fields), body: Body::Empty }
}

fn partial(entry: Arc<Entry>, range: std::ops::Range<u64>) -> SiteReply {
    let mut fields = Vec::with_capacity(256);
    entry.write_content_fields(&mut fields, entry.content_type().as_bytes(), range.end - range.start);
    head::field(&mut fields, "Content-Range", &multipart::content_range(&range, entry.size));
    entry.write_validators(&mut fields);
    Reply {
        status: Status::PARTIAL_CONTENT,
        fields: FieldBlock::Owned(fields),
        body: Body::Slice(entry, range),
    }
}

fn multipart(entry: Arc<Entry>, ranges: &[std::ops::Range<u64>]) -> SiteReply {
    let multipart = multipart::build(ranges, entry.size, entry.content_type());
    let mut fields = Vec::with_capacity(256);
    entry.write_content_fields(&mut fields, &multipart.content_type, multipart.length);
    entry.write_validators(&mut fields);
    let body = Body::Multipart(entry, multipart.parts, multipart.closing);
    Reply { status: Status::PARTIAL_CONTENT, fields: FieldBlock::Owned(fields), body }
}

fn unsatisfiable(entry: &Entry) -> SiteReply {
    let mut extra = Vec::with_capacity(64);
    let size = itoa::Buffer::new().format(entry.size).to_owned();
    head::field(&mut extra, "Content-Range", format!("bytes */{size}").as_bytes());
    error_page::reply(Status::RANGE_NOT_SATISFIABLE, &extra)
}

fn redirect(path: &SitePath<'_>, request: &Request<'_>) -> SiteReply {
    let mut extra = Vec::with_capacity(64);
    head::field(&mut extra, "Location", &path.location_with_slash(request.target.query));
    error_page::reply(Status::MOVED_PERMANENTLY, &extra)
}

fn refuse(refusal: Refusal) -> SiteReply {
    let status = match refusal {
        Refusal::NotFound => Status::NOT_FOUND,
        Refusal::Forbidden => Status::FORBIDDEN,
        Refusal::Exhausted => Status::SERVICE_UNAVAILABLE,
        Refusal::Failed => Status::INTERNAL_SERVER_ERROR,
    };
    error_page::reply(status, b"")
}
