//! How memory is divided among the workers: the defaults of cache and connections, and the most that settings
//! need.
//!
//! All workers count twice, because two generations of workers exist during a reload.
//!
//! **Invariant:** a setting is never lowered, only a default. If the settings do not fit, the operator is
//! warned.

use std::fmt;

use crate::capacity::cgroup;
use crate::capacity::connection_limit::{self, WorkerParts};
use crate::capacity::proc::Proc;
use crate::config::Settings;

/// The default for bytes of files in a worker's cache, if memory allows.
pub const CACHE_SIZE: u64 = 64 << 20;

/// The default for files that a worker's cache holds open, if memory allows.
pub const CACHE_ENTRIES: usize = 4096;

/// Generations of workers that exist at once, during a reload.
const GENERATIONS: u64 = 2;

/// Bytes of the master, the admin process, and the pages of the program that all processes share.
const MASTER: u64 = 6 << 20;

/// Bytes of a worker with an empty cache, no connection and no background thread. Measured: 2.2 MiB,
/// including kernel memory.
const WORKER: u64 = 3 << 20;

/// Bytes of a background thread, of which the kernel takes more than half. Measured: 58 KiB.
const THREAD: u64 = 64 << 10;

/// Bytes of a connection: up to 16 KiB in the worker during a request, and 16 KiB for the socket in the
/// kernel. The longest heads take more. Outside of a reload the memory of the second generation is free for
/// them.
const CONNECTION: u64 = 32 << 10;

/// The same where it may speak TLS or HTTP/2, which keeps some 30 KiB for itself: docs/design/http2.md.
const TLS_CONNECTION: u64 = 96 << 10;

/// Bytes of a file that is held open: the entry, and the inode, file and watches in the kernel.
const OPEN_FILE: u64 = 4 << 10;

/// Bytes of a directory or an access log: what a file takes that is held open, and as much for rules or for
/// lines that are not written yet.
const DIRECTORY_OR_LOG: u64 = 8 << 10;

/// The lowest defaults of a worker, even if the memory limit is too small for them.
const MINIMUM: WorkerShare = WorkerShare { cache_size: 256 << 10, cache_entries: 16, connections: 64 };

/// Memory that all processes of the server may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The memory in bytes.
    pub bytes: u64,
    /// True for the limit of a control group, false for the machine's memory.
    pub is_limit: bool,
}

/// What each worker may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerShare {
    /// Bytes of short files in its cache.
    pub cache_size: u64,
    /// Long files that its cache holds open.
    pub cache_entries: usize,
    /// Open connections.
    pub connections: u32,
}

/// Which defaults were lowered to fit into memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// The long names of the settings whose defaults were lowered.
    pub lowered: Vec<&'static str>,
    /// The reason, for the end of a sentence.
    pub reason: String,
    /// A warning if these settings do not fit into this memory.
    pub warning: Option<String>,
}

impl Memory {
    /// The tightest limit of this process's control groups, or the machine's memory if that is less. `None`
    /// if neither can be read.
    pub fn available(proc: &Proc) -> Option<Memory> {
        let limit = cgroup::limits(proc).memory.map(|bytes| Memory { bytes, is_limit: true });
        let machine = proc.memory().map(|bytes| Memory { bytes, is_limit: false });
        [limit, machine].into_iter().flatten().min_by_key(|memory| memory.bytes)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = mebibytes(self.bytes);
        if self.is_limit {
            write!(f, "the memory limit of {size}")
        } else {
            write!(f, "the machine's {size}")
        }
    }
}

impl Fit {
    /// The lowered settings with their values, as flags.
    pub fn in_words(&self, settings: &Settings) -> String {
        let value = |name: &&str| match *name {
            "cache-size" => format!("--cache-size {}", mebibytes(settings.cache_size.unwrap_or(0))),
            "cache-entries" => format!("--cache-entries {}", settings.cache_entries.unwrap_or(0)),
            _ => format!("--max-connections {}", settings.max_connections.unwrap_or(0)),
        };
        self.lowered.iter().map(value).collect::<Vec<_>>().join(", ")
    }
}

