//! The bytes that a Range field asks for (RFC 9110 §14.1.2 and §14.2).
//!
//! It does not know the method, and does not read If-Range. A field that is malformed is ignored, and the
//! whole content is sent. 416 is for well-formed ranges outside of the content. Empty content is always sent
//! whole.

use std::ops::Range;

use super::fields::trim;

/// The most ranges of one request. More are an attack rather than a way to read a file (RFC 9110 §17.15).
pub const MAX_RANGES: usize = 32;

/// The part of the content to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The whole content, as if there were no Range field.
    Whole,
    /// One slice.
    Single(Range<u64>),
    /// Two or more slices that do not overlap.
    Several(Vec<Range<u64>>),
    /// No requested range is within the content: 416.
    Unsatisfiable,
}

/// A range of the request, before it is limited to the size.
#[derive(Clone, Copy)]
enum RequestedRange {
    /// `first-last`, both included; `first-` has no last.
    Between(u64, Option<u64>),
    /// `-length`: that many bytes from the end.
    Suffix(u64),
}

/// Applies the value of a Range field to content of `size` bytes. Empty content is sent whole (RFC 9110 §14.2
/// allows that): no range of it is satisfiable, and a proxy that fetches slices takes a 416 for a failure.
/// Otherwise:
///
/// 1. The unit is `bytes`, in any case.
/// 2. Every member of the list is a range, and there are at most [`MAX_RANGES`].
/// 3. Satisfiable ranges are cut to the size, others are dropped.
/// 4. If two ranges overlap, all are sorted and merged. Otherwise they keep the order of the request.
pub fn select(value: &[u8], size: u64) -> Ranges {
    if size == 0 {
        return Ranges::Whole;
    }
    let Some(asked) = strip_unit(value).and_then(parse_list) else { return Ranges::Whole };
    let satisfiable: Vec<_> = asked.into_iter().filter_map(|asked| asked.within(size)).collect();
    let mut ranges = merge_if_overlapping(satisfiable);
    match ranges.len() {
        0 => Ranges::Unsatisfiable,
        1 => Ranges::Single(ranges.swap_remove(0)),
        _ => Ranges::Several(ranges),
    }
}

impl RequestedRange {
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            RequestedRange::Between(first, Some(last)) => first..last.saturating_add(1).min(size),
            RequestedRange::Between(first, None) => first..size,
            RequestedRange::Suffix(length) => size.saturating_sub(length)..size,
        };
        (!range.is_empty()).then_some(range)
    }
}

fn strip_unit(value: &[u8]) -> Option<&[u8]> {
    let (unit, list) = value.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(list)
}

fn parse_list(list: &[u8]) -> Option<Vec<RequestedRange>> {
    let mut asked = Vec::new();
    for member in list.split(|&byte| byte == b',') {
        // Empty members are legal and ignored (RFC 9110 §5.6.1.2).
        let member = trim(member);
        if member.is_empty() {
            continue;
        }
        if asked.len() == MAX_RANGES {
            return None;
        }
        asked.push(parse_member(member)?);
    }
    (!asked.is_empty()).then_some(asked)
}

fn parse_member(member: &[u8]) -> Option<RequestedRange> {
    let dash = memchr::memchr(b'-', member)?;
    match (&member[..dash], &member[dash + 1..]) {
        (b"", length) => parse_number(length).map(RequestedRange::Suffix),
        (first, b"") => parse_number(first).map(|first| RequestedRange::Between(first, None)),
        (first, last) => {
            let (first, last) = (parse_number(first)?, parse_number(last)?);
            (first <= last).then_some(RequestedRange::Between(first, Some(last)))
        }
    }
}

/// Parses digits. A number too large for u64 becomes the largest u64, which is beyond the end of any file.
fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, value))
}

