//! The small HTML page that goes with a status such as 404.
//!
//! Nothing of the request is repeated in it, so nothing can be injected.

use super::answer::SiteResponse;
use crate::http::response::{Body, FieldBlock, Response};
use crate::http::response_head;
use crate::http::status::Status;

/// The media type of the page.
pub const MEDIA_TYPE: &str = "text/html";

/// A response that consists of its status, as a page, with `extra` field lines (rendered, each ended by
/// CRLF).
pub fn response(status: Status, extra: &[u8]) -> SiteResponse {
    let page = page(status);
    let mut fields = Vec::with_capacity(64 + extra.len());
    response_head::field(&mut fields, "Content-Type", MEDIA_TYPE.as_bytes());
    response_head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(page.len()).as_bytes());
    fields.extend_from_slice(extra);
    Response { status, fields: FieldBlock::Owned(fields), body: Body::Owned(page) }
}

/// The fields of such a response without those of its page.
pub fn without_content_fields(fields: &[u8]) -> &[u8] {
    let mut rest = fields;
    for name in ["Content-Type: ", "Content-Length: "] {
        if rest.starts_with(name.as_bytes()) {
            rest = memchr::memchr(b'\n', rest).map_or(&[][..], |end| &rest[end + 1..]);
        }
    }
    rest
}

/// For browsers: the width of a phone's screen, and that the page fits dark colours too.
const HEAD: &str = "<meta name=\"viewport\" content=\"width=device-width\">\
                    <meta name=\"color-scheme\" content=\"light dark\">";

/// The page alone.
pub fn page(status: Status) -> Vec<u8> {
    let mut code = itoa::Buffer::new();
    let title = [code.format(status.code()), " ", status.reason()].concat();
    let parts = ["<!DOCTYPE html>\n<html lang=\"en\">", HEAD, "<title>", &title, "</title>"];
    [&parts.concat(), "<h1>", &title, "</h1></html>\n"].concat().into_bytes()
}
