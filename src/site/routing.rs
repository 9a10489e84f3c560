//! Requests that rules apply to: where redirects and rewrites lead them, and which fields they get.
//!
//! The rules of the settings come before those of `_redirects`. After a rewrite all rules are looked at again
//! with the new path, at most [`MAX_REWRITES`] times, and the access list of its location counts.

use std::sync::Arc;

use super::answer::SiteResponse;
use super::auth::protection::Protection;
use super::file_lookup::FoundFile;
use super::file_response::page_response;
use super::location::Location;
use super::rules::Rules;
use super::site_files::SiteFileRules;
use super::{cache_control, error_page, ruled_fields};
use crate::background::JobWaiter;
use crate::http::request::Request;
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::{SitePath, Target};
use crate::routing::rule_fault::MAX_REWRITES;
use crate::routing::rule_match::{RouteRequest, RuleMatch, RuleOutcome};
use crate::routing::rule_table::RuleTable;
use crate::store::entry::Entry;
use crate::store::open::Miss;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

/// The steps of a site's answer that come after its rules.
pub trait RoutedSite {
    /// Step 7. `now` becomes the time after a wait, so that no field of the response is of before it.
    ///
    /// # Errors
    /// See [`Miss`].
    fn entry(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<FoundFile, Miss>;

    /// Step 8.
    fn content(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        found: Result<FoundFile, Miss>,
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse;

    /// The rest of step 8, and step 9.
    fn finish(
        &self,
        response: SiteResponse,
        parts: (&Rules, &Location),
        request: &Request<'_>,
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse;

    /// The file at a path of the host that the settings name.
    ///
    /// # Errors
    /// See [`Miss`].
    fn page(
        &self,
        rules: &Rules,
        path: &SitePath<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss>;

    /// Step 4 after a rewrite: the name of the user who has signed in, if `protection`, that of the new path,
    /// lets the request in. `asked` is the request as the client sent it.
    ///
    /// # Errors
    /// The response of a request that is not let in.
    fn admit(
        &self,
        protection: &Protection,
        parts: (&Rules, &Location),
        asked: (&Request<'_>, PeerAddress),
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> Result<Box<[u8]>, Box<SiteResponse>>;
}

/// What a request has after its rules.
pub struct RoutedResponse {
    /// The response.
    pub response: SiteResponse,
    /// The name of the user who has signed in where a rewrite leads.
    pub user: Option<Box<[u8]>>,
}

/// What became of the sign-ins that rewrites ask for.
#[derive(Default)]
struct RewriteSignIn {
    /// True if one was asked for.
    is_asked: bool,
    user: Option<Box<[u8]>>,
}

/// A request of a host that has rules.
pub struct Routing<'a> {
    /// The site.
    pub site: &'a dyn RoutedSite,
    /// The host.
    pub rules: &'a Rules,
    /// The rules of its files, if it uses them.
    pub files: Option<&'a SiteFileRules>,
    /// The request.
    pub request: &'a Request<'a>,
    /// The address that access lists apply to.
    pub client: PeerAddress,
}

/// What comes of the rules at a path.
enum Routed {
    /// A redirect.
    Response(SiteResponse),
    /// Another path.
    Elsewhere(RewrittenTarget),
    /// What is at the path, if a rule has looked for it already.
    Here(Option<Result<FoundFile, Miss>>),
}

/// The path that a rewrite leads to.
struct RewrittenTarget {
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    /// The status of the page there.
    status: Status,
}

impl Routing<'_> {
    /// Steps 6 to 10 of an answer. `asked` is the location of the path.
    #[inline(never)]
    pub fn respond(
        &self,
        path: &SitePath<'_>,
        asked: &Location,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> RoutedResponse {
        let mut sign_in = RewriteSignIn::default();
        let mut response = self.follow(path, &mut sign_in, now, waiter);
        self.rule_fields(&mut response, path, asked);
        if sign_in.is_asked {
            cache_control::make_private(&mut response);
        }
        RoutedResponse { response, user: sign_in.user }
    }

    /// Step 10. `asked` is the location of the path.
    pub fn rule_fields(&self, response: &mut SiteResponse, path: &SitePath<'_>, asked: &Location) {
        let (host, https) = (self.request.authority().unwrap_or_default(), self.request.is_https);
        ruled_fields::apply(response, asked, self.files, (path, host, https));
    }

    /// Steps 3 to 9. `sign_in` is filled where a rewrite leads to what asks for one.
    fn follow(
        &self,
        path: &SitePath<'_>,
        sign_in: &mut RewriteSignIn,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> SiteResponse {
        let Routing { site, rules, client, .. } = *self;
        let mut rewritten: Option<RewrittenTarget> = None;
        for _ in 0..=MAX_REWRITES {
            let request = rewritten.as_ref().map(|target| target.request(self.request));
            let request = request.as_ref().unwrap_or(self.request);
            let target = rewritten.as_ref().and_then(|target| SitePath::parse(&target.path).ok());
            let path = target.as_ref().unwrap_or(path);
            let parts = (rules, rules.location(path));
            // The access list counts before, so that a client that it refuses can't try passwords.
            let protection =
                parts.1.protection(path).filter(|_| rewritten.is_some() && parts.1.allows(client));
            if let Some(protection) = protection {
                sign_in.is_asked = true;
                match site.admit(protection, parts, (self.request, client), (now, waiter)) {
                    Ok(user) => sign_in.user = Some(user),
                    Err(refusal) => {
                        // Who was let in before is not who gets this.
                        sign_in.user = None;
                        return *refusal;
                    }
                }
            }
            let response = match parts.1.own_response(client) {
                Some(response) => response,
                None => {
                    // A page with a status of its own is the end of all rules.
                    let status = rewritten.as_ref().map_or(Status::OK, |target| target.status);
                    if status != Status::OK {
                        return self.status_page(status, (parts.1, path), request, (now, waiter));
                    }
                    let mut find = || site.entry(parts, path, request, now, waiter);
                    match self.route((parts.1, path), request.target.query, &mut find) {
                        Routed::Elsewhere(target) => {
                            rewritten = Some(target);
                            continue;
                        }
                        Routed::Response(response) => response,
                        Routed::Here(found) => {
                            let found = found.unwrap_or_else(find);
                            let found = if rewritten.is_some() { found.map(FoundFile::here) } else { found };
                            site.content(parts, path, request, found, (now, waiter))
                        }
                    }
                }
            };
            return site.finish(response, parts, request, (now, waiter));
        }
        self.log_too_many_rewrites(*now);
        let response = error_page::response(Status::INTERNAL_SERVER_ERROR, b"");
        site.finish(response, (rules, rules.location(path)), self.request, (now, waiter))
    }

    /// Logs that a request was rewritten too often. Clients must not fill the log.
    fn log_too_many_rewrites(&self, now: Now) {
        let level =
            if self.rules.rewrites.is_due(now.tick) { ::log::Level::Warn } else { ::log::Level::Debug };
        let asked = self.request.target.path.escape_ascii();
        ::log::log!(level, "more than {MAX_REWRITES} rewrites of {asked}");
    }

    /// Step 6. `find` looks for the file at the path.
    fn route(
        &self,
        (location, path): (&Location, &SitePath<'_>),
        query: Option<&[u8]>,
        find: &mut dyn FnMut() -> Result<FoundFile, Miss>,
    ) -> Routed {
        let host = self.request.authority().unwrap_or_default();
        let request = RouteRequest { path, query, host };
        let of_files = self.files.and_then(|files| files.routes.as_deref()).filter(|_| location.site_files);
        let mut found = None;
        for table in location.routes.as_deref().into_iter().chain(of_files) {
            let Some(matched) = first_match(table, location, &request, &mut found, find) else { continue };
            return match matched.outcome {
                RuleOutcome::Redirect { status, location } => Routed::Response(redirect(status, &location)),
                RuleOutcome::Rewrite { status, path, query } => {
                    let status = Status::of(status).unwrap_or(Status::OK);
                    Routed::Elsewhere(RewrittenTarget { path, query, status })
                }
            };
        }
        Routed::Here(found)
    }

    /// The page that a rewrite leads to, with its status; conditions and ranges do not apply.
    fn status_page(
        &self,
        status: Status,
        (location, path): (&Location, &SitePath<'_>),
        request: &Request<'_>,
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        let (site, rules) = (self.site, self.rules);
        let page = match rules.hides(path, location) {
            true => Err(Miss::NotFound),
            false => site.page(rules, path, now, waiter),
        };
        let Ok(entry) = page else {
            let response = error_page::response(status, b"");
            return site.finish(response, (rules, location), request, (now, waiter));
        };
        let mut response = page_response(entry, status);
        location.complete(&mut response, request, *now);
        response
    }
}

impl RewrittenTarget {
    /// The request as if it had asked for this.
    fn request<'a>(&'a self, request: &Request<'a>) -> Request<'a> {
        let target = Target { path: &self.path, query: self.query.as_deref(), ..request.target };
        Request { target, ..request.clone() }
    }
}

/// The first rule of a table that matches, with a look for the file if one depends on that.
fn first_match(
    table: &RuleTable,
    location: &Location,
    request: &RouteRequest<'_>,
    found: &mut Option<Result<FoundFile, Miss>>,
    find: &mut dyn FnMut() -> Result<FoundFile, Miss>,
) -> Option<RuleMatch> {
    let mut from = 0;
    loop {
        let may_be_missing = found.as_ref().is_none_or(|found| is_missing(found, location));
        let matched = table.find(request, from, may_be_missing)?;
        if !matched.if_missing || found.is_some() {
            return Some(matched);
        }
        *found = Some(find());
        // The rules from here on are asked again with what is known now.
        from = matched.rule;
    }
}

/// True if there is nothing that a client could get.
fn is_missing(found: &Result<FoundFile, Miss>, location: &Location) -> bool {
    match found {
        Err(Miss::NotFound) => true,
        Err(Miss::DirectoryWithoutIndex(_)) => !location.listing,
        _ => false,
    }
}

fn redirect(status: u16, location: &[u8]) -> SiteResponse {
    let mut field = Vec::with_capacity(location.len() + 16);
    response_head::field(&mut field, "Location", location);
    error_page::response(Status::of(status).unwrap_or(Status::FOUND), &field)
}
