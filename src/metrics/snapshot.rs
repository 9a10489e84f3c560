//! The table at one moment as plain data, and the health of the server.
//!
//! Workers write while rows are read, so two counts of a snapshot may differ by a request.

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::Duration;

use super::certificates::CertificateSnapshot;
use super::class::StatusClass;
use super::close_reason::CloseReason;
use super::histogram::BUCKETS;
use super::hosts::HostSnapshot;
use super::job_kind::JobKind;
use super::job_outcome::JobOutcome;
use super::layout::{MAX_SLOTS, at, head};
use super::method_label::METHODS;
use super::phase::Phase;
use super::state::State;
use super::table::{Table, wall_milliseconds};
use super::tls_failure::TlsFailure;
use crate::sys::shm::Block;

/// A worker whose last heartbeat is this old is not healthy. It sends ten a second.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// CPU time and memory of a process, by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
}

/// The whole table at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The program's version.
    pub version: &'static str,
    /// The wall clock, in milliseconds since 1970.
    pub now: u64,
    /// When the master started, in milliseconds since 1970.
    pub started: u64,
    /// The generation that serves.
    pub generation: u64,
    /// What the server as a whole is doing.
    pub state: State,
    /// Admin processes that were replaced.
    pub admin_restarts: u64,
    /// The slots, in order.
    pub slots: Vec<SlotSnapshot>,
    /// The hosts, in the order of their numbers; none if the settings never had one.
    pub hosts: Vec<HostSnapshot>,
    /// The certificates of the generation that serves.
    pub certificates: Vec<CertificateSnapshot>,
}

/// A slot: its worker, and the counts of all its workers so far.
#[derive(Clone, Debug, Default)]
pub struct SlotSnapshot {
    /// Workers that were replaced.
    pub restarts: u64,
    /// The worker of the generation that serves, or else the newest. `None` after a worker died, until the
    /// next one starts.
    pub worker: Option<WorkerSnapshot>,
    /// Other workers in this slot: older ones that drain, and one that a reload starts.
    pub draining: usize,
    /// The counts.
    pub counts: Counts,
}

/// A worker in its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Its process id.
    pub pid: i32,
    /// The generation it was started in.
    pub generation: u64,
    /// When it was started, in milliseconds since 1970.
    pub started: u64,
    /// The age of its last heartbeat.
    pub silence: Duration,
    /// Its CPU time and memory; `None` if the kernel does not report them.
    pub usage: Option<Usage>,
}

/// Counts of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open, in the order of [`Phase::ALL`].
    pub open: [u64; Phase::ALL.len()],
    /// Open connections in the idle set.
    pub in_idle_set: u64,
    /// Open connections that speak HTTP/2.
    pub http2_connections: u64,
    /// Open streams of HTTP/2.
    pub http2_streams: u64,
    /// Requests by HTTP/2.
    pub http2_requests: u64,
    /// Full TLS handshakes.
    pub tls_handshakes: u64,
    /// TLS handshakes that resumed a session.
    pub tls_resumed: u64,
    /// TLS handshakes that failed, in the order of [`TlsFailure::ALL`].
    pub tls_failures: [u64; TlsFailure::ALL.len()],
    /// Connections ended, in the order of [`CloseReason::ALL`].
    pub ends: [u64; CloseReason::ALL.len()],
    /// Timeouts, in the order of [`Phase::ALL`].
    pub timeouts: [u64; Phase::ALL.len()],
    /// Requests by [`METHOD_LABELS`](super::method_label::METHOD_LABELS) and then [`StatusClass::ALL`].
    pub requests: [[u64; StatusClass::ALL.len()]; METHODS],
    /// Bytes sent.
    pub sent: u64,
    /// Requests by duration: one count for each of [`BOUNDS`](super::histogram::BOUNDS) and one for what is
    /// above.
    pub times: [u64; BUCKETS],
    /// The sum of the durations in nanoseconds.
    pub nanoseconds: u64,
    /// Paths found in the cache.
    pub cache_hits: u64,
    /// Paths looked up in the file system.
    pub cache_misses: u64,
    /// Responses from entries that could not be checked again.
    pub cache_stale: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Inotify watches for them.
    pub cache_watches: u64,
    /// Responses from contents that were compressed while serving.
    pub compressed_hits: u64,
    /// Compressed contents.
    pub compressed_entries: u64,
    /// Bytes of memory that they take.
    pub compressed_bytes: u64,
    /// Jobs of the background threads, in the order of [`JobKind::ALL`].
    pub jobs: [JobCounts; JobKind::ALL.len()],
}

