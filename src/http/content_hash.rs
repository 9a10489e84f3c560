//! Names of files that contain a digest of the content, as bundlers write them: `main.3f2a1b9c.js`. The
//! content of such a name never changes, so it may be cached for a year.
//!
//! **Invariant:** rather no than yes. A page is never such a file, and what could be a word with a number, a
//! date, a version or a UUID is no digest: clients would keep the old content for a year. docs/sites.md says
//! why each rule is there.

use std::ops::ControlFlow;

/// The Cache-Control of such a file (RFC 9111 §5.2, RFC 8246).
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The shortest digest.
const MIN: usize = 8;

/// The longest digest: SHA-512 in hex.
const MAX: usize = 128;

/// What bundlers write between the digest and the extension.
const MARKS: &[&[u8]] = &[b".chunk", b".min", b".bundle", b".module", b".worker", b".async", b".legacy"];

/// What other files of the same digest have behind the extension.
const SUFFIXES: &[&[u8]] = &[b".map", b".br", b".zst", b".gz", b".LICENSE.txt"];

/// Extensions of pages, which have links to digests and none in their names.
const PAGES: &[&[u8]] = &[b"html", b"htm", b"xhtml", b"xht"];

/// Extensions of scripts and styles, which bundlers write more than anything else does.
const SCRIPTS: &[&[u8]] = &[b"js", b"mjs", b"cjs", b"css"];

/// Words of hexadecimal digits, which stand before a number in other names.
const HEX_WORDS: &[&[u8]] = &[
    b"accede",
    b"added",
    b"bad",
    b"bead",
    b"beaded",
    b"bed",
    b"beef",
    b"cab",
    b"cafe",
    b"cede",
    b"dad",
    b"dead",
    b"deadbeef",
    b"deaf",
    b"decade",
    b"decaf",
    b"deed",
    b"deface",
    b"efface",
    b"facade",
    b"face",
    b"faced",
    b"fade",
    b"faded",
    b"fed",
    b"feed",
];

/// True if the last segment of `path` has a digest of the content between a dot or hyphen and the extension.
pub fn is_hashed(path: &[u8]) -> bool {
    let name = &path[memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1)..];
    let name = strip_one(name, SUFFIXES);
    let Some(dot) = memchr::memrchr(b'.', name) else { return false };
    let (stem, extension) = (strip_one(&name[..dot], MARKS), &name[dot + 1..]);
    let is_one_of = |list: &[&[u8]]| list.iter().any(|known| extension.eq_ignore_ascii_case(known));
    if extension.is_empty() || is_one_of(PAGES) || ends_with_uuid(stem) {
        return false;
    }
    let is_script = is_one_of(SCRIPTS);
    if is_script && stem.len() >= 2 * MIN && is_hex_digest(stem) {
        return true;
    }
    // What follows the last dot or hyphen; and, because base64url has hyphens, the last 8 bytes.
    let last = stem.iter().rposition(|byte| matches!(byte, b'.' | b'-')).map(|at| at + 1);
    let eighth = stem.len().checked_sub(MIN).filter(|at| *at > 0 && matches!(stem[at - 1], b'.' | b'-'));
    let candidates = last.into_iter().chain(eighth.filter(|at| Some(*at) != last));
    candidates.filter(|at| *at > 1).any(|at| is_digest(&stem[at..], is_script))
}

fn strip_one<'a>(name: &'a [u8], endings: &[&[u8]]) -> &'a [u8] {
    endings.iter().find_map(|ending| name.strip_suffix(*ending)).unwrap_or(name)
}

