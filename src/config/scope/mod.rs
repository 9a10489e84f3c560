//! What may be set for a whole server, for a host and for a location. What is set nearest to a request
//! counts.
//!
//! It owns the two forms of it: [`ScopeSettings`] is what one table of a settings file says, and [`Scope`]
//! what holds in effect. A new one is a line of `scope!` below, a row in [`keys`] (and one of the table of
//! flags if it has a flag), and its use.

pub mod auth;
pub mod cors;
pub mod error_pages;
pub mod file_choice;
pub mod header_tables;
pub mod headers;
pub mod hsts;
pub mod keys;
pub mod routes;

use std::path::PathBuf;
use std::time::Duration;

use self::auth::AuthSettings;
use self::cors::CorsSettings;
use self::error_pages::ErrorPages;
use self::file_choice::{CharsetSetting, EtagSetting, HiddenSetting, LinkSetting};
use self::header_tables::HeaderTables;
use self::headers::Headers;
use self::hsts::HstsSetting;
use self::routes::Routes;
use super::choice::MissingIndex;

/// Makes both types out of one list of fields, so that none is forgotten where settings are inherited.
macro_rules! scope {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr;)*) => {
        /// What holds in effect: each with its value.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Scope {
            $($(#[$doc])* pub $field: $type,)*
            /// Further fields of each response.
            pub headers: Headers,
        }

        /// What one table sets; `None` is inherited.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct ScopeSettings {
            $($(#[$doc])* pub $field: Option<$type>,)*
            /// Further fields of each response.
            pub headers: Headers,
        }

        impl Default for Scope {
            /// What holds where nothing is set.
            fn default() -> Scope {
                Scope { $($field: $default,)* headers: Headers::default() }
            }
        }

        impl Scope {
            /// Each as `nearer` sets it; what it does not set is inherited.
            fn each_with(&self, nearer: &ScopeSettings) -> Scope {
                Scope {
                    $($field: nearer.$field.as_ref().unwrap_or(&self.$field).clone(),)*
                    headers: self.headers.with(&nearer.headers),
                }
            }
        }

        impl ScopeSettings {
            /// Each as this sets it, else as `lower` does.
            #[must_use]
            pub fn or(self, lower: ScopeSettings) -> ScopeSettings {
                ScopeSettings {
                    $($field: self.$field.or(lower.$field),)*
                    headers: lower.headers.with(&self.headers),
                }
            }
        }

        impl From<Scope> for ScopeSettings {
            fn from(scope: Scope) -> ScopeSettings {
                ScopeSettings { $($field: Some(scope.$field),)* headers: scope.headers }
            }
        }
    };
}

scope! {
    /// The name of the file that is served for a directory, without a slash.
    index: String = "index.html".to_owned();
    /// The response for a directory without an index file.
    missing_index: MissingIndex = MissingIndex::Forbidden;
    /// True if a directory without an index file is listed instead.
    listing: bool = false;
    /// True if `NAME.br`, `NAME.zst` and `NAME.gz` beside a file are its variants in content codings.
    precompressed: bool = true;
    /// True if files without a variant are compressed by background threads.
    compress: bool = false;
    /// How long a response may be cached, 0 to 3650 days.
    expires: Option<Duration> = None;
    /// The value of Cache-Control, one line.
    cache_control: Option<String> = None;
    /// The value of Cache-Control for pages (HTML), where nothing else is said.
    page_cache_control: Option<String> = Some("no-cache".to_owned());
    /// True if files with a digest of the content in their name may be cached for a year.
    immutable_names: bool = false;
    /// What entity-tags are made of.
    etag: EtagSetting = EtagSetting::Content;
    /// The most bytes of a file whose content makes its entity-tag.
    etag_content_limit: u64 = 16 << 20;
    /// The charset of text files that have none.
    charset: CharsetSetting = CharsetSetting::Off;
    /// Which symbolic links are followed.
    symlinks: LinkSetting = LinkSetting::Inside;
    /// Which names that begin with a dot are served.
    hidden: HiddenSetting = HiddenSetting::WellKnown;
    /// Directories in which files are looked for that are not beneath the root, in order.
    fallback_roots: Vec<PathBuf> = Vec::new();
    /// Pages for errors.
    error_pages: ErrorPages = ErrorPages::default();
    /// The path of the page for paths without a file that a browser navigates to.
    fallback: Option<String> = None;
    /// True if pages have paths without `.html`.
    clean_urls: bool = false;
    /// True if each response has fields that restrict what a page may do.
    security_headers: bool = false;
    /// How long browsers use TLS alone.
    hsts: HstsSetting = HstsSetting::ByDefault;
    /// Which scripts of other sites may read responses.
    cors: Option<CorsSettings> = None;
    /// What is sent elsewhere.
    redirects: Routes = Routes::default();
    /// What is answered with another path.
    rewrites: Routes = Routes::default();
    /// Fields by path and status.
    header_tables: HeaderTables = HeaderTables::default();
    /// True if `_redirects` and `_headers` in the root are read.
    site_files: bool = false;
    /// Who is let in; `None` lets in all.
    auth: Option<AuthSettings> = None;
}

impl Scope {
    /// What holds beneath this where `nearer` is set.
    #[must_use]
    pub fn with(&self, nearer: &ScopeSettings) -> Scope {
        let mut scope = self.each_with(nearer);
        // Two ages of one response would contradict each other, so the nearer one counts.
        if scope.expires.is_some() && scope.cache_control.as_deref().is_some_and(has_age) {
            if nearer.cache_control.is_some() {
                scope.expires = None;
            } else {
                scope.cache_control = None;
            }
        }
        scope
    }
}

/// True if a value of Cache-Control says how old a response may be.
pub fn has_age(cache_control: &str) -> bool {
    cache_control.to_ascii_lowercase().contains("max-age")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_nearest_counts_as_a_whole() {
        let host = ScopeSettings { listing: Some(true), index: Some("a".into()), ..ScopeSettings::default() };
        let location = ScopeSettings { index: Some("b".into()), ..ScopeSettings::default() };
        let scope = Scope::default().with(&host).with(&location);
        assert_eq!((scope.index.as_str(), scope.listing), ("b", true));
        assert_eq!(scope.missing_index, MissingIndex::Forbidden);
        let off = ScopeSettings { listing: Some(false), ..ScopeSettings::default() };
        assert!(!scope.with(&off).listing);
    }

    #[test]
    fn of_two_ages_the_nearer_counts() {
        let expires =
            ScopeSettings { expires: Some(Some(Duration::from_secs(60))), ..ScopeSettings::default() };
        let age = ScopeSettings { cache_control: Some(Some("Max-Age=5".into())), ..ScopeSettings::default() };
        let public = ScopeSettings { cache_control: Some(Some("public".into())), ..ScopeSettings::default() };
        let both = |outer: &ScopeSettings, nearer: &ScopeSettings| {
            let scope = Scope::default().with(outer).with(nearer);
            (scope.expires.is_some(), scope.cache_control)
        };
        assert_eq!(both(&expires, &age), (false, Some("Max-Age=5".into())));
        assert_eq!(both(&age, &expires), (true, None));
        assert_eq!(both(&public, &expires), (true, Some("public".into())));
    }
}
