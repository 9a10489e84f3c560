//! Replies that wait: until their delay is over, and until a hold ends.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wire::Operation;

/// A hold ends by itself after this time, so that a process that waits for the disk can't outlive its test
/// for long: the kernel does not even kill it before its reply has come.
const LONGEST_HOLD: Duration = Duration::from_secs(120);

#[derive(Default)]
struct State {
    /// With the time at which each is due.
    replies: VecDeque<(Instant, Vec<u8>)>,
    /// The most that waited at once.
    most: usize,
    delay: Duration,
    /// When the hold ends, if there is one.
    held: Option<Instant>,
    /// The kind of operation that is held; None for all.
    only: Option<Operation>,
    counts: HashMap<(Operation, PathBuf), usize>,
    ended: bool,
}

/// The replies of one file system that wait, and what was asked so far.
pub struct Waiting {
    state: Mutex<State>,
    changed: Condvar,
    device: File,
}

impl Waiting {
    pub fn to(device: File, delay: Duration) -> Self {
        let state = Mutex::new(State { delay, ..State::default() });
        Self { state, changed: Condvar::new(), device }
    }

    pub fn device(&self) -> &File {
        &self.device
    }

    /// Sends a reply at once.
    pub fn send(&self, reply: &[u8]) {
        // The kernel has no use for it where the one who asked was killed before.
        let _ = (&self.device).write(reply);
    }

    /// Counts an operation on `path`, and sends its reply when its time has come.
    pub fn take(&self, operation: Operation, path: PathBuf, reply: Vec<u8>) {
        let mut state = self.state();
        *state.counts.entry((operation, path)).or_default() += 1;
        let is_quick = state.held.is_none() && state.delay.is_zero() && state.replies.is_empty();
        let is_free = state.held.is_some() && state.only.is_some_and(|only| only != operation);
        if is_quick || is_free || state.ended {
            drop(state);
            return self.send(&reply);
        }
        let due = Instant::now() + state.delay;
        state.replies.push_back((due, reply));
        state.most = state.most.max(state.replies.len());
        self.changed.notify_all();
    }

    /// Sends what is due, until the end.
    pub fn deliver(&self) {
        let mut state = self.state();
        while !state.ended {
            let now = Instant::now();
            if state.held.is_some_and(|end| end <= now) {
                state.held = None;
            }
            let wait = match (state.held, state.replies.front()) {
                (Some(end), _) => end - now,
                (None, Some((due, _))) if *due > now => *due - now,
                (None, Some(_)) => {
                    let reply = state.replies.pop_front();
                    drop(state);
                    reply.iter().for_each(|(_, reply)| self.send(reply));
                    state = self.state();
                    continue;
                }
                (None, None) => LONGEST_HOLD,
            };
            state = self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
        self.changed.notify_all();
    }

    pub fn hold(&self, only: Option<Operation>) {
        let mut state = self.state();
        (state.held, state.only) = (Some(Instant::now() + LONGEST_HOLD), only);
        drop(state);
        self.changed.notify_all();
    }

    pub fn release(&self) {
        self.state().held = None;
        self.changed.notify_all();
    }

    /// Has `deliver` return. What waits then is never sent, and what comes later is sent at once.
    pub fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }

    /// How many replies wait now.
    pub fn count(&self) -> usize {
        self.state().replies.len()
    }

    /// The most that have waited at once so far.
    pub fn most(&self) -> usize {
        self.state().most
    }

    /// How often an operation was asked for, of one path or of all.
    pub fn asked(&self, operation: Operation, path: Option<&Path>) -> usize {
        let state = self.state();
        let same = |(known, of): &&(Operation, PathBuf)| {
            *known == operation && path.is_none_or(|path| path == of.as_path())
        };
        state.counts.iter().filter(|(key, _)| same(key)).map(|(_, count)| count).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
