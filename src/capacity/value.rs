//! The value of a sysctl key: one or several numbers, and how it is raised.
//!
//! **Invariant:** raising lowers no number and makes no range smaller.

use std::fmt;
use std::str::FromStr;

/// One number or several, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(pub Vec<u64>);

impl FromStr for Value {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Value, Self::Err> {
        match text.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()? {
            // An empty value gets the error of an empty number.
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

/// When a running value needs not be raised to the recommended one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseRule {
    /// If each number is at least the recommended one: limits, queues, buffers.
    AtLeast,
    /// If its range includes the recommended range.
    Covers,
    /// If it equals the recommended one: a switch, where more is not better.
    Exactly,
}

impl RaiseRule {
    /// The rule of a key.
    pub fn of(key: &str) -> RaiseRule {
        match key {
            "net.ipv4.ip_local_port_range" => RaiseRule::Covers,
            "net.ipv4.tcp_slow_start_after_idle" => RaiseRule::Exactly,
            _ => RaiseRule::AtLeast,
        }
    }

    /// The value to set: `running` itself if it is good enough, else `running` raised to `recommended`.
    /// `None` if the two values do not have the same number of numbers.
    pub fn raised(self, running: &Value, recommended: &Value) -> Option<Value> {
        let pairs = running.0.iter().zip(&recommended.0);
        Some(match (self, &*running.0, &*recommended.0) {
            (_, running, recommended) if running.len() != recommended.len() => return None,
            (RaiseRule::AtLeast, ..) => {
                Value(pairs.map(|(running, recommended)| *running.max(recommended)).collect())
            }
            (RaiseRule::Covers, &[low, high], &[first, last]) => Value(vec![low.min(first), high.max(last)]),
            (RaiseRule::Covers, ..) => return None,
            (RaiseRule::Exactly, ..) => recommended.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: RaiseRule, running: &str, recommended: &str, raised: &str) {
        let value = |text: &str| text.parse::<Value>().unwrap();
        assert_eq!(rule.raised(&value(running), &value(recommended)).unwrap().to_string(), raised);
    }

    #[test]
    fn raising_never_lowers() {
        check(RaiseRule::AtLeast, "4096", "16384", "16384");
        check(RaiseRule::AtLeast, "65535", "16384", "65535");
        check(RaiseRule::AtLeast, "8192 16384 4194304", "4096 16384 16777216", "8192 16384 16777216");
        check(RaiseRule::AtLeast, "4096\t87380\t33554432\n", "4096 16384 16777216", "4096 87380 33554432");
        check(RaiseRule::Covers, "32768 60999", "10240 65535", "10240 65535");
        check(RaiseRule::Covers, "1024 60999", "10240 65535", "1024 65535");
        check(RaiseRule::Covers, "1024 65535", "10240 65535", "1024 65535");
        check(RaiseRule::Exactly, "1", "0", "0");
    }

    #[test]
    fn values_of_another_form_are_not_compared() {
        let value = |text: &str| text.parse::<Value>().unwrap();
        assert_eq!(RaiseRule::AtLeast.raised(&value("1"), &value("1 2 3")), None);
        assert_eq!(RaiseRule::Covers.raised(&value("1"), &value("1")), None);
        for text in ["", "x", "-1", "1 x", "99999999999999999999"] {
            assert!(text.parse::<Value>().is_err(), "{text:?}");
        }
    }
}
