//! A directory that a generation serves, open, and the path that it was opened by.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{self, Settings};
use crate::error::StartupError;
use crate::sys::file::Root;
use crate::sys::filesystem;

/// A directory's device and inode number.
pub type Inode = (u64, u64);

/// A root as it was when it was opened, and its path.
pub struct OpenRoot {
    /// The directory.
    pub directory: Root,
    /// The path that it was opened by.
    pub path: PathBuf,
    /// False if to open the path may wait for a network.
    pub local: bool,
    inode: Inode,
}

impl OpenRoot {
    /// Opens what a path leads to.
    ///
    /// # Errors
    /// [`StartupError::Root`] with the path.
    pub fn open(path: &Path) -> Result<OpenRoot, StartupError> {
        let root = Root::open(path).and_then(|directory| OpenRoot::new(directory, path));
        root.map_err(|source| StartupError::Root { path: path.to_owned(), source })
    }

    /// A root from an open directory, and the path that led to it.
    ///
    /// # Errors
    /// What fstat(2) says.
    pub fn new(directory: Root, path: &Path) -> io::Result<OpenRoot> {
        let inode = directory.identity()?;
        Ok(OpenRoot { directory, inode, local: filesystem::path_is_local(path), path: path.to_owned() })
    }

    /// The same directory by a second descriptor. The path is not followed.
    ///
    /// # Errors
    /// What fcntl(2) says, such as `EMFILE`.
    pub fn try_clone(&self) -> io::Result<OpenRoot> {
        let directory = self.directory.try_clone()?;
        Ok(OpenRoot { directory, path: self.path.clone(), local: self.local, inode: self.inode })
    }

    /// The directory that the path leads to now, and the path. If it can't be opened, the open directory.
    pub fn reopened(self) -> (Root, PathBuf) {
        (Root::open(&self.path).unwrap_or(self.directory), self.path)
    }

    /// The directory's device and inode number.
    pub fn inode(&self) -> Inode {
        self.inode
    }
}

/// Opens the site's root, if it has one, then the directories of locations in the order of
/// [`Settings::directories`].
///
/// # Errors
/// [`StartupError::Root`] for the first that can't be opened.
pub fn open_roots(settings: &Settings) -> Result<Vec<OpenRoot>, StartupError> {
    let own = match &settings.root {
        config::SiteRoot::Directory(path) => Some(path.as_path()),
        config::SiteRoot::Welcome => None,
    };
    own.into_iter().chain(settings.directories()).map(OpenRoot::open).collect()
}
