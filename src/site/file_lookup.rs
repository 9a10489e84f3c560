//! Which file answers for a path: the one that lies there, a page without its extension, or one of the
//! release before.

use std::sync::Arc;

use super::location::Location;
use super::rules::Rules;
use crate::background::JobWaiter;
use crate::http::target::SitePath;
use crate::store::Store;
use crate::store::cache::Key;
use crate::store::entry::Entry;
use crate::store::open::Miss;
use crate::time::Now;

/// The extension that pages have no need of in their paths.
const PAGE: &str = ".html";

/// Looks for files in one location.
pub struct FileLookup<'a, 'w> {
    /// Where the files are.
    pub store: &'a Store,
    /// The rules of the host.
    pub rules: &'a Rules,
    /// The location that the path belongs to.
    pub location: &'a Location,
    /// The time; after a wait the time then.
    pub now: &'a mut Now,
    /// What waits for jobs.
    pub waiter: &'a mut (dyn JobWaiter + 'w),
}

/// What was found.
#[derive(Debug)]
pub enum FoundFile {
    /// This file.
    Here(Arc<Entry>),
    /// A page that has another path, and the page.
    Elsewhere(SitePath<'static>, Arc<Entry>),
}

impl FoundFile {
    /// This, sent for the path that was asked for, as a page is that a rule has led to.
    #[must_use]
    pub fn here(self) -> FoundFile {
        match self {
            FoundFile::Here(entry) | FoundFile::Elsewhere(_, entry) => FoundFile::Here(entry),
        }
    }
}

impl FileLookup<'_, '_> {
    /// The file for a path.
    ///
    /// # Errors
    /// See [`Miss`].
    #[inline]
    pub fn find(&mut self, path: &SitePath<'_>) -> Result<FoundFile, Miss> {
        let found =
            if self.location.clean_urls { self.find_page(path) } else { self.get(path).map(FoundFile::Here) };
        match found {
            Err(Miss::NotFound) if !self.location.fallback_roots.is_empty() => {
                self.find_in_fallback_roots(path).map(FoundFile::Here)
            }
            found => found,
        }
    }

    fn get(&mut self, path: &SitePath<'_>) -> Result<Arc<Entry>, Miss> {
        let key = Key { path: &self.rules.key_path(path), is_directory: path.is_directory() };
        self.store.get(key, &self.location.directory, self.now, self.waiter)
    }

    /// The file at a path that is not the requested one, if it may answer for that.
    fn get_for(&mut self, asked: &SitePath<'_>, path: &SitePath<'_>) -> Result<Arc<Entry>, Miss> {
        if !self.rules.shares(self.location, asked, path) {
            return Err(Miss::NotFound);
        }
        self.get(path)
    }

    /// The file for a path where pages have paths without their extension.
    #[inline(never)]
    fn find_page(&mut self, path: &SitePath<'_>) -> Result<FoundFile, Miss> {
        let found = self.get(path);
        match found {
            Ok(entry) => Ok(match self.clean_path(path) {
                Some(clean) => FoundFile::Elsewhere(clean, entry),
                None => FoundFile::Here(entry),
            }),
            Err(Miss::NotFound) if path.is_directory() => {
                // `/about/`, where `/about` is a page.
                let clean = path.with_directory(false);
                let page = path.with_suffix(PAGE).filter(|_| self.rules.shares(self.location, path, &clean));
                match page.map(|page| self.get_for(path, &page)) {
                    Some(Ok(entry)) => Ok(FoundFile::Elsewhere(clean, entry)),
                    _ => Err(Miss::NotFound),
                }
            }
            Err(miss @ (Miss::NotFound | Miss::DirectoryWithoutSlash)) => {
                let page = path.with_suffix(PAGE).map(|page| self.get_for(path, &page));
                if let Some(Ok(entry)) = page {
                    return Ok(FoundFile::Here(entry));
                }
                if matches!(miss, Miss::DirectoryWithoutSlash)
                    && let Ok(entry) = self.get_for(path, &path.with_directory(true))
                {
                    return Ok(FoundFile::Here(entry));
                }
                Err(miss)
            }
            Err(miss) => Err(miss),
        }
    }

    /// The path without its extension of a page that lies at `path`, if it leads to the same page.
    fn clean_path(&mut self, path: &SitePath<'_>) -> Option<SitePath<'static>> {
        if let Some(directory) = path.without_name(&self.location.directory.index) {
            return Some(directory).filter(|directory| self.rules.shares(self.location, path, directory));
        }
        let clean = path.without_suffix(PAGE)?;
        if !self.rules.shares(self.location, path, &clean) {
            return None;
        }
        matches!(self.get(&clean), Err(Miss::NotFound | Miss::DirectoryWithoutSlash)).then_some(clean)
    }

    /// The file at a path beneath the directories that are looked through after the root. No page is taken
    /// from there: a page of the release before would have the links of that release.
    #[inline(never)]
    fn find_in_fallback_roots(&mut self, path: &SitePath<'_>) -> Result<Arc<Entry>, Miss> {
        if path.is_directory() {
            return Err(Miss::NotFound);
        }
        for (prefix, directory) in &self.location.fallback_roots {
            let key = [prefix, &b"/"[..], self.location.file_path(path)].concat();
            let key = Key { path: &key, is_directory: false };
            match self.store.get(key, directory, self.now, self.waiter) {
                Ok(entry) if !entry.is_page() => return Ok(entry),
                Ok(_) | Err(Miss::NotFound | Miss::DirectoryWithoutSlash | Miss::Forbidden) => {}
                Err(miss) => return Err(miss),
            }
        }
        Err(Miss::NotFound)
    }
}
