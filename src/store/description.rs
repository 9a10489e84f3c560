//! What an entry has beside its file: its media type, and how it is served. Plain data.

use std::borrow::Cow;
use std::sync::Arc;

use crate::background::Background;
use crate::store::file_policy::EtagSource;
use crate::time::Now;

/// What an entry has beside its file.
#[derive(Clone)]
pub struct Description {
    /// The media type.
    pub content_type: Cow<'static, str>,
    /// True when it answers for a directory, as its index.
    pub is_index: bool,
    /// The number of the root that the file is beneath.
    pub root: usize,
    /// True if variants of the file are looked for.
    pub with_variants: bool,
    /// True if the file is compressed where it has no variant, unless it is too short or too long.
    pub compress: bool,
    /// Who closes the file if that may wait.
    pub background: Option<&'static Background>,
    /// What the entity-tag is made of.
    pub etag: EtagSource,
    /// The value of Cache-Control, if the file's name or type makes it.
    pub cache_control: Option<Arc<str>>,
    /// The time before the file was opened.
    pub now: Now,
}

#[cfg(test)]
impl Description {
    /// That of a plain text whose entity-tag is made of the stamp.
    pub fn of_text(now: Now) -> Description {
        Description {
            content_type: "text/plain".into(),
            is_index: false,
            root: 0,
            with_variants: false,
            compress: false,
            background: None,
            etag: EtagSource::Stamp,
            cache_control: None,
            now,
        }
    }
}
