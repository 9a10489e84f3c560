//! The limits beside the keys, judged: open files, CPU and memory of the control group, congestion control, and how
//! often accept queues have overflowed.
//!
//! The subtle rule: no limit is no fault, so what can't be found out of a control group counts as none.

use super::cgroup;
use super::places;
use super::proc::Proc;
use super::row::{Row, Verdict};
use crate::config::Settings;

/// A row for each.
pub fn rows(proc: &Proc, settings: &Settings) -> Vec<Row> {
    let cgroup = cgroup::limits(proc);
    vec![
        descriptors(proc, settings),
        cpus(cgroup.cpus, settings),
        memory(cgroup.memory, proc, settings),
        congestion_control(proc),
        overflows(proc),
    ]
}

/// Descriptors of a worker: without a number of connections, as many as go with the kernel's default of maps.
fn descriptors(proc: &Proc, settings: &Settings) -> Row {
    /// [`places::decide`] of 65,530 maps.
    const CONNECTIONS: u32 = 32_253;
    let connections = settings.max_connections.unwrap_or(CONNECTIONS);
    let wanted = places::descriptors_for(connections, settings.cache_entries);
    let running = proc.most_descriptors();
    let (verdict, cost) = match running {
        None => (Verdict::Unknown, String::new()),
        Some(running) if running >= wanted => (Verdict::Fine, String::new()),
        Some(running) => {
            let most = places::decide(None, settings.cache_entries, running, u64::MAX).connections;
            let verdict = if settings.max_connections.is_some() { Verdict::Matters } else { Verdict::Low };
            let means = "ulimit -Hn, LimitNOFILE= and docker run --ulimit nofile= raise it";
            (verdict, format!("A worker holds {most} connections; further clients wait. {means}."))
        }
    };
    Row {
        subject: "open files".to_owned(),
        running: match running {
            Some(u64::MAX) => "unlimited".to_owned(),
            running => running.map_or_else(String::new, |n| n.to_string()),
        },
        wanted: wanted.to_string(),
        scope: "process",
        verdict,
        cost,
    }
}

fn cpus(quota: Option<f64>, settings: &Settings) -> Row {
    let workers = settings.workers;
    // Two workers on one and a half CPUs are right; a third would only have its turn taken from the others.
    let crowded = quota.is_some_and(|cpus| workers as f64 > cpus.ceil());
    Row {
        subject: "CPU quota".to_owned(),
        running: quota.map_or_else(|| "none".to_owned(), |cpus| format!("{cpus:.2} CPUs")),
        wanted: format!("{workers} for {workers} workers"),
        scope: "cgroup",
        verdict: if crowded { Verdict::Low } else { Verdict::Fine },
        cost: match crowded {
            true => "Workers use the quota up early in each period, and all clients wait for the next one."
                .to_owned(),
            false => String::new(),
        },
    }
}

fn memory(limit: Option<u64>, proc: &Proc, settings: &Settings) -> Row {
    /// A connection's share: the pages of its stack that were ever touched (12.4 KB at most, as ARCHITECTURE.md has
    /// it), and what the kernel has for its socket.
    const CONNECTION: u64 = 16 << 10;
    let descriptors = proc.most_descriptors().unwrap_or(u64::MAX);
    let maps = proc.max_map_count();
    let most = places::decide(settings.max_connections, settings.cache_entries, descriptors, maps);
    let workers = settings.workers as u64;
    let cache = workers.saturating_mul(settings.cache_size);
    let wanted = cache.saturating_add(workers * u64::from(most.connections) * CONNECTION);
    let (verdict, cost) = match limit {
        Some(limit) if limit <= cache => (
            Verdict::Matters,
            format!(
                "The caches of {workers} workers alone are {}, and who goes beyond the limit is killed. --cache-size \
                 lowers it.",
                mebibytes(cache)
            ),
        ),
        Some(limit) if limit < wanted => (
            Verdict::Low,
            "Full caches and all connections at once go beyond it, and the kernel kills workers. --max-connections \
             and --cache-size lower that."
                .to_owned(),
        ),
        _ => (Verdict::Fine, String::new()),
    };
    Row {
        subject: "memory limit".to_owned(),
        running: limit.map_or_else(|| "none".to_owned(), mebibytes),
        wanted: mebibytes(wanted),
        scope: "cgroup",
        verdict,
        cost,
    }
}

/// What Documentation/networking/dctcp.rst says of dctcp; reno grows by a packet a round trip (RFC 5681).
fn congestion_control(proc: &Proc) -> Row {
    let running = proc.word("net.ipv4.tcp_congestion_control");
    let (verdict, cost) = match running.as_deref() {
        Err(_) => (Verdict::Unknown, ""),
        Ok("reno") => (Verdict::Low, "It takes minutes to fill a fast and long path again after a loss."),
        Ok("dctcp") => {
            (Verdict::Low, "It is for data centres that mark packets, and unfair to others elsewhere.")
        }
        Ok(_) => (Verdict::Fine, ""),
    };
    Row {
        subject: "congestion control".to_owned(),
        running: running.unwrap_or_default(),
        wanted: "cubic or bbr".to_owned(),
        scope: "namespace",
        verdict,
        cost: cost.to_owned(),
    }
}

/// A count of the past is no setting, so it does not matter by itself; it does where the queue's limit can be raised.
fn overflows(proc: &Proc) -> Row {
    let count = proc.listen_overflows();
    let (verdict, cost) = match count {
        None => (Verdict::Unknown, ""),
        Some(0) => (Verdict::Fine, ""),
        Some(_) => (
            Verdict::Low,
            "So often since boot, a client found an accept queue full, this server's or another's. A larger --backlog \
             takes longer bursts, more --workers empty it faster.",
        ),
    };
    Row {
        subject: "listen overflows".to_owned(),
        running: count.map_or_else(String::new, |count| count.to_string()),
        wanted: "0".to_owned(),
        scope: "namespace",
        verdict,
        cost: cost.to_owned(),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
