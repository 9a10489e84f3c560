//! `_redirects`, in the format of Netlify and Cloudflare Pages.
//!
//! ```text
//! # from            [parameters]  to                  [status]
//! /blog/:year/*                   /archive/:year/:splat
//! /item             id=:id        /items/:id          302!
//! https://old.example/*           https://new.example/:splat
//! ```
//!
//! The status is 301 unless there is one; 200 and 404 serve a page. A rule applies only where there is no
//! file, as at Netlify, unless its status ends in `!`. Conditions such as `Country=` can't be kept, so lines
//! with one are skipped: to apply such a rule to all would be wrong.

use super::route_rule::{REDIRECT_STATUSES, REWRITE_STATUSES, RouteRule, RuleKind, RuleText};
use super::rule_fault::RuleFault;
use super::rule_table::RuleTable;
use super::text_lines::{self, UnknownLines};

/// The most rules of a file.
pub const MAX_FILE_RULES: usize = 10_000;

/// What a file says.
#[derive(Debug, Default)]
pub struct RedirectsFile {
    /// The rules, in their order.
    pub rules: Vec<RouteRule>,
    /// The number of the line of each rule, from 1.
    pub lines: Vec<usize>,
    /// The lines that are skipped.
    pub unknown: UnknownLines,
}

impl RedirectsFile {
    /// Parses the content of a file.
    pub fn parse(bytes: &[u8]) -> RedirectsFile {
        let mut file = RedirectsFile::default();
        for (number, line) in text_lines::split(bytes, &mut file.unknown) {
            if file.rules.len() == MAX_FILE_RULES {
                file.unknown
                    .push(number, format!("this line and all after it are beyond {MAX_FILE_RULES} rules"));
                break;
            }
            match parse_line(line) {
                Ok(rule) => {
                    file.rules.push(rule);
                    file.lines.push(number);
                }
                Err(why) => file.unknown.push(number, why),
            }
        }
        file
    }

    /// The rules as a table, without those that lead back to themselves, which are reported too. `None` if
    /// there are no rules.
    pub fn table(self) -> (Option<RuleTable>, UnknownLines) {
        let RedirectsFile { rules, lines, mut unknown } = self;
        if rules.is_empty() {
            return (None, unknown);
        }
        match RuleTable::without_loops(rules) {
            Ok((table, faults)) => {
                let mut tell = |fault: &RuleFault, more: &str| {
                    let Some(last) = fault.last() else { return };
                    let why = fault.describe(&|rule| format!("line {}", lines[rule]));
                    unknown.push(lines[last], format!("{why}{more}"));
                };
                faults.iter().for_each(|fault| tell(fault, ""));
                let loops = table.loops_without_files();
                loops.iter().for_each(|fault| tell(fault, " where there is no file; the line is used"));
                (Some(table), unknown)
            }
            Err(fault) => {
                unknown.push(1, format!("no rule of the file is used: {fault}"));
                (None, unknown)
            }
        }
    }
}

fn parse_line(line: &str) -> Result<RouteRule, String> {
    let mut words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).peekable();
    let (host, from) = split_host(words.next().unwrap_or_default())?;
    let is_destination = |word: &str| word.starts_with('/') || word.contains("://");
    let mut query = Vec::new();
    while let Some(word) = words.next_if(|word| !is_destination(word)) {
        let Some((name, value)) = word.split_once('=') else {
            return Err("expected where it leads after the path: /path or https://host/path".to_owned());
        };
        query.push((name.to_owned(), value.to_owned()));
    }
    let Some(to) = words.next() else {
        return Err("expected where it leads after the path: /path or https://host/path".to_owned());
    };
    let status = words.next_if(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    if let Some(word) = words.next() {
        return Err(match word.split_once('=') {
            Some(_) => "conditions such as Country=, Language= and Role= are not supported".to_owned(),
            None => "expected a status such as 301 or 200! and nothing after it".to_owned(),
        });
    }
    let (status, forced) = parse_status(status.unwrap_or("301"))?;
    let kind = if REWRITE_STATUSES.contains(&status) { RuleKind::Rewrite } else { RuleKind::Redirect };
    let text = RuleText { kind, from, to, status: Some(status), host, query: &query, if_missing: !forced };
    RouteRule::parse(&text).map_err(|fault| fault.to_string())
}

fn parse_status(word: &str) -> Result<(u16, bool), String> {
    let (code, forced) = word.strip_suffix('!').map_or((word, false), |code| (code, true));
    let known = REDIRECT_STATUSES.iter().chain(&REWRITE_STATUSES).find(|known| known.to_string() == code);
    match known {
        Some(status) => Ok((*status, forced)),
        None => Err("expected a status of 200, 301, 302, 303, 307, 308, 404 or 410".to_owned()),
    }
}

/// Splits the host off a URL. A path has none.
pub(super) fn split_host(word: &str) -> Result<(Option<&str>, &str), String> {
    let Some(rest) = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")) else {
        return Ok((None, word));
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    if name.is_empty() {
        return Err("expected a host name after ://, without placeholders".to_owned());
    }
    Ok((Some(name), if path.is_empty() { "/" } else { path }))
}

