//! The shared table: a head, a row for each worker process, a sum for each slot, the names of hosts, and
//! certificates.
//!
//! The master writes the head, and which process has a row. A worker writes the counts in its row. When a
//! process has ended, the master adds its counts to the sums of its slot, and the row is free.

use std::io;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use std::time::{Duration, SystemTime};

use super::layout::{CERTIFICATE_WORDS, HOST_NAME_WORDS, MAX_CERTIFICATES, MAX_HOSTS, MAX_SLOTS, at, head};
use super::row::{Row, milliseconds};
use super::state::State;
use crate::sys::shm::{self, Block};

/// The most worker processes at once, with those that drain. Rows take memory only once they are used.
pub const MAX_WORKERS: usize = 4 * MAX_SLOTS;

/// How often the table is read again because counts were moved meanwhile.
const MAX_READS: usize = 1000;

/// The shared table. Copies refer to the same memory.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub(super) head: &'static [AtomicU64; head::END],
    rows: &'static [Block<{ at::END }>],
    /// For each slot the counts of its ended processes, in the layout of a row.
    pub(super) sums: &'static [Block<{ at::END }>],
    /// The names of hosts, in the order of their numbers.
    pub(super) host_names: &'static [AtomicU64],
    /// The certificates that are shown.
    pub(super) certificates: &'static [AtomicU64],
}

impl Table {
    /// Maps the table, before the first fork.
    ///
    /// # Errors
    /// The error of mmap(2), such as `ENOMEM`.
    pub fn new(slots: usize) -> io::Result<Table> {
        let (head, rows, sums) = (&shm::map(1)?[0].0, shm::map(MAX_WORKERS)?, shm::map(MAX_SLOTS)?);
        let host_names = &shm::map::<{ MAX_HOSTS * HOST_NAME_WORDS }>(1)?[0].0;
        let certificates = &shm::map::<{ MAX_CERTIFICATES * CERTIFICATE_WORDS }>(1)?[0].0;
        let table = Table { head, rows, sums, host_names, certificates };
        table.head[head::STARTED].store(wall_milliseconds(), Relaxed);
        table.head[head::GENERATION].store(1, Relaxed);
        table.set_slots(slots);
        Ok(table)
    }

    /// In the admin process: makes the table read-only.
    ///
    /// # Errors
    /// The error of mmap(2) or mprotect(2).
    pub fn only_read(self) -> io::Result<()> {
        shm::only_read()
    }

    /// Sets the number of slots, at most `MAX_SLOTS`. Counts of other slots are kept, but not shown.
    pub fn set_slots(self, slots: usize) {
        self.head[head::SLOTS].store(slots.min(MAX_SLOTS) as u64, Relaxed);
    }

    /// Adds a slot.
    pub fn add_slot(self, slot: usize) {
        self.head[head::SLOTS].fetch_max((slot + 1).min(MAX_SLOTS) as u64, Relaxed);
    }

    /// Sets the generation that serves. The first is 1.
    pub fn set_generation(self, generation: u32) {
        self.head[head::GENERATION].store(generation.into(), Relaxed);
    }

    /// Sets what the server as a whole is doing.
    pub fn set_state(self, state: State) {
        self.head[head::STATE].store(state as u64, Relaxed);
    }

    /// Counts a worker of this slot that was replaced.
    pub fn restarted(self, slot: usize) {
        self.head[head::RESTARTS + slot.min(MAX_SLOTS - 1)].fetch_add(1, Relaxed);
    }

    /// Counts an admin process that was replaced.
    pub fn admin_restarted(self) {
        self.head[head::ADMIN_RESTARTS].fetch_add(1, Relaxed);
    }

    /// A free row for the worker that is about to be forked; `None` if [`MAX_WORKERS`] processes have a row.
    /// It stays free until [`Table::occupy`].
    pub fn claim(self) -> Option<Row> {
        self.rows.iter().find(|block| block.0[at::PID].load(Relaxed) == 0).map(|block| Row(&block.0))
    }

    /// Gives a row to a process in this slot, right after the fork.
    pub fn occupy(self, row: Row, pid: i32, slot: usize, generation: u32, now: Duration) {
        let slot = slot.min(MAX_SLOTS - 1) as u64;
        let index = self.rows.iter().position(|block| std::ptr::eq(&block.0, row.0)).unwrap_or(0);
        self.head[head::USED_ROWS].fetch_max(index as u64 + 1, Relaxed);
        row.0[at::SLOT].store(slot, Relaxed);
        row.0[at::GENERATION].store(generation.into(), Relaxed);
        row.0[at::STARTED].store(wall_milliseconds(), Relaxed);
        row.beat(now);
        // Last, because readers skip rows without a process.
        row.0[at::PID].store(u64::try_from(pid).unwrap_or(0), Release);
    }

    /// Frees the row of a process that has ended. Its counters are added to the sums of its slot, and its
    /// gauges are dropped.
    pub fn release(self, pid: i32) {
        let Ok(pid @ 1..) = u64::try_from(pid) else { return };
        for block in self.used_rows().iter().filter(|block| block.0[at::PID].load(Relaxed) == pid) {
            let slot = (block.0[at::SLOT].load(Relaxed) as usize).min(MAX_SLOTS - 1);
            // A reader that sees a part of the move sees an odd number, and reads again.
            self.head[head::MOVES].fetch_add(1, Relaxed);
            fence(Release);
            self.head[head::USED_SUMS].fetch_max(slot as u64 + 1, Relaxed);
            for (offset, word) in block.0[..self.used_words()].iter().enumerate() {
                let count = word.load(Relaxed);
                // A write takes memory for its page.
                if count != 0 {
                    if at::is_counter(offset) {
                        Row(&self.sums[slot].0).add(offset, count);
                    }
                    word.store(0, Relaxed);
                }
            }
            self.head[head::MOVES].fetch_add(1, Release);
        }
    }

