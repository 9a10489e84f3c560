//! The entries of a directory, as they are read: name, kind, size and time of each.
//!
//! Reads no more than the caller allows, and counts the rest. Except for [`ListedDirectory::stamp`], all here
//! may wait for a disk.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::hidden::HiddenNames;
use super::memory::MemoryReservation;
use super::text;
use crate::store::open::Miss;
use crate::sys::file::{self, Kind, LinkPolicy, OpenError, Root, Stamp};

/// The most entries of a listing.
pub const MAX_ENTRIES: usize = 100_000;

/// Bytes of one entry in memory beside its name, and of its row in a page beside what its name takes there.
pub const ENTRY_BYTES: usize = 80 + 256;

/// Bytes of names that one system call reads.
const READ_AT_ONCE: usize = 32 << 10;

/// A directory to list.
#[derive(Clone, Debug)]
pub struct ListedDirectory {
    /// The directory, open.
    pub directory: Arc<OwnedFd>,
    /// The root that links are followed beneath.
    pub root: Arc<Root>,
    /// The path of the directory beneath it, without a slash at either end.
    pub path: Vec<u8>,
    /// The names that are left out.
    pub hidden: HiddenNames,
    /// Which links are followed.
    pub links: LinkPolicy,
}

/// How much of a directory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadLimit {
    /// So many names. Where there are more, the rest is not read.
    Short(usize),
    /// [`MAX_ENTRIES`] names, and the rest is counted.
    Whole,
}

/// The names in a directory.
#[derive(Debug, Default)]
pub struct DirectoryNames {
    /// Up to as many as asked for, in no order. The kind is `None` if the file system does not report it.
    list: Vec<(Box<[u8]>, Option<Kind>)>,
    /// How many more there are, as far as they were read.
    pub left_out: u64,
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The name.
    pub name: Box<[u8]>,
    /// The kind; of a link that of what it leads to.
    pub kind: ListedKind,
    /// The size in bytes, of a file.
    pub size: Option<u64>,
    /// The time of the last change, in seconds since 1970, if it is known.
    pub modified: Option<i64>,
}

/// The kinds of entries, as a client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// A directory, or a link to one.
    Directory,
    /// A regular file, or a link to one.
    File,
    /// A link that is not followed: it leads nowhere, outside the root, or to what is never served.
    Link,
    /// A FIFO, socket or device, which is never served.
    Other,
}

impl ListedKind {
    /// True if a request for it may get it.
    pub fn is_served(self) -> bool {
        matches!(self, ListedKind::Directory | ListedKind::File)
    }
}

impl DirectoryNames {
    /// How many names there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl ListedDirectory {
    /// The stamp of the directory as this kernel has it. It changes when a name comes or goes, but not when a
    /// file does.
    ///
    /// # Errors
    /// See [`Miss`].
    pub fn stamp(&self) -> Result<Stamp, Miss> {
        file::stat_cached(self.directory.as_fd()).map_err(|error| OpenError::from(error).into())
    }

    /// The first names in the order of the file system, as far as memory allows for their entries and rows:
    /// half of the memory of all listings at most.
    ///
    /// # Errors
    /// [`Miss::Overloaded`] if other listings take the memory, and see [`Miss`].
    pub fn names(&self, limit: ReadLimit, memory: &mut MemoryReservation) -> Result<DirectoryNames, Miss> {
        let most = match limit {
            ReadLimit::Short(most) => most,
            ReadLimit::Whole => MAX_ENTRIES,
        };
        let directory = file::reopen_directory(self.directory.as_fd())?;
        let mut buffer = vec![MaybeUninit::uninit(); READ_AT_ONCE];
        let mut names = DirectoryNames::default();
        let room = memory.room_of_one();
        let mut failed = None;
        loop {
            let more = file::entries(directory.as_fd(), &mut buffer, |name, kind| {
                if self.hidden.contains(name) {
                    return;
                }
                let bytes = (ENTRY_BYTES + name.len() + text::width(name)) as u64;
                if names.list.len() == most || memory.bytes() + bytes > room {
                    names.left_out += 1;
                    return;
                }
                failed = failed.or(memory.grow(bytes).err());
                if failed.is_none() {
                    names.list.push((name.into(), kind));
                }
            });
            if failed.is_some() {
                return Err(Miss::Overloaded);
            }
            let is_long = limit != ReadLimit::Whole && names.left_out > 0;
            if !more.map_err(OpenError::from)? || is_long {
                return Ok(names);
            }
        }
    }

    /// The entries of these names. What has gone meanwhile is left out.
    pub fn entries(&self, names: DirectoryNames) -> Vec<ListedEntry> {
        names.list.into_iter().filter_map(|(name, kind)| self.entry(name, kind)).collect()
    }

    fn entry(&self, name: Box<[u8]>, kind: Option<Kind>) -> Option<ListedEntry> {
        let (kind, stamp) = match file::stat_of(self.directory.as_fd(), &name) {
            Ok((Kind::Link, stamp)) => match self.follow(&name) {
                Some(found) => found,
                None => (ListedKind::Link, Some(stamp)),
            },
            Ok((kind, stamp)) => (listed(kind), Some(stamp)),
            Err(OpenError::Missing) => return None,
            // The names of a directory may be read that must not be searched.
            Err(_) => (kind.map_or(ListedKind::Other, listed), None),
        };
        let size = stamp.filter(|_| kind == ListedKind::File).map(|stamp| stamp.size);
        Some(ListedEntry { name, kind, size, modified: stamp.map(|stamp| stamp.mtime.0) })
    }

