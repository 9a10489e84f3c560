//! Entity-tags (RFC 9110 §8.8.3): the tag of a file, and the lists of tags that clients send.
//!
//! The fields with these lists are in `conditional.rs`. A tag may contain commas, so a list is not split at
//! commas. A member that is not a tag matches nothing, and the tags beside it still count.

use super::content_coding::ContentCoding;
use super::fields::trim;

/// The strong entity-tag, with quotes, of content of `size` bytes with this digest. It depends on the bytes
/// alone, so all workers, releases and replicas have the same tag.
pub fn of_content(size: u64, digest: u128) -> String {
    format!("\"{size:x}-{digest:032x}\"")
}

/// Metadata of a file whose content is too long to be digested. Times are seconds since 1970, and
/// nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct FileVersion {
    /// The length in bytes.
    pub size: u64,
    /// The inode number. Another file at the same path has another number.
    pub inode: u64,
    /// The time of the last change of the content. The owner of the file can set it.
    pub mtime: (i64, u32),
    /// The time of the last change of content or attributes, by the kernel's clock. Only the maker of a file
    /// system image
    /// can set it.
    pub ctime: (i64, u32),
}

/// The strong entity-tag of such a file, with quotes. Each replica has its own tag. The tag changes with the
/// bytes if the clock for files distinguishes the two changes: from Linux 6.13 on always on ext4, XFS, Btrfs
/// and tmpfs, elsewhere if they are 10 ms apart. See [`weak`] for a file that may change sooner.
pub fn of_version(version: &FileVersion) -> String {
    let FileVersion { size, inode, mtime, ctime } = version;
    format!("\"{size:x}-{inode:x}-{:x}.{:x}-{:x}.{:x}\"", mtime.0, mtime.1, ctime.0, ctime.1)
}

/// The tag of content in a coding, made of the tag that its bytes would have without one. A file and its
/// variant may have the same bytes, but not the same tag.
pub fn in_coding(tag: &str, coding: ContentCoding) -> String {
    format!("{}-{}\"", tag.trim_end_matches('"'), coding.token())
}

/// The weak form of a strong tag (RFC 9110 §8.8.1): other bytes may have the same one. It does not match the
/// strong one, which may be that of other bytes.
pub fn weak(tag: &str) -> String {
    format!("W/{}-w\"", tag.trim_end_matches('"'))
}

/// The comparison of two tags (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal if both tags are strong and equal: the same bytes.
    Strong,
    /// Equal if the opaque parts are equal, weak or not: equivalent content.
    Weak,
}

/// An entity-tag as a client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// True if it begins with `W/`.
    pub weak: bool,
    /// The opaque part, with its quotes.
    pub opaque: &'a [u8],
}

impl EntityTag<'_> {
    /// True if this tag matches another one, given with its quotes, and with `W/` if it is weak.
    pub fn matches(&self, other: &[u8], comparison: Comparison) -> bool {
        let (is_weak, opaque) = match other.strip_prefix(b"W/") {
            Some(opaque) => (true, opaque),
            None => (false, other),
        };
        self.opaque == opaque && (comparison == Comparison::Weak || !(is_weak || self.weak))
    }
}

/// Parses a value that is exactly one entity-tag.
pub fn parse(value: &[u8]) -> Option<EntityTag<'_>> {
    match take(value)? {
        (tag, b"") => Some(tag),
        _ => None,
    }
}

/// The tags of one line of a list. Members that are not tags are left out.
pub fn list(line: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        loop {
            rest = trim(rest);
            match rest.first()? {
                b',' => rest = &rest[1..],
                _ => match member(rest) {
                    (Some(tag), after) => {
                        rest = after;
                        return Some(tag);
                    }
                    (None, after) => rest = after,
                },
            }
        }
    })
}

/// The first member, if it is a tag, and the rest of the list.
fn member(list: &[u8]) -> (Option<EntityTag<'_>>, &[u8]) {
    if let Some((tag, after)) = take(list)
        && matches!(trim(after).first(), None | Some(b','))
    {
        return (Some(tag), after);
    }
    (None, memchr::memchr(b',', list).map_or(b"", |comma| &list[comma..]))
}

/// The tag at the start, and the rest.
fn take(bytes: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    let (weak, quoted) = match bytes.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, bytes),
    };
    let inner = quoted.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', inner)?;
    if !inner[..end].iter().all(|&byte| is_etagc(byte)) {
        return None;
    }
    let (opaque, after) = quoted.split_at(end + 2);
    Some((EntityTag { weak, opaque }, after))
}

