//! The address of a client as text, for the access log.

use std::io::Write as _;
use std::net::IpAddr;

use crate::sys::socket::PeerAddress;

/// The address of a client as text. It is rendered once for a connection, and needs no allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    text: [u8; 39],
    length: u8,
}

impl Peer {
    /// Renders `address`.
    pub fn new(address: PeerAddress) -> Self {
        let mut text = [0; 39];
        if let PeerAddress::Ip(address) = address
            && let IpAddr::V4(address) = address.to_canonical()
        {
            // Without the formatter: its frames would cost each waiting connection one more page of stack.
            let mut length = 0;
            for octet in address.octets() {
                let (mut digits, dot) = (itoa::Buffer::new(), usize::from(length > 0));
                let digits = digits.format(octet).as_bytes();
                text[length] = b'.';
                text[length + dot..][..digits.len()].copy_from_slice(digits);
                length += dot + digits.len();
            }
            return Self { text, length: length as u8 };
        }
        // The longest address has eight groups of four digits, and fits.
        let mut rest = &mut text[..];
        let fits = write!(rest, "{address}").is_ok();
        let left = rest.len();
        Self { text, length: if fits { (39 - left) as u8 } else { 0 } }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..usize::from(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_rendered_whole() {
        for (address, text) in [
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255", "255.255.255.255"),
            ("::1", "::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888"),
        ] {
            let peer = Peer::new(PeerAddress::Ip(address.parse().unwrap()));
            assert_eq!(std::str::from_utf8(peer.as_bytes()), Ok(text));
        }
        assert_eq!(Peer::new(PeerAddress::Unix).as_bytes(), b"unix:");
    }
}
