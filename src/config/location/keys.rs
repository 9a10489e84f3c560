//! The table of a location's keys: one row for each, beside those of [`scope`].
//!
//! The reading of `[[location]]`, its errors and the dump are made from these rows. A new key is a row here,
//! a field of [`LocationSettings`] and its use.

use std::path::PathBuf;

use super::{Files, FixedResponse, LocationSettings, STATUSES, check};
use crate::config::file_value::FileEntry;
use crate::config::network::{AccessRule, Network};
use crate::config::row::put;
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{self, KeyPlaces, ReadKey, TableKey};
use crate::config::{certificate, scope, table, types};

/// The keys of a location.
pub const KEYS: &[TableKey<LocationSettings>] = &[
    TableKey {
        name: "path",
        takes: "a string: /PATH",
        read: ReadKey::Text(|l, text| put(&mut l.path, path(text))),
        show: |l| Some(string(&l.path)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "root",
        takes: "a string: DIR",
        read: ReadKey::Text(|l, text| put(&mut l.files, directory(text).map(Files::Root))),
        show: |l| match &l.files {
            Files::Root(directory) => Some(string(&directory.to_string_lossy())),
            _ => None,
        },
        ..TableKey::EMPTY
    },
    TableKey {
        name: "alias",
        takes: "a string: DIR",
        excludes: &["root"],
        read: ReadKey::Text(|l, text| put(&mut l.files, directory(text).map(Files::Alias))),
        show: |l| match &l.files {
            Files::Alias(directory) => Some(string(&directory.to_string_lossy())),
            _ => None,
        },
    },
    TableKey {
        name: "find_by_name",
        takes: "true or false",
        read: ReadKey::Switch(|l, on| l.find_by_name = on),
        show: |l| l.find_by_name.then(|| "true".to_owned()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "access_log",
        takes: "true or false",
        read: ReadKey::Switch(|l, on| l.access_log = on),
        show: |l| (!l.access_log).then(|| "false".to_owned()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "return",
        takes: "a table: { status, body, type }",
        excludes: &["root", "alias", "index", "find_by_name"],
        read: ReadKey::Table(RETURN_KEYS),
        show: |l| l.response.is_some().then(|| table_key::inline(RETURN_KEYS, l)),
    },
    TableKey {
        name: "allow",
        takes: "a list of strings: NETWORK",
        read: ReadKey::List(|l, text| rule(l, text, true)),
        show: |l| networks(l, true),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "deny",
        takes: "a list of strings: NETWORK",
        read: ReadKey::List(|l, text| rule(l, text, false)),
        show: |l| networks(l, false),
        ..TableKey::EMPTY
    },
];

/// The keys of `return`.
const RETURN_KEYS: &[TableKey<LocationSettings>] = &[
    TableKey {
        name: "status",
        takes: "a number",
        read: ReadKey::Number(|l, text| put(&mut response(l).status, status(text))),
        show: |l| l.response.as_ref().map(|response| response.status.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "body",
        takes: "a string",
        read: ReadKey::Text(|l, text| put(&mut response(l).body, Ok(Some(text.to_owned())))),
        show: |l| l.response.as_ref()?.body.as_deref().map(string),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "type",
        takes: "a string: TYPE/SUBTYPE",
        read: ReadKey::Text(|l, text| put(&mut response(l).media_type, types::read_media_type(text))),
        show: |l| l.response.as_ref().map(|response| string(&response.media_type)),
        ..TableKey::EMPTY
    },
];

/// Keys and values of a location, in an order that gives the same location again.
pub fn entries(location: &LocationSettings) -> Vec<(&'static str, String)> {
    let mut entries = table_key::entries(KEYS, location);
    // The first of allow and deny is tried first.
    if location.access.0.first().is_some_and(|rule| !rule.allow) {
        entries.sort_by_key(|(name, _)| *name == "allow");
    }
    entries.extend(table_key::entries(scope::keys::KEYS, &location.scope));
    entries
}

/// Reads the table of a location whose header stands at `header`.
///
/// # Errors
/// The first mistake.
pub fn read(table: &[FileEntry], header: usize) -> Result<LocationSettings, Fault> {
    let (mut location, mut places) = (LocationSettings::default(), KeyPlaces::default());
    for entry in table {
        if let Some(key) = KEYS.iter().find(|key| entry.name == key.name) {
            table_key::read_entry(key, key.name, &mut location, &mut places, entry)?;
        } else if let Some(key) = scope::keys::by_name(&entry.name) {
            table_key::read_entry(key, key.name, &mut location.scope, &mut places, entry)?;
        } else {
            return Err(Fault::of(&entry.name, entry.at, unknown(&entry.name)));
        }
    }
    if !places.has("path") {
        return Err(Fault::of(super::KEY, header, "has no path (each location needs one)"));
    }
    places.check_exclusions(KEYS)?;
    places.check_exclusions(scope::keys::KEYS)?;
    scope::keys::check(&location.scope, &places)?;
    check::check(&location, &places)?;
    Ok(location)
}

/// The words for a key that a location does not have.
fn unknown(key: &str) -> String {
    if table::by_key(key).is_some() || [types::KEY, certificate::KEY].contains(&key) {
        return format!("is not allowed in a location (put it above the first [[{}]])", super::KEY);
    }
    table_key::unknown(key, &[table_key::names(KEYS), table_key::names(scope::keys::KEYS)].concat())
}

fn path(text: &str) -> Result<String, String> {
    let names = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(char::is_control);
    match names {
        Some(names) if text == "/" || names.split('/').all(plain) => Ok(text.to_owned()),
        _ => {
            Err("expected a slash and whole names, decoded and without . and .., for example /static/"
                .to_owned())
        }
    }
}

fn directory(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        return Err("expected a directory".to_owned());
    }
    Ok(text.into())
}

/// The fixed response of a location, made when its first key is read.
fn response(location: &mut LocationSettings) -> &mut FixedResponse {
    location.response.get_or_insert_default()
}

fn status(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|status| STATUSES.contains(status)).ok_or_else(|| {
        let all: Vec<String> = STATUSES.iter().map(ToString::to_string).collect();
        format!("expected one of {}", all.join(", "))
    })
}

/// Adds a rule behind those that are there.
fn rule(location: &mut LocationSettings, text: &str, allow: bool) -> Result<(), String> {
    let rule = AccessRule { network: Network::read(text)?, allow };
    if let Some(earlier) = location.access.hides(&rule) {
        let other = if earlier.allow { "allow" } else { "deny" };
        return Err(format!("never applies: {other} has {} before it", earlier.network));
    }
    location.access.0.push(rule);
    Ok(())
}

fn networks(location: &LocationSettings, allow: bool) -> Option<String> {
    let rules = location.access.0.iter().filter(|rule| rule.allow == allow);
    let networks: Vec<String> = rules.map(|rule| format!("\"{}\"", rule.network)).collect();
    (!networks.is_empty()).then(|| format!("[{}]", networks.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use std::time::Duration;

    use crate::config::location::{Files, FixedResponse, LocationSettings};
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;
    use crate::config::scope::ScopeSettings;
    use crate::config::scope::headers::Headers;
    use crate::config::{Settings, source::toml};

    fn settings(text: &str) -> Result<Settings, String> {
        let source = toml::parse(Path::new("may.toml"), text.as_bytes());
        let machine = Machine { cpus: 1, has_document_root: false };
        source.and_then(|source| resolve(&[source], machine)).map_err(|error| error.to_string())
    }

    fn plain(path: &str) -> LocationSettings {
        LocationSettings::at(path.to_owned())
    }

    #[test]
    fn each_key_moves_its_own_part_alone() {
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 60 * 60));
        let response = |status, body: Option<&str>, media_type: &str| {
            Some(FixedResponse { status, body: body.map(str::to_owned), media_type: media_type.to_owned() })
        };
        let text_plain = "text/plain; charset=utf-8";
        let headers = |fields: &[(&str, &[&str])]| {
            let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
            Headers(fields.iter().map(|(name, values)| ((*name).to_owned(), lines(values))).collect())
        };
        let with = |scope| LocationSettings { scope, ..plain("/x/") };
        let none = ScopeSettings::default;
        let cases = [
            ("", plain("/x/")),
            ("root = '/srv'", LocationSettings { files: Files::Root("/srv".into()), ..plain("/x/") }),
            ("alias = '/srv'", LocationSettings { files: Files::Alias("/srv".into()), ..plain("/x/") }),
            ("index = 'a.htm'", with(ScopeSettings { index: Some("a.htm".to_owned()), ..none() })),
            ("find_by_name = true", LocationSettings { find_by_name: true, ..plain("/x/") }),
            ("find_by_name = false", plain("/x/")),
            ("expires = '30d'", with(ScopeSettings { expires: Some(days(30)), ..none() })),
            ("expires = 86400", with(ScopeSettings { expires: Some(days(1)), ..none() })),
            ("expires = 0", with(ScopeSettings { expires: Some(days(0)), ..none() })),
            (
                "cache_control = 'no-cache'",
                with(ScopeSettings { cache_control: Some(Some("no-cache".to_owned())), ..none() }),
            ),
            ("access_log = false", LocationSettings { access_log: false, ..plain("/x/") }),
            ("access_log = true", plain("/x/")),
            (
                "headers = { X-A = 'b c', Link = ['<1>', '<2>'] }",
                with(ScopeSettings {
                    headers: headers(&[("X-A", &["b c"]), ("Link", &["<1>", "<2>"])]),
                    ..none()
                }),
            ),
            ("headers.X-A = 'é'", with(ScopeSettings { headers: headers(&[("X-A", &["é"])]), ..none() })),
            (
                "return = { body = 'test 成功' }",
                LocationSettings { response: response(200, Some("test 成功"), text_plain), ..plain("/x/") },
            ),
            (
                "return = { status = 404, body = \"{}\\n\", type = 'application/json' }",
                LocationSettings {
                    response: response(404, Some("{}\n"), "application/json"),
                    ..plain("/x/")
                },
            ),
            (
                "return = { status = 204 }",
                LocationSettings { response: response(204, None, text_plain), ..plain("/x/") },
            ),
            (
                "return = { status = 302 }\nheaders = { Location = '/y' }",
                LocationSettings {
                    response: response(302, None, text_plain),
                    scope: ScopeSettings { headers: headers(&[("Location", &["/y"])]), ..none() },
                    ..plain("/x/")
                },
            ),
        ];
        for (keys, expected) in cases {
            let read = settings(&format!("[[location]]\npath = '/x/'\n{keys}\n")).unwrap();
            assert_eq!(read.locations, [expected], "{keys}");
            assert_eq!(read.warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn networks_are_asked_in_the_order_of_the_file() {
        let access = |keys: &str| {
            let read = settings(&format!("[[location]]\npath = '/'\n{keys}\n")).unwrap();
            let rules = read.locations[0].access.0.iter();
            rules
                .map(|rule| format!("{}{}", if rule.allow { '+' } else { '-' }, rule.network))
                .collect::<Vec<_>>()
        };
        assert_eq!(access("allow = ['10.0.0.0/8', '::1']\ndeny = ['all']"), ["+10.0.0.0/8", "+::1", "-all"]);
        assert_eq!(access("deny = ['10.1.0.0/16']\nallow = ['10.0.0.0/8']"), ["-10.1.0.0/16", "+10.0.0.0/8"]);
    }

    #[test]
    fn locations_keep_their_order_and_a_hidden_one_is_warned_of() {
        let read = settings(
            "workers = 1\n[[location]]\npath = '/a'\n\n[[location]]\npath = '/a/'\n[[location]]\npath = '/a'\n",
        )
        .unwrap();
        let paths: Vec<_> = read.locations.iter().map(|location| location.path.as_str()).collect();
        assert_eq!(paths, ["/a", "/a/", "/a"]);
        assert_eq!(
            read.warnings,
            ["may.toml:7: this location never answers: may.toml:2 has the same path, /a"]
        );
    }

    #[test]
    fn whatever_is_wrong_has_its_place_its_key_and_what_is_allowed() {
        // Each stands below `[[location]]`, from line 2 on.
        for (keys, error) in [
            ("", "1:1: location: has no path (each location needs one)"),
            ("root = 'x'", "1:1: location: has no path"),
            ("pth = '/'", "2:1: pth: unknown key (did you mean path?)"),
            (
                "zzzzzz = 1",
                "2:1: zzzzzz: unknown key (expected path, root, alias, find_by_name, access_log, return, allow, ",
            ),
            ("name = 'x'", "2:1: name: is not allowed in a location (put it above the first [[location]])"),
            ("path = 1", "2:8: path: is an integer (expected a string: /PATH)"),
            (
                "path = '/'\nheaders = { Location = [] }",
                "3:24: headers.Location: a Location header needs a value",
            ),
            ("path = 'x'", "2:8: path: invalid value \"x\" (expected a slash and whole names, decoded and "),
            ("path = ''", "2:8: path: invalid value \"\" (expected a slash"),
            ("path = '/a//b'", "2:8: path: invalid value \"/a//b\" (expected a slash"),
            ("path = '/a/../b'", "2:8: path: invalid value"),
            ("path = '/./'", "2:8: path: invalid value"),
            ("path = '//'", "2:8: path: invalid value"),
            ("path = \"/a\\n\"", "2:8: path: invalid value \"/a\\n\" (expected a slash"),
            ("path = '/'\npath = '/'", "3:1: path: duplicate key (each key may be given once)"),
            ("path = '/'\nroot = 1", "3:8: root: is an integer (expected a string: DIR)"),
            ("path = '/'\nroot = ''", "3:8: root: invalid value \"\" (expected a directory)"),
            ("path = '/'\nalias = ['x']", "3:9: alias: is an array (expected a string: DIR)"),
            ("path = '/'\nalias = ''", "3:9: alias: invalid value \"\" (expected a directory)"),
            ("path = '/'\nalias = 'a'\nroot = 'b'", "3:1: alias: can't be combined with root"),
            ("path = '/'\nindex = 'a/b'", "3:9: index: invalid value \"a/b\" (expected the name of a file, "),
            ("path = '/'\nindex = false", "3:9: index: is a boolean (expected a string: NAME)"),
            ("path = '/'\nfind_by_name = 'on'", "3:16: find_by_name: is a string (expected true or false)"),
            ("path = '/'\nfind_by_name = 1", "3:16: find_by_name: is an integer (expected true or false)"),
            ("path = '/'\nfind_by_nam = true", "3:1: find_by_nam: unknown key (did you mean find_by_name?)"),
            (
                "path = '/'\nexpires = '30 parsecs'",
                "3:11: expires: invalid value \"30 parsecs\" (expected a time ",
            ),
            (
                "path = '/'\nexpires = '11y'",
                "3:11: expires: invalid value \"11y\" (expected a time from 0 to 3650d",
            ),
            (
                "path = '/'\nexpires = 1.5",
                "3:11: expires: is a float (expected a number or a string: TIME|off)",
            ),
            (
                "path = '/'\ncache_control = \"a\\r\\nb\"",
                "3:17: cache_control: invalid value \"a\\r\\nb\" (a field is ",
            ),
            (
                "path = '/'\ncache_control = false",
                "3:17: cache_control: is a boolean (expected a string: the field's",
            ),
            (
                "path = '/'\ncache_control = 'Max-Age=1'\nexpires = 1",
                "3:1: cache_control: can't set max-age beside expires",
            ),
            ("path = '/'\naccess_log = 'off'", "3:14: access_log: is a string (expected true or false)"),
            ("path = '/'\nheaders = 'X'", "3:11: headers: is a string (expected a table of strings: "),
            (
                "path = '/'\nheaders = { X = 1 }",
                "3:17: headers.X: is an integer (expected a string or a list ",
            ),
            (
                "path = '/'\nheaders = { X = ['a', 1] }",
                "3:23: headers.X: is an integer (expected a string or",
            ),
            ("path = '/'\nheaders = { 'X Y' = 'a' }", "3:13: headers.X Y: is not a valid field name"),
            ("path = '/'\nheaders = { \"X\\nY\" = 'a' }", "3:13: headers.X\\nY: is not a valid field name"),
            (
                "path = '/'\n[location.headers]\nX-A = \"b\\r\\nSet-Cookie: c\"",
                "4:7: headers.X-A: invalid value \"b\\r\\nSet-Cookie: c\" (a field is one line, without control",
            ),
            (
                "path = '/'\nheaders = { X = ' a' }",
                "3:17: headers.X: invalid value \" a\" (expected text without white ",
            ),
            ("path = '/'\nheaders = { Date = 'x' }", "3:13: headers.Date: is set by the server itself"),
            (
                "path = '/'\nheaders = { content-LENGTH = '1' }",
                "3:13: headers.content-LENGTH: is set by the server itself",
            ),
            (
                "path = '/'\nheaders = { cache-control = 'no-store' }",
                "3:13: headers.cache-control: has a key of its own: cache_control",
            ),
            ("path = '/'\nheaders = { Expires = '0' }", "3:13: headers.Expires: has a key of its own: "),
            (
                "path = '/'\nheaders = { X = 'a', x = 'b' }",
                "3:22: headers.x: duplicate field (a list of strings",
            ),
            (
                "path = '/'\nheaders = { Location = '/y' }",
                "3:13: headers.Location: needs a return with status 301, 302, 303, 307 or 308",
            ),
            (
                "path = '/'\nreturn = 404",
                "3:10: return: is an integer (expected a table: { status, body, type })",
            ),
            ("path = '/'\nreturn = {}", "3:1: return: is empty (expected a table: { status, body, type })"),
            (
                "path = '/'\nreturn = { zzzzzzzz = 1 }",
                "3:12: return.zzzzzzzz: unknown key (expected status, body, type)",
            ),
            ("path = '/'\nreturn = { stats = 1 }", "3:12: return.stats: unknown key (did you mean status?)"),
            ("path = '/'\nreturn = { status = '1' }", "3:21: return.status: is a string (expected a number)"),
            (
                "path = '/'\nreturn = { status = 206 }",
                "3:21: return.status: invalid value \"206\" (expected one of 200,",
            ),
            ("path = '/'\nreturn = { body = 1 }", "3:19: return.body: is an integer (expected a string)"),
            (
                "path = '/'\nreturn = { type = 'x' }",
                "3:19: return.type: invalid value \"x\" (expected a media type, ",
            ),
            (
                "path = '/'\nreturn = { type = \"a/b\\n\" }",
                "3:19: return.type: invalid value \"a/b\\n\" (expected a ",
            ),
            (
                "path = '/'\nreturn = { status = 204, body = '' }",
                "3:26: return.body: is not allowed with status 204",
            ),
            (
                "path = '/'\nreturn = { status = 301 }",
                "3:1: return: a redirect needs a Location header (headers = { Location ",
            ),
            ("path = '/'\nroot = 'x'\nreturn = { status = 200 }", "4:1: return: can't be combined with root"),
            (
                "path = '/'\nreturn = { status = 200 }\nindex = 'x'",
                "3:1: return: can't be combined with index",
            ),
            (
                "path = '/'\nfind_by_name = true\nreturn = { status = 200 }",
                "4:1: return: can't be combined with find_by_name",
            ),
            ("path = '/'\nallow = '::1'", "3:9: allow: is a string (expected a list of strings: NETWORK)"),
            ("path = '/'\ndeny = []", "3:8: deny: is empty (expected a list of strings: NETWORK)"),
            ("path = '/'\ndeny = [1]", "3:9: deny: is an integer (expected a list of strings: NETWORK)"),
            (
                "path = '/'\ndeny = ['host']",
                "3:9: deny: invalid value \"host\" (expected a network as 10.0.0.0/8, ",
            ),
            (
                "path = '/'\nallow = ['::1', '10.0.0.1/8']",
                "3:17: allow: invalid value \"10.0.0.1/8\" (has bits beyond its prefix: expected 10.0.0.0/8, or 10.0.0.1 ",
            ),
            (
                "path = '/'\ndeny = ['all']\nallow = ['10.0.0.0/8']",
                "4:10: allow: invalid value \"10.0.0.0/8\" (never applies: deny has all before it)",
            ),
        ] {
            let found = settings(&format!("[[location]]\n{keys}\n")).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{keys:?}: {found}");
            assert!(!found.contains('\n'), "{found}");
        }
        for (text, error) in [
            ("location = 1", "1:1: location: is an integer (expected [[location]] above the keys of each)"),
            (
                "[location]\npath = '/'",
                "1:2: location: is a table (expected [[location]] above the keys of each)",
            ),
            ("location = ['/']", "1:1: location: is an array (expected [[location]] above the keys of each)"),
            ("[[locations]]\npath = '/'", "1:3: locations: unknown key (did you mean location?)"),
            ("[[location]]\npath = '/'\n[[location]]\nalias = 'x'", "3:1: location: has no path"),
        ] {
            let found = settings(text).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
        }
    }
}
