//! A host, `[[host]]` in the settings file: settings for the requests that name one.
//!
//! It owns the type. The keys of the table are in [`keys`], and which host answers a request is the site's
//! business.

pub mod keys;
pub mod name;

use std::path::PathBuf;

use self::name::HostName;
use super::choice::AccessLogTarget;
use super::location::LocationSettings;
use super::scope::ScopeSettings;

/// The key of the tables in a settings file.
pub const KEY: &str = "host";

/// The settings for the requests that name a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Its names: at least one, and no other host has one of them.
    pub names: Vec<HostName>,
    /// The directory that its files are beneath; `None` is that of the server.
    pub root: Option<PathBuf>,
    /// Where its access log goes; `None` is where that of the server goes.
    pub access_log: Option<AccessLogTarget>,
    /// Settings for some paths, in the order of the settings file.
    pub locations: Vec<LocationSettings>,
    /// What it sets of what hosts and locations share.
    pub scope: ScopeSettings,
}
