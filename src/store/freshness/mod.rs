//! Freshness: whether a cached entry still is what the disk has.
//!
//! The interface is [`Watches`] and a [`Freshness`] for each entry. Behind it are inotify and a signal. Does
//! not open what is served and knows no content. How old an entry may be in each case:
//! docs/design/freshness.md.

mod watch_table;
mod watched_path;

use crate::sys::inotify::{Inotify, SignalPosition, WatchError};
use crate::time::TICK_MS;

use watch_table::WatchTable;
use watched_path::PathError;

pub use watch_table::{ChangedEntries, WatchHandle, WatchTarget};

/// How long a watched entry is fresh before its path must be opened again: 10 s. A change that makes no event
/// shows then: a file system mounted over a directory, or a new time of a file that was changed through a
/// memory map.
const WATCHED_TICKS: u32 = 10_000 / TICK_MS;

/// Ticks between the moment that watches run out and the next try: 1 s.
const RETRY_TICKS: u32 = 1000 / TICK_MS;

/// How changes of an entry's file are detected.
#[derive(Debug, Default)]
pub enum Freshness {
    /// Every request must open the path again.
    #[default]
    Unwatched,
    /// [`Watches::changed`] reports them.
    Watched(WatchHandle),
    /// The kernel does not report them. The entry is fresh for `--cache-valid`.
    Unwatchable,
}

/// The watches of one worker's cache.
pub struct Watches {
    reporting: Reporting,
    /// How many ticks an entry that can't be watched is fresh.
    valid_ticks: u32,
    signals: SignalPosition,
    /// The tick from which on new watches are tried again.
    retry: u32,
    shortage: Shortage,
}

/// Whether the kernel reports changes.
enum Reporting {
    /// Not yet, or not at all because no inotify instance is left. No entry is watched.
    Off,
    /// The kernel can't report changes.
    Unsupported,
    On(WatchTable),
}

/// Whether watches have run out, and [`Watches::take_shortage`] has said so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shortage {
    Never,
    Unreported,
    Reported,
}

impl Watches {
    /// No watches, and no means to make any until [`Watches::start`]. An entry that can't be watched is fresh
    /// for `valid_ticks`.
    pub fn new(valid_ticks: u32) -> Watches {
        Watches {
            reporting: Reporting::Off,
            valid_ticks,
            signals: SignalPosition::now(),
            retry: 0,
            shortage: Shortage::Never,
        }
    }

    /// Has changes reported to the calling thread, which must be the one that serves, by at most
    /// `max_watches` watches. Does nothing if `valid_ticks` is 0, because every request opens its path again.
    ///
    /// # Errors
    /// Why the kernel can't report changes. Entries are fresh for `valid_ticks` then.
    pub fn start(&mut self, max_watches: usize) -> Result<(), String> {
        if self.valid_ticks == 0 {
            return Ok(());
        }
        match Inotify::start() {
            Ok(inotify) => self.reporting = Reporting::On(WatchTable::new(inotify, max_watches)),
            Err(WatchError::Exhausted) => self.shortage = Shortage::Unreported,
            Err(WatchError::Unsupported(why)) => {
                self.reporting = Reporting::Unsupported;
                return Err(why.to_string());
            }
        }
        Ok(())
    }

    /// True if an entry whose path was opened `age` ticks ago may be served without opening it again. The
    /// caller must have dropped the entries that [`Watches::changed`] reports.
    #[inline]
    pub fn is_fresh(&self, freshness: &Freshness, age: u32) -> bool {
        age < match freshness {
            Freshness::Watched(_) => WATCHED_TICKS,
            Freshness::Unwatchable => self.valid_ticks,
            Freshness::Unwatched => 0,
        }
    }

    /// The most ticks for which any entry is fresh.
    pub fn max_age(&self) -> u32 {
        self.valid_ticks.max(WATCHED_TICKS)
    }

