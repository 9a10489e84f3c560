//! A listing that is ready to be sent, in the content coding that its clients want.

use twox_hash::XxHash3_128;

use super::entries::{ListedDirectory, ReadLimit};
use super::html::{self, ListingContent};
use super::memory::MemoryReservation;
use super::view::{ListingForm, ListingView};
use super::{json, sort, text};
use crate::compression::{self, Effort};
use crate::http::content_coding::ContentCoding;
use crate::http::etag;
use crate::http::response::SharedBytes;
use crate::store::open::Miss;
use crate::sys::file::Stamp;

/// Bytes of a page beside its rows and what its path takes: style sheet, script, and the head of the table.
const FRAME: usize = 12 << 10;

/// Bytes of one of the links to the directories above, beside the name and the way up.
const CRUMB: usize = 64;

/// A listing, ready to be sent.
#[derive(Debug)]
pub struct ListingPage {
    bytes: Vec<u8>,
    /// The coding of the bytes.
    pub coding: Option<ContentCoding>,
    /// Its strong entity-tag, with the quotes.
    pub etag: String,
    /// What it shows.
    pub view: ListingView,
    /// How many entries it leaves out.
    pub left_out: u64,
    /// The stamp of the directory before it was read.
    pub stamp: Stamp,
    /// True if the stamp was the same after it was read.
    pub is_consistent: bool,
    memory: MemoryReservation,
}

impl ListingPage {
    /// Reads a directory whose site path is `path`, and makes its page. May wait for a disk. `None` if it is
    /// longer than [`ReadLimit::Short`] allows. The page is in `coding` if that is worth it.
    ///
    /// # Errors
    /// See [`Miss`].
    pub fn make(
        directory: &ListedDirectory,
        (path, view, coding): (&[u8], ListingView, Option<ContentCoding>),
        limit: ReadLimit,
        mut memory: MemoryReservation,
    ) -> Result<Option<ListingPage>, Miss> {
        memory.grow(frame(path)).map_err(|_| Miss::Overloaded)?;
        let stamp = directory.stamp()?;
        let names = directory.names(limit, &mut memory)?;
        if names.left_out > 0 && limit != ReadLimit::Whole {
            return Ok(None);
        }
        let left_out = names.left_out;
        let mut entries = directory.entries(names);
        sort::sort(&mut entries, view);
        // The rows are a part of what is reserved.
        let capacity = usize::try_from(memory.bytes()).unwrap_or(0);
        let content = ListingContent { path, entries: &entries, left_out };
        let mut bytes = match view.form {
            ListingForm::Html => html::page(&content, view, capacity).into_bytes(),
            ListingForm::Json => json(&content, capacity)?,
        };
        drop(entries);
        bytes.shrink_to_fit();
        memory.shrink_to(bytes.len() as u64);
        let mut etag = etag::of_content(bytes.len() as u64, XxHash3_128::oneshot(&bytes));
        let is_consistent = directory.stamp()? == stamp;
        let compressed = coding.and_then(|coding| compressed(&bytes, coding, &mut memory));
        let coding = coding.filter(|_| compressed.is_some());
        if let (Some(compressed), Some(coding)) = (compressed, coding) {
            etag = etag::in_coding(&etag, coding);
            bytes = compressed;
        }
        memory.shrink_to(bytes.len() as u64);
        Ok(Some(ListingPage { bytes, coding, etag, view, left_out, stamp, is_consistent, memory }))
    }

    /// A page of these bytes.
    #[cfg(test)]
    pub fn of_bytes(bytes: Vec<u8>, stamp: Stamp, mut memory: MemoryReservation) -> ListingPage {
        memory.grow(bytes.len() as u64).unwrap();
        let (view, etag) = (ListingView::default(), "\"1\"".to_owned());
        ListingPage { bytes, coding: None, etag, view, left_out: 0, stamp, is_consistent: true, memory }
    }

    /// Bytes of memory that it takes.
    pub fn size(&self) -> u64 {
        self.memory.bytes()
    }
}

impl SharedBytes for ListingPage {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A page in a content coding. `None` if that saves too little, takes too long, or there is no memory for it.
fn compressed(page: &[u8], coding: ContentCoding, memory: &mut MemoryReservation) -> Option<Vec<u8>> {
    let size = page.len() as u64;
    let most = compression::most_bytes(size);
    if !compression::SIZES.contains(&size) || memory.grow(most).is_err() {
        return None;
    }
    let mut result = Vec::new();
    let effort = (coding, Effort::Awaited);
    compression::compress(&mut &*page, (size, most), effort, &mut result).ok()??;
    result.shrink_to_fit();
    Some(result)
}

/// The most bytes of a page beside its rows.
fn frame(path: &[u8]) -> u64 {
    let levels = 1 + memchr::memchr_iter(b'/', path).count();
    // The path is in the title and, name by name, in the links. The way up has three bytes a level.
    let crumbs = (levels + 1) * (CRUMB + 3 * levels);
    (FRAME + 3 * text::width(path) + crumbs) as u64
}

fn json(content: &ListingContent<'_>, capacity: usize) -> Result<Vec<u8>, Miss> {
    let mut bytes = Vec::with_capacity(capacity);
    json::write(&mut bytes, content.entries).map_err(|_| Miss::Failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_rows_is_no_larger_than_its_frame() {
        let deep = "<&'\"\u{1}/".repeat(400);
        for path in ["", "a", "a/b c/d", deep.trim_end_matches('/')] {
            let content = ListingContent { path: path.as_bytes(), entries: &[], left_out: u64::MAX };
            let page = html::page(&content, ListingView::default(), 0);
            let frame = frame(path.as_bytes());
            assert!(page.len() as u64 <= frame, "{} for {} bytes", frame, page.len());
        }
    }
}
