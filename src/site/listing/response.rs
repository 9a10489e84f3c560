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

/// The fields of requests that decide which page they get.
#[derive(Clone, Copy)]
pub struct Vary {
    /// True if Accept decides the form.
    pub accept: bool,
    /// True if Accept-Encoding decides the content coding.
    pub accept_encoding: bool,
}

/// The response to a request for a directory: 200, 304 or 412. `has_cache_control` is true if the location
/// says itself how long clients may keep the page; `location_fields` are the fields that the location adds,
/// rendered. None of them is sent twice.
pub fn response(
    page: Arc<ListingPage>,
    request: &Request<'_>,
    vary: Vary,
    (has_cache_control, location_fields): (bool, &[u8]),
) -> SiteResponse {
    let mut validators = Vec::with_capacity(128);
    response_head::field(&mut validators, "ETag", page.etag.as_bytes());
    vary.write(&mut validators);
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
        Precondition::Failed => {
            let mut fields = Vec::new();
            vary.write(&mut fields);
            return error_page::response(Status::PRECONDITION_FAILED, &fields);
        }
    }
    let mut fields = Vec::with_capacity(512);
    let length = page.bytes().len();
    response_head::field(&mut fields, "Content-Type", page.view.form.content_type().as_bytes());
    response_head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(length).as_bytes());
    if let Some(coding) = page.coding {
        response_head::field(&mut fields, "Content-Encoding", coding.token().as_bytes());
    }
    fields.extend_from_slice(&validators);
    // Names are the choice of those that put the files there.
    write_unless_set(&mut fields, "X-Content-Type-Options", b"nosniff", location_fields);
    if page.view.form == ListingForm::Html {
        let policy = html::CONTENT_SECURITY_POLICY.as_bytes();
        write_unless_set(&mut fields, "Content-Security-Policy", policy, location_fields);
    }
    if page.left_out > 0 {
        let number = itoa::Buffer::new().format(page.left_out).to_owned();
        response_head::field(&mut fields, "Listing-Left-Out", number.as_bytes());
    }
    Response { status: Status::OK, fields: FieldBlock::Owned(fields), body: Body::Shared(page) }
}

impl Vary {
    fn write(self, fields: &mut Vec<u8>) {
        if self.accept {
            response_head::field(fields, "Vary", b"Accept");
        }
        if self.accept_encoding {
            response_head::field(fields, "Vary", b"Accept-Encoding");
        }
    }
}

/// Writes a field unless the location has one of that name.
fn write_unless_set(out: &mut Vec<u8>, name: &str, value: &[u8], location_fields: &[u8]) {
    let is_named = |line: &[u8]| {
        let found = line.split(|&byte| byte == b':').next().unwrap_or_default();
        found.eq_ignore_ascii_case(name.as_bytes())
    };
    if !location_fields.split(|&byte| byte == b'\n').any(is_named) {
        response_head::field(out, name, value);
    }
}
