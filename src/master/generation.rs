//! What the workers of one generation are started from: settings, roots, certificates, user, logs, listeners.
//!
//! All of it is opened and checked before anything is forked. So a reload with bad settings leaves an error
//! line in the log, and the earlier settings stay. The logs come last, since that creates their files. If the
//! error log can't be opened, the access log may have been created already. Decides nothing about processes.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::generation_tls::{GenerationTls, certificate_warnings, open_certificates};
use super::listeners::Listeners;
use super::open_root::{self, OpenRoot};
use super::users_file::UsersFile;
use super::{identity, worker_limits};
use crate::config::{self, Settings};
use crate::error::{StartupError, cause};
use crate::log::ErrorLog;
use crate::log::access::AccessLogOutput;
use crate::metrics::certificates::CertificateSnapshot;
use crate::metrics::{HostNumber, Row, Table};
use crate::sandbox::Sandbox;
use crate::sys::file::Root;
use crate::sys::process::Identity;
use crate::tls::certificate_pair::CertificatePair;
use crate::tls::ticket_keys::TicketKeys;
use crate::worker;

/// What the workers of one generation are started from.
pub struct Generation {
    /// Its number.
    pub number: u32,
    /// Its settings.
    pub settings: Settings,
    /// Its listeners.
    pub listeners: Listeners,
    /// The error log, once it is open.
    pub log: Option<ErrorLog>,
    /// The access logs, as [`Settings::access_logs`] has them.
    access: Vec<AccessLogOutput>,
    /// The site's root, if it has one, and then the directories of locations as [`Settings::directories`] has
    /// them.
    pub roots: Vec<OpenRoot>,
    /// The users files, as [`Settings::users_files`] has them.
    pub users: Vec<UsersFile>,
    /// What it serves TLS with, if it has a TLS listener.
    pub tls: Option<GenerationTls>,
    /// The numbers that its hosts are counted by, in the order of the settings, once they have any.
    host_numbers: Vec<HostNumber>,
    identity: Option<Identity>,
    /// The most open connections of a worker.
    connections: usize,
    /// The most inotify watches of a worker.
    watches: usize,
    /// How its workers are confined.
    pub sandbox: Sandbox,
}

impl Generation {
    /// Opens and checks what the settings name. Shares the sockets that `others` have open already. `keys`
    /// are for tickets, if there is a TLS listener.
    ///
    /// # Errors
    /// The first step that failed.
    pub fn open(
        number: u32,
        settings: Settings,
        keys: Option<TicketKeys>,
        others: &[&Listeners],
    ) -> Result<Generation, StartupError> {
        let roots = open_root::open_roots(&settings)?;
        let users = open_users(&settings)?;
        let pairs = open_certificates(&settings)?;
        let tls = keys.map(|keys| GenerationTls::new(&settings, pairs, keys)).transpose()?;
        Generation::with_files(number, settings, (roots, users, tls), others)
    }

    /// The next generation after the path of a root has moved: with this number of workers and otherwise the
    /// same settings. `found` has the new directories; `None` keeps a root.
    ///
    /// # Errors
    /// As [`Generation::open`].
    pub fn with_moved_roots(
        &self,
        (number, workers): (u32, usize),
        found: Vec<Option<Root>>,
        others: &[&Listeners],
    ) -> Result<Generation, StartupError> {
        let roots = self.roots.iter().zip(found).map(|(root, found)| {
            let next = match found {
                Some(directory) => OpenRoot::new(directory, &root.path),
                None => root.try_clone(),
            };
            next.map_err(|source| StartupError::Root { path: root.path.clone(), source })
        });
        let settings = Settings { workers, ..self.settings.clone() };
        // A version with a fault, which counts for nothing, must not keep the roots where they are.
        let opened = (roots.collect::<Result<_, _>>()?, self.users.clone(), self.tls.clone());
        Generation::with_files(number, settings, opened, others)
    }

