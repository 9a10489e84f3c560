//! Whose attempts are counted together.

use std::net::{IpAddr, Ipv6Addr};

use crate::sys::socket::PeerAddress;

/// An address of IPv4, the network of an address of IPv6, of which a client has many, or all processes of
/// this machine together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(Option<IpAddr>);

impl Origin {
    /// That of a client.
    pub fn of(client: PeerAddress) -> Origin {
        Origin(client.ip().map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_origin() {
        let of = |address: &str| Origin::of(PeerAddress::Ip(address.parse().unwrap()));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        for other in [of("2001:db8:1:3::1"), of("192.0.2.1"), Origin::of(PeerAddress::Unix)] {
            assert_ne!(of("2001:db8:1:2::1"), other);
        }
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }
}
