//! Requests without TLS that the site has no own answer for: ACME challenges, and redirects to https.
//!
//! They come before all steps of an answer: for any host, before a sign-in and before redirects of the
//! settings.

use super::Site;
use super::answer::Answer;
use super::redirect;
use super::refusal::is_served;
use crate::background::JobWaiter;
use crate::http::request::Request;
use crate::http::target::SitePath;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

/// The port of https where no listener of this server has one.
const HTTPS_PORT: u16 = 443;

impl Site {
    /// The answer to a request without TLS; `None` if it is answered like others.
    #[inline(never)]
    pub(super) fn answer_without_tls(
        &self,
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Option<Answer> {
        let rules = self.hosts.of(request).unwrap_or(self.hosts.default_rules());
        let path = SitePath::parse(request.target.path).ok();
        if let (Some(challenges), Some(path)) = (&self.challenges, &path)
            && is_served(request.method)
            && let Some(response) = challenges.respond(path, request, &self.store, (&mut *now, &mut *waiter))
        {
            return Some(Answer { response, log: rules.log, user: None, counted: rules.counted });
        }
        if !self.redirects_to_https {
            return None;
        }
        let response = redirect::to_https(request, self.https_port.unwrap_or(HTTPS_PORT));
        let location = path.as_ref().map_or(rules.fallback(), |path| rules.location(path));
        Some(self.refuse(response, (rules, location), path.as_ref(), (request, client), (now, waiter)))
    }
}
