//! The way out: what is to be sent gathers here, and leaves in as few system calls as it can.
//!
//! The only writer of a connection. Heads and small bodies gather, so that the answers to pipelined requests leave
//! together; a larger body in memory leaves with what has gathered in one call; a file's bytes follow their head by
//! sendfile(2). The subtle rule: the time to send begins anew with every byte that the client takes, and only then.

use std::io::ErrorKind;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::end::End;
use super::inbox::Pool;
use super::phase::{Phase, Timeouts};
use super::transport::{Reactor, Transport, WaitError};
use crate::sys::file;

/// A body up to this many bytes is copied beside its head; a longer one is worth a second piece of the send.
const COPIED: usize = 16 * 1024;

/// What has gathered is sent when it exceeds this many bytes, more answers pending or not.
const GATHERED: usize = 48 * 1024;

/// So many bytes of a file are read and leave beside their head in one call. At twice that, sendfile(2) costs the same.
const READ: u64 = 4 * 1024;

/// Bytes asked of one sendfile(2), unless a setting says otherwise: few calls, and others still get their turn.
const FILE_CHUNK: u32 = 512 << 10;

/// Bytes of one read where sendfile(2) is switched off or the file system can't, unless a setting says otherwise.
const COPY_CHUNK: u32 = 16 << 10;

/// In how many parts the time to send is waited for: a client that takes nothing is noticed one part late at most.
const PARTS: u32 = 4;

/// How the bytes of files go.
#[derive(Clone, Copy, Debug)]
pub struct FileWay {
    /// Whether by sendfile(2), or else by reading and writing.
    pub sendfile: bool,
    /// How many at once, where a setting says so.
    pub chunk: Option<u32>,
}

impl FileWay {
    /// Bytes for one call, of so many that are left.
    fn count(self, default: u32, left: u64) -> usize {
        usize::try_from(left.min(self.chunk.unwrap_or(default).into())).unwrap_or(usize::MAX)
    }
}

/// What is to be sent and has not been yet.
pub struct Transmit {
    out: Vec<u8>,
    reactor: &'static Reactor,
    timeouts: Timeouts,
    files: FileWay,
}

impl Transmit {
    /// An empty way out.
    pub fn new(reactor: &'static Reactor, timeouts: Timeouts, files: FileWay) -> Transmit {
        Transmit { out: Vec::new(), reactor, timeouts, files }
    }

