//! Time as a worker has it: ticks of 100 ms, the clock and the timer wheel.

pub mod clock;
pub mod timer_wheel;
pub mod warning;

use std::time::SystemTime;

/// The moment a request is answered at, as its worker's clock has it.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Ticks of 100 ms since the worker started; never goes back.
    pub tick: u32,
    /// The wall clock, at most a tick old.
    pub wall: SystemTime,
}

/// Length of a tick in milliseconds.
pub const TICK_MS: u32 = 100;
