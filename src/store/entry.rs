//! A cache entry: one file ready to be sent, as it was when it was opened.
//!
//! Owns what a response about the file is made of: its descriptor or bytes, its validators, and the field
//! lines of a 200, rendered once. When its path is opened again is decided elsewhere. **Invariant:** length
//! and validators come from the descriptor whose bytes are sent, never from the path.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use twox_hash::XxHash3_128;

use crate::background::{Background, JobHandle, JobOrder};
use crate::http::conditional::Validators;
use crate::http::{date, etag, response_head};
use crate::metrics::job_kind::JobKind;
use crate::store::open_file::OpenFile;
use crate::store::resident_parts::ResidentParts;
use crate::sys::file::{self, Stamp};
use crate::sys::filesystem::FileSystemClass;
use crate::time::Now;

/// Files up to this many bytes are kept in memory; longer ones are sent from their descriptor.
pub const MAX_IN_MEMORY: u64 = 64 * 1024;

/// A file that changed this recently may change once more within the same tick of the file system's clock;
/// its stamp does not show that. The content of such an entry is read again when its path is opened again.
const RACY: Duration = Duration::from_secs(1);

/// How often a file is read that changes meanwhile, before it is served from its descriptor instead.
const READ_ATTEMPTS: u32 = 3;

/// Where the bytes are.
#[derive(Debug)]
pub enum Content {
    /// All of them, in memory.
    Memory(Box<[u8]>),
    /// In this open file.
    File(OwnedFd),
}

/// A file's content, validators and rendered fields.
#[derive(Debug)]
pub struct Entry {
    /// Where the bytes are.
    pub content: Content,
    /// Number of bytes.
    pub size: u64,
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
    whole_fields: Vec<u8>,
    /// Where the validators begin in the fields.
    validators_at: usize,
    checked: AtomicU32,
    used: AtomicU32,
}

/// What an entry has beside its file.
pub struct Description {
    /// The media type.
    pub content_type: Cow<'static, str>,
    /// True when it answers for a directory, as its index.
    pub is_index: bool,
    /// The number of the root that the file is beneath.
    pub root: usize,
    /// Who closes the file if that may wait.
    pub background: Option<&'static Background>,
    /// The time before the file was opened.
    pub now: Now,
}

impl Entry {
    /// The entry of an open regular file. Reads a small file, for which it may wait.
    ///
    /// # Errors
    /// See pread(2) and fstat(2).
    pub fn load(open: OpenFile, description: Description) -> std::io::Result<Entry> {
        let OpenFile { file, stamp, class } = open;
        let (content, stamp) = read_small(file, stamp)?;
        Ok(Entry::new(content, (stamp, class), description))
    }

    /// [`Entry::load`] without a wait for a disk. Gives the file back if it would have to wait, or if whether
    /// it would is not known.
    ///
    /// # Errors
    /// See fstat(2).
    pub fn load_cached(open: OpenFile, description: Description) -> std::io::Result<Result<Entry, OpenFile>> {
        let OpenFile { file, stamp, class } = open;
        if stamp.size > MAX_IN_MEMORY {
            return Ok(Ok(Entry::new(Content::File(file), (stamp, class), description)));
        }
        if class == FileSystemClass::Probed {
            let mut bytes = vec![0; usize::try_from(stamp.size).unwrap_or(0)];
            let is_whole = bytes.is_empty() || file::read_cached(file.as_fd(), &mut bytes, 0);
            // What changes meanwhile is read by a job, as often as that takes.
            if is_whole && file::stat(file.as_fd())?.1 == stamp {
                return Ok(Ok(Entry::new(Content::Memory(bytes.into()), (stamp, class), description)));
            }
        }
        Ok(Err(OpenFile { file, stamp, class }))
    }

    /// An entry of content that is built into the program.
    pub fn built_in(body: &[u8], content_type: &'static str, is_index: bool, now: Now) -> Entry {
        let since_epoch = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = (since_epoch.as_secs().cast_signed(), 0);
        let stamp = Stamp { identity: (0, 0), size: body.len() as u64, mtime: time, ctime: time, links: 1 };
        let content_type = Cow::Borrowed(content_type);
        let description = Description { content_type, is_index, root: 0, background: None, now };
        Entry::new(Content::Memory(body.into()), (stamp, FileSystemClass::Memory), description)
    }

