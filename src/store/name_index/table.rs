//! The table of a name index: which directories lie beneath a root, and which files are in each.
//!
//! Plain data that opens nothing; [`Updater`](super::updater::Updater) fills it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use super::file_names::{FileKey, FileNames, key};
use crate::sys::file::Kind;
use crate::sys::inotify::WatchId;

/// The names beneath one root.
#[derive(Debug, Default)]
pub struct NameTable {
    /// Invariant: it has exactly the files that `directories` have.
    files: FileNames,
    directories: BTreeMap<Arc<[u8]>, IndexedDirectory>,
}

/// A directory in the table.
#[derive(Debug)]
pub struct IndexedDirectory {
    /// Device and inode number.
    pub identity: (u64, u64),
    /// The watch that reports its changes, if there is one.
    pub watch: Option<WatchId>,
    files: BTreeSet<FileKey>,
}

impl NameTable {
    /// Number of files, links and directories.
    pub fn len(&self) -> usize {
        self.files.len() + self.directories.len()
    }

    /// The files and links.
    pub fn files(&self) -> &FileNames {
        &self.files
    }

    /// The directory at a path.
    pub fn directory(&self, path: &[u8]) -> Option<&IndexedDirectory> {
        self.directories.get(path)
    }

    /// Adds a directory that was not there, without files.
    pub fn add_directory(&mut self, path: Arc<[u8]>, identity: (u64, u64), watch: Option<WatchId>) {
        self.directories.insert(path, IndexedDirectory { identity, watch, files: BTreeSet::new() });
    }

    /// Adds a file or link. Does nothing if its directory is not in the table.
    pub fn add_file(&mut self, directory: &[u8], name: &[u8], kind: Kind) {
        let Some(parent) = self.directories.get_mut(directory) else { return };
        let key = key(directory, name);
        parent.files.insert(Arc::clone(&key));
        self.files.insert(key, kind);
    }

    /// Removes a file or link, if it is there.
    pub fn remove_file(&mut self, directory: &[u8], name: &[u8]) {
        let Some(parent) = self.directories.get_mut(directory) else { return };
        let key = key(directory, name);
        if parent.files.remove(&*key) {
            self.files.remove(&key);
        }
    }

    /// Removes a directory with all beneath it. Calls `on_removed` with the path and watch of each directory
    /// removed.
    pub fn remove_directory(&mut self, path: &[u8], mut on_removed: impl FnMut(&Arc<[u8]>, Option<WatchId>)) {
        while let Some(last) = self.last_beneath(path)
            && let Some(directory) = self.directories.remove(&last)
        {
            directory.files.iter().for_each(|key| self.files.remove(key));
            on_removed(&last, directory.watch);
        }
    }

    /// The last directory beneath a path, or the one at the path if there is no other.
    fn last_beneath(&self, path: &[u8]) -> Option<Arc<[u8]>> {
        if path.is_empty() {
            return self.directories.last_key_value().map(|(path, _)| Arc::clone(path));
        }
        // '0' is the byte after '/', so it begins the first path that is not beneath this one.
        let (start, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        let beneath = (Included(&*start), Excluded(&*end));
        let last = self.directories.range::<[u8], _>(beneath).next_back();
        last.or_else(|| self.directories.get_key_value(path)).map(|(path, _)| Arc::clone(path))
    }
}

#[cfg(test)]
mod tests {
    use super::super::path::join;
    use super::*;

    /// A table of these directories and files, added in this order. A directory's path ends with a slash.
    fn table(paths: &[&str]) -> NameTable {
        let mut table = NameTable::default();
        table.add_directory(b"".as_slice().into(), (1, 0), Some(0));
        for (number, path) in (1..).zip(paths) {
            match path.strip_suffix('/') {
                Some(directory) => table.add_directory(directory.as_bytes().into(), (1, 0), Some(number)),
                None => {
                    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                    table.add_file(directory.as_bytes(), name.as_bytes(), Kind::Regular);
                }
            }
        }
        table
    }

    /// All files of a name.
    fn all(table: &NameTable, name: &str) -> Vec<String> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        while let Some((path, _)) = table.files.first(name.as_bytes(), paths.last().map(|path| &**path)) {
            paths.push(path.to_vec());
        }
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn a_removed_file_is_not_found() {
        let mut table = table(&["a/", "a/x", "b/", "b/x", "x"]);
        table.remove_file(b"a", b"x");
        table.remove_file(b"a", b"x");
        table.remove_file(b"", b"nothing");
        table.remove_file(b"nowhere", b"x");
        assert_eq!(all(&table, "x"), ["b/x", "x"]);
        table.add_file(b"nowhere", b"x", Kind::Regular);
        assert_eq!(all(&table, "x"), ["b/x", "x"], "a file without its directory is not added");
        // Twice is once.
        table.add_file(b"a", b"x", Kind::Regular);
        table.add_file(b"a", b"x", Kind::Link);
        assert_eq!(table.files.first(b"x", None), Some((b"a/x".as_slice(), Kind::Link)));
        assert_eq!(table.len(), 6);
    }

    #[test]
    fn a_directory_is_removed_with_all_beneath_it_and_nothing_beside_it() {
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
            let mut table = table(&paths);
            let mut ended = Vec::new();
            table.remove_directory(gone.as_bytes(), |_, watch| ended.extend(watch));
            assert_eq!(all(&table, "x"), left, "{gone}");
            assert_eq!(table.files.len(), left.len());
            assert_eq!(table.directories.len(), 7 - watches.len());
            ended.sort_unstable();
            let mut watches = watches.to_vec();
            watches.sort_unstable();
            assert_eq!(ended, watches, "{gone}");
        }
    }

    /// A list of paths that is searched whole each time agrees with the table through a long random history.
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
        let mut table = NameTable::default();
        let mut model: BTreeSet<(String, String)> = BTreeSet::new();
        let mut entered: BTreeSet<&str> = BTreeSet::new();
        for _ in 0..20_000 {
            let directory = directories[below(directories.len() as u64)];
            let file = files[below(3)];
            match below(6) {
                0 if !entered.contains(directory) => {
                    entered.insert(directory);
                    table.add_directory(directory.as_bytes().into(), (0, 0), None);
                }
                1..=3 if entered.contains(directory) => {
                    table.add_file(directory.as_bytes(), file.as_bytes(), Kind::Regular);
                    model.insert((directory.to_owned(), file.to_owned()));
                }
                4 => {
                    table.remove_file(directory.as_bytes(), file.as_bytes());
                    model.remove(&(directory.to_owned(), file.to_owned()));
                }
                5 if below(8) == 0 => {
                    table.remove_directory(directory.as_bytes(), |_, _| {});
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
            assert_eq!(all(&table, file), expected);
            assert_eq!(table.len(), model.len() + entered.len());
        }
    }
}
