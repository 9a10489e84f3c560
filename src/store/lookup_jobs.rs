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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::metrics::Row;
    use crate::store::description::Description;
    use crate::sys::file::LinkPolicy;
    use crate::sys::process::wait_readable;

    const DEADLINE: Duration = Duration::from_secs(10);
    const KEY: Key<'_> = Key { path: b"/a", is_directory: false };

    #[test]
    fn a_hundred_lookups_of_a_key_are_one_job_and_all_have_its_result() {
        let disk = HeldDisk::new("hundred");
        let mut lookups = LookupJobs::default();
        let root = disk.root();
        let jobs: Vec<_> = (0..100).map(|_| disk.look_up(&mut lookups, &root)).collect();
        assert!(jobs.iter().all(|(job, begun)| Arc::ptr_eq(&job.job(), &jobs[0].0.job()) && !begun));
        disk.release();
        disk.wait_for(&jobs[0].0);
        let entries: Vec<_> = jobs.iter().map(|(job, _)| entry_of(job)).collect();
        assert!(entries.iter().all(|entry| Arc::ptr_eq(entry, &entries[0])));
        assert_eq!(entries[0].size, 5);
        let (_, has_begun) = disk.look_up(&mut lookups, &root);
        assert!(has_begun, "it ended before this one came");
        assert!(lookups.take_done(KEY, &jobs[0].0).is_some(), "the first takes it out of the list");
        assert!(lookups.take_done(KEY, &jobs[1].0).is_none());
        let (next, has_begun) = disk.look_up(&mut lookups, &root);
        assert!(!Arc::ptr_eq(&next.job(), &jobs[0].0.job()) && !has_begun);
    }

    #[test]
    fn a_lookup_beneath_another_root_is_a_job_of_its_own() {
        let disk = HeldDisk::new("roots");
        let mut lookups = LookupJobs::default();
        let before = disk.look_up(&mut lookups, &disk.root()).0;
        let now = disk.look_up(&mut lookups, &disk.root()).0;
        assert!(!Arc::ptr_eq(&before.job(), &now.job()));
        disk.release();
        disk.wait_for(&now);
        assert!(lookups.take_done(KEY, &before).is_none(), "its result is not kept");
        assert!(result_of(&before).is_some());
    }

    #[test]
    fn a_job_whose_clients_have_gone_is_dropped_and_begun_again_for_the_next_one() {
        let disk = HeldDisk::new("gone");
        let mut lookups = LookupJobs::default();
        let root = disk.root();
        let job = disk.look_up(&mut lookups, &root).0.job();
        disk.release();
        let next = disk.background.submit_disk(JobKind::Open, (0, JobOrder::InTurn), || Err(Miss::Failed));
        disk.wait_for(&next.unwrap());
        assert!(matches!(job.outcome(), Some(JobOutcome::Dropped)));
        lookups.remove_done();
        let again = disk.look_up(&mut lookups, &root).0;
        disk.wait_for(&again);
        assert_eq!(entry_of(&again).size, 5);
    }

    #[test]
    fn a_job_that_panics_is_a_failure() {
        let disk = HeldDisk::new("panic");
        disk.release();
        let job = disk.background.submit_disk(JobKind::Open, (0, JobOrder::InTurn), || panic!("on purpose"));
        let job = job.unwrap();
        disk.wait_for(&job);
        assert!(matches!(result_of(&job), Some(Err(Miss::Failed))));
    }

    /// One background thread whose first job does not end until it is released, and a file of 5 bytes.
    struct HeldDisk {
        background: Background,
        release: mpsc::Sender<()>,
        place: PathBuf,
    }

    impl HeldDisk {
        fn new(name: &str) -> HeldDisk {
            let place = std::env::temp_dir().join(format!("mayhttpd-lookups-{name}-{}", std::process::id()));
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join("a"), "bytes").unwrap();
            let background = Background::start(1, 0, Row::alone().unwrap()).unwrap();
            let (release, released) = mpsc::channel::<()>();
            let held = background.submit_disk(JobKind::Open, (0, JobOrder::InTurn), move || {
                let _ = released.recv();
            });
            held.unwrap().detach();
            HeldDisk { background, release, place }
        }

        fn root(&self) -> Arc<Root> {
            Arc::new(Root::open(&self.place).unwrap())
        }

        fn release(&self) {
            self.release.send(()).unwrap();
        }

        /// Looks the file up, with no entry known.
        fn look_up(&self, lookups: &mut LookupJobs, root: &Arc<Root>) -> (JobHandle<FoundOrMiss>, bool) {
            let now = Now { tick: 1, wall: SystemTime::UNIX_EPOCH };
            let description = Description { with_variants: true, ..Description::of_text(now) };
            let (root, path) = (Arc::clone(root), b"a".to_vec());
            let (links, open, known) = (LinkPolicy::Inside, None, None);
            let job = LookupJob { root, path, index: None, links, open, known, description };
            lookups.start(KEY, 0, &self.background, job).unwrap()
        }

        fn wait_for(&self, job: &JobHandle<FoundOrMiss>) {
            let event = self.background.event().unwrap();
            while !job.completion().is_done() {
                let ready = wait_readable(&[event.as_fd()], Some(DEADLINE)).unwrap();
                assert_eq!(ready, [true], "the job is not done in time");
                crate::sys::timer::take_expirations(&event);
                self.background.wake_waiters();
            }
        }
    }

    impl Drop for HeldDisk {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.place);
        }
    }

    fn entry_of(job: &JobHandle<FoundOrMiss>) -> Arc<crate::store::entry::Entry> {
        match result_of(job) {
            Some(Ok(FoundEntry::New(entry))) => entry,
            _ => panic!("no entry"),
        }
    }
}
