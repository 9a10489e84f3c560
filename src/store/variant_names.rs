//! The names of variants in the directories that files are looked up in.
//!
//! The kernel can't say without a look at the disk that a name is missing, unless it has looked before. So
//! the first lookup of each file would take a job for the variants that it does not have. Instead a job reads
//! the names of a directory after several lookups there.
//!
//! **Invariant:** names count for one version of their directory: device and inode number, and both times. A
//! name that comes or goes makes another version; a directory that has just changed is not read.

use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lru::LruCache;

use crate::background::{Background, Job, JobOrder, JobOutcome};
use crate::http::content_coding::ContentCoding;
use crate::metrics::job_kind::JobKind;
use crate::sys::file::{self, LinkPolicy, Root, Stamp};
use crate::sys::timer;

/// The most directories that are known.
const MAX_DIRECTORIES: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// The most names of variants of one directory. One with more is looked up name by name.
const MAX_NAMES: usize = 1024;

/// The most names of variants of all directories, which take some 6 MB.
const MAX_NAMES_IN_ALL: usize = 65_536;

/// The most directories whose names are being read, or have been and were not taken up.
const MAX_UNDER_WAY: usize = 16;

/// The most names of any kind that are read: about a tenth of a second.
const MAX_READ: usize = 200_000;

/// How many lookups there are in a version of a directory before its names are read.
const LOOKUPS: u32 = 4;

/// How much longer than a read of its names took a directory is not read again: one that changes all the time
/// costs a thread 1 % of its time.
const PAUSE: u32 = 100;

/// When a directory that could not be read is tried again.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(10);

/// Bytes of names that are read at once.
const BUFFER: usize = 32 << 10;

/// The names of the directories of one worker.
pub struct VariantDirectories {
    known: LruCache<(u64, u64), KnownDirectory>,
    /// Names of variants in all of these.
    names: usize,
    under_way: HashMap<(u64, u64), Arc<Job<Option<DirectoryNames>>>>,
    /// A directory whose names are to be read.
    wanted: Option<(u64, u64)>,
}

/// What is known of a directory.
struct KnownDirectory {
    stamp: Stamp,
    /// The names of variants, in lower case; `None` if they are not known.
    names: Option<Arc<HashSet<Box<[u8]>>>>,
    /// Lookups of files there since its names were not known.
    lookups: u32,
    /// When its names may be read, on the monotonic clock.
    not_before: Duration,
}

/// The names of variants that a job has read.
struct DirectoryNames {
    stamp: Stamp,
    /// `None` if there are too many, or the directory changed.
    names: Option<Arc<HashSet<Box<[u8]>>>>,
    took: Duration,
}

/// Which names of variants there are in a directory.
pub struct ListedVariants<'a>(&'a HashSet<Box<[u8]>>);

impl KnownDirectory {
    fn count(&self) -> usize {
        self.names.as_ref().map_or(0, |names| names.len())
    }
}

impl ListedVariants<'_> {
    /// False if there is certainly no file of this name. Some file systems tell no capitals from small
    /// letters, so neither does this.
    pub fn may_have(&self, name: &[u8]) -> bool {
        !name.is_ascii() || self.0.contains(&*name.to_ascii_lowercase())
    }
}

impl Default for VariantDirectories {
    fn default() -> VariantDirectories {
        let (known, under_way) = (LruCache::new(MAX_DIRECTORIES), HashMap::new());
        VariantDirectories { known, names: 0, under_way, wanted: None }
    }
}

