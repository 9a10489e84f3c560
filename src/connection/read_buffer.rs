//! What a client has sent and what is not consumed yet.
//!
//! **Invariant:** an idle connection holds no buffer. It takes a buffer when bytes arrive, and gives it back
//! when all of them are consumed. A buffer that has grown for a long head is exchanged for a usual one as
//! soon as the rest fits.

use super::buffer_pool::{BUFFER, BufferPool, MAX};
use crate::http::{request, request_line};

/// Bytes received and not yet consumed. It begins without a buffer.
#[derive(Default)]
pub struct ReadBuffer {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are consumed.
    start: usize,
    /// The offset of the first byte that no parse has seen.
    unseen: usize,
}

impl ReadBuffer {
    /// The bytes that are not consumed.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// True when all bytes are consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Takes `count` bytes off the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.buffer.len());
        self.unseen = self.start;
    }

    /// Consumes the empty lines in front of a request line, and returns how many there were. Some clients
    /// send an empty line after a body (RFC 9112 §2.2); it is no part of the next request.
    pub fn take_empty_lines(&mut self) -> usize {
        let length = request::empty_lines(self.bytes());
        self.start += length;
        self.unseen = self.unseen.max(self.start);
        length / 2
    }

    /// Consumes all bytes.
    pub fn clear(&mut self) {
        self.consume(usize::MAX / 2);
    }

    /// True when a parse may find more than the last one did: the first bytes are there, a line has been
    /// completed, or a request line or a head has become too long. Otherwise a client that sends single bytes
    /// would cause a parse of the whole head for each byte.
    pub fn worth_parsing(&mut self) -> bool {
        let (before, length) = (self.unseen - self.start, self.buffer.len() - self.start);
        let worth = before == 0
            || memchr::memchr(b'\n', &self.buffer[self.unseen..]).is_some()
            // The byte after the longest line may be the CR of its end; the next one is not.
            || (length > request_line::MAX_REQUEST_LINE && before < request_line::MAX_REQUEST_LINE + 2)
            || length >= request::MAX_HEAD;
        self.unseen = self.buffer.len();
        worth && length > 0
    }

    /// The buffer, with room to receive into. It is taken from the pool first if there is none.
    pub fn room(&mut self, pool: &BufferPool) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = pool.take();
        }
        if self.start > 0 && (self.is_empty() || self.buffer.len() == self.buffer.capacity()) {
            self.buffer.drain(..self.start);
            self.unseen -= self.start;
            self.start = 0;
        }
        if self.buffer.len() == BUFFER
            && self.buffer.capacity() == BUFFER
            && let Some(mut grown) = pool.take_grown()
        {
            grown.extend_from_slice(&self.buffer);
            pool.give(std::mem::replace(&mut self.buffer, grown));
        }
        if self.buffer.len() == self.buffer.capacity() {
            // The parser rejects heads before they get longer than this. Small steps bound what is allocated
            // behind a long head.
            self.buffer.reserve_exact(MAX.saturating_sub(self.buffer.len()).clamp(1024, BUFFER));
        }
        &mut self.buffer
    }

    /// Gives the buffer back to the pool when it is empty, or larger than the bytes in it need.
    pub fn release(&mut self, pool: &BufferPool) {
        let left = self.buffer.len() - self.start;
        if self.buffer.capacity() == 0 || (left > 0 && (self.buffer.capacity() <= BUFFER || left > BUFFER)) {
            return;
        }
        let mut buffer = if left > 0 { pool.take() } else { Vec::new() };
        buffer.extend_from_slice(&self.buffer[self.start..]);
        pool.give(std::mem::replace(&mut self.buffer, buffer));
        self.unseen -= self.start;
        self.start = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reject::Reject;
    use crate::http::request::{MAX_HEAD, ParsedHead};
    use crate::http::request_line::MAX_REQUEST_LINE;

    #[test]
    fn consumed_bytes_leave_and_the_buffer_goes_back() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        read_buffer.room(&pool).extend_from_slice(b"one two");
        read_buffer.consume(4);
        assert_eq!(read_buffer.bytes(), b"two");
        read_buffer.release(&pool);
        assert_eq!(read_buffer.bytes(), b"two", "a buffer in use stays");
        read_buffer.consume(3);
        read_buffer.release(&pool);
        assert_eq!(pool.kept(), 1);
        assert!(read_buffer.is_empty());
        read_buffer.room(&pool).extend_from_slice(b"three");
        assert_eq!(read_buffer.bytes(), b"three");
        assert_eq!(pool.kept(), 0);
    }

    #[test]
    fn a_buffer_that_grew_for_a_long_head_goes_when_what_is_left_is_small() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        while read_buffer.bytes().len() < 3 * BUFFER {
            let room = read_buffer.room(&pool);
            let free = room.capacity() - room.len();
            assert!(free <= BUFFER, "{free} bytes at once");
            room.resize(room.capacity(), b'h');
        }
        read_buffer.release(&pool);
        assert!(read_buffer.bytes().len() >= 3 * BUFFER, "what is in use stays");
        read_buffer.worth_parsing();
        read_buffer.consume(read_buffer.bytes().len() - 3);
        read_buffer.room(&pool).extend_from_slice(b"GET ");
        read_buffer.release(&pool);
        assert_eq!((read_buffer.bytes(), read_buffer.buffer.capacity()), (&b"hhhGET "[..], BUFFER));
        assert!(read_buffer.worth_parsing() && !read_buffer.worth_parsing());
        assert_eq!(pool.kept(), 0, "the large one is kept apart");
        let room = read_buffer.room(&pool);
        room.resize(room.capacity(), b'h');
        assert!(read_buffer.room(&pool).capacity() >= 3 * BUFFER, "it serves the next long head");
        assert_eq!((read_buffer.bytes().len(), &read_buffer.bytes()[..7]), (BUFFER, &b"hhhGET "[..]));
    }

    #[test]
    fn a_full_buffer_moves_its_rest_to_the_front_before_it_grows() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        let buffer = read_buffer.room(&pool);
        let capacity = buffer.capacity();
        buffer.resize(capacity, b'x');
        read_buffer.consume(capacity - 3);
        assert_eq!(read_buffer.room(&pool).capacity(), capacity);
        assert_eq!(read_buffer.bytes(), b"xxx");
        read_buffer.room(&pool).resize(capacity, b'y');
        assert!(read_buffer.room(&pool).capacity() > capacity);
        assert_eq!(read_buffer.bytes().len(), capacity);
    }

    #[test]
    fn empty_lines_are_taken_off_and_counted() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        for (bytes, lines, left) in [
            ("\r\n", 1, 0),
            ("\r\n\r\n", 2, 0),
            ("\r\n\r", 1, 1),
            ("\r\nGET", 1, 3),
            ("GET\r\n", 0, 5),
            ("", 0, 0),
        ] {
            read_buffer.clear();
            read_buffer.room(&pool).extend_from_slice(bytes.as_bytes());
            assert_eq!(read_buffer.take_empty_lines(), lines, "{bytes:?}");
            assert_eq!(read_buffer.bytes().len(), left, "{bytes:?}");
        }
    }

    /// How often a head that comes in single bytes is parsed, and what the last parse says of how many bytes.
    fn drip(head: &[u8]) -> (usize, usize, Option<Reject>) {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        let mut parses = 0;
        for (count, byte) in head.iter().enumerate() {
            read_buffer.room(&pool).push(*byte);
            if read_buffer.worth_parsing() {
                parses += 1;
                match ParsedHead::parse(read_buffer.bytes()) {
                    ParsedHead::Partial => {}
                    ParsedHead::Complete(_, length) => return (parses, length, None),
                    ParsedHead::Reject(reject) => return (parses, count + 1, Some(reject)),
                }
            }
        }
        panic!("{} bytes are no head", head.len())
    }

    #[test]
    fn a_long_head_that_drips_is_parsed_once_a_line() {
        let head = |length: usize| {
            let start = "GET / HTTP/1.1\r\nHost: test\r\nX: ";
            format!("{start}{}\r\n\r\n", "v".repeat(length - start.len() - 4)).into_bytes()
        };
        for length in [100, 8192, 8200, 10_000, 20_000, MAX_HEAD] {
            let (parses, used, reject) = drip(&head(length));
            assert_eq!((used, reject), (length, None));
            // The first byte, each of four lines, and two that pass the length of a request line.
            assert!(parses <= 7, "{parses} parses of {length} bytes");
        }
        let many = format!(
            "GET / HTTP/1.1\r\nHost: test\r\n{}\r\n",
            format!("X: {}\r\n", "v".repeat(300)).repeat(90)
        );
        let (parses, used, reject) = drip(many.as_bytes());
        assert_eq!((used, reject), (many.len(), None));
        assert!(parses <= 96, "{parses} parses of 93 lines");
    }

    #[test]
    fn a_drip_that_is_too_long_is_refused_at_the_bound() {
        let line = format!("GET /{}", "a".repeat(40_000));
        assert_eq!(drip(line.as_bytes()), (2, MAX_REQUEST_LINE + 1, Some(Reject::UriTooLong)));
        let longest = format!("GET /{} HTTP/1.1", "a".repeat(MAX_REQUEST_LINE - 14));
        let behind = drip(format!("{longest}\rX").as_bytes());
        assert_eq!(behind, (3, MAX_REQUEST_LINE + 2, Some(Reject::UriTooLong)));
        let fits = format!("{longest}\r\nHost: test\r\n\r\n");
        assert_eq!(drip(fits.as_bytes()).1, fits.len());
        let fields = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}", "v".repeat(40_000));
        let (parses, used, reject) = drip(fields.as_bytes());
        assert_eq!((used, reject), (MAX_HEAD, Some(Reject::HeadTooLarge)));
        assert!(parses <= 6, "{parses} parses");
        let lines = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(200));
        let (parses, _, reject) = drip(lines.as_bytes());
        assert_eq!(reject, Some(Reject::HeadTooLarge));
        assert!(parses <= 104, "{parses} parses");
    }

    #[test]
    fn empty_lines_in_front_of_a_drip_cost_no_parse_of_it() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        read_buffer.room(&pool).extend_from_slice(b"\r\nGET");
        assert!(read_buffer.worth_parsing());
        assert_eq!(read_buffer.take_empty_lines(), 1);
        read_buffer.room(&pool).push(b' ');
        assert!(!read_buffer.worth_parsing());
    }

    #[test]
    fn a_drip_is_parsed_once_a_line() {
        let pool = BufferPool::for_reading();
        let mut read_buffer = ReadBuffer::default();
        read_buffer.room(&pool).extend_from_slice(b"GET ");
        assert!(read_buffer.worth_parsing(), "the first bytes may be no method");
        for byte in b"/ HTTP/1.1\r" {
            read_buffer.room(&pool).push(*byte);
            assert!(!read_buffer.worth_parsing());
        }
        read_buffer.room(&pool).push(b'\n');
        assert!(read_buffer.worth_parsing());
        assert!(!read_buffer.worth_parsing());
    }
}
