//! A job with its result, which all who wait for it share.

use std::sync::{Arc, OnceLock};

use super::completion::Completion;

/// A job that was submitted.
pub struct Job<T> {
    pub(super) completion: Arc<Completion>,
    pub(super) result: OnceLock<JobOutcome<T>>,
}

/// What became of a job.
pub enum JobOutcome<T> {
    /// Its result.
    Result(T),
    /// It panicked, which is logged.
    Panicked,
    /// It was not done, because all handles were dropped before.
    Dropped,
}

/// One of those for whom a job is done.
pub struct JobHandle<T>(Arc<Job<T>>);

impl<T> Job<T> {
    /// True once there is an outcome.
    pub fn is_done(&self) -> bool {
        self.completion.is_done()
    }

    /// What became of it; `None` until it is done.
    pub fn outcome(&self) -> Option<&JobOutcome<T>> {
        self.result.get()
    }

    /// True while there are handles of it.
    pub fn is_awaited(&self) -> bool {
        self.completion.has_handles()
    }

    /// What can be waited for; without a handle, the wait alone does not have it done.
    pub fn completion(&self) -> &Completion {
        &self.completion
    }

    /// Takes part in waiting for it.
    pub fn handle(self: &Arc<Job<T>>) -> JobHandle<T> {
        JobHandle::new(Arc::clone(self))
    }
}

impl<T> JobHandle<T> {
    pub(super) fn new(job: Arc<Job<T>>) -> JobHandle<T> {
        job.completion.add_handle();
        JobHandle(job)
    }

    /// What can be waited for.
    pub fn completion(&self) -> &Completion {
        &self.0.completion
    }

    /// The job itself, which is not done for the sake of this reference.
    pub fn job(&self) -> Arc<Job<T>> {
        Arc::clone(&self.0)
    }

    /// Has the job done although its result is not awaited.
    pub fn detach(self) {
        // This one is not taken back.
        self.0.completion.add_handle();
    }

    /// What became of it; `None` until it is done.
    pub fn outcome(&self) -> Option<&JobOutcome<T>> {
        self.0.outcome()
    }
}

impl<T> Clone for JobHandle<T> {
    fn clone(&self) -> JobHandle<T> {
        JobHandle::new(Arc::clone(&self.0))
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        self.0.completion.remove_handle();
    }
}
