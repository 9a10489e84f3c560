//! Digests of files, made by background threads and remembered by version of the file.
//!
//! A version is device and inode number, size and both times. **Invariant:** the digest of a version is that
//! of all bytes that this version can have. So a file that was just changed is not read before the clock of
//! its file system has moved on: after that a further change shows in the stamp.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use lru::LruCache;
use sha2::{Digest as _, Sha256};
use twox_hash::xxhash3_128::Hasher as Xxh3;

use crate::background::{Background, Job, JobHandle, JobOrder, QueueFull};
use crate::http::digest_fields::Sha256Digest;
use crate::metrics::job_kind::JobKind;
use crate::store::entry::Entry;
use crate::sys::file::{self, Stamp};
use crate::sys::filesystem::FileSystemClass;
use crate::sys::timer;

/// The most versions whose digests are remembered: some 13 MiB.
const MAX_KNOWN: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// The most files that are read, or wait to be read, at once; each is held open.
const MAX_UNDER_WAY: usize = 64;

/// Bytes that are read at once.
const CHUNK: usize = 128 << 10;

/// What a digest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestUse {
    /// The entity-tag: XXH3 of 128 bits.
    EntityTag,
    /// A digest field: SHA-256.
    Field,
}

/// A digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileDigest {
    /// XXH3 of 128 bits.
    Xxh3(u128),
    /// SHA-256.
    Sha256(Sha256Digest),
}

/// A digest that is made; `None` if the file changed meanwhile or can't be read.
pub type MadeDigest = Option<FileDigest>;

/// How a digest can be had.
pub enum Hashing {
    /// It is known.
    Known(FileDigest),
    /// A job makes it, which began at that time of the monotonic clock.
    UnderWay(JobHandle<MadeDigest>, Duration),
    /// Not now: the file has just changed, or too many files are read already.
    NotNow,
}

/// The digests of one worker.
pub struct Digests(Arc<Mutex<DigestTable>>);

struct DigestTable {
    known: LruCache<Version, KnownDigests>,
    under_way: HashMap<(Version, DigestUse), HashJob>,
}

/// A job under way.
struct HashJob {
    job: Arc<Job<MadeDigest>>,
    /// When it was submitted, on the monotonic clock.
    began: Duration,
}

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Version {
    identity: (u64, u64),
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
}

#[derive(Clone, Copy, Default)]
struct KnownDigests {
    xxh3: Option<u128>,
    sha256: Option<Sha256Digest>,
}

impl Default for Digests {
    fn default() -> Digests {
        let (known, under_way) = (LruCache::new(MAX_KNOWN), HashMap::new());
        Digests(Arc::new(Mutex::new(DigestTable { known, under_way })))
    }
}

impl Digests {
    /// The digest of the file of `entry`, which must have one open; or the job that makes it: the one that is
    /// under way, or a new one.
    pub fn start(&self, entry: &Arc<Entry>, purpose: DigestUse, background: &Background) -> Hashing {
        let version = Version::of(entry.stamp());
        let mut table = lock(&self.0);
        if let Some(known) = table.known(&version, purpose) {
            return Hashing::Known(known);
        }
        if let Some(HashJob { job, began }) = table.under_way.get(&(version, purpose))
            && !job.is_done()
        {
            return Hashing::UnderWay(job.handle(), *began);
        }
        // Not the time of the request, which may be older than the change.
        let shows_changes = entry.stamp().shows_changes(SystemTime::now());
        table.under_way.retain(|_, hashing| !hashing.job.is_done());
        if table.under_way.len() >= MAX_UNDER_WAY || !shows_changes {
            return Hashing::NotNow;
        }
        let (of_job, shared) = (Arc::clone(entry), Arc::downgrade(&self.0));
        let work = move || {
            let digest = digest_file(&of_job, purpose)?;
            if let Some(table) = shared.upgrade() {
                lock(&table).add(version, digest);
            }
            Some(digest)
        };
        let Ok(job) = submit(background, entry, work) else { return Hashing::NotNow };
        let began = timer::monotonic();
        // Its result is kept for the next request if this one does not wait until then.
        job.clone().detach();
        table.under_way.insert((version, purpose), HashJob { job: job.job(), began });
        Hashing::UnderWay(job, began)
    }
}

