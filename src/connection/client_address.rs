//! The client address of a request that came through trusted proxies.
//!
//! The header fields are parsed in `http/forwarded.rs`. **Invariant:** an address in a field is used only if
//! a trusted proxy added it: the walk starts at the connection's own peer, goes from right to left, and ends
//! with the first address that is not a trusted proxy.

use crate::config::RealIpHeader;
use crate::config::Settings;
use crate::config::network::Networks;
use crate::http::fields::Fields;
use crate::http::forwarded::ForwardingField;
use crate::sys::socket::PeerAddress;

/// The proxies in front of a worker.
pub struct TrustedProxies {
    trusted: Networks,
    field: ForwardingField,
}

impl TrustedProxies {
    /// The proxies that the settings name.
    pub fn new(settings: &Settings) -> TrustedProxies {
        TrustedProxies {
            trusted: settings.trusted_proxies.clone(),
            field: match settings.real_ip_header {
                RealIpHeader::XForwardedFor => ForwardingField::XForwardedFor,
                RealIpHeader::Forwarded => ForwardingField::Forwarded,
                RealIpHeader::XRealIp => ForwardingField::XRealIp,
            },
        }
    }

    /// True if `peer` is a trusted proxy.
    pub fn trust(&self, peer: PeerAddress) -> bool {
        self.trusted.contain(peer.ip())
    }

    /// The client address of a request from a trusted `peer`: the right-most address that is not a trusted
    /// proxy, or the left-most if all are. An entry that is not an address ends the walk; the address to the
    /// right of it counts then.
    #[inline(never)]
    pub fn client(&self, peer: PeerAddress, fields: &Fields<'_>) -> PeerAddress {
        let mut client = peer;
        for address in self.field.nodes(fields).map_while(|node| node) {
            client = PeerAddress::Ip(address);
            if !self.trust(client) {
                break;
            }
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::network::Network;

    const FIELD: &str = "X-Forwarded-For";

    fn proxies(trusted: &[&str]) -> TrustedProxies {
        let networks = trusted.iter().map(|text| Network::read(text).unwrap()).collect();
        TrustedProxies::new(&Settings { trusted_proxies: Networks(networks), ..Settings::default() })
    }

    #[track_caller]
    fn check(lines: &[&str], client: &str) {
        let pairs: Vec<(&str, &[u8])> = lines.iter().map(|line| (FIELD, line.as_bytes())).collect();
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8", "unix:"]);
        let peer = PeerAddress::Ip("10.0.0.1".parse().unwrap());
        assert_eq!(proxies.client(peer, &Fields::from_pairs(&pairs)).to_string(), client, "{lines:?}");
    }

    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        check(&[], "10.0.0.1");
        check(&["192.0.2.1"], "192.0.2.1");
        check(&["198.51.100.1, 192.0.2.1"], "192.0.2.1");
        check(&["198.51.100.1, 192.0.2.1, 10.0.0.2, fd00::1"], "192.0.2.1");
        check(&["198.51.100.1", "192.0.2.1", "10.0.0.2"], "192.0.2.1");
        check(&["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1");
    }

    #[test]
    fn if_all_are_trusted_the_left_most_is_the_client() {
        check(&["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(&["10.0.0.3", "10.0.0.2"], "10.0.0.3");
    }

    #[test]
    fn the_walk_ends_before_an_entry_that_is_not_an_address() {
        check(&["unknown"], "10.0.0.1");
        check(&["192.0.2.1, unknown"], "10.0.0.1");
        check(&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2");
        check(&["192.0.2.1", "unix:", "10.0.0.2"], "10.0.0.2");
        check(&["nonsense, 192.0.2.1"], "192.0.2.1");
    }

    #[test]
    fn no_address_is_trusted_unless_named() {
        let local = PeerAddress::Ip("127.0.0.1".parse().unwrap());
        assert!(!proxies(&[]).trust(local) && !proxies(&[]).trust(PeerAddress::Unix));
        assert!(!proxies(&["unix:"]).trust(local) && proxies(&["unix:"]).trust(PeerAddress::Unix));
        assert!(proxies(&["127.0.0.1"]).trust(local) && !proxies(&["127.0.0.1"]).trust(PeerAddress::Unix));
    }
}
