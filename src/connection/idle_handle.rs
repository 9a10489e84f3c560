//! The handle by which a connection owns its entry in the idle set, from its first idle wait to its close.

/// The owner of the entries. The worker implements this.
pub trait IdleEntries: Send + Sync {
    /// Frees an entry, whose connection has closed.
    fn remove(&self, key: usize);
}

/// The entry of one connection. Dropping it frees the entry.
pub struct IdleHandle {
    entries: &'static dyn IdleEntries,
    key: usize,
}

impl IdleHandle {
    /// The handle of the entry at `key`.
    pub fn new(entries: &'static dyn IdleEntries, key: usize) -> IdleHandle {
        IdleHandle { entries, key }
    }

    /// The entry's number.
    pub fn key(&self) -> usize {
        self.key
    }
}

impl Drop for IdleHandle {
    fn drop(&mut self) {
        self.entries.remove(self.key);
    }
}
