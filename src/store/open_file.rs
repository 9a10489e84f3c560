//! A regular file that was just opened.

use std::os::fd::OwnedFd;

use crate::sys::file::Stamp;
use crate::sys::filesystem::FileSystemClass;

/// A regular file, open.
pub struct OpenFile {
    /// Its descriptor.
    pub file: OwnedFd,
    /// What fstat(2) said of the descriptor.
    pub stamp: Stamp,
    /// The class of its file system.
    pub class: FileSystemClass,
}
