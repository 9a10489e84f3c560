//! The table as it was at one moment, as plain data to render, and what follows from it: who is well, and whether the
//! server is.
//!
//! The subtle rule: rows are read while others write them, so two figures of one snapshot may be a request apart.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{
    BUCKETS, Block, Class, LANES, MAX_SLOTS, Method, Phase, Reason, State, Table, at, head, wall_milliseconds,
};

/// A worker that gave no sign for this long is not well; it gives ten a second.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(1);

/// What a process has taken, as the kernel counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
}

/// The whole table.
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
    /// Admin processes that had to be replaced.
    pub admin_restarts: u64,
    /// The slots, in order.
    pub slots: Vec<Slot>,
}

/// A slot: who is in it, and what all who ever were have counted.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Workers that had to be replaced.
    pub restarts: u64,
    /// The worker; `None` between the death of one and the start of the next.
    pub worker: Option<Worker>,
    /// Predecessors that drain beside it.
    pub draining: usize,
    /// The counts.
    pub counts: Counts,
}

/// A worker in its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its process id.
    pub pid: i32,
    /// The generation it was started in.
    pub generation: u64,
    /// When it was started, in milliseconds since 1970.
    pub started: u64,
    /// How long it has given no sign.
    pub silence: Duration,
    /// What it has taken; `None` where the kernel does not tell.
    pub usage: Option<Usage>,
}

/// Counts of one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections open, in the order of [`Phase::ALL`].
    pub open: [u64; Phase::ALL.len()],
    /// Connections of these that wait without a coroutine.
    pub parked: u64,
    /// Connections ended, in the order of [`Reason::ALL`].
    pub ends: [u64; Reason::ALL.len()],
    /// Waits that took too long, in the order of [`Phase::ALL`].
    pub timeouts: [u64; Phase::ALL.len()],
    /// Requests by [`Method::ALL`] and then [`Class::ALL`].
    pub requests: [[u64; Class::ALL.len()]; Method::ALL.len()],
    /// Bytes that sockets took.
    pub sent: u64,
    /// Requests by the time they took, one count for each of [`super::BOUNDS`] and one for what is above.
    pub times: [u64; BUCKETS],
    /// The sum of these times, in nanoseconds.
    pub nanoseconds: u64,
    /// Paths that the cache answered for.
    pub cache_hits: u64,
    /// Paths that the file system was asked for.
    pub cache_misses: u64,
    /// Entries in the cache.
    pub cache_entries: u64,
    /// Inotify watches held for them.
    pub cache_watches: u64,
}

/// Whether clients should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// They should.
    Ready,
    /// Not yet.
    Starting,
    /// No more.
    Draining,
    /// No worker is well.
    Failing,
}

impl Health {
    /// One word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Health::Ready => "ready",
            Health::Starting => "starting",
            Health::Draining => "draining",
            Health::Failing => "failing",
        }
    }
}

impl Worker {
    /// True when it gave a sign of late.
    pub fn is_well(&self) -> bool {
        self.silence < SILENCE_LIMIT
    }
}

impl Snapshot {
    /// Whether clients should be sent here: one worker that is well can serve them.
    pub fn health(&self) -> Health {
        match self.state {
            State::Starting => Health::Starting,
            State::Draining | State::Stopping => Health::Draining,
            State::Serving if self.slots.iter().any(Slot::is_well) => Health::Ready,
            State::Serving => Health::Failing,
        }
    }
}

impl Slot {
    /// True when there is a worker that is well.
    pub fn is_well(&self) -> bool {
        self.worker.as_ref().is_some_and(Worker::is_well)
    }
}

impl Counts {
    /// Adds what one row has.
    fn gather(&mut self, row: &Block<{ at::END }>) {
        let word = |at: usize| row.0[at].load(Relaxed);
        let each = |counts: &mut [u64], at: usize| {
            counts.iter_mut().zip(at..).for_each(|(count, at)| *count += word(at));
        };
        self.accepted += word(at::ACCEPTED);
        self.parked += word(at::PARKED);
        self.sent += word(at::SENT);
        self.nanoseconds += word(at::REQUEST_NANOSECONDS);
        self.cache_hits += word(at::CACHE_HITS);
        self.cache_misses += word(at::CACHE_MISSES);
        self.cache_entries += word(at::CACHE_ENTRIES);
        self.cache_watches += word(at::CACHE_WATCHES);
        each(&mut self.open, at::OPEN);
        each(&mut self.ends, at::ENDS);
        each(&mut self.timeouts, at::TIMEOUTS);
        each(&mut self.times, at::REQUEST_TIMES);
        each(self.requests.as_flattened_mut(), at::REQUESTS);
    }
}

