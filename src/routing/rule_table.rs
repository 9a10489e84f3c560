//! The rules of a site in their order: which one a request matches first, and what comes of it.
//!
//! - The first rule that matches counts, in the order of the file.
//! - A rule with `if_missing` matches only where the caller says that there may be no file.
//! - A rule that leads to the very path and query that it was asked for does not match, so `/* → /index.html`
//!   is no loop.
//! - A slash at the end of the path counts in no pattern, but a splat keeps it.
//! - The query goes along unless `to` has one of its own. A `to` that ends in `?` takes it away.

use super::candidates::Candidates;
use super::destination::Captured;
use super::host_condition;
use super::pattern_tree::PatternTree;
use super::query_condition::QueryValue;
use super::request_query::RequestQuery;
use super::route_rule::{RouteRule, RuleKind};
use super::routed_path::RoutedPath;
use super::rule_fault::{MAX_RULES, MAX_STEPS, RuleFault};
use super::rule_match::{RouteRequest, RuleMatch, RuleOutcome};
use crate::http::target::SitePath;

/// Rules in their order.
#[derive(Debug)]
pub struct RuleTable {
    rules: Vec<RouteRule>,
    tree: PatternTree,
    groups: Vec<Candidates>,
    /// Rules that were found faulty.
    disabled: Vec<bool>,
    has_hosts: bool,
    has_queries: bool,
}

impl RuleTable {
    /// Takes a faulty rule out.
    pub(super) fn disable(&mut self, rule: usize) {
        self.disabled[rule] = true;
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[RouteRule] {
        &self.rules
    }

    /// The first rule from number `from_rule` on that a request matches. Rules with `if_missing` match only
    /// if there may be no file.
    pub fn find(&self, request: &RouteRequest<'_>, from_rule: usize, missing: bool) -> Option<RuleMatch> {
        self.find_counted(request, from_rule, missing).0
    }

    /// The same, with the number of nodes of the tree that it took.
    fn find_counted(
        &self,
        request: &RouteRequest<'_>,
        from_rule: usize,
        missing: bool,
    ) -> (Option<RuleMatch>, u32) {
        let path = RoutedPath::new(request.path, self.tree.depth());
        let query = if self.has_queries { request.query } else { None };
        let parameters = RequestQuery::parse(query);
        let host = if self.has_hosts { host_condition::comparable(request.host) } else { Vec::new() };
        let captured = Captured { path: &path, parameters: &parameters, query: request.query };
        let mut found: Option<RuleMatch> = None;
        let lowest = |found: &Option<RuleMatch>| found.as_ref().map_or(self.rules.len(), |found| found.rule);
        let steps = self.tree.walk(&path, &mut |group| {
            self.groups[group as usize].lists(&host, &parameters, &mut |numbers, most| {
                let first = numbers.partition_point(|&number| (number as usize) < from_rule);
                let bound = lowest(&found);
                let better = numbers[first..].iter().map(|&number| number as usize);
                let applies =
                    |&number: &usize| !self.disabled[number] && (missing || !self.rules[number].if_missing);
                let mut tried = better.take_while(|&number| number < bound).filter(applies).take(most);
                let matched = tried.find_map(|number| {
                    let rule = &self.rules[number];
                    let outcome = outcome(rule, request, &captured)?;
                    Some(RuleMatch { rule: number, if_missing: rule.if_missing, outcome })
                });
                if matched.is_some() {
                    found = matched;
                }
            });
            u32::try_from(lowest(&found)).unwrap_or(u32::MAX)
        });
        (found, steps)
    }

    /// A table of these rules, which may have loops.
    ///
    /// # Errors
    /// What concerns all rules together.
    pub(super) fn unchecked(rules: Vec<RouteRule>) -> Result<RuleTable, RuleFault> {
        if rules.len() > MAX_RULES {
            return Err(RuleFault::TooMany);
        }
        let mut tree = PatternTree::new();
        let mut groups: Vec<Vec<u32>> = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let group = tree.insert(&rule.from, number, next) as usize;
            if group == groups.len() {
                groups.push(Vec::new());
            }
            groups[group].push(number);
        }
        if tree.most_steps() > MAX_STEPS {
            return Err(RuleFault::TooManyWays);
        }
        Ok(RuleTable {
            groups: groups.iter().map(|numbers| Candidates::new(numbers, &rules)).collect(),
            tree,
            disabled: vec![false; rules.len()],
            has_hosts: rules.iter().any(|rule| rule.host.is_some()),
            has_queries: rules.iter().any(|rule| !rule.query.is_empty()),
            rules,
        })
    }
}

