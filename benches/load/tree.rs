//! A server's processes: all that descend from the one that was started, their CPU time and their memory.
//!
//! The subtle rule: threads that have ended must count too, or a server with a thread a request costs
//! nothing. So CPU time is that of each process's clock (clock_getcpuclockid(3)), which has nanoseconds and
//! keeps what ended threads used, and not a sum over the threads that live; children that ended are in their
//! parent's account of those.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// A process and all below it.
#[derive(Clone, Copy, Debug)]
pub struct Tree(pub i32);

impl Tree {
    /// The process ids, the first one first.
    pub fn processes(self) -> Vec<i32> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
        for pid in names.filter_map(|name| name.to_str()?.parse().ok()) {
            if let Some(parent) = stat(pid).and_then(|fields| fields.first().copied()) {
                children.entry(i32::try_from(parent).unwrap_or_default()).or_default().push(pid);
            }
        }
        let mut all = vec![self.0];
        let mut next = 0;
        while let Some(pid) = all.get(next) {
            all.extend(children.remove(pid).unwrap_or_default());
            next += 1;
        }
        all
    }

    /// User and system time of all that lives in it and of what has ended.
    pub fn cpu(self) -> Duration {
        self.processes().into_iter().map(|pid| own_time(pid) + ended_time(pid)).sum()
    }

    /// Memory in bytes, with what is shared counted in parts (`Pss` of proc(5)).
    pub fn memory(self) -> u64 {
        self.processes().into_iter().filter_map(proportional_set).sum()
    }
}

/// What `pid` has used itself, with its ended threads.
pub fn own_time(pid: i32) -> Duration {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).and_then(|clock| clock.now());
    clock.map(Duration::from).unwrap_or_default()
}

/// What the children of `pid` had used that have ended.
fn ended_time(pid: i32) -> Duration {
    let Some(fields) = stat(pid) else { return Duration::ZERO };
    // Fields 16 and 17 of proc(5); the first here is the fourth.
    let ticks: u64 = fields.iter().skip(12).take(2).sum();
    Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// The numbers of /proc/PID/stat from the fourth field on, the parent; those that are negative are 0.
fn stat(pid: i32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields are counted from its end, where the third begins.
    let rest = text.get(text.rfind(')')? + 2..)?;
    Some(rest.split(' ').skip(1).map(|field| field.trim().parse().unwrap_or_default()).collect())
}

fn proportional_set(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}
