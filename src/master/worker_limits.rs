//! The limits of a worker, within what the machine and the kernel allow.

use crate::capacity::connection_limit::WorkerParts;
use crate::capacity::proc::Proc;
use crate::capacity::{self, connection_limit, memory};
use crate::config::Settings;
use crate::sys::limits;

/// Decides the most open connections of a worker, which it returns. Sets the size and the entries of the
/// cache in `settings`, and `max_connections` only if memory lowers the default. Logs what it lowers.
pub fn resolve(settings: &mut Settings) -> usize {
    let descriptors = limits::raise_descriptor_limit();
    let maps = Proc::running().max_map_count();
    let asked = settings.max_connections;
    let fit = memory::fit(settings, &Proc::running());
    if !fit.lowered.is_empty() {
        ::log::info!("less than by default, {}: {}", fit.reason, fit.in_words(settings));
    }
    if let Some(warning) = fit.warning {
        ::log::warn!("{warning}");
    }
    let entries = settings.cache_entries.unwrap_or(memory::CACHE_ENTRIES);
    let parts = WorkerParts::of(settings);
    let limit = connection_limit::decide(settings.max_connections, entries, parts, descriptors, maps);
    if let Some(asked) = asked
        && asked > limit.connections
    {
        let why = match limit.limited_by {
            connection_limit::LimitedBy::Maps => format!("vm.max_map_count is {maps}"),
            connection_limit::LimitedBy::Descriptors | connection_limit::LimitedBy::Setting => {
                format!("{descriptors} open files are allowed")
            }
        };
        ::log::warn!("--max-connections lowered from {asked} to {}, since {why}", limit.connections);
    }
    settings.cache_entries = Some(limit.cache_entries);
    limit.connections as usize
}

/// Warns where the kernel makes accept queues shorter than the settings ask for.
pub fn warn_of_short_backlog(settings: &Settings) {
    if let Some(most) = capacity::backlog_cut(&Proc::running(), settings.backlog) {
        ::log::warn!(
            "--backlog lowered from {} to {most}, since net.core.somaxconn is {most}",
            settings.backlog
        );
    }
}

/// The most inotify watches of a worker.
pub fn watches(settings: &Settings) -> usize {
    connection_limit::watch_limit(Proc::running().max_user_watches(), settings.workers)
}
