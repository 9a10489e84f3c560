//! The media type of a file, by its name.
//!
//! Never looks into the file. The subtle rule: no charset is claimed, for nobody knows which one a file was
//! written in; documents say so themselves.

/// What is said of a file whose name tells nothing (RFC 2046 §4.5.1).
const UNKNOWN: &str = "application/octet-stream";

/// The media type for the extension of a path's last segment, in any case.
pub fn content_type(path: &[u8]) -> &'static str {
    let Some(extension) = extension(path).and_then(|extension| std::str::from_utf8(extension).ok()) else {
        return UNKNOWN;
    };
    // RFC 9239: modules have the type of scripts, and browsers run them with no other.
    if extension.eq_ignore_ascii_case("mjs") {
        return "text/javascript";
    }
    mime_guess::from_ext(extension).first_raw().unwrap_or(UNKNOWN)
}

/// What follows the last dot of the last segment, unless the name begins there.
fn extension(path: &[u8]) -> Option<&[u8]> {
    let name = &path[memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1)..];
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
        assert_eq!(content_type(path), expected, "{}", path.escape_ascii());
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
            let media = content_type(&[b"name", name.as_slice()].concat());
            assert!(
                media.contains('/') && media.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';'),
                "{media}"
            );
        }
    }
}
