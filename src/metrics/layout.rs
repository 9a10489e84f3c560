//! Which word of a row, and of the head of the table, holds which count.

/// The most slots of a table, which is the most workers of a generation.
pub const MAX_SLOTS: usize = 1024;

/// The most hosts that are counted apart, with those of requests that name none and of all others.
pub const MAX_HOSTS: usize = 1024;

/// The words of a host's name: its bytes, which are 255 at most, and zeros.
pub(super) const HOST_NAME_WORDS: usize = 32;

/// The most certificates that are shown.
pub(super) const MAX_CERTIFICATES: usize = 1024;

/// The words of a certificate: when it expires, the kind of its key, and its name.
pub(super) const CERTIFICATE_WORDS: usize = 2 + HOST_NAME_WORDS;

/// Offsets in a row. The first cache line has the counts that change with every request.
pub(super) mod at {
    use super::super::class::StatusClass;
    use super::super::close_reason::CloseReason;
    use super::super::histogram::BUCKETS;
    use super::super::job_kind::JobKind;
    use super::super::job_outcome::JobOutcome;
    use super::super::method_label::METHODS;
    use super::super::phase::Phase;
    use super::super::tls_failure::TlsFailure;
    use super::MAX_HOSTS;

    /// Words in a cache line.
    const LINE: usize = 8;

    pub const OPEN: usize = 0;
    pub const SENT: usize = OPEN + Phase::ALL.len();
    pub const REQUEST_NANOSECONDS: usize = SENT + 1;
    pub const REQUESTS: usize = REQUEST_NANOSECONDS + 1;
    pub const REQUEST_TIMES: usize = REQUESTS + METHODS * StatusClass::ALL.len();
    pub const CACHE_HITS: usize = REQUEST_TIMES + BUCKETS;
    pub const CACHE_MISSES: usize = CACHE_HITS + 1;
    pub const CACHE_STALE: usize = CACHE_MISSES + 1;
    pub const CACHE_ENTRIES: usize = CACHE_STALE + 1;
    pub const CACHE_WATCHES: usize = CACHE_ENTRIES + 1;
    pub const COMPRESSED_HITS: usize = CACHE_WATCHES + 1;
    pub const COMPRESSED_ENTRIES: usize = COMPRESSED_HITS + 1;
    pub const COMPRESSED_BYTES: usize = COMPRESSED_ENTRIES + 1;
    pub const ACCEPTED: usize = COMPRESSED_BYTES + 1;
    pub const IN_IDLE_SET: usize = ACCEPTED + 1;
    pub const HTTP2_CONNECTIONS: usize = IN_IDLE_SET + 1;
    pub const HTTP2_STREAMS: usize = HTTP2_CONNECTIONS + 1;
    pub const HTTP2_REQUESTS: usize = HTTP2_STREAMS + 1;
    pub const TLS_HANDSHAKES: usize = HTTP2_REQUESTS + 1;
    pub const TLS_RESUMED: usize = TLS_HANDSHAKES + 1;
    pub const TLS_FAILURES: usize = TLS_RESUMED + 1;
    pub const ENDS: usize = TLS_FAILURES + TlsFailure::ALL.len();
    pub const TIMEOUTS: usize = ENDS + CloseReason::ALL.len();
    // On cache lines of their own, because background threads write these too.
    pub const JOBS_QUEUED: usize = (TIMEOUTS + Phase::ALL.len()).next_multiple_of(LINE);
    pub const JOBS_ENDED: usize = JOBS_QUEUED + JobKind::ALL.len();
    pub const JOB_WAIT_NANOSECONDS: usize = JOBS_ENDED + JobKind::ALL.len() * JobOutcome::ALL.len();
    pub const JOB_RUN_NANOSECONDS: usize = JOB_WAIT_NANOSECONDS + JobKind::ALL.len();
    pub const JOBS_WAITING: usize = JOB_RUN_NANOSECONDS + JobKind::ALL.len();
    pub const JOBS_RUNNING: usize = JOBS_WAITING + JobKind::ALL.len();
    pub const HEARTBEAT: usize = (JOBS_RUNNING + JobKind::ALL.len()).next_multiple_of(LINE);
    // The master writes these while the row is free, or right after the fork.
    pub const PID: usize = HEARTBEAT + 1;
    pub const GENERATION: usize = PID + 1;
    pub const STARTED: usize = GENERATION + 1;
    pub const SLOT: usize = STARTED + 1;
    /// At the end, a cache line a host: without hosts the memory of these words is never touched.
    pub const HOSTS: usize = (SLOT + 1).next_multiple_of(LINE);
    pub const HOST_WORDS: usize = LINE;
    pub const END: usize = HOSTS + MAX_HOSTS * HOST_WORDS;

    /// Offsets in the words of a host.
    pub const HOST_REQUESTS: usize = 0;
    pub const HOST_SENT: usize = HOST_REQUESTS + StatusClass::ALL.len();

    /// True for a counter, which only grows and is kept after the process has ended. Other words describe a
    /// living process.
    pub const fn is_counter(at: usize) -> bool {
        let is_gauge = at < SENT
            || matches!(
                at,
                CACHE_ENTRIES
                    | CACHE_WATCHES
                    | COMPRESSED_ENTRIES
                    | COMPRESSED_BYTES
                    | IN_IDLE_SET
                    | HTTP2_CONNECTIONS
                    | HTTP2_STREAMS
            );
        !is_gauge && (at < JOBS_WAITING || at >= HOSTS)
    }
}

/// Offsets in the head of a table.
pub(super) mod head {
    use super::MAX_SLOTS;

    pub const STARTED: usize = 0;
    pub const SLOTS: usize = 1;
    pub const GENERATION: usize = 2;
    pub const STATE: usize = 3;
    pub const ADMIN_RESTARTS: usize = 4;
    /// The number of rows at the start of the table that were ever used.
    pub const USED_ROWS: usize = 5;
    /// Odd while the counts of an ended process are moved into the sums. It grows with each move.
    pub const MOVES: usize = 6;
    /// The number of sums at the start of the table that were ever used.
    pub const USED_SUMS: usize = 7;
    /// How many numbers of hosts are in use; 0 if there was never a host.
    pub const HOSTS: usize = 8;
    /// How many certificates are shown.
    pub const CERTIFICATES: usize = 9;
    pub const RESTARTS: usize = 10;
    pub const END: usize = RESTARTS + MAX_SLOTS;
}
