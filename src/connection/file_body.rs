//! How the bytes of a file follow their head: read beside it, by sendfile(2), or by reading and writing.
//!
//! **Invariant:** when a file changes while it is sent, no more of it is sent, and the connection is reset:
//! the client must not take parts of two versions for one. The file is checked before each call that sends a
//! part of it. The first call needs no check if there was no wait since the site's own check. A change after
//! the last check changes the bytes in the socket as well, where sendfile(2) has put pages of the file and
//! not copies.
//!
//! What was copied out of a file is not held in a wait; it is read again.

use std::io::ErrorKind;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, PoisonError};

use super::Connection;
use super::socket::WaitError;
use super::writer::Writer;
use crate::background::{JobHandle, JobOutcome};
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;
use crate::store::entry::Entry;
use crate::store::page_in::PageIn;
use crate::store::resident_parts::PartRead;
use crate::sys::file;

/// Up to this many bytes of a file are read, and leave in one call with their head. At twice that,
/// sendfile(2) costs the same.
const READ: u64 = 4 * 1024;

/// How long a file that seems to be overwritten is checked for growth instead, in ticks.
const GROWTH_TICKS: u32 = 2;

/// What became of a piece of a file.
enum Piece {
    /// All of it is in the socket.
    Sent,
    SocketFull,
    /// Nothing was sent, since the file has changed.
    Changed,
}

impl Writer {
    /// Sends what has gathered and then `range` of the open file of an entry; nothing when the entry is in
    /// memory. `page_in` is of the whole answer.
    ///
    /// # Errors
    /// Why the connection closes: it can't be sent to, or the file has changed.
    pub fn file(
        &mut self,
        connection: &mut Connection,
        entry: &Arc<Entry>,
        range: Range<u64>,
        page_in: &mut PageIn,
    ) -> Result<(), CloseReason> {
        let Some(file) = entry.file() else { return Ok(()) };
        if range.end - range.start <= READ {
            self.wait_for_part(connection, entry, &range, page_in)?;
        }
        if range.end - range.start <= READ && self.read(connection, file, &range) {
            if self.check_due {
                self.check_file(connection, entry)?;
            }
            return self.flush_much(connection);
        }
        connection.counter.enter(Phase::Send);
        self.send(connection, &[], true)?;
        let mut offset = range.start;
        if connection.context.file_sending.sendfile && connection.tls().is_none() {
            self.send_pages(connection, entry, &mut offset, range.end, page_in)?;
        }
        // When the settings say so, or the file system has no sendfile.
        if offset < range.end {
            self.send_copies(connection, entry, offset..range.end, page_in)?;
        }
        self.check_due = false;
        Ok(())
    }

