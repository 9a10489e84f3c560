//! What a store knows, behind its lock: the roots, the cache, and the watches that report changes.
//!
//! [`StoreState::get`] has the steps that the head of `mod.rs` numbers. **Invariant:** nothing here waits for
//! a client or gives way to another coroutine, because the lock is held.

use std::sync::Arc;

use crate::background::Background;
use crate::compression::is_compressible;
use crate::config::Settings;
use crate::http::compressed_type::is_compressed;
use crate::http::content_coding::ContentCoding;
use crate::http::mime::Types;
use crate::metrics::Row;
use crate::store::cache::{Cached, Key};
use crate::store::compressed_cache::CompressedCache;
use crate::store::description::Description;
use crate::store::directory::{Directory, FilePath};
use crate::store::entry::Entry;
use crate::store::freshness::{Freshness, WatchTarget};
use crate::store::lookup::{Cold, Lookup};
use crate::store::lookup_jobs::LookupJobs;
use crate::store::open::{self, Miss, parent_of};
use crate::store::open_forms::OpenForms;
use crate::store::root::{ContentRoot, RootDirectory};
use crate::store::variant_names::VariantDirectories;
use crate::store::watched_cache::WatchedCache;
use crate::sys::file;
use crate::sys::filesystem::FileSystemClass;
use crate::time::{Now, TICK_MS};

/// How often a tick opens the path of a local root: every second, whatever `--cache-valid` says. A request
/// opens it after `--cache-valid` if that is shorter.
pub const ROOT_TICKS: u32 = 1000 / TICK_MS;

/// A file is watched at its third request, the second that opens it again. A watch costs about as much as
/// opening twice, and a site of more files than the cache holds would have most of them watched in vain.
pub(super) const CHECKS_BEFORE_WATCH: u32 = 2;

/// What a store knows.
pub struct StoreState {
    /// The site's own root, and then those that locations have of their own.
    pub roots: Vec<ContentRoot>,
    /// The entries that are ready.
    pub cache: WatchedCache,
    /// How often descriptors or memory have run out.
    pub exhaustion: Exhaustion,
    types: Types,
    /// How many ticks a root serves requests without opening its path.
    root_ticks: u32,
    /// The lookups that jobs are making.
    pub(super) lookups: LookupJobs,
    /// The names of variants in directories.
    variant_directories: VariantDirectories,
    /// What was compressed while serving.
    pub(super) compressed: CompressedCache,
    /// Who does jobs.
    pub(super) background: &'static Background,
    /// False where the kernel can't look up names without a wait; then local disks are waited for.
    cached_lookups: bool,
    metrics: Row,
}

/// Requests whose file could not be opened because descriptors or memory had run out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exhaustion {
    /// Answered from a cached entry whose path could not be opened again.
    pub stale: u64,
    /// Answered with 503.
    pub refused: u64,
}

impl StoreState {
    /// A store of these roots, with nothing cached and nothing watched.
    pub fn new(
        settings: &Settings,
        roots: Vec<ContentRoot>,
        metrics: Row,
        background: &'static Background,
    ) -> StoreState {
        let valid_ticks = settings.cache_valid.as_millis() / u128::from(TICK_MS);
        let valid_ticks = u32::try_from(valid_ticks).unwrap_or(u32::MAX);
        StoreState {
            roots,
            cache: WatchedCache::new(settings, valid_ticks),
            exhaustion: Exhaustion::default(),
            types: Types::new(&settings.types),
            root_ticks: valid_ticks.min(ROOT_TICKS),
            lookups: LookupJobs::default(),
            variant_directories: VariantDirectories::default(),
            compressed: CompressedCache::new(settings.compress_cache, metrics),
            background,
            cached_lookups: file::kernel_has_cached_lookups(),
            metrics,
        }
    }

    /// The entry of `key`, without a wait for a disk. Inlined, because every request comes here.
    #[inline(always)]
    pub fn get(&mut self, key: Key<'_>, directory: &Directory, now: Now) -> Lookup {
        // 1. Changes.
        self.take_changes();
        // 2. The root.
        self.follow_root(directory.root, self.root_ticks, now);
        // 3. The cache.
        if let Some(entry) = self.cache.fresh(key, now) {
            self.metrics.cache_hit();
            return Lookup::Ready(Ok(entry));
        }
        self.look_up(key, directory, now)
    }

    /// [`StoreState::get`] after a wait: the root's path is not opened once more, but what a job has found
    /// there is taken.
    pub fn get_beneath_root(&mut self, key: Key<'_>, directory: &Directory, now: Now) -> Lookup {
        self.take_changes();
        self.follow_root(directory.root, u32::MAX, now);
        match self.cache.fresh(key, now) {
            Some(entry) => Lookup::Ready(Ok(entry)),
            None => self.look_up_beneath(key, directory, now),
        }
    }

