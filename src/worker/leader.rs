//! The leader: the coroutine that waits for the idle set, and serves the connections that become ready there
//! one after the other, on a stack that is in the processor's cache.
//!
//! Before it blocks for a client it hands the lead over to another coroutine, and stays with that client (the
//! pattern is known as leader/followers). Otherwise all idle connections would wait for that client as well.

use may::io::WaitIo;

use super::coroutines::{CoroutineWork, Coroutines};
use super::idle_set::ReadyEvent;

/// The cost against the yield budget of an event that is about no idle connection, in bytes.
const EVENT_COST: usize = 256;

/// What the leader finds.
enum Event {
    /// Something to do.
    Work(CoroutineWork),
    /// Nothing that is about an idle connection.
    Other,
    /// Nothing.
    Nothing,
}

impl Coroutines {
    /// Serves idle connections that become ready, until the lead is handed over. In a function of its own, so
    /// that its frame is not on the stack of a coroutine that serves from the queue.
    #[inline(never)]
    pub(super) fn lead(&'static self) {
        let Some(idle_events) = self.idle_events.get() else { return };
        loop {
            match self.next_event() {
                Event::Work(work) => {
                    self.set_leading();
                    self.run_work(work);
                    if !self.stop_leading() {
                        return;
                    }
                }
                Event::Other => self.spend(EVENT_COST),
                Event::Nothing => {
                    idle_events.wait_io();
                }
            }
            self.give_way_if_due();
        }
    }

    /// What is left in the queue, or else what the idle set has.
    #[inline(never)]
    fn next_event(&self) -> Event {
        if let Some(work) = self.take_queued() {
            return Event::Work(work);
        }
        match self.idle_set.take() {
            ReadyEvent::Connection(connection) => Event::Work(CoroutineWork::Serve(connection)),
            ReadyEvent::Other => Event::Other,
            ReadyEvent::Nothing => Event::Nothing,
        }
    }
}