/// Counts of the jobs of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Jobs that were put into the queue.
    pub queued: u64,
    /// Jobs that wait in the queue now.
    pub waiting: u64,
    /// Jobs that a thread runs now.
    pub running: u64,
    /// Jobs by how they ended, in the order of [`JobOutcome::ALL`].
    pub ended: [u64; JobOutcome::ALL.len()],
    /// The time in the queue of all jobs that began, in nanoseconds.
    pub wait_nanoseconds: u64,
    /// The time that all jobs ran that ended, in nanoseconds.
    pub run_nanoseconds: u64,
}

/// Whether a balancer should send clients here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Yes.
    Ready,
    /// Not yet.
    Starting,
    /// No longer.
    Draining,
    /// No: no worker is healthy.
    Failing,
}

impl Health {
    /// The word in the health check.
    pub const fn label(self) -> &'static str {
        match self {
            Health::Ready => "ready",
            Health::Starting => "starting",
            Health::Draining => "draining",
            Health::Failing => "failing",
        }
    }
}

impl WorkerSnapshot {
    /// True if its last heartbeat is recent.
    pub fn is_healthy(&self) -> bool {
        self.silence < SILENCE_LIMIT
    }
}

impl Snapshot {
    /// The health of the server. One healthy worker is enough.
    pub fn health(&self) -> Health {
        match self.state {
            State::Starting => Health::Starting,
            State::Draining | State::Stopping => Health::Draining,
            State::Serving if self.slots.iter().any(SlotSnapshot::is_healthy) => Health::Ready,
            State::Serving => Health::Failing,
        }
    }
}

impl SlotSnapshot {
    /// True if the slot has a healthy worker.
    pub fn is_healthy(&self) -> bool {
        self.worker.as_ref().is_some_and(WorkerSnapshot::is_healthy)
    }

    /// Adds a worker in this slot. `serving` is the generation that serves.
    fn take(&mut self, found: Option<WorkerSnapshot>, serving: u64) {
        let Some(found) = found else { return };
        let rank =
            |worker: &WorkerSnapshot| (worker.generation == serving, worker.generation, worker.started);
        match &mut self.worker {
            None => self.worker = Some(found),
            Some(worker) => {
                if rank(&found) > rank(worker) {
                    *worker = found;
                }
                self.draining += 1;
            }
        }
    }
}

impl Counts {
    /// Adds the counts of a row.
    fn gather(&mut self, row: &Block<{ at::END }>) {
        let word = |at: usize| row.0[at].load(Relaxed);
        let each = |counts: &mut [u64], at: usize| {
            counts.iter_mut().zip(at..).for_each(|(count, at)| *count += word(at));
        };
        self.accepted += word(at::ACCEPTED);
        self.in_idle_set += word(at::IN_IDLE_SET);
        self.http2_connections += word(at::HTTP2_CONNECTIONS);
        self.http2_streams += word(at::HTTP2_STREAMS);
        self.http2_requests += word(at::HTTP2_REQUESTS);
        self.tls_handshakes += word(at::TLS_HANDSHAKES);
        self.tls_resumed += word(at::TLS_RESUMED);
        each(&mut self.tls_failures, at::TLS_FAILURES);
        self.sent += word(at::SENT);
        self.nanoseconds += word(at::REQUEST_NANOSECONDS);
        self.cache_hits += word(at::CACHE_HITS);
        self.cache_misses += word(at::CACHE_MISSES);
        self.cache_stale += word(at::CACHE_STALE);
        self.cache_entries += word(at::CACHE_ENTRIES);
        self.cache_watches += word(at::CACHE_WATCHES);
        self.compressed_hits += word(at::COMPRESSED_HITS);
        self.compressed_entries += word(at::COMPRESSED_ENTRIES);
        self.compressed_bytes += word(at::COMPRESSED_BYTES);
        each(&mut self.open, at::OPEN);
        each(&mut self.ends, at::ENDS);
        each(&mut self.timeouts, at::TIMEOUTS);
        each(&mut self.times, at::REQUEST_TIMES);
        each(self.requests.as_flattened_mut(), at::REQUESTS);
        for (kind, jobs) in self.jobs.iter_mut().enumerate() {
            // A gauge can be below zero for a moment.
            let gauge = |at: usize| u64::try_from(word(at + kind).cast_signed()).unwrap_or(0);
            jobs.queued += word(at::JOBS_QUEUED + kind);
            jobs.waiting += gauge(at::JOBS_WAITING);
            jobs.running += gauge(at::JOBS_RUNNING);
            jobs.wait_nanoseconds += word(at::JOB_WAIT_NANOSECONDS + kind);
            jobs.run_nanoseconds += word(at::JOB_RUN_NANOSECONDS + kind);
            each(&mut jobs.ended, at::JOBS_ENDED + kind * JobOutcome::ALL.len());
        }
    }
}

