//! Plain threads beside the scheduler of a worker.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow};

/// Bytes of a thread's stack. Only pages that are touched take memory, some 8 KiB.
const STACK: usize = 256 << 10;

/// Starts a thread with this niceness, in which all signals are blocked: they are for the thread that serves.
///
/// # Errors
/// See clone(2), such as `EAGAIN` where the user may have no more threads.
pub fn start(name: &str, nice: i32, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // A thread inherits the mask of the one that starts it.
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let started = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
        if nice != 0 {
            set_niceness(current(), nice);
        }
        body();
    });
    mask.thread_set_mask()?;
    started.map(drop)
}

/// A thread, for [`set_niceness`].
#[derive(Clone, Copy, Debug)]
pub struct ThreadId(rustix::thread::Pid);

/// The calling thread.
pub fn current() -> ThreadId {
    ThreadId(rustix::thread::gettid())
}

/// Changes the niceness of a thread. A refusal costs only precedence.
pub fn set_niceness(thread: ThreadId, nice: i32) {
    // On Linux niceness is a thread's own (setpriority(2)).
    let _ = rustix::process::setpriority_process(Some(thread.0), nice);
}
