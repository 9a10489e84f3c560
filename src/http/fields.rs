//! The field lines of one request, and their lookup by name (RFC 9110 §5).
//!
//! `request.rs` splits the lines, and the readers give fields their meaning. Repeated fields are never
//! joined: a reader chooses between `lines`, `members`, `first` and `only`.

/// Declares the known fields with their names. The lookup tables below are computed from this list.
macro_rules! known {
    ($($(#[$doc:meta])+ $field:ident = $name:literal,)+) => {
        /// The fields that some part of the server reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($(#[$doc])+ $field,)+ }

        impl Field {
            /// All known fields.
            pub const ALL: &[Field] = &[$(Field::$field,)+];

            /// The name in its usual spelling.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$field => $name,)+ }
            }
        }
    };
}

known! {
    /// `Host`, RFC 9110 §7.2.
    Host = "Host",
    /// `Connection`, RFC 9110 §7.6.1.
    Connection = "Connection",
    /// `Content-Length`, RFC 9110 §8.6.
    ContentLength = "Content-Length",
    /// `Transfer-Encoding`, RFC 9112 §6.1.
    TransferEncoding = "Transfer-Encoding",
    /// `Expect`, RFC 9110 §10.1.1.
    Expect = "Expect",
    /// `Accept-Encoding`, RFC 9110 §12.5.3.
    AcceptEncoding = "Accept-Encoding",
    /// `Range`, RFC 9110 §14.2.
    Range = "Range",
    /// `If-Range`, RFC 9110 §13.1.5.
    IfRange = "If-Range",
    /// `If-Match`, RFC 9110 §13.1.1.
    IfMatch = "If-Match",
    /// `If-None-Match`, RFC 9110 §13.1.2.
    IfNoneMatch = "If-None-Match",
    /// `If-Modified-Since`, RFC 9110 §13.1.3.
    IfModifiedSince = "If-Modified-Since",
    /// `If-Unmodified-Since`, RFC 9110 §13.1.4.
    IfUnmodifiedSince = "If-Unmodified-Since",
    /// `Accept`, RFC 9110 §12.5.1.
    Accept = "Accept",
    /// `Origin`, RFC 6454 §7.
    Origin = "Origin",
    /// `Access-Control-Request-Method`, Fetch standard, CORS-preflight request.
    AccessControlRequestMethod = "Access-Control-Request-Method",
    /// `Authorization`, RFC 9110 §11.6.2.
    Authorization = "Authorization",
    /// `Want-Repr-Digest`, RFC 9530 §4.
    WantReprDigest = "Want-Repr-Digest",
    /// `Want-Content-Digest`, RFC 9530 §4.
    WantContentDigest = "Want-Content-Digest",
    /// `Referer`, RFC 9110 §10.1.3.
    Referer = "Referer",
    /// `User-Agent`, RFC 9110 §10.1.5.
    UserAgent = "User-Agent",
}

/// The length of the longest known name, plus one.
const LENGTHS: usize = {
    let (mut lengths, mut at) = (0, 0);
    while at < Field::ALL.len() {
        let length = Field::ALL[at].name().len();
        if length >= lengths {
            lengths = length + 1;
        }
        at += 1;
    }
    lengths
};

/// For each length of a name, the index of its first field in [`SORTED`].
const FIRST: [u8; LENGTHS + 1] = {
    let (mut first, mut length, mut shorter) = ([0; LENGTHS + 1], 0, 0);
    while length < LENGTHS {
        first[length] = shorter;
        let mut at = 0;
        while at < Field::ALL.len() {
            shorter += (Field::ALL[at].name().len() == length) as u8;
            at += 1;
        }
        length += 1;
    }
    first[LENGTHS] = shorter;
    first
};

/// The known fields in the order of the lengths of their names.
const SORTED: [Field; Field::ALL.len()] = {
    let (mut sorted, mut taken, mut length) = ([Field::ALL[0]; Field::ALL.len()], 0, 0);
    while length < LENGTHS {
        let mut at = 0;
        while at < Field::ALL.len() {
            if Field::ALL[at].name().len() == length {
                sorted[taken] = Field::ALL[at];
                taken += 1;
            }
            at += 1;
        }
        length += 1;
    }
    sorted
};

/// A bit for each known field. Too many fields fail to compile.
type Bits = u32;

const _: () = assert!(Field::ALL.len() <= Bits::BITS as usize, "Bits is too small for the known fields");

impl Field {
    /// Names are compared without regard to case (RFC 9110 §5.1).
    fn is_named(self, name: &[u8]) -> bool {
        name.eq_ignore_ascii_case(self.name().as_bytes())
    }

    /// The known field of this name. For most names the length decides without a comparison.
    fn named(name: &[u8]) -> Option<Field> {
        let length = name.len();
        if length >= LENGTHS {
            return None;
        }
        let candidates = &SORTED[usize::from(FIRST[length])..usize::from(FIRST[length + 1])];
        candidates.iter().copied().find(|field| field.is_named(name))
    }

    const fn bit(self) -> Bits {
        1 << self as Bits
    }
}

/// One field line.
#[derive(Clone, Copy)]
pub struct Line<'a> {
    /// The name as the client spelt it.
    pub name: &'a [u8],
    /// The value without surrounding white space.
    pub value: &'a [u8],
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

/// The field lines of one request, in the order received.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    lines: Vec<Line<'a>>,
    /// Invariant: the bit of a known field is set if and only if `lines` has the field. Looking up an absent
    /// field is one test.
    present: Bits,
}

