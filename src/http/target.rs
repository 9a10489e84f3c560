//! The request target, and the only way from its bytes to a path that may be opened.
//!
//! It does not know the root. Links are followed or refused when a file is opened.
//!
//! **Invariant:** a path is decoded exactly once, and resolved after that. So the checked path is the opened
//! path, and `%252e` is a name.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// A request target in its parts (RFC 9112 §3.2), as the client wrote them.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The part before the question mark.
    pub path: &'a [u8],
    /// The part after the first question mark, if there is one.
    pub query: Option<&'a [u8]>,
    /// Host and port of an absolute target, which count before the Host field (RFC 9112 §3.2.2).
    pub authority: Option<&'a [u8]>,
}

/// A path below the site's root. It never leads above the root, and has no NUL and no empty, `.` or `..`
/// segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePath<'a> {
    /// Invariant: the decoded segments, separated by single slashes, without a slash at either end.
    path: Cow<'a, [u8]>,
    directory: bool,
}

/// The name of a file that is not hidden: not empty, without slash or NUL, and without a leading dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainName<'a>(Cow<'a, [u8]>);

/// The path of the target is malformed or leads above the root. The answer is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath;

/// The characters that are escaped in the path of a Location: all except unreserved characters, sub-delims
/// and the slash (RFC 3986 §3.3). A backslash must be escaped, because browsers read it as a slash.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=');

/// The characters of a query that are escaped in a Location, because they could end a field line, a link or
/// an attribute. The rest is copied, with its escapes.
const IN_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

impl<'a> SitePath<'a> {
    /// Parses the path of a target:
    ///
    /// 1. It must begin with a slash.
    /// 2. It is percent-decoded, once; a percent sign without two hex digits is refused (RFC 3986 §2.1).
    /// 3. A NUL is refused, because no file name has one.
    /// 4. Empty and `.` segments are removed, and `..` removes the segment before it. A `..` above the root
    ///    is refused; RFC 3986 §5.2.4 would drop it silently. An escaped slash separates segments like any
    ///    other slash.
    ///
    /// A path that needs no change is borrowed.
    ///
    /// # Errors
    /// [`BadPath`] if a step refuses the path.
    pub fn parse(raw_path: &'a [u8]) -> Result<SitePath<'a>, BadPath> {
        let Some(relative) = raw_path.strip_prefix(b"/") else { return Err(BadPath) };
        if is_plain(relative) {
            return Ok(match relative.strip_suffix(b"/") {
                Some(path) => SitePath { path: Cow::Borrowed(path), directory: true },
                None => SitePath { path: Cow::Borrowed(relative), directory: relative.is_empty() },
            });
        }
        let decoded = decode(relative)?;
        if memchr::memchr(0, &decoded).is_some() {
            return Err(BadPath);
        }
        resolve(&decoded)
    }

    /// The same path with memory of its own.
    pub fn into_owned(self) -> SitePath<'static> {
        SitePath { path: Cow::Owned(self.path.into_owned()), directory: self.directory }
    }

    /// The path of a file in the directory at this path.
    pub fn file(&self, name: &PlainName<'_>) -> SitePath<'static> {
        let slash: &[u8] = if self.path.is_empty() { b"" } else { b"/" };
        SitePath { path: Cow::Owned([&*self.path, slash, &*name.0].concat()), directory: false }
    }

    /// The same path, of a directory or not.
    pub fn with_directory(&self, directory: bool) -> SitePath<'static> {
        SitePath { path: Cow::Owned(self.path.to_vec()), directory: directory || self.path.is_empty() }
    }

