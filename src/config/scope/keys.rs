//! The keys of what may be set at the top level, in a host and in a location: a row for each.

use super::{ScopeSettings, has_age};
use crate::config::choice::MissingIndex;
use crate::config::row::put;
use crate::config::scope::headers::{self, Headers};
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{KeyPlaces, ReadKey, TableKey};
use crate::config::value;

/// The keys.
pub const KEYS: &[TableKey<ScopeSettings>] = &[
    TableKey {
        name: "index",
        takes: "a string: NAME",
        read: ReadKey::Text(|s, text| put(&mut s.index, value::file_name(text).map(Some))),
        show: |s| s.index.as_deref().map(string),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "missing_index",
        takes: "a number: 403 or 404",
        read: ReadKey::NumberOrText(|s, text| {
            put(&mut s.missing_index, value::word(text, MissingIndex::WORDS).map(Some))
        }),
        show: |s| s.missing_index.map(|status| value::word_of(status, MissingIndex::WORDS).to_owned()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "listing",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.listing = Some(on)),
        show: |s| s.listing.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "expires",
        takes: "a number or a string: TIME|off",
        read: ReadKey::NumberOrText(|s, text| {
            put(&mut s.expires, value::or_off(text, value::lifetime).map(Some))
        }),
        show: |s| match s.expires? {
            Some(time) => Some(format!("\"{}s\"", time.as_secs())),
            None => Some(string("off")),
        },
        ..TableKey::EMPTY
    },
    TableKey {
        name: "cache_control",
        takes: "a string: the field's value",
        read: ReadKey::Text(|s, text| put(&mut s.cache_control, field_or_nothing(text).map(Some))),
        show: |s| s.cache_control.as_ref().map(|value| string(value.as_deref().unwrap_or_default())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "headers",
        takes: "a table of strings: { Field = \"value\" }",
        read: ReadKey::Value(|s, places, full, value| {
            put(&mut s.headers, Headers::read(places, full, value))
        }),
        show: |s| s.headers.show(),
        ..TableKey::EMPTY
    },
];

/// Why a Location header is refused.
pub const NEEDS_REDIRECT: &str = "needs a return with status 301, 302, 303, 307 or 308";

/// The row of a key.
pub fn by_name(name: &str) -> Option<&'static TableKey<ScopeSettings>> {
    KEYS.iter().find(|key| key.name == name)
}

/// The value of a field, or nothing.
fn field_or_nothing(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() { Ok(None) } else { headers::field_value(text).map(Some) }
}

/// Checks what one table sets.
///
/// # Errors
/// The fault of a key that another one of the table contradicts.
pub fn check(scope: &ScopeSettings, places: &KeyPlaces) -> Result<(), Fault> {
    let age = scope.cache_control.as_ref().is_some_and(|value| value.as_deref().is_some_and(has_age));
    if age && matches!(scope.expires, Some(Some(_))) {
        return Err(places.fault("cache_control", "can't set max-age beside expires"));
    }
    Ok(())
}

/// Checks what the table of a host or of the whole server sets, where no location adds to it.
///
/// # Errors
/// As [`check`], and a Location header, which only a redirect has.
pub fn check_alone(scope: &ScopeSettings, places: &KeyPlaces) -> Result<(), Fault> {
    check(scope, places)?;
    match scope.headers.0.iter().find(|(name, _)| name.eq_ignore_ascii_case("location")) {
        Some((name, _)) => Err(places.fault(&format!("headers.{name}"), NEEDS_REDIRECT)),
        None => Ok(()),
    }
}
