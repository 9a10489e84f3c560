//! The keep-alive loop of HTTP/1.1: serves the requests of one connection in turn, until it is idle or
//! closes. The numbers below are those of the steps in `serve_requests`.
//!
//! 1. Where the listener requires it, read the PROXY header (`proxy_header.rs`).
//! 2. Parse a head out of the read buffer and have the site answer (`request_head.rs`). Nothing of the
//!    request is borrowed from here on. Without a complete head, send what has gathered, and receive more.
//! 3. Skip the request's body, or decide to close after the response (`request_body.rs`).
//! 4. Write the head and the body (`response.rs`), and the access log's line (`log_line.rs`).
//! 5. Keep the connection for the next request, or close it so that the client can read the response
//!    (`lingering_close.rs`). Pipelined requests are in the read buffer already. Their responses are sent
//!    together, once the buffer holds no complete head.
//!
//! A request that can't be answered as asked is rejected (`rejection.rs`): 400, 408, 414, 431, 501, 505.

use std::convert::Infallible;

use super::Connection;
use super::active::{ActiveConnection, Stop};
use super::request_head::Next;
use super::response::OutgoingResponse;
use crate::metrics::close_reason::CloseReason;

/// How serving a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// No request is there; the connection goes to the idle set.
    Idle,
    /// The close is counted and logged, and the connection is to be dropped.
    Closed,
}

/// Serves a connection until it is idle or closes.
pub fn serve(connection: &mut Connection) -> Served {
    let mut active = ActiveConnection::new(connection);
    let Err(stop) = serve_requests(&mut active);
    active.discard_buffers();
    match stop {
        Stop::Idle => {
            connection.socket.unregister();
            Served::Idle
        }
        Stop::Close(reason) => {
            connection.conclude(reason);
            Served::Closed
        }
    }
}

fn serve_requests(active: &mut ActiveConnection<'_>) -> Result<Infallible, Stop> {
    // 1. The PROXY header.
    active.read_proxy_header()?;
    loop {
        // 2. The next request's head, and the site's answer.
        match &mut active.answer_next() {
            Next::Incomplete => active.receive_more()?,
            Next::Reject(reject) => return Err(active.reject(*reject).into()),
            Next::Close(reason) => return Err((*reason).into()),
            Next::Response(response) => {
                // 3. The request's body.
                active.skip_body(response)?;
                // 4. Head, body and log line.
                active.send_response(response)?;
                // 5. The next request, or the close.
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
        let may_hold_bytes = !self.read_buffer.is_empty() || self.connection.socket.may_hold_bytes();
        if response.may_send_more || may_hold_bytes {
            self.flush()?;
            return Err(self.linger().err().unwrap_or(CloseReason::Finished).into());
        }
        self.writer.finish(self.connection)?;
        self.count_request_times();
        Err(CloseReason::Finished.into())
    }
}
