//! The memory that the listings of a worker take: those that are being made, those that are kept, and those
//! that are being sent.
//!
//! A slow client holds the page that it reads, and a directory may change between two clients. So what
//! counts is every page that still exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The memory of all listings of a worker.
#[derive(Debug)]
pub struct ListingMemory {
    used: AtomicU64,
    /// The most bytes that they may take together.
    pub most: u64,
}

/// Bytes that one listing takes; given back when it is dropped.
#[derive(Debug)]
pub struct MemoryReservation {
    memory: Arc<ListingMemory>,
    bytes: u64,
}

/// The other listings leave too little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl ListingMemory {
    /// Memory of which nothing is used yet.
    pub fn new(most: u64) -> Arc<ListingMemory> {
        Arc::new(ListingMemory { used: AtomicU64::new(0), most })
    }

    /// A reservation of no bytes.
    pub fn reserve(self: &Arc<ListingMemory>) -> MemoryReservation {
        MemoryReservation { memory: Arc::clone(self), bytes: 0 }
    }
}

impl MemoryReservation {
    /// Takes so many more bytes.
    ///
    /// # Errors
    /// [`OutOfMemory`]; then nothing was taken.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OutOfMemory> {
        let before = self.memory.used.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.memory.most {
            self.memory.used.fetch_sub(bytes, Relaxed);
            return Err(OutOfMemory);
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let unused = self.bytes.saturating_sub(bytes);
        self.memory.used.fetch_sub(unused, Relaxed);
        self.bytes -= unused;
    }

    /// Bytes that one listing may take: half of those of all, so that one alone does not keep out the others.
    pub fn room_of_one(&self) -> u64 {
        self.memory.most / 2
    }

    /// Bytes that are reserved.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reservations_together_stay_within_the_bound() {
        let memory = ListingMemory::new(100);
        let (mut a, mut b) = (memory.reserve(), memory.reserve());
        assert_eq!((a.grow(60), b.grow(40), b.grow(1)), (Ok(()), Ok(()), Err(OutOfMemory)));
        a.shrink_to(50);
        a.shrink_to(70);
        assert_eq!((a.bytes(), b.grow(11), b.grow(10)), (50, Err(OutOfMemory), Ok(())));
        assert_eq!(b.grow(u64::MAX), Err(OutOfMemory));
        drop(a);
        assert_eq!((b.grow(50), b.bytes()), (Ok(()), 100));
        drop(b);
        assert_eq!(memory.used.load(Relaxed), 0);
    }
}
