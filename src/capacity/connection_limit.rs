//! How many connections and inotify watches a worker can hold: arithmetic over the limits of the kernel.
//!
//! The limit by memory is in [`memory`](super::memory).

use crate::config::Settings;

/// Descriptors of a worker beside its connections, its cache and what [`WorkerParts`] has: standard streams,
/// the error log, listeners, epoll, timers, the eventfd of the background threads, logs that are about to be
/// replaced, and a few for files that are sent after they left the cache. There can be more of such files, up
/// to one a connection. Then the cache closes its files, and a request that still finds no descriptor gets
/// 503. Descriptors for the worst case would halve the number of connections.
const OTHER_DESCRIPTORS: u64 = 48;

/// Memory maps of a worker beside its coroutine stacks.
const OTHER_MAPS: u64 = 1024;

/// A background thread has the file or directory of its job open.
const DESCRIPTORS_PER_THREAD: u64 = 1;

/// A background thread has a stack, a stack for signals, each with a guard page, and two maps of the
/// allocator. Measured: 5.8.
const MAPS_PER_THREAD: u64 = 6;

/// A coroutine has a stack and a guard page, each a map.
const MAPS_PER_STACK: u64 = 2;

/// The limit that decides the number of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
    /// The setting `--max-connections`.
    Setting,
    /// Open descriptors (`RLIMIT_NOFILE`).
    Descriptors,
    /// Memory maps (`vm.max_map_count`).
    Maps,
}

/// The connections and cache entries that a worker can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// Open connections, at least 1.
    pub connections: u32,
    /// The limit that decides it.
    pub limited_by: LimitedBy,
    /// Cache entries, at least 1. Each may hold a descriptor.
    pub cache_entries: usize,
}

/// What a worker has besides connections and cache, and the settings can make numerous.
#[derive(Clone, Copy, Debug)]
pub struct WorkerParts {
    /// Background threads.
    pub threads: usize,
    /// Directories and access logs, each of which is open as long as the worker runs.
    pub open_files: usize,
}

impl WorkerParts {
    /// Those of a worker with these settings.
    pub fn of(settings: &Settings) -> WorkerParts {
        let open_files = settings.directories().len() + settings.access_logs().len();
        WorkerParts { threads: settings.background_threads(), open_files }
    }
}

/// Computes the limit of a worker from the settings, its parts, its descriptors (`RLIMIT_NOFILE`) and its
/// maps (`vm.max_map_count`).
pub fn decide(
    asked: Option<u32>,
    cache_entries: usize,
    parts: WorkerParts,
    descriptors: u64,
    maps: u64,
) -> ConnectionLimit {
    let cache = (cache_entries as u64).min(descriptors / 4).max(1);
    let by_descriptors = descriptors.saturating_sub(other_descriptors(parts) + cache).max(1);
    let by_maps = (maps.saturating_sub(other_maps(parts)) / MAPS_PER_STACK).max(1);
    let asked = asked.map_or(u64::MAX, u64::from);
    let (connections, limited_by) = if asked <= by_descriptors.min(by_maps) {
        (asked, LimitedBy::Setting)
    } else if by_descriptors <= by_maps {
        (by_descriptors, LimitedBy::Descriptors)
    } else {
        (by_maps, LimitedBy::Maps)
    };
    ConnectionLimit {
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
        limited_by,
        cache_entries: usize::try_from(cache).unwrap_or(1),
    }
}

/// Memory maps of a worker with this many connections and these parts.
pub fn maps_for(connections: u32, parts: WorkerParts) -> u64 {
    other_maps(parts) + u64::from(connections) * MAPS_PER_STACK
}

/// Descriptors that a worker with these parts needs for this many connections. The cache takes at most a
/// quarter of them.
pub fn descriptors_for(connections: u32, cache_entries: usize, parts: WorkerParts) -> u64 {
    let others = u64::from(connections) + other_descriptors(parts);
    (others + (cache_entries as u64).max(1)).min((others - 1) * 4 / 3 + 1)
}

fn other_descriptors(parts: WorkerParts) -> u64 {
    OTHER_DESCRIPTORS + parts.threads as u64 * DESCRIPTORS_PER_THREAD + parts.open_files as u64
}

fn other_maps(parts: WorkerParts) -> u64 {
    OTHER_MAPS + parts.threads as u64 * MAPS_PER_THREAD
}