    /// The path of a file whose name has this text, of visible ASCII without a slash, at its end. `None` for
    /// the root itself.
    pub fn with_suffix(&self, suffix: &str) -> Option<SitePath<'static>> {
        let path = [&*self.path, suffix.as_bytes()].concat();
        (!self.path.is_empty()).then_some(SitePath { path: Cow::Owned(path), directory: false })
    }

    /// The path without this text at the end of the last name, if something is left of the name.
    pub fn without_suffix(&self, suffix: &str) -> Option<SitePath<'static>> {
        let path = self.path.strip_suffix(suffix.as_bytes()).filter(|_| !self.directory)?;
        let is_rest_a_name = !path.is_empty() && !path.ends_with(b"/");
        // `/...html` has no name that `.` or `..` is not.
        let name = memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..]);
        (is_rest_a_name && !matches!(name, b"." | b".."))
            .then(|| SitePath { path: Cow::Owned(path.to_vec()), directory: false })
    }

    /// The directory that the file is in, if its name is `name`.
    pub fn without_name(&self, name: &[u8]) -> Option<SitePath<'static>> {
        let rest = self.path.strip_suffix(name).filter(|_| !self.directory)?;
        let directory = if rest.is_empty() { rest } else { rest.strip_suffix(b"/")? };
        Some(SitePath { path: Cow::Owned(directory.to_vec()), directory: true })
    }

    /// The last name.
    pub fn name(&self) -> &[u8] {
        memchr::memrchr(b'/', &self.path).map_or(&self.path, |slash| &self.path[slash + 1..])
    }

    /// The decoded path relative to the root, without a slash at either end; empty for the root itself.
    pub fn as_bytes(&self) -> &[u8] {
        &self.path
    }

    /// True if the request is for a directory: the path ends in a slash, `.` or `..`, or is the root.
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// True if a segment other than `.well-known` (RFC 8615) begins with a dot.
    pub fn has_hidden_segment(&self) -> bool {
        self.has_hidden_segment_from(0)
    }

    /// Like [`SitePath::has_hidden_segment`], for the segments after the first `start` bytes.
    pub fn has_hidden_segment_from(&self, start: usize) -> bool {
        self.dot_segments(start).any(|segment| segment != b".well-known")
    }

    /// True if a segment after the first `start` bytes begins with a dot.
    pub fn has_dot_segment_from(&self, start: usize) -> bool {
        self.dot_segments(start).next().is_some()
    }

    /// The segments after the first `start` bytes that begin with a dot.
    fn dot_segments(&self, start: usize) -> impl Iterator<Item = &[u8]> {
        // Most paths have no dot here. To search for dots is faster than to go through the segments.
        memchr::memchr_iter(b'.', &self.path[start..]).filter_map(move |at| {
            let at = start + at;
            let begins = at == 0 || self.path[at - 1] == b'/';
            begins.then(|| segment(&self.path[at..]))
        })
    }

    /// The Location of this path as a directory, with the query of the target. It has no host, and begins
    /// with exactly one slash: `//x` and `/\x` would lead to another host.
    pub fn location_with_slash(&self, query: Option<&[u8]>) -> Vec<u8> {
        self.with_directory(true).location(query)
    }

    /// The Location of this path, likewise.
    pub fn location(&self, query: Option<&[u8]>) -> Vec<u8> {
        let mut location = Vec::with_capacity(self.path.len() + query.map_or(0, <[u8]>::len) + 16);
        location.push(b'/');
        location.extend(percent_encode(&self.path, IN_PATH).flat_map(str::bytes));
        if self.directory && !self.path.is_empty() {
            location.push(b'/');
        }
        if let Some(query) = query {
            location.push(b'?');
            location.extend(percent_encode(query, IN_QUERY).flat_map(str::bytes));
        }
        location
    }
}

