//! What a location asks of requests: the credentials of a user of its users file.

use super::{SignInOutcome, SignInRequest, SignIns};
use crate::background::{Background, JobWaiter};
use crate::config::scope::auth::AuthSettings;
use crate::http::authorization::{self, BasicCredentials};
use crate::http::request::Request;
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::site::answer::SiteResponse;
use crate::site::error_page;
use crate::sys::socket::PeerAddress;
use crate::time::Now;

/// The field of a 503 for too many verifications (RFC 9110 §10.2.3), in seconds.
const RETRY_SOON: u32 = 1;

/// What a location asks of requests.
#[derive(Debug)]
pub struct Protection {
    /// The number of the users file.
    file: usize,
    /// The WWW-Authenticate field (RFC 9110 §11.6.1), as a line.
    challenge: Vec<u8>,
    /// Site paths that need no sign-in.
    open_paths: Vec<Box<[u8]>>,
    /// True if requests without TLS are not let in.
    pub needs_https: bool,
}

/// What a worker has to sign a request in.
pub struct SignInTools<'a> {
    /// The users.
    pub sign_ins: Option<&'a SignIns>,
    /// What verifies passwords.
    pub background: &'a Background,
    /// What waits for that.
    pub waiter: &'a mut dyn JobWaiter,
}

impl Protection {
    /// By the users file of this number.
    pub fn new(setting: &AuthSettings, file: usize) -> Protection {
        let mut challenge = Vec::new();
        let value = authorization::challenge(&setting.realm);
        response_head::field(&mut challenge, "WWW-Authenticate", &value);
        let open_paths = setting.health.iter().map(|path| path.trim_matches('/').as_bytes().into()).collect();
        Protection { file, challenge, open_paths, needs_https: setting.https }
    }

    /// True if this path needs a sign-in.
    pub fn covers(&self, path: &SitePath<'_>) -> bool {
        !self.open_paths.iter().any(|open| **open == *path.as_bytes())
    }

    /// True if whom this lets in is also let in by `other`.
    pub fn admits_as(&self, other: &Protection) -> bool {
        self.file == other.file && (self.needs_https || !other.needs_https)
    }

    /// Lets a request in, with the name of the user. `now` becomes the time after a wait.
    ///
    /// # Errors
    /// Why it is not let in.
    #[inline(never)]
    pub fn admit(
        &self,
        request: &Request<'_>,
        client: PeerAddress,
        now: &mut Now,
        tools: SignInTools<'_>,
    ) -> Result<Box<[u8]>, SignInOutcome> {
        let credentials = BasicCredentials::of(&request.fields).ok_or(SignInOutcome::Refused)?;
        let request = SignInRequest { file: self.file, credentials: &credentials, client };
        let SignInTools { sign_ins, background, waiter } = tools;
        let outcome = sign_ins
            .map_or(SignInOutcome::Busy, |sign_ins| sign_ins.check(&request, now, background, waiter));
        match outcome {
            SignInOutcome::Allowed => Ok(credentials.user().into()),
            outcome => Err(outcome),
        }
    }

    /// The response of a request that is not let in.
    pub fn refusal(&self, outcome: SignInOutcome) -> SiteResponse {
        let retry = |seconds: u32| format!("Retry-After: {seconds}\r\n").into_bytes();
        match outcome {
            SignInOutcome::Allowed | SignInOutcome::Refused => {
                error_page::response(Status::UNAUTHORIZED, &self.challenge)
            }
            SignInOutcome::TooMany(seconds) => {
                error_page::response(Status::TOO_MANY_REQUESTS, &retry(seconds))
            }
            SignInOutcome::Busy => error_page::response(Status::SERVICE_UNAVAILABLE, &retry(RETRY_SOON)),
        }
    }
}