    /// The entries that have changed since the last call; their watches are removed. `None` if no event of
    /// any kind has come, which costs one atomic load to find out.
    #[inline]
    pub fn changed(&mut self) -> Option<ChangedEntries> {
        if self.signals.is_behind() { Some(self.take_changed()) } else { None }
    }

    #[cold]
    fn take_changed(&mut self) -> ChangedEntries {
        let mut changed = ChangedEntries::default();
        // Removing a watch makes an event too.
        while self.signals.catch_up() {
            if let Reporting::On(table) = &mut self.reporting {
                table.take_changed(&mut changed);
            }
        }
        changed
    }

    /// Watches a file that was just opened, and the path to it. What the file's descriptor says from now on
    /// holds until [`Watches::changed`] reports the entry.
    pub fn watch(&mut self, target: &WatchTarget<'_>, tick: u32) -> Freshness {
        let table = match &mut self.reporting {
            Reporting::On(table) if tick >= self.retry => table,
            Reporting::On(_) | Reporting::Off => return Freshness::Unwatched,
            Reporting::Unsupported => return Freshness::Unwatchable,
        };
        match table.watch(target) {
            Ok(handle) => Freshness::Watched(handle),
            Err(PathError::Watch(WatchError::Unsupported(_))) => Freshness::Unwatchable,
            Err(PathError::Watch(WatchError::Exhausted)) => {
                self.retry = tick.saturating_add(RETRY_TICKS);
                if self.shortage == Shortage::Never {
                    self.shortage = Shortage::Unreported;
                }
                Freshness::Unwatched
            }
            Err(PathError::Unreachable) => Freshness::Unwatched,
        }
    }

    /// Removes the watches that only an entry of this freshness needed. To be called once an entry is
    /// dropped.
    pub fn unwatch(&mut self, freshness: &Freshness) {
        if let (Freshness::Watched(handle), Reporting::On(table)) = (freshness, &mut self.reporting) {
            table.unwatch(handle);
        }
    }

    /// Number of watches.
    pub fn count(&self) -> usize {
        if let Reporting::On(table) = &self.reporting { table.len() } else { 0 }
    }

