//! The site as its rules see it: the steps that come after them.

use std::sync::Arc;

use super::Site;
use super::answer::SiteResponse;
use super::auth::protection::Protection;
use super::file_lookup::FoundFile;
use super::location::Location;
use super::routing::RoutedSite;
use super::rules::Rules;
use crate::background::JobWaiter;
use crate::http::request::Request;
use crate::http::target::SitePath;
use crate::store::cache::Key;
use crate::store::entry::Entry;
use crate::store::open::Miss;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

impl RoutedSite for Site {
    fn entry(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<FoundFile, Miss> {
        self.find(parts, path, request, now, waiter)
    }

    fn content(
        &self,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        request: &Request<'_>,
        found: Result<FoundFile, Miss>,
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        self.found_response(parts, path, request, found, wait)
    }

    fn finish(
        &self,
        response: SiteResponse,
        parts: (&Rules, &Location),
        request: &Request<'_>,
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> SiteResponse {
        self.complete(response, parts, request, wait)
    }

    fn page(
        &self,
        rules: &Rules,
        path: &SitePath<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Result<Arc<Entry>, Miss> {
        let location = rules.location(path);
        let key = Key { path: &rules.key_path(path), is_directory: path.is_directory() };
        self.store.get(key, &location.directory, now, waiter)
    }

    fn admit(
        &self,
        protection: &Protection,
        parts: (&Rules, &Location),
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Result<Box<[u8]>, Box<SiteResponse>> {
        let signed_in = self.sign_in(protection, (request, client), (&mut *now, &mut *waiter));
        signed_in.map_err(|refusal| Box::new(self.complete(*refusal, parts, request, (now, waiter))))
    }
}
