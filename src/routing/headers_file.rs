//! `_headers`, in the format of Netlify and Cloudflare Pages.
//!
//! ```text
//! /assets/*
//!   Cache-Control: public, max-age=31536000
//!   ! Access-Control-Allow-Origin
//! https://www.example.org/:page
//!   X-Robots-Tag: noindex
//! ```
//!
//! All blocks that match apply, in their order. A field that several lines set has their values joined with a
//! comma, and replaces that of the server. `! Name` takes the field away, that of the server too. Blocks
//! apply to responses of 2xx and 3xx, 304 included, and not to errors: a page that is missing for a moment
//! must not be kept for a year.

use super::header_rules::{
    FieldChange, HeaderRule, HeaderRules, MAX_HEADER_RULES, MAX_SLOW_RULES, StatusSet,
};
use super::host_condition::HostCondition;
use super::path_glob::PathGlob;
use super::path_pattern::SPLAT;
use super::redirects_file::split_host;
use super::text_lines::{self, UnknownLines};
use crate::http::field_name;

/// What a file says.
#[derive(Debug, Default)]
pub struct HeadersFile {
    /// The rules, in their order.
    pub rules: HeaderRules,
    /// The lines that are skipped.
    pub unknown: UnknownLines,
}

/// The block that lines belong to.
enum HeaderBlock {
    /// None yet.
    Start,
    /// The last rule, with the names of its placeholders.
    Known(Vec<String>),
    /// One whose first line was skipped.
    Skipped,
}

impl HeadersFile {
    /// Parses the content of a file.
    pub fn parse(bytes: &[u8]) -> HeadersFile {
        let mut file = HeadersFile::default();
        let mut block = HeaderBlock::Start;
        let mut slow = 0;
        for (number, line) in text_lines::split(bytes, &mut file.unknown) {
            let line = line.trim_start();
            let rules = &mut file.rules.0;
            let fault =
                if line.starts_with('/') || line.starts_with("https://") || line.starts_with("http://") {
                    if rules.len() == MAX_HEADER_RULES {
                        let why = format!("this line and all after it are beyond {MAX_HEADER_RULES} blocks");
                        file.unknown.push(number, why);
                        break;
                    }
                    block = HeaderBlock::Skipped;
                    parse_path(line).and_then(|(rule, names)| {
                        if rule.path.is_slow() {
                            if slow == MAX_SLOW_RULES {
                                return Err(too_slow());
                            }
                            slow += 1;
                        }
                        rules.push(rule);
                        block = HeaderBlock::Known(names);
                        Ok(())
                    })
                } else {
                    match (&block, rules.last_mut()) {
                        (HeaderBlock::Known(names), Some(rule)) => {
                            parse_change(line, names).map(|change| rule.changes.push(change))
                        }
                        // Its path is reported.
                        (HeaderBlock::Skipped, _) => Ok(()),
                        _ => Err("expected a path such as /assets/* before the first field".to_owned()),
                    }
                };
            if let Err(why) = fault {
                file.unknown.push(number, why);
            }
        }
        file.rules.0.retain(|rule| !rule.changes.is_empty());
        file
    }
}

fn too_slow() -> String {
    format!("is one more than {MAX_SLOW_RULES} blocks with a wildcard before the end of their path")
}

fn parse_path(line: &str) -> Result<(HeaderRule, Vec<String>), String> {
    let (host, path_text) = split_host(line)?;
    let host = host.map(HostCondition::parse).transpose()?;
    if path_text.contains(char::is_whitespace) {
        return Err("expected a path alone on its line; write %20 for a space".to_owned());
    }
    let mut names = Vec::new();
    let path = PathGlob::parse_line(path_text, &mut names)?;
    if path_text.contains('*') {
        names.push(SPLAT.to_owned());
    }
    Ok((HeaderRule { path, host, https: None, statuses: StatusSet::Success, changes: Vec::new() }, names))
}

