//! A snapshot as JSON (RFC 8259): the data of the status page, for readers that don't parse Prometheus text.
//!
//! The bucket counts of request times are not cumulative, so a reader can subtract two documents bucket by
//! bucket. `bounds` has one number less than there are buckets: the last bucket has no bound.
//!
//! **Invariant:** seconds are exact decimals, such as 0.000001. A floating-point number would be rounded, and
//! printed as 1e-6.

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::certificates::CertificateSnapshot;
use super::class::StatusClass;
use super::close_reason::CloseReason;
use super::histogram::BOUNDS;
use super::hosts::HostSnapshot;
use super::job_kind::JobKind;
use super::job_outcome::JobOutcome;
use super::method_label::METHOD_LABELS;
use super::phase::Phase;
use super::prometheus::{seconds, thousandths};
use super::snapshot::{Counts, JobCounts, SlotSnapshot, Snapshot};
use super::tls_failure::TlsFailure;

/// Renders a snapshot as one line.
pub fn render(snapshot: &Snapshot) -> String {
    let json = serde_json::to_string(&document(snapshot));
    let mut json = json.expect("a document of numbers and of maps with text keys is always valid JSON");
    json.push('\n');
    json
}

/// The whole document. The members of each object appear in the order of the fields.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    now: Milliseconds,
    started: Milliseconds,
    state: &'static str,
    health: &'static str,
    generation: u64,
    admin_restarts: u64,
    bounds: Vec<Nanoseconds>,
    /// Left out without hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<HostRecord<'a>>,
    /// Left out without certificates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateRecord<'a>>,
    workers: Vec<SlotRecord>,
}

#[derive(Serialize)]
struct HostRecord<'a> {
    host: &'a str,
    requests: ByLabel<u64>,
    sent_bytes: u64,
}

/// A certificate. After its end there are 0 days left.
#[derive(Serialize)]
struct CertificateRecord<'a> {
    name: &'a str,
    key: &'static str,
    expiry: u64,
    days_left: u64,
}

/// A slot. A member is `null` if the slot has no worker now, or if the value is unknown.
#[derive(Serialize)]
struct SlotRecord {
    worker: usize,
    up: bool,
    pid: Option<i32>,
    generation: Option<u64>,
    started: Option<Milliseconds>,
    heartbeat_age: Option<Milliseconds>,
    cpu_seconds: Option<Milliseconds>,
    memory_bytes: Option<u64>,
    restarts: u64,
    draining: usize,
    #[serde(flatten)]
    counts: CountsRecord,
}

#[derive(Serialize)]
struct CountsRecord {
    accepted: u64,
    sent_bytes: u64,
    open: ByLabel<u64>,
    in_idle_set: u64,
    http2: Http2Counts,
    tls: TlsCounts,
    ended: ByLabel<u64>,
    timeouts: ByLabel<u64>,
    requests: ByLabel<ByLabel<u64>>,
    request_seconds: RequestTimes,
    cache: CacheCounts,
    compressed: CompressedCounts,
    jobs: ByLabel<JobRecord>,
}

#[derive(Serialize)]
struct Http2Counts {
    connections: u64,
    streams: u64,
    requests: u64,
}

#[derive(Serialize)]
struct TlsCounts {
    full: u64,
    resumed: u64,
    failed: ByLabel<u64>,
}

#[derive(Serialize)]
struct RequestTimes {
    count: u64,
    sum: Nanoseconds,
    buckets: Vec<u64>,
}

#[derive(Serialize)]
struct CacheCounts {
    hits: u64,
    misses: u64,
    stale: u64,
    entries: u64,
    watches: u64,
}

#[derive(Serialize)]
struct CompressedCounts {
    hits: u64,
    entries: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct JobRecord {
    queued: u64,
    waiting: u64,
    running: u64,
    ended: ByLabel<u64>,
    wait_seconds: Nanoseconds,
    run_seconds: Nanoseconds,
}

/// Milliseconds, rendered as seconds.
struct Milliseconds(u64);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_decimal(thousandths(self.0), serializer)
    }
}

/// Nanoseconds, rendered as seconds.
struct Nanoseconds(u64);

