//! From a site path to what lies there: a file, a directory's index, a directory without one, or a refusal.
//!
//! Keeps nothing and renders nothing. The subtle rule: every open goes through `Root::open_beneath`, so no name and no
//! link leads outside the root, and what is not a regular file is closed unread.

use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};

use crate::http::target::SitePath;
use crate::sys::file::{self, Kind, OpenError, Root, Stamp};

/// The file that answers for a directory.
pub const INDEX: &[u8] = b"index.html";

/// What lies at a site path.
pub enum Found {
    /// A regular file, open, asked for by its own name or as a directory's index.
    File(OwnedFd, Stamp),
    /// A directory whose name was asked for without its slash.
    DirectoryWithoutSlash,
    /// A directory, open, that has no index.
    DirectoryWithoutIndex(OwnedFd),
}

/// Why nothing is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is nothing of that name.
    NotFound,
    /// It is there, but not to be read: permissions, a link that leads outside, no regular file.
    Forbidden,
    /// Descriptors or memory have run out for now.
    Exhausted,
    /// The disk or the file system failed.
    Failed,
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Refusal {
        match error {
            OpenError::Missing => Refusal::NotFound,
            OpenError::Denied | OpenError::Outside => Refusal::Forbidden,
            OpenError::Exhausted => Refusal::Exhausted,
            OpenError::Other(_) => Refusal::Failed,
        }
    }
}

/// Opens what lies at `path`.
///
/// # Errors
/// See [`Refusal`].
pub fn resolve(root: &Root, path: &SitePath<'_>) -> Result<Found, Refusal> {
    if path.is_directory() { index(root, path) } else { file(root, path) }
}

fn file(root: &Root, path: &SitePath<'_>) -> Result<Found, Refusal> {
    let opened = match root.open_beneath(path.as_bytes()) {
        // A directory that may be searched but not read still has its files.
        Err(OpenError::Denied) if root.is_directory(path.as_bytes()) => {
            return Ok(Found::DirectoryWithoutSlash);
        }
        opened => opened?,
    };
    match stat(&opened)? {
        (Kind::Regular, stamp) => Ok(Found::File(opened, stamp)),
        (Kind::Directory, _) => Ok(Found::DirectoryWithoutSlash),
        (Kind::Special | Kind::Link, _) => Err(Refusal::Forbidden),
    }
}

/// The name, beneath the root, of the file that answers for a path.
pub fn name_of<'a>(path: &'a SitePath<'_>) -> Cow<'a, [u8]> {
    if !path.is_directory() {
        return path.as_bytes().into();
    }
    let mut name = Vec::with_capacity(path.as_bytes().len() + 1 + INDEX.len());
    if !path.as_bytes().is_empty() {
        name.extend_from_slice(path.as_bytes());
        name.push(b'/');
    }
    name.extend_from_slice(INDEX);
    name.into()
}

fn index(root: &Root, path: &SitePath<'_>) -> Result<Found, Refusal> {
    match root.open_beneath(&name_of(path)) {
        Ok(opened) => match stat(&opened)? {
            (Kind::Regular, stamp) => Ok(Found::File(opened, stamp)),
            _ => Err(Refusal::Forbidden),
        },
        // Only an existing directory lacks an index; anything else is simply not there.
        Err(OpenError::Missing) => {
            let opened = root.open_beneath(path.as_bytes())?;
            match stat(&opened)? {
                (Kind::Directory, _) => Ok(Found::DirectoryWithoutIndex(opened)),
                _ => Err(Refusal::NotFound),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn stat(opened: &OwnedFd) -> Result<(Kind, Stamp), Refusal> {
    file::stat(opened.as_fd()).map_err(|_| Refusal::Failed)
}
