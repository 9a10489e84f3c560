//! How long requests took, for the metrics: from their complete head until the socket has the response.

use crate::metrics::Row;
use crate::sys::timer;

/// The time of requests whose responses leave together. They came together as well, so two readings of the
/// clock suffice.
#[derive(Default)]
pub struct Stopwatch {
    /// The time of the monotonic clock in nanoseconds when the first head was complete.
    since: u64,
    requests: u64,
}

impl Stopwatch {
    /// Counts a request whose head is complete.
    pub fn start(&mut self) {
        if self.requests == 0 {
            self.since = timer::nanoseconds();
        }
        self.requests += 1;
    }

    /// The time of the monotonic clock in nanoseconds when the first head was complete.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// Does not count the last request after all: its response takes longer than the others.
    pub fn leave(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    /// Counts the requests since the last call, once the socket has all their responses. Returns the time of
    /// the monotonic clock in nanoseconds, or `None` if there was no request.
    pub fn stop(&mut self, row: Row) -> Option<u64> {
        if self.requests == 0 {
            return None;
        }
        let now = timer::nanoseconds();
        row.request_time(self.requests, now.saturating_sub(self.since));
        self.requests = 0;
        Some(now)
    }
}
