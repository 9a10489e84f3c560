//! What a source gives: texts for settings, and where each text stands, for the words of an error and of the
//! dump.
//!
//! It knows no format and no bounds of values.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::config::certificate::CertificateFiles;
use crate::config::host::HostSettings;
use crate::config::location::LocationSettings;
use crate::config::row::SettingRow;
use crate::config::scope::ScopeSettings;
use crate::config::source_map::{Position, SourceMap};
use crate::config::types::TypeOf;
use crate::error::{self, StartupError};

/// One source of settings.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct SettingSource {
    /// The texts, in the order in which the source has them.
    pub given: Vec<Given>,
    /// The locations, which only a file has.
    pub locations: Vec<(LocationSettings, SettingOrigin)>,
    /// The hosts, likewise.
    pub hosts: Vec<GivenHost>,
    /// The certificates of tables, likewise.
    pub certificates: Vec<(CertificateFiles, SettingOrigin)>,
    /// What tables and keys without a flag set for the whole server, likewise.
    pub scope: ScopeSettings,
    /// Where each of these keys stands.
    pub scope_origins: Vec<(&'static str, SettingOrigin)>,
    /// The media types, likewise.
    pub types: Vec<(TypeOf, SettingOrigin)>,
    /// A line for each thing in it that is ignored.
    pub warnings: Vec<String>,
}

/// A host, and where its tables stand.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenHost {
    /// The host.
    pub host: HostSettings,
    /// Where it stands.
    pub origin: SettingOrigin,
    /// Where each of its locations stands, in their order.
    pub locations: Vec<SettingOrigin>,
}

/// One text for a setting. A list has several.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The setting.
    pub row: &'static SettingRow,
    /// The text. **Invariant:** it is UTF-8 unless the row has a path.
    text: OsString,
    /// Where it stands.
    pub origin: SettingOrigin,
}

/// Where a text stands, as its user finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// On the command line: the flag, or `ROOT`.
    Flag(String),
    /// In this variable.
    Variable(String),
    /// In a settings file.
    File {
        /// The file.
        path: PathBuf,
        /// The key in that file.
        key: String,
        /// The position of the value.
        position: Position,
    },
}

impl SettingSource {
    /// The texts for a setting.
    pub fn values<'a>(&'a self, row: &'a SettingRow) -> impl Iterator<Item = &'a Given> {
        self.given.iter().filter(move |given| given.row == row)
    }

    /// The first text for the setting of the flag called `long`.
    pub fn find(&self, long: &str) -> Option<&Given> {
        self.given.iter().find(|given| given.row.long == long)
    }
}

impl Given {
    /// The values in a text: one, or those between the commas of a list.
    pub fn of_text(row: &'static SettingRow, text: &str, origin: &SettingOrigin) -> Vec<Given> {
        let value = |text: &str| Given { row, text: text.into(), origin: origin.clone() };
        if row.is_list() { text.split(',').map(value).collect() } else { vec![value(text)] }
    }

    /// A path, which may have any bytes.
    pub fn of_path(row: &'static SettingRow, path: &OsStr, origin: &SettingOrigin) -> Given {
        Given { row, text: path.to_owned(), origin: origin.clone() }
    }

    /// The values in bytes.
    ///
    /// # Errors
    /// If they are not UTF-8 and the row has no path.
    pub fn of_bytes(
        row: &'static SettingRow,
        bytes: &OsStr,
        origin: &SettingOrigin,
    ) -> Result<Vec<Given>, StartupError> {
        match bytes.to_str() {
            _ if row.is_path() => Ok(vec![Given::of_path(row, bytes, origin)]),
            Some(text) => Ok(Given::of_text(row, text, origin)),
            None => Err(origin.refuse(row, &bytes.to_string_lossy(), "expected text in UTF-8".to_owned())),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    /// The text as bytes, for a path.
    pub fn bytes(&self) -> &OsStr {
        &self.text
    }

    /// The error for a value that is not allowed.
    pub fn refuse(&self, why: String) -> StartupError {
        self.origin.refuse(self.row, self.text(), why)
    }

    /// The error for two settings of one source that exclude each other.
    pub fn excludes(&self, other: &Given) -> StartupError {
        match (&self.origin, &other.origin) {
            (SettingOrigin::File { path, key, position }, SettingOrigin::File { key: other, .. }) => {
                StartupError::Line {
                    path: path.clone(),
                    line: position.line,
                    column: position.column,
                    key: Some(key.clone()),
                    why: format!("can't be combined with {other}"),
                }
            }
            (origin, other) => {
                StartupError::Usage(format!("{} and {} can't be combined", origin.locate(), other.locate()))
            }
        }
    }
}

impl SettingOrigin {
    /// A place in a file.
    pub fn in_file(map: &SourceMap<'_>, key: &str, at: usize) -> SettingOrigin {
        SettingOrigin::File { path: map.path.to_owned(), key: key.to_owned(), position: map.position(at) }
    }

    /// `--log-level`, `MAYHTTPD_LOG_LEVEL` or `mayhttpd.toml:12`.
    pub fn locate(&self) -> String {
        match self {
            SettingOrigin::Flag(name) | SettingOrigin::Variable(name) => name.clone(),
            SettingOrigin::File { path, position, .. } => format!("{}:{}", error::shown(path), position.line),
        }
    }

    /// The error for what stands in a table of a file.
    pub fn fault(&self, why: String) -> StartupError {
        match self {
            SettingOrigin::File { path, key, position } => StartupError::Line {
                path: path.clone(),
                line: position.line,
                column: position.column,
                key: Some(key.clone()),
                why,
            },
            origin => StartupError::Usage(format!("{}: {why}", origin.locate())),
        }
    }

    fn refuse(&self, row: &SettingRow, value: &str, why: String) -> StartupError {
        let why = match self {
            SettingOrigin::File { path, key, position: Position { line, column } } => {
                return StartupError::Line {
                    path: path.clone(),
                    line: *line,
                    column: *column,
                    key: Some(key.clone()),
                    why: format!("invalid value {value:?} ({why})"),
                };
            }
            // The flag may have taken the root that follows it for its value.
            SettingOrigin::Flag(_) if !row.alone.is_empty() => {
                format!("{why} (put ROOT before a flag without a value)")
            }
            _ => why,
        };
        StartupError::Config { key: self.locate(), value: value.to_owned(), why }
    }
}
