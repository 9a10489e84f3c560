//! What the kernel lets this process have: descriptors and memory maps.
//!
//! Only reads and raises; `worker::places` decides what follows from the figures.

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

/// `vm.max_map_count`: memory maps that a process may have; the kernel's default where /proc can't be read.
pub fn max_map_count() -> u64 {
    const KERNEL_DEFAULT: u64 = 65_530;
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    text.trim().parse().unwrap_or(KERNEL_DEFAULT)
}
