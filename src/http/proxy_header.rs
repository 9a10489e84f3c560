//! The PROXY protocol, versions 1 and 2: the header in front of a connection with the address of the client
//! (haproxy.org, proxy-protocol.txt).
//!
//! It reads bytes and trusts none: the settings say which listeners require such a header.
//!
//! **Invariant:** bytes that are not a header are an error, never the start of a request. Otherwise a client
//! that reaches the listener could leave the header out.
//!
//! ```text
//! version 1   "PROXY" SP ("TCP4" | "TCP6") SP source SP destination SP port SP port CRLF
//!             "PROXY" SP "UNKNOWN" [SP anything] CRLF
//! version 2   signature (12) | version, command (1) | family, transport (1) | length (2) | addresses | TLVs
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The most bytes of a header of version 1, with its line end (§2.1).
const MAX_LINE: usize = 107;

/// The most bytes of a header of version 2. Its length field allows more; this is enough for a certificate in
/// the TLVs.
pub const MAX: usize = 4096;

/// The start of version 1.
const WORD: &[u8] = b"PROXY ";

/// The start of version 2.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a header of version 2 before its addresses.
const FIXED: usize = 16;

/// Bytes of two IPv4 addresses and two ports, and of two IPv6 addresses and two ports.
const INET: usize = 12;
const INET6: usize = 36;

/// What the bytes received so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preface {
    /// A header, and its length in bytes.
    Complete(Source, usize),
    /// The start of a header.
    Partial,
    /// Bytes that can't become a header, and the reason.
    Malformed(&'static str),
}

/// The source of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client with this address.
    Client(IpAddr),
    /// The balancer itself, for example for a health check, or a client with an address of an unknown family.
    Sender,
}

impl Preface {
    /// Reads the header at the start of `input`, which is all that was received so far.
    pub fn parse(input: &[u8]) -> Preface {
        let outcome = if begins(input, SIGNATURE) {
            binary(input)
        } else if begins(input, WORD) {
            line(input)
        } else {
            Err("no PROXY header")
        };
        match outcome {
            Ok(Some((source, length))) => Preface::Complete(source, length),
            Ok(None) => Preface::Partial,
            Err(why) => Preface::Malformed(why),
        }
    }
}

/// True if `input` and `mark` agree as far as the shorter of them goes.
fn begins(input: &[u8], mark: &[u8]) -> bool {
    input.iter().zip(mark).all(|(byte, wanted)| byte == wanted)
}

/// The header of version 1 and its length, or `None` while it is incomplete.
fn line(input: &[u8]) -> Result<Option<(Source, usize)>, &'static str> {
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() < MAX_LINE { Ok(None) } else { Err("PROXY line too long") };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or("PROXY line with a bare LF")?;
    let mut words = line[WORD.len()..].split(|&byte| byte == b' ');
    let protocol = words.next().unwrap_or_default();
    let source = if protocol == b"UNKNOWN" {
        // The receiver must ignore the rest of the line.
        Source::Sender
    } else {
        let words: Vec<&[u8]> = words.collect();
        let [source, destination, source_port, destination_port] = words[..] else {
            return Err("PROXY line without its four values");
        };
        let read = |word| match protocol {
            b"TCP4" => text(word).and_then(|text| text.parse::<Ipv4Addr>().ok()).map(IpAddr::V4),
            b"TCP6" => text(word).and_then(|text| text.parse::<Ipv6Addr>().ok()).map(IpAddr::V6),
            _ => None,
        };
        let address =
            read(source).filter(|_| read(destination).is_some()).ok_or("bad address in a PROXY line")?;
        if !is_port(source_port) || !is_port(destination_port) {
            return Err("bad port in a PROXY line");
        }
        Source::Client(address)
    };
    Ok(Some((source, end + 1)))
}

fn text(word: &[u8]) -> Option<&str> {
    str::from_utf8(word).ok()
}

/// A number from 0 to 65535 without leading zeros.
fn is_port(word: &[u8]) -> bool {
    let digits = word.iter().all(u8::is_ascii_digit) && (word == b"0" || word.first() != Some(&b'0'));
    digits && text(word).is_some_and(|text| text.parse::<u16>().is_ok())
}

