//! The content of an open file: its bytes if there are few, else the descriptor.
//!
//! **Invariant:** bytes in memory are those that the file had at one moment, the one of their stamp.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use crate::store::open_file::OpenFile;
use crate::sys::file::{self, Stamp};
use crate::sys::filesystem::FileSystemClass;

/// Files up to this many bytes are kept in memory; longer ones are sent from their descriptor.
pub const MAX_IN_MEMORY: u64 = 64 * 1024;

/// How often a file is read that changes meanwhile, before it is served from its descriptor instead.
const READ_ATTEMPTS: u32 = 3;

/// Where the bytes are.
#[derive(Debug)]
pub enum Content {
    /// All of them, in memory.
    Memory(Box<[u8]>),
    /// All of them, in memory that several entries share.
    Shared(Arc<[u8]>),
    /// In this open file.
    File(OwnedFd),
}

/// The content of a file, and what is known of the file.
pub struct LoadedFile {
    /// Where the bytes are.
    pub content: Content,
    /// What fstat(2) said of the file when it had them.
    pub stamp: Stamp,
    /// The class of its file system.
    pub class: FileSystemClass,
}

impl LoadedFile {
    /// Reads a small file whole: a read during which the stamp changed is repeated. A file that keeps
    /// changing is served from its descriptor, and so is a long one. May wait for a disk.
    ///
    /// # Errors
    /// See pread(2) and fstat(2).
    pub fn read(open: OpenFile) -> std::io::Result<LoadedFile> {
        let OpenFile { file, mut stamp, class } = open;
        for _ in 0..READ_ATTEMPTS {
            if stamp.size > MAX_IN_MEMORY {
                break;
            }
            let mut bytes = vec![0; usize::try_from(stamp.size).unwrap_or(0)];
            let read = file::read_at(file.as_fd(), &mut bytes, 0)?;
            let (_, after) = file::stat(file.as_fd())?;
            if after == stamp && read == bytes.len() {
                return Ok(LoadedFile { content: Content::Memory(bytes.into()), stamp, class });
            }
            stamp = after;
        }
        Ok(LoadedFile { content: Content::File(file), stamp, class })
    }
}

/// What a read that must not wait has found.
pub enum QuickRead {
    /// All bytes of a small file.
    Bytes(Box<[u8]>),
    /// The file is long and stays open.
    Long,
}

impl QuickRead {
    /// Reads a file without a wait for a disk. `None` if it would have to wait, or if whether it would is not
    /// known, or if the file changes meanwhile.
    ///
    /// # Errors
    /// See fstat(2).
    pub fn of(open: &OpenFile) -> std::io::Result<Option<QuickRead>> {
        if open.stamp.size > MAX_IN_MEMORY {
            return Ok(Some(QuickRead::Long));
        }
        if open.class != FileSystemClass::Probed {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(open.stamp.size).unwrap_or(0)];
        let is_whole = bytes.is_empty() || file::read_cached(open.file.as_fd(), &mut bytes, 0);
        // What changes meanwhile is read by a job, as often as that takes.
        let is_good = is_whole && file::stat(open.file.as_fd())?.1 == open.stamp;
        Ok(is_good.then(|| QuickRead::Bytes(bytes.into())))
    }

    /// The content that was read of this file.
    pub fn loaded(self, open: OpenFile) -> LoadedFile {
        let OpenFile { file, stamp, class } = open;
        let content = match self {
            QuickRead::Bytes(bytes) => Content::Memory(bytes),
            QuickRead::Long => Content::File(file),
        };
        LoadedFile { content, stamp, class }
    }
}