impl VariantDirectories {
    /// Which variants there are in a directory that has this stamp now, if that is known. If not, its names
    /// may be worth a [`VariantDirectories::read_wanted`].
    #[inline(never)]
    pub fn of(&mut self, stamp: &Stamp) -> Option<ListedVariants<'_>> {
        self.take_done();
        let is_read = self.under_way.contains_key(&stamp.identity) || self.under_way.len() >= MAX_UNDER_WAY;
        let known = self.known.peek(&stamp.identity);
        if known.is_none_or(|directory| directory.stamp != *stamp) {
            let not_before = known.map_or(Duration::ZERO, |directory| directory.not_before);
            self.put(KnownDirectory { stamp: *stamp, names: None, lookups: 0, not_before });
        }
        let directory = self.known.get_mut(&stamp.identity)?;
        if directory.names.is_none() {
            directory.lookups = directory.lookups.saturating_add(1);
            let is_wanted = !is_read
                && directory.lookups >= LOOKUPS
                && timer::monotonic() >= directory.not_before
                && stamp.shows_changes(SystemTime::now());
            self.wanted = is_wanted.then_some(stamp.identity);
        }
        directory.names.as_deref().map(ListedVariants)
    }

    /// True if the names of the directory that was asked for last are to be read.
    pub fn has_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Has a background thread read the names in the directory that was asked for last, at `path` beneath a
    /// root, if that is worth it.
    pub fn read_wanted(
        &mut self,
        (root, number): (&Arc<Root>, usize),
        (path, links): (&[u8], LinkPolicy),
        background: &Background,
    ) {
        let Some(identity) = self.wanted.take() else { return };
        let (root, path) = (Arc::clone(root), path.to_vec());
        let work = move || read(&root, &path, links);
        // A full line is no fault: a later lookup asks again.
        if let Ok(handle) = background.submit_disk(JobKind::Open, (number, JobOrder::InTurn), work) {
            let job = handle.job();
            handle.detach();
            self.under_way.insert(identity, job);
        }
    }

    /// Knows the names of variants in the directory that has this stamp.
    #[cfg(test)]
    pub fn know(&mut self, stamp: Stamp, names: &[&str]) {
        let names = names.iter().map(|name| name.as_bytes().into());
        let names = Some(Arc::new(names.collect::<HashSet<Box<[u8]>>>()));
        self.put(KnownDirectory { stamp, names, lookups: 0, not_before: Duration::ZERO });
    }

    /// Takes up what jobs have read.
    fn take_done(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let now = timer::monotonic();
        let done = self.under_way.extract_if(|_, job| job.is_done()).collect::<Vec<_>>();
        for (identity, job) in done {
            if let Some(JobOutcome::Result(Some(DirectoryNames { stamp, names, took }))) = job.outcome() {
                let (stamp, names, not_before) = (*stamp, names.clone(), now + *took * PAUSE);
                self.put(KnownDirectory { stamp, names, lookups: 0, not_before });
            } else if let Some(directory) = self.known.get_mut(&identity) {
                // It could not be read.
                directory.not_before = now + UNREADABLE_PAUSE;
            }
        }
    }

    /// Keeps what is known of a directory. Those that were not asked for longest leave.
    fn put(&mut self, directory: KnownDirectory) {
        self.names += directory.count();
        let left = self.known.push(directory.stamp.identity, directory);
        self.names -= left.map_or(0, |(_, left)| left.count());
        while self.names > MAX_NAMES_IN_ALL
            && let Some((_, left)) = self.known.pop_lru()
        {
            self.names -= left.count();
        }
    }
}

/// Reads the names of variants in a directory. May wait for a disk.
fn read(root: &Root, path: &[u8], links: LinkPolicy) -> Option<DirectoryNames> {
    let began = timer::monotonic();
    let directory = root.beneath(links).open(path).ok()?;
    let (_, stamp) = file::stat(directory.as_fd()).ok()?;
    let shows_changes = stamp.shows_changes(SystemTime::now());
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let (mut names, mut count, mut is_plain) = (HashSet::new(), 0, true);
    let is_variant =
        |name: &[u8]| ContentCoding::ALL.iter().any(|coding| ends_with(name, coding.suffix().as_bytes()));
    loop {
        let more = file::entries(directory.as_fd(), &mut buffer, |name, _| {
            count += 1;
            if is_variant(name) {
                // What such a name is called beside it is for the file system to say.
                is_plain &= name.is_ascii();
                names.insert(name.to_ascii_lowercase().into_boxed_slice());
            }
        });
        if count > MAX_READ || names.len() > MAX_NAMES {
            is_plain = false;
            break;
        }
        if !more.ok()? {
            break;
        }
    }
    let (_, after) = file::stat(directory.as_fd()).ok()?;
    let is_known = shows_changes && is_plain && after == stamp;
    let took = timer::monotonic().saturating_sub(began);
    Some(DirectoryNames { stamp, names: is_known.then(|| Arc::new(names)), took })
}