fn merge_if_overlapping(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| range.start);
    if sorted.is_sorted_by(|a, b| a.end <= b.start) {
        return ranges;
    }
    sorted.dedup_by(|next, kept| {
        let overlaps = next.start < kept.end;
        if overlaps {
            kept.end = kept.end.max(next.end);
        }
        overlaps
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::xorshift::Xorshift;
    use super::*;

    #[track_caller]
    fn check(value: &str, size: u64, expected: &Ranges) {
        assert_eq!(select(value.as_bytes(), size), *expected, "{value} of {size}");
    }

    #[track_caller]
    fn single(value: &str, size: u64, expected: Range<u64>) {
        check(value, size, &Ranges::Single(expected));
    }

    #[track_caller]
    fn several(value: &str, expected: &[Range<u64>]) {
        check(value, 1000, &Ranges::Several(expected.to_vec()));
    }

    #[test]
    fn a_range_is_cut_to_the_size() {
        single("bytes=0-0", 1000, 0..1);
        single("bytes=0-499", 1000, 0..500);
        single("bytes=500-999", 1000, 500..1000);
        single("bytes=999-999", 1000, 999..1000);
        single("bytes=500-1000", 1000, 500..1000);
        single("bytes=500-", 1000, 500..1000);
        single("bytes=0-", 1000, 0..1000);
        single("bytes=999-", 1000, 999..1000);
        single("bytes=-1", 1000, 999..1000);
        single("bytes=-1000", 1000, 0..1000);
        single("bytes=-1001", 1000, 0..1000);
        single("bytes=0-", 1, 0..1);
        single("bytes=007-0008", 1000, 7..9);
    }

    #[test]
    fn what_is_not_there_is_unsatisfiable() {
        let values =
            ["bytes=1000-", "bytes=1000-1000", "bytes=5000-6000", "bytes=-0", "bytes=1000-,-0,2000-3000"];
        values.iter().for_each(|value| check(value, 1000, &Ranges::Unsatisfiable));
    }

    #[test]
    fn every_range_of_nothing_is_the_whole_of_it() {
        // A 416 would be allowed as well (RFC 9110 §15.5.17), but a proxy that asks for the first slice fails
        // by it.
        for value in
            ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=0-0,-1", "bytes=5-", "bytes=5-4"]
        {
            check(value, 0, &Ranges::Whole);
        }
    }

    #[test]
    fn huge_numbers_are_numbers() {
        const MAX: &str = "18446744073709551615";
        const OVER: &str = "18446744073709551616";
        for last in [MAX, OVER, "99999999999999999999999999999999999999999999"] {
            single(&format!("bytes=5-{last}"), 1000, 5..1000);
            single(&format!("bytes=-{last}"), 1000, 0..1000);
            check(&format!("bytes={last}-"), 1000, &Ranges::Unsatisfiable);
            check(&format!("bytes={last}-{last}"), 1000, &Ranges::Unsatisfiable);
            single(&format!("bytes=1-{last},{last}-{last}"), u64::MAX, 1..u64::MAX);
        }
    }

    #[test]
    fn what_is_malformed_is_as_good_as_absent() {
        let values = [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes= , ,",
            "bytes=-",
            "bytes=a-b",
            "bytes=1",
            "bytes=5-4",
            "bytes=--1",
            "bytes=-5-",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=0x1-2",
            "bytes=1.0-2",
            "bytes=1 -2",
            "bytes=1- 2",
            "bytes=0-1;2-3",
            "bytes=0-1 2-3",
            "bytes=0-1,x",
            "bytes=0-1,5-4",
            "bytes =0-1",
            " bytes=0-1",
            "bytes:0-1",
            "byte=0-1",
            "bytess=0-1",
            "octets=0-1",
            "lines=1-2",
            "bytes=bytes=0-1",
            "bytes=0-1\u{b2}",
        ];
        values.iter().for_each(|value| check(value, 1000, &Ranges::Whole));
        assert_eq!(select(b"\xff\xfe=0-1", 1000), Ranges::Whole);
        assert_eq!(select(b"bytes=0-\xb9", 1000), Ranges::Whole);
    }

    #[test]
    fn unit_and_white_space_are_taken_as_they_come() {
        for value in
            ["BYTES=0-4", "Bytes=0-4", "bytes= 0-4", "bytes=\t0-4 \t", "bytes=,0-4", "bytes=,, ,0-4,,"]
        {
            single(value, 1000, 0..5);
        }
        several("bytes=0-1 ,\t3-4", &[0..2, 3..5]);
    }

    #[test]
    fn apart_from_each_other_they_keep_their_order() {
        several("bytes=0-0,-1", &[0..1, 999..1000]);
        several("bytes=500-600,0-10,300-310", &[500..601, 0..11, 300..311]);
        several("bytes=5-9,0-4", &[5..10, 0..5]);
        several("bytes=9-9,2000-,0-0", &[9..10, 0..1]);
    }

    #[test]
    fn overlapping_ones_are_sorted_and_united() {
        single("bytes=0-5,3-9", 1000, 0..10);
        single("bytes=3-9,0-5", 1000, 0..10);
        single("bytes=0-,0-,0-,0-", 1000, 0..1000);
        single("bytes=0-99,10-20,-1000", 1000, 0..1000);
        single("bytes=0-9,5-6,9-12", 1000, 0..13);
        several("bytes=500-600,0-10,5-20", &[0..21, 500..601]);
        several("bytes=10-19,0-9,15-25", &[0..10, 10..26]);
    }

    #[test]
    fn one_that_is_left_is_single() {
        single("bytes=0-4,1000-", 1000, 0..5);
        single("bytes=-0,0-4", 1000, 0..5);
    }

    #[test]
    fn more_than_the_most_are_not_served() {
        let list =
            |count: u64| (0..count).map(|i| format!("{}-{}", i * 3, i * 3)).collect::<Vec<_>>().join(",");
        let expected: Vec<_> = (0..32).map(|i| i * 3..i * 3 + 1).collect();
        several(&format!("bytes={}", list(32)), &expected);
        several(&format!("bytes=,,{},,", list(32)), &expected);
        check(&format!("bytes={}", list(33)), 1000, &Ranges::Whole);
        check(&format!("bytes={}", "0-,".repeat(33)), 1000, &Ranges::Whole);
        check(&format!("bytes={}", "0-,".repeat(100_000)), 1000, &Ranges::Whole);
    }

    /// What must hold of every selection.
    #[track_caller]
    fn covered(ranges: &Ranges, size: u64) -> Vec<Range<u64>> {
        let mut all = match ranges {
            Ranges::Whole | Ranges::Unsatisfiable => return Vec::new(),
            Ranges::Single(range) => vec![range.clone()],
            Ranges::Several(ranges) => ranges.clone(),
        };
        assert!(matches!(ranges, Ranges::Single(_)) || (2..=MAX_RANGES).contains(&all.len()));
        assert!(all.iter().all(|range| range.start < range.end && range.end <= size), "{ranges:?} of {size}");
        all.sort_unstable_by_key(|range| range.start);
        assert!(all.is_sorted_by(|a, b| a.end <= b.start), "{ranges:?}");
        all
    }

    #[test]
    fn exactly_the_bytes_that_were_asked_for_are_selected() {
        let mut random = Xorshift(0x2545_f491_4f6c_dd1d);
        for _ in 0..20_000 {
            let size = random.below(24);
            let mut wanted = vec![false; size];
            let mut members = Vec::new();
            for _ in 0..=random.below(5) {
                let (a, b) = (random.below(30), random.below(30));
                let (first, last) = (a.min(b), a.max(b));
                let (member, range) = match random.below(3) {
                    0 => (format!("{first}-{last}"), first..last + 1),
                    1 => (format!("{first}-"), first..size),
                    _ => (format!("-{first}"), size.saturating_sub(first)..size),
                };
                range.filter(|&at| at < size).for_each(|at| wanted[at] = true);
                members.push(member);
            }
            let value = format!("bytes={}", members.join(","));
            let mut selected = vec![false; size];
            for range in covered(&select(value.as_bytes(), size as u64), size as u64) {
                range.for_each(|at| selected[usize::try_from(at).unwrap()] = true);
            }
            assert_eq!(selected, wanted, "{value} of {size}");
        }
    }

    #[test]
    fn no_mutation_selects_what_is_not_there() {
        const PIECES: [&[u8]; 16] = [
            b"bytes=",
            b"BYTES=",
            b"-",
            b"-",
            b",",
            b", ",
            b"0",
            b"1",
            b"9",
            b"999",
            b"1000",
            b" ",
            b"\t",
            b"x",
            b"18446744073709551615",
            b"99999999999999999999",
        ];
        let mut random = Xorshift(0xdead_beef_cafe_f00d);
        for _ in 0..50_000 {
            let mut value = b"bytes=".to_vec();
            for _ in 0..random.below(40) {
                value.extend_from_slice(PIECES[random.below(PIECES.len())]);
            }
            if random.below(4) == 0 {
                let at = random.below(value.len());
                value[at] = u8::try_from(random.below(256)).unwrap();
            }
            for size in [0, 1, 1000, u64::MAX] {
                covered(&select(&value, size), size);
            }
        }
    }
}
