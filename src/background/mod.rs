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
mod wait_limits;

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

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
pub use wait_limits::{WaitLimit, WaitLimits};

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
    /// The waits that end before their jobs do.
    pub limits: WaitLimits,
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

/// What a request that needs a job, or must wait for something else, has of its connection.
pub trait JobWaiter {
    /// False if all waits will be refused: what is asked for is asked for again later, and must change
    /// nothing now.
    fn may_wait(&mut self) -> bool {
        true
    }

    /// Sends what has gathered for the client, lets other coroutines run until the job is done, and returns
    /// the time after that.
    ///
    /// # Errors
    /// See [`GaveUp`].
    fn wait(&mut self, job: &Completion) -> Result<Now, GaveUp>;

    /// Sends what has gathered for the client, lets other coroutines run for so many ticks of 100 ms, and
    /// returns the time after that.
    ///
    /// # Errors
    /// [`GaveUp::ClientGone`].
    fn pause(&mut self, ticks: u32) -> Result<Now, GaveUp>;

    /// [`JobWaiter::wait`] until `end` at most, a time of the monotonic clock. Whether the job is done then,
    /// the job says.
    ///
    /// # Errors
    /// See [`GaveUp`].
    fn wait_until(&mut self, job: &Completion, end: Duration) -> Result<Now, GaveUp>;
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
        Ok(Background { disk, cpu, finished, limits: WaitLimits::new()? })
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

