//! The thread of a name index: reads all names, waits for changes, and publishes a snapshot after each.
//!
//! It alone has the table, the watches and their inotify instance. It waits for nothing of the requests, and
//! they for nothing of it.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::directory_watches::DirectoryWatches;
use super::published::{IndexRequest, Published};
use super::updater::{UpdateError, Updater};
use crate::sys::file::Root;
use crate::sys::{process, timer};

/// The rest before changes are taken: many in a row share a snapshot, which shows a change at most so much
/// later.
const REST: Duration = Duration::from_millis(5);

/// How often changes are taken, and a snapshot is published, while there is work for longer. The kernel keeps
/// 16,384 events by default.
const TURN: Duration = Duration::from_millis(25);

/// How long after descriptors ran out the work goes on.
const RETRY_DESCRIPTORS: Duration = Duration::from_millis(500);

/// How long after there were too many names a request has them read again.
const RETRY_NAMES: Duration = Duration::from_secs(60);

/// Names whose changes are not reported count as current for at least this many times the time it took to
/// read them.
const REST_FACTOR: u32 = 10;

/// Names whose changes are not reported count as current for at least this time.
const LEAST_VALID: Duration = Duration::from_millis(100);

/// How much an index may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct IndexLimits {
    /// Files, links and directories.
    pub max_names: usize,
    /// Inotify watches, one for each directory.
    pub max_watches: usize,
    /// How long names are current whose changes are not reported.
    pub valid: Duration,
}

/// What the thread has.
pub struct IndexThread {
    published: Arc<Published>,
    root: Arc<Root>,
    updater: Updater,
    limits: IndexLimits,
    reading: Reading,
    /// Events were lost since the reading of all names began.
    lost_events: bool,
}

/// How far the reading of all names is.
#[derive(Clone, Copy)]
enum Reading {
    /// It began then.
    Since(Instant),
    /// It has taken so long.
    Done(Duration),
    /// There were too many.
    TooMany,
}

impl IndexThread {
    /// A thread that has read nothing yet, for the names beneath `root`. Starts the inotify instance.
    pub fn new(root: Arc<Root>, limits: IndexLimits, published: Arc<Published>) -> IndexThread {
        let mut updater = Updater::new(DirectoryWatches::start(limits.max_watches), limits.max_names);
        updater.read_all();
        let reading = Reading::Since(Instant::now());
        IndexThread { published, root, updater, limits, reading, lost_events: false }
    }

    /// Reads all names and keeps them current, until it is asked to end.
    pub fn run(mut self) {
        self.published.begin_thread();
        loop {
            let timeout = match self.catch_up() {
                Ok(()) if self.lost_events && !matches!(self.reading, Reading::TooMany) => {
                    Some(Duration::ZERO)
                }
                Ok(()) => None,
                Err(UpdateError::OutOfDescriptors) => {
                    self.published.publish_delay();
                    Some(RETRY_DESCRIPTORS)
                }
                Err(UpdateError::TooManyNames) => {
                    self.drop_all();
                    None
                }
            };
            if !self.wait(timeout) {
                return;
            }
        }
    }

    fn read_all(&mut self) {
        self.updater.read_all();
        self.reading = Reading::Since(Instant::now());
        self.lost_events = false;
    }

    /// Drops all names, since there are more than the limit.
    fn drop_all(&mut self) {
        self.updater.clear();
        self.updater.warnings.too_many_names(self.limits.max_names);
        self.reading = Reading::TooMany;
        self.published.warn(&mut self.updater.warnings);
        self.published.publish(None, Some(Instant::now() + RETRY_NAMES));
    }

    /// Works until the names are current, and publishes them.
    fn catch_up(&mut self) -> Result<(), UpdateError> {
        if self.updater.is_current() {
            return Ok(());
        }
        let mut turn = Instant::now();
        while !self.updater.is_current() {
            self.updater.step(&self.root)?;
            if turn.elapsed() >= TURN {
                self.take_changes();
                // Without it a name would be missing that was there before and still is.
                if matches!(self.reading, Reading::Done(_)) && !self.updater.lacks_directories() {
                    self.publish();
                }
                turn = Instant::now();
            }
        }
        if let Reading::Since(start) = self.reading {
            self.reading = Reading::Done(start.elapsed());
            self.updater.warnings.complete(self.updater.table.len());
        }
        self.publish();
        Ok(())
    }

    fn publish(&mut self) {
        self.published.warn(&mut self.updater.warnings);
        let old_from = match self.reading {
            Reading::Done(taken) if !self.updater.watches.reports_all() => {
                Some(Instant::now() + self.limits.valid.max(taken * REST_FACTOR).max(LEAST_VALID))
            }
            _ => None,
        };
        self.published.publish(Some(self.updater.table.files().clone()), old_from);
    }

    /// Takes note of the changes since the last call, those of the root's path too.
    fn take_changes(&mut self) {
        self.lost_events |= self.updater.take_changes();
        if let Some(root) = self.published.take_root() {
            self.root = root;
            self.read_all();
        }
    }

    /// Waits for changes, for up to `timeout`, and takes note of them. False if the thread is to end.
    fn wait(&mut self, timeout: Option<Duration>) -> bool {
        let wake = self.published.wake();
        let descriptors: Vec<BorrowedFd<'_>> =
            self.updater.watches.descriptor().into_iter().chain([wake]).collect();
        // An error is one of memory, which the rest before the next try gives time to.
        let _ = process::wait_readable(&descriptors, timeout);
        timer::take_expirations(wake);
        // A move is two events, of which the first may have ended the wait.
        std::thread::sleep(REST);
        self.take_changes();
        // A reading that goes on is finished first: otherwise events that are lost again and again would have
        // it never end.
        let is_reading = matches!(self.reading, Reading::Since(_));
        match self.published.request() {
            IndexRequest::End => return false,
            IndexRequest::Read if !is_reading => self.read_all(),
            IndexRequest::Nothing if self.lost_events && matches!(self.reading, Reading::Done(_)) => {
                self.read_all();
            }
            IndexRequest::Read | IndexRequest::Nothing => {}
        }
        true
    }
}
