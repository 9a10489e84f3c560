//! What is counted: a table in memory that master, workers and admin share, written where things happen.
//!
//! Every worker has a row, apart from all others in the cache, and is the only one that writes its counts; the master
//! writes who is in a row, and the head of the table. Whoever likes reads all of it, in [`snapshot`]; [`prometheus`] and
//! [`json`] render what was read. Nothing here knows a connection or a request.
//!
//! The subtle rule: a count is one plain load and one plain store, since it has a single writer; so a row belongs to one
//! thread of one process. A slot has several rows, for a worker that drains lives on beside its successor.

pub mod json;
pub mod prometheus;
pub mod snapshot;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use crate::sys::shm::{self, Block};

/// The most slots that a table has room for, as many as there may be workers.
pub const MAX_SLOTS: usize = 1024;

/// Rows of a slot: its worker's, and those of predecessors that still drain.
const LANES: usize = 4;

/// Declares an enum whose variants are counted side by side, each under its label.
macro_rules! labelled {
    ($(#[$doc:meta])+ $name:ident { $($(#[$variant_doc:meta])+ $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])+ $variant,)+ }

        impl $name {
            /// All of them, in the order of their counts.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The name under which it is told.
            pub const fn label(self) -> &'static str {
                match self { $($name::$variant => $label,)+ }
            }
        }
    };
}

labelled! {
    /// What a connection is doing.
    Phase {
        /// Accepted; nothing has come yet.
        Handshake = "handshake",
        /// Between two requests.
        Idle = "idle",
        /// A part of a request's head is there.
        Head = "head",
        /// A request's body is being passed over.
        Body = "body",
        /// A reply is on its way.
        Send = "send",
        /// The reply is out; what the client still sends is thrown away, so that it can read the answer (RFC 9112 §9.6).
        Linger = "linger",
    }
}

labelled! {
    /// The method of a request.
    Method {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// Any other.
        Other = "other",
        /// There was no complete head to read one from.
        Unread = "unread",
    }
}

labelled! {
    /// The class of a status.
    Class {
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 and more.
        ServerError = "5xx",
    }
}

labelled! {
    /// Why a connection ended.
    Reason {
        /// The client closed.
        PeerClosed = "peer_closed",
        /// The connection broke.
        Broken = "broken",
        /// The last reply said so.
        Finished = "finished",
        /// A request could not be answered as asked.
        Rejected = "rejected",
        /// There was no PROXY header where there must be one.
        Unannounced = "unannounced",
        /// The client was too slow.
        TimedOut = "timed_out",
        /// A file became shorter while it was sent.
        BodyCut = "body_cut",
        /// A file could not be read while it was sent.
        ReadFailed = "read_failed",
        /// The kernel would not watch the socket.
        Unwatchable = "unwatchable",
        /// The coroutine panicked.
        Panicked = "panicked",
    }
}

labelled! {
    /// What the server as a whole is doing.
    State {
        /// Not all slots have served yet.
        Starting = "starting",
        /// Serving.
        Serving = "serving",
        /// Told to serve its clients to their end.
        Draining = "draining",
        /// Told to stop at once.
        Stopping = "stopping",
    }
}

impl Class {
    /// The class of a status code.
    pub fn of(code: u16) -> Class {
        match code {
            ..300 => Class::Success,
            300..400 => Class::Redirection,
            400..500 => Class::ClientError,
            500.. => Class::ServerError,
        }
    }
}

/// The upper bounds of the buckets that request times are counted in, in nanoseconds: 1, 2, 5 and so on from 1 µs to
/// 20 s, and a minute. One more bucket takes what is above.
pub const BOUNDS: [u64; 24] = {
    let mut bounds = [0; 24];
    let (mut at, mut decade) = (0, 1000);
    while at < bounds.len() {
        bounds[at] = [1, 2, 5][at % 3] * decade;
        at += 1;
        if at % 3 == 0 {
            decade *= 10;
        }
    }
    bounds[23] = 60_000_000_000;
    bounds
};

