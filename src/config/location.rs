//! A location, `[[location]]` in the settings file: what is different for the paths beneath one.
//!
//! It owns the keys of that table, what each may hold and what contradicts what. Where in the file a mistake stands comes
//! from [`document`](super::document), and which location answers a request is the site's business. The subtle rule: what
//! goes into a head later can't end its line, so every text that does is checked here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::access::{AccessList, Network, Rule};
use super::document::{Place, Text};
use super::{file, spelling, units};
use crate::error::StartupError;

/// The key of the table in the file.
pub const KEY: &str = "location";

/// The keys of a location, and what each takes, as the end of a sentence.
const KEYS: [(&str, &str); 12] = [
    ("path", "a string: /PATH"),
    ("root", "a string: DIR"),
    ("alias", "a string: DIR"),
    ("index", "a string: NAME"),
    ("find_by_name", "true or false"),
    ("expires", "a number or a string: TIME"),
    ("cache_control", "a string: the field's value"),
    ("access_log", "true or false"),
    ("headers", "a table of strings: { Field = \"value\" }"),
    ("return", "a table: { status, body, type }"),
    ("allow", "a list of strings: NETWORK"),
    ("deny", "a list of strings: NETWORK"),
];

/// The keys of `return`, as [`KEYS`].
const RETURN_KEYS: [(&str, &str); 3] =
    [("status", "a number"), ("body", "a string"), ("type", "a string: TYPE/SUBTYPE")];

/// The statuses that a location may return.
pub const STATUSES: [u16; 15] = [200, 204, 301, 302, 303, 307, 308, 400, 403, 404, 410, 429, 451, 500, 503];

/// Fields that the server writes by itself, where a second one would contradict it or break the framing.
const OWN_FIELDS: [&str; 14] = [
    "Accept-Ranges",
    "Allow",
    "Connection",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Date",
    "ETag",
    "Keep-Alive",
    "Last-Modified",
    "Server",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// What holds for the paths beneath one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// What the paths begin with, as they are when decoded: a slash and whole names. With a slash at its end it does not
    /// stand for the path without that slash.
    pub path: String,
    /// Where its files are.
    pub files: Files,
    /// The file that answers for a directory; `None` is the site's.
    pub index: Option<String>,
    /// Whether a file is found by its bare name too, wherever it lies beneath the root.
    pub find_by_name: bool,
    /// How long what is served may be kept, 0 to 3650 days.
    pub expires: Option<Duration>,
    /// The value of Cache-Control, one line.
    pub cache_control: Option<String>,
    /// Whether requests are written to the access log.
    pub access_log: bool,
    /// Further fields of each reply, in the order of the file: a token, and a value of one line.
    pub headers: Vec<(String, String)>,
    /// What is answered in place of a file.
    pub reply: Option<FixedReply>,
    /// Who may ask.
    pub access: AccessList,
}

/// Where a location's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// Where the site's are.
    Site,
    /// Beneath this directory, by the whole path.
    Root(PathBuf),
    /// Beneath this directory, by what of the path follows the location's.
    Alias(PathBuf),
}

/// A reply that is always the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedReply {
    /// One of [`STATUSES`].
    pub status: u16,
    /// The body; `None` is what goes with the status, which is nothing for 200 and 204.
    pub body: Option<String>,
    /// The media type of the body, one line.
    pub media_type: String,
}

/// What of a file can't be understood: where, which key, and why.
type Fault = (usize, Option<String>, String);