    fn new(content: Content, (stamp, class): (Stamp, FileSystemClass), description: Description) -> Entry {
        let Description { content_type, is_index, root, background, now } = description;
        let etag = etag(&content, &stamp);
        let mut entry = Entry {
            size: stamp.size,
            is_index,
            class,
            root,
            background,
            parts: Mutex::default(),
            mapped: AtomicBool::new(false),
            stamp,
            racy: time_of(stamp.ctime.0) >= now.wall - RACY,
            etag,
            last_modified: last_modified(&stamp, now),
            content,
            content_type,
            whole_fields: Vec::with_capacity(256),
            validators_at: 0,
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
        &self.whole_fields
    }

    /// The bytes, when they are in memory.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::File(_) => None,
        }
    }

    /// The descriptor, when the bytes are not in memory.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        match &self.content {
            Content::Memory(_) => None,
            Content::File(file) => Some(file.as_fd()),
        }
    }

    /// True if length and validators still are those of the descriptor, where there is one. A file may be
    /// changed in place; its times can be set back, but for the change time, which the kernel alone sets.
    pub fn is_intact(&self) -> bool {
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

    /// True if the path, opened again, led to the same content; `stamp` is that of the file found there.
    pub fn is_same(&self, stamp: &Stamp) -> bool {
        self.stamp == *stamp && !self.racy
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
        Validators { etag: self.etag.as_bytes(), last_modified: self.last_modified }
    }

    /// True for a page (HTML).
    pub fn is_page(&self) -> bool {
        let media_type = self.content_type.split(';').next().unwrap_or_default().trim_end();
        media_type.eq_ignore_ascii_case("text/html")
            || media_type.eq_ignore_ascii_case("application/xhtml+xml")
    }

    /// The media type, such as `text/html`.
    pub fn content_type(&self) -> &Cow<'static, str> {
        &self.content_type
    }

    /// Writes `Content-Type` and `Content-Length`.
    pub fn write_content_fields(&self, out: &mut Vec<u8>, content_type: &[u8], length: u64) {
        response_head::field(out, "Content-Type", content_type);
        response_head::field(out, "Content-Length", itoa::Buffer::new().format(length).as_bytes());
    }

    /// Writes `Last-Modified`, where that is known, `ETag` and `Accept-Ranges`.
    pub fn write_validators(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.whole_fields[self.validators_at..]);
    }

    fn render_validators(&self, out: &mut Vec<u8>) {
        if let Some(time) = self.last_modified {
            response_head::field(out, "Last-Modified", &date::render(time));
        }
        response_head::field(out, "ETag", self.etag.as_bytes());
        response_head::field(out, "Accept-Ranges", b"bytes");
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

/// Reads a small file whole, as it was at one moment: a read during which the stamp changed is repeated. A
/// file that keeps changing is served from its descriptor.
fn read_small(file: OwnedFd, mut stamp: Stamp) -> std::io::Result<(Content, Stamp)> {
    for _ in 0..READ_ATTEMPTS {
        if stamp.size > MAX_IN_MEMORY {
            break;
        }
        let mut bytes = vec![0; usize::try_from(stamp.size).unwrap_or(0)];
        let read = file::read_at(file.as_fd(), &mut bytes, 0)?;
        let (_, after) = file::stat(file.as_fd())?;
        if after == stamp && read == bytes.len() {
            return Ok((Content::Memory(bytes.into()), stamp));
        }
        stamp = after;
    }
    Ok((Content::File(file), stamp))
}

/// The entity-tag: a digest of bytes in memory, else of the stamp. The digest has 128 bits, and is the same
/// in every release.
fn etag(content: &Content, stamp: &Stamp) -> String {
    match content {
        Content::Memory(bytes) => etag::of_content(stamp.size, XxHash3_128::oneshot(bytes)),
        Content::File(_) => {
            let Stamp { identity: (_, inode), size, mtime, ctime, links: _ } = *stamp;
            etag::of_version(&etag::FileVersion { size, inode, mtime, ctime })
        }
    }
}

/// When the content last changed, never later than the response's own Date (RFC 9110 §8.8.2.1). `None` for
/// the first two seconds of 1970: reproducible builds set 0 or 1, whatever the content is.
fn last_modified(stamp: &Stamp, now: Now) -> Option<SystemTime> {
    (stamp.mtime.0 > 1).then(|| time_of(stamp.mtime.0).min(now.wall))
}

fn time_of(seconds: i64) -> SystemTime {
    // A time before 1970 counts as 1970.
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