impl<'a> Fields<'a> {
    /// Makes the fields of `lines`, which must be valid.
    pub fn new(lines: Vec<Line<'a>>) -> Fields<'a> {
        let known = lines.iter().filter_map(|line| Field::named(line.name));
        let present = known.fold(0, |present, field| present | field.bit());
        Fields { lines, present }
    }

    /// Makes the fields of these names and values.
    pub fn from_pairs(pairs: &[(&'a str, &'a [u8])]) -> Fields<'a> {
        Fields::new(pairs.iter().map(|&(name, value)| Line { name: name.as_bytes(), value }).collect())
    }

    /// True if the request has `field`.
    pub fn has(&self, field: Field) -> bool {
        self.present & field.bit() != 0
    }

    /// The values of all lines of this name, for fields that are rarely read.
    pub fn lines_named(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &'a [u8]> + '_ {
        let named = move |line: &&Line<'a>| line.name.eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().filter(named).map(|line| line.value)
    }

    /// The values of all lines of `field`.
    pub fn lines(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + '_ {
        let lines = if self.has(field) { self.lines.as_slice() } else { &[] };
        lines.iter().filter(move |line| field.is_named(line.name)).map(|line| line.value)
    }

    /// The members of `field`, over all its lines, without surrounding white space. Empty members are
    /// included. For fields that are lists without quoted strings (RFC 9110 §5.6.1).
    pub fn members(&self, field: Field) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines(field).flat_map(|value| value.split(|&byte| byte == b',')).map(trim)
    }

    /// The value of the first line of `field`.
    pub fn first(&self, field: Field) -> Option<&'a [u8]> {
        self.lines(field).next()
    }

    /// The value of `field` if it has exactly one line.
    pub fn only(&self, field: Field) -> Option<&'a [u8]> {
        let mut lines = self.lines(field);
        let first = lines.next()?;
        lines.next().is_none().then_some(first)
    }
}

/// True if a token, such as a name or a method, may contain `byte` (RFC 9110 §5.6.2).
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[byte as usize]
}

/// True if `bytes` is a token.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// True if a value may contain `byte` (RFC 9110 §5.5): no control character except tab. Octets above 0x7F are
/// allowed.
pub const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}

/// `bytes` without optional white space, that is spaces and tabs, at its ends (RFC 9110 §5.6.3).
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
        for &field in Field::ALL {
            for name in [field.name().to_owned(), field.name().to_lowercase(), field.name().to_uppercase()] {
                assert_eq!(Field::named(name.as_bytes()), Some(field));
                let fields = Fields::from_pairs(&[(&name, b"v")]);
                for &other in Field::ALL {
                    assert_eq!(fields.has(other), field == other, "{name} {other:?}");
                }
            }
        }
    }

    #[test]
    fn other_names_are_not_known() {
        for name in ["", "Hos", "Hosts", "H\u{f6}t", "Accepts", "X-Forwarded", "Content-Lengt_", "If-Natch"] {
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
