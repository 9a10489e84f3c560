//! A snapshot as JSON (RFC 8259), for the status page and for whoever does not read Prometheus text.
//!
//! The subtle rule: counts of request times stand one for each bucket here, not cumulative, so that a reader can take
//! two documents apart bucket by bucket. `bounds` has one number less than there are counts.

use std::fmt::{self, Write as _};

use super::prometheus::{seconds, thousandths};
use super::snapshot::{Counts, Slot, Snapshot};
use super::{BOUNDS, Class, Method, Phase, Reason};

/// Renders a snapshot.
pub fn render(snapshot: &Snapshot) -> String {
    let mut json = Json(String::with_capacity(4096));
    json.object(|json| {
        json.text("version", snapshot.version);
        json.value("now", thousandths(snapshot.now));
        json.value("started", thousandths(snapshot.started));
        json.text("state", snapshot.state.label());
        json.text("health", snapshot.health().label());
        json.value("generation", snapshot.generation);
        json.value("admin_restarts", snapshot.admin_restarts);
        json.name("bounds");
        json.array(BOUNDS.iter(), |json, &bound| json.put(seconds(bound)));
        json.name("workers");
        json.array(snapshot.slots.iter().enumerate(), |json, (index, slot)| {
            json.object(|json| worker(json, index, slot));
        });
    });
    json.0.push('\n');
    json.0
}

fn worker(json: &mut Json, index: usize, slot: &Slot) {
    json.value("worker", index);
    json.value("up", slot.is_well());
    let worker = slot.worker.as_ref();
    json.maybe("pid", worker.map(|worker| worker.pid));
    json.maybe("generation", worker.map(|worker| worker.generation));
    json.maybe("started", worker.map(|worker| thousandths(worker.started)));
    json.maybe("heartbeat_age", worker.map(|worker| thousandths(worker.silence.as_millis() as u64)));
    let usage = worker.and_then(|worker| worker.usage);
    json.maybe("cpu_seconds", usage.map(|usage| thousandths(usage.cpu.as_millis() as u64)));
    json.maybe("memory_bytes", usage.map(|usage| usage.memory));
    json.value("restarts", slot.restarts);
    json.value("draining", slot.draining);
    counts(json, &slot.counts);
}

fn counts(json: &mut Json, counts: &Counts) {
    json.value("accepted", counts.accepted);
    json.value("sent_bytes", counts.sent);
    json.counts("open", Phase::ALL.iter().map(|phase| phase.label()), &counts.open);
    json.value("parked", counts.parked);
    json.counts("ended", Reason::ALL.iter().map(|reason| reason.label()), &counts.ends);
    json.counts("timeouts", Phase::ALL.iter().map(|phase| phase.label()), &counts.timeouts);
    json.name("requests");
    json.object(|json| {
        for (method, counts) in Method::ALL.iter().zip(&counts.requests) {
            json.counts(method.label(), Class::ALL.iter().map(|class| class.label()), counts);
        }
    });
    json.name("request_seconds");
    json.object(|json| {
        json.value("count", counts.times.iter().sum::<u64>());
        json.value("sum", seconds(counts.nanoseconds));
        json.name("buckets");
        json.array(counts.times.iter(), |json, count| json.put(count));
    });
    json.name("cache");
    json.object(|json| {
        json.value("hits", counts.cache_hits);
        json.value("misses", counts.cache_misses);
        json.value("entries", counts.cache_entries);
        json.value("watches", counts.cache_watches);
    });
}

/// A document under way. What is put last decides whether a comma comes before what is put next.
struct Json(String);

impl Json {
    fn object(&mut self, members: impl FnOnce(&mut Json)) {
        self.0.push('{');
        members(self);
        self.0.push('}');
    }

    fn array<T>(&mut self, items: impl Iterator<Item = T>, mut put: impl FnMut(&mut Json, T)) {
        self.0.push('[');
        for item in items {
            self.separate();
            put(self, item);
        }
        self.0.push(']');
    }

    fn separate(&mut self) {
        if !self.0.ends_with(['{', '[']) {
            self.0.push(',');
        }
    }

    /// Names are ours, and hold nothing that needs an escape.
    fn name(&mut self, name: &str) {
        self.separate();
        self.0.extend(["\"", name, "\":"]);
    }

    fn put(&mut self, value: impl fmt::Display) {
        // A String takes all that is written to it.
        let _ = write!(self.0, "{value}");
    }

    fn value(&mut self, name: &str, value: impl fmt::Display) {
        self.name(name);
        self.put(value);
    }

    fn maybe(&mut self, name: &str, value: Option<impl fmt::Display>) {
        match value {
            Some(value) => self.value(name, value),
            None => self.value(name, "null"),
        }
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push('"');
        for letter in text.chars() {
            match letter {
                '"' | '\\' => self.0.extend(['\\', letter]),
                control if control < ' ' => self.put(format_args!("\\u{:04x}", u32::from(control))),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }

    fn counts<'a>(&mut self, name: &str, labels: impl Iterator<Item = &'a str>, counts: &[u64]) {
        self.name(name);
        self.object(|json| labels.zip(counts).for_each(|(label, count)| json.value(label, count)));
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
            r#","workers":[{"worker":0,"up":true,"pid":42,"generation":1,"started":1700000000.25,"heartbeat_age":0.08,"#,
            r#""cpu_seconds":1.23,"memory_bytes":8192,"restarts":0,"draining":0,"accepted":9,"sent_bytes":4096,"#,
            r#""open":{"handshake":0,"idle":2,"#,
            r#""linger":0},"parked":1,"ended":{"#,
            r#""requests":{"GET":{"2xx":7,"3xx":0,"#,
            r#""request_seconds":{"count":7,"sum":1.500000003,"buckets":[1,0,0,5,"#,
            r#""cache":{"hits":4,"misses":3,"entries":2,"watches":5}},{"worker":1,"up":false,"pid":null,"#,
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part} in {text}");
        }
        assert!(text.ends_with("}}]}\n"));
        assert!(!text.contains(",}") && !text.contains(",]") && !text.contains("{,") && !text.contains("[,"));
    }

    #[test]
    fn text_is_escaped() {
        let text = render(&Snapshot { version: "a\"b\\c\n", ..sample() });
        assert!(text.starts_with(r#"{"version":"a\"b\\c\u000a","#), "{text}");
    }
}