/// Sets the defaults of cache and connections by the memory that is available. `max_connections` stays unset
/// if other limits are lower.
pub fn fit(settings: &mut Settings, proc: &Proc) -> Fit {
    let given = settings.clone();
    let memory = Memory::available(proc);
    let limits = limits(settings, proc);
    let share = share(settings, memory.map(|memory| memory.bytes), limits);
    settings.cache_size = Some(share.cache_size);
    settings.cache_entries = Some(share.cache_entries);
    let Some(memory) = memory else { return Fit::default() };
    let mut fit = Fit { reason: format!("by {memory}"), ..Fit::default() };
    if share.connections < limits {
        settings.max_connections = Some(share.connections);
    }
    let lowered = [
        ("cache-size", given.cache_size.is_none() && share.cache_size < CACHE_SIZE),
        ("cache-entries", given.cache_entries.is_none() && share.cache_entries < CACHE_ENTRIES),
        ("max-connections", given.max_connections.is_none() && settings.max_connections.is_some()),
    ];
    fit.lowered = lowered.into_iter().filter(|(_, is_lowered)| *is_lowered).map(|(name, _)| name).collect();
    let need = need(settings, share);
    if need > memory.bytes {
        let workers = settings.workers;
        fit.warning = Some(format!(
            "{workers} workers with {} of cache and {} connections each take up to {} in a reload, which is more than \
             {memory}: the kernel may kill workers",
            mebibytes(share.cache_size),
            share.connections,
            mebibytes(need)
        ));
    }
    fit
}

/// The share of each worker in `bytes` of memory, or in unlimited memory. `limits` is the number of
/// connections that all other limits allow.
fn share(settings: &Settings, bytes: Option<u64>, limits: u32) -> WorkerShare {
    if let Some(bytes) = bytes {
        let whole = share(settings, None, limits);
        if need(settings, whole) <= bytes {
            return whole;
        }
    }
    let processes = GENERATIONS * settings.workers as u64;
    let room = bytes.map_or(u64::MAX, |bytes| {
        (bytes.saturating_sub(MASTER) / processes).saturating_sub(empty_worker(settings))
    });
    // Half is for connections. Three quarters of the other half are for cached bytes, one quarter for open
    // files.
    let reserved = (room / 2).max(u64::from(MINIMUM.connections) * connection(settings));
    let caches = room.saturating_sub(reserved);
    let size = (caches / 4 * 3).clamp(MINIMUM.cache_size, CACHE_SIZE);
    let entries = (caches / 4 / OPEN_FILE).clamp(MINIMUM.cache_entries as u64, CACHE_ENTRIES as u64);
    let cache_size = settings.cache_size.unwrap_or(size);
    let cache_entries = settings.cache_entries.unwrap_or(usize::try_from(entries).unwrap_or(CACHE_ENTRIES));
    let rest = room.saturating_sub(cache_size).saturating_sub(cache_entries as u64 * OPEN_FILE);
    let connections = (rest / connection(settings)).max(MINIMUM.connections.into());
    let connections = u32::try_from(connections).unwrap_or(u32::MAX).min(limits);
    WorkerShare {
        cache_size,
        cache_entries,
        connections: settings.max_connections.map_or(connections, |n| n.min(limits)),
    }
}

/// Bytes of a connection.
fn connection(settings: &Settings) -> u64 {
    let is_large = settings.http2_plain || !settings.tls_listen.is_empty();
    if is_large { TLS_CONNECTION } else { CONNECTION }
}

/// Connections that a worker may hold by all limits except memory.
fn limits(settings: &Settings, proc: &Proc) -> u32 {
    let entries = settings.cache_entries.unwrap_or(CACHE_ENTRIES);
    let descriptors = proc.max_descriptors().unwrap_or(u64::MAX);
    let parts = WorkerParts::of(settings);
    let maps = proc.max_map_count();
    connection_limit::decide(settings.max_connections, entries, parts, descriptors, maps).connections
}

/// The most bytes that all processes use during a reload, if each worker uses its whole share.
pub fn need(settings: &Settings, share: WorkerShare) -> u64 {
    let WorkerShare { cache_size, cache_entries, connections } = share;
    let caches = cache_size.saturating_add(cache_entries as u64 * OPEN_FILE);
    let worker = caches
        .saturating_add(empty_worker(settings))
        .saturating_add(u64::from(connections) * connection(settings));
    worker.saturating_mul(GENERATIONS * settings.workers as u64).saturating_add(MASTER)
}

/// Bytes of a worker with its threads, its directories and access logs and what it has compressed, an empty
/// cache and no connection.
fn empty_worker(settings: &Settings) -> u64 {
    let parts = WorkerParts::of(settings);
    let compressed = if settings.compresses() { settings.compress_cache } else { 0 };
    let open_files = parts.open_files as u64 * DIRECTORY_OR_LOG;
    compressed.saturating_add(WORKER + parts.threads as u64 * THREAD + open_files)
}

/// Bytes that these settings would use in unlimited memory.
pub fn unlimited_need(settings: &Settings, proc: &Proc) -> u64 {
    need(settings, share(settings, None, limits(settings, proc)))
}

