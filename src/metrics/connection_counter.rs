//! Counts one open connection, from accept to close.

use super::close_reason::CloseReason;
use super::layout::at;
use super::phase::Phase;
use super::row::Row;

/// An open connection in the counts of its worker. Dropping it counts the connection as closed, also after a
/// panic.
#[derive(Debug)]
pub struct ConnectionCounter {
    row: Row,
    phase: Phase,
    in_idle_set: bool,
    reason: CloseReason,
}

impl ConnectionCounter {
    /// Counts a connection that was accepted.
    pub fn accepted(row: Row) -> ConnectionCounter {
        row.add(at::ACCEPTED, 1);
        row.add(at::OPEN + Phase::Handshake as usize, 1);
        ConnectionCounter { row, phase: Phase::Handshake, in_idle_set: false, reason: CloseReason::Panicked }
    }

    /// The counts of its worker.
    pub fn row(&self) -> Row {
        self.row
    }

    /// Sets what the connection is doing now.
    pub fn enter(&mut self, phase: Phase) {
        if phase != self.phase {
            self.row.subtract(at::OPEN + self.phase as usize, 1);
            self.row.add(at::OPEN + phase as usize, 1);
            self.phase = phase;
        }
    }

    /// Sets whether the connection is in the idle set. It is open in its phase all the same.
    pub fn set_idle(&mut self, in_idle_set: bool) {
        match (self.in_idle_set, in_idle_set) {
            (false, true) => self.row.add(at::IN_IDLE_SET, 1),
            (true, false) => self.row.subtract(at::IN_IDLE_SET, 1),
            _ => {}
        }
        self.in_idle_set = in_idle_set;
    }

    /// Sets why the connection ends. Without a reason it counts as panicked.
    pub fn close(&mut self, reason: CloseReason) {
        self.reason = reason;
    }
}

impl Drop for ConnectionCounter {
    fn drop(&mut self) {
        self.set_idle(false);
        self.row.subtract(at::OPEN + self.phase as usize, 1);
        self.row.add(at::ENDS + self.reason.index(), 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    fn open(row: Row) -> Vec<u64> {
        (0..Phase::ALL.len()).map(|phase| row.0[at::OPEN + phase].load(Relaxed)).collect()
    }

    #[test]
    fn a_connection_is_open_in_one_phase_until_it_is_dropped() {
        let row = Row::alone().unwrap();
        let mut first = ConnectionCounter::accepted(row);
        let second = ConnectionCounter::accepted(row);
        assert_eq!(open(row), [2, 0, 0, 0, 0, 0, 0]);
        first.enter(Phase::Send);
        first.enter(Phase::Send);
        assert_eq!(open(row), [1, 0, 0, 0, 0, 1, 0]);
        let idle = || row.0[at::IN_IDLE_SET].load(Relaxed);
        first.set_idle(true);
        first.set_idle(true);
        assert_eq!((idle(), open(row)), (1, vec![1, 0, 0, 0, 0, 1, 0]), "it is open all the same");
        first.set_idle(false);
        assert_eq!(idle(), 0);
        first.set_idle(true);
        first.close(CloseReason::Finished);
        drop(first);
        drop(second);
        assert_eq!(idle(), 0);
        assert_eq!(open(row), [0; 7]);
        let ends = |reason: CloseReason| row.0[at::ENDS + reason.index()].load(Relaxed);
        assert_eq!((ends(CloseReason::Finished), ends(CloseReason::Panicked)), (1, 1));
    }

    #[test]
    fn a_panic_leaks_no_connection() {
        let row = Row::alone().unwrap();
        let counter = ConnectionCounter::accepted(row);
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _counter = counter;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert_eq!(open(row), [0; 7]);
        assert_eq!(row.0[at::ENDS + CloseReason::Panicked.index()].load(Relaxed), 1);
    }
}
