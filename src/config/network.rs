//! Networks of addresses, and lists of networks that are allowed and denied.
//!
//! It knows addresses, not clients: the caller finds the address of a client. As in nginx the first network
//! with the address decides, and an address in no network is allowed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// Bits of an IPv4-mapped IPv6 address before the IPv4 address (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A set of client addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Every client, also one without an address.
    All,
    /// Every client at a unix(7) socket, which has no address.
    Unix,
    /// A network, or a single address as a network of one. **Invariant:** no bits are set beyond the prefix.
    Addresses(IpNet),
}

/// Networks in no particular order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// True if a client is in one of them; `None` is a client without an address.
    pub fn contain(&self, client: Option<IpAddr>) -> bool {
        let client = canonical(client);
        self.0.iter().any(|network| network.has(client))
    }
}

/// A line of an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessRule {
    /// Which clients.
    pub network: Network,
    /// True if they are allowed, false if denied.
    pub allow: bool,
}

/// Rules in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessList(pub Vec<AccessRule>);

impl AccessList {
    /// True if a client is allowed; `None` is a client without an address, as at a unix(7) socket.
    pub fn allows(&self, client: Option<IpAddr>) -> bool {
        let client = canonical(client);
        let rule = self.0.iter().find(|rule| rule.network.has(client));
        rule.is_none_or(|rule| rule.allow)
    }

    /// An earlier rule with the opposite meaning that contains all of this one, so that this one never
    /// applies.
    pub fn hides(&self, rule: &AccessRule) -> Option<&AccessRule> {
        self.0.iter().find(|earlier| earlier.allow != rule.allow && earlier.network.contains(rule.network))
    }
}

/// The IPv4 address of an IPv4 client at an IPv6 socket.
fn canonical(client: Option<IpAddr>) -> Option<IpAddr> {
    client.map(|address| address.to_canonical())
}

/// The network of IPv4 addresses, if `network` has only IPv4-mapped addresses; otherwise `network`.
///
/// # Errors
/// If it has IPv4-mapped addresses and others. `::/0` is all of IPv6 and no error.
fn as_ipv4(network: IpNet) -> Result<IpNet, String> {
    let IpNet::V6(ipv6) = network else { return Ok(network) };
    if let (Some(address), Some(bits)) =
        (ipv6.addr().to_ipv4_mapped(), ipv6.prefix_len().checked_sub(MAPPED_BITS))
    {
        return Ok(Ipv4Net::new_assert(address, bits).into());
    }
    let has_mapped = ipv6.contains(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped());
    if has_mapped && ipv6.prefix_len() > 0 {
        return Err(
            "has IPv4 addresses and others: expected ::/0 for IPv6, 0.0.0.0/0 for IPv4, or all".to_owned()
        );
    }
    Ok(network)
}

