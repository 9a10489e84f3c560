//! Memory that a process shares with those it forks later (mmap(2) `MAP_SHARED | MAP_ANONYMOUS`).
//!
//! Knows nothing of what is kept in it. The subtle rule: it is made of atomic words alone, for which every pattern of
//! bits is a value, zero too; nothing else may be read while another process writes it.

use std::io;
use std::sync::atomic::AtomicU64;

use rustix::mm::{MapFlags, ProtFlags};

/// `N` words that share no cache line with their neighbours.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Block<const N: usize>(pub [AtomicU64; N]);

/// Maps `count` blocks, all zero, for this process and all that it forks from now on. They stay for ever. Pages that
/// nobody touches take no memory.
///
/// # Errors
/// `ENOMEM` and what else mmap(2) says; `InvalidInput` for no blocks, or more than there are addresses.
pub fn map<const N: usize>(count: usize) -> io::Result<&'static [Block<N>]> {
    let length = size_of::<Block<N>>().checked_mul(count).filter(|&length| length > 0);
    let length = length.ok_or(io::ErrorKind::InvalidInput)?;
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory that is in use.
    let start = unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), length, access, flags) }?;
    // SAFETY: the mapping is `count` blocks long, aligned to a page, zero, which is a value of every word in it, and
    // never unmapped; every access to it is atomic.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<Block<N>>(), count) })
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
        assert!(blocks.iter().all(|block| std::ptr::from_ref(block).addr() % 64 == 0));
        blocks[1].0[8].store(7, Relaxed);
        assert_eq!((blocks[0].0[8].load(Relaxed), blocks[2].0[0].load(Relaxed)), (0, 0));
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(map::<1>(0).is_err());
        assert!(map::<1>(usize::MAX).is_err());
    }
}
