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
            FileSystemClass::Memory => background.submit_cpu(JobKind::List, work),
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
