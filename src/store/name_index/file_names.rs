//! The files beneath one root, by name: what a search for a name needs.
//!
//! Plain data that opens nothing. A file is stored under its name, a NUL and its path. NUL is in no name and
//! sorts before all other bytes, so the files of one name stand together, in the byte order of their paths.
//!
//! A clone is a snapshot: later changes of the original don't show in it. The files are in parts, and the
//! parts in groups. Both share each of them until the original changes a file in it. So a snapshot of many
//! names costs little, and so does the first change after it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use super::path::join;
use crate::sys::file::Kind;

/// Groups of parts, and parts in each group. A snapshot copies one pointer a group. The first change in a
/// part after that copies a group's pointers and the part: of 200,000 names 12, of 10,000,000 names 610.
const GROUPS: usize = 128;
const PARTS: usize = 128;

/// Name, NUL and path of a file.
pub type FileKey = Arc<[u8]>;

/// Regular files and links, by name and path.
#[derive(Clone, Debug)]
pub struct FileNames {
    /// All files of a name are in the same part.
    groups: Vec<Arc<Group>>,
    len: usize,
}

type Group = Vec<Arc<Part>>;

type Part = BTreeMap<FileKey, Kind>;

impl Default for FileNames {
    fn default() -> FileNames {
        let group = Arc::new(vec![Arc::default(); PARTS]);
        FileNames { groups: vec![group; GROUPS], len: 0 }
    }
}

impl FileNames {
    /// Number of files and links.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a file, or changes its kind.
    pub fn insert(&mut self, key: FileKey, kind: Kind) {
        let added = self.part_mut(name_of(&key)).insert(key, kind).is_none();
        self.len += usize::from(added);
    }

    /// Removes a file, if it is there.
    pub fn remove(&mut self, key: &[u8]) {
        let removed = self.part_mut(name_of(key)).remove(key).is_some();
        self.len -= usize::from(removed);
    }

    fn part_mut(&mut self, name: &[u8]) -> &mut Part {
        let (group, part) = position(name);
        Arc::make_mut(&mut Arc::make_mut(&mut self.groups[group])[part])
    }

    /// The path and kind of the first file of this name, or of the first after the path `after`.
    pub fn first(&self, name: &[u8], after: Option<&[u8]>) -> Option<(&[u8], Kind)> {
        let start = [name, b"\0", after.unwrap_or_default()].concat();
        let start = if after.is_some() { Excluded(&*start) } else { Included(&*start) };
        let (group, part) = position(name);
        let (found, kind) = self.groups[group][part].range::<[u8], _>((start, Unbounded)).next()?;
        let path = found.strip_prefix(name)?.strip_prefix(b"\0")?;
        Some((path, *kind))
    }
}

/// The key of a file by its directory's path and its name.
pub fn key(directory: &[u8], name: &[u8]) -> FileKey {
    [name, b"\0", &join(directory, name)].concat().into()
}

fn name_of(key: &[u8]) -> &[u8] {
    &key[..memchr::memchr(0, key).unwrap_or(key.len())]
}

/// The group and the part of a name.
fn position(name: &[u8]) -> (usize, usize) {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    let hash = hasher.finish() as usize;
    (hash / PARTS % GROUPS, hash % PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[(&str, &str)]) -> FileNames {
        let mut names = FileNames::default();
        for (directory, name) in files {
            names.insert(key(directory.as_bytes(), name.as_bytes()), Kind::Regular);
        }
        names
    }

    /// All paths of a name.
    fn all(names: &FileNames, name: &str) -> Vec<String> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        while let Some((path, _)) = names.first(name.as_bytes(), paths.last().map(|path| &**path)) {
            paths.push(path.to_vec());
        }
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn the_files_of_a_name_come_in_the_byte_order_of_their_paths() {
        let names = names(&[
            ("b", "x"),
            ("a.b", "x"),
            ("a", "x"),
            ("a", "x.y"),
            ("", "xx"),
            ("", "x"),
            ("a/y", "x"),
            ("Z", "x"),
        ]);
        assert_eq!(all(&names, "x"), ["Z/x", "a.b/x", "a/x", "a/y/x", "b/x", "x"]);
        assert_eq!(all(&names, "xx"), ["xx"]);
        assert_eq!(all(&names, "x.y"), ["a/x.y"]);
        for none in ["y", "a", "", "X", "a/x", "x\0", "x\0a"] {
            assert!(names.first(none.as_bytes(), None).is_none(), "{none:?}");
        }
        assert_eq!(names.len(), 8);
    }

    #[test]
    fn a_name_is_bytes() {
        let mut names = FileNames::default();
        for name in [b"\xff\x01".as_slice(), b"\xff", b"%41", b" "] {
            names.insert(key(b"a", name), Kind::Link);
            assert_eq!(names.first(name, None), Some((&*join(b"a", name), Kind::Link)));
        }
        assert!(names.first(b"A", None).is_none() && names.first(b"\xfe", None).is_none());
    }

    #[test]
    fn a_snapshot_keeps_what_it_had_and_shares_all_parts_without_a_change() {
        let mut names = FileNames::default();
        for number in 0..10_000 {
            names.insert(key(b"a", format!("{number}").as_bytes()), Kind::Regular);
        }
        let snapshot = names.clone();
        names.remove(&key(b"a", b"17"));
        names.remove(&key(b"a", b"17"));
        names.insert(key(b"b", b"17"), Kind::Link);
        names.insert(key(b"b", b"17"), Kind::Regular);
        assert_eq!((all(&snapshot, "17"), snapshot.len()), (vec!["a/17".to_owned()], 10_000));
        assert_eq!((all(&names, "17"), names.len()), (vec!["b/17".to_owned()], 10_000));
        let groups = names.groups.iter().zip(&snapshot.groups);
        assert_eq!(groups.filter(|(one, other)| Arc::ptr_eq(one, other)).count(), GROUPS - 1);
        let group = position(b"17").0;
        let parts = names.groups[group].iter().zip(&*snapshot.groups[group]);
        assert_eq!(parts.filter(|(one, other)| Arc::ptr_eq(one, other)).count(), PARTS - 1);
    }
}