/// Buckets of request times, the one above all bounds included.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// For each power of two, the first bucket that a time of so many binary digits can fall into.
const FIRST_BUCKET: [u8; 65] = {
    let mut first = [0; 65];
    let mut digits = 1;
    while digits <= 64 {
        let least = 1u64 << (digits - 1);
        let mut bucket = 0;
        while bucket < BOUNDS.len() && BOUNDS[bucket] < least {
            bucket += 1;
        }
        first[digits] = bucket as u8;
        digits += 1;
    }
    first
};

/// The bucket of a time in nanoseconds; a bound belongs to the bucket below it.
fn bucket(nanoseconds: u64) -> usize {
    let digits = 64 - nanoseconds.leading_zeros() as usize;
    let mut bucket = usize::from(FIRST_BUCKET[digits]);
    while bucket < BOUNDS.len() && nanoseconds > BOUNDS[bucket] {
        bucket += 1;
    }
    bucket
}

/// Where things stand in a row, in words. The first line of the cache has what moves with every request.
mod at {
    use super::{BUCKETS, Class, Method, Phase, Reason};

    pub(super) const OPEN: usize = 0;
    pub(super) const SENT: usize = OPEN + Phase::ALL.len();
    pub(super) const REQUEST_NANOSECONDS: usize = SENT + 1;
    pub(super) const REQUESTS: usize = REQUEST_NANOSECONDS + 1;
    pub(super) const REQUEST_TIMES: usize = REQUESTS + Method::ALL.len() * Class::ALL.len();
    pub(super) const CACHE_HITS: usize = REQUEST_TIMES + BUCKETS;
    pub(super) const CACHE_MISSES: usize = CACHE_HITS + 1;
    pub(super) const CACHE_ENTRIES: usize = CACHE_MISSES + 1;
    pub(super) const CACHE_WATCHES: usize = CACHE_ENTRIES + 1;
    pub(super) const ACCEPTED: usize = CACHE_WATCHES + 1;
    pub(super) const PARKED: usize = ACCEPTED + 1;
    pub(super) const ENDS: usize = PARKED + 1;
    pub(super) const TIMEOUTS: usize = ENDS + Reason::ALL.len();
    pub(super) const HEARTBEAT: usize = TIMEOUTS + Phase::ALL.len();
    // Written by the master, while nobody is in the row or right after the fork.
    pub(super) const PID: usize = HEARTBEAT + 1;
    pub(super) const GENERATION: usize = PID + 1;
    pub(super) const STARTED: usize = GENERATION + 1;
    pub(super) const END: usize = STARTED + 1;
}

/// Where things stand in the head of a table, in words.
mod head {
    use super::MAX_SLOTS;

    pub(super) const STARTED: usize = 0;
    pub(super) const SLOTS: usize = 1;
    pub(super) const GENERATION: usize = 2;
    pub(super) const STATE: usize = 3;
    pub(super) const ADMIN_RESTARTS: usize = 4;
    /// The most slots that there ever were.
    pub(super) const MOST_SLOTS: usize = 5;
    pub(super) const RESTARTS: usize = 6;
    pub(super) const END: usize = RESTARTS + MAX_SLOTS;
}

