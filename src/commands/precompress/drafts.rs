//! The drafts of a run: all that is not whole yet, so that a signal can have it removed at once.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sys::file::Draft;
use crate::sys::process;

/// How the name of a draft begins. It is hidden, so that no server serves it.
const PREFIX: &str = ".mayhttpd-precompress-";

/// True for the name of a draft.
pub fn is_draft(name: &[u8]) -> bool {
    name.starts_with(PREFIX.as_bytes())
}

/// The drafts that are being written.
#[derive(Debug, Default)]
pub struct Drafts(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    /// The number of the next one.
    next: u64,
    list: Vec<Arc<Draft>>,
}

impl Drafts {
    /// Creates a draft in a directory.
    ///
    /// # Errors
    /// See [`Draft::create`].
    pub fn create(&self, directory: &Arc<OwnedFd>) -> io::Result<OpenDraft<'_>> {
        let mut open = self.lock();
        loop {
            let name = format!("{PREFIX}{}-{}", process::id(), open.next);
            open.next += 1;
            match Draft::create(Arc::clone(directory), name.into_bytes()) {
                // Of a process with this id in another container, or one that was abandoned.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => {
                    let draft = Arc::new(other?);
                    open.list.push(Arc::clone(&draft));
                    return Ok(OpenDraft { drafts: self, draft });
                }
            }
        }
    }

    /// Removes all drafts. After that no thread can create another one, or give one its name.
    pub fn abandon(&self) {
        let open = self.lock();
        open.list.iter().for_each(|draft| draft.remove());
        // The process is about to end: the lock is kept for ever.
        std::mem::forget(open);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A draft that is removed with this value unless it gets its name.
#[derive(Debug)]
pub struct OpenDraft<'a> {
    drafts: &'a Drafts,
    draft: Arc<Draft>,
}

impl OpenDraft<'_> {
    /// The draft, to be written.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// See [`Draft::rename`].
    pub fn rename(&self, name: &[u8]) -> io::Result<()> {
        let mut open = self.drafts.lock();
        self.draft.rename(name)?;
        open.list.retain(|draft| !Arc::ptr_eq(draft, &self.draft));
        Ok(())
    }
}

impl Drop for OpenDraft<'_> {
    fn drop(&mut self) {
        let mut open = self.drafts.lock();
        let before = open.list.len();
        open.list.retain(|draft| !Arc::ptr_eq(draft, &self.draft));
        if open.list.len() < before {
            self.draft.remove();
        }
    }
}
