//! The digest fields of a response with a file's content (RFC 9530), where its request wants them.
//!
//! Only 200 and 206 with one range have them: a 304 or an error has no content of the file, and the content
//! of several ranges is made while it is sent.

use std::sync::Arc;

use super::answer::SiteResponse;
use crate::background::JobWaiter;
use crate::http::digest_fields::{self, WantedDigests};
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::response::{Body, FieldBlock};
use crate::store::Store;
use crate::time::Now;

/// The digests that a request wants, and where they come from.
pub struct DigestFields<'a> {
    /// Makes digests.
    pub store: &'a Store,
    /// What the request wants.
    pub wanted: WantedDigests,
}

impl DigestFields<'_> {
    /// Adds the fields to a response, as far as the digests can be made. `now` becomes the time after a wait.
    #[cold]
    #[inline(never)]
    pub fn add(
        &self,
        response: &mut SiteResponse,
        request: &Request<'_>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) {
        let Body::Slice(entry, range) = &response.body else { return };
        let mut lines = Vec::new();
        if self.wanted.representation
            && let Some(digest) = self.store.sha256(entry, &(0..entry.size), now, waiter)
        {
            digest_fields::write_representation(&mut lines, &digest);
        }
        // The response to HEAD has no content.
        if self.wanted.content
            && request.method == Method::Get
            && let Some(digest) = self.store.sha256(entry, range, now, waiter)
        {
            digest_fields::write_content(&mut lines, &digest);
        }
        if lines.is_empty() {
            return;
        }
        let fields = match &response.fields {
            FieldBlock::Owned(fields) => [fields, lines.as_slice()].concat(),
            FieldBlock::Of(entry) => [Arc::as_ref(entry).whole_fields(), lines.as_slice()].concat(),
        };
        response.fields = FieldBlock::Owned(fields);
    }
}
