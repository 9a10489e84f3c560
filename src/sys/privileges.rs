//! Giving up privileges: capabilities (capabilities(7)) and the way to new ones (`no_new_privs`, prctl(2)).
//!
//! Does not decide who gives up what. The subtle rule: both belong to a thread, and new threads inherit them, so this is
//! done before a process starts its second one.

use std::io;

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

/// Empties the bounding set, so that no later exec can bring a capability back. Without `CAP_SETPCAP` it stays as it is:
/// there is nothing in the other sets that could be raised by it then. A change of user takes that right away, so this
/// comes before it.
pub fn empty_bounding_set() {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: the kernel knows no capability of this number, nor of a higher one.
        if let Err(Errno::PERM | Errno::INVAL) = thread::remove_capability_from_bounding_set(capability) {
            return;
        }
    }
}

/// Gives up every capability, and for good: an exec of a set-user-ID program, or of one with capabilities, gains nothing.
///
/// # Errors
/// What capget(2), capset(2) and prctl(2) say; neither fails on a kernel since Linux 4.3.
pub fn give_up() -> io::Result<()> {
    leave(CapabilitySet::empty())
}

/// As [`give_up`], but for `CAP_NET_BIND_SERVICE` where this thread has it.
///
/// # Errors
/// As [`give_up`].
pub fn give_up_all_but_low_ports() -> io::Result<()> {
    leave(CapabilitySet::NET_BIND_SERVICE)
}

/// Has the permitted set outlive a change of user, or not any more (prctl(2) `PR_SET_KEEPCAPS`).
pub fn keep_through_change_of_user(keep: bool) {
    // It is refused where the securebits have settled it for good. Then there is nothing to keep, or it is given up next.
    let _ = thread::set_keep_capabilities(keep);
}

fn leave(wanted: CapabilitySet) -> io::Result<()> {
    thread::set_no_new_privs(true)?;
    match thread::clear_ambient_capability_set() {
        // EINVAL: a kernel before 4.3, which has no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let left = thread::capabilities(None)?.permitted & wanted;
    let sets = CapabilitySets { effective: left, permitted: left, inheritable: CapabilitySet::empty() };
    Ok(thread::set_capabilities(None, sets)?)
}
