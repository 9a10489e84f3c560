//! The response where the store has no file: the one map from a miss to a status.

use super::answer::SiteResponse;
use super::{error_page, redirect};
use crate::http::request::Request;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::store::open::Miss;

/// The field of a 503 for a moment of much load (RFC 9110 §10.2.3), as a line: in a second.
const RETRY_SOON: &[u8] = b"Retry-After: 1\r\n";

const NO_FIELD: &[u8] = b"";

/// The response that says why there is no file at `path`. `missing_index` is the status of a directory
/// without an index.
pub fn miss_response(
    miss: Miss,
    path: &SitePath<'_>,
    request: &Request<'_>,
    missing_index: Status,
) -> SiteResponse {
    let (status, extra) = match miss {
        Miss::NotFound => (Status::NOT_FOUND, NO_FIELD),
        Miss::Forbidden => (Status::FORBIDDEN, NO_FIELD),
        Miss::Exhausted => (Status::SERVICE_UNAVAILABLE, NO_FIELD),
        Miss::Overloaded => (Status::SERVICE_UNAVAILABLE, RETRY_SOON),
        Miss::Failed => (Status::INTERNAL_SERVER_ERROR, NO_FIELD),
        Miss::DirectoryWithoutSlash => return redirect::to_directory(path, request),
        Miss::DirectoryWithoutIndex(_) => (missing_index, NO_FIELD),
    };
    error_page::response(status, extra)
}
