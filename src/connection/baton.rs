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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn what_is_held_is_passed_on_once() {
        let (baton, passed) = (Baton::default(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&passed);
        baton.on_pass(move || {
            count.fetch_add(1, Relaxed);
        });
        baton.pass();
        assert_eq!(passed.load(Relaxed), 0, "nobody had it");
        baton.take();
        assert!(baton.put_down());
        baton.take();
        baton.pass();
        baton.pass();
        assert_eq!(passed.load(Relaxed), 1);
        assert!(!baton.put_down(), "it was passed on");
    }
}
