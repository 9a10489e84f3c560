//! What the thread of a name index and the requests share: the latest snapshot, and what each side asks of
//! the other.
//!
//! **Invariant:** the lock is held for a lookup or to replace a snapshot, never while names are read
//! or dropped. So a request waits for no reading, and frees no memory of a snapshot.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file_names::FileNames;
use super::warning::{IndexWarning, WaitingWarnings};
use crate::sys::file::{Kind, Root};
use crate::sys::thread::{self, ThreadId};
use crate::sys::timer;

/// What a search for a file by its name found.
#[derive(Debug, PartialEq, Eq)]
pub enum NamedFile {
    /// A file or link of that name: its path beneath the root.
    Found(Vec<u8>, Kind),
    /// No (other) file has that name.
    NotFound,
    /// The names are not known: there are more than the limit, or they have not been read yet.
    Unavailable,
}

/// The shared part of one index.
pub struct Published {
    state: Mutex<State>,
    /// Notified when the first names are there, or are known not to come soon.
    has_begun: Condvar,
    /// Wakes the thread.
    wake: OwnedFd,
}

#[derive(Default)]
struct State {
    names: Names,
    /// From when on a request asks for a new reading, because no event tells that one is due.
    old_from: Option<Instant>,
    request: IndexRequest,
    new_root: Option<Arc<Root>>,
    thread: Option<ThreadId>,
    warnings: Vec<IndexWarning>,
}

#[derive(Default)]
enum Names {
    /// They are read for the first time.
    #[default]
    BeingRead,
    /// They can't be known for now.
    Unavailable,
    Known(FileNames),
}

/// What the thread is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexRequest {
    /// Nothing.
    #[default]
    Nothing,
    /// Read all names again, because a request has found them old.
    Read,
    /// End.
    End,
}

impl Published {
    /// Nothing yet.
    ///
    /// # Errors
    /// See eventfd(2), such as `EMFILE`.
    pub fn new() -> std::io::Result<Published> {
        Ok(Published { state: Mutex::default(), has_begun: Condvar::new(), wake: timer::event()? })
    }

    /// The first file called `name`, or the first after the path `after`. Asks for a new reading if the names
    /// are old.
    pub fn first(&self, name: &[u8], after: Option<&[u8]>) -> NamedFile {
        let mut state = self.lock();
        let found = match &state.names {
            Names::BeingRead | Names::Unavailable => NamedFile::Unavailable,
            Names::Known(names) => match names.first(name, after) {
                Some((path, kind)) => NamedFile::Found(path.to_vec(), kind),
                None => NamedFile::NotFound,
            },
        };
        if let Some(from) = state.old_from
            && state.request == IndexRequest::Nothing
            && Instant::now() >= from
        {
            state.request = IndexRequest::Read;
            drop(state);
            timer::raise(&self.wake);
        }
        found
    }

    /// Publishes a snapshot, or that names are unavailable. From `old_from` on, requests ask for a new
    /// reading.
    pub fn publish(&self, names: Option<FileNames>, old_from: Option<Instant>) {
        let names = names.map_or(Names::Unavailable, Names::Known);
        let mut state = self.lock();
        let old = mem::replace(&mut state.names, names);
        state.old_from = old_from;
        if state.request == IndexRequest::Read {
            state.request = IndexRequest::Nothing;
        }
        drop(state);
        self.has_begun.notify_all();
        drop(old);
    }

    /// No names are there yet, and they won't be soon.
    pub fn publish_delay(&self) {
        let mut state = self.lock();
        if matches!(state.names, Names::BeingRead) {
            state.names = Names::Unavailable;
        }
        drop(state);
        self.has_begun.notify_all();
    }

    /// The thread has panicked: names are unavailable for good.
    pub fn publish_failure(&self) {
        self.publish(None, None);
        self.lock().warnings.push(IndexWarning::Failed);
    }