impl<'a> PlainName<'a> {
    /// Percent-decodes a name, once. A plus sign stays a plus sign. `None` if the result is not a plain name.
    pub fn decode(encoded: &'a [u8]) -> Option<PlainName<'a>> {
        let name = decode(encoded).ok()?;
        let plain = !name.is_empty() && name[0] != b'.' && memchr::memchr2(b'/', 0, &name).is_none();
        plain.then_some(PlainName(name))
    }
}

/// True if decoding and resolving would change at most a slash at the end.
fn is_plain(relative: &[u8]) -> bool {
    let mut previous = b'/';
    for (at, &byte) in relative.iter().enumerate() {
        match byte {
            b'%' | 0 => return false,
            b'/' if previous == b'/' => return false,
            b'.' if previous == b'/' && matches!(segment(&relative[at..]), b"." | b"..") => return false,
            _ => previous = byte,
        }
    }
    true
}

/// The bytes up to the next slash.
fn segment(path: &[u8]) -> &[u8] {
    &path[..memchr::memchr(b'/', path).unwrap_or(path.len())]
}

fn decode(encoded: &[u8]) -> Result<Cow<'_, [u8]>, BadPath> {
    // The crate copies a malformed escape. It is refused here, because another server might read it
    // differently.
    let is_escape = |at: usize| {
        encoded.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !memchr::memchr_iter(b'%', encoded).all(is_escape) {
        return Err(BadPath);
    }
    Ok(percent_decode(encoded).into())
}

fn resolve(decoded: &[u8]) -> Result<SitePath<'static>, BadPath> {
    let mut path = Vec::with_capacity(decoded.len());
    let mut directory = true;
    for segment in decoded.split(|&byte| byte == b'/') {
        directory = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." if path.is_empty() => return Err(BadPath),
            b".." => path.truncate(memchr::memrchr(b'/', &path).unwrap_or(0)),
            name => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
            }
        }
    }
    Ok(SitePath { path: Cow::Owned(path), directory })
}

#[cfg(test)]
mod tests {
    use super::super::xorshift::Xorshift;
    use super::*;

    #[test]
    fn a_path_is_made_of_another_one() {
        let of = |path: &str| SitePath::parse(path.as_bytes()).unwrap().with_directory(path.ends_with('/'));
        let location = |path: Option<SitePath<'_>>| path.map(|path| path.location(None));
        for (path, without_html, directory) in [
            ("/a.html", Some("/a"), None),
            ("/a/b.html", Some("/a/b"), None),
            ("/index.html", Some("/index"), Some("/")),
            ("/a/index.html", Some("/a/index"), Some("/a/")),
            ("/aindex.html", Some("/aindex"), None),
            ("/.html", None, None),
            ("/a/.html", None, None),
            ("/...html", None, None),
            ("/a/..html", None, None),
            ("/a.html/", None, None),
            ("/a.htm", None, None),
            ("/", None, None),
        ] {
            let found = location(of(path).without_suffix(".html"));
            assert_eq!(found.as_deref(), without_html.map(str::as_bytes), "{path}");
            let found = location(of(path).without_name(b"index.html"));
            assert_eq!(found.as_deref(), directory.map(str::as_bytes), "{path}");
        }
        assert_eq!(location(of("/a/").with_suffix(".html")).as_deref(), Some(&b"/a.html"[..]));
        assert_eq!(of("/").with_suffix(".html"), None);
        assert_eq!(of("/a/b%2Fc").name(), b"c");
    }

    #[track_caller]
    fn check(raw: &[u8], path: &[u8], directory: bool) {
        let parsed = SitePath::parse(raw).unwrap();
        assert_eq!(parsed.as_bytes(), path, "{}", parsed.as_bytes().escape_ascii());
        assert_eq!(parsed.is_directory(), directory);
        check_invariants(&parsed);
    }

    /// What must hold of every path, whatever it was made of.
    #[track_caller]
    fn check_invariants(path: &SitePath<'_>) {
        let bytes = path.as_bytes();
        assert!(!bytes.contains(&0));
        for segment in bytes.split(|&byte| byte == b'/') {
            assert!(bytes.is_empty() || !matches!(segment, b"" | b"." | b".."), "{}", bytes.escape_ascii());
        }
        assert!(path.is_directory() || !bytes.is_empty());
        let location = path.location_with_slash(None);
        assert!(location.starts_with(b"/") && location.ends_with(b"/"));
        assert!(!location.starts_with(b"//") && !location.starts_with(b"/\\"));
        assert!(location.iter().all(u8::is_ascii_graphic), "{}", location.escape_ascii());
        let again = SitePath::parse(&location).unwrap();
        assert_eq!(again.as_bytes(), bytes);
        assert!(again.is_directory());
    }

