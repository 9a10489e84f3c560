//! The media type of a file, by its name.
//!
//! The content of the file is never read, and no charset is sent, because it is unknown. Documents state
//! their charset themselves.
//!
//! The first source that has the extension counts: the settings, the table here, new_mime_guess.

use std::borrow::Cow;
use std::collections::HashMap;

/// The type of a file with an unknown extension (RFC 2046 §4.5.1).
const UNKNOWN: &str = "application/octet-stream";

/// Types that new_mime_guess lacks, or that it has differently from IANA's registry or from what browsers
/// need. Sorted by extension.
const OURS: &[(&str, &str)] = &[
    ("age", "application/vnd.age"),
    ("avci", "image/avci"),
    ("avcs", "image/avcs"),
    ("avifs", "image/avif"),
    ("br", "application/x-brotli"),
    // RFC 8949.
    ("cbor", "application/cbor"),
    ("cborseq", "application/cbor-seq"),
    // A cursor has the type of an icon (MIME Sniffing §6.1).
    ("cur", "image/x-icon"),
    ("dcm", "application/dicom"),
    ("diff", "text/plain"),
    ("dll", "application/octet-stream"),
    ("dmg", "application/x-apple-diskimage"),
    ("dpx", "image/dpx"),
    ("emf", "image/emf"),
    ("exe", "application/octet-stream"),
    ("exr", "image/aces"),
    ("fdf", "application/fdf"),
    ("ged", "text/vnd.familysearch.gedcom"),
    ("go", "text/plain"),
    // As browsers know it (MIME Sniffing §6.1); IANA has image/vnd.microsoft.icon.
    ("ico", "image/x-icon"),
    ("ipynb", "application/x-ipynb+json"),
    ("jpgm", "image/jpm"),
    ("jsonc", "application/json"),
    ("jsx", "text/jsx"),
    ("jt", "model/jt"),
    ("kt", "text/plain"),
    ("m2t", "video/mp2t"),
    ("m2ts", "video/mp2t"),
    // RFC 8216.
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4b", "audio/mp4"),
    ("m4p", "application/mp4"),
    // RFC 9239: modules have the type of scripts, and browsers run them with no other.
    ("mjs", "text/javascript"),
    // RFC 9559.
    ("mk3d", "video/matroska-3d"),
    // RFC 9559.
    ("mka", "audio/matroska"),
    ("mkv", "video/matroska"),
    ("msi", "application/octet-stream"),
    // IANA has model/vnd.mts as well; on the web it is a stream.
    ("mts", "video/mp2t"),
    ("mvt", "application/vnd.mapbox-vector-tile"),
    ("ndjson", "application/x-ndjson"),
    ("nq", "application/n-quads"),
    ("p21", "model/step"),
    ("patch", "text/plain"),
    ("php", "application/x-httpd-php"),
    ("pls", "application/pls+xml"),
    ("rb", "text/plain"),
    ("rs", "text/plain"),
    ("rtf", "application/rtf"),
    ("sh", "application/x-sh"),
    ("smi", "application/smil+xml"),
    ("sql", "application/sql"),
    ("sqlite", "application/vnd.sqlite3"),
    ("sqlite3", "application/vnd.sqlite3"),
    ("step", "model/step"),
    ("stp", "model/step"),
    ("stpnc", "model/step"),
    ("stpx", "model/step+xml"),
    ("stpxz", "model/step-xml+zip"),
    ("stpz", "model/step+zip"),
    ("swf", "application/x-shockwave-flash"),
    ("swift", "text/plain"),
    ("tex", "application/x-tex"),
    // RFC 6713.
    ("tgz", "application/gzip"),
    ("tsx", "text/plain"),
    ("u3d", "model/u3d"),
    ("usda", "model/vnd.usda"),
    // RFC 6350.
    ("vcf", "text/vcard"),
    ("vsdx", "application/vnd.visio"),
    ("wgsl", "text/wgsl"),
    ("xfdf", "application/xfdf"),
    ("xml", "text/xml"),
    // RFC 9512.
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
];

/// The types of files by their names.
#[derive(Debug, Default)]
pub struct Types {
    /// The types from the settings, by the text after the first dot, in lower case.
    set: HashMap<Vec<u8>, String>,
}

impl Types {
    /// The built-in types, and `set`: extensions with their dot, and the type of each.
    pub fn new<'a>(set: impl IntoIterator<Item = (&'a String, &'a String)>) -> Types {
        let entry = |(extension, media): (&String, &String)| {
            (extension.trim_start_matches('.').to_ascii_lowercase().into_bytes(), media.clone())
        };
        Types { set: set.into_iter().map(entry).collect() }
    }

    /// The media type for the extension of a path's last segment, in any case. Of the extensions that the
    /// settings have, the longest counts: `.tar.gz` before `.gz`.
    pub fn of(&self, path: &[u8]) -> Cow<'static, str> {
        if !self.set.is_empty() {
            let name = last_segment(path).to_ascii_lowercase();
            let dots = memchr::memchr_iter(b'.', &name).filter(|dot| *dot > 0);
            if let Some(media) = dots.filter_map(|dot| self.set.get(&name[dot + 1..])).next() {
                return Cow::Owned(media.clone());
            }
        }
        Cow::Borrowed(built_in(path))
    }
}

