//! Rules that lead back to themselves, found before the first request.
//!
//! Each rule is tried with a request of its own: `sample` for every placeholder and capture, the splat both
//! empty and `sample`. The rules are followed from there as a client and the server would. So a fault is
//! always a real one. What is not found: loops that need other captures, and loops by another host or scheme.
//! Rules that apply only where there is no file may make no loop, because no file is looked for here. Such
//! loops are told, but the rules stay.

use std::collections::BTreeSet;

use super::escapes;
use super::path_pattern::PatternSegment;
use super::query_condition::QueryValue;
use super::route_rule::RouteRule;
use super::rule_fault::{MAX_REDIRECTS, MAX_REWRITES, RuleFault};
use super::rule_match::{RouteRequest, RuleOutcome};
use super::rule_table::RuleTable;
use crate::http::target::SitePath;

const SAMPLE: &str = "sample";

/// How often all rules are tried again after some of them were taken out.
const MAX_PASSES: usize = 8;

/// A place that a request has come to.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    path: Vec<u8>,
    query: Option<Vec<u8>>,
}

impl RuleTable {
    /// A table of these rules.
    ///
    /// # Errors
    /// The first fault that is found. See [`RuleFault`].
    pub fn new(rules: Vec<RouteRule>) -> Result<RuleTable, RuleFault> {
        let table = RuleTable::unchecked(rules)?;
        (0..table.rules().len()).try_for_each(|rule| check(&table, rule, false))?;
        Ok(table)
    }

    /// A table of these rules without those that lead back or on and on.
    ///
    /// # Errors
    /// What concerns all rules together.
    pub fn without_loops(rules: Vec<RouteRule>) -> Result<(RuleTable, Vec<RuleFault>), RuleFault> {
        let mut table = RuleTable::unchecked(rules)?;
        let mut faults = Vec::new();
        for _ in 0..MAX_PASSES {
            let known = faults.len();
            for rule in 0..table.rules().len() {
                // Each fault disables one rule, so this ends.
                while let Err(fault) = check(&table, rule, false) {
                    if let Some(last) = fault.last() {
                        table.disable(last);
                    }
                    faults.push(fault);
                }
            }
            // A rule that was taken out may have hidden another one that was passed already.
            if faults.len() == known {
                break;
            }
        }
        Ok((table, faults))
    }

    /// What leads back or on and on if no path of it is that of a file. A loop is told once, if it has two
    /// rules.
    pub fn loops_without_files(&self) -> Vec<RuleFault> {
        if !self.rules().iter().any(|rule| rule.if_missing) {
            return Vec::new();
        }
        let mut known = BTreeSet::new();
        let faults = (0..self.rules().len()).filter_map(|rule| check(self, rule, true).err());
        let is_new = |fault: &RuleFault| {
            let is_new = fault.last().is_some_and(|last| known.insert(last));
            if let (true, RuleFault::Loop { rule, .. }) = (is_new, fault) {
                known.insert(*rule);
            }
            is_new
        };
        faults.filter(is_new).collect()
    }
}

/// Follows the rules from samples of one rule; those for missing files only if `missing`.
///
/// # Errors
/// The loop or chain that a sample leads into.
fn check(table: &RuleTable, rule: usize, missing: bool) -> Result<(), RuleFault> {
    let tried = &table.rules()[rule];
    let host = match &tried.host {
        None => String::new(),
        Some(host) if host.wildcard => format!("{SAMPLE}.{}", host.name),
        Some(host) => host.name.to_string(),
    };
    let host = (host.as_bytes(), missing);
    follow(table, sample(tried, ""), host)?;
    if tried.from.splat { follow(table, sample(tried, SAMPLE), host) } else { Ok(()) }
}

/// A request that the pattern and the query of a rule match.
fn sample(rule: &RouteRule, splat: &str) -> Place {
    let mut path = Vec::new();
    for segment in &rule.from.segments {
        path.push(b'/');
        match segment {
            PatternSegment::Literal(name) => escapes::encode_capture(&mut path, name),
            PatternSegment::Placeholder(_) => path.extend_from_slice(SAMPLE.as_bytes()),
        }
    }
    if path.is_empty() || rule.from.splat {
        path.push(b'/');
        path.extend_from_slice(splat.as_bytes());
    }
    let mut query = Vec::new();
    for condition in &rule.query {
        if !query.is_empty() {
            query.push(b'&');
        }
        escapes::encode_capture(&mut query, condition.name.as_bytes());
        query.push(b'=');
        let value = match &condition.value {
            QueryValue::Literal(value) => value,
            QueryValue::Capture(_) => SAMPLE,
        };
        escapes::encode_capture(&mut query, value.as_bytes());
    }
    Place { path, query: Some(query).filter(|query| !query.is_empty()) }
}