impl DigestTable {
    fn known(&mut self, version: &Version, purpose: DigestUse) -> Option<FileDigest> {
        let known = self.known.get(version)?;
        match purpose {
            DigestUse::EntityTag => known.xxh3.map(FileDigest::Xxh3),
            DigestUse::Field => known.sha256.map(FileDigest::Sha256),
        }
    }

    fn add(&mut self, version: Version, digest: FileDigest) {
        let known = self.known.get_or_insert_mut(version, KnownDigests::default);
        match digest {
            FileDigest::Xxh3(digest) => known.xxh3 = Some(digest),
            FileDigest::Sha256(digest) => known.sha256 = Some(digest),
        }
    }
}

impl Version {
    fn of(stamp: &Stamp) -> Version {
        let Stamp { identity, size, mtime, ctime, links: _ } = *stamp;
        Version { identity, size, mtime, ctime }
    }
}

/// Has a thread read what an entry holds: where a disk may have to be waited for, one of those that do, else
/// one that burns CPU.
///
/// # Errors
/// See [`QueueFull`].
pub fn submit<T: Send + Sync + 'static>(
    background: &Background,
    entry: &Entry,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JobHandle<T>, QueueFull> {
    let waits = entry.file().is_some() && entry.class != FileSystemClass::Memory;
    if waits && background.has_disk_threads() {
        return background.submit_disk(JobKind::Hash, (entry.root, JobOrder::InTurn), work);
    }
    background.submit_cpu(JobKind::Hash, work)
}

/// The SHA-256 digest of a part of an entry. May wait for a disk. `None` if its file has changed or can't be
/// read.
pub fn sha256_of_part(entry: &Entry, part: &Range<u64>) -> Option<Sha256Digest> {
    match entry.in_memory() {
        Some(bytes) => {
            let part = usize::try_from(part.start).ok()?..usize::try_from(part.end).ok()?;
            Some(Sha256::digest(bytes.get(part)?).into())
        }
        None => {
            let mut hasher = Sha256::new();
            read_unchanged(entry, part, |bytes| hasher.update(bytes))?;
            Some(hasher.finalize().into())
        }
    }
}

fn digest_file(entry: &Entry, purpose: DigestUse) -> MadeDigest {
    match purpose {
        DigestUse::EntityTag => {
            let mut hasher = Xxh3::new();
            read_unchanged(entry, &(0..entry.size), |bytes| hasher.write(bytes))?;
            Some(FileDigest::Xxh3(hasher.finish_128()))
        }
        DigestUse::Field => sha256_of_part(entry, &(0..entry.size)).map(FileDigest::Sha256),
    }
}

/// Reads a part of an entry's file piece by piece. `None` if the file has not the stamp of the entry before
/// and after that.
fn read_unchanged(entry: &Entry, part: &Range<u64>, mut each: impl FnMut(&[u8])) -> Option<()> {
    let file = entry.file()?;
    let is_same =
        || file::stat(file).is_ok_and(|(_, stamp)| Version::of(&stamp) == Version::of(entry.stamp()));
    if !is_same() {
        return None;
    }
    read_pieces(file, part, &mut each)?;
    is_same().then_some(())
}

fn read_pieces(file: BorrowedFd<'_>, part: &Range<u64>, each: &mut impl FnMut(&[u8])) -> Option<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = part.start;
    while offset < part.end {
        let wanted = usize::try_from(part.end - offset).unwrap_or(CHUNK).min(CHUNK);
        match file::read_at(file, &mut buffer[..wanted], offset) {
            Ok(read) if read == wanted => each(&buffer[..read]),
            _ => return None,
        }
        offset += wanted as u64;
    }
    Some(())
}

fn lock(table: &Mutex<DigestTable>) -> MutexGuard<'_, DigestTable> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
