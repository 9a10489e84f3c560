//! The `path` of a header rule: a glob, or a pattern of `_headers`.
//!
//! A match takes time linear in the path, however many stars there are: all positions in the glob that the
//! path so far can have reached are kept as bits, and each byte of the path moves all of them at once.

use std::collections::BTreeSet;

use super::escapes;
use super::path_pattern::name_length;

/// The most characters of a glob.
pub const MAX_LENGTH: usize = 255;

/// The most wildcards and placeholders of a glob.
pub const MAX_WILDCARDS: usize = 8;

/// Words of the bits; there is one position more than parts.
const WORDS: usize = (MAX_LENGTH + 1).div_ceil(64);

/// A glob. `*` stands for any characters except slashes, `**` for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGlob {
    /// What every match begins with.
    prefix: Box<[u8]>,
    /// What comes after it.
    rest: GlobRest,
}

/// The parts of a glob from its first wildcard on, as sets of their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GlobRest {
    /// The number of parts, which is the position of the end.
    end: usize,
    /// The bytes that parts stand for.
    bytes: Box<[u8]>,
    /// The positions of the parts of each of these bytes.
    places: Box<[Positions]>,
    /// The positions of the parts that stand for one byte that is no slash.
    name: Positions,
    /// Those that stand for any number of bytes.
    all: Positions,
    /// Those, and those that stand for any number of bytes that are no slashes.
    stars: Positions,
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
        self.matches_counted(path, directory).0
    }

    /// The same, with the number of words of bits that it took.
    fn matches_counted(&self, path: &[u8], directory: bool) -> (bool, usize) {
        let has_slash = directory && path != b"/";
        let Some(rest) = path.strip_prefix(&*self.prefix) else {
            // The slash may be the last one of the prefix.
            let is_prefix = has_slash && self.prefix.strip_suffix(b"/") == Some(path);
            return (is_prefix && self.rest.start().has(self.rest.end), 0);
        };
        self.rest.matches(rest, has_slash)
    }

    /// True if a match looks at more of a path than the literal beginning of the glob.
    pub fn is_slow(&self) -> bool {
        self.rest.end > usize::from(self.rest.all.has(0))
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
        let mut rest: Vec<Part> = Vec::new();
        for &part in &parts[prefix.len()..] {
            // Of two stars side by side one is enough, so that no star leads to another one.
            match (rest.last_mut(), part) {
                (Some(Part::All), Part::Names | Part::All) | (Some(Part::Names), Part::Names) => {}
                (Some(last @ Part::Names), Part::All) => *last = Part::All,
                _ => rest.push(part),
            }
        }
        let wildcards = rest.iter().filter(|part| matches!(part, Part::Names | Part::All)).count();
        if wildcards > MAX_WILDCARDS {
            return Err(format!("has more than {MAX_WILDCARDS} wildcards"));
        }
        Ok(PathGlob { rest: GlobRest::new(&rest), prefix })
    }
}

impl GlobRest {
    /// These parts, of which no two stars are side by side.
    fn new(parts: &[Part]) -> GlobRest {
        let of = |wanted: &dyn Fn(Part) -> bool| {
            let mut positions = Positions::default();
            let found = parts.iter().enumerate().filter(|(_, part)| wanted(**part));
            found.for_each(|(at, _)| positions.add(at));
            positions
        };
        let bytes =
            parts.iter().filter_map(|part| if let Part::Byte(byte) = part { Some(*byte) } else { None });
        let bytes: BTreeSet<u8> = bytes.collect();
        GlobRest {
            end: parts.len(),
            places: bytes.iter().map(|&byte| of(&|part| part == Part::Byte(byte))).collect(),
            bytes: bytes.into_iter().collect(),
            name: of(&|part| part == Part::Name),
            all: of(&|part| part == Part::All),
            stars: of(&|part| matches!(part, Part::Names | Part::All)),
        }
    }

    /// The positions before the first byte.
    fn start(&self) -> Positions {
        let mut start = Positions::default();
        start.add(0);
        self.beyond_stars(start)
    }

    /// These positions, and those behind stars that may stand for nothing.
    fn beyond_stars(&self, positions: Positions) -> Positions {
        positions.or(positions.and(self.stars).next())
    }