    pub(super) fn used_rows(self) -> &'static [Block<{ at::END }>] {
        let used = self.head[head::USED_ROWS].load(Relaxed) as usize;
        &self.rows[..used.min(MAX_WORKERS)]
    }

    /// Runs `read` on rows and sums, and repeats it if counts were moved meanwhile. If the master is stopped
    /// in the middle of a move, the result is inexact after [`MAX_READS`].
    pub(super) fn read_consistent<T>(self, read: impl Fn() -> T) -> T {
        for _ in 0..MAX_READS {
            let before = self.head[head::MOVES].load(Acquire);
            let found = read();
            fence(Acquire);
            if before.is_multiple_of(2) && self.head[head::MOVES].load(Relaxed) == before {
                return found;
            }
            std::hint::spin_loop();
        }
        read()
    }
}

pub(super) fn wall_milliseconds() -> u64 {
    milliseconds(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::close_reason::CloseReason;
    use super::super::connection_counter::ConnectionCounter;
    use super::super::phase::Phase;
    use super::*;
    use crate::http::method::Method;

    fn open(row: Row) -> Vec<u64> {
        (0..Phase::ALL.len()).map(|phase| row.0[at::OPEN + phase].load(Relaxed)).collect()
    }

    #[test]
    fn the_counts_of_a_process_that_ended_go_to_the_sums_of_its_slot_and_its_row_is_free() {
        let table = Table::new(2).unwrap();
        for round in 1..=3 {
            let row = table.claim().unwrap();
            table.occupy(row, 77, 1, round, Duration::from_secs(1));
            let mut counter = ConnectionCounter::accepted(row);
            counter.set_idle(true);
            std::mem::forget(counter);
            row.sent(5);
            row.timed_out(Phase::Head);
            row.cache_hit();
            row.cache_entries(3);
            row.cache_watches(4);
            row.request(Some(Method::Get), 200);
            row.request_time(1, 1000);
            let mut ended = ConnectionCounter::accepted(row);
            ended.close(CloseReason::Finished);
            drop(ended);
            table.release(0);
            table.release(78);
            assert_eq!(open(row)[0], 1);
            table.release(77);
            assert!(row.0.iter().all(|word| word.load(Relaxed) == 0));
            let sum = |at: usize| table.sums[1].0[at].load(Relaxed);
            let round = u64::from(round);
            assert_eq!((sum(at::SENT), sum(at::ACCEPTED)), (5 * round, 2 * round));
            assert_eq!((sum(at::CACHE_HITS), sum(at::CACHE_ENTRIES), sum(at::CACHE_WATCHES)), (round, 0, 0));
            assert_eq!((sum(at::OPEN), sum(at::IN_IDLE_SET), sum(at::PID), sum(at::HEARTBEAT)), (0, 0, 0, 0));
            assert_eq!(sum(at::TIMEOUTS + Phase::Head as usize), round);
            assert_eq!(sum(at::ENDS + CloseReason::Finished.index()), round);
            assert_eq!((sum(at::REQUESTS), sum(at::REQUEST_NANOSECONDS)), (round, 1000 * round));
        }
        assert_eq!(table.head[head::USED_ROWS].load(Relaxed), 1, "the row is used again");
        assert_eq!(table.head[head::MOVES].load(Relaxed), 6);
    }

    #[test]
    fn no_two_processes_share_a_row() {
        let table = Table::new(1).unwrap();
        let mut seen = std::collections::HashSet::new();
        for pid in 1..=MAX_WORKERS {
            let row = table.claim().unwrap();
            table.occupy(row, i32::try_from(pid).unwrap(), 0, 1, Duration::ZERO);
            assert!(seen.insert(std::ptr::from_ref(row.0)));
        }
        assert!(table.claim().is_none(), "there are no more");
        table.release(3);
        let row = table.claim().unwrap();
        assert!(seen.contains(&std::ptr::from_ref(row.0)));
    }

    #[test]
    fn each_process_has_a_heartbeat_of_its_own() {
        let (table, seconds) = (Table::new(1).unwrap(), Duration::from_secs);
        let old = table.claim().unwrap();
        table.occupy(old, 7, 0, 1, seconds(10));
        let new = table.claim().unwrap();
        table.occupy(new, 8, 0, 2, seconds(11));
        old.beat(seconds(12));
        assert_eq!((old.last_beat(), new.last_beat()), (seconds(12), seconds(11)));
    }

    #[test]
    fn readers_never_see_counts_fall_while_processes_end() {
        let table = Table::new(1).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut last = 0;
                while last < 20_000 {
                    let now = table.snapshot(Duration::ZERO, |_| None).slots[0].counts.accepted;
                    assert!(now >= last, "{last} and then {now}");
                    last = now;
                }
            });
            for _ in 0..2000 {
                let row = table.claim().unwrap();
                table.occupy(row, 7, 0, 1, Duration::ZERO);
                (0..10).for_each(|_| drop(ConnectionCounter::accepted(row)));
                table.release(7);
            }
            reader.join().unwrap();
        });
    }
}
