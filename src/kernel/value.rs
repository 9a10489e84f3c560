//! What a key of sysctl holds: numbers, and when one value is as good as another.
//!
//! All keys that the server cares for are of this form. The subtle rule: raising a value takes nothing away, neither of
//! its own numbers nor of the range that it spans.

use std::fmt;
use std::str::FromStr;

/// One number or several, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(pub Vec<u64>);

impl FromStr for Value {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Value, Self::Err> {
        match text.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()? {
            // An empty value is refused as an empty number is.
            none if none.is_empty() => "".parse().map(|number| Value(vec![number])),
            numbers => Ok(Value(numbers)),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// When a running value is as good as the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Each number is at least the wanted one: limits, queues, buffers.
    AtLeast,
    /// The first number is at most, and the last at least, the wanted one: a range.
    Covers,
    /// It is the wanted one: a switch, where more is not better.
    Exactly,
}

impl Rule {
    /// The rule of a key.
    pub fn of(key: &str) -> Rule {
        match key {
            "net.ipv4.ip_local_port_range" => Rule::Covers,
            "net.ipv4.tcp_slow_start_after_idle" => Rule::Exactly,
            _ => Rule::AtLeast,
        }
    }

    /// What `running` has to become to be as good as `wanted`: itself where it is already, and never less in anything.
    /// `None` where the two are not of one form.
    pub fn raised(self, running: &Value, wanted: &Value) -> Option<Value> {
        let pairs = running.0.iter().zip(&wanted.0);
        Some(match (self, &*running.0, &*wanted.0) {
            (_, running, wanted) if running.len() != wanted.len() => return None,
            (Rule::AtLeast, ..) => Value(pairs.map(|(running, wanted)| *running.max(wanted)).collect()),
            (Rule::Covers, &[low, high], &[first, last]) => Value(vec![low.min(first), high.max(last)]),
            (Rule::Covers, ..) => return None,
            (Rule::Exactly, ..) => wanted.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: Rule, running: &str, wanted: &str, raised: &str) {
        let value = |text: &str| text.parse::<Value>().unwrap();
        assert_eq!(rule.raised(&value(running), &value(wanted)).unwrap().to_string(), raised);
    }

    #[test]
    fn raising_takes_nothing_away() {
        check(Rule::AtLeast, "4096", "16384", "16384");
        check(Rule::AtLeast, "65535", "16384", "65535");
        check(Rule::AtLeast, "8192 16384 4194304", "4096 16384 16777216", "8192 16384 16777216");
        check(Rule::AtLeast, "4096\t87380\t33554432\n", "4096 16384 16777216", "4096 87380 33554432");
        check(Rule::Covers, "32768 60999", "10240 65535", "10240 65535");
        check(Rule::Covers, "1024 60999", "10240 65535", "1024 65535");
        check(Rule::Covers, "1024 65535", "10240 65535", "1024 65535");
        check(Rule::Exactly, "1", "0", "0");
    }

    #[test]
    fn another_form_is_no_value_to_compare() {
        let value = |text: &str| text.parse::<Value>().unwrap();
        assert_eq!(Rule::AtLeast.raised(&value("1"), &value("1 2 3")), None);
        assert_eq!(Rule::Covers.raised(&value("1"), &value("1")), None);
        for text in ["", "x", "-1", "1 x", "99999999999999999999"] {
            assert!(text.parse::<Value>().is_err(), "{text:?}");
        }
    }
}
