//! What answers a request: from the parsed request to the reply, in the order of the steps below. Never sees a socket.
//!
//! 1. The method: GET and HEAD only.
//! 2. The target's path becomes a site path, or 400.
//! 3. The site path becomes an entry: from the cache while nothing is known against it, else opened beneath the root.
//!    Where nothing is there, and the location has it so, the file of that name, wherever it is.
//! 4. Preconditions (RFC 9110 §13.2.2) against the entry's validators: 304, 412.
//! 5. The range (RFC 9110 §14): 206, 416.
//! 6. Otherwise the whole content, 200.
//!
//! The subtle rule: nothing here may wait, for `answer` runs on a coroutine with the cache's lock held.

pub mod cache;
pub mod entry;
pub mod error_page;
mod find;
pub mod listing;
pub mod location;
pub mod names;
pub mod notice;
pub mod resolve;
pub mod trail;
pub mod upkeep;
pub mod watch;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
use crate::sys::inotify::{self, Inotify, WatchError};
use crate::sys::socket::PeerAddress;

use cache::{Cache, Key, Slot};
use entry::Entry;
use location::{Location, Locations, Place};
use resolve::{Found, Refusal, Wanted};
use upkeep::Upkeep;
use watch::{Sight, Watches};

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

/// How long an entry that is watched is believed without a look at its name: 10 s. What no watch reports shows then: a
/// file system mounted over a directory, and a change of a small file through a memory map that stays open.
const WATCHED_TICKS: u32 = 10_000 / TICK_MS;

/// How often a file is looked at again before it is watched. A watch costs about as much as two looks, and a site of more
/// files than the cache holds would have most of them watched in vain.
const WORTH_WATCHING: u32 = 2;

/// A reply about a site's content.
pub type SiteReply = Reply<Arc<Entry>>;

/// What a request gets.
#[derive(Debug)]
pub struct Answer {
    /// The reply.
    pub reply: SiteReply,
    /// Whether the access log is to have it.
    pub logged: bool,
}

/// The one site that a worker serves.
pub struct Site {
    rules: Rules,
    metrics: Row,
    state: Mutex<State>,
}

/// What the settings ask for, resolved before the first request.
struct Rules {
    /// Where the files of paths without a location are.
    place: Place,
    locations: Locations,
    missing_index: Status,
    listing: bool,
    dotfiles: bool,
    /// How many ticks an entry whose changes can't be seen is believed without a look at its name.
    valid_ticks: u32,
    /// The most names that are held for each source.
    find_limit: usize,
}

struct State {
    /// The site's own root, and then those that locations have of their own.
    sources: Vec<Source>,
    cache: Cache,
    /// What tells of changes; none where entries are looked at again at each request by wish.
    watches: Option<Watches>,
    /// The names of the sources, by number, whose files are found by them.
    upkeeps: Vec<(usize, Upkeep)>,
}

/// Why there is no entry to serve.
enum Miss {
    Refused(Refusal),
    WithoutSlash,
    WithoutIndex(OwnedFd),
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Miss {
        Miss::Refused(refusal)
    }
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
    /// A site over an open root directory; without one, the built-in welcome page. `directories` are those of
    /// [`Settings::directories`], open, in the same order.
    pub fn new(
        settings: &Settings,
        root: Option<(Root, PathBuf)>,
        directories: Vec<(Root, PathBuf)>,
        metrics: Row,
        now: Now,
    ) -> Site {
        let welcome = || Entry::built_in(include_bytes!("welcome.html"), "text/html", true, now);
        let directory = |(root, path)| Source::Directory { root, path, checked: now.tick, stay: Stay::No };
        let own = root.map_or_else(|| Source::Welcome(Arc::new(welcome())), directory);
        let sources = std::iter::once(own).chain(directories.into_iter().map(directory)).collect();
        let rules = Rules {
            place: Place { source: 0, at: 0, index: settings.index.clone().into_bytes() },
            locations: Locations::new(settings),
            missing_index: match settings.missing_index {
                MissingIndex::Forbidden => Status::FORBIDDEN,
                MissingIndex::NotFound => Status::NOT_FOUND,
            },
            listing: settings.listing,
            dotfiles: settings.dotfiles,
            valid_ticks: u32::try_from(settings.cache_valid.as_millis() / u128::from(TICK_MS))
                .unwrap_or(u32::MAX),
            find_limit: settings.find_limit,
        };
        let cache = Cache::new(settings.cache_entries, settings.cache_size);
        let state = State { sources, cache, watches: None, upkeeps: Vec::new() };
        Site { rules, metrics, state: Mutex::new(state) }
    }

