//! The threads of a run: one for each CPU, and the one that waits for them or for a signal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::drafts::Drafts;
use super::place::Place;
use super::progress::Progress;
use super::summary::Summary;
use super::variant::make;
use super::work::Work;
use crate::http::content_coding::ContentCoding;
use crate::sys::process::wait_readable;
use crate::sys::signal::Signals;
use crate::sys::{thread, timer};

/// What the threads share.
struct Shared {
    place: Place,
    work: Vec<Work>,
    /// The first piece of work that no thread has taken.
    next: AtomicUsize,
    /// Threads that have not ended.
    running: AtomicUsize,
    drafts: Drafts,
    /// The counts, and how much of the work is done.
    summary: Mutex<(Summary, usize)>,
    progress: Progress,
    /// Raised by the last thread.
    ended: OwnedFd,
}

/// Does the work, and returns the counts. If a signal comes, removes what is not whole and returns the
/// signal's number; the threads end with the process. So they do after an error.
///
/// # Errors
/// See eventfd(2) and poll(2), and clone(2) if not even one thread can be started.
pub fn run(
    place: Place,
    mut work: Vec<Work>,
    summary: Summary,
    signals: &Signals,
) -> io::Result<Result<Summary, u32>> {
    if work.is_empty() {
        return Ok(Ok(summary));
    }
    // The longest first, so that none is left to one thread at the end.
    work.sort_by_key(|item| std::cmp::Reverse(cost(item)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(work.len());
    let shared = Arc::new(Shared {
        place,
        progress: Progress::new(work.iter().map(|item| item.size).sum()),
        work,
        next: AtomicUsize::new(0),
        running: AtomicUsize::new(threads),
        drafts: Drafts::default(),
        summary: Mutex::new((summary, 0)),
        ended: timer::event()?,
    });
    let end = start(&shared, threads).and_then(|()| wait(&shared.ended, signals));
    if !matches!(end, Ok(None)) {
        shared.drafts.abandon();
    }
    shared.progress.clear();
    let mut summary = shared.summary.lock().unwrap_or_else(PoisonError::into_inner);
    let summary = std::mem::replace(&mut summary.0, Summary::new(shared.place.mode));
    Ok(end?.map_or(Ok(summary), Err))
}

/// Starts so many threads, or fewer where the user may have no more.
///
/// # Errors
/// That of the first one.
fn start(shared: &Arc<Shared>, threads: usize) -> io::Result<()> {
    for started in 0..threads {
        let worker = Arc::clone(shared);
        match thread::start("precompress", 0, move || worker.work()) {
            Err(error) if started == 0 => return Err(error),
            Err(_) => {
                shared.leave(threads - started);
                return Ok(());
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Waits for the end of the work, or for a signal: its number.
fn wait(ended: &OwnedFd, signals: &Signals) -> io::Result<Option<u32>> {
    loop {
        // Readable or not, the signal tells: it may have come with the end.
        let ready = wait_readable(&[signals.as_fd(), ended.as_fd()], None)?;
        if let Some(number) = signals.next_number() {
            return Ok(Some(number));
        }
        if ready[1] {
            return Ok(None);
        }
    }
}

/// The time that an item takes, in proportion to the others.
fn cost(item: &Work) -> u64 {
    let by_coding = match item.coding {
        ContentCoding::Brotli => 64,
        ContentCoding::Zstd => 24,
        ContentCoding::Gzip => 1,
    };
    item.size.saturating_mul(by_coding)
}

impl Shared {
    /// The body of a thread.
    fn work(&self) {
        while let Some(item) = self.work.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let made = catch_unwind(AssertUnwindSafe(|| make(&self.place, item, &self.drafts)));
            let made = made.unwrap_or_else(|_| Err(io::Error::other("the encoder failed")));
            let path = self.place.shown(&item.directory, &item.variant());
            let mut summary = self.summary.lock().unwrap_or_else(PoisonError::into_inner);
            let (summary, done) = &mut *summary;
            match made {
                Ok(made) => summary.made(&path, made),
                Err(error) => self.progress.suspend(|| summary.failed("make", &path, &error)),
            }
            *done += 1;
            self.progress.add(item.size, (*done, self.work.len()));
        }
        self.leave(1);
    }

    /// Counts threads that have ended, or will never start.
    fn leave(&self, threads: usize) {
        if self.running.fetch_sub(threads, Ordering::AcqRel) == threads {
            timer::raise(&self.ended);
        }
    }
}
