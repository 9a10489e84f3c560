//! How much a client wants a media type: the Accept field (RFC 9110 §12.5.1).
//!
//! A member that is no media range, or whose weight is none, counts as absent. Parameters other than the
//! weight are ignored: no representation here differs by them.

use super::fields::trim;

/// How much a client wants a media type; the greater one it wants more. Of two with the same weight, that is
/// the one that it names more exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MediaPreference {
    /// The weight in thousandths, 0 to 1000; with 0 it is not acceptable.
    pub weight: u16,
    /// How exactly it is named.
    pub range: MediaRange,
}

/// What a media range covers, from what says least to what says most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediaRange {
    /// No range covers it.
    Absent,
    /// `*/*`.
    All,
    /// `type/*`.
    Type,
    /// `type/subtype`.
    Exact,
}

/// How much a client with these lines of Accept wants `media_type`, such as `text/html`. The most exact range
/// that covers it counts. Without any line, everything has weight 1000.
pub fn preference<'a>(lines: impl Iterator<Item = &'a [u8]>, media_type: &str) -> MediaPreference {
    let mut best: Option<MediaPreference> = None;
    let mut is_present = false;
    for line in lines {
        is_present = true;
        for member in split(line, b',') {
            let found = of_member(member, media_type.as_bytes());
            best = match (best, found) {
                (Some(best), Some(found)) if (best.range, best.weight) >= (found.range, found.weight) => {
                    Some(best)
                }
                (best, found) => found.or(best),
            };
        }
    }
    let weight = if is_present { 0 } else { 1000 };
    best.unwrap_or(MediaPreference { weight, range: MediaRange::Absent })
}

/// What one member says of a media type; `None` if it does not cover it.
fn of_member(member: &[u8], media_type: &[u8]) -> Option<MediaPreference> {
    let mut parts = split(member, b';');
    let range = covers(trim(parts.next()?), media_type)?;
    let weight = parts.find_map(|parameter| {
        let (name, value) = parameter.split_at(memchr::memchr(b'=', parameter)?);
        trim(name).eq_ignore_ascii_case(b"q").then(|| parse_weight(trim(&value[1..])))
    });
    Some(MediaPreference { weight: weight.unwrap_or(Some(1000))?, range })
}

fn covers(range: &[u8], media_type: &[u8]) -> Option<MediaRange> {
    if range == b"*/*" {
        return Some(MediaRange::All);
    }
    if range.eq_ignore_ascii_case(media_type) {
        return Some(MediaRange::Exact);
    }
    let of_type = range.strip_suffix(b"*")?;
    let slash = memchr::memchr(b'/', media_type)? + 1;
    of_type.eq_ignore_ascii_case(&media_type[..slash]).then_some(MediaRange::Type)
}

/// A weight in thousandths (RFC 9110 §12.4.2): 0 or 1, and up to three decimals.
fn parse_weight(value: &[u8]) -> Option<u16> {
    let (&whole @ (b'0' | b'1'), decimals) = value.split_first()? else { return None };
    let decimals = if decimals.is_empty() { decimals } else { decimals.strip_prefix(b".")? };
    if decimals.len() > 3 || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |at: usize| u16::from(decimals.get(at).map_or(0, |digit| digit - b'0'));
    let weight = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= 1000).then_some(weight)
}

/// The parts of a value between delimiters that are not in a quoted string (RFC 9110 §5.6.4).
fn split(value: &[u8], delimiter: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        for (at, &byte) in text.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                _ if byte == delimiter && !is_quoted => {
                    rest = Some(&text[at + 1..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
        }
        rest.take()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The weights of JSON and HTML, and whether JSON is wanted more.
    #[track_caller]
    fn check(lines: &[&str], json: u16, html: u16, is_json: bool) {
        let of = |media_type| preference(lines.iter().map(|line| line.as_bytes()), media_type);
        let (json_found, html_found) = (of("application/json"), of("text/html"));
        assert_eq!((json_found.weight, html_found.weight), (json, html), "{lines:?}");
        assert_eq!(json_found > html_found, is_json, "{lines:?}");
    }

    #[test]
    fn the_greater_weight_counts_and_then_the_more_exact_name() {
        check(&[], 1000, 1000, false);
        check(&["*/*"], 1000, 1000, false);
        check(&["application/json"], 1000, 0, true);
        check(&["Application/JSON"], 1000, 0, true);
        check(&["text/html"], 0, 1000, false);
        // Browsers, and what scripts send by habit.
        check(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], 800, 1000, false);
        check(&["application/json, text/plain, */*"], 1000, 1000, true);
        check(&["application/json,text/html"], 1000, 1000, false);
        check(&["application/*,text/*"], 1000, 1000, false);
        check(&["application/*,*/*"], 1000, 1000, true);
        check(&["application/json;q=0.9,text/html;q=0.8"], 900, 800, true);
        check(&["application/json;q=0.8,text/html;q=0.9"], 800, 900, false);
        check(&["application/json;q=0.5,*/*"], 500, 1000, false);
        check(&["text/html;q=0,*/*"], 1000, 0, true);
        check(&["application/json;q=0"], 0, 0, true);
        check(&["text/html;q=0.1", "application/json"], 1000, 100, true);
        check(&["image/png"], 0, 0, false);
        check(&[""], 0, 0, false);
    }

    #[test]
    fn the_most_exact_range_counts_wherever_it_stands() {
        check(&["*/*;q=0.1,application/*;q=0.2,application/json;q=0.3"], 300, 100, true);
        check(&["application/json;q=0.3,application/*;q=0.2,*/*;q=0.4"], 300, 400, false);
        check(&["application/*;q=0.2,*/*;q=0.9"], 200, 900, false);
        check(&["application/json;q=0.1,application/json;q=0.7"], 700, 0, true);
    }

    #[test]
    fn parameters_and_quotes_do_not_mislead() {
        check(&["application/json;charset=utf-8"], 1000, 0, true);
        check(&["application/json;v=\"a,text/html\";q=0.5"], 500, 0, true);
        check(&["application/json;v=\"a;q=0\""], 1000, 0, true);
        check(&["application/json;v=\"\\\",text/html\";Q=0.5,text/html ; q=0.25"], 500, 250, true);
        check(&["application/json;q=0.5;q=0.1"], 500, 0, true);
        check(&["application/json \t;\tq=1.000"], 1000, 0, true);
        check(&["application/json;v=\"never closed, text/html"], 1000, 0, true);
        check(&["application/json\", text/html"], 0, 0, false);
    }

    #[test]
    fn what_is_no_range_or_weight_is_left_out() {
        for weight in ["", "2", "1.001", "0.1234", "-1", "0,5", ".5", "1.", "0x1", "nan", "1e0", "\"1\""] {
            let line = format!("application/json;q={weight}");
            let expected = if weight == "1." { 1000 } else { 0 };
            assert_eq!(
                preference([line.as_bytes()].into_iter(), "application/json").weight,
                expected,
                "{line}"
            );
        }
        for range in
            ["*", "/", "*/json", "application", "application/", "application/jso*", "\u{e9}/*", "applic*"]
        {
            assert_eq!(preference([range.as_bytes()].into_iter(), "application/json").weight, 0, "{range}");
        }
        check(&[",;,=,;q,;q=,*;q=1,application/json"], 1000, 0, true);
    }
}
