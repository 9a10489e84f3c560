//! What the settings say about a site, made ready before the first request.

use super::location::Location;
use super::locations::Locations;
use crate::config::{MissingIndex, Settings};
use crate::http::status::Status;
use crate::http::target::SitePath;

/// What the settings say about a site.
#[derive(Debug)]
pub struct Rules {
    /// The locations of the settings.
    pub locations: Locations,
    /// The status of a directory that has neither an index nor a listing.
    pub missing_index: Status,
    /// True if a directory without an index is listed.
    pub listing: bool,
    /// True if names that begin with a dot are served.
    pub dotfiles: bool,
    /// The location of all other paths.
    fallback: Location,
}

impl Rules {
    /// The rules of these settings.
    pub fn new(settings: &Settings) -> Rules {
        Rules {
            locations: Locations::new(settings),
            missing_index: match settings.missing_index {
                MissingIndex::Forbidden => Status::FORBIDDEN,
                MissingIndex::NotFound => Status::NOT_FOUND,
            },
            listing: settings.listing,
            dotfiles: settings.dotfiles,
            fallback: Location::fallback(settings),
        }
    }

    /// The location of a path.
    pub fn location(&self, path: &SitePath<'_>) -> &Location {
        self.locations.of(path).unwrap_or(&self.fallback)
    }

    /// True if `path` has a name that begins with a dot and must not be served.
    pub fn hides(&self, path: &SitePath<'_>, location: &Location) -> bool {
        !self.dotfiles && path.has_hidden_segment_from(location.shown)
    }
}