    /// What a link leads to, if that is served. It is looked up as a request would do.
    fn follow(&self, name: &[u8]) -> Option<(ListedKind, Option<Stamp>)> {
        let slash: &[u8] = if self.path.is_empty() { b"" } else { b"/" };
        let path = [&self.path, slash, name].concat();
        let (kind, stamp) = self.root.beneath(self.links).stat(&path).ok()?;
        Some((listed(kind), Some(stamp))).filter(|(kind, _)| kind.is_served())
    }
}

fn listed(kind: Kind) -> ListedKind {
    match kind {
        Kind::Regular => ListedKind::File,
        Kind::Directory => ListedKind::Directory,
        Kind::Link => ListedKind::Link,
        Kind::Special => ListedKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::{Path, PathBuf};

    use super::super::memory::ListingMemory;
    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("mayhttpd-entries-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("root/dir")).unwrap();
            Place(path)
        }

        fn directory(&self) -> ListedDirectory {
            let root = Root::open(&self.0.join("root")).unwrap();
            let directory = root.open_beneath(b"dir").unwrap();
            ListedDirectory {
                directory: Arc::new(directory),
                root: Arc::new(root),
                path: b"dir".to_vec(),
                hidden: HiddenNames::default(),
                links: LinkPolicy::Inside,
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The name, kind and size of each entry, in the order of the names.
    fn listed(directory: &ListedDirectory) -> Vec<(String, ListedKind, Option<u64>)> {
        let mut memory = ListingMemory::new(1 << 20).reserve();
        let names = directory.names(ReadLimit::Whole, &mut memory).unwrap();
        assert!(names.left_out == 0 && names.len() == memory.bytes() as usize / ENTRY_BYTES);
        let mut found: Vec<_> = directory
            .entries(names)
            .into_iter()
            .map(|entry| (String::from_utf8(entry.name.into()).unwrap(), entry.kind, entry.size))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    #[test]
    fn links_are_what_they_lead_to_beneath_the_root_and_nothing_beyond_it() {
        use ListedKind::{Directory, File, Link, Other};
        let place = Place::new("links");
        let at = |name: &str| place.0.join("root/dir").join(name);
        fs::write(place.0.join("outside"), "secret").unwrap();
        fs::write(place.0.join("root/upper"), "1234567").unwrap();
        fs::write(at("file"), "123").unwrap();
        fs::write(at(".hidden"), "").unwrap();
        fs::create_dir(at("sub")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (name, target) in [
            ("to-file", "file"),
            ("to-upper", "../upper"),
            ("to-sub", "sub"),
            ("to-root", ".."),
            ("to-outside", "../../outside"),
            ("to-absolute", "/etc/passwd"),
            ("to-nothing", "absent"),
            ("to-itself", "to-itself"),
            ("to-socket", "socket"),
        ] {
            symlink(Path::new(target), at(name)).unwrap();
        }
        let expected = [
            ("file", File, Some(3)),
            ("socket", Other, None),
            ("sub", Directory, None),
            ("to-absolute", Link, None),
            ("to-file", File, Some(3)),
            ("to-itself", Link, None),
            ("to-nothing", Link, None),
            ("to-outside", Link, None),
            ("to-root", Directory, None),
            ("to-socket", Link, None),
            ("to-sub", Directory, None),
            ("to-upper", File, Some(7)),
        ];
        let expected = expected.map(|(name, kind, size)| (name.to_owned(), kind, size));
        // The second time the same descriptor is read from its beginning as well.
        let directory = place.directory();
        assert_eq!(listed(&directory), expected);
        assert_eq!(listed(&directory), expected);
    }

    #[test]
    fn names_beyond_the_bounds_are_counted() {
        let place = Place::new("bounds");
        for number in 0..300 {
            fs::write(place.0.join(format!("root/dir/{number:0>3}")), "").unwrap();
        }
        let directory = place.directory();
        let of_one = (ENTRY_BYTES + 3 + 6) as u64;
        for (limit, bytes, names, left_out) in [
            (ReadLimit::Whole, u64::MAX, 300, 0),
            (ReadLimit::Short(300), u64::MAX, 300, 0),
            (ReadLimit::Short(299), u64::MAX, 299, 1),
            (ReadLimit::Whole, 200 * of_one, 100, 200),
            (ReadLimit::Whole, 1, 0, 300),
        ] {
            let memory = ListingMemory::new(bytes);
            let mut reservation = memory.reserve();
            let found = directory.names(limit, &mut reservation).unwrap();
            assert_eq!((found.len(), found.left_out), (names, left_out), "{limit:?} {bytes}");
            assert_eq!(reservation.bytes(), names as u64 * of_one);
        }
        // Others have the memory.
        let memory = ListingMemory::new(300 * of_one);
        let mut other = memory.reserve();
        other.grow(200 * of_one).unwrap();
        let refused = directory.names(ReadLimit::Whole, &mut memory.reserve());
        assert!(matches!(refused, Err(Miss::Overloaded)));
    }
}
