//! The access log's line of a request: begun when its head is complete, finished when its response is
//! written.

use std::time::Duration;

use super::Connection;
use super::active::ActiveConnection;
use super::response::OutgoingResponse;
use crate::http::fields::Field;
use crate::http::request::Request;
use crate::log::line::PendingLine;
use crate::log::request::{LoggedRequest, LoggedResponse};
use crate::metrics::close_reason::CloseReason;
use crate::sys::socket::PeerAddress;

/// Begins the line of a request whose head was complete at `since`.
pub fn capture(
    log_line: &mut PendingLine,
    connection: &mut Connection,
    client: PeerAddress,
    request: &Request<'_>,
    user: Option<&[u8]>,
    since: Duration,
) {
    let referer = request.fields.first(Field::Referer);
    let user_agent = request.fields.first(Field::UserAgent);
    connection.requests += 1;
    let tls = connection.tls().map(|tls| tls.logged());
    let asked = LoggedRequest { user, line: request.line, referer, user_agent, tls, since };
    let origin = connection.log_origin(client);
    log_line.capture(connection.context.access_format, &origin, &asked);
}

impl ActiveConnection<'_> {
    /// Begins the line of a request whose head could not be read, with the first line of what was received.
    /// If the body was malformed, the line is begun already or muted, and the read buffer holds that body.
    pub(super) fn capture_unread(&mut self) {
        if !self.log_line.is_empty() {
            return;
        }
        let Some(log) = self.connection.context.access.default else {
            self.log_line.mute();
            return;
        };
        self.connection.log = Some(log);
        let line = self.read_buffer.bytes().trim_ascii_start();
        let line = &line[..memchr::memchr2(b'\r', b'\n', line).unwrap_or(line.len())];
        let since = self.connection.context.log_clock();
        self.connection.requests += 1;
        let connection = &*self.connection;
        let tls = connection.tls().map(|tls| tls.logged());
        let asked = LoggedRequest { user: None, line, referer: None, user_agent: None, tls, since };
        let origin = connection.log_origin(self.client);
        self.log_line.capture(connection.context.access_format, &origin, &asked);
    }

    /// Finishes the line of a response, if there is a log. `before_body` is the number of bytes that the
    /// connection had sent, or gathered to send, when the body began.
    pub(super) fn finish_log_line(
        &mut self,
        response: &OutgoingResponse,
        before_body: u64,
        failed: Option<CloseReason>,
    ) {
        let muted = self.log_line.take_muted();
        if !muted && self.connection.log.is_some() {
            self.write_log_line(response, before_body, failed);
        }
    }

    #[inline(never)]
    fn write_log_line(&mut self, response: &OutgoingResponse, before_body: u64, failed: Option<CloseReason>) {
        let context = self.connection.context;
        let connection = &mut *self.connection;
        let Some(mut access) = connection.log.and_then(|log| context.access.get(log)) else { return };
        // What has gathered counts as sent, because it is sent before anything else.
        let gathered = if failed.is_none() { self.writer.gathered() } else { 0 };
        let length = (connection.sent + gathered).saturating_sub(before_body);
        connection.logged_close = failed.or((!response.keep_alive).then_some(response.close_reason));
        let outcome = LoggedResponse {
            status: response.response.status.code(),
            bytes: length,
            until: context.log_clock(),
            end: connection.logged_close.map(CloseReason::log_label),
        };
        self.log_line.finish(&mut access, &context.rendered_time.stamp(), &outcome);
    }
}
