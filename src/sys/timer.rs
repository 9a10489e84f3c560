//! Clocks and the periodic timer descriptor (timerfd_create(2)).
//!
//! The subtle rule: time-outs follow the monotonic clock, which a change of the wall clock does not move.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

/// Time on the monotonic clock: meaningful only as a difference.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The same in nanoseconds, which last for 584 years. A read takes some 20 ns, by way of vdso(7).
pub fn nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec.cast_unsigned())
}

/// A descriptor that becomes readable every `period`.
///
/// # Errors
/// What timerfd_create(2) says, such as `EMFILE`.
pub fn periodic(period: Duration) -> io::Result<OwnedFd> {
    let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let every = Timespec { tv_sec: period.as_secs().cast_signed(), tv_nsec: period.subsec_nanos().into() };
    timerfd_settime(&fd, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: every, it_value: every })?;
    Ok(fd)
}

/// Takes the expirations that have gathered; false when there was none.
pub fn take_expirations(timer: impl AsFd) -> bool {
    let mut count = [0; 8];
    rustix::io::read(timer, &mut count).is_ok()
}

/// A counter descriptor (eventfd(2)) that one coroutine waits on and others raise.
///
/// # Errors
/// What eventfd(2) says, such as `EMFILE`.
pub fn event() -> io::Result<OwnedFd> {
    let flags = rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC;
    Ok(rustix::event::eventfd(0, flags)?)
}

/// Makes the counter readable. A full counter is readable already, so that failure is none.
pub fn raise(event: impl AsFd) {
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}
