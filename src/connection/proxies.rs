//! Which proxies are believed, and whose a request is that came through them.
//!
//! The fields are read elsewhere. The subtle rule: a field is believed as far as each of those who added to it is: the walk
//! goes from the right, from the connection's own peer on, and ends with the first address that is no trusted proxy's.

use crate::config::Settings;
use crate::config::access::Networks;
use crate::config::proxies::RealIpHeader;
use crate::http::fields::Fields;
use crate::http::forwarded::ForwardingField;
use crate::sys::socket::PeerAddress;

/// The proxies in front of a worker.
pub struct Proxies {
    trusted: Networks,
    field: ForwardingField,
}

impl Proxies {
    /// Those of the settings.
    pub fn new(settings: &Settings) -> Proxies {
        Proxies {
            trusted: settings.trusted_proxies.clone(),
            field: match settings.real_ip_header {
                RealIpHeader::XForwardedFor => ForwardingField::XForwardedFor,
                RealIpHeader::Forwarded => ForwardingField::Forwarded,
                RealIpHeader::XRealIp => ForwardingField::XRealIp,
            },
        }
    }

    /// Whether `peer` is believed whom it passes a request on for.
    pub fn trust(&self, peer: PeerAddress) -> bool {
        self.trusted.hold(peer.ip())
    }

    /// Whose a request with these fields is that a trusted `peer` has sent: the nearest who is not trusted; the farthest
    /// who is named where all are; and before somebody whose address can't be read, who named them.
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
    use crate::config::access::Network;

    const FIELD: &str = "X-Forwarded-For";

    fn proxies(trusted: &[&str]) -> Proxies {
        let networks = trusted.iter().map(|text| Network::read(text).unwrap()).collect();
        Proxies::new(&Settings { trusted_proxies: Networks(networks), ..Settings::default() })
    }

    #[track_caller]
    fn check(lines: &[&str], client: &str) {
        let pairs: Vec<(&str, &[u8])> = lines.iter().map(|line| (FIELD, line.as_bytes())).collect();
        let proxies = proxies(&["10.0.0.0/8", "fd00::/8", "unix:"]);
        let peer = PeerAddress::Ip("10.0.0.1".parse().unwrap());
        assert_eq!(proxies.client(peer, &Fields::from_pairs(&pairs)).to_string(), client, "{lines:?}");
    }

    #[test]
    fn the_nearest_who_is_not_trusted_is_the_client() {
        check(&[], "10.0.0.1");
        check(&["192.0.2.1"], "192.0.2.1");
        check(&["198.51.100.1, 192.0.2.1"], "192.0.2.1");
        check(&["198.51.100.1, 192.0.2.1, 10.0.0.2, fd00::1"], "192.0.2.1");
        check(&["198.51.100.1", "192.0.2.1", "10.0.0.2"], "192.0.2.1");
        check(&["192.0.2.1, ::ffff:10.0.0.2"], "192.0.2.1");
    }

    #[test]
    fn where_all_are_trusted_the_farthest_is_the_client() {
        check(&["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check(&["10.0.0.3", "10.0.0.2"], "10.0.0.3");
    }

    #[test]
    fn the_walk_ends_before_what_can_not_be_read() {
        check(&["unknown"], "10.0.0.1");
        check(&["192.0.2.1, unknown"], "10.0.0.1");
        check(&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2");
        check(&["192.0.2.1", "unix:", "10.0.0.2"], "10.0.0.2");
        check(&["nonsense, 192.0.2.1"], "192.0.2.1");
    }

    #[test]
    fn nobody_is_trusted_unless_named() {
        let local = PeerAddress::Ip("127.0.0.1".parse().unwrap());
        assert!(!proxies(&[]).trust(local) && !proxies(&[]).trust(PeerAddress::Unix));
        assert!(!proxies(&["unix:"]).trust(local) && proxies(&["unix:"]).trust(PeerAddress::Unix));
        assert!(proxies(&["127.0.0.1"]).trust(local) && !proxies(&["127.0.0.1"]).trust(PeerAddress::Unix));
    }
}
