//! Media types by extension, `[types]` in the settings file: which media type a file has where the built-in
//! one is not wanted.
//!
//! It owns how an extension and a media type are written. **Invariant:** a media type goes into a head as it
//! is, so only what RFC 9110 §8.3.1 allows is one.

/// The key of the table in a settings file.
pub const KEY: &str = "types";

/// An extension with its dot, in lower case, and the media type of files whose names end with it.
pub type TypeOf = (String, String);

/// An extension in lower case: a dot and a name, or several as in `.tar.gz`.
pub fn extension(text: &str) -> Option<String> {
    let plain = |name: &str| {
        !name.is_empty()
            && !name.contains(|letter: char| letter == '/' || letter.is_control() || letter.is_whitespace())
    };
    let names = text.strip_prefix('.').filter(|_| text.len() <= 64)?;
    names.split('.').all(plain).then(|| text.to_ascii_lowercase())
}

/// A media type, as it stands in a field.
///
/// # Errors
/// What is allowed.
pub fn read_media_type(text: &str) -> Result<String, String> {
    is_media_type(text)
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a media type, for example text/plain; charset=utf-8".to_owned())
}

/// True for `type/subtype` with parameters or without (RFC 9110 §8.3.1), as it stands in a field.
pub fn is_media_type(text: &str) -> bool {
    let mut rest = text;
    if !(token(&mut rest) && literal(&mut rest, '/') && token(&mut rest)) {
        return false;
    }
    while !rest.is_empty() {
        rest = rest.trim_start_matches([' ', '\t']);
        if !literal(&mut rest, ';') {
            return false;
        }
        rest = rest.trim_start_matches([' ', '\t']);
        let value = |rest: &mut &str| if rest.starts_with('"') { quoted(rest) } else { token(rest) };
        if !(token(&mut rest) && literal(&mut rest, '=') && value(&mut rest)) {
            return false;
        }
    }
    true
}

fn literal(rest: &mut &str, letter: char) -> bool {
    rest.strip_prefix(letter).map(|after| *rest = after).is_some()
}

/// Takes a token (RFC 9110 §5.6.2).
fn token(rest: &mut &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let length = rest.bytes().take_while(|byte| in_token(*byte)).count();
    *rest = &rest[length..];
    length > 0
}

/// Takes a quoted string (RFC 9110 §5.6.4), in ASCII.
fn quoted(rest: &mut &str) -> bool {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if !matches!(byte, b'\t' | b' '..=b'~') => return false,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                *rest = &rest[at + 1..];
                return true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_may_have_parameters() {
        for text in [
            "a/b",
            "application/vnd.oasis.opendocument.text",
            "image/svg+xml",
            "text/plain; charset=utf-8",
            "text/plain;charset=utf-8;format=flowed",
            "a/b; c=\"d; \\\"e\\\"\"",
        ] {
            assert!(is_media_type(text), "{text}");
        }
        for text in [
            "",
            "a",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a/b c",
            "a/b;",
            "a/b; c",
            "a/b; c=",
            "a/b; c =d",
            "a/b, c/d",
            "a/b ",
            " a/b",
            "a/b\r\nX: y",
            "a/b; c=\"d",
            "a/b; c=\"d\"e",
            "ä/b",
            "a/b; c=\"ä\"",
        ] {
            assert!(!is_media_type(text), "{text}");
        }
    }
}