impl Serialize for Nanoseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_decimal(seconds(self.0), serializer)
    }
}

fn serialize_decimal<S: Serializer>(decimal: String, serializer: S) -> Result<S::Ok, S::Error> {
    RawValue::from_string(decimal).map_err(S::Error::custom)?.serialize(serializer)
}

/// An object with a member for each label, in this order.
struct ByLabel<T>(Vec<(&'static str, T)>);

impl<T: Serialize> Serialize for ByLabel<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(label, value)| (label, value)))
    }
}

impl ByLabel<u64> {
    fn of<L: Copy>(labels: &[L], label: impl Fn(L) -> &'static str, counts: &[u64]) -> ByLabel<u64> {
        ByLabel(labels.iter().zip(counts).map(|(&labelled, &count)| (label(labelled), count)).collect())
    }
}

fn document(snapshot: &Snapshot) -> Document<'_> {
    Document {
        version: snapshot.version,
        now: Milliseconds(snapshot.now),
        started: Milliseconds(snapshot.started),
        state: snapshot.state.label(),
        health: snapshot.health().label(),
        generation: snapshot.generation,
        admin_restarts: snapshot.admin_restarts,
        bounds: BOUNDS.iter().map(|&bound| Nanoseconds(bound)).collect(),
        hosts: snapshot.hosts.iter().map(host_record).collect(),
        certificates: snapshot
            .certificates
            .iter()
            .map(|certificate| certificate_record(certificate, snapshot.now))
            .collect(),
        workers: snapshot.slots.iter().enumerate().map(|(index, slot)| slot_record(index, slot)).collect(),
    }
}

fn host_record(host: &HostSnapshot) -> HostRecord<'_> {
    HostRecord {
        host: &host.name,
        requests: ByLabel::of(StatusClass::ALL, StatusClass::label, &host.requests),
        sent_bytes: host.sent,
    }
}

fn certificate_record(certificate: &CertificateSnapshot, now: u64) -> CertificateRecord<'_> {
    CertificateRecord {
        name: &certificate.name,
        key: certificate.key.label(),
        expiry: certificate.expiry,
        days_left: certificate.expiry.saturating_sub(now / 1000) / (24 * 60 * 60),
    }
}

fn slot_record(index: usize, slot: &SlotSnapshot) -> SlotRecord {
    let worker = slot.worker.as_ref();
    let usage = worker.and_then(|worker| worker.usage);
    SlotRecord {
        worker: index,
        up: slot.is_healthy(),
        pid: worker.map(|worker| worker.pid),
        generation: worker.map(|worker| worker.generation),
        started: worker.map(|worker| Milliseconds(worker.started)),
        heartbeat_age: worker.map(|worker| Milliseconds(worker.silence.as_millis() as u64)),
        cpu_seconds: usage.map(|usage| Milliseconds(usage.cpu.as_millis() as u64)),
        memory_bytes: usage.map(|usage| usage.memory),
        restarts: slot.restarts,
        draining: slot.draining,
        counts: counts_record(&slot.counts),
    }
}

fn counts_record(counts: &Counts) -> CountsRecord {
    let by_class = |counts: &[u64]| ByLabel::of(StatusClass::ALL, StatusClass::label, counts);
    let requests = METHOD_LABELS.iter().zip(&counts.requests);
    CountsRecord {
        accepted: counts.accepted,
        sent_bytes: counts.sent,
        open: ByLabel::of(Phase::ALL, Phase::label, &counts.open),
        in_idle_set: counts.in_idle_set,
        http2: Http2Counts {
            connections: counts.http2_connections,
            streams: counts.http2_streams,
            requests: counts.http2_requests,
        },
        tls: TlsCounts {
            full: counts.tls_handshakes,
            resumed: counts.tls_resumed,
            failed: ByLabel::of(TlsFailure::ALL, TlsFailure::label, &counts.tls_failures),
        },
        ended: ByLabel::of(CloseReason::ALL, CloseReason::label, &counts.ends),
        timeouts: ByLabel::of(Phase::ALL, Phase::label, &counts.timeouts),
        requests: ByLabel(requests.map(|(&method, counts)| (method, by_class(counts))).collect()),
        request_seconds: RequestTimes {
            count: counts.times.iter().sum(),
            sum: Nanoseconds(counts.nanoseconds),
            buckets: counts.times.to_vec(),
        },
        cache: CacheCounts {
            hits: counts.cache_hits,
            misses: counts.cache_misses,
            stale: counts.cache_stale,
            entries: counts.cache_entries,
            watches: counts.cache_watches,
        },
        compressed: CompressedCounts {
            hits: counts.compressed_hits,
            entries: counts.compressed_entries,
            bytes: counts.compressed_bytes,
        },
        jobs: ByLabel(
            JobKind::ALL
                .iter()
                .zip(&counts.jobs)
                .map(|(kind, jobs)| (kind.label(), job_record(jobs)))
                .collect(),
        ),
    }
}

