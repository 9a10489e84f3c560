//! Rules made of the input never lead to another host by what they capture, and what they rewrite is a path.
//!
//! Lines: the path and query of a request, then pairs of `from` and `to`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mayhttpd::http::target::SitePath;
use mayhttpd::routing::path_glob::PathGlob;
use mayhttpd::routing::route_rule::{RouteRule, RuleKind, RuleText};
use mayhttpd::routing::rule_match::{RouteRequest, RuleOutcome};
use mayhttpd::routing::rule_table::RuleTable;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (target, query) = match lines.next().unwrap_or_default().split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (text.lines().next().unwrap_or_default(), None),
    };
    let conditions = [("q".to_owned(), ":q".to_owned())];
    let mut rules = Vec::new();
    while let (Some(from), Some(to)) = (lines.next(), lines.next()) {
        if let Ok(glob) = PathGlob::parse(from) {
            glob.matches(target.as_bytes(), false);
        }
        for (kind, query) in [(RuleKind::Redirect, &conditions[..]), (RuleKind::Rewrite, &[])] {
            let text = RuleText { kind, from, to, status: None, host: None, query, if_missing: false };
            rules.extend(RouteRule::parse(&text));
        }
    }
    let Ok((table, _)) = RuleTable::without_loops(rules) else { return };
    let Ok(path) = SitePath::parse(target.as_bytes()) else { return };
    let Some(found) = table.find(&RouteRequest { path: &path, query, host: b"a.example" }, 0, true) else {
        return;
    };
    let place = match &found.outcome {
        RuleOutcome::Redirect { location, .. } => location,
        RuleOutcome::Rewrite { path, .. } => path,
    };
    assert!(place.iter().all(u8::is_ascii_graphic));
    if table.rules()[found.rule].to.is_own() {
        assert!(place.starts_with(b"/") && !place.starts_with(b"//") && !place.starts_with(b"/\\"));
    } else {
        assert!(place.starts_with(b"https://") || place.starts_with(b"http://"));
    }
    if let RuleOutcome::Rewrite { path, .. } = &found.outcome {
        assert!(SitePath::parse(path).is_ok());
    }
});