    /// The next generation with these certificates: with this number of workers and otherwise the same
    /// settings.
    ///
    /// # Errors
    /// As [`Generation::open`].
    pub fn with_certificates(
        &self,
        next: (u32, usize),
        pairs: Vec<CertificatePair>,
        others: &[&Listeners],
    ) -> Result<Generation, StartupError> {
        let tls = self.tls.as_ref().map(|tls| GenerationTls::new(&self.settings, pairs, tls.keys));
        let tls = tls.transpose()?;
        let unmoved = self.roots.iter().map(|_| None).collect();
        Ok(Generation { tls, ..self.with_moved_roots(next, unmoved, others)? })
    }

    /// Replaces the roots by the directories that were found, since the workers have replaced theirs already.
    pub fn replace_roots(&mut self, found: Vec<Option<Root>>) {
        for (root, found) in self.roots.iter_mut().zip(found) {
            if let Some(Ok(found)) = found.map(|directory| OpenRoot::new(directory, &root.path)) {
                *root = found;
            }
        }
    }

    /// True if workers open the paths of the roots again by themselves: they may open what the master may.
    pub fn workers_follow_roots(&self) -> bool {
        self.sandbox.landlock.is_none() && self.identity.is_none()
    }

    fn with_files(
        number: u32,
        mut settings: Settings,
        (roots, users, tls): (Vec<OpenRoot>, Vec<UsersFile>, Option<GenerationTls>),
        others: &[&Listeners],
    ) -> Result<Generation, StartupError> {
        let sandbox = sandbox(&settings)?;
        let identity = identity::look_up(&settings)?;
        let connections = worker_limits::resolve(&mut settings);
        let watches = worker_limits::watches(&settings);
        let listeners = Listeners::open(&settings, others)?;
        listeners.check_names(&settings)?;
        // The owner of an inherited socket sets the length of its queue.
        if listeners.inherited.is_empty() {
            worker_limits::warn_of_short_backlog(&settings);
        }
        Ok(Generation {
            number,
            settings,
            listeners,
            log: None,
            access: Vec::new(),
            roots,
            users,
            tls,
            host_numbers: Vec::new(),
            identity,
            connections,
            watches,
            sandbox,
        })
    }

    /// Has the table count the hosts of these settings, each by its first name.
    pub fn number_hosts(&mut self, metrics: Table) {
        let hosts = self.settings.hosts.iter();
        let names: Vec<String> =
            hosts.map(|host| host.names.first().map_or_else(String::new, ToString::to_string)).collect();
        self.host_numbers = metrics.number_hosts(&names);
        let others = self.host_numbers.iter().filter(|number| **number == HostNumber::OTHER).count();
        if others > 0 {
            ::log::warn!(
                "{others} hosts are counted together as (other): a master has counts for 1022 names of hosts, \
                 those of earlier settings included"
            );
        }
    }

    /// The certificates, for the metrics.
    pub fn certificates(&self) -> Vec<CertificateSnapshot> {
        self.tls.as_ref().map(GenerationTls::snapshots).unwrap_or_default()
    }

    /// Logs what an operator should know of the certificates.
    pub fn log_certificate_warnings(&self) {
        self.tls.iter().for_each(GenerationTls::log_warnings);
    }

    /// Opens the logs. This comes last, since it creates the files.
    ///
    /// # Errors
    /// [`StartupError::Log`] for one that can't be opened.
    pub fn open_logs(&mut self) -> Result<(), StartupError> {
        let open = |setting| AccessLogOutput::open(setting).map_err(|source| access_failed(setting, source));
        let logs = self.settings.access_logs().into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        self.access = logs.into_iter().flatten().collect();
        self.log = Some(ErrorLog::open(&self.settings)?);
        Ok(())
    }

    /// Applies these settings to the master itself. Called when all workers serve: a reload that fails would
    /// have to undo it.
    pub fn apply_to_master(&self) {
        if let Some(Err(error)) = self.log.as_ref().map(ErrorLog::adopt) {
            ::log::error!("cannot change to the new error log: {}", cause(&error));
        }
        self.set_backlog();
    }

    /// Sets the length of the accept queues to the setting.
    pub fn set_backlog(&self) {
        if let Err(error) = self.listeners.set_backlog(self.settings.backlog) {
            ::log::warn!("cannot change the backlog: {}", cause(&error));
        }
    }

