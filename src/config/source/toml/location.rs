//! Reads `[[location]]` tables by the rows of [`keys`](crate::config::location::keys).

use std::collections::BTreeMap;

use toml::de::DeTable;

use super::value::{self, TomlName, TomlValue, invalid, number_or_text, wrong_type};
use crate::config::location::keys::{KEYS, LocationKey, ReadKey};
use crate::config::location::{self, LocationSettings, check};
use crate::config::source::given::SettingOrigin;
use crate::config::source_map::{Fault, SourceMap};
use crate::config::{suggest, table};

/// The locations that a value holds, and the place of each.
///
/// # Errors
/// The first mistake.
pub fn read(
    map: &SourceMap<'_>,
    name: &TomlName<'_>,
    value: &TomlValue<'_>,
) -> Result<Vec<(LocationSettings, SettingOrigin)>, Fault> {
    let list = value.get_ref().as_array().into_iter().flat_map(|list| list.iter());
    let tables: Vec<_> = list.map(|item| (item.span().start, item.get_ref().as_table())).collect();
    if value.get_ref().as_array().is_none() || tables.iter().any(|(_, table)| table.is_none()) {
        let takes = format!("[[{}]] above the keys of each", location::KEY);
        return Err(Fault::of(location::KEY, name.span().start, wrong_type(value, &takes)));
    }
    let read = |(at, table): (usize, Option<&DeTable<'_>>)| {
        let origin = SettingOrigin::in_file(map, location::KEY, at);
        table.map(|table| Ok((Reader::default().location(table, at)?, origin)))
    };
    tables.into_iter().filter_map(read).collect()
}

/// A location while its keys are read.
#[derive(Default)]
struct Reader {
    location: LocationSettings,
    /// Where each key stands; a key of an inner table has the outer one in front, `return.body`.
    names: BTreeMap<String, usize>,
}

impl Reader {
    /// Reads the table whose header stands at `header`.
    fn location(mut self, table: &DeTable<'_>, header: usize) -> Result<LocationSettings, Fault> {
        for (name, value) in value::in_order(table) {
            let key = KEYS.iter().find(|key| name.get_ref() == key.name);
            let key =
                key.ok_or_else(|| Fault::of(name.get_ref(), name.span().start, unknown(name.get_ref())))?;
            self.entry(key, key.name, name, value)?;
        }
        if !self.names.contains_key("path") {
            return Err(Fault::of(location::KEY, header, "has no path (each location needs one)"));
        }
        for key in KEYS {
            if let Some(other) = key.excludes.iter().find(|other| self.gives(key.name) && self.gives(other)) {
                return Err(self.fault(key.name, format!("can't be combined with {other}")));
            }
        }
        check::check(&self.location).map_err(|(key, why)| self.fault(&key, why))?;
        Ok(self.location)
    }

    fn gives(&self, key: &str) -> bool {
        self.names.contains_key(key)
    }

    /// The fault of a key that was read.
    fn fault(&self, key: &str, why: String) -> Fault {
        Fault::of(key, self.names.get(key).copied().unwrap_or_default(), why)
    }

    /// Reads an entry. `full` is the key with the names of the outer tables.
    fn entry(
        &mut self,
        key: &LocationKey,
        full: &str,
        name: &TomlName<'_>,
        value: &TomlValue<'_>,
    ) -> Result<(), Fault> {
        let fault = |why: String| Fault::of(full, value.span().start, why);
        let wrong = || fault(wrong_type(value, key.takes));
        self.names.insert(full.to_owned(), name.span().start);
        let (text, read) = match key.read {
            ReadKey::Switch(set) => {
                set(&mut self.location, value.get_ref().as_bool().ok_or_else(wrong)?);
                return Ok(());
            }
            ReadKey::List(read) => return self.list(key, full, value, read),
            ReadKey::Fields => return self.fields(full, value.get_ref().as_table().ok_or_else(wrong)?),
            ReadKey::Table(keys) => {
                let table = value.get_ref().as_table().ok_or_else(wrong)?;
                return self.table(keys, key, table, name);
            }
            ReadKey::Text(read) => (value.get_ref().as_str().map(str::to_owned), read),
            ReadKey::Number(read) => (value.get_ref().as_integer().map(value::decimal), read),
            ReadKey::NumberOrText(read) => (number_or_text(value), read),
        };
        let text = text.ok_or_else(wrong)?;
        read(&mut self.location, &text).map_err(|why| fault(invalid(&text, &why)))
    }

    /// Reads a list of strings.
    fn list(
        &mut self,
        key: &LocationKey,
        full: &str,
        value: &TomlValue<'_>,
        read: fn(&mut LocationSettings, &str) -> Result<(), String>,
    ) -> Result<(), Fault> {
        let Some(list) = value.get_ref().as_array() else {
            return Err(Fault::of(full, value.span().start, wrong_type(value, key.takes)));
        };
        if list.is_empty() {
            return Err(Fault::of(full, value.span().start, format!("is empty (expected {})", key.takes)));
        }
        for item in list.iter() {
            let fault = |why: String| Fault::of(full, item.span().start, why);
            let text = item.get_ref().as_str().ok_or_else(|| fault(wrong_type(item, key.takes)))?;
            read(&mut self.location, text).map_err(|why| fault(invalid(text, &why)))?;
        }
        Ok(())
    }

