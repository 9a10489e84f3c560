//! The listings that background threads are making: one job for a key, however many requests wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::kept::ListingKey;
use super::page::ListingPage;
use crate::background::{Background, Job, JobHandle, JobOrder, JobOutcome, QueueFull};
use crate::metrics::job_kind::JobKind;
use crate::store::open::Miss;
use crate::sys::filesystem::FileSystemClass;
use crate::time::Now;

/// What a job came to.
pub type PageOrMiss = Result<Arc<ListingPage>, Miss>;

/// The jobs by key. Those that are done are removed by who takes their result, or by
/// [`ListingJobs::remove_done`].
#[derive(Default)]
pub struct ListingJobs(HashMap<ListingKey, PageJob>);

/// A job under way.
struct PageJob {
    job: Arc<Job<PageOrMiss>>,
    /// When it was submitted.
    began: Now,
}

impl ListingJobs {
    /// The job of a key: the one that is under way or whose clients have not taken its result yet, or a new
    /// one that does `work`. True if it had begun before, so that it may find what was there before this
    /// request.
    ///
    /// # Errors
    /// See [`QueueFull`].
    pub fn start(
        &mut self,
        (key, class): (&ListingKey, FileSystemClass),
        background: &Background,
        now: Now,
        work: impl FnOnce() -> PageOrMiss + Send + 'static,
    ) -> Result<(JobHandle<PageOrMiss>, bool), QueueFull> {
        if let Some(PageJob { job, .. }) = self.0.get(key)
            && (!job.is_done() || job.is_awaited())
        {
            let handle = job.handle();
            let has_begun = handle.completion().has_begun();
            return Ok((handle, has_begun));
        }
        let handle = match class {
            // A client does not wait behind the compression of files, which the others do.
            FileSystemClass::Memory if key.coding.is_none() => background.submit_cpu(JobKind::List, work),
            _ => background.submit_disk(JobKind::List, (key.root, JobOrder::InTurn), work),
        }?;
        self.0.insert(key.clone(), PageJob { job: handle.job(), began: now });
        Ok((handle, false))
    }

    /// Takes a job that is done out of the list. When it was submitted, for the first who asks; `None` for
    /// the others who have waited for it.
    pub fn take_done(&mut self, key: &ListingKey, job: &JobHandle<PageOrMiss>) -> Option<Now> {
        let is_listed = self.0.get(key).is_some_and(|listed| Arc::ptr_eq(&listed.job, &job.job()));
        if !is_listed {
            return None;
        }
        self.0.remove(key).map(|listed| listed.began)
    }

    /// Removes the jobs that are done and whose clients have all gone.
    pub fn remove_done(&mut self) {
        self.0.retain(|_, listed| !listed.job.is_done() || listed.job.is_awaited());
    }
}

/// What a job came to that was waited for; `None` if it was dropped, so that it must be started again.
pub fn result_of(job: &JobHandle<PageOrMiss>) -> Option<PageOrMiss> {
    match job.outcome() {
        Some(JobOutcome::Result(result)) => Some(result.clone()),
        Some(JobOutcome::Panicked) => Some(Err(Miss::Failed)),
        Some(JobOutcome::Dropped) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::time::{Duration, SystemTime};

    use super::super::hidden::HiddenNames;
    use super::super::memory::ListingMemory;
    use super::super::view::ListingView;
    use super::*;
    use crate::metrics::Row;
    use crate::sys::file::{LinkPolicy, Stamp};
    use crate::sys::process::wait_readable;

    const DEADLINE: Duration = Duration::from_secs(10);
    const NOW: Now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };

    fn key(path: &str) -> ListingKey {
        let (view, hidden) = (ListingView::default(), HiddenNames::default());
        ListingKey {
            root: 0,
            identity: (1, 2),
            path: path.as_bytes().into(),
            view,
            coding: None,
            hidden,
            links: LinkPolicy::Inside,
        }
    }

    fn page() -> PageOrMiss {
        let stamp = Stamp { identity: (1, 2), size: 3, mtime: (4, 5), ctime: (6, 7), links: 1 };
        Ok(Arc::new(ListingPage::of_bytes(vec![0; 9], stamp, ListingMemory::new(100).reserve())))
    }

    /// One thread, whose first job says that it has begun, and ends when it is released.
    struct Held {
        background: Background,
        jobs: ListingJobs,
        release: Sender<()>,
        begun: Receiver<()>,
        first: JobHandle<PageOrMiss>,
    }

    impl Held {
        fn new() -> Held {
            let background = Background::start(1, 0, Row::alone().unwrap()).unwrap();
            let mut jobs = ListingJobs::default();
            let (release, released) = mpsc::channel();
            let (begin, begun) = mpsc::channel();
            let work = move || {
                begin.send(()).unwrap();
                let _: Result<(), _> = released.recv();
                page()
            };
            let class = FileSystemClass::Probed;
            let (first, is_late) = jobs.start((&key("a"), class), &background, NOW, work).unwrap();
            assert!(!is_late);
            Held { background, jobs, release, begun, first }
        }

        fn start(&mut self, path: &str, work: fn() -> PageOrMiss) -> (JobHandle<PageOrMiss>, bool) {
            self.jobs.start((&key(path), FileSystemClass::Probed), &self.background, NOW, work).unwrap()
        }

        fn wait_for(&self, job: &JobHandle<PageOrMiss>) {
            let event = self.background.event().unwrap();
            while !job.completion().is_done() {
                assert_eq!(wait_readable(&[event.as_fd()], Some(DEADLINE)).unwrap(), [true], "in time");
                crate::sys::timer::take_expirations(&event);
                self.background.wake_waiters();
            }
        }
    }

    #[test]
    fn a_hundred_requests_for_a_page_share_one_job_and_later_ones_know_that_it_had_begun() {
        let mut held = Held::new();
        held.begun.recv_timeout(DEADLINE).unwrap();
        let joined: Vec<_> = (0..99).map(|_| held.start("a", || panic!("a second job"))).collect();
        assert!(joined.iter().all(|(_, is_late)| *is_late));
        let (other, is_late) = held.start("b", page);
        assert!(!is_late);
        held.release.send(()).unwrap();
        held.wait_for(&other);
        let first = result_of(&held.first).unwrap().unwrap();
        for (job, _) in &joined {
            assert!(Arc::ptr_eq(&result_of(job).unwrap().unwrap(), &first));
        }
        // The first who asks keeps the page.
        assert_eq!(held.jobs.take_done(&key("a"), &joined[0].0).map(|began| began.tick), Some(1));
        assert!(held.jobs.take_done(&key("a"), &held.first).is_none());
        let (next, is_late) = held.start("a", page);
        assert!(!is_late);
        held.wait_for(&next);
        drop((next, other));
        held.jobs.remove_done();
        assert!(held.jobs.0.is_empty());
    }

    #[test]
    fn a_job_that_fails_is_a_miss_and_one_that_is_not_wanted_is_not_done() {
        let mut held = Held::new();
        let failed = held.start("b", || panic!("on purpose")).0;
        let dropped = held.start("c", || panic!("it is not wanted")).0.job();
        let last = held.start("d", page).0;
        held.release.send(()).unwrap();
        held.wait_for(&last);
        assert!(matches!(result_of(&failed), Some(Err(Miss::Failed))));
        assert!(result_of(&dropped.handle()).is_none());
    }
}
