//! The pages that the settings have for errors.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::answer::SiteResponse;
use super::error_page;
use crate::config::scope::error_pages::{self as setting, ErrorStatus};
use crate::http::response::{Body, FieldBlock};
use crate::http::response_head;
use crate::http::status::Status;
use crate::http::target::SitePath;
use crate::store::entry::Entry;
use crate::store::open::Miss;

/// The pages of a location, by status.
#[derive(Debug, Default)]
pub struct PreparedErrorPages {
    by_code: BTreeMap<u16, PreparedErrorPage>,
    /// By the first digit of the code.
    by_class: BTreeMap<u16, PreparedErrorPage>,
}

/// A page for errors.
#[derive(Debug)]
pub enum PreparedErrorPage {
    /// A file of the site.
    File {
        /// Its path.
        path: SitePath<'static>,
        /// True once the log has said that it is missing.
        reported: AtomicBool,
    },
    /// A text in the settings.
    Text {
        /// The text.
        body: Vec<u8>,
        /// Its media type.
        media_type: String,
    },
}

impl PreparedErrorPages {
    /// The pages of the settings.
    pub fn new(setting: &setting::ErrorPages) -> PreparedErrorPages {
        let mut pages = PreparedErrorPages::default();
        for (status, page) in &setting.0 {
            let page = match page {
                setting::ErrorPage::Path(path) => match SitePath::parse(path.as_bytes()) {
                    Ok(path) => {
                        let path = path.with_directory(path.is_directory());
                        PreparedErrorPage::File { path, reported: AtomicBool::new(false) }
                    }
                    // The settings take no other path.
                    Err(_) => continue,
                },
                setting::ErrorPage::Body(page) => PreparedErrorPage::Text {
                    body: page.body.clone().into_bytes(),
                    media_type: page.media_type.clone(),
                },
            };
            match status {
                ErrorStatus::Code(code) => pages.by_code.insert(*code, page),
                ErrorStatus::Class(digit) => pages.by_class.insert(*digit, page),
            };
        }
        pages
    }

    /// The page for a status, if there is one: that of the status before that of its class.
    pub fn of(&self, status: Status) -> Option<&PreparedErrorPage> {
        let code = status.code();
        self.by_code.get(&code).or_else(|| self.by_class.get(&(code / 100)).filter(|_| code >= 400))
    }
}

impl PreparedErrorPage {
    /// Gives a response this page: its status and its other fields stay. `find` looks a file of the site up.
    pub fn replace(
        &self,
        response: &mut SiteResponse,
        find: impl FnOnce(&SitePath<'_>) -> Result<Arc<Entry>, Miss>,
    ) {
        match self {
            PreparedErrorPage::Text { body, media_type } => {
                let body = if body.is_empty() { Body::Empty } else { Body::Owned(body.clone()) };
                replace(response, media_type, body);
            }
            PreparedErrorPage::File { path, reported } => match find(path) {
                Ok(entry) => {
                    reported.store(false, Ordering::Relaxed);
                    let media_type = entry.content_type().clone();
                    let size = entry.size;
                    replace(response, &media_type, Body::Slice(entry, 0..size));
                }
                Err(miss) => {
                    if !reported.swap(true, Ordering::Relaxed) {
                        let path = String::from_utf8_lossy(path.as_bytes());
                        ::log::warn!(
                            "no error page at /{}: {}; the built-in one is sent",
                            path.escape_debug(),
                            miss.reason()
                        );
                    }
                }
            },
        }
    }
}

fn replace(response: &mut SiteResponse, media_type: &str, body: Body<Arc<Entry>>) {
    let mut fields = Vec::with_capacity(128);
    response_head::field(&mut fields, "Content-Type", media_type.as_bytes());
    let length = itoa::Buffer::new().format(body.len()).to_owned();
    response_head::field(&mut fields, "Content-Length", length.as_bytes());
    let before = match &response.fields {
        FieldBlock::Owned(fields) => fields,
        FieldBlock::Of(entry) => entry.whole_fields(),
    };
    fields.extend_from_slice(error_page::without_content_fields(before));
    response.fields = FieldBlock::Owned(fields);
    response.body = body;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scope::error_pages::{ErrorPage, ErrorPages, PageBody};

    #[test]
    fn the_page_of_a_status_counts_before_that_of_its_class() {
        let body = |text: &str| ErrorPage::Body(PageBody { body: text.to_owned(), ..PageBody::default() });
        let pages = PreparedErrorPages::new(&ErrorPages(vec![
            (ErrorStatus::Class(4), body("4")),
            (ErrorStatus::Code(404), body("404")),
            (ErrorStatus::Code(503), body("503")),
        ]));
        for (status, expected) in [
            (Status::NOT_FOUND, Some("404")),
            (Status::FORBIDDEN, Some("4")),
            (Status::SERVICE_UNAVAILABLE, Some("503")),
            (Status::INTERNAL_SERVER_ERROR, None),
            (Status::OK, None),
        ] {
            let extra = b"Retry-After: 1\r\n";
            let mut response = error_page::response(status, extra);
            let page = pages.of(status);
            assert_eq!(page.is_some(), expected.is_some(), "{status:?}");
            let Some(page) = page else { continue };
            page.replace(&mut response, |_| Err(Miss::NotFound));
            let (FieldBlock::Owned(fields), Body::Owned(body)) = (&response.fields, &response.body) else {
                panic!("{response:?}");
            };
            let length = expected.unwrap_or_default().len();
            let lines = format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nRetry-After: 1\r\n"
            );
            assert_eq!(String::from_utf8_lossy(fields), lines);
            assert_eq!((response.status, body.len()), (status, length));
        }
    }

    #[test]
    fn a_missing_page_leaves_the_built_in_one() {
        let path = ErrorPage::Path("/404.html".to_owned());
        let pages = PreparedErrorPages::new(&ErrorPages(vec![(ErrorStatus::Code(404), path)]));
        let mut response = error_page::response(Status::NOT_FOUND, b"");
        let page = pages.of(Status::NOT_FOUND).unwrap();
        page.replace(&mut response, |path| {
            assert_eq!(path.as_bytes(), b"404.html");
            Err(Miss::NotFound)
        });
        let Body::Owned(body) = &response.body else { panic!("{response:?}") };
        assert_eq!(*body, error_page::page(Status::NOT_FOUND));
    }
}