/// What comes of a rule whose pattern and host match. `None` if its query does not match, or if it leads to
/// where the request is already.
fn outcome(rule: &RouteRule, request: &RouteRequest<'_>, captured: &Captured<'_>) -> Option<RuleOutcome> {
    let holds = rule.query.iter().all(|condition| {
        let value = captured.parameters.value(condition.name.as_bytes());
        value.is_some_and(|value| match &condition.value {
            QueryValue::Literal(expected) => value == expected.as_bytes(),
            QueryValue::Capture(_) => true,
        })
    });
    let expanded = if holds { rule.to.expand(captured)? } else { return None };
    if rule.to.is_own() {
        let path = SitePath::parse(&expanded.path).ok()?;
        if path == *request.path && expanded.query.as_deref() == request.query {
            return None;
        }
    }
    let status = rule.status;
    Some(match rule.kind {
        RuleKind::Redirect => RuleOutcome::Redirect { status, location: rule.to.location(&expanded) },
        RuleKind::Rewrite => RuleOutcome::Rewrite { status, path: expanded.path, query: expanded.query },
    })
}

#[cfg(test)]
mod tests {
    use super::super::route_rule::RuleText;
    use super::*;

    fn text<'a>(kind: RuleKind, from: &'a str, to: &'a str) -> RuleText<'a> {
        RuleText { kind, from, to, status: None, host: None, query: &[], if_missing: false }
    }

    fn redirect(from: &str, to: &str) -> RouteRule {
        RouteRule::parse(&text(RuleKind::Redirect, from, to)).unwrap()
    }

    fn rewrite(from: &str, to: &str) -> RouteRule {
        RouteRule::parse(&text(RuleKind::Rewrite, from, to)).unwrap()
    }

    fn with_query(from: &str, to: &str, query: &[(&str, &str)]) -> RouteRule {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        RouteRule::parse(&RuleText { query: &query, ..text(RuleKind::Redirect, from, to) }).unwrap()
    }

    fn with_host(from: &str, to: &str, host: &str) -> RouteRule {
        RouteRule::parse(&RuleText { host: Some(host), ..text(RuleKind::Redirect, from, to) }).unwrap()
    }

    fn if_missing(from: &str, to: &str) -> RouteRule {
        RouteRule { if_missing: true, ..redirect(from, to) }
    }

    /// Where the table leads, by a target and a host: a location, or `→` and a path.
    fn found(table: &RuleTable, target: &str, host: &str) -> Option<String> {
        found_as(table, target, host, 0, true)
    }

