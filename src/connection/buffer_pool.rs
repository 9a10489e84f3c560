//! The pools that buffers come from and go back to.
//!
//! An idle connection holds no buffer. A pool hands out the buffer that came back last, which is still in the
//! processor's cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::http::request;

/// Bytes of a usual buffer: most requests fit.
pub const BUFFER: usize = 8 * 1024;

/// The most that a read buffer grows to, in bytes: the longest head, and the newline that shows it is too
/// long.
pub const MAX: usize = request::MAX_HEAD + 1024;

/// The largest buffer for frames that is kept, in bytes.
const FRAMES: usize = 128 * 1024;

/// The most usual buffers that a pool keeps. Any more are freed.
const KEPT: usize = 256;

/// The most grown buffers that a pool keeps; few are in use at once. A grown buffer that is freed would leave
/// a hole in the heap, which the memory of waiting connections keeps from being used again.
const KEPT_GROWN: usize = 8;

/// Empty buffers that wait to be used again.
pub struct BufferPool {
    buffers: Mutex<Vec<Vec<u8>>>,
    /// Buffers larger than `largest`, up to `largest_grown`.
    grown: Mutex<Vec<Vec<u8>>>,
    /// The largest usual buffer, in bytes.
    largest: usize,
    /// The largest grown buffer that is kept, in bytes; 0 in a pool that keeps none.
    largest_grown: usize,
}

impl BufferPool {
    /// The pool of read buffers: 8 KiB each and never more, so that a buffer that holds a few bytes is never
    /// a large one.
    pub fn for_reading() -> BufferPool {
        BufferPool { buffers: Mutex::default(), grown: Mutex::default(), largest: BUFFER, largest_grown: MAX }
    }

    /// The pool of the buffers that responses gather in. Buffers of up to 24 KiB are used again. A larger
    /// one, as pipelined responses make it, is not.
    pub fn for_writing() -> BufferPool {
        BufferPool {
            buffers: Mutex::default(),
            grown: Mutex::default(),
            largest: 3 * BUFFER,
            largest_grown: 0,
        }
    }

    /// The pool of the buffers that the frames of a connection gather in, which take 64 KiB and more while
    /// many streams are answered.
    pub fn for_frames() -> BufferPool {
        BufferPool {
            buffers: Mutex::default(),
            grown: Mutex::default(),
            largest: BUFFER,
            largest_grown: FRAMES,
        }
    }

    /// An empty buffer with room for at least 8 KiB.
    pub fn take(&self) -> Vec<u8> {
        let buffer = lock(&self.buffers).pop();
        buffer.unwrap_or_else(|| Vec::with_capacity(BUFFER))
    }

    /// An empty buffer that has grown before, if there is one.
    pub fn take_grown(&self) -> Option<Vec<u8>> {
        lock(&self.grown).pop()
    }

    /// Gives a buffer back. It is freed if it has less room than a usual buffer or more than this pool keeps,
    /// and if enough of its kind are kept.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let (kept, most) = if buffer.capacity() <= self.largest {
            (&self.buffers, KEPT)
        } else if buffer.capacity() <= self.largest_grown {
            (&self.grown, KEPT_GROWN)
        } else {
            return;
        };
        let mut kept = lock(kept);
        if buffer.capacity() >= BUFFER && kept.len() < most {
            kept.push(buffer);
        }
    }

    /// How many usual buffers it holds.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        lock(&self.buffers).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
