//! A tree on a slow disk, and servers whose files lie there.
//!
//! A test process must not look at the mount while it is held, and a process that waits for it can't be
//! killed. So the disk stands before the server in whatever holds both: it is dropped first.

use std::sync::Arc;
use std::time::Duration;

use super::slow_files::{Caching, Operation, SlowFiles, unavailable};
use super::{Tree, container, eventually, skipped};

/// A tree that is seen through a slow disk.
pub struct SlowDisk {
    files: SlowFiles,
    /// Where it is mounted; removed after the mount.
    _mounted: Tree,
    tree: Arc<Tree>,
}

/// True where a slow disk can be had; otherwise false, with a plain word, unless REQUIRE_FUSE=1 says that
/// there has to be one.
#[track_caller]
pub fn can_be_slow(test: &str) -> bool {
    if container::image().is_some() {
        return !skipped(test, "a container does not see the file system of a test");
    }
    let Some(why) = unavailable() else { return true };
    let required = std::env::var_os("REQUIRE_FUSE").is_some_and(|value| value == "1");
    assert!(!required, "REQUIRE_FUSE=1, but {why}");
    !skipped(test, &why)
}

impl SlowDisk {
    /// Mounts a tree; the disk is as quick as any other until it is told to be slow.
    #[track_caller]
    pub fn of(tree: impl Into<Arc<Tree>>, caching: Caching) -> Self {
        let (tree, mounted) = (tree.into(), Tree::empty());
        let files = SlowFiles::mount(tree.path(), mounted.path(), caching, Duration::ZERO).unwrap();
        Self { files, _mounted: mounted, tree }
    }

    /// The tree itself, past the disk.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Waits until so many operations wait for the disk.
    #[track_caller]
    pub fn until_waiting(&self, count: usize) {
        let what = format!("{count} operations wait for the disk");
        eventually(&what, || (self.files.waiting() >= count).then_some(()));
    }

    /// Waits until an operation on this file has been asked for.
    #[track_caller]
    pub fn until_asked(&self, operation: Operation, path: &str) {
        let what = format!("{operation:?} of {path} is asked for");
        eventually(&what, || (self.files.count_of(operation, path) > 0).then_some(()));
    }
}

impl std::ops::Deref for SlowDisk {
    type Target = SlowFiles;

    fn deref(&self) -> &SlowFiles {
        &self.files
    }
}