    /// Takes up what was compressed.
    pub fn take_compressed(&mut self) {
        self.compressed.take_done(self.background);
    }

    /// Steps 4 and 5, after the job that opens the root's path, if one is under way.
    #[inline(never)]
    fn look_up(&mut self, key: Key<'_>, directory: &Directory, now: Now) -> Lookup {
        if let Some(job) = self.roots[directory.root].directory().and_then(RootDirectory::reopening) {
            return Lookup::Cold(Cold::Root(job.clone()));
        }
        self.look_up_beneath(key, directory, now)
    }

    /// Steps 4 and 5.
    fn look_up_beneath(&mut self, key: Key<'_>, directory: &Directory, now: Now) -> Lookup {
        match &self.roots[directory.root] {
            ContentRoot::Directory(_) => {}
            ContentRoot::Welcome(entry) => {
                let is_page = key.path.is_empty();
                return Lookup::Ready(is_page.then(|| Arc::clone(entry)).ok_or(Miss::NotFound));
            }
        }
        self.metrics.cache_miss();
        let description = self.describe(key, directory, now);
        // 4. The file.
        match self.open(key, directory, &description) {
            None => Lookup::Cold(Cold::Open),
            Some(Err(miss)) => Lookup::Ready(Err(miss)),
            Some(Ok(Opened::Stale(entry))) => Lookup::Ready(Ok(entry)),
            // 5. The entry of it.
            Some(Ok(Opened::Forms(open))) => match self.load(key, directory, open, description) {
                Ok(lookup) => lookup,
                Err(_) => Lookup::Ready(Err(Miss::Failed)),
            },
        }
    }

    /// Drops the entries that have changed. Costs one atomic load if nothing has changed.
    #[inline]
    pub fn take_changes(&mut self) {
        self.cache.drop_changed();
    }

    /// Opens the path of a root again, unless that was done in the last `period` ticks. Where another
    /// directory has become the root (a deployment that switches a link), its entries are dropped.
    #[inline]
    pub fn follow_root(&mut self, root: usize, period: u32, now: Now) {
        if let ContentRoot::Directory(directory) = &mut self.roots[root]
            && directory.follow((root, period), now, self.background)
        {
            self.cache.remove_of_root(root);
        }
    }

    /// Step 4. Opens the file of `key` and its variants; `None` if that may take a wait. If descriptors or
    /// memory have run out, a stale entry is returned, for up to 10 s. Without one, the cache closes its
    /// files and the open is tried again.
    fn open(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        description: &Description,
    ) -> Option<Result<Opened, Miss>> {
        let path = directory.file_path(key);
        let is_known = self.cache.lookup(key).is_some();
        let mut opened = self.open_beneath(&path, description, is_known)?;
        if matches!(opened, Err(Miss::Exhausted)) {
            if let Some(entry) = self.stale(key, description.now) {
                return Some(Ok(Opened::Stale(entry)));
            }
            opened = self.open_beneath(&path, description, is_known)?;
            self.exhaustion.refused += u64::from(matches!(opened, Err(Miss::Exhausted)));
        }
        if opened.is_err() {
            self.remove_missing(key);
        }
        Some(opened.map(Opened::Forms))
    }

    /// The stale entry of `key`, because descriptors or memory have run out. Without one, the cache closes
    /// its files: it holds descriptors that no client waits for.
    pub(super) fn stale(&mut self, key: Key<'_>, now: Now) -> Option<Arc<Entry>> {
        let stale = self.cache.stale(key, now);
        if stale.is_some() {
            self.exhaustion.stale += 1;
            self.metrics.cache_stale();
        } else {
            self.cache.close_files();
        }
        stale
    }

    /// Drops the entry of what is not there any more. An entry of the other kind stays: `/x/` may be
    /// requested where `/x` is a file.
    pub(super) fn remove_missing(&mut self, key: Key<'_>) {
        if self.cache.lookup(key).is_some() {
            self.cache.remove(key.path);
        }
    }

