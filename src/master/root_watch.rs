//! Decides when to check where the paths of the roots lead, and whether to follow a change. Pure.
//!
//! To follow is to start a generation on the directories that the paths lead to now.
//!
//! The master checks the paths once a second: the workers' user may lack the permission, and a confined
//! worker can't follow a path. The master must not wait for a network. So it checks a path on a network file
//! system only when a worker, which has just seen it, reports that it leads elsewhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::open_root::Inode;
use crate::sys::file::Root;

/// How often the paths are checked.
const PERIOD: Duration = Duration::from_secs(1);

/// The shortest time between two log lines about the same path, and between two attempts to follow paths to
/// the same directories.
const AGAIN: Duration = Duration::from_secs(60);

/// Where the path of one root leads.
#[derive(Debug)]
pub struct RootCheck<'a> {
    /// The path.
    pub path: &'a Path,
    /// The directory that the generation serves.
    pub served: Inode,
    /// The directory that the path leads to, or why it can't be opened.
    pub found: Result<Inode, String>,
}

impl RootCheck<'_> {
    pub(super) fn is_elsewhere(&self) -> bool {
        self.found.as_ref().is_ok_and(|found| *found != self.served)
    }
}

/// What to do after a check.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether to follow the paths that lead elsewhere.
    pub follow: bool,
    /// Lines for the log, about paths that can't be opened.
    pub errors: Vec<String>,
}

/// An attempt to follow paths.
#[derive(Debug)]
struct Attempt {
    /// The generation that served.
    generation: u32,
    /// Where the paths led.
    directories: Vec<Inode>,
    at: Duration,
}

/// What the paths of the roots lead to, when at least one leads to another directory.
#[derive(Debug)]
pub(super) struct MovedRoots {
    /// The directories, open; `None` for a path that was not checked or can't be opened.
    pub(super) directories: Vec<Option<Root>>,
    /// The paths that lead to another directory, for the log.
    pub(super) paths: String,
}

/// When the paths were checked and what was done about it. All times are on one monotonic clock.
#[derive(Debug, Default)]
pub struct RootWatch {
    next: Duration,
    /// What the last check found, until a generation is prepared for it.
    pub(super) moved_roots: Option<MovedRoots>,
    /// The last attempt to follow.
    attempt: Option<Attempt>,
    /// When a path that can't be opened was last logged.
    logged: HashMap<PathBuf, Duration>,
}

impl RootWatch {
    /// When the next check is due.
    pub fn due(&self) -> Duration {
        self.next
    }