/// True for the media type of a page (HTML).
pub fn is_page(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim_end();
    media.eq_ignore_ascii_case("text/html") || media.eq_ignore_ascii_case("application/xhtml+xml")
}

fn built_in(path: &[u8]) -> &'static str {
    let extension = extension(path).and_then(|extension| std::str::from_utf8(extension).ok());
    let extension = extension.map(str::to_ascii_lowercase).unwrap_or_default();
    if let Ok(at) = OURS.binary_search_by(|(known, _)| (*known).cmp(&extension)) {
        return OURS[at].1;
    }
    new_mime_guess::from_ext(&extension).first_raw().unwrap_or(UNKNOWN)
}

fn last_segment(path: &[u8]) -> &[u8] {
    &path[memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1)..]
}

/// What follows the last dot of the last segment, unless the name begins there.
fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = last_segment(path);
    match memchr::memrchr(b'.', name)? {
        0 => None,
        dot => Some(&name[dot + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &[u8], expected: &str) {
        assert_eq!(Types::default().of(path), expected, "{}", path.escape_ascii());
    }

    #[test]
    fn the_extension_tells_the_type() {
        check(b"index.html", "text/html");
        check(b"a.htm", "text/html");
        check(b"style.css", "text/css");
        check(b"dir/script.js", "text/javascript");
        check(b"dir/module.mjs", "text/javascript");
        check(b"data.json", "application/json");
        check(b"words.txt", "text/plain");
        check(b"a.png", "image/png");
        check(b"a.jpg", "image/jpeg");
        check(b"a.jpeg", "image/jpeg");
        check(b"a.gif", "image/gif");
        check(b"a.svg", "image/svg+xml");
        check(b"a.webp", "image/webp");
        check(b"favicon.ico", "image/x-icon");
        check(b"film.swf", "application/x-shockwave-flash");
        check(b"film.mp4", "video/mp4");
        check(b"a.pdf", "application/pdf");
        check(b"a.wasm", "application/wasm");
        check(b"a.woff2", "font/woff2");
        check(b"a.xml", "text/xml");
        check(b"a.tar.gz", "application/gzip");
    }

    #[test]
    fn the_table_is_in_order_and_says_nothing_that_is_known_anyhow() {
        assert!(OURS.is_sorted_by(|one, other| one.0 < other.0));
        for (extension, media) in OURS {
            assert_ne!(new_mime_guess::from_ext(extension).first_raw(), Some(*media), "{extension}");
        }
    }

    #[test]
    fn the_settings_come_first_and_the_longest_extension_of_them() {
        let set = [(".m4a", "x/1"), (".tar.gz", "x/2"), (".new", "x/3")];
        let set = set.map(|(extension, media)| (extension.to_owned(), media.to_owned()));
        let types = Types::new(set.iter().map(|(extension, media)| (extension, media)));
        for (name, media) in [
            ("a.M4A", "x/1"),
            ("dir.new/a.m4a", "x/1"),
            ("a.tar.gz", "x/2"),
            ("a.b.TAR.GZ", "x/2"),
            ("a.gz", "application/gzip"),
            ("a.tar", "application/x-tar"),
            ("a.new", "x/3"),
            ("a.new.html", "text/html"),
            (".new", UNKNOWN),
            ("new", UNKNOWN),
            (".tar.gz", "application/gzip"),
            ("dir.new/a", UNKNOWN),
        ] {
            assert_eq!(types.of(name.as_bytes()), media, "{name}");
        }
    }

    #[test]
    fn case_makes_no_difference() {
        check(b"SHOUT.JPG", "image/jpeg");
        check(b"Mixed.HtMl", "text/html");
        check(b"a.MJS", "text/javascript");
    }

    #[test]
    fn a_name_that_tells_nothing_is_octets() {
        let names: [&[u8]; 12] = [
            b"",
            b"README",
            b"a.zzunknown",
            b"x.html.zzunknown",
            b"tr.",
            b".gitignore",
            b".html",
            b"a.html/b",
            b"dir.txt/",
            b"a.\xff\xfe",
            b"a.html ",
            b"...",
        ];
        names.iter().for_each(|name| check(name, UNKNOWN));
    }

    #[test]
    fn only_the_extension_has_to_be_text() {
        check(b"l\xe9.txt", "text/plain");
        check(b"\xff/\xfe.png", "image/png");
        check(b".hidden.txt", "text/plain");
    }

    #[test]
    fn no_type_of_three_letters_has_parameters() {
        let letters = || (b'a'..=b'z').chain(b'0'..=b'9');
        for name in
            letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [b'.', a, b, c])))
        {
            let media = built_in(&[b"name", name.as_slice()].concat());
            assert!(
                media.contains('/') && media.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'),
                "{media}"
            );
        }
    }
}
