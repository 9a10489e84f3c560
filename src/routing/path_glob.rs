//! The `path` of a header rule: a glob, or a pattern of `_headers`.
//!
//! A match takes time linear in the path: all positions in the glob that the path so far can have reached are
//! kept as bits, at most [`MAX_LENGTH`] of them, and nothing is tried twice.

use super::escapes;
use super::path_pattern::name_length;

/// The most characters of a glob.
pub const MAX_LENGTH: usize = 255;

/// Words of the bits; there is one position more than parts.
const WORDS: usize = (MAX_LENGTH + 1).div_ceil(64);

/// A glob. `*` stands for any characters except slashes, `**` for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGlob {
    /// What every match begins with.
    prefix: Box<[u8]>,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Byte(u8),
    /// One byte that is not a slash.
    Name,
    /// Any number of bytes that are not slashes.
    Names,
    /// Any number of bytes.
    All,
}

impl PathGlob {
    /// Parses a glob. Its characters may be percent-encoded, so `%2A` is a star.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<PathGlob, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("**") {
                parts.push(Part::All);
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::Names);
                rest = after;
            } else {
                rest = literal(rest, &mut parts)?;
            }
        }
        PathGlob::new(&parts)
    }

    /// Parses a path of `_headers`: `*` stands for any characters, `:name` for one segment. `names` gets the
    /// names of the placeholders.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse_line(text: &str, names: &mut Vec<String>) -> Result<PathGlob, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let length = rest.strip_prefix(':').map_or(0, name_length);
            if length > 0 {
                names.push(rest[1..=length].to_owned());
                parts.extend([Part::Name, Part::Names]);
                rest = &rest[length + 1..];
            } else if let Some(after) = rest.strip_prefix('*') {
                parts.push(Part::All);
                rest = after;
            } else {
                rest = literal(rest, &mut parts)?;
            }
        }
        PathGlob::new(&parts)
    }

    /// True if the path of a request matches: decoded, with a slash at its beginning and without one at its
    /// end. If the request has that too, `directory` is true, and either form may match.
    pub fn matches(&self, path: &[u8], directory: bool) -> bool {
        let has_slash = directory && path != b"/";
        let end = self.parts.len();
        let mut reached = Positions::default();
        self.reach(&mut reached, 0);
        let Some(rest) = path.strip_prefix(&*self.prefix) else {
            // The slash may be the last one of the prefix.
            return has_slash && self.prefix.strip_suffix(b"/") == Some(path) && reached.has(end);
        };
        for &byte in rest {
            reached = self.step(&reached, byte);
            if reached.is_empty() {
                return false;
            }
        }
        reached.has(end) || has_slash && self.step(&reached, b'/').has(end)
    }

    fn new(parts: &[Part]) -> Result<PathGlob, String> {
        if !matches!(parts.first(), Some(Part::Byte(b'/') | Part::All)) {
            return Err("expected a path such as /assets/** or **/*.html".to_owned());
        }
        if parts.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} characters"));
        }
        let literal = parts.iter().map_while(|part| match part {
            Part::Byte(byte) => Some(*byte),
            _ => None,
        });
        let prefix: Box<[u8]> = literal.collect();
        Ok(PathGlob { parts: parts[prefix.len()..].to_vec(), prefix })
    }

    /// Marks a position, and those behind stars that may stand for nothing.
    fn reach(&self, positions: &mut Positions, mut at: usize) {
        positions.add(at);
        while matches!(self.parts.get(at), Some(Part::Names | Part::All)) {
            at += 1;
            positions.add(at);
        }
    }

    /// The positions after one more byte.
    fn step(&self, reached: &Positions, byte: u8) -> Positions {
        let mut next = Positions::default();
        for at in reached.all() {
            match self.parts.get(at) {
                Some(Part::Byte(expected)) if *expected == byte => self.reach(&mut next, at + 1),
                Some(Part::Name) if byte != b'/' => self.reach(&mut next, at + 1),
                Some(Part::Names) if byte != b'/' => self.reach(&mut next, at),
                Some(Part::All) => self.reach(&mut next, at),
                _ => {}
            }
        }
        next
    }
}

/// Reads one literal byte off a text.
fn literal<'a>(text: &'a str, parts: &mut Vec<Part>) -> Result<&'a str, String> {
    let length = match text.chars().next() {
        Some('%') => 3,
        first => first.map_or(0, char::len_utf8),
    };
    let decoded = text.get(..length).and_then(|escape| escapes::decode(escape.as_bytes()));
    let Some(decoded) = decoded else {
        return Err("a percent sign needs two hex digits, not 00; write %25 for the sign itself".to_owned());
    };
    parts.extend(decoded.into_iter().map(Part::Byte));
    Ok(&text[length..])
}

