//! The site decides: from a request to its response. The site only decides. Files, cache and lock belong to
//! its [`Store`]; the caller passes the time in.
//!
//! The steps of [`Site::answer`]:
//!
//! 1. The host: which one the request names, else 421 where unknown ones are rejected. OPTIONS has a response
//!    without a file, for any host.
//! 2. The path: the target's path becomes a site path, else 400.
//! 3. The location: which one covers the path.
//! 4. The sign-in, where the location asks for one (401), unless its access list refuses the client.
//! 5. The method: GET and HEAD only, else 405. The access list may refuse the client (403).
//! 6. Redirects and rewrites; after a rewrite steps 3 to 5 come again, see `routing.rs`.
//! 7. The cache entry, unless the location has a fixed response: from the store, by path or by name. Names
//!    that begin with a dot are hidden.
//! 8. The response: of the file, in the form that the client accepts best (RFC 9110 §12.5.3), after
//!    preconditions (§13.2.2) and range (§14); or of why there is none: a listing, a redirect or a status. An
//!    error may have a page of the settings.
//! 9. The location's header fields.
//! 10. Header rules, see `ruled_fields.rs`.
//!
//! Before them, where the settings say so, come ACME challenges and redirects to https of requests without
//! TLS, see `without_tls.rs`.

mod acme_challenges;
mod answer;
pub mod auth;
pub mod by_name;
mod cache_control;
mod cors;
mod digest_fields;
pub mod error_page;
mod error_pages;
mod fallback;
mod file_lookup;
mod file_policy;
mod file_response;
pub mod hidden_dotfiles;
pub mod hosts;
pub mod listing;
pub mod location;
pub mod locations;
mod method_response;
mod miss_response;
mod negotiation;
mod prepared_response;
mod redirect;
mod refusal;
mod routed_site;
mod routing;
mod rule_file;
mod rule_tables;
mod ruled_fields;
mod rules;
mod security_headers;
mod site_files;
mod without_tls;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::background::JobWaiter;
use crate::config::Settings;
use crate::http::digest_fields::WantedDigests;
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::target::SitePath;
use crate::metrics::HostNumber;
use crate::store::Store;
use crate::store::cache::Key;
use crate::store::entry::Entry;
use crate::store::open::{Miss, UnindexedDirectory};
use crate::sys::socket::PeerAddress;
use crate::time::Now;

use acme_challenges::AcmeChallenges;
use auth::SignIns;
use auth::protection::SignInTools;
use by_name::NameSearch;
use digest_fields::DigestFields;
use fallback::is_navigation_path;
use file_lookup::{FileLookup, FoundFile};
use file_response::{choose_form, form_response};
use hosts::Hosts;
use listing::entries::ListedDirectory;
use listing::{ListingRequest, Listings};
use location::Location;
use miss_response::miss_response;
use routing::{RoutedResponse, RoutedSite, Routing};
use rules::Rules;

pub use answer::{Answer, SiteResponse};

/// The site that a worker serves.
pub struct Site {
    /// What the settings say, by host.
    hosts: Hosts,
    /// Where its files are.
    pub store: Store,
    /// The listings of its directories.
    listings: Listings,
    /// The users of locations that ask for a sign-in. Without them no request is let in there.
    pub sign_ins: Option<SignIns>,
    /// The challenges that are answered without TLS.
    challenges: Option<Box<AcmeChallenges>>,
    /// True if requests without TLS are redirected.
    redirects_to_https: bool,
    /// The port of the first TLS listener.
    https_port: Option<u16>,
}

impl Site {
    /// A site of these settings, whose files are in `store`, without users. `numbers` has the number that
    /// each host is counted by, in their order; without it they are not counted.
    pub fn new(settings: &Settings, numbers: &[HostNumber], store: Store) -> Site {
        let listings = Listings::new(settings, store.background);
        Site {
            hosts: Hosts::new(settings, numbers),
            challenges: AcmeChallenges::new(settings, &store).map(Box::new),
            redirects_to_https: settings.https_redirect,
            https_port: None,
            store,
            listings,
            sign_ins: None,
        }
    }

    /// The same site with the users of its locations.
    #[must_use]
    pub fn with_sign_ins(self, sign_ins: Option<SignIns>) -> Site {
        Site { sign_ins, ..self }
    }

    /// The same site with the port of the first TLS listener, to which requests are redirected.
    #[must_use]
    pub fn with_https_port(self, https_port: Option<u16>) -> Site {
        Site { https_port, ..self }
    }

    /// The number that a request is counted by before its host is known, if the settings have hosts.
    pub fn counted_first(&self) -> Option<HostNumber> {
        self.hosts.default_rules().counted
    }

