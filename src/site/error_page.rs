//! The small pages that go with a status other than 200: what a person sees who followed a broken link.
//!
//! Nothing of the request is repeated in them, so nothing can be injected.

use std::sync::Arc;

use super::entry::Entry;
use crate::http::head;
use crate::http::reply::{Body, FieldBlock, Reply};
use crate::http::status::Status;

/// A reply that consists of its status, said in HTML, with `extra` field lines (rendered, each ended by CRLF).
pub fn reply(status: Status, extra: &[u8]) -> Reply<Arc<Entry>> {
    let page = page(status);
    let mut fields = Vec::with_capacity(64 + extra.len());
    head::field(&mut fields, "Content-Type", b"text/html");
    head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(page.len()).as_bytes());
    fields.extend_from_slice(extra);
    Reply { status, fields: FieldBlock::Owned(fields), body: Body::Owned(page) }
}

fn page(status: Status) -> Vec<u8> {
    let mut code = itoa::Buffer::new();
    let title = [code.format(status.code()), " ", status.reason()].concat();
    ["<!DOCTYPE html>\n<html lang=\"en\"><title>", &title, "</title><h1>", &title, "</h1></html>\n"]
        .concat()
        .into_bytes()
}
