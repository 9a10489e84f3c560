//! A response whose body is being sent on its stream, piece by piece.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::{Reason, SendStream};

use super::priority::Priority;
use super::response::Piece;
use super::wakeup::{JobWakeup, Wakeup};
use crate::background::{JobHandle, JobOutcome, WaitLimit};
use crate::connection::context::Context;
use crate::log::line::PendingLine;
use crate::metrics::HostNumber;
use crate::store::entry::Entry;
use crate::store::page_in::PageIn;
use crate::store::resident_parts::PartRead;
use crate::sys::{file, timer};

/// Bytes of a DATA frame: with the 9 bytes of its head it fills a TLS record of 2^14 bytes.
const FRAME: usize = (1 << 14) - 9;

/// Bytes of a file that are read at once.
const CHUNK: usize = 2 * FRAME;

/// How long a file that seems to be overwritten is checked for growth instead.
const GROWTH: Duration = Duration::from_millis(200);

/// What is known of the response for counts and log.
pub struct StreamRecord {
    /// The status.
    pub status: u16,
    /// The number of the access log, if one has the request.
    pub log: Option<u16>,
    /// The beginning of its line.
    pub line: PendingLine,
    /// The host that it is counted by.
    pub host: Option<HostNumber>,
    /// When its head was complete, on the monotonic clock in nanoseconds.
    pub since: u64,
    /// Bytes of the body that were sent.
    pub sent: u64,
}

/// A response under way.
pub struct OutgoingStream {
    stream: SendStream<Bytes>,
    pieces: VecDeque<Piece>,
    page_in: PageIn,
    /// The job that it waits for, and the offset up to which that reads.
    job: Option<(JobHandle<PartRead>, u64)>,
    /// What is before this offset of the first piece's file needed no disk at this tick.
    ready: (u64, u32),
    /// A file that seems to be overwritten is checked until then, on the monotonic clock.
    growth: Option<(Duration, WaitLimit<'static>)>,
    /// How it is sent beside others.
    pub priority: Priority,
    /// For counts and log.
    pub record: StreamRecord,
}

/// What became of a turn.
pub enum Turn {
    /// Some bytes were handed on; there are more.
    Sent,
    /// The last bytes were handed on.
    Done,
    /// It can't go on now. It is woken when it can.
    Blocked,
    /// The client has taken the request back.
    Reset,
    /// The file has changed or could not be read; the stream is reset.
    Cut,
}

impl OutgoingStream {
    /// A response whose head is sent.
    pub fn new(
        stream: SendStream<Bytes>,
        pieces: VecDeque<Piece>,
        priority: Priority,
        record: StreamRecord,
    ) -> OutgoingStream {
        OutgoingStream {
            stream,
            pieces,
            page_in: PageIn::default(),
            job: None,
            ready: (0, 0),
            growth: None,
            priority,
            record,
        }
    }

    /// The number of the stream.
    pub fn number(&self) -> u32 {
        self.stream.stream_id().as_u32()
    }

    /// Hands on one chunk, as far as the client's windows allow. A stream that can't go on holds nothing of
    /// the window of the connection, so that the others can, and the most urgent of them first.
    pub fn advance(
        &mut self,
        task: &mut TaskContext<'_>,
        context: &'static Context,
        wakeup: &Arc<Wakeup>,
    ) -> Turn {
        if self.job.is_some() || self.growth.is_some() {
            // No capacity is asked for meanwhile, which would hear of a reset.
            if self.stream.poll_reset(task).is_ready() {
                return Turn::Reset;
            }
            match self.wait_is_over(context.timers.clock.tick()) {
                Some(true) => {}
                Some(false) => return self.cut(),
                None => return Turn::Blocked,
            }
        }
        let left = match self.pieces.front() {
            None => return Turn::Done,
            Some(Piece::Bytes(bytes)) => bytes.len() as u64,
            Some(Piece::File(_, range)) => range.end - range.start,
        };
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
        self.stream.reserve_capacity(wanted);
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(task) {
                Poll::Pending => {
                    self.stream.reserve_capacity(0);
                    return Turn::Blocked;
                }
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Turn::Reset,
            }
        }
        let most = self.stream.capacity().min(wanted);
        match self.take(most, context, wakeup) {
            Ok(Some(bytes)) => self.hand_on(bytes),
            Ok(None) => {
                self.stream.reserve_capacity(0);
                Turn::Blocked
            }
            Err(Changed) => self.cut(),
        }
    }

