//! What all connections of a worker share: made once, before the first of them, and never freed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::access_logs::AccessLogs;
use super::buffer_pool::BufferPool;
use super::client_address::TrustedProxies;
use super::file_sending::FileSending;
use super::http2::common_fields::CommonFields;
use super::rendered_time::RenderedTime;
use super::socket_timers::SocketTimers;
use super::timeouts::Timeouts;
use super::tls_transport::TlsContext;
use crate::config::AccessFormat;
use crate::log::line;
use crate::metrics::Row;
use crate::site::Site;
use crate::sys::timer;

/// What all connections of a worker share.
pub struct Context {
    /// The clock, and the deadlines of sockets.
    pub timers: SocketTimers,
    /// The present second as text.
    pub rendered_time: RenderedTime,
    /// The proxies whose fields name the client.
    pub trusted_proxies: TrustedProxies,
    /// The site, which answers requests.
    pub site: Site,
    /// How long each phase may last.
    pub timeouts: Timeouts,
    /// How the bytes of files are sent.
    pub file_sending: FileSending,
    /// The value of the Server field.
    pub server: Vec<u8>,
    /// The access logs.
    pub access: AccessLogs,
    /// The format of its lines.
    pub access_format: AccessFormat,
    /// The worker's slot.
    pub slot: usize,
    /// Connections accepted so far.
    pub accepted: AtomicU64,
    /// Buffers to receive into.
    pub read_buffers: BufferPool,
    /// Buffers that responses gather in.
    pub write_buffers: BufferPool,
    /// Buffers that the frames of HTTP/2 gather in.
    pub frame_buffers: BufferPool,
    /// The buffer for bytes that are copied from a file to a socket. Never locked across a wait.
    pub piece: Mutex<Vec<u8>>,
    /// The worker's counts.
    pub metrics: Row,
    /// True if clients may speak HTTP/2 without TLS.
    pub http2_plain: bool,
    /// Fields of responses by HTTP/2.
    pub common_fields: CommonFields,
    /// What TLS connections share, if there are TLS listeners.
    pub tls: Option<TlsContext>,
    /// True once the worker drains: every response says `Connection: close`.
    pub draining: AtomicBool,
}

impl Context {
    /// Whether the worker drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// The time for the access log on the monotonic clock, or zero if its format has no durations.
    pub fn log_clock(&self) -> Duration {
        if !self.access.is_empty() && line::has_duration(self.access_format) {
            timer::monotonic()
        } else {
            Duration::ZERO
        }
    }
}
