//! A location: what is different for the paths beneath one, as a `[[location]]` table of the settings says.
//! Made ready before the first request: the prefix in the form of a site path, header fields rendered.
//!
//! Opens nothing. Which location a path belongs to is in `locations.rs`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::answer::SiteResponse;
use super::auth::protection::Protection;
use super::cache_control::CacheControl;
use super::cors::Cors;
use super::error_page;
use super::error_pages::{PreparedErrorPage, PreparedErrorPages};
use super::file_policy::file_policy;
use super::hidden_dotfiles::HiddenDotfiles;
use super::prepared_response::PreparedResponse;
use super::rule_tables::RuleTables;
use super::security_headers;
use crate::config::MissingIndex;
use crate::config::location::{self as setting, Files};
use crate::config::network::AccessList;
use crate::config::scope::Scope;
use crate::http::request::Request;
use crate::http::response::FieldBlock;
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::routing::header_rules::HeaderRules;
use crate::routing::rule_table::RuleTable;
use crate::store::cache::Key;
use crate::store::directory::Directory;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

/// One location.
#[derive(Debug)]
pub struct Location {
    /// What site paths begin with: whole names.
    prefix: Box<[u8]>,
    /// True if the prefix itself belongs to the location only where it is requested with a slash.
    only_beneath: bool,
    access: AccessList,
    /// The response for every path, in place of files.
    fixed: Option<PreparedResponse>,
    /// Where its files are.
    pub directory: Directory,
    /// How many bytes of a site path stand for the root itself.
    alias_length: usize,
    /// Where files are found by their names, if they are.
    pub by_name: Option<ByName>,
    /// How many bytes of a site path may have names that begin with a dot, because the settings name the
    /// directory.
    pub shown: usize,
    /// False if the access log omits requests.
    pub logged: bool,
    /// The status of a directory that has neither an index nor a listing.
    pub missing_index: Status,
    /// True if a directory without an index is listed.
    pub listing: bool,
    /// Which names that begin with a dot are not served.
    pub hidden: HiddenDotfiles,
    /// True if pages have paths without `.html`.
    pub clean_urls: bool,
    /// The directories that are looked through after the root, each with what its cache keys begin with.
    pub fallback_roots: Vec<(Box<[u8]>, Directory)>,
    /// The path of the page for paths without a file that a browser navigates to.
    pub fallback_page: Option<SitePath<'static>>,
    error_pages: PreparedErrorPages,
    /// The redirects and rewrites of the settings.
    pub routes: Option<Arc<RuleTable>>,
    /// The header rules of the settings.
    pub header_rules: Option<Arc<HeaderRules>>,
    /// True if `_redirects` and `_headers` of the host apply.
    pub site_files: bool,
    /// Further header fields of each response, rendered.
    fields: Vec<u8>,
    /// The Strict-Transport-Security of responses over TLS, rendered; empty where they have none.
    hsts: Vec<u8>,
    cache_control: CacheControl,
    /// Which scripts of other sites may read responses.
    pub cors: Option<Cors>,
    /// What it asks of requests, if anything.
    protection: Option<Protection>,
}

/// What a location has of its host.
pub struct HostPart<'a> {
    /// What holds in the host.
    pub scope: &'a Scope,
    /// The number of its root.
    pub root: usize,
    /// What the cache keys of its files begin with.
    pub key_prefix: &'a [u8],
    /// The directories of [`Settings::directories`](crate::config::Settings::directories), each with its
    /// number.
    pub directories: &'a HashMap<&'a Path, usize>,
    /// The files of [`Settings::users_files`](crate::config::Settings::users_files), each with its number.
    pub users_files: &'a HashMap<&'a Path, usize>,
    /// The number of its access log, if it has one.
    pub log: Option<u16>,
    /// The number of the location, which no other one of any host has.
    pub number: usize,
    /// What locations share.
    pub tables: &'a RuleTables,
}

