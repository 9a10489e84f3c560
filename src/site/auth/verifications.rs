//! The verifications that background threads are making: one job for the same credentials, however many
//! requests wait for it.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::CredentialsDigest;
use crate::background::{Background, Job, JobHandle};
use crate::metrics::job_kind::JobKind;
use crate::password::stored_hash::{NoMemory, StoredHash};

/// The most verifications that wait or are made: with bcrypt at a cost of 12, some 14 s of a thread. More
/// would keep the threads from other jobs, and clients from their answers.
const MOST: usize = 64;

/// Whether a password is the right one.
pub type PasswordVerdict = Result<bool, NoMemory>;

/// The verifications by the digest of their credentials.
#[derive(Default)]
pub struct Verifications(HashMap<CredentialsDigest, Arc<Job<PasswordVerdict>>>);

/// Too many verifications wait already, or there is no thread for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationsFull;

impl Verifications {
    /// The verification of these credentials that is under way.
    pub fn under_way(&self, digest: &CredentialsDigest) -> Option<JobHandle<PasswordVerdict>> {
        let job = self.0.get(digest)?;
        // One without a handle that is done may have been dropped.
        (!job.is_done() || job.is_awaited()).then(|| job.handle())
    }

    /// Has a thread compare a password with a hash.
    ///
    /// # Errors
    /// See [`VerificationsFull`].
    pub fn start(
        &mut self,
        digest: CredentialsDigest,
        background: &Background,
        hash: Arc<StoredHash>,
        password: &[u8],
    ) -> Result<JobHandle<PasswordVerdict>, VerificationsFull> {
        self.0.retain(|_, job| !job.is_done() || job.is_awaited());
        if self.0.len() >= MOST {
            return Err(VerificationsFull);
        }
        let password = password.to_vec();
        let job = background.submit_cpu(JobKind::Password, move || hash.verify(&password));
        let job = job.map_err(|_| VerificationsFull)?;
        self.0.insert(digest, job.job());
        Ok(job)
    }

    /// Takes a verification that is done out of the list. True for the first who asks.
    pub fn take_done(&mut self, digest: &CredentialsDigest, job: &JobHandle<PasswordVerdict>) -> bool {
        let is_listed = self.0.get(digest).is_some_and(|listed| Arc::ptr_eq(listed, &job.job()));
        is_listed && self.0.remove(digest).is_some()
    }
}