impl Table {
    /// Reads the table at this time of the monotonic clock. `usage` returns CPU time and memory of a process.
    pub fn snapshot(self, now: Duration, usage: impl Fn(i32) -> Option<Usage>) -> Snapshot {
        let word = |at: usize| self.head[at].load(Relaxed);
        let slots = usize::try_from(word(head::SLOTS)).unwrap_or(0).min(MAX_SLOTS);
        Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            now: wall_milliseconds(),
            started: word(head::STARTED),
            generation: word(head::GENERATION),
            state: usize::try_from(word(head::STATE))
                .ok()
                .and_then(|state| State::ALL.get(state).copied())
                .unwrap_or(State::Stopping),
            admin_restarts: word(head::ADMIN_RESTARTS),
            slots: self.slots(slots, now, usage),
            hosts: self.hosts(),
            certificates: self.certificates(),
        }
    }

    fn slots(self, count: usize, now: Duration, usage: impl Fn(i32) -> Option<Usage>) -> Vec<SlotSnapshot> {
        let serving = self.head[head::GENERATION].load(Relaxed);
        let mut slots = self.read_consistent(|| {
            let mut slots = vec![SlotSnapshot::default(); count];
            let rows = self.used_rows().iter().filter(|row| row.0[at::PID].load(Acquire) != 0);
            for row in rows {
                if let Some(slot) = slots.get_mut(row.0[at::SLOT].load(Relaxed) as usize) {
                    slot.counts.gather(row);
                    slot.take(worker(row, now), serving);
                }
            }
            for (slot, sums) in slots.iter_mut().zip(self.sums) {
                slot.counts.gather(sums);
            }
            slots
        });
        for (slot, restarts) in slots.iter_mut().zip(&self.head[head::RESTARTS..]) {
            slot.restarts = restarts.load(Relaxed);
            slot.worker.iter_mut().for_each(|worker| worker.usage = usage(worker.pid));
        }
        slots
    }
}

