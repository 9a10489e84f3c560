//! Background threads: plain threads beside the scheduler of a worker, for what may wait for a disk or burns
//! CPU. The design: docs/design/background.md.
//!
//! A job is submitted to one of two pools and done by one of its threads. Then it stands in a list of
//! finished jobs, and an eventfd says so to a coroutine of the worker, which wakes those that wait for the
//! job (`worker/background.rs`). **Invariants:** a thread never calls the scheduler. A lock here is held for
//! a few instructions. Who waits for a job holds no lock.

mod completion;
mod finished;
mod job;
mod pool;
mod queue;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::metrics::Row;
use crate::metrics::job_kind::JobKind;
use crate::time::Now;

use finished::Finished;
use pool::Pool;
use queue::Share;

pub use completion::{Completion, Wake};
pub use job::{Job, JobHandle, JobOutcome};
pub use pool::QueueFull;
pub use queue::JobOrder;

/// The niceness of threads that burn CPU: beside a busy serving thread on the same CPU they cost it at most
/// some 6 % (measured; docs/design/background.md).
const CPU_NICE: i32 = 19;

/// The background threads of a worker.
pub struct Background {
    /// For what waits for disks.
    disk: Option<Pool>,
    /// For what burns CPU.
    cpu: Option<Pool>,
    finished: Arc<Finished>,
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

/// Why a request did not wait until its job was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// It took too long.
    TimedOut,
    /// The client can't be sent to.
    ClientGone,
}

/// What a request that needs a job has of its connection.
pub trait JobWaiter {
    /// Sends what has gathered for the client, lets other coroutines run until the job is done, and returns
    /// the time after that.
    ///
    /// # Errors
    /// See [`GaveUp`].
    fn wait(&mut self, job: &Completion) -> Result<Now, GaveUp>;
}

impl Background {
    /// Starts so many threads that wait for disks and so many that burn CPU, and returns when all of them
    /// run. To be called after the process is confined to its files, which the threads inherit, and before
    /// its system calls are filtered.
    ///
    /// # Errors
    /// See eventfd(2) and clone(2), such as `EAGAIN` where the user may have no more threads.
    pub fn start(disk_threads: usize, cpu_threads: usize, metrics: Row) -> io::Result<Background> {
        let finished = Arc::new(Finished::new()?);
        let pool = |name, nice, threads, share| -> io::Result<Option<Pool>> {
            if threads == 0 {
                return Ok(None);
            }
            Pool::start(name, nice, threads, share, (&finished, metrics)).map(Some)
        };
        let disk = pool("disk", 0, disk_threads, Share::ThreeQuarters)?;
        let cpu = pool("cpu", CPU_NICE, cpu_threads, Share::All)?;
        Ok(Background { disk, cpu, finished })
    }

    /// False if files are read by the thread that serves (`--disk-threads 0`).
    pub fn has_disk_threads(&self) -> bool {
        self.disk.is_some()
    }

    /// Has a thread do what may wait for a disk. `root` is the number of the root that it reads; no root has
    /// more than three quarters of the threads that the others leave. The job is not done if its handles are
    /// dropped before it begins.
    ///
    /// # Errors
    /// [`QueueFull`], also where there are no threads.
    pub fn submit_disk<T: Send + Sync + 'static>(
        &self,
        kind: JobKind,
        (root, order): (usize, JobOrder),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JobHandle<T>, QueueFull> {
        self.disk.as_ref().ok_or(QueueFull)?.submit(kind, (root, order), work)
    }

    /// Has a thread do what burns CPU.
    ///
    /// # Errors
    /// [`QueueFull`], also where there are no threads.
    pub fn submit_cpu<T: Send + Sync + 'static>(
        &self,
        kind: JobKind,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JobHandle<T>, QueueFull> {
        self.cpu.as_ref().ok_or(QueueFull)?.submit(kind, (0, JobOrder::InTurn), work)
    }

    /// A descriptor that becomes readable when jobs have finished; an eventfd(2).
    ///
    /// # Errors
    /// See dup(2), such as `EMFILE`.
    pub fn event(&self) -> io::Result<OwnedFd> {
        self.finished.event()
    }

    /// Wakes those that wait for the jobs that have finished. To be called on the thread that serves, after
    /// the event was read.
    pub fn wake_waiters(&self) {
        self.finished.wake_waiters();
    }
}
