//! Which names lie beneath a root: what a look-up by bare name is answered from, and in which order.
//!
//! Plain data. It opens nothing, and what it is told it believes; [`upkeep`](super::upkeep) tells it. The subtle rule is
//! how one order serves a look-up: a file is kept as its name, a NUL and its path. NUL is in no name and below all other
//! bytes, so the files of a name stand together, in the byte order of their paths.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use crate::sys::file::Kind;
use crate::sys::inotify::Watch;

/// The names beneath one root. Paths are relative to it, without a slash at either end; its own is empty.
#[derive(Debug, Default)]
pub struct Names {
    /// Regular files and links, as said above.
    /// Invariant: each is in `files` of its directory, and there is no other there.
    found: BTreeMap<Box<[u8]>, Kind>,
    directories: BTreeMap<Arc<[u8]>, Directory>,
}

/// A directory that has been entered.
#[derive(Debug)]
pub struct Directory {
    /// Device and inode number.
    pub identity: (u64, u64),
    /// What its changes are reported by, where they are.
    pub watch: Option<Watch>,
    files: BTreeSet<Box<[u8]>>,
}

impl Names {
    /// Number of files, links and directories.
    pub fn len(&self) -> usize {
        self.found.len() + self.directories.len()
    }

    /// True when there is nothing, not even the root.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// The directory at a path, if it has been entered.
    pub fn directory(&self, path: &[u8]) -> Option<&Directory> {
        self.directories.get(path)
    }

    /// Takes a directory in that was not there.
    pub fn enter(&mut self, path: Arc<[u8]>, identity: (u64, u64), watch: Option<Watch>) {
        self.directories.insert(path, Directory { identity, watch, files: BTreeSet::new() });
    }

    /// Takes in a file or link of a directory that has been entered.
    pub fn put(&mut self, directory: &[u8], name: &[u8], kind: Kind) {
        let Some(parent) = self.directories.get_mut(directory) else { return };
        parent.files.insert(name.into());
        self.found.insert(key(name, &join(directory, name)), kind);
    }

    /// Takes out a file or link, if it is there.
    pub fn take_out(&mut self, directory: &[u8], name: &[u8]) {
        let Some(parent) = self.directories.get_mut(directory) else { return };
        if parent.files.remove(name) {
            self.found.remove(&key(name, &join(directory, name)));
        }
    }

    /// Takes out a directory with all that is beneath it, up to `most` of it, and returns how many that were; fewer than
    /// `most` means that nothing is left. `left` is given the path and watch of each directory.
    pub fn take_out_some(
        &mut self,
        path: &[u8],
        most: usize,
        mut left: impl FnMut(&Arc<[u8]>, Option<Watch>),
    ) -> usize {
        let mut count = 0;
        while count < most
            && let Some(last) = self.last_beneath(path)
        {
            let Some(directory) = self.directories.get_mut(&last) else { break };
            count += 1;
            if let Some(name) = directory.files.pop_last() {
                self.found.remove(&key(&name, &join(&last, &name)));
            } else if let Some(directory) = self.directories.remove(&last) {
                left(&last, directory.watch);
            }
        }
        count
    }

