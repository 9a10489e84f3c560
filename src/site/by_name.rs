//! Files that are found by their bare names: the site's part, from a request to the entry that answers it.
//!
//! The store knows which file of a name lies where. **Invariant:** names only say what to try; what is served
//! is opened beneath the root like every file, under a cache key that no site path can be.

use std::sync::Arc;

use super::location::{ByName, Location};
use super::rules::Rules;
use crate::background::JobWaiter;
use crate::http::target::{PlainName, SitePath};
use crate::store::Store;
use crate::store::cache::Key;
use crate::store::entry::Entry;
use crate::store::name_index::NamedFile;
use crate::store::open::Miss;
use crate::sys::file::Kind;
use crate::time::Now;

/// Files of one name that are tried for a request: each that can't be served costs an open.
const CANDIDATES: usize = 256;

/// A search for files by their names in one location.
pub struct NameSearch<'a> {
    /// Where the files are.
    pub store: &'a Store,
    /// The site's rules.
    pub rules: &'a Rules,
    /// The location that the request's path belongs to.
    pub location: &'a Location,
    /// Its files by name.
    pub by_name: &'a ByName,
}

impl NameSearch<'_> {
    /// The entry at `path`, or at the name that `query` asks for; where there is none, the first file of that
    /// name elsewhere beneath the root. `now` becomes the time after a wait.
    ///
    /// # Errors
    /// See [`Miss`].
    #[inline(never)]
    pub fn find(
        &self,
        path: &SitePath<'_>,
        query: Option<&[u8]>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss> {
        let NameSearch { store, rules, location, .. } = self;
        let by_query = match location.queried_name(path, query).map(PlainName::decode) {
            None => None,
            Some(None) => return Err(Miss::NotFound),
            Some(Some(name)) => Some(path.file(&name)),
        };
        let path = by_query.as_ref().unwrap_or(path);
        if rules.hides(path, location) {
            return Err(Miss::NotFound);
        }
        // A path that belongs to another location is not opened beneath this one's root.
        if by_query.is_none() || std::ptr::eq(rules.location(path), *location) {
            let key = Key { path: &rules.key_path(path), is_directory: path.is_directory() };
            match store.get(key, &location.directory, now, waiter) {
                Err(Miss::NotFound) if !path.is_directory() => {}
                Err(Miss::DirectoryWithoutSlash) if by_query.is_some() => {}
                found => return found,
            }
        }
        let path = location.file_path(path);
        let name = memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..]);
        if name.is_empty() || name.starts_with(b".") {
            return Err(Miss::NotFound);
        }
        self.first_of_name(name, now, waiter)
    }

    /// The first file called `name` that can be served.
    fn first_of_name(
        &self,
        name: &[u8],
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss> {
        let NameSearch { store, rules, location, by_name } = self;
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..CANDIDATES {
            let (file, kind) = match store.find_by_name(by_name.directory.root, name, last.as_deref()) {
                NamedFile::Found(file, kind) => (file, kind),
                NamedFile::NotFound => break,
                NamedFile::Unavailable => return Err(Miss::Overloaded),
            };
            if !rules.closes(location, &file) && !rules.is_site_file(location, &file) {
                let key = Key { path: &by_name.key(&file), is_directory: false };
                match store.get(key, &by_name.directory, now, waiter) {
                    // A link that leads nowhere, outside or to a directory; a file that has just gone.
                    Err(Miss::NotFound | Miss::DirectoryWithoutSlash | Miss::DirectoryWithoutIndex(_)) => {}
                    Err(Miss::Forbidden) if kind == Kind::Link => {}
                    found => return found,
                }
            }
            last = Some(file);
        }
        Err(Miss::NotFound)
    }
}
