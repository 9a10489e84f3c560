//! One rule: a `[[redirect]]` or `[[rewrite]]` table of the settings, or a line of `_redirects`.

use std::fmt;

use super::destination::{CaptureSource, Destination};
use super::host_condition::HostCondition;
use super::path_pattern::{PathPattern, SPLAT};
use super::query_condition::{QueryCondition, QueryValue};

/// The statuses of a redirect (RFC 9110 §15.4); the first is the default.
pub const REDIRECT_STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

/// The statuses of the page that a rewrite leads to; the first is the default.
pub const REWRITE_STATUSES: [u16; 3] = [200, 404, 410];

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// Sends the client to another URL.
    Redirect,
    /// Answers with what is at another path of this site.
    Rewrite,
}

/// A rule, ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRule {
    /// What it does.
    pub kind: RuleKind,
    /// The paths that it is for.
    pub from: PathPattern,
    /// Where it leads.
    pub to: Destination,
    /// The status of the response; one of the list for its kind.
    pub status: u16,
    /// The host that a request must be for.
    pub host: Option<HostCondition>,
    /// The parameters that a request's query must have.
    pub query: Vec<QueryCondition>,
    /// True if it applies only where there is no file.
    pub if_missing: bool,
}

/// The texts of a rule.
#[derive(Clone, Copy, Debug)]
pub struct RuleText<'a> {
    /// What it does.
    pub kind: RuleKind,
    /// The key `from`.
    pub from: &'a str,
    /// The key `to`.
    pub to: &'a str,
    /// The key `status`.
    pub status: Option<u16>,
    /// The key `host`.
    pub host: Option<&'a str>,
    /// The key `query`: names and values.
    pub query: &'a [(String, String)],
    /// The key `if_missing`.
    pub if_missing: bool,
}

/// What is wrong with the text of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTextFault {
    /// The key that is wrong.
    pub key: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for RuleTextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

impl RouteRule {
    /// Parses a rule.
    ///
    /// # Errors
    /// The key that is wrong, and what is allowed there.
    pub fn parse(text: &RuleText<'_>) -> Result<RouteRule, RuleTextFault> {
        let at = |key: &'static str| move |why: String| RuleTextFault { key, why };
        let from = PathPattern::parse(text.from).map_err(at("from"))?;
        let query = parse_query(text.query, &from).map_err(at("query"))?;
        let to = Destination::parse(text.to, &|name| source(name, &from, &query)).map_err(at("to"))?;
        if text.kind == RuleKind::Rewrite && (to.has_fragment() || !to.is_own()) {
            let why = "a rewrite leads to a path of this site, without a fragment".to_owned();
            return Err(RuleTextFault { key: "to", why });
        }
        let host = text.host.map(HostCondition::parse).transpose().map_err(at("host"))?;
        let status = parse_status(text.kind, text.status).map_err(at("status"))?;
        Ok(RouteRule { kind: text.kind, from, to, status, host, query, if_missing: text.if_missing })
    }
}

fn parse_status(kind: RuleKind, status: Option<u16>) -> Result<u16, String> {
    let allowed: &[u16] = match kind {
        RuleKind::Redirect => &REDIRECT_STATUSES,
        RuleKind::Rewrite => &REWRITE_STATUSES,
    };
    let status = status.unwrap_or(allowed[0]);
    if allowed.contains(&status) {
        return Ok(status);
    }
    let listed: Vec<String> = allowed.iter().map(u16::to_string).collect();
    Err(format!("expected one of {}", listed.join(", ")))
}

fn parse_query(pairs: &[(String, String)], from: &PathPattern) -> Result<Vec<QueryCondition>, String> {
    let mut conditions: Vec<QueryCondition> = Vec::new();
    for (name, value) in pairs {
        let condition = QueryCondition::parse(name, value).map_err(|why| format!("{name}: {why}"))?;
        if conditions.iter().any(|other| other.name == condition.name) {
            return Err(format!("{name}: has two conditions"));
        }
        if let QueryValue::Capture(capture) = &condition.value {
            let taken = from.names().any(|(_, other)| *other == **capture)
                || conditions.iter().any(|other| other.value == condition.value);
            if taken {
                return Err(format!("has two captures :{capture}; each needs a name of its own"));
            }
        }
        conditions.push(condition);
    }
    Ok(conditions)
}

