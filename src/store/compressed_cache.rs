//! Files that are compressed while the server runs: each content once for each coding, by background threads,
//! and kept in bounded memory.
//!
//! A content is known by its entity-tag, so the same bytes under several names are compressed once if their
//! tags are digests. **Invariant:** no request waits here. As long as there is no result, the file goes out as
//! it is.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

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
    /// By the entity-tag of the content without a coding.
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

    /// Takes up what jobs have come to. To be called several times a second, because results that wait are not
    /// counted. Costs nothing while no job is under way.
    pub fn take_done(&mut self, background: &Background) {
        if self.under_way.is_empty() {
            return;
        }
        let done = self.under_way.extract_if(|_, under_way| under_way.is_done()).collect::<Vec<_>>();
        for ((tag, coding), UnderWay { entry, step }) in done {
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
                        self.insert(tag, coding, Form::Ready(Arc::clone(form)));
                    }
                    // The same bytes would have the encoder panic again.
                    Some(JobOutcome::Result(Compressed::NotWorth) | JobOutcome::Panicked) => {
                        self.insert(tag, coding, Form::NotWorth);
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
        let Forms(forms) = self.contents.get_mut(entry.validators().etag)?;
        let (_, form) = forms.iter_mut().find(|(of, _)| *of == coding)?;
        if let Form::Ready(ready) = form
            && !ready.is_form_of(entry)
            && let Some(other) = ready.as_form_of(entry)
        {
            *ready = Arc::new(other);
        }
        Some(form.clone())
    }

    /// Begins to make a form, unless that is under way.
    fn begin(&mut self, entry: &Arc<Entry>, coding: ContentCoding, background: &Background) {
        let key = (entry.validators().etag.into(), coding);
        if self.under_way.contains_key(&key) || self.under_way.len() >= MAX_UNDER_WAY {
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
            let key = (entry.validators().etag.into(), coding);
            self.under_way.insert(key, UnderWay { entry: Arc::clone(entry), step });
        }
    }

    fn insert(&mut self, tag: Box<[u8]>, coding: ContentCoding, form: Form) {
        // One that is larger than all that may be kept would be made again for each request.
        let form = if form.weight() <= self.limit { form } else { Form::NotWorth };
        self.bytes += form.weight();
        match self.contents.get_mut(&tag) {
            Some(Forms(forms)) => {
                let before = forms.iter().position(|(of, _)| *of == coding);
                self.bytes -= before.map_or(0, |at| forms.swap_remove(at).1.weight());
                forms.push((coding, form));
            }
            None => drop(self.contents.push(tag, Forms(vec![(coding, form)]))),
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
    let Some(bytes) = entry.read_whole() else { return Compressed::Failed };
    let mut result = Vec::new();
    let sizes = (entry.size, most_bytes(entry.size));
    match compress(&mut &*bytes, sizes, (coding, Effort::Serving), &mut result) {
        Ok(Some(_)) => Compressed::Ready(Arc::new(entry.in_coding(coding, result.into()))),
        Ok(None) => Compressed::NotWorth,
        Err(_) => Compressed::Failed,
    }
}
