//! The body of a request, which no response needs: it is skipped up to a bound, so that the connection can be
//! kept. Beyond the bound the connection closes after the response.
//!
//! **Invariant:** a client that waits for a 100 response (RFC 9110 §10.1.1) gets the final response instead
//! and may not send the body at all, so there is nothing to skip.

use super::active::ActiveConnection;
use super::request_head::receive_failed;
use super::response::OutgoingResponse;
use super::socket::{Received, WaitError};
use crate::http::body::{BodySkipper, Skip};
use crate::http::framing::Framing;
use crate::http::reject::Reject;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

/// The most of a request's body that is skipped to keep the connection, in bytes.
const MAX_SKIPPED_BODY: u64 = 64 * 1024;

/// What became of a request's body.
enum Skipped {
    /// All of it is skipped; what follows is the next request.
    Whole,
    /// It is longer than the bound, or won't come.
    TooLong,
    /// Where it ends can't be known.
    Malformed,
}

impl ActiveConnection<'_> {
    /// Consumes the request's head and skips its body, or has the connection close after the response.
    pub(super) fn skip_body(&mut self, response: &mut OutgoingResponse) -> Result<(), CloseReason> {
        self.read_buffer.consume(response.used);
        if response.framing != Framing::None {
            match self.skip(response.framing, response.expects_continue)? {
                Skipped::Whole => {}
                Skipped::TooLong => {
                    response.keep_alive = false;
                    response.may_send_more = true;
                }
                Skipped::Malformed => {
                    return Err(self.reject(Reject::BadRequest("malformed chunked body")));
                }
            }
            // There may have been a wait, and the site's check of the file is old then.
            self.writer.check_file_first();
        }
        // There may be a wait for the client from here on.
        self.release_read_buffer();
        Ok(())
    }

    fn skip(&mut self, framing: Framing, expects_continue: bool) -> Result<Skipped, CloseReason> {
        let is_too_long = matches!(framing, Framing::Length(length) if length > MAX_SKIPPED_BODY);
        if is_too_long || (expects_continue && self.read_buffer.is_empty()) {
            return Ok(Skipped::TooLong);
        }
        let mut skipper = BodySkipper::new(framing);
        let mut skipped = 0;
        let context = self.connection.context;
        let deadline = context.timers.clock.read() + context.timeouts.of(Phase::Body);
        loop {
            let Ok(Skip { used, done }) = skipper.feed(self.read_buffer.bytes()) else {
                return Ok(Skipped::Malformed);
            };
            self.read_buffer.consume(used);
            skipped += used as u64;
            if done {
                return Ok(Skipped::Whole);
            }
            if skipped > MAX_SKIPPED_BODY {
                return Ok(Skipped::TooLong);
            }
            self.receive_body(deadline)?;
        }
    }

    fn receive_body(&mut self, deadline: u32) -> Result<(), CloseReason> {
        // The stopwatch runs on, because the response to this request is not sent yet.
        self.writer.flush(self.connection)?;
        self.connection.socket.give_way_if_due();
        loop {
            match self.receive() {
                Ok(Received::Bytes) => return Ok(()),
                // RFC 9112 §8: a request whose body is cut off is incomplete. Its client may still listen.
                Ok(Received::EndOfStream) => {
                    return Err(self.reject(Reject::BadRequest("body cut off")));
                }
                Ok(Received::Nothing) => {}
                Err(error) => return Err(receive_failed(&error)),
            }
            match self.wait_readable(Phase::Body, deadline) {
                Ok(()) => {}
                Err(WaitError::TimedOut) => return Err(self.time_out(Phase::Body)),
                Err(WaitError::Unwatchable) => return Err(CloseReason::Unwatchable),
            }
        }
    }
}
