//! The kernel's protocol on /dev/fuse, version 7.31 (linux/fuse.h): requests as they are read, replies as
//! they are written. Numbers have the machine's own byte order.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Bytes of the head of each request.
const REQUEST_HEAD: usize = 40;
/// Bytes of the head of each reply.
const REPLY_HEAD: usize = 16;

/// The most that one read is asked for; the kernel splits longer ones.
pub const MAX_READ: usize = 128 * 1024;
/// No request is longer: names have 255 bytes, and nothing is written.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// What the kernel asks for. Only these are counted and delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Lookup,
    GetAttr,
    ReadLink,
    Open,
    Read,
    StatFs,
    /// A descriptor of a file is closed.
    Flush,
    OpenDir,
    ReadDir,
}

impl Operation {
    /// The operation of this number.
    pub fn of(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Lookup,
            3 => Self::GetAttr,
            5 => Self::ReadLink,
            14 => Self::Open,
            15 => Self::Read,
            17 => Self::StatFs,
            25 => Self::Flush,
            27 => Self::OpenDir,
            28 => Self::ReadDir,
            _ => return None,
        })
    }
}

/// What is answered at once, by its number.
pub mod number {
    pub const FORGET: u32 = 2;
    pub const RELEASE: u32 = 18;
    pub const INIT: u32 = 26;
    pub const RELEASE_DIR: u32 = 29;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
}

/// Flags of INIT: reads and look-ups beside each other, links and open files that the kernel keeps, long
/// reads.
const WANTED: u32 = 1 | 1 << 17 | 1 << 18 | 1 << 22 | 1 << 23;

/// One request.
pub struct Request<'a> {
    pub number: u32,
    pub unique: u64,
    pub node: u64,
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// None where it is too short to be one.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let body = bytes.get(REQUEST_HEAD..)?;
        let of = Self { number: 0, unique: 0, node: 0, body: bytes };
        Some(Self { number: of.u32(4), unique: of.u64(8), node: of.u64(16), body })
    }

    /// The number of 32 bits at this offset of the body; 0 behind its end.
    pub fn u32(&self, at: usize) -> u32 {
        let bytes = self.body.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_ne_bytes)
    }

    /// The number of 64 bits at this offset of the body; 0 behind its end.
    pub fn u64(&self, at: usize) -> u64 {
        let bytes = self.body.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    }

    /// The name that the body is.
    pub fn name(&self) -> &'a [u8] {
        self.body.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// The body of a reply.
#[derive(Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    pub fn u32s(mut self, numbers: &[u32]) -> Self {
        self.0.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        self
    }

    pub fn u64s(mut self, numbers: &[u64]) -> Self {
        self.0.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
        self
    }

    /// `fuse_attr`.
    pub fn attributes(self, of: &Metadata) -> Self {
        let times = [of.atime(), of.mtime(), of.ctime()].map(|time| time as u64);
        let parts = [of.atime_nsec(), of.mtime_nsec(), of.ctime_nsec()].map(|time| time as u32);
        self.u64s(&[of.ino(), of.size(), of.blocks()]).u64s(&times).u32s(&parts).u32s(&[
            of.mode(),
            of.nlink() as u32,
            of.uid(),
            of.gid(),
            0,
            4096,
            0,
        ])
    }

    /// `fuse_entry_out`: the node that a name leads to, good for so many seconds.
    pub fn entry(node: u64, seconds: u64, of: &Metadata) -> Self {
        Self::default().u64s(&[node, 0, seconds, seconds, 0]).attributes(of)
    }

    /// `fuse_entry_out` of a name that leads nowhere, which the kernel may keep for so many seconds.
    pub fn no_entry(seconds: u64) -> Self {
        let mut body = Self::default().u64s(&[0, 0, seconds, 0, 0]);
        body.0.resize(128, 0);
        body
    }

    /// `fuse_statfs_out` of a file system with nothing to tell.
    pub fn file_system() -> Self {
        Self::default().u64s(&[1 << 20, 0, 0, 1 << 20, 0]).u32s(&[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0])
    }

    /// `fuse_init_out`: with the flags that both sides have.
    pub fn init(request: &Request<'_>) -> Self {
        let (readahead, flags) = (request.u32(8), request.u32(12) & WANTED);
        let (requests, pages) = (1024 | 1024 << 16, (MAX_READ / 4096) as u32);
        Self::default().u32s(&[7, 31, readahead, flags, requests, 4096, 1, pages]).u32s(&[0; 8])
    }

    /// Appends `fuse_dirent`, if it fits into `room` with what is there; `next` is the place behind it.
    pub fn push_name(&mut self, next: u64, kind: u32, name: &[u8], room: usize) -> bool {
        let length = (24 + name.len()).next_multiple_of(8);
        if self.0.len() + length > room {
            return false;
        }
        let end = self.0.len() + length;
        let head = Self::default().u64s(&[u64::MAX, next]).u32s(&[name.len() as u32, kind]);
        self.0.extend(head.0);
        self.0.extend(name);
        self.0.resize(end, 0);
        true
    }
}

/// A whole reply: a body, or an error number.
pub fn reply(unique: u64, result: Result<Body, i32>) -> Vec<u8> {
    let (error, body) = match result {
        Ok(body) => (0, body.0),
        Err(number) => (-number, Vec::new()),
    };
    let head = Body::default().u32s(&[(REPLY_HEAD + body.len()) as u32, error as u32]).u64s(&[unique]);
    [head.0, body].concat()
}
