//! What the access log keeps of a request and of its response: plain data.

use std::time::Duration;

use super::peer::Peer;

/// The connection and the request that a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The worker's slot.
    pub worker: usize,
    /// The number of the connection, from 1 in each worker process.
    pub connection: u64,
    /// The number of the request on this connection, from 1.
    pub request: u64,
    /// The address of the client.
    pub peer: Peer,
}

/// What the log keeps of a connection's TLS.
#[derive(Debug, Clone, Copy)]
pub struct LoggedTls<'a> {
    /// The version, such as `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite by its IANA name.
    pub cipher: &'a str,
    /// The name that the client has asked for (RFC 6066 §3), of at most 255 bytes.
    pub server_name: Option<&'a str>,
    /// True if a session was resumed.
    pub is_resumed: bool,
}

/// What the log keeps of a request.
#[derive(Debug, Clone, Copy)]
pub struct LoggedRequest<'a> {
    /// The name of the user that has signed in, which may be any bytes but control characters.
    pub user: Option<&'a [u8]>,
    /// The request line without its end, which may be any bytes.
    pub line: &'a [u8],
    /// The Referer field's value.
    pub referer: Option<&'a [u8]>,
    /// The User-Agent field's value.
    pub user_agent: Option<&'a [u8]>,
    /// TLS, if the connection has it.
    pub tls: Option<LoggedTls<'a>>,
    /// When the head was complete, on the monotonic clock. Formats without a duration ignore it.
    pub since: Duration,
}

/// What the log keeps of a response.
#[derive(Debug, Clone, Copy)]
pub struct LoggedResponse {
    /// The status of the response.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    /// When the last byte was sent, on the clock of [`LoggedRequest::since`].
    pub until: Duration,
    /// Why the connection ends with this request; `None` if it goes on.
    pub end: Option<&'static str>,
}