/// One worker's counts, for that worker to write.
#[derive(Clone, Copy, Debug)]
pub struct Row(&'static [AtomicU64; at::END]);

impl Row {
    /// A row of its own that nobody else reads.
    ///
    /// # Errors
    /// What mmap(2) says.
    pub fn alone() -> io::Result<Row> {
        Ok(Row(&shm::map(1)?[0].0))
    }

    fn add(self, at: usize, count: u64) {
        // A locked instruction would cost ten times as much, and there is no second writer to lose a count to.
        self.0[at].store(self.0[at].load(Relaxed).wrapping_add(count), Relaxed);
    }

    fn subtract(self, at: usize, count: u64) {
        self.0[at].store(self.0[at].load(Relaxed).saturating_sub(count), Relaxed);
    }

    /// Counts a connection that was accepted, and as open until its presence is dropped.
    pub fn accepted(self) -> Presence {
        self.add(at::ACCEPTED, 1);
        self.add(at::OPEN + Phase::Handshake as usize, 1);
        Presence { row: self, phase: Phase::Handshake, parked: false, reason: Reason::Panicked }
    }

    /// Counts a request that is being answered with this status.
    pub fn request(self, method: Method, code: u16) {
        self.add(at::REQUESTS + method as usize * Class::ALL.len() + Class::of(code) as usize, 1);
    }

    /// Counts the time that each of so many requests took, in nanoseconds.
    pub fn request_time(self, requests: u64, nanoseconds: u64) {
        self.add(at::REQUEST_TIMES + bucket(nanoseconds), requests);
        self.add(at::REQUEST_NANOSECONDS, nanoseconds.saturating_mul(requests));
    }

    /// Counts bytes that a socket took.
    pub fn sent(self, bytes: u64) {
        self.add(at::SENT, bytes);
    }

    /// Counts a path that the cache could answer for.
    pub fn cache_hit(self) {
        self.add(at::CACHE_HITS, 1);
    }

    /// Counts a path that the file system was asked for.
    pub fn cache_miss(self) {
        self.add(at::CACHE_MISSES, 1);
    }

    /// Says how many entries the cache has.
    pub fn cache_entries(self, entries: usize) {
        self.0[at::CACHE_ENTRIES].store(entries as u64, Relaxed);
    }

    /// Says how many inotify watches the worker holds for them.
    pub fn cache_watches(self, watches: usize) {
        self.0[at::CACHE_WATCHES].store(watches as u64, Relaxed);
    }

    /// Counts a wait in this phase that took too long.
    pub fn timed_out(self, phase: Phase) {
        self.add(at::TIMEOUTS + phase as usize, 1);
    }

    /// Says that the worker is well, at this time of the monotonic clock.
    pub fn beat(self, now: Duration) {
        self.0[at::HEARTBEAT].store(milliseconds(now), Relaxed);
    }
}

/// An open connection in the counts. Dropped, it is open no more, however that came about.
#[derive(Debug)]
pub struct Presence {
    row: Row,
    phase: Phase,
    parked: bool,
    reason: Reason,
}

impl Presence {
    /// The counts of its worker.
    pub fn row(&self) -> Row {
        self.row
    }

    /// Says what the connection is doing now.
    pub fn enter(&mut self, phase: Phase) {
        if phase != self.phase {
            self.row.subtract(at::OPEN + self.phase as usize, 1);
            self.row.add(at::OPEN + phase as usize, 1);
            self.phase = phase;
        }
    }

    /// Says whether the connection waits without a coroutine now. It is open in its phase all the same.
    pub fn set_parked(&mut self, parked: bool) {
        match (self.parked, parked) {
            (false, true) => self.row.add(at::PARKED, 1),
            (true, false) => self.row.subtract(at::PARKED, 1),
            _ => {}
        }
        self.parked = parked;
    }

    /// Says why the connection ends. One that is dropped without a word panicked.
    pub fn end(&mut self, reason: Reason) {
        self.reason = reason;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.set_parked(false);
        self.row.subtract(at::OPEN + self.phase as usize, 1);
        self.row.add(at::ENDS + self.reason as usize, 1);
    }
}

/// The shared table. A copy is the same table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    head: &'static [AtomicU64; head::END],
    rows: &'static [Block<{ at::END }>],
}

impl Table {
    /// Makes the table, before the first fork.
    ///
    /// # Errors
    /// What mmap(2) says, such as `ENOMEM`.
    pub fn new(slots: usize) -> io::Result<Table> {
        let table = Table { head: &shm::map(1)?[0].0, rows: shm::map(MAX_SLOTS * LANES)? };
        table.head[head::STARTED].store(wall_milliseconds(), Relaxed);
        table.head[head::GENERATION].store(1, Relaxed);
        table.set_slots(slots);
        Ok(table)
    }

    /// Says how many slots there are, at most [`MAX_SLOTS`]. What the others counted is kept, and no longer told.
    pub fn set_slots(self, slots: usize) {
        let slots = slots.min(MAX_SLOTS) as u64;
        self.head[head::SLOTS].store(slots, Relaxed);
        self.head[head::MOST_SLOTS].fetch_max(slots, Relaxed);
    }