/// An entry of a table: name and value, and where they stand.
type Entry<'t, 'i> = (&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// The locations that the value of [`KEY`], at `at`, has in this text, and where each stands.
///
/// # Errors
/// [`StartupError::Line`] for the first thing in it that is not understood.
pub fn read(
    text: &Text<'_>,
    at: usize,
    value: &Spanned<DeValue<'_>>,
) -> Result<(Vec<Location>, Vec<Place>), StartupError> {
    let is_tables = |list: &&toml::de::DeArray<'_>| list.iter().all(|item| item.get_ref().is_table());
    let Some(list) = value.get_ref().as_array().filter(is_tables) else {
        let why = format!("{} (expected [[{KEY}]] above the keys of each)", file::is_a(value.get_ref()));
        return Err(text.fault(at, Some(KEY), why));
    };
    let mut locations = Vec::new();
    let mut places = Vec::new();
    for item in list.iter() {
        let Some(table) = item.get_ref().as_table() else { continue };
        let header = item.span().start;
        let location = location(table, header);
        locations.push(
            location.map_err(|(at, key, why)| text.fault(at, Some(key.as_deref().unwrap_or(KEY)), why))?,
        );
        places.push(text.place(header));
    }
    Ok((locations, places))
}

/// Pairs of locations of the same path, by their numbers: one that never answers, and the one that does.
pub fn shadowed(locations: &[Location]) -> impl Iterator<Item = (usize, usize)> {
    locations.iter().enumerate().filter_map(|(nth, location)| {
        let first = locations.iter().position(|other| other.path == location.path)?;
        (first < nth).then_some((nth, first))
    })
}

/// The entries of a table in the order of the file, so that the first mistake is the one reported.
fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

impl Location {
    /// A location of which nothing is said but its path.
    pub fn at(path: String) -> Location {
        Location {
            path,
            files: Files::Site,
            index: None,
            find_by_name: false,
            expires: None,
            cache_control: None,
            access_log: true,
            headers: Vec::new(),
            reply: None,
            access: AccessList::default(),
        }
    }
}

fn location(table: &DeTable<'_>, header: usize) -> Result<Location, Fault> {
    let mut location = Location::at(String::new());
    let mut given: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fields = None;
    for (name, value) in in_order(table) {
        let key = name.get_ref().as_ref();
        let fault = |(at, why)| (at, Some(key.to_owned()), why);
        let wrong = || fault((value.span().start, wrong_type(value, &KEYS, key)));
        let text = || value.get_ref().as_str().ok_or_else(wrong);
        // What a text may not say, as the settings' readers have it.
        let read = |text: &str, why: String| fault(refused(value, text, &why));
        given.insert(key, name.span().start);
        match key {
            "path" => location.path = path(text()?).map_err(|why| read(text().unwrap_or_default(), why))?,
            "root" => location.files = Files::Root(directory(text()?).map_err(|why| read("", why))?),
            "alias" => location.files = Files::Alias(directory(text()?).map_err(|why| read("", why))?),
            "index" => {
                let text = text()?;
                location.index = Some(units::file_name(text).map_err(|why| read(text, why))?);
            }
            "find_by_name" => location.find_by_name = value.get_ref().as_bool().ok_or_else(wrong)?,
            "expires" => {
                let text = file::number_or_text(value).ok_or_else(wrong)?;
                location.expires = Some(units::lifetime(&text).map_err(|why| read(&text, why))?);
            }
            "cache_control" => {
                let text = text()?;
                location.cache_control = Some(field_value(text).map_err(|why| read(text, why))?);
            }
            "access_log" => location.access_log = value.get_ref().as_bool().ok_or_else(wrong)?,
            "headers" => {
                let table = value.get_ref().as_table().ok_or_else(wrong)?;
                location.headers = headers(table)?;
                fields = Some(table);
            }
            "return" => {
                location.reply = Some(fixed_reply(value.get_ref().as_table().ok_or_else(wrong)?, name)?)
            }
            "allow" | "deny" => {
                let list = value.get_ref().as_array().ok_or_else(wrong)?;
                if list.is_empty() {
                    return Err(fault((
                        value.span().start,
                        format!("is empty (expected {})", takes(&KEYS, key)),
                    )));
                }
                for item in list.iter() {
                    let rule = rule(item, key).map_err(fault)?;
                    if let Some(earlier) = location.access.hides(&rule) {
                        let (other, network) =
                            (if earlier.allow { "allow" } else { "deny" }, earlier.network);
                        let why = format!("never counts, since {other} has {network} before it");
                        return Err(fault(refused(item, &rule.network.to_string(), &why)));
                    }
                    location.access.0.push(rule);
                }
            }
            _ => return Err(fault((name.span().start, unknown(key)))),
        }
    }
    if !given.contains_key("path") {
        return Err((header, None, "has no path (each location needs one)".to_owned()));
    }
    contradictions(&location, &given, fields)?;
    Ok(location)
}

/// What only one of can be meant.
fn contradictions(
    location: &Location,
    given: &BTreeMap<&str, usize>,
    fields: Option<&DeTable<'_>>,
) -> Result<(), Fault> {
    for (key, other) in [
        ("alias", "root"),
        ("return", "root"),
        ("return", "alias"),
        ("return", "index"),
        ("return", "find_by_name"),
    ] {
        if let (Some(at), Some(_)) = (given.get(key), given.get(other)) {
            let why = format!("contradicts {other} (one of the two is allowed)");
            return Err((*at, Some(key.to_owned()), why));
        }
    }
    let says_age = |text: &String| text.to_ascii_lowercase().contains("max-age");
    if location.expires.is_some() && location.cache_control.as_ref().is_some_and(says_age) {
        let why = "contradicts expires (which says max-age already)".to_owned();
        return Err((given["cache_control"], Some("cache_control".to_owned()), why));
    }
    let redirects = location.reply.as_ref().is_some_and(|reply| (300..400).contains(&reply.status));
    for (name, _) in fields.into_iter().flat_map(|table| in_order(table)) {
        if name.get_ref().eq_ignore_ascii_case("location") && !redirects {
            let why = "belongs to a return with status 301, 302, 303, 307 or 308".to_owned();
            return Err((name.span().start, Some(format!("headers.{}", name.get_ref())), why));
        }
    }
    let has_location = location.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("location"));
    if redirects && !has_location {
        let why = "redirects nowhere (expected headers = { Location = \"...\" } beside it)".to_owned();
        return Err((given["return"], Some("return".to_owned()), why));
    }
    Ok(())
}

