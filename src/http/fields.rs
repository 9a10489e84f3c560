//! The field lines of one request, and how they are looked up (RFC 9110 §5).
//!
//! Splits no bytes into lines, that is request.rs, and gives no field its meaning. The subtle rule: a repeated field is
//! never joined behind a reader's back; who reads one chooses between `lines`, `members`, `first` and `only`.

/// The fields that some part of the server reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `Host`, RFC 9110 §7.2.
    Host,
    /// `Connection`, RFC 9110 §7.6.1.
    Connection,
    /// `Content-Length`, RFC 9110 §8.6.
    ContentLength,
    /// `Transfer-Encoding`, RFC 9112 §6.1.
    TransferEncoding,
    /// `Expect`, RFC 9110 §10.1.1.
    Expect,
    /// `Range`, RFC 9110 §14.2.
    Range,
    /// `If-Range`, RFC 9110 §13.1.5.
    IfRange,
    /// `If-Match`, RFC 9110 §13.1.1.
    IfMatch,
    /// `If-None-Match`, RFC 9110 §13.1.2.
    IfNoneMatch,
    /// `If-Modified-Since`, RFC 9110 §13.1.3.
    IfModifiedSince,
    /// `If-Unmodified-Since`, RFC 9110 §13.1.4.
    IfUnmodifiedSince,
    /// `Referer`, RFC 9110 §10.1.3.
    Referer,
    /// `User-Agent`, RFC 9110 §10.1.5.
    UserAgent,
}

impl Field {
    /// The name in its usual spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Host => "Host",
            Field::Connection => "Connection",
            Field::ContentLength => "Content-Length",
            Field::TransferEncoding => "Transfer-Encoding",
            Field::Expect => "Expect",
            Field::Range => "Range",
            Field::IfRange => "If-Range",
            Field::IfMatch => "If-Match",
            Field::IfNoneMatch => "If-None-Match",
            Field::IfModifiedSince => "If-Modified-Since",
            Field::IfUnmodifiedSince => "If-Unmodified-Since",
            Field::Referer => "Referer",
            Field::UserAgent => "User-Agent",
        }
    }

    /// Names are compared without regard to case (RFC 9110 §5.1).
    fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
    }

    /// The known field of this name. The length settles most names, known or not, without a comparison.
    fn named(name: &[u8]) -> Option<Field> {
        let candidates: &[Field] = match name.len() {
            4 => &[Field::Host],
            5 => &[Field::Range],
            6 => &[Field::Expect],
            7 => &[Field::Referer],
            8 => &[Field::IfRange, Field::IfMatch],
            10 => &[Field::Connection, Field::UserAgent],
            13 => &[Field::IfNoneMatch],
            14 => &[Field::ContentLength],
            17 => &[Field::IfModifiedSince, Field::TransferEncoding],
            19 => &[Field::IfUnmodifiedSince],
            _ => &[],
        };
        candidates.iter().copied().find(|field| field.is_named(name))
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// One field line.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The name as the client spelt it.
    pub name: &'a [u8],
    /// The value without the white space around it.
    pub value: &'a [u8],
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// The field lines of one request, in the order they came in.
#[derive(Debug)]
pub struct Fields<'a> {
    lines: Vec<Line<'a>>,
    /// Invariant: the bit of a known field is set exactly when `lines` has it, so an absent field costs one test.
    present: u16,
}

impl<'a> Fields<'a> {
    /// The fields of `lines`, which must be valid already.
    pub fn new(lines: Vec<Line<'a>>) -> Fields<'a> {
        let known = lines.iter().filter_map(|line| Field::named(line.name));
        let present = known.fold(0, |present, field| present | field.bit());
        Fields { lines, present }
    }

    /// The fields of these names and values.
    pub fn from_pairs(pairs: &[(&'a str, &'a [u8])]) -> Fields<'a> {
        Fields::new(pairs.iter().map(|&(name, value)| Line { name: name.as_bytes(), value }).collect())
    }

    /// Whether `field` is there at all.
    pub fn has(&self, field: Field) -> bool {
        self.present & field.bit() != 0
    }

    /// The value of every line of this name, for fields that few requests are asked for.
    pub fn lines_named(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &'a [u8]> + '_ {
        let named = move |line: &&Line<'a>| line.name.eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().filter(named).map(|line| line.value)
    }

    /// The value of every line of `field`.
    pub fn lines(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + '_ {
        let lines = if self.has(field) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |line| field.is_named(line.name)).map(|line| line.value)
    }

