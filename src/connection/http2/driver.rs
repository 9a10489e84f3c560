//! HTTP/2 on one connection, as it is between two turns.

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use h2::server;

use super::allowance::Allowance;
use super::late_answers::LateAnswers;
use super::pipe::Pipe;
use super::send_queue::SendQueue;
use super::send_wait::SendWait;
use super::settings;
use super::wakeup::Wakeup;
use crate::connection::Connection;
use crate::connection::stopwatch::Stopwatch;
use crate::metrics::phase::Phase;
use crate::metrics::stream_counter::StreamCounter;

/// The longest request line whose memory an idle connection keeps, in bytes.
const KEPT_LINE: usize = 256;

/// HTTP/2 on one connection.
pub struct Http2 {
    pub(super) state: State,
    pub(super) pipe: Pipe,
    pub(super) wakeup: Arc<Wakeup>,
    pub(super) allowance: Allowance,
    pub(super) counter: StreamCounter,
    /// The time of requests whose responses are handed on whole.
    pub(super) stopwatch: Stopwatch,
    pub(super) queue: SendQueue,
    pub(super) late: LateAnswers,
    /// The request line of the request at hand.
    pub(super) line: Vec<u8>,
    /// The wait for the client to take something of the responses.
    pub(super) send_wait: SendWait,
    /// The tick at which the present wait ends, and what is waited for.
    pub(super) deadline: (Phase, u32),
    /// The tick since which there is no stream.
    pub(super) idle_since: Option<u32>,
    /// True once the client is told that the connection ends.
    pub(super) is_leaving: bool,
}

/// The state of the h2 crate. Boxed, since both are large.
pub(super) enum State {
    /// The client's preface is not complete.
    Preface(Box<server::Handshake<Pipe, Bytes>>),
    Open(Box<server::Connection<Pipe, Bytes>>),
}

impl Http2 {
    /// That of a connection whose client has sent this already.
    pub fn new(connection: &Connection, received: &[u8]) -> Http2 {
        let context = connection.context;
        let pipe = Pipe::new(received);
        let now = context.timers.clock.read();
        let head = now + context.timeouts.of(Phase::Head);
        Http2 {
            state: State::Preface(Box::new(settings::builder().handshake(pipe.clone()))),
            pipe,
            wakeup: Wakeup::new(connection.socket.leadership()),
            allowance: Allowance::new(now),
            counter: StreamCounter::new(connection.counter.row()),
            stopwatch: Stopwatch::default(),
            queue: SendQueue::default(),
            late: LateAnswers::new(),
            line: Vec::new(),
            send_wait: SendWait::default(),
            deadline: (Phase::Handshake, head),
            idle_since: None,
            is_leaving: false,
        }
    }

    /// What h2 wakes when there is something to do.
    pub(super) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.wakeup))
    }

    /// What is waited for after a turn, and until when. `has_progress` if the client has got further with
    /// its responses, `has_sent` if anything was sent.
    pub(super) fn set_deadline(&mut self, connection: &mut Connection, has_progress: bool, has_sent: bool) {
        let context = connection.context;
        let now = context.timers.clock.tick();
        let has_streams = !self.queue.is_empty()
            || !self.late.is_empty()
            || connection.unsent() > 0
            || self.pipe.gathered() > 0
            || matches!(&self.state, State::Open(open) if open.has_streams());
        self.deadline = match &self.state {
            State::Preface(_) => {
                self.idle_since.get_or_insert(now);
                self.deadline
            }
            State::Open(_) if has_streams => {
                self.idle_since = None;
                let is_late = !self.late.is_empty();
                if has_progress || is_late || self.deadline.0 != Phase::Send {
                    self.send_wait.restart(now, context.timeouts.of(Phase::Send));
                } else if has_sent {
                    self.send_wait.send();
                }
                // The wait for a job has an end of its own.
                (Phase::Send, if is_late { u32::MAX } else { self.send_wait.deadline(now) })
            }
            State::Open(_) => {
                let since = *self.idle_since.get_or_insert(now);
                (Phase::Idle, since + context.timeouts.of(Phase::Idle))
            }
        };
        connection.counter.enter(self.deadline.0);
    }

    /// Gives memory back that an idle connection does not need.
    pub(super) fn release(&mut self, connection: &Connection) {
        if self.pipe.unread() == 0 {
            let buffer = self.pipe.take_buffer();
            if buffer.capacity() > 0 {
                connection.context.read_buffers.give(buffer);
            }
        }
        connection.context.frame_buffers.give(self.pipe.take_room());
        self.queue.release();
        if self.line.capacity() > KEPT_LINE {
            self.line = Vec::new();
        }
    }
}