fn worker(row: &Block<{ at::END }>, now: Duration) -> Option<WorkerSnapshot> {
    let word = |at: usize| row.0[at].load(Relaxed);
    let pid = i32::try_from(word(at::PID)).ok().filter(|&pid| pid > 0)?;
    let silence = now.saturating_sub(Duration::from_millis(word(at::HEARTBEAT)));
    let (generation, started) = (word(at::GENERATION), word(at::STARTED));
    Some(WorkerSnapshot { pid, generation, started, silence, usage: None })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::connection_counter::ConnectionCounter;
    use super::super::key_kind::KeyKind;
    use super::super::row::Row;
    use super::*;
    use crate::http::method::Method;

    /// A slot with a worker and some counts, and an empty slot.
    pub(in super::super) fn sample() -> Snapshot {
        let mut counts = Counts { accepted: 9, sent: 4096, nanoseconds: 1_500_000_003, ..Counts::default() };
        counts.open[Phase::Idle as usize] = 2;
        counts.in_idle_set = 1;
        counts.requests[Method::Get as usize][StatusClass::Success as usize] = 7;
        counts.times[0] = 1;
        counts.times[3] = 5;
        counts.times[BUCKETS - 1] = 1;
        counts.ends[CloseReason::TimedOut(Phase::Idle).index()] = 1;
        counts.timeouts[Phase::Head as usize] = 1;
        (counts.cache_hits, counts.cache_misses, counts.cache_entries) = (4, 3, 2);
        counts.cache_watches = 5;
        (counts.compressed_hits, counts.compressed_entries, counts.compressed_bytes) = (7, 2, 900);
        counts.cache_stale = 6;
        counts.jobs[JobKind::Open as usize] = JobCounts {
            queued: 21,
            waiting: 2,
            running: 3,
            ended: [10, 1, 5, 4],
            wait_nanoseconds: 1_000_000_007,
            run_nanoseconds: 2_500_000_000,
        };
        let usage = Usage { cpu: Duration::from_millis(1230), memory: 8192 };
        let worker = WorkerSnapshot {
            pid: 42,
            generation: 1,
            started: 1_700_000_000_250,
            silence: Duration::from_millis(80),
            usage: Some(usage),
        };
        Snapshot {
            version: "1.2.3",
            now: 1_700_000_060_500,
            started: 1_700_000_000_000,
            generation: 1,
            state: State::Serving,
            admin_restarts: 0,
            slots: vec![
                SlotSnapshot { restarts: 0, worker: Some(worker), draining: 0, counts },
                SlotSnapshot { restarts: 3, ..SlotSnapshot::default() },
            ],
            hosts: vec![
                HostSnapshot { name: "(none)".to_owned(), requests: [0, 0, 2, 0], sent: 600 },
                HostSnapshot { name: "*.example.org".to_owned(), requests: [5, 1, 0, 0], sent: 3000 },
            ],
            certificates: vec![
                CertificateSnapshot {
                    name: "example.org".to_owned(),
                    key: KeyKind::Ecdsa,
                    expiry: 1_701_000_000,
                },
                CertificateSnapshot {
                    name: "old.example.org".to_owned(),
                    key: KeyKind::Rsa,
                    expiry: 1_699_900_000,
                },
            ],
        }
    }

    #[test]
    fn a_snapshot_has_what_all_processes_of_a_slot_counted_and_what_the_living_have_open() {
        let table = Table::new(2).unwrap();
        let usage = |pid| (pid == 12).then_some(Usage { cpu: Duration::ZERO, memory: 1 });
        for (pid, generation) in [(11, 1), (12, 2), (13, 3), (10, 1)] {
            let row = table.claim().unwrap();
            table.occupy(row, pid, 1, generation, Duration::from_secs(5));
            let mut counter = ConnectionCounter::accepted(row);
            counter.set_idle(true);
            std::mem::forget(counter);
            row.request(Some(Method::Get), 206);
            row.request(None, 408);
            row.request_time(2, 1500);
            row.sent(100);
            row.timed_out(Phase::Linger);
            row.cache_hit();
            row.cache_entries(3);
            count_jobs(row);
        }
        table.set_generation(2);
        table.release(10);
        table.release(11);
        table.restarted(1);
        table.set_state(State::Serving);
        let snapshot = table.snapshot(Duration::from_secs(6), usage);
        assert_eq!(snapshot.slots.len(), 2);
        assert!(snapshot.slots[0].worker.is_none());
        assert_eq!(snapshot.slots[0].counts, Counts::default());
        let slot = &snapshot.slots[1];
        let worker = slot.worker.as_ref().unwrap();
        assert_eq!((worker.pid, worker.silence, slot.draining, slot.restarts), (12, SILENCE_LIMIT, 1, 1));
        assert!(worker.usage.is_some());
        let counts = &slot.counts;
        // Two processes have ended, and two live.
        assert_eq!((counts.accepted, counts.open[0], counts.in_idle_set), (4, 2, 2));
        assert_eq!((counts.sent, counts.cache_entries), (400, 6));
        assert_eq!(counts.requests, [[4, 0, 0, 0], [0; 4], [0; 4], [0; 4], [0, 0, 4, 0]]);
        assert_eq!((counts.times[1], counts.nanoseconds), (8, 12_000));
        assert_eq!(counts.timeouts, [0, 0, 0, 0, 0, 0, 4]);
        let jobs = JobCounts {
            queued: 16,
            waiting: 2,
            running: 2,
            ended: [0, 4, 4, 4],
            wait_nanoseconds: 8_000,
            run_nanoseconds: 12_000,
        };
        let none = JobCounts::default();
        assert_eq!(counts.jobs, [none, none, none, jobs, none, none, none, none]);
    }

    /// Four jobs of which one waits, one runs, one panicked and one was dropped, and one that was refused.
    fn count_jobs(row: Row) {
        let (kind, microsecond) = (JobKind::List, Duration::from_micros(1));
        (0..4).for_each(|_| row.job_queued(kind));
        (0..2).for_each(|_| row.job_began(kind, microsecond));
        row.job_ended(kind, 3 * microsecond, true);
        row.job_dropped(kind);
        row.job_refused(kind);
    }

    #[test]
    fn a_job_that_begins_before_it_is_counted_as_queued_does_not_show_as_a_huge_gauge() {
        let table = Table::new(1).unwrap();
        let row = table.claim().unwrap();
        table.occupy(row, 7, 0, 1, Duration::ZERO);
        row.job_began(JobKind::Open, Duration::ZERO);
        let open = || table.snapshot(Duration::ZERO, |_| None).slots[0].counts.jobs[JobKind::Open as usize];
        assert_eq!((open().waiting, open().running), (0, 1));
        row.job_queued(JobKind::Open);
        assert_eq!((open().waiting, open().running, open().queued), (0, 1, 1));
    }

    #[test]
    fn health_follows_the_state_and_needs_one_worker_that_is_healthy() {
        let mut snapshot = sample();
        assert_eq!(snapshot.health(), Health::Ready);
        snapshot.slots[0].worker.as_mut().unwrap().silence = SILENCE_LIMIT;
        assert_eq!(snapshot.health(), Health::Failing);
        for (state, health) in [
            (State::Starting, Health::Starting),
            (State::Draining, Health::Draining),
            (State::Stopping, Health::Draining),
        ] {
            snapshot.state = state;
            assert_eq!(snapshot.health(), health);
        }
    }
}
