//! The lookups that background threads are making: one job for a key, however many requests wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::background::{Background, Job, JobHandle, JobOrder, JobOutcome, QueueFull};
use crate::metrics::job_kind::JobKind;
use crate::store::cache::Key;
use crate::store::lookup::{FoundEntry, LookupJob};
use crate::store::open::Miss;
use crate::sys::file::Root;
use crate::time::Now;

/// What a job came to.
pub type FoundOrMiss = Result<FoundEntry, Miss>;

/// The jobs by key. Those that are done are removed by who takes their result, or by
/// [`LookupJobs::remove_done`].
#[derive(Default)]
pub struct LookupJobs(HashMap<(Box<[u8]>, bool), Flight>);

/// A job under way.
struct Flight {
    job: Arc<Job<FoundOrMiss>>,
    /// The root that it opens the file beneath.
    root: Arc<Root>,
    /// When it was submitted.
    began: Now,
}

impl LookupJobs {
    /// The job of `key`: the one that is under way or whose clients have not taken its result yet, or a new
    /// one. True if it had begun before, so that it may find what was there before this request.
    ///
    /// # Errors
    /// See [`QueueFull`].
    pub fn start(
        &mut self,
        key: Key<'_>,
        root_number: usize,
        background: &Background,
        job: LookupJob,
    ) -> Result<(JobHandle<FoundOrMiss>, bool), QueueFull> {
        let owned = owned(key);
        if let Some(flight) = self.0.get(&owned)
            && (!flight.job.is_done() || flight.job.is_awaited())
            && Arc::ptr_eq(&flight.root, &job.root)
        {
            let handle = flight.job.handle();
            let has_begun = handle.completion().has_begun();
            return Ok((handle, has_begun));
        }
        let (root, began) = (Arc::clone(&job.root), job.description.now);
        let order = if job.known.is_some() { JobOrder::First } else { JobOrder::InTurn };
        let handle = background.submit_disk(JobKind::Open, (root_number, order), move || job.run())?;
        self.0.insert(owned, Flight { job: handle.job(), root, began });
        Ok((handle, false))
    }

    /// Takes a job that is done out of the list. Its root and when it was submitted, for the first who asks;
    /// `None` for the others who have waited for it.
    pub fn take_done(&mut self, key: Key<'_>, job: &JobHandle<FoundOrMiss>) -> Option<(Arc<Root>, Now)> {
        let owned = owned(key);
        let is_listed = self.0.get(&owned).is_some_and(|flight| Arc::ptr_eq(&flight.job, &job.job()));
        if !is_listed {
            return None;
        }
        self.0.remove(&owned).map(|flight| (flight.root, flight.began))
    }

    /// Removes the jobs that are done and whose clients have all gone.
    pub fn remove_done(&mut self) {
        self.0.retain(|_, flight| !flight.job.is_done() || flight.job.is_awaited());
    }
}

/// What a job came to that was waited for; `None` if it was dropped, so that it must be started again.
pub fn result_of(job: &JobHandle<FoundOrMiss>) -> Option<FoundOrMiss> {
    match job.outcome() {
        Some(JobOutcome::Result(result)) => Some(result.clone()),
        Some(JobOutcome::Panicked) => Some(Err(Miss::Failed)),
        Some(JobOutcome::Dropped) | None => None,
    }
}

fn owned(key: Key<'_>) -> (Box<[u8]>, bool) {
    (key.path.into(), key.is_directory)
}
