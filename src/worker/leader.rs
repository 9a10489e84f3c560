//! The leader: the coroutine that waits for the idle set, and serves the connections that become ready there
//! one after the other, on a stack that is in the processor's cache.
//!
//! Before it blocks for a client it hands the lead over to another coroutine, and stays with that client (the
//! pattern is known as leader/followers). Otherwise all idle connections would wait for that client as well.

use may::io::WaitIo;

use super::coroutines::Coroutines;
use super::idle_set::ReadyEvent;

/// The cost against the yield budget of an event that is about no idle connection, in bytes.
const EVENT_COST: usize = 256;

impl Coroutines {
    /// Serves idle connections that become ready, until the lead is handed over. In a function of its own, so
    /// that its frame is not on the stack of a coroutine that serves from the queue.
    #[inline(never)]
    pub(super) fn lead(&'static self) {
        let Some(idle_events) = self.idle_events.get() else { return };
        loop {
            match self.next_event() {
                ReadyEvent::Connection(connection) => {
                    self.set_leading();
                    self.serve(connection);
                    if !self.stop_leading() {
                        return;
                    }
                }
                ReadyEvent::Other => self.spend(EVENT_COST),
                ReadyEvent::Nothing => {
                    idle_events.wait_io();
                }
            }
            self.give_way_if_due();
        }
    }

    /// A connection that is left in the queue, or else what the idle set has.
    #[inline(never)]
    fn next_event(&self) -> ReadyEvent {
        self.take_queued().map_or_else(|| self.idle_set.take(), ReadyEvent::Connection)
    }
}
