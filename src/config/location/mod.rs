//! A location, `[[location]]` in the settings file: settings for the paths that begin with one.
//!
//! It owns the type. The keys of the table are in [`keys`], what a key may hold beside others in [`check`],
//! and which location answers a request is the site's business.

pub mod check;
pub mod keys;

use std::path::PathBuf;

use super::network::AccessList;
use super::scope::ScopeSettings;

/// The key of the tables in a settings file.
pub const KEY: &str = "location";

/// The statuses that a location may return.
pub const STATUSES: [u16; 15] = [200, 204, 301, 302, 303, 307, 308, 400, 403, 404, 410, 429, 451, 500, 503];

/// The settings for the paths that begin with `path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationSettings {
    /// A slash and whole names, decoded. With a slash at its end it does not match the path without that
    /// slash.
    pub path: String,
    /// Where its files are.
    pub files: Files,
    /// True if a file is also found by its bare name, anywhere beneath the root.
    pub find_by_name: bool,
    /// True if requests are written to the access log.
    pub access_log: bool,
    /// The response in place of a file.
    pub response: Option<FixedResponse>,
    /// Which clients are allowed.
    pub access: AccessList,
    /// What it sets of what hosts and locations share.
    pub scope: ScopeSettings,
}

/// Where a location's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Where those of its host are.
    Site,
    /// Beneath this directory, by the whole path.
    Root(PathBuf),
    /// Beneath this directory, by the path after the location's.
    Alias(PathBuf),
}

/// A response that is always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// One of [`STATUSES`].
    pub status: u16,
    /// The body; `None` is the page of the status, or nothing for 200 and 204.
    pub body: Option<String>,
    /// The media type of the body, one line.
    pub media_type: String,
}

impl LocationSettings {
    /// The location of a path, without any other key.
    pub fn at(path: String) -> LocationSettings {
        LocationSettings {
            path,
            files: Files::Site,
            find_by_name: false,
            access_log: true,
            response: None,
            access: AccessList::default(),
            scope: ScopeSettings::default(),
        }
    }
}

impl Default for LocationSettings {
    fn default() -> LocationSettings {
        LocationSettings::at(String::new())
    }
}

impl Default for FixedResponse {
    fn default() -> FixedResponse {
        FixedResponse { status: 200, body: None, media_type: "text/plain; charset=utf-8".to_owned() }
    }
}

/// Pairs of locations with the same path, by their numbers: one that never answers, and the one that does.
pub fn shadowed(locations: &[LocationSettings]) -> impl Iterator<Item = (usize, usize)> {
    locations.iter().enumerate().filter_map(|(nth, location)| {
        let first = locations.iter().position(|other| other.path == location.path)?;
        (first < nth).then_some((nth, first))
    })
}