fn job_record(jobs: &JobCounts) -> JobRecord {
    JobRecord {
        queued: jobs.queued,
        waiting: jobs.waiting,
        running: jobs.running,
        ended: ByLabel::of(JobOutcome::ALL, JobOutcome::label, &jobs.ended),
        wait_seconds: Nanoseconds(jobs.wait_nanoseconds),
        run_seconds: Nanoseconds(jobs.run_nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::sample;
    use super::*;

    #[test]
    fn the_document_has_every_figure_once() {
        let text = render(&sample());
        for part in [
            r#"{"version":"1.2.3","now":1700000060.5,"started":1700000000,"state":"serving","health":"ready","#,
            r#""bounds":[0.000001,0.000002,"#,
            r#"],"hosts":[{"host":"(none)","requests":{"2xx":0,"3xx":0,"4xx":2,"5xx":0},"sent_bytes":600},{"host":"*.example.org","#,
            r#"],"certificates":[{"name":"example.org","key":"ecdsa","expiry":1701000000,"days_left":11},{"name":"old.example.org","key":"rsa","expiry":1699900000,"days_left":0}],"workers":["#,
            r#"],"workers":[{"worker":0,"up":true,"pid":42,"generation":1,"started":1700000000.25,"heartbeat_age":0.08,"#,
            r#""cpu_seconds":1.23,"memory_bytes":8192,"restarts":0,"draining":0,"accepted":9,"sent_bytes":4096,"#,
            r#""open":{"handshake":0,"tls":0,"idle":2,"#,
            r#""linger":0},"in_idle_set":1,"http2":{"connections":0,"streams":0,"requests":0},"tls":{"full":0,"resumed":0,"failed":{"not_tls":0,"#,
            r#""requests":{"GET":{"2xx":7,"3xx":0,"#,
            r#""request_seconds":{"count":7,"sum":1.500000003,"buckets":[1,0,0,5,"#,
            r#""cache":{"hits":4,"misses":3,"stale":6,"entries":2,"watches":5},"compressed":{"hits":7,"entries":2,"bytes":900},"jobs":{"open":{"#,
            r#""jobs":{"open":{"queued":21,"waiting":2,"running":3,"#,
            r#""ended":{"done":10,"panicked":1,"dropped":5,"refused":4},"wait_seconds":1.000000007,"run_seconds":2.5},"#,
            r#""password":{"queued":0,"waiting":0,"running":0,"ended":{"done":0,"panicked":0,"dropped":0,"refused":0},"wait_seconds":0,"run_seconds":0}}},{"worker":1,"up":false,"pid":null,"#,
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in {text}");
        }
        assert!(text.ends_with("}}}]}\n"));
        assert!(!text.contains(",}") && !text.contains(",]") && !text.contains("{,") && !text.contains("[,"));
    }

    #[test]
    fn without_hosts_and_certificates_nothing_is_said_of_them() {
        let text = render(&Snapshot { hosts: Vec::new(), certificates: Vec::new(), ..sample() });
        assert!(text.contains(r#"],"workers":["#) && !text.contains("hosts"), "{text}");
        assert!(!text.contains("certificates"), "{text}");
    }

    #[test]
    fn text_is_escaped() {
        let text = render(&Snapshot { version: "a\"b\\c\n", ..sample() });
        assert!(text.starts_with(r#"{"version":"a\"b\\c\n","#), "{text}");
    }
}
