//! The directory of a run, and what is done with the variants in it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error;
use crate::sys::file::Root;

/// What is done with the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecompressMode {
    /// Those that are missing or outdated are written.
    Write,
    /// They are listed, and nothing is written.
    Check,
    /// Those whose file is there are removed.
    Remove,
}

/// Where the files are.
#[derive(Debug)]
pub struct Place {
    /// The directory.
    pub root: Root,
    /// Its path, for messages.
    pub path: PathBuf,
    /// What is done there.
    pub mode: PrecompressMode,
}

impl Place {
    /// The path of `name` in a directory beneath this one, for messages.
    pub fn shown(&self, directory: &[u8], name: &[u8]) -> String {
        let below = Path::new(OsStr::from_bytes(directory)).join(OsStr::from_bytes(name));
        error::shown(&self.path.join(below))
    }
}
