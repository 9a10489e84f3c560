//! Basic authentication (RFC 7617): the credentials in the Authorization field of a request, and the
//! challenge in the WWW-Authenticate field of a 401.
//!
//! It reads a name and a password, and judges neither. **Invariant:** nothing here prints a password; the
//! `Debug` of [`BasicCredentials`] leaves it out.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::fields::{Field, Fields};

/// The most bytes of a user's name.
pub const MAX_USER: usize = 255;

/// The most bytes of a password. The time that SHA-crypt takes grows with it.
pub const MAX_PASSWORD: usize = 255;

/// The most characters of both, encoded, with a colon between them.
const MAX_ENCODED: usize = (MAX_USER + 1 + MAX_PASSWORD).div_ceil(3) * 4;

/// Base64 with its padding or without, as clients send both.
const DECODER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The name and the password of a user, as a client has sent them.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// Both, with a colon between them.
    decoded: Vec<u8>,
    /// Where the colon is. Invariant: an index of `decoded`.
    colon: usize,
}

impl BasicCredentials {
    /// The credentials of a request. `None` if it has none, if they are of another scheme or malformed, or if
    /// it has several Authorization fields.
    pub fn of(fields: &Fields<'_>) -> Option<BasicCredentials> {
        BasicCredentials::parse(fields.only(Field::Authorization)?)
    }

    /// Reads the value of an Authorization field.
    ///
    /// ```text
    /// "Basic" 1*SP base64(user ":" password)
    /// ```
    ///
    /// The name ends at the first colon. Control characters are refused in both (RFC 7617 §2), and an empty
    /// name, which no users file can have.
    pub fn parse(value: &[u8]) -> Option<BasicCredentials> {
        let (scheme, encoded) = value.split_at_checked(b"Basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Basic ") {
            return None;
        }
        let encoded = encoded.trim_ascii_start();
        if encoded.len() > MAX_ENCODED {
            return None;
        }
        BasicCredentials::decoded(DECODER.decode(encoded).ok()?)
    }

    /// Credentials of these bytes, which are not encoded any more.
    pub fn decoded(decoded: Vec<u8>) -> Option<BasicCredentials> {
        let colon = memchr::memchr(b':', &decoded)?;
        let is_short = colon <= MAX_USER && decoded.len() - colon - 1 <= MAX_PASSWORD;
        let is_plain = !decoded.iter().any(u8::is_ascii_control);
        (colon > 0 && is_short && is_plain).then_some(BasicCredentials { decoded, colon })
    }

    /// The user's name: 1 to [`MAX_USER`] bytes, in UTF-8 if the client does as the challenge says.
    pub fn user(&self) -> &[u8] {
        &self.decoded[..self.colon]
    }

    /// The password: at most [`MAX_PASSWORD`] bytes.
    pub fn password(&self) -> &[u8] {
        &self.decoded[self.colon + 1..]
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicCredentials({})", self.user().escape_ascii())
    }
}

/// The value of the WWW-Authenticate field (RFC 7617 §2) for this realm, which browsers show. Control
/// characters are left out, because no quoted string can have them.
pub fn challenge(realm: &str) -> Vec<u8> {
    let mut value = b"Basic realm=\"".to_vec();
    for byte in realm.bytes().filter(|byte| !byte.is_ascii_control()) {
        if matches!(byte, b'"' | b'\\') {
            value.push(b'\\');
        }
        value.push(byte);
    }
    value.extend_from_slice(b"\", charset=\"UTF-8\"");
    value
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

    use super::*;

    #[track_caller]
    fn check(value: &[u8], expected: Option<(&[u8], &[u8])>) {
        let found = BasicCredentials::parse(value);
        let found = found.as_ref().map(|credentials| (credentials.user(), credentials.password()));
        assert_eq!(found, expected, "{}", value.escape_ascii());
    }

    #[test]
    fn the_name_ends_at_the_first_colon() {
        // The example of RFC 7617 §2.
        check(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some((b"Aladdin", b"open sesame")));
        // §2.1: a pound sign in UTF-8.
        check(b"Basic dGVzdDoxMjPCow==", Some((b"test", b"123\xc2\xa3")));
        check(b"bAsIc  YTpiOmM=", Some((b"a", b"b:c")));
        check(b"BASIC YTo=", Some((b"a", b"")));
        check(b"Basic YTpi", Some((b"a", b"b")));
        check(b"Basic YTo", Some((b"a", b"")));
        check(b"Basic YTr/", Some((b"a", b"\xff")));
    }

    #[test]
    fn other_values_are_no_credentials() {
        for value in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic\tYTpi",
            b"BasicYTpi",
            b"Bearer YTpi",
            b"Digest username=\"a\"",
            b"Basic Y",
            b"Basic YTp=i",
            b"Basic YTpi====",
            b"Basic YT pi",
            b"Basic YTpi,Basic YTpi",
            b"Basic YTpi\xff",
            // Of the URL alphabet.
            b"Basic YTr_",
            // Bits behind the end.
            b"Basic YTp=",
        ] {
            check(value, None);
        }
        for plain in [&b""[..], b"ab", b":b", b"a\0:b", b"a:b\n", b"a\x7f:b", b"\x1b[1m:b"] {
            check(format!("Basic {}", BASE64_STANDARD.encode(plain)).as_bytes(), None);
        }
    }

    #[test]
    fn both_parts_are_bounded() {
        for (user, password, taken) in [
            (MAX_USER, MAX_PASSWORD, true),
            (MAX_USER + 1, 1, false),
            (1, MAX_PASSWORD + 1, false),
            (1, 100_000, false),
        ] {
            let plain = [&vec![b'u'; user][..], b":", &vec![b'p'; password]].concat();
            for engine in [BASE64_STANDARD, BASE64_STANDARD_NO_PAD] {
                let value = format!("Basic {}", engine.encode(&plain));
                let found = BasicCredentials::parse(value.as_bytes());
                assert_eq!(found.is_some(), taken, "{user} {password}");
            }
        }
    }

    #[test]
    fn two_fields_are_none() {
        let line: (&str, &[u8]) = ("authorization", b"Basic YTpi");
        assert!(BasicCredentials::of(&Fields::from_pairs(&[line])).is_some());
        assert!(BasicCredentials::of(&Fields::from_pairs(&[line, line])).is_none());
        assert!(BasicCredentials::of(&Fields::from_pairs(&[])).is_none());
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = BasicCredentials::parse(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert_eq!(format!("{credentials:?}"), "BasicCredentials(Aladdin)");
    }

    #[test]
    fn no_realm_ends_its_string() {
        for (realm, value) in [
            ("staff", "Basic realm=\"staff\", charset=\"UTF-8\""),
            ("", "Basic realm=\"\", charset=\"UTF-8\""),
            ("a\", x=\"\\", "Basic realm=\"a\\\", x=\\\"\\\\\", charset=\"UTF-8\""),
            ("a\r\nX: y\0", "Basic realm=\"aX: y\", charset=\"UTF-8\""),
            ("b\u{fc}ro", "Basic realm=\"b\u{fc}ro\", charset=\"UTF-8\""),
        ] {
            assert_eq!(challenge(realm), value.as_bytes());
        }
    }
}
