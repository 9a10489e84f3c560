//! The redirect from a directory's path without its slash to the path with it, so that relative links lead
//! beneath it.

use super::answer::SiteResponse;
use super::error_page;
use crate::http::request::Request;
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::SitePath;

/// 301 to the same path with a slash, and the same query.
pub fn to_directory(path: &SitePath<'_>, request: &Request<'_>) -> SiteResponse {
    let mut extra = Vec::with_capacity(64);
    response_head::field(&mut extra, "Location", &path.location_with_slash(request.target.query));
    error_page::response(Status::MOVED_PERMANENTLY, &extra)
}