impl Location {
    /// The location of one table.
    pub fn new(setting: &setting::LocationSettings, host: &HostPart<'_>) -> Location {
        let names = setting.path.trim_matches('/');
        let (directory, alias_length) = match &setting.files {
            Files::Site => (None, 0),
            Files::Root(directory) => (Some(directory), 0),
            Files::Alias(directory) => (Some(directory), names.len()),
        };
        // The map has every directory of a location.
        let number = directory.and_then(|directory| host.directories.get(directory.as_path()).copied());
        let root = number.unwrap_or(host.root);
        let scope = host.scope.with(&setting.scope);
        let prefix_length = match (host.key_prefix.len(), alias_length) {
            (prefix, 0) | (0, prefix) => prefix,
            // A slash is between them.
            (prefix, alias) => prefix + 1 + alias,
        };
        let index = scope.index.clone().into_bytes();
        Location {
            prefix: names.as_bytes().into(),
            only_beneath: setting.path.ends_with('/') && !names.is_empty(),
            access: setting.access.clone(),
            fixed: setting.response.as_ref().map(PreparedResponse::new),
            by_name: setting.find_by_name.then(|| ByName::new(root, host.number, &scope)),
            directory: Directory {
                root,
                prefix_length,
                index,
                precompressed: scope.precompressed,
                compress: scope.compress,
                policy: file_policy(&scope),
            },
            alias_length,
            shown: if directory.is_some() { names.len() } else { 0 },
            logged: setting.access_log,
            missing_index: match scope.missing_index {
                MissingIndex::Forbidden => Status::FORBIDDEN,
                MissingIndex::NotFound => Status::NOT_FOUND,
            },
            listing: scope.listing,
            hidden: HiddenDotfiles::new(scope.hidden),
            clean_urls: scope.clean_urls,
            fallback_roots: fallback_roots(&scope, host),
            fallback_page: scope.fallback.as_deref().and_then(owned_path),
            error_pages: PreparedErrorPages::new(&scope.error_pages),
            cors: scope.cors.as_ref().map(Cors::new),
            routes: host.tables.routes(&scope),
            header_rules: host.tables.headers(&scope),
            site_files: scope.site_files,
            fields: rendered_fields(&scope),
            hsts: security_headers::hsts(&scope),
            cache_control: CacheControl::new(&scope),
            protection: scope.auth.as_ref().map(|auth| {
                // The map has every file. With a number of none, nothing would be let in.
                let file = host.users_files.get(auth.users_file.as_path());
                Protection::new(auth, file.copied().unwrap_or(usize::MAX))
            }),
        }
    }

    /// The location of all paths of a host that no `[[location]]` table covers.
    pub fn fallback(host: &HostPart<'_>) -> Location {
        Location::new(&setting::LocationSettings::at("/".to_owned()), host)
    }

    /// True if a path belongs to this location, unless a more specific one covers it too.
    pub fn covers(&self, path: Key<'_>) -> bool {
        match path.path.strip_prefix(&*self.prefix) {
            Some(_) if self.prefix.is_empty() => true,
            Some([]) => !self.only_beneath || path.is_directory,
            Some([b'/', ..]) => true,
            _ => false,
        }
    }

    /// Of two locations that cover a path, the one with the larger number counts.
    pub fn specificity(&self) -> usize {
        self.prefix.len() + usize::from(self.only_beneath)
    }

    /// True if some clients do not get the files: it has an access list or a fixed response.
    pub fn is_restricted(&self) -> bool {
        self.fixed.is_some() || !self.access.0.is_empty()
    }

    /// True if a client that is let in at `other`, another location, may not get the files of this one: it
    /// is restricted, or asks for the credentials of another users file.
    pub fn is_closed_to(&self, other: &Location) -> bool {
        if std::ptr::eq(self, other) {
            return false;
        }
        let asks_for_others = self
            .protection
            .as_ref()
            .is_some_and(|asked| other.protection.as_ref().is_none_or(|own| !own.admits_as(asked)));
        self.is_restricted() || asks_for_others
    }

    /// True if this path needs no sign-in although the others do.
    pub fn opens(&self, path: &SitePath<'_>) -> bool {
        self.protection.as_ref().is_some_and(|protection| !protection.covers(path))
    }

    /// What a request of this path needs to be let in.
    pub fn protection(&self, path: &SitePath<'_>) -> Option<&Protection> {
        self.protection.as_ref().filter(|protection| protection.covers(path))
    }

