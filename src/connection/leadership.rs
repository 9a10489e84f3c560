//! The lead among a worker's coroutines, as a connection sees it.
//!
//! One coroutine leads: it waits for the idle set and serves the connections that become ready there, one
//! after the other. **Invariant:** it hands the lead over before it blocks for a client, so the leader is
//! never a coroutine that waits for a single client. The worker implements this.

/// What a coroutine runs beside connections.
pub type Task = Box<dyn FnOnce() + Send>;

/// What a connection calls when its coroutine is about to stop running.
pub trait Leadership: Send + Sync {
    /// Hands the lead over to another coroutine, if the running one has it. Called before each wait for a
    /// client.
    fn hand_over(&'static self);

    /// Hands the lead over as [`Leadership::hand_over`] does, and lets the other coroutines run first: those
    /// that are ready, and those whose sockets are.
    fn give_way(&'static self);

    /// Has the idle connection at `key` of the idle set served, as if its socket had become ready.
    fn wake(&'static self, key: usize);

    /// Has a coroutine run a task.
    fn spawn(&'static self, task: Task);
}
