//! A cache entry: one file ready to be sent, as it was when it was opened.
//!
//! Owns what a response about the file is made of: its descriptor or bytes, its validators, and the field
//! lines of a 200, rendered once. When its path is opened again is decided elsewhere. **Invariant:** length
//! and validators come from the descriptor whose bytes are sent, never from the path.

mod forms;

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use crate::background::{Background, JobHandle, JobOrder};
use crate::compression;
use crate::http::conditional::Validators;
use crate::http::content_coding::ContentCoding;
use crate::http::digest_fields::Sha256Digest;
use crate::http::{date, mime, response_head};
use crate::metrics::job_kind::JobKind;
use crate::store::content::{Content, LoadedFile, QuickRead};
use crate::store::description::Description;
use crate::store::entity_tag::{self, DigestTag, TagChoice};
use crate::store::file_policy::EtagSource;
use crate::store::open_forms::OpenForms;
use crate::store::resident_parts::ResidentParts;
use crate::sys::file::{self, Stamp};
use crate::sys::filesystem::FileSystemClass;
use crate::time::Now;

/// A file that changed this recently may change once more within the same tick of the file system's clock;
/// its stamp does not show that. The content of such an entry is read again when its path is opened again.
const RACY: Duration = Duration::from_secs(1);

/// A file's content, validators and rendered fields.
#[derive(Debug)]
pub struct Entry {
    /// Where the bytes are.
    pub content: Content,
    /// Number of bytes.
    pub size: u64,
    /// The coding of the content, if it is a variant of another entry.
    pub coding: Option<ContentCoding>,
    /// True if background threads compress it for clients that want that.
    pub is_compressible: bool,
    /// The same file in content codings, in the order of [`ContentCoding::ALL`].
    pub variants: Vec<Arc<Entry>>,
    /// True when the entry answers for a directory, as its index.
    pub is_index: bool,
    /// The class of the file system that the file is on.
    pub class: FileSystemClass,
    /// The number of the root that the file is beneath.
    pub root: usize,
    /// The parts of the file that are in the kernel's memory.
    parts: Mutex<ResidentParts>,
    /// Who closes the file if that may wait.
    background: Option<&'static Background>,
    /// True once a part was read, and the kernel knows where on the disk the file lies.
    mapped: AtomicBool,
    stamp: Stamp,
    racy: bool,
    etag: String,
    last_modified: Option<SystemTime>,
    content_type: Cow<'static, str>,
    cache_control: Option<Arc<str>>,
    whole_fields: Vec<u8>,
    /// Where the validators begin in the fields.
    validators_at: usize,
    /// True if the entity-tag is made by a digest, once that is known.
    is_digested: bool,
    /// True until the digest of a long file has made its entity-tag, or can't.
    awaits_digest: AtomicBool,
    /// What replaces the entity-tag by the stamp, and the fields with it.
    digest_tag: OnceLock<DigestTag>,
    /// The SHA-256 digest of the content, once it is known.
    pub sha256: OnceLock<Sha256Digest>,
    checked: AtomicU32,
    used: AtomicU32,
}

impl Entry {
    /// The entry of an open regular file and its variants. Reads small files, for which it may wait.
    ///
    /// # Errors
    /// See pread(2) and fstat(2). A variant that can't be read is left out.
    pub fn load(open: OpenForms, description: Description) -> std::io::Result<Entry> {
        let readable = open.current().map(|variant| variant.coding).collect::<Vec<_>>();
        let OpenForms { identity, variants, .. } = open;
        let identity = LoadedFile::read(identity)?;
        let variants = variants.into_iter().filter(|variant| readable.contains(&variant.coding));
        let read = variants.filter_map(|open| Some((open.coding, LoadedFile::read(open.file).ok()?)));
        Ok(Entry::new(identity, read.collect(), description))
    }

