//! The row of one worker process: the counts that this worker writes.
//!
//! **Invariant:** a row has one writer, one thread of one process. So a count is a plain load and a plain
//! store. The counts of jobs are the exception: background threads write them too, so they are changed by
//! atomic additions.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::class::StatusClass;
use super::histogram::bucket;
use super::host_number::HostNumber;
use super::job_kind::JobKind;
use super::job_outcome::JobOutcome;
use super::layout::at;
use super::phase::Phase;
use super::tls_failure::TlsFailure;
use crate::http::method::Method;
use crate::sys::shm;

/// The counts of one worker process. Only that worker writes them.
#[derive(Clone, Copy, Debug)]
pub struct Row(pub(super) &'static [AtomicU64; at::END]);

impl Row {
    /// A row outside of any table, for tests and tools.
    ///
    /// # Errors
    /// The error of mmap(2).
    pub fn alone() -> io::Result<Row> {
        Ok(Row(&shm::map(1)?[0].0))
    }

    /// In a worker: unmaps all other rows. An attacker who takes over the worker can't change their counts.
    ///
    /// # Errors
    /// The error of mmap(2).
    pub fn leave_others(self) -> io::Result<()> {
        shm::keep_only(self.0)
    }

    pub(super) fn add(self, at: usize, count: u64) {
        // A locked instruction costs ten times as much. There is only one writer, so no count is lost.
        self.0[at].store(self.0[at].load(Relaxed).wrapping_add(count), Relaxed);
    }

    pub(super) fn subtract(self, at: usize, count: u64) {
        self.0[at].store(self.0[at].load(Relaxed).saturating_sub(count), Relaxed);
    }

    /// Counts a request that is answered with this status. `None` is a request whose head was never complete.
    pub fn request(self, method: Option<Method>, code: u16) {
        let method = method.map_or(Method::ALL.len(), |method| method as usize);
        self.add(at::REQUESTS + method * StatusClass::ALL.len() + StatusClass::of(code) as usize, 1);
    }

    /// Counts requests that took this many nanoseconds each.
    pub fn request_time(self, requests: u64, nanoseconds: u64) {
        self.add(at::REQUEST_TIMES + bucket(nanoseconds), requests);
        self.add(at::REQUEST_NANOSECONDS, nanoseconds.saturating_mul(requests));
    }

    /// Counts a TLS handshake that has come to its end.
    pub fn tls_handshake(self, is_resumed: bool) {
        self.add(if is_resumed { at::TLS_RESUMED } else { at::TLS_HANDSHAKES }, 1);
    }

    /// Counts a TLS handshake that has failed.
    pub fn tls_failure(self, why: TlsFailure) {
        self.add(at::TLS_FAILURES + why as usize, 1);
    }

    /// Counts bytes that were sent.
    pub fn sent(self, bytes: u64) {
        self.add(at::SENT, bytes);
    }

    /// Counts a request of this host that is answered with this status.
    pub fn host_request(self, host: HostNumber, code: u16) {
        self.add(host_words(host) + at::HOST_REQUESTS + StatusClass::of(code) as usize, 1);
    }

    /// Counts bytes that were sent in a response of this host.
    pub fn host_sent(self, host: HostNumber, bytes: u64) {
        self.add(host_words(host) + at::HOST_SENT, bytes);
    }

    /// Counts a path that was found in the cache.
    pub fn cache_hit(self) {
        self.add(at::CACHE_HITS, 1);
    }

    /// Counts a path that was looked up in the file system.
    pub fn cache_miss(self) {
        self.add(at::CACHE_MISSES, 1);
    }

    /// Counts a response from an entry that could not be checked again, because descriptors or memory ran
    /// out.
    pub fn cache_stale(self) {
        self.add(at::CACHE_STALE, 1);
    }

    /// Sets the number of entries in the cache.
    pub fn cache_entries(self, entries: usize) {
        self.0[at::CACHE_ENTRIES].store(entries as u64, Relaxed);
    }

    /// Sets the number of inotify watches for them.
    pub fn cache_watches(self, watches: usize) {
        self.0[at::CACHE_WATCHES].store(watches as u64, Relaxed);
    }

    /// Counts a response from the compressed contents.
    pub fn compressed_hit(self) {
        self.add(at::COMPRESSED_HITS, 1);
    }

    /// Sets the number of compressed contents, and the bytes of memory that they take.
    pub fn compressed_entries(self, entries: usize, bytes: u64) {
        self.0[at::COMPRESSED_ENTRIES].store(entries as u64, Relaxed);
        self.0[at::COMPRESSED_BYTES].store(bytes, Relaxed);
    }

    /// Counts a timeout in this phase.
    pub fn timed_out(self, phase: Phase) {
        self.add(at::TIMEOUTS + phase as usize, 1);
    }

    /// Counts a job that waits for a background thread from now on. Any thread of the worker may call this,
    /// and the methods of jobs below.
    pub fn job_queued(self, kind: JobKind) {
        self.add_shared(at::JOBS_QUEUED + kind as usize, 1);
        self.add_shared(at::JOBS_WAITING + kind as usize, 1);
    }

    /// Counts a job that begins to run, after this time in the queue.
    pub fn job_began(self, kind: JobKind, waited: Duration) {
        self.take_shared(at::JOBS_WAITING + kind as usize);
        self.add_shared(at::JOBS_RUNNING + kind as usize, 1);
        self.add_shared(at::JOB_WAIT_NANOSECONDS + kind as usize, nanoseconds(waited));
    }

    /// Counts a job that has ended, after it ran for this time.
    pub fn job_ended(self, kind: JobKind, ran: Duration, panicked: bool) {
        self.take_shared(at::JOBS_RUNNING + kind as usize);
        self.add_shared(at::JOB_RUN_NANOSECONDS + kind as usize, nanoseconds(ran));
        self.job_outcome(kind, if panicked { JobOutcome::Panicked } else { JobOutcome::Done });
    }

    /// Counts a job that left the queue undone, because no request waits for it any more.
    pub fn job_dropped(self, kind: JobKind) {
        self.take_shared(at::JOBS_WAITING + kind as usize);
        self.job_outcome(kind, JobOutcome::Dropped);
    }

    /// Counts a job that the full queue did not take.
    pub fn job_refused(self, kind: JobKind) {
        self.job_outcome(kind, JobOutcome::Refused);
    }

    fn job_outcome(self, kind: JobKind, outcome: JobOutcome) {
        self.add_shared(at::JOBS_ENDED + kind as usize * JobOutcome::ALL.len() + outcome as usize, 1);
    }

    /// Adds to a count that several threads write.
    fn add_shared(self, at: usize, count: u64) {
        self.0[at].fetch_add(count, Relaxed);
    }

    /// Takes 1 from such a gauge.
    fn take_shared(self, at: usize) {
        self.0[at].fetch_sub(1, Relaxed);
    }

    /// Writes a heartbeat with this time of the monotonic clock.
    pub fn beat(self, now: Duration) {
        self.0[at::HEARTBEAT].store(milliseconds(now), Relaxed);
    }

    /// The time of the last heartbeat, on the monotonic clock.
    pub fn last_beat(self) -> Duration {
        Duration::from_millis(self.0[at::HEARTBEAT].load(Relaxed))
    }
}

/// The offset of the words of a host.
fn host_words(host: HostNumber) -> usize {
    at::HOSTS + host.index() * at::HOST_WORDS
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn jobs_that_several_threads_count_are_all_counted() {
        let row = Row::alone().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..10_000 {
                        row.job_queued(JobKind::Read);
                        row.job_began(JobKind::Read, MILLISECOND);
                        row.job_ended(JobKind::Read, 2 * MILLISECOND, round == 0);
                    }
                });
            }
        });
        let word = |at: usize| row.0[at + JobKind::Read as usize].load(Relaxed);
        assert_eq!(word(at::JOBS_QUEUED), 40_000);
        assert_eq!((word(at::JOBS_WAITING), word(at::JOBS_RUNNING)), (0, 0));
        let milliseconds = [at::JOB_WAIT_NANOSECONDS, at::JOB_RUN_NANOSECONDS].map(|at| word(at) / 1_000_000);
        assert_eq!(milliseconds, [40_000, 80_000]);
        let ended =
            |outcome| at::JOBS_ENDED + JobKind::Read as usize * JobOutcome::ALL.len() + outcome as usize;
        assert_eq!(row.0[ended(JobOutcome::Done)].load(Relaxed), 39_996);
        assert_eq!(row.0[ended(JobOutcome::Panicked)].load(Relaxed), 4);
    }

    #[test]
    fn counts_of_background_threads_share_no_cache_line_with_others() {
        let row = Row::alone().unwrap();
        let line = |at: usize| std::ptr::from_ref(&row.0[at]).addr() / 64;
        assert!(line(at::TIMEOUTS + Phase::ALL.len() - 1) < line(at::JOBS_QUEUED));
        assert!(line(at::JOBS_RUNNING + JobKind::ALL.len() - 1) < line(at::HEARTBEAT));
    }
}
