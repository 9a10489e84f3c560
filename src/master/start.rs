//! How the master starts: everything that can fail is opened and checked before the first fork.
//!
//! Steps: check the kernel; take the sockets and the page that were inherited or handed over; open the first
//! generation, the address of the admin process and the logs; map the counters; write the pid file; have the
//! supervisor name the first actions.

use super::admin_listener::PreviousMaster;
use super::admin_process::AdminProcess;
use super::background::BackgroundStart;
use super::certificate_watch::CertificateWatch;
use super::children::Children;
use super::generation::Generation;
use super::handover::{self, Handover};
use super::listeners::Listeners;
use super::pid_file::PidFile;
use super::root_watch::RootWatch;
use super::state::Master;
use super::steering::Steering;
use super::supervisor::Supervisor;
use super::systemd::ServiceManager;
use super::ticket_page::ticket_keys;
use super::users_watch::UsersWatch;
use super::watchdog::Watchdog;
use crate::config::load::Inputs;
use crate::config::{self, Settings};
use crate::error::StartupError;
use crate::log;
use crate::metrics::Table;
use crate::sys::signal::Signals;
use crate::sys::{file, process, timer};

impl Master {
    /// Opens the log and all else that serving needs. The caller reports an error to `background_start`.
    pub(super) fn from_settings(settings: Settings, inputs: Inputs) -> Result<Master, StartupError> {
        log::init(&settings)?;
        for warning in &settings.warnings {
            ::log::warn!("{warning}");
        }
        check_kernel()?;
        let inherited = inherited_listeners(&settings)?;
        let signals = Signals::of_master()
            .map_err(|source| StartupError::System { step: "take up signals", source })?;
        let handover = handover::receive().map_err(|what| StartupError::Takeover { what })?;
        let previous_master = handover.is_some().then(process::parent);
        let Handover { listeners, admin: held, mut ticket_page } = handover.unwrap_or_default();
        let mut steering = Steering::default();
        steering.inherit(&listeners.groups);
        let pid_file = settings.pid_file.clone();
        let keys = ticket_keys(&mut ticket_page, &settings)?;
        let mut generation = Generation::open(1, settings, keys, &[&listeners, &inherited])?;
        drop((listeners, inherited));
        let previous = previous_master.map(|pid| PreviousMaster { pid, held });
        let admin = AdminProcess::open(&generation, previous)?;
        generation.open_logs()?;
        generation.log_certificate_warnings();
        let metrics = Table::new(generation.settings.workers)
            .map_err(|source| StartupError::System { step: "map the counters", source })?;
        generation.number_hosts(metrics);
        let pid_file = pid_file.as_deref().map(PidFile::write).transpose()?;
        ::log::info!("sandbox: {}", generation.sandbox);
        let now = timer::monotonic();
        let (slots, drain_timeout) = (generation.settings.workers, generation.settings.drain_timeout);
        let with_admin = generation.settings.admin.is_some();
        let (supervisor, first_actions) = Supervisor::start(slots, drain_timeout, with_admin, now);
        Ok(Master {
            inputs,
            signals,
            supervisor,
            first_actions,
            watchdog: Watchdog::new(generation.settings.watchdog, now),
            generations: vec![generation],
            children: Children::default(),
            steering,
            root_watch: RootWatch::default(),
            users_watch: UsersWatch::default(),
            certificate_watch: CertificateWatch::default(),
            ticket_page,
            admin,
            metrics,
            pid_file,
            systemd: ServiceManager::from_environment(now, previous_master.is_some()),
            background_start: BackgroundStart::default(),
            successor: None,
            previous_master,
            kept_listeners: Listeners::default(),
            caused_events: Vec::new(),
        })
    }
}

fn check_kernel() -> Result<(), StartupError> {
    if file::kernel_has_openat2() {
        return Ok(());
    }
    let what = "openat2(2) is missing or forbidden here; it needs Linux 5.6 or later".to_owned();
    Err(StartupError::Kernel { what })
}

/// The listeners of socket activation, which replace those of the settings.
fn inherited_listeners(settings: &Settings) -> Result<Listeners, StartupError> {
    let listeners = Listeners::inherited()?;
    let is_given = !settings.listen.is_empty() && settings.listen != [config::address::DEFAULT];
    if !listeners.inherited.is_empty() && is_given {
        ::log::info!("listening on inherited sockets; --listen, --host and --port are ignored");
    }
    Ok(listeners)
}
