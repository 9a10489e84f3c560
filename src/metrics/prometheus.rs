//! A snapshot as Prometheus text, version 0.0.4 of the exposition format.
//!
//! ```text
//! # HELP mayhttpd_sent_bytes_total Bytes that sockets took, heads included.
//! # TYPE mayhttpd_sent_bytes_total counter
//! mayhttpd_sent_bytes_total{worker="0"} 4096
//! ```
//!
//! The subtle rules: all lines of a family stand together; units are base units, seconds and bytes; the buckets of a
//! histogram are cumulative, and its last, `+Inf`, equals its count.

use std::fmt::{self, Write as _};

use super::snapshot::{Slot, Snapshot};
use super::{BOUNDS, Class, Method, Phase, Reason, State};

/// Renders a snapshot.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text { out: String::with_capacity(16 * 1024), name: "", snapshot };
    text.server();
    text.workers();
    text.connections();
    text.requests();
    text.cache();
    text.out
}

struct Text<'a> {
    out: String,
    /// The family that is being written.
    name: &'static str,
    snapshot: &'a Snapshot,
}

impl Text<'_> {
    fn server(&mut self) {
        let snapshot = self.snapshot;
        self.family("mayhttpd_build_info", "gauge", "The version that runs; its value is always 1.");
        self.line(&[("version", snapshot.version)], 1);
        self.family(
            "mayhttpd_start_time_seconds",
            "gauge",
            "When the master started, in seconds since 1970.",
        );
        self.line(&[], thousandths(snapshot.started));
        self.family(
            "mayhttpd_state",
            "gauge",
            "What the server as a whole is doing: 1 for the state that is.",
        );
        for state in State::ALL {
            self.line(&[("state", state.label())], u8::from(*state == snapshot.state));
        }
        self.family("mayhttpd_generation", "gauge", "The generation that serves.");
        self.line(&[], snapshot.generation);
        self.family("mayhttpd_admin_restarts_total", "counter", "Admin processes that had to be replaced.");
        self.line(&[], snapshot.admin_restarts);
    }

    fn workers(&mut self) {
        self.family("mayhttpd_worker_up", "gauge", "Whether a worker gave a sign within the last second.");
        self.each(|text, id, slot| text.line(&[id], u8::from(slot.is_well())));
        self.family("mayhttpd_worker_restarts_total", "counter", "Workers that had to be replaced.");
        self.each(|text, id, slot| text.line(&[id], slot.restarts));
        self.family("mayhttpd_worker_draining", "gauge", "Predecessors that drain beside a worker.");
        self.each(|text, id, slot| text.line(&[id], slot.draining));
        self.family("mayhttpd_worker_start_time_seconds", "gauge", "When a worker started, since 1970.");
        self.each(|text, id, slot| {
            text.line_if(id, slot.worker.as_ref().map(|worker| thousandths(worker.started)));
        });
        self.family("mayhttpd_worker_generation", "gauge", "The generation that a worker was started in.");
        self.each(|text, id, slot| text.line_if(id, slot.worker.as_ref().map(|worker| worker.generation)));
        self.family(
            "mayhttpd_worker_heartbeat_age_seconds",
            "gauge",
            "How long a worker has given no sign; it gives ten a second.",
        );
        self.each(|text, id, slot| {
            let age = |worker: &super::snapshot::Worker| worker.silence.as_millis();
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
        self.family("mayhttpd_connections_open", "gauge", "Connections open, by what they are doing.");
        self.each(|text, id, slot| {
            for (phase, count) in Phase::ALL.iter().zip(slot.counts.open) {
                text.line(&[id, ("phase", phase.label())], count);
            }
        });
        self.family(
            "mayhttpd_connections_parked",
            "gauge",
            "Connections of these that have been idle for a while and hold next to no memory.",
        );
        self.each(|text, id, slot| text.line(&[id], slot.counts.parked));
        self.family("mayhttpd_connections_ended_total", "counter", "Connections ended, by reason.");
        self.each(|text, id, slot| {
            for (reason, count) in Reason::ALL.iter().zip(slot.counts.ends) {
                text.line(&[id, ("reason", reason.label())], count);
            }
        });
        self.family("mayhttpd_connection_timeouts_total", "counter", "Waits that took too long, by phase.");
        self.each(|text, id, slot| {
            for (phase, count) in Phase::ALL.iter().zip(slot.counts.timeouts) {
                text.line(&[id, ("phase", phase.label())], count);
            }
        });
        self.family("mayhttpd_sent_bytes_total", "counter", "Bytes that sockets took, heads included.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.sent));
    }

    fn requests(&mut self) {
        self.family("mayhttpd_requests_total", "counter", "Requests, by method and class of status.");
        self.each(|text, id, slot| {
            for (method, counts) in Method::ALL.iter().zip(slot.counts.requests) {
                for (class, count) in Class::ALL.iter().zip(counts) {
                    text.line(&[id, ("method", method.label()), ("status", class.label())], count);
                }
            }
        });
        self.family(
            "mayhttpd_request_duration_seconds",
            "histogram",
            "Time from a request's complete head until the socket took the reply.",
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

    fn cache(&mut self) {
        self.family("mayhttpd_cache_hits_total", "counter", "Paths that the cache answered for.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_hits));
        self.family("mayhttpd_cache_misses_total", "counter", "Paths that the file system was asked for.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_misses));
        self.family("mayhttpd_cache_entries", "gauge", "Files that a worker keeps ready.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_entries));
        self.family("mayhttpd_cache_watches", "gauge", "Inotify watches that a worker holds for them.");
        self.each(|text, id, slot| text.line(&[id], slot.counts.cache_watches));
    }

    /// Begins a family.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        self.out.extend(["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"]);
    }

    /// Writes something for each slot, with the label that names it.
    fn each(&mut self, mut write: impl FnMut(&mut Self, (&str, &str), &Slot)) {
        for (index, slot) in self.snapshot.slots.iter().enumerate() {
            write(self, ("worker", itoa::Buffer::new().format(index)), slot);
        }
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

/// The value of a label, with what would end it escaped.
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
            "# HELP mayhttpd_worker_restarts_total Workers that had to be replaced.\n\
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
        has(&text, "mayhttpd_connections_parked{worker=\"0\"} 1");
        has(&text, "mayhttpd_requests_total{worker=\"0\",method=\"GET\",status=\"2xx\"} 7");
        assert!(!text.contains("cpu_seconds_total{worker=\"1\"}"), "nobody has no CPU time");
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