impl Table {
    /// Reads the table at this time of the monotonic clock; `usage` tells what a process has taken.
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
            slots: (0..slots).map(|slot| self.slot(slot, now, &usage)).collect(),
        }
    }

    fn slot(self, slot: usize, now: Duration, usage: impl Fn(i32) -> Option<Usage>) -> Slot {
        let lanes = &self.rows[slot * LANES..(slot + 1) * LANES];
        let mut counts = Counts::default();
        lanes.iter().for_each(|row| counts.gather(row));
        let mut workers: Vec<Worker> = lanes.iter().filter_map(|row| worker(row, now)).collect();
        workers.sort_by_key(|worker| worker.started);
        let mut worker = workers.pop();
        if let Some(worker) = &mut worker {
            worker.usage = usage(worker.pid);
        }
        let restarts = self.head[head::RESTARTS + slot].load(Relaxed);
        Slot { restarts, worker, draining: workers.len(), counts }
    }
}

fn worker(row: &Block<{ at::END }>, now: Duration) -> Option<Worker> {
    let word = |at: usize| row.0[at].load(Relaxed);
    let pid = i32::try_from(word(at::PID)).ok().filter(|&pid| pid > 0)?;
    let silence = now.saturating_sub(Duration::from_millis(word(at::HEARTBEAT)));
    let (generation, started) = (word(at::GENERATION), word(at::STARTED));
    Some(Worker { pid, generation, started, silence, usage: None })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One slot with a worker and some counts, one that is empty.
    pub(in super::super) fn sample() -> Snapshot {
        let mut counts = Counts { accepted: 9, sent: 4096, nanoseconds: 1_500_000_003, ..Counts::default() };
        counts.open[Phase::Idle as usize] = 2;
        counts.parked = 1;
        counts.requests[Method::Get as usize][Class::Success as usize] = 7;
        counts.times[0] = 1;
        counts.times[3] = 5;
        counts.times[BUCKETS - 1] = 1;
        counts.ends[Reason::TimedOut as usize] = 1;
        counts.timeouts[Phase::Head as usize] = 1;
        (counts.cache_hits, counts.cache_misses, counts.cache_entries) = (4, 3, 2);
        counts.cache_watches = 5;
        let usage = Usage { cpu: Duration::from_millis(1230), memory: 8192 };
        let worker = Worker {
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
                Slot { restarts: 0, worker: Some(worker), draining: 0, counts },
                Slot { restarts: 3, ..Slot::default() },
            ],
        }
    }

    #[test]
    fn a_snapshot_has_what_was_counted_in_all_rows_of_a_slot() {
        let table = Table::new(2).unwrap();
        let usage = |pid| (pid == 12).then_some(Usage { cpu: Duration::ZERO, memory: 1 });
        for pid in [11, 12] {
            let row = table.claim(1);
            table.occupy(row, pid, 1, Duration::from_secs(5));
            let mut presence = row.accepted();
            presence.set_parked(true);
            std::mem::forget(presence);
            row.request(Method::Get, 206);
            row.request(Method::Unread, 408);
            row.request_time(2, 1500);
            row.sent(100);
            row.timed_out(Phase::Linger);
            row.cache_hit();
            row.cache_entries(3);
            std::thread::sleep(Duration::from_millis(2)); // Who is younger is told by the wall clock.
        }
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
        assert_eq!((counts.accepted, counts.open[0], counts.parked), (2, 2, 2));
        assert_eq!((counts.sent, counts.cache_entries), (200, 6));
        assert_eq!(counts.requests, [[2, 0, 0, 0], [0; 4], [0; 4], [0, 0, 2, 0]]);
        assert_eq!((counts.times[1], counts.nanoseconds), (4, 6000));
        assert_eq!(counts.timeouts, [0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn health_follows_the_state_and_needs_one_worker_that_is_well() {
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