/// A set of positions in a glob.
#[derive(Default)]
struct Positions([u64; WORDS]);

impl Positions {
    fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, &bits)| {
            let mut rest = bits;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros() as usize;
                // Clears the lowest bit.
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(word * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(glob: &PathGlob, path: &str, expected: bool) {
        // Paths are given as of a request.
        let bare = if path == "/" { path } else { path.strip_suffix('/').unwrap_or(path) };
        assert_eq!(glob.matches(bare.as_bytes(), path.ends_with('/')), expected, "{glob:?} {path}");
    }

    #[test]
    fn stars_stop_at_slashes_unless_there_are_two() {
        for (glob, matching, others) in [
            ("/a", &["/a", "/a/"][..], &["/", "/ab", "/a/b", "/A"][..]),
            ("/a/", &["/a/"], &["/a", "/a/b", "/"]),
            ("/", &["/"], &["/a"]),
            ("/*", &["/", "/a", "/a.html", "/a/"], &["/a/b", "/a/b/"]),
            ("/**", &["/", "/a", "/a/", "/a/b/c"], &[]),
            ("**", &["/", "/a", "/a/b/"], &[]),
            ("/assets/**", &["/assets/", "/assets/a/b.js"], &["/assets", "/asset", "/assetsx/a"]),
            ("**/*.html", &["/a.html", "/a/b.html", "/.html"], &["/a.htm", "/a.html/b"]),
            ("/*.html", &["/a.html"], &["/a/b.html", "/a.html2"]),
            ("/a/*/c", &["/a/b/c", "/a//c"], &["/a/c", "/a/b/b/c"]),
            ("/a/**/c", &["/a/b/c", "/a/b/b/c"], &["/a/c"]),
            ("/a***b", &["/ab", "/a/x/b"], &["/a/x/c"]),
            ("/%2A/%C3%BC", &["/*/\u{fc}"], &["/a/\u{fc}"]),
            ("/ü?", &["/\u{fc}?"], &["/\u{fc}a"]),
        ] {
            let parsed = PathGlob::parse(glob).unwrap();
            matching.iter().for_each(|path| check(&parsed, path, true));
            others.iter().for_each(|path| check(&parsed, path, false));
        }
    }

    #[test]
    fn a_line_of_the_file_has_splats_and_placeholders() {
        for (line, captures, matching, others) in [
            ("/*", &[][..], &["/", "/a", "/a/b/"][..], &[][..]),
            ("/a/*", &[], &["/a/", "/a/b/c"], &["/ab", "/a"]),
            ("/*.jpg", &[], &["/a.jpg", "/a/b.jpg"], &["/a.png"]),
            ("/:a/x", &["a"], &["/1/x", "/ü/x/"], &["/x", "/1/2/x", "//x"]),
            ("/:a-:b_1.x", &["a", "b_1"], &["/1-2.x"], &["/-2.x", "/1-.x", "/1/2.x"]),
            ("/a:1", &[], &["/a:1"], &["/a1"]),
        ] {
            let mut names = Vec::new();
            let parsed = PathGlob::parse_line(line, &mut names).unwrap();
            assert_eq!(names, captures);
            matching.iter().for_each(|path| check(&parsed, path, true));
            others.iter().for_each(|path| check(&parsed, path, false));
        }
    }

    #[test]
    fn bad_globs_say_what_is_allowed() {
        for (glob, reason) in [
            ("", "expected a path"),
            ("a", "expected a path"),
            ("*.html", "expected a path"),
            ("/%", "two hex digits"),
            ("/%zz", "two hex digits"),
            ("/%ü", "two hex digits"),
            ("/%00", "two hex digits"),
        ] {
            let error = PathGlob::parse(glob).unwrap_err();
            assert!(error.contains(reason), "{glob}: {error}");
        }
        assert!(PathGlob::parse(&"/".repeat(MAX_LENGTH)).is_ok());
        assert!(PathGlob::parse(&"/".repeat(MAX_LENGTH + 1)).is_err());
    }

    #[test]
    fn many_stars_try_nothing_twice() {
        // With backtracking this would not end.
        for star in ["*a", "**a"] {
            let glob = PathGlob::parse(&format!("/{}b", star.repeat(60))).unwrap();
            let path = format!("/{}", "a".repeat(8000));
            check(&glob, &path, false);
            check(&glob, &format!("{path}b"), true);
        }
    }
}
