//! Which Landlock interface the kernel has (landlock(7)).
//!
//! The rules are in `sandbox.rs`. The crate `landlock` reports the version only after a process has
//! restricted itself, and not those that it does not know; the master logs it, and `--sandbox require` needs
//! it, before a child exists.

/// The version of the kernel's Landlock interface (ABI), at least 1; `None` if the kernel lacks Landlock or
/// has it switched off, or if a filter forbids the call.
pub fn landlock_version() -> Option<u32> {
    const CREATE_RULESET_VERSION: libc::c_uint = 1;
    let attributes = std::ptr::null::<libc::c_void>();
    // SAFETY: with this flag the call takes a null pointer and the size 0, and returns a number.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, attributes, 0usize, CREATE_RULESET_VERSION)
    };
    u32::try_from(version).ok().filter(|version| *version > 0)
}
