//! Requests that may be refused before their file is looked for: by their host, path, method or sign-in.

use super::Site;
use super::answer::{Answer, SiteResponse};
use super::auth::protection::Protection;
use super::location::Location;
use super::method_response::{options_response, wrong_method};
use super::routing::Routing;
use super::rules::Rules;
use super::{cache_control, error_page, redirect};
use crate::background::JobWaiter;
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

impl Site {
    /// The answer to a request that one of the steps 1, 2 and 5 ends. Out of line, so that the stack of other
    /// requests has no room for it.
    #[cold]
    #[inline(never)]
    pub(super) fn answer_without_file(
        &self,
        request: &Request<'_>,
        client: PeerAddress,
        wait: (&mut Now, &mut dyn JobWaiter),
    ) -> Answer {
        let host = self.hosts.of(request);
        let rules = host.unwrap_or(self.hosts.default_rules());
        let path = SitePath::parse(request.target.path).ok().filter(|_| host.is_some());
        // Balancers check by it, and many of them name no host.
        if request.method == Method::Options {
            return options_response(rules, path.as_ref(), request);
        }
        let refusal = match (host, is_served(request.method)) {
            (None, _) => error_page::response(Status::MISDIRECTED_REQUEST, b""),
            (Some(_), true) => error_page::response(Status::BAD_REQUEST, b""),
            (Some(_), false) => wrong_method(),
        };
        let location = path.as_ref().map_or(rules.fallback(), |path| rules.location(path));
        self.refuse(refusal, (rules, location), path.as_ref(), (request, client), wait)
    }

    /// Step 4, and all after it.
    #[inline(never)]
    pub(super) fn answer_protected(
        &self,
        protection: &Protection,
        parts: (&Rules, &Location),
        path: &SitePath<'_>,
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Answer {
        let (user, refusal) = match self.sign_in(protection, (request, client), (&mut *now, &mut *waiter)) {
            Ok(user) => (Some(user), (!is_served(request.method)).then(wrong_method)),
            Err(refusal) => (None, Some(*refusal)),
        };
        let mut answer = match refusal {
            Some(refusal) => self.refuse(refusal, parts, Some(path), (request, client), (now, waiter)),
            None => {
                let response = self.respond(parts, path, (request, client), (now, waiter)).response;
                Answer { response, log: parts.0.log_of(parts.1), user: None, counted: parts.0.counted }
            }
        };
        cache_control::make_private(&mut answer.response);
        answer.user = user;
        answer
    }

    /// Signs a request in; the name of the user. `now` becomes the time after a wait.
    ///
    /// # Errors
    /// The response of a request that is not let in.
    pub(super) fn sign_in(
        &self,
        protection: &Protection,
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Result<Box<[u8]>, Box<SiteResponse>> {
        if protection.needs_https && !request.is_https {
            return Err(Box::new(match self.https_port {
                Some(port) => redirect::to_https(request, port),
                None => error_page::response(Status::FORBIDDEN, b""),
            }));
        }
        let signed_in = protection.admit(request, client, now, self.sign_in_tools(waiter));
        signed_in.map_err(|outcome| Box::new(protection.refusal(outcome)))
    }

    /// Steps 9 and 10 of a request that is refused before its file is looked for.
    #[inline(never)]
    pub(super) fn refuse(
        &self,
        refusal: SiteResponse,
        (rules, location): (&Rules, &Location),
        path: Option<&SitePath<'_>>,
        (request, client): (&Request<'_>, PeerAddress),
        (now, waiter): (&mut Now, &mut dyn JobWaiter),
    ) -> Answer {
        let mut response = self.complete(refusal, (rules, location), request, (now, waiter));
        if location.header_rules.is_some()
            && let Some(path) = path
        {
            // Those of `_headers` do not apply to errors.
            let routing = Routing { site: self, rules, files: None, request, client };
            routing.rule_fields(&mut response, path, location);
        }
        Answer { response, log: rules.log_of(location), user: None, counted: rules.counted }
    }
}

/// True for the methods that get what is at a path.
pub(super) fn is_served(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head)
}