fn ends_with(name: &[u8], suffix: &[u8]) -> bool {
    name.len() >= suffix.len() && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;
    use crate::metrics::Row;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A directory of its own, beneath a root.
    struct Place {
        path: PathBuf,
        root: Arc<Root>,
        background: Background,
        directories: VariantDirectories,
    }

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("mayhttpd-names-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("sub")).unwrap();
            let root = Arc::new(Root::open(&path).unwrap());
            let background = Background::start(1, 1, Row::alone().unwrap()).unwrap();
            Place { path, root, background, directories: VariantDirectories::default() }
        }

        fn stamp(&self) -> Stamp {
            self.root.stat_beneath(b"sub").unwrap().1
        }

        /// What is known of these names, after one more lookup.
        fn look_up(&mut self, names: &[&str]) -> Option<Vec<bool>> {
            let stamp = self.stamp();
            let listed = self.directories.of(&stamp);
            let found =
                listed.map(|listed| names.iter().map(|name| listed.may_have(name.as_bytes())).collect());
            let parent = (&b"sub"[..], LinkPolicy::Inside);
            self.directories.read_wanted((&self.root, 0), parent, &self.background);
            found
        }

        /// The same, once something is known.
        #[track_caller]
        fn known(&mut self, names: &[&str]) -> Vec<bool> {
            let start = Instant::now();
            loop {
                if let Some(found) = self.look_up(names) {
                    return found;
                }
                assert!(start.elapsed() < DEADLINE, "nothing is known");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    #[test]
    fn the_names_of_a_version_of_a_directory_are_read_once_several_files_were_looked_up() {
        let mut place = Place::new("once");
        for name in ["a.js", "a.js.br", "B.js.GZ", "c.js.zst", "d.br.js"] {
            fs::write(place.path.join("sub").join(name), "").unwrap();
        }
        let names = ["a.js.br", "a.js.gz", "b.js.gz", "B.JS.GZ", "c.js.zst", "d.br.js", "é.js.gz"];
        assert_eq!(place.look_up(&names), None);
        assert!(place.directories.under_way.is_empty(), "one lookup is no reason");
        let found = [true, false, true, true, true, false, true];
        assert_eq!(place.known(&names), found);
        assert_eq!(place.look_up(&names), Some(found.to_vec()));
        // A name that comes makes another version. It is not read again for a while.
        fs::write(place.path.join("sub/a.js.gz"), "").unwrap();
        assert_eq!(place.look_up(&names), None);
        assert!(place.known(&names)[1]);
        fs::remove_file(place.path.join("sub/a.js.gz")).unwrap();
        assert_eq!(place.look_up(&names), None);
        assert!(!place.known(&names)[1]);
    }

    #[test]
    fn too_many_names_and_names_in_other_letters_stay_unknown() {
        for (name, files) in [
            ("many", (0..=MAX_NAMES).map(|number| format!("{number}.gz")).collect()),
            ("letters", vec!["\u{212a}.js.gz".to_owned()]),
        ] {
            let mut place = Place::new(name);
            files.iter().for_each(|file| fs::write(place.path.join("sub").join(file), "").unwrap());
            let start = Instant::now();
            // Until a job has been done.
            while place
                .directories
                .known
                .peek(&place.stamp().identity)
                .is_none_or(|known| known.not_before.is_zero())
            {
                assert_eq!(place.look_up(&["a.gz"]), None);
                assert!(start.elapsed() < DEADLINE, "nothing was read");
            }
            assert_eq!(place.look_up(&["a.gz"]), None);
        }
    }

    #[test]
    fn reads_under_way_and_names_are_bounded() {
        let mut place = Place::new("bounded");
        let parent = (&b"sub"[..], LinkPolicy::Inside);
        let old = Stamp { identity: (9, 0), ctime: (1, 1), ..place.stamp() };
        for number in 0..100 {
            let stamp = Stamp { identity: (9, number), ..old };
            for _ in 0..LOOKUPS {
                assert!(place.directories.of(&stamp).is_none());
                place.directories.read_wanted((&place.root, 0), parent, &place.background);
            }
            assert!(place.directories.under_way.len() <= MAX_UNDER_WAY, "{number}");
        }
        let start = Instant::now();
        while !place.directories.under_way.is_empty() {
            // A look at one takes up what was read of all.
            place.directories.of(&old);
            assert!(start.elapsed() < DEADLINE, "the jobs are not done");
        }
        let names = (0..MAX_NAMES).map(|number| format!("{number}.gz").into_bytes().into());
        let names = Arc::new(names.collect::<HashSet<Box<[u8]>>>());
        for number in 0..100 {
            let stamp = Stamp { identity: (8, number), ..old };
            let names = Some(Arc::clone(&names));
            place.directories.put(KnownDirectory { stamp, names, lookups: 0, not_before: Duration::ZERO });
        }
        let kept: usize = place.directories.known.iter().map(|(_, directory)| directory.count()).sum();
        assert_eq!((kept, place.directories.names), (MAX_NAMES_IN_ALL, MAX_NAMES_IN_ALL));
    }

    #[test]
    fn a_directory_that_can_not_be_read_stays_unknown() {
        let mut place = Place::new("gone");
        let stamp = place.stamp();
        fs::remove_dir_all(place.path.join("sub")).unwrap();
        let start = Instant::now();
        while place.directories.known.peek(&stamp.identity).is_none_or(|known| known.not_before.is_zero()) {
            assert!(place.directories.of(&stamp).is_none());
            let parent = (&b"sub"[..], LinkPolicy::Inside);
            place.directories.read_wanted((&place.root, 0), parent, &place.background);
            assert!(start.elapsed() < DEADLINE, "no job was done");
        }
    }
}
