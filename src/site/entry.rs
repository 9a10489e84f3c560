//! One representation that can be served: the content of one file as it was when it was opened.
//!
//! Owns what a reply about the file is made of: descriptor or bytes, validators, and the field lines of a 200, rendered
//! once. Does not decide when to look again; `cache.rs` does. The subtle rule: length and validators come from the
//! descriptor whose bytes are sent, never from a second look at the name.

use std::hash::{DefaultHasher, Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::Now;
use crate::http::conditional::Validators;
use crate::http::{date, etag, head, mime};
use crate::sys::file::{self, Stamp};

/// Files up to this many bytes are held in memory; longer ones are sent from their descriptor.
pub const MAX_IN_MEMORY: u64 = 64 * 1024;

/// A file changed this recently may change once more within the same tick of the file system's clock, unseen by its
/// stamp. Such an entry is read again when it is re-checked.
const RACY: Duration = Duration::from_secs(1);

/// How often a file that changes while it is read is read again, before it is served from its descriptor instead.
const READ_ATTEMPTS: u32 = 3;

/// Where the bytes are.
#[derive(Debug)]
pub enum Content {
    /// All of them, in memory.
    Memory(Box<[u8]>),
    /// In this open file.
    File(OwnedFd),
}

impl Content {
    /// A digest of bytes in memory. It tells two versions apart that have their size and time in common, as builds
    /// that set every time to the same second make them; for a long file that would take a read of all of it.
    fn digest(&self) -> Option<u64> {
        match self {
            Content::Memory(bytes) => {
                let mut hasher = DefaultHasher::new();
                hasher.write(bytes);
                Some(hasher.finish())
            }
            Content::File(_) => None,
        }
    }
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
    stamp: Stamp,
    racy: bool,
    etag: String,
    last_modified: SystemTime,
    content_type: &'static str,
    whole_fields: Vec<u8>,
    checked: AtomicU32,
}

impl Entry {
    /// Takes over an open regular file of the given stamp. `name` gives the media type.
    ///
    /// # Errors
    /// What reading a small file says.
    pub fn load(
        file: OwnedFd,
        stamp: Stamp,
        name: &[u8],
        is_index: bool,
        now: Now,
    ) -> std::io::Result<Entry> {
        let (content, stamp) = read_small(file, stamp)?;
        Ok(Entry::new(content, stamp, mime::content_type(name), is_index, now))
    }

    /// A representation that is built into the program.
    pub fn built_in(body: &[u8], content_type: &'static str, is_index: bool, now: Now) -> Entry {
        let since_epoch = now.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = (since_epoch.as_secs().cast_signed(), 0);
        let stamp = Stamp { identity: (0, 0), size: body.len() as u64, mtime: time, ctime: time };
        Entry::new(Content::Memory(body.into()), stamp, content_type, is_index, now)
    }

    fn new(content: Content, stamp: Stamp, content_type: &'static str, is_index: bool, now: Now) -> Entry {
        let mtime = time_of(stamp.mtime.0);
        let mut entry = Entry {
            size: stamp.size,
            is_index,
            stamp,
            racy: time_of(stamp.ctime.0) + RACY >= now.wall,
            etag: etag::strong(stamp.mtime, stamp.size, content.digest()),
            // RFC 9110 §8.8.2.1: never later than the reply's own Date.
            last_modified: mtime.min(now.wall),
            content,
            content_type,
            whole_fields: Vec::with_capacity(256),
            checked: AtomicU32::new(now.tick),
        };
        let mut fields = std::mem::take(&mut entry.whole_fields);
        entry.write_content_fields(&mut fields, entry.content_type.as_bytes(), entry.size);
        entry.write_validators(&mut fields);
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

    /// True when the descriptor, if there is one, still holds what length and validators say of it. A file may be
    /// changed in place.
    pub fn is_intact(&self) -> bool {
        self.file()
            .is_none_or(|file| file::stat(file).is_ok_and(|(_, stamp)| stamp.is_content_of(&self.stamp)))
    }

    /// The validators that preconditions are held against.
    pub fn validators(&self) -> Validators<'_> {
        Validators { etag: self.etag.as_bytes(), last_modified: self.last_modified }
    }

    /// The media type, such as `text/html`.
    pub fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Writes `Content-Type` and `Content-Length`.
    pub fn write_content_fields(&self, out: &mut Vec<u8>, content_type: &[u8], length: u64) {
        head::field(out, "Content-Type", content_type);
        head::field(out, "Content-Length", itoa::Buffer::new().format(length).as_bytes());
    }

    /// Writes `Last-Modified`, `ETag` and `Accept-Ranges`.
    pub fn write_validators(&self, out: &mut Vec<u8>) {
        head::field(out, "Last-Modified", &date::render(self.last_modified));
        head::field(out, "ETag", self.etag.as_bytes());
        head::field(out, "Accept-Ranges", b"bytes");
    }

    /// The tick at which the name was last seen to lead to this content.
    pub fn checked(&self) -> u32 {
        self.checked.load(Ordering::Relaxed)
    }

    /// True when the name, opened again, led to the same content: `stamp` is the one found there. Notes the time.
    pub fn confirm(&self, stamp: &Stamp, now: Now) -> bool {
        let same = self.stamp == *stamp && !self.racy;
        if same {
            self.checked.store(now.tick, Ordering::Relaxed);
        }
        same
    }
}

/// Reads a small file whole, so that it is served as it was at one moment: a read during which the stamp moved is done
/// again. A file that keeps moving is served from its descriptor.
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

fn time_of(seconds: i64) -> SystemTime {
    // A time before 1970 counts as 1970: HTTP dates of that age help nobody.
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
