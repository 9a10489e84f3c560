//! What a client has sent and nobody has consumed yet, and the pool that buffers come from and go back to.
//!
//! The subtle rule: an idle connection holds no buffer. It takes one when bytes arrive and gives it back when all of
//! them are consumed; the pool hands out the one that came back last, which is still in the processor's cache.

use std::sync::{Mutex, PoisonError};

use crate::http::request;

/// Bytes of a buffer from the pool: most requests fit.
const BUFFER: usize = 8 * 1024;

/// The most that an inbox grows to: a head of the greatest length, and the newline that shows it is too long.
const MAX: usize = request::MAX_HEAD + 1024;

/// Buffers that the pool keeps; what is beyond is freed.
const KEPT: usize = 256;

/// Empty buffers that wait to be used again.
#[derive(Default)]
pub struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// An empty buffer with room for at least 8 KiB.
    pub fn take(&self) -> Vec<u8> {
        let buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        buffer.unwrap_or_else(|| Vec::with_capacity(BUFFER))
    }

    /// Gives a buffer back. One that has grown much, or never had room, is freed.
    pub fn give(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() >= BUFFER && buffer.capacity() <= 8 * BUFFER && kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

/// A client's bytes, received and not yet consumed. It begins without a buffer.
#[derive(Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are consumed.
    start: usize,
    /// Where bytes begin that no parse has seen.
    unseen: usize,
}

impl Inbox {
    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// True when nothing is there.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Takes `count` bytes off the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.buffer.len());
        self.unseen = self.start;
    }

    /// Takes off empty lines when nothing else is there: some clients send one after a body (RFC 9112 §2.2), and it is
    /// no part of a next request yet.
    pub fn consume_empty_lines(&mut self) {
        let bytes = self.bytes();
        if bytes.chunks(2).all(|line| line == b"\r\n") {
            self.consume(bytes.len());
        }
    }

    /// Throws all away.
    pub fn clear(&mut self) {
        self.consume(usize::MAX / 2);
    }

    /// True when a parse may find more than the last one did: a line has been completed, or one is long. Otherwise a
    /// client that drips bytes would have the whole head parsed for each.
    pub fn worth_parsing(&mut self) -> bool {
        let new = &self.buffer[self.unseen..];
        let worth = memchr::memchr(b'\n', new).is_some()
            || self.unseen == self.start
            || self.buffer.len() - self.start > request::MAX_REQUEST_LINE;
        self.unseen = self.buffer.len();
        worth && !self.is_empty()
    }

    /// The buffer, with room to receive into; from the pool if there was none.
    pub fn room(&mut self, pool: &Pool) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = pool.take();
        }
        if self.start > 0 && (self.is_empty() || self.buffer.len() == self.buffer.capacity()) {
            self.buffer.drain(..self.start);
            self.unseen -= self.start;
            self.start = 0;
        }
        if self.buffer.len() == self.buffer.capacity() {
            // The parser rejects heads before they get longer than this.
            self.buffer.reserve_exact(
                (MAX.saturating_sub(self.buffer.len())).clamp(1024, self.buffer.len().max(1024)),
            );
        }
        &mut self.buffer
    }

    /// Gives the buffer back to the pool when it is empty.
    pub fn release(&mut self, pool: &Pool) {
        if self.is_empty() && self.buffer.capacity() > 0 {
            pool.give(std::mem::take(&mut self.buffer));
            self.start = 0;
            self.unseen = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumed_bytes_leave_and_the_buffer_goes_back() {
        let pool = Pool::default();
        let mut inbox = Inbox::default();
        inbox.room(&pool).extend_from_slice(b"one two");
        inbox.consume(4);
        assert_eq!(inbox.bytes(), b"two");
        inbox.release(&pool);
        assert_eq!(inbox.bytes(), b"two", "a buffer in use stays");
        inbox.consume(3);
        inbox.release(&pool);
        assert_eq!(pool.0.lock().unwrap().len(), 1);
        assert!(inbox.is_empty());
        inbox.room(&pool).extend_from_slice(b"three");
        assert_eq!(inbox.bytes(), b"three");
        assert_eq!(pool.0.lock().unwrap().len(), 0);
    }

    #[test]
    fn a_full_buffer_moves_its_rest_to_the_front_before_it_grows() {
        let pool = Pool::default();
        let mut inbox = Inbox::default();
        let buffer = inbox.room(&pool);
        let capacity = buffer.capacity();
        buffer.resize(capacity, b'x');
        inbox.consume(capacity - 3);
        assert_eq!(inbox.room(&pool).capacity(), capacity);
        assert_eq!(inbox.bytes(), b"xxx");
        inbox.room(&pool).resize(capacity, b'y');
        assert!(inbox.room(&pool).capacity() > capacity);
        assert_eq!(inbox.bytes().len(), capacity);
    }

    #[test]
    fn empty_lines_alone_are_nothing() {
        let pool = Pool::default();
        let mut inbox = Inbox::default();
        for (bytes, left) in [("\r\n", 0), ("\r\n\r\n", 0), ("\r\n\r", 3), ("\r\nGET", 5), ("", 0)] {
            inbox.clear();
            inbox.room(&pool).extend_from_slice(bytes.as_bytes());
            inbox.consume_empty_lines();
            assert_eq!(inbox.bytes().len(), left, "{bytes:?}");
        }
    }

    #[test]
    fn a_drip_is_parsed_once_a_line() {
        let pool = Pool::default();
        let mut inbox = Inbox::default();
        inbox.room(&pool).extend_from_slice(b"GET ");
        assert!(inbox.worth_parsing(), "the first bytes may be no method");
        for byte in b"/ HTTP/1.1\r" {
            inbox.room(&pool).push(*byte);
            assert!(!inbox.worth_parsing());
        }
        inbox.room(&pool).push(b'\n');
        assert!(inbox.worth_parsing());
        assert!(!inbox.worth_parsing());
    }
}
