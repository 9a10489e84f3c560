//! Networks: who is in them, and who may have something by a list of those that are allowed and denied, in the order in
//! which they are asked.
//!
//! It knows addresses, not clients: who a client is, is for whoever asks to say. The subtle rule, nginx's: the first network
//! that holds the address decides, and an address that none holds is allowed.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Some addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Every client, one without an address included.
    All,
    /// Every client at a unix(7) socket, which has no address.
    Unix,
    /// Those in this network; a single address is a network of one. Its address has no bits beyond the prefix.
    Addresses(IpNet),
}

/// Networks whose order says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

impl Networks {
    /// Whether one of them holds a client; none is a client without an address.
    pub fn hold(&self, client: Option<IpAddr>) -> bool {
        let client = canonical(client);
        self.0.iter().any(|network| network.holds(client))
    }
}

/// A network, and what holds of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Who.
    pub network: Network,
    /// Whether they may.
    pub allow: bool,
}

/// Rules in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessList(pub Vec<Rule>);

impl AccessList {
    /// Whether a client may; none is a client without an address, as at a unix(7) socket.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let client = canonical(client);
        let rule = self.0.iter().find(|rule| rule.network.holds(client));
        rule.is_none_or(|rule| rule.allow)
    }

    /// The earlier rule that keeps this one, which says otherwise, from ever being asked.
    pub fn hides(&self, rule: &Rule) -> Option<&Rule> {
        self.0.iter().find(|earlier| earlier.allow != rule.allow && earlier.network.contains(rule.network))
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn canonical(client: Option<IpAddr>) -> Option<IpAddr> {
    client.map(|address| address.to_canonical())
}

impl Network {
    /// A network as it is written: `10.0.0.0/8`, `fd00::/8`, an address, `unix:` or `all`.
    ///
    /// # Errors
    /// What may be written instead.
    pub fn read(text: &str) -> Result<Network, String> {
        match text {
            "all" => return Ok(Network::All),
            "unix:" => return Ok(Network::Unix),
            _ => {}
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network::Addresses(address.into()));
        }
        let network: IpNet = text
            .parse()
            .map_err(|_| "expected a network as 10.0.0.0/8, an IP address, unix: or all".to_owned())?;
        if network.addr() != network.network() {
            let (whole, one) = (network.trunc(), network.addr());
            return Err(format!("has bits beyond its prefix: expected {whole}, or {one} alone"));
        }
        Ok(Network::Addresses(network))
    }

    fn holds(self, client: Option<IpAddr>) -> bool {
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
        let rule = |&(allow, text): &(bool, &str)| Rule { network: Network::read(text).unwrap(), allow };
        AccessList(rules.iter().map(rule).collect())
    }

    #[test]
    fn the_first_network_that_holds_the_client_decides() {
        let office = &[(true, "10.0.0.0/8"), (true, "fd00::/8"), (false, "all")][..];
        let but_one = &[(false, "10.1.2.3"), (false, "2001:db8::/32")][..];
        for (rules, client, admitted) in [
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
            assert_eq!(list(rules).admits(Some(client)), admitted, "{rules:?} {client}");
        }
        assert!(!list(office).admits(None) && list(but_one).admits(None));
        let local = &[(true, "unix:"), (false, "all")];
        assert!(list(local).admits(None) && !list(local).admits("127.0.0.1".parse().ok()));
    }

    #[test]
    fn networks_hold_whoever_is_in_one_of_them() {
        let networks =
            |texts: &[&str]| Networks(texts.iter().map(|text| Network::read(text).unwrap()).collect());
        for (texts, client, held) in [
            (&[][..], "127.0.0.1", false),
            (&["127.0.0.1", "10.0.0.0/8"], "10.1.2.3", true),
            (&["127.0.0.1", "10.0.0.0/8"], "::ffff:10.1.2.3", true),
            (&["127.0.0.1", "10.0.0.0/8"], "11.1.2.3", false),
            (&["all"], "::1", true),
            (&["unix:"], "127.0.0.1", false),
        ] {
            assert_eq!(networks(texts).hold(client.parse().ok()), held, "{texts:?} {client}");
        }
        assert!(networks(&["::1", "unix:"]).hold(None) && networks(&["all"]).hold(None));
        assert!(!networks(&["0.0.0.0/0", "::/0"]).hold(None) && !networks(&[]).hold(None));
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
    fn a_rule_behind_its_opposite_is_found() {
        let rules = list(&[(true, "10.0.0.0/8"), (false, "all")]);
        let hidden = |allow, text| {
            let rule = Rule { network: Network::read(text).unwrap(), allow };
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
