//! The page for paths without a file that a browser navigates to, as single-page applications need one.

use crate::http::accept;
use crate::http::fields::Field;
use crate::http::request::Request;
use crate::http::response::{FieldBlock, Response};
use crate::http::response_head;
use crate::http::target::SitePath;

use super::answer::SiteResponse;

/// True if a path could be one of the application's: its last name has no extension.
pub fn is_navigation_path(path: &SitePath<'_>) -> bool {
    !path.name().contains(&b'.')
}

/// True if the client takes a page: a browser that navigates, and not a script that asks for data.
pub fn takes_page(request: &Request<'_>) -> bool {
    accept::preference(request.fields.lines(Field::Accept), "text/html").weight > 0
}

/// The response, which says that it depends on what the client takes (RFC 9110 §12.5.5).
pub fn with_vary(response: SiteResponse) -> SiteResponse {
    let mut fields = match response.fields {
        FieldBlock::Owned(fields) => fields,
        FieldBlock::Of(entry) => entry.whole_fields().to_vec(),
    };
    response_head::field(&mut fields, "Vary", b"Accept");
    Response { fields: FieldBlock::Owned(fields), ..response }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::ParsedHead;

    #[test]
    fn a_page_is_for_paths_without_an_extension_and_clients_that_take_one() {
        for (path, is_navigation) in [
            ("/a", true),
            ("/a.b/c", true),
            ("/a/b/", true),
            ("/", true),
            ("/a.js", false),
            ("/a/b.c/", false),
            ("/.a", false),
        ] {
            let path = SitePath::parse(path.as_bytes()).unwrap();
            assert_eq!(is_navigation_path(&path), is_navigation, "{path:?}");
        }
        for (accept, takes) in [
            ("", true),
            ("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", true),
            ("Accept: */*\r\n", true),
            ("Accept: text/*;q=0.1\r\n", true),
            ("Accept: application/json\r\n", false),
            ("Accept: text/html;q=0, */*\r\n", false),
            ("Accept: image/avif,image/webp\r\n", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{accept}\r\n");
            let ParsedHead::Complete(request, _) = ParsedHead::parse(head.as_bytes()) else { panic!() };
            assert_eq!(takes_page(&request), takes, "{accept}");
        }
    }
}