/// Bytes that these settings use at least: the processes, and the caches whose size is set.
pub fn minimum_need(settings: &Settings) -> u64 {
    let cache_size = settings.cache_size.unwrap_or(MINIMUM.cache_size);
    let cache_entries = settings.cache_entries.unwrap_or(MINIMUM.cache_entries);
    need(settings, WorkerShare { cache_size, cache_entries, connections: 0 })
}

/// A size in MiB or KiB, rounded down.
pub fn mebibytes(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More connections than memory allows in these tests.
    const LIMITS: u32 = 1_000_000;

    fn workers(workers: usize) -> Settings {
        Settings { workers, ..Settings::default() }
    }

    #[test]
    fn shares_fit_into_memory() {
        for mebibytes in [16, 24, 32, 48, 64, 100, 128, 256, 1000, 4096, 65_536] {
            for count in [1, 2, 4, 16, 64] {
                let bytes = mebibytes << 20;
                let share = share(&workers(count), Some(bytes), LIMITS);
                let need = need(&workers(count), share);
                let least = minimum_need(&workers(count))
                    + 2 * count as u64 * u64::from(MINIMUM.connections) * CONNECTION;
                assert!(
                    need <= bytes.max(least),
                    "{count} workers in {mebibytes} MiB need {need}: {share:?}"
                );
                assert!(share.cache_size <= CACHE_SIZE && share.cache_entries <= CACHE_ENTRIES);
            }
        }
    }

    #[test]
    fn a_connection_that_may_speak_http2_takes_more() {
        let settings = Settings { http2_plain: true, ..workers(1) };
        let connections = |settings: &Settings| share(settings, Some(256 << 20), LIMITS).connections;
        assert!((2..=4).contains(&(connections(&workers(1)) / connections(&settings))));
    }

    #[test]
    fn a_worker_in_32_mib_has_a_cache_and_connections() {
        let share = share(&workers(1), Some(32 << 20), LIMITS);
        assert_eq!(share, WorkerShare { cache_size: 3432 << 10, cache_entries: 286, connections: 143 });
    }

    #[test]
    fn with_enough_memory_no_default_is_lowered() {
        let whole = WorkerShare { cache_size: CACHE_SIZE, cache_entries: CACHE_ENTRIES, connections: 20_000 };
        assert_eq!(share(&workers(4), Some(64 << 30), 20_000), whole);
        assert_eq!(share(&workers(4), None, 20_000), whole);
    }

    #[test]
    fn a_setting_is_kept_and_the_defaults_adapt() {
        let given = Settings { cache_size: Some(8 << 20), cache_entries: Some(0), ..workers(1) };
        assert_eq!(share(&given, Some(32 << 20), LIMITS).connections, 64);
        let given = Settings { cache_size: Some(0), cache_entries: Some(0), ..workers(1) };
        assert_eq!(share(&given, Some(32 << 20), LIMITS).connections, 286);
        let given = Settings { max_connections: Some(5000), ..workers(1) };
        assert_eq!(share(&given, Some(32 << 20), LIMITS).connections, 5000);
        assert_eq!(share(&given, Some(32 << 20), 4000).connections, 4000, "other limits hold");
    }

    #[test]
    fn what_may_be_compressed_takes_of_the_share() {
        let mut settings = workers(2);
        let before = minimum_need(&settings);
        settings.scope.compress = true;
        assert_eq!(minimum_need(&settings) - before, 2 * 2 * settings.compress_cache);
        settings.compress_cache = u64::MAX;
        assert_eq!(minimum_need(&settings), u64::MAX, "it does not overflow");
    }

    #[test]
    fn background_threads_take_of_the_share() {
        let none = Settings { disk_threads: 0, ..workers(1) };
        let all = Settings { disk_threads: 256, ..workers(1) };
        assert_eq!(minimum_need(&all) - minimum_need(&none), 2 * 256 * THREAD);
        let connections = |settings| share(settings, Some(128 << 20), LIMITS).connections;
        assert!(connections(&none) > connections(&all));
    }

    #[test]
    fn sizes_are_said_in_words() {
        assert_eq!((mebibytes(15 << 18), mebibytes(1 << 18)), ("3 MiB".to_owned(), "256 KiB".to_owned()));
        let memory = |is_limit| Memory { bytes: 32 << 20, is_limit }.to_string();
        assert_eq!(memory(true), "the memory limit of 32 MiB");
        assert_eq!(memory(false), "the machine's 32 MiB");
    }
}
