//! The settings file in TOML: a key for each setting of the table, `log_level` for `--log-level`, and tables
//! for hosts, locations, media types and what else has no flag.
//!
//! It owns which types of TOML each key takes. It reads no value of a setting. Everything unknown is an
//! error: a key that is ignored in silence is a setting that its author relies on.

mod syntax;
mod types;
mod value;

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use self::value::{TomlName, TomlTypes, TomlValue, wrong_type};
use super::given::{Given, GivenHost, SettingOrigin, SettingSource};
use crate::config::certificate::CertificateFiles;
use crate::config::file_value::{FileEntry, invalid};
use crate::config::row::SettingRow;
use crate::config::source_map::{Fault, SourceMap};
use crate::config::table_key::{self, KeyPlaces};
use crate::config::{certificate, host, location, scope, suggest, table, types as media_types};
use crate::error::StartupError;

/// Reads `bytes`, the content of the file at `path`: first the text, then its TOML, then each entry in the
/// order of the file, so that the first mistake is the one reported.
///
/// # Errors
/// [`StartupError::Line`] for the first mistake.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<SettingSource, StartupError> {
    let map = SourceMap::new(path, bytes);
    read(&map).map_err(|fault| map.error(fault))
}

fn read(map: &SourceMap<'_>) -> Result<SettingSource, Fault> {
    let text = str::from_utf8(map.bytes).map_err(|error| {
        let why = "is not text in UTF-8".to_owned();
        Fault { at: error.valid_up_to(), key: None, why }
    })?;
    let table = DeTable::parse(text).map_err(|error| syntax::fault(text, &error))?;
    let (mut source, mut places) = (SettingSource::default(), KeyPlaces::default());
    for (name, value) in value::in_order(table.get_ref()) {
        match name.get_ref().as_ref() {
            location::KEY => source.locations = locations(map, &value::entry((name, value)))?,
            // A string is the address of --host.
            host::KEY if value.get_ref().is_array() || value.get_ref().is_table() => {
                source.hosts = hosts(map, &value::entry((name, value)))?;
            }
            certificate::KEY => source.certificates = certificates(map, &value::entry((name, value)))?,
            media_types::KEY => source.types = types::read(map, name, value)?,
            key => match (table::by_key(key), scope::keys::by_name(key)) {
                (Some(row), _) => source.given.extend(setting(map, row, name, value)?),
                (None, Some(key)) => {
                    let entry = value::entry((name, value));
                    table_key::read_entry(key, key.name, &mut source.scope, &mut places, &entry)?;
                    source.scope_origins.push((key.name, SettingOrigin::in_file(map, key.name, entry.at)));
                }
                (None, None) => return Err(Fault::of(key, name.span().start, unknown(key))),
            },
        }
    }
    places.check_exclusions(scope::keys::KEYS)?;
    scope::keys::check_alone(&source.scope, &places)?;
    Ok(source)
}

/// The locations that an entry has, each with its place.
fn locations(
    map: &SourceMap<'_>,
    entry: &FileEntry,
) -> Result<Vec<(location::LocationSettings, SettingOrigin)>, Fault> {
    let locations = host::keys::locations(&entry.value, entry.at, location::KEY)?;
    let placed = |(at, location)| (location, SettingOrigin::in_file(map, location::KEY, at));
    Ok(locations.into_iter().map(placed).collect())
}

/// The hosts that an entry has, each with its place.
fn hosts(map: &SourceMap<'_>, entry: &FileEntry) -> Result<Vec<GivenHost>, Fault> {
    let takes = format!("[[{}]] above the keys of each", host::KEY);
    let tables = entry.value.tables();
    let tables = tables.ok_or_else(|| Fault::of(host::KEY, entry.at, entry.value.wrong_type(&takes)))?;
    let (mut hosts, mut known) = (Vec::new(), BTreeMap::new());
    for (at, table) in tables {
        let read = host::keys::read(table, at)?;
        for (name, at) in read.host.names.iter().zip(&read.names_at) {
            if let Some(other) = known.insert(name.clone(), *at) {
                let line = map.position(other).line;
                let why = format!("{name} is a name of another host already (line {line})");
                return Err(Fault::of("names", *at, why));
            }
        }
        let place = |at: usize| SettingOrigin::in_file(map, host::KEY, at);
        let locations = read.locations_at.into_iter().map(place).collect();
        hosts.push(GivenHost { host: read.host, origin: place(at), locations });
    }
    Ok(hosts)
}

