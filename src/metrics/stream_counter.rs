//! Counts the streams of one HTTP/2 connection, and the connection itself, while they are open.

use super::layout::at;
use super::row::Row;

/// The open streams of one connection. Dropping it counts them, and the connection, as closed.
#[derive(Debug)]
pub struct StreamCounter {
    row: Row,
    streams: u64,
}

impl StreamCounter {
    /// A connection that speaks HTTP/2 from now on.
    pub fn new(row: Row) -> StreamCounter {
        row.add(at::HTTP2_CONNECTIONS, 1);
        StreamCounter { row, streams: 0 }
    }

    /// Counts a request on a new stream.
    pub fn open(&mut self) {
        self.streams += 1;
        self.row.add(at::HTTP2_STREAMS, 1);
        self.row.add(at::HTTP2_REQUESTS, 1);
    }

    /// Counts a stream as closed.
    pub fn close(&mut self) {
        self.streams = self.streams.saturating_sub(1);
        self.row.subtract(at::HTTP2_STREAMS, 1);
    }
}

impl Drop for StreamCounter {
    fn drop(&mut self) {
        self.row.subtract(at::HTTP2_STREAMS, self.streams);
        self.row.subtract(at::HTTP2_CONNECTIONS, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn what_is_open_is_counted_and_what_is_dropped_is_not() {
        let row = Row::alone().unwrap();
        let word = |at: usize| row.0[at].load(Relaxed);
        let open = || (word(at::HTTP2_CONNECTIONS), word(at::HTTP2_STREAMS), word(at::HTTP2_REQUESTS));
        let mut first = StreamCounter::new(row);
        let second = StreamCounter::new(row);
        (0..3).for_each(|_| first.open());
        first.close();
        assert_eq!(open(), (2, 2, 3));
        drop(first);
        assert_eq!(open(), (1, 0, 3));
        drop(second);
        assert_eq!(open(), (0, 0, 3));
    }
}