/// True if a part of a name is a digest, not a word, number, date or version.
fn is_digest(part: &[u8], is_script: bool) -> bool {
    let has = |test: fn(&u8) -> bool| part.iter().any(test);
    let is_text = part.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if !(MIN..=MAX).contains(&part.len()) || !is_text || begins_with_date(part) {
        return false;
    }
    let (upper, lower) = (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    if !has(u8::is_ascii_digit) || !(upper || lower) {
        return false;
    }
    if has(|byte| matches!(byte, b'-' | b'_')) && !(is_script && upper && lower) && !joins_digests(part) {
        return false;
    }
    let tokens = Tokens::of(part);
    match (upper, lower) {
        (true, true) => tokens.is_mixed() || (is_script && tokens.is_almost_mixed()),
        _ if part.iter().all(u8::is_ascii_hexdigit) => is_hex_digest(part),
        (true, _) => is_base32(part) && (tokens.count >= 4 || (is_script && tokens.count == 3)),
        _ => tokens.count * 8 >= part.len() * 5,
    }
}

/// True for hex digits in one case, letters and digits, which are not a word and a number, nor a number with
/// a letter behind it.
fn is_hex_digest(part: &[u8]) -> bool {
    let is_hex = part.iter().all(u8::is_ascii_hexdigit);
    let digits_at_start = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let letters_at_start = part.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (letters, rest) = part.split_at(letters_at_start);
    let is_word = HEX_WORDS.iter().any(|word| letters.eq_ignore_ascii_case(word))
        && rest.iter().all(u8::is_ascii_digit);
    let is_one_case = !(part.iter().any(u8::is_ascii_uppercase) && part.iter().any(u8::is_ascii_lowercase));
    let is_number = digits_at_start + 1 >= part.len();
    is_hex
        && is_one_case
        && !is_number
        && !is_word
        && letters_at_start < part.len()
        && !begins_with_date(part)
}

/// True for two digests with an underscore between them, such as of an image and of its new size.
fn joins_digests(part: &[u8]) -> bool {
    let first = part.split(|byte| *byte == b'_').next().unwrap_or(b"");
    first.len() >= MIN && !part.contains(&b'-') && is_digest(first, false)
}

/// True for digits of base32 (RFC 4648 §6) of the one length that a bundler writes.
fn is_base32(part: &[u8]) -> bool {
    part.len() == MIN && part.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

/// True for `20241128` and what may follow it, in years from 1900 to 2099.
fn begins_with_date(part: &[u8]) -> bool {
    let Some(digits) = part.get(..8).filter(|digits| digits.iter().all(u8::is_ascii_digit)) else {
        return false;
    };
    let number =
        |range: std::ops::Range<usize>| digits[range].iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    (1900..2100).contains(&number(0..4))
        && (1..=12).contains(&number(4..6))
        && (1..=31).contains(&number(6..8))
}

/// True if a stem ends with a UUID (RFC 9562 §4), which names what may change.
fn ends_with_uuid(stem: &[u8]) -> bool {
    let Some(at) = stem.len().checked_sub(36) else { return false };
    stem[at..].iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// The runs of a part: digits, lower-case letters with the capital before them, capitals.
#[derive(Default)]
struct Tokens {
    count: usize,
    /// The length of the part without hyphens and underscores.
    length: usize,
    longest: usize,
    longest_number: usize,
    /// True if a run of letters can't be spoken, so that it is no word.
    has_no_word: bool,
}

impl Tokens {
    fn of(part: &[u8]) -> Tokens {
        let mut tokens = Tokens::default();
        let pieces = part.split(|byte| matches!(byte, b'-' | b'_'));
        pieces.for_each(|piece| tokens.add_piece(piece));
        tokens
    }

    fn add_piece(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let (token, rest) = piece.split_at(token_length(piece));
            self.count += 1;
            self.length += token.len();
            self.longest = self.longest.max(token.len());
            if token[0].is_ascii_digit() {
                self.longest_number = self.longest_number.max(token.len());
            } else if token.len() >= 2 {
                self.has_no_word |= is_unspeakable(token);
            }
            piece = rest;
        }
    }

    /// True if the runs are so short that letters and digits alternate as in random text.
    fn is_mixed(&self) -> bool {
        self.count * 2 >= self.length && self.longest <= 3
    }

    /// True if the runs are short, and one of them is no word.
    fn is_almost_mixed(&self) -> bool {
        self.count * 8 >= self.length * 3 && self.longest <= 5 && self.longest_number <= 2 && self.has_no_word
    }
}

/// The length of the first run of a piece, which must not be empty.
fn token_length(piece: &[u8]) -> usize {
    let run = |test: fn(&u8) -> bool| piece.iter().take_while(|byte| test(byte)).count();
    let capitals = run(u8::is_ascii_uppercase);
    let is_lower = |at: usize| piece.get(at).is_some_and(u8::is_ascii_lowercase);
    match capitals {
        0 if is_lower(0) => run(u8::is_ascii_lowercase),
        0 => run(u8::is_ascii_digit).max(1),
        1 => 1 + piece[1..].iter().take_while(|byte| byte.is_ascii_lowercase()).count(),
        // The last capital begins a run of its own if lower-case letters follow.
        _ if is_lower(capitals) => capitals - 1,
        _ => capitals,
    }
}

/// True for letters without a vowel, or with three consonants in a row.
fn is_unspeakable(letters: &[u8]) -> bool {
    let is_vowel =
        |letter: &u8| matches!(letter.to_ascii_lowercase(), b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
    let longest = letters.iter().try_fold(0, |row, letter| match row {
        _ if is_vowel(letter) => ControlFlow::Continue(0),
        2 => ControlFlow::Break(()),
        row => ControlFlow::Continue(row + 1),
    });
    !letters.iter().any(is_vowel) || longest.is_break()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: bool) {
        let others: Vec<_> = names.iter().filter(|name| is_hashed(name.as_bytes()) != expected).collect();
        assert!(others.is_empty(), "not {expected}: {others:?}");
    }

    #[test]
    fn names_of_bundlers_have_digests() {
        check(
            &[
                // Vite and Rollup: base64url of 8 digits.
                "assets/index-4xK9dQ2b.css",
                "assets/index-DiwrgTd4.js",
                "assets/app-BzX2_k9-.css",
                "assets/vendor-B1q-_x2Z.js",
                "assets/logo-Dq3x8ZkL.svg",
                // Webpack, Rspack, Parcel, Vue.
                "main.3f2a1b9c.js",
                "static/js/787.f7b4dd5e.chunk.js",
                "static/js/main.5a0a2d6b.js.LICENSE.txt",
                "static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
                "chunk.8d3f9a1b.js.map",
                "8b1f6d0e1d3a4c5b6e7f.js",
                "index.runtime.c0ffee12.js",
                "app.12345abc.css.br",
                // Next: hex of 16 digits.
                "_next/static/chunks/main-app-3f2a1b9c4d5e6f70.js",
                "_next/static/chunks/4bd1b696-f785427dddbba9fb.js",
                "_next/static/css/0b1e2d3c4f5a6b7c.css",
                // esbuild and Angular: base32 of 8 digits.
                "chunk-2ZKWRPL3.js",
                "main-FFHMD2TL.css",
                "logo-BJ3KF4QX.svg",
                // Hugo, Sprockets, Propshaft, Django.
                "css/main.min.9a3b1c0d9a3b1c0d9a3b1c0d9a3b1c0d9a3b1c0d9a3b1c0d9a3b1c0d9a3b1c0d.css",
                "application-6d58c9e6.js",
                "main.55e7cbb9ba48.css",
                // Astro: an image and its new size.
                "_astro/photo.Dx1a9bQ2_Z1abcD.webp",
                "_astro/index.B4x8Kz1q.css",
            ],
            true,
        );
    }

    #[test]
    fn dates_versions_words_and_pages_have_none() {
        check(
            &[
                "report-20241128.pdf",
                "report-20241128a.pdf",
                "log-20241128T120000Z.txt",
                "jquery-3.7.1.js",
                "jquery-3.7.1.min.js",
                "readme-v2.txt",
                "photo-holiday2024.jpg",
                "wallpaper-iPhone15.jpg",
                "logo-FooBar12.js",
                "cv-MyCv2024.pdf",
                "magazine-Vol1-No2.pdf",
                "notes-v1-beta2.txt",
                "video-1920x1080.mp4",
                "video-h264x720p.mp4",
                "setup-windows10x64.exe",
                "image-Win10Pro.iso",
                "song-128kbits.mp3",
                "book-chapter01section02.pdf",
                "IMG-20240101-WA0001.jpg",
                "IMG-DSCN2345.JPG",
                "photo-IMG12345.jpg",
                "text-CHAPTER2.txt",
                "report-decade90.pdf",
                "cafe-facade12.jpg",
                "memory-deadbeef1.bin",
                "part-1234567a.pdf",
                "invoice-12345678.pdf",
                "avatar-550e8400-e29b-41d4-a716-a1b2c3d4e5f6.png",
                "550e8400-e29b-41d4-a716-a1b2c3d4e5f6.png",
                "507f1f77bcf86cd799439011.jpg",
                // No digit, though it is a digest.
                "index-DiwrgTda.js",
                "index-abcdefab.js",
                // Too short.
                "main.3f2a1b9.js",
                "index-4xK9.css",
                // Pages, and names without a part of that kind.
                "index.3f2a1b9c.html",
                "page-4xK9dQ2b.HTM",
                "3f2a1b9c.js",
                ".3f2a1b9c.js",
                "-3f2a1b9c.js",
                "main.3f2a1b9c",
                "main.3f2a1b9c.",
                "main3f2a1b9c.js",
                "dir.3f2a1b9c.js/index",
                "dir-4xK9dQ2b/file.js",
                "main-3f2a1b9c\u{fc}.js",
                "main.3f2a 1b9c.js",
                "",
                ".",
                "..",
                ".js",
                "-.js",
                "/",
                ".map",
                ".chunk.js",
                "--------.js",
                "a.--------.js",
                "a-________1a.js",
            ],
            false,
        );
    }

    #[test]
    fn most_random_digests_are_found() {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut random = crate::http::xorshift::Xorshift(0x2545_f491_4f6c_dd1d);
        let (mut base64, mut hex) = (Found::default(), Found::default());
        for _ in 0..10_000 {
            let digest: Vec<u8> = (0..8).map(|_| DIGITS[random.below(64)]).collect();
            base64.count(&digest, ".css");
            let digest: Vec<u8> = (0..8).map(|_| b"0123456789abcdef"[random.below(16)]).collect();
            hex.count(&digest, ".png");
        }
        assert!(base64.share() > 0.8, "{}", base64.share());
        assert!(hex.share() > 0.97, "{}", hex.share());
    }

    /// How many digests of letters and digits were found.
    #[derive(Default)]
    struct Found(u32, u32);

    impl Found {
        fn count(&mut self, digest: &[u8], extension: &str) {
            if digest.iter().any(u8::is_ascii_digit) && digest.iter().any(u8::is_ascii_alphabetic) {
                self.1 += 1;
                self.0 += u32::from(is_hashed(&[b"index-", digest, extension.as_bytes()].concat()));
            }
        }

        fn share(&self) -> f64 {
            f64::from(self.0) / f64::from(self.1)
        }
    }
}
