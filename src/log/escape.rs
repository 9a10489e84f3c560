//! Escapes bytes from a client for a log line, so that they cannot end a quoted string or the line, or
//! control a terminal.
//!
//! It also computes how much of a text fits into a number of bytes once escaped. The bytes may be invalid
//! UTF-8. In JSON an invalid byte becomes the character of its number, such as `\u00ff` for 0xFF. No byte is
//! lost, the line stays valid, and text in Latin-1 stays readable.

/// Appends `bytes` for a JSON string (RFC 8259 §7). Quotes, backslashes and control characters are escaped,
/// and the separators U+2028 and U+2029, which some readers take for a line end.
pub fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let plain = plain(rest);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            return;
        }
        rest = &rest[escape_char(out, rest)..];
    }
}

/// Appends `bytes` with each byte that is not plain as `\xHH`, like Apache and nginx.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = bytes;
    loop {
        let plain = plain(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(&byte) = rest.get(plain) else { return };
        out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        rest = &rest[plain + 1..];
    }
}

/// Appends `text` with control characters as `\n`, `\u{1b}` and so on, for a text without quotes around it.
pub fn control(out: &mut Vec<u8>, text: &str) {
    let mut clean = 0;
    for (at, control) in text.match_indices(char::is_control) {
        out.extend_from_slice(&text.as_bytes()[clean..at]);
        out.extend(control.chars().flat_map(char::escape_default).map(|escape| escape as u8));
        clean = at + control.len();
    }
    out.extend_from_slice(&text.as_bytes()[clean..]);
}

/// The most bytes that one byte becomes in any of these forms.
pub const GROWTH: usize = 6;

/// A prefix of a text that ends between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Its length in bytes.
    pub length: usize,
    /// The length of its escaped form in bytes.
    pub width: usize,
}

/// The longest prefix whose form by [`json`] has at most `room` bytes.
pub fn json_that_fits(bytes: &[u8], room: usize) -> Prefix {
    let mut escaped = Vec::with_capacity(GROWTH);
    longest_prefix(bytes, room, |rest| {
        escaped.clear();
        (escape_char(&mut escaped, rest), escaped.len())
    })
}

/// The longest prefix whose form by [`hex`] has at most `room` bytes.
pub fn hex_that_fits(bytes: &[u8], room: usize) -> Prefix {
    longest_prefix(bytes, room, |_| (1, r"\x00".len()))
}

/// The longest prefix whose form by [`control`] has at most `room` bytes.
pub fn control_that_fits(text: &str, room: usize) -> Prefix {
    longest_prefix(text.as_bytes(), room, |rest| {
        let character = text[text.len() - rest.len()..].chars().next().unwrap_or_default();
        let length = character.len_utf8();
        (length, if character.is_control() { character.escape_default().len() } else { length })
    })
}

/// `measure` returns the length of a character that is not plain, and of its escaped form.
fn longest_prefix(bytes: &[u8], room: usize, mut measure: impl FnMut(&[u8]) -> (usize, usize)) -> Prefix {
    let mut found = Prefix { length: 0, width: 0 };
    loop {
        let rest = &bytes[found.length..];
        // More cannot fit, and the rest may be long.
        let window = &rest[..rest.len().min(room - found.width)];
        let plain = plain(window);
        found = Prefix { length: found.length + plain, width: found.width + plain };
        let rest = &rest[plain..];
        if rest.is_empty() || found.width == room {
            return found;
        }
        let (length, width) = measure(rest);
        if width > room - found.width {
            return found;
        }
        found = Prefix { length: found.length + length, width: found.width + width };
    }
}

/// The number of plain bytes at the start. The compiler makes one vector comparison of each piece; byte by
/// byte this would be a third of the cost of a line.
fn plain(bytes: &[u8]) -> usize {
    const PIECE: usize = 16;
    let all_plain = |piece: &&[u8]| piece.iter().fold(true, |all, &byte| all & is_plain(byte));
    let start = bytes.chunks_exact(PIECE).take_while(all_plain).count() * PIECE;
    let rest = &bytes[start..];
    start + rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len())
}

/// True for printable ASCII that needs no escape. Clients send little else.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Appends the first character of `rest`, which is not plain. Returns its length in `rest`.
fn escape_char(out: &mut Vec<u8>, rest: &[u8]) -> usize {
    let first = rest[0];
    if first.is_ascii() {
        match first {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', first]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => number(out, first.into()),
        }
        return 1;
    }
    // A character has at most four bytes.
    let window = &rest[..rest.len().min(4)];
    let valid = window.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let Some(character) = valid.chars().next() else {
        number(out, first.into());
        return 1;
    };
    let length = character.len_utf8();
    if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
        // Their numbers have at most four hex digits.
        number(out, character as u16);
    } else {
        out.extend_from_slice(&rest[..length]);
    }
    length
}