/// The certificates that an entry has, each with its place.
fn certificates(
    map: &SourceMap<'_>,
    entry: &FileEntry,
) -> Result<Vec<(CertificateFiles, SettingOrigin)>, Fault> {
    let certificates = certificate::read(&entry.value, entry.at)?;
    let placed = |(at, files)| (files, SettingOrigin::in_file(map, certificate::KEY, at));
    Ok(certificates.into_iter().map(placed).collect())
}

/// What a value gives for a row: one text, or for a list several, each with its place.
fn setting(
    map: &SourceMap<'_>,
    row: &'static SettingRow,
    name: &TomlName<'_>,
    value: &TomlValue<'_>,
) -> Result<Vec<Given>, Fault> {
    // A table has many places, so its name is the place of the mistake.
    let at = if value.get_ref().is_table() { name.span().start } else { value.span().start };
    let given = |at: usize, value: &TomlValue<'_>| {
        let fault = |why| Fault::of(name.get_ref(), at, why);
        let takes = value::takes(row);
        let text = TomlTypes::of(row).text(value).ok_or_else(|| fault(wrong_type(value, &takes)))?;
        if text.is_empty() && row.is_path() {
            return Err(fault(invalid(&text, &format!("expected {takes}"))));
        }
        Ok(Given::of_text(row, &text, &SettingOrigin::in_file(map, name.get_ref(), at)))
    };
    match value.get_ref() {
        DeValue::Array(list) if row.is_list() && list.is_empty() => {
            Err(Fault::of(name.get_ref(), at, format!("is empty (expected {})", value::takes(row))))
        }
        DeValue::Array(list) if row.is_list() => {
            let values = list.iter().map(|item| given(item.span().start, item));
            Ok(values.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        _ => given(at, value),
    }
}

/// The words for a key that a file can't have.
fn unknown(name: &str) -> String {
    if table::rows().any(|row| row.key() == name) {
        return "is only a flag (not allowed in a file)".to_owned();
    }
    // The other names of a flag lead to its key as well.
    let spellings = |row: &SettingRow| {
        let aliases = row.aliases.iter().map(|alias| alias.replace('-', "_"));
        aliases.chain([row.key()]).map(|spelling| (spelling, row.key())).collect::<Vec<_>>()
    };
    let tables = [location::KEY, host::KEY, certificate::KEY, media_types::KEY];
    let tables = tables.into_iter().chain(table_key::names(scope::keys::KEYS));
    let tables = tables.map(|key| (key.to_owned(), key.to_owned()));
    let spellings: BTreeMap<String, String> = table::settings().flat_map(spellings).chain(tables).collect();
    let nearest = suggest::nearest(name, spellings.keys().map(String::as_str));
    match nearest.and_then(|nearest| spellings.get(nearest)) {
        Some(key) => format!("unknown key (did you mean {key}?)"),
        None => "unknown key (the keys are the long flags of --help, with underscores)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;

    /// The settings of a file with this text.
    fn settings(text: impl AsRef<[u8]>) -> Result<Settings, String> {
        let source = parse(Path::new("may.toml"), text.as_ref()).map_err(|error| error.to_string())?;
        let machine = Machine { cpus: 4, has_document_root: false };
        resolve(&[source], machine).map_err(|error| error.to_string())
    }

    fn flags(text: &str) -> Vec<String> {
        let source = parse(Path::new("may.toml"), text.as_bytes()).unwrap();
        source.given.iter().map(|given| format!("--{}={}", given.row.long, given.text())).collect()
    }

    #[test]
    fn a_key_is_a_long_flag_and_its_value_what_the_flag_takes() {
        for (text, expected) in [
            ("", &[][..]),
            ("# nothing\n\n", &[]),
            ("\u{feff}workers = 4\r\n", &["--workers=4"]),
            ("workers = \"auto\"", &["--workers=auto"]),
            ("workers = 0x1_0", &["--workers=16"]),
            ("workers = +1_000", &["--workers=1000"]),
            ("root = '/srv/a b'\nlog_level = \"info\"", &["--root=/srv/a b", "--log-level=info"]),
            ("sendfile = true\nlisting = false", &["--sendfile=on", "--listing=off"]),
            ("sendfile = \"off\"", &["--sendfile=off"]),
            ("idle_timeout = \"60s\"\nhead_timeout = 5", &["--idle-timeout=60s", "--head-timeout=5"]),
            ("listen = [\"0.0.0.0:80\", '[::]:80',]", &["--listen=0.0.0.0:80", "--listen=[::]:80"]),
            ("listen = \"80,81\"", &["--listen=80", "--listen=81"]),
            ("missing_index = 404\ncache_size = 65536", &["--missing-index=404", "--cache-size=65536"]),
            ("user = 33\ngroup = \"www\"", &["--user=33", "--group=www"]),
            ("access_log = false", &["--access-log=off"]),
            ("name = \"-h\"", &["--name=-h"]),
        ] {
            assert_eq!(flags(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_example_of_the_documents_is_a_file() {
        let document = include_str!("../../../docs/settings.md");
        let examples = document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let examples: Vec<_> = examples.map(|example| settings(example).unwrap()).collect();
        assert_eq!((examples[0].workers, examples[0].listen.len()), (4, 2));
        assert_eq!((examples[1].locations.len(), examples.len()), (3, 4));
        assert!(examples[2].locations[0].find_by_name);
        assert_eq!(examples[3].types.len(), 3);
    }

    /// Values of the keys that may stand at each level: at the top, in a host and in a location.
    const AT_EACH_LEVEL: &[(&str, [&str; 3])] = &[
        ("index", ["'a'", "'b'", "'c'"]),
        ("missing_index", ["404", "403", "404"]),
        ("listing", ["true", "false", "true"]),
        ("precompressed", ["false", "true", "false"]),
        ("compress", ["true", "false", "true"]),
        ("expires", ["1", "2", "'off'"]),
        ("cache_control", ["'public'", "''", "'private'"]),
        ("fallback_roots", ["['/a']", "[]", "['/b', '/a']"]),
        ("error_pages", ["{ 404 = '/a' }", "{}", "{ 5xx = '/b' }"]),
        ("fallback", ["'/a.html'", "false", "'/b.html'"]),
        ("spa", ["true", "false", "true"]),
        ("clean_urls", ["true", "false", "true"]),
        ("security_headers", ["true", "false", "true"]),
        ("hsts", ["'365d'", "false", "86400"]),
        ("cors", ["{ origins = ['*'] }", "false", "{ origins = ['https://a.example'] }"]),
        ("auth", ["{ realm = 'a', users_file = '/a' }", "false", "{ realm = 'b', users_file = '/a' }"]),
        ("page_cache_control", ["'private'", "''", "'no-store'"]),
        ("immutable_names", ["true", "false", "true"]),
        ("etag", ["'stamp'", "'content'", "'stamp'"]),
        ("etag_content_limit", ["1", "2", "3"]),
        ("charset", ["'utf-8'", "'off'", "'utf-8'"]),
        ("symlinks", ["'deny'", "'follow'", "'same-owner'"]),
        ("hidden", ["'deny'", "'serve'", "'well-known'"]),
        ("headers", ["{ A = '1' }", "{ A = '2' }", "{ a = ['3', '4'] }"]),
        ("redirect", ["[{ from = '/a', to = '/b' }]", "[]", "[{ from = '/c', to = '/d' }]"]),
        ("rewrite", ["[{ from = '/a', to = '/b' }]", "[]", "[{ from = '/c', to = '/d' }]"]),
        ("header", ["[{ path = '/a', remove = ['A'] }]", "[]", "[{ path = '/b', remove = ['A'] }]"]),
        ("site_files", ["true", "false", "true"]),
    ];

    #[test]
    fn what_may_stand_at_each_level_counts_where_it_is_nearest() {
        let names: Vec<&str> = AT_EACH_LEVEL.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, table_key::names(scope::keys::KEYS), "each key has its row");
        for (key, [top, host, location]) in AT_EACH_LEVEL {
            let of_file = settings(format!(
                "{key} = {top}\n\
                 [[location]]\npath = '/set/'\n{key} = {location}\n[[location]]\npath = '/unset/'\n\
                 [[host]]\nnames = ['set']\n{key} = {host}\n\
                 [[host.location]]\npath = '/set/'\n{key} = {location}\n\
                 [[host.location]]\npath = '/unset/'\n\
                 [[host]]\nnames = ['unset']\n\
                 [[host.location]]\npath = '/set/'\n{key} = {location}\n\
                 [[host.location]]\npath = '/unset/'\n"
            ));
            let of_file = of_file.unwrap_or_else(|error| panic!("{key}: {error}"));
            // What the value makes of a server that has no other.
            let [top, host, location] =
                [top, host, location].map(|value| settings(format!("{key} = {value}")).unwrap().scope);
            assert!(top != host && host != location, "{key}");
            assert_eq!(of_file.scope, top, "{key}");
            let with_locations = |outer: &scope::Scope, locations: &[location::LocationSettings]| {
                [outer.clone(), outer.with(&locations[0].scope), outer.with(&locations[1].scope)]
            };
            let [set, unset] = [0, 1].map(|number| &of_file.hosts[number]);
            for (outer, locations, expected) in [
                (of_file.scope.clone(), &of_file.locations, &top),
                (of_file.scope.with(&set.scope), &set.locations, &host),
                (of_file.scope.with(&unset.scope), &unset.locations, &top),
            ] {
                let found = with_locations(&outer, locations);
                assert_eq!(found, [expected, &location, expected].map(Clone::clone), "{key}");
            }
        }
    }

    #[test]
    fn every_setting_has_a_key_that_takes_a_string() {
        for row in table::settings() {
            assert_eq!(flags(&format!("{} = \"x\"", row.key())), [format!("--{}=x", row.long)]);
        }
    }

    #[test]
    fn whatever_is_wrong_is_one_line_with_its_place_and_what_is_allowed() {
        for (text, error) in [
            // Keys.
            ("\n  wrokers = 4", "2:3: wrokers: unknown key (did you mean workers?)"),
            ("log-level = \"info\"", "1:1: log-level: unknown key (did you mean log_level?)"),
            ("level_log = \"info\"", "1:1: level_log: unknown key (did you mean log_level?)"),
            ("zzz = 1\nyyyy = 2", "1:1: zzz: unknown key (the keys are the long flags of --help, "),
            ("\"a\\nb\" = 1", "1:1: a\\nb: unknown key"),
            ("config = \"x\"", "1:1: config: is only a flag (not allowed in a file)"),
            ("test = true", "1:1: test: is only a flag (not allowed in a file)"),
            ("port = 80\nname = \"x\"\n port = 81", "3:2: port: duplicate key (each key may be given once)"),
            // Types.
            ("workers = true", "1:11: workers: is a boolean (expected a number or a string: N|auto)"),
            ("workers = 1.5", "1:11: workers: is a float (expected a number or a string: N|auto)"),
            ("workers = [1]", "1:11: workers: is an array (expected a number or a string: N|auto)"),
            ("[workers]\nx = 1", "1:2: workers: is a table (expected a number or a string: N|auto)"),
            ("workers.x = 1", "1:1: workers: is a table (expected a number or a string: N|auto)"),
            ("port = 2020-01-01", "1:8: port: is a datetime (expected a number)"),
            ("root = 5", "1:8: root: is an integer (expected a string: DIR)"),
            ("root = \"\"", "1:8: root: invalid value \"\" (expected a string: DIR)"),
            ("name = 5", "1:8: name: is an integer (expected a string: TEXT)"),
            ("sendfile = 1", "1:12: sendfile: is an integer (expected true or false)"),
            ("access_log = true", "1:14: access_log: is a boolean (expected false or a string: FILE|-|off)"),
            ("listen = 80", "1:10: listen: is an integer (expected a list of strings: ADDR:PORT)"),
            ("listen = []", "1:10: listen: is empty (expected a list of strings: ADDR:PORT)"),
            (
                "listen = [\n  \"80\",\n  81 ]",
                "3:3: listen: is an integer (expected a list of strings: ADDR:PORT)",
            ),
            // Values.
            (
                "workers = -1",
                "1:11: workers: invalid value \"-1\" (expected a number from 1 to 1024, or auto)",
            ),
            (
                "# é\nname = \"é\" # é",
                "2:8: name: invalid value \"é\" (expected 1 to 128 visible ASCII characters, spaces only \
                 between them)",
            ),
            (
                "name = \"x\"\nidle_timeout = \"soon\"",
                "2:16: idle_timeout: invalid value \"soon\" (expected a time from 100ms to 24h, for example 30s)",
            ),
            ("listing = \"maybe\"", "1:11: listing: invalid value \"maybe\" (expected on or off)"),
            (
                "port = 99999999999999999999999999999999999999999",
                "1:8: port: invalid value \"99999999999999999999999999999999999999999\" (expected a number",
            ),
            (
                "listen = [\"80,81\", \"82\",\n \"x\"]",
                "2:2: listen: invalid value \"x\" (expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT or PORT; the only host name",
            ),
            ("listen = [\"80\", \":80\"]", "1:17: listen: invalid value \":80\" (*:80 is given twice)"),
            ("port = 80\nlisten = [\"81\"]", "2:11: listen: can't be combined with port"),
            // Certificates.
            (
                "certificate = 1",
                "1:1: certificate: is an integer (expected [[certificate]] above the keys of each)",
            ),
            (
                "[certificate]\nchain = 'c'",
                "1:2: certificate: is a table (expected [[certificate]] above the keys of each)",
            ),
            (
                "\n[[certificate]]\nchain = 'c'",
                "2:1: certificate: has no key (each certificate needs chain and key)",
            ),
            ("[[certificate]]\nkey = 'k'", "1:1: certificate: has no chain (each certificate needs chain "),
            ("[[certificate]]\nchain = 1", "2:9: chain: is an integer (expected a string: FILE)"),
            ("[[certificate]]\nchain = ''", "2:9: chain: invalid value \"\" (expected a file)"),
            ("[[certificate]]\ncert = 'c'", "2:1: cert: unknown key (expected chain, key)"),
            ("[[certificates]]\nkey = 'k'", "1:3: certificates: unknown key (did you mean certificate?)"),
            ("tls_versions = 1.3", "1:16: tls_versions: is a float (expected a list of strings: VERSION)"),
            ("tls_versions = []", "1:16: tls_versions: is empty (expected a list of strings: VERSION)"),
            (
                "tls_versions = ['1.2', '1.1']",
                "1:24: tls_versions: invalid value \"1.1\" (expected 1.2 or 1.3)",
            ),
            (
                "tls_unknown_names = 'drop'",
                "1:21: tls_unknown_names: invalid value \"drop\" (expected serve or reject)",
            ),
            ("hsts = true", "1:8: hsts: is a boolean (expected false, a number or a string: TIME|off)"),
            (
                "hsts = '11y'",
                "1:8: hsts: invalid value \"11y\" (expected a time from 0 to 3650d, for example 30d, or off)",
            ),
            (
                "[[host]]\nnames = ['a']\n[[host.certificate]]\nkey = 'k'",
                "3:8: certificate: is not allowed in a host (put it above the first [[host]])",
            ),
            ("[[header]]\npath = '/'\nhttps = 'on'", "3:9: https: is a string (expected true or false)"),
            ("auth = { https = 1 }", "1:18: auth.https: is an integer (expected true or false)"),
            // Syntax.
            ("workers = ", "1:11: workers: has no value"),
            ("log_level = info # all", "1:13: log_level: invalid value info (strings need quotes: \"info\")"),
            ("x = 1\n root=/srv", "2:7: root: invalid value /srv (strings need quotes: \"/srv\")"),
            ("idle_timeout = 60s", "1:16: idle_timeout: invalid value 60s (strings need quotes: "),
            ("workers\n", "1:8: key with no value (expected `=`)"),
            ("name = \"a", "1:10: invalid basic string (expected `\"`)"),
            ("\n[x", "2:3: unclosed table (expected `]`)"),
            ("workers = 4 5", "1:11: workers: invalid value 4 5"),
            ("workers = 4 port = 5", "1:18: unexpected key or value (expected newline, `#`)"),
            ("workers = 04", "1:11: workers: invalid value 04"),
            ("listen = [80", "1:13: unclosed array"),
        ] {
            let found = settings(text).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
            assert!(!found.contains('\n') && found.len() > "may.toml:1:10: ".len(), "{text:?}: {found}");
        }
        let found = settings(b"name = \"x\"\n# \xff\n").unwrap_err();
        assert_eq!(found, "may.toml:2:3: is not text in UTF-8");
    }

    #[test]
    fn the_place_of_a_value_can_be_named() {
        let source = parse(Path::new("may.toml"), b"\nport = 80\n").unwrap();
        assert_eq!(source.given[0].origin.locate(), "may.toml:2");
    }
}