    /// Has changes of what is cached reported to the calling thread, which must be the one that answers; by `bound`
    /// watches at most. Nothing is watched where every request looks again anyhow.
    ///
    /// # Errors
    /// Why changes can't be seen here. The site does without.
    pub fn watch_changes(&self, bound: usize) -> Result<(), String> {
        let mut state = self.lock();
        let has_files = state.sources.iter().any(|source| matches!(source, Source::Directory { .. }));
        if !has_files || self.rules.valid_ticks == 0 {
            return Ok(());
        }
        let inotify = Inotify::start();
        let told = match &inotify {
            Err(WatchError::Unseen(why)) => Err(why.to_string()),
            Err(WatchError::Exhausted) | Ok(_) => Ok(()),
        };
        let bound = bound.min(state.cache.most_watches());
        state.watches = Some(Watches::new(inotify, bound));
        told
    }

    /// Lets go of what has changed; called now and then, for a file that is deleted takes up its space as long as it is
    /// open here.
    pub fn catch_up(&self, now: Now) {
        self.lock().catch_up(now);
    }

    /// True once, when watches have run out.
    pub fn take_watch_shortage(&self) -> bool {
        self.lock().watches.as_mut().is_some_and(Watches::take_shortage)
    }

    /// Answers one request of `client`, who is whoever the networks of locations are about. `None` while names are being
    /// read that it depends on: it is to be asked again when others have had their turn.
    pub fn answer(&self, request: &Request<'_>, client: PeerAddress, now: Now) -> Option<Answer> {
        let reply = match SitePath::parse(request.target.path) {
            _ if request.method == Method::Other => {
                error_page::reply(Status::METHOD_NOT_ALLOWED, b"Allow: GET, HEAD\r\n")
            }
            Err(_) => error_page::reply(Status::BAD_REQUEST, b""),
            Ok(path) => match self.rules.locations.of(&path) {
                None => self.serve(&path, &self.rules.place, 0, request, now),
                Some(location) => return self.answer_in(location, &path, request, client, now),
            },
        };
        Some(Answer { reply, logged: true })
    }

    /// The answer of a location: to who may ask, what is fixed, or what lies there. Apart, so that its frame is not on the
    /// stack of a site without locations.
    #[inline(never)]
    fn answer_in(
        &self,
        location: &Location,
        path: &SitePath<'_>,
        request: &Request<'_>,
        client: PeerAddress,
        now: Now,
    ) -> Option<Answer> {
        let reply = match (&location.fixed, &location.by_name) {
            _ if !location.admits(client.ip()) => error_page::reply(Status::FORBIDDEN, b""),
            (Some(fixed), _) => fixed.reply(),
            (None, None) => self.serve(path, &location.place, location.shown, request, now),
            (None, Some(by_name)) => self.find(location, by_name, path, request, now)?,
        };
        Some(Answer { reply: location.complete(reply, now), logged: location.logged })
    }

    /// What lies at a path whose files are at `place`; the first `shown` bytes of it may begin names with a dot.
    fn serve(
        &self,
        path: &SitePath<'_>,
        place: &Place,
        shown: usize,
        request: &Request<'_>,
        now: Now,
    ) -> SiteReply {
        if !self.rules.dotfiles && path.has_hidden_segment_from(shown) {
            return error_page::reply(Status::NOT_FOUND, b"");
        }
        let found = self.look(&mut self.lock(), path.into(), place, now);
        match found {
            Ok(entry) => represent(entry, request, now),
            Err(miss) => self.explain(miss, path, request),
        }
    }