    /// True if the rest of a path matches, with the number of words of bits that it took. With `has_slash` a
    /// slash at its end may be there or not.
    fn matches(&self, path: &[u8], has_slash: bool) -> (bool, usize) {
        let mut reached = self.start();
        let mut steps = 0;
        for &byte in path {
            // What ends in a star for any bytes matches, whatever comes.
            if reached.and(self.all).next().has(self.end) {
                return (true, steps);
            }
            reached = self.step(reached, byte);
            steps += WORDS;
            if reached.is_empty() {
                return (false, steps);
            }
        }
        (reached.has(self.end) || has_slash && self.step(reached, b'/').has(self.end), steps)
    }

    /// The positions after one more byte.
    fn step(&self, reached: Positions, byte: u8) -> Positions {
        let place = memchr::memchr(byte, &self.bytes).map(|at| self.places[at]).unwrap_or_default();
        let (moving, staying) = match byte {
            b'/' => (place, self.all),
            _ => (place.or(self.name), self.stars),
        };
        let moved = reached.and(moving).next().or(reached.and(staying));
        self.beyond_stars(moved)
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Positions([u64; WORDS]);

impl Positions {
    fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn has(self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn is_empty(self) -> bool {
        self.0 == [0; WORDS]
    }

    fn and(self, other: Positions) -> Positions {
        Positions(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    fn or(self, other: Positions) -> Positions {
        Positions(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// Each position plus one.
    fn next(self) -> Positions {
        Positions(std::array::from_fn(|word| {
            let carried = if word == 0 { 0 } else { self.0[word - 1] >> 63 };
            self.0[word] << 1 | carried
        }))
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
    fn each_byte_of_a_path_is_looked_at_once() {
        for (glob, path, expected, most) in [
            (format!("/{}b", "*a".repeat(8)), format!("/{}", "a".repeat(8000)), false, 8000),
            (format!("/{}b", "**a".repeat(8)), format!("/{}", "a".repeat(8000)), false, 8000),
            (format!("/{}b", "**a".repeat(8)), format!("/{}b", "a".repeat(8000)), true, 8001),
            (format!("/**{}", "a".repeat(250)), format!("/{}", "a".repeat(8000)), true, 8000),
            // Most globs need not look at all.
            ("/assets/**".to_owned(), format!("/assets/{}", "a".repeat(8000)), true, 0),
            ("/*/b".to_owned(), format!("/a/{}", "a".repeat(8000)), false, 3),
            ("/b".to_owned(), "/a".repeat(4000), false, 0),
        ] {
            let (matches, steps) = PathGlob::parse(&glob).unwrap().matches_counted(path.as_bytes(), false);
            assert_eq!(matches, expected, "{glob}");
            assert!(steps <= most * WORDS, "{glob}: {steps}");
        }
    }

    #[test]
    fn a_long_glob_goes_through_all_words() {
        for length in [62, 63, 64, 65, 127, 128, 129, 200, 240] {
            let name = "ab".repeat(length / 2);
            let glob = PathGlob::parse(&format!("/*{name}*c")).unwrap();
            check(&glob, &format!("/x{name}yc"), true);
            check(&glob, &format!("/{name}c"), true);
            check(&glob, &format!("/x{}c", &name[1..]), false);
            check(&glob, &format!("/x{name}/c"), false);
        }
    }

    #[test]
    fn a_glob_with_its_only_wildcard_at_its_end_is_fast() {
        for (glob, slow) in [("/a", false), ("/a/**", false), ("**", false), ("/*", true), ("/**/a", true)] {
            assert_eq!(PathGlob::parse(glob).unwrap().is_slow(), slow, "{glob}");
        }
    }

    #[test]
    fn wildcards_are_bounded() {
        let limit = "has more than 8 wildcards";
        assert!(PathGlob::parse(&"/*".repeat(8)).is_ok());
        assert!(PathGlob::parse(&"/*".repeat(9)).unwrap_err().contains(limit));
        let mut names = Vec::new();
        assert!(PathGlob::parse_line(&"/:a".repeat(8), &mut names).is_ok());
        assert!(PathGlob::parse_line(&"/:a".repeat(9), &mut names).unwrap_err().contains(limit));
        // Those side by side are one.
        assert!(PathGlob::parse(&format!("/{}", "*".repeat(100))).is_ok());
    }
}
