//! The response of an entry: its form first, then preconditions, then the range, else the whole content.
//!
//! Plain data; the bytes stay where the entry has them.

use std::ops::Range;
use std::sync::Arc;

use super::answer::SiteResponse;
use super::{error_page, negotiation};
use crate::http::conditional::{self, Precondition};
use crate::http::fields::Field;
use crate::http::method::Method;
use crate::http::range::{self, Ranges};
use crate::http::request::Request;
use crate::http::response::{Body, FieldBlock, Response};
use crate::http::status::Status;
use crate::http::{multipart, response_head};
use crate::store::Store;
use crate::store::entity_tag::TagChoice;
use crate::store::entry::Entry;
use crate::time::Now;

/// The form of the file of `entry` that a request gets, or the response 406.
#[inline]
pub fn choose_form(
    entry: Arc<Entry>,
    request: &Request<'_>,
    store: &Store,
) -> Result<Arc<Entry>, Box<SiteResponse>> {
    if entry.variants.is_empty() && !entry.is_compressible {
        return Ok(entry);
    }
    match negotiation::choose(&entry, &request.fields, store) {
        Some(form) => Ok(form),
        None => Err(Box::new(error_response(Status::NOT_ACCEPTABLE, &entry, Vec::new()))),
    }
}

/// The response to a request that gets this form of a file: 200, 206, 304, 412 or 416.
#[inline(always)]
pub fn form_response(entry: Arc<Entry>, request: &Request<'_>, now: Now) -> SiteResponse {
    let tag = tag_for(&entry, request);
    let validators = entry.validators_by(tag);
    match conditional::evaluate(&request.fields, &validators) {
        Precondition::Proceed => {}
        Precondition::NotModified => return not_modified(&entry, tag),
        Precondition::Failed => return error_response(Status::PRECONDITION_FAILED, &entry, Vec::new()),
    }
    // RFC 9110 §14.2: Range means something for GET alone.
    if request.method == Method::Get
        && let Some(ranges) = request.fields.only(Field::Range)
        && conditional::if_range_holds(&request.fields, &validators, now.wall, entry.is_negotiated())
    {
        match range::select(ranges, entry.size) {
            Ranges::Whole => {}
            Ranges::Single(range) => return partial(entry, range, tag),
            Ranges::Several(ranges) => return multipart(entry, ranges, tag),
            Ranges::Unsatisfiable => return unsatisfiable(&entry),
        }
    }
    let size = entry.size;
    Response {
        status: Status::OK,
        fields: FieldBlock::Of(Arc::clone(&entry)),
        body: Body::Slice(entry, 0..size),
    }
}

/// The whole file with a status of an error: conditions and ranges do not apply.
pub fn page_response(entry: Arc<Entry>, status: Status) -> SiteResponse {
    let size = entry.size;
    Response { status, fields: FieldBlock::Of(Arc::clone(&entry)), body: Body::Slice(entry, 0..size) }
}

/// The entity-tag that a response has: the one that the request names, if the entry had another one before.
/// Both are of the same bytes, and a client that has the first one needs no other.
#[inline]
fn tag_for(entry: &Entry, request: &Request<'_>) -> TagChoice {
    let Some(former) = entry.former_tag() else { return TagChoice::Current };
    let fields = [Field::IfMatch, Field::IfNoneMatch, Field::IfRange];
    let mut lines = fields.into_iter().flat_map(|field| request.fields.lines(field));
    match lines.any(|line| memchr::memmem::find(line, former.as_bytes()).is_some()) {
        true => TagChoice::Former,
        false => TagChoice::Current,
    }
}

fn not_modified(entry: &Entry, tag: TagChoice) -> SiteResponse {
    let mut fields = Vec::with_capacity(128);
    entry.write_validators_by(tag, &mut fields);
    Response { status: Status::NOT_MODIFIED, fields: FieldBlock::Owned(fields), body: Body::Empty }
}

#[inline(never)]
fn partial(entry: Arc<Entry>, range: Range<u64>, tag: TagChoice) -> SiteResponse {
    let mut fields = Vec::with_capacity(256);
    entry.write_content_fields(&mut fields, entry.content_type().as_bytes(), range.end - range.start);
    response_head::field(&mut fields, "Content-Range", &multipart::content_range(&range, entry.size));
    entry.write_validators_by(tag, &mut fields);
    Response {
        status: Status::PARTIAL_CONTENT,
        fields: FieldBlock::Owned(fields),
        body: Body::Slice(entry, range),
    }
}

#[inline(never)]
fn multipart(entry: Arc<Entry>, ranges: Vec<Range<u64>>, tag: TagChoice) -> SiteResponse {
    let multipart = multipart::build(ranges, entry.size, entry.content_type().clone());
    let mut fields = Vec::with_capacity(256);
    entry.write_content_fields(&mut fields, &multipart.content_type(), multipart.length);
    entry.write_validators_by(tag, &mut fields);
    let body = Body::Multipart(entry, multipart);
    Response { status: Status::PARTIAL_CONTENT, fields: FieldBlock::Owned(fields), body }
}

fn unsatisfiable(entry: &Entry) -> SiteResponse {
    let mut extra = Vec::with_capacity(64);
    let size = itoa::Buffer::new().format(entry.size).to_owned();
    response_head::field(&mut extra, "Content-Range", format!("bytes */{size}").as_bytes());
    error_response(Status::RANGE_NOT_SATISFIABLE, entry, extra)
}

/// The error page of a status that another form of the file might not have had, with `extra` field lines.
fn error_response(status: Status, entry: &Entry, mut extra: Vec<u8>) -> SiteResponse {
    entry.write_vary(&mut extra);
    error_page::response(status, &extra)
}
