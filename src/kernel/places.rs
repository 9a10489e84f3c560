//! How many connections a worker can hold at once, and how many watches: arithmetic over what the kernel allows.

/// Descriptors of a worker that are no connections: standard streams, logs, listeners, epoll, timers, and some to spare
/// for files that are served after they left the cache. There can be more of those, up to one a connection; then the
/// cache lets go of its own, and what still finds no descriptor gets 503. Room for the worst would halve the places.
const OTHER_DESCRIPTORS: u64 = 48;

/// Memory maps of a worker that are no coroutine stacks.
const OTHER_MAPS: u64 = 1024;

/// A coroutine's stack and its guard page are a map each.
const MAPS_PER_STACK: u64 = 2;

/// The limit that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `--max-connections` as asked for.
    Setting,
    /// Open descriptors (`RLIMIT_NOFILE`).
    Descriptors,
    /// Memory maps (`vm.max_map_count`).
    Maps,
}

/// What a worker can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Connections at once, at least 1.
    pub connections: u32,
    /// What kept it from being more.
    pub bound: Bound,
    /// Cached entries, each of which may hold a descriptor; at least 1.
    pub cache_entries: usize,
}

/// Decides from the setting, if there is one, the size asked for the cache, and the kernel's limits.
pub fn decide(asked: Option<u32>, cache_entries: usize, descriptors: u64, maps: u64) -> Places {
    let cache = (cache_entries as u64).min(descriptors / 4).max(1);
    let by_descriptors = descriptors.saturating_sub(OTHER_DESCRIPTORS + cache).max(1);
    let by_maps = (maps.saturating_sub(OTHER_MAPS) / MAPS_PER_STACK).max(1);
    let asked = asked.map_or(u64::MAX, u64::from);
    let (connections, bound) = if asked <= by_descriptors.min(by_maps) {
        (asked, Bound::Setting)
    } else if by_descriptors <= by_maps {
        (by_descriptors, Bound::Descriptors)
    } else {
        (by_maps, Bound::Maps)
    };
    Places {
        connections: u32::try_from(connections).unwrap_or(u32::MAX),
        bound,
        cache_entries: usize::try_from(cache).unwrap_or(1),
    }
}

/// Memory maps that a worker with so many connections has.
pub fn maps_for(connections: u32) -> u64 {
    OTHER_MAPS + u64::from(connections) * MAPS_PER_STACK
}

/// Descriptors that a worker needs to take so many connections. Where they are few, the cache has a quarter of them.
pub fn descriptors_for(connections: u32, cache_entries: usize) -> u64 {
    let others = u64::from(connections) + OTHER_DESCRIPTORS;
    (others + (cache_entries as u64).max(1)).min((others - 1) * 4 / 3 + 1)
}

/// The most inotify watches of a worker, of `all` that its user may have: so few that half are left to others while two
/// generations of workers live.
pub fn watches(all: u64, workers: usize) -> usize {
    let share = all / 2 / 2 / (workers as u64).max(1);
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: Option<u32>, descriptors: u64, maps: u64, connections: u32, bound: Bound) {
        let places = decide(asked, 4096, descriptors, maps);
        assert_eq!((places.connections, places.bound), (connections, bound));
    }

    #[test]
    fn the_tightest_limit_decides() {
        check(None, 1_048_576, 65_530, 32_253, Bound::Maps);
        check(None, 20_000, 65_530, 15_856, Bound::Descriptors);
        check(None, 1024, 65_530, 720, Bound::Descriptors);
        check(Some(500), 1024, 65_530, 500, Bound::Setting);
        check(Some(5000), 1024, 65_530, 720, Bound::Descriptors);
        check(Some(100_000), 1_048_576, 262_144, 100_000, Bound::Setting);
    }

    #[test]
    fn watches_are_a_worker_s_share_of_half_in_each_of_two_generations() {
        assert_eq!(watches(1_048_576, 4), 65_536);
        assert_eq!(watches(8192, 4), 512);
        assert_eq!(watches(0, 1024), 1);
        assert_eq!(watches(u64::MAX, 0), usize::MAX / 4);
    }

    #[test]
    fn there_is_always_a_place() {
        check(None, 0, 0, 1, Bound::Descriptors);
        check(None, 64, 65_530, 1, Bound::Descriptors);
        assert_eq!(decide(None, 4096, 64, 65_530).cache_entries, 16);
    }

    #[test]
    fn what_so_many_connections_need_is_just_enough() {
        for connections in [1, 2, 500, 720, 5000, 32_253, 500_000] {
            for cache in [1, 100, 4096] {
                let (descriptors, maps) = (descriptors_for(connections, cache), maps_for(connections));
                let places = |descriptors, maps| decide(Some(1 << 30), cache, descriptors, maps).connections;
                assert_eq!(places(descriptors, 1 << 40), connections, "{cache}");
                assert_eq!(places(1 << 40, maps), connections);
                if connections > 1 {
                    assert!(places(descriptors - 1, 1 << 40) < connections);
                    assert!(places(1 << 40, maps - 1) < connections);
                }
            }
        }
    }
}