    /// Has sendfile(2) send from `*offset` on; it stays before `end` when the file system can't.
    fn send_pages(
        &mut self,
        connection: &mut Connection,
        entry: &Arc<Entry>,
        offset: &mut u64,
        end: u64,
        page_in: &mut PageIn,
    ) -> Result<(), CloseReason> {
        let Some(file) = entry.file() else { return Ok(()) };
        let mut timeout = None;
        // What is before this offset needs no disk.
        let mut ready = *offset;
        while *offset < end {
            if *offset >= ready {
                ready = connection.context.file_sending.end_of_part(*offset, end);
                self.wait_for_part(connection, entry, &(*offset..ready), page_in)?;
            }
            if self.check_due {
                self.check_file(connection, entry)?;
            }
            // No more than that, or the call itself would wait for the disk.
            let count = connection.context.file_sending.to_send(ready - *offset);
            match connection.send_file(file, offset, count) {
                Ok(0) => return Err(CloseReason::BodyCut),
                Ok(_) => {
                    timeout = None;
                    self.check_due = true;
                    // Not after the last piece: a further range follows without another check.
                    if *offset < end {
                        connection.socket.give_way_if_due();
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.wait(connection, &mut timeout)?;
                    // The rest may have left the memory meanwhile.
                    ready = *offset;
                }
                Err(e) if e.kind() == ErrorKind::InvalidInput => return Ok(()),
                Err(e) => return Err(failed(e.kind())),
            }
        }
        // No check after the last piece: the client may have all of it, and a later change is no part of its
        // response.
        Ok(())
    }

    /// Reads and sends. What the socket has not taken of a piece is read again after the wait.
    fn send_copies(
        &mut self,
        connection: &mut Connection,
        entry: &Arc<Entry>,
        range: Range<u64>,
        page_in: &mut PageIn,
    ) -> Result<(), CloseReason> {
        let Range { start: mut offset, end } = range;
        let (mut timeout, mut ready) = (None, offset);
        while offset < end {
            if offset >= ready {
                ready = connection.context.file_sending.end_of_part(offset, end);
                self.wait_for_part(connection, entry, &(offset..ready), page_in)?;
            }
            let before = offset;
            let piece = send_piece(connection, entry, &mut offset, ready..end)?;
            if offset > before {
                timeout = None;
            }
            match piece {
                Piece::Sent => {}
                Piece::SocketFull => {
                    self.wait(connection, &mut timeout)?;
                    ready = offset;
                }
                Piece::Changed => self.check_file(connection, entry)?,
            }
            if offset < end {
                connection.socket.give_way_if_due();
            }
        }
        Ok(())
    }

    /// Waits, where the disk has to be waited for, until a part of the file is in the kernel's memory. What
    /// has gathered is sent before.
    fn wait_for_part(
        &mut self,
        connection: &mut Connection,
        entry: &Arc<Entry>,
        part: &Range<u64>,
        page_in: &mut PageIn,
    ) -> Result<(), CloseReason> {
        let context = connection.context;
        let background = context.site.store.background;
        while let Some(job) = page_in.job(entry, part, context.timers.clock.tick(), background) {
            if self.wait_for_read(connection, &job)? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a job. False if it was not done, because all who had waited for it before have gone.
    #[inline(never)]
    fn wait_for_read(
        &mut self,
        connection: &mut Connection,
        job: &JobHandle<PartRead>,
    ) -> Result<bool, CloseReason> {
        self.check_due = true;
        self.flush(connection)?;
        self.release(connection);
        let context = connection.context;
        let deadline = context.timers.clock.read() + context.timeouts.of(Phase::Send);
        connection.set_deadline(Phase::Send, deadline);
        match connection.socket.wait_for(job.completion()) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => return Err(CloseReason::TimedOut(Phase::Send)),
            Err(WaitError::Unwatchable) => return Err(CloseReason::Unwatchable),
        }
        match job.outcome() {
            Some(JobOutcome::Result(Ok(()))) => Ok(true),
            Some(JobOutcome::Dropped) | None => Ok(false),
            Some(JobOutcome::Result(Err(_)) | JobOutcome::Panicked) => Err(CloseReason::ReadFailed),
        }
    }

    /// Fails when the file is no longer what the entry was made for.
    fn check_file(&mut self, connection: &mut Connection, entry: &Entry) -> Result<(), CloseReason> {
        self.check_due = false;
        if entry.may_be_continued() || has_grown(connection, entry) {
            return Ok(());
        }
        // The whole length may be in the socket already; what has not left it must not arrive.
        connection.socket.reset_on_close();
        Err(CloseReason::BodyCut)
    }

    /// Adds a range of a file to what has gathered; false, with nothing added, when it can't be read whole.
    fn read(&mut self, connection: &Connection, file: BorrowedFd<'_>, range: &Range<u64>) -> bool {
        let out = self.out(connection);
        let before = out.len();
        out.resize(before + usize::try_from(range.end - range.start).unwrap_or(0), 0);
        let read = file::read_at(file, &mut out[before..], range.start);
        let whole = read.is_ok_and(|read| before + read == out.len());
        if !whole {
            out.truncate(before);
        }
        whole
    }
}

/// Reads one piece, which ends before `limits` begins, and sends what the socket takes of it; `limits` ends
/// with the range that is sent. It never waits, so that all connections of the worker share the memory of the
/// piece.
fn send_piece(
    connection: &mut Connection,
    entry: &Entry,
    offset: &mut u64,
    limits: Range<u64>,
) -> Result<Piece, CloseReason> {
    let Some(file) = entry.file() else { return Err(CloseReason::ReadFailed) };
    let count = connection.context.file_sending.to_copy(limits.start - *offset);
    let mut piece = connection.context.piece.lock().unwrap_or_else(PoisonError::into_inner);
    if piece.len() < count {
        piece.resize(count, 0);
    }
    let piece = match file::read_at(file, &mut piece[..count], *offset) {
        Ok(0) => return Err(CloseReason::BodyCut),
        Ok(read) => &piece[..read],
        Err(_) => return Err(CloseReason::ReadFailed),
    };
    // After the read and before the send: nothing of another version leaves.
    if !entry.may_be_continued() {
        return Ok(Piece::Changed);
    }
    let mut sent = 0;
    while sent < piece.len() {
        let more = *offset + ((piece.len() - sent) as u64) < limits.end;
        match connection.send(&piece[sent..], &[], more) {
            Ok(count) => {
                sent += count;
                *offset += count as u64;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Piece::SocketFull),
            Err(_) => return Err(CloseReason::Broken),
        }
    }
    Ok(Piece::Sent)
}

/// Checks again a little later: a write(2) at the end of a file sets its time before its length, and a file
/// that only grows is still sent to the promised length.
#[inline(never)]
fn has_grown(connection: &mut Connection, entry: &Entry) -> bool {
    let clock = &connection.context.timers.clock;
    let end = clock.read() + GROWTH_TICKS;
    while clock.tick() < end {
        connection.set_deadline(Phase::Send, end);
        if connection.socket.wait_writable() == Err(WaitError::Unwatchable) {
            return false;
        }
        if entry.may_be_continued() {
            return true;
        }
    }
    false
}

fn failed(kind: ErrorKind) -> CloseReason {
    match kind {
        ErrorKind::BrokenPipe
        | ErrorKind::ConnectionReset
        | ErrorKind::TimedOut
        | ErrorKind::NotConnected => CloseReason::Broken,
        _ => CloseReason::ReadFailed,
    }
}
