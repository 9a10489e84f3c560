//! Error responses outside of the site's answers: to requests that can't be answered as asked, and to clients
//! that are too slow with a request. The connection closes after either.

use super::Stage;
use super::active::ActiveConnection;
use super::response::OutgoingResponse;
use crate::http::reject::Reject;
use crate::http::status::Status;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

impl ActiveConnection<'_> {
    /// Answers a request that can't be answered as asked, and closes the connection so that the client can
    /// read why.
    #[inline(never)]
    pub(super) fn reject(&mut self, reject: Reject) -> CloseReason {
        let status = reject.status();
        ::log::debug!("{}: {} ({})", self.client, status.code(), reject.reason());
        self.close_with(status, CloseReason::Rejected);
        CloseReason::Rejected
    }

    /// Answers a client that was too slow with its request (RFC 9110 §15.5.9), unless its PROXY header is
    /// missing.
    #[inline(never)]
    pub(super) fn time_out(&mut self, phase: Phase) -> CloseReason {
        let reason = CloseReason::TimedOut(phase);
        if self.connection.stage != Stage::ProxyHeader {
            self.close_with(Status::REQUEST_TIMEOUT, reason);
        }
        reason
    }

    fn close_with(&mut self, status: Status, reason: CloseReason) {
        self.capture_unread();
        self.read_buffer.clear();
        self.release_read_buffer();
        let response = OutgoingResponse::last(status, reason);
        // The close reason stays the same, however long the close takes. A lingering close that times out is
        // counted as a timeout besides.
        if self.send_response(&response).is_ok()
            && self.flush().is_ok()
            && let Err(CloseReason::TimedOut(phase)) = self.linger()
        {
            self.connection.counter.row().timed_out(phase);
        }
    }
}