    /// The path beneath the location's root of what is at a site path.
    pub fn file_path<'a>(&self, path: &'a SitePath<'_>) -> &'a [u8] {
        let rest = &path.as_bytes()[self.alias_length..];
        rest.strip_prefix(b"/").unwrap_or(rest)
    }

    /// The site path of a file by its path beneath the location's root.
    pub fn site_path(&self, file: &[u8]) -> Vec<u8> {
        match self.alias_length {
            0 => file.to_vec(),
            length => [&self.prefix[..length], b"/", file].concat(),
        }
    }

    /// The name, percent-encoded, that a query at the location's own path asks for: `/?=name`.
    pub fn queried_name<'a>(&self, path: &SitePath<'_>, query: Option<&'a [u8]>) -> Option<&'a [u8]> {
        query?.strip_prefix(b"=").filter(|_| path.as_bytes() == &*self.prefix)
    }

    /// True if the access list lets this client in.
    pub fn allows(&self, client: PeerAddress) -> bool {
        self.access.allows(client.ip())
    }

    /// The response that needs no file.
    pub fn fixed_response(&self) -> Option<SiteResponse> {
        self.fixed.as_ref().map(PreparedResponse::response)
    }

    /// The response that needs no file: 403 for a client that the access list refuses, or the fixed response.
    pub fn own_response(&self, client: PeerAddress) -> Option<SiteResponse> {
        if !self.allows(client) {
            return Some(error_page::response(Status::FORBIDDEN, b""));
        }
        self.fixed_response()
    }

    /// The page that the settings have for a response of this location, if it is an error without a text of
    /// its own.
    pub fn error_page(&self, response: &SiteResponse) -> Option<&PreparedErrorPage> {
        let has_text = self.fixed.as_ref().is_some_and(PreparedResponse::has_text);
        self.error_pages.of(response.status).filter(|_| !has_text)
    }

    /// The further fields of each response, rendered.
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// True if the settings say how long clients may keep what it serves.
    pub fn has_cache_control(&self) -> bool {
        self.cache_control.for_status(Status::OK).is_some()
    }

    /// The Strict-Transport-Security of the response to a request, as a line; empty if it has none.
    pub fn hsts(&self, request: &Request<'_>) -> &[u8] {
        if request.is_https { &self.hsts } else { b"" }
    }

    /// Adds the location's header fields to a response.
    pub fn complete(&self, response: &mut SiteResponse, request: &Request<'_>, now: Now) {
        let cache_control = self.cache_control.for_status(response.status);
        let hsts = self.hsts(request);
        if self.fields.is_empty() && hsts.is_empty() && cache_control.is_none() && self.cors.is_none() {
            return;
        }
        let mut fields = match std::mem::replace(&mut response.fields, FieldBlock::Owned(Vec::new())) {
            FieldBlock::Owned(fields) => fields,
            FieldBlock::Of(entry) => entry.whole_fields().to_vec(),
        };
        fields.extend_from_slice(&self.fields);
        fields.extend_from_slice(hsts);
        if let Some(cache_control) = cache_control {
            cache_control.write(&mut fields, now);
        }
        if let Some(cors) = &self.cors {
            cors.write(&mut fields, request);
        }
        response.fields = FieldBlock::Owned(fields);
    }

    /// The path as the settings have it.
    #[cfg(test)]
    pub fn path(&self) -> String {
        let slash = if self.only_beneath { "/" } else { "" };
        format!("/{}{slash}", str::from_utf8(&self.prefix).unwrap())
    }
}

/// The further fields of each response.
fn rendered_fields(scope: &Scope) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in scope.headers.lines() {
        response_head::field(&mut fields, name, value.as_bytes());
    }
    if scope.security_headers {
        security_headers::write(&mut fields, &scope.headers);
    }
    fields
}

