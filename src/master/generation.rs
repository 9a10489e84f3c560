//! What the workers of one generation are made from: settings, root, user, log, sockets.
//!
//! Opened and checked whole before anything is forked or changed, so that a reload with bad settings costs nothing but
//! its error line. Decides nothing about processes.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sockets::Sockets;
use crate::config::{self, Settings};
use crate::error::StartupError;
use crate::kernel::{self, places, proc::Proc};
use crate::log::access::AccessLog;
use crate::metrics::Row;
use crate::sandbox::Sandbox;
use crate::sys::file::Root;
use crate::sys::limits;
use crate::sys::process::{self, Identity};
use crate::worker;

/// The unprivileged user that workers become when root starts the server, and its number where it has no name.
const NOBODY: (&str, &str) = ("nobody", "65534");

/// A generation's means.
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// Its settings.
    pub settings: Settings,
    /// Its listeners.
    pub sockets: Sockets,
    /// The access log, when there is one.
    pub access: Option<AccessLog>,
    /// The root as it was when the settings were settled, and its path.
    root: Option<(Root, PathBuf)>,
    /// Likewise the directories of locations.
    directories: Vec<(Root, PathBuf)>,
    identity: Option<Identity>,
    places: usize,
    watches: usize,
    /// How its workers are confined.
    pub sandbox: Sandbox,
}

impl Generation {
    /// Opens and checks what the settings name; sockets are taken over from `others` where they have them.
    ///
    /// # Errors
    /// The first thing that can't be had.
    pub fn open(
        number: u32,
        mut settings: Settings,
        others: &[&Sockets],
    ) -> Result<Generation, StartupError> {
        let sandbox = sandbox(&settings)?;
        let root = root(&settings)?;
        let directories = directories(&settings)?;
        let identity = identity(&settings)?;
        let access = AccessLog::open(&settings.access_log).map_err(|source| {
            let path = match &settings.access_log {
                config::AccessLog::File(path) => path.clone(),
                config::AccessLog::Off | config::AccessLog::Stdout => "standard output".into(),
            };
            StartupError::Log { path, source }
        })?;
        let places = settle_places(&mut settings);
        let watches = Proc::running().max_user_watches();
        let watches = places::watches(watches, settings.workers);
        let sockets = Sockets::open(&settings.listen, settings.workers, settings.backlog, others)?;
        sockets.check_names(&settings.proxy_protocol)?;
        // The queue of a lent socket is its owner's.
        if sockets.lent.is_empty()
            && let Some(most) = kernel::backlog_cut(&Proc::running(), settings.backlog)
        {
            ::log::warn!(
                "--backlog lowered from {} to {most}, since net.core.somaxconn is {most}",
                settings.backlog
            );
        }
        Ok(Generation {
            number,
            settings,
            sockets,
            access,
            root,
            directories,
            identity,
            places,
            watches,
            sandbox,
        })
    }

    /// In the child: becomes the worker of a slot.
    pub fn become_worker(mut self, slot: usize, master: i32, link: OwnedFd, metrics: Row) -> ! {
        let announced = self.sockets.are_named(slot, &self.settings.proxy_protocol);
        let listeners = self.sockets.of_slot(slot);
        drop(std::mem::take(&mut self.sockets));
        // The other slots' sockets are closed, and of each of these the last copy is this one.
        let listeners = listeners.into_iter().zip(announced).filter_map(|(socket, announced)| {
            Some(worker::Listener { socket: Arc::into_inner(socket)?, announced })
        });
        let listeners = listeners.collect();
        // Opened anew, for the path may lead elsewhere by now, and with the master's rights, for it may lead through
        // where the workers' user may not go. A path that leads nowhere leaves the root of the start.
        let anew = |(root, path): (Root, PathBuf)| (Root::open(&path).unwrap_or(root), path);
        let root = self.root.take().map(anew);
        let directories = std::mem::take(&mut self.directories).into_iter().map(anew).collect();
        worker::run(worker::Start {
            slot,
            master,
            link,
            listeners,
            root,
            directories,
            identity: self.identity.take(),
            access: self.access.take(),
            places: self.places,
            watches: self.watches,
            sandbox: self.sandbox,
            metrics,
            settings: self.settings,
        })
    }

    /// What is served, in words.
    pub fn what(&self) -> String {
        match &self.root {
            Some((_, path)) => path.display().to_string(),
            None => "the built-in welcome page".to_owned(),
        }
    }

    /// The user to become, where there is one.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    /// Connections that a worker takes.
    pub fn places(&self) -> usize {
        self.places
    }
}

/// Checks what the settings name, as far as that can be done beside a running server.
///
/// # Errors
/// The first thing that is not there.
pub fn check(settings: &Settings) -> Result<(), StartupError> {
    sandbox(settings)?;
    root(settings)?;
    directories(settings)?;
    identity(settings)?;
    Ok(())
}

/// What confines the workers, of what the settings want and this kernel has.
fn sandbox(settings: &Settings) -> Result<Sandbox, StartupError> {
    Sandbox::plan(settings.sandbox).map_err(|what| StartupError::Kernel { what })
}

/// The root's directory, open, and its path; none is the welcome page.
fn root(settings: &Settings) -> Result<Option<(Root, PathBuf)>, StartupError> {
    match &settings.root {
        config::Root::Directory(path) => open(path).map(Some),
        config::Root::Welcome => Ok(None),
    }
}

/// The directories of locations, open, and their paths.
fn directories(settings: &Settings) -> Result<Vec<(Root, PathBuf)>, StartupError> {
    settings.directories().into_iter().map(open).collect()
}

fn open(path: &Path) -> Result<(Root, PathBuf), StartupError> {
    match Root::open(path) {
        Ok(root) => Ok((root, path.to_owned())),
        Err(source) => Err(StartupError::Root { path: path.to_owned(), source }),
    }
}

/// The user that workers become: the one asked for, or nobody; without root's rights none.
fn identity(settings: &Settings) -> Result<Option<Identity>, StartupError> {
    if !process::is_root() {
        if settings.user.is_some() || settings.group.is_some() {
            ::log::warn!("--user and --group need root to start the server; they are passed over");
        }
        return Ok(None);
    }
    let group = settings.group.as_deref();
    let found = match settings.user.as_deref() {
        Some(user) => process::look_up(user, group),
        None => process::look_up(NOBODY.0, group).or_else(|_| process::look_up(NOBODY.1, group)),
    };
    let name = || settings.user.clone().unwrap_or_else(|| NOBODY.0.to_owned());
    found.map(Some).map_err(|why| StartupError::User { name: name(), why })
}

/// Settles how many connections a worker takes, and how many entries it caches, within what the kernel allows.
fn settle_places(settings: &mut Settings) -> usize {
    let descriptors = limits::raise_descriptor_limit();
    let maps = Proc::running().max_map_count();
    // Each directory of a location stays open.
    let free = descriptors.saturating_sub(settings.directories().len() as u64);
    let places = places::decide(settings.max_connections, settings.cache_entries, free, maps);
    if let Some(asked) = settings.max_connections
        && asked > places.connections
    {
        let limit = match places.bound {
            places::Bound::Maps => format!("vm.max_map_count is {maps}"),
            places::Bound::Descriptors | places::Bound::Setting => {
                format!("{descriptors} open files are allowed")
            }
        };
        ::log::warn!("--max-connections lowered from {asked} to {}, since {limit}", places.connections);
    }
    settings.cache_entries = places.cache_entries;
    places.connections as usize
}
