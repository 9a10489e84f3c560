//! What the defaults depend on, read once so that [`resolve`](super::resolve) stays pure.

use std::path::Path;

/// The directory that is served when no source names one and it exists.
pub const DOCUMENT_ROOT: &str = "DOCUMENT_ROOT";

/// The machine and the working directory.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// CPUs that this process may use, by affinity and cgroup quota.
    pub cpus: usize,
    /// True if `./DOCUMENT_ROOT` is a directory.
    pub has_document_root: bool,
}

impl Machine {
    /// The machine that this runs on.
    pub fn this() -> Self {
        Self {
            // An error is an old kernel or a strict sandbox; one worker is right everywhere.
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            has_document_root: Path::new(DOCUMENT_ROOT).is_dir(),
        }
    }
}
