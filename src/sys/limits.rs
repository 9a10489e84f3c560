//! Resource limits of this process (getrlimit(2)): descriptors and memory.
//!
//! Only reads and sets limits; the folder `capacity` decides which.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard limit. Returns the limit in force.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum {
        // After a refusal the old soft limit stays in force, and is returned.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The limit of open descriptors (`RLIMIT_NOFILE`) in force.
pub fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The number of descriptors that this process has open; `None` without /proc.
pub fn open_descriptors() -> Option<u64> {
    // One of them is the descriptor of this directory.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64)
}

/// Limits the private writable memory of this process to `bytes` (`RLIMIT_DATA`). The process aborts beyond
/// it.
pub fn limit_memory(bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // It fails only if the limit is lower already.
    let _ = setrlimit(Resource::Data, limit);
}
