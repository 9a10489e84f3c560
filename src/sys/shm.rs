//! Memory that a process shares with its later children (memfd_create(2), mmap(2) `MAP_SHARED`).
//!
//! Knows nothing of its content.
//!
//! **Invariant:** the memory consists of atomic words, for which every bit pattern is a value. Nothing else
//! may be read while another process writes.
//!
//! A child gives up the pages of other processes, or the right to write. It cannot get them back: the pages
//! are unmapped, and the file behind them allows no new writable map (`F_SEAL_FUTURE_WRITE`).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use rustix::process::{Resource, getrlimit};

/// `N` words on pages of their own, if pages have 4096 bytes. Larger pages hold several blocks.
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Block<const N: usize>(pub [AtomicU64; N]);

/// All memory that [`map`] shares.
static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

struct Shared {
    start: usize,
    length: usize,
    /// The mapped file, open in the process that made it; `None` for anonymous memory.
    file: Option<OwnedFd>,
}

fn shared() -> MutexGuard<'static, Vec<Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Maps `count` blocks, all zero, for this process and its later children. They are never unmapped. Untouched
/// pages take no memory.
///
/// # Errors
/// `InvalidInput` for 0 blocks, or for more than there are addresses; see mmap(2), such as `ENOMEM`.
pub fn map<const N: usize>(count: usize) -> io::Result<&'static [Block<N>]> {
    let length = size_of::<Block<N>>().checked_mul(count).filter(|&length| length > 0);
    let length = length.ok_or(io::ErrorKind::InvalidInput)?;
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    let file = file(length).ok();
    let start = match &file {
        // SAFETY: a mapping at an address of the kernel's choice touches no memory that is in use.
        Some(file) => unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, access, flags, file, 0) }?,
        // SAFETY: likewise.
        None => unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, access, flags) }?,
    };
    if let Some(file) = &file {
        // Before Linux 5.1 there is no such seal.
        let _ = rustix::fs::fcntl_add_seals(file, SealFlags::FUTURE_WRITE);
    }
    shared().push(Shared { start: start.expose_provenance(), length, file });
    // SAFETY: the mapping is `count` blocks long, aligned to a page, zero, which is a value of every word in
    // it, and never unmapped; every access to it is atomic.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<Block<N>>(), count) })
}

/// A file in memory, of `length` bytes.
fn file(length: usize) -> io::Result<OwnedFd> {
    let length = u64::try_from(length).map_err(io::Error::other)?;
    // Beyond this limit the kernel sends SIGXFSZ.
    if getrlimit(Resource::Fsize).current.is_some_and(|most| most < length) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Before Linux 6.3 this flag does not exist and is not needed.
    let file = rustix::fs::memfd_create(c"mayhttpd", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|_| rustix::fs::memfd_create(c"mayhttpd", flags))?;
    rustix::fs::ftruncate(&file, length)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(file)
}

/// In a child: gives up all shared memory but the pages of these words. The rest reads as zero from now on,
/// and a write there ends the process.
///
/// # Errors
/// See mmap(2).
pub fn keep_only(words: &'static [AtomicU64]) -> io::Result<()> {
    let page = rustix::param::page_size();
    let first = words.as_ptr().addr();
    let (from, to) = (first / page * page, (first + size_of_val(words)).next_multiple_of(page));
    for Shared { start, length, .. } in shared().drain(..) {
        let end = start + length;
        give_up(start, from.clamp(start, end))?;
        give_up(to.clamp(start, end), end)?;
    }
    Ok(())
}

fn give_up(start: usize, end: usize) -> io::Result<()> {
    if start == end {
        return Ok(());
    }
    // Read-only, because the kernel would count writable pages as committed memory.
    let (access, flags) = (ProtFlags::READ, MapFlags::PRIVATE | MapFlags::FIXED);
    let at = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: these whole pages are a part of what `map` made, of which there are shared references to atomic
    // words alone. They stay valid: the words are zero from now on, as another process could have made them.
    unsafe { rustix::mm::mmap_anonymous(at, end - start, access, flags) }?;
    Ok(())
}

/// In a child: makes all shared memory read-only. A write ends the process.
///
/// # Errors
/// See mmap(2) and mprotect(2).
pub fn only_read() -> io::Result<()> {
    for Shared { start, length, file } in shared().drain(..) {
        let at = std::ptr::with_exposed_provenance_mut(start);
        if let Some(file) = file {
            let flags = MapFlags::SHARED | MapFlags::FIXED;
            // SAFETY: the same file takes the place of itself, so that all references to it stay valid; that
            // writes by them are refused is what is asked for.
            unsafe { rustix::mm::mmap(at, length, ProtFlags::READ, flags, file.as_fd(), 0) }?;
        } else {
            // SAFETY: the references stay valid, and writes by them are refused, as is asked for.
            unsafe { rustix::mm::mprotect(at, length, MprotectFlags::READ) }?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn blocks_are_zero_and_apart() {
        let blocks = map::<9>(3).unwrap();
        assert_eq!(blocks.len(), 3);
        assert!(blocks.iter().flat_map(|block| &block.0).all(|word| word.load(Relaxed) == 0));
        assert!(blocks.iter().all(|block| std::ptr::from_ref(block).addr() % 4096 == 0));
        blocks[1].0[8].store(7, Relaxed);
        assert_eq!((blocks[0].0[8].load(Relaxed), blocks[2].0[0].load(Relaxed)), (0, 0));
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(map::<1>(0).is_err());
        assert!(map::<1>(usize::MAX).is_err());
    }
}
