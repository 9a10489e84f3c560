//! How long clients may cache what a location serves: the header fields Expires and Cache-Control (RFC 9111
//! §5).

use std::time::Duration;

use crate::config::scope::Scope;
use crate::http::status::Status;
use crate::http::{date, response_head};
use crate::time::Now;

/// How long clients may cache what a location serves.
#[derive(Debug, Default)]
pub struct CacheControl {
    /// The rendered Cache-Control; empty where the settings have none.
    field: Vec<u8>,
    /// How far ahead Expires is.
    lifetime: Option<Duration>,
}

impl CacheControl {
    /// What the settings of a location say.
    pub fn new(scope: &Scope) -> CacheControl {
        let age = scope.expires.map(|time| format!("max-age={}", time.as_secs()));
        let directives: Vec<&str> =
            scope.cache_control.as_deref().into_iter().chain(age.as_deref()).collect();
        let mut field = Vec::new();
        if !directives.is_empty() {
            response_head::field(&mut field, "Cache-Control", directives.join(", ").as_bytes());
        }
        CacheControl { field, lifetime: scope.expires }
    }

    /// This, where responses of `status` have these fields: those with a file's content, and 304.
    pub fn for_status(&self, status: Status) -> Option<&CacheControl> {
        let applies = matches!(status, Status::OK | Status::PARTIAL_CONTENT | Status::NOT_MODIFIED);
        (applies && !self.field.is_empty()).then_some(self)
    }

    /// Writes the fields.
    pub fn write(&self, out: &mut Vec<u8>, now: Now) {
        if let Some(lifetime) = self.lifetime {
            response_head::field(out, "Expires", &date::render(now.wall + lifetime));
        }
        out.extend_from_slice(&self.field);
    }
}
