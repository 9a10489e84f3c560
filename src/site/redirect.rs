//! Redirects to another path of the same file: from a directory's path without its slash to the path with it,
//! so that relative links lead beneath it, and to the path of a page without its extension.

use super::answer::SiteResponse;
use super::error_page;
use crate::http::request::Request;
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::SitePath;

/// 301 to the same path with a slash, and the same query.
pub fn to_directory(path: &SitePath<'_>, request: &Request<'_>) -> SiteResponse {
    to_path(&path.with_directory(true), request)
}

/// 301 to another path, with the same query.
pub fn to_path(path: &SitePath<'_>, request: &Request<'_>) -> SiteResponse {
    let mut extra = Vec::with_capacity(64);
    response_head::field(&mut extra, "Location", &path.location(request.target.query));
    error_page::response(Status::MOVED_PERMANENTLY, &extra)
}
