//! The way from the root to a file or directory: each directory and symbolic link that the kernel passes, and its end.
//!
//! Opens nothing to be read: what is served is what `resolve.rs` opens. The subtle rule: what lies on the way is seen
//! first and only then held to be there, so that no later change of it can be missed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::file::{self, Kind, OpenError, Root};
use crate::sys::inotify::WatchError;

/// The most links that the kernel follows in one look-up (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// Why a trail ended early.
#[derive(Debug)]
pub enum Astray {
    /// Something on the way could not be watched.
    Watch(WatchError),
    /// It does not lead to a file or directory beneath the root, or changed under way.
    Nowhere,
}

impl From<OpenError> for Astray {
    fn from(_: OpenError) -> Astray {
        Astray::Nowhere
    }
}

impl From<WatchError> for Astray {
    fn from(error: WatchError) -> Astray {
        Astray::Watch(error)
    }
}

/// Follows `path` from the root and has `see` see all that lies on the way and at its end. Returns the device and inode
/// number of the regular file that it leads to; none for a directory.
///
/// # Errors
/// See [`Astray`].
pub fn follow(
    root: &Root,
    path: &[u8],
    mut see: impl FnMut(BorrowedFd<'_>, Kind) -> Result<(), WatchError>,
) -> Result<Option<(u64, u64)>, Astray> {
    see(root.as_fd(), Kind::Directory)?;
    let mut passed: Vec<OwnedFd> = Vec::new();
    let mut names = Vec::new();
    push_names(&mut names, path);
    let mut links = 0;
    while let Some(name) = names.pop() {
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                passed.pop().ok_or(Astray::Nowhere)?;
                continue;
            }
            _ => {}
        }
        let directory = passed.last().map_or(root.as_fd(), AsFd::as_fd);
        let node = file::look_up(directory, &name)?;
        let (kind, stamp) = file::stat(node.as_fd()).map_err(|_| Astray::Nowhere)?;
        see(node.as_fd(), kind)?;
        if file::identity_of(directory, &name)? != stamp.identity {
            return Err(Astray::Nowhere);
        }
        match kind {
            Kind::Directory => passed.push(node),
            Kind::Link if links < MAX_LINKS => {
                links += 1;
                let target = file::target(node.as_fd())?;
                if target.first() == Some(&b'/') {
                    return Err(Astray::Nowhere);
                }
                push_names(&mut names, &target);
            }
            Kind::Regular if names.iter().all(Vec::is_empty) => return Ok(Some(stamp.identity)),
            Kind::Regular | Kind::Link | Kind::Special => return Err(Astray::Nowhere),
        }
    }
    Ok(None)
}

/// Puts the names of a path on the stack, the first on top.
fn push_names(names: &mut Vec<Vec<u8>>, path: &[u8]) {
    names.extend(path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
}
