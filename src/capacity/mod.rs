//! How many connections, descriptors, memory maps and threads, and how much cache, the machine and its
//! control group allow.
//!
//! Used by the start of the server and by `mayhttpd kernel check`.

pub mod cgroup;
pub mod connection_limit;
pub mod memory;
pub mod proc;
pub mod tasks;
pub mod value;

use proc::Proc;

/// The length to which the kernel cuts this backlog (`net.core.somaxconn`); `None` if the backlog fits.
pub fn backlog_cut(proc: &Proc, backlog: u32) -> Option<u64> {
    proc.number("net.core.somaxconn").filter(|most| *most < u64::from(backlog))
}
