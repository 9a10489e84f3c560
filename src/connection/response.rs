//! A response as the connection carries it out, and how its head and body are written. It borrows nothing of
//! the request.

use std::ops::Range;
use std::sync::Arc;

use super::Connection;
use super::active::ActiveConnection;
use super::writer::Writer;
use crate::http::framing::Framing;
use crate::http::method::Method;
use crate::http::request::Request;
use crate::http::response::{Body, FieldBlock};
use crate::http::response_head;
use crate::http::status::Status;
use crate::metrics::HostNumber;
use crate::metrics::close_reason::CloseReason;
use crate::site::{Answer, SiteResponse, error_page};
use crate::store::entry::Entry;
use crate::store::page_in::PageIn;

/// A response and what is to be done with it.
pub struct OutgoingResponse {
    /// Status, fields and body.
    pub response: SiteResponse,
    /// How the request's body ends.
    pub framing: Framing,
    /// False for HEAD.
    pub send_body: bool,
    /// True if the connection is kept; the head says so.
    pub keep_alive: bool,
    /// True if the client may still send bytes (a next request, or the rest of a body); then the close
    /// lingers.
    pub may_send_more: bool,
    /// True when the client waits for a 100 response before it sends the body (RFC 9110 §10.1.1).
    pub expects_continue: bool,
    /// Bytes of the read buffer that the head took.
    pub used: usize,
    /// Why the connection closes if it is not kept.
    pub close_reason: CloseReason,
    /// The method that the request is counted by; `None` when its head could not be read.
    pub method: Option<Method>,
}

impl OutgoingResponse {
    /// The response to a request whose head took `used` bytes. A worker that drains keeps no connection.
    pub fn new(request: &Request<'_>, used: usize, answer: Answer, draining: bool) -> OutgoingResponse {
        OutgoingResponse {
            response: answer.response,
            framing: request.framing,
            send_body: request.method != Method::Head,
            keep_alive: request.keep_alive && !draining,
            may_send_more: request.keep_alive,
            expects_continue: request.expects_continue,
            used,
            close_reason: CloseReason::Finished,
            method: Some(request.method),
        }
    }

    /// The error page for a request that could not be read; the connection closes after it.
    pub fn last(status: Status, close_reason: CloseReason) -> OutgoingResponse {
        OutgoingResponse {
            response: error_page::response(status, b""),
            framing: Framing::None,
            send_body: true,
            keep_alive: false,
            may_send_more: true,
            expects_continue: false,
            used: 0,
            close_reason,
            method: None,
        }
    }

    /// Writes the head, and counts the request.
    #[inline(never)]
    fn write_head(&self, connection: &Connection, writer: &mut Writer) {
        let fields: &[u8] = match &self.response.fields {
            FieldBlock::Owned(fields) => fields,
            FieldBlock::Of(entry) => entry.whole_fields(),
        };
        let (context, status) = (connection.context, self.response.status);
        let date = context.rendered_time.date();
        response_head::write(writer.out(connection), status, &context.server, &date, self.keep_alive, fields);
        connection.counter.row().request(self.method, status.code());
        if let Some(host) = connection.counted {
            connection.counter.row().host_request(host, status.code());
        }
    }

    /// Writes the body, unless the request was HEAD.
    fn write_body(&self, connection: &mut Connection, writer: &mut Writer) -> Result<(), CloseReason> {
        match &self.response.body {
            _ if !self.send_body => Ok(()),
            Body::Empty => Ok(()),
            Body::Owned(bytes) => writer.bytes(connection, bytes),
            Body::Shared(shared) => writer.bytes(connection, shared.bytes()),
            Body::Slice(entry, range) => {
                write_slice(connection, writer, (entry, range.clone()), &mut PageIn::default())
            }
            Body::Multipart(entry, multipart) => {
                let mut page_in = PageIn::default();
                for (index, range) in multipart.ranges.iter().enumerate() {
                    multipart.write_head(index, writer.out(connection));
                    write_slice(connection, writer, (entry, range.clone()), &mut page_in)?;
                }
                multipart.write_closing(writer.out(connection));
                writer.flush_much(connection)
            }
        }
    }
}

impl ActiveConnection<'_> {
    /// Writes a response and the access log's line. Code that needs much stack is in functions of its own,
    /// because the coroutine may wait for the client while it sends the body.
    pub(super) fn send_response(&mut self, response: &OutgoingResponse) -> Result<(), CloseReason> {
        let before_head = self.connection.sent + self.writer.gathered();
        response.write_head(self.connection, &mut self.writer);
        let before_body = self.connection.sent + self.writer.gathered();
        let result = response.write_body(self.connection, &mut self.writer);
        if let Some(host) = self.connection.counted {
            self.count_sent_by_host(host, before_head, result.is_ok());
        }
        self.finish_log_line(response, before_body, result.err());
        result
    }

    /// Counts the bytes of a response by its host. `before_head` is the number of bytes that the connection
    /// had sent, or gathered to send, before the response. What has gathered counts as sent if `is_whole`.
    fn count_sent_by_host(&mut self, host: HostNumber, before_head: u64, is_whole: bool) {
        let connection = &mut *self.connection;
        let gathered = if is_whole { self.writer.gathered() } else { 0 };
        let sent = (connection.sent + gathered).saturating_sub(before_head);
        connection.counter.row().host_sent(host, sent);
        // What the client sends next may be rejected before it names a host.
        connection.counted = connection.context.site.counted_first();
    }
}

fn write_slice(
    connection: &mut Connection,
    writer: &mut Writer,
    (entry, range): (&Arc<Entry>, Range<u64>),
    page_in: &mut PageIn,
) -> Result<(), CloseReason> {
    if range.is_empty() {
        return Ok(());
    }
    if entry.file().is_some() {
        return writer.file(connection, entry, range, page_in);
    }
    let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
        return Ok(());
    };
    let bytes = entry.in_memory().and_then(|bytes| bytes.get(start..end)).unwrap_or_default();
    writer.bytes(connection, bytes)
}
