//! Accept-Encoding: which content codings a client wants, and how much (RFC 9110 §12.5.3).
//!
//! Allocates nothing, however long the field is. A member that is malformed, or names a coding that this
//! server does not have, is ignored; of members with the same name the first counts.

use super::content_coding::ContentCoding;
use super::fields::{Field, Fields, trim};

/// The weight of a member without one, in thousandths.
const FULL: u16 = 1000;

/// The weights of the forms that a response may have. A weight is in thousandths (RFC 9110 §12.4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptEncoding {
    /// By [`ContentCoding::ALL`]. 0 is not acceptable.
    codings: [u16; ContentCoding::ALL.len()],
    /// `None` is not acceptable. 0 is acceptable, but less than all codings that are: the field does not
    /// mention it.
    identity: Option<u16>,
}

/// What the members of a field say so far.
#[derive(Default)]
struct Members {
    codings: [Option<u16>; ContentCoding::ALL.len()],
    identity: Option<u16>,
    any: Option<u16>,
}

impl AcceptEncoding {
    /// The weights that a request has. Without the field only the content as it is, without a coding.
    pub fn of(fields: &Fields<'_>) -> AcceptEncoding {
        let mut members = Members::default();
        for member in fields.members(Field::AcceptEncoding) {
            if let Some((name, weight)) = parse(member) {
                members.add(name, weight);
            }
        }
        let Members { codings, identity, any } = members;
        AcceptEncoding {
            codings: codings.map(|weight| weight.or(any).unwrap_or(0)),
            // `*;q=0` excludes it as well, but another weight of `*` is no wish for content without a coding.
            identity: match identity.or(any.filter(|&weight| weight == 0)) {
                Some(0) => None,
                weight => Some(weight.unwrap_or(0)),
            },
        }
    }

    /// The weight of content in this coding, or of content without one; `None` if it is not acceptable.
    pub fn weight(&self, coding: Option<ContentCoding>) -> Option<u16> {
        match coding {
            Some(coding) => Some(self.codings[index(coding)]).filter(|&weight| weight > 0),
            None => self.identity,
        }
    }
}

impl Members {
    fn add(&mut self, name: &[u8], weight: u16) {
        let member = if name == b"*" {
            &mut self.any
        } else if name.eq_ignore_ascii_case(b"identity") {
            &mut self.identity
        } else {
            match coding_named(name) {
                Some(coding) => &mut self.codings[index(coding)],
                None => return,
            }
        };
        member.get_or_insert(weight);
    }
}

fn index(coding: ContentCoding) -> usize {
    match coding {
        ContentCoding::Brotli => 0,
        ContentCoding::Zstd => 1,
        ContentCoding::Gzip => 2,
    }
}

/// The coding of this name, in any case (RFC 9110 §8.4.1). `x-gzip` is `gzip` (§8.4.1.3).
fn coding_named(name: &[u8]) -> Option<ContentCoding> {
    let is_named = |coding: &ContentCoding| name.eq_ignore_ascii_case(coding.token().as_bytes());
    let known = ContentCoding::ALL.into_iter().find(is_named);
    known.or_else(|| name.eq_ignore_ascii_case(b"x-gzip").then_some(ContentCoding::Gzip))
}

/// The name of a member and its weight. `None` if it is malformed.
fn parse(member: &[u8]) -> Option<(&[u8], u16)> {
    let Some(semicolon) = memchr::memchr(b';', member) else { return Some((member, FULL)) };
    let (name, parameter) = (trim(&member[..semicolon]), trim(&member[semicolon + 1..]));
    match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => Some((name, thousandths(weight)?)),
        _ => None,
    }
}

