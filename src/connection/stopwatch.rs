//! How long requests took, for the metrics: from their complete head until the socket has the reply.

use crate::metrics::Row;
use crate::sys::timer;

/// The time of requests whose replies leave together: they came together as well, so two looks at the clock do for all.
#[derive(Default)]
pub struct Stopwatch {
    /// The monotonic clock, in nanoseconds, when the first was complete.
    since: u64,
    requests: u64,
}

impl Stopwatch {
    /// A request is complete.
    pub fn start(&mut self) {
        if self.requests == 0 {
            self.since = timer::nanoseconds();
        }
        self.requests += 1;
    }

    /// The socket has the replies to all that were complete; counts them.
    pub fn stop(&mut self, row: Row) {
        if self.requests > 0 {
            row.request_time(self.requests, timer::nanoseconds().saturating_sub(self.since));
            self.requests = 0;
        }
    }
}
