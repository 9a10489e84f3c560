//! The response with a listing: preconditions first, then the page. Ranges do not apply.

use std::sync::Arc;

use super::html;
use super::page::ListingPage;
use super::view::ListingForm;
use crate::http::conditional::{self, Precondition, Validators};
use crate::http::request::Request;
use crate::http::response::{Body, FieldBlock, Response, SharedBytes};
use crate::http::response_head;
use crate::http::status::Status;
use crate::site::answer::SiteResponse;
use crate::site::error_page;

/// The response to a request for a directory: 200, 304 or 412. `varies` is true if Accept decided the form.
/// `has_cache_control` is true if the location says itself how long clients may keep the page.
pub fn response(
    page: Arc<ListingPage>,
    request: &Request<'_>,
    varies: bool,
    has_cache_control: bool,
) -> SiteResponse {
    let mut validators = Vec::with_capacity(128);
    response_head::field(&mut validators, "ETag", page.etag.as_bytes());
    if varies {
        response_head::field(&mut validators, "Vary", b"Accept");
    }
    if !has_cache_control {
        response_head::field(&mut validators, "Cache-Control", b"no-cache");
    }
    // A change of the directory is no change of all files in it, so its time says nothing of the page.
    let known = Validators { etag: page.etag.as_bytes(), last_modified: None };
    match conditional::evaluate(&request.fields, &known) {
        Precondition::Proceed => {}
        Precondition::NotModified => {
            let fields = FieldBlock::Owned(validators);
            return Response { status: Status::NOT_MODIFIED, fields, body: Body::Empty };
        }
        Precondition::Failed => return error_page::response(Status::PRECONDITION_FAILED, b""),
    }
    let mut fields = Vec::with_capacity(512);
    let length = page.bytes().len();
    response_head::field(&mut fields, "Content-Type", page.view.form.content_type().as_bytes());
    response_head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(length).as_bytes());
    fields.extend_from_slice(&validators);
    // Names are the choice of those that put the files there.
    response_head::field(&mut fields, "X-Content-Type-Options", b"nosniff");
    if page.view.form == ListingForm::Html {
        let policy = html::CONTENT_SECURITY_POLICY.as_bytes();
        response_head::field(&mut fields, "Content-Security-Policy", policy);
    }
    if page.left_out > 0 {
        let number = itoa::Buffer::new().format(page.left_out).to_owned();
        response_head::field(&mut fields, "Listing-Left-Out", number.as_bytes());
    }
    Response { status: Status::OK, fields: FieldBlock::Owned(fields), body: Body::Shared(page) }
}