fn unknown(key: &str) -> String {
    if file::is_key(key) {
        return format!("is no key of a location (expected it above the first [[{KEY}]])");
    }
    nearest(key, &KEYS)
}

/// The words for a key that a table does not have.
fn nearest(key: &str, keys: &[(&str, &str)]) -> String {
    match spelling::nearest(key, keys.iter().map(|(known, _)| *known)) {
        Some(known) => format!("unknown key (the nearest known one is {known})"),
        None => {
            let all: Vec<&str> = keys.iter().map(|(known, _)| *known).collect();
            format!("unknown key (expected {})", all.join(", "))
        }
    }
}

/// What a key takes.
fn takes<'a>(keys: &[(&str, &'a str)], key: &str) -> &'a str {
    keys.iter().find(|(known, _)| *known == key).map_or("", |(_, takes)| takes)
}

fn wrong_type(value: &Spanned<DeValue<'_>>, keys: &[(&str, &str)], key: &str) -> String {
    format!("{} (expected {})", file::is_a(value.get_ref()), takes(keys, key))
}

/// A value that is not allowed, and why.
fn refused(value: &Spanned<DeValue<'_>>, text: &str, why: &str) -> (usize, String) {
    (value.span().start, format!("invalid value {text:?} ({why})"))
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

/// The value of a field, which goes into a head as it is.
fn field_value(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("a field is one line, without control characters".to_owned());
    }
    if text.is_empty() || text != text.trim() {
        return Err("expected text without white space at its ends".to_owned());
    }
    Ok(text.to_owned())
}

fn headers(table: &DeTable<'_>) -> Result<Vec<(String, String)>, Fault> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in in_order(table) {
        let field = name.get_ref().as_ref();
        let fault = |(at, why)| (at, Some(format!("headers.{field}")), why);
        field_name(field, &headers).map_err(|why| fault((name.span().start, why)))?;
        let whole = std::slice::from_ref(value);
        let values = value.get_ref().as_array().map_or(whole, |list| &list[..]);
        for value in values {
            let Some(text) = value.get_ref().as_str() else {
                let why = format!("{} (expected a string or a list of strings)", file::is_a(value.get_ref()));
                return Err(fault((value.span().start, why)));
            };
            let line = field_value(text).map_err(|why| fault(refused(value, text, &why)))?;
            headers.push((field.to_owned(), line));
        }
    }
    Ok(headers)
}

/// Whether a field of this name may be set, beside those that are.
fn field_name(name: &str, others: &[(String, String)]) -> Result<(), String> {
    // RFC 9110 §5.6.2.
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(in_token) {
        return Err("is no name of a field".to_owned());
    }
    if OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err("is the server's own to set".to_owned());
    }
    for (own, key) in [("Cache-Control", "cache_control"), ("Expires", "expires")] {
        if own.eq_ignore_ascii_case(name) {
            return Err(format!("has a key of its own (the location's {key})"));
        }
    }
    if others.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
        return Err("stands here again (a list of strings makes several lines)".to_owned());
    }
    Ok(())
}