#[cfg(test)]
mod tests {
    use super::super::rule_match::{RouteRequest, RuleOutcome};
    use super::*;
    use crate::http::target::SitePath;

    /// Where a file leads: status, place, and whether the rule is for missing files.
    fn found(file: &str, host: &str, target: &str) -> Option<(u16, String, bool)> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.as_bytes())),
            None => (target, None),
        };
        let path = SitePath::parse(path.as_bytes()).unwrap();
        let request = RouteRequest { path: &path, query, host: host.as_bytes() };
        let found = RedirectsFile::parse(file.as_bytes()).table().0?.find(&request, 0, true)?;
        let (status, place) = match found.outcome {
            RuleOutcome::Redirect { status, location } => (status, location),
            RuleOutcome::Rewrite { status, path, .. } => (status, path),
        };
        Some((status, String::from_utf8(place).unwrap(), found.if_missing))
    }

    #[test]
    fn lines_are_rules() {
        for (line, target, status, place, if_missing) in [
            ("/a /b", "/a", 301, "/b", true),
            ("\t/a   /b\t302 ", "/a", 302, "/b", true),
            ("/a /b 302!", "/a", 302, "/b", false),
            ("/a /b # 302", "/a", 301, "/b", true),
            ("/a /b 303 #x", "/a", 303, "/b", true),
            ("/blog/:year/* /archive/:year/:splat 308!", "/blog/2024/a/b", 308, "/archive/2024/a/b", false),
            ("/* /index.html 200", "/app/x", 200, "/index.html", true),
            ("/* /404.html 404", "/app/x", 404, "/404.html", true),
            ("/x /gone.html 410!", "/x", 410, "/gone.html", false),
            ("/a https://other.example/:splat 307", "/b", 0, "", true),
            ("/o/* https://other.example/:splat 307", "/o/b", 307, "https://other.example/b", true),
            ("/item id=:id kind=a /items/:id 301", "/item?id=7&kind=a", 301, "/items/7?id=7&kind=a", true),
            ("/item id=:id https://o.example/:id", "/item?id=7", 301, "https://o.example/7?id=7", true),
            ("/item id=:id /items/:id", "/item", 0, "", true),
        ] {
            let expected = (status != 0).then(|| (status, place.to_owned(), if_missing));
            assert_eq!(found(line, "", target), expected, "{line}");
        }
    }

    #[test]
    fn a_url_needs_its_host() {
        let file = "https://old.example:8080/* /old/:splat\nhttp://*.example /any 302\n";
        assert_eq!(found(file, "OLD.example:80", "/a"), Some((301, "/old/a".to_owned(), true)));
        assert_eq!(found(file, "x.example", "/"), Some((302, "/any".to_owned(), true)));
        assert_eq!(found(file, "x.example", "/a"), None);
        assert_eq!(found(file, "example", "/"), None);
    }

    #[test]
    fn what_is_not_understood_is_reported_with_its_line() {
        for (line, reason) in [
            ("/a", "expected where it leads"),
            ("/a 301", "expected where it leads"),
            ("/a b", "expected where it leads"),
            ("a /b", "from: expected a path"),
            ("/a /b 999", "expected a status of"),
            ("/a /b 200x", "expected a status of"),
            ("/a /b 301!!", "expected a status of"),
            ("/a /b 304", "expected a status of"),
            ("/a /b x", "expected a status such as"),
            ("/a /b 301 302", "expected a status such as"),
            ("/a /b 302 Country=de", "Country="),
            ("/a /b Language=de", "Country="),
            ("/a /b /c", "expected a status such as"),
            ("/a https://backend.example/ 200", "a path of this site"),
            ("/a //evil.example", "one slash"),
            ("/a* /b", "whole last segment"),
            ("/a /:x", "has :x"),
            ("https:///a /b", "a host name"),
            ("https://:h/a /b", "a host name"),
            ("https://a_b*.example/a /b", "host: expected a host name"),
        ] {
            let file = RedirectsFile::parse(format!("# first\n\n{line}\r\n/x /y\n").as_bytes());
            assert_eq!((file.rules.len(), &file.lines[..]), (1, &[4][..]), "{line}");
            let [unknown] = &file.unknown.lines[..] else { panic!("{line}: {:?}", file.unknown) };
            assert!(unknown.line == 3 && unknown.why.contains(reason), "{line}: {}", unknown.why);
        }
    }

    #[test]
    fn loops_are_taken_out_and_reported() {
        let (table, unknown) = RedirectsFile::parse(b"\n/a /b 301!\n#\n/b /a 301!\n/c /d 301!\n").table();
        assert!(table.is_some());
        assert_eq!(unknown.lines.len(), 1);
        assert_eq!((unknown.lines[0].line, &*unknown.lines[0].why), (4, "line 4 leads back to line 2"));
        assert!(RedirectsFile::parse(b"# nothing\n").table().0.is_none());
    }

    #[test]
    fn rules_beyond_the_limit_are_reported() {
        let file = RedirectsFile::parse("/a /b\n".repeat(MAX_FILE_RULES + 5).as_bytes());
        assert_eq!(file.rules.len(), MAX_FILE_RULES);
        assert_eq!((file.unknown.lines.len(), file.unknown.lines[0].line), (1, MAX_FILE_RULES + 1));
    }
}
