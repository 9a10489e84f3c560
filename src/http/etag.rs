//! Entity-tags (RFC 9110 §8.8.3): the one that a file gets, and the lists that clients send.
//!
//! Does not know which field a list came in; `conditional.rs` does. The subtle rule: a tag may contain
//! commas, so a list is never split at them. What is not a tag matches nothing, and the tags beside it still
//! count.

use super::fields::trim;

/// The entity-tag of a file last changed at `mtime` (seconds and nanoseconds) with `size` bytes, quotes
/// included, and a digest of the content where one is known. Without it the tag is strong as far as the times that files
/// are given tell two contents of the same length apart.
pub fn strong(mtime: (i64, u32), size: u64, digest: Option<u64>) -> String {
    match digest {
        Some(digest) => format!("\"{:x}-{:x}-{size:x}-{digest:x}\"", mtime.0, mtime.1),
        None => format!("\"{:x}-{:x}-{size:x}\"", mtime.0, mtime.1),
    }
}

/// How tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal, and neither is weak: the same bytes.
    Strong,
    /// Equal, weak or not: as good as the same.
    Weak,
}

/// An entity-tag as a client sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntityTag<'a> {
    /// True when `W/` stood before it.
    pub weak: bool,
    /// The opaque part, quotes included.
    pub opaque: &'a [u8],
}

impl EntityTag<'_> {
    /// Compares this tag to a strong one, given with its quotes.
    pub fn matches(&self, strong: &[u8], comparison: Comparison) -> bool {
        self.opaque == strong && (comparison == Comparison::Weak || !self.weak)
    }
}

/// Reads a value that is exactly one entity-tag.
pub fn parse(value: &[u8]) -> Option<EntityTag<'_>> {
    match take(value)? {
        (tag, b"") => Some(tag),
        _ => None,
    }
}

/// The tags of one line of a list; members that are none are left out.
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

/// The member at the beginning, if it is a tag, and what follows it.
fn member(list: &[u8]) -> (Option<EntityTag<'_>>, &[u8]) {
    if let Some((tag, after)) = take(list)
        && matches!(trim(after).first(), None | Some(b','))
    {
        return (Some(tag), after);
    }
    (None, memchr::memchr(b',', list).map_or(b"", |comma| &list[comma..]))
}

/// The tag at the beginning, and what follows it.
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
    fn each_part_of_the_stamp_makes_another_tag() {
        assert_eq!(strong((1_600_000_000, 255), 1000, None), "\"5f5e1000-ff-3e8\"");
        assert_eq!(strong((1_600_000_000, 255), 1000, Some(0xab)), "\"5f5e1000-ff-3e8-ab\"");
        let stamps =
            [((0, 0), 0), ((1, 0), 0), ((0, 1), 0), ((0, 0), 1), ((-1, 0), 0), ((i64::MIN, 999_999_999), 1)];
        let tags: std::collections::HashSet<String> =
            stamps.map(|(mtime, size)| strong(mtime, size, None)).into();
        assert_eq!(tags.len(), stamps.len());
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
        // The table of RFC 9110 §8.8.3.2, as far as one side is strong.
        for (weak, opaque, strong_match, weak_match) in
            [(false, b"\"1\"", true, true), (true, b"\"1\"", false, true), (false, b"\"2\"", false, false)]
        {
            let tag = EntityTag { weak, opaque };
            assert_eq!(tag.matches(b"\"1\"", Comparison::Strong), strong_match);
            assert_eq!(tag.matches(b"\"1\"", Comparison::Weak), weak_match);
        }
    }
}