    /// The reply that says why there is nothing to serve at a path.
    fn explain(&self, miss: Miss, path: &SitePath<'_>, request: &Request<'_>) -> SiteReply {
        match miss {
            Miss::Refused(refusal) => refuse(refusal),
            Miss::WithoutSlash => redirect(path, request),
            Miss::WithoutIndex(directory) => self.without_index(path, &directory),
        }
    }

    /// Has the site stay with the directories that the paths of its roots led to, because this process may read no other.
    pub fn stay_at_root(&self) {
        for source in &mut self.lock().sources {
            if let Source::Directory { stay, .. } = source {
                *stay = Stay::Here;
            }
        }
    }

    /// True when the path of a root was last seen to lead elsewhere, and the site stays.
    pub fn root_has_moved(&self) -> bool {
        let behind = |source: &Source| matches!(source, Source::Directory { stay: Stay::Behind, .. });
        self.lock().sources.iter().any(behind)
    }

    /// Forgets what nobody has asked for in a minute; called now and then.
    pub fn sweep(&self, now: Now) {
        let age = self.rules.valid_ticks.max(WATCHED_TICKS).saturating_add(UNUSED_TICKS);
        let mut state = self.lock();
        let State { cache, watches, .. } = &mut *state;
        cache.sweep(now.tick.saturating_sub(age), |slot| lose(watches, &slot.sight));
        self.metrics.cache_entries(cache.len());
        self.metrics.cache_watches(watches.as_ref().map_or(0, Watches::len));
    }