/// Parses a line below a path. `names` are what the path captures.
fn parse_change(line: &str, names: &[String]) -> Result<FieldChange, String> {
    let (name, value) = match line.strip_prefix('!') {
        Some(name) => (name.trim(), None),
        None => match line.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => return Err("expected Name: value, or ! Name".to_owned()),
        },
    };
    if !field_name::is_valid(name) {
        return Err("the name of a field has letters, digits and hyphens".to_owned());
    }
    if field_name::is_own(name) {
        return Err(format!("{name} is set by the server itself"));
    }
    let Some(value) = value else { return Ok(FieldChange::Remove(name.to_owned())) };
    field_name::check_value(value)?;
    if names.iter().any(|capture| value.contains(&format!(":{capture}"))) {
        return Err("the value of a field can't have what the path captures".to_owned());
    }
    Ok(FieldChange::Join(name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::header_rules::{self, RuledResponse};
    use super::*;

    fn applied(file: &str, host: &str, path: &str) -> String {
        let file = HeadersFile::parse(file.as_bytes());
        assert_eq!(file.unknown, UnknownLines::default());
        let path_bytes = path.trim_matches('/').as_bytes();
        let response = RuledResponse {
            path: path_bytes,
            directory: path.ends_with('/'),
            host: host.as_bytes(),
            https: false,
            status: 200,
        };
        let mut lines = b"Cache-Control: no-cache\r\n".to_vec();
        header_rules::apply(&file.rules.changes(&response), &mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn all_matching_blocks_apply() {
        let file = "# comment
/*
  X-Frame-Options: DENY
  X-Many: a
  X-Many: b

/assets/*
  # comment
  Cache-Control: public, max-age=60
  ! x-frame-options
  x-many: c: d
https://www.example.org/:page
\tX-Robots-Tag: noindex
/unused
";
        for (host, path, expected) in [
            ("", "/", "Cache-Control: no-cache\r\nX-Frame-Options: DENY\r\nX-Many: a, b\r\n"),
            ("", "/assets/a/b.js", "Cache-Control: public, max-age=60\r\nx-many: a, b, c: d\r\n"),
            (
                "WWW.example.org:80",
                "/page",
                "Cache-Control: no-cache\r\nX-Frame-Options: DENY\r\nX-Many: a, b\r\nX-Robots-Tag: noindex\r\n",
            ),
        ] {
            assert_eq!(applied(file, host, path), expected, "{host} {path}");
        }
        assert_eq!(HeadersFile::parse(file.as_bytes()).rules.0.len(), 3);
    }

    #[test]
    fn what_is_not_understood_is_reported_with_its_line() {
        for (line, reason) in [
            ("  X-A", "expected Name: value"),
            ("  : x", "name of a field"),
            ("  X A: x", "name of a field"),
            ("  ! X A", "name of a field"),
            ("  !", "name of a field"),
            ("  X-A:", "white space"),
            ("  X-A: \x01", "control characters"),
            ("  Content-Length: 5", "by the server itself"),
            ("  ! etag", "by the server itself"),
            ("  Link: </:page/x>", "what the path captures"),
            ("  Link: </:splat>", "what the path captures"),
        ] {
            let file = HeadersFile::parse(format!("/:page/*\n{line}\n  X-B: 1\n").as_bytes());
            assert_eq!(file.rules.0[0].changes.len(), 1, "{line}");
            let [unknown] = &file.unknown.lines[..] else { panic!("{line}: {:?}", file.unknown) };
            assert!(unknown.line == 2 && unknown.why.contains(reason), "{line}: {}", unknown.why);
        }
    }

    #[test]
    fn fields_of_an_unknown_path_are_skipped() {
        for (path, reason) in [
            ("/%zz", "two hex digits"),
            ("/a b", "alone on its line"),
            ("https:///a", "a host name"),
            ("https://:h/a", "a host name"),
        ] {
            let file = HeadersFile::parse(format!("/a\n  X: 1\n{path}\n  Y: 1\n").as_bytes());
            assert_eq!(file.rules.0.len(), 1);
            assert_eq!(file.rules.0[0].changes.len(), 1, "{path}");
            assert_eq!(file.unknown.lines.len(), 1, "{path}");
            let unknown = &file.unknown.lines[0];
            assert!(unknown.line == 3 && unknown.why.contains(reason), "{path}: {}", unknown.why);
        }
        let file = HeadersFile::parse(b"X: 1\n");
        assert!(file.unknown.lines[0].why.contains("before the first field"));
        let file = HeadersFile::parse("/a\n X: 1\n".repeat(MAX_HEADER_RULES + 1).as_bytes());
        assert_eq!((file.rules.0.len(), file.unknown.lines.len()), (MAX_HEADER_RULES, 1));
        // What takes long to compare is bounded too, and leaves the others.
        let slow = "/*.a\n X: 1\n".repeat(MAX_SLOW_RULES + 2);
        let file = HeadersFile::parse(format!("{slow}/a\n X: 1\n/*\n X: 1\n").as_bytes());
        assert_eq!((file.rules.0.len(), file.unknown.lines.len()), (MAX_SLOW_RULES + 2, 2));
        assert!(file.unknown.lines[0].why.contains("one more than 200 blocks with a wildcard"));
    }
}
