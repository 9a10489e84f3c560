//! The directory that is shown: what each request is answered with, without any delay.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::Caching;
use super::wire::{Body, Operation, Request, number};

/// How long the kernel may keep names and attributes, in seconds.
const HOUR: u64 = 3600;
/// The node of the root in the protocol.
const ROOT: u64 = 1;
/// Flags of an opened file and directory: the kernel keeps what it has read.
const KEEP_CACHE: u64 = 1 << 1;
const CACHE_DIR: u64 = 1 << 3;
/// Types of directory entries (`DT_DIR` and so on).
const TYPES: (u32, u32, u32) = (4, 8, 10);

/// A directory by the numbers that the kernel knows its files by. None is given twice.
pub struct Mirror {
    root: PathBuf,
    caching: Caching,
    /// The paths below the root; that of node n at n - 1.
    nodes: Vec<PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    files: HashMap<u64, File>,
    directories: HashMap<u64, Vec<(u32, Vec<u8>)>>,
    last_handle: u64,
}

impl Mirror {
    pub fn of(root: PathBuf, caching: Caching) -> Self {
        Self {
            root,
            caching,
            nodes: vec![PathBuf::new()],
            numbers: HashMap::from([(PathBuf::new(), ROOT)]),
            files: HashMap::new(),
            directories: HashMap::new(),
            last_handle: 0,
        }
    }

    /// What a request is about, below the root.
    pub fn subject(&self, request: &Request<'_>) -> PathBuf {
        let node = self.nodes.get(request.node.wrapping_sub(1) as usize).cloned().unwrap_or_default();
        match Operation::of(request.number) {
            Some(Operation::Lookup) => node.join(OsStr::from_bytes(request.name())),
            _ => node,
        }
    }

    /// The reply; None where the protocol has none.
    pub fn answer(&mut self, request: &Request<'_>) -> Option<Result<Body, i32>> {
        let result = match request.number {
            number::FORGET | number::BATCH_FORGET | number::INTERRUPT => return None,
            number::INIT => Ok(Body::init(request)),
            number::DESTROY => Ok(Body::default()),
            number::RELEASE => {
                self.files.remove(&request.u64(0));
                Ok(Body::default())
            }
            number::RELEASE_DIR => {
                self.directories.remove(&request.u64(0));
                Ok(Body::default())
            }
            other => match Operation::of(other) {
                Some(operation) => self.carry_out(operation, request),
                // The kernel then does it itself, or never asks again.
                None => Err(Errno::NOSYS.into()),
            },
        };
        Some(result.map_err(|error| error.raw_os_error().unwrap_or(Errno::IO.raw_os_error())))
    }

    fn carry_out(&mut self, operation: Operation, request: &Request<'_>) -> io::Result<Body> {
        let path = self.root.join(self.subject(request));
        match operation {
            Operation::Lookup => self.look_up(request),
            Operation::GetAttr => {
                Ok(Body::default().u64s(&[self.valid(), 0]).attributes(&fs::symlink_metadata(path)?))
            }
            Operation::ReadLink => Ok(Body(fs::read_link(path)?.as_os_str().as_bytes().to_vec())),
            Operation::Open if self.caching == Caching::AllButOpens => Err(Errno::NOSYS.into()),
            Operation::Open => {
                let handle = self.next_handle();
                self.files.insert(handle, File::open(path)?);
                let keep = if self.caching == Caching::Nothing { 0 } else { KEEP_CACHE };
                Ok(Body::default().u64s(&[handle, keep]))
            }
            Operation::Read => self.read(request, &path),
            Operation::StatFs => Ok(Body::file_system()),
            Operation::Flush if self.caching == Caching::AllButCloses => Ok(Body::default()),
            Operation::Flush => Err(Errno::NOSYS.into()),
            Operation::OpenDir => {
                let names = names(&path)?;
                let handle = self.next_handle();
                self.directories.insert(handle, names);
                let keep = if self.caching == Caching::Nothing { 0 } else { KEEP_CACHE | CACHE_DIR };
                Ok(Body::default().u64s(&[handle, keep]))
            }
            Operation::ReadDir => {
                let names = self.directories.get(&request.u64(0)).ok_or(Errno::BADF)?;
                let (from, room) = (request.u64(8) as usize, request.u32(16) as usize);
                let mut body = Body::default();
                for (index, (kind, name)) in names.iter().enumerate().skip(from) {
                    if !body.push_name(index as u64 + 1, *kind, name, room) {
                        break;
                    }
                }
                Ok(body)
            }
        }
    }

    fn look_up(&mut self, request: &Request<'_>) -> io::Result<Body> {
        let path = self.subject(request);
        let found = match fs::symlink_metadata(self.root.join(&path)) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.valid() > 0 => {
                return Ok(Body::no_entry(self.valid()));
            }
            found => found?,
        };
        let nodes = &mut self.nodes;
        let number = *self.numbers.entry(path).or_insert_with_key(|path| {
            nodes.push(path.clone());
            nodes.len() as u64
        });
        Ok(Body::entry(number, self.valid(), &found))
    }

    fn read(&self, request: &Request<'_>, path: &Path) -> io::Result<Body> {
        let (offset, size) = (request.u64(8), request.u32(16) as usize);
        let mut bytes = vec![0; size];
        let count = match self.files.get(&request.u64(0)) {
            Some(file) => file.read_at(&mut bytes, offset)?,
            None => File::open(path)?.read_at(&mut bytes, offset)?,
        };
        bytes.truncate(count);
        Ok(Body(bytes))
    }

    fn valid(&self) -> u64 {
        if self.caching == Caching::Nothing { 0 } else { HOUR }
    }

    fn next_handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle
    }
}

/// The names in a directory with their types.
fn names(path: &Path) -> io::Result<Vec<(u32, Vec<u8>)>> {
    let (directory, file, link) = TYPES;
    let mut names = vec![(directory, b".".to_vec()), (directory, b"..".to_vec())];
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = match kind {
            kind if kind.is_dir() => directory,
            kind if kind.is_symlink() => link,
            _ => file,
        };
        names.push((kind, entry.file_name().as_bytes().to_vec()));
    }
    Ok(names)
}
