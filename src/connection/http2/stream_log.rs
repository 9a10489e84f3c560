//! The access log's line of a response on a stream, and the counts of its host.

use std::time::Duration;

use http::HeaderMap;
use http::header::{REFERER, USER_AGENT};
use http::request::Parts;

use super::outgoing_stream::StreamRecord;
use crate::connection::Connection;
use crate::log::line::PendingLine;
use crate::log::request::{LoggedRequest, LoggedResponse};
use crate::metrics::close_reason::CloseReason;
use crate::site::Answer;
use crate::sys::socket::PeerAddress;

/// Begins the line of a request, whose request line is `line`.
pub fn begin(
    connection: &mut Connection,
    (parts, line): (&Parts, &[u8]),
    client: PeerAddress,
    answer: &Answer,
    since: u64,
) -> PendingLine {
    let mut pending = PendingLine::default();
    let Some(log) = answer.log else { return pending };
    connection.log = Some(log);
    connection.requests += 1;
    let asked = LoggedRequest {
        user: answer.user.as_deref(),
        line,
        referer: first(&parts.headers, REFERER),
        user_agent: first(&parts.headers, USER_AGENT),
        tls: connection.tls().map(|tls| tls.logged()),
        since: Duration::from_nanos(since),
    };
    pending.capture(connection.context.access_format, &connection.log_origin(client), &asked);
    pending
}

fn first(headers: &HeaderMap, name: http::HeaderName) -> Option<&[u8]> {
    headers.get(name).map(http::HeaderValue::as_bytes)
}

/// Finishes the line of a response whose last byte was handed on at `until`; `failed` says why the stream or
/// the connection ended before.
pub fn finish(
    connection: &Connection,
    mut record: StreamRecord,
    (until, failed): (Duration, Option<CloseReason>),
) {
    let context = connection.context;
    if let Some(host) = record.host {
        connection.counter.row().host_sent(host, record.sent);
    }
    let Some(mut access) = record.log.and_then(|log| context.access.get(log)) else { return };
    let outcome = LoggedResponse {
        status: record.status,
        bytes: record.sent,
        until,
        end: failed.map(CloseReason::log_label),
    };
    record.line.finish(&mut access, &context.rendered_time.stamp(), &outcome);
}
