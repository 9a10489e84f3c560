//! The time as a worker's connections see it: refreshed by the ticker, read without a system call.
//!
//! It is at most a tick (100 ms) old, or as old as one round of the scheduler. A deadline starts from a fresh
//! reading of the kernel's clock. **Invariant:** ticks follow the monotonic clock and never go back. The wall
//! clock may jump; it is used only for responses and logs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use crate::sys::timer;
use crate::time::{Now, TICK_MS};

/// Nanoseconds of a tick.
const TICK: u64 = TICK_MS as u64 * 1_000_000;

/// When the ticks of a worker begin, in nanoseconds after the full ticks of the monotonic clock. Workers with
/// different slots do at different times what they do at a tick, so that full workers don't all close an idle
/// connection for one new client.
pub fn phase_of(slot: usize) -> u64 {
    // Multiples of the golden ratio, modulo 1, are spread evenly however many there are.
    slot as u64 % 1000 * 618 % 1000 * (TICK / 1000)
}

/// A worker's clock.
pub struct Clock {
    /// The monotonic clock at tick 0, in nanoseconds.
    start: u64,
    tick: AtomicU32,
    wall_ms: AtomicU64,
}

impl Clock {
    /// Starts a clock at tick 1, so that no deadline is tick 0. Its ticks begin so many nanoseconds after the
    /// full ticks of the monotonic clock; see [`phase_of`].
    pub fn start(phase: u64) -> Clock {
        let now = timer::nanoseconds();
        let since_begin = (now + TICK - phase % TICK) % TICK;
        let start = (now - since_begin).saturating_sub(TICK);
        let clock = Clock { start, tick: AtomicU32::new(1), wall_ms: AtomicU64::new(0) };
        clock.refresh();
        clock
    }

    /// When the next tick begins, on the monotonic clock.
    pub fn next_tick(&self) -> Duration {
        Duration::from_nanos(self.start + (u64::from(self.read()) + 1) * TICK)
    }

    /// Reads the kernel's clocks.
    pub fn refresh(&self) {
        self.read();
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.wall_ms.store(u64::try_from(since_epoch.as_millis()).unwrap_or(0), Relaxed);
    }

    /// The present tick, as of the last reading of the kernel's clock.
    pub fn tick(&self) -> u32 {
        self.tick.load(Relaxed)
    }

    /// Reads the kernel's clock and returns the present tick.
    pub fn read(&self) -> u32 {
        self.advance(timer::nanoseconds());
        self.tick()
    }

    /// Sets the tick by a reading of the monotonic clock, in nanoseconds.
    pub fn advance(&self, now: u64) {
        let ticks = now.saturating_sub(self.start) / TICK;
        self.tick.store(u32::try_from(ticks).unwrap_or(u32::MAX), Relaxed);
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(self.wall_ms.load(Relaxed));
        Now { tick: self.tick(), wall }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_begin_at_the_phase_of_the_slot() {
        for slot in [0, 1, 7, 1023] {
            let phase = phase_of(slot);
            let clock = Clock::start(phase);
            let before = timer::monotonic();
            let next = clock.next_tick();
            let after = timer::monotonic();
            assert_eq!(u64::try_from(next.as_nanos()).unwrap() % TICK, phase);
            assert!(before < next && next <= after + Duration::from_nanos(TICK), "{slot}");
            assert!(clock.tick() >= 1);
        }
    }

    #[test]
    fn the_phases_of_a_few_workers_are_far_apart() {
        for workers in 2..=16 {
            let mut phases: Vec<u64> = (0..workers).map(phase_of).collect();
            phases.sort_unstable();
            phases.push(phases[0] + TICK);
            let apart = phases.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
            assert!(apart * 3 >= TICK / workers as u64, "{workers}: {apart} ns");
        }
    }
}
