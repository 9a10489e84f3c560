//! A slow disk under a server: a file system of the kit's own, whose every operation takes its time.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::slow_files::{self, Caching, SlowFiles};

/// How long each operation takes.
const OPERATION: Duration = Duration::from_millis(20);

/// What of the files the kernel has in memory before the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing.
    Cold,
    /// Names and attributes, and no file's data; opens need no disk.
    NamesKnown,
}

impl Disk {
    /// Why there is none here; None where there can be one.
    pub fn unavailable() -> Option<String> {
        slow_files::unavailable()
    }

    /// Shows what is below `root` at `path`, with nothing in memory but what this says. It is quick until
    /// [`slow`] is called.
    ///
    /// # Errors
    /// What mount(2) says, or the reading of names.
    pub fn mount(self, root: &Path, path: &Path) -> Result<SlowFiles, String> {
        let caching = match self {
            Disk::Cold => Caching::All,
            Disk::NamesKnown => Caching::AllButOpens,
        };
        let files = SlowFiles::mount(root, path, caching, Duration::ZERO)?;
        if self == Disk::NamesKnown {
            know(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(files)
    }
}

/// Has each operation take its time from now on.
pub fn slow(files: &SlowFiles) {
    files.set_delay(OPERATION);
}

/// Looks at all names beneath a directory, and opens one file, by which the kernel learns that this needs no
/// disk.
fn know(directory: &Path) -> std::io::Result<()> {
    let mut file = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match fs::metadata(&path)?.is_dir() {
            true => know(&path)?,
            false => file = Some(path),
        }
    }
    file.map_or(Ok(()), |path| File::open(path).map(drop))
}
