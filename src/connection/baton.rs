//! The duty to serve parked clients one after the other, which one coroutine has at a time.
//!
//! That coroutine holds the baton while it is with a client. The subtle rule: it passes the baton on before every wait, so
//! that the baton is never held by a coroutine that does not run.

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
        debug_assert!(!self.held.load(Relaxed), "somebody waits with the baton");
        self.held.store(true, Relaxed);
    }

    /// The coroutine that took it puts it down; false when it has passed it on meanwhile.
    pub fn put_down(&self) -> bool {
        let held = self.held.load(Relaxed);
        self.held.store(false, Relaxed);
        held
    }

    /// The coroutine that runs passes it on, if it has it.
    pub fn pass(&self) {
        if self.put_down()
            && let Some(call) = self.on_pass.get()
        {
            call();
        }
    }
}