    /// Has a thread do what burns CPU. In turn are compression, which takes the longest and which no request
    /// waits for, and passwords, with which clients could keep the threads busy. All else goes before these,
    /// but only every other time.
    ///
    /// # Errors
    /// [`QueueFull`], also where there are no threads.
    pub fn submit_cpu<T: Send + Sync + 'static>(
        &self,
        kind: JobKind,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JobHandle<T>, QueueFull> {
        let order = match kind {
            JobKind::Compress | JobKind::Password => JobOrder::InTurn,
            _ => JobOrder::First,
        };
        self.cpu.as_ref().ok_or(QueueFull)?.submit(kind, (0, order), work)
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

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::Duration;

    use super::*;
    use crate::sys::process::wait_readable;

    const DEADLINE: Duration = Duration::from_secs(10);
    const IN_TURN: JobOrder = JobOrder::InTurn;

    /// Says that it was woken.
    struct Waker(Sender<()>);

    impl Wake for Waker {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn a_job_that_is_held_up_holds_up_no_other() {
        let background = background(2);
        let (held, release) = held_job(&background, 0);
        let other = background.submit_disk(JobKind::Read, (1, IN_TURN), || 2).unwrap();
        assert_eq!(result(&background, &other), 2);
        assert!(held.outcome().is_none() && held.completion().has_begun());
        release.send(()).unwrap();
        assert_eq!(result(&background, &held), 1);
    }

    #[test]
    fn all_that_wait_for_a_job_are_woken_once_and_those_that_gave_up_are_not() {
        let background = background(1);
        let (held, release) = held_job(&background, 0);
        let (woken, wakes) = mpsc::channel();
        let waiting: Vec<_> =
            (0..3).map(|_| held.completion().add_waiter(Box::new(Waker(woken.clone())))).collect();
        drop(held.completion().add_waiter(Box::new(Waker(woken))));
        release.send(()).unwrap();
        let mut count = 0;
        while count < 3 {
            hear(&background);
            count += wakes.try_iter().count();
        }
        drop(waiting);
        assert_eq!((count, wakes.iter().count()), (3, 0));
    }

    #[test]
    fn a_job_that_panics_ends_itself_alone() {
        let background = background(1);
        let failed = background.submit_disk(JobKind::Open, (0, IN_TURN), || panic!("on purpose")).unwrap();
        wait_for(&background, &failed);
        assert!(matches!(failed.outcome(), Some(JobOutcome::<()>::Panicked)));
        let next = background.submit_disk(JobKind::Open, (0, IN_TURN), || 3).unwrap();
        assert_eq!(result(&background, &next), 3, "its thread goes on");
    }

    #[test]
    fn a_job_that_is_not_wanted_any_more_is_not_done_unless_it_is_detached() {
        let background = background(1);
        let (held, release) = held_job(&background, 0);
        let (done, jobs) = mpsc::channel();
        let submit = |number: u32| {
            let done = done.clone();
            background.submit_disk(JobKind::Close, (0, IN_TURN), move || done.send(number)).unwrap()
        };
        let dropped = submit(1);
        let job = dropped.job();
        drop(dropped);
        submit(2).detach();
        let last = submit(3);
        release.send(()).unwrap();
        assert_eq!(result(&background, &held), 1);
        wait_for(&background, &last);
        drop(done);
        assert_eq!(jobs.iter().collect::<Vec<_>>(), [2, 3]);
        assert!(matches!(job.outcome(), Some(JobOutcome::Dropped)));
    }

    #[test]
    fn a_full_line_refuses_new_jobs_of_its_root_but_none_of_an_answer_under_way() {
        let background = background(2);
        let (_held, release) = held_job(&background, 0);
        let submit = |root, order| background.submit_disk(JobKind::Open, (root, order), || ());
        let queued: Vec<_> = (0..1024).map(|_| submit(0, IN_TURN).unwrap()).collect();
        assert!(submit(0, IN_TURN).is_err() && submit(0, JobOrder::First).is_err());
        let under_way = submit(0, JobOrder::Always).unwrap();
        wait_for(&background, &submit(1, IN_TURN).unwrap());
        release.send(()).unwrap();
        wait_for(&background, &under_way);
        assert!(queued.iter().all(|job| job.outcome().is_some()));
        submit(0, IN_TURN).unwrap();
    }

    #[test]
    fn what_requests_wait_for_goes_before_compression_and_passwords() {
        let background = Background::start(0, 1, Row::alone().unwrap()).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let held = background.submit_cpu(JobKind::Compress, move || released.recv().is_ok()).unwrap();
        let (done, jobs) = mpsc::channel();
        let submit = |kind, number: u32| {
            let done = done.clone();
            background.submit_cpu(kind, move || done.send(number)).unwrap()
        };
        let waiting = [(JobKind::Compress, 1), (JobKind::Password, 2), (JobKind::List, 3)];
        let waiting = waiting.map(|(kind, number)| submit(kind, number));
        release.send(()).unwrap();
        wait_for(&background, &held);
        waiting.iter().for_each(|job| wait_for(&background, job));
        assert_eq!(jobs.try_iter().collect::<Vec<_>>(), [3, 1, 2]);
    }

    #[test]
    fn without_threads_jobs_are_refused() {
        let background = background(0);
        assert!(!background.has_disk_threads());
        assert!(background.submit_disk(JobKind::Open, (0, JobOrder::Always), || ()).is_err());
        assert!(background.submit_cpu(JobKind::List, || ()).is_err());
    }

    fn background(disk_threads: usize) -> Background {
        Background::start(disk_threads, 0, Row::alone().unwrap()).unwrap()
    }

    /// A job of this root that has begun and does not end, with result 1, before the sender is used.
    fn held_job(background: &Background, root: usize) -> (JobHandle<u32>, Sender<()>) {
        let (release, released): (_, Receiver<()>) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let work = move || {
            begin.send(()).unwrap();
            // Also when the test has failed.
            let _ = released.recv();
            1
        };
        let held = background.submit_disk(JobKind::Open, (root, IN_TURN), work).unwrap();
        begun.recv_timeout(DEADLINE).unwrap();
        (held, release)
    }

    /// Waits until this job is done.
    fn wait_for<T>(background: &Background, job: &JobHandle<T>) {
        while !job.completion().is_done() {
            hear(background);
        }
    }

    /// Does what the listening coroutine does, once.
    fn hear(background: &Background) {
        let event = background.event().unwrap();
        let ready = wait_readable(&[event.as_fd()], Some(DEADLINE)).unwrap();
        assert_eq!(ready, [true], "no job is done in time");
        crate::sys::timer::take_expirations(&event);
        background.wake_waiters();
    }

    fn result(background: &Background, job: &JobHandle<u32>) -> u32 {
        wait_for(background, job);
        let Some(JobOutcome::Result(result)) = job.outcome() else { panic!("no result") };
        *result
    }
}