    /// The members of `field` where it is a list without quoted strings (RFC 9110 §5.6.1), over all its lines, with the
    /// white space around each cut off. Empty members are given too.
    pub fn members(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines(field).flat_map(|value| value.split(|&byte| byte == b',')).map(trim)
    }

    /// The value of the first line of `field`.
    pub fn first(&self, field: Field) -> Option<&'a [u8]> {
        self.lines(field).next()
    }

    /// The value of `field` when it has exactly one line.
    pub fn only(&self, field: Field) -> Option<&'a [u8]> {
        let mut lines = self.lines(field);
        let first = lines.next()?;
        lines.next().is_none().then_some(first)
    }
}

/// Whether `byte` may stand in a token, as names and methods are (RFC 9110 §5.6.2).
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// Whether `bytes` is a token.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `byte` may stand in a value (RFC 9110 §5.5): no control character but the tab. Octets above 0x7F may.
pub const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}

/// `bytes` without optional white space, which is spaces and tabs only, at its ends (RFC 9110 §5.6.3).
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < marks.len() {
        table[marks[i] as usize] = true;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Field; 13] = [
        Field::Host,
        Field::Connection,
        Field::ContentLength,
        Field::TransferEncoding,
        Field::Expect,
        Field::Range,
        Field::IfRange,
        Field::IfMatch,
        Field::IfNoneMatch,
        Field::IfModifiedSince,
        Field::IfUnmodifiedSince,
        Field::Referer,
        Field::UserAgent,
    ];

    fn sample() -> Fields<'static> {
        Fields::from_pairs(&[
            ("hOsT", b"a.example"),
            ("Accept", b"*/*"),
            ("Connection", b"close , ,X"),
            ("IF-RANGE", b""),
            ("connection", b"keep-alive"),
        ])
    }

    #[track_caller]
    fn check(field: Field, expected: &[&str]) {
        let fields = sample();
        let lines: Vec<_> = fields.lines(field).collect();
        let expected: Vec<_> = expected.iter().map(|value| value.as_bytes()).collect();
        assert_eq!(lines, expected, "{field:?}");
        assert_eq!(fields.has(field), !expected.is_empty(), "{field:?}");
        assert_eq!(fields.first(field), expected.first().copied(), "{field:?}");
        assert_eq!(fields.only(field), (expected.len() == 1).then(|| expected[0]), "{field:?}");
    }

    #[test]
    fn fields_are_found_by_name_in_any_case() {
        check(Field::Host, &["a.example"]);
        check(Field::Connection, &["close , ,X", "keep-alive"]);
        check(Field::IfRange, &[""]);
        check(Field::Range, &[]);
        check(Field::ContentLength, &[]);
    }

    #[test]
    fn other_fields_are_found_by_name_in_any_case_from_either_end() {
        let fields = Fields::from_pairs(&[("X-A", b"1"), ("X-B", b"2"), ("x-a", b"3")]);
        assert_eq!(fields.lines_named("X-A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(fields.lines_named("x-A").rev().collect::<Vec<_>>(), [b"3", b"1"]);
        assert_eq!(fields.lines_named("X-").count(), 0);
    }

    #[test]
    fn a_list_goes_on_over_lines() {
        let members: Vec<_> = sample().members(Field::Connection).collect();
        assert_eq!(members, [&b"close"[..], b"", b"X", b"keep-alive"]);
    }

    #[test]
    fn every_known_field_is_known_by_its_name_alone() {
        for field in ALL {
            for name in [field.name().to_owned(), field.name().to_lowercase(), field.name().to_uppercase()] {
                assert_eq!(Field::named(name.as_bytes()), Some(field));
                let fields = Fields::from_pairs(&[(&name, b"v")]);
                for other in ALL {
                    assert_eq!(fields.has(other), field == other, "{name} {other:?}");
                }
            }
        }
    }

    #[test]
    fn other_names_are_not_known() {
        for name in ["", "Hos", "Hosts", "H\u{f6}t", "Accept", "X-Forwarded", "Content-Lengt_", "If-Natch"] {
            assert_eq!(Field::named(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn only_spaces_and_tabs_are_trimmed() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\x0b5\xa0"), b"\x0b5\xa0");
        assert_eq!(trim(b"\r5\n"), b"\r5\n");
    }

    #[test]
    fn a_token_has_no_delimiters() {
        assert!(is_token(b"!#$%&'*+-.^_`|~09AZaz"));
        for byte in (0..=b' ').chain(*b"\"(),/:;<=>?@[\\]{}").chain(0x7F..=0xFF) {
            assert!(!is_token_byte(byte), "{byte:#x}");
        }
        assert!(!is_token(b""));
    }
}
