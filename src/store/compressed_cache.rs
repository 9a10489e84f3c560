//! Files that are compressed while the server runs: each content once for each coding, by background threads,
//! and kept in bounded memory.
//!
//! A content is known by its digest, so the same bytes under several names are compressed once; or by the
//! version of its file, where entity-tags are made by that. **Invariant:** no request waits here. As long as
//! there is no result, the file goes out as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use lru::LruCache;

use crate::background::{Background, Job, JobHandle, JobOrder, JobOutcome, QueueFull};
use crate::compression::{Effort, compress, most_bytes};
use crate::http::content_coding::ContentCoding;
use crate::metrics::Row;
use crate::metrics::job_kind::JobKind;
use crate::store::entry::Entry;
use crate::sys::file;
use crate::sys::filesystem::FileSystemClass;

/// Memory that a form takes beside its bytes, with its rendered fields; rounded up.
const OVERHEAD: u64 = 1 << 10;

/// The most jobs that wait or run. More are not begun, so that they leave the threads to others; the next
/// request asks again.
const MAX_UNDER_WAY: usize = 64;

/// The compressed contents of a worker.
pub struct CompressedCache {
    /// By [`Entry::content_key`].
    contents: LruCache<Box<[u8]>, Forms>,
    under_way: HashMap<(Box<[u8]>, ContentCoding), UnderWay>,
    /// Bytes of memory that the forms take.
    bytes: u64,
    /// The most of them.
    limit: u64,
    metrics: Row,
}

/// What is known of a content, for each coding that was asked for.
#[derive(Default)]
struct Forms(Vec<(ContentCoding, Form)>);

/// A content in a coding.
#[derive(Clone)]
enum Form {
    /// An entry of the compressed bytes.
    Ready(Arc<Entry>),
    /// It would save too little.
    NotWorth,
}

/// A content that is being compressed.
struct UnderWay {
    /// What is compressed.
    entry: Arc<Entry>,
    step: Step,
}

enum Step {
    /// A thread that may wait for a disk has the kernel read the file.
    Reading(Arc<Job<io::Result<()>>>),
    /// A thread compresses what is in memory by now.
    Compressing(Arc<Job<Compressed>>),
}

/// What a job came to.
enum Compressed {
    Ready(Arc<Entry>),
    NotWorth,
    /// The file could not be read, or has changed.
    Failed,
}

impl CompressedCache {
    /// An empty cache for so many bytes.
    pub fn new(limit: u64, metrics: Row) -> CompressedCache {
        CompressedCache {
            contents: LruCache::unbounded(),
            under_way: HashMap::new(),
            bytes: 0,
            limit,
            metrics,
        }
    }

    /// The form of an entry in this coding, if there is one already. Otherwise background threads make it,
    /// unless that was found not to be worth it, or too much is under way.
    pub fn get(
        &mut self,
        entry: &Arc<Entry>,
        coding: ContentCoding,
        background: &Background,
    ) -> Option<Arc<Entry>> {
        if entry.awaits_digest() {
            // The response that goes out now has the digest made.
            return None;
        }
        let mut known = self.known(entry, coding);
        if known.is_none() {
            self.take_done(background);
            known = self.known(entry, coding);
        }
        match known {
            Some(Form::Ready(form)) => {
                self.metrics.compressed_hit();
                Some(form)
            }
            Some(Form::NotWorth) => None,
            None => {
                self.begin(entry, coding, background);
                None
            }
        }
    }

    /// Takes up what jobs have come to. To be called several times a second, because results that wait are
    /// not counted. Costs nothing while no job is under way.
    pub fn take_done(&mut self, background: &Background) {
        if self.under_way.is_empty() {
            return;
        }
        let done = self.under_way.extract_if(|_, under_way| under_way.is_done()).collect::<Vec<_>>();
        for ((key, coding), UnderWay { entry, step }) in done {
            match step {
                Step::Reading(job) => {
                    // What could not be read is tried again by the next request.
                    if let Some(JobOutcome::Result(Ok(()))) = job.outcome() {
                        let job = compress_job(&entry, coding, background);
                        self.note(&entry, coding, job.map(Step::Compressing));
                    }
                }
                Step::Compressing(job) => match job.outcome() {
                    Some(JobOutcome::Result(Compressed::Ready(form))) => {
                        self.insert(key, coding, Form::Ready(Arc::clone(form)));
                    }
                    // The same bytes would have the encoder panic again.
                    Some(JobOutcome::Result(Compressed::NotWorth) | JobOutcome::Panicked) => {
                        self.insert(key, coding, Form::NotWorth);
                    }
                    Some(JobOutcome::Result(Compressed::Failed) | JobOutcome::Dropped) | None => {}
                },
            }
        }
        self.metrics.compressed_entries(self.contents.len(), self.bytes);
    }

