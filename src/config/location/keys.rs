//! The table of a location's keys: one row for each.
//!
//! The reading of `[[location]]`, its errors and the dump are made from these rows. A new key is a row here,
//! a field of [`LocationSettings`] and its use.

use std::path::PathBuf;

use super::{Files, FixedResponse, LocationSettings, STATUSES, check};
use crate::config::network::{AccessRule, Network};
use crate::config::row::put;
use crate::config::show::string;
use crate::config::{types, value};

/// A key of a location.
pub struct LocationKey {
    /// Its name.
    pub name: &'static str,
    /// What it takes, as the end of a sentence.
    pub takes: &'static str,
    /// Keys that can't stand beside it.
    pub excludes: &'static [&'static str],
    /// How its value is read.
    pub read: ReadKey,
    /// Its value in TOML, if the location has one.
    pub show: fn(&LocationSettings) -> Option<String>,
}

/// How the value of a key is read. An error says what is allowed.
pub enum ReadKey {
    /// A string.
    Text(fn(&mut LocationSettings, &str) -> Result<(), String>),
    /// A whole number, as text.
    Number(fn(&mut LocationSettings, &str) -> Result<(), String>),
    /// A string or a whole number, as text.
    NumberOrText(fn(&mut LocationSettings, &str) -> Result<(), String>),
    /// A boolean.
    Switch(fn(&mut LocationSettings, bool)),
    /// Each string of a list.
    List(fn(&mut LocationSettings, &str) -> Result<(), String>),
    /// A table whose keys are fields of a response.
    Fields,
    /// A table with these keys.
    Table(&'static [LocationKey]),
}

/// A row with nothing in it, which the rows below fill.
const EMPTY: LocationKey =
    LocationKey { name: "", takes: "", excludes: &[], read: ReadKey::Fields, show: |_| None };

/// The keys of a location.
pub const KEYS: &[LocationKey] = &[
    LocationKey {
        name: "path",
        takes: "a string: /PATH",
        read: ReadKey::Text(|l, text| put(&mut l.path, path(text))),
        show: |l| Some(string(&l.path)),
        ..EMPTY
    },
    LocationKey {
        name: "root",
        takes: "a string: DIR",
        read: ReadKey::Text(|l, text| put(&mut l.files, directory(text).map(Files::Root))),
        show: |l| match &l.files {
            Files::Root(directory) => Some(string(&directory.to_string_lossy())),
            _ => None,
        },
        ..EMPTY
    },
    LocationKey {
        name: "alias",
        takes: "a string: DIR",
        excludes: &["root"],
        read: ReadKey::Text(|l, text| put(&mut l.files, directory(text).map(Files::Alias))),
        show: |l| match &l.files {
            Files::Alias(directory) => Some(string(&directory.to_string_lossy())),
            _ => None,
        },
    },
    LocationKey {
        name: "index",
        takes: "a string: NAME",
        read: ReadKey::Text(|l, text| put(&mut l.index, value::file_name(text).map(Some))),
        show: |l| l.index.as_deref().map(string),
        ..EMPTY
    },
    LocationKey {
        name: "find_by_name",
        takes: "true or false",
        read: ReadKey::Switch(|l, on| l.find_by_name = on),
        show: |l| l.find_by_name.then(|| "true".to_owned()),
        ..EMPTY
    },
    LocationKey {
        name: "expires",
        takes: "a number or a string: TIME",
        read: ReadKey::NumberOrText(|l, text| put(&mut l.expires, value::lifetime(text).map(Some))),
        show: |l| l.expires.map(|time| format!("\"{}s\"", time.as_secs())),
        ..EMPTY
    },
    LocationKey {
        name: "cache_control",
        takes: "a string: the field's value",
        read: ReadKey::Text(|l, text| put(&mut l.cache_control, check::field_value(text).map(Some))),
        show: |l| l.cache_control.as_deref().map(string),
        ..EMPTY
    },
    LocationKey {
        name: "access_log",
        takes: "true or false",
        read: ReadKey::Switch(|l, on| l.access_log = on),
        show: |l| (!l.access_log).then(|| "false".to_owned()),
        ..EMPTY
    },
    LocationKey {
        name: "headers",
        takes: "a table of strings: { Field = \"value\" }",
        read: ReadKey::Fields,
        show: headers,
        ..EMPTY
    },
    LocationKey {
        name: "return",
        takes: "a table: { status, body, type }",
        excludes: &["root", "alias", "index", "find_by_name"],
        read: ReadKey::Table(RETURN_KEYS),
        show: |l| l.response.is_some().then(|| inline(RETURN_KEYS, l)),
    },
    LocationKey {
        name: "allow",
        takes: "a list of strings: NETWORK",
        read: ReadKey::List(|l, text| rule(l, text, true)),
        show: |l| networks(l, true),
        ..EMPTY
    },
    LocationKey {
        name: "deny",
        takes: "a list of strings: NETWORK",
        read: ReadKey::List(|l, text| rule(l, text, false)),
        show: |l| networks(l, false),
        ..EMPTY
    },
];

/// The keys of `return`.
const RETURN_KEYS: &[LocationKey] = &[
    LocationKey {
        name: "status",
        takes: "a number",
        read: ReadKey::Number(|l, text| put(&mut response(l).status, status(text))),
        show: |l| l.response.as_ref().map(|response| response.status.to_string()),
        ..EMPTY
    },
    LocationKey {
        name: "body",
        takes: "a string",
        read: ReadKey::Text(|l, text| put(&mut response(l).body, Ok(Some(text.to_owned())))),
        show: |l| l.response.as_ref()?.body.as_deref().map(string),
        ..EMPTY
    },
    LocationKey {
        name: "type",
        takes: "a string: TYPE/SUBTYPE",
        read: ReadKey::Text(|l, text| put(&mut response(l).media_type, media_type(text))),
        show: |l| l.response.as_ref().map(|response| string(&response.media_type)),
        ..EMPTY
    },
];

/// Keys and values of a location, in an order that gives the same location again.
pub fn entries(location: &LocationSettings) -> Vec<(&'static str, String)> {
    let mut entries: Vec<_> = KEYS.iter().filter_map(|key| Some((key.name, (key.show)(location)?))).collect();
    // The first of allow and deny is tried first.
    if location.access.0.first().is_some_and(|rule| !rule.allow) {
        entries.sort_by_key(|(name, _)| *name == "allow");
    }
    entries
}

/// An inline table of these keys.
fn inline(keys: &[LocationKey], location: &LocationSettings) -> String {
    let entry = |key: &LocationKey| Some(format!("{} = {}", key.name, (key.show)(location)?));
    format!("{{ {} }}", keys.iter().filter_map(entry).collect::<Vec<_>>().join(", "))
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

fn headers(location: &LocationSettings) -> Option<String> {
    let lines = location.headers.chunk_by(|(name, _), (other, _)| name == other);
    let fields = lines.map(|lines| {
        let values: Vec<String> = lines.iter().map(|(_, value)| string(value)).collect();
        format!("{} = [{}]", string(&lines[0].0), values.join(", "))
    });
    let fields = fields.collect::<Vec<_>>().join(", ");
    (!fields.is_empty()).then(|| format!("{{ {fields} }}"))
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

fn media_type(text: &str) -> Result<String, String> {
    types::is_media_type(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a media type, for example text/plain; charset=utf-8".to_owned())
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
