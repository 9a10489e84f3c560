//! A snapshot as Prometheus text, version 0.0.4 of the exposition format.
//!
//! ```text
//! # HELP mayhttpd_sent_bytes_total Bytes sent, with heads.
//! # TYPE mayhttpd_sent_bytes_total counter
//! mayhttpd_sent_bytes_total{worker="0"} 4096
//! ```
//!
//! The format requires: all lines of a family stand together, units are seconds and bytes, and the buckets of
//! a histogram are cumulative. The last bucket, `+Inf`, equals the count.

use std::fmt::{self, Write as _};

use super::class::StatusClass;
use super::close_reason::CloseReason;
use super::histogram::BOUNDS;
use super::job_kind::JobKind;
use super::job_outcome::JobOutcome;
use super::method_label::METHOD_LABELS;
use super::phase::Phase;
use super::snapshot::{JobCounts, SlotSnapshot, Snapshot};
use super::state::State;
use super::tls_failure::TlsFailure;

/// Renders a snapshot.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text { out: String::with_capacity(16 * 1024), name: "", snapshot };
    text.server();
    text.workers();
    text.connections();
    text.requests();
    text.tls();
    text.hosts();
    text.certificates();
    text.cache();
    text.compressed();
    text.background();
    text.out
}

struct Text<'a> {
    out: String,
    /// The name of the current family.
    name: &'static str,
    snapshot: &'a Snapshot,
}