fn follow(table: &RuleTable, start: Place, (host, missing): (&[u8], bool)) -> Result<(), RuleFault> {
    let mut passed: Vec<(Place, usize)> = Vec::new();
    let (mut place, mut rewrites, mut redirects) = (start, 0, 0);
    loop {
        let Ok(path) = SitePath::parse(&place.path) else { return Ok(()) };
        let request = RouteRequest { path: &path, query: place.query.as_deref(), host };
        let Some(found) = table.find(&request, 0, true).filter(|found| missing || !found.if_missing) else {
            return Ok(());
        };
        let rule = found.rule;
        let next = match found.outcome {
            RuleOutcome::Rewrite { status: 200, path, query } => {
                rewrites += 1;
                Place { path, query }
            }
            // The response is that page, whatever the rules say about its path.
            RuleOutcome::Rewrite { .. } => return Ok(()),
            RuleOutcome::Redirect { .. } if !table.rules()[rule].to.is_own() => return Ok(()),
            RuleOutcome::Redirect { location, .. } => {
                (rewrites, redirects) = (0, redirects + 1);
                split(&location)
            }
        };
        passed.push((place, rule));
        if let Some((_, first)) = passed.iter().find(|(other, _)| *other == next) {
            return Err(RuleFault::Loop { rule: *first, back: rule });
        }
        if rewrites > MAX_REWRITES || redirects > MAX_REDIRECTS {
            return Err(RuleFault::TooLong { rule: passed[0].1, last: rule });
        }
        place = next;
    }
}

/// The place that a Location on this site leads to.
fn split(location: &[u8]) -> Place {
    let end = memchr::memchr(b'#', location).unwrap_or(location.len());
    let sent = &location[..end];
    match memchr::memchr(b'?', sent) {
        Some(mark) => Place { path: sent[..mark].to_vec(), query: Some(sent[mark + 1..].to_vec()) },
        None => Place { path: sent.to_vec(), query: None },
    }
}

#[cfg(test)]
mod tests {
    use super::super::route_rule::{RuleKind, RuleText};
    use super::*;

    /// A rule by its kind, where `>` is a rewrite, `?` a redirect where no file is, and `!` a page of status
    /// 404.
    fn rule(kind: &str, from: &str, to: &str) -> RouteRule {
        let rewrites = matches!(kind, ">" | "!");
        let text = RuleText {
            kind: if rewrites { RuleKind::Rewrite } else { RuleKind::Redirect },
            from,
            to,
            status: (kind == "!").then_some(404),
            host: None,
            query: &[],
            if_missing: kind == "?",
        };
        RouteRule::parse(&text).unwrap()
    }

    fn fault(rules: &[(&str, &str, &str)]) -> Option<RuleFault> {
        RuleTable::new(rules.iter().map(|(kind, from, to)| rule(kind, from, to)).collect()).err()
    }

    #[test]
    fn loops_are_found() {
        for (rules, expected) in [
            (&[("-", "/a", "/b"), ("-", "/b", "/a")][..], RuleFault::Loop { rule: 0, back: 1 }),
            (&[(">", "/a", "/b"), (">", "/b", "/a")], RuleFault::Loop { rule: 0, back: 1 }),
            (&[(">", "/a", "/b"), ("-", "/b", "/a")], RuleFault::Loop { rule: 0, back: 1 }),
            (
                &[("-", "/x", "/a"), ("-", "/a", "/b"), ("-", "/b", "/a")],
                RuleFault::Loop { rule: 1, back: 2 },
            ),
            (&[("-", "/a/*", "/b/:splat"), ("-", "/b/*", "/a/:splat")], RuleFault::Loop { rule: 0, back: 1 }),
            (&[("-", "/a/*", "/b/:splat"), ("-", "/b", "/a")], RuleFault::Loop { rule: 1, back: 0 }),
            (&[("-", "/:x", "/y/:x"), ("-", "/y/:x", "/:x")], RuleFault::Loop { rule: 0, back: 1 }),
            (&[("-", "/a/*", "/a/b/:splat")], RuleFault::TooLong { rule: 0, last: 0 }),
            (&[(">", "/a/*", "/a/b/:splat")], RuleFault::TooLong { rule: 0, last: 0 }),
        ] {
            assert_eq!(fault(rules), Some(expected), "{rules:?}");
        }
    }

    #[test]
    fn what_is_no_loop_is_accepted() {
        for rules in [
            &[("-", "/a", "/b"), ("-", "/b", "/c")][..],
            &[("-", "/a", "/a/")],
            // Such a rule never applies.
            &[("-", "/a", "/a#top")],
            &[(">", "/*", "/index.html")],
            &[("-", "/*", "/index.html")],
            &[("-", "/:page", "/home")],
            &[("!", "/*", "/404.html")],
            &[("-", "/a", "/b"), ("?", "/b", "/a")],
            &[("?", "/a/*", "/a/b/:splat")],
            &[("-", "/a", "https://other.example/a")],
            &[("-", "/a/*", "/b/:splat"), ("!", "/b/*", "/a/x")],
            &[("-", "/*", "/:splat")],
        ] {
            assert_eq!(fault(rules), None, "{rules:?}");
        }
    }