    /// Says which generation serves; the first is 1.
    pub fn set_generation(self, generation: u32) {
        self.head[head::GENERATION].store(generation.into(), Relaxed);
    }

    /// Says what the server as a whole is doing.
    pub fn set_state(self, state: State) {
        self.head[head::STATE].store(state as u64, Relaxed);
    }

    /// Counts a worker of this slot that had to be replaced.
    pub fn restarted(self, slot: usize) {
        self.head[head::RESTARTS + slot.min(MAX_SLOTS - 1)].fetch_add(1, Relaxed);
    }

    /// Counts an admin process that had to be replaced.
    pub fn admin_restarted(self) {
        self.head[head::ADMIN_RESTARTS].fetch_add(1, Relaxed);
    }

    /// A row for the worker that is about to be forked for a slot: one that nobody is in. Where predecessors drain in
    /// all of them the first is shared, and some counts are lost.
    pub fn claim(self, slot: usize) -> Row {
        // One worker more than before is a slot more.
        self.head[head::SLOTS].fetch_max(slot as u64 + 1, Relaxed);
        self.head[head::MOST_SLOTS].fetch_max(slot as u64 + 1, Relaxed);
        let lanes = self.lanes(slot);
        let free = lanes.iter().find(|block| block.0[at::PID].load(Relaxed) == 0);
        Row(&free.unwrap_or(&lanes[0]).0)
    }

    /// Says which process is in a row, right after the fork.
    pub fn occupy(self, row: Row, pid: i32, generation: u32, now: Duration) {
        row.0[at::GENERATION].store(generation.into(), Relaxed);
        row.0[at::STARTED].store(wall_milliseconds(), Relaxed);
        row.beat(now);
        row.0[at::PID].store(u64::try_from(pid).unwrap_or(0), Relaxed);
    }

    /// Takes back the row of a process that has ended: what it had open is open no more. What it counted stays.
    pub fn release(self, pid: i32) {
        let Ok(pid @ 1..) = u64::try_from(pid) else { return };
        // A slot that there is no more may still have a worker that drains.
        let most = self.head[head::MOST_SLOTS].load(Relaxed) as usize;
        let used = &self.rows[..most.min(MAX_SLOTS) * LANES];
        for block in used.iter().filter(|block| block.0[at::PID].load(Relaxed) == pid) {
            for phase in 0..Phase::ALL.len() {
                block.0[at::OPEN + phase].store(0, Relaxed);
            }
            block.0[at::PARKED].store(0, Relaxed);
            block.0[at::CACHE_ENTRIES].store(0, Relaxed);
            block.0[at::CACHE_WATCHES].store(0, Relaxed);
            block.0[at::PID].store(0, Relaxed);
        }
    }

    /// When the worker that has this process id and a row of this slot last gave a sign of life, on the monotonic clock;
    /// `None` where that is not known.
    pub fn heartbeat(self, slot: usize, pid: i32) -> Option<Duration> {
        let pid = u64::try_from(pid).ok()?;
        let block = self.lanes(slot).iter().find(|block| block.0[at::PID].load(Relaxed) == pid)?;
        Some(Duration::from_millis(block.0[at::HEARTBEAT].load(Relaxed)))
    }

