//! What moves between the socket, h2 and the bodies of responses in a turn.

use std::io::ErrorKind;
use std::task::Context as TaskContext;

use super::driver::Http2;
use super::outgoing_stream::Turn;
use super::pipe::ENOUGH;
use crate::connection::Connection;
use crate::connection::request_head::receive_failed;
use crate::connection::socket::Received;
use crate::metrics::close_reason::CloseReason;

/// The most bytes that are received in a turn.
pub(super) const RECEIVED: usize = 128 << 10;

/// The minimum cost of a receive.
const RECEIVE_COST: usize = 512;

/// What a turn has done so far.
#[derive(Default)]
pub(super) struct Budget {
    /// Bytes that were received.
    pub(super) received: usize,
    /// The bytes that the connection had sent before the turn.
    pub(super) sent_before: u64,
    /// True if the socket does not take more.
    pub(super) is_blocked: bool,
}

impl Http2 {
    /// Sends what the socket has not taken before.
    pub(super) fn drain(
        &mut self,
        connection: &mut Connection,
        budget: &mut Budget,
    ) -> Result<(), CloseReason> {
        if connection.unsent() == 0 {
            return Ok(());
        }
        match connection.send(&[], &[], false) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                budget.is_blocked = true;
                Ok(())
            }
            Err(_) => Err(CloseReason::Broken),
        }
    }

    /// Receives, if all that was received is read. True if something came.
    pub(super) fn receive(
        &mut self,
        connection: &mut Connection,
        budget: &mut Budget,
    ) -> Result<bool, CloseReason> {
        if budget.is_blocked || self.pipe.unread() > 0 || !connection.may_hold_bytes() {
            return Ok(false);
        }
        if budget.received >= RECEIVED {
            return Ok(false);
        }
        let mut buffer = self.pipe.take_buffer();
        if buffer.capacity() == 0 {
            buffer = connection.context.read_buffers.take();
        }
        buffer.clear();
        let received = connection.receive(&mut buffer);
        let count = buffer.len();
        self.pipe.give(buffer);
        match received {
            Ok(Received::Bytes) => {
                budget.received += count.max(RECEIVE_COST);
                self.allowance.receive(count);
                Ok(true)
            }
            Ok(Received::Nothing) => Ok(false),
            Ok(Received::EndOfStream) => {
                self.pipe.end();
                Ok(false)
            }
            Err(error) => Err(receive_failed(&error)),
        }
    }

    /// Hands on a chunk of the stream whose turn it is. True if one went on.
    pub(super) fn hand_on_bodies(
        &mut self,
        connection: &mut Connection,
        task: &mut TaskContext<'_>,
        budget: &Budget,
    ) -> bool {
        if budget.is_blocked || self.pipe.gathered() >= ENOUGH {
            return false;
        }
        while let Some(mut stream) = self.queue.pop() {
            match stream.advance(task, connection.context, &self.wakeup) {
                Turn::Blocked => self.queue.block(stream),
                Turn::Sent => {
                    self.queue.push(stream);
                    return true;
                }
                Turn::Done => {
                    self.finish(connection, stream.record, None);
                    return true;
                }
                Turn::Reset => self.finish(connection, stream.record, Some(CloseReason::PeerClosed)),
                Turn::Cut => self.finish(connection, stream.record, Some(CloseReason::BodyCut)),
            }
        }
        false
    }

    /// Sends what has gathered, unless more is likely to come and it is little. True if h2 waits for that to
    /// write more.
    pub(super) fn send(
        &mut self,
        connection: &mut Connection,
        budget: &mut Budget,
        may_gather: bool,
    ) -> Result<bool, CloseReason> {
        if budget.is_blocked || (may_gather && self.pipe.gathered() < ENOUGH) {
            return Ok(false);
        }
        let (mut gathered, was_stalled) = self.pipe.take_gathered();
        let mut at = 0;
        while at < gathered.len() && !budget.is_blocked {
            match connection.send(&gathered[at..], &[], false) {
                Ok(sent) => at += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => budget.is_blocked = true,
                Err(_) => return Err(CloseReason::Broken),
            }
        }
        budget.is_blocked |= connection.unsent() > 0;
        gathered.drain(..at);
        self.pipe.put_back(gathered);
        Ok(was_stalled && !budget.is_blocked)
    }

    /// Sends all that h2 still has to say, as far as the socket takes it at once.
    pub(super) fn send_last(&mut self, connection: &mut Connection) {
        let mut budget = Budget::default();
        let _ = self.drain(connection, &mut budget);
        let _ = self.send(connection, &mut budget, false);
    }
}