/// The most inotify watches of a worker, out of the `all` that its user may have. Two generations of workers
/// together use at most half.
pub fn watch_limit(all: u64, workers: usize) -> usize {
    let share = all / 2 / 2 / (workers as u64).max(1);
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AccessLogTarget;
    use crate::config::host::HostSettings;
    use crate::config::host::name::HostName;

    /// As many as by default.
    const PARTS: WorkerParts = WorkerParts { threads: 17, open_files: 0 };

    #[track_caller]
    fn check(asked: Option<u32>, descriptors: u64, maps: u64, connections: u32, limited_by: LimitedBy) {
        let limit = decide(asked, 4096, PARTS, descriptors, maps);
        assert_eq!((limit.connections, limit.limited_by), (connections, limited_by));
    }

    #[test]
    fn the_tightest_limit_decides() {
        check(None, 1_048_576, 65_530, 32_202, LimitedBy::Maps);
        check(None, 20_000, 65_530, 15_839, LimitedBy::Descriptors);
        check(None, 1024, 65_530, 703, LimitedBy::Descriptors);
        check(Some(500), 1024, 65_530, 500, LimitedBy::Setting);
        check(Some(5000), 1024, 65_530, 703, LimitedBy::Descriptors);
        check(Some(100_000), 1_048_576, 262_144, 100_000, LimitedBy::Setting);
    }

    #[test]
    fn each_background_thread_takes_descriptors_and_maps() {
        let connections = |threads, descriptors, maps| {
            decide(None, 4096, WorkerParts { threads, open_files: 0 }, descriptors, maps).connections
        };
        assert_eq!(connections(1, 1 << 40, 65_530) - connections(272, 1 << 40, 65_530), 271 * 6 / 2);
        assert_eq!(connections(1, 20_000, 1 << 40) - connections(272, 20_000, 1 << 40), 271);
    }

    #[test]
    fn each_directory_and_each_access_log_takes_a_descriptor() {
        let named = |text: &str| HostName::read(text).unwrap();
        let log = AccessLogTarget::File("/var/log/a.log".into());
        let host = |name: &str, root: &str, access_log: AccessLogTarget| HostSettings {
            names: vec![named(name)],
            root: Some(root.into()),
            access_log: Some(access_log),
            ..HostSettings::default()
        };
        let hosts = vec![
            host("a", "/srv/a", log.clone()),
            host("b", "/srv/b", log),
            host("c", "/srv/b", AccessLogTarget::Off),
        ];
        let settings = Settings { hosts, access_log: AccessLogTarget::Stdout, ..Settings::default() };
        let parts = WorkerParts::of(&settings);
        assert_eq!((parts.threads, parts.open_files), (17, 4));
        let connections = |parts| decide(None, 4096, parts, 20_000, 1 << 40).connections;
        assert_eq!(connections(PARTS) - connections(parts), 4);
    }

    #[test]
    fn two_generations_use_at_most_half_of_the_watches() {
        assert_eq!(watch_limit(1_048_576, 4), 65_536);
        assert_eq!(watch_limit(8192, 4), 512);
        assert_eq!(watch_limit(0, 1024), 1);
        assert_eq!(watch_limit(u64::MAX, 0), usize::MAX / 4);
    }

    #[test]
    fn there_is_always_room_for_a_connection() {
        check(None, 0, 0, 1, LimitedBy::Descriptors);
        check(None, 64, 65_530, 1, LimitedBy::Descriptors);
        assert_eq!(decide(None, 4096, PARTS, 64, 65_530).cache_entries, 16);
    }

    #[test]
    fn the_needed_descriptors_and_maps_are_just_enough() {
        for connections in [1, 2, 500, 703, 5000, 32_202, 500_000] {
            for cache in [1, 100, 4096] {
                let descriptors = descriptors_for(connections, cache, PARTS);
                let maps = maps_for(connections, PARTS);
                let connections_with =
                    |descriptors, maps| decide(Some(1 << 30), cache, PARTS, descriptors, maps).connections;
                assert_eq!(connections_with(descriptors, 1 << 40), connections, "{cache}");
                assert_eq!(connections_with(1 << 40, maps), connections);
                if connections > 1 {
                    assert!(connections_with(descriptors - 1, 1 << 40) < connections);
                    assert!(connections_with(1 << 40, maps - 1) < connections);
                }
            }
        }
    }
}