    /// Answers a request of `client`, the address that access lists apply to. Waits, by `waiter`, only where
    /// the answer takes a job of a background thread.
    // Without a frame of its own the deepest calls touch a page of the stack less, which a client that is
    // waited for would hold.
    #[inline(always)]
    pub fn answer(
        &self,
        request: &Request<'_>,
        client: PeerAddress,
        mut now: Now,
        waiter: &mut dyn JobWaiter,
    ) -> Answer {
        if !request.is_https
            && (self.redirects_to_https || self.challenges.is_some())
            && let Some(answer) = self.answer_without_tls((request, client), (&mut now, &mut *waiter))
        {
            return answer;
        }
        // 1. The host.
        let Some(rules) = self.hosts.of(request) else {
            return self.answer_without_file(request, client, (&mut now, waiter));
        };
        // 2. The path.
        let Ok(path) = SitePath::parse(request.target.path) else {
            return self.answer_without_file(request, client, (&mut now, waiter));
        };
        // 3. The location.
        let location = rules.location(&path);
        // 4. The sign-in.
        let protection = location.protection(&path).filter(|_| request.method != Method::Options);
        if let Some(protection) = protection.filter(|_| location.allows(client)) {
            let parts = (rules, location);
            return self.answer_protected(protection, parts, &path, (request, client), (&mut now, waiter));
        }
        // 5. The method.
        if !matches!(request.method, Method::Get | Method::Head) {
            return self.answer_without_file(request, client, (&mut now, waiter));
        }
        let RoutedResponse { response, user } =
            self.respond((rules, location), &path, (request, client), (&mut now, waiter));
        Answer { response, log: rules.log_of(location), user, counted: rules.counted }
    }

    fn sign_in_tools<'a>(&'a self, waiter: &'a mut dyn JobWaiter) -> SignInTools<'a> {
        SignInTools { sign_ins: self.sign_ins.as_ref(), background: self.store.background, waiter }
    }

