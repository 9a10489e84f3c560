//! How long a phase of a connection may last, and when the present one ends.
//!
//! Knows no sockets. **Invariant:** the time for a head runs from the first wait for it and is never
//! extended, so a client gains nothing by sending a byte now and then. The time to send starts again whenever
//! the client takes bytes.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::config::Settings;
use crate::metrics::phase::Phase;
use crate::time::TICK_MS;

/// How long a lingering close waits for the client's end of stream.
const LINGER: Duration = Duration::from_secs(5);

/// Ticks for which a coroutine waits for an idle connection before the idle set does: a second. A client that
/// loads a page has sent the next request by then, and the socket need not move from one epoll set to another
/// and back.
pub const IDLE_SET_AFTER: u32 = 1000 / TICK_MS;

/// The longest wait of each phase, in ticks. A tick is added for the part of the present tick that has
/// passed, so that no timeout ends early.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    idle: u32,
    head: u32,
    send: u32,
}

impl Timeouts {
    /// The timeouts that the settings name.
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
            Phase::Handshake | Phase::Tls | Phase::Head | Phase::Body => self.head,
            Phase::Send => self.send,
            Phase::Linger => ticks(LINGER),
        }
    }
}

/// The ticks at which the waits for the next request end. Each is set at the first wait of its phase, and
/// cleared when a head is complete. The clock begins at tick 1, so 0 is free for `None`.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// Shared by the phases `Handshake`, `Tls` and `Head`.
    head: Option<NonZeroU32>,
    idle: Option<NonZeroU32>,
}

impl Deadlines {
    /// The tick at which `phase` ends, if there was a wait in it.
    pub fn get(&self, phase: Phase) -> Option<u32> {
        let deadline = if phase == Phase::Idle { self.idle } else { self.head };
        deadline.map(NonZeroU32::get)
    }

    /// The tick at which `phase` ends. At the first wait in it, `otherwise` sets that tick.
    pub fn fix(&mut self, phase: Phase, otherwise: impl FnOnce() -> u32) -> u32 {
        let deadline = if phase == Phase::Idle { &mut self.idle } else { &mut self.head };
        deadline.get_or_insert_with(|| NonZeroU32::new(otherwise()).unwrap_or(NonZeroU32::MIN)).get()
    }

    /// Clears both deadlines: a head is complete.
    pub fn clear(&mut self) {
        *self = Deadlines::default();
    }
}

fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(u128::from(TICK_MS)) + 1).unwrap_or(u32::MAX / 2)
}
