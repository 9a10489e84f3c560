//! Header rules: which fields a response gets or loses by its path and status.
//!
//! Rules apply in their order, each to what those before it left. A rule names the path that the client asked
//! for, not the file that a rewrite or an index led to.

use super::field_lines;
use super::host_condition::{self, HostCondition};
use super::path_glob::PathGlob;
use crate::http::response_head;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRule {
    /// The paths that it is for.
    pub path: PathGlob,
    /// The host that a request must be for.
    pub host: Option<HostCondition>,
    /// True for requests over TLS alone, false for those without; `None` for both.
    pub https: Option<bool>,
    /// The statuses that it is for.
    pub statuses: StatusSet,
    /// What it does, in this order.
    pub changes: Vec<FieldChange>,
}

/// A change of the field lines of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldChange {
    /// Takes all lines with this name away.
    Remove(String),
    /// Makes this the only line with its name: name and value.
    Set(String, String),
    /// Adds a line: name and value.
    Add(String, String),
    /// Sets a field; if a rule set it for this response already, adds the value after a comma.
    Join(String, String),
}

/// A set of statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusSet {
    /// All of 2xx and 3xx but 304. Of a 304 only the fields that it must have in common with the 200
    /// (RFC 9110 §15.4.5), because a client keeps them in place of the old ones.
    Default,
    /// All of 2xx and 3xx, 304 included.
    Success,
    /// Those between these codes, both included.
    Listed(Vec<(u16, u16)>),
}

/// The fields of a 304 that a cache takes over (RFC 9110 §15.4.5), as far as settings may write them.
const OF_NOT_MODIFIED: [&str; 4] = ["Cache-Control", "Content-Location", "Expires", VARY];

/// Names the request fields that a response depends on (RFC 9110 §12.5.5).
const VARY: &str = "Vary";

impl StatusSet {
    /// Parses one status of a list: a code such as `404`, or a class such as `5xx`.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<(u16, u16), String> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        match (class, text.parse::<u16>()) {
            (Some(class @ 1..=5), _) if text.len() == 3 => Ok((class * 100, class * 100 + 99)),
            (_, Ok(code @ 100..=599)) if text.len() == 3 => Ok((code, code)),
            _ => Err("expected a status such as 404, or a class such as 5xx".to_owned()),
        }
    }

    /// True if a field may be changed in a response of this status.
    fn covers(&self, status: u16, field: &str) -> bool {
        match self {
            StatusSet::Default if status == 304 => {
                OF_NOT_MODIFIED.iter().any(|name| name.eq_ignore_ascii_case(field))
            }
            StatusSet::Default | StatusSet::Success => (200..400).contains(&status),
            StatusSet::Listed(ranges) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&status))
            }
        }
    }
}

impl FieldChange {
    /// The name of its field.
    pub fn name(&self) -> &str {
        match self {
            FieldChange::Remove(name)
            | FieldChange::Set(name, _)
            | FieldChange::Add(name, _)
            | FieldChange::Join(name, _) => name,
        }
    }
}

/// The response that rules are compared with.
#[derive(Clone, Copy, Debug)]
pub struct RuledResponse<'a> {
    /// The site path of the request, without a slash at either end.
    pub path: &'a [u8],
    /// True if it has a slash at its end.
    pub directory: bool,
    /// The authority that the request is for, with or without a port.
    pub host: &'a [u8],
    /// True if the request came over TLS.
    pub https: bool,
    /// The status of the response.
    pub status: u16,
}

/// The most rules of a list, because a response is compared with all of them.
pub const MAX_HEADER_RULES: usize = 1000;

/// The most rules of a list whose paths have a wildcard before their end; see [`PathGlob::is_slow`].
pub const MAX_SLOW_RULES: usize = 200;

/// Rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderRules(pub Vec<HeaderRule>);

impl HeaderRules {
    /// The changes of a response, in their order. Takes time linear in the path for each rule.
    pub fn changes(&self, response: &RuledResponse<'_>) -> Vec<&FieldChange> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let path = [b"/", response.path].concat();
        let host = host_condition::comparable(response.host);
        let mut changes = Vec::new();
        for rule in &self.0 {
            let is_covered = |change: &&FieldChange| rule.statuses.covers(response.status, change.name());
            let mut covered = rule.changes.iter().filter(is_covered).peekable();
            // The path comes last, because it is what takes time.
            if covered.peek().is_some()
                && rule.https.is_none_or(|https| https == response.https)
                && rule.host.as_ref().is_none_or(|condition| condition.matches(&host))
                && rule.path.matches(&path, response.directory)
            {
                changes.extend(covered);
            }
        }
        changes
    }
}

