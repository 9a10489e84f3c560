//! The page that lists a directory without an index, where listings are switched on.
//!
//! **Invariant:** a name never becomes markup. Names are arbitrary bytes: in a link they are percent-encoded,
//! in text escaped.

use std::sync::{Mutex, PoisonError};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::answer::SiteResponse;
use crate::background::{Background, JobOrder, JobOutcome, JobWaiter};
use crate::http::response::{Body, FieldBlock, Response};
use crate::http::response_head;
use crate::http::status::Status;
use crate::metrics::job_kind::JobKind;
use crate::store::open::{Miss, UnindexedDirectory};
use crate::sys::filesystem::FileSystemClass;

/// The most names a page shows; more would make one request costly.
const MAX_NAMES: usize = 10_000;

/// Characters that stay as they are in a link. A colon must not, or a name such as `a:b` would read as a
/// scheme.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The names up to which a directory is read and its page made by the thread that serves, where that takes no
/// disk.
const MAX_AT_ONCE: usize = 200;

/// What a listing needs to have a background thread make it.
pub struct ListingJobs<'a> {
    /// The background threads.
    pub background: &'static Background,
    /// What waits for them.
    pub waiter: &'a mut dyn JobWaiter,
    /// The number of the root that the directory is beneath.
    pub root: usize,
}

/// The page that lists a directory at site path `path` (decoded). Names that begin with a dot are shown if
/// `dotfiles` is true.
///
/// # Errors
/// See [`Miss`].
pub fn list(
    directory: UnindexedDirectory,
    path: &[u8],
    dotfiles: bool,
    jobs: ListingJobs<'_>,
) -> Result<Vec<u8>, Miss> {
    let ListingJobs { background, waiter, root } = jobs;
    let is_in_memory = directory.class == FileSystemClass::Memory;
    if is_in_memory || !background.has_disk_threads() {
        let most = if is_in_memory { MAX_AT_ONCE + 1 } else { MAX_NAMES };
        let names = directory.names(most)?;
        if names.len() <= MAX_AT_ONCE || !is_in_memory {
            return Ok(page(path, names, dotfiles));
        }
    }
    let path = path.to_vec();
    let work = move || directory.names(MAX_NAMES).map(|names| Mutex::new(page(&path, names, dotfiles)));
    let job = match is_in_memory {
        true => background.submit_cpu(JobKind::List, work),
        false => background.submit_disk(JobKind::List, (root, JobOrder::InTurn), work),
    };
    let job = job.map_err(|_| Miss::Overloaded)?;
    waiter.wait(job.completion()).map_err(|_| Miss::Overloaded)?;
    match job.outcome() {
        Some(JobOutcome::Result(Ok(page))) => {
            Ok(std::mem::take(&mut *page.lock().unwrap_or_else(PoisonError::into_inner)))
        }
        Some(JobOutcome::Result(Err(miss))) => Err(miss.clone()),
        Some(JobOutcome::Panicked | JobOutcome::Dropped) | None => Err(Miss::Failed),
    }
}

/// The response with such a page.
pub fn response(page: Vec<u8>) -> SiteResponse {
    let mut fields = Vec::with_capacity(64);
    response_head::field(&mut fields, "Content-Type", b"text/html; charset=utf-8");
    response_head::field(&mut fields, "Content-Length", itoa::Buffer::new().format(page.len()).as_bytes());
    Response { status: Status::OK, fields: FieldBlock::Owned(fields), body: Body::Owned(page) }
}

fn page(path: &[u8], mut names: Vec<(Vec<u8>, bool)>, dotfiles: bool) -> Vec<u8> {
    names.retain(|(name, _)| dotfiles || !name.starts_with(b".") || name == b".well-known");
    names.sort_unstable_by(|(a, a_dir), (b, b_dir)| b_dir.cmp(a_dir).then_with(|| a.cmp(b)));
    let title =
        if path.is_empty() { "Index of /".to_owned() } else { format!("Index of /{}/", escape(path)) };
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n<h1>{title}</h1>\n<ul>\n"
    );
    if !path.is_empty() {
        page.push_str("<li><a href=\"../\">../</a></li>\n");
    }
    for (name, is_directory) in &names {
        let slash = if *is_directory { "/" } else { "" };
        let link = percent_encode(name, IN_LINK);
        let text = escape(name);
        page.push_str(&format!("<li><a href=\"{link}{slash}\">{text}{slash}</a></li>\n"));
    }
    page.push_str("</ul></html>\n");
    page.into_bytes()
}

fn escape(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for c in String::from_utf8_lossy(name).chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c if c.is_control() => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_become_markup_and_directories_come_first() {
        let names = vec![
            (b"<script>\"x'.txt".to_vec(), false),
            (b".secret".to_vec(), false),
            (b"sub dir".to_vec(), true),
            (b"javascript:alert(1)".to_vec(), false),
        ];
        let page = String::from_utf8(page(b"a&b", names, false)).unwrap();
        assert!(page.contains("Index of /a&amp;b/"));
        assert!(page.contains("<a href=\"%3Cscript%3E%22x%27.txt\">&lt;script&gt;&quot;x&#39;.txt</a>"));
        assert!(page.contains("<a href=\"sub%20dir/\">sub dir/</a>"));
        assert!(page.contains("href=\"javascript%3Aalert%281%29\""));
        assert!(!page.contains("secret"));
        assert!(page.find("sub dir").unwrap() < page.find("script").unwrap());
    }
}