    fn lanes(self, slot: usize) -> &'static [Block<{ at::END }>] {
        let first = slot.min(MAX_SLOTS - 1) * LANES;
        &self.rows[first..first + LANES]
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn wall_milliseconds() -> u64 {
    milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(row: Row) -> Vec<u64> {
        (0..Phase::ALL.len()).map(|phase| row.0[at::OPEN + phase].load(Relaxed)).collect()
    }

    #[test]
    fn a_time_falls_into_the_bucket_of_the_least_bound_that_is_not_below_it() {
        assert_eq!(BOUNDS[..5], [1000, 2000, 5000, 10_000, 20_000]);
        assert_eq!(BOUNDS[21..], [10_000_000_000, 20_000_000_000, 60_000_000_000]);
        let expected = |time| BOUNDS.iter().position(|&bound| time <= bound).unwrap_or(BOUNDS.len());
        let near = BOUNDS.iter().flat_map(|&bound| [bound - 1, bound, bound + 1]);
        let powers = (0..64).flat_map(|digit| [(1 << digit) - 1, 1 << digit, (1 << digit) + 1]);
        for time in near.chain(powers).chain([0, u64::MAX]) {
            assert_eq!(bucket(time), expected(time), "{time}");
        }
    }

    #[test]
    fn a_connection_is_open_in_one_phase_until_it_is_dropped() {
        let row = Row::alone().unwrap();
        let mut first = row.accepted();
        let second = row.accepted();
        assert_eq!(open(row), [2, 0, 0, 0, 0, 0]);
        first.enter(Phase::Send);
        first.enter(Phase::Send);
        assert_eq!(open(row), [1, 0, 0, 0, 1, 0]);
        let parked = || row.0[at::PARKED].load(Relaxed);
        first.set_parked(true);
        first.set_parked(true);
        assert_eq!((parked(), open(row)), (1, vec![1, 0, 0, 0, 1, 0]), "it is open all the same");
        first.set_parked(false);
        assert_eq!(parked(), 0);
        first.set_parked(true);
        first.end(Reason::Finished);
        drop(first);
        drop(second);
        assert_eq!(parked(), 0);
        assert_eq!(open(row), [0; 6]);
        let ends = |reason| row.0[at::ENDS + reason as usize].load(Relaxed);
        assert_eq!((ends(Reason::Finished), ends(Reason::Panicked)), (1, 1));
    }

    #[test]
    fn a_panic_leaks_no_connection() {
        let row = Row::alone().unwrap();
        let presence = row.accepted();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _presence = presence;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert_eq!(open(row), [0; 6]);
        assert_eq!(row.0[at::ENDS + Reason::Panicked as usize].load(Relaxed), 1);
    }

    #[test]
    fn a_row_of_the_dead_keeps_its_counts_and_nothing_open() {
        let table = Table::new(2).unwrap();
        let row = table.claim(1);
        table.occupy(row, 77, 1, Duration::ZERO);
        let mut presence = row.accepted();
        presence.set_parked(true);
        std::mem::forget(presence);
        row.sent(5);
        table.release(0);
        table.release(78);
        assert_eq!(open(row)[0], 1);
        table.release(77);
        assert_eq!((open(row)[0], row.0[at::PARKED].load(Relaxed)), (0, 0));
        let next = table.claim(1);
        assert!(std::ptr::eq(row.0, next.0), "the next worker goes on where the last one stopped");
        assert_eq!((next.0[at::SENT].load(Relaxed), next.0[at::ACCEPTED].load(Relaxed)), (5, 1));
    }

    #[test]
    fn a_worker_that_drains_keeps_its_row_beside_its_successor() {
        let table = Table::new(1).unwrap();
        let mut seen = Vec::new();
        for pid in 1..=4 {
            let row = table.claim(0);
            table.occupy(row, pid, 1, Duration::ZERO);
            assert!(!seen.contains(&std::ptr::from_ref(row.0)));
            seen.push(std::ptr::from_ref(row.0));
        }
        assert_eq!(std::ptr::from_ref(table.claim(0).0), seen[0], "too many share");
        table.release(3);
        assert_eq!(std::ptr::from_ref(table.claim(0).0), seen[2]);
    }

    #[test]
    fn a_heartbeat_is_known_by_its_process() {
        let table = Table::new(1).unwrap();
        let (old, seconds) = (table.claim(0), Duration::from_secs);
        table.occupy(old, 7, 1, seconds(10));
        let new = table.claim(0);
        table.occupy(new, 8, 2, seconds(11));
        old.beat(seconds(12));
        assert_eq!(table.heartbeat(0, 7), Some(seconds(12)));
        assert_eq!(table.heartbeat(0, 8), Some(seconds(11)));
        table.release(7);
        assert_eq!(table.heartbeat(0, 7), None);
    }

    #[test]
    fn labels_are_unlike() {
        let mut labels: Vec<&str> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Reason::ALL.len());
    }
}