/// The number of the first rule that is one slow one more than [`MAX_SLOW_RULES`].
pub fn first_too_slow<'a>(rules: impl Iterator<Item = &'a HeaderRule>) -> Option<usize> {
    let mut slow = rules.enumerate().filter(|(_, rule)| rule.path.is_slow());
    slow.nth(MAX_SLOW_RULES).map(|(nth, _)| nth)
}

/// Makes changes to rendered field lines. What `Vary` names before them stays: the server chose the content
/// by these request fields, and a shared cache that does not know that sends it to clients that would get
/// another.
pub fn apply(changes: &[&FieldChange], lines: &mut Vec<u8>) {
    let varies = changes.iter().any(|change| change.name().eq_ignore_ascii_case(VARY));
    let kept = if varies { field_lines::members(lines, VARY) } else { Vec::new() };
    change_lines(changes, lines);
    let now = field_lines::members(lines, VARY);
    let is_named = |member: &Vec<u8>| now.iter().any(|other| other.eq_ignore_ascii_case(member));
    let lost: Vec<_> = kept.into_iter().filter(|member| !is_named(member)).collect();
    if !lost.is_empty() {
        response_head::field(lines, VARY, &lost.join(&b", "[..]));
    }
}

fn change_lines(changes: &[&FieldChange], lines: &mut Vec<u8>) {
    for (number, change) in changes.iter().enumerate() {
        match change {
            FieldChange::Remove(name) => field_lines::remove(lines, name),
            FieldChange::Set(name, value) => field_lines::set(lines, name, value),
            FieldChange::Add(name, value) => field_lines::add(lines, name, value),
            FieldChange::Join(name, value) => {
                let joins = |before: &&&FieldChange| {
                    matches!(before, FieldChange::Join(..)) && before.name().eq_ignore_ascii_case(name)
                };
                if changes[..number].iter().any(|before| joins(&before)) {
                    field_lines::join(lines, name, value);
                } else {
                    field_lines::set(lines, name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, statuses: StatusSet, changes: &[FieldChange]) -> HeaderRule {
        HeaderRule {
            path: PathGlob::parse(path).unwrap(),
            host: None,
            https: None,
            statuses,
            changes: changes.to_vec(),
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    fn set(name: &str, value: &str) -> FieldChange {
        FieldChange::Set(name.to_owned(), value.to_owned())
    }

    fn applied(rules: &[HeaderRule], path: &str, status: u16) -> String {
        let directory = path.ends_with('/');
        let path = path.trim_matches('/').as_bytes();
        let rules = HeaderRules(rules.to_vec());
        let mut lines = b"X: 0\r\nY: 0\r\n".to_vec();
        let host = b"A.example:80";
        apply(&rules.changes(&RuledResponse { path, directory, host, https: true, status }), &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn rules_apply_in_their_order() {
        let (name, value) = pair("x", "2");
        let rules = [
            rule("/**", StatusSet::Default, &[set("X", "1"), FieldChange::Remove("Y".to_owned())]),
            rule("/a/*", StatusSet::Default, &[FieldChange::Add(name, value), set("Z", "3")]),
        ];
        assert_eq!(applied(&rules, "/b", 200), "X: 1\r\n");
        assert_eq!(applied(&rules, "/a/b", 200), "X: 1\r\nx: 2\r\nZ: 3\r\n");
        assert_eq!(applied(&rules, "/a/", 206), "X: 1\r\nx: 2\r\nZ: 3\r\n");
        assert_eq!(applied(&[], "/a", 200), "X: 0\r\nY: 0\r\n");
    }

    #[test]
    fn a_joined_field_replaces_that_of_the_server_once() {
        let join = |name: &str, value: &str| {
            let (name, value) = pair(name, value);
            FieldChange::Join(name, value)
        };
        let rules = [
            rule("/**", StatusSet::Success, &[join("X", "1"), join("Y", "1")]),
            rule("/a", StatusSet::Success, &[join("x", "2"), FieldChange::Remove("Y".to_owned())]),
        ];
        assert_eq!(applied(&rules, "/a", 200), "x: 1, 2\r\n");
        assert_eq!(applied(&rules, "/b", 304), "X: 1\r\nY: 1\r\n");
    }

    #[test]
    fn what_the_server_writes_in_vary_stays() {
        let name = || "vary".to_owned();
        let to = |value: &str| value.to_owned();
        for (changes, expected) in [
            (vec![FieldChange::Remove(name())], "Vary: Accept-Encoding, Origin\r\n"),
            (
                vec![FieldChange::Set(name(), to("Cookie"))],
                "vary: Cookie\r\nVary: Accept-Encoding, Origin\r\n",
            ),
            (
                vec![FieldChange::Join(name(), to("Cookie")), FieldChange::Join(name(), to("origin"))],
                "vary: Cookie, origin\r\nVary: Accept-Encoding\r\n",
            ),
            (
                vec![FieldChange::Set(name(), to("a")), FieldChange::Remove(name())],
                "Vary: Accept-Encoding, Origin\r\n",
            ),
            (
                vec![FieldChange::Set(name(), to("origin,ACCEPT-encoding"))],
                "vary: origin,ACCEPT-encoding\r\n",
            ),
            (
                vec![FieldChange::Add(name(), to("a"))],
                "Vary: Accept-Encoding\r\nVary: Origin, \r\nvary: a\r\n",
            ),
            (vec![set("X", "1")], "Vary: Accept-Encoding\r\nVary: Origin, \r\nX: 1\r\n"),
        ] {
            let mut lines = b"Vary: Accept-Encoding\r\nVary: Origin, \r\n".to_vec();
            apply(&changes.iter().collect::<Vec<_>>(), &mut lines);
            assert_eq!(String::from_utf8(lines).unwrap(), expected, "{changes:?}");
        }
    }

    #[test]
    fn errors_and_304_change_where_a_rule_says_so() {
        let with = |statuses| [rule("/**", statuses, &[set("Z", "1"), set("cache-control", "no-store")])];
        let unchanged = "X: 0\r\nY: 0\r\n";
        for status in [200, 204, 206, 301, 308] {
            assert!(applied(&with(StatusSet::Default), "/a", status).contains("Z: 1\r\n"), "{status}");
        }
        for status in [400, 404, 503] {
            assert_eq!(applied(&with(StatusSet::Default), "/a", status), unchanged, "{status}");
            assert_eq!(applied(&with(StatusSet::Success), "/a", status), unchanged, "{status}");
        }
        let not_modified = applied(&with(StatusSet::Default), "/a", 304);
        assert_eq!(not_modified, format!("{unchanged}cache-control: no-store\r\n"));
        let listed = || with(StatusSet::Listed(vec![(304, 304), (500, 599)]));
        for (status, expected) in [(304, true), (503, true), (200, false), (404, false)] {
            assert_eq!(applied(&listed(), "/a", status).contains("Z: 1"), expected, "{status}");
        }
    }

    #[test]
    fn a_rule_can_need_a_host() {
        let with = |host| {
            let host = Some(HostCondition::parse(host).unwrap());
            [HeaderRule { host, ..rule("/**", StatusSet::Default, &[set("X", "1")]) }]
        };
        assert!(applied(&with("a.example"), "/", 200).contains("X: 1"));
        assert!(applied(&with("*.example"), "/", 200).contains("X: 1"));
        assert!(!applied(&with("*.a.example"), "/", 200).contains("X: 1"));
        assert!(!applied(&with("b.example"), "/", 200).contains("X: 1"));
    }

    #[test]
    fn a_rule_can_need_tls_or_its_absence() {
        let with = |https| {
            let rule = rule("/**", StatusSet::Default, &[set("X", "1")]);
            applied(&[HeaderRule { https, ..rule }], "/", 200)
        };
        assert!(with(None).contains("X: 1") && with(Some(true)).contains("X: 1"));
        assert!(!with(Some(false)).contains("X: 1"));
    }

    #[test]
    fn statuses_are_codes_and_classes() {
        assert_eq!(StatusSet::parse("404"), Ok((404, 404)));
        assert_eq!(StatusSet::parse("5xx"), Ok((500, 599)));
        for text in ["", "xx", "6xx", "0xx", "40", "4040", "600", "99", "+40", "+1xx", "5XX", "200-299"] {
            assert!(StatusSet::parse(text).is_err(), "{text}");
        }
    }
}
