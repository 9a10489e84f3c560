//! How the files of a location are served, by its settings.

use std::sync::Arc;

use crate::config::scope::Scope;
use crate::config::scope::file_choice::{CharsetSetting, EtagSetting, LinkSetting};
use crate::store::file_policy::{EtagSource, FilePolicy, NameCaching, TextCharset};
use crate::sys::file::LinkPolicy;

/// The policy of what holds in a location.
pub fn file_policy(scope: &Scope) -> FilePolicy {
    FilePolicy {
        etag: match scope.etag {
            EtagSetting::Content => EtagSource::Content { limit: scope.etag_content_limit },
            EtagSetting::Stamp => EtagSource::Stamp,
        },
        charset: match scope.charset {
            CharsetSetting::Off => TextCharset::Unknown,
            CharsetSetting::Utf8 => TextCharset::Utf8,
        },
        links: match scope.symlinks {
            LinkSetting::Deny => LinkPolicy::Deny,
            LinkSetting::Inside => LinkPolicy::Inside,
            LinkSetting::SameOwner => LinkPolicy::SameOwner,
            LinkSetting::Follow => LinkPolicy::Follow,
        },
        caching: caching(scope),
    }
}

/// What the names of files say of their caching. What the settings say of all files comes before what they
/// say of pages.
fn caching(scope: &Scope) -> NameCaching {
    let is_said = scope.cache_control.is_some() || scope.expires.is_some();
    let page = scope.page_cache_control.as_deref().filter(|_| !is_said);
    NameCaching { page: page.map(Arc::from), immutable_names: scope.immutable_names }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_page_may_be_cached_as_the_settings_say_of_all_files() {
        let page = |scope: &Scope| file_policy(scope).caching.page;
        assert_eq!(page(&Scope::default()).as_deref(), Some("no-cache"));
        let said = [
            Scope { page_cache_control: None, ..Scope::default() },
            Scope { expires: Some(Duration::from_secs(1)), ..Scope::default() },
            Scope { cache_control: Some("public".to_owned()), ..Scope::default() },
        ];
        assert!(said.iter().all(|scope| page(scope).is_none()));
    }
}
