//! A location, `[[location]]` in the settings file: settings for the paths that begin with one.
//!
//! It owns the type. The keys of the table are in [`keys`], what a key may hold beside others in [`check`],
//! and which location answers a request is the site's business.

pub mod check;
pub mod keys;

use std::path::PathBuf;
use std::time::Duration;

use super::network::AccessList;

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
    /// The file that is served for a directory; `None` is the site's.
    pub index: Option<String>,
    /// True if a file is also found by its bare name, anywhere beneath the root.
    pub find_by_name: bool,
    /// How long a response may be cached, 0 to 3650 days.
    pub expires: Option<Duration>,
    /// The value of Cache-Control, one line.
    pub cache_control: Option<String>,
    /// True if requests are written to the access log.
    pub access_log: bool,
    /// Further fields of each response, in the order of the file: a token, and a value of one line.
    pub headers: Vec<(String, String)>,
    /// The response in place of a file.
    pub response: Option<FixedResponse>,
    /// Which clients are allowed.
    pub access: AccessList,
}

/// Where a location's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Where the site's are.
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
            index: None,
            find_by_name: false,
            expires: None,
            cache_control: None,
            access_log: true,
            headers: Vec::new(),
            response: None,
            access: AccessList::default(),
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