    #[test]
    fn plain_paths_are_borrowed() {
        for raw in [
            "/",
            "/a",
            "/dir/",
            "/dir/a.txt",
            "/.hidden",
            "/.../..a/a..",
            "/.well-known/x",
            "/a\\b",
            "/\u{fc}",
        ] {
            let parsed = SitePath::parse(raw.as_bytes()).unwrap();
            assert!(matches!(parsed.path, Cow::Borrowed(_)), "{raw}");
            assert_eq!(parsed.as_bytes(), raw.trim_matches('/').as_bytes());
            assert_eq!(parsed.is_directory(), raw.ends_with('/'));
            check_invariants(&parsed);
        }
    }

    #[test]
    fn escapes_are_decoded_once() {
        check(b"/%61.tx%74", b"a.txt", false);
        check(b"/sp%20ace.txt", b"sp ace.txt", false);
        check(b"/pct%2541.txt", b"pct%41.txt", false);
        check(b"/%252e%252e/etc/passwd", b"%2e%2e/etc/passwd", false);
        check(b"/..%252f..%252fetc", b"..%2f..%2fetc", false);
        check(b"/q%3Fmark%23tag.txt", b"q?mark#tag.txt", false);
        check(b"/plus+sign%2Bsign", b"plus+sign+sign", false);
        check(b"/%C3%BCn%c3%af", "\u{fc}n\u{ef}".as_bytes(), false);
        check(b"/l%E9.txt", b"l\xe9.txt", false);
        check(b"/%FF%fe.bin", b"\xff\xfe.bin", false);
        check(b"/a%0d%0aX:%20y", b"a\r\nX: y", false);
        check(b"/back%5Cslash.txt", b"back\\slash.txt", false);
        check(b"/semi;colon,at@a:b'c!$(x)*&x=1~", b"semi;colon,at@a:b'c!$(x)*&x=1~", false);
    }

    #[test]
    fn empty_and_dot_segments_vanish() {
        check(b"//", b"", true);
        check(b"//a", b"a", false);
        check(b"/a//b", b"a/b", false);
        check(b"/a//", b"a", true);
        check(b"///etc/passwd", b"etc/passwd", false);
        check(b"/.", b"", true);
        check(b"/./", b"", true);
        check(b"/./a", b"a", false);
        check(b"/a/.", b"a", true);
        check(b"/a/./b", b"a/b", false);
        check(b"/%2e/a%2E", b"a.", false);
        check(b"/....//....//etc", b"..../..../etc", false);
        check(&[b"/p/".as_slice(), &b"./".repeat(1500), b"a"].concat(), b"p/a", false);
        check(&[b"/p".as_slice(), &b"/".repeat(3000), b"a"].concat(), b"p/a", false);
    }

    #[test]
    fn dot_dot_takes_one_segment_away() {
        check(b"/a/..", b"", true);
        check(b"/a/../", b"", true);
        check(b"/a/b/..", b"a", true);
        check(b"/a/b/../c", b"a/c", false);
        check(b"/a//../b", b"b", false);
        check(b"/a/%2e%2e/b", b"b", false);
        check(b"/a/.%2e/b", b"b", false);
        check(b"/a/%2E./b", b"b", false);
        check(b"/a%2F..%2Fb", b"b", false);
        check(b"/a/b/c/../../d", b"a/d", false);
        check(&[b"/p".as_slice(), &b"/dir/..".repeat(900), b"/a"].concat(), b"p/a", false);
    }

    #[test]
    fn an_escaped_slash_separates() {
        check(b"/dir%2F", b"dir", true);
        check(b"/dir%2fa", b"dir/a", false);
        check(b"/%2F%2Fetc", b"etc", false);
    }