impl Text<'_> {
    fn server(&mut self) {
        let snapshot = self.snapshot;
        self.family("mayhttpd_build_info", "gauge", "Version of the server. The value is always 1.");
        self.line(&[("version", snapshot.version)], 1);
        self.family(
            "mayhttpd_start_time_seconds",
            "gauge",
            "Start time of the master, in seconds since 1970.",
        );
        self.line(&[], thousandths(snapshot.started));
        self.family("mayhttpd_state", "gauge", "State of the server: 1 for the current state, else 0.");
        for state in State::ALL {
            self.line(&[("state", state.label())], u8::from(*state == snapshot.state));
        }
        self.family("mayhttpd_generation", "gauge", "The generation that serves.");
        self.line(&[], snapshot.generation);
        self.family("mayhttpd_admin_restarts_total", "counter", "Admin processes that were replaced.");
        self.line(&[], snapshot.admin_restarts);
    }

    fn workers(&mut self) {
        self.family(
            "mayhttpd_worker_up",
            "gauge",
            "1 if the last heartbeat of the worker is less than a second old, else 0.",
        );
        self.each(|text, id, slot| text.line(&[id], u8::from(slot.is_healthy())));
        self.family("mayhttpd_worker_restarts_total", "counter", "Workers that were replaced.");
        self.each(|text, id, slot| text.line(&[id], slot.restarts));
        self.family("mayhttpd_worker_draining", "gauge", "Workers that drain in the same slot.");
        self.each(|text, id, slot| text.line(&[id], slot.draining));
        self.family(
            "mayhttpd_worker_start_time_seconds",
            "gauge",
            "Start time of the worker, in seconds since 1970.",
        );
        self.each(|text, id, slot| {
            text.line_if(id, slot.worker.as_ref().map(|worker| thousandths(worker.started)));
        });
        self.family("mayhttpd_worker_generation", "gauge", "Generation of the worker.");
        self.each(|text, id, slot| text.line_if(id, slot.worker.as_ref().map(|worker| worker.generation)));
        self.family(
            "mayhttpd_worker_heartbeat_age_seconds",
            "gauge",
            "Age of the last heartbeat of the worker. It sends ten a second.",
        );
        self.each(|text, id, slot| {
            let age = |worker: &super::snapshot::WorkerSnapshot| worker.silence.as_millis();
            text.line_if(id, slot.worker.as_ref().map(age).map(|age| thousandths(age as u64)));
        });
        self.family("mayhttpd_worker_cpu_seconds_total", "counter", "User and system time of a worker.");
        self.each(|text, id, slot| {
            let usage = slot.worker.as_ref().and_then(|worker| worker.usage);
            text.line_if(id, usage.map(|usage| thousandths(usage.cpu.as_millis() as u64)));
        });
        self.family("mayhttpd_worker_resident_memory_bytes", "gauge", "Resident memory of a worker.");
        self.each(|text, id, slot| {
            let usage = slot.worker.as_ref().and_then(|worker| worker.usage);
            text.line_if(id, usage.map(|usage| usage.memory));
        });
    }

    fn connections(&mut self) {
        self.family("mayhttpd_connections_accepted_total", "counter", "Connections accepted.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.accepted));
        self.family("mayhttpd_connections_open", "gauge", "Open connections, by phase.");
        self.each(|text, id, slot| {
            for (phase, count) in Phase::ALL.iter().zip(slot.counts.open) {
                text.line(&[id, ("phase", phase.label())], count);
            }
        });
        self.family(
            "mayhttpd_connections_in_idle_set",
            "gauge",
            "Open connections that wait in the idle set, without a coroutine and with little memory.",
        );
        self.each(|text, id, slot| text.line(&[id], slot.counts.in_idle_set));
        self.family("mayhttpd_http2_connections_open", "gauge", "Open connections that speak HTTP/2.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.http2_connections));
        self.family("mayhttpd_http2_streams_open", "gauge", "Open streams of HTTP/2.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.http2_streams));
        self.family("mayhttpd_connections_ended_total", "counter", "Connections ended, by reason.");
        self.each(|text, id, slot| {
            for (reason, count) in CloseReason::ALL.iter().zip(slot.counts.ends) {
                text.line(&[id, ("reason", reason.label())], count);
            }
        });
        self.family("mayhttpd_connection_timeouts_total", "counter", "Timeouts, by phase.");
        self.each(|text, id, slot| {
            for (phase, count) in Phase::ALL.iter().zip(slot.counts.timeouts) {
                text.line(&[id, ("phase", phase.label())], count);
            }
        });
        self.family("mayhttpd_sent_bytes_total", "counter", "Bytes sent, with heads.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.sent));
    }

    fn requests(&mut self) {
        self.family("mayhttpd_requests_total", "counter", "Requests, by method and class of status.");
        self.each(|text, id, slot| {
            for (method, counts) in METHOD_LABELS.iter().zip(slot.counts.requests) {
                for (class, count) in StatusClass::ALL.iter().zip(counts) {
                    text.line(&[id, ("method", method), ("status", class.label())], count);
                }
            }
        });
        self.family("mayhttpd_http2_requests_total", "counter", "Requests by HTTP/2, of all requests.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.http2_requests));
        self.family(
            "mayhttpd_request_duration_seconds",
            "histogram",
            "Time from the complete head of a request until the socket accepted the response.",
        );
        self.each(|text, id, slot| {
            let mut total = 0;
            let bounds = BOUNDS.iter().map(|&bound| seconds(bound)).chain(["+Inf".to_owned()]);
            for (bound, count) in bounds.zip(slot.counts.times) {
                total += count;
                text.part("_bucket", &[id, ("le", &bound)], total);
            }
            text.part("_sum", &[id], seconds(slot.counts.nanoseconds));
            text.part("_count", &[id], total);
        });
    }

    fn tls(&mut self) {
        self.family("mayhttpd_tls_handshakes_total", "counter", "TLS handshakes, full and resumed.");
        self.each(|text, id, slot| {
            text.line(&[id, ("kind", "full")], slot.counts.tls_handshakes);
            text.line(&[id, ("kind", "resumed")], slot.counts.tls_resumed);
        });
        self.family("mayhttpd_tls_handshake_failures_total", "counter", "TLS handshakes failed, by reason.");
        self.each(|text, id, slot| {
            for (why, count) in TlsFailure::ALL.iter().zip(slot.counts.tls_failures) {
                text.line(&[id, ("reason", why.label())], count);
            }
        });
    }

    /// Without hosts there are no such families.
    fn hosts(&mut self) {
        let hosts = &self.snapshot.hosts;
        if hosts.is_empty() {
            return;
        }
        self.family("mayhttpd_host_requests_total", "counter", "Requests, by host and class of status.");
        for host in hosts {
            for (class, count) in StatusClass::ALL.iter().zip(host.requests) {
                self.line(&[("host", &host.name), ("status", class.label())], count);
            }
        }
        self.family("mayhttpd_host_sent_bytes_total", "counter", "Bytes of responses by host, with heads.");
        for host in hosts {
            self.line(&[("host", &host.name)], host.sent);
        }
    }

    /// Without certificates there is no such family.
    fn certificates(&mut self) {
        let certificates = &self.snapshot.certificates;
        if certificates.is_empty() {
            return;
        }
        self.family(
            "mayhttpd_certificate_expiry_seconds",
            "gauge",
            "When a certificate expires, in seconds since 1970, by its first name and the kind of its key.",
        );
        for certificate in certificates {
            let labels = [("name", &*certificate.name), ("key", certificate.key.label())];
            self.line(&labels, certificate.expiry);
        }
    }

    fn cache(&mut self) {
        self.family("mayhttpd_cache_hits_total", "counter", "Paths found in the cache.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_hits));
        self.family("mayhttpd_cache_misses_total", "counter", "Paths looked up in the file system.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_misses));
        self.family(
            "mayhttpd_cache_stale_total",
            "counter",
            "Responses from a file that could not be checked again, because descriptors or memory ran out.",
        );
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_stale));
        self.family("mayhttpd_cache_entries", "gauge", "Entries in the cache.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_entries));
        self.family("mayhttpd_cache_watches", "gauge", "Inotify watches for the cache.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_watches));
    }

    fn compressed(&mut self) {
        self.family(
            "mayhttpd_compressed_hits_total",
            "counter",
            "Responses from contents that were compressed while serving.",
        );
        self.each(|text, id, slot| text.line(&[id], slot.counts.compressed_hits));
        self.family(
            "mayhttpd_compressed_entries",
            "gauge",
            "Compressed contents in memory, one for each coding.",
        );
        self.each(|text, id, slot| text.line(&[id], slot.counts.compressed_entries));
        self.family("mayhttpd_compressed_bytes", "gauge", "Memory of the compressed contents.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.compressed_bytes));
    }

    fn background(&mut self) {
        self.family(
            "mayhttpd_background_jobs_queued_total",
            "counter",
            "Jobs for background threads, by kind.",
        );
        self.each_kind(|text, labels, jobs| text.line(&labels, jobs.queued));
        self.family("mayhttpd_background_jobs_waiting", "gauge", "Jobs that wait for a thread.");
        self.each_kind(|text, labels, jobs| text.line(&labels, jobs.waiting));
        self.family("mayhttpd_background_jobs_running", "gauge", "Jobs that a thread runs.");
        self.each_kind(|text, labels, jobs| text.line(&labels, jobs.running));
        self.family(
            "mayhttpd_background_jobs_ended_total",
            "counter",
            "Jobs by outcome: run to the end, panicked, dropped because no request waited for it any more, or \
             refused because too many waited.",
        );
        self.each_kind(|text, [id, kind], jobs| {
            for (outcome, count) in JobOutcome::ALL.iter().zip(jobs.ended) {
                text.line(&[id, kind, ("outcome", outcome.label())], count);
            }
        });
        self.family(
            "mayhttpd_background_job_wait_seconds_total",
            "counter",
            "Time that jobs waited for a thread, in sum.",
        );
        self.each_kind(|text, labels, jobs| text.line(&labels, seconds(jobs.wait_nanoseconds)));
        self.family("mayhttpd_background_job_run_seconds_total", "counter", "Time that jobs ran, in sum.");
        self.each_kind(|text, labels, jobs| text.line(&labels, seconds(jobs.run_nanoseconds)));
    }

    /// Starts a family.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    }

    /// Calls `write` for each slot with its label.
    fn each(&mut self, mut write: impl FnMut(&mut Self, (&str, &str), &SlotSnapshot)) {
        for (index, slot) in self.snapshot.slots.iter().enumerate() {
            write(self, ("worker", itoa::Buffer::new().format(index)), slot);
        }
    }

    /// Calls `write` for each kind of job in each slot, with the labels of both.
    fn each_kind(&mut self, write: impl Fn(&mut Self, [(&str, &str); 2], &JobCounts)) {
        self.each(|text, id, slot| {
            for (kind, jobs) in JobKind::ALL.iter().zip(&slot.counts.jobs) {
                write(text, [id, ("kind", kind.label())], jobs);
            }
        });
    }

    fn line(&mut self, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.part("", labels, value);
    }

    fn line_if(&mut self, label: (&str, &str), value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.line(&[label], value);
        }
    }

    fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl fmt::Display) {
        self.out.extend([self.name, suffix]);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.out.push(if index == 0 { '{' } else { ',' });
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, &mut self.out);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        // A String takes all that is written to it.
        let _ = writeln!(self.out, " {value}");
    }
}

/// Escapes the value of a label.
fn escape(value: &str, out: &mut String) {
    for letter in value.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

/// Milliseconds as seconds, exactly.
pub(super) fn thousandths(milliseconds: u64) -> String {
    decimal(milliseconds / 1000, milliseconds % 1000, 3)
}

/// Nanoseconds as seconds, exactly.
pub(super) fn seconds(nanoseconds: u64) -> String {
    decimal(nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000, 9)
}

fn decimal(whole: u64, fraction: u64, digits: usize) -> String {
    let text = format!("{whole}.{fraction:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::tests::sample;
    use super::*;

    #[track_caller]
    fn has(text: &str, lines: &str) {
        assert!(text.contains(&format!("\n{lines}\n")), "{lines} is not in\n{text}");
    }

    #[test]
    fn a_family_has_help_and_type_and_a_line_for_each_worker() {
        let text = render(&sample());
        assert!(text.starts_with("# HELP mayhttpd_build_info ") && text.ends_with('\n'));
        has(&text, "mayhttpd_build_info{version=\"1.2.3\"} 1");
        has(&text, "mayhttpd_start_time_seconds 1700000000");
        has(
            &text,
            "# HELP mayhttpd_worker_restarts_total Workers that were replaced.\n\
             # TYPE mayhttpd_worker_restarts_total counter\n\
             mayhttpd_worker_restarts_total{worker=\"0\"} 0\n\
             mayhttpd_worker_restarts_total{worker=\"1\"} 3",
        );
        has(&text, "mayhttpd_state{state=\"serving\"} 1\nmayhttpd_state{state=\"draining\"} 0");
        has(&text, "mayhttpd_worker_up{worker=\"0\"} 1\nmayhttpd_worker_up{worker=\"1\"} 0");
        has(&text, "mayhttpd_worker_start_time_seconds{worker=\"0\"} 1700000000.25");
        has(&text, "mayhttpd_worker_heartbeat_age_seconds{worker=\"0\"} 0.08");
        has(&text, "mayhttpd_worker_cpu_seconds_total{worker=\"0\"} 1.23");
        has(&text, "mayhttpd_connections_open{worker=\"0\",phase=\"idle\"} 2");
        has(&text, "mayhttpd_connections_in_idle_set{worker=\"0\"} 1");
        has(&text, "mayhttpd_requests_total{worker=\"0\",method=\"GET\",status=\"2xx\"} 7");
        assert!(!text.contains("cpu_seconds_total{worker=\"1\"}"), "an empty slot has no CPU time");
    }

    #[test]
    fn buckets_are_cumulative_and_the_last_is_the_count() {
        let text = render(&sample());
        let name = "mayhttpd_request_duration_seconds";
        has(&text, &format!("{name}_bucket{{worker=\"0\",le=\"0.000001\"}} 1"));
        has(&text, &format!("{name}_bucket{{worker=\"0\",le=\"0.000005\"}} 1"));
        has(&text, &format!("{name}_bucket{{worker=\"0\",le=\"0.00001\"}} 6"));
        has(
            &text,
            &format!(
                "{name}_bucket{{worker=\"0\",le=\"60\"}} 6\n{name}_bucket{{worker=\"0\",le=\"+Inf\"}} 7\n\
                 {name}_sum{{worker=\"0\"}} 1.500000003\n{name}_count{{worker=\"0\"}} 7"
            ),
        );
    }

    #[test]
    fn hosts_are_counted_by_class_of_status_if_there_are_any() {
        let text = render(&sample());
        has(
            &text,
            "# TYPE mayhttpd_host_requests_total counter\n\
             mayhttpd_host_requests_total{host=\"(none)\",status=\"2xx\"} 0\n\
             mayhttpd_host_requests_total{host=\"(none)\",status=\"3xx\"} 0\n\
             mayhttpd_host_requests_total{host=\"(none)\",status=\"4xx\"} 2",
        );
        has(&text, "mayhttpd_host_requests_total{host=\"*.example.org\",status=\"3xx\"} 1");
        has(
            &text,
            "mayhttpd_host_sent_bytes_total{host=\"(none)\"} 600\n\
             mayhttpd_host_sent_bytes_total{host=\"*.example.org\"} 3000",
        );
        assert!(!render(&Snapshot { hosts: Vec::new(), ..sample() }).contains("mayhttpd_host"));
    }

    #[test]
    fn certificates_expire_if_there_are_any() {
        has(
            &render(&sample()),
            "# TYPE mayhttpd_certificate_expiry_seconds gauge\n\
             mayhttpd_certificate_expiry_seconds{name=\"example.org\",key=\"ecdsa\"} 1701000000\n\
             mayhttpd_certificate_expiry_seconds{name=\"old.example.org\",key=\"rsa\"} 1699900000",
        );
        assert!(!render(&Snapshot { certificates: Vec::new(), ..sample() }).contains("certificate"));
    }

    #[test]
    fn jobs_are_counted_by_kind_and_outcome() {
        let text = render(&sample());
        has(
            &text,
            "mayhttpd_background_jobs_queued_total{worker=\"0\",kind=\"open\"} 21\n\
             mayhttpd_background_jobs_queued_total{worker=\"0\",kind=\"read\"} 0",
        );
        has(&text, "mayhttpd_background_jobs_waiting{worker=\"0\",kind=\"open\"} 2");
        has(&text, "mayhttpd_background_jobs_running{worker=\"0\",kind=\"open\"} 3");
        let ended = "mayhttpd_background_jobs_ended_total{worker=\"0\",kind=\"open\",outcome=";
        has(
            &text,
            &format!(
                "{ended}\"done\"}} 10\n{ended}\"panicked\"}} 1\n{ended}\"dropped\"}} 5\n{ended}\"refused\"}} 4"
            ),
        );
        has(&text, "mayhttpd_background_job_wait_seconds_total{worker=\"0\",kind=\"open\"} 1.000000007");
        has(&text, "mayhttpd_background_job_run_seconds_total{worker=\"0\",kind=\"open\"} 2.5");
        has(&text, "mayhttpd_background_jobs_waiting{worker=\"1\",kind=\"root\"} 0");
    }

    #[test]
    fn every_metric_kind_and_outcome_is_as_the_document_says() {
        let document = include_str!("../../docs/operations.md");
        let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let named: Vec<&str> = document
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| code.starts_with("mayhttpd_") && code.chars().all(is_part))
            .collect();
        let text = render(&sample());
        assert!(named.len() > 6, "{named:?}");
        named.iter().for_each(|name| assert!(text.contains(&format!("\n# TYPE {name} ")), "{name}"));
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE mayhttpd_background_"));
        for family in families.filter_map(|line| line.split(' ').next()) {
            assert!(named.contains(&&*format!("mayhttpd_background_{family}")), "{family}");
        }
        let rows = JobKind::ALL.iter().map(|kind| format!("\n| `{}` |", kind.label()));
        let words = JobOutcome::ALL.iter().map(|outcome| format!("`{}`", outcome.label()));
        rows.chain(words).for_each(|part| assert!(document.contains(&part), "{part}"));
    }

    #[test]
    fn a_label_is_escaped() {
        let snapshot = Snapshot { version: "a\\b\"c\nd", ..sample() };
        has(&render(&snapshot), r#"mayhttpd_build_info{version="a\\b\"c\nd"} 1"#);
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(1), "0.000000001");
        assert_eq!(seconds(1000), "0.000001");
        assert_eq!(seconds(60_000_000_000), "60");
        assert_eq!(thousandths(1_500), "1.5");
        assert_eq!(thousandths(100_000), "100");
    }
}
