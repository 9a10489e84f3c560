//! The streams whose bodies are being sent, in the order of their turns.

use std::collections::{BTreeMap, VecDeque};

use super::outgoing_stream::OutgoingStream;
use super::priority::URGENCIES;

/// The streams of one connection.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "streams move between the queues at each turn")]
pub struct SendQueue {
    /// By urgency.
    levels: [Level; URGENCIES],
    /// Those that can't go on now: the client takes no more of them, or a job is not done.
    blocked: Vec<Box<OutgoingStream>>,
    count: usize,
    /// True if memory was taken.
    has_memory: bool,
}

/// The streams of one urgency.
#[derive(Default)]
struct Level {
    /// Those that take turns.
    turns: VecDeque<Box<OutgoingStream>>,
    /// Those that are sent one after the other, by number.
    one_by_one: BTreeMap<u32, Box<OutgoingStream>>,
    /// True if the next turn is that of one of `one_by_one`.
    is_one_by_one: bool,
}

impl SendQueue {
    /// True if there are no streams.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if a stream may have a turn.
    pub fn has_ready(&self) -> bool {
        self.count > self.blocked.len()
    }

    /// Adds a stream, or gives it back after its turn.
    pub fn push(&mut self, stream: Box<OutgoingStream>) {
        self.has_memory = true;
        let level = &mut self.levels[stream.priority.urgency.min(URGENCIES - 1)];
        if stream.priority.takes_turns {
            level.turns.push_back(stream);
        } else {
            level.one_by_one.insert(stream.number(), stream);
        }
        self.count += 1;
    }

    /// Takes the stream whose turn it is.
    pub fn pop(&mut self) -> Option<Box<OutgoingStream>> {
        let stream = self.levels.iter_mut().find_map(Level::pop)?;
        self.count -= 1;
        Some(stream)
    }

    /// Gives a stream back that can't go on now.
    pub fn block(&mut self, stream: Box<OutgoingStream>) {
        self.blocked.push(stream);
        self.count += 1;
    }

    /// Those that could not go on have their turns again.
    pub fn unblock(&mut self) {
        for stream in std::mem::take(&mut self.blocked) {
            self.count -= 1;
            self.push(stream);
        }
    }

    /// Gives memory back if there are no streams.
    pub fn release(&mut self) {
        if self.has_memory && self.is_empty() {
            *self = SendQueue::default();
        }
    }

    /// Takes all streams.
    #[expect(clippy::vec_box, reason = "they are boxed")]
    pub fn take_all(&mut self) -> Vec<Box<OutgoingStream>> {
        self.unblock();
        std::iter::from_fn(|| self.pop()).collect()
    }
}

impl Level {
    fn pop(&mut self) -> Option<Box<OutgoingStream>> {
        self.is_one_by_one = !self.is_one_by_one;
        let mut first = || self.one_by_one.pop_first().map(|(_, stream)| stream);
        if self.is_one_by_one {
            first().or_else(|| self.turns.pop_front())
        } else {
            self.turns.pop_front().or_else(first)
        }
    }
}
