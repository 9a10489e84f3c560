//! The store's part in digests: how long a request waits for one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::background::{JobOutcome, JobWaiter};
use crate::http::digest_fields::Sha256Digest;
use crate::store::Store;
use crate::store::digests::{self, DigestUse, FileDigest, Hashing, MadeDigest};
use crate::store::entry::Entry;
use crate::sys::timer;
use crate::time::Now;

/// How long requests wait for the digest of an entity-tag, from the begin of the job that makes it.
const TAG_WAIT: Duration = Duration::from_millis(50);

/// The most bytes of which a digest field is made: 16 MiB.
const MAX_REPRESENTATION: u64 = 16 << 20;

/// The most bytes of a part of a file of which a digest field is made. Nothing of it is remembered.
const MAX_PART: u64 = 1 << 20;

/// The most bytes in memory of which the thread that serves makes a digest field: 64 KiB, which takes less
/// than a millisecond. A job might have to wait for a compression.
const MAX_AT_ONCE: u64 = 64 << 10;

impl Store {
    /// Gives an entry that [awaits](Entry::awaits_digest) it an entity-tag by its content, if that can be
    /// done within 50 ms; otherwise it keeps the one by its stamp until a later request finds the digest.
    /// `now` becomes the time after a wait.
    #[cold]
    #[inline(never)]
    pub fn add_digest(&self, entry: &Arc<Entry>, now: &mut Now, waiter: &mut dyn JobWaiter) {
        let (job, began) = match self.digests.start(entry, DigestUse::EntityTag, self.background) {
            Hashing::Known(FileDigest::Xxh3(digest)) => return entry.set_digest(Some(digest)),
            Hashing::UnderWay(job, began) => (job, began),
            Hashing::Known(FileDigest::Sha256(_)) | Hashing::NotNow => return,
        };
        let end = began + TAG_WAIT;
        if timer::monotonic() < end
            && let Ok(after) = waiter.wait_until(job.completion(), end)
        {
            *now = after;
        }
        match job.outcome() {
            Some(JobOutcome::Result(Some(FileDigest::Xxh3(digest)))) => entry.set_digest(Some(*digest)),
            Some(_) => entry.set_digest(None),
            None => {}
        }
    }

    /// The SHA-256 digest of a part of an entry's content. Waits until a thread has made it, unless it is
    /// short and in memory, and `now` becomes the time after that. `None` if it takes too long, if the file
    /// changes meanwhile, or if the part is too long: 16 MiB for the whole content, 1 MiB for less.
    #[inline(never)]
    pub fn sha256(
        &self,
        entry: &Arc<Entry>,
        part: &Range<u64>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Option<Sha256Digest> {
        let is_whole = *part == (0..entry.size);
        if part.end.saturating_sub(part.start) > if is_whole { MAX_REPRESENTATION } else { MAX_PART } {
            return None;
        }
        if is_whole && let Some(digest) = entry.sha256.get() {
            return Some(*digest);
        }
        let is_short = entry.in_memory().is_some() && part.end.saturating_sub(part.start) <= MAX_AT_ONCE;
        let digest = match (is_short, is_whole && entry.file().is_some()) {
            (true, _) => digests::sha256_of_part(entry, part)?,
            (false, true) => self.whole_sha256(entry, now, waiter)?,
            (false, false) => self.part_sha256(entry, part, now, waiter)?,
        };
        if is_whole {
            entry.sha256.get_or_init(|| digest);
        }
        Some(digest)
    }

    fn whole_sha256(
        &self,
        entry: &Arc<Entry>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Option<Sha256Digest> {
        let job = match self.digests.start(entry, DigestUse::Field, self.background) {
            Hashing::Known(FileDigest::Sha256(digest)) => return Some(digest),
            Hashing::UnderWay(job, _) => job,
            Hashing::Known(FileDigest::Xxh3(_)) | Hashing::NotNow => return None,
        };
        *now = waiter.wait(job.completion()).ok()?;
        match job.outcome()? {
            JobOutcome::Result(Some(FileDigest::Sha256(digest))) => Some(*digest),
            _ => None,
        }
    }

    fn part_sha256(
        &self,
        entry: &Arc<Entry>,
        part: &Range<u64>,
        now: &mut Now,
        waiter: &mut dyn JobWaiter,
    ) -> Option<Sha256Digest> {
        let (of_job, of_part) = (Arc::clone(entry), part.clone());
        let work =
            move || -> MadeDigest { digests::sha256_of_part(&of_job, &of_part).map(FileDigest::Sha256) };
        let job = digests::submit(self.background, entry, work).ok()?;
        *now = waiter.wait(job.completion()).ok()?;
        match job.outcome()? {
            JobOutcome::Result(Some(FileDigest::Sha256(digest))) => Some(*digest),
            _ => None,
        }
    }
}
