//! How a connection that speaks HTTP/2 ends.

use std::task::{Context as TaskContext, Poll};

use h2::Reason;

use super::driver::{Http2, State};
use crate::connection::Connection;
use crate::connection::active::ActiveConnection;
use crate::metrics::close_reason::CloseReason;

/// Closes a connection so that the client can read what was sent last, and `rest`, which the socket has not
/// taken. It may wait for that.
#[inline(never)]
pub(super) fn close(connection: &mut Connection, reason: CloseReason, rest: &[u8]) {
    if matches!(reason, CloseReason::Rejected | CloseReason::Finished) {
        let mut active = ActiveConnection::new(connection);
        // The reason stays, however long the close takes.
        if active.writer.send(active.connection, rest, false).is_ok() {
            let _ = active.linger();
        }
        active.discard_buffers();
    }
    connection.conclude(reason);
}

impl Http2 {
    /// Ends the connection of a client that floods the server.
    pub(super) fn end_flood(
        &mut self,
        connection: &mut Connection,
        task: &mut TaskContext<'_>,
    ) -> CloseReason {
        ::log::debug!("{}: closed (it sends too much besides requests)", connection.peer);
        self.shut_down(connection, task, Reason::ENHANCE_YOUR_CALM);
        CloseReason::Rejected
    }

    /// Tells the client that the connection ends now, with this error code (RFC 9113 §7).
    pub(super) fn shut_down(
        &mut self,
        connection: &mut Connection,
        task: &mut TaskContext<'_>,
        reason: Reason,
    ) {
        if let State::Open(open) = &mut self.state {
            open.abrupt_shutdown(reason);
            while let Poll::Ready(Some(Ok(_))) = open.poll_accept(task) {}
        }
        self.send_last(connection);
    }

    /// Why a connection closes that h2 is done with: the client has gone, or one of both has told the other
    /// that this is the end. Then the last response may be on its way still.
    pub(super) fn ended(&mut self, connection: &mut Connection) -> CloseReason {
        self.send_last(connection);
        if self.pipe.is_ended() && !self.is_leaving { CloseReason::PeerClosed } else { CloseReason::Finished }
    }

    /// Why a connection closes that has failed; h2 has told the client.
    pub(super) fn failed(&mut self, connection: &mut Connection, error: &h2::Error) -> CloseReason {
        self.send_last(connection);
        if error.is_io() {
            return CloseReason::PeerClosed;
        }
        if error.is_remote() {
            return CloseReason::PeerClosed;
        }
        ::log::debug!("{}: closed ({error})", connection.peer);
        CloseReason::Rejected
    }

    /// Counts and logs the responses that the end of the connection cuts.
    pub(super) fn abandon(&mut self, connection: &mut Connection, reason: CloseReason) {
        for stream in self.queue.take_all() {
            self.finish(connection, stream.record, Some(reason));
        }
    }
}
