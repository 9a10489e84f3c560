//! The keep-alive loop of HTTP/1.1: serves the requests of one connection in turn, until it is idle or
//! closes. The numbers below are those of the steps in `serve_requests`.
//!
//! 1. Parse a head out of the read buffer and have the site answer (`request_head.rs`). Nothing of the
//!    request is borrowed from here on. Without a complete head, send what has gathered, and receive more.
//! 2. Skip the request's body, or decide to close after the response (`request_body.rs`).
//! 3. Write the head and the body (`response.rs`), and the access log's line (`log_line.rs`).
//! 4. Keep the connection for the next request, or close it so that the client can read the response
//!    (`lingering_close.rs`). Pipelined requests are in the read buffer already. Their responses are sent
//!    together, once the buffer holds no complete head.
//!
//! A request that can't be answered as asked is rejected (`rejection.rs`): 400, 408, 414, 431, 501, 505.

use std::convert::Infallible;

use super::active::{ActiveConnection, Stop};
use super::request_head::Next;
use super::response::OutgoingResponse;
use crate::metrics::close_reason::CloseReason;

/// Serves requests until the connection is idle or closes.
pub fn serve_requests(active: &mut ActiveConnection<'_>) -> Result<Infallible, Stop> {
    loop {
        // 1. The next request's head, and the site's answer.
        match &mut active.answer_next() {
            Next::Incomplete => active.receive_more()?,
            Next::Reject(reject) => return Err(active.reject(*reject).into()),
            Next::Close(reason) => return Err((*reason).into()),
            Next::Response(response) => {
                // 2. The request's body.
                active.skip_body(response)?;
                // 3. Head, body and log line.
                active.send_response(response)?;
                // 4. The next request, or the close.
                active.keep_or_close(response)?;
            }
        }
    }
}

impl ActiveConnection<'_> {
    /// Keeps the connection after a response, or sends what has gathered and closes it.
    fn keep_or_close(&mut self, response: &OutgoingResponse) -> Result<(), Stop> {
        if self.writer.gathered() == 0 {
            // A large response leaves at once, with those before it.
            self.count_request_times();
        }
        if response.keep_alive {
            self.connection.socket.give_way_if_due();
            return Ok(());
        }
        let may_hold_bytes = !self.read_buffer.is_empty() || self.connection.may_hold_bytes();
        if response.may_send_more || may_hold_bytes {
            self.flush()?;
            return Err(self.linger().err().unwrap_or(CloseReason::Finished).into());
        }
        self.writer.finish(self.connection)?;
        self.count_request_times();
        Err(CloseReason::Finished.into())
    }
}
