//! The `to` of a rule, and what it becomes with the captures of a request.
//!
//! **Invariant:** scheme and host are literal. An expanded path begins with one slash and has no backslash,
//! so no browser takes its beginning for a host (`//x`, `/\x`). A capture adds no segment but by `:splat`,
//! and no `.` or `..` segment.

use super::escapes;
use super::path_pattern::{MAX_LENGTH, SPLAT, name_length};
use super::request_query::RequestQuery;
use super::routed_path::RoutedPath;
use crate::http::host;

/// The most bytes of an expanded path or query. A rule whose result would be longer does not match.
const MAX_EXPANDED: usize = 16 * 1024;

/// A parsed `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Scheme and authority, such as `https://other.example`; `None` for this site.
    origin: Option<Box<str>>,
    segments: Vec<Vec<Piece>>,
    /// True if a slash follows the last segment.
    directory: bool,
    /// A query in place of the request's.
    query: Option<Vec<Piece>>,
    fragment: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    Capture(CaptureSource),
}

/// Where a capture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureSource {
    /// The segment of the path with this number.
    Segment(usize),
    /// The path from the segment with this number on.
    Splat(usize),
    /// The parameter of the query with this name.
    Parameter(Box<str>),
}

/// What a request has for captures.
pub(super) struct Captured<'a> {
    pub(super) path: &'a RoutedPath<'a>,
    pub(super) parameters: &'a RequestQuery,
    /// The query as the client wrote it.
    pub(super) query: Option<&'a [u8]>,
}

/// Where a rule leads with the captures of one request, encoded.
#[derive(Debug)]
pub(super) struct Expanded {
    pub(super) path: Vec<u8>,
    pub(super) query: Option<Vec<u8>>,
    fragment: Vec<u8>,
}

impl Destination {
    /// Parses a `to`. `source` says where the capture of a name comes from.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str, source: &dyn Fn(&str) -> Option<CaptureSource>) -> Result<Destination, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("is longer than {MAX_LENGTH} bytes"));
        }
        let (origin, rest) = split_origin(text)?;
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(parse_pieces(query, source)?)),
            None => (rest, None),
        };
        let relative = path.strip_prefix('/').unwrap_or(path);
        let names = relative.strip_suffix('/').unwrap_or(relative);
        let segments: Result<_, String> = names
            .split('/')
            .filter(|_| !relative.is_empty())
            .map(|segment| parse_segment(segment, source))
            .collect();
        Ok(Destination {
            origin,
            segments: segments?,
            directory: relative.ends_with('/'),
            query,
            fragment: parse_pieces(fragment, source)?,
        })
    }

    /// True if it is a path of this site.
    pub fn is_own(&self) -> bool {
        self.origin.is_none()
    }

    /// True if it has a fragment, which only a client can use.
    pub fn has_fragment(&self) -> bool {
        !self.fragment.is_empty()
    }

    /// Puts captures in. `None` if one can't stand where it should: a value of the query that is no plain
    /// segment in a path, or one that makes the result too long.
    pub(super) fn expand(&self, captured: &Captured<'_>) -> Option<Expanded> {
        let query = match &self.query {
            Some(pieces) => Some(expand_all(pieces, captured)?).filter(|query| !query.is_empty()),
            None => captured.query.map(|query| {
                let mut kept = Vec::with_capacity(query.len());
                escapes::encode_query(&mut kept, query);
                kept
            }),
        };
        let path = self.expand_path(captured)?;
        Some(Expanded { path, query, fragment: expand_all(&self.fragment, captured)? })
    }

    /// The value of a Location field.
    pub(super) fn location(&self, expanded: &Expanded) -> Vec<u8> {
        let mut location = self.origin.as_deref().unwrap_or_default().as_bytes().to_vec();
        location.extend_from_slice(&expanded.path);
        if let Some(query) = &expanded.query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        if !expanded.fragment.is_empty() {
            location.push(b'#');
            location.extend_from_slice(&expanded.fragment);
        }
        location
    }

    fn expand_path(&self, captured: &Captured<'_>) -> Option<Vec<u8>> {
        let mut path = Vec::with_capacity(64);
        let mut directory = self.directory;
        for (number, pieces) in self.segments.iter().enumerate() {
            let is_last = number + 1 == self.segments.len();
            path.push(b'/');
            if let [Piece::Capture(CaptureSource::Splat(from))] = &**pieces {
                let splat = captured.path.rest(*from);
                escapes::encode_segments(&mut path, splat);
                if splat.is_empty() {
                    // It must leave no empty segment, which could make `//` at the beginning.
                    path.pop();
                }
                directory |= is_last && (splat.is_empty() || captured.path.directory);
            } else {
                pieces.iter().try_for_each(|piece| expand_in_segment(&mut path, piece, captured))?;
            }
            if path.len() > MAX_EXPANDED {
                return None;
            }
        }
        if directory || path.is_empty() {
            path.push(b'/');
        }
        Some(path)
    }
}