    #[test]
    fn what_only_looks_like_dots_is_a_name() {
        check(b"/..\\..\\etc", b"..\\..\\etc", false);
        check(b"/..%5c..%5cetc", b"..\\..\\etc", false);
        check(b"/%c0%ae%c0%ae/etc", b"\xc0\xae\xc0\xae/etc", false);
        check(b"/..%c0%af..%c0%afetc", b"..\xc0\xaf..\xc0\xafetc", false);
        check(b"/%e0%80%ae%e0%80%ae/etc", b"\xe0\x80\xae\xe0\x80\xae/etc", false);
        check(b"/..%ef%bc%8fetc", b"..\xef\xbc\x8fetc", false);
        check(b"/..;/..;x/etc", b"..;/..;x/etc", false);
        check(b"/.../.../etc", b".../.../etc", false);
        check(b"/tr.", b"tr.", false);
        check(b"/a..b/..c/d..", b"a..b/..c/d..", false);
    }

    #[test]
    fn bad_paths_are_refused() {
        let bad: [&[u8]; 30] = [
            b"",
            b"a",
            b"*",
            b"http://h/a",
            b"\\a",
            b"%2Fa",
            // Above the root.
            b"/..",
            b"/../",
            b"/%2e%2e",
            b"/%2e%2e/",
            b"/../../etc/passwd",
            b"/p/../..",
            b"/p/../../",
            b"//../etc",
            b"/./../etc",
            b"/p/./../../etc",
            b"/..%2f..%2fetc",
            b"/%2e%2e%2f%2e%2e%2fetc",
            b"/.%2e/%2e./etc",
            b"/p/nope/../../../etc/passwd",
            b"/a/../../a",
            // Not an escape.
            b"/%",
            b"/%4",
            b"/%zz",
            b"/%4g",
            b"/%uff0e",
            b"/a%",
            b"/%%41",
            // NUL.
            b"/a.txt%00",
            b"/a\0b",
        ];
        for raw in bad {
            assert_eq!(SitePath::parse(raw), Err(BadPath), "{}", raw.escape_ascii());
        }
        for raw in
            ["/a.txt%00.html", "/%00a.txt", "/%2e%2e%00/", "/p/..%00/etc", "/p/%00/../../etc", "/%+1", "/% 1"]
        {
            assert_eq!(SitePath::parse(raw.as_bytes()), Err(BadPath), "{raw}");
        }
    }

    #[test]
    fn dot_files_are_hidden_but_not_well_known() {
        let hidden =
            ["/.git/config", "/a/.env", "/.htaccess", "/%2egit", "/...", "/..a", "/.well-known2/a", "/.well"];
        let shown =
            ["/", "/a.b/c.", "/a..", "/.well-known", "/.well-known/acme", "/a/.well-known/b", "/a/./b/../c"];
        for (paths, expected) in [(hidden.as_slice(), true), (shown.as_slice(), false)] {
            for raw in paths {
                assert_eq!(SitePath::parse(raw.as_bytes()).unwrap().has_hidden_segment(), expected, "{raw}");
            }
        }
        assert!(SitePath::parse(b"/.well-known/.git").unwrap().has_hidden_segment());
        let path = SitePath::parse(b"/.a/b/.c").unwrap();
        assert!(path.has_hidden_segment_from(2) && path.has_hidden_segment_from(4));
        assert!(!SitePath::parse(b"/.a/b").unwrap().has_hidden_segment_from(2));
    }

    #[test]
    fn a_plain_name_is_one_name_that_is_not_hidden() {
        for (encoded, name) in [
            ("deep.txt", "deep.txt"),
            ("%64eep.txt", "deep.txt"),
            ("a+b&c=d", "a+b&c=d"),
            ("%25%32%66", "%2f"),
            ("a..", "a.."),
            ("%20", " "),
        ] {
            assert_eq!(PlainName::decode(encoded.as_bytes()).unwrap().0, name.as_bytes(), "{encoded}");
        }
        for encoded in
            ["", ".", "..", ".env", "%2eenv", "a/b", "/", "a%2fb", "..%2fa", "a%00", "a%", "a%4", "%zz"]
        {
            assert_eq!(PlainName::decode(encoded.as_bytes()), None, "{encoded}");
        }
        assert_eq!(PlainName::decode(b"%ff").unwrap().0, b"\xff".as_slice());
        let name = PlainName::decode(b"%62").unwrap();
        for (directory, file) in [("/", "b"), ("/a", "a/b"), ("/a/", "a/b"), ("/a/c/", "a/c/b")] {
            let path = SitePath::parse(directory.as_bytes()).unwrap().file(&name);
            assert_eq!((path.as_bytes(), path.is_directory()), (file.as_bytes(), false));
            check_invariants(&path);
        }
    }

