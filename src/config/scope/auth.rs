//! Sign-in by name and password, `auth` in the settings file: a table with realm and users file, or `false`
//! where what is inherited does not hold.

use std::path::PathBuf;

use crate::config::file_value::FileValue;
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::http::target::SitePath;

/// Who is let in, and where that is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthSettings {
    /// What browsers call it; one line.
    pub realm: String,
    /// The file with the users and their hashes.
    pub users_file: PathBuf,
    /// Paths that need no sign-in: a slash and whole names, decoded. A slash at the end does not count.
    pub health: Vec<String>,
    /// True if passwords are taken over TLS alone.
    pub https: bool,
}

/// The keys of the table.
const KEYS: &[TableKey<AuthSettings>] = &[
    TableKey {
        name: "realm",
        takes: "a string: its name",
        read: ReadKey::Text(|auth, text| {
            if text.is_empty() || text.contains(char::is_control) {
                return Err("expected one line".to_owned());
            }
            text.clone_into(&mut auth.realm);
            Ok(())
        }),
        show: |auth| Some(string(&auth.realm)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "users_file",
        takes: "a string: FILE",
        read: ReadKey::Text(|auth, text| {
            if text.is_empty() || text.contains('\0') {
                return Err("expected a file".to_owned());
            }
            auth.users_file = text.into();
            Ok(())
        }),
        show: |auth| Some(string(&auth.users_file.to_string_lossy())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "health",
        takes: "a list of strings: [PATH]",
        read: ReadKey::List(|auth, text| {
            if !is_site_path(text) || text.contains(char::is_control) {
                let why = "expected a path without escapes and empty, . or .. names, for example /health";
                return Err(why.to_owned());
            }
            auth.health.push(text.to_owned());
            Ok(())
        }),
        show: |auth| {
            let paths: Vec<String> = auth.health.iter().map(|path| string(path)).collect();
            (!paths.is_empty()).then(|| format!("[{}]", paths.join(", ")))
        },
        ..TableKey::EMPTY
    },
    TableKey {
        name: "https",
        takes: "true or false",
        read: ReadKey::Switch(|auth, on| auth.https = on),
        show: |auth| auth.https.then(|| "true".to_owned()),
        ..TableKey::EMPTY
    },
];

/// What the key takes, as the end of a sentence.
pub const TAKES: &str = "false or a table: { realm = \"NAME\", users_file = \"FILE\" }";

impl AuthSettings {
    /// Reads the value; `false` is `None`.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(
        places: &mut KeyPlaces,
        full: &str,
        value: &FileValue,
    ) -> Result<Option<AuthSettings>, Fault> {
        if value.switch() == Some(false) {
            return Ok(None);
        }
        let wrong = || Fault::of(full, value.at, value.wrong_type(TAKES));
        let mut auth = AuthSettings::default();
        for entry in value.table().ok_or_else(wrong)? {
            let name = format!("{full}.{}", entry.name);
            let unknown = || {
                let why = table_key::unknown(&entry.name, &table_key::names(KEYS));
                Fault::of(&name, entry.at, why)
            };
            let key = KEYS.iter().find(|key| entry.name == key.name).ok_or_else(unknown)?;
            table_key::read_entry(key, &name, &mut auth, places, entry)?;
        }
        for (name, is_missing) in
            [("realm", auth.realm.is_empty()), ("users_file", auth.users_file.as_os_str().is_empty())]
        {
            if is_missing {
                return Err(Fault::of(full, value.at, format!("needs {name} (expected {TAKES})")));
            }
        }
        Ok(Some(auth))
    }

    /// A path that needs no sign-in, but is not beneath this one, the path of the location that names it. No
    /// request would be one of both.
    pub fn health_outside(&self, location: &str) -> Option<&str> {
        let is_beneath = |path: &&String| {
            let rest = path.strip_prefix(location.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.health.iter().find(|path| !is_beneath(path)).map(String::as_str)
    }

    /// The value in TOML.
    pub fn show(auth: &Option<AuthSettings>) -> String {
        auth.as_ref().map_or_else(|| "false".to_owned(), |auth| table_key::inline(KEYS, auth))
    }
}

/// True if a request of this path is compared with the same bytes: nothing to decode or to resolve.
fn is_site_path(text: &str) -> bool {
    let path = SitePath::parse(text.as_bytes());
    // A slash at the end does not count.
    path.is_ok_and(|path| {
        let names = text.strip_prefix('/').map(|names| names.strip_suffix('/').unwrap_or(names));
        names.is_some_and(|names| names.as_bytes() == path.as_bytes())
    })
}