/// Appends a piece of a segment. A value of the query must be a plain segment of its own there.
fn expand_in_segment(out: &mut Vec<u8>, piece: &Piece, captured: &Captured<'_>) -> Option<()> {
    match piece {
        Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
        Piece::Capture(source) => {
            let value = value_of(source, captured)?;
            if matches!(value, b"" | b"." | b"..") || value.iter().any(|byte| matches!(byte, b'/' | 0)) {
                return None;
            }
            escapes::encode_capture(out, value);
        }
    }
    Some(())
}

/// The text of a query or fragment.
fn expand_all(pieces: &[Piece], captured: &Captured<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Capture(source @ CaptureSource::Splat(_)) => {
                escapes::encode_segments(&mut out, value_of(source, captured)?);
            }
            Piece::Capture(source) => escapes::encode_capture(&mut out, value_of(source, captured)?),
        }
        if out.len() > MAX_EXPANDED {
            return None;
        }
    }
    Some(out)
}

fn value_of<'a>(source: &CaptureSource, captured: &Captured<'a>) -> Option<&'a [u8]> {
    match source {
        CaptureSource::Segment(number) => captured.path.segment(*number),
        CaptureSource::Splat(number) => Some(captured.path.rest(*number)),
        CaptureSource::Parameter(name) => captured.parameters.value(name.as_bytes()),
    }
}

/// Splits scheme and authority off.
fn split_origin(text: &str) -> Result<(Option<Box<str>>, &str), String> {
    if text.starts_with('/') {
        return match text.as_bytes().get(1) {
            Some(b'/' | b'\\') => {
                Err("a path begins with one slash; write https:// before the name of another host".to_owned())
            }
            _ => Ok((None, text)),
        };
    }
    let after = |scheme: &str| {
        let beginning = text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme));
        beginning.map(|_| scheme.len())
    };
    let Some(start) = after("https://").or(after("http://")) else {
        return Err("expected a path such as /archive/:splat, or a URL that begins with https://".to_owned());
    };
    let length = text[start..].find(['/', '?', '#', '\\']).unwrap_or(text.len() - start);
    let (authority, rest) = text[start..].split_at(length);
    let after_colon = authority.split_once(':').map_or("", |(_, port)| port);
    if name_length(after_colon) > 0 || authority.starts_with(':') || authority.contains('*') {
        return Err("a placeholder can't be in the host, which no request may choose".to_owned());
    }
    if authority.is_empty() || !host::is_valid(authority.as_bytes()) {
        return Err("expected a host name in ASCII after ://, without a user".to_owned());
    }
    if rest.starts_with('\\') {
        return Err("expected a slash after the host".to_owned());
    }
    Ok((Some(text[..start + length].to_ascii_lowercase().into()), rest))
}

fn parse_segment(text: &str, source: &dyn Fn(&str) -> Option<CaptureSource>) -> Result<Vec<Piece>, String> {
    let pieces = parse_pieces(text, source)?;
    let is_splat = |piece: &Piece| matches!(piece, Piece::Capture(CaptureSource::Splat(_)));
    if pieces.len() > 1 && pieces.iter().any(is_splat) {
        return Err("in a path :splat is a whole segment, as in /archive/:splat".to_owned());
    }
    match escapes::decode(text.as_bytes()).as_deref() {
        None => Err("a percent sign needs two hex digits, not 00; write %25 for the sign itself".to_owned()),
        Some(b"") => Err("has an empty segment".to_owned()),
        Some(b"." | b"..") => Err("can't have . or .. as a segment".to_owned()),
        Some(name) if name.contains(&b'/') => Err("no segment has a slash in it".to_owned()),
        Some(_) => Ok(pieces),
    }
}

/// Splits a text at its captures: a colon and a name that begins with a letter. Any other colon is literal.
fn parse_pieces(
    mut text: &str,
    source: &dyn Fn(&str) -> Option<CaptureSource>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    while let Some(colon) = text.find(':') {
        literal += &text[..colon];
        text = &text[colon + 1..];
        let (name, rest) = text.split_at(name_length(text));
        if name.is_empty() {
            literal.push(':');
            continue;
        }
        let source = source(name).ok_or_else(|| unknown(name))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(escapes::encode_literal(&literal).into()));
            literal.clear();
        }
        pieces.push(Piece::Capture(source));
        text = rest;
    }
    literal += text;
    if escapes::decode(literal.as_bytes()).is_none() {
        return Err("a percent sign needs two hex digits, not 00; write %25 for the sign itself".to_owned());
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(escapes::encode_literal(&literal).into()));
    }
    Ok(pieces)
}

fn unknown(name: &str) -> String {
    match name {
        SPLAT => "has :splat, but `from` has no * at its end".to_owned(),
        _ => format!("has :{name}, which neither `from` nor `query` captures; write %3A for a colon"),
    }
}
