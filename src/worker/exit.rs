//! The worker's end: the access log is written out, then all sockets are closed.

use crate::connection::context::Context;
use crate::log::access::Buffer;
use crate::sys::{process, socket};

/// Ends the worker, with the last lines of its access log written.
pub fn exit(context: &Context) -> ! {
    write_access_log(context, Buffer::finish);
    end(0)
}

/// Ends the worker at once. Clients see the end of their connections even if a thread of the worker waits in
/// the kernel for a file system, and the process can't end before it answers.
pub fn end(code: i32) -> ! {
    // After the last line of the logs, whose output may be a socket too.
    socket::close_all_sockets();
    process::exit_now(code)
}

/// Writes the access log, and reports how many lines could not be written.
pub fn write_access_log(context: &Context, write: impl FnOnce(&mut Buffer)) {
    let Some(mut access) = context.access_log() else { return };
    write(&mut access);
    let dropped = std::mem::take(&mut access.dropped);
    drop(access);
    if dropped > 0 {
        ::log::warn!("the access log could not be written: {dropped} lines are lost");
    }
}
