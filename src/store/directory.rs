//! Where a key leads: the directory that a location's files are in, and the path of a file beneath a root.
//!
//! Plain data; opens nothing.

use std::borrow::Cow;

use crate::store::cache::Key;
use crate::store::file_policy::FilePolicy;
use crate::sys::file::LinkPolicy;

/// The directory that the keys of some paths lead to.
#[derive(Debug)]
pub struct Directory {
    /// The number of the store's root: 0 is the site's own, the others are those of
    /// [`Settings::directories`](crate::config::Settings::directories).
    pub root: usize,
    /// How many bytes of a key stand for the root itself; the slash behind them is not counted.
    pub prefix_length: usize,
    /// The file that answers for a directory.
    pub index: Vec<u8>,
    /// True if files have variants in content codings beside them.
    pub precompressed: bool,
    /// True if files are compressed that have no variant.
    pub compress: bool,
    /// How the files are served.
    pub policy: FilePolicy,
}

impl Directory {
    /// The path beneath the root of the file that `key` leads to.
    pub fn file_path<'a>(&'a self, key: Key<'a>) -> FilePath<'a> {
        let rest = &key.path[self.prefix_length..];
        let rest = if self.prefix_length > 0 { rest.strip_prefix(b"/").unwrap_or(rest) } else { rest };
        FilePath { path: rest, index: key.is_directory.then_some(&self.index), links: self.policy.links }
    }
}

/// The path of a file beneath a root.
#[derive(Clone, Copy, Debug)]
pub struct FilePath<'a> {
    /// The path of the file, or of the directory whose index it is. No slash at either end; empty for the
    /// root itself.
    pub path: &'a [u8],
    /// The index file's name, where a directory was requested.
    pub index: Option<&'a [u8]>,
    /// The links that are followed on the way.
    pub links: LinkPolicy,
}

impl<'a> FilePath<'a> {
    /// The path with the index file's name.
    pub fn full(&self) -> Cow<'a, [u8]> {
        match self.index {
            None => self.path.into(),
            Some(index) if self.path.is_empty() => index.into(),
            Some(index) => [self.path, b"/", index].concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix_length: usize, (path, is_directory): (&str, bool), expected: &str) {
        let (index, policy) = (b"index.html".to_vec(), FilePolicy::default());
        let (precompressed, compress) = (true, false);
        let directory = Directory { root: 0, prefix_length, index, precompressed, compress, policy };
        let file_path = directory.file_path(Key { path: path.as_bytes(), is_directory });
        assert_eq!(file_path.full(), expected.as_bytes(), "{path:?}");
    }

    #[test]
    fn a_key_leads_to_the_path_behind_the_prefix() {
        check(0, ("a/b", false), "a/b");
        check(0, ("a/b", true), "a/b/index.html");
        check(0, ("", true), "index.html");
        check(1, ("a/b", false), "b");
        check(1, ("a/b", true), "b/index.html");
        check(1, ("a", true), "index.html");
        check(3, ("a/b/c/d", false), "c/d");
    }
}
