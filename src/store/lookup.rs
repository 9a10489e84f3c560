//! A lookup that may have to wait for a disk: what is known of it before, and the job of a background thread.

use std::sync::{Arc, PoisonError};

use crate::background::JobHandle;
use crate::store::description::Description;
use crate::store::directory::FilePath;
use crate::store::entry::Entry;
use crate::store::open::{self, Miss};
use crate::store::open_forms::OpenForms;
use crate::store::root::Reopened;
use crate::sys::file::{LinkPolicy, Root};
use crate::sys::filesystem::FileSystemClass;

/// What a lookup without a wait came to.
pub enum Lookup {
    /// An entry, or why there is none.
    Ready(Result<Arc<Entry>, Miss>),
    /// It takes a job.
    Cold(Cold),
}

/// What a job has to do before a request can be answered.
pub enum Cold {
    /// This one, which is under way: the root's path is opened again.
    Root(JobHandle<Reopened>),
    /// Open the file and read it.
    Open,
    /// Read the file and the variants that are open.
    Load(OpenForms),
}

/// What a job found.
#[derive(Clone)]
pub enum FoundEntry {
    /// The content of an entry that was known, and its files if they can be watched.
    Same(Arc<Entry>, Option<Arc<OpenForms>>),
    /// A new entry.
    New(Arc<Entry>),
}

/// A lookup, for a background thread.
pub struct LookupJob {
    /// The root.
    pub root: Arc<Root>,
    /// The file's path beneath it.
    pub path: Vec<u8>,
    /// The index file's name, where a directory was requested.
    pub index: Option<Vec<u8>>,
    /// The links that are followed on the way.
    pub links: LinkPolicy,
    /// The file and its variants, if they are open already.
    pub open: Option<OpenForms>,
    /// The entry that may still have the same content.
    pub known: Option<Arc<Entry>>,
    /// What a new entry has beside its file.
    pub description: Description,
}

impl LookupJob {
    /// Opens the file unless it is open, and makes an entry of it unless the known one has its content.
    ///
    /// # Errors
    /// See [`Miss`].
    pub fn run(self) -> Result<FoundEntry, Miss> {
        let open = match self.open {
            Some(open) => open,
            None => {
                let (path, index) = (&self.path, self.index.as_deref());
                let path = FilePath { path, index, links: self.links };
                open::open(&self.root, &path, self.description.with_variants)?
            }
        };
        if let Some(known) = self.known
            && known.is_same(&open)
        {
            // A file on a network file system or FUSE is closed here, since that may wait, and the open may
            // have dropped what was in memory of it.
            let is_remote = open.identity.class == FileSystemClass::Remote;
            if is_remote {
                let forms = std::iter::once(&known).chain(&known.variants);
                forms.for_each(|form| form.parts().lock().unwrap_or_else(PoisonError::into_inner).forget());
            }
            return Ok(FoundEntry::Same(known, (!is_remote).then(|| Arc::new(open))));
        }
        match Entry::load(open, self.description) {
            Ok(entry) => Ok(FoundEntry::New(Arc::new(entry))),
            Err(_) => Err(Miss::Failed),
        }
    }
}
