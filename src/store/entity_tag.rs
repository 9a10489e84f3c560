//! The entity-tag of an entry: by its content, or by the stamp of its file, and the fields rendered once more
//! where the digest of the content came later. Plain data.

use twox_hash::XxHash3_128;

use crate::http::content_coding::ContentCoding;
use crate::http::etag;
use crate::store::content::Content;
use crate::sys::file::Stamp;

/// The entity-tag: by a digest of bytes in memory, else by the stamp. That is weak if the stamp `may_recur`:
/// other bytes may have it too. Each coding has tags of its own.
pub fn of(
    (content, stamp): (&Content, &Stamp),
    is_digested: bool,
    coding: Option<ContentCoding>,
    may_recur: bool,
) -> String {
    match content {
        Content::Memory(bytes) if is_digested => by_digest(stamp.size, XxHash3_128::oneshot(bytes), coding),
        Content::Shared(bytes) => by_digest(stamp.size, XxHash3_128::oneshot(bytes), coding),
        Content::Memory(_) | Content::File(_) => {
            let Stamp { identity: (_, inode), size, mtime, ctime, links: _ } = *stamp;
            let tag = in_coding(etag::of_version(&etag::FileVersion { size, inode, mtime, ctime }), coding);
            if may_recur { etag::weak(&tag) } else { tag }
        }
    }
}

/// The entity-tag by a digest of 128 bits, which is the same in every release.
pub fn by_digest(size: u64, digest: u128, coding: Option<ContentCoding>) -> String {
    in_coding(etag::of_content(size, digest), coding)
}

fn in_coding(tag: String, coding: Option<ContentCoding>) -> String {
    coding.map_or_else(|| tag.clone(), |coding| etag::in_coding(&tag, coding))
}

/// One of the entity-tags of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagChoice {
    /// The one that it has.
    Current,
    /// The one by the stamp, before the digest came.
    Former,
}

/// The entity-tag of an entry by a digest that came later, and the fields of its responses.
#[derive(Debug)]
pub struct DigestTag {
    /// The entity-tag, with its quotes.
    pub etag: String,
    /// The rendered fields of a 200 that carries the whole content.
    pub fields: Vec<u8>,
}

impl DigestTag {
    /// The fields that an entry has with its first entity-tag, with another one in its place. The validators
    /// begin at that byte of the fields.
    pub fn new(etag: String, first: &str, (fields, validators_at): (&[u8], usize)) -> DigestTag {
        let validators = &fields[validators_at..];
        let at = memchr::memmem::find(validators, first.as_bytes());
        let fields = match at.map(|at| validators_at + at) {
            Some(at) => [&fields[..at], etag.as_bytes(), &fields[at + first.len()..]].concat(),
            None => fields.to_vec(),
        };
        DigestTag { etag, fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_by_a_stamp_that_may_recur_is_weak_and_one_by_the_content_never() {
        let stamp = Stamp { identity: (1, 2), size: 3, mtime: (4, 5), ctime: (6, 7), links: 1 };
        let short = Content::Memory(b"abc".to_vec().into());
        let strong = of((&short, &stamp), false, None, false);
        let weak = of((&short, &stamp), false, None, true);
        assert_eq!((&*strong, &*weak), ("\"3-2-4.5-6.7\"", "W/\"3-2-4.5-6.7-w\""));
        assert_eq!(of((&short, &stamp), false, Some(ContentCoding::Gzip), true), "W/\"3-2-4.5-6.7-gzip-w\"");
        assert!(of((&short, &stamp), true, None, true).starts_with('"'));
    }

    #[test]
    fn only_the_entity_tag_is_another_one() {
        let fields = b"X: \"a\"\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n";
        let tag = DigestTag::new("\"new\"".to_owned(), "\"a\"", (fields, 8));
        assert_eq!(tag.etag, "\"new\"");
        assert_eq!(tag.fields, b"X: \"a\"\r\nETag: \"new\"\r\nAccept-Ranges: bytes\r\n");
    }
}
