//! The forms of an entry: its content in content codings (RFC 9110 §8.4), each with fields of its own.

use std::sync::Arc;
use std::time::SystemTime;

use super::Entry;
use crate::http::content_coding::ContentCoding;
use crate::store::content::{Content, LoadedFile};
use crate::store::description::Description;
use crate::store::file_policy::EtagSource;
use crate::sys::file::Stamp;
use crate::sys::filesystem::FileSystemClass;
use crate::time::Now;

/// The field of each response that depends on the codings that a client accepts (RFC 9110 §12.5.5), as a
/// line.
const VARY: &[u8] = b"Vary: Accept-Encoding\r\n";

impl Entry {
    /// True if a request could get the content in another form too.
    pub fn is_negotiated(&self) -> bool {
        self.coding.is_some() || self.is_compressible || !self.variants.is_empty()
    }

    /// Writes `Vary` if a request could get another form.
    pub fn write_vary(&self, out: &mut Vec<u8>) {
        if self.is_negotiated() {
            out.extend_from_slice(VARY);
        }
    }

    /// What the content is known by: its root, and its digest or else the version of its file. The digest is
    /// no secret and collides at will, so it counts beneath one root alone: a user who writes there may
    /// change what is sent from there anyway.
    pub fn content_key(&self) -> Vec<u8> {
        let tag = self.validators().etag;
        let is_digest = self.is_digested && (self.in_memory().is_some() || self.digest_tag.get().is_some());
        // Files of two devices may have the same stamp, as in images that were built alike.
        let root = self.root.to_ne_bytes();
        if is_digest {
            return [tag, &root].concat();
        }
        [tag, &root, &self.stamp.identity.0.to_ne_bytes()].concat()
    }

    /// The form of this entry that has these bytes, which are its content in a coding.
    pub fn in_coding(&self, coding: ContentCoding, bytes: Arc<[u8]>) -> Entry {
        // The bytes have no file, and so no inode and no links.
        let stamp = Stamp { size: bytes.len() as u64, ..self.stamp };
        let loaded = LoadedFile { content: Content::Shared(bytes), stamp, class: FileSystemClass::Memory };
        let description = Description {
            content_type: self.content_type.clone(),
            is_index: self.is_index,
            root: self.root,
            with_variants: false,
            compress: false,
            background: None,
            etag: EtagSource::default(),
            cache_control: self.cache_control.clone(),
            // Last-Modified is that of the entry, whenever this is.
            now: Now { tick: self.checked(), wall: self.last_modified.unwrap_or(SystemTime::UNIX_EPOCH) },
        };
        Entry::form(loaded, Some(coding), Vec::new(), description)
    }

    /// True if this form, made by [`Entry::in_coding`], has the fields that it would have of `entry`.
    pub fn is_form_of(&self, entry: &Entry) -> bool {
        let alike = self.last_modified == entry.last_modified && self.cache_control == entry.cache_control;
        alike && self.content_type == entry.content_type
    }

    /// This form as one of another entry with the same content. `None` if it was not made by
    /// [`Entry::in_coding`].
    pub fn as_form_of(&self, entry: &Entry) -> Option<Entry> {
        match (&self.content, self.coding) {
            (Content::Shared(bytes), Some(coding)) => Some(entry.in_coding(coding, Arc::clone(bytes))),
            _ => None,
        }
    }
}
