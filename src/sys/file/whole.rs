//! Small files, read whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::stamp::{Kind, Stamp, stat, stat_path};

/// A file that was read whole.
pub struct WholeFile {
    /// Its bytes, as far as they were asked for.
    pub bytes: Vec<u8>,
    /// Its stamp after they were read.
    pub stamp: Stamp,
    /// Its mode bits, such as 0o100600.
    pub mode: u32,
    /// The user that owns it.
    pub owner: u32,
}

/// Reads the file that a path leads to, `most` bytes of it at most.
///
/// # Errors
/// See stat(2), open(2) and read(2); `InvalidInput` if it is no regular file.
pub fn read_whole(path: &Path, most: usize) -> io::Result<WholeFile> {
    // A FIFO would keep the open waiting.
    if stat_path(path)?.0 != Kind::Regular {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(most as u64).read_to_end(&mut bytes)?;
    let (_, stamp) = stat(file.as_fd())?;
    let metadata = file.metadata()?;
    Ok(WholeFile { bytes, stamp, mode: metadata.mode(), owner: metadata.uid() })
}
