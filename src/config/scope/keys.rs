//! The keys of what may be set at the top level, in a host and in a location: a row for each.

use std::path::PathBuf;

use super::cors::{self, CorsSettings};
use super::error_pages::{self, ErrorPages};
use super::file_choice::{CharsetSetting, EtagSetting, HiddenSetting, LinkSetting};
use super::{ScopeSettings, has_age};
use crate::config::choice::MissingIndex;
use crate::config::file_value::{FileValue, invalid};
use crate::config::scope::auth::{self, AuthSettings};
use crate::config::scope::header_tables::HeaderTables;
use crate::config::scope::headers::{self, Headers};
use crate::config::scope::hsts::{self, HstsSetting};
use crate::config::scope::routes::{self, Routes};
use crate::config::show::string;
use crate::config::source_map::Fault;
use crate::config::table_key::{KeyPlaces, ReadKey, TableKey};
use crate::config::value::{self, put};
use crate::routing::route_rule::RuleKind;

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
        name: "precompressed",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.precompressed = Some(on)),
        show: |s| s.precompressed.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "compress",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.compress = Some(on)),
        show: |s| s.compress.map(|on| on.to_string()),
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
        name: "fallback_roots",
        takes: "a list of strings: DIR",
        read: ReadKey::Value(|s, _, full, value| {
            put(&mut s.fallback_roots, directories(full, value).map(Some))
        }),
        show: |s| s.fallback_roots.as_ref().map(|directories| paths(directories)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "error_pages",
        takes: error_pages::TAKES,
        read: ReadKey::Value(|s, _, full, value| {
            put(&mut s.error_pages, ErrorPages::read(full, value).map(Some))
        }),
        show: |s| s.error_pages.as_ref().map(ErrorPages::show),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "fallback",
        takes: "false or a string: /PATH",
        read: ReadKey::OffOrText(|s, text| {
            put(&mut s.fallback, text.map(error_pages::site_path).transpose().map(Some))
        }),
        show: |s| s.fallback.as_ref().map(|path| path.as_deref().map_or("false".to_owned(), string)),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "spa",
        takes: "true or false",
        excludes: &["fallback"],
        read: ReadKey::Switch(|s, on| s.fallback = Some(on.then(|| "/index.html".to_owned()))),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "clean_urls",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.clean_urls = Some(on)),
        show: |s| s.clean_urls.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "security_headers",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.security_headers = Some(on)),
        show: |s| s.security_headers.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "hsts",
        takes: hsts::TAKES,
        read: ReadKey::Value(|s, _, full, value| put(&mut s.hsts, HstsSetting::read(full, value).map(Some))),
        show: |s| s.hsts?.show(),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "cors",
        takes: cors::TAKES,
        read: ReadKey::Value(|s, _, full, value| put(&mut s.cors, CorsSettings::read(full, value).map(Some))),
        show: |s| s.cors.as_ref().map(|cors| CorsSettings::show(cors.as_ref())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "auth",
        takes: auth::TAKES,
        read: ReadKey::Value(|s, places, full, value| {
            put(&mut s.auth, AuthSettings::read(places, full, value).map(Some))
        }),
        show: |s| s.auth.as_ref().map(AuthSettings::show),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "page_cache_control",
        takes: "a string: the field's value, or nothing",
        read: ReadKey::Text(|s, text| put(&mut s.page_cache_control, field_or_nothing(text).map(Some))),
        show: |s| s.page_cache_control.as_ref().map(|value| string(value.as_deref().unwrap_or_default())),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "immutable_names",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.immutable_names = Some(on)),
        show: |s| s.immutable_names.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "etag",
        takes: "a string: content or stamp",
        read: ReadKey::Text(|s, text| put(&mut s.etag, value::word(text, EtagSetting::WORDS).map(Some))),
        show: |s| s.etag.map(|etag| string(value::word_of(etag, EtagSetting::WORDS))),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "etag_content_limit",
        takes: "a number or a string: SIZE",
        read: ReadKey::NumberOrText(|s, text| put(&mut s.etag_content_limit, value::size(text).map(Some))),
        show: |s| s.etag_content_limit.map(|bytes| bytes.to_string()),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "charset",
        takes: "a string: off or utf-8",
        read: ReadKey::Text(|s, text| {
            put(&mut s.charset, value::word(text, CharsetSetting::WORDS).map(Some))
        }),
        show: |s| s.charset.map(|charset| string(value::word_of(charset, CharsetSetting::WORDS))),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "symlinks",
        takes: "a string: deny, inside, same-owner or follow",
        read: ReadKey::Text(|s, text| put(&mut s.symlinks, value::word(text, LinkSetting::WORDS).map(Some))),
        show: |s| s.symlinks.map(|links| string(value::word_of(links, LinkSetting::WORDS))),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "hidden",
        takes: "a string: deny, well-known or serve",
        read: ReadKey::Text(|s, text| put(&mut s.hidden, HiddenSetting::read(text).map(Some))),
        show: |s| s.hidden.map(|hidden| string(value::word_of(hidden, HiddenSetting::WORDS))),
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
    // The dump shows these three as tables, so that rules of both kinds keep their order.
    TableKey {
        name: "redirect",
        takes: "[[redirect]] above the keys of each",
        read: ReadKey::Value(|s, _, _, value| {
            put(&mut s.redirects, Routes::read(RuleKind::Redirect, value).map(Some))
        }),
        show: |s| s.redirects.as_ref()?.show_empty(),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "rewrite",
        takes: "[[rewrite]] above the keys of each",
        read: ReadKey::Value(|s, _, _, value| {
            put(&mut s.rewrites, Routes::read(RuleKind::Rewrite, value).map(Some))
        }),
        show: |s| s.rewrites.as_ref()?.show_empty(),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "header",
        takes: "[[header]] above the keys of each",
        read: ReadKey::Value(|s, _, _, value| put(&mut s.header_tables, HeaderTables::read(value).map(Some))),
        show: |s| s.header_tables.as_ref()?.show_empty(),
        ..TableKey::EMPTY
    },
    TableKey {
        name: "site_files",
        takes: "true or false",
        read: ReadKey::Switch(|s, on| s.site_files = Some(on)),
        show: |s| s.site_files.map(|on| on.to_string()),
        ..TableKey::EMPTY
    },
];

/// Why a Location header is refused.
pub const NEEDS_REDIRECT: &str = "needs a return with status 301, 302, 303, 307 or 308";

/// The row of a key.
pub fn by_name(name: &str) -> Option<&'static TableKey<ScopeSettings>> {
    KEYS.iter().find(|key| key.name == name)
}

/// A list of directories, which may be empty.
fn directories(full: &str, value: &FileValue) -> Result<Vec<PathBuf>, Fault> {
    let takes = "a list of strings: DIR";
    let list = value.list().ok_or_else(|| Fault::of(full, value.at, value.wrong_type(takes)))?;
    let directory = |item: &FileValue| {
        let fault = |why: String| Fault::of(full, item.at, why);
        let text = item.text().ok_or_else(|| fault(item.wrong_type(takes)))?;
        if text.is_empty() || text.contains('\0') {
            return Err(fault(invalid(text, "expected a directory")));
        }
        Ok(PathBuf::from(text))
    };
    list.iter().map(directory).collect()
}

fn paths(directories: &[PathBuf]) -> String {
    let paths: Vec<String> = directories.iter().map(|path| string(&path.to_string_lossy())).collect();
    format!("[{}]", paths.join(", "))
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
    routes::check(scope.redirects.as_ref(), scope.rewrites.as_ref(), places)
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