    /// Opens a file and its variants; `None` if that may take a wait. `is_known` says that the path was
    /// opened before.
    fn open_beneath(
        &mut self,
        path: &FilePath<'_>,
        description: &Description,
        is_known: bool,
    ) -> Option<Result<OpenForms, Miss>> {
        let Some(RootDirectory { root, class, .. }) = self.roots[description.root].directory() else {
            return Some(Err(Miss::NotFound));
        };
        let with_variants = description.with_variants;
        if !self.background.has_disk_threads() {
            return Some(open::open(root, path, with_variants));
        }
        let cached = match class {
            // Nothing there is ever on a disk, but the kernel does not say so of names that are missing.
            FileSystemClass::Memory => false,
            FileSystemClass::Probed | FileSystemClass::Unprobed => self.cached_lookups,
            FileSystemClass::HalfProbed if is_known => self.cached_lookups,
            FileSystemClass::HalfProbed | FileSystemClass::Remote => return None,
        };
        let directories = with_variants.then_some(&mut self.variant_directories);
        let opened = open::open_on_mount(root, (*class, cached), path, directories);
        if self.variant_directories.has_wanted() {
            let full = path.full();
            let (root, parent) = ((root, description.root), (parent_of(&full), path.links));
            self.variant_directories.read_wanted(root, parent, self.background);
        }
        opened
    }

    /// Step 5. The entry of a file that was just opened: the cached one if it still has the same content,
    /// else a new one.
    fn load(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        open: OpenForms,
        description: Description,
    ) -> std::io::Result<Lookup> {
        let now = description.now;
        let (checks, is_unwatched) = match self.cache.lookup(key) {
            Some(cached) => {
                (cached.checks.saturating_add(1), matches!(cached.freshness, Freshness::Unwatched))
            }
            None => (0, true),
        };
        let mut freshness = None;
        if is_unwatched && checks >= CHECKS_BEFORE_WATCH {
            freshness = self.watch(key, directory, &open, now);
            // It may have changed before it was watched.
            if !open.is_unchanged() {
                self.cache.unwatch(&freshness);
                freshness = None;
            }
        }
        if let Some(cached) = self.cache.lookup(key)
            && cached.entry.is_same(&open)
        {
            cached.entry.confirm(now);
            cached.checks = checks;
            cached.freshness = freshness.unwrap_or_else(|| std::mem::take(&mut cached.freshness));
            return Ok(Lookup::Ready(Ok(Arc::clone(&cached.entry))));
        }
        let waits = self.background.has_disk_threads() && open.identity.class != FileSystemClass::Memory;
        let loaded = match waits {
            true => Entry::load_cached(open, description),
            false => Entry::load(open, description).map(Ok),
        };
        match loaded {
            Ok(Ok(entry)) => {
                let entry = Arc::new(entry);
                let freshness = freshness.unwrap_or_default();
                self.cache.insert(key, Cached { entry: Arc::clone(&entry), freshness, checks });
                Ok(Lookup::Ready(Ok(entry)))
            }
            // The entry is watched once a later request finds it unchanged.
            Ok(Err(open)) => {
                self.cache.unwatch(&freshness);
                // Many jobs may wait, each with a descriptor at most.
                let is_one = open.variants.is_empty();
                Ok(Lookup::Cold(if is_one { Cold::Load(open) } else { Cold::Open }))
            }
            Err(error) => {
                self.cache.unwatch(&freshness);
                Err(error)
            }
        }
    }

    /// What the entry of a key has beside its file.
    pub(super) fn describe(&self, key: Key<'_>, directory: &Directory, now: Now) -> Description {
        let path = directory.file_path(key);
        let name = path.index.unwrap_or(path.path);
        let content_type = directory.policy.content_type(self.types.of(name));
        let cache_control = directory.policy.caching.of_file(name, &content_type);
        Description {
            with_variants: directory.precompressed && may_have_variants(name, &content_type),
            compress: directory.compress && is_compressible(&content_type),
            content_type,
            is_index: path.index.is_some(),
            root: directory.root,
            background: Some(self.background),
            etag: directory.policy.etag,
            cache_control,
            now,
        }
    }

    /// Watches a file that was just opened, its variants, and the path to them.
    pub(super) fn watch(
        &mut self,
        key: Key<'_>,
        directory: &Directory,
        forms: &OpenForms,
        now: Now,
    ) -> Option<Freshness> {
        let root = self.roots[directory.root].directory()?;
        let target = WatchTarget {
            root_number: directory.root,
            root: &root.root,
            links: directory.policy.links,
            path: &directory.file_path(key).full(),
            key: key.path,
            forms,
        };
        Some(self.cache.watch(&target, now))
    }

    /// The directories among the roots.
    pub fn directories(&mut self) -> impl Iterator<Item = &mut RootDirectory> {
        self.roots.iter_mut().filter_map(ContentRoot::directory_mut)
    }
}

/// What opening a file came to.
enum Opened {
    Forms(OpenForms),
    Stale(Arc<Entry>),
}

/// False if a file of this name and media type has no variants that are worth a look: it is compressed, or is
/// such a variant itself.
fn may_have_variants(name: &[u8], media_type: &str) -> bool {
    let is_variant = ContentCoding::ALL.iter().any(|coding| name.ends_with(coding.suffix().as_bytes()));
    !is_variant && !is_compressed(media_type)
}
