//! /metrics as another reader of the format has it: a published parser, beside the rules that this suite has
//! of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{PrometheusType, PrometheusValue};

use crate::support::configured::launched;
use crate::support::exposition::Exposition;
use crate::support::tree::PAGE;
use crate::support::{Launch, Stop, eventually, plain};

/// Values by name and labels, the labels in the order of their names.
type Series = BTreeMap<(String, Vec<(String, String)>), f64>;

/// What the published parser makes of it, or what it has against it.
fn parsed(text: &str) -> Result<(Series, BTreeMap<String, PrometheusType>), String> {
    let exposition = parse_prometheus(text).map_err(|error| error.to_string())?;
    let (mut series, mut types) = (Series::new(), BTreeMap::new());
    for (name, family) in &exposition.families {
        types.insert(name.clone(), family.family_type.clone());
        for sample in family.iter_samples() {
            let labels = sample.get_labelset().map_err(|error| error.to_string())?;
            let labels = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
            let labels: Vec<(String, String)> = labels.collect();
            let mut insert = |suffix: &str, more: Option<(String, String)>, value: f64| {
                let mut labels: Vec<_> = labels.iter().cloned().chain(more).collect();
                labels.sort();
                let twin = series.insert((format!("{name}{suffix}"), labels), value);
                assert!(twin.is_none(), "{name}{suffix} twice");
            };
            match &sample.value {
                PrometheusValue::Counter(counter) => insert("", None, counter.value.as_f64()),
                PrometheusValue::Gauge(value) => insert("", None, value.as_f64()),
                PrometheusValue::Histogram(histogram) => {
                    for bucket in &histogram.buckets {
                        let bound = ("le".to_owned(), bound(bucket.upper_bound));
                        insert("_bucket", Some(bound), bucket.count.as_f64());
                    }
                    insert("_count", None, histogram.count.unwrap() as f64);
                    insert("_sum", None, histogram.sum.unwrap().as_f64());
                }
                other => panic!("{name} is {other:?}"),
            }
        }
    }
    Ok((series, types))
}

/// The same in the words of this suite's own reader.
fn read(text: &str) -> Series {
    let exposition = Exposition::parse(text);
    let split = |(line, value): (&str, f64)| {
        let (name, labels) = line.split_once('{').unwrap_or((line, "}"));
        let labels = labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty());
        let mut labels: Vec<_> = labels
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                let value = value.trim_matches('"');
                let value = if name == "le" { bound(value.parse().unwrap()) } else { value.to_owned() };
                (name.to_owned(), value)
            })
            .collect();
        labels.sort();
        ((name.to_owned(), labels), value)
    };
    exposition.lines().map(split).collect()
}

/// One way to write a bucket's bound, which a reader knows as a number.
fn bound(bound: f64) -> String {
    format!("{bound:?}")
}

#[test]
fn a_published_parser_reads_the_metrics_of_a_loaded_server_as_they_are_meant() {
    let hosts = "[[host]]\nnames = ['test']\n[[host]]\nnames = ['*.example.org']\n";
    let server = launched(Launch::site().workers(2).flags(["--admin", "0"]), hosts);
    let admin = server.admin_address();
    let scrape = || {
        let (status, text) = plain::get(admin, "/metrics").unwrap();
        assert_eq!(status, 200);
        let (series, types) = parsed(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(series, read(&text));
        (series, types)
    };
    let sum = |series: &Series, name: &str| -> f64 {
        series.iter().filter(|((found, _), _)| found == name).map(|(_, value)| value).sum()
    };
    let over = AtomicBool::new(false);
    let asked: usize = std::thread::scope(|scope| {
        let ending = Stop(&over);
        let load = || {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                server.get("/page.html").is(200, PAGE);
                server.get("/absent").has_status(&[404]);
                let mut slow = server.client();
                slow.send("GET /page.html HTTP/1.1\r\n");
                count += 2;
            }
            count
        };
        let clients = [scope.spawn(load), scope.spawn(load)];
        let mut last = 0.0;
        for _ in 0..20 {
            let now = eventually("the count goes on", || {
                let now = sum(&scrape().0, "mayhttpd_requests_total");
                (now > last).then_some(now)
            });
            last = now;
        }
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let (series, types) = eventually("every request is counted", || {
        let (series, types) = scrape();
        // Those who left within a head have asked nothing.
        (sum(&series, "mayhttpd_request_duration_seconds_count") == asked as f64).then_some((series, types))
    });
    for (name, kind) in [
        ("mayhttpd_requests_total", PrometheusType::Counter),
        ("mayhttpd_sent_bytes_total", PrometheusType::Counter),
        ("mayhttpd_host_requests_total", PrometheusType::Counter),
        ("mayhttpd_host_sent_bytes_total", PrometheusType::Counter),
        ("mayhttpd_connections_open", PrometheusType::Gauge),
        ("mayhttpd_worker_resident_memory_bytes", PrometheusType::Gauge),
        ("mayhttpd_request_duration_seconds", PrometheusType::Histogram),
    ] {
        assert_eq!(types.get(name), Some(&kind), "{name}");
    }
    let with = |label: &str, value: &str| -> f64 {
        let has = |labels: &[(String, String)]| {
            labels.iter().any(|(n, v)| (n.as_str(), v.as_str()) == (label, value))
        };
        let requests = series.iter().filter(|((name, _), _)| name == "mayhttpd_requests_total");
        requests.filter(|((_, labels), _)| has(labels)).map(|(_, value)| value).sum()
    };
    assert_eq!((with("status", "2xx"), with("status", "4xx")), (asked as f64 / 2.0, asked as f64 / 2.0));
    assert_eq!(sum(&series, "mayhttpd_host_requests_total"), asked as f64);
    assert!(sum(&series, "mayhttpd_worker_resident_memory_bytes") > 2e6);
    assert_eq!(sum(&series, "mayhttpd_worker_up"), 2.0);
}

#[test]
fn the_published_parser_is_no_lenient_one() {
    let histogram = "# HELP a b\n# TYPE a histogram\n";
    for broken in [
        "# HELP a_total b\n# TYPE a_total counter\na_total{w=\"0\"} 1\na_total{w=\"0\"} 2\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total{w=\"0\"} x\n",
        "# HELP a_total b\n# TYPE a_total number\na_total{w=\"0\"} 1\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total{w=\"0} 1\n",
        "# HELP a_total b\n# TYPE a_total counter\na_total{w=\"0\"} 1",
        &format!("{histogram}a_bucket{{le=\"1\"}} 1\na_count 1\na_sum 1\n"),
        &format!("{histogram}a_bucket{{le=\"1\"}} 2\na_bucket{{le=\"+Inf\"}} 1\na_count 1\na_sum 1\n"),
    ] {
        assert!(parsed(broken).is_err(), "{broken}");
    }
}