    /// Where heads are written to.
    pub fn out(&mut self, pool: &Pool) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = pool.take();
        }
        &mut self.out
    }

    /// Bytes that have gathered.
    pub fn gathered(&self) -> u64 {
        self.out.len() as u64
    }

    /// Throws away what has gathered.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Gives the buffer back to the pool when it is empty.
    pub fn release(&mut self, pool: &Pool) {
        if self.out.is_empty() && self.out.capacity() > 0 {
            pool.give(std::mem::take(&mut self.out));
        }
    }

    /// Adds a body that is in memory.
    ///
    /// # Errors
    /// The end of a connection that can't be sent to.
    pub fn bytes(&mut self, transport: &mut Transport, body: &[u8]) -> Result<(), End> {
        if body.len() <= COPIED {
            self.out.extend_from_slice(body);
            return if self.out.len() > GATHERED { self.flush(transport) } else { Ok(()) };
        }
        self.send(transport, body, false)
    }

    /// Sends what has gathered.
    ///
    /// # Errors
    /// The end of a connection that can't be sent to.
    pub fn flush(&mut self, transport: &mut Transport) -> Result<(), End> {
        if self.out.is_empty() { Ok(()) } else { self.send(transport, &[], false) }
    }

    /// Sends what has gathered, for the last time before the close, which then follows in the same segment.
    ///
    /// # Errors
    /// The end of a connection that can't be sent to.
    pub fn finish(&mut self, transport: &mut Transport) -> Result<(), End> {
        if self.out.is_empty() { Ok(()) } else { self.send(transport, &[], true) }
    }

    /// Sends what has gathered and then `range` of a file.
    ///
    /// # Errors
    /// The end of a connection that can't be sent to, or whose file became shorter.
    pub fn file(
        &mut self,
        transport: &mut Transport,
        file: BorrowedFd<'_>,
        range: Range<u64>,
    ) -> Result<(), End> {
        if range.end - range.start <= READ && self.read(file, &range) {
            return if self.out.len() > GATHERED { self.flush(transport) } else { Ok(()) };
        }
        transport.presence().enter(Phase::Send);
        self.send(transport, &[], true)?;
        if !self.files.sendfile {
            return self.copy(transport, file, range);
        }
        let Range { start: mut offset, end } = range;
        let mut patience = None;
        while offset < end {
            let count = self.files.count(FILE_CHUNK, end - offset);
            match transport.send_file(file, &mut offset, count) {
                Ok(0) => return Err(End::BodyCut),
                Ok(_) => {
                    patience = None;
                    transport.give_way_if_due();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(transport, &mut patience)?,
                // This file system has no sendfile; copying serves it as well.
                Err(e) if e.kind() == ErrorKind::InvalidInput => {
                    return self.copy(transport, file, offset..end);
                }
                Err(e) => return Err(failed(e.kind())),
            }
        }
        Ok(())
    }

    /// Adds a range of a file to what has gathered; false when it can't be had whole, and then nothing is added.
    fn read(&mut self, file: BorrowedFd<'_>, range: &Range<u64>) -> bool {
        let before = self.out.len();
        self.out.resize(before + usize::try_from(range.end - range.start).unwrap_or(0), 0);
        let read = file::read_at(file, &mut self.out[before..], range.start);
        let whole = read.is_ok_and(|read| before + read == self.out.len());
        if !whole {
            self.out.truncate(before);
        }
        whole
    }

    fn copy(
        &mut self,
        transport: &mut Transport,
        file: BorrowedFd<'_>,
        range: Range<u64>,
    ) -> Result<(), End> {
        let Range { start: mut offset, end } = range;
        let mut buffer = vec![0; self.files.count(COPY_CHUNK, end - offset)];
        while offset < end {
            let count = self.files.count(COPY_CHUNK, end - offset);
            match file::read_at(file, &mut buffer[..count], offset) {
                Ok(0) => return Err(End::BodyCut),
                Ok(n) => {
                    offset += n as u64;
                    self.send(transport, &buffer[..n], offset < end)?;
                }
                Err(_) => return Err(End::ReadFailed),
            }
            transport.give_way_if_due();
        }
        Ok(())
    }

    /// Sends all that has gathered, then all of `body`, and waits where the socket is full.
    fn send(&mut self, transport: &mut Transport, body: &[u8], more: bool) -> Result<(), End> {
        let mut sent = 0;
        let mut patience = None;
        while sent < self.out.len() + body.len() {
            let first = self.out.get(sent..).unwrap_or(&[]);
            let second = &body[sent.saturating_sub(self.out.len())..];
            let result = if first.is_empty() {
                transport.send(second, &[], more)
            } else {
                transport.send(first, second, more)
            };
            match result {
                Ok(n) => {
                    sent += n;
                    patience = None;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(transport, &mut patience)?,
                Err(_) => return Err(End::Broken),
            }
        }
        self.out.clear();
        Ok(())
    }

    /// Waits until the socket takes more. The kernel says so only when much of its buffer is free, which a slow client
    /// may take longer for than it has; so when the time is up, it is asked whether the client took anything.
    fn wait(&self, transport: &mut Transport, patience: &mut Option<Patience>) -> Result<(), End> {
        let part = self.timeouts.of(Phase::Send).div_ceil(PARTS);
        let patience = patience.get_or_insert_with(|| Patience { untaken: transport.untaken(), quiet: 0 });
        while patience.quiet < PARTS {
            transport.set_deadline(Phase::Send, self.reactor.clock.tick() + part);
            match transport.wait_writable() {
                Ok(()) => return Ok(()),
                Err(WaitError::Unwatchable) => return Err(End::Unwatchable),
                Err(WaitError::TimedOut) => {}
            }
            let untaken = transport.untaken();
            patience.quiet = if untaken < patience.untaken { 0 } else { patience.quiet + 1 };
            patience.untaken = untaken;
        }
        transport.reset_on_close();
        Err(End::TimedOut(Phase::Send))
    }
}

/// How a client that has been waited for behaves.
struct Patience {
    /// Bytes in the socket that it has not taken.
    untaken: u64,
    /// Parts of the time to send in which it took nothing.
    quiet: u32,
}

fn failed(kind: ErrorKind) -> End {
    match kind {
        ErrorKind::BrokenPipe
        | ErrorKind::ConnectionReset
        | ErrorKind::TimedOut
        | ErrorKind::NotConnected => End::Broken,
        _ => End::ReadFailed,
    }
}
