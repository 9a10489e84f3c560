//! The moment at which a generation takes new connections over from the one before.
//!
//! **Invariant:** the workers of a later generation accept nothing before those of the one before have
//! stopped to accept. So a client that was answered by the new settings, or with a file of the new root, gets
//! no new connection to a worker that has the old ones. Meanwhile clients wait in the accept queues.

use std::time::Duration;

use super::event::ChildId;

/// The longest wait for the workers of the generation before. One that hangs must not keep clients waiting.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// A takeover under way.
#[derive(Debug)]
pub(super) struct Takeover {
    /// The generation whose workers wait.
    pub(super) number: u32,
    /// The workers that may accept still.
    accepting: Vec<ChildId>,
    /// When the wait ends in any case.
    pub(super) until: Duration,
}

impl Takeover {
    /// Generation `number` waits for these workers, which have been told to drain, and for those that
    /// `before` waits for.
    pub(super) fn begin(
        number: u32,
        mut accepting: Vec<ChildId>,
        before: Option<Takeover>,
        now: Duration,
    ) -> Takeover {
        accepting.extend(before.into_iter().flat_map(|before| before.accepting));
        Takeover { number, accepting, until: now + MAX_WAIT }
    }

    /// This worker has stopped to accept, or has ended.
    pub(super) fn stopped(&mut self, id: ChildId) {
        self.accepting.retain(|accepting| *accepting != id);
    }

    /// True if the workers that wait may accept.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.accepting.is_empty() || now >= self.until
    }
}