    /// Reads an inner table with keys of its own.
    fn table(
        &mut self,
        keys: &[LocationKey],
        outer: &LocationKey,
        table: &DeTable<'_>,
        owner: &TomlName<'_>,
    ) -> Result<(), Fault> {
        if table.is_empty() {
            let why = format!("is empty (expected {})", outer.takes);
            return Err(Fault::of(outer.name, owner.span().start, why));
        }
        for (name, value) in value::in_order(table) {
            let full = format!("{}.{}", outer.name, name.get_ref());
            let key = keys.iter().find(|key| name.get_ref() == key.name);
            let key =
                key.ok_or_else(|| Fault::of(&full, name.span().start, nearest(name.get_ref(), keys)))?;
            self.entry(key, &full, name, value)?;
        }
        Ok(())
    }

    /// Reads an inner table of fields: each has a string, or a list of strings.
    fn fields(&mut self, outer: &str, table: &DeTable<'_>) -> Result<(), Fault> {
        for (name, value) in value::in_order(table) {
            let field = name.get_ref();
            let full = format!("{outer}.{field}");
            self.names.insert(full.clone(), name.span().start);
            check::field_name(&self.location, field)
                .map_err(|why| Fault::of(&full, name.span().start, why))?;
            let single = std::slice::from_ref(value);
            if field.eq_ignore_ascii_case("location")
                && value.get_ref().as_array().is_some_and(|l| l.is_empty())
            {
                return Err(Fault::of(
                    &full,
                    value.span().start,
                    "a Location header needs a value".to_owned(),
                ));
            }
            for value in value.get_ref().as_array().map_or(single, |list| &list[..]) {
                let fault = |why: String| Fault::of(&full, value.span().start, why);
                let takes = "a string or a list of strings";
                let text = value.get_ref().as_str().ok_or_else(|| fault(wrong_type(value, takes)))?;
                let line = check::field_value(text).map_err(|why| fault(invalid(text, &why)))?;
                self.location.headers.push((field.to_string(), line));
            }
        }
        Ok(())
    }
}

/// The words for a key that a location does not have.
fn unknown(key: &str) -> String {
    if table::by_key(key).is_some() || key == crate::config::types::KEY {
        return format!("is not allowed in a location (put it above the first [[{}]])", location::KEY);
    }
    nearest(key, KEYS)
}

/// The words for a key that is none of `keys`.
fn nearest(key: &str, keys: &[LocationKey]) -> String {
    match suggest::nearest(key, keys.iter().map(|key| key.name)) {
        Some(known) => format!("unknown key (did you mean {known}?)"),
        None => {
            let all: Vec<&str> = keys.iter().map(|key| key.name).collect();
            format!("unknown key (expected {})", all.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use std::time::Duration;

    use super::*;
    use crate::config::Settings;
    use crate::config::location::{Files, FixedResponse};
    use crate::config::machine::Machine;
    use crate::config::resolve::resolve;

    fn settings(text: &str) -> Result<Settings, String> {
        let source = super::super::parse(Path::new("may.toml"), text.as_bytes());
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
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let cases = [
            ("", plain("/x/")),
            ("root = '/srv'", LocationSettings { files: Files::Root("/srv".into()), ..plain("/x/") }),
            ("alias = '/srv'", LocationSettings { files: Files::Alias("/srv".into()), ..plain("/x/") }),
            ("index = 'a.htm'", LocationSettings { index: Some("a.htm".to_owned()), ..plain("/x/") }),
            ("find_by_name = true", LocationSettings { find_by_name: true, ..plain("/x/") }),
            ("find_by_name = false", plain("/x/")),
            ("expires = '30d'", LocationSettings { expires: days(30), ..plain("/x/") }),
            ("expires = 86400", LocationSettings { expires: days(1), ..plain("/x/") }),
            ("expires = 0", LocationSettings { expires: days(0), ..plain("/x/") }),
            (
                "cache_control = 'no-cache'",
                LocationSettings { cache_control: Some("no-cache".to_owned()), ..plain("/x/") },
            ),
            ("access_log = false", LocationSettings { access_log: false, ..plain("/x/") }),
            ("access_log = true", plain("/x/")),
            (
                "headers = { X-A = 'b c', Link = ['<1>', '<2>'] }",
                LocationSettings {
                    headers: vec![field("X-A", "b c"), field("Link", "<1>"), field("Link", "<2>")],
                    ..plain("/x/")
                },
            ),
            ("headers.X-A = 'é'", LocationSettings { headers: vec![field("X-A", "é")], ..plain("/x/") }),
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
                    headers: vec![field("Location", "/y")],
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
                "2:1: zzzzzz: unknown key (expected path, root, alias, index, find_by_name, expires, ",
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
            ("path = '/'\nexpires = 1.5", "3:11: expires: is a float (expected a number or a string: TIME)"),
            ("path = '/'\ncache_control = ''", "3:17: cache_control: invalid value \"\" (expected text "),
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
