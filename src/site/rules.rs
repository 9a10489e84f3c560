//! What the settings say about one host, made ready before the first request.

use std::borrow::Cow;

use super::listing::hidden::HiddenNames;
use super::location::{HostPart, Location};
use super::locations::Locations;
use crate::config::location::LocationSettings;
use crate::http::target::SitePath;

/// What the settings say about one host, or about all requests that name none.
#[derive(Debug)]
pub struct Rules {
    /// The locations of the host.
    pub locations: Locations,
    /// True if names that begin with a dot are served.
    pub dotfiles: bool,
    /// The location of all other paths.
    fallback: Location,
    /// What the cache keys of its files begin with; empty for requests that name no host.
    key_prefix: Box<[u8]>,
    /// The number of its access log, if it has one.
    pub log: Option<u16>,
}

impl Rules {
    /// The rules of a host with these locations, of which the first has the number of `host`.
    pub fn new(locations: &[LocationSettings], mut host: HostPart<'_>, dotfiles: bool) -> Rules {
        let fallback = Location::fallback(&host);
        let location = |setting: &LocationSettings| {
            host.number += 1;
            Location::new(setting, &host)
        };
        let locations = Locations::new(locations.iter().map(location).collect());
        Rules { locations, dotfiles, fallback, key_prefix: host.key_prefix.into(), log: host.log }
    }

    /// The location of a path.
    pub fn location(&self, path: &SitePath<'_>) -> &Location {
        self.locations.of(path).unwrap_or(&self.fallback)
    }

    /// The names that listings leave out.
    pub fn hidden_names(&self) -> HiddenNames {
        HiddenNames { shows_dotfiles: self.dotfiles, others: &[] }
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

    /// True if `path` has a name that begins with a dot and must not be served.
    pub fn hides(&self, path: &SitePath<'_>, location: &Location) -> bool {
        !self.dotfiles && path.has_hidden_segment_from(location.shown)
    }
}
