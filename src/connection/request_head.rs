//! The next request: its head out of the read buffer, the site's answer to it, and the wait for a head that
//! is not complete.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::active::{ActiveConnection, Stop};
use super::response::OutgoingResponse;
use super::socket::{Received, WaitError};
use super::timeouts::IDLE_SET_AFTER;
use super::writer::Writer;
use super::{Connection, Stage, log_line};
use crate::background::{Completion, GaveUp, JobWaiter};
use crate::http::reject::Reject;
use crate::http::request::{self, ParsedHead};
use crate::log::line::PendingLine;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;
use crate::time::Now;

/// The cost of a request against the yield budget, in bytes.
const REQUEST_COST: usize = 8 * 1024;

/// What the read buffer holds next.
pub enum Next {
    /// A request, which gets this response.
    Response(OutgoingResponse),
    /// No complete head.
    Incomplete,
    /// A request that can't be answered as asked.
    Reject(Reject),
    /// Earlier responses could not be sent while the site prepared the answer.
    Close(CloseReason),
}

impl ActiveConnection<'_> {
    /// Parses the next head, if it is complete, and has the site answer. This frame is gone before anything
    /// waits for the client, which keeps the stacks of slow clients small; but where the site needs a job of
    /// a background thread, [`FlushAndWait`] waits beneath it.
    #[inline(never)]
    pub(super) fn answer_next(&mut self) -> Next {
        if !self.read_buffer.worth_parsing() {
            return Next::Incomplete;
        }
        if let Some(reject) = self.take_empty_lines() {
            return Next::Reject(reject);
        }
        let context = self.connection.context;
        let ActiveConnection { connection, read_buffer, writer, log_line, client, stopwatch } = self;
        if connection.trusted {
            // The header fields of the request may name another address below.
            *client = connection.peer;
        }
        match ParsedHead::parse(read_buffer.bytes()) {
            ParsedHead::Complete(mut request, used) => {
                connection.begin_request();
                if connection.trusted {
                    *client = connection.context.trusted_proxies.client(connection.peer, &request.fields);
                }
                stopwatch.start();
                let since = connection.context.log_clock();
                let now = connection.context.timers.clock.now();
                let mut waiter = FlushAndWait { connection, writer, failed: None };
                if let Some(tls) = waiter.connection.tls() {
                    request.is_https = true;
                    request.is_misdirected = tls.is_misdirected(request.authority());
                }
                let answer = context.site.answer(&request, *client, now, &mut waiter);
                if let Some(reason) = waiter.failed {
                    return Next::Close(reason);
                }
                connection.counted = answer.counted;
                if answer.log.is_some() {
                    connection.log = answer.log;
                    let user = answer.user.as_deref();
                    log_line::capture(log_line, connection, *client, &request, user, since);
                } else if !context.access.is_empty() {
                    // Before the request's body is read, which may end in a rejection.
                    log_line.mute();
                }
                let draining = connection.context.is_draining();
                Next::Response(OutgoingResponse::new(&request, used, answer, draining))
            }
            ParsedHead::Partial => Next::Incomplete,
            ParsedHead::Reject(reject) => Next::Reject(reject),
        }
    }

    /// Takes off the empty lines in front of a request. They are counted until a request is complete, so that
    /// a client that sends nothing else is rejected however its lines arrive.
    fn take_empty_lines(&mut self) -> Option<Reject> {
        let connection = &mut *self.connection;
        let lines = self.read_buffer.take_empty_lines() + usize::from(connection.empty_lines);
        connection.empty_lines = u8::try_from(lines).unwrap_or(u8::MAX);
        (lines > request::MAX_EMPTY_LINES).then_some(Reject::TOO_MANY_EMPTY_LINES)
    }

    /// Receives some bytes, and waits for them if it must. In this order: what has gathered is sent, what has
    /// arrived is received, and only then does the connection wait, without buffers if it is idle.
    pub(super) fn receive_more(&mut self) -> Result<(), Stop> {
        self.flush()?;
        // A client that sends faster than it is served never causes a wait, so only this yields.
        self.connection.socket.give_way_if_due();
        loop {
            match self.receive() {
                Ok(Received::Bytes) => return Ok(()),
                Ok(Received::EndOfStream) => {
                    self.writer.finish(self.connection)?;
                    return Err(CloseReason::PeerClosed.into());
                }
                Ok(Received::Nothing) if self.read_buffer.is_empty() => self.wait_idle()?,
                Ok(Received::Nothing) => self.wait_for_head()?,
                Err(error) => return Err(receive_failed(&error).into()),
            }
        }
    }

    /// Waits for the rest of a head.
    fn wait_for_head(&mut self) -> Result<(), Stop> {
        let context = self.connection.context;
        let fixed = || context.timers.clock.read() + context.timeouts.of(Phase::Head);
        let deadline = self.connection.deadlines.fix(Phase::Head, fixed);
        match self.wait_readable(Phase::Head, deadline) {
            Ok(()) => Ok(()),
            Err(WaitError::Unwatchable) => Err(CloseReason::Unwatchable.into()),
            Err(WaitError::TimedOut) => Err(self.time_out(Phase::Head).into()),
        }
    }

    /// Waits for the first byte of a request. A socket that is in the scheduler's epoll already waits here
    /// for up to a second ([`IDLE_SET_AFTER`]). After that, and at once for any other socket, the connection
    /// goes to the idle set ([`Stop::Idle`]).
    pub(super) fn wait_idle(&mut self) -> Result<(), Stop> {
        let (context, phase) = (self.connection.context, self.connection.idle_phase());
        let clock = &context.timers.clock;
        let deadline = self.connection.deadlines.fix(phase, || {
            // After a response the clock has the time at which the socket took it.
            let now = if phase == Phase::Idle { clock.tick() } else { clock.read() };
            now + context.timeouts.of(phase)
        });
        let now = clock.tick();
        self.connection.set_deadline(phase, deadline.min(now + IDLE_SET_AFTER));
        self.release_buffers();
        if phase == Phase::Idle {
            self.log_line = PendingLine::default();
        }
        self.connection.idle_since = now;
        if !self.connection.socket.is_registered() {
            return Err(Stop::Idle);
        }
        match self.connection.socket.wait_idle(now) {
            Ok(()) => Ok(()),
            Err(WaitError::Unwatchable) => Err(CloseReason::Unwatchable.into()),
            Err(WaitError::TimedOut) if clock.tick() < deadline => Err(Stop::Idle),
            Err(WaitError::TimedOut) => Err(CloseReason::TimedOut(phase).into()),
        }
    }
}