    /// True once in the life of the worker: in the first call after watches ran out.
    pub fn take_shortage(&mut self) -> bool {
        let is_new = self.shortage == Shortage::Unreported;
        if is_new {
            self.shortage = Shortage::Reported;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::store::directory::FilePath;
    use crate::store::open;
    use crate::sys::file::{LinkPolicy, Root};

    #[test]
    fn an_entry_is_fresh_for_as_long_as_its_changes_are_reported() {
        let watches = Watches::new(20);
        assert!(!watches.is_fresh(&Freshness::Unwatched, 0));
        assert!(
            watches.is_fresh(&Freshness::Unwatchable, 19) && !watches.is_fresh(&Freshness::Unwatchable, 20)
        );
        assert_eq!((watches.max_age(), Watches::new(500).max_age()), (WATCHED_TICKS, 500));
    }

    #[test]
    fn nothing_is_watched_before_the_start_or_where_every_request_opens_its_path() {
        let tree = Tree::new("unwatched");
        let mut watches = Watches::new(0);
        watches.start(10).unwrap();
        assert!(matches!(tree.watch(&mut watches, b"a"), Freshness::Unwatched));
        assert_eq!((watches.count(), watches.take_shortage()), (0, false));
    }

    #[test]
    fn a_change_is_reported_once_and_ends_the_watches() {
        let tree = Tree::new("changed");
        let mut watches = Watches::new(10);
        if watches.start(10).is_err() {
            return;
        }
        let Freshness::Watched(_) = tree.watch(&mut watches, b"a") else { return };
        // The root, the directory and the file.
        assert_eq!(watches.count(), 3);
        let other = tree.watch(&mut watches, b"b");
        assert_eq!(watches.count(), 4, "entries in one directory share its watches");
        fs::write(tree.0.join("d/a"), "new").unwrap();
        assert_eq!(watches.changed().unwrap(), ChangedEntries { keys: vec![b"a"[..].into()], all: false });
        assert_eq!(watches.count(), 3);
        watches.unwatch(&other);
        assert_eq!(watches.count(), 0);
        // The ends of the watches are events too.
        assert!(watches.changed().is_none_or(|changed| changed == ChangedEntries::default()));
    }

    #[test]
    fn names_of_variants_are_watched_beside_files_that_may_have_them() {
        let tree = Tree::new("variants");
        let mut watches = Watches::new(10);
        if watches.start(10).is_err() {
            return;
        }
        let at = |name: &str| tree.0.join("d").join(name);
        let plain = tree.watch(&mut watches, b"b");
        let changes: [(&str, &dyn Fn()); 6] = [
            ("appears", &|| fs::write(at("a.gz"), "1").unwrap()),
            ("is written", &|| fs::write(at("a.gz"), "2").unwrap()),
            ("is renamed away", &|| fs::rename(at("a.gz"), at("other")).unwrap()),
            ("is linked", &|| std::os::unix::fs::symlink("other", at("a.br")).unwrap()),
            ("is written behind a link", &|| fs::write(at("other"), "3").unwrap()),
            ("is removed", &|| fs::remove_file(at("a.br")).unwrap()),
        ];
        for (what, change) in changes {
            let Freshness::Watched(_) = tree.watch_forms(&mut watches, b"a", true) else { panic!("{what}") };
            fs::write(at("b.gz"), "a name that matters to no entry").unwrap();
            fs::remove_file(at("b.gz")).unwrap();
            assert!(watches.changed().is_none_or(|changed| changed == ChangedEntries::default()), "{what}");
            change();
            let keys = watches.changed().unwrap().keys;
            assert_eq!(keys, [b"a"[..].into()], "{what}");
        }
        watches.unwatch(&plain);
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn what_obstructs_a_variant_is_not_watched() {
        let tree = Tree::new("obstructed");
        let mut watches = Watches::new(10);
        if watches.start(10).is_err() {
            return;
        }
        fs::create_dir(tree.0.join("d/a.br")).unwrap();
        assert!(matches!(tree.watch_forms(&mut watches, b"a", true), Freshness::Unwatched));
        std::os::unix::fs::symlink("nowhere", tree.0.join("d/b.br")).unwrap();
        assert!(matches!(tree.watch_forms(&mut watches, b"b", true), Freshness::Unwatched));
        assert_eq!(watches.count(), 0);
    }

    #[test]
    fn running_out_of_watches_is_reported_once() {
        let tree = Tree::new("shortage");
        let mut watches = Watches::new(10);
        if watches.start(2).is_err() {
            return;
        }
        assert!(matches!(tree.watch(&mut watches, b"a"), Freshness::Unwatched));
        assert_eq!((watches.count(), watches.take_shortage(), watches.take_shortage()), (0, true, false));
    }

    /// A directory with the files `d/a` and `d/b`, removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let path = std::env::temp_dir().join(format!("freshness-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("d")).unwrap();
            fs::write(path.join("d/a"), "a").unwrap();
            fs::write(path.join("d/b"), "b").unwrap();
            Tree(path)
        }

        /// Watches a file for an entry of its name.
        fn watch(&self, watches: &mut Watches, name: &[u8]) -> Freshness {
            self.watch_forms(watches, name, false)
        }

        /// The same, with its variants if they are asked for.
        fn watch_forms(&self, watches: &mut Watches, name: &[u8], with_variants: bool) -> Freshness {
            let path = [b"d/", name].concat();
            let root = Root::open(&self.0).unwrap();
            let links = LinkPolicy::Inside;
            let file_path = FilePath { path: &path, index: None, links };
            let forms = open::open(&root, &file_path, with_variants).unwrap();
            let (path, forms) = (&path, &forms);
            let target = WatchTarget { root_number: 0, root: &root, path, links, key: name, forms };
            watches.watch(&target, 1)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
