//! A client's bytes as they may stand between the quotes of a line of log: with no way to end the quotes or the line, or
//! to upset a terminal.
//!
//! It owns the escaping and nothing of what is said. The subtle rule: the bytes may be no UTF-8 at all. In JSON such a
//! byte becomes the character of its number, `\u00ff` for 0xFF: no byte is lost, a line stays valid, and what was typed
//! in Latin-1 can even be read.

/// Appends `bytes` for a JSON string (RFC 8259 §7), with escapes for quotes, backslashes, controls, and the two
/// separators at which some readers end a line.
pub fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        let plain = plain(rest);
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.is_empty() {
            return;
        }
        rest = &rest[odd(out, rest)..];
    }
}

/// Appends `bytes` with all that is not plain as `\xHH`, as Apache and nginx do it in their formats.
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

/// How many bytes at the front stand for themselves. Looked at in pieces that the compiler makes one comparison of: a
/// byte at a time takes a third of the cost of a line.
fn plain(bytes: &[u8]) -> usize {
    const PIECE: usize = 16;
    let all_plain = |piece: &&[u8]| piece.iter().fold(true, |all, &byte| all & is_plain(byte));
    let start = bytes.chunks_exact(PIECE).take_while(all_plain).count() * PIECE;
    let rest = &bytes[start..];
    start + rest.iter().position(|&byte| !is_plain(byte)).unwrap_or(rest.len())
}

/// Most of what clients send: ASCII that stands for itself.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Appends the character that `rest` begins with, which is not plain; how many bytes it took.
fn odd(out: &mut Vec<u8>, rest: &[u8]) -> usize {
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
    // No character has more than four bytes.
    let window = &rest[..rest.len().min(4)];
    let valid = window.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let Some(character) = valid.chars().next() else {
        number(out, first.into());
        return 1;
    };
    let length = character.len_utf8();
    if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
        // Both kinds have numbers of four digits at most.
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
    fn what_could_end_a_string_or_a_line_is_escaped_and_the_rest_is_not() {
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
    fn an_odd_byte_is_found_wherever_it_stands() {
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
