//! From a site path to what lies there: a file, a directory's index, a directory without one, or a refusal.
//!
//! Keeps nothing and renders nothing. The subtle rule: every open goes through `Root::open_beneath`, so no name and no
//! link leads outside the root, and what is not a regular file is closed unread.

use std::borrow::Cow;
use std::os::fd::{AsFd, OwnedFd};

use super::cache::Key;
use crate::sys::file::{self, Kind, OpenError, Root, Stamp};

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

/// What is looked for beneath a root.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The path there, without a slash at either end; empty for the root itself.
    pub path: &'a [u8],
    /// The file that answers where a directory was asked for, or none where a file was.
    pub index: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    /// What a path leads to whose first `at` bytes, with the slash behind them, lead to the root itself; a directory is
    /// answered for by `index`.
    pub fn of(key: Key<'a>, at: usize, index: &'a [u8]) -> Wanted<'a> {
        let rest = &key.path[at..];
        let rest = if at > 0 { rest.strip_prefix(b"/").unwrap_or(rest) } else { rest };
        Wanted { path: rest, index: key.is_directory.then_some(index) }
    }

    /// The name, beneath the root, of the file that answers.
    pub fn name(&self) -> Cow<'a, [u8]> {
        match self.index {
            None => self.path.into(),
            Some(index) if self.path.is_empty() => index.into(),
            Some(index) => [self.path, b"/", index].concat().into(),
        }
    }
}

/// Opens what is wanted.
///
/// # Errors
/// See [`Refusal`].
pub fn resolve(root: &Root, wanted: &Wanted<'_>) -> Result<Found, Refusal> {
    if wanted.index.is_some() { index(root, wanted) } else { file(root, wanted.path) }
}

fn file(root: &Root, path: &[u8]) -> Result<Found, Refusal> {
    let opened = match root.open_beneath(path) {
        // A directory that may be searched but not read still has its files.
        Err(OpenError::Denied) if root.is_directory(path) => {
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

fn index(root: &Root, wanted: &Wanted<'_>) -> Result<Found, Refusal> {
    match root.open_beneath(&wanted.name()) {
        Ok(opened) => match stat(&opened)? {
            (Kind::Regular, stamp) => Ok(Found::File(opened, stamp)),
            _ => Err(Refusal::Forbidden),
        },
        // Only an existing directory lacks an index; anything else is simply not there.
        Err(OpenError::Missing) => {
            let opened = root.open_beneath(wanted.path)?;
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
