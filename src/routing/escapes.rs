//! Percent-encoding (RFC 3986 §2.1) as rules need it: strict on the way in, complete on the way out.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// All bytes except unreserved ones (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for a text of several segments.
const RESERVED_BUT_SLASH: &AsciiSet = &RESERVED.remove(b'/');

/// What can't stand in a URL. A backslash is among it, because browsers read it as a slash.
const NOT_IN_URLS: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The characters of a request's query that are escaped in a Location. The rest is copied, with its escapes.
const NOT_IN_QUERIES: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'#');

/// Decodes a text of the settings. `None` if a percent sign has no two hex digits, or if the result has a
/// NUL.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let is_escape =
        |at: usize| text.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if !memchr::memchr_iter(b'%', text).all(is_escape) {
        return None;
    }
    let decoded: Vec<u8> = percent_decode(text).collect();
    (!decoded.contains(&0)).then_some(decoded)
}

/// Decodes a name or value of a query: a plus sign is a space, and a malformed escape is copied.
pub(super) fn decode_query(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).collect()
}

/// Appends a captured text, in which every byte that is not unreserved is escaped.
pub(super) fn encode_capture(out: &mut Vec<u8>, text: &[u8]) {
    append(out, text, RESERVED);
}

/// Appends a captured text of several segments: its slashes stay.
pub(super) fn encode_segments(out: &mut Vec<u8>, text: &[u8]) {
    append(out, text, RESERVED_BUT_SLASH);
}

/// Appends the query of a request.
pub(super) fn encode_query(out: &mut Vec<u8>, query: &[u8]) {
    append(out, query, NOT_IN_QUERIES);
}

/// A text of the settings, in which only what can't stand in a URL is escaped; its escapes stay.
pub(super) fn encode_literal(text: &str) -> String {
    percent_encode(text.as_bytes(), NOT_IN_URLS).to_string()
}

fn append(out: &mut Vec<u8>, text: &[u8], set: &'static AsciiSet) {
    out.extend(percent_encode(text, set).flat_map(str::bytes));
}