fn number(out: &mut Vec<u8>, code: u16) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(HEX[usize::from(code >> shift & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_end_a_string_or_a_line_is_escaped() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"GET /a?b=c", "GET /a?b=c"),
            (b"\"\\/", r#"\"\\/"#),
            (b"\0\x08\t\n\x0b\r\x1b\x7f", r"\u0000\u0008\t\n\u000b\r\u001b\u007f"),
            ("café 日本 🎉".as_bytes(), "café 日本 🎉"),
            ("\u{80}\u{85}\u{9f}\u{a0}".as_bytes(), "\\u0080\\u0085\\u009f\u{a0}"),
            ("a\u{2028}b\u{2029}".as_bytes(), r"a\u2028b\u2029"),
            (b"\xff\xfe", r"\u00ff\u00fe"),
            (b"caf\xe9 x", r"caf\u00e9 x"),
            // Cut off, overlong, a surrogate, beyond the last character.
            (b"\xe6\x97", r"\u00e6\u0097"),
            (b"\xc0\xaf", r"\u00c0\u00af"),
            (b"\xed\xa0\x80", r"\u00ed\u00a0\u0080"),
            (b"\xf4\x90\x80\x80z", r"\u00f4\u0090\u0080\u0080z"),
            (b"\xe6\x97\xa5\xe6", "日\\u00e6"),
        ] {
            let mut out = Vec::new();
            json(&mut out, bytes);
            assert_eq!(String::from_utf8(out).unwrap(), text, "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_prefix_that_fits_ends_between_two_characters() {
        let texts: [&[u8]; 8] = [
            b"",
            b"plain text of more than sixteen bytes",
            b"\"\\\n\x1b\x7f",
            "caf\u{e9} \u{65e5}\u{672c} \u{1f389}".as_bytes(),
            "\u{80}\u{85}\u{a0}\u{2028}".as_bytes(),
            b"\xff\xfe caf\xe9 x",
            b"\xe6\x97\xe6\x97\xa5\xf4\x90\x80\x80z",
            &[0; 20],
        ];
        type Escape = (fn(&mut Vec<u8>, &[u8]), fn(&[u8], usize) -> Prefix);
        let escapes: [Escape; 3] = [
            (json, json_that_fits),
            (hex, hex_that_fits),
            (
                |out, bytes| control(out, std::str::from_utf8(bytes).unwrap()),
                |bytes, room| control_that_fits(std::str::from_utf8(bytes).unwrap(), room),
            ),
        ];
        for (number, (escape, fits)) in escapes.into_iter().enumerate() {
            for text in texts.into_iter().filter(|text| number < 2 || std::str::from_utf8(text).is_ok()) {
                let mut whole = Vec::new();
                escape(&mut whole, text);
                let mut last = Prefix { length: 0, width: 0 };
                for room in 0..=whole.len() + 1 {
                    let found = fits(text, room);
                    let mut escaped = Vec::new();
                    escape(&mut escaped, &text[..found.length]);
                    assert_eq!(escaped.len(), found.width, "{text:?} in {room}");
                    assert!(found.width <= room && whole.starts_with(&escaped), "{text:?} in {room}");
                    // It is the longest: from one length to the next it grows by one character.
                    assert!(found.length >= last.length && found.length - last.length <= 4);
                    assert!(found.width > last.width || room - found.width < GROWTH.max(4));
                    last = found;
                }
                assert_eq!(last, Prefix { length: text.len(), width: whole.len() });
                assert!(whole.len() <= GROWTH * text.len());
            }
        }
    }

    #[test]
    fn a_byte_that_needs_an_escape_is_found_anywhere() {
        for length in 0..70 {
            let plain_text = vec![b'x'; length];
            let mut out = Vec::new();
            hex(&mut out, &plain_text);
            assert_eq!(out, plain_text);
            for at in 0..length {
                for odd in [b'"', b'\\', b'\n', 0x1f, 0x7f, 0x80, 0xff] {
                    let mut text = plain_text.clone();
                    text[at] = odd;
                    assert_eq!(plain(&text), at);
                    out.clear();
                    hex(&mut out, &text);
                    let escaped = format!("{}\\x{odd:02X}{}", "x".repeat(at), "x".repeat(length - at - 1));
                    assert_eq!(String::from_utf8_lossy(&out), escaped);
                }
            }
        }
    }
}
