//! The verifications that background threads are making: one job for the same credentials, however many
//! requests wait for it, and few for one origin, so that the threads are left for others.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::CredentialsDigest;
use super::origin::Origin;
use crate::background::{Background, Job, JobHandle};
use crate::metrics::job_kind::JobKind;
use crate::password::stored_hash::{NoMemory, StoredHash};

/// The most verifications that wait or are made: with bcrypt at a cost of 12, some 14 s of a thread. More
/// would keep the threads from other jobs, and clients from their answers.
const MOST: usize = 64;

/// The most of one origin.
const MOST_OF_ORIGIN: usize = 2;

/// The most requests of one origin that wait for one of its verifications to end.
const MOST_WAITING: usize = 64;

/// Whether a password is the right one.
pub type PasswordVerdict = Result<bool, NoMemory>;

/// A job that verifies a password.
pub type PasswordJob = Arc<Job<PasswordVerdict>>;

/// The verifications by the digest of their credentials.
#[derive(Default)]
pub struct Verifications {
    jobs: HashMap<CredentialsDigest, Verification>,
    /// The number of the next one.
    next: u64,
    /// How many requests of each origin wait for a place.
    waiting: HashMap<Origin, usize>,
}

struct Verification {
    job: PasswordJob,
    /// Whose request began it.
    origin: Origin,
    /// Later ones have higher numbers.
    number: u64,
}

/// Whether an origin may begin a verification.
pub enum OriginPlace {
    /// Yes.
    Free,
    /// Not before this one ends; the request is counted until [`Verifications::stop_waiting`].
    After(PasswordJob),
    /// Too many of its requests wait already.
    Refused,
}

/// Too many verifications wait already, or there is no thread for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationsFull;

impl Verifications {
    /// The verification of these credentials that is under way.
    pub fn under_way(&self, digest: &CredentialsDigest) -> Option<JobHandle<PasswordVerdict>> {
        let job = &self.jobs.get(digest)?.job;
        // One without a handle that is done may have been dropped.
        (!job.is_done() || job.is_awaited()).then(|| job.handle())
    }

    /// Whether this origin may begin a verification. One whose client has gone has its place until a thread
    /// comes to it, so that clients that go away make no room for more.
    pub fn place(&mut self, origin: Origin) -> OriginPlace {
        // None that is done, which no one could wait for.
        let own = self.jobs.values().filter(|own| own.origin == origin && !own.job.is_done());
        let (mut count, mut oldest) = (0, None::<&Verification>);
        for verification in own {
            count += 1;
            oldest = oldest.filter(|oldest| oldest.number < verification.number).or(Some(verification));
        }
        let Some(oldest) = oldest.filter(|_| count >= MOST_OF_ORIGIN) else { return OriginPlace::Free };
        let waiting = self.waiting.entry(origin).or_default();
        if *waiting >= MOST_WAITING {
            return OriginPlace::Refused;
        }
        *waiting += 1;
        OriginPlace::After(Arc::clone(&oldest.job))
    }

    /// Counts a request of this origin no more, which has waited for a place.
    pub fn stop_waiting(&mut self, origin: Origin) {
        if let Some(waiting) = self.waiting.get_mut(&origin) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&origin);
            }
        }
    }

    /// Has a thread compare a password with a hash.
    ///
    /// # Errors
    /// See [`VerificationsFull`].
    pub fn start(
        &mut self,
        (digest, origin): (CredentialsDigest, Origin),
        background: &Background,
        hash: Arc<StoredHash>,
        password: &[u8],
    ) -> Result<JobHandle<PasswordVerdict>, VerificationsFull> {
        self.jobs.retain(|_, Verification { job, .. }| !job.is_done() || job.is_awaited());
        if self.jobs.len() >= MOST {
            return Err(VerificationsFull);
        }
        let password = password.to_vec();
        let job = background.submit_cpu(JobKind::Password, move || hash.verify(&password));
        let job = job.map_err(|_| VerificationsFull)?;
        self.jobs.insert(digest, Verification { job: job.job(), origin, number: self.next });
        self.next += 1;
        Ok(job)
    }

    /// Takes a verification that is done out of the list. True for the first who asks.
    pub fn take_done(&mut self, digest: &CredentialsDigest, job: &JobHandle<PasswordVerdict>) -> bool {
        let is_listed = self.jobs.get(digest).is_some_and(|listed| Arc::ptr_eq(&listed.job, &job.job()));
        is_listed && self.jobs.remove(digest).is_some()
    }
}