impl Network {
    /// Reads `10.0.0.0/8`, `fd00::/8`, an address, `unix:` or `all`. A network of IPv4-mapped addresses (RFC
    /// 4291 §2.5.5.2), `::ffff:10.0.0.0/104`, is the network of these IPv4 addresses.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read(text: &str) -> Result<Network, String> {
        match text {
            "all" => return Ok(Network::All),
            "unix:" => return Ok(Network::Unix),
            _ => {}
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network::Addresses(address.to_canonical().into()));
        }
        let network: IpNet = text
            .parse()
            .map_err(|_| "expected a network as 10.0.0.0/8, an IP address, unix: or all".to_owned())?;
        let network = as_ipv4(network)?;
        if network.addr() != network.network() {
            let (whole, one) = (network.trunc(), network.addr());
            return Err(format!("has bits beyond its prefix: expected {whole}, or {one} alone"));
        }
        Ok(Network::Addresses(network))
    }

    fn has(self, client: Option<IpAddr>) -> bool {
        match self {
            Network::All => true,
            Network::Unix => client.is_none(),
            Network::Addresses(network) => client.is_some_and(|address| network.contains(&address)),
        }
    }

    fn contains(self, other: Network) -> bool {
        match (self, other) {
            (Network::All, _) | (Network::Unix, Network::Unix) => true,
            (Network::Addresses(network), Network::Addresses(other)) => network.contains(&other),
            (Network::Addresses(_), Network::All | Network::Unix)
            | (Network::Unix, Network::All | Network::Addresses(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::All => f.write_str("all"),
            Network::Unix => f.write_str("unix:"),
            Network::Addresses(one) if one.prefix_len() == one.max_prefix_len() => one.addr().fmt(f),
            Network::Addresses(network) => network.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rules: &[(bool, &str)]) -> AccessList {
        let rule =
            |&(allow, text): &(bool, &str)| AccessRule { network: Network::read(text).unwrap(), allow };
        AccessList(rules.iter().map(rule).collect())
    }

    #[test]
    fn the_first_network_with_the_client_decides() {
        let office = &[(true, "10.0.0.0/8"), (true, "fd00::/8"), (false, "all")][..];
        let but_one = &[(false, "10.1.2.3"), (false, "2001:db8::/32")][..];
        for (rules, client, allowed) in [
            (&[][..], "192.0.2.1", true),
            (office, "10.255.255.255", true),
            (office, "11.0.0.0", false),
            (office, "fdff::1", true),
            (office, "fe80::1", false),
            (office, "::ffff:10.0.0.1", true),
            (office, "::ffff:11.0.0.1", false),
            (but_one, "10.1.2.3", false),
            (but_one, "10.1.2.4", true),
            (but_one, "2001:db8::1", false),
            (but_one, "2001:db9::1", true),
            (&[(false, "0.0.0.0/0")], "2001:db8::1", true),
            (&[(false, "::/0")], "192.0.2.1", true),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(list(rules).allows(Some(client)), allowed, "{rules:?} {client}");
        }
        assert!(!list(office).allows(None) && list(but_one).allows(None));
        let local = &[(true, "unix:"), (false, "all")];
        assert!(list(local).allows(None) && !list(local).allows("127.0.0.1".parse().ok()));
    }

    #[test]
    fn networks_contain_a_client_of_any_of_them() {
        let networks =
            |texts: &[&str]| Networks(texts.iter().map(|text| Network::read(text).unwrap()).collect());
        for (texts, client, contained) in [
            (&[][..], "127.0.0.1", false),
            (&["127.0.0.1", "10.0.0.0/8"], "10.1.2.3", true),
            (&["127.0.0.1", "10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["127.0.0.1", "10.0.0.0/8"], "11.1.2.3", false),
            (&["all"], "::1", true),
            (&["unix:"], "127.0.0.1", false),
        ] {
            assert_eq!(networks(texts).contain(client.parse().ok()), contained, "{texts:?} {client}");
        }
        assert!(networks(&["::1", "unix:"]).contain(None) && networks(&["all"]).contain(None));
        assert!(!networks(&["0.0.0.0/0", "::/0"]).contain(None) && !networks(&[]).contain(None));
    }

    #[test]
    fn a_network_is_written_in_these_ways() {
        for text in ["all", "unix:", "10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1", "0.0.0.0/0"] {
            assert_eq!(Network::read(text).unwrap().to_string(), text);
        }
        assert_eq!(Network::read("192.0.2.1/32").unwrap().to_string(), "192.0.2.1");
        for text in [
            "",
            "ALL",
            "unix",
            "unix:/run/x",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "localhost",
            "10.0.0.0/255.0.0.0",
        ] {
            let why = Network::read(text).unwrap_err();
            assert_eq!(why, "expected a network as 10.0.0.0/8, an IP address, unix: or all", "{text}");
        }
        let why = Network::read("10.0.0.1/8").unwrap_err();
        assert_eq!(why, "has bits beyond its prefix: expected 10.0.0.0/8, or 10.0.0.1 alone");
    }

    #[test]
    fn a_network_of_mapped_addresses_is_one_of_ipv4() {
        for (text, network) in [
            ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
            ("::ffff:7f00:0/104", "127.0.0.0/8"),
            ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
            ("::ffff:192.0.2.1/128", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::FFFF:c000:201", "192.0.2.1"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("::ffff:128.0.0.0/97", "128.0.0.0/1"),
            // Neither of these has a mapped address.
            ("::/96", "::/96"),
            ("::/81", "::/81"),
            ("::fffe:0:0/96", "::fffe:0:0/96"),
            ("64:ff9b::/96", "64:ff9b::/96"),
            ("::ffff:0:0:0/96", "::ffff:0:0:0/96"),
            ("::1", "::1"),
            ("::7f00:1", "::127.0.0.1"),
        ] {
            let read = Network::read(text).unwrap();
            assert_eq!(read, Network::read(network).unwrap(), "{text}");
            assert_eq!(Network::read(&read.to_string()).unwrap(), read, "{text}");
        }
        let deny = list(&[(false, "::ffff:127.0.0.0/104")]);
        for (client, allowed) in
            [("127.0.0.1", false), ("::ffff:127.9.9.9", false), ("128.0.0.1", true), ("::1", true)]
        {
            assert_eq!(deny.allows(client.parse().ok()), allowed, "{client}");
        }
        let all = list(&[(true, "10.0.0.0/8"), (false, "::/0"), (false, "0.0.0.0/0")]);
        assert!(
            all.hides(&AccessRule { network: Network::read("::ffff:10.1.0.0/112").unwrap(), allow: false })
                .is_some()
        );
    }

    #[test]
    fn a_network_of_ipv4_addresses_and_others_is_refused() {
        for text in [
            "::ffff:0:0/95",
            "::fffe:0:0/95",
            "::/80",
            "::/64",
            "::/8",
            "::/1",
            "::ffff:0.0.0.0/81",
            "::ffff:127.0.0.0/95",
        ] {
            let why = Network::read(text).unwrap_err();
            assert!(why.starts_with("has IPv4 addresses and others"), "{text}: {why}");
        }
        let why = Network::read("::ffff:10.0.0.1/104").unwrap_err();
        assert_eq!(why, "has bits beyond its prefix: expected 10.0.0.0/8, or 10.0.0.1 alone");
        assert!(Network::read("::/0").is_ok());
    }

    #[test]
    fn a_rule_behind_its_opposite_is_found() {
        let rules = list(&[(true, "10.0.0.0/8"), (false, "all")]);
        let hidden = |allow, text| {
            let rule = AccessRule { network: Network::read(text).unwrap(), allow };
            rules.hides(&rule).map(|earlier| earlier.network.to_string())
        };
        assert_eq!(hidden(false, "10.1.0.0/16").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(hidden(true, "::1").as_deref(), Some("all"));
        assert_eq!(hidden(true, "10.1.0.0/16").as_deref(), Some("all"));
        assert_eq!(hidden(true, "unix:").as_deref(), Some("all"));
        assert_eq!(hidden(false, "::1"), None);
        assert_eq!(hidden(false, "unix:"), None);
    }
}
