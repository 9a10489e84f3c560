//! The table of a host's keys: one row for each, beside those of [`scope`] and the
//! tables of its locations.

use std::path::{Path, PathBuf};

use super::HostSettings;
use super::name::HostName;
use crate::config::choice::AccessLogTarget;
use crate::config::file_value::{FileEntry, FileValue};
use crate::config::row::put;
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::{certificate, location, scope, table, types};

/// The keys of a host.
pub const KEYS: &[TableKey<HostSettings>] = &[
    TableKey {
        name: "names",
        takes: "a list of strings: NAME",
        read: ReadKey::List(name),
        show: |h| Some(names(h)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "root",
        takes: "a string: DIR",
        read: ReadKey::Text(|h, text| put(&mut h.root, directory(text).map(Some))),
        show: |h| h.root.as_ref().map(|directory| string(&directory.to_string_lossy())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "access_log",
        takes: "false or a string: FILE|-|off",
        read: ReadKey::OffOrText(|h, text| put(&mut h.access_log, log(text).map(Some))),
        show: |h| {
            Some(match h.access_log.as_ref()? {
                AccessLogTarget::Off => "false".to_owned(),
                AccessLogTarget::Stdout => string("-"),
                AccessLogTarget::File(file) => string(&file.to_string_lossy()),
            })
        },
        ..TableKey::EMPTY
    },
];

/// A host that was read, and where its tables stand.
#[derive(Debug)]
pub struct PlacedHost {
    /// The host.
    pub host: HostSettings,
    /// Where each of its names stands, in their order.
    pub names_at: Vec<usize>,
    /// Where each of its locations stands, in their order.
    pub locations_at: Vec<usize>,
}

/// Reads the table of a host whose header stands at `header`.
///
/// # Errors
/// The first mistake.
pub fn read(table: &[FileEntry], header: usize) -> Result<PlacedHost, Fault> {
    let (mut host, mut places) = (HostSettings::default(), KeyPlaces::default());
    let (mut names_at, mut locations_at) = (Vec::new(), Vec::new());
    for entry in table {
        if let Some(key) = KEYS.iter().find(|key| entry.name == key.name) {
            table_key::read_entry(key, key.name, &mut host, &mut places, entry)?;
            if entry.name == "names" {
                names_at = entry.value.list().into_iter().flatten().map(|item| item.at).collect();
            }
        } else if entry.name == location::KEY {
            for (at, location) in locations(&entry.value, entry.at, "host.location")? {
                host.locations.push(location);
                locations_at.push(at);
            }
        } else if let Some(key) = scope::keys::by_name(&entry.name) {
            table_key::read_entry(key, key.name, &mut host.scope, &mut places, entry)?;
        } else {
            return Err(Fault::of(&entry.name, entry.at, unknown(&entry.name)));
        }
    }
    if !places.has("names") {
        return Err(Fault::of(super::KEY, header, "has no names (each host needs one or more)"));
    }
    places.check_exclusions(KEYS)?;
    places.check_exclusions(scope::keys::KEYS)?;
    scope::keys::check_alone(&host.scope, &places)?;
    Ok(PlacedHost { host, names_at, locations_at })
}

/// The locations that a value holds, each with its place.
///
/// # Errors
/// The first mistake.
pub fn locations(
    value: &FileValue,
    at: usize,
    key: &str,
) -> Result<Vec<(usize, location::LocationSettings)>, Fault> {
    let takes = format!("[[{key}]] above the keys of each");
    let tables = value.tables().ok_or_else(|| Fault::of(location::KEY, at, value.wrong_type(&takes)))?;
    tables.into_iter().map(|(at, table)| Ok((at, location::keys::read(table, at)?))).collect()
}

/// Keys and values of a host without its locations.
pub fn entries(host: &HostSettings) -> Vec<(&'static str, String)> {
    let mut entries = table_key::entries(KEYS, host);
    entries.extend(table_key::entries(scope::keys::KEYS, &host.scope));
    entries
}

/// The words for a key that a host does not have.
fn unknown(key: &str) -> String {
    if table::by_key(key).is_some() || [types::KEY, certificate::KEY].contains(&key) {
        return format!("is not allowed in a host (put it above the first [[{}]])", super::KEY);
    }
    let known = [table_key::names(KEYS), vec![location::KEY], table_key::names(scope::keys::KEYS)].concat();
    table_key::unknown(key, &known)
}

fn name(host: &mut HostSettings, text: &str) -> Result<(), String> {
    let name = HostName::read(text)?;
    if host.names.contains(&name) {
        return Err("is given twice".to_owned());
    }
    host.names.push(name);
    Ok(())
}

fn names(host: &HostSettings) -> String {
    let names: Vec<String> = host.names.iter().map(|name| string(&name.to_string())).collect();
    format!("[{}]", names.join(", "))
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a directory".to_owned());
    }
    Ok(text.into())
}

fn log(text: Option<&str>) -> Result<AccessLogTarget, String> {
    match text {
        None => Ok(AccessLogTarget::Off),
        Some(text) if text.is_empty() || text.contains('\0') => {
            Err("expected the path of a file, - or off".to_owned())
        }
        Some(text) => Ok(AccessLogTarget::read(Path::new(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;
    use crate::config::source::toml;

    fn settings(text: &str) -> Result<Settings, String> {
        let source = toml::parse(Path::new("may.toml"), text.as_bytes());
        let machine = Machine { cpus: 1, has_document_root: false };
        source.and_then(|source| resolve(&[source], machine)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_has_names_a_root_a_log_locations_and_what_locations_have() {
        let read = settings(
            "listing = true\nheaders = { X-A = '1' }\n[[host]]\nnames = ['Example.org', '*.bücher.example']\nroot = '/srv/a'\n\
             access_log = '/var/log/a.log'\nindex = 'a.htm'\nexpires = '1d'\nheaders = { X-A = '' }\n\
             [[host.location]]\npath = '/assets/'\nalias = '/srv/b'\nlisting = false\nexpires = 'off'\n\
             [[host]]\nnames = ['b']\naccess_log = false\nprecompressed = false\ncompress = true\n",
        )
        .unwrap();
        let [first, second] = &*read.hosts else { panic!("{:?}", read.hosts) };
        let names: Vec<String> = first.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["example.org", "*.xn--bcher-kva.example"]);
        assert_eq!(first.access_log, Some(AccessLogTarget::File("/var/log/a.log".into())));
        assert_eq!(second.access_log, Some(AccessLogTarget::Off));
        assert_eq!(read.directories(), [Path::new("/srv/a"), Path::new("/srv/b")]);
        let host = read.scope.with(&first.scope);
        assert_eq!((host.index.as_str(), host.listing, host.headers.lines().count()), ("a.htm", true, 0));
        assert!(host.precompressed && !read.scope.with(&second.scope).precompressed);
        assert!(!host.compress && read.scope.with(&second.scope).compress && read.compresses());
        let location = host.with(&first.locations[0].scope);
        assert_eq!((location.index.as_str(), location.listing, location.expires), ("a.htm", false, None));
    }

    #[test]
    fn whatever_is_wrong_in_a_host_has_its_place_its_key_and_what_is_allowed() {
        for (text, error) in [
            ("host = ['a']", "1:1: host: is an array (expected [[host]] above the keys of each)"),
            ("[host]\nnames = ['a']", "1:2: host: is a table (expected [[host]] above the keys of each)"),
            ("[[host]]\nroot = 'x'", "1:1: host: has no names (each host needs one or more)"),
            ("[[host]]\nnames = []", "2:9: names: is empty (expected a list of strings: NAME)"),
            ("[[host]]\nnames = 'a'", "2:9: names: is a string (expected a list of strings: NAME)"),
            (
                "[[host]]\nnames = ['a:80']",
                "2:10: names: invalid value \"a:80\" (expected a host name such as ",
            ),
            ("[[host]]\nnames = ['a', 'A.']", "2:15: names: invalid value \"A.\" (is given twice)"),
            (
                "[[host]]\nnames = ['a']\n[[host]]\nnames = ['b',\n'a']",
                "5:1: names: a is a name of another host already (line 2)",
            ),
            ("[[host]]\nnames = ['a']\nnmes = 1", "3:1: nmes: unknown key (did you mean names?)"),
            (
                "[[host]]\nnames = ['a']\nworkers = 1",
                "3:1: workers: is not allowed in a host (put it above the ",
            ),
            (
                "[[host]]\nnames = ['a']\ntypes = {}",
                "3:1: types: is not allowed in a host (put it above the ",
            ),
            (
                "[[host]]\nnames = ['a']\naccess_log = true",
                "3:14: access_log: is a boolean (expected false or a ",
            ),
            (
                "[[host]]\nnames = ['a']\nlisting = 'on'",
                "3:11: listing: is a string (expected true or false)",
            ),
            (
                "[[host]]\nnames = ['a']\nprecompressed = 'off'",
                "3:17: precompressed: is a string (expected true or false)",
            ),
            (
                "[[host]]\nnames = ['a']\nexpires = 1\ncache_control = 'max-age=1'",
                "4:1: cache_control: can't set max-age beside expires",
            ),
            ("[[host]]\nnames = ['a']\nheaders = { Date = 'x' }", "3:13: headers.Date: is set by the server"),
            (
                "[[host]]\nnames = ['a']\nheaders = { location = '/x' }",
                "3:13: headers.location: needs a return with status 301, 302, 303, 307 or 308",
            ),
            (
                "headers = { Location = '/x' }",
                "1:13: headers.Location: needs a return with status 301, 302, ",
            ),
            (
                "[[host]]\nnames = ['a']\n[[host.location]]\nroot = 'x'",
                "3:1: location: has no path (each location needs one)",
            ),
            (
                "[[host]]\nnames = ['a']\nlocation = 1",
                "3:1: location: is an integer (expected [[host.location]] above the keys of each)",
            ),
            (
                "unknown_hosts = 'reject'",
                "1:17: unknown_hosts: invalid value \"reject\" (there is no [[host]], so ",
            ),
            ("[[hosts]]\nnames = ['a']", "1:3: hosts: unknown key (did you mean host?)"),
        ] {
            let found = settings(text).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
            assert!(!found.contains('\n'), "{found}");
        }
    }
}
