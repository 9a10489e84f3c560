//! Whose turn it is to serve clients one after the other.
//!
//! Whoever does so holds the baton while it is with one of them. The subtle rule: it is passed on before every wait, so
//! that it is never held by a coroutine that does not run.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The baton of a worker's coroutines.
#[derive(Default)]
pub struct Baton {
    held: AtomicBool,
    on_pass: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Baton {
    /// Says what is to be done when it is passed on: to have another coroutine go on.
    pub fn on_pass(&self, call: impl Fn() + Send + Sync + 'static) {
        let _ = self.on_pass.set(Box::new(call));
    }

    /// The coroutine that runs takes it.
    pub fn take(&self) {
        self.held.store(true, Relaxed);
    }

    /// The coroutine that took it puts it down; false when it has passed it on meanwhile.
    pub fn put_down(&self) -> bool {
        let held = self.held.load(Relaxed);
        self.held.store(false, Relaxed);
        held
    }

    /// The coroutine that runs passes it on, if it has it.
    pub fn pass(&self) -> bool {
        let held = self.put_down();
        if held && let Some(call) = self.on_pass.get() {
            call();
        }
        held
    }
}
