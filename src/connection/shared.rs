//! What all connections of a worker have in common: made once, before the first of them, and never freed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

use super::inbox::Pool;
use super::phase::Timeouts;
use super::proxies::Proxies;
use super::transmit::FileWay;
use super::transport::Reactor;
use crate::config::AccessFormat;
use crate::log::access::Buffer;
use crate::log::line;
use crate::metrics::Row;
use crate::site::Site;
use crate::sys::timer;

/// What all connections of a worker share.
pub struct Shared {
    /// Clock, deadlines and turns.
    pub reactor: Reactor,
    /// Who is believed to speak for others.
    pub proxies: Proxies,
    /// What answers.
    pub site: Site,
    /// How long each phase may last.
    pub timeouts: Timeouts,
    /// How the bytes of files go.
    pub files: FileWay,
    /// The rendered Server field's value.
    pub server: Vec<u8>,
    /// The access log, when there is one.
    pub access: Option<Mutex<Buffer>>,
    /// What its lines look like.
    pub access_format: AccessFormat,
    /// The worker's slot.
    pub slot: usize,
    /// Connections so far.
    pub connections: AtomicU64,
    /// Buffers to reuse.
    pub pool: Pool,
    /// Connections that were accepted and have not ended.
    pub live: AtomicUsize,
    /// What is counted.
    pub metrics: Row,
    /// True once the worker drains: every reply says `Connection: close`.
    pub draining: AtomicBool,
}

impl Shared {
    /// The time for the access log, if its format tells how long requests took.
    pub(super) fn log_clock(&self) -> Duration {
        if line::has_duration(self.access_format) { timer::monotonic() } else { Duration::ZERO }
    }
}
