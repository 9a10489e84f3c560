//! Which parts of a long file are in the kernel's memory, as far as that is known, and the jobs that read
//! others into it.
//!
//! Plain data; asks the kernel nothing.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::background::{Job, JobHandle, JobOutcome};
use crate::time::TICK_MS;

/// For how long a part counts as resident after a job has read it: 10 s.
const RESIDENT_TICKS: u32 = 10_000 / TICK_MS;

/// The most parts of a file that are remembered.
const MAX_PARTS: usize = 64;

/// What a job that reads a part came to.
pub type PartRead = io::Result<()>;

/// The parts of one file, the last one added at the end.
#[derive(Default)]
pub struct ResidentParts {
    /// Those that jobs read.
    read: VecDeque<Part>,
    /// Those that were probed and found in memory at this tick.
    probed: (u32, Vec<(u64, u64)>),
}

impl fmt::Debug for ResidentParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResidentParts({})", self.read.len())
    }
}

struct Part {
    start: u64,
    end: u64,
    /// The tick at which the job that read it was submitted.
    since: u32,
    job: Arc<Job<PartRead>>,
}

impl ResidentParts {
    /// The job that reads `start..end` or more, if it is under way.
    pub fn job(&self, (start, end): (u64, u64)) -> Option<JobHandle<PartRead>> {
        let part = self.covering(start, end)?;
        (!part.job.is_done()).then(|| part.job.handle())
    }

    /// True if a job has read `start..end` lately.
    pub fn is_resident(&self, (start, end): (u64, u64), tick: u32) -> bool {
        let part = self.covering(start, end);
        part.is_some_and(|part| {
            let is_read = matches!(part.job.outcome(), Some(JobOutcome::Result(Ok(()))));
            is_read && tick.wrapping_sub(part.since) < RESIDENT_TICKS
        })
    }

    /// Adds the job that reads `start..end`.
    pub fn add(&mut self, (start, end): (u64, u64), job: &JobHandle<PartRead>, tick: u32) {
        self.read.retain(|part| part.start != start || !part.job.is_done());
        if self.read.len() == MAX_PARTS {
            self.read.pop_front();
        }
        self.read.push_back(Part { start, end, since: tick, job: job.job() });
    }

    /// True if this part was probed at this tick and found in memory. A file that many clients ask for is not
    /// probed for each of them.
    pub fn is_probed(&self, bounds: (u64, u64), tick: u32) -> bool {
        self.probed.0 == tick && self.probed.1.contains(&bounds)
    }

    /// Notes that a part was probed and found in memory.
    pub fn add_probed(&mut self, bounds: (u64, u64), tick: u32) {
        if self.probed.0 != tick {
            self.probed.0 = tick;
            self.probed.1.clear();
        }
        if self.probed.1.len() < MAX_PARTS {
            self.probed.1.push(bounds);
        }
    }

    /// Forgets the parts that were read: they may have left the memory.
    pub fn forget(&mut self) {
        self.read.retain(|part| !part.job.is_done());
    }

    /// The last one that has all of `start..end`.
    fn covering(&self, start: u64, end: u64) -> Option<&Part> {
        self.read.iter().rev().find(|part| part.start <= start && end <= part.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::{Background, JobOrder};
    use crate::metrics::Row;
    use crate::metrics::job_kind::JobKind;

    #[test]
    fn a_probe_holds_for_its_tick_and_its_part() {
        let mut parts = ResidentParts::default();
        parts.add_probed((0, 10), 7);
        parts.add_probed((10, 15), 7);
        assert!(parts.is_probed((0, 10), 7) && parts.is_probed((10, 15), 7));
        assert!(!parts.is_probed((0, 15), 7) && !parts.is_probed((0, 10), 8));
        parts.add_probed((10, 15), 8);
        assert!(parts.is_probed((10, 15), 8) && !parts.is_probed((0, 10), 8));
    }

    #[test]
    fn a_part_that_a_job_read_is_resident_for_ten_seconds() {
        let background = Background::start(1, 0, Row::alone().unwrap()).unwrap();
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let wait = move || hold.recv().map_err(io::Error::other);
        let job = background.submit_disk(JobKind::Read, (0, JobOrder::InTurn), wait).unwrap();
        let mut parts = ResidentParts::default();
        parts.add((0, 10), &job, 100);
        assert!(parts.job((0, 10)).is_some() && parts.job((3, 5)).is_some());
        assert!(parts.job((3, 11)).is_none() && !parts.is_resident((0, 10), 100));
        release.send(()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
        while !job.completion().is_done() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert!(parts.job((0, 10)).is_none());
        assert!(parts.is_resident((0, 10), 100) && parts.is_resident((5, 10), 199));
        assert!(!parts.is_resident((0, 10), 200) && !parts.is_resident((0, 11), 100));
    }
}
