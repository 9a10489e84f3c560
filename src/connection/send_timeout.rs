//! The wait for a client that does not take what is sent, and how long it may last.
//!
//! **Invariant:** the time to send starts again whenever the client makes progress, and only then.

use super::Connection;
use super::socket::{Received, WaitError};
use super::uptake::Uptake;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

/// The number of waits that the time to send is split into. A client that takes nothing is detected at most
/// one such part late.
const PARTS: u32 = 4;

/// The most buffers of unread bytes that are discarded before a close: 512 KiB.
const UNREAD_BUFFERS: u32 = 64;

/// The progress of a client during a wait.
pub struct SendTimeout {
    uptake: Uptake,
    /// The tick at which the client last made progress.
    since: u32,
}

impl SendTimeout {
    /// Waits until the socket takes more. The kernel reports that only when much of its buffer is free, and a
    /// slow client may take longer than its time for that; so the kernel is asked for the client's progress
    /// after each part of the time. Even then a client with a large receive buffer may be silent for long: it
    /// opens its window only when a sixteenth of the buffer is free.
    pub fn wait(timeout: &mut Option<SendTimeout>, connection: &mut Connection) -> Result<(), CloseReason> {
        let clock = &connection.context.timers.clock;
        let limit = connection.context.timeouts.of(Phase::Send);
        let timeout =
            timeout.get_or_insert_with(|| SendTimeout { uptake: uptake(connection), since: clock.read() });
        loop {
            let end = timeout.since + limit;
            connection.set_deadline(Phase::Send, end.min(clock.tick() + limit.div_ceil(PARTS)));
            match connection.socket.wait_writable() {
                Ok(()) => return Ok(()),
                Err(WaitError::Unwatchable) => return Err(CloseReason::Unwatchable),
                Err(WaitError::TimedOut) => {}
            }
            if timeout.uptake.advances_to(uptake(connection)) {
                timeout.since = clock.read();
            } else if clock.tick() >= end {
                end_sending(connection);
                return Err(CloseReason::TimedOut(Phase::Send));
            }
        }
    }
}

fn uptake(connection: &Connection) -> Uptake {
    connection.fd().map_or(Uptake::default(), Uptake::of)
}

/// Prepares a close after which the kernel still sends what the socket holds. The kernel would reset the
/// connection instead when the client has sent bytes that were not read (RFC 9112 §9.6).
#[inline(never)]
fn end_sending(connection: &mut Connection) {
    connection.socket.finish_sending();
    let pool = &connection.context.read_buffers;
    let mut scratch = pool.take();
    for _ in 0..UNREAD_BUFFERS {
        scratch.clear();
        if !matches!(connection.socket.receive(&mut scratch), Ok(Received::Bytes)) {
            break;
        }
    }
    pool.give(scratch);
}
