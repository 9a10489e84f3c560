//! What a connection is doing while it waits, and how long it may.
//!
//! Knows no sockets. The subtle rule: the head's time runs from the first wait for it and is never extended, so a client
//! that sends a byte now and then gains nothing; the time to send is extended by every byte the client takes.

use std::time::Duration;

use crate::config::Settings;
use crate::site::TICK_MS;

pub use crate::metrics::Phase;

/// How long a lingering close waits for the client's end of stream.
const LINGER: Duration = Duration::from_secs(5);

/// Ticks for which a connection that the scheduler watches is idle before it leaves its coroutine: a second. A client that
/// loads a page has asked again by then, and need not be moved from one epoll set to another and back.
pub const PARKED_AFTER: u32 = 1000 / TICK_MS;

/// The longest wait of each phase, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    idle: u32,
    head: u32,
    send: u32,
}

impl Timeouts {
    /// Takes the settings' durations, rounded up to a tick.
    pub fn new(settings: &Settings) -> Timeouts {
        Timeouts {
            idle: ticks(settings.idle_timeout),
            head: ticks(settings.head_timeout),
            send: ticks(settings.send_timeout),
        }
    }

    /// The longest wait in `phase`, in ticks.
    pub fn of(&self, phase: Phase) -> u32 {
        match phase {
            Phase::Idle => self.idle,
            Phase::Handshake | Phase::Head | Phase::Body => self.head,
            Phase::Send => self.send,
            Phase::Linger => ticks(LINGER),
        }
    }
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(u128::from(TICK_MS))).unwrap_or(u32::MAX / 2)
}
