//! The worker's end: the access logs are written out, then all sockets are closed.

use crate::connection::context::Context;
use crate::log::access::Buffer;
use crate::log::wait_budget::LAST_WAIT;
use crate::sys::{process, socket, timer};

/// Ends the worker, with the last lines of its access logs written.
pub fn exit(context: &Context) -> ! {
    let until = timer::monotonic() + LAST_WAIT;
    write_access_logs(context, |log| log.finish(until.saturating_sub(timer::monotonic())));
    end(0)
}

/// Ends the worker at once. Clients see the end of their connections even if a thread of the worker waits in
/// the kernel for a file system, and the process can't end before it answers.
pub fn end(code: i32) -> ! {
    // After the last line of the logs, whose output may be a socket too.
    socket::close_all_sockets();
    process::exit_now(code)
}

/// Writes the access logs, and reports how many lines could not be written.
pub fn write_access_logs(context: &Context, write: impl Fn(&mut Buffer)) {
    let mut dropped = 0;
    for mut access in context.access.all() {
        write(&mut access);
        dropped += std::mem::take(&mut access.dropped);
    }
    if dropped > 0 {
        ::log::warn!("the access log could not be written: {dropped} lines are lost");
    }
}
