//! The rules of one pattern, which differ in host and query only.
//!
//! They are found by the host and by one parameter each, so that thousands of rules such as
//! `/index.php?id=17` cost a request no more than a few of them.

use std::collections::HashMap;

use super::host_condition;
use super::query_condition::QueryValue;
use super::request_query::RequestQuery;
use super::route_rule::RouteRule;

/// Numbers of rules, ascending.
type Numbers = Vec<u32>;

/// The most rules of one pattern without conditions that are tried. Only one that leads to where the request
/// is gives way to the next.
const MAX_FREE: usize = 16;

/// The rules of one pattern.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    any_host: ByParameter,
    hosts: HashMap<Box<[u8]>, ByParameter>,
    wildcards: HashMap<Box<[u8]>, ByParameter>,
}

/// Rules of one pattern and one host, by one of their parameters.
#[derive(Debug, Default)]
struct ByParameter {
    /// Rules without conditions on the query.
    free: Numbers,
    names: HashMap<Box<[u8]>, ByValue>,
}

/// Rules that need one parameter.
#[derive(Debug, Default)]
struct ByValue {
    values: HashMap<Box<[u8]>, Numbers>,
    any: Numbers,
}

impl Candidates {
    /// Sorts the rules with these numbers, which must ascend.
    pub(super) fn new(numbers: &[u32], rules: &[RouteRule]) -> Candidates {
        let mut any_host = Numbers::new();
        let mut hosts: HashMap<Box<[u8]>, Numbers> = HashMap::new();
        let mut wildcards: HashMap<Box<[u8]>, Numbers> = HashMap::new();
        for &number in numbers {
            match &rules[number as usize].host {
                None => any_host.push(number),
                Some(host) => {
                    let map = if host.wildcard { &mut wildcards } else { &mut hosts };
                    map.entry(host.name.as_bytes().into()).or_default().push(number);
                }
            }
        }
        let sorted = |map: HashMap<Box<[u8]>, Numbers>| {
            map.into_iter().map(|(host, numbers)| (host, ByParameter::new(&numbers, rules))).collect()
        };
        Candidates {
            any_host: ByParameter::new(&any_host, rules),
            hosts: sorted(hosts),
            wildcards: sorted(wildcards),
        }
    }

    /// Gives `take` each list of rules that may match, with how many of it are worth a try. `host` is
    /// comparable.
    pub(super) fn lists(&self, host: &[u8], query: &RequestQuery, take: &mut dyn FnMut(&[u32], usize)) {
        self.any_host.lists(query, take);
        if let Some(found) = self.hosts.get(host) {
            found.lists(query, take);
        }
        if !self.wildcards.is_empty() {
            for parent in host_condition::parents(host) {
                if let Some(found) = self.wildcards.get(parent) {
                    found.lists(query, take);
                }
            }
        }
    }
}

impl ByParameter {
    fn new(numbers: &[u32], rules: &[RouteRule]) -> ByParameter {
        // How many rules need a parameter with this value. The rarest one is the key of a rule, because all
        // may have `page=article` and each its own `id`.
        let mut shared: HashMap<(&str, &str), usize> = HashMap::new();
        for pair in numbers.iter().flat_map(|&number| literals(&rules[number as usize])) {
            *shared.entry(pair).or_default() += 1;
        }
        let mut by = ByParameter::default();
        for &number in numbers {
            let rule = &rules[number as usize];
            let rarest = literals(rule).min_by_key(|pair| shared.get(pair));
            match (rarest, rule.query.first()) {
                (Some((name, value)), _) => {
                    let by_value = by.names.entry(name.as_bytes().into()).or_default();
                    by_value.values.entry(value.as_bytes().into()).or_default().push(number);
                }
                (None, Some(first)) => {
                    by.names.entry(first.name.as_bytes().into()).or_default().any.push(number);
                }
                (None, None) => by.free.push(number),
            }
        }
        by
    }

    fn lists(&self, query: &RequestQuery, take: &mut dyn FnMut(&[u32], usize)) {
        take(&self.free, MAX_FREE);
        if self.names.is_empty() {
            return;
        }
        for (name, value) in query.pairs() {
            let Some(by_value) = self.names.get(name) else { continue };
            take(&by_value.any, usize::MAX);
            if let Some(numbers) = by_value.values.get(value) {
                take(numbers, usize::MAX);
            }
        }
    }
}

/// The parameters of a rule that need one value.
fn literals(rule: &RouteRule) -> impl Iterator<Item = (&str, &str)> {
    rule.query.iter().filter_map(|condition| match &condition.value {
        QueryValue::Literal(value) => Some((&*condition.name, &**value)),
        QueryValue::Capture(_) => None,
    })
}