    /// What is known of an entry. A form that was made of another entry of the same content gets the fields
    /// of this one.
    fn known(&mut self, entry: &Arc<Entry>, coding: ContentCoding) -> Option<Form> {
        let Forms(forms) = self.contents.get_mut(&*entry.content_key())?;
        let (_, form) = forms.iter_mut().find(|(of, _)| *of == coding)?;
        if let Form::Ready(ready) = form
            && !ready.is_form_of(entry)
            && let Some(other) = ready.as_form_of(entry)
        {
            *ready = Arc::new(other);
        }
        Some(form.clone())
    }

    /// Begins to make a form, unless that is under way, or none could be kept.
    fn begin(&mut self, entry: &Arc<Entry>, coding: ContentCoding, background: &Background) {
        let key = (entry.content_key().into(), coding);
        if self.under_way.contains_key(&key) || self.under_way.len() >= MAX_UNDER_WAY || self.limit < OVERHEAD
        {
            return;
        }
        // A CPU thread must not wait for a disk that does not answer: there may be no other one.
        let may_wait = entry.file().is_some() && entry.class != FileSystemClass::Memory;
        let step = match may_wait && background.has_disk_threads() {
            true => read_job(entry, background).map(Step::Reading),
            false => compress_job(entry, coding, background).map(Step::Compressing),
        };
        self.note(entry, coding, step);
    }

    /// Notes a job. A full line is no failure of the request; the next one tries again.
    fn note(&mut self, entry: &Arc<Entry>, coding: ContentCoding, step: Result<Step, QueueFull>) {
        if let Ok(step) = step {
            let key = (entry.content_key().into(), coding);
            self.under_way.insert(key, UnderWay { entry: Arc::clone(entry), step });
        }
    }

    fn insert(&mut self, content: Box<[u8]>, coding: ContentCoding, form: Form) {
        // One that is larger than all that may be kept would be made again for each request.
        let form = if form.weight() <= self.limit { form } else { Form::NotWorth };
        self.bytes += form.weight();
        match self.contents.get_mut(&content) {
            Some(Forms(forms)) => {
                let before = forms.iter().position(|(of, _)| *of == coding);
                self.bytes -= before.map_or(0, |at| forms.swap_remove(at).1.weight());
                forms.push((coding, form));
            }
            None => drop(self.contents.push(content, Forms(vec![(coding, form)]))),
        }
        while self.bytes > self.limit
            && let Some((_, Forms(oldest))) = self.contents.pop_lru()
        {
            self.bytes -= oldest.iter().map(|(_, form)| form.weight()).sum::<u64>();
        }
    }
}

impl Form {
    /// Bytes of memory.
    fn weight(&self) -> u64 {
        match self {
            Form::Ready(entry) => entry.size + OVERHEAD,
            Form::NotWorth => OVERHEAD,
        }
    }
}

impl UnderWay {
    fn is_done(&self) -> bool {
        match &self.step {
            Step::Reading(job) => job.is_done(),
            Step::Compressing(job) => job.is_done(),
        }
    }
}

/// Has a thread read the file of an entry into the kernel's memory.
fn read_job(entry: &Arc<Entry>, background: &Background) -> Result<Arc<Job<io::Result<()>>>, QueueFull> {
    let read = Arc::clone(entry);
    let work = move || read.file().map_or(Ok(()), |file| file::read_through(file, 0..read.size));
    background.submit_disk(JobKind::Read, (entry.root, JobOrder::InTurn), work).map(detached)
}

