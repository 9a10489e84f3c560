//! The responses that depend on the method of a request alone: to OPTIONS, and to those that are not served.

use super::answer::{Answer, SiteResponse};
use super::error_page;
use super::rules::Rules;
use crate::http::request::Request;
use crate::http::response::{Body, FieldBlock, Response};
use crate::http::status::Status;
use crate::http::target::SitePath;

/// The methods that are allowed, which a 405 must name (RFC 9110 §15.5.6), as a line.
const ALLOW: &[u8] = b"Allow: GET, HEAD, OPTIONS\r\n";

/// The response to a method that is not served.
pub fn wrong_method() -> SiteResponse {
    error_page::response(Status::METHOD_NOT_ALLOWED, ALLOW)
}

/// The response to OPTIONS (RFC 9110 §9.3.7). Browsers send it without credentials.
#[inline(never)]
pub fn options_response(rules: &Rules, path: Option<&SitePath<'_>>, request: &Request<'_>) -> Answer {
    let location = path.map(|path| rules.location(path));
    let mut fields = ALLOW.to_vec();
    fields.extend_from_slice(location.unwrap_or(rules.fallback()).hsts(request));
    if let Some(cors) = location.and_then(|location| location.cors.as_ref()) {
        cors.write(&mut fields, request);
    }
    let fields = FieldBlock::Owned(fields);
    let response = Response { status: Status::NO_CONTENT, fields, body: Body::Empty };
    let log = location.map_or(rules.log, |location| rules.log_of(location));
    Answer { response, log, user: None, counted: rules.counted }
}
