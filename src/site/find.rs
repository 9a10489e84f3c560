//! Files that are found by their bare names: the site's part in it, from a request to the entry that answers it.
//!
//! What lies where is known by [`names`](super::names), and kept current by [`upkeep`](super::upkeep). The subtle rule: names
//! only say what to try; what is served is opened beneath the root like all else, under a key that no site path can be.

use super::cache::Key;
use super::location::{ByName, Location};
use super::notice::Notice;
use super::resolve::{Refusal, Wanted};
use super::upkeep::{self, Upkeep};
use super::{Miss, Now, Site, SiteReply, Source, State, error_page, refuse, represent};
use crate::http::request::Request;
use crate::http::status::Status;
use crate::http::target::{PlainName, SitePath};
use crate::sys::file::Kind;
use crate::sys::inotify::Inotify;
use crate::sys::timer;

/// Files of one name that are tried for a request: each that can't be served costs an open.
const CANDIDATES: usize = 256;

impl Site {
    /// Whether files are found by their bare names somewhere.
    pub fn finds_by_name(&self) -> bool {
        !self.rules.locations.sources_by_name().is_empty()
    }

    /// Reads the names of files that are found by them, all at once, and has changes of them reported to the calling
    /// thread, which must be the one that answers; by `bound` watches at most.
    pub fn read_names(&self, bound: usize, now: Now) {
        let sources = self.rules.locations.sources_by_name();
        let share = bound / sources.len().max(1);
        let mut state = self.lock();
        let State { sources: all, upkeeps, .. } = &mut *state;
        for number in sources {
            if let Source::Directory { root, .. } = &all[number] {
                let mut upkeep = Upkeep::new(Inotify::start(), self.rules.find_limit, share, now.tick);
                // Who reads has not died.
                upkeep.complete(root, now.tick, || self.metrics.beat(timer::monotonic()));
                upkeeps.push((number, upkeep));
            }
        }
    }

    /// Has the names catch up with what has changed, a lot of it; true where there is more. Called now and then.
    pub fn tend_names(&self, now: Now) -> bool {
        let mut state = self.lock();
        let State { sources, upkeeps, .. } = &mut *state;
        let mut more = false;
        for (number, upkeep) in upkeeps {
            if let Source::Directory { root, .. } = &sources[*number] {
                more |= upkeep.advance(root, now.tick);
            }
        }
        more
    }

    /// What the operator should know of the names since the last call, each with its directory, and whether it is bad.
    pub fn take_notices(&self) -> Vec<(bool, String)> {
        let mut state = self.lock();
        let State { sources, upkeeps, .. } = &mut *state;
        let mut lines = Vec::new();
        for (number, upkeep) in upkeeps {
            let Source::Directory { path, .. } = &sources[*number] else { continue };
            let notices = upkeep.take_notices().into_iter();
            let line =
                |notice: Notice| (notice.is_bad(), format!("find_by_name in {}: {notice}", path.display()));
            lines.extend(notices.map(line));
        }
        lines
    }

    /// What lies at a path, or at the name that its query asks for; where nothing does, the first file of that name which
    /// lies elsewhere beneath the root. `None` while names are being read.
    #[inline(never)]
    pub(super) fn find(
        &self,
        location: &Location,
        by_name: &ByName,
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: Now,
    ) -> Option<SiteReply> {
        let nothing = || Some(error_page::reply(Status::NOT_FOUND, b""));
        let asked = location.name_asked(path, request.target.query);
        let by_query = match asked.map(PlainName::decode) {
            None => None,
            Some(None) => return nothing(),
            Some(Some(name)) => Some(path.file(&name)),
        };
        let path = by_query.as_ref().unwrap_or(path);
        if !self.rules.dotfiles && path.has_hidden_segment_from(location.shown) {
            return nothing();
        }
        let mut state = self.lock();
        // What belongs to another location is not looked for at the place that it has in this one.
        let owner = if by_query.is_some() { self.rules.locations.of(path) } else { Some(location) };
        if owner.is_some_and(|owner| std::ptr::eq(owner, location)) {
            match self.look(&mut state, path.into(), &location.place, now) {
                Ok(entry) => return Some(represent(entry, request, now)),
                Err(Miss::Refused(Refusal::NotFound)) if !path.is_directory() => {}
                Err(Miss::WithoutSlash) if by_query.is_some() => {}
                Err(miss) => return Some(self.explain(miss, path, request)),
            }
        } else {
            state.catch_up(now);
            state.follow_root(location.place.source, self.rules.valid_ticks, now);
        }
        let path = Wanted::of(path.into(), location.place.at, b"").path;
        let name = memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..]);
        if name.is_empty() || name.starts_with(b".") {
            return nothing();
        }
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..CANDIDATES {
            match state.ask_names(by_name.place.source, self.rules.valid_ticks, now) {
                upkeep::State::Current => {}
                upkeep::State::Later => return None,
                upkeep::State::Unable => return Some(refuse(Refusal::Exhausted)),
            }
            let Some((file, kind)) = state.first_of_name(by_name.place.source, name, last.as_deref()) else {
                return nothing();
            };
            if !self.rules.locations.close(location, &file) {
                let key = by_name.key(&file);
                let key = Key { path: &key, is_directory: false };
                match self.look(&mut state, key, &by_name.place, now) {
                    Ok(entry) => return Some(represent(entry, request, now)),
                    // A link that leads nowhere, outside or to a directory; a file that has just gone.
                    Err(Miss::Refused(Refusal::NotFound) | Miss::WithoutSlash) => {}
                    Err(Miss::Refused(Refusal::Forbidden)) if kind == Kind::Link => {}
                    Err(Miss::Refused(refusal)) => return Some(refuse(refusal)),
                    Err(Miss::WithoutIndex(_)) => {}
                }
            }
            last = Some(file);
        }
        nothing()
    }
}

impl State {
    /// Whether the names of a source are what is there.
    fn ask_names(&mut self, source: usize, valid_ticks: u32, now: Now) -> upkeep::State {
        let Source::Directory { root, .. } = &self.sources[source] else { return upkeep::State::Current };
        let upkeep = self.upkeeps.iter_mut().find(|(number, _)| *number == source);
        upkeep.map_or(upkeep::State::Unable, |(_, upkeep)| upkeep.ask(root, valid_ticks, now.tick))
    }

    /// The first file of a name in a source, or the first behind the one of path `last`.
    fn first_of_name(&self, source: usize, name: &[u8], last: Option<&[u8]>) -> Option<(Vec<u8>, Kind)> {
        let (_, upkeep) = self.upkeeps.iter().find(|(number, _)| *number == source)?;
        upkeep.names().first(name, last).map(|(path, kind)| (path.to_vec(), kind))
    }
}
