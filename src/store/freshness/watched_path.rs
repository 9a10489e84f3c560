//! The path from a root to a file or directory: each directory and symbolic link that the kernel passes, and
//! the end.
//!
//! Opens nothing for reading: what is served is what `store::open` opens. **Invariant:** the caller watches
//! an inode first; then the name is checked to still lead to it. Otherwise a change in between is missed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::file::{self, Kind, LinkPolicy, OpenError, Root, WalkRules, WalkedNode};
use crate::sys::inotify::WatchError;

/// Why a path was not followed to its end.
#[derive(Debug)]
pub enum PathError {
    /// An inode on the path could not be watched.
    Watch(WatchError),
    /// The path does not lead to a file or directory beneath the root, or changed while it was followed.
    Unreachable,
}

impl From<OpenError> for PathError {
    fn from(_: OpenError) -> PathError {
        PathError::Unreachable
    }
}

impl From<WatchError> for PathError {
    fn from(error: WatchError) -> PathError {
        PathError::Watch(error)
    }
}

/// Where a path leads.
pub enum PathEnd {
    /// To a regular file of this device and inode number.
    File((u64, u64)),
    /// To a directory; `None` is the root.
    Directory(Option<OwnedFd>),
}

/// Follows `path` from the root by way of these links, and calls `watch` with each inode on it and with its
/// end.
///
/// # Errors
/// See [`PathError`].
pub fn follow(
    root: &Root,
    (path, links): (&[u8], LinkPolicy),
    mut watch: impl FnMut(BorrowedFd<'_>, Kind) -> Result<(), WatchError>,
) -> Result<PathEnd, PathError> {
    watch(root.as_fd(), Kind::Directory)?;
    let rules =
        WalkRules { may_leave: links == LinkPolicy::Follow, same_owner: links == LinkPolicy::SameOwner };
    let end = file::walk(root.as_fd(), path, rules, |parent, name| watch_name(parent, name, &mut watch))?;
    match end.kind {
        Kind::Regular => Ok(PathEnd::File(end.identity)),
        Kind::Directory => Ok(PathEnd::Directory(end.node)),
        Kind::Link | Kind::Special => Err(PathError::Unreachable),
    }
}

/// Watches what `name` in `parent` leads to. Returns it with its kind, device and inode number.
fn watch_name(
    parent: BorrowedFd<'_>,
    name: &[u8],
    watch: &mut impl FnMut(BorrowedFd<'_>, Kind) -> Result<(), WatchError>,
) -> Result<WalkedNode, PathError> {
    let node = file::look_up(parent, name)?;
    let (kind, stamp) = file::stat(node.as_fd()).map_err(|_| PathError::Unreachable)?;
    watch(node.as_fd(), kind)?;
    if file::identity_of(parent, name)? != stamp.identity {
        return Err(PathError::Unreachable);
    }
    Ok((node, kind, stamp.identity))
}