/// A weight such as `0.5` (RFC 9110 §12.4.2): from 0 to 1, with at most three digits behind the point.
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (&first, rest) = weight.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] => digits,
        _ => return None,
    };
    if digits.len() > 3 || !matches!(first, b'0' | b'1') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| u16::from(digits.get(at).map_or(0, |digit| digit - b'0'));
    let weight = u16::from(first - b'0') * FULL + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= FULL).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::super::xorshift::Xorshift;
    use super::*;

    const NO: Option<u16> = None;

    fn of(lines: &[&[u8]]) -> AcceptEncoding {
        let pairs: Vec<_> = lines.iter().map(|line| ("accept-encoding", *line)).collect();
        AcceptEncoding::of(&Fields::from_pairs(&pairs))
    }

    /// Checks the weights of br, zstd, gzip and identity.
    #[track_caller]
    fn check(lines: &[&str], expected: [Option<u16>; 4]) {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        let accepted = of(&lines);
        let [br, zstd, gzip] = ContentCoding::ALL.map(|coding| accepted.weight(Some(coding)));
        assert_eq!([br, zstd, gzip, accepted.weight(None)], expected, "{lines:?}");
    }

    #[test]
    fn without_codings_only_identity_is_acceptable() {
        for lines in [&[][..], &[""], &[" , ,"], &["deflate"], &["compress;q=0.5, x-compress"]] {
            check(lines, [NO, NO, NO, Some(0)]);
        }
    }

    #[test]
    fn codings_are_named_in_any_case_over_all_lines() {
        check(&["gzip, deflate, br, zstd"], [Some(1000), Some(1000), Some(1000), Some(0)]);
        check(&["GZip,bR"], [Some(1000), NO, Some(1000), Some(0)]);
        check(&["br", "deflate", "zstd;q=0.1"], [Some(1000), Some(100), NO, Some(0)]);
        check(&["x-gzip"], [NO, NO, Some(1000), Some(0)]);
        check(&["X-GZIP;q=0.7"], [NO, NO, Some(700), Some(0)]);
    }

    #[test]
    fn weights_are_in_thousandths() {
        for (weight, expected) in [
            ("0", NO),
            ("0.", NO),
            ("0.0", NO),
            ("0.000", NO),
            ("0.001", Some(1)),
            ("0.01", Some(10)),
            ("0.5", Some(500)),
            ("0.999", Some(999)),
            ("1", Some(1000)),
            ("1.", Some(1000)),
            ("1.000", Some(1000)),
        ] {
            check(&[&format!("br;q={weight}")], [expected, NO, NO, Some(0)]);
            check(&[&format!("br \t; \tQ={weight}")], [expected, NO, NO, Some(0)]);
        }
    }

    #[test]
    fn malformed_members_are_ignored_and_the_others_count() {
        for member in [
            "br;",
            "br;q",
            "br;q=",
            "br;q=x",
            "br;q=2",
            "br;q=1.001",
            "br;q=-1",
            "br;q=0.1234",
            "br;q=.5",
            "br;q=0,5",
            "br;q= 1",
            "br;q =1",
            "br;a=b",
            "br;q=1;a=b",
            "br;;q=1",
            "b r",
            "\"br\"",
            "br\u{e9}",
            ";q=1",
        ] {
            check(&[member, "gzip"], [NO, NO, Some(1000), Some(0)]);
            check(&[&format!("{member},gzip;q=0.2")], [NO, NO, Some(200), Some(0)]);
        }
    }

    #[test]
    fn a_star_is_for_codings_that_are_not_named() {
        check(&["*"], [Some(1000), Some(1000), Some(1000), Some(0)]);
        check(&["*;q=0.3, gzip;q=0.5"], [Some(300), Some(300), Some(500), Some(0)]);
        check(&["br;q=0, *"], [NO, Some(1000), Some(1000), Some(0)]);
        check(&["gzip, *;q=0"], [NO, NO, Some(1000), NO]);
        check(&["*;q=0"], [NO, NO, NO, NO]);
        check(&["*;q=0, identity"], [NO, NO, NO, Some(1000)]);
        check(&["*;q=0, identity;q=0.2"], [NO, NO, NO, Some(200)]);
    }

    #[test]
    fn identity_is_acceptable_unless_the_field_excludes_it() {
        check(&["identity"], [NO, NO, NO, Some(1000)]);
        check(&["identity;q=0.5, br;q=0.1"], [Some(100), NO, NO, Some(500)]);
        check(&["IDENTITY;q=0"], [NO, NO, NO, NO]);
        check(&["identity;q=0, *"], [Some(1000), Some(1000), Some(1000), NO]);
    }

    #[test]
    fn of_members_with_one_name_the_first_counts() {
        check(&["br;q=0, br"], [NO, NO, NO, Some(0)]);
        check(&["br;q=x, br;q=0.4, br"], [Some(400), NO, NO, Some(0)]);
        check(&["x-gzip;q=0.1, gzip"], [NO, NO, Some(100), Some(0)]);
        check(&["*;q=0.1", "*"], [Some(100), Some(100), Some(100), Some(0)]);
    }

    #[test]
    fn no_mutation_makes_a_weight_of_more_than_one() {
        const PIECES: [&[u8]; 14] = [
            b"br",
            b"zstd",
            b"gzip",
            b"x-gzip",
            b"identity",
            b"*",
            b";",
            b"q=",
            b"Q=",
            b"0",
            b"1",
            b".",
            b",",
            b"\t ",
        ];
        let mut random = Xorshift(0x0123_4567_89ab_cdef);
        for _ in 0..50_000 {
            let mut value = Vec::new();
            for _ in 0..random.below(40) {
                value.extend_from_slice(PIECES[random.below(PIECES.len())]);
            }
            if !value.is_empty() && random.below(4) == 0 {
                let at = random.below(value.len());
                value[at] = u8::try_from(random.below(256)).unwrap();
            }
            let accepted = of(&[&value]);
            assert!(accepted.identity.is_none_or(|weight| weight <= FULL), "{}", value.escape_ascii());
            assert!(accepted.codings.iter().all(|&weight| weight <= FULL), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_field_of_any_length_is_read() {
        let long = "deflate;q=0.1,".repeat(100_000) + "br";
        check(&[&long], [Some(1000), NO, NO, Some(0)]);
    }
}
