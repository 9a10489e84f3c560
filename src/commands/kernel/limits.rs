//! The limits beside the keys: open files, CPU, memory and tasks of the control group, congestion control,
//! and overflows of accept queues.
//!
//! A limit of the control group that cannot be read counts as no limit.

use crate::capacity::cgroup;
use crate::capacity::connection_limit::{self, WorkerParts};
use crate::capacity::memory::{self, Memory, mebibytes};
use crate::capacity::proc::{DEFAULT_MAP_COUNT, Proc};
use crate::capacity::tasks;
use crate::commands::kernel::row::{CheckRow, CheckVerdict};
use crate::config::Settings;

/// The rows of all limits.
pub fn rows(proc: &Proc, settings: &Settings) -> Vec<CheckRow> {
    vec![
        descriptors(proc, settings),
        cpus(cgroup::limits(proc).cpus, settings),
        memory(proc, settings),
        tasks(cgroup::limits(proc).tasks, settings),
        congestion_control(proc),
        overflows(proc),
    ]
}

/// Descriptors of a worker. Without `--max-connections`, enough for the connections that the kernel's default
/// of maps allows.
fn descriptors(proc: &Proc, settings: &Settings) -> CheckRow {
    let parts = WorkerParts::of(settings);
    let entries = settings.cache_entries.unwrap_or(memory::CACHE_ENTRIES);
    let by_maps = |maps| connection_limit::decide(None, entries, parts, u64::MAX, maps).connections;
    let connections = settings.max_connections.unwrap_or_else(|| by_maps(DEFAULT_MAP_COUNT));
    let recommended = connection_limit::descriptors_for(connections, entries, parts);
    let running = proc.max_descriptors();
    let (verdict, cost) = match running {
        None => (CheckVerdict::Unknown, String::new()),
        Some(running) if running >= recommended => (CheckVerdict::Fine, String::new()),
        Some(running) => {
            let connections = connection_limit::decide(None, entries, parts, running, u64::MAX).connections;
            let verdict =
                if settings.max_connections.is_some() { CheckVerdict::Matters } else { CheckVerdict::Low };
            let means = "ulimit -Hn, LimitNOFILE= and docker run --ulimit nofile= raise the limit";
            (verdict, format!("A worker holds {connections} connections; further clients wait. {means}."))
        }
    };
    CheckRow {
        subject: "open files".to_owned(),
        running: match running {
            Some(u64::MAX) => "unlimited".to_owned(),
            running => running.map_or_else(String::new, |n| n.to_string()),
        },
        recommended: recommended.to_string(),
        scope: "process",
        verdict,
        cost,
    }
}

fn cpus(quota: Option<f64>, settings: &Settings) -> CheckRow {
    let workers = settings.workers;
    // Two workers on 1.5 CPUs are right. A third would only take time from the others.
    let crowded = quota.is_some_and(|cpus| workers as f64 > cpus.ceil());
    CheckRow {
        subject: "CPU quota".to_owned(),
        running: quota.map_or_else(|| "none".to_owned(), |cpus| format!("{cpus:.2} CPUs")),
        recommended: format!("{workers} for {workers} workers"),
        scope: "cgroup",
        verdict: if crowded { CheckVerdict::Low } else { CheckVerdict::Fine },
        cost: match crowded {
            true => {
                "Workers use up the quota early in each period, and all clients wait for the next period."
                    .to_owned()
            }
            false => String::new(),
        },
    }
}

