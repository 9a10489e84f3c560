//! The fixed response of a location, rendered before the first request.

use super::answer::SiteResponse;
use super::error_page;
use crate::config::location::FixedResponse;
use crate::http::response::{Body, FieldBlock, Response};
use crate::http::response_head;
use crate::http::status::Status;

/// A response that is always the same.
#[derive(Debug)]
pub struct PreparedResponse {
    status: Status,
    fields: Vec<u8>,
    body: Vec<u8>,
    /// True if the settings have its body.
    has_text: bool,
}

impl PreparedResponse {
    /// The response that the settings have. Without a body of their own, statuses other than 200 and 204 have
    /// an error page.
    pub fn new(setting: &FixedResponse) -> PreparedResponse {
        // The settings take no other status.
        let status = Status::of(setting.status).unwrap_or(Status::INTERNAL_SERVER_ERROR);
        match &setting.body {
            Some(body) => {
                let response = PreparedResponse::with_body(status, &setting.media_type, body.as_bytes());
                PreparedResponse { has_text: true, ..response }
            }
            // RFC 9110 §8.6: it has no Content-Length either.
            None if status == Status::NO_CONTENT => {
                PreparedResponse { status, fields: Vec::new(), body: Vec::new(), has_text: false }
            }
            None if status == Status::OK => PreparedResponse::with_body(status, &setting.media_type, b""),
            None => PreparedResponse::with_body(status, error_page::MEDIA_TYPE, &error_page::page(status)),
        }
    }

    fn with_body(status: Status, media_type: &str, body: &[u8]) -> PreparedResponse {
        let mut fields = Vec::with_capacity(64);
        response_head::field(&mut fields, "Content-Type", media_type.as_bytes());
        response_head::field(
            &mut fields,
            "Content-Length",
            itoa::Buffer::new().format(body.len()).as_bytes(),
        );
        PreparedResponse { status, fields, body: body.to_vec(), has_text: false }
    }

    /// True if its body is that of the settings.
    pub fn has_text(&self) -> bool {
        self.has_text
    }

    /// The response.
    pub fn response(&self) -> SiteResponse {
        let body = if self.body.is_empty() { Body::Empty } else { Body::Owned(self.body.clone()) };
        Response { status: self.status, fields: FieldBlock::Owned(self.fields.clone()), body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::location::STATUSES;

    #[test]
    fn every_status_that_a_location_may_return_is_one() {
        for code in STATUSES {
            assert_eq!(Status::of(code).map(Status::code), Some(code));
            let response = PreparedResponse::new(&FixedResponse {
                status: code,
                body: None,
                media_type: "a/b".to_owned(),
            })
            .response();
            let has_page = !matches!(code, 200 | 204);
            assert_eq!((response.status.code(), !response.body.is_empty()), (code, has_page));
        }
    }
}