/// Where the capture of this name comes from.
fn source(name: &str, from: &PathPattern, query: &[QueryCondition]) -> Option<CaptureSource> {
    if name == SPLAT {
        return from.splat.then_some(CaptureSource::Splat(from.segments.len()));
    }
    if let Some((number, _)) = from.names().find(|(_, other)| *other == name) {
        return Some(CaptureSource::Segment(number));
    }
    let condition = query.iter().find(|condition| match &condition.value {
        QueryValue::Capture(capture) => **capture == *name,
        QueryValue::Literal(_) => false,
    })?;
    Some(CaptureSource::Parameter(condition.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        kind: RuleKind,
        from: &str,
        to: &str,
        query: &[(&str, &str)],
    ) -> Result<RouteRule, RuleTextFault> {
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        RouteRule::parse(&RuleText {
            kind,
            from,
            to,
            status: None,
            host: None,
            query: &query,
            if_missing: false,
        })
    }

    #[test]
    fn bad_destinations_say_what_is_allowed() {
        for (from, to, reason) in [
            ("/a", "", "expected a path"),
            ("/a", "b", "expected a path"),
            ("/a", "javascript:alert(1)", "expected a path"),
            ("/a", "mailto:a@b", "expected a path"),
            ("/a", "//evil.example", "one slash"),
            ("/a", "/\\evil.example", "one slash"),
            ("/*", "//:splat", "one slash"),
            ("/a", "/b//c", "empty segment"),
            ("/a", "/../b", ". or .."),
            ("/a", "/b/%2e%2e", ". or .."),
            ("/a", "/b%2Fc", "slash in it"),
            ("/a", "/%zz", "two hex digits"),
            ("/a", "/b?x=%z", "two hex digits"),
            ("/a", "/b#%z", "two hex digits"),
            ("/a", "/:x", "has :x"),
            ("/a", "/b?x=:x", "has :x"),
            ("/a", "/b#:x", "has :x"),
            ("/a", "/:splat", "no *"),
            ("/*", "/x-:splat", "whole segment"),
            ("/*", "https://:splat/", "in the host"),
            ("/:h", "https://:h/", "in the host"),
            ("/:h", "https://:h.example/", "in the host"),
            ("/:h", "https://a.example:h/", "in the host"),
            ("/:h", "https://*.example/", "in the host"),
            ("/a", "https:///b", "a host name"),
            ("/a", "https://", "a host name"),
            ("/a", "https://user@host/", "a host name"),
            ("/a", "https://ü.example/", "a host name"),
            ("/a", "https://a.example\\@b.example/", "a slash after"),
        ] {
            let fault = parse(RuleKind::Redirect, from, to, &[]).unwrap_err();
            assert!(fault.key == "to" && fault.why.contains(reason), "{from} {to}: {fault}");
        }
        for to in ["https://other.example/", "/b#top"] {
            let fault = parse(RuleKind::Rewrite, "/a", to, &[]).unwrap_err();
            assert!(fault.why.contains("a path of this site"), "{to}: {fault}");
        }
    }

    #[test]
    fn captures_have_one_name_each() {
        for (from, query, reason) in [
            ("/:id", &[("a", ":id")][..], "two captures :id"),
            ("/", &[("a", ":id"), ("b", ":id")], "two captures :id"),
            ("/", &[("a", "1"), ("a", "2")], "two conditions"),
            ("/", &[("a", ":1")], "letters, digits"),
            ("/", &[("a", ":splat")], "splat"),
        ] {
            let fault = parse(RuleKind::Redirect, from, "/x", query).unwrap_err();
            assert!(fault.key == "query" && fault.why.contains(reason), "{from}: {fault}");
        }
    }

    #[test]
    fn each_kind_has_its_statuses() {
        for (kind, allowed, refused) in [
            (RuleKind::Redirect, &REDIRECT_STATUSES[..], [200, 300, 304, 404]),
            (RuleKind::Rewrite, &REWRITE_STATUSES[..], [201, 301, 302, 500]),
        ] {
            let parse = |status| {
                let text = RuleText {
                    kind,
                    from: "/a",
                    to: "/b",
                    status,
                    host: None,
                    query: &[],
                    if_missing: false,
                };
                RouteRule::parse(&text).map(|rule| rule.status)
            };
            assert_eq!(parse(None), Ok(allowed[0]));
            for status in allowed {
                assert_eq!(parse(Some(*status)), Ok(*status));
            }
            for status in refused {
                assert_eq!(parse(Some(status)).unwrap_err().key, "status");
            }
        }
    }
}
