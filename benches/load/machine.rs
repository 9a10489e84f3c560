//! The facts of the machine that figures depend on.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{placement, record};

/// What this machine is, as it is now.
pub fn facts() -> record::Machine {
    let line = |file: &str, label: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(label)).map(str::to_owned);
        found.unwrap_or_default().trim_start_matches([':', '\t', ' ', '=']).trim_matches('"').to_owned()
    };
    let kernel = rustix::system::uname();
    let kilobytes = line("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>();
    record::Machine {
        processor: line("/proc/cpuinfo", "model name"),
        cpus: placement::cpus().len(),
        memory_bytes: kilobytes.unwrap_or_default() * 1024,
        kernel: format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
        system: line("/etc/os-release", "PRETTY_NAME"),
        mitigations: mitigations(),
        load_before: load(),
        load_after: 0.0,
        open_files: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        mayhttpd: format!("mayhttpd {}", env!("CARGO_PKG_VERSION")),
    }
}

/// How busy it was in the last minute, in threads.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Raises the open files to what the hard limit allows, for this process and all that it starts.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it can't, workloads with many connections say so by failing.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Now, RFC 3339 in UTC, to the second.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A name for what begins now, which sorts by time.
pub fn stamp() -> String {
    now().replace([':', '-'], "").replace('T', "-").replace('Z', "")
}

/// For people: `90s`, `12m 30s`.
pub fn words(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

fn mitigations() -> BTreeMap<String, String> {
    let files = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let pairs = files.filter_map(|file| {
        let text = fs::read_to_string(file.path()).ok()?.trim().to_owned();
        let relevant = text != "Not affected";
        relevant.then(|| (file.file_name().to_string_lossy().into_owned(), text))
    });
    pairs.collect()
}
