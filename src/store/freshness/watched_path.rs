//! The path from a root to a file or directory: each directory and symbolic link that the kernel passes, and
//! the end.
//!
//! Opens nothing for reading: what is served is what `store::open` opens. **Invariant:** the caller watches
//! an inode first; then the name is checked to still lead to it. Otherwise a change in between is missed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::file::{self, Kind, OpenError, Root};
use crate::sys::inotify::WatchError;

/// The most links that the kernel follows in one look-up (path_resolution(7)).
const MAX_LINKS: u32 = 40;

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

/// Follows `path` from the root and calls `watch` with each inode on it and with its end.
///
/// # Errors
/// See [`PathError`].
pub fn follow(
    root: &Root,
    path: &[u8],
    mut watch: impl FnMut(BorrowedFd<'_>, Kind) -> Result<(), WatchError>,
) -> Result<PathEnd, PathError> {
    watch(root.as_fd(), Kind::Directory)?;
    let mut parents: Vec<OwnedFd> = Vec::new();
    let mut names = Vec::new();
    push_names(&mut names, path);
    let mut links = 0;
    while let Some(name) = names.pop() {
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                parents.pop().ok_or(PathError::Unreachable)?;
                continue;
            }
            _ => {}
        }
        let parent = parents.last().map_or(root.as_fd(), AsFd::as_fd);
        let (node, kind, identity) = watch_name(parent, &name, &mut watch)?;
        match kind {
            Kind::Directory => parents.push(node),
            Kind::Link if links < MAX_LINKS => {
                links += 1;
                let target = file::target(node.as_fd())?;
                if target.first() == Some(&b'/') {
                    return Err(PathError::Unreachable);
                }
                push_names(&mut names, &target);
            }
            Kind::Regular if names.iter().all(Vec::is_empty) => return Ok(PathEnd::File(identity)),
            Kind::Regular | Kind::Link | Kind::Special => return Err(PathError::Unreachable),
        }
    }
    Ok(PathEnd::Directory(parents.pop()))
}

/// Watches what `name` in `parent` leads to. Returns it with its kind, device and inode number.
fn watch_name(
    parent: BorrowedFd<'_>,
    name: &[u8],
    watch: &mut impl FnMut(BorrowedFd<'_>, Kind) -> Result<(), WatchError>,
) -> Result<(OwnedFd, Kind, (u64, u64)), PathError> {
    let node = file::look_up(parent, name)?;
    let (kind, stamp) = file::stat(node.as_fd()).map_err(|_| PathError::Unreachable)?;
    watch(node.as_fd(), kind)?;
    if file::identity_of(parent, name)? != stamp.identity {
        return Err(PathError::Unreachable);
    }
    Ok((node, kind, stamp.identity))
}

/// Pushes the names of a path on a stack, the first on top.
fn push_names(names: &mut Vec<Vec<u8>>, path: &[u8]) {
    names.extend(path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
}
