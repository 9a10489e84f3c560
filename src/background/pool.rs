//! A pool: threads that do jobs, and the queue of jobs that wait for them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::completion::Completion;
use super::finished::Finished;
use super::job::{Job, JobHandle, JobOutcome};
use super::queue::{JobOrder, Queue, Share};
use crate::metrics::Row;
use crate::metrics::job_kind::JobKind;
use crate::sys::{thread, timer};

/// The most jobs that wait for a thread: of each root for one that waits for disks, and of all for one that
/// burns CPU.
const MAX_QUEUED: usize = 1024;

/// Too many jobs wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

/// Threads and their jobs.
pub struct Pool(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue<QueuedJob>>,
    /// Notified when a job can be taken.
    available: Condvar,
    finished: Arc<Finished>,
    metrics: Row,
}

/// A job that was submitted.
struct QueuedJob {
    kind: JobKind,
    /// When it was submitted, on the monotonic clock.
    submitted: Duration,
    completion: Arc<Completion>,
    /// Does the work and stores the result; or, for false, stores that it was dropped. True if it panicked.
    body: Box<dyn FnOnce(bool) -> bool + Send>,
}

impl Pool {
    /// Starts the threads, at this niceness, and returns when all of them run.
    ///
    /// # Errors
    /// See clone(2).
    pub fn start(
        name: &str,
        nice: i32,
        threads: usize,
        share: Share,
        (finished, metrics): (&Arc<Finished>, Row),
    ) -> io::Result<Pool> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(threads, share)),
            available: Condvar::new(),
            finished: Arc::clone(finished),
            metrics,
        });
        // The system calls that a thread makes at its start must be behind it when calls are filtered.
        let running = Arc::new(Barrier::new(threads + 1));
        for _ in 0..threads {
            let (shared, running) = (Arc::clone(&shared), Arc::clone(&running));
            thread::start(name, nice, move || {
                running.wait();
                shared.work()
            })?;
        }
        running.wait();
        Ok(Pool(shared))
    }

    /// Queues a job that reads a root.
    ///
    /// # Errors
    /// See [`QueueFull`].
    pub fn submit<T: Send + Sync + 'static>(
        &self,
        kind: JobKind,
        (root, order): (usize, JobOrder),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JobHandle<T>, QueueFull> {
        let Shared { queue, available, metrics, .. } = &*self.0;
        let completion = Arc::new(Completion::default());
        let job = Arc::new(Job { completion: Arc::clone(&completion), result: OnceLock::new() });
        let handle = JobHandle::new(Arc::clone(&job));
        let body = Box::new(move |wanted: bool| {
            let outcome = match wanted.then(|| catch_unwind(AssertUnwindSafe(work))) {
                Some(Ok(result)) => JobOutcome::Result(result),
                Some(Err(_)) => JobOutcome::Panicked,
                None => JobOutcome::Dropped,
            };
            let panicked = matches!(outcome, JobOutcome::Panicked);
            let _ = job.result.set(outcome);
            panicked
        });
        let mut queue = lock(queue);
        if queue.refusable(root) >= MAX_QUEUED && order != JobOrder::Always {
            drop(queue);
            metrics.job_refused(kind);
            return Err(QueueFull);
        }
        queue.push(root, order, QueuedJob { kind, submitted: timer::monotonic(), completion, body });
        metrics.job_queued(kind);
        drop(queue);
        // No system call unless a thread sleeps.
        available.notify_one();
        Ok(handle)
    }
}

impl Shared {
    /// The body of a thread.
    fn work(&self) -> ! {
        let mut queue = lock(&self.queue);
        loop {
            let Some((root, job)) = queue.pop() else {
                queue = self.available.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queue);
            self.run(job);
            queue = lock(&self.queue);
            queue.finish(root);
            if !queue.is_empty() {
                // This thread may take a job of another root now, and one of this root can be taken as well.
                self.available.notify_one();
            }
        }
    }

    fn run(&self, job: QueuedJob) {
        let QueuedJob { kind, submitted, completion, body } = job;
        let began = timer::monotonic();
        completion.begin();
        if completion.has_handles() {
            self.metrics.job_began(kind, began.saturating_sub(submitted));
            let panicked = body(true);
            self.metrics.job_ended(kind, timer::monotonic().saturating_sub(began), panicked);
        } else {
            body(false);
            self.metrics.job_dropped(kind);
        }
        completion.finish();
        self.finished.push(completion);
    }
}

fn lock(queue: &Mutex<Queue<QueuedJob>>) -> MutexGuard<'_, Queue<QueuedJob>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