    fn found_as(table: &RuleTable, target: &str, host: &str, from: usize, missing: bool) -> Option<String> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target, None),
        };
        let path = SitePath::parse(path.as_bytes()).unwrap();
        let request = RouteRequest { path: &path, query, host: host.as_bytes() };
        let text = match table.find(&request, from, missing)?.outcome {
            RuleOutcome::Redirect { location, .. } => location,
            RuleOutcome::Rewrite { path, query, .. } => {
                assert!(SitePath::parse(&path).is_ok());
                let query = query.map_or(Vec::new(), |query| [b"?", &query[..]].concat());
                [b"> ", &path[..], &query].concat()
            }
        };
        assert!(text.iter().all(|byte| matches!(byte, b' '..=b'~')), "{}", text.escape_ascii());
        Some(String::from_utf8(text).unwrap())
    }

    #[track_caller]
    fn check(rules: Vec<RouteRule>, cases: &[(&str, Option<&str>)]) {
        let table = RuleTable::unchecked(rules).unwrap();
        for (target, expected) in cases {
            assert_eq!(found(&table, target, "").as_deref(), *expected, "{target}");
        }
    }

    #[test]
    fn patterns_capture_segments_and_the_rest() {
        check(
            vec![
                redirect("/blog/:year/*", "/archive/:year/:splat"),
                redirect("/p/:a/:b", "/q/:b-:a.html?a=:a#:b"),
                redirect("/out/*", "https://Other.example/x/:splat"),
                redirect("/away", "http://other.example"),
                redirect("/s/*", "/t?rest=:splat"),
                rewrite("/r/*", "/files/:splat"),
                redirect("/m/*", "/n/:splat/end"),
            ],
            &[
                ("/blog/2024/a/b", Some("/archive/2024/a/b")),
                ("/blog/2024/a/b/", Some("/archive/2024/a/b/")),
                ("/blog/2024", Some("/archive/2024/")),
                ("/blog/2024/", Some("/archive/2024/")),
                ("/blog", None),
                ("/blog/", None),
                ("/x/blog/1", None),
                ("/p/1/2", Some("/q/2-1.html?a=1#2")),
                ("/p/1/2/", Some("/q/2-1.html?a=1#2")),
                ("/p/1/2/3", None),
                ("/p/1", None),
                ("/out/a%20b/c", Some("https://other.example/x/a%20b/c")),
                ("/out", Some("https://other.example/x/")),
                ("/away?x=1", Some("http://other.example/?x=1")),
                ("/s/a/b", Some("/t?rest=a/b")),
                ("/s?y=1", Some("/t?rest=")),
                ("/r/a/b", Some("> /files/a/b")),
                ("/r/a%2525b?x", Some("> /files/a%2525b?x")),
                ("/m/a/", Some("/n/a/end")),
                ("/m", Some("/n/end")),
            ],
        );
    }

    #[test]
    fn the_first_rule_in_the_order_of_the_file_counts() {
        check(
            vec![
                redirect("/a/b", "/1"),
                redirect("/a/*", "/2"),
                redirect("/:x/c", "/3"),
                redirect("/a/c", "/4"),
                redirect("/z/c", "/5"),
                redirect("/*", "/6"),
                redirect("/late", "/7"),
            ],
            &[
                ("/a/b", Some("/1")),
                ("/a/c", Some("/2")),
                ("/a", Some("/2")),
                ("/b/c", Some("/3")),
                ("/z/c", Some("/3")),
                ("/late", Some("/6")),
                ("/", Some("/6")),
            ],
        );
    }

    #[test]
    fn no_capture_leads_to_another_host() {
        let rules = || {
            vec![
                redirect("/one/:a/*", "/:splat/:a"),
                redirect("/two/*", "/:splat"),
                with_query("/q", "/:to", &[("to", ":to")]),
                with_query("/r", "/:x/:to", &[("to", ":to"), ("x", ":x")]),
            ]
        };
        check(
            rules(),
            &[
                // An empty splat leaves no empty segment.
                ("/one/evil.example", Some("/evil.example")),
                ("/two", Some("/")),
                ("/two//evil.example", Some("/evil.example")),
                ("/two/%2F%2Fevil.example", Some("/evil.example")),
                ("/two/%5Cevil.example", Some("/%5Cevil.example")),
                ("/two/\\evil.example", Some("/%5Cevil.example")),
                ("/two/%09/evil.example", Some("/%09/evil.example")),
                ("/two/%0d%0aX:%20y", Some("/%0D%0AX%3A%20y")),
                ("/two/http://evil.example", Some("/http%3A/evil.example")),
                ("/two/\u{fc}\"<>'", Some("/%C3%BC%22%3C%3E%27")),
                ("/two/%3Fa%23b%25", Some("/%3Fa%23b%25")),
                ("/q?to=a", Some("/a?to=a")),
                ("/q?to=%2Fevil.example", None),
                ("/q?to=/evil.example", None),
                ("/q?to=%5Cevil.example", Some("/%5Cevil.example?to=%5Cevil.example")),
                ("/q?to=..", None),
                ("/q?to=%2e", None),
                ("/q?to=%00", None),
                ("/q?to=", None),
                ("/r?x=&to=evil.example", None),
            ],
        );
        // Whatever the path is, one slash stands first.
        let table = RuleTable::unchecked(vec![redirect("/*", "/:splat/x/:splat"), redirect("/*", "/:splat")])
            .unwrap();
        for target in ["//evil", "/\\evil", "/%5C/evil", "/%2F%5Cevil", "/;//evil", "/@evil", "/a/..//evil"] {
            let location = found(&table, target, "").unwrap();
            assert!(
                location.starts_with('/') && !location[1..].starts_with(['/', '\\']),
                "{target}: {location}"
            );
        }
    }

    #[test]
    fn the_query_goes_along_unless_there_is_another_one() {
        check(
            vec![
                redirect("/keep", "/x"),
                redirect("/own", "/x?y=1"),
                redirect("/drop", "/x?"),
                redirect("/fragment", "/x#top"),
            ],
            &[
                ("/keep", Some("/x")),
                ("/keep?", Some("/x?")),
                ("/keep?a=1&b=%20?", Some("/x?a=1&b=%20?")),
                ("/keep?\r\n\"<>#\u{fc}", Some("/x?%0D%0A%22%3C%3E%23%C3%BC")),
                ("/own?a=1", Some("/x?y=1")),
                ("/drop?a=1", Some("/x")),
                ("/fragment?a=1", Some("/x?a=1#top")),
            ],
        );
    }

    #[test]
    fn a_rule_can_need_parameters() {
        check(
            vec![
                with_query("/i", "/both/:id?", &[("id", ":id"), ("kind", "a b")]),
                with_query("/i", "/one?", &[("id", "1")]),
                with_query("/i", "/any/:id?", &[("id", ":id")]),
                redirect("/i", "/none"),
            ],
            &[
                ("/i?id=7&kind=a+b", Some("/both/7")),
                ("/i?kind=a%20b&x&id=7", Some("/both/7")),
                ("/i?id=1", Some("/one")),
                ("/i?id=1&id=2", Some("/one")),
                ("/i?id=%31", Some("/one")),
                ("/i?id=2", Some("/any/2")),
                ("/i?id=a%2fb", Some("/none?id=a%2fb")),
                ("/i?kind=a+b", Some("/none?kind=a+b")),
                ("/i", Some("/none")),
            ],
        );
    }

    #[test]
    fn a_rule_can_need_a_host() {
        let rules = vec![
            with_host("/a", "/exact", "www.example.org"),
            with_host("/a", "/wild", "*.example.org"),
            with_host("/a", "/deep", "*.b.example.org"),
            redirect("/a", "/any"),
        ];
        let table = RuleTable::new(rules).unwrap();
        for (host, expected) in [
            ("www.example.org", "/exact"),
            ("WWW.Example.ORG.:8080", "/exact"),
            ("x.example.org", "/wild"),
            ("a.b.example.org", "/wild"),
            ("example.org", "/any"),
            ("wwwexample.org", "/any"),
            ("", "/any"),
            ("[::1]:80", "/any"),
        ] {
            assert_eq!(found(&table, "/a", host).as_deref(), Some(expected), "{host}");
        }
    }

    #[test]
    fn rules_for_missing_files_wait_for_the_caller() {
        let table = RuleTable::new(vec![if_missing("/a/*", "/1"), redirect("/a/b", "/2")]).unwrap();
        let at = |from, missing| found_as(&table, "/a/b", "", from, missing);
        assert_eq!(at(0, true).as_deref(), Some("/1"));
        assert_eq!(at(0, false).as_deref(), Some("/2"));
        assert_eq!(at(1, true).as_deref(), Some("/2"));
        assert_eq!(at(2, true), None);
        // The same pattern twice: one rule for missing files, one for all.
        let rules =
            vec![if_missing("/a", "/1"), if_missing("/a", "/2"), redirect("/a", "/3"), redirect("/a", "/4")];
        let table = RuleTable::new(rules).unwrap();
        assert_eq!(found_as(&table, "/a", "", 0, true).as_deref(), Some("/1"));
        assert_eq!(found_as(&table, "/a", "", 0, false).as_deref(), Some("/3"));
    }

    #[test]
    fn a_rule_does_not_lead_to_where_the_request_is() {
        check(
            vec![rewrite("/app/*", "/app/index.html"), redirect("/dir", "/dir/"), redirect("/*", "/:splat")],
            &[
                ("/app/x", Some("> /app/index.html")),
                ("/app/index.html", None),
                ("/dir", Some("/dir/")),
                ("/dir/", None),
                ("//a/./b", None),
                ("/a?x=1", None),
            ],
        );
        // Nor does it hide what comes after it.
        check(
            vec![rewrite("/x/*", "/x/index.html"), redirect("/x/*", "/second"), redirect("/x/*", "/third")],
            &[
                ("/x/a", Some("> /x/index.html")),
                ("/x/index.html", Some("/second")),
                ("/x", Some("> /x/index.html")),
            ],
        );
        let only_itself =
            |count| (0..count).map(|_| redirect("/a", "/a")).chain([redirect("/a", "/b")]).collect();
        check(only_itself(15), &[("/a", Some("/b"))]);
        check(only_itself(16), &[("/a", None), ("/a/", Some("/a"))]);
    }

    /// The steps that the longest of some requests takes.
    fn most_steps(table: &RuleTable, targets: &[String]) -> u32 {
        let steps = targets.iter().map(|target| {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let path = SitePath::parse(path.as_bytes()).unwrap();
            let request = RouteRequest { path: &path, query: Some(query.as_bytes()), host: b"" };
            let (found, steps) = table.find_counted(&request, 0, true);
            assert!(found.is_some(), "{target}");
            steps
        });
        steps.max().unwrap()
    }

    #[test]
    fn ten_thousand_rules_take_as_many_steps_as_twenty() {
        let table = |count: usize| {
            let rules = (0..count).flat_map(|number| {
                [
                    redirect(&format!("/old/{number}/page"), "/x"),
                    redirect(&format!("/{number}/:a/*"), "/x/:a"),
                    redirect(&format!("/:a/{number}"), "/y/:a"),
                    with_query("/index.php", "/z", &[("page", "article"), ("id", &number.to_string())]),
                ]
            });
            RuleTable::new(rules.collect()).unwrap()
        };
        let targets = |number: usize| {
            [
                format!("/old/{number}/page"),
                format!("/{number}/a/b/c/d"),
                format!("/a/{number}"),
                format!("/index.php?page=article&id={number}"),
            ]
        };
        let few = most_steps(&table(5), &(0..5).flat_map(targets).collect::<Vec<_>>());
        let many = table(2500);
        assert_eq!(many.rules().len(), 10_000);
        let all = most_steps(&many, &(0..2500).flat_map(targets).collect::<Vec<_>>());
        assert!(all <= few && few <= 8, "{all} steps, with few rules {few}");
        assert!(many.tree.most_steps() <= 16, "{}", many.tree.most_steps());
    }

    #[test]
    fn rules_of_one_pattern_are_found_by_their_rarest_parameter() {
        let rules: Vec<_> = (0..1000)
            .map(|number| with_query("/i", "/x", &[("page", "article"), ("id", &number.to_string())]))
            .collect();
        let numbers: Vec<u32> = (0..1000).collect();
        let candidates = Candidates::new(&numbers, &rules);
        let query = RequestQuery::parse(Some(b"page=article&id=500&x=y"));
        let mut seen = Vec::new();
        candidates.lists(b"", &query, &mut |numbers, _| seen.extend_from_slice(numbers));
        assert_eq!(seen, [500]);
    }

    #[test]
    fn rules_whose_ways_multiply_are_refused() {
        // Names or placeholders in each of ten segments.
        let rules = |segments: usize| -> Vec<RouteRule> {
            let pattern = |bits: usize| {
                (0..segments).fold(String::new(), |path, at| {
                    path + &if bits >> at & 1 == 0 { "/a".to_owned() } else { format!("/:p{at}") }
                })
            };
            (0..1 << segments).map(|bits| redirect(&pattern(bits), "/x")).collect()
        };
        assert!(RuleTable::unchecked(rules(9)).is_ok());
        assert_eq!(RuleTable::unchecked(rules(10)).err(), Some(RuleFault::TooManyWays));
    }

    #[test]
    fn a_long_path_takes_few_steps() {
        let table = RuleTable::unchecked(vec![redirect("/a/*", "/x"), redirect("/a/:b/c", "/y")]).unwrap();
        let target = format!("/a{}", "/c".repeat(4000));
        assert!(most_steps(&table, &[target]) <= 4);
        // What a capture would make too long matches nothing.
        let table = RuleTable::unchecked(vec![redirect("/*", "/x/:splat")]).unwrap();
        assert_eq!(found(&table, &format!("/{}", "\u{fc}".repeat(4000)), ""), None);
    }

    #[test]
    fn an_empty_table_matches_nothing() {
        check(vec![], &[("/", None), ("/a/b?c", None)]);
    }
}