    /// [`Entry::load`] without a wait for a disk. Gives the files back if it would have to wait, or if
    /// whether it would is not known.
    ///
    /// # Errors
    /// See fstat(2).
    pub fn load_cached(
        open: OpenForms,
        description: Description,
    ) -> std::io::Result<Result<Entry, OpenForms>> {
        let Some(identity) = QuickRead::of(&open.identity)? else { return Ok(Err(open)) };
        let quick = open.current().map(|variant| {
            let read = QuickRead::of(&variant.file);
            read.map(|read| read.map(|read| (variant.coding, read)))
        });
        let Some(read) = quick.collect::<std::io::Result<Option<Vec<_>>>>()? else { return Ok(Err(open)) };
        let mut files = open.variants;
        let variants = read.into_iter().filter_map(|(coding, bytes)| {
            let at = files.iter().position(|variant| variant.coding == coding)?;
            Some((coding, bytes.loaded(files.swap_remove(at).file)))
        });
        let variants = variants.collect();
        Ok(Ok(Entry::new(identity.loaded(open.identity), variants, description)))
    }

    /// An entry of content that is built into the program.
    pub fn built_in(body: &[u8], content_type: &'static str, is_index: bool, now: Now) -> Entry {
        let since_epoch = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = (since_epoch.as_secs().cast_signed(), 0);
        let stamp = Stamp { identity: (0, 0), size: body.len() as u64, mtime: time, ctime: time, links: 1 };
        let content_type = Cow::Borrowed(content_type);
        let description = Description {
            content_type,
            is_index,
            root: 0,
            with_variants: false,
            compress: false,
            background: None,
            etag: EtagSource::default(),
            cache_control: None,
            now,
        };
        let content = Content::Memory(body.into());
        Entry::new(LoadedFile { content, stamp, class: FileSystemClass::Memory }, Vec::new(), description)
    }

    fn new(
        identity: LoadedFile,
        variants: Vec<(ContentCoding, LoadedFile)>,
        description: Description,
    ) -> Entry {
        // The file may have changed while it was read.
        let is_current = |variant: &LoadedFile| variant.stamp.mtime >= identity.stamp.mtime;
        let variants = variants.into_iter().filter(|(_, variant)| is_current(variant));
        let variants = variants.map(|(coding, variant)| {
            Arc::new(Entry::form(variant, Some(coding), Vec::new(), description.clone()))
        });
        let variants = variants.collect();
        Entry::form(identity, None, variants, description)
    }

    fn form(
        loaded: LoadedFile,
        coding: Option<ContentCoding>,
        variants: Vec<Arc<Entry>>,
        description: Description,
    ) -> Entry {
        let LoadedFile { content, stamp, class } = loaded;
        let Description {
            content_type, is_index, root, compress, background, etag, cache_control, now, ..
        } = description;
        let is_digested = etag.digests(stamp.size);
        // Over a network it would cost more than it is worth; and its changes may not show in the stamp.
        let awaits_digest =
            is_digested && matches!(content, Content::File(_)) && class != FileSystemClass::Remote;
        // Other bytes may get the same stamp. The time is that before the file was opened.
        let may_recur = stamp.may_recur(now.wall, class.has_fine_clock(file::has_coarse_clock()));
        let etag = entity_tag::of((&content, &stamp), is_digested, coding, may_recur);
        let mut entry = Entry {
            size: stamp.size,
            coding,
            is_compressible: compress && coding.is_none() && compression::SIZES.contains(&stamp.size),
            variants,
            is_index,
            class,
            root,
            background,
            parts: Mutex::default(),
            mapped: AtomicBool::new(false),
            stamp,
            racy: time_of(stamp.ctime) >= now.wall - RACY || !stamp.shows_changes(now.wall),
            etag,
            last_modified: last_modified(&stamp, now),
            content,
            content_type,
            cache_control,
            whole_fields: Vec::with_capacity(256),
            validators_at: 0,
            is_digested,
            awaits_digest: AtomicBool::new(awaits_digest),
            digest_tag: OnceLock::new(),
            sha256: OnceLock::new(),
            checked: AtomicU32::new(now.tick),
            used: AtomicU32::new(now.tick),
        };
        let mut fields = std::mem::take(&mut entry.whole_fields);
        entry.write_content_fields(&mut fields, entry.content_type.as_bytes(), entry.size);
        entry.validators_at = fields.len();
        entry.render_validators(&mut fields);
        entry.whole_fields = fields;
        entry
    }

