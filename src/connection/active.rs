//! A connection while a coroutine serves it: its buffers, and the state of the current requests.
//!
//! Receives into the read buffer, and sends what the writer has gathered. Knows nothing of heads and bodies.
//!
//! **Invariant:** what has gathered for a client is sent before its coroutine waits for that client.
//! Otherwise the client would wait for the response, and the coroutine for the client.

use std::io;

use super::Connection;
use super::read_buffer::ReadBuffer;
use super::socket::{Received, WaitError};
use super::stopwatch::Stopwatch;
use super::writer::Writer;
use crate::log::line::PendingLine;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;
use crate::sys::socket::PeerAddress;

/// A connection that a coroutine serves.
pub struct ActiveConnection<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) read_buffer: ReadBuffer,
    pub(super) writer: Writer,
    /// The beginning of the access log's line of the current request.
    pub(super) log_line: PendingLine,
    /// The client address of the current request.
    pub(super) client: PeerAddress,
    /// The time of requests that are complete and whose responses the socket has not taken yet.
    pub(super) stopwatch: Stopwatch,
}

/// Why a coroutine stops serving a connection.
pub enum Stop {
    /// The connection closes.
    Close(CloseReason),
    /// No request is there; the connection goes to the idle set.
    Idle,
    /// The client speaks HTTP/2.
    Http2,
}

impl From<CloseReason> for Stop {
    fn from(reason: CloseReason) -> Stop {
        Stop::Close(reason)
    }
}

impl<'a> ActiveConnection<'a> {
    /// Begins to serve a connection.
    pub fn new(connection: &'a mut Connection) -> ActiveConnection<'a> {
        ActiveConnection {
            client: connection.peer,
            connection,
            read_buffer: ReadBuffer::default(),
            writer: Writer::default(),
            log_line: PendingLine::default(),
            stopwatch: Stopwatch::default(),
        }
    }

    /// Receives what has arrived into the read buffer, which takes no memory when nothing has.
    pub(super) fn receive(&mut self) -> io::Result<Received> {
        let connection = &mut *self.connection;
        if !connection.may_hold_bytes() {
            return Ok(Received::Nothing);
        }
        connection.receive(self.read_buffer.room(&connection.context.read_buffers))
    }

    /// Sends what has gathered. The socket then has the responses to all complete requests.
    pub(super) fn flush(&mut self) -> Result<(), CloseReason> {
        self.writer.flush(self.connection)?;
        self.count_request_times();
        Ok(())
    }

    /// Counts the time of all requests so far. The socket must have taken all their responses. The clock is
    /// set to the time that the stopwatch read.
    pub(super) fn count_request_times(&mut self) {
        if let Some(now) = self.stopwatch.stop(self.connection.counter.row()) {
            self.connection.context.timers.clock.advance(now);
        }
    }

    /// Waits in `phase` until something may be received, without buffers if they are empty.
    pub(super) fn wait_readable(&mut self, phase: Phase, deadline: u32) -> Result<(), WaitError> {
        self.connection.set_deadline(phase, deadline);
        self.release_buffers();
        self.connection.socket.wait_readable()
    }

    /// Gives empty buffers back to their pools.
    pub(super) fn release_buffers(&mut self) {
        self.release_read_buffer();
        self.writer.release(self.connection);
    }

    /// Gives the read buffer back if it is empty.
    pub(super) fn release_read_buffer(&mut self) {
        self.read_buffer.release(&self.connection.context.read_buffers);
    }

    /// Discards all that is in the buffers, and gives them back.
    pub(super) fn discard_buffers(&mut self) {
        self.read_buffer.clear();
        self.writer.clear();
        self.release_buffers();
    }
}
