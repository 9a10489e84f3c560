//! Header blocks (RFC 7541), read with nothing forgiven: a size update in the wrong place, padding that is
//! wrong or an index that does not exist is a fault of the server. What the tests send is written without
//! compression.
//!
//! The crates for it are no longer kept up: `hpack` has an advisory (RUSTSEC-2023-0084), and its successor
//! `loona-hpack` had its last release in 2024.

use std::collections::VecDeque;

/// A name and a value.
pub type Field = (String, String);

/// The entries of Appendix A; an empty value where it has none.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The lengths of the codes of Appendix B in bits, for each byte. Within a length, codes go up with the
/// bytes, so the lengths say everything; what is left at the end is 30 ones, the end of the string (EOS).
#[rustfmt::skip]
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6,
    6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8,
    13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15,
    11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23,
    23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26,
    26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21,
    22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27,
    27, 26,
];

/// The longest code, that of EOS.
const LONGEST: u8 = 30;

/// What a decoder keeps from one header block to the next.
pub struct Decoder {
    dynamic: VecDeque<Field>,
    /// What the entries of the dynamic table may come to, each with 32 bytes more than its text.
    limit: usize,
    /// The limit that the client has announced.
    announced: usize,
}

/// A header block as it is read.
struct Block<'a>(&'a [u8]);

impl Decoder {
    /// A decoder of a client that announces this size of the dynamic table (4096 where it says nothing).
    pub fn new(announced: usize) -> Self {
        Self { dynamic: VecDeque::new(), limit: 4096.min(announced), announced }
    }

    /// The fields of a block, which has to be whole.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let mut block = Block(block);
        let mut fields: Vec<Field> = Vec::new();
        while let Some(&first) = block.0.first() {
            if first & 0x80 != 0 {
                let index = block.integer(7)?;
                fields.push(self.entry(index)?);
            } else if first & 0xe0 == 0x20 {
                let limit = block.integer(5)?;
                if !fields.is_empty() || limit > self.announced {
                    return Err(format!("a size update to {limit} after {} fields", fields.len()));
                }
                self.limit = limit;
                self.evict();
            } else {
                let is_indexed = first & 0x40 != 0;
                let index = block.integer(if is_indexed { 6 } else { 4 })?;
                let name = if index == 0 { block.string()? } else { self.entry(index)?.0 };
                let field = (name, block.string()?);
                if is_indexed {
                    self.dynamic.push_front(field.clone());
                    self.evict();
                }
                fields.push(field);
            }
        }
        Ok(fields)
    }

    fn entry(&self, index: usize) -> Result<Field, String> {
        let known = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let below = index.checked_sub(1).ok_or("index 0")?;
        let found = match below.checked_sub(STATIC.len()) {
            None => STATIC.get(below).map(known),
            Some(dynamic) => self.dynamic.get(dynamic).cloned(),
        };
        found.ok_or_else(|| format!("no entry has index {index}"))
    }

    fn evict(&mut self) {
        let size = |(name, value): &Field| name.len() + value.len() + 32;
        let mut all: usize = self.dynamic.iter().map(size).sum();
        while all > self.limit {
            all -= self.dynamic.pop_back().map_or(0, |field| size(&field));
        }
    }
}

impl Block<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (first, rest) = self.0.split_first().ok_or("the block is cut")?;
        self.0 = rest;
        Ok(*first)
    }

    /// An integer whose first byte has so many bits of it (section 5.1).
    fn integer(&mut self, bits: u32) -> Result<usize, String> {
        let most = (1_usize << bits) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in (0..28).step_by(7) {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer of more than 5 bytes".into())
    }

    /// A string (section 5.2), which is visible ASCII here.
    fn string(&mut self) -> Result<String, String> {
        let is_coded = self.0.first().ok_or("the block is cut")? & 0x80 != 0;
        let length = self.integer(7)?;
        if length > self.0.len() {
            return Err(format!("a string of {length} bytes with {} left", self.0.len()));
        }
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        let text = if is_coded { huffman(text)? } else { text.to_vec() };
        String::from_utf8(text).map_err(|error| error.to_string())
    }
}

/// Decodes bits one at a time: the codes of each length follow those that are shorter.
fn huffman(coded: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let (mut code, mut length, mut first, mut ones) = (0_u32, 0_u8, 0_u32, true);
    for bit in coded.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
        code = code << 1 | u32::from(bit);
        first <<= 1;
        length += 1;
        ones &= bit == 1;
        let mut same = (0..=255_u8).filter(|byte| LENGTHS[usize::from(*byte)] == length);
        let count = same.clone().count() as u32;
        if code - first < count {
            text.extend(same.nth((code - first) as usize));
            (code, length, first, ones) = (0, 0, 0, true);
        } else if length == LONGEST {
            return Err("EOS in a string".into());
        } else {
            first += count;
        }
    }
    // Padding is a beginning of EOS of less than a byte.
    if length < 8 && ones { Ok(text) } else { Err(format!("{length} bits of wrong padding")) }
}

/// An integer behind a prefix of so many bits, whose other bits are `pattern`.
pub fn integer(pattern: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![pattern | value as u8];
    }
    let mut bytes = vec![pattern | most as u8];
    let mut rest = value - most;
    while rest > 0x7f {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A string that is not coded.
pub fn string(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [integer(0, 7, text.len()), text.to_vec()].concat()
}

/// A field without indexing and with a name of its own.
pub fn literal(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Vec<u8> {
    [vec![0], string(name), string(value)].concat()
}

/// A field that enters the dynamic table.
pub fn indexed(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], string(name), string(value)].concat()
}

/// A block of such fields.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}
