//! The lingering close, after which the client can read the last response.
//!
//! **Invariant:** a close with bytes unread resets the connection and may destroy the response on its way. So
//! the worker receives what the client still sends first, for a bounded time (RFC 9112 §9.6).

use super::active::ActiveConnection;
use super::socket::{Received, WaitError};
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

impl ActiveConnection<'_> {
    /// Ends the sending direction and discards what the client still sends, until it ends too or the time is
    /// up.
    ///
    /// # Errors
    /// The close reason when the client did not close in time, or could not be sent to.
    pub(super) fn linger(&mut self) -> Result<(), CloseReason> {
        let context = self.connection.context;
        self.writer.finish(self.connection)?;
        self.connection.socket.finish_sending();
        self.writer.release(self.connection);
        self.read_buffer.clear();
        let deadline = context.timers.clock.read() + context.timeouts.of(Phase::Linger);
        self.connection.set_deadline(Phase::Linger, deadline);
        loop {
            if context.timers.clock.tick() >= deadline {
                return Err(CloseReason::TimedOut(Phase::Linger));
            }
            match self.receive() {
                Ok(Received::Bytes) => {
                    self.read_buffer.clear();
                    self.connection.socket.give_way_if_due();
                }
                Ok(Received::Nothing) => match self.wait_readable(Phase::Linger, deadline) {
                    Err(WaitError::Unwatchable) => return Ok(()),
                    // The loop checks the time.
                    Ok(()) | Err(WaitError::TimedOut) => {}
                },
                Ok(Received::EndOfStream) | Err(_) => return Ok(()),
            }
        }
    }
}
