//! How the files of a location are served, as far as the store decides that. Plain data.

use std::borrow::Cow;
use std::sync::Arc;

use crate::http::{charset, content_hash, mime};
use crate::sys::file::LinkPolicy;

/// The most bytes of a file whose content makes its entity-tag, unless the settings say otherwise: 16 MiB.
pub const CONTENT_LIMIT: u64 = 16 << 20;

/// How files are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePolicy {
    /// What entity-tags are made of.
    pub etag: EtagSource,
    /// The charset of text types that have none.
    pub charset: TextCharset,
    /// Which symbolic links are followed.
    pub links: LinkPolicy,
    /// What names say of how long clients may cache a file.
    pub caching: NameCaching,
}

/// What the names of files say of how long clients may cache them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameCaching {
    /// The Cache-Control of pages.
    pub page: Option<Arc<str>>,
    /// True if names with a content hash may be cached for a year.
    pub immutable_names: bool,
}

impl NameCaching {
    /// The value of Cache-Control for a file of this name and media type.
    pub fn of_file(&self, name: &[u8], media: &str) -> Option<Arc<str>> {
        if mime::is_page(media) {
            return self.page.clone();
        }
        (self.immutable_names && content_hash::is_hashed(name)).then(|| content_hash::CACHE_CONTROL.into())
    }
}

impl FilePolicy {
    /// The media type of a response, by that of the file's name.
    pub fn content_type(&self, media: Cow<'static, str>) -> Cow<'static, str> {
        match self.charset {
            TextCharset::Unknown => media,
            TextCharset::Utf8 => charset::with_utf8(media),
        }
    }
}

/// What an entity-tag is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagSource {
    /// What the file system says of the file: size, inode number and times.
    Stamp,
    /// A digest of the content, for files up to this many bytes, and the stamp for longer ones.
    Content {
        /// The most bytes.
        limit: u64,
    },
}

impl Default for EtagSource {
    fn default() -> EtagSource {
        EtagSource::Content { limit: CONTENT_LIMIT }
    }
}

impl EtagSource {
    /// True if the content of a file of so many bytes makes its entity-tag.
    pub fn digests(self, size: u64) -> bool {
        matches!(self, EtagSource::Content { limit } if size <= limit)
    }
}

/// The charset of text files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextCharset {
    /// Not said, because it is unknown.
    #[default]
    Unknown,
    /// UTF-8.
    Utf8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_long_a_file_may_be_cached() {
        let caching = NameCaching { page: Some("no-cache".into()), immutable_names: true };
        for (name, media, expected) in [
            ("a.html", "text/html", Some("no-cache")),
            ("a", "TEXT/HTML ;charset=utf-8", Some("no-cache")),
            ("a.3f2a1b9c.xhtml", "application/xhtml+xml", Some("no-cache")),
            ("a.3f2a1b9c.js", "text/javascript", Some("public, max-age=31536000, immutable")),
            ("a.js", "text/javascript", None),
        ] {
            assert_eq!(caching.of_file(name.as_bytes(), media).as_deref(), expected, "{name}");
        }
        assert_eq!(NameCaching::default().of_file(b"a.3f2a1b9c.js", "text/javascript"), None);
    }

    #[test]
    fn files_up_to_the_limit_are_digested() {
        let content = EtagSource::Content { limit: 100 };
        assert!(content.digests(0) && content.digests(100) && !content.digests(101));
        assert!(!EtagSource::Stamp.digests(0));
        assert!(EtagSource::default().digests(16 << 20) && !EtagSource::default().digests((16 << 20) + 1));
    }
}
