//! What is left of a request once it is answered: its body, which nobody wants.
//!
//! It is passed over within a bound, so that the connection can be kept; beyond that the connection ends with the reply.
//! The subtle rule: a client that waits for a go-ahead (RFC 9110 §10.1.1) gets the answer instead, and may not send the
//! body at all, so there is nothing to be passed over.

use super::Connection;
use super::end::End;
use super::phase::Phase;
use super::transport::{Received, WaitError};
use crate::http::body::{BodySkipper, Skip};
use crate::http::framing::Framing;
use crate::http::request::Reject;

/// The most of a request's body that is passed over to keep the connection, in bytes; beyond it the connection ends
/// with the reply.
const MAX_SKIPPED_BODY: u64 = 64 * 1024;

/// What became of a request's body.
pub(super) enum Skipped {
    /// All of it is gone; what follows is the next request.
    Whole,
    /// It is longer than it would be worth, or won't come.
    TooLong,
    /// It can't be told where it ends.
    Bad,
}

impl Connection {
    /// Step 3: takes the request's body off the connection, as far as that is worth it.
    pub(super) fn skip_body(&mut self, framing: Framing, expects_continue: bool) -> Result<Skipped, End> {
        let announced_too_long = matches!(framing, Framing::Length(length) if length > MAX_SKIPPED_BODY);
        if announced_too_long || (expects_continue && self.inbox.is_empty()) {
            return Ok(Skipped::TooLong);
        }
        let mut skipper = BodySkipper::new(framing);
        let mut skipped = 0;
        let deadline = self.shared.reactor.clock.tick() + self.shared.timeouts.of(Phase::Body);
        loop {
            let Ok(Skip { used, done }) = skipper.feed(self.inbox.bytes()) else { return Ok(Skipped::Bad) };
            self.inbox.consume(used);
            skipped += used as u64;
            if done {
                return Ok(Skipped::Whole);
            }
            if skipped > MAX_SKIPPED_BODY {
                return Ok(Skipped::TooLong);
            }
            self.fill_body(deadline)?;
        }
    }

    fn fill_body(&mut self, deadline: u32) -> Result<(), End> {
        self.transmit.flush(&mut self.transport)?;
        loop {
            let room = self.inbox.room(&self.shared.pool);
            match self.transport.receive(room) {
                Ok(Received::Bytes) => return Ok(()),
                // RFC 9112 §8: a request whose body is cut off is incomplete. Its sender may still listen.
                Ok(Received::End) => return Err(self.reject(Reject::BadRequest("body cut off"))),
                Ok(Received::Nothing) => {}
                Err(_) => return Err(End::Broken),
            }
            self.transport.set_deadline(Phase::Body, deadline);
            match self.transport.wait_readable() {
                Ok(()) => {}
                Err(WaitError::TimedOut) => return Err(self.time_out(Phase::Body)),
                Err(WaitError::Unwatchable) => return Err(End::Unwatchable),
            }
        }
    }
}
