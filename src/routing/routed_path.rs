//! A site path cut into the segments that patterns compare.

use crate::http::target::SitePath;

/// A site path with the places where its first segments begin.
#[derive(Debug)]
pub(super) struct RoutedPath<'a> {
    path: &'a [u8],
    /// True if the path ends in a slash.
    pub(super) directory: bool,
    starts: Vec<usize>,
}

impl<'a> RoutedPath<'a> {
    /// Finds the first `depth` segments, and whether there are more.
    pub(super) fn new(path: &'a SitePath<'_>, depth: usize) -> RoutedPath<'a> {
        let bytes = path.as_bytes();
        let mut starts = Vec::new();
        if !bytes.is_empty() {
            starts.push(0);
            starts.extend(memchr::memchr_iter(b'/', bytes).take(depth).map(|slash| slash + 1));
        }
        RoutedPath { path: bytes, directory: path.is_directory(), starts }
    }

    /// The segment with this number, if the path has it.
    pub(super) fn segment(&self, number: usize) -> Option<&'a [u8]> {
        let rest = &self.path[*self.starts.get(number)?..];
        Some(&rest[..memchr::memchr(b'/', rest).unwrap_or(rest.len())])
    }

    /// All from the segment with this number on, without a slash at either end; empty if there is none.
    pub(super) fn rest(&self, number: usize) -> &'a [u8] {
        self.starts.get(number).map_or(b"", |&start| &self.path[start..])
    }

    /// True if the path has just this many segments. At most the depth is asked for.
    pub(super) fn ends_at(&self, segments: usize) -> bool {
        self.starts.len() == segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_found_up_to_the_depth() {
        let path = SitePath::parse(b"/a/bc/d/").unwrap();
        let routed = RoutedPath::new(&path, 2);
        assert_eq!((routed.segment(0), routed.segment(1)), (Some(b"a".as_slice()), Some(b"bc".as_slice())));
        assert_eq!((routed.rest(0), routed.rest(2), routed.rest(3)), (&b"a/bc/d"[..], &b"d"[..], &b""[..]));
        assert!(!routed.ends_at(2) && !routed.ends_at(1) && routed.directory);
        let routed = RoutedPath::new(&path, 3);
        assert!(routed.ends_at(3));
        let root = SitePath::parse(b"/").unwrap();
        let routed = RoutedPath::new(&root, 3);
        assert!(routed.ends_at(0) && routed.rest(0).is_empty() && routed.segment(0).is_none());
    }
}
