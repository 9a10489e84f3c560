//! The limits of the control group: CPU time, memory and tasks, in version 1 and version 2 of cgroups(7)
//! (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and cgroup-v1/pids.rst).
//!
//! The limits of all parent groups apply too, so the groups up to the mount point are read and the tightest
//! limit counts.

use std::fs;
use std::path::{Path, PathBuf};

use procfs_core::ProcessCGroups;
use procfs_core::process::MountInfos;

use crate::capacity::proc::Proc;

/// The tightest limits. `None` if there is no limit, or if it can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CgroupLimits {
    /// CPUs, including fractions: the quota divided by its period.
    pub cpus: Option<f64>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
}

/// Version 1 states an unlimited memory as a huge number.
const V1_UNLIMITED: u64 = 1 << 60;

/// The limits of the process `self` in `proc`.
pub fn limits(proc: &Proc) -> CgroupLimits {
    let (Some(groups), Some(mounts)) =
        (proc.parsed::<ProcessCGroups>("self/cgroup"), proc.parsed::<MountInfos>("self/mountinfo"))
    else {
        return CgroupLimits::default();
    };
    let mut limits = CgroupLimits::default();
    for group in &groups {
        let unified = group.hierarchy == 0;
        let controls = |name: &str| group.controllers.iter().any(|controller| controller == name);
        let mount = mounts.iter().find(|mount| match unified {
            true => mount.fs_type == "cgroup2",
            false => {
                mount.fs_type == "cgroup"
                    && group.controllers.iter().any(|name| mount.super_options.contains_key(name))
            }
        });
        let Some(mount) = mount else { continue };
        for directory in directories(&mount.mount_point, &mount.root, &group.pathname) {
            if unified || controls("cpu") {
                let quota = if unified { v2_cpus(&directory) } else { v1_cpus(&directory) };
                limits.cpus = [limits.cpus, quota].into_iter().flatten().reduce(f64::min);
            }
            if unified || controls("memory") {
                let memory = if unified { v2_memory(&directory) } else { v1_memory(&directory) };
                limits.memory = [limits.memory, memory].into_iter().flatten().min();
            }
            if unified || controls("pids") {
                // Either version has this file, with `max` for no limit.
                let tasks = number(&directory, "pids.max");
                limits.tasks = [limits.tasks, tasks].into_iter().flatten().min();
            }
        }
    }
    limits
}

/// The directory of the group and those above it, up to the mount point. A container sees the mount from
/// `root` on.
fn directories(mount: &Path, root: &str, group: &str) -> Vec<PathBuf> {
    let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
    let leaf = mount.join(below);
    leaf.ancestors().take_while(|directory| directory.starts_with(mount)).map(Path::to_owned).collect()
}

fn text(directory: &Path, name: &str) -> Option<String> {
    fs::read_to_string(directory.join(name)).ok()
}

fn number<T: std::str::FromStr>(directory: &Path, name: &str) -> Option<T> {
    text(directory, name)?.trim().parse().ok()
}

/// `cpu.max` is `QUOTA PERIOD`, in microseconds, or `max PERIOD`.
fn v2_cpus(directory: &Path) -> Option<f64> {
    let text = text(directory, "cpu.max")?;
    let (quota, period) = text.trim().split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// A quota of -1 is no limit.
fn v1_cpus(directory: &Path) -> Option<f64> {
    let quota: f64 = number(directory, "cpu.cfs_quota_us")?;
    let period: f64 = number(directory, "cpu.cfs_period_us")?;
    (quota > 0.0).then_some(quota / period)
}

/// Above `memory.high` the group is throttled, above `memory.max` it is killed. Either may be `max`, for no
/// limit.
fn v2_memory(directory: &Path) -> Option<u64> {
    [number(directory, "memory.max"), number(directory, "memory.high")].into_iter().flatten().min()
}

fn v1_memory(directory: &Path) -> Option<u64> {
    number(directory, "memory.limit_in_bytes").filter(|bytes| *bytes < V1_UNLIMITED)
}
