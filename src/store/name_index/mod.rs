//! The name index of one root: finds files by their bare names, wherever they lie beneath it.
//!
//! The interface is [`NameIndex`]. It only says where a file of a name lies; it opens no file. A thread of
//! its own reads the names and keeps them current. Requests search the snapshot that it published last, and
//! wait for nothing. The design: docs/design/name-index.md.

mod directory_watches;
mod file_names;
mod index_thread;
mod path;
mod published;
mod table;
mod updater;
mod warning;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::sys::file::Root;
use crate::sys::thread;

use index_thread::IndexThread;
use published::Published;

pub use index_thread::IndexLimits;
pub use published::NamedFile;
pub use warning::IndexWarning;

/// The niceness of the thread once the worker serves. It then takes at most 6 % of a busy CPU from the thread
/// that serves.
const NICENESS: i32 = 19;

/// The names beneath one root, kept current by a thread.
pub struct NameIndex(Arc<Published>);

impl NameIndex {
    /// Starts the thread, which reads all names at the normal priority. To be called before system calls are
    /// confined.
    ///
    /// # Errors
    /// See eventfd(2) and clone(2).
    pub fn start(root: &Arc<Root>, limits: IndexLimits) -> io::Result<NameIndex> {
        let published = Arc::new(Published::new()?);
        let index = IndexThread::new(Arc::clone(root), limits, Arc::clone(&published));
        let shared = Arc::clone(&published);
        thread::start("names", 0, move || run(&shared, || index.run()))?;
        Ok(NameIndex(published))
    }

    /// Waits up to `limit` for the first names, and has the thread go on at the lowest priority. Calls `beat`
    /// ten times a second. To be called before system calls are confined.
    pub fn wait_for_names(&self, limit: Duration, beat: impl FnMut()) {
        self.0.wait_for_names(limit, beat);
        self.0.set_niceness(NICENESS);
    }

    /// The first file called `name`, or the first after the path `after`, in the byte order of paths. Where
    /// changes are not reported, old names are answered from, and read again for later requests.
    pub fn first(&self, name: &[u8], after: Option<&[u8]>) -> NamedFile {
        self.0.first(name, after)
    }

    /// Has the names beneath another root read, which has taken the place of the first. Until that is done,
    /// searches find the names of the old one.
    pub fn change_root(&self, root: &Arc<Root>) {
        self.0.change_root(Arc::clone(root));
    }

    /// The warnings since the last call.
    pub fn take_warnings(&self) -> Vec<IndexWarning> {
        self.0.take_warnings()
    }
}

impl Drop for NameIndex {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Runs the body of the thread. If it panics, names are unavailable, and the worker goes on serving.
fn run(published: &Published, body: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(body)).is_err() {
        published.publish_failure();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;

    #[test]
    fn files_are_found_by_name_as_the_directory_changes() {
        let tree = Tree::new("changes", &["b/x", "a/x", ".hidden/x", "y"]);
        let index = tree.index(100);
        assert_eq!(all(&index, "x"), ["a/x", "b/x"]);
        fs::create_dir_all(tree.0.join("c/d")).unwrap();
        fs::write(tree.0.join("c/d/x"), "").unwrap();
        fs::remove_file(tree.0.join("a/x")).unwrap();
        eventually(|| all(&index, "x") == ["b/x", "c/d/x"]);
    }

    #[test]
    fn names_without_watches_are_read_again_once_a_search_finds_them_old() {
        let tree = Tree::new("unwatched", &["a/x", "y"]);
        let limits = IndexLimits { max_names: 100, max_watches: 1, valid: Duration::ZERO };
        let index = tree.limited(limits);
        assert_eq!(all(&index, "x"), ["a/x"]);
        fs::rename(tree.0.join("y"), tree.0.join("x")).unwrap();
        eventually(|| all(&index, "x") == ["a/x", "x"]);
        assert!(matches!(index.take_warnings()[..], [IndexWarning::Unwatched(_)]));
    }

    #[test]
    fn an_index_of_too_many_names_is_unavailable_and_says_so() {
        // With the root and its directory there are four names.
        let tree = Tree::new("limit", &["a/x", "y"]);
        let index = tree.index(3);
        assert_eq!(index.first(b"x", None), NamedFile::Unavailable);
        eventually(|| index.take_warnings() == [IndexWarning::TooManyNames(3)]);
    }

    #[test]
    fn too_many_names_that_come_later_make_an_index_unavailable() {
        let tree = Tree::new("growth", &["a/x", "y"]);
        let index = tree.index(4);
        assert_eq!(all(&index, "x"), ["a/x"]);
        fs::write(tree.0.join("z"), "").unwrap();
        eventually(|| index.first(b"x", None) == NamedFile::Unavailable);
    }

    #[test]
    fn another_root_is_read_and_its_names_take_the_place_of_the_first() {
        let (old, new) = (Tree::new("old", &["a/x", "both"]), Tree::new("new", &["both", "c/y"]));
        let index = old.index(100);
        assert_eq!(all(&index, "x"), ["a/x"]);
        index.change_root(&Arc::new(Root::open(&new.0).unwrap()));
        // What both have is found all the time.
        eventually(|| all(&index, "both") == ["both"] && all(&index, "y") == ["c/y"]);
        assert_eq!(all(&index, "both"), ["both"]);
        assert_eq!(index.first(b"x", None), NamedFile::NotFound);
    }

    #[test]
    fn a_panic_of_the_thread_makes_its_names_unavailable() {
        let published = Published::new().unwrap();
        run(&published, || panic!("a test of panics"));
        published.wait_for_names(Duration::from_secs(60), || {});
        assert_eq!(published.first(b"x", None), NamedFile::Unavailable);
        assert_eq!(published.take_warnings(), [IndexWarning::Failed]);
    }

    /// The paths of all files of a name.
    fn all(index: &NameIndex, name: &str) -> Vec<String> {
        let mut paths: Vec<Vec<u8>> = Vec::new();
        while let NamedFile::Found(path, _) = index.first(name.as_bytes(), paths.last().map(|path| &**path)) {
            paths.push(path);
        }
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[track_caller]
    fn eventually(mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(15));
            std::thread::yield_now();
        }
    }

    /// A directory with some files, removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[&str]) -> Tree {
            let root = std::env::temp_dir().join(format!("name-index-{name}-{}", std::process::id()));
            for file in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            Tree(root)
        }

        fn index(&self, max_names: usize) -> NameIndex {
            let limits = IndexLimits { max_names, max_watches: 100, valid: Duration::from_millis(100) };
            self.limited(limits)
        }

        fn limited(&self, limits: IndexLimits) -> NameIndex {
            let index = NameIndex::start(&Arc::new(Root::open(&self.0).unwrap()), limits).unwrap();
            index.wait_for_names(Duration::from_secs(60), || {});
            index
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