    /// The steps after the sign-in.
    #[inline(always)]
    fn respond(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> RoutedResponse {
        let (rules, location) = parts;
        let files = rules.site_files.as_ref().map(|files| files.rules(&self.store, now, waiter));
        if location.routes.is_some() || location.header_rules.is_some() || files.is_some() {
            let routing = Routing { site: self, rules, files: files.as_deref(), request, client };
            return routing.respond(path, location, now, waiter);
        }
        let response = match location.own_response(client) {
            Some(response) => response,
            None => {
                let found = self.find(parts, path, request, now, waiter);
                self.found_response(parts, path, request, found, (now, waiter))
            }
        };
        RoutedResponse { response: self.complete(response, parts, request, (now, waiter)), user: None }
    }

    /// Step 7. `now` becomes the time after a wait, so that no field of the response is of before it.
    #[inline(always)]
    fn find(
        &self,
        (rules, location): (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<FoundFile, Miss> {
        // A path that is open to all leads to no file elsewhere.
        if let Some(by_name) = location.by_name.as_ref().filter(|_| !location.opens(path)) {
            let search = NameSearch { store: &self.store, rules, location, by_name };
            return search.find(path, request.target.query, now, waiter).map(FoundFile::Here);
        }
        if rules.hides(path, location) {
            return Err(Miss::NotFound);
        }
        FileLookup { store: &self.store, rules, location, now, waiter }.find(path)
    }

    /// Step 8.
    #[inline(always)]
    fn found_response(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        found: Result<FoundFile, Miss>,
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        match found {
            Ok(FoundFile::Here(entry)) => self.respond_with_file(entry, request, now, waiter),
            Ok(FoundFile::Elsewhere(path, _)) => redirect::to_path(&path, request),
            Err(miss) => self.respond_to_miss(miss, parts, path, request, (now, waiter)),
        }
    }

    /// The rest of step 8, and step 9.
    #[inline(always)]
    fn complete(
        &self,
        mut response: SiteResponse,
        (rules, location): (&Rules, &Location),
        request: &Request<'_>,
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        if let Some(page) = location.error_page(&response) {
            page.replace(&mut response, |path| self.page(rules, path, now, waiter));
        }
        // 9. The location's header fields.
        location.complete(&mut response, request, *now);
        response
    }

    /// Step 8, where there is a file.
    #[inline(always)]
    fn respond_with_file(
        &self,
        entry: Arc<Entry>,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> SiteResponse {
        // What is compressed is known by the entity-tag.
        if entry.is_compressible && entry.awaits_digest() {
            self.store.add_digest(&entry, now, waiter);
        }
        let form = match choose_form(entry, request, &self.store) {
            Ok(form) => form,
            Err(response) => return *response,
        };
        if form.awaits_digest() {
            self.store.add_digest(&form, now, waiter);
        }
        let mut response = form_response(form, request, *now);
        if let Some(wanted) = WantedDigests::of(&request.fields) {
            DigestFields { store: &self.store, wanted }.add(&mut response, request, now, waiter);
        }
        response
    }

    /// Step 8, where there is no file.
    #[inline(never)]
    fn respond_to_miss(
        &self,
        miss: Miss,
        (rules, location): (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        let is_missing = match &miss {
            Miss::NotFound => true,
            Miss::DirectoryWithoutIndex(_) => !location.listing,
            _ => false,
        };
        let page = location.fallback_page.as_ref().filter(|page| {
            is_missing && is_navigation_path(path) && !rules.closes_path(location, path, page)
        });
        let varies = page.is_some();
        if let Some(page) = page.filter(|_| fallback::takes_page(request)) {
            match self.page(rules, page, now, waiter) {
                Ok(entry) => return fallback::with_vary(self.respond_with_file(entry, request, now, waiter)),
                Err(Miss::NotFound) => {}
                Err(miss) => ::log::debug!("no fallback page: {}", miss.reason()),
            }
        }
        let response = match self.listing(miss, (rules, location), path, request, now, waiter) {
            Ok(listing) => listing,
            Err(miss) => miss_response(miss, path, request, location.missing_index),
        };
        if varies { fallback::with_vary(response) } else { response }
    }

    /// The listing of a directory without an index, where listings are on; any other miss stays one.
    #[inline(never)]
    fn listing(
        &self,
        miss: Miss,
        (rules, location): (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<SiteResponse, Miss> {
        let Miss::DirectoryWithoutIndex(UnindexedDirectory { directory, class }) = &miss else {
            return Err(miss);
        };
        let root = location.directory.root;
        let Some(opened) = self.store.root(root).filter(|_| location.listing) else { return Err(miss) };
        let key = Key { path: &rules.key_path(path), is_directory: true };
        let listed = ListedDirectory {
            directory: Arc::clone(directory),
            root: opened,
            path: location.directory.file_path(key).path.to_vec(),
            hidden: rules.hidden_names(location, location.file_path(path)),
            links: location.directory.policy.links,
        };
        let listing = ListingRequest {
            directory: listed,
            class: *class,
            root,
            path: path.as_bytes(),
            request,
            location_fields: location.fields(),
            compress: location.directory.compress,
            has_cache_control: location.has_cache_control(),
        };
        self.listings.respond(&listing, now, waiter)
    }

    /// Reads `_redirects` and `_headers` of all hosts that use them. To be called before anything is served.
    pub fn load_site_files(&self) {
        self.hosts.site_files.iter().for_each(|files| files.load(&self.store));
    }

    /// Looks whether these files have changed, where no request has done so lately.
    pub fn follow_site_files(&self, now: Now) {
        self.hosts.site_files.iter().for_each(|files| files.follow(&self.store, now));
    }

    /// What is not understood in these files since the last call, as lines of the log.
    pub fn take_site_file_warnings(&self) -> Vec<String> {
        self.hosts.site_files.iter().flat_map(|files| files.take_warnings()).collect()
    }

    /// Drops what is cached no more. To be called every second.
    pub fn sweep(&self, now: Now) {
        self.store.sweep(now);
        self.listings.sweep(now);
    }

    /// True if some location finds files by their names.
    pub fn finds_by_name(&self) -> bool {
        !self.roots_by_name().is_empty()
    }

    /// Has the store index the names of all files that are found by name. See [`Store::index_names`].
    ///
    /// # Errors
    /// Those of [`Store::index_names`].
    pub fn index_names(&self, max_watches: usize) -> io::Result<()> {
        self.store.index_names(self.roots_by_name().into_iter(), max_watches)
    }

    /// The numbers of the store's roots whose files are found by name.
    fn roots_by_name(&self) -> BTreeSet<usize> {
        self.hosts.all().flat_map(|rules| rules.locations.roots_by_name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::SystemTime;

    use super::*;
    use crate::background::{Background, Completion, GaveUp};
    use crate::config::AccessLogTarget;
    use crate::config::location::{FixedResponse, LocationSettings};
    use crate::config::network::{AccessList, AccessRule, Network};
    use crate::config::scope::ScopeSettings;
    use crate::config::scope::headers::Headers;
    use crate::http::request::ParsedHead;
    use crate::http::response::{Body, FieldBlock};
    use crate::metrics::Row;

    const NOW: Now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };
    const CLIENT: &str = "192.0.2.1";

    #[test]
    fn each_step_answers_with_its_own_status() {
        for (line, status, line_of_fields) in [
            // 5. The method. A path that can't be read does not matter to it.
            ("POST / HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"),
            ("CONNECT a:1 HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"),
            ("POST /denied HTTP/1.1", 405, "Allow: GET, HEAD, OPTIONS\r\n"),
            // 2. The path.
            ("GET /%zz HTTP/1.1", 400, "Content-Type: text/html\r\n"),
            ("GET /a%00b HTTP/1.1", 400, "Content-Type: text/html\r\n"),
            // 5. The location's access list. It comes before its fixed response.
            ("GET /denied/x HTTP/1.1", 403, "Content-Type: text/html\r\n"),
            ("GET /fixed HTTP/1.1", 410, "Content-Type: text/plain\r\n"),
            // 7. and 8. The welcome page, which is all that a site without a root has.
            ("GET / HTTP/1.1", 200, "Content-Type: text/html\r\n"),
            ("HEAD / HTTP/1.0", 200, "Content-Type: text/html\r\n"),
            ("GET /absent HTTP/1.1", 404, "Content-Type: text/html\r\n"),
            ("GET /.hidden HTTP/1.1", 404, "Content-Type: text/html\r\n"),
            // 9. Fields of the location.
            ("GET /fixed/x HTTP/1.1", 410, "X-Location: fixed\r\n"),
        ] {
            check(line, status, line_of_fields);
        }
    }

    #[test]
    fn requests_of_a_location_without_an_access_log_are_not_logged() {
        let logged = |line| answer(line).log.is_some();
        assert!(logged("GET / HTTP/1.1") && logged("GET /%zz HTTP/1.1") && logged("POST / HTTP/1.1"));
        assert!(!logged("GET /fixed HTTP/1.1") && !logged("POST /fixed HTTP/1.1"));
    }

    /// Checks the status of a request, and that its response has these field lines.
    #[track_caller]
    fn check(line: &str, status: u16, field_lines: &str) {
        let response = answer(line).response;
        let fields = match &response.fields {
            FieldBlock::Owned(fields) => fields,
            FieldBlock::Of(entry) => entry.whole_fields(),
        };
        let fields = String::from_utf8_lossy(fields);
        assert_eq!(response.status.code(), status, "{line}");
        assert!(fields.contains(field_lines), "{line}: {fields}");
        assert!(!matches!(response.body, Body::Empty), "{line}");
    }

    /// Answers a request with this request line.
    fn answer(line: &str) -> Answer {
        let head = format!("{line}\r\nHost: a\r\n\r\n");
        let ParsedHead::Complete(request, _) = ParsedHead::parse(head.as_bytes()) else { panic!("{line}") };
        let client: IpAddr = CLIENT.parse().unwrap();
        site().answer(&request, PeerAddress::Ip(client), NOW, &mut NoJobs)
    }

    /// A site with the welcome page, and locations without files.
    fn site() -> Site {
        let response = || {
            Some(FixedResponse { status: 410, body: Some("gone".into()), media_type: "text/plain".into() })
        };
        let rule = AccessRule { network: Network::read(CLIENT).unwrap(), allow: false };
        let denied = LocationSettings {
            access: AccessList(vec![rule]),
            response: response(),
            ..LocationSettings::at("/denied".to_owned())
        };
        let fixed = LocationSettings {
            scope: ScopeSettings {
                headers: Headers(vec![("X-Location".to_owned(), vec!["fixed".to_owned()])]),
                ..ScopeSettings::default()
            },
            response: response(),
            access_log: false,
            ..LocationSettings::at("/fixed".to_owned())
        };
        let settings = Settings {
            locations: vec![denied, fixed],
            access_log: AccessLogTarget::Stdout,
            ..Settings::default()
        };
        let metrics = Row::alone().unwrap();
        let background = Box::leak(Box::new(Background::start(0, 0, metrics).unwrap()));
        let store = Store::new(&settings, None, Vec::new(), metrics, background, NOW);
        Site::new(&settings, &[], store)
    }

    /// The connection of a request that is answered at once.
    struct NoJobs;

    impl JobWaiter for NoJobs {
        fn wait(&mut self, _: &Completion) -> Result<Now, GaveUp> {
            panic!("the answer takes a job");
        }

        fn pause(&mut self, _: u32) -> Result<Now, GaveUp> {
            panic!("the answer takes time");
        }

        fn wait_until(&mut self, job: &Completion, _: std::time::Duration) -> Result<Now, GaveUp> {
            self.wait(job)
        }
    }
}
