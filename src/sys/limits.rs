//! What the kernel lets this process have: descriptors and memory.
//!
//! Only reads, raises and lowers; `kernel::places` decides what follows from the figures.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard one, and returns what holds now.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum {
        // A refusal leaves the soft limit in force, which is what the next line reads.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Has this process get no more than `bytes` of memory of its own to write to (`RLIMIT_DATA`); beyond that it aborts.
pub fn bound_memory(bytes: u64) {
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    // It is refused only where less is allowed already.
    let _ = setrlimit(Resource::Data, limit);
}