/// Printable ASCII other than the quote, and obs-text.
fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_and_a_size_make_a_tag() {
        assert_eq!(of_content(0x3e8, 0xab), "\"3e8-000000000000000000000000000000ab\"");
        assert_eq!(of_content(0, u128::MAX), "\"0-ffffffffffffffffffffffffffffffff\"");
    }

    #[test]
    fn each_part_of_a_version_makes_another_tag() {
        let base =
            FileVersion { size: 1000, inode: 7, mtime: (1_600_000_000, 255), ctime: (1_600_000_001, 9) };
        assert_eq!(of_version(&base), "\"3e8-7-5f5e1000.ff-5f5e1001.9\"");
        let versions = [
            base,
            FileVersion { size: 1001, ..base },
            FileVersion { inode: 8, ..base },
            FileVersion { mtime: (1_600_000_001, 255), ..base },
            FileVersion { mtime: (1_600_000_000, 256), ..base },
            FileVersion { mtime: (-1, 0), ..base },
            FileVersion { mtime: (0, 0), ..base },
            FileVersion { ctime: (1_600_000_000, 9), ..base },
            FileVersion { ctime: (1_600_000_001, 8), ..base },
            FileVersion {
                size: u64::MAX,
                inode: u64::MAX,
                mtime: (i64::MIN, 999_999_999),
                ctime: (i64::MAX, 0),
            },
        ];
        let tags: std::collections::HashSet<String> = versions.iter().map(of_version).collect();
        assert_eq!(tags.len(), versions.len());
        for tag in tags {
            assert_eq!(parse(tag.as_bytes()), Some(EntityTag { weak: false, opaque: tag.as_bytes() }));
        }
    }

    #[track_caller]
    fn check(line: &[u8], expected: &[(bool, &[u8])]) {
        let tags: Vec<_> = list(line).map(|tag| (tag.weak, tag.opaque)).collect();
        assert_eq!(tags, expected, "{}", line.escape_ascii());
    }

    #[test]
    fn a_list_is_read_tag_by_tag() {
        check(b"", &[]);
        check(b", ,\t,", &[]);
        check(b"\"a\"", &[(false, b"\"a\"")]);
        check(b"\"\"", &[(false, b"\"\"")]);
        check(b"W/\"a\"", &[(true, b"\"a\"")]);
        check(b"\"a\",\"b\"", &[(false, b"\"a\""), (false, b"\"b\"")]);
        check(b" ,\"a\" ,\tW/\"b\",, \"c\"\t", &[(false, b"\"a\""), (true, b"\"b\""), (false, b"\"c\"")]);
        check(
            b"\"a,b\", \"W/\\\", \"\xff\"",
            &[(false, b"\"a,b\""), (false, b"\"W/\\\""), (false, b"\"\xff\"")],
        );
    }

    #[test]
    fn what_is_no_tag_is_left_out() {
        for line in
            [b"a".as_slice(), b"*", b"\"a", b"a\"", b"w/\"a\"", b"W/a", b"W/ \"a\"", b"W/", b"W\"a\"", b"'a'"]
        {
            check(line, &[]);
        }
        check(b"\"a b\"", &[]);
        check(b"\"a\x7f\"", &[]);
        check(b"\"a\"\"b\"", &[]);
        check(b"\"a\" \"b\"", &[]);
        check(b"x, \"a\", W/y, \"b\"z, \"c\"", &[(false, b"\"a\""), (false, b"\"c\"")]);
        check(b"\"a\", \"b", &[(false, b"\"a\"")]);
    }

    #[test]
    fn one_tag_alone_is_parsed() {
        assert_eq!(parse(b"\"a\""), Some(EntityTag { weak: false, opaque: b"\"a\"" }));
        assert_eq!(parse(b"W/\"\""), Some(EntityTag { weak: true, opaque: b"\"\"" }));
        for value in [b"".as_slice(), b"a", b"\"a", b"\"a\",", b"\"a\", \"b\"", b"\"a\" ", b"w/\"a\"", b"*"] {
            assert_eq!(parse(value), None, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn comparisons_are_those_of_the_rfc() {
        // The table of RFC 9110 §8.8.3.2.
        for (one, other, strong_match, weak_match) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "W/\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
            ("\"1\"", "\"2\"", false, false),
        ] {
            let tag = parse(one.as_bytes()).unwrap();
            assert_eq!(tag.matches(other.as_bytes(), Comparison::Strong), strong_match, "{one} {other}");
            assert_eq!(tag.matches(other.as_bytes(), Comparison::Weak), weak_match, "{one} {other}");
        }
        assert_eq!(weak("\"1\""), "W/\"1-w\"");
    }
}
