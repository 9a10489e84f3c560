//! `_redirects` and `_headers` in the root of a host: their rules, kept current.
//!
//! The start of a worker reads them. From then on a request that finds them unchecked for a second has a
//! background thread look at them, and waits for it; others go on with the rules of before meanwhile. So
//! rules are at most a second old, and a job longer. One worker also looks every second without a request,
//! and logs what is not understood.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rule_file::RuleFile;
use crate::background::{JobHandle, JobOrder, JobOutcome, JobWaiter};
use crate::metrics::job_kind::JobKind;
use crate::routing::header_rules::HeaderRules;
use crate::routing::headers_file::HeadersFile;
use crate::routing::redirects_file::RedirectsFile;
use crate::routing::rule_table::RuleTable;
use crate::routing::text_lines::MAX_BYTES;
use crate::store::Store;
use crate::store::site_file;
use crate::sys::file::Root;
use crate::time::{Now, TICK_MS};

/// The file of redirects and rewrites.
const REDIRECTS: &str = "_redirects";

/// The file of header rules.
const HEADERS: &str = "_headers";

/// How long rules serve without a look at their files.
const VALID_TICKS: u32 = 1000 / TICK_MS;

/// The files of one root.
#[derive(Debug)]
pub struct SiteFiles {
    /// The number of the root.
    root: usize,
    /// The roots that lead to it, each with where it is beneath them.
    shown: Vec<(usize, Vec<u8>)>,
    state: Mutex<FilesState>,
}

/// The path of a root.
#[derive(Debug)]
pub struct ConfiguredRoot {
    written: PathBuf,
    /// Without links, if it could be looked up.
    real: Option<PathBuf>,
}

/// The rules of both files.
#[derive(Clone, Debug, Default)]
pub struct SiteFileRules {
    /// Those of `_redirects`, if it has any.
    pub routes: Option<Arc<RuleTable>>,
    /// Those of `_headers`.
    pub headers: Arc<HeaderRules>,
}

#[derive(Default)]
struct FilesState {
    current: FileVersions,
    /// The tick of the last look.
    checked: u32,
    /// The look that is under way.
    job: Option<JobHandle<FileVersions>>,
    /// What no log has yet.
    warnings: Vec<String>,
}

impl std::fmt::Debug for FilesState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilesState").field("checked", &self.checked).finish_non_exhaustive()
    }
}

/// Rules, and the files that they were read from.
#[derive(Clone, Default)]
struct FileVersions {
    rules: Arc<SiteFileRules>,
    redirects: RuleFile,
    headers: RuleFile,
    /// What no log has yet, as lines of it.
    warnings: Vec<String>,
}

impl SiteFiles {
    /// The files in the root with this number, not read yet. `paths` are those of all roots, by their number.
    pub fn new(root: usize, paths: &HashMap<usize, ConfiguredRoot>) -> SiteFiles {
        let mut shown = vec![(root, Vec::new())];
        for (&other, path) in paths.iter().filter(|(other, _)| **other != root) {
            let beneath = paths.get(&root).and_then(|root| root.beneath(path));
            shown.extend(beneath.map(|folder| (other, folder.into_os_string().into_encoded_bytes())));
        }
        SiteFiles { root, shown, state: Mutex::default() }
    }

    /// True if a file beneath this root is none for clients: the same directory may have several numbers, and
    /// be beneath another root.
    pub fn hides(&self, root: usize, file: &[u8]) -> bool {
        let names = [REDIRECTS.as_bytes(), HEADERS.as_bytes()];
        let Some(folder) = names.iter().find_map(|name| file.strip_suffix(*name)) else { return false };
        let folder = match folder {
            [folder @ .., b'/'] => folder,
            [] => folder,
            _ => return false,
        };
        self.shown.iter().any(|(number, path)| *number == root && path == folder)
    }

    /// The rules, as of at most a second ago. `now` becomes the time after a wait.
    pub fn rules(&self, store: &Store, now: &mut Now, waiter: &mut dyn JobWaiter) -> Arc<SiteFileRules> {
        if let Some(job) = self.begin(store, *now)
            && let Ok(after) = waiter.wait(job.completion())
        {
            *now = after;
            self.lock().take_done();
        }
        Arc::clone(&self.lock().current.rules)
    }

    /// Reads the files at once. To be called before anything is served.
    pub fn load(&self, store: &Store) {
        let Some((root, path)) = store.root_and_path(self.root) else { return };
        let known = self.lock().current.clone();
        let found = look(&root, &path, &known);
        self.lock().take(found);
    }

    /// Takes what the last look has found, and begins the next one if it is due.
    pub fn follow(&self, store: &Store, now: Now) {
        drop(self.begin(store, now));
    }

