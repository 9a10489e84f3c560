//! The monotonic clock, timers (timerfd_create(2)) and event counters (eventfd(2)).
//!
//! Timeouts follow the monotonic clock, which a change of the wall clock does not affect.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// The time of the monotonic clock. Only differences have a meaning.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// [`monotonic`] in nanoseconds, enough for 584 years. A call takes about 20 ns (vdso(7)).
pub fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

/// A descriptor that becomes readable at `first`, a time of the monotonic clock, and then every `period`.
///
/// # Errors
/// See timerfd_create(2), such as `EMFILE`.
pub fn periodic(first: Duration, period: Duration) -> io::Result<OwnedFd> {
    let fd = one_shot()?;
    set(&fd, first, period)?;
    Ok(fd)
}

/// A descriptor that becomes readable once [`expire_at`] has set a time and that has come.
///
/// # Errors
/// See timerfd_create(2), such as `EMFILE`.
pub fn one_shot() -> io::Result<OwnedFd> {
    Ok(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?)
}

/// Makes a timer readable at `time` of the monotonic clock, or at once if that has passed.
pub fn expire_at(timer: &OwnedFd, time: Duration) {
    // Zero would stop it. No other time is an error.
    let _ = set(timer, time.max(Duration::from_nanos(1)), Duration::ZERO);
}

fn set(timer: &OwnedFd, first: Duration, period: Duration) -> io::Result<()> {
    let timespec =
        |t: Duration| Timespec { tv_sec: t.as_secs().cast_signed(), tv_nsec: t.subsec_nanos().into() };
    let times = Itimerspec { it_interval: timespec(period), it_value: timespec(first) };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &times)?;
    Ok(())
}

/// Takes the expirations since the last call; false if there were none.
pub fn take_expirations(timer: impl AsFd) -> bool {
    let mut count = [0; 8];
    rustix::io::read(timer, &mut count).is_ok()
}

/// An event counter (eventfd(2)): one coroutine waits for it, others raise it.
///
/// # Errors
/// See eventfd(2), such as `EMFILE`.
pub fn event() -> io::Result<OwnedFd> {
    let flags = rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC;
    Ok(rustix::event::eventfd(0, flags)?)
}

/// Makes the counter readable. A full counter is readable already, so an error is ignored.
pub fn raise(event: impl AsFd) {
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}