/// Memory that the server may use, and what it needs during a reload with full caches and all connections.
fn memory(proc: &Proc, settings: &Settings) -> CheckRow {
    let available = Memory::available(proc);
    let recommended = memory::unlimited_need(settings, proc);
    let workers = settings.workers;
    let mut fitted = settings.clone();
    let fit = memory::fit(&mut fitted, proc);
    let (verdict, cost) = match available {
        Some(Memory { bytes, .. }) if bytes < memory::minimum_need(settings) => (
            CheckVerdict::Matters,
            format!(
                "The processes and caches of {workers} workers alone use up to {} in a reload, and the \
                 kernel kills workers above the limit. Lower --workers or --cache-size.",
                mebibytes(memory::minimum_need(settings))
            ),
        ),
        Some(_) if fit.warning.is_some() => (
            CheckVerdict::Low,
            "Full caches and all connections exceed the limit in a reload, and the kernel kills workers. \
             Lower --max-connections or --cache-size."
                .to_owned(),
        ),
        Some(_) if !fit.lowered.is_empty() => {
            let cache = mebibytes(fitted.cache_size.unwrap_or(memory::CACHE_SIZE));
            let connections =
                fitted.max_connections.map_or_else(String::new, |n| format!(" and {n} connections"));
            (CheckVerdict::Low, format!("Each worker is limited to {cache} of cache{connections}."))
        }
        _ => (CheckVerdict::Fine, String::new()),
    };
    CheckRow {
        subject: "memory limit".to_owned(),
        running: available.map_or_else(|| "none".to_owned(), |memory| mebibytes(memory.bytes)),
        recommended: mebibytes(recommended),
        scope: if available.is_none_or(|memory| memory.is_limit) { "cgroup" } else { "host" },
        verdict,
        cost,
    }
}

/// Processes and threads that the server may have, and how many it has during a reload.
fn tasks(limit: Option<u64>, settings: &Settings) -> CheckRow {
    let recommended = tasks::need_in_reload(settings);
    let means = "TasksMax= and docker run --pids-limit raise the limit, fewer --disk-threads need less.";
    let (verdict, cost) = match limit {
        Some(limit) if limit < tasks::need(settings) => (
            CheckVerdict::Matters,
            format!(
                "The threads of {} workers exceed the limit: not all can start. {means}",
                settings.workers
            ),
        ),
        Some(limit) if limit < recommended => {
            (CheckVerdict::Low, format!("In a reload there is no room for the new workers. {means}"))
        }
        _ => (CheckVerdict::Fine, String::new()),
    };
    CheckRow {
        subject: "task limit".to_owned(),
        running: limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string()),
        recommended: recommended.to_string(),
        scope: "cgroup",
        verdict,
        cost,
    }
}

/// For dctcp see Documentation/networking/dctcp.rst. Reno grows by one packet a round trip (RFC 5681).
fn congestion_control(proc: &Proc) -> CheckRow {
    let running = proc.word("net.ipv4.tcp_congestion_control");
    let (verdict, cost) = match running.as_deref() {
        Err(_) => (CheckVerdict::Unknown, ""),
        Ok("reno") => {
            (CheckVerdict::Low, "After a loss, it takes minutes to use a fast and long path fully again.")
        }
        Ok("dctcp") => (
            CheckVerdict::Low,
            "It is for data centres whose switches mark packets, and unfair to other traffic elsewhere.",
        ),
        Ok(_) => (CheckVerdict::Fine, ""),
    };
    CheckRow {
        subject: "congestion control".to_owned(),
        running: running.unwrap_or_default(),
        recommended: "cubic or bbr".to_owned(),
        scope: "namespace",
        verdict,
        cost: cost.to_owned(),
    }
}

/// The count alone does not matter, because it is no setting. The key of the queue's length uses it too.
fn overflows(proc: &Proc) -> CheckRow {
    let count = proc.listen_overflows();
    let (verdict, cost) = match count {
        None => (CheckVerdict::Unknown, ""),
        Some(0) => (CheckVerdict::Fine, ""),
        Some(_) => (
            CheckVerdict::Low,
            "Times that a client found a full accept queue since boot, of this or another server. A larger \
             --backlog takes longer bursts, and more --workers empty the queue faster.",
        ),
    };
    CheckRow {
        subject: "listen overflows".to_owned(),
        running: count.map_or_else(String::new, |count| count.to_string()),
        recommended: "0".to_owned(),
        scope: "namespace",
        verdict,
        cost: cost.to_owned(),
    }
}
