//! The names of listeners, by which a setting says on which of them connections begin with a PROXY header.
//!
//! It knows names, not sockets: the code that opens listeners finds out whether one has the name.

use std::fmt;
use std::net::SocketAddr;

use super::address::{self, ListenAddress};

/// A name of one listener or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerName {
    /// All of them.
    All,
    /// The listener that is opened at this address; port 0 names all whose port the kernel chooses.
    Address(ListenAddress),
    /// An inherited unix(7) socket, by the path of its file, or by `@` and its abstract name.
    Unix(String),
}

impl ListenerName {
    /// Reads `all`, an address as `--listen` has it, or `unix:PATH`.
    ///
    /// # Errors
    /// What is allowed.
    pub fn read(text: &str) -> Result<ListenerName, String> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(ListenerName::All);
        }
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with(['/', '@']) => Ok(ListenerName::Unix(path.to_owned())),
            Some(_) => Err("expected unix:/PATH, or unix:@NAME".to_owned()),
            None => address::listen(text).map(ListenerName::Address).map_err(|_| {
                "expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT or PORT of a listener, unix:/PATH, all, or off alone".to_owned()
            }),
        }
    }

    /// True if the listener that is opened at `address` has this name. A listener of both families has the
    /// names of both wildcards, and `PORT` beside a listener of IPv6 alone is the one of IPv4.
    pub fn matches(&self, address: ListenAddress) -> bool {
        let wildcard = |address: &SocketAddr| address.ip().is_unspecified();
        match self {
            ListenerName::All => true,
            ListenerName::Unix(_) => false,
            ListenerName::Address(named) => match (named, address) {
                (ListenAddress::Any(port), ListenAddress::Socket(address)) => {
                    *port == address.port() && wildcard(&address) && address.is_ipv4()
                }
                (ListenAddress::Socket(named), ListenAddress::Any(port)) => {
                    port == named.port() && wildcard(named)
                }
                (named, address) => *named == address,
            },
        }
    }

    /// True if an inherited socket that is bound to `address` has this name. The socket may be of both
    /// families.
    pub fn matches_inherited(&self, address: SocketAddr) -> bool {
        let any = address.ip().is_unspecified().then_some(ListenAddress::Any(address.port()));
        match self {
            ListenerName::Address(named) => *named == address.into() || any == Some(*named),
            other => other.matches(address.into()),
        }
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerName::All => f.write_str("all"),
            ListenerName::Address(address) => address.fmt(f),
            ListenerName::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_named_in_these_ways() {
        for (text, name) in [
            ("all", "all"),
            ("ALL", "all"),
            ("80", "*:80"),
            (":80", "*:80"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:81", "127.0.0.1:81"),
            ("[::]:80", "[::]:80"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock"),
            ("unix:@abstract", "unix:@abstract"),
        ] {
            let read = ListenerName::read(text).unwrap();
            assert_eq!(read.to_string(), name);
            assert_eq!(ListenerName::read(name).unwrap(), read);
        }
        for text in ["", "off", "on", "example.org:80", "/run/a.sock", "::1:80"] {
            let why = ListenerName::read(text).unwrap_err();
            assert!(why.starts_with("expected ADDR:PORT, "), "{text}: {why}");
        }
        for text in ["unix:", "unix:run/a.sock"] {
            assert_eq!(ListenerName::read(text).unwrap_err(), "expected unix:/PATH, or unix:@NAME");
        }
    }

    #[test]
    fn a_listener_of_both_families_has_the_names_of_both_wildcards() {
        let listen = |text: &str| address::listen(text).unwrap();
        for (name, own, inherited) in [
            ("80", &["*:80", "0.0.0.0:80"][..], &["0.0.0.0:80", "[::]:80"][..]),
            ("0.0.0.0:80", &["*:80", "0.0.0.0:80"], &["0.0.0.0:80"]),
            ("[::]:80", &["*:80", "[::]:80"], &["[::]:80"]),
            ("127.0.0.1:80", &["127.0.0.1:80"], &["127.0.0.1:80"]),
            ("0", &["*:0", "0.0.0.0:0"], &[]),
        ] {
            let name = ListenerName::read(name).unwrap();
            for address in
                ["*:80", "0.0.0.0:80", "[::]:80", "127.0.0.1:80", "*:81", "*:0", "0.0.0.0:0", "[::1]:80"]
            {
                assert_eq!(name.matches(listen(address)), own.contains(&address), "{name} {address}");
            }
            for address in ["0.0.0.0:80", "[::]:80", "127.0.0.1:80", "[::1]:80"] {
                let is_named = name.matches_inherited(address.parse().unwrap());
                assert_eq!(is_named, inherited.contains(&address), "{name} {address}");
            }
        }
    }
}