    #[test]
    fn loops_that_a_file_may_end_are_told() {
        for (rules, expected) in [
            (&[("?", "/a", "/b"), ("?", "/b", "/a")][..], &[RuleFault::Loop { rule: 0, back: 1 }][..]),
            (&[("-", "/a", "/b"), ("?", "/b", "/a")], &[RuleFault::Loop { rule: 0, back: 1 }]),
            (
                &[("?", "/x", "/a"), ("?", "/a", "/b"), ("?", "/b", "/a"), ("?", "/c/*", "/c/d/:splat")],
                &[RuleFault::Loop { rule: 1, back: 2 }, RuleFault::TooLong { rule: 3, last: 3 }],
            ),
            (&[("?", "/a", "/b"), ("?", "/*", "/index.html")], &[]),
            (&[("-", "/a", "/b"), ("-", "/b", "/c")], &[]),
        ] {
            let rules: Vec<_> = rules.iter().map(|(kind, from, to)| rule(kind, from, to)).collect();
            let table = RuleTable::new(rules).unwrap();
            assert_eq!(table.loops_without_files(), expected, "{:?}", table.rules());
        }
    }

    #[test]
    fn long_chains_are_found() {
        let chain = |kind: &str, length: usize| {
            let rules =
                (0..length).map(|number| rule(kind, &format!("/{number}"), &format!("/{}", number + 1)));
            RuleTable::new(rules.collect()).err()
        };
        assert_eq!(chain(">", 10), None);
        assert_eq!(chain(">", 11), Some(RuleFault::TooLong { rule: 0, last: 10 }));
        assert_eq!(chain("-", 20), None);
        assert_eq!(chain("-", 21), Some(RuleFault::TooLong { rule: 0, last: 20 }));
    }

    #[test]
    fn conditions_are_part_of_the_sample() {
        let query = [("id".to_owned(), "a b".to_owned())];
        let loops = |host, query| {
            let text = |from, to| RuleText {
                kind: RuleKind::Redirect,
                from,
                to,
                status: None,
                host,
                query,
                if_missing: false,
            };
            let rules = [text("/a", "/b"), text("/b", "/a")].map(|text| RouteRule::parse(&text).unwrap());
            RuleTable::new(rules.to_vec()).err()
        };
        let expected = Some(RuleFault::Loop { rule: 0, back: 1 });
        assert_eq!(loops(Some("*.example.org"), &[][..]), expected);
        assert_eq!(loops(None, &query[..]), expected);
    }

    #[test]
    fn loops_can_be_taken_out() {
        let rules = [("-", "/a", "/b"), ("-", "/b", "/a"), ("-", "/c", "/d"), (">", "/e/*", "/e/e/:splat")];
        let rules = rules.iter().map(|(kind, from, to)| rule(kind, from, to)).collect();
        let (table, faults) = RuleTable::without_loops(rules).unwrap();
        let expected = [RuleFault::Loop { rule: 0, back: 1 }, RuleFault::TooLong { rule: 3, last: 3 }];
        assert_eq!(faults, expected);
        let path = SitePath::parse(b"/b").unwrap();
        assert!(table.find(&RouteRequest { path: &path, query: None, host: b"" }, 0, true).is_none());
        assert_eq!(faults[0].to_string(), "rule 2 leads back to rule 1");
        // Rule 1 hides rule 2 until rule 3 shows that it leads back.
        let rules = [("-", "/b", "/a"), ("-", "/a", "/c"), ("-", "/a", "/b"), ("-", "/c", "/a")];
        let rules = rules.iter().map(|(kind, from, to)| rule(kind, from, to)).collect();
        let (table, faults) = RuleTable::without_loops(rules).unwrap();
        assert!((0..4).all(|rule| check(&table, rule, false).is_ok()), "{faults:?}");
        // The next rule of the same pattern takes the place of one that is taken out.
        let rules = [("-", "/d", "/e"), ("-", "/e", "/d"), ("-", "/e", "/index.html")];
        let rules = rules.iter().map(|(kind, from, to)| rule(kind, from, to)).collect();
        let (table, faults) = RuleTable::without_loops(rules).unwrap();
        assert_eq!(faults, [RuleFault::Loop { rule: 0, back: 1 }]);
        let path = SitePath::parse(b"/e").unwrap();
        let found = table.find(&RouteRequest { path: &path, query: None, host: b"" }, 0, true);
        assert_eq!(found.map(|found| found.rule), Some(2));
    }
}
