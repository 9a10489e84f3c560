//! The worker processes: which runs in which slot of which generation, and the link to each.
//!
//! Decides nothing. The subtle rule: a child of a fork holds every descriptor of the master, so it drops the other
//! workers' links before it serves; while one copy is open, a worker would not notice that its master is gone.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::supervisor::Id;
use crate::sys::link::{self, Received};
use crate::sys::process;
use crate::worker;

/// A running worker.
struct Child {
    id: Id,
    pid: i32,
    link: OwnedFd,
    /// False once the link has reached its end: the exit is yet to come.
    linked: bool,
}

/// What a worker has said.
pub enum Word {
    /// It serves.
    Ready,
    /// The path of one of its roots leads elsewhere now, where it can't follow.
    Moved,
    /// It can't serve, for this reason.
    Failed(String),
}

/// The workers.
#[derive(Default)]
pub struct Children(Vec<Child>);

impl Children {
    /// Notes the worker that was started under this name.
    pub fn insert(&mut self, id: Id, pid: i32, link: OwnedFd) {
        self.0.push(Child { id, pid, link, linked: true });
    }

    /// The name of a process.
    pub fn id(&self, pid: i32) -> Option<Id> {
        self.0.iter().find(|child| child.pid == pid).map(|child| child.id)
    }

    /// Forgets a worker, which has ended.
    pub fn remove(&mut self, id: Id) {
        self.0.retain(|child| child.id != id);
    }

    /// The links to wait on, each with its worker.
    pub fn links(&self) -> Vec<(Id, BorrowedFd<'_>)> {
        self.0.iter().filter(|child| child.linked).map(|child| (child.id, child.link.as_fd())).collect()
    }

    /// Takes what a worker has said since the last time.
    pub fn listen(&mut self, id: Id) -> Vec<Word> {
        let Some(child) = self.child(id) else { return Vec::new() };
        let mut words = Vec::new();
        loop {
            match link::receive(&child.link) {
                Received::Message(message, _) if message == worker::READY => words.push(Word::Ready),
                Received::Message(message, _) if message == worker::MOVED => words.push(Word::Moved),
                Received::Message(message, _) => {
                    words.push(Word::Failed(String::from_utf8_lossy(&message).into_owned()));
                }
                Received::Empty => return words,
                Received::Closed => {
                    child.linked = false;
                    return words;
                }
            }
        }
    }

    /// Sends a worker a message, with descriptors or without.
    pub fn tell(&mut self, id: Id, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
        if let Some(child) = self.child(id)
            && !link::send(&child.link, message, descriptors)
        {
            // It is ending, or hangs; either is found out by other means.
            ::log::debug!("worker {} of generation {} does not listen", id.slot, id.generation);
        }
    }

    /// Every worker's name and process.
    pub fn processes(&self) -> impl Iterator<Item = (Id, i32)> {
        self.0.iter().map(|child| (child.id, child.pid))
    }

    /// The processes of a slot, of all generations.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = i32> {
        self.0.iter().filter(move |child| child.id.slot == slot).map(|child| child.pid)
    }

    /// Every worker's name.
    pub fn ids(&self) -> Vec<Id> {
        self.0.iter().map(|child| child.id).collect()
    }

    /// Tells a worker to stop at once, which the end of the link does.
    pub fn stop(&mut self, id: Id) {
        if let Some(child) = self.child(id) {
            link::close_both_ways(&child.link);
            child.linked = false;
        }
    }

    /// Kills a worker.
    pub fn kill(&mut self, id: Id) {
        if let Some(child) = self.child(id) {
            process::kill(child.pid);
        }
    }

    fn child(&mut self, id: Id) -> Option<&mut Child> {
        self.0.iter_mut().find(|child| child.id == id)
    }
}
