//! The master's state. The methods are in the files beside, one for each task.

use super::admin_process::AdminProcess;
use super::background::BackgroundStart;
use super::certificate_watch::CertificateWatch;
use super::children::Children;
use super::generation::Generation;
use super::listeners::Listeners;
use super::pid_file::PidFile;
use super::root_watch::RootWatch;
use super::steering::Steering;
use super::supervisor::Supervisor;
use super::supervisor::event::{Action, Event};
use super::systemd::ServiceManager;
use super::users_watch::UsersWatch;
use super::watchdog::Watchdog;
use crate::config::load::Inputs;
use crate::metrics::Table;
use crate::sys::secret_page::SecretPage;
use crate::sys::signal::Signals;

/// The master. `Master::drop_inherited` (`process.rs`) names every field: what a child drops, and what not.
pub(super) struct Master {
    /// Where a reload reads the settings.
    pub(super) inputs: Inputs,
    pub(super) signals: Signals,
    pub(super) supervisor: Supervisor,
    /// The supervisor's first actions, which start the workers.
    pub(super) first_actions: Vec<Action>,
    pub(super) generations: Vec<Generation>,
    pub(super) children: Children,
    pub(super) watchdog: Watchdog,
    pub(super) steering: Steering,
    pub(super) root_watch: RootWatch,
    pub(super) users_watch: UsersWatch,
    pub(super) certificate_watch: CertificateWatch,
    /// The keys of TLS tickets, once TLS is served.
    pub(super) ticket_page: Option<SecretPage>,
    pub(super) admin: AdminProcess,
    /// The counters, in memory that all processes share.
    pub(super) metrics: Table,
    pub(super) pid_file: Option<PidFile>,
    pub(super) systemd: ServiceManager,
    pub(super) background_start: BackgroundStart,
    /// The new program's master, while there is one.
    pub(super) successor: Option<i32>,
    /// The master that handed the listeners over, if this one was started by an upgrade. While that one
    /// lives, it is the parent.
    pub(super) previous_master: Option<i32>,
    /// The listeners that stay open after WINCH has drained the workers, until a reload starts others.
    pub(super) kept_listeners: Listeners,
    /// Events that follow from actions, for the next round.
    pub(super) caused_events: Vec<Event>,
}
