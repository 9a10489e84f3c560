//! What a run leaves: one JSON with the facts of the machine, every program's version and configuration, and
//! every measurement. The report is made of it alone, so that it can be rendered again anywhere.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The number of this layout; a report of another one is refused.
pub const FORMAT: u32 = 1;

/// A run, whole.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Run {
    /// [`FORMAT`].
    pub format: u32,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// How long all of it took, in seconds.
    pub duration: f64,
    /// Whether it was asked to be quick.
    pub quick: bool,
    /// How often each server was measured at each workload.
    pub rounds: u32,
    /// The length of a measurement in seconds, where its generator takes one.
    pub seconds: u64,
    pub machine: Machine,
    pub tools: Vec<Tool>,
    pub peers: Vec<Peer>,
    pub networks: Vec<Network>,
    pub workloads: Vec<Workload>,
    pub samples: Vec<Sample>,
    /// What was to be measured and was not, or not as it should.
    pub remarks: Vec<Remark>,
}

/// What it ran on.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Machine {
    pub processor: String,
    /// CPUs that the kit may use.
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub system: String,
    /// The processor's vulnerabilities' mitigations, which are much of a system call's cost.
    pub mitigations: BTreeMap<String, String>,
    /// The averages of /proc/loadavg over a minute, before and after: other load makes figures worse.
    pub load_before: f64,
    pub load_after: f64,
    /// The open files that a process may have.
    pub open_files: u64,
    pub mayhttpd: String,
}

/// A program that the kit looks for.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Tool {
    pub name: String,
    /// Where it is; nowhere where it is missing.
    pub path: Option<String>,
    pub version: String,
    /// How to get it.
    pub install: String,
}

/// A server that was measured.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Peer {
    pub name: String,
    pub what: String,
    pub version: String,
    /// The command that started it, and the files that it was given.
    pub configuration: String,
}

/// Where servers and clients met.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Network {
    pub name: String,
    pub what: String,
    /// Its kernel settings that sysctl.conf speaks of, as they were.
    pub sysctl: BTreeMap<String, String>,
}

/// What was asked of the servers.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Workload {
    pub name: String,
    pub what: String,
    /// A generator's command, with PORT for the port.
    pub command: String,
    pub workers: u16,
    pub server_cpus: Vec<usize>,
    pub client_cpus: Vec<usize>,
    /// The servers that it applies to.
    pub applies: Vec<String>,
    /// Whether bytes tell more than requests.
    pub by_bytes: bool,
}

/// One measurement.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Sample {
    pub network: String,
    pub workload: String,
    pub peer: String,
    /// From 1.
    pub round: u32,
    pub seconds: f64,
    pub requests: u64,
    pub requests_per_second: f64,
    /// Of the body and the head, as the generator counts them.
    pub bytes_per_second: f64,
    /// User and system time of the server's whole process tree.
    pub cpu_seconds: f64,
    pub cpu_us_per_request: Option<f64>,
    pub cpu_us_per_megabyte: Option<f64>,
    /// Microseconds; a generator that doesn't tell one leaves it out.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    /// The largest proportional set size of the tree that was seen.
    pub memory_bytes: u64,
    /// Requests and connections that got no whole answer.
    pub failed: u64,
    /// Answers with another status than a 2xx, or 3xx where the generator takes them for good.
    pub non_2xx: u64,
    pub idle: Option<Idle>,
    /// Where the times are those of one client, and the requests those of the others.
    pub beside: Option<Beside>,
    /// Where the answers are in a content coding.
    pub coded: Option<Coded>,
}

/// A content coding, and the bytes of the body in it.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Coded {
    pub coding: String,
    pub length: u64,
}

/// Idle connections that were held meanwhile.
#[derive(Serialize, Deserialize, Clone, Debug, Default)]
pub struct Idle {
    pub held: u64,
    /// Bytes of memory a connection, within its first second and after three.
    pub early_bytes: f64,
    pub late_bytes: f64,
    /// How many the server had closed when the load was over.
    pub lost: u64,
}

/// One client beside the others.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct Beside {
    pub answers_per_second: f64,
    pub max_us: f64,
    /// Before the others came.
    pub alone_p99_us: f64,
}

/// Something to know about a measurement that is missing or bad.
#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Remark {
    pub network: String,
    pub workload: String,
    pub peer: String,
    pub why: String,
}
