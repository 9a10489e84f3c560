//! Redirects to another URL of the same file: from a directory's path without its slash to the path with it,
//! so that relative links lead beneath it, to the path of a page without its extension, and to https.

use super::answer::SiteResponse;
use super::error_page;
use crate::http::https_location::https_location;
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

/// 308 to the same target at this port of https, which keeps the method; 400 if the request names no host or
/// has no path.
pub fn to_https(request: &Request<'_>, port: u16) -> SiteResponse {
    let authority = request.authority().unwrap_or_default();
    let Some(url) = https_location(&request.target, authority, port) else {
        return error_page::response(Status::BAD_REQUEST, b"");
    };
    let mut extra = Vec::with_capacity(url.len() + 16);
    response_head::field(&mut extra, "Location", &url);
    error_page::response(Status::PERMANENT_REDIRECT, &extra)
}
