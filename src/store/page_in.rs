//! Whether the next part of a long file can be sent without a wait for a disk, and the job that reads it into
//! the kernel's memory if not. The bytes stay there; the thread that serves sends them.
//!
//! The rules by class of file system are in docs/design/background.md. **Invariant:** once a part of an
//! answer was not in memory, the rest of that answer is not probed any more: a probe starts to read what it
//! does not find, and the next probe would take that for all of it.

use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, PoisonError};

use crate::background::{Background, JobHandle, JobOrder};
use crate::metrics::job_kind::JobKind;
use crate::store::entry::Entry;
use crate::store::resident_parts::PartRead;
use crate::sys::file;
use crate::sys::filesystem::FileSystemClass;

/// The distance of probes: what the kernel reads ahead at once, unless the device was set up otherwise.
const PROBE_STEP: u64 = 128 << 10;

/// What is known of the parts of a file while one answer is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageIn {
    /// True once a part was not in memory.
    is_cold: bool,
}

impl PageIn {
    /// The job that must be waited for before `part` of the entry's file is sent; `None` if it can be sent
    /// at once. The part must not be empty.
    pub fn job(
        &mut self,
        entry: &Arc<Entry>,
        part: &Range<u64>,
        tick: u32,
        background: &Background,
    ) -> Option<JobHandle<PartRead>> {
        let file = entry.file()?;
        if entry.class == FileSystemClass::Memory || !background.has_disk_threads() {
            return None;
        }
        let bounds = (part.start, part.end);
        let mut parts = entry.parts().lock().unwrap_or_else(PoisonError::into_inner);
        let is_probed = entry.class == FileSystemClass::Probed && !self.is_cold;
        let under_way = parts.job(bounds);
        if is_probed && entry.is_mapped() && under_way.is_none() {
            if parts.is_probed(bounds, tick) {
                return None;
            }
            if is_in_memory(file, part) {
                parts.add_probed(bounds, tick);
                return None;
            }
        }
        // The first part of a file that was just opened says nothing of the others.
        self.is_cold = !is_probed || entry.is_mapped();
        if under_way.is_some() {
            return under_way;
        }
        if parts.is_resident(bounds, tick) {
            return None;
        }
        let (of_job, part) = (Arc::clone(entry), part.clone());
        let read = move || {
            let Some(file) = of_job.file() else { return Ok(()) };
            file::read_ahead(file, &part);
            let result = file::read_through(file, part);
            if of_job.class == FileSystemClass::Remote {
                // The serving thread asks this kernel alone whether the file has changed, which learns it
                // here.
                let _ = file::stat(file);
            }
            of_job.set_mapped();
            result
        };
        // Answers under way are not refused. Without threads there would be none here.
        let job = background.submit_disk(JobKind::Read, (entry.root, JobOrder::Always), read).ok()?;
        parts.add(bounds, &job, tick);
        Some(job)
    }
}

/// True if a part is in the kernel's memory, as far as single bytes of it tell: its first one, then one in
/// each read-ahead window, and its last one.
fn is_in_memory(file: BorrowedFd<'_>, part: &Range<u64>) -> bool {
    let step = usize::try_from(PROBE_STEP).unwrap_or(usize::MAX);
    let mut probes = part.clone().step_by(step).chain([part.end - 1]);
    probes.all(|at| file::read_cached(file, &mut [0], at))
}
