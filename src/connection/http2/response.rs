//! The head of a response as HTTP/2 has it, and its body as pieces in the order in which they are sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{DATE, SERVER};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::connection::context::Context;
use crate::http::response::{Body, FieldBlock, SharedBytes};
use crate::http::status::Status;
use crate::store::entry::Entry;

/// A piece of a body.
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A part of the file of an entry.
    File(Arc<Entry>, Range<u64>),
}

/// A body.
pub enum Pieces {
    /// No bytes.
    None,
    /// It is short and in memory, and is sent at once, before longer ones have their turns.
    Short(Bytes),
    /// In the order in which they are sent.
    Long(VecDeque<Piece>),
}

impl Pieces {
    fn of(piece: Piece) -> Pieces {
        match piece {
            Piece::Bytes(bytes) if bytes.is_empty() => Pieces::None,
            Piece::Bytes(bytes) if bytes.len() <= SHORT => Pieces::Short(bytes),
            piece => Pieces::Long(VecDeque::from([piece])),
        }
    }
}

/// The head of a response.
pub fn head(status: Status, fields: FieldBlock<Arc<Entry>>, context: &Context) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(status.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // All values share it.
    let block = match fields {
        FieldBlock::Owned(fields) => Bytes::from(fields),
        FieldBlock::Of(entry) => Bytes::from_owner(WholeFields(entry)),
    };
    let headers = head.headers_mut();
    headers.reserve(12);
    headers.insert(SERVER, context.common_fields.server());
    headers.insert(DATE, context.common_fields.date(&context.rendered_time));
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', &block) {
        let line = block[start..end].trim_ascii_end();
        if let Some(colon) = memchr::memchr(b':', line)
            && let Ok(name) = HeaderName::from_bytes(&line[..colon])
            && let Ok(value) = HeaderValue::from_maybe_shared(block.slice_ref(line[colon + 1..].trim_ascii()))
        {
            headers.append(name, value);
        }
        start = end + 1;
    }
    head
}

/// The pieces of a body.
pub fn pieces(body: Body<Arc<Entry>>) -> Pieces {
    match body {
        Body::Empty => Pieces::None,
        Body::Owned(bytes) => Pieces::of(Piece::Bytes(bytes.into())),
        Body::Shared(shared) => Pieces::of(Piece::Bytes(Bytes::from_owner(Shared(shared)))),
        Body::Slice(entry, range) => slice(&entry, range).map_or(Pieces::None, Pieces::of),
        Body::Multipart(entry, multipart) => {
            let mut pieces = VecDeque::new();
            for (index, range) in multipart.ranges.iter().enumerate() {
                let mut head = Vec::new();
                multipart.write_head(index, &mut head);
                pieces.push_back(Piece::Bytes(head.into()));
                pieces.extend(slice(&entry, range.clone()));
            }
            let mut closing = Vec::new();
            multipart.write_closing(&mut closing);
            pieces.push_back(Piece::Bytes(closing.into()));
            Pieces::Long(pieces)
        }
    }
}

/// The most bytes of a short body.
const SHORT: usize = 16 << 10;

/// A part of an entry, which is in memory or a file.
fn slice(entry: &Arc<Entry>, range: Range<u64>) -> Option<Piece> {
    if range.is_empty() {
        return None;
    }
    if entry.file().is_some() {
        return Some(Piece::File(Arc::clone(entry), range));
    }
    let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
        return None;
    };
    let bytes = entry.in_memory().and_then(|bytes| bytes.get(start..end))?;
    // A short text is copied faster than it is shared.
    Some(Piece::Bytes(if bytes.len() <= COPIED {
        Bytes::copy_from_slice(bytes)
    } else {
        Bytes::from_owner(InMemory(Arc::clone(entry))).slice(start..end)
    }))
}

/// Up to so many bytes are copied.
const COPIED: usize = 1 << 10;

/// The bytes of an entry in memory.
struct InMemory(Arc<Entry>);

impl AsRef<[u8]> for InMemory {
    fn as_ref(&self) -> &[u8] {
        self.0.in_memory().unwrap_or_default()
    }
}

/// The fields of a response that is all of an entry.
struct WholeFields(Arc<Entry>);

impl AsRef<[u8]> for WholeFields {
    fn as_ref(&self) -> &[u8] {
        self.0.whole_fields()
    }
}

/// Bytes that responses share.
struct Shared(Arc<dyn SharedBytes>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}