    /// The entry of `key`, which leads to a file at `place`, or why there is none. Inlined, because all requests come here.
    #[inline(always)]
    fn look(&self, state: &mut State, key: Key<'_>, place: &Place, now: Now) -> Result<Arc<Entry>, Miss> {
        state.catch_up(now);
        state.follow_root(place.source, self.rules.valid_ticks, now);
        if let Some(slot) = state.cached(key)
            && now.tick.wrapping_sub(slot.entry.checked()) < self.rules.believed_ticks(&slot.sight)
            && slot.entry.is_intact()
        {
            self.metrics.cache_hit();
            return Ok(Arc::clone(&slot.entry));
        }
        if let Source::Welcome(entry) = &state.sources[place.source] {
            let found = key.path.is_empty().then(|| Arc::clone(entry));
            return found.ok_or(Refusal::NotFound.into());
        }
        self.metrics.cache_miss();
        let wanted = Wanted::of(key, place.at, &place.index);
        let mut found = state.resolve(place, &wanted);
        if matches!(found, Err(Refusal::Exhausted)) {
            // An entry that can't be re-checked for want of descriptors is better than no answer.
            if let Some(slot) = state.cached(key) {
                return Ok(Arc::clone(&slot.entry));
            }
            // The cache holds files open that nobody is waiting for.
            state.clear();
            found = state.resolve(place, &wanted);
        }
        if !matches!(found, Ok(Found::File(..))) {
            state.forget(key.path);
        }
        match found? {
            Found::File(file, stamp) => {
                state.settle(key, (place, &wanted), file, stamp, now).map_err(|_| Refusal::Failed.into())
            }
            Found::DirectoryWithoutSlash => Err(Miss::WithoutSlash),
            Found::DirectoryWithoutIndex(directory) => Err(Miss::WithoutIndex(directory)),
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

impl Rules {
    /// How many ticks an entry is believed after a look at its name.
    fn believed_ticks(&self, sight: &Sight) -> u32 {
        match sight {
            Sight::Watched(_) => WATCHED_TICKS,
            Sight::Unseen => self.valid_ticks,
            Sight::Unwatched => 0,
        }
    }
}

impl State {
    /// What the cache has for a path, whether it holds or not.
    fn cached(&mut self, key: Key<'_>) -> Option<&mut Slot> {
        self.cache.get(key.path).filter(|slot| slot.entry.is_index == key.is_directory)
    }

    /// Forgets what has changed, and notes which names have. Where nothing has, it costs a load.
    fn catch_up(&mut self, now: Now) {
        if inotify::has_news() {
            self.take_changes(now);
        }
    }

    #[cold]
    fn take_changes(&mut self, now: Now) {
        while inotify::take_news() {
            if let Some(watches) = &mut self.watches {
                let changes = watches.changes();
                if changes.all {
                    self.clear();
                }
                for key in changes.keys {
                    self.forget(&key);
                }
            }
            for (_, upkeep) in &mut self.upkeeps {
                upkeep.take_events(now.tick);
            }
        }
    }

    /// Watches a file that was just opened, and the way there.
    fn watch(
        &mut self,
        key: Key<'_>,
        (place, wanted): (&Place, &Wanted<'_>),
        file: BorrowedFd<'_>,
        identity: (u64, u64),
        now: Now,
    ) -> Option<Sight> {
        let Source::Directory { root, .. } = &self.sources[place.source] else { return None };
        let names = (&*wanted.name(), key.path);
        Some(self.watches.as_mut()?.watch(root, names, (file, identity), now.tick))
    }

    fn forget(&mut self, key: &[u8]) {
        if let Some(slot) = self.cache.remove(key) {
            lose(&mut self.watches, &slot.sight);
        }
    }

    fn clear(&mut self) {
        let State { cache, watches, .. } = self;
        cache.clear(|slot| lose(watches, &slot.sight));
    }

    fn resolve(&self, place: &Place, wanted: &Wanted<'_>) -> Result<Found, Refusal> {
        match &self.sources[place.source] {
            Source::Directory { root, .. } => resolve::resolve(root, wanted),
            Source::Welcome(_) => Err(Refusal::NotFound),
        }
    }

    /// Where the root's path leads somewhere else now (a deployment that switches a link), follows it.
    fn follow_root(&mut self, source: usize, valid_ticks: u32, now: Now) {
        let Source::Directory { root, path, checked, stay } = &mut self.sources[source] else { return };
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
                for (_, upkeep) in self.upkeeps.iter_mut().filter(|(number, _)| *number == source) {
                    upkeep.begin(now.tick);
                }
                self.clear();
            }
            Stay::No => {}
            Stay::Here | Stay::Behind => *stay = if new == old { Stay::Here } else { Stay::Behind },
        }
    }

    /// The entry for a file that was just opened: the cached one when it still has the same content, else a new one.
    fn settle(
        &mut self,
        key: Key<'_>,
        at: (&Place, &Wanted<'_>),
        file: OwnedFd,
        mut stamp: file::Stamp,
        now: Now,
    ) -> std::io::Result<Arc<Entry>> {
        let (looks, is_unwatched) = match self.cached(key) {
            Some(slot) => (slot.looks.saturating_add(1), matches!(slot.sight, Sight::Unwatched)),
            None => (0, true),
        };
        let mut sight = None;
        if is_unwatched && looks >= WORTH_WATCHING {
            sight = self.watch(key, at, file.as_fd(), stamp.identity, now);
            // Between the open and the watch it may have changed unseen.
            stamp = file::stat(file.as_fd()).inspect_err(|_| self.lose(&sight))?.1;
        }
        if let Some(slot) = self.cached(key)
            && slot.entry.confirm(&stamp, now)
        {
            slot.looks = looks;
            slot.sight = sight.unwrap_or_else(|| std::mem::take(&mut slot.sight));
            return Ok(Arc::clone(&slot.entry));
        }
        let (_, wanted) = at;
        let name = wanted.index.unwrap_or(wanted.path);
        let loaded = Entry::load(file, stamp, name, wanted.index.is_some(), now);
        let entry = Arc::new(loaded.inspect_err(|_| self.lose(&sight))?);
        let slot = Slot { entry: Arc::clone(&entry), sight: sight.unwrap_or_default(), looks };
        let State { cache, watches, .. } = self;
        cache.insert(key.path, slot, |left| lose(watches, &left.sight));
        Ok(entry)
    }

    fn lose(&mut self, sight: &Option<Sight>) {
        sight.iter().for_each(|sight| lose(&mut self.watches, sight));
    }
}

/// Gives up the watches that only an entry needed that is seen like this.
fn lose(watches: &mut Option<Watches>, sight: &Sight) {
    if let Some(watches) = watches {
        watches.lose(sight);
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
