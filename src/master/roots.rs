//! Checks where the paths of the roots lead, and has the workers serve what they lead to now.
//!
//! [`super::root_watch`] decides when a check is due and whether a change is followed.

use std::io;
use std::time::Duration;

use super::generation::Generation;
use super::listeners::Listeners;
use super::open_root::OpenRoot;
use super::root_watch::{Decision, MovedRoots, RootCheck};
use super::state::Master;
use super::supervisor::event::{AdminChange, Event};
use crate::error::cause;
use crate::sys::file::Root;
use crate::sys::timer;

impl Master {
    /// When the next check of the paths is due, if there are roots.
    pub(super) fn roots_due(&self) -> Option<Duration> {
        let current = self.supervisor.current();
        let generation = self.generations.iter().find(|g| Some(g.number) == current)?;
        (!generation.roots.is_empty()).then(|| self.root_watch.due())
    }

    /// Checks the paths of the roots, if that is due.
    pub(super) fn check_roots(&mut self) -> Option<Event> {
        if !self.root_watch.begin(timer::monotonic()) {
            return None;
        }
        let moved = self.open_root_paths(false)?;
        let current = self.supervisor.current();
        let generation = self.generations.iter_mut().find(|g| Some(g.number) == current)?;
        if generation.workers_follow_roots() {
            generation.replace_roots(moved.directories);
            return None;
        }
        self.root_watch.moved_roots = Some(moved);
        Some(Event::RootMoved)
    }

    /// Prepares the generation of this number on the directories that the paths of the roots lead to now. It
    /// has this many workers, and otherwise the settings in force.
    pub(super) fn reopen_roots(&mut self, number: u32, workers: usize) -> Event {
        let seen = self.root_watch.moved_roots.take();
        let Some(MovedRoots { directories, paths }) = seen.or_else(|| self.open_root_paths(true)) else {
            return Event::NotPrepared;
        };
        let current = self.supervisor.current();
        let generation = self.generations.iter().find(|g| Some(g.number) == current);
        let Some(generation) = generation else { return Event::NotPrepared };
        let others: Vec<&Listeners> = self.generations.iter().map(|g| &g.listeners).collect();
        let next = generation.with_moved_roots((number, workers), directories, &others);
        match next.and_then(|mut next| next.open_logs().map(|()| next)) {
            Ok(next) => {
                ::log::info!("a root's path leads elsewhere now: generation {number} starts there ({paths})");
                self.add_generation(next, AdminChange::Keep)
            }
            Err(error) => {
                ::log::error!(
                    "a root's path leads elsewhere now, where it can't be followed ({paths}): {error}"
                );
                Event::NotPrepared
            }
        }
    }

    /// Opens the paths of the roots, and logs those that can't be opened. Returns what they lead to if a
    /// change is to be followed. `reported` is true if a worker has reported that a path leads elsewhere.
    fn open_root_paths(&mut self, reported: bool) -> Option<MovedRoots> {
        self.root_watch.moved_roots = None;
        let current = self.supervisor.current()?;
        // While a generation starts no other one can start. The paths are checked again when it serves.
        if !reported && self.supervisor.is_busy() {
            return None;
        }
        let generation = self.generations.iter().find(|g| g.number == current)?;
        let found = open_paths(generation, reported);
        let check = |(root, found): (&'_ OpenRoot, &io::Result<Option<Root>>)| match found {
            Ok(Some(found)) => found.identity().map_err(|error| cause(&error)),
            Ok(None) => Ok(root.inode()),
            Err(error) => Err(cause(error)),
        };
        let checks: Vec<RootCheck<'_>> = generation
            .roots
            .iter()
            .zip(&found)
            .map(|pair| RootCheck { path: &pair.0.path, served: pair.0.inode(), found: check(pair) })
            .collect();
        let now = timer::monotonic();
        let Decision { follow, errors } = self.root_watch.decide(current, &checks, reported, now);
        errors.iter().for_each(|line| ::log::error!("{line}"));
        let paths: Vec<String> = checks
            .iter()
            .filter(|check| check.is_elsewhere())
            .map(|check| check.path.display().to_string())
            .collect();
        let paths = if paths.is_empty() { "a worker reports it".to_owned() } else { paths.join(", ") };
        let directories = found.into_iter().map(|found| found.ok().flatten()).collect();
        follow.then_some(MovedRoots { directories, paths })
    }
}

/// Opens what the paths lead to. `None` stands for a path that was not opened: one that may make the master
/// wait for a network, unless a worker has `reported` a change and no other path accounts for it.
fn open_paths(generation: &Generation, reported: bool) -> Vec<io::Result<Option<Root>>> {
    let check = |with_remote: bool| -> Vec<_> {
        let roots = generation.roots.iter();
        roots
            .map(|root| match root.local || with_remote {
                true => Root::open(&root.path).map(Some),
                false => Ok(None),
            })
            .collect()
    };
    let found = check(false);
    let accounts = |found: &[io::Result<Option<Root>>]| {
        let mut all = generation.roots.iter().zip(found);
        all.any(|(root, found)| {
            matches!(found, Ok(Some(found)) if found.identity().is_ok_and(|inode| inode != root.inode()))
        })
    };
    if reported && !accounts(&found) && generation.roots.iter().any(|root| !root.local) {
        check(true)
    } else {
        found
    }
}