    /// The last directory beneath one, itself where there is no other.
    fn last_beneath(&self, path: &[u8]) -> Option<Arc<[u8]>> {
        if path.is_empty() {
            return self.directories.last_key_value().map(|(path, _)| Arc::clone(path));
        }
        // The byte behind the slash is where paths begin that lie beneath it no more.
        let (start, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        let beneath = (Included(&*start), Excluded(&*end));
        let last = self.directories.range::<[u8], _>(beneath).next_back();
        last.or_else(|| self.directories.get_key_value(path)).map(|(path, _)| Arc::clone(path))
    }

    /// The path and kind of the first file of this name, or of the first one behind the path `after`.
    pub fn first(&self, name: &[u8], after: Option<&[u8]>) -> Option<(&[u8], Kind)> {
        let start = key(name, after.unwrap_or_default());
        let start = if after.is_some() { Excluded(&*start) } else { Included(&*start) };
        let (found, kind) = self.found.range::<[u8], _>((start, Unbounded)).next()?;
        let path = found.strip_prefix(name)?.strip_prefix(b"\0")?;
        Some((path, *kind))
    }
}

/// The path of a name in a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

fn key(name: &[u8], path: &[u8]) -> Box<[u8]> {
    [name, b"\0", path].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The directories and files of these paths, in this order; a directory's path ends with a slash.
    fn names(paths: &[&str]) -> Names {
        let mut names = Names::default();
        names.enter(b"".as_slice().into(), (1, 0), Some(0));
        for (number, path) in (1..).zip(paths) {
            match path.strip_suffix('/') {
                Some(directory) => names.enter(directory.as_bytes().into(), (1, 0), Some(number)),
                None => {
                    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                    names.put(directory.as_bytes(), name.as_bytes(), Kind::Regular);
                }
            }
        }
        names
    }

    /// All files of a name.
    fn all(names: &Names, name: &str) -> Vec<String> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        while let Some((path, _)) = names.first(name.as_bytes(), paths.last().map(|path| &**path)) {
            paths.push(path.to_vec());
        }
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn the_files_of_a_name_come_in_the_byte_order_of_their_paths() {
        let names = names(&[
            "b/", "b/x", "a/", "a.b/", "a.b/x", "a/x", "a/x.y", "xx", "x", "a/y/", "a/y/x", "Z/", "Z/x",
        ]);
        assert_eq!(all(&names, "x"), ["Z/x", "a.b/x", "a/x", "a/y/x", "b/x", "x"]);
        assert_eq!(all(&names, "xx"), ["xx"]);
        assert_eq!(all(&names, "x.y"), ["a/x.y"]);
        for none in ["y", "a", "", "X", "a/x", "x\0", "x\0a"] {
            assert!(names.first(none.as_bytes(), None).is_none(), "{none:?}");
        }
        assert_eq!(names.len(), 8 + 6);
    }

    #[test]
    fn a_name_is_bytes() {
        let mut names = names(&["a/"]);
        for name in [b"\xff\x01".as_slice(), b"\xff", b"%41", b" "] {
            names.put(b"a", name, Kind::Link);
            assert_eq!(names.first(name, None), Some((&*join(b"a", name), Kind::Link)));
        }
        assert!(names.first(b"A", None).is_none() && names.first(b"\xfe", None).is_none());
    }

    #[test]
    fn what_is_taken_out_is_found_no_more() {
        let mut names = names(&["a/", "a/x", "b/", "b/x", "x"]);
        names.take_out(b"a", b"x");
        names.take_out(b"a", b"x");
        names.take_out(b"", b"nothing");
        names.take_out(b"nowhere", b"x");
        assert_eq!(all(&names, "x"), ["b/x", "x"]);
        names.put(b"nowhere", b"x", Kind::Regular);
        assert_eq!(all(&names, "x"), ["b/x", "x"], "what has no directory is not taken in");
        // Twice is once.
        names.put(b"a", b"x", Kind::Regular);
        names.put(b"a", b"x", Kind::Link);
        assert_eq!(names.first(b"x", None), Some((b"a/x".as_slice(), Kind::Link)));
        assert_eq!(names.len(), 6);
    }

    #[test]
    fn a_directory_leaves_with_all_beneath_it_and_nothing_beside_it() {
        let paths = [
            "a/", "a/x", "a/b/", "a/b/x", "a/b/c/", "a/b/c/x", "a.b/", "a.b/x", "a/b.c/", "a/b.c/x", "a/b0/",
            "a/b0/x",
        ];
        for (gone, left, watches) in [
            ("a/b", &["a.b/x", "a/b.c/x", "a/b0/x", "a/x"][..], &[5, 3][..]),
            ("a", &["a.b/x"], &[11, 5, 3, 9, 1]),
            ("", &[], &[11, 5, 3, 9, 7, 1, 0]),
            ("a/none", &["a.b/x", "a/b.c/x", "a/b/c/x", "a/b/x", "a/b0/x", "a/x"], &[]),
        ] {
            for most in [1, 2, 3, 100] {
                let mut names = names(&paths);
                let mut ended = Vec::new();
                while names.take_out_some(gone.as_bytes(), most, |_, watch| ended.extend(watch)) == most {}
                assert_eq!(all(&names, "x"), left, "{gone}, {most}");
                assert_eq!(names.found.len(), left.len());
                assert_eq!(names.directories.len(), 7 - watches.len());
                ended.sort_unstable();
                let mut watches = watches.to_vec();
                watches.sort_unstable();
                assert_eq!(ended, watches, "{gone}, {most}");
            }
        }
    }

    /// A model that looks at all paths each time agrees with it through a long random history.
    #[test]
    fn it_agrees_with_a_list_of_paths() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound).unwrap()
        };
        let directories = ["", "a", "a/b", "a.b", "a/b/c", "b", "a/b0"];
        let files = ["x", "y", "b"];
        let mut names = Names::default();
        let mut model: BTreeSet<(String, String)> = BTreeSet::new();
        let mut entered: BTreeSet<&str> = BTreeSet::new();
        for _ in 0..20_000 {
            let directory = directories[below(directories.len() as u64)];
            let file = files[below(3)];
            match below(6) {
                0 if !entered.contains(directory) => {
                    entered.insert(directory);
                    names.enter(directory.as_bytes().into(), (0, 0), None);
                }
                1..=3 if entered.contains(directory) => {
                    names.put(directory.as_bytes(), file.as_bytes(), Kind::Regular);
                    model.insert((directory.to_owned(), file.to_owned()));
                }
                4 => {
                    names.take_out(directory.as_bytes(), file.as_bytes());
                    model.remove(&(directory.to_owned(), file.to_owned()));
                }
                5 if below(8) == 0 => {
                    while names.take_out_some(directory.as_bytes(), 2, |_, _| {}) == 2 {}
                    let is_beneath = |other: &str| {
                        directory.is_empty()
                            || other == directory
                            || other.starts_with(&format!("{directory}/"))
                    };
                    entered.retain(|other| !is_beneath(other));
                    model.retain(|(other, _)| !is_beneath(other));
                }
                _ => {}
            }
            let mut expected: Vec<String> = model
                .iter()
                .filter(|(_, name)| name == file)
                .map(|(directory, name)| {
                    String::from_utf8(join(directory.as_bytes(), name.as_bytes())).unwrap()
                })
                .collect();
            expected.sort_unstable();
            assert_eq!(all(&names, file), expected);
            assert_eq!(names.len(), model.len() + entered.len());
        }
    }
}
