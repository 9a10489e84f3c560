//! Ends the worker when a coroutine that it depends on ends, so that the master replaces the worker. Without
//! that coroutine it would be neither healthy nor dead.

use may::go;

use super::exit::end;

/// Starts a coroutine that never returns. If it returns or panics, the worker ends.
pub fn start_permanent(body: impl FnOnce() + Send + 'static) {
    go!(move || {
        let _abort = AbortOnExit;
        body();
    });
}

/// Ends the worker when it is dropped.
struct AbortOnExit;

impl Drop for AbortOnExit {
    fn drop(&mut self) {
        end(1);
    }
}

/// Ends the worker when it is dropped by a panic.
pub struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end(1);
        }
    }
}