    /// In the child: becomes the worker of a slot.
    pub fn become_worker(
        mut self,
        (slot, waits): (usize, bool),
        master: i32,
        link: OwnedFd,
        metrics: Row,
    ) -> ! {
        if let Some(Err(error)) = self.log.take().map(|log| log.adopt()) {
            worker::fail(&link, &format!("cannot log to its error log: {}", cause(&error)));
        }
        let listeners = std::mem::take(&mut self.listeners).into_listeners(slot, &self.settings);
        let listeners = listeners.unwrap_or_else(|why| worker::fail(&link, &why));
        // The roots are opened again, since a path may lead elsewhere by now. This is done with the master's
        // rights, since the workers' user may lack permission for a directory on the way. If it fails, the
        // root that the master opened stays.
        let mut roots = std::mem::take(&mut self.roots).into_iter().map(OpenRoot::reopened);
        let root = match self.settings.root {
            config::SiteRoot::Directory(_) => roots.next(),
            config::SiteRoot::Welcome => None,
        };
        let directories = roots.collect();
        worker::run(worker::start::WorkerStart {
            slot,
            master,
            link,
            listeners,
            waits,
            root,
            directories,
            identity: self.identity.take(),
            access: std::mem::take(&mut self.access),
            users: self.users.iter().map(UsersFile::users).collect(),
            tls: self.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
            certificates: self.tls.as_ref().map(|tls| Arc::clone(&tls.resolver)),
            max_connections: self.connections,
            watches: self.watches,
            sandbox: self.sandbox,
            metrics,
            host_numbers: self.host_numbers,
            settings: self.settings,
        })
    }

    /// Opens the access logs again by their names, for this process and later workers. Returns
    /// [`StartupError::Log`] for each file that can't be opened; the one that is open stays in use.
    pub fn reopen_access(&self) -> Vec<StartupError> {
        let logs = self.settings.access_logs().into_iter().zip(&self.access);
        let failed = logs.filter_map(|(setting, access)| {
            access.reopen(setting).map_err(|source| access_failed(setting, source)).err()
        });
        failed.collect()
    }

    /// The descriptors of the error log and of the access logs, for the workers that run.
    pub fn logs(&self) -> Vec<BorrowedFd<'_>> {
        let log = self.log.iter().map(ErrorLog::descriptor);
        log.chain(self.access.iter().map(AccessLogOutput::descriptor)).collect()
    }

    /// What is served, for the log.
    pub fn what(&self) -> String {
        match &self.settings.root {
            config::SiteRoot::Directory(path) => path.display().to_string(),
            config::SiteRoot::Welcome => "the built-in welcome page".to_owned(),
        }
    }

    /// The user that workers become; `None` if they stay the master's user.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.clone()
    }

    /// The most open connections of a worker.
    pub fn connections(&self) -> usize {
        self.connections
    }
}

fn access_failed(setting: &config::AccessLogTarget, source: io::Error) -> StartupError {
    let path = match setting {
        config::AccessLogTarget::File(path) => path.clone(),
        config::AccessLogTarget::Off | config::AccessLogTarget::Stdout => "standard output".into(),
    };
    StartupError::Log { path, source }
}

/// Checks what the settings name, as far as possible while a server runs with the same addresses. Returns
/// what a start would warn of.
///
/// # Errors
/// The first check that failed.
pub fn check(settings: &Settings) -> Result<Vec<String>, StartupError> {
    sandbox(settings)?;
    open_root::open_roots(settings)?;
    open_users(settings)?;
    identity::look_up(settings)?;
    Ok(certificate_warnings(&open_certificates(settings)?))
}

/// Reads the users files.
fn open_users(settings: &Settings) -> Result<Vec<UsersFile>, StartupError> {
    settings.users_files().into_iter().map(UsersFile::open).collect()
}

/// How the workers are confined, by the settings and what this kernel supports.
fn sandbox(settings: &Settings) -> Result<Sandbox, StartupError> {
    Sandbox::plan(settings.sandbox).map_err(|what| StartupError::Kernel { what })
}