/// Why a connection closes after a receive that failed.
pub(super) fn receive_failed(error: &io::Error) -> CloseReason {
    match error.kind() {
        ErrorKind::UnexpectedEof => CloseReason::Truncated,
        ErrorKind::InvalidData => CloseReason::TlsFailed,
        _ => CloseReason::Broken,
    }
}

impl Connection {
    /// Records that a head is complete.
    fn begin_request(&mut self) {
        self.deadlines.clear();
        self.empty_lines = 0;
        self.stage = Stage::LaterRequests;
        self.socket.spend(REQUEST_COST);
    }
}

/// What the site does while it can't answer yet: what has gathered is sent, and the other coroutines run.
struct FlushAndWait<'a> {
    connection: &'a mut Connection,
    writer: &'a mut Writer,
    /// Why the client can't be sent to, once it can't.
    failed: Option<CloseReason>,
}

impl FlushAndWait<'_> {
    fn flush(&mut self) -> Result<(), GaveUp> {
        self.failed = self.writer.flush(self.connection).err();
        if self.failed.is_some() { Err(GaveUp::ClientGone) } else { Ok(()) }
    }

    /// Sends what has gathered, and begins a wait of at most so many ticks.
    fn begin(&mut self, ticks: u32) -> Result<(), GaveUp> {
        self.flush()?;
        self.writer.release(self.connection);
        let now = self.connection.context.timers.clock.read();
        self.connection.set_deadline(Phase::Send, now.saturating_add(ticks));
        Ok(())
    }

    /// The time after a wait.
    fn end(&mut self, waited: Result<(), WaitError>) -> Result<Now, GaveUp> {
        match waited {
            Ok(()) => Ok(self.connection.context.timers.clock.now()),
            Err(WaitError::TimedOut) => Err(GaveUp::TimedOut),
            Err(WaitError::Unwatchable) => {
                self.failed = Some(CloseReason::Unwatchable);
                Err(GaveUp::ClientGone)
            }
        }
    }
}

impl JobWaiter for FlushAndWait<'_> {
    fn wait(&mut self, job: &Completion) -> Result<Now, GaveUp> {
        self.begin(self.connection.context.timeouts.of(Phase::Send))?;
        let waited = self.connection.socket.wait_for(job);
        self.end(waited)
    }

    fn pause(&mut self, ticks: u32) -> Result<Now, GaveUp> {
        self.begin(ticks)?;
        let waited = self.connection.socket.wait_for_deadline();
        self.end(waited)
    }

    fn wait_until(&mut self, job: &Completion, end: Duration) -> Result<Now, GaveUp> {
        let context = self.connection.context;
        self.begin(context.timeouts.of(Phase::Send))?;
        let limits = &context.site.store.background.limits;
        let waited = self.connection.socket.wait_for_until(job, (limits, end));
        self.end(waited)
    }
}
