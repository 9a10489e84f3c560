//! Names as links and as text.
//!
//! **Invariant:** a name never becomes markup. Names are arbitrary bytes: in a link they are percent-encoded,
//! in text escaped.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_encode};

/// Characters that stay as they are in a link (RFC 3986 §2.3). A colon must not, or a name such as `a:b`
/// would read as a scheme.
const IN_LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name for a link.
pub fn link(name: &[u8]) -> PercentEncode<'_> {
    percent_encode(name, IN_LINK)
}

/// Appends a name as text of a page, or of an attribute in double quotes.
pub fn push_escaped(out: &mut String, name: &[u8]) {
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\'' => out.push_str("&#39;"),
                _ if is_deceptive(character) => out.push(char::REPLACEMENT_CHARACTER),
                _ => out.push(character),
            }
        }
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// A name as text of a page.
pub fn escaped(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    push_escaped(&mut out, name);
    out
}

/// The most bytes that a name takes as a link and as text together.
pub fn width(name: &[u8]) -> usize {
    let of = |&byte: &u8| match byte {
        b'&' | b'<' | b'>' | b'"' | b'\'' => 3 + 6,
        _ if byte.is_ascii_alphanumeric() => 2,
        // A byte that is no character, or a control character, becomes one of three bytes; JSON has six.
        0..=0x1F | 0x7F.. => 3 + 6,
        _ => 3 + 2,
    };
    name.iter().map(of).sum()
}

/// True for control characters, and for those that change the direction of the text behind them: by these,
/// `exe.txt` can be made to look like `txt.exe`.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_links_and_text_and_nothing_else() {
        for (name, href, text) in [
            (&b"plain-1_2~3.txt"[..], "plain-1_2~3.txt", "plain-1_2~3.txt"),
            (b"a b", "a%20b", "a b"),
            (b"<script>\"x'&", "%3Cscript%3E%22x%27%26", "&lt;script&gt;&quot;x&#39;&amp;"),
            (b"javascript:alert(1)", "javascript%3Aalert%281%29", "javascript:alert(1)"),
            (b"\\\\host", "%5C%5Chost", "\\\\host"),
            (b"?a#b%41", "%3Fa%23b%2541", "?a#b%41"),
            (b"a\r\nb\x1b\x7f", "a%0D%0Ab%1B%7F", "a\u{fffd}\u{fffd}b\u{fffd}\u{fffd}"),
            (b"l\xe9.txt", "l%E9.txt", "l\u{fffd}.txt"),
            (b"\xe6\x97", "%E6%97", "\u{fffd}"),
            ("\u{5d0}\u{5d1}.txt".as_bytes(), "%D7%90%D7%91.txt", "\u{5d0}\u{5d1}.txt"),
            ("a\u{202e}txt.exe".as_bytes(), "a%E2%80%AEtxt.exe", "a\u{fffd}txt.exe"),
            ("\u{2066}\u{85}".as_bytes(), "%E2%81%A6%C2%85", "\u{fffd}\u{fffd}"),
            ("caf\u{e9}\u{200f}".as_bytes(), "caf%C3%A9%E2%80%8F", "caf\u{e9}\u{200f}"),
        ] {
            assert_eq!((link(name).to_string().as_str(), escaped(name).as_str()), (href, text));
        }
    }

    #[test]
    fn a_name_takes_no_more_than_its_width() {
        for byte in 0..=u8::MAX {
            for name in
                [vec![byte], vec![byte; 3], vec![b'a', byte], vec![0xC3, byte], vec![0xE2, 0x80, byte]]
            {
                let json = serde_json::to_string(&String::from_utf8_lossy(&name)).unwrap().len();
                let most = link(&name).to_string().len() + escaped(&name).len().max(json - 2);
                assert!(most <= width(&name), "{name:?}");
            }
        }
    }
}
