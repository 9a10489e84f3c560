//! One variant of one file: compressed, compared, and given its name.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::drafts::Drafts;
use super::place::{Place, PrecompressMode};
use super::work::Work;
use crate::compression::{Effort, compress, most_bytes};
use crate::sys::file::{self, Kind, Stamp};

/// How often a file is compressed again that changes meanwhile.
const ATTEMPTS: u32 = 3;

/// What became of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was written; or, in a check, it is missing.
    Written {
        /// The bytes of the file.
        before: u64,
        /// The bytes of the variant.
        after: u64,
    },
    /// It saves too little.
    NotWorth {
        /// True if an outdated one was removed.
        removed: bool,
    },
    /// The file is gone.
    Gone,
}

/// Compresses a file in a coding, and writes that beside it, unless this is a check.
///
/// # Errors
/// Those of reading and writing, and one for a file that does not stop changing.
pub fn make(place: &Place, work: &Work, drafts: &Drafts) -> io::Result<Made> {
    let directory = Arc::new(file::open_beneath(place.root.as_fd(), &work.directory)?);
    for _ in 0..ATTEMPTS {
        let (source, stamp) = match file::open_regular(directory.as_fd(), &work.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Made::Gone),
            other => other?,
        };
        let unchanged = || is_unchanged(directory.as_fd(), &work.name, (&source, &stamp));
        let variant = work.variant();
        let result = match place.mode {
            PrecompressMode::Write => {
                let draft = drafts.create(&directory)?;
                let result = compress_to(&source, stamp.size, work, draft.draft().file());
                if let Ok(Some(_)) = result {
                    draft.draft().complete(source.as_fd())?;
                    // As late as possible: after this it would be a variant of another content.
                    if unchanged()? {
                        draft.rename(&variant)?;
                    }
                }
                result
            }
            PrecompressMode::Check | PrecompressMode::Remove => {
                compress_to(&source, stamp.size, work, io::sink())
            }
        };
        if !unchanged()? {
            continue;
        }
        return Ok(match result? {
            Some(after) => Made::Written { before: stamp.size, after },
            None if place.mode == PrecompressMode::Write => remove_outdated(directory.as_fd(), &variant)?,
            None => Made::NotWorth { removed: false },
        });
    }
    Err(io::Error::other("it changes all the time"))
}

fn compress_to(source: &File, size: u64, work: &Work, sink: impl io::Write) -> io::Result<Option<u64>> {
    let mut source = source;
    compress(&mut source, (size, most_bytes(size)), (work.coding, Effort::Offline), sink)
}

/// True if the open file has not changed, and still has its name.
fn is_unchanged(directory: BorrowedFd<'_>, name: &[u8], (open, stamp): (&File, &Stamp)) -> io::Result<bool> {
    let (_, now) = file::stat(open.as_fd())?;
    let named = file::stat_at(directory, name)?;
    Ok(now == *stamp && named == Some((Kind::Regular, now)))
}

/// Removes a variant that is outdated and not worth it, if it is there.
///
/// # Errors
/// See unlinkat(2).
pub fn remove_outdated(directory: BorrowedFd<'_>, variant: &[u8]) -> io::Result<Made> {
    match file::remove(directory, variant) {
        Ok(()) => Ok(Made::NotWorth { removed: true }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Made::NotWorth { removed: false }),
        Err(error) => Err(error),
    }
}