    /// True when a check is due; it counts as done.
    pub(super) fn begin(&mut self, now: Duration) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + PERIOD;
        }
        due
    }

    /// What to do after a check of all paths while `generation` serves. `reported` is true where a worker has
    /// seen one of them lead elsewhere than to what it serves, which the master need not see: the worker may
    /// have started with another directory.
    pub fn decide(
        &mut self,
        generation: u32,
        checks: &[RootCheck<'_>],
        reported: bool,
        now: Duration,
    ) -> Decision {
        let mut errors = Vec::new();
        self.logged.retain(|_, logged| now < *logged + AGAIN);
        for check in checks {
            let Err(why) = &check.found else { continue };
            if !self.logged.contains_key(check.path) {
                self.logged.insert(check.path.to_owned(), now);
                errors.push(format!(
                    "a root's path leads elsewhere now, where it can't be followed: cannot serve {}: {why}; \
                     the directory that it led to stays in service",
                    check.path.display()
                ));
            }
        }
        let all_open = checks.iter().all(|check| check.found.is_ok());
        let seen = checks.iter().any(RootCheck::is_elsewhere);
        let wanted = seen || (reported && all_open);
        let follow = wanted && self.may_attempt(generation, checks, seen, now);
        Decision { follow, errors }
    }

    /// False where an attempt to follow to the same directories was made a short while ago and came to
    /// nothing: the same generation serves, or, where only a worker has seen a change, it still sees one.
    fn may_attempt(&mut self, generation: u32, checks: &[RootCheck<'_>], seen: bool, now: Duration) -> bool {
        let directory = |check: &RootCheck<'_>| check.found.as_ref().map_or(check.served, |found| *found);
        let directories: Vec<Inode> = checks.iter().map(directory).collect();
        let is_repeated = self.attempt.as_ref().is_some_and(|last| {
            last.directories == directories
                && now < last.at + AGAIN
                && (last.generation == generation || !seen)
        });
        if !is_repeated {
            self.attempt = Some(Attempt { generation, directories, at: now });
        }
        !is_repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn check(path: &str, found: Result<Inode, &str>) -> RootCheck<'static> {
        let path = Path::new(Box::leak(path.to_owned().into_boxed_str()));
        RootCheck { path, served: (1, 1), found: found.map_err(str::to_owned) }
    }

    const UNCHANGED: Decision = Decision { follow: false, errors: Vec::new() };
    const FOLLOW: Decision = Decision { follow: true, errors: Vec::new() };

    #[test]
    fn the_paths_are_checked_once_a_second() {
        let mut watch = RootWatch::default();
        assert!(watch.begin(seconds(5)) && !watch.begin(seconds(5)));
        assert_eq!(watch.due(), seconds(6));
        assert!(!watch.begin(Duration::from_millis(5999)) && watch.begin(seconds(6)));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_followed_and_again_to_the_same_place_after_a_minute() {
        let mut watch = RootWatch::default();
        assert_eq!(watch.decide(1, &[check("/a", Ok((1, 1)))], false, seconds(0)), UNCHANGED);
        let (there, back) = ([check("/b", Ok((1, 1))), check("/a", Ok((1, 2)))], [check("/a", Ok((1, 3)))]);
        assert_eq!(watch.decide(1, &there, false, seconds(1)), FOLLOW);
        // Nothing came of it.
        assert_eq!(watch.decide(1, &there, false, seconds(2)), UNCHANGED);
        assert_eq!(watch.decide(1, &there, true, seconds(60)), UNCHANGED);
        assert_eq!(watch.decide(1, &there, false, seconds(61)), FOLLOW);
        // Elsewhere is followed at once.
        assert_eq!(watch.decide(1, &back, false, seconds(62)), FOLLOW);
        assert_eq!(watch.decide(1, &there, false, seconds(63)), FOLLOW);
        // It was followed, and another reload led back.
        assert_eq!(watch.decide(3, &there, false, seconds(64)), FOLLOW);
    }

    #[test]
    fn what_a_worker_has_seen_counts_though_the_master_sees_nothing() {
        let mut watch = RootWatch::default();
        let checks = [check("/a", Ok((1, 1)))];
        assert_eq!(watch.decide(1, &checks, true, seconds(1)), FOLLOW);
        assert_eq!(watch.decide(2, &checks, true, seconds(2)), UNCHANGED);
        assert_eq!(watch.decide(1, &checks, true, seconds(61)), FOLLOW);
    }

    #[test]
    fn a_path_that_can_not_be_opened_is_logged_by_name_once_a_minute_and_holds_up_no_other() {
        let mut watch = RootWatch::default();
        let checks = || [check("/a", Err("gone")), check("/b", Ok((1, 1))), check("/c", Err("closed"))];
        let decision = watch.decide(1, &checks(), true, seconds(10));
        assert!(!decision.follow);
        let [a, c] = &decision.errors[..] else { panic!("{decision:?}") };
        assert!(a.contains("cannot serve /a: gone;") && c.contains("cannot serve /c: closed;"));
        for second in 11..70 {
            assert_eq!(watch.decide(1, &checks(), second % 2 == 0, seconds(second)), UNCHANGED);
        }
        let some = [check("/a", Err("gone")), check("/b", Ok((1, 2))), check("/c", Ok((1, 1)))];
        assert_eq!(watch.decide(1, &some, false, seconds(69)), FOLLOW);
        let decision = watch.decide(1, &checks(), false, seconds(70));
        assert_eq!(decision.errors.len(), 2);
        assert_eq!(watch.decide(1, &checks(), false, seconds(71)), UNCHANGED);
    }
}