    /// Waits up to `limit` for the first names. Calls `beat` ten times a second.
    pub fn wait_for_names(&self, limit: Duration, mut beat: impl FnMut()) {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while matches!(state.names, Names::BeingRead) && Instant::now() < end {
            beat();
            let waited = self.has_begun.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has the thread read another root from now on. Until it has, requests search the names of the old one.
    pub fn change_root(&self, root: Arc<Root>) {
        self.lock().new_root = Some(root);
        timer::raise(&self.wake);
    }

    /// Asks the thread to end.
    pub fn end(&self) {
        self.lock().request = IndexRequest::End;
        timer::raise(&self.wake);
    }

    /// What wakes the thread.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// What the thread is asked for. A request for a reading stands until names are published.
    pub fn request(&self) -> IndexRequest {
        self.lock().request
    }

    /// The root to read from now on, if it has changed.
    pub fn take_root(&self) -> Option<Arc<Root>> {
        self.lock().new_root.take()
    }

    /// Notes that the calling thread is that of the index.
    pub fn begin_thread(&self) {
        self.lock().thread = Some(thread::current());
    }

    /// Changes the niceness of the thread.
    pub fn set_niceness(&self, nice: i32) {
        let thread = self.lock().thread;
        thread.into_iter().for_each(|thread| thread::set_niceness(thread, nice));
    }

    /// Takes over warnings, unless earlier ones wait to be taken.
    pub fn warn(&self, warnings: &mut WaitingWarnings) {
        let mut state = self.lock();
        if state.warnings.is_empty() {
            state.warnings = warnings.take();
        }
    }

    /// The warnings since the last call.
    pub fn take_warnings(&self) -> Vec<IndexWarning> {
        mem::take(&mut self.lock().warnings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves a state that can be read.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::file_names::key;
    use super::*;

    fn names(files: &[&str]) -> Option<FileNames> {
        let mut names = FileNames::default();
        files.iter().for_each(|name| names.insert(key(b"a", name.as_bytes()), Kind::Regular));
        Some(names)
    }

    fn found(path: &str) -> NamedFile {
        NamedFile::Found(path.as_bytes().to_vec(), Kind::Regular)
    }

    #[test]
    fn a_lookup_sees_the_latest_snapshot() {
        let published = Published::new().unwrap();
        assert_eq!(published.first(b"x", None), NamedFile::Unavailable);
        published.publish_delay();
        assert_eq!(published.first(b"x", None), NamedFile::Unavailable);
        published.publish(names(&["x"]), None);
        assert_eq!(published.first(b"x", None), found("a/x"));
        assert_eq!(published.first(b"x", Some(b"a/x")), NamedFile::NotFound);
        published.publish_delay();
        assert_eq!(published.first(b"x", None), found("a/x"), "what is known stays");
        published.publish(names(&["y"]), None);
        assert_eq!(published.first(b"x", None), NamedFile::NotFound);
        published.publish_failure();
        assert_eq!(published.first(b"y", None), NamedFile::Unavailable);
        assert_eq!(published.take_warnings(), [IndexWarning::Failed]);
    }

    #[test]
    fn a_lookup_in_old_names_is_answered_and_asks_for_a_reading_once() {
        let published = Published::new().unwrap();
        let (now, day) = (Instant::now(), Duration::from_secs(24 * 3600));
        for (old_from, request) in [
            (None, IndexRequest::Nothing),
            (Some(now + day), IndexRequest::Nothing),
            (Some(now), IndexRequest::Read),
        ] {
            published.publish(names(&["x"]), old_from);
            for _ in 0..2 {
                assert_eq!(published.first(b"x", None), found("a/x"));
                assert_eq!(published.request(), request);
            }
            assert_eq!(timer::take_expirations(published.wake()), request == IndexRequest::Read);
        }
        published.publish(names(&[]), None);
        assert_eq!(published.request(), IndexRequest::Nothing, "a new snapshot is the answer to it");
        published.end();
        published.publish(names(&[]), None);
        assert_eq!(published.request(), IndexRequest::End);
    }

    #[test]
    fn the_wait_for_names_ends_with_any_of_them_and_at_its_limit() {
        let published = Arc::new(Published::new().unwrap());
        let mut beats = 0;
        published.wait_for_names(Duration::ZERO, || beats += 1);
        assert_eq!(beats, 0);
        let thread = {
            let published = Arc::clone(&published);
            std::thread::spawn(move || published.publish_delay())
        };
        published.wait_for_names(Duration::from_secs(60), || {});
        thread.join().unwrap();
        assert_eq!(published.first(b"x", None), NamedFile::Unavailable);
    }

    #[test]
    fn warnings_wait_until_they_are_taken() {
        let (published, mut warnings) = (Published::new().unwrap(), WaitingWarnings::default());
        for path in [b"a", b"b", b"c"] {
            warnings.unreadable(path, "why".to_owned());
            published.warn(&mut warnings);
        }
        assert_eq!(published.take_warnings().len(), 1);
        published.warn(&mut warnings);
        assert_eq!(published.take_warnings().len(), 2);
    }
}