/// The header of version 2 and its length, or `None` while it is incomplete.
fn binary(input: &[u8]) -> Result<Option<(Source, usize)>, &'static str> {
    let Some((fixed, rest)) = input.split_at_checked(FIXED) else { return Ok(None) };
    let (command, family) = (fixed[12], fixed[13]);
    if command >> 4 != 2 {
        return Err("PROXY header of an unknown version");
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if FIXED + length > MAX {
        return Err("PROXY header too long");
    }
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let source = match command & 0x0F {
        // LOCAL: the family must be ignored.
        0 => Source::Sender,
        1 => sender(family, block)?,
        _ => return Err("PROXY header with an unknown command"),
    };
    Ok(Some((source, FIXED + length)))
}

/// The source by the addresses at the start of `block`. The TLVs after them are ignored.
fn sender(family: u8, block: &[u8]) -> Result<Source, &'static str> {
    let short = "PROXY header without its addresses";
    match (family >> 4, family & 0x0F) {
        // Streams over IPv4 and IPv6.
        (1, 1) => {
            let source = block.get(..INET).and_then(|addresses| addresses.first_chunk::<4>());
            Ok(Source::Client(IpAddr::from(*source.ok_or(short)?)))
        }
        (2, 1) => {
            let source = block.get(..INET6).and_then(|addresses| addresses.first_chunk::<16>());
            Ok(Source::Client(IpAddr::from(*source.ok_or(short)?)))
        }
        // Unspecified, unix(7), or datagrams, which do not carry HTTP/1.1.
        (0..=3, 0..=2) => Ok(Source::Sender),
        // Receivers must reject other values (§2.2).
        _ => Err("PROXY header with an unknown family"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::xorshift::Xorshift;

    fn client(address: &str) -> Source {
        Source::Client(address.parse().unwrap())
    }

    /// A header of version 2 with these four varying parts.
    fn header(command: u8, family: u8, length: u16, block: &[u8]) -> Vec<u8> {
        [SIGNATURE, &[command, family], &length.to_be_bytes(), block].concat()
    }

    /// Two addresses of this many bytes, and two ports.
    fn addresses(size: u8) -> Vec<u8> {
        (1..=size).chain(101..=100 + size).chain([0x30, 0x39, 0, 80]).collect()
    }

    /// Headers, each with its source.
    fn samples() -> Vec<(Vec<u8>, Source)> {
        let (inet, inet6) = (addresses(4), addresses(16));
        let with_tlvs = [&inet[..], b"\x04\x00\x03abc", b"\x03\x00\x04\x01\x02\x03\x04"].concat();
        let full = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        vec![
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 80\r\n".to_vec(), client("192.0.2.7")),
            (b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n".to_vec(), client("255.255.255.255")),
            (b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n".to_vec(), client("2001:db8::7")),
            (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n".to_vec(), client("::ffff:192.0.2.7")),
            (format!("PROXY TCP6 {full} {full} 65535 65535\r\n").into_bytes(), client(full)),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Sender),
            (b"PROXY UNKNOWN ffff::1 \xff whatever  1\r\n".to_vec(), Source::Sender),
            (format!("PROXY UNKNOWN {full} {full} 65535 65535\r\n").into_bytes(), Source::Sender),
            (header(0x21, 0x11, 12, &inet), client("1.2.3.4")),
            (header(0x21, 0x21, 36, &inet6), client("102:304:506:708:90a:b0c:d0e:f10")),
            (header(0x21, 0x11, 12 + 13, &with_tlvs), client("1.2.3.4")),
            (header(0x21, 0x11, 4080, &[&inet[..], &[7; 4068]].concat()), client("1.2.3.4")),
            // The connection of the balancer itself, with any family.
            (header(0x20, 0x00, 0, b""), Source::Sender),
            (header(0x20, 0x11, 12, &inet), Source::Sender),
            (header(0x20, 0xFF, 2, b"xx"), Source::Sender),
            // Families without an address of the network.
            (header(0x21, 0x00, 0, b""), Source::Sender),
            (header(0x21, 0x00, 3, b"abc"), Source::Sender),
            (header(0x21, 0x31, 216, &[b'/'; 216]), Source::Sender),
            (header(0x21, 0x32, 216, &[b'/'; 216]), Source::Sender),
            (header(0x21, 0x12, 12, &inet), Source::Sender),
            (header(0x21, 0x10, 12, &inet), Source::Sender),
        ]
    }

    #[test]
    fn a_header_has_the_source_of_the_connection() {
        for (bytes, source) in samples() {
            let expected = Preface::Complete(source, bytes.len());
            assert_eq!(Preface::parse(&bytes), expected, "{}", bytes.escape_ascii());
            let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(Preface::parse(&followed), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn an_incomplete_header_is_partial() {
        for (bytes, _) in samples() {
            for end in 0..bytes.len() {
                assert_eq!(
                    Preface::parse(&bytes[..end]),
                    Preface::Partial,
                    "{}",
                    bytes[..end].escape_ascii()
                );
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let inet = addresses(4);
        let lines: [&[u8]; 26] = [
            b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\r\nPROXY UNKNOWN\r\n",
            b" PROXY UNKNOWN\r\n",
            b"proxy UNKNOWN\r\n",
            b"PROXY\r\n",
            b"PROXY  UNKNOWN\r\n",
            b"PROXY unknown\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY UNKNOWN\n",
            b"PROXY UNKNOWN\nGET / HTTP/1.1\r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP6 fe80::1%2 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        ];
        let binary = [
            header(0x11, 0x11, 12, &inet),
            header(0x31, 0x11, 12, &inet),
            header(0x22, 0x11, 12, &inet),
            header(0x2F, 0x00, 0, b""),
            header(0x21, 0x11, 11, &inet[..11]),
            header(0x21, 0x11, 0, b""),
            header(0x21, 0x21, 35, &addresses(16)[..35]),
            header(0x21, 0x41, 12, &inet),
            header(0x21, 0x13, 12, &inet),
            header(0x21, 0x11, 4081, &inet),
            header(0x20, 0x00, u16::MAX, b""),
            b"\r\n\r\n\0\r\nQUIT\r\n\r\n".to_vec(),
        ];
        for bytes in lines.iter().map(|line| line.to_vec()).chain(binary) {
            let found = Preface::parse(&bytes);
            assert!(matches!(found, Preface::Malformed(_)), "{}: {found:?}", bytes.escape_ascii());
        }
        let endless = [WORD, b"UNKNOWN ", &[b'x'; MAX_LINE]].concat();
        assert_eq!(Preface::parse(&endless[..MAX_LINE - 1]), Preface::Partial);
        assert_eq!(Preface::parse(&endless[..MAX_LINE]), Preface::Malformed("PROXY line too long"));
    }

    #[test]
    fn damaged_headers_get_the_same_verdict_in_pieces_as_in_one() {
        let mut numbers = Xorshift(0x9E37_79B9_7F4A_7C15);
        let mut dice = |sides| numbers.below(sides);
        let samples = samples();
        let mut verdicts = [0; 3];
        for _ in 0..20_000 {
            let mut bytes = samples[dice(samples.len())].0.clone();
            bytes.truncate(300);
            for _ in 0..=dice(4) {
                let at = dice(bytes.len());
                match dice(5) {
                    0 => bytes[at] = dice(256) as u8,
                    1 => bytes[at] ^= 1 << dice(8),
                    2 => bytes.insert(at, *b"\r\n 0\xFF:.9".get(dice(8)).unwrap()),
                    3 if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => bytes.extend_from_slice(b"\r\nPROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"),
                }
            }
            let whole = Preface::parse(&bytes);
            for end in 0..bytes.len() {
                let early = Preface::parse(&bytes[..end]);
                assert!(early == Preface::Partial || early == whole, "{} at {end}", bytes.escape_ascii());
            }
            match whole {
                Preface::Complete(_, length) => {
                    assert!(length <= bytes.len());
                    assert_eq!(Preface::parse(&bytes[..length]), whole, "{}", bytes.escape_ascii());
                    verdicts[0] += 1;
                }
                Preface::Partial => verdicts[1] += 1,
                Preface::Malformed(_) => verdicts[2] += 1,
            }
        }
        assert!(verdicts.iter().all(|&count| count > 500), "the damage is one-sided: {verdicts:?}");
    }
}