    fn begin(&self, store: &Store, now: Now) -> Option<JobHandle<FileVersions>> {
        let mut state = self.lock();
        state.take_done();
        if state.job.is_some() || now.tick.wrapping_sub(state.checked) < VALID_TICKS {
            return None;
        }
        state.checked = now.tick;
        let (root, path) = store.root_and_path(self.root)?;
        let known = state.current.clone();
        let background = store.background;
        let job = if background.has_disk_threads() {
            let work = move || look(&root, &path, &known);
            // Without a place in the queue the rules of before go on for another second.
            background.submit_disk(JobKind::Open, (self.root, JobOrder::First), work).ok()?
        } else {
            let (other_root, other_path, other_known) = (Arc::clone(&root), path.clone(), known.clone());
            let work = move || look(&other_root, &other_path, &other_known);
            let Ok(job) = background.submit_cpu(JobKind::Open, work) else {
                // There are no threads at all.
                state.take(look(&root, &path, &known));
                return None;
            };
            job
        };
        state.job = Some(job.clone());
        Some(job)
    }

    /// What is not understood since the last call, as lines of the log.
    pub fn take_warnings(&self) -> Vec<String> {
        let mut state = self.lock();
        state.take_done();
        std::mem::take(&mut state.warnings)
    }

    fn lock(&self) -> MutexGuard<'_, FilesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FilesState {
    /// Takes the result of a job that is done.
    fn take_done(&mut self) {
        let Some(job) = &self.job else { return };
        let found = match job.outcome() {
            None => return,
            Some(JobOutcome::Result(found)) => Some(found.clone()),
            Some(JobOutcome::Panicked | JobOutcome::Dropped) => None,
        };
        self.job = None;
        if let Some(found) = found {
            self.take(found);
        }
    }

    fn take(&mut self, mut found: FileVersions) {
        self.warnings.append(&mut found.warnings);
        self.current = found;
    }
}

impl ConfiguredRoot {
    /// A path of the settings. Looks where its links lead now.
    pub fn of(written: PathBuf) -> ConfiguredRoot {
        ConfiguredRoot { real: written.canonicalize().ok(), written }
    }

    /// Where this directory is beneath another one: as the settings write them, or else where their links
    /// lead.
    fn beneath(&self, other: &ConfiguredRoot) -> Option<PathBuf> {
        let written = self.written.strip_prefix(&other.written).ok();
        let real = || self.real.as_ref()?.strip_prefix(other.real.as_ref()?).ok();
        written.or_else(real).map(Path::to_owned)
    }
}

/// Looks at both files, and reads what has changed.
fn look(root: &Root, path: &Path, known: &FileVersions) -> FileVersions {
    let mut found = known.clone();
    let read =
        |name: &str, known: &RuleFile| site_file::read(root, name.as_bytes(), known.stamp(), MAX_BYTES);
    let mut rules = SiteFileRules::clone(&known.rules);
    let redirects = read(REDIRECTS, &known.redirects);
    let warnings = &mut found.warnings;
    found.redirects.take(redirects, &path.join(REDIRECTS), warnings, |bytes| {
        let (routes, unknown) = RedirectsFile::parse(bytes).table();
        rules.routes = routes.map(Arc::new);
        unknown
    });
    let headers = read(HEADERS, &known.headers);
    found.headers.take(headers, &path.join(HEADERS), warnings, |bytes| {
        let parsed = HeadersFile::parse(bytes);
        rules.headers = Arc::new(parsed.rules);
        parsed.unknown
    });
    found.rules = Arc::new(rules);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_hidden_beneath_each_root_that_leads_to_them() {
        let paths = ["/srv/w", "/srv/w", "/srv", "/srv/w/sub", "/other"];
        let paths: HashMap<usize, ConfiguredRoot> =
            paths.iter().map(|path| ConfiguredRoot::of(path.into())).enumerate().collect();
        let files = SiteFiles::new(0, &paths);
        for (root, file, expected) in [
            (0, "_redirects", true),
            (0, "_headers", true),
            (0, "x_headers", false),
            (0, "a/_headers", false),
            (0, "_headers/a", false),
            (1, "_headers", true),
            (2, "w/_headers", true),
            (2, "_headers", false),
            (2, "w_headers", false),
            (3, "_headers", false),
            (4, "_headers", false),
        ] {
            assert_eq!(files.hides(root, file.as_bytes()), expected, "{root} {file}");
        }
        // Links and such are followed.
        let directory = std::env::temp_dir().join(format!("mayhttpd-site-files-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("a")).unwrap();
        std::os::unix::fs::symlink("a", directory.join("b")).unwrap();
        let paths = HashMap::from([
            (0, ConfiguredRoot::of(directory.join("a"))),
            (1, ConfiguredRoot::of(directory.join("b"))),
        ]);
        assert!(SiteFiles::new(0, &paths).hides(1, b"_headers"));
        std::fs::remove_dir_all(directory).unwrap();
    }
}
