//! Frames of HTTP/2 as bytes (RFC 9113 sections 4 and 6), right ones and wrong ones:
//! a length (24), a type (8), flags (8), a stream (1 + 31), and the payload.

use super::hpack::block;

/// What a client begins with (section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
/// The flag of a HEADERS frame with a priority.
pub const WEIGHTED: u8 = 0x20;
/// A HEADERS frame that is a whole request.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

pub const NO_ERROR: u32 = 0x0;
pub const PROTOCOL_ERROR: u32 = 0x1;
pub const FLOW_CONTROL_ERROR: u32 = 0x3;
pub const STREAM_CLOSED: u32 = 0x5;
pub const FRAME_SIZE_ERROR: u32 = 0x6;
pub const REFUSED_STREAM: u32 = 0x7;
pub const CANCEL: u32 = 0x8;
pub const COMPRESSION_ERROR: u32 = 0x9;
pub const ENHANCE_YOUR_CALM: u32 = 0xb;

pub const HEADER_TABLE_SIZE: u16 = 0x1;
pub const ENABLE_PUSH: u16 = 0x2;
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub const MAX_FRAME_SIZE: u16 = 0x5;
pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// The largest window (section 6.9.1).
pub const LARGEST_WINDOW: u32 = (1 << 31) - 1;
/// A window, until settings say otherwise.
pub const FIRST_WINDOW: i64 = 65_535;
/// The largest payload, until settings say otherwise.
pub const LARGEST_PAYLOAD: usize = 16_384;

/// A frame that came.
#[derive(Clone)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// A number of 32 bits in the payload.
    #[track_caller]
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4).unwrap_or_else(|| panic!("{self:?} is too short"));
        u32::from_be_bytes(bytes.try_into().unwrap())
    }

    /// The payload without its padding.
    #[track_caller]
    pub fn unpadded(&self) -> &[u8] {
        if !self.has(PADDED) {
            return &self.payload;
        }
        let end = self.payload.len().checked_sub(usize::from(self.payload[0]));
        &self.payload[1..end.filter(|end| *end > 0).expect("padding is longer than the frame")]
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        let name = NAMES.get(usize::from(self.kind)).unwrap_or(&"unknown");
        write!(to, "{name}(stream {}, flags {:#x}, {} bytes", self.stream, self.flags, self.payload.len())?;
        if matches!(self.kind, RST_STREAM | GOAWAY) {
            let at = if self.kind == GOAWAY { 4 } else { 0 };
            let text = self.payload.get(8..).unwrap_or_default().escape_ascii();
            write!(to, ", code {:#x} {text}", self.number(at))?;
        }
        write!(to, ")")
    }
}

/// The nine bytes in front of a payload of this length.
pub fn head(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let length = (length as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat()
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    [head(payload.len(), kind, flags, stream), payload.to_vec()].concat()
}

/// A frame with padding of so many bytes.
pub fn padded(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>, padding: u8) -> Vec<u8> {
    let bytes = [&[padding], payload.as_ref(), &vec![0; usize::from(padding)]].concat();
    frame(kind, flags | PADDED, stream, bytes)
}

pub fn data(stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, 0, stream, payload)
}

pub fn last_data(stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, payload)
}

/// A whole request with these fields.
pub fn request(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, block(fields))
}

/// The head of a request whose body follows.
pub fn open(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block(fields))
}

/// The fields of the request that most cases make, for the page.
pub const PAGE_FIELDS: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/page.html"), (":authority", "test")];

/// The fields of one with a body, which no file takes.
pub const POST_FIELDS: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/page.html"), (":authority", "test")];

/// A whole request for the page.
pub fn get(stream: u32) -> Vec<u8> {
    request(stream, PAGE_FIELDS)
}

/// The head of a request with a body.
pub fn post(stream: u32) -> Vec<u8> {
    open(stream, POST_FIELDS)
}

/// A request for the page with more fields.
pub fn get_with(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    request(stream, &[PAGE_FIELDS, fields].concat())
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in values {
        payload.extend_from_slice(&name.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, payload)
}

pub fn rst_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, code.to_be_bytes())
}

/// A priority as RFC 7540 had it, of weight 16.
pub fn priority(stream: u32, depends_on: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, [&depends_on.to_be_bytes()[..], &[15]].concat())
}

pub fn ping(payload: &[u8; 8]) -> Vec<u8> {
    frame(PING, 0, 0, payload)
}

pub fn goaway(last: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn window_update(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, more.to_be_bytes())
}