    /// Takes up to `most` bytes of the first piece; `None` if they have to be waited for.
    fn take(
        &mut self,
        most: usize,
        context: &'static Context,
        wakeup: &Arc<Wakeup>,
    ) -> Result<Option<Bytes>, Changed> {
        let (bytes, is_empty) = match self.pieces.front_mut() {
            None => return Ok(None),
            Some(Piece::Bytes(bytes)) => (bytes.split_to(most.min(bytes.len())), bytes.is_empty()),
            Some(Piece::File(entry, range)) => {
                let (entry, start) = (Arc::clone(entry), range.start);
                let (tick, background) = (context.timers.clock.tick(), context.site.store.background);
                // What was there a while ago may have left the memory.
                if start >= self.ready.0 || tick != self.ready.1 {
                    let end = context.file_sending.end_of_part(start, range.end);
                    if let Some(job) = self.page_in.job(&entry, &(start..end), tick, background) {
                        job.completion().wake_when_done(Box::new(JobWakeup(Arc::clone(wakeup))));
                        self.job = Some((job, end));
                        return Ok(None);
                    }
                    self.ready = (end, tick);
                }
                let left = usize::try_from(self.ready.0 - start).unwrap_or(usize::MAX);
                let bytes = read(&entry, start, most.min(left))?;
                if !entry.may_be_continued() {
                    return self.check_growth(context, wakeup);
                }
                range.start += bytes.len() as u64;
                (bytes, range.is_empty())
            }
        };
        if is_empty {
            self.pieces.pop_front();
            self.ready = (0, 0);
        }
        Ok(Some(bytes))
    }

    /// A write(2) at the end of a file sets its time before its length, so it is looked at again: a file that
    /// only grows is still sent to the promised length.
    fn check_growth(
        &mut self,
        context: &'static Context,
        wakeup: &Arc<Wakeup>,
    ) -> Result<Option<Bytes>, Changed> {
        let limits = &context.site.store.background.limits;
        let now = timer::monotonic();
        let end = self.growth.as_ref().map_or(now + GROWTH, |(end, _)| *end);
        if now >= end {
            return Err(Changed);
        }
        let next = end.min(now + GROWTH / 10);
        let limit = limits.add(next, Box::new(JobWakeup(Arc::clone(wakeup))));
        self.growth = Some((end, limit));
        Ok(None)
    }

    /// True if what was waited for is there, false if it can't be had, `None` while it is not.
    fn wait_is_over(&mut self, tick: u32) -> Option<bool> {
        let Some((job, end)) = &self.job else { return Some(true) };
        let has_failed = match job.outcome()? {
            JobOutcome::Result(Ok(())) => {
                self.ready = (*end, tick);
                false
            }
            // It is asked for again.
            JobOutcome::Dropped => false,
            JobOutcome::Result(Err(_)) | JobOutcome::Panicked => true,
        };
        self.job = None;
        Some(!has_failed)
    }

    fn hand_on(&mut self, mut bytes: Bytes) -> Turn {
        self.growth = None;
        let (length, is_last) = (bytes.len(), self.pieces.is_empty());
        while bytes.len() > FRAME {
            if self.stream.send_data(bytes.split_to(FRAME), false).is_err() {
                return Turn::Reset;
            }
        }
        if self.stream.send_data(bytes, is_last).is_err() {
            return Turn::Reset;
        }
        self.record.sent += length as u64;
        if is_last { Turn::Done } else { Turn::Sent }
    }

    fn cut(&mut self) -> Turn {
        self.stream.send_reset(Reason::INTERNAL_ERROR);
        Turn::Cut
    }
}

/// The file of a response has changed, or could not be read.
struct Changed;

/// Reads bytes of an entry's file that are in the kernel's memory.
fn read(entry: &Entry, start: u64, count: usize) -> Result<Bytes, Changed> {
    let file = entry.file().ok_or(Changed)?;
    let mut bytes = BytesMut::zeroed(count);
    match file::read_at(file, &mut bytes, start) {
        Ok(read) if read > 0 => {
            bytes.truncate(read);
            Ok(bytes.freeze())
        }
        _ => Err(Changed),
    }
}
