//! The worker processes: which runs in which slot, and the link to each.
//!
//! Decides nothing. The subtle rule: a child of a fork holds every descriptor of the master, so it drops the other
//! workers' links before it serves; while one copy is open, a worker would not notice that its master is gone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::{link, process};
use crate::worker;

/// A running worker.
struct Child {
    pid: i32,
    link: OwnedFd,
    /// False once the link has reached its end: the exit is yet to come.
    linked: bool,
}

/// What a worker has said.
pub enum Word {
    /// It serves.
    Ready,
    /// It can't serve, for this reason.
    Failed(String),
}

/// The workers by slot.
#[derive(Default)]
pub struct Children(Vec<Option<Child>>);

impl Children {
    /// No workers, in so many slots.
    pub fn new(slots: usize) -> Children {
        Children((0..slots).map(|_| None).collect())
    }

    /// Notes the worker that was started for a slot.
    pub fn insert(&mut self, slot: usize, pid: i32, link: OwnedFd) {
        self.0[slot] = Some(Child { pid, link, linked: true });
    }

    /// The slot of a process.
    pub fn slot(&self, pid: i32) -> Option<usize> {
        self.0.iter().position(|child| child.as_ref().is_some_and(|child| child.pid == pid))
    }

    /// Forgets a slot's worker, which has ended.
    pub fn remove(&mut self, slot: usize) {
        self.0[slot] = None;
    }

    /// The links to wait on, each with its slot.
    pub fn links(&self) -> Vec<(usize, BorrowedFd<'_>)> {
        let mut links = Vec::with_capacity(self.0.len());
        for (slot, child) in self.0.iter().enumerate() {
            if let Some(child) = child.as_ref().filter(|child| child.linked) {
                links.push((slot, child.link.as_fd()));
            }
        }
        links
    }

    /// Takes what a slot's worker has said since the last time.
    pub fn listen(&mut self, slot: usize) -> Vec<Word> {
        let Some(child) = &mut self.0[slot] else { return Vec::new() };
        let mut words = Vec::new();
        loop {
            match link::receive(&child.link) {
                link::Received::Message(message) if message == worker::READY => words.push(Word::Ready),
                link::Received::Message(message) => {
                    words.push(Word::Failed(String::from_utf8_lossy(&message).into_owned()));
                }
                link::Received::Empty => return words,
                link::Received::Closed => {
                    child.linked = false;
                    return words;
                }
            }
        }
    }

    /// Tells a slot's worker to drain.
    pub fn drain(&mut self, slot: usize) {
        if let Some(child) = &self.0[slot] {
            link::send(&child.link, worker::DRAIN);
        }
    }

    /// Tells a slot's worker to stop at once, which the end of the link does.
    pub fn stop(&mut self, slot: usize) {
        if let Some(child) = &mut self.0[slot] {
            link::close_both_ways(&child.link);
            child.linked = false;
        }
    }

    /// Kills a slot's worker.
    pub fn kill(&self, slot: usize) {
        if let Some(child) = &self.0[slot] {
            process::kill(child.pid);
        }
    }
}