    #[track_caller]
    fn check_location(raw: &[u8], query: Option<&[u8]>, expected: &str) {
        let location = SitePath::parse(raw).unwrap().location_with_slash(query);
        assert_eq!(String::from_utf8(location).unwrap(), expected);
    }

    #[test]
    fn a_location_is_a_path_with_one_slash_at_each_end() {
        check_location(b"/", None, "/");
        check_location(b"/dir", None, "/dir/");
        check_location(b"/dir/", None, "/dir/");
        check_location(b"//evil.example/dir", None, "/evil.example/dir/");
        check_location(b"/.//evil.example", None, "/evil.example/");
        check_location(b"/\\evil.example", None, "/%5Cevil.example/");
        check_location(b"/%5C%5Cevil.example", None, "/%5C%5Cevil.example/");
        check_location(b"/%2F%2Fevil.example", None, "/evil.example/");
        check_location(b"/http://evil.example", None, "/http%3A/evil.example/");
        check_location(b"/%09/evil", None, "/%09/evil/");
    }

    #[test]
    fn a_location_encodes_what_the_path_holds() {
        check_location(b"/s%20p/%C3%BC", None, "/s%20p/%C3%BC/");
        check_location(b"/d%0d%0aX-Inj:%201", None, "/d%0D%0AX-Inj%3A%201/");
        check_location(b"/a%3Fb%23c%2541", None, "/a%3Fb%23c%2541/");
        check_location(b"/-._~!$&()*+,;=", None, "/-._~!$&()*+,;=/");
        check_location(b"/\"<>'`{}|^[]@", None, "/%22%3C%3E%27%60%7B%7D%7C%5E%5B%5D%40/");
    }

    #[test]
    fn a_location_keeps_the_query() {
        check_location(b"/d", Some(b""), "/d/?");
        check_location(b"/d", Some(b"x=1&y=2"), "/d/?x=1&y=2");
        check_location(b"/d", Some(b"a?b/../c%20%zz+'"), "/d/?a?b/../c%20%zz+'");
        check_location(b"/", Some(b"//evil"), "/?//evil");
        check_location(b"/d", Some(b"\r\nX: 1\0\x7f\"<\xff>"), "/d/?%0D%0AX:%201%00%7F%22%3C%FF%3E");
    }

    #[test]
    fn no_mutation_leads_out_of_the_root() {
        const PIECES: [&[u8]; 20] = [
            b"/",
            b"/",
            b".",
            b"..",
            b"/../",
            b"%2e",
            b"%2E%2e",
            b"%2f",
            b"%5c",
            b"\\",
            b"%00",
            b"%",
            b"%25",
            b"\0",
            b"a",
            b"dir",
            b".well-known",
            b"%c0%ae",
            b"\xff",
            b" ",
        ];
        let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
        let mut accepted = 0;
        for _ in 0..50_000 {
            let mut raw = b"/".to_vec();
            for _ in 0..random.below(12) {
                raw.extend_from_slice(PIECES[random.below(PIECES.len())]);
            }
            if random.below(4) == 0 {
                let at = random.below(raw.len());
                raw[at] = u8::try_from(random.below(256)).unwrap();
            }
            let Ok(path) = SitePath::parse(&raw) else { continue };
            accepted += 1;
            check_invariants(&path);
            // The way without allocation and the long way agree.
            let long_way = resolve(&decode(&raw[1..]).unwrap()).unwrap();
            assert_eq!(path, long_way, "{}", raw.escape_ascii());
        }
        assert!(accepted > 5_000, "{accepted}");
    }
}