fn fixed_reply(table: &DeTable<'_>, owner: &Spanned<Cow<'_, str>>) -> Result<FixedReply, Fault> {
    let mut reply =
        FixedReply { status: 200, body: None, media_type: "text/plain; charset=utf-8".to_owned() };
    if table.is_empty() {
        let why = format!("is empty (expected {})", takes(&KEYS, "return"));
        return Err((owner.span().start, Some("return".to_owned()), why));
    }
    for (name, value) in in_order(table) {
        let key = name.get_ref().as_ref();
        let fault = |(at, why)| (at, Some(format!("return.{key}")), why);
        let wrong = || fault((value.span().start, wrong_type(value, &RETURN_KEYS, key)));
        let text = || value.get_ref().as_str().ok_or_else(wrong);
        match key {
            "status" => {
                let number = value.get_ref().as_integer().map(file::decimal).ok_or_else(wrong)?;
                let known = |status: &u16| STATUSES.contains(status);
                reply.status = number.parse().ok().filter(known).ok_or_else(|| {
                    let all: Vec<String> = STATUSES.iter().map(ToString::to_string).collect();
                    fault(refused(value, &number, &format!("expected one of {}", all.join(", "))))
                })?;
            }
            "body" => reply.body = Some(text()?.to_owned()),
            "type" => {
                let text = text()?;
                let is_type =
                    |text: &String| text.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
                let read = field_value(text).ok().filter(is_type).filter(|text| text.is_ascii());
                reply.media_type = read.ok_or_else(|| {
                    fault(refused(
                        value,
                        text,
                        "expected a media type, for example text/plain; charset=utf-8",
                    ))
                })?;
            }
            _ => return Err(fault((name.span().start, nearest(key, &RETURN_KEYS)))),
        }
    }
    if reply.status == 204 && reply.body.is_some() {
        let at = in_order(table)
            .iter()
            .find(|(name, _)| name.get_ref() == "body")
            .map(|(name, _)| name.span().start);
        let why = "contradicts status (204 has no body)".to_owned();
        return Err((at.unwrap_or_default(), Some("return.body".to_owned()), why));
    }
    Ok(reply)
}

