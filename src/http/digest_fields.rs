//! Digest fields (RFC 9530): whether a request wants one, and the lines of a response.
//!
//! The only algorithm is sha-256. A field that can't be parsed counts as absent (RFC 9651 §4.2). Hashes
//! nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::fields::{Field, Fields};
use super::response_head;

/// The algorithm, as a key of the dictionaries.
const ALGORITHM: &str = "sha-256";

/// The longest value that is read, over all lines.
const MAX_LENGTH: usize = 1024;

/// A SHA-256 digest.
pub type Sha256Digest = [u8; 32];

/// The digests that a request wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedDigests {
    /// Of the representation: `Want-Repr-Digest`.
    pub representation: bool,
    /// Of the content of the response: `Want-Content-Digest`.
    pub content: bool,
}

impl WantedDigests {
    /// What the fields of a request ask for; `None` if they ask for nothing.
    #[inline]
    pub fn of(fields: &Fields<'_>) -> Option<WantedDigests> {
        if !fields.has(Field::WantReprDigest) && !fields.has(Field::WantContentDigest) {
            return None;
        }
        let wants = |field| wants_sha256(fields.lines(field));
        let wanted = WantedDigests {
            representation: wants(Field::WantReprDigest),
            content: wants(Field::WantContentDigest),
        };
        (wanted != WantedDigests::default()).then_some(wanted)
    }
}

/// True if the lines of a `Want-*-Digest` field (RFC 9530 §4), which is a dictionary of weights from 0 to 10,
/// accept sha-256.
pub fn wants_sha256<'a>(lines: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut value = Vec::new();
    for line in lines {
        if value.len() + line.len() > MAX_LENGTH {
            return false;
        }
        if !value.is_empty() {
            value.extend_from_slice(b", ");
        }
        value.extend_from_slice(line);
    }
    let weight = Parser::new(&value).parse_dictionary_with_visitor(Weights(None));
    weight.is_ok_and(|weight| weight.is_some_and(|weight| (1..=10).contains(&weight)))
}

/// Writes `Repr-Digest` (RFC 9530 §3).
pub fn write_representation(out: &mut Vec<u8>, digest: &Sha256Digest) {
    response_head::field(out, "Repr-Digest", value(digest).as_bytes());
}

/// Writes `Content-Digest` (RFC 9530 §2).
pub fn write_content(out: &mut Vec<u8>, digest: &Sha256Digest) {
    response_head::field(out, "Content-Digest", value(digest).as_bytes());
}

fn value(digest: &Sha256Digest) -> String {
    format!("{ALGORITHM}=:{}:", STANDARD.encode(digest))
}

/// Reads a dictionary; the weight of sha-256, if it has one.
struct Weights(Option<i64>);

/// The member of a key. Of members with one key the last one counts.
struct Member<'a>(Option<&'a mut Option<i64>>);

impl<'de> DictionaryVisitor<'de> for Weights {
    type Out = Option<i64>;
    type Error = std::convert::Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Self::Error> {
        Ok(Member((key.as_str() == ALGORITHM).then_some(&mut self.0)))
    }

    fn finish(self) -> Result<Option<i64>, Self::Error> {
        Ok(self.0)
    }
}

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = std::convert::Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Self::Error> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Self::Error> {
        if let Some(weight) = self.0 {
            *weight = None;
        }
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for Member<'_> {
    type Out = ();
    type Error = std::convert::Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Self::Error> {
        if let Some(weight) = self.0 {
            *weight = match item {
                BareItemFromInput::Integer(number) => Some(number.into()),
                _ => None,
            };
        }
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha_256_is_wanted_with_a_weight_from_1_to_10() {
        for (lines, expected) in [
            (&["sha-256=5"][..], true),
            (&["sha-256=1"], true),
            (&["sha-256=10"], true),
            (&["sha-512=3, sha-256=10, unixsum=0"], true),
            (&["sha-512=3", "sha-256=1"], true),
            (&["sha-256=5;q=1"], true),
            (&["sha-256=0, sha-256=5"], true),
            (&["sha-256=5, sha-256=0"], false),
            (&["sha-256=5, sha-256=(1 2)"], false),
            (&["sha-256=0"], false),
            (&["sha-256=11"], false),
            (&["sha-256=-1"], false),
            (&["sha-256=5.0"], false),
            (&["sha-256"], false),
            (&["sha-256=\"5\""], false),
            (&["sha-256=:AAAA:"], false),
            (&["sha-512=5"], false),
            (&["SHA-256=5"], false),
            (&["sha-256=5,"], false),
            (&["sha-256=5, ="], false),
            (&["sha-256=5", "\u{fc}"], false),
            (&["sha-256=99999999999999999999"], false),
            (&["sha-256=((((((((1)))))))"], false),
            (&[""], false),
            (&[], false),
        ] {
            assert_eq!(wants_sha256(lines.iter().map(|line| line.as_bytes())), expected, "{lines:?}");
        }
        let long = "a=1, ".repeat(300) + "sha-256=5";
        assert!(!wants_sha256([long.as_bytes()].into_iter()));
        assert!(!wants_sha256(std::iter::repeat_n(b"sha-256=5".as_slice(), 10_000)));
    }

    #[test]
    fn a_request_wants_what_its_fields_say() {
        let of = |pairs: &[(&str, &[u8])]| WantedDigests::of(&Fields::from_pairs(pairs));
        let both = WantedDigests { representation: true, content: true };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("Want-Repr-Digest", b"sha-512=1")]), None);
        let only = WantedDigests { content: false, ..both };
        assert_eq!(of(&[("want-repr-digest", b"sha-256=1"), ("Want-Content-Digest", b"x")]), Some(only));
        assert_eq!(
            of(&[("Want-Repr-Digest", b"sha-256=1"), ("Want-Content-Digest", b"sha-256=2")]),
            Some(both)
        );
    }

    #[test]
    fn the_lines_have_the_digest_as_a_byte_sequence() {
        let mut out = Vec::new();
        write_representation(&mut out, &[0; 32]);
        write_content(&mut out, &[0xff; 32]);
        let expected = "Repr-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n\
                        Content-Digest: sha-256=://////////////////////////////////////////8=:\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