/// Has a thread compress an entry.
fn compress_job(
    entry: &Arc<Entry>,
    coding: ContentCoding,
    background: &Background,
) -> Result<Arc<Job<Compressed>>, QueueFull> {
    let entry = Arc::clone(entry);
    background.submit_cpu(JobKind::Compress, move || compressed(&entry, coding)).map(detached)
}

/// The job of a handle, which is done although no request waits for it.
fn detached<T>(handle: JobHandle<T>) -> Arc<Job<T>> {
    let job = handle.job();
    handle.detach();
    job
}

fn compressed(entry: &Entry, coding: ContentCoding) -> Compressed {
    let Some(bytes) = whole(entry) else { return Compressed::Failed };
    let mut result = Vec::new();
    let sizes = (entry.size, most_bytes(entry.size));
    match compress(&mut &*bytes, sizes, (coding, Effort::Serving), &mut result) {
        Ok(Some(_)) => Compressed::Ready(Arc::new(entry.in_coding(coding, result.into()))),
        Ok(None) => Compressed::NotWorth,
        Err(_) => Compressed::Failed,
    }
}

/// All bytes of an entry. `None` if its file can't be read, or has changed, or did so lately.
fn whole(entry: &Entry) -> Option<Cow<'_, [u8]>> {
    let Some(file) = entry.file() else { return entry.in_memory().map(Cow::Borrowed) };
    let (_, stamp) = file::stat(file).ok()?;
    if !stamp.shows_changes(SystemTime::now()) {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(entry.size).ok()?];
    let read = file::read_at(file, &mut bytes, 0).ok()?;
    (read == bytes.len() && entry.is_intact()).then_some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::description::Description;
    use crate::store::file_policy::EtagSource;
    use crate::store::open_file::OpenFile;
    use crate::store::open_forms::OpenForms;
    use crate::time::Now;

    const DEADLINE: Duration = Duration::from_secs(20);
    const GZIP: ContentCoding = ContentCoding::Gzip;

    #[test]
    fn a_hundred_requests_are_one_job_whose_result_the_next_one_gets() {
        let mut place = Place::new("hundred", 1 << 20);
        let release = place.hold();
        let entry = place.entry("a.txt", &text(5000));
        for _ in 0..100 {
            assert!(place.get(&entry, GZIP).is_none());
        }
        assert_eq!(place.cache.under_way.len(), 1);
        release.send(()).unwrap();
        let form = place.wait_for(&entry, GZIP);
        assert_eq!(unzipped(&form), text(5000));
        assert!(Arc::ptr_eq(&form, &place.get(&entry, GZIP).unwrap()));
        assert_eq!(form.validators().last_modified, entry.validators().last_modified);
        assert_ne!(form.validators().etag, entry.validators().etag);
        let fields = String::from_utf8(form.whole_fields().to_vec()).unwrap();
        assert!(fields.contains("Content-Encoding: gzip\r\n"), "{fields}");
        assert!(fields.contains("Vary: Accept-Encoding\r\n"), "{fields}");
        assert_eq!(place.cache.under_way.len(), 0);
        let brotli = place.wait_for(&entry, ContentCoding::Brotli);
        assert!(brotli.coding == Some(ContentCoding::Brotli) && place.get(&entry, GZIP).is_some());
    }

    #[test]
    fn the_same_content_under_another_name_is_not_compressed_again_but_has_its_own_fields() {
        let mut place = Place::new("names", 1 << 20);
        let one = place.entry("a.txt", &text(5000));
        let form = place.wait_for(&one, GZIP);
        let other = place.entry_of("a.html", "text/html", &text(5000));
        let other_form = place.get(&other, GZIP).unwrap();
        assert_eq!(other_form.content_type(), "text/html");
        assert_eq!(other_form.in_memory(), form.in_memory());
        assert_eq!(other_form.validators().etag, form.validators().etag);
        assert_eq!(place.get(&one, GZIP).unwrap().content_type(), "text/plain");
        assert_eq!(place.cache.bytes, form.size + OVERHEAD);
    }

    #[test]
    fn a_long_file_is_read_by_a_thread_that_may_wait_for_a_disk() {
        let mut place = Place::new("long", 1 << 20);
        let long = text(300_000);
        let entry = place.entry("a.txt", &long);
        assert!(entry.file().is_some() && entry.awaits_digest());
        assert!(
            place.get(&entry, GZIP).is_none() && place.cache.under_way.is_empty(),
            "its digest comes first"
        );
        entry.set_digest(Some(7));
        let form = place.wait_for(&entry, GZIP);
        assert_eq!(unzipped(&form), long);
        let alike = place.entry("b.txt", &long);
        alike.set_digest(Some(7));
        assert_eq!(place.get(&alike, GZIP).unwrap().in_memory(), form.in_memory());
    }

    #[test]
    fn a_content_is_known_by_root_and_digest_or_by_the_version_of_its_file_on_its_device() {
        let place = Place::new("versions", 1 << 20);
        let entry = place.entry("a.txt", &text(300_000));
        let by_version = entry.content_key();
        let root = 0_usize.to_ne_bytes();
        let tag_and_root = [entry.validators().etag, &root].concat();
        assert!(by_version.starts_with(&tag_and_root));
        assert!(by_version.len() > tag_and_root.len(), "the device is behind it");
        entry.set_digest(None);
        assert_eq!(*entry.content_key(), by_version);
        let short = place.entry("b.txt", &text(5000));
        assert_eq!(short.content_key(), [short.validators().etag, &root].concat());
        let mut elsewhere = Arc::into_inner(place.entry("c.txt", &text(5000))).unwrap();
        elsewhere.root = 1;
        assert_ne!(elsewhere.content_key(), short.content_key(), "one root compresses nothing for another");
    }

    #[test]
    fn a_long_file_that_has_changed_is_not_kept() {
        let mut place = Place::new("changed", 1 << 20);
        let entry = place.entry("a.txt", &text(300_000));
        entry.set_digest(None);
        fs::write(place.path.join("a.txt"), vec![b'x'; 300_000]).unwrap();
        assert!(place.get(&entry, GZIP).is_none());
        let start = Instant::now();
        while !place.cache.under_way.is_empty() {
            assert!(start.elapsed() < DEADLINE);
            place.cache.take_done(&place.background);
            std::thread::yield_now();
        }
        assert_eq!((place.cache.contents.len(), place.cache.bytes), (0, 0));
    }

    #[test]
    fn what_is_not_worth_it_is_not_tried_again() {
        let mut place = Place::new("noise", 1 << 20);
        let mut noise = vec![0; 5000];
        File::open("/dev/urandom").unwrap().read_exact(&mut noise).unwrap();
        let entry = place.entry("a.txt", &noise);
        place.wait_for_none(&entry);
        assert!(place.get(&entry, GZIP).is_none() && place.cache.under_way.is_empty());
        assert_eq!((place.cache.contents.len(), place.cache.bytes), (1, OVERHEAD));
    }

    #[test]
    fn the_oldest_leave_when_memory_runs_out_and_what_is_larger_than_all_is_not_kept() {
        let mut place = Place::new("memory", 3 * OVERHEAD);
        let entries: Vec<_> =
            (1..=4).map(|n| place.entry(&format!("{n}.txt"), &vec![b'a'; 2000 + n])).collect();
        let size = place.wait_for(&entries[0], GZIP).size;
        assert!(3 * size < OVERHEAD, "three forms take less than four times the overhead");
        place.wait_for(&entries[1], GZIP);
        assert!(place.get(&entries[0], GZIP).is_some());
        let third = place.wait_for(&entries[2], GZIP).size;
        assert_eq!(place.cache.contents.len(), 2, "the third does not fit");
        assert!(place.get(&entries[0], GZIP).is_some(), "it was used after the second");
        assert_eq!(place.cache.bytes, size + third + 2 * OVERHEAD);
        let mut place = Place::new("larger", OVERHEAD + 10);
        let entry = place.entry("a.txt", &text(5000));
        place.wait_for_none(&entry);
        assert!(place.get(&entry, GZIP).is_none() && place.cache.under_way.is_empty());
    }

    #[test]
    fn so_many_jobs_are_under_way_and_no_more() {
        let mut place = Place::new("many", 1 << 20);
        let release = place.hold();
        let entries: Vec<_> =
            (0..MAX_UNDER_WAY + 9).map(|n| place.entry(&format!("{n}.txt"), &text(2000 + n))).collect();
        for entry in &entries {
            assert!(place.get(entry, GZIP).is_none());
        }
        assert_eq!(place.cache.under_way.len(), MAX_UNDER_WAY);
        release.send(()).unwrap();
        for entry in &entries {
            place.wait_for(entry, GZIP);
        }
        assert_eq!(place.cache.contents.len(), entries.len());
    }

    #[test]
    fn a_content_that_makes_the_encoder_panic_stays_as_it_is() {
        let mut place = Place::new("panic", 1 << 20);
        let entry = place.entry("a.txt", &text(5000));
        let job = place.background.submit_cpu(JobKind::Compress, || panic!("on purpose"));
        place.cache.note(&entry, GZIP, job.map(detached).map(Step::Compressing));
        place.wait_for_none(&entry);
        assert!(place.get(&entry, GZIP).is_none() && place.cache.under_way.is_empty());
    }

    #[test]
    fn without_threads_nothing_is_compressed() {
        let mut place = Place::new("none", 1 << 20);
        place.background = Background::start(0, 0, Row::alone().unwrap()).unwrap();
        let entry = place.entry("a.txt", &text(5000));
        assert!(place.get(&entry, GZIP).is_none() && place.cache.under_way.is_empty());
    }

    /// A cache, its threads, and a directory for files.
    struct Place {
        cache: CompressedCache,
        background: Background,
        path: PathBuf,
    }

    impl Place {
        fn new(name: &str, limit: u64) -> Place {
            let path =
                std::env::temp_dir().join(format!("mayhttpd-compressed-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            let row = Row::alone().unwrap();
            let background = Background::start(1, 1, row).unwrap();
            Place { cache: CompressedCache::new(limit, row), background, path }
        }

        /// Holds the thread that compresses until the returned sender sends.
        fn hold(&self) -> mpsc::Sender<()> {
            let (release, released) = mpsc::channel::<()>();
            let held = self.background.submit_cpu(JobKind::List, move || {
                let _ = released.recv();
            });
            held.unwrap().detach();
            release
        }

        fn entry(&self, name: &str, bytes: &[u8]) -> Arc<Entry> {
            self.entry_of(name, "text/plain", bytes)
        }

        fn entry_of(&self, name: &str, content_type: &'static str, bytes: &[u8]) -> Arc<Entry> {
            let path = self.path.join(name);
            fs::write(&path, bytes).unwrap();
            let file = File::open(path).unwrap();
            let (_, stamp) = file::stat(file.as_fd()).unwrap();
            let open = OpenFile { file: file.into(), stamp, class: FileSystemClass::Probed };
            let now = Now { tick: 1, wall: SystemTime::now() };
            let (content_type, etag) = (content_type.into(), EtagSource::default());
            let description = Description { content_type, compress: true, etag, ..Description::of_text(now) };
            let entry = Entry::load(OpenForms::alone(open), description).unwrap();
            assert!(entry.is_compressible);
            Arc::new(entry)
        }

        fn get(&mut self, entry: &Arc<Entry>, coding: ContentCoding) -> Option<Arc<Entry>> {
            self.cache.get(entry, coding, &self.background)
        }

        /// Asks until there is a form.
        fn wait_for(&mut self, entry: &Arc<Entry>, coding: ContentCoding) -> Arc<Entry> {
            let start = Instant::now();
            loop {
                if let Some(form) = self.get(entry, coding) {
                    return form;
                }
                assert!(start.elapsed() < DEADLINE, "it is not compressed in time");
                std::thread::yield_now();
            }
        }

        /// Asks until it is known that there is no form.
        fn wait_for_none(&mut self, entry: &Arc<Entry>) {
            let start = Instant::now();
            while self.cache.known(entry, GZIP).is_none() {
                assert!(self.get(entry, GZIP).is_none() && start.elapsed() < DEADLINE);
                std::thread::yield_now();
            }
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.path);
        }
    }

    fn text(length: usize) -> Vec<u8> {
        (0..).flat_map(|number: u32| format!("line {number}\n").into_bytes()).take(length).collect()
    }

    fn unzipped(entry: &Entry) -> Vec<u8> {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(entry.in_memory().unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }
}