fn rule(item: &Spanned<DeValue<'_>>, key: &str) -> Result<Rule, (usize, String)> {
    let Some(text) = item.get_ref().as_str() else {
        return Err((item.span().start, wrong_type(item, &KEYS, key)));
    };
    let network = Network::read(text).map_err(|why| refused(item, text, &why))?;
    Ok(Rule { network, allow: key == "allow" })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Machine, Settings};
    use super::*;

    fn settled(text: &str) -> Result<Settings, String> {
        let layer = file::parse(Path::new("may.toml"), text.as_bytes()).map_err(|error| error.to_string())?;
        let machine = Machine { cpus: 1, document_root: false };
        Settings::settle(&[layer], machine).map_err(|error| error.to_string())
    }

    fn plain(path: &str) -> Location {
        Location::at(path.to_owned())
    }

    #[test]
    fn each_key_moves_its_own_part_alone() {
        let days = |days: u64| Some(Duration::from_secs(days * 24 * 60 * 60));
        let reply = |status, body: Option<&str>, media_type: &str| {
            Some(FixedReply { status, body: body.map(str::to_owned), media_type: media_type.to_owned() })
        };
        let text_plain = "text/plain; charset=utf-8";
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let cases = [
            ("", plain("/x/")),
            ("root = '/srv'", Location { files: Files::Root("/srv".into()), ..plain("/x/") }),
            ("alias = '/srv'", Location { files: Files::Alias("/srv".into()), ..plain("/x/") }),
            ("index = 'a.htm'", Location { index: Some("a.htm".to_owned()), ..plain("/x/") }),
            ("find_by_name = true", Location { find_by_name: true, ..plain("/x/") }),
            ("find_by_name = false", plain("/x/")),
            ("expires = '30d'", Location { expires: days(30), ..plain("/x/") }),
            ("expires = 86400", Location { expires: days(1), ..plain("/x/") }),
            ("expires = 0", Location { expires: days(0), ..plain("/x/") }),
            (
                "cache_control = 'no-cache'",
                Location { cache_control: Some("no-cache".to_owned()), ..plain("/x/") },
            ),
            ("access_log = false", Location { access_log: false, ..plain("/x/") }),
            ("access_log = true", plain("/x/")),
            (
                "headers = { X-A = 'b c', Link = ['<1>', '<2>'] }",
                Location {
                    headers: vec![field("X-A", "b c"), field("Link", "<1>"), field("Link", "<2>")],
                    ..plain("/x/")
                },
            ),
            ("headers.X-A = 'é'", Location { headers: vec![field("X-A", "é")], ..plain("/x/") }),
            (
                "return = { body = 'test 成功' }",
                Location { reply: reply(200, Some("test 成功"), text_plain), ..plain("/x/") },
            ),
            (
                "return = { status = 404, body = \"{}\\n\", type = 'application/json' }",
                Location { reply: reply(404, Some("{}\n"), "application/json"), ..plain("/x/") },
            ),
            ("return = { status = 204 }", Location { reply: reply(204, None, text_plain), ..plain("/x/") }),
            (
                "return = { status = 302 }\nheaders = { Location = '/y' }",
                Location {
                    reply: reply(302, None, text_plain),
                    headers: vec![field("Location", "/y")],
                    ..plain("/x/")
                },
            ),
        ];
        for (keys, expected) in cases {
            let settings = settled(&format!("[[location]]\npath = '/x/'\n{keys}\n")).unwrap();
            assert_eq!(settings.locations, [expected], "{keys}");
            assert_eq!(settings.warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn networks_are_asked_in_the_order_of_the_file() {
        let access = |keys: &str| {
            let settings = settled(&format!("[[location]]\npath = '/'\n{keys}\n")).unwrap();
            let rules = settings.locations[0].access.0.iter();
            rules
                .map(|rule| format!("{}{}", if rule.allow { '+' } else { '-' }, rule.network))
                .collect::<Vec<_>>()
        };
        assert_eq!(access("allow = ['10.0.0.0/8', '::1']\ndeny = ['all']"), ["+10.0.0.0/8", "+::1", "-all"]);
        assert_eq!(access("deny = ['10.1.0.0/16']\nallow = ['10.0.0.0/8']"), ["-10.1.0.0/16", "+10.0.0.0/8"]);
    }

    #[test]
    fn locations_keep_their_order_and_a_hidden_one_is_warned_of() {
        let settings = settled(
            "workers = 1\n[[location]]\npath = '/a'\n\n[[location]]\npath = '/a/'\n[[location]]\npath = '/a'\n",
        )
        .unwrap();
        let paths: Vec<_> = settings.locations.iter().map(|location| location.path.as_str()).collect();
        assert_eq!(paths, ["/a", "/a/", "/a"]);
        assert_eq!(
            settings.warnings,
            ["may.toml:7: this location never answers, since may.toml:2 has /a as well"]
        );
    }

    #[test]
    fn whatever_is_wrong_has_its_place_its_key_and_what_is_allowed() {
        // Each stands below `[[location]]`, from line 2 on.
        for (keys, error) in [
            ("", "1:1: location: has no path (each location needs one)"),
            ("root = 'x'", "1:1: location: has no path"),
            ("pth = '/'", "2:1: pth: unknown key (the nearest known one is path)"),
            (
                "zzzzzz = 1",
                "2:1: zzzzzz: unknown key (expected path, root, alias, index, find_by_name, expires, ",
            ),
            ("name = 'x'", "2:1: name: is no key of a location (expected it above the first [[location]])"),
            ("path = 1", "2:8: path: is an integer (expected a string: /PATH)"),
            ("path = 'x'", "2:8: path: invalid value \"x\" (expected a slash and whole names, decoded and "),
            ("path = ''", "2:8: path: invalid value \"\" (expected a slash"),
            ("path = '/a//b'", "2:8: path: invalid value \"/a//b\" (expected a slash"),
            ("path = '/a/../b'", "2:8: path: invalid value"),
            ("path = '/./'", "2:8: path: invalid value"),
            ("path = '//'", "2:8: path: invalid value"),
            ("path = \"/a\\n\"", "2:8: path: invalid value \"/a\\n\" (expected a slash"),
            ("path = '/'\npath = '/'", "3:1: path: stands here again (each key may stand once)"),
            ("path = '/'\nroot = 1", "3:8: root: is an integer (expected a string: DIR)"),
            ("path = '/'\nroot = ''", "3:8: root: invalid value \"\" (expected a directory)"),
            ("path = '/'\nalias = ['x']", "3:9: alias: is an array (expected a string: DIR)"),
            ("path = '/'\nalias = ''", "3:9: alias: invalid value \"\" (expected a directory)"),
            (
                "path = '/'\nalias = 'a'\nroot = 'b'",
                "3:1: alias: contradicts root (one of the two is allowed)",
            ),
            ("path = '/'\nindex = 'a/b'", "3:9: index: invalid value \"a/b\" (expected the name of a file, "),
            ("path = '/'\nindex = false", "3:9: index: is a boolean (expected a string: NAME)"),
            ("path = '/'\nfind_by_name = 'on'", "3:16: find_by_name: is a string (expected true or false)"),
            ("path = '/'\nfind_by_name = 1", "3:16: find_by_name: is an integer (expected true or false)"),
            (
                "path = '/'\nfind_by_nam = true",
                "3:1: find_by_nam: unknown key (the nearest known one is find_by_name)",
            ),
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
                "3:1: cache_control: contradicts expires (which says max-age already)",
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
            ("path = '/'\nheaders = { 'X Y' = 'a' }", "3:13: headers.X Y: is no name of a field"),
            ("path = '/'\nheaders = { \"X\\nY\" = 'a' }", "3:13: headers.X\\nY: is no name of a field"),
            (
                "path = '/'\n[location.headers]\nX-A = \"b\\r\\nSet-Cookie: c\"",
                "4:7: headers.X-A: invalid value \"b\\r\\nSet-Cookie: c\" (a field is one line, without control",
            ),
            (
                "path = '/'\nheaders = { X = ' a' }",
                "3:17: headers.X: invalid value \" a\" (expected text without white ",
            ),
            ("path = '/'\nheaders = { Date = 'x' }", "3:13: headers.Date: is the server's own to set"),
            (
                "path = '/'\nheaders = { content-LENGTH = '1' }",
                "3:13: headers.content-LENGTH: is the server's own to set",
            ),
            (
                "path = '/'\nheaders = { cache-control = 'no-store' }",
                "3:13: headers.cache-control: has a key of its own (the location's cache_control)",
            ),
            (
                "path = '/'\nheaders = { Expires = '0' }",
                "3:13: headers.Expires: has a key of its own (the location's ",
            ),
            (
                "path = '/'\nheaders = { X = 'a', x = 'b' }",
                "3:22: headers.x: stands here again (a list of strings",
            ),
            (
                "path = '/'\nheaders = { Location = '/y' }",
                "3:13: headers.Location: belongs to a return with status 301, 302, 303, 307 or 308",
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
            (
                "path = '/'\nreturn = { stats = 1 }",
                "3:12: return.stats: unknown key (the nearest known one is status)",
            ),
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
                "3:26: return.body: contradicts status (204 has no body)",
            ),
            (
                "path = '/'\nreturn = { status = 301 }",
                "3:1: return: redirects nowhere (expected headers = { Location ",
            ),
            (
                "path = '/'\nroot = 'x'\nreturn = { status = 200 }",
                "4:1: return: contradicts root (one of the two is allowed)",
            ),
            ("path = '/'\nreturn = { status = 200 }\nindex = 'x'", "3:1: return: contradicts index (one of "),
            (
                "path = '/'\nfind_by_name = true\nreturn = { status = 200 }",
                "4:1: return: contradicts find_by_name (one of the two is allowed)",
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
                "4:10: allow: invalid value \"10.0.0.0/8\" (never counts, since deny has all before it)",
            ),
        ] {
            let found = settled(&format!("[[location]]\n{keys}\n")).unwrap_err();
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
            ("[[locations]]\npath = '/'", "1:3: locations: unknown key (the nearest known one is location)"),
            ("[[location]]\npath = '/'\n[[location]]\nalias = 'x'", "3:1: location: has no path"),
        ] {
            let found = settled(text).unwrap_err();
            assert!(found.starts_with(&format!("may.toml:{error}")), "{text:?}: {found}");
        }
    }
}
