//! Prometheus text, read by the letter of its format, version 0.0.4: whatever a scraper might stumble over is
//! a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::plain;

/// The value of each line, by its name and labels as they stand: `name{label="value"}`.
pub struct Exposition(BTreeMap<String, f64>);

struct Family {
    name: String,
    kind: String,
}

impl Exposition {
    /// What an admin listener tells now.
    #[track_caller]
    pub fn of(admin: SocketAddr) -> Self {
        let (status, text) = plain::get(admin, "/metrics").expect("no answer");
        assert_eq!(status, 200);
        Self::parse(&text)
    }

    #[track_caller]
    pub fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has no end");
        let (mut values, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut family: Option<Family> = None;
        let mut helped = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(!help.is_empty() && helped.is_none(), "{line}");
                helped = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert_eq!(helped.take().as_deref(), Some(name), "HELP comes before TYPE");
                assert!(seen.insert(name.to_owned()), "{name} stands in two places");
                assert!(is_name(name) && matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                for unit in ["_milliseconds", "_microseconds", "_kilobytes", "_percent"] {
                    assert!(!name.contains(unit), "{name} is in no base unit");
                }
                family = Some(Family { name: name.to_owned(), kind: kind.to_owned() });
            } else {
                let family = family.as_ref().expect("a line before any TYPE");
                assert!(helped.is_none(), "HELP without TYPE");
                let (series, value) = line.rsplit_once(' ').expect(line);
                let name = series.split('{').next().unwrap();
                let suffix =
                    name.strip_prefix(&family.name).unwrap_or_else(|| panic!("{line} is out of place"));
                let suffixes: &[&str] =
                    if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.contains(&suffix), "{line}");
                labels(&series[name.len()..]);
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number in {line}"));
                assert!(family.kind == "gauge" || value >= 0.0, "{line}");
                assert!(values.insert(series.to_owned(), value).is_none(), "{series} twice");
            }
        }
        let exposition = Self(values);
        exposition.check_histograms();
        exposition
    }

    /// The value of a line.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("there is no {series}"))
    }

    /// All lines, each with its value.
    pub fn lines(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(series, &value)| (series.as_str(), value))
    }

    /// The sum of all lines of this name that have this label.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let wanted = |series: &&String| {
            series.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{']) && rest.contains(label))
        };
        self.0.iter().filter(|(series, _)| wanted(series)).map(|(_, value)| value).sum()
    }

    #[track_caller]
    fn check_histograms(&self) {
        let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, &count) in self.0.iter().filter(|(series, _)| series.contains("_bucket{")) {
            let (before, bound) = series.split_once("le=\"").expect(series);
            let bound = bound.strip_suffix("\"}").expect("le is the last label");
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
            buckets.entry(before.trim_end_matches(',').to_owned()).or_default().push((bound, count));
        }
        for (series, mut buckets) in buckets {
            buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
            assert!(buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{series} is not cumulative");
            let (bound, count) = *buckets.last().unwrap();
            assert!(bound.is_infinite(), "{series} has no +Inf");
            let twin = |suffix| format!("{}}}", series.replace("_bucket", suffix));
            assert_eq!(self.value(&twin("_count")), count, "{series}");
            assert!(self.value(&twin("_sum")) >= 0.0);
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':')
}

/// `{name="value",…}`, or nothing.
#[track_caller]
fn labels(text: &str) {
    if text.is_empty() {
        return;
    }
    let mut rest = text.strip_prefix('{').expect(text);
    loop {
        let (name, value) = rest.split_once("=\"").expect(text);
        assert!(is_name(name) && !name.contains(':') && !name.starts_with("__"), "{text}");
        let mut escaped = false;
        let end = value.find(|letter| {
            let ends = letter == '"' && !escaped;
            assert!(!escaped || matches!(letter, '\\' | '"' | 'n'), "{text}");
            escaped = letter == '\\' && !escaped;
            ends
        });
        rest = &value[end.expect(text) + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return assert_eq!(rest, "}", "{text}"),
        }
    }
}
