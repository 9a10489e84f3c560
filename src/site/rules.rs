//! What the settings say about one host, made ready before the first request.

use std::borrow::Cow;
use std::sync::Arc;

use super::listing::hidden::HiddenNames;
use super::location::{HostPart, Location};
use super::locations::Locations;
use super::site_files::SiteFiles;
use crate::config::location::LocationSettings;
use crate::http::target::SitePath;
use crate::metrics::HostNumber;
use crate::time::warning::Warning;

/// What the settings say about one host, or about all requests that name none.
#[derive(Debug)]
pub struct Rules {
    /// The locations of the host.
    pub locations: Locations,
    /// The location of all other paths.
    fallback: Location,
    /// What the cache keys of its files begin with; empty for requests that name no host.
    key_prefix: Box<[u8]>,
    /// The number of its access log, if it has one.
    pub log: Option<u16>,
    /// `_redirects` and `_headers` in its root, if any of its locations uses them.
    pub site_files: Option<Arc<SiteFiles>>,
    /// When it was logged last that rewrites lead in a circle.
    pub rewrites: Warning,
    /// The number that its requests are counted by, if the settings have hosts.
    pub counted: Option<HostNumber>,
}

impl Rules {
    /// The rules of a host with these locations, of which the first has the number of `host`. Its requests
    /// are not counted.
    pub fn new(locations: &[LocationSettings], mut host: HostPart<'_>) -> Rules {
        let fallback = Location::fallback(&host);
        let location = |setting: &LocationSettings| {
            host.number += 1;
            Location::new(setting, &host)
        };
        let locations: Vec<Location> = locations.iter().map(location).collect();
        let has_site_files = fallback.site_files || locations.iter().any(|location| location.site_files);
        Rules {
            locations: Locations::new(locations),
            fallback,
            key_prefix: host.key_prefix.into(),
            log: host.log,
            site_files: has_site_files.then(|| host.tables.files(host.root)),
            rewrites: Warning::default(),
            counted: None,
        }
    }

    /// The same, with the number that its requests are counted by.
    pub fn counted_by(self, counted: Option<HostNumber>) -> Rules {
        Rules { counted, ..self }
    }

    /// The location of a path.
    pub fn location(&self, path: &SitePath<'_>) -> &Location {
        self.locations.of(path).unwrap_or(&self.fallback)
    }

    /// The location of paths that no other one covers, and of requests whose path can't be read.
    pub fn fallback(&self) -> &Location {
        &self.fallback
    }

    /// The names that the listing of `directory`, a path beneath the location's root, leaves out.
    pub fn hidden_names(&self, location: &Location, directory: &[u8]) -> HiddenNames {
        let directory = directory.strip_suffix(b"/").unwrap_or(directory);
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        let has_rules = self.site_files.is_some()
            && self.is_site_file(location, &[directory, separator, b"_redirects"].concat());
        let others: &[&str] = if has_rules { &["_redirects", "_headers"] } else { &[] };
        HiddenNames { dotfiles: location.hidden, others }
    }

    /// The number of the access log that has the requests of a location, if one has them.
    pub fn log_of(&self, location: &Location) -> Option<u16> {
        self.log.filter(|_| location.logged)
    }

    /// The path in the cache key of what is at a site path.
    #[inline]
    pub fn key_path<'a>(&self, path: &'a SitePath<'_>) -> Cow<'a, [u8]> {
        if self.key_prefix.is_empty() {
            return Cow::Borrowed(path.as_bytes());
        }
        Cow::Owned([&*self.key_prefix, b"/", path.as_bytes()].concat())
    }

    /// True if a search by name in `location` must not find `file`; see [`Locations::closes`].
    pub fn closes(&self, location: &Location, file: &[u8]) -> bool {
        self.locations.closes(location, file, &self.fallback)
    }

    /// True if what is at `path` must not be sent for `asked`, a path in `location`: it belongs to another
    /// location, which refuses some clients or lets in other users, or `asked` alone needs no sign-in.
    pub fn closes_path(&self, location: &Location, asked: &SitePath<'_>, path: &SitePath<'_>) -> bool {
        let owner = self.location(path);
        owner.is_closed_to(location) || (location.opens(asked) && owner.protection(path).is_some())
    }

    /// True if a file at `path` may answer for `asked` as if it were there: both belong to this location, and
    /// both are open or neither is.
    pub fn shares(&self, location: &Location, asked: &SitePath<'_>, path: &SitePath<'_>) -> bool {
        std::ptr::eq(self.location(path), location)
            && !self.closes_path(location, asked, path)
            && !self.hides(path, location)
    }

    /// True if `path` must not be served: it has a name that begins with a dot, or is a file of rules.
    pub fn hides(&self, path: &SitePath<'_>, location: &Location) -> bool {
        if location.hidden.hides(path, location.shown) {
            return true;
        }
        self.is_site_file(location, location.file_path(path))
    }

    /// True if a file beneath the location's root, or one that is looked through after it, is one of rules.
    pub fn is_site_file(&self, location: &Location, file: &[u8]) -> bool {
        let Some(files) = &self.site_files else { return false };
        let fallbacks = location.fallback_roots.iter().map(|(_, directory)| directory.root);
        std::iter::once(location.directory.root).chain(fallbacks).any(|root| files.hides(root, file))
    }
}
