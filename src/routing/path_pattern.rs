//! The `from` of a rule: which paths it is for, and what it captures of them.
//!
//! A pattern is compared with the decoded segments of a site path, one by one, so a match takes time linear
//! in the path and never goes back. A slash at the end counts neither in the pattern nor in the path.

use super::escapes;

/// The most bytes of a `from` or a `to`.
pub const MAX_LENGTH: usize = 2000;

/// The name of what `*` captures.
pub const SPLAT: &str = "splat";

const EXPECTED: &str = "expected a path such as /blog/:year/*";

/// A pattern, such as `/blog/:year/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// What the path begins with.
    pub segments: Vec<PatternSegment>,
    /// True if any number of further segments may follow, none included.
    pub splat: bool,
}

/// What one segment of a path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatternSegment {
    /// Exactly these bytes, decoded.
    Literal(Box<[u8]>),
    /// Any one segment, captured by this name.
    Placeholder(Box<str>),
}

impl PathPattern {
    /// Parses a pattern. Its literal segments may be percent-encoded, so `%3A` is a colon at their beginning
    /// and `%2A` a star.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<PathPattern, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} bytes"));
        }
        let Some(relative) = text.strip_prefix('/') else { return Err(EXPECTED.to_owned()) };
        let relative = relative.strip_suffix('/').unwrap_or(relative);
        let mut pattern = PathPattern { segments: Vec::new(), splat: false };
        // The root has no segments.
        for segment in relative.split('/').filter(|_| text != "/") {
            if pattern.splat {
                return Err("* is allowed at the end alone, as in /blog/*".to_owned());
            }
            match segment {
                "*" => pattern.splat = true,
                _ => pattern.segments.push(parse_segment(segment)?),
            }
        }
        pattern.check_names()?;
        Ok(pattern)
    }

    /// The names of the placeholders, each with the number of its segment.
    pub fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.segments.iter().enumerate().filter_map(|(number, segment)| match segment {
            PatternSegment::Literal(_) => None,
            PatternSegment::Placeholder(name) => Some((number, &**name)),
        })
    }

    fn check_names(&self) -> Result<(), String> {
        for (number, name) in self.names() {
            if name == SPLAT {
                return Err("a placeholder can't have the name splat, which is what * captures".to_owned());
            }
            if self.names().any(|(other, same)| other < number && same == name) {
                return Err(format!("has two placeholders :{name}; each needs a name of its own"));
            }
        }
        Ok(())
    }
}

/// The length of the name that `text` begins with: letters, digits and `_`, beginning with a letter.
pub(super) fn name_length(text: &str) -> usize {
    let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match text.bytes().next() {
        Some(first) if first.is_ascii_alphabetic() => {
            text.bytes().take_while(|byte| is_in_name(byte)).count()
        }
        _ => 0,
    }
}

fn parse_segment(segment: &str) -> Result<PatternSegment, String> {
    if let Some(name) = segment.strip_prefix(':') {
        if name.is_empty() || name_length(name) != name.len() {
            return Err("a placeholder is a whole segment of letters, digits and _, such as :year".to_owned());
        }
        return Ok(PatternSegment::Placeholder(name.into()));
    }
    if segment.contains('*') {
        return Err("* is allowed as the whole last segment, as in /blog/*".to_owned());
    }
    if segment.contains(':') {
        return Err("a placeholder is a whole segment, such as :year; write %3A for a colon".to_owned());
    }
    if segment.contains(['?', '#']) {
        return Err(
            "a path has no ? and no #; `query` is for the query, and %3F and %23 are for names".to_owned()
        );
    }
    let decoded = escapes::decode(segment.as_bytes());
    match decoded.as_deref() {
        None => Err("a percent sign needs two hex digits, not 00; write %25 for the sign itself".to_owned()),
        Some(b"") => Err(format!("has an empty segment; {EXPECTED}")),
        Some(b"." | b"..") => Err("no path has . or .. as a segment".to_owned()),
        Some(name) if name.contains(&b'/') => Err("no segment has a slash in it".to_owned()),
        Some(name) => Ok(PatternSegment::Literal(name.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The segments as a text: literals escaped, placeholders with a colon.
    fn shown(pattern: &PathPattern) -> String {
        let mut text = String::new();
        for segment in &pattern.segments {
            match segment {
                PatternSegment::Literal(name) => text += &format!("/{}", name.escape_ascii()),
                PatternSegment::Placeholder(name) => text += &format!("/:{name}"),
            }
        }
        if pattern.splat { text + "/*" } else { text }
    }

    #[test]
    fn patterns_are_literals_placeholders_and_a_splat() {
        for (text, expected) in [
            ("/", ""),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/*", "/*"),
            ("/*/", "/*"),
            ("/a/b.html", "/a/b.html"),
            ("/blog/:year/*", "/blog/:year/*"),
            ("/:a/:b_2", "/:a/:b_2"),
            ("/sp%20ace/%C3%BC", "/sp ace/\\xc3\\xbc"),
            ("/sp ace/ü", "/sp ace/\\xc3\\xbc"),
            ("/%3Ax/%2A/%25", "/:x/*/%"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a\\b", "/a\\\\b"),
            ("/...", "/..."),
        ] {
            assert_eq!(shown(&PathPattern::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn bad_patterns_say_what_is_allowed() {
        for (text, reason) in [
            ("", "expected a path"),
            ("a", "expected a path"),
            ("*", "expected a path"),
            ("https://a/b", "expected a path"),
            ("//", "empty segment"),
            ("//a", "empty segment"),
            ("/a//b", "empty segment"),
            ("/a//", "empty segment"),
            ("/*/a", "at the end"),
            ("/*/*", "at the end"),
            ("/a*", "whole last segment"),
            ("/*.html", "whole last segment"),
            ("/:", "a whole segment"),
            ("/:1", "a whole segment"),
            ("/:a.html", "a whole segment"),
            ("/:a-:b", "a whole segment"),
            ("/a:b", "a whole segment"),
            ("/:ü", "a whole segment"),
            ("/:a/b/:a", "two placeholders :a"),
            ("/:splat", "splat"),
            ("/a?b", "no ?"),
            ("/a#b", "no #"),
            ("/%", "two hex digits"),
            ("/%4", "two hex digits"),
            ("/%zz", "two hex digits"),
            ("/%00", "not 00"),
            ("/a\0", "not 00"),
            ("/a%2Fb", "slash"),
            ("/./a", ". or .."),
            ("/a/..", ". or .."),
            ("/%2e%2E/a", ". or .."),
        ] {
            let error = PathPattern::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(PathPattern::parse(&format!("/{}", "a".repeat(MAX_LENGTH))).is_err());
        assert!(PathPattern::parse(&format!("/{}", "a".repeat(MAX_LENGTH - 1))).is_ok());
    }
}