/// The directories that are looked through after the root.
fn fallback_roots(scope: &Scope, host: &HostPart<'_>) -> Vec<(Box<[u8]>, Directory)> {
    let directory = |(nth, path): (usize, &PathBuf)| {
        // A NUL, so that it is the beginning of no site path.
        let prefix: Box<[u8]> = format!("\0f{}-{nth}", host.number).into_bytes().into();
        let root = *host.directories.get(path.as_path())?;
        let directory = Directory {
            root,
            prefix_length: prefix.len(),
            index: Vec::new(),
            precompressed: scope.precompressed,
            compress: scope.compress,
            policy: file_policy(scope),
        };
        Some((prefix, directory))
    };
    scope.fallback_roots.iter().enumerate().filter_map(directory).collect()
}

/// A path of the settings, which take no other.
fn owned_path(path: &str) -> Option<SitePath<'static>> {
    let path = SitePath::parse(path.as_bytes()).ok()?;
    Some(path.with_directory(path.is_directory()))
}

/// Where files are found by their names.
#[derive(Debug)]
pub struct ByName {
    /// What their cache keys begin with: a NUL, so that it is no site path, and the number of the location.
    prefix: Box<[u8]>,
    /// Where they are, by those keys.
    pub directory: Directory,
}

impl ByName {
    fn new(root: usize, location: usize, scope: &Scope) -> ByName {
        let prefix: Box<[u8]> = [b"\0".as_slice(), location.to_string().as_bytes()].concat().into();
        let (prefix_length, precompressed) = (prefix.len(), scope.precompressed);
        let (index, compress, policy) = (Vec::new(), scope.compress, file_policy(scope));
        let directory = Directory { root, prefix_length, index, precompressed, compress, policy };
        ByName { directory, prefix }
    }

    /// The cache key of a file by its path beneath the root.
    pub fn key(&self, file: &[u8]) -> Vec<u8> {
        [&*self.prefix, b"/", file].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::config::scope::headers::Headers;
    use crate::http::request::ParsedHead;
    use crate::http::response::{Body, Response};

    #[test]
    fn the_key_of_a_file_that_is_found_by_name_is_no_site_path_and_leads_to_it() {
        let scope = Scope::default();
        let by_name = ByName::new(3, 12, &scope);
        let key = by_name.key(b"a/b");
        assert_eq!(key[0], 0);
        let file_path = by_name.directory.file_path(Key { path: &key, is_directory: false });
        assert_eq!((file_path.path, file_path.index), (b"a/b".as_slice(), None));
        assert_ne!(ByName::new(0, 1, &scope).key(b"2/x"), ByName::new(0, 12, &scope).key(b"x"));
    }

    #[test]
    fn only_what_may_be_kept_says_how_long() {
        let mut setting = setting::LocationSettings::at("/".to_owned());
        setting.scope.expires = Some(Some(Duration::from_secs(60)));
        setting.scope.headers = Headers(vec![("X-A".to_owned(), vec!["b".to_owned()])]);
        let (scope, directories) = (Scope::default(), HashMap::new());
        let host = HostPart {
            scope: &scope,
            root: 0,
            key_prefix: b"",
            directories: &directories,
            users_files: &directories,
            log: None,
            number: 0,
            tables: &RuleTables::default(),
        };
        let location = Location::new(&setting, &host);
        let now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let ParsedHead::Complete(request, _) = ParsedHead::parse(head) else { panic!("{head:?}") };
        for (status, kept) in [
            (Status::OK, true),
            (Status::PARTIAL_CONTENT, true),
            (Status::NOT_MODIFIED, true),
            (Status::MOVED_PERMANENTLY, false),
            (Status::FORBIDDEN, false),
            (Status::NOT_FOUND, false),
            (Status::PRECONDITION_FAILED, false),
            (Status::RANGE_NOT_SATISFIABLE, false),
        ] {
            let fields = FieldBlock::Owned(b"A: 1\r\n".to_vec());
            let mut response = Response { status, fields, body: Body::Empty };
            location.complete(&mut response, &request, now);
            let FieldBlock::Owned(fields) = response.fields else { panic!("{status:?}") };
            let fields = String::from_utf8(fields).unwrap();
            let keeping = "Expires: Thu, 01 Jan 1970 00:01:00 GMT\r\nCache-Control: max-age=60\r\n";
            let expected = format!("A: 1\r\nX-A: b\r\n{}", if kept { keeping } else { "" });
            assert_eq!(fields, expected, "{status:?}");
        }
    }
}