    /// The rendered fields of a 200 that carries the whole content.
    pub fn whole_fields(&self) -> &[u8] {
        self.digest_tag.get().map_or(&self.whole_fields, |tag| &tag.fields)
    }

    /// The bytes, when they are in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::Shared(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// The descriptor, when the bytes are not in memory.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        match &self.content {
            Content::Memory(_) | Content::Shared(_) => None,
            Content::File(file) => Some(file.as_fd()),
        }
    }

    /// True if length and validators still are those of the descriptor, where there is one, and those of all
    /// variants too. A file may be changed in place; its times can be set back, but for the change time,
    /// which the kernel alone sets.
    pub fn is_intact(&self) -> bool {
        self.has_its_stamp() && self.variants.iter().all(|variant| variant.has_its_stamp())
    }

    fn has_its_stamp(&self) -> bool {
        self.stamp_now().is_none_or(|stamp| stamp.is_ok_and(|stamp| stamp == self.stamp))
    }

    /// True if the descriptor, where there is one, still has the bytes of the entry, as far as its stamp
    /// tells; the file may have grown. To be called while bytes are sent, because a file may be changed in
    /// place.
    pub fn may_be_continued(&self) -> bool {
        self.stamp_now().is_none_or(|stamp| stamp.is_ok_and(|stamp| stamp.continues(&self.stamp)))
    }

    /// The present stamp of the descriptor, where there is one. Where another machine would have to be asked,
    /// it is the one that the kernel has.
    fn stamp_now(&self) -> Option<std::io::Result<Stamp>> {
        let file = self.file()?;
        Some(match self.class {
            FileSystemClass::Remote => file::stat_cached(file),
            _ => file::stat(file).map(|(_, stamp)| stamp),
        })
    }

    /// True if the path, opened again, led to the same content; `open` is what was found there. The variants
    /// must be the same as well.
    pub fn is_same(&self, open: &OpenForms) -> bool {
        let is_same = |entry: &Entry, stamp: &Stamp| entry.stamp == *stamp && !entry.racy;
        let mut found = open.current();
        is_same(self, &open.identity.stamp)
            && self.variants.iter().all(|variant| {
                found.next().is_some_and(|found| {
                    Some(found.coding) == variant.coding && is_same(variant, &found.file.stamp)
                })
            })
            && found.next().is_none()
    }

    /// The parts of the file that are in the kernel's memory. Not to be locked across a wait.
    pub fn parts(&self) -> &Mutex<ResidentParts> {
        &self.parts
    }

    /// True if a part of the file was read before. The first read of a part may wait for what says where on
    /// the disk the file lies, which no probe tells.
    pub fn is_mapped(&self) -> bool {
        self.mapped.load(Ordering::Relaxed)
    }

    /// Notes that a part of the file was read.
    pub fn set_mapped(&self) {
        self.mapped.store(true, Ordering::Relaxed);
    }

    /// The validators that preconditions are compared with.
    pub fn validators(&self) -> Validators<'_> {
        self.validators_by(TagChoice::Current)
    }

    /// The validators with this entity-tag.
    pub fn validators_by(&self, tag: TagChoice) -> Validators<'_> {
        let later = self.digest_tag.get().filter(|_| tag == TagChoice::Current);
        let etag = later.map_or(&self.etag, |tag| &tag.etag);
        Validators { etag: etag.as_bytes(), last_modified: self.last_modified }
    }

    /// The entity-tag that the entry had before its digest came.
    pub fn former_tag(&self) -> Option<&str> {
        self.digest_tag.get().map(|_| self.etag.as_str())
    }

    /// True if a digest of the content should make the entity-tag and does not yet.
    #[inline]
    pub fn awaits_digest(&self) -> bool {
        self.awaits_digest.load(Ordering::Relaxed)
    }

    /// Has this XXH3 digest of the content make the entity-tag from now on; without one, it stays as it is.
    pub fn set_digest(&self, digest: Option<u128>) {
        self.awaits_digest.store(false, Ordering::Relaxed);
        if let Some(digest) = digest {
            let etag = entity_tag::by_digest(self.size, digest, self.coding);
            let fields = || DigestTag::new(etag, &self.etag, (&self.whole_fields, self.validators_at));
            self.digest_tag.get_or_init(fields);
        }
    }

    /// The stamp of the file when it was opened.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// True for a page (HTML).
    pub fn is_page(&self) -> bool {
        mime::is_page(&self.content_type)
    }

    /// The media type, such as `text/html`.
    pub fn content_type(&self) -> &Cow<'static, str> {
        &self.content_type
    }

    /// Writes `Content-Type`, `Content-Length` and, for a variant, `Content-Encoding`.
    pub fn write_content_fields(&self, out: &mut Vec<u8>, content_type: &[u8], length: u64) {
        response_head::field(out, "Content-Type", content_type);
        response_head::field(out, "Content-Length", itoa::Buffer::new().format(length).as_bytes());
        if let Some(coding) = self.coding {
            response_head::field(out, "Content-Encoding", coding.token().as_bytes());
        }
    }

    /// Writes `Last-Modified`, where that is known, `ETag`, `Accept-Ranges`, and `Vary` and `Cache-Control`
    /// where they apply.
    pub fn write_validators_by(&self, tag: TagChoice, out: &mut Vec<u8>) {
        let fields = if tag == TagChoice::Former { &self.whole_fields } else { self.whole_fields() };
        out.extend_from_slice(&fields[self.validators_at..]);
    }

    fn render_validators(&self, out: &mut Vec<u8>) {
        if let Some(time) = self.last_modified {
            response_head::field(out, "Last-Modified", &date::render(time));
        }
        response_head::field(out, "ETag", self.etag.as_bytes());
        response_head::field(out, "Accept-Ranges", b"bytes");
        self.write_vary(out);
        if let Some(cache_control) = &self.cache_control {
            response_head::field(out, "Cache-Control", cache_control.as_bytes());
        }
    }

    /// The tick at which the path last led to this content when it was opened.
    pub fn checked(&self) -> u32 {
        self.checked.load(Ordering::Relaxed)
    }

    /// The tick of the last use that was recorded.
    pub fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Records a use.
    pub fn note_use(&self, tick: u32) {
        self.used.store(tick, Ordering::Relaxed);
    }

    /// This entry, with its use recorded, if its content is intact.
    #[inline(always)]
    pub fn use_intact(self: &Arc<Entry>, now: Now) -> Option<Arc<Entry>> {
        if !self.is_intact() {
            return None;
        }
        self.note_use(now.tick);
        Some(Arc::clone(self))
    }

    /// Records that the path, opened again, led to the same content.
    pub fn confirm(&self, now: Now) {
        self.checked.store(now.tick, Ordering::Relaxed);
        self.note_use(now.tick);
    }
}

