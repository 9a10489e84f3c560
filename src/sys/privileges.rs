//! Giving up privileges: capabilities (capabilities(7)), and gaining new ones by an exec (`no_new_privs`,
//! prctl(2)).
//!
//! **Invariant:** both belong to a thread and are inherited by new threads, so call these before the process
//! starts a second thread.

use std::io;

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

/// Empties the bounding set, so that no later exec can bring a capability back. Call it before a change of
/// user, which takes away the right to do this.
///
/// Without `CAP_SETPCAP` the set stays as it is. Then no other set has a capability that it could raise.
pub fn empty_bounding_set() {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: the kernel has no capability with this number or a higher one.
        if let Err(Errno::PERM | Errno::INVAL) = thread::remove_capability_from_bounding_set(capability) {
            return;
        }
    }
}

/// Gives up every capability for good: the exec of a set-user-ID program, or of one with capabilities, gains
/// nothing.
///
/// # Errors
/// See capset(2) and prctl(2); neither fails since Linux 4.3.
pub fn give_up() -> io::Result<()> {
    thread::set_no_new_privs(true)?;
    match thread::clear_ambient_capability_set() {
        // EINVAL: before Linux 4.3 there is no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error.into()),
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    Ok(thread::set_capabilities(None, sets)?)
}
