//! HTTP/2 on one connection (RFC 9113): a value that is polled, and never waits.
//!
//! The h2 crate has frames, header compression, streams and windows. Here is what a worker needs around it:
//! a turn goes on as far as it can without waiting, and then the connection is idle until its socket, a job
//! or a window lets it go on. The numbers are those of the steps in `Http2::turn`.
//!
//! 1. Receive, a limited number of bytes: h2 itself would read for as long as bytes come.
//! 2. Take requests and answer each before the next. An answer that would have to wait is given by a
//!    coroutine of its own (`late_answers.rs`).
//! 3. Send what has gathered, encrypted at once.
//! 4. Hand on a chunk of a body, stream by stream, and only while the socket takes what there is. So a
//!    connection holds one chunk, however many streams it has.
//! 5. End the connection of a client that floods (`allowance.rs`).

mod allowance;
mod answers;
pub mod common_fields;
mod driver;
mod ending;
mod late_answers;
mod outgoing_stream;
mod pipe;
mod priority;
mod request;
mod response;
mod send_queue;
mod send_wait;
mod settings;
mod stream_log;
mod transfer;
mod wakeup;

use std::task::Context as TaskContext;

use h2::Reason;

use super::Connection;
use super::multiplexed::{Multiplexed, Served};
use super::uptake::Uptake;
use crate::metrics::close_reason::CloseReason;
use crate::metrics::phase::Phase;

use transfer::{Budget, RECEIVED};

pub use driver::Http2;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most bytes that are sent in a turn.
const SENT: u64 = 512 << 10;

impl Multiplexed<Connection> for Http2 {
    fn serve(mut self: Box<Http2>, connection: &mut Connection) -> Served {
        match self.turn(connection) {
            Ok(()) => {
                connection.set_multiplexed(self);
                connection.socket.unregister();
                Served::Idle
            }
            Err(reason) => {
                self.abandon(connection, reason);
                let (rest, _) = self.pipe.take_gathered();
                drop(self);
                ending::close(connection, reason, &rest);
                Served::Closed
            }
        }
    }

    fn deadline(&self) -> (Phase, u32) {
        self.deadline
    }

    fn is_stuck(&mut self, uptake: Uptake, now: u32) -> bool {
        self.send_wait.is_over(uptake, now)
    }

    fn idle_since(&self) -> Option<u32> {
        self.idle_since
    }

    fn set_idle(&self, key: usize) -> bool {
        self.wakeup.set_idle(key)
    }

    fn go_away(&mut self, connection: &mut Connection, reason: CloseReason) {
        self.wakeup.set_served();
        let waker = self.waker();
        self.shut_down(connection, &mut TaskContext::from_waker(&waker), Reason::NO_ERROR);
        self.abandon(connection, reason);
    }
}

impl Http2 {
    /// Goes on as far as it can without waiting.
    fn turn(&mut self, connection: &mut Connection) -> Result<(), CloseReason> {
        let context = connection.context;
        self.wakeup.set_served();
        self.allowance.pass(context.timers.clock.tick());
        let waker = self.waker();
        let task = &mut TaskContext::from_waker(&waker);
        let mut budget = Budget { sent_before: connection.sent, ..Budget::default() };
        let rooms = &context.frame_buffers;
        self.pipe.give_room(|| rooms.take_grown().unwrap_or_else(|| rooms.take()));
        let backlog = connection.unsent() + self.pipe.gathered();
        self.drain(connection, &mut budget)?;
        let (mut has_progress, mut was_stalled) = (false, true);
        loop {
            let unread = self.pipe.unread();
            // 1.
            let has_received = self.receive(connection, &mut budget)?;
            // 2.
            let answering = self.answer_requests(connection, task)?;
            // What h2 has read, or had read before it was stalled, may let streams go on.
            if has_received || unread != self.pipe.unread() || answering.was_woken || was_stalled {
                self.queue.unblock();
            }
            // 3.
            let may_come = connection.may_hold_bytes() && !self.pipe.is_ended();
            let may_gather = may_come || self.queue.has_ready();
            was_stalled = self.send(connection, &mut budget, may_gather)?;
            // 4.
            let has_handed_on = self.hand_on_bodies(connection, task, &budget);
            // 5.
            if self.allowance.is_spent() {
                return Err(self.end_flood(connection, task));
            }
            has_progress |= answering.has_answered || has_handed_on;
            if budget.is_blocked {
                // What woke it is looked at when the socket takes more.
                self.wakeup.take();
                break;
            }
            let has_more = self.pipe.unread() > 0 || self.pipe.gathered() > 0;
            let is_over = !(may_come || was_stalled || has_handed_on || has_more);
            if is_over && !answering.is_cut && !self.wakeup.is_due() {
                break;
            }
            let sent = connection.sent - budget.sent_before;
            if answering.is_cut || budget.received >= RECEIVED || sent >= SENT {
                // There is more to do, after others have had their turns.
                self.wakeup.set_due();
                break;
            }
        }
        if let Some(now) = self.stopwatch.stop(connection.counter.row()) {
            context.timers.clock.advance(now);
        }
        let sent = connection.sent - budget.sent_before;
        self.allowance.send(sent);
        has_progress |= connection.unsent() + self.pipe.gathered() < backlog;
        self.set_deadline(connection, has_progress, sent > 0);
        self.release(connection);
        Ok(())
    }
}