impl Drop for Entry {
    /// Has a background thread close the file if that may wait: another machine or process is asked to flush
    /// it, and the blocks of a deleted file are freed.
    fn drop(&mut self) {
        let Some(background) = self.background.filter(|_| self.class != FileSystemClass::Memory) else {
            return;
        };
        let Content::File(file) = std::mem::replace(&mut self.content, Content::Memory(Box::default()))
        else {
            return;
        };
        let is_deleted = |file: &OwnedFd| file::stat(file.as_fd()).is_ok_and(|(_, stamp)| stamp.links == 0);
        if self.class == FileSystemClass::Remote || is_deleted(&file) {
            // Without threads it was dropped here.
            let close = move || drop(file);
            let job = background.submit_disk(JobKind::Close, (self.root, JobOrder::Always), close);
            let _ = job.map(JobHandle::detach);
        }
    }
}

/// When the content last changed, never later than the response's own Date (RFC 9110 §8.8.2.1). `None` for
/// the first two seconds of 1970: reproducible builds set 0 or 1, whatever the content is.
fn last_modified(stamp: &Stamp, now: Now) -> Option<SystemTime> {
    (stamp.mtime.0 > 1).then(|| time_of((stamp.mtime.0, 0)).min(now.wall))
}

fn time_of((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    // A time before 1970 counts as 1970.
    SystemTime::UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or(0), nanoseconds)
}
