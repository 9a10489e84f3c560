//! Addresses to listen on, and how they are written.
//!
//! It makes no socket and asks no resolver. `localhost` is the only name that it knows, as 127.0.0.1.
//!
//! A port without an address is every address of both families, written `*:PORT`. An address is itself:
//! `0.0.0.0` is IPv4 alone and `[::]` is IPv6 alone, so that both can stand side by side.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::value::{self, ListError};

/// Where the server listens by default: every address of the machine.
pub const DEFAULT: ListenAddress = ListenAddress::Any(8080);

/// The address of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of the machine at this port: IPv6 and IPv4, or IPv4 alone where the machine has no IPv6.
    Any(u16),
    /// This address. `[::]` is IPv6 alone.
    Socket(SocketAddr),
}

impl ListenAddress {
    /// The port; 0 is one that the kernel chooses.
    pub fn port(self) -> u16 {
        match self {
            ListenAddress::Any(port) => port,
            ListenAddress::Socket(address) => address.port(),
        }
    }

    /// True if IPv4 clients can reach it.
    pub fn has_ipv4(self) -> bool {
        match self {
            ListenAddress::Any(_) => true,
            ListenAddress::Socket(address) => address.is_ipv4(),
        }
    }

    /// True if IPv6 clients can reach it.
    pub fn has_ipv6(self) -> bool {
        match self {
            ListenAddress::Any(_) => true,
            ListenAddress::Socket(address) => address.is_ipv6(),
        }
    }

    /// True if the two share an address. Port 0 is a new port each time, so it is never shared.
    pub fn overlaps(self, other: ListenAddress) -> bool {
        if self.port() != other.port() || self.port() == 0 {
            return false;
        }
        match (self, other) {
            (ListenAddress::Any(_), _) | (_, ListenAddress::Any(_)) => true,
            (ListenAddress::Socket(one), ListenAddress::Socket(other)) => {
                let either_is_wild = one.ip().is_unspecified() || other.ip().is_unspecified();
                one == other || (one.is_ipv4() == other.is_ipv4() && either_is_wild)
            }
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> ListenAddress {
        ListenAddress::Socket(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Any(port) => write!(f, "*:{port}"),
            ListenAddress::Socket(address) => address.fmt(f),
        }
    }
}

/// The addresses of a list, in its order.
///
/// # Errors
/// The first text that is no address, or else the first address that overlaps an earlier one.
pub fn listen_all(texts: &[&str]) -> Result<Vec<ListenAddress>, ListError> {
    let mut addresses = value::each(texts, listen)?;
    let ipv6 = |port| ListenAddress::Socket(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    for nth in 0..addresses.len() {
        let ListenAddress::Any(port) = addresses[nth] else { continue };
        // Beside `[::]:80`, which has IPv6, `80` is IPv4 alone.
        if port != 0 && addresses.contains(&ipv6(port)) {
            addresses[nth] = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port).into();
        }
    }
    for (nth, address) in addresses.iter().enumerate() {
        let Some(other) = addresses[..nth].iter().find(|other| other.overlaps(*address)) else { continue };
        let why = match other == address {
            true => format!("{address} is given twice"),
            false => format!("{address} overlaps {other}"),
        };
        return Err((nth, why));
    }
    Ok(addresses)
}

/// The addresses of a list, none for `off` alone.
///
/// # Errors
/// As [`listen_all`].
pub fn listen_or_off(texts: &[&str]) -> Result<Vec<ListenAddress>, ListError> {
    match texts {
        [text] if text.eq_ignore_ascii_case("off") => Ok(Vec::new()),
        _ => listen_all(texts),
    }
}

/// Makes `addresses` a single one: the first with another host.
///
/// # Errors
/// What is allowed.
pub fn set_host(addresses: &mut Vec<ListenAddress>, text: &str) -> Result<(), String> {
    let port = addresses.first().unwrap_or(&DEFAULT).port();
    *addresses = vec![at(host(text)?, port)];
    Ok(())
}

/// Makes `addresses` a single one: the first with another port.
///
/// # Errors
/// What is allowed.
pub fn set_port(addresses: &mut Vec<ListenAddress>, text: &str) -> Result<(), String> {
    let port = port(text)?;
    *addresses = vec![match addresses.first() {
        Some(ListenAddress::Socket(address)) => SocketAddr::new(address.ip(), port).into(),
        _ => ListenAddress::Any(port),
    }];
    Ok(())
}

/// The address at which this machine reaches a listener, loopback for a wildcard.
pub fn reachable(address: impl Into<ListenAddress>) -> SocketAddr {
    let (ip, port) = match address.into() {
        ListenAddress::Any(port) => (Ipv4Addr::LOCALHOST.into(), port),
        ListenAddress::Socket(address) => (address.ip(), address.port()),
    };
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, port)
}

/// The address of the admin listener, at 127.0.0.1 for a port alone; `None` for off. Its `[::]` has both
/// families, so `*` is `[::]`.
///
/// # Errors
/// What is allowed.
pub fn admin(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match read(text, Some(Ipv4Addr::LOCALHOST.into())) {
        Some(ListenAddress::Socket(address)) => Ok(Some(address)),
        Some(ListenAddress::Any(port)) => Ok(Some(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))),
        None => Err("expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT, PORT or off".to_owned()),
    }
}

/// A host name in lower case, without a dot at the end.
///
/// # Errors
/// What is allowed.
pub fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.bytes().all(plain)
    };
    if name.len() < 254 && name.split('.').all(is_label) {
        return Ok(name.to_ascii_lowercase());
    }
    Err("expected a host name without a port, or off alone".to_owned())
}

/// An address to listen on: every address of the machine for a port alone.
///
/// # Errors
/// What is allowed.
pub fn listen(text: &str) -> Result<ListenAddress, String> {
    read(text, None).ok_or_else(|| {
        "expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT or PORT; the only host name allowed is localhost"
            .to_owned()
    })
}

/// `ADDR:PORT`, `[IPv6]:PORT`, `*:PORT` of every address, or `:PORT` or `PORT` of a default one.
fn read(text: &str, default: Option<IpAddr>) -> Option<ListenAddress> {
    if let Ok(address) = text.parse() {
        return Some(ListenAddress::Socket(address));
    }
    let (host, number) = match text.rsplit_once(':') {
        None | Some(("", _)) => (default, text.strip_prefix(':').unwrap_or(text)),
        Some(("*", number)) => (None, number),
        Some(("localhost", number)) => (Some(Ipv4Addr::LOCALHOST.into()), number),
        Some(_) => return None,
    };
    port(number).ok().map(|port| at(host, port))
}

/// A host and a port; without a host, every address.
fn at(host: Option<IpAddr>, port: u16) -> ListenAddress {
    host.map_or(ListenAddress::Any(port), |ip| SocketAddr::new(ip, port).into())
}

/// An address of version 4 or 6, the latter with or without brackets, or `localhost`; `None` is `*`, every
/// address.
fn host(text: &str) -> Result<Option<IpAddr>, String> {
    match text {
        "localhost" => return Ok(Some(Ipv4Addr::LOCALHOST.into())),
        "*" => return Ok(None),
        _ => {}
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // Brackets around an IPv4 address are a slip, not an address.
    let parsed = match bare {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok(),
    };
    parsed
        .map(Some)
        .ok_or_else(|| "expected an IP address or *; the only host name allowed is localhost".to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    value::number(text, 0..=u16::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addresses: &[ListenAddress]) -> String {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_address_may_be_written_in_these_ways() {
        for (texts, addresses) in [
            (&["127.0.0.1:80"][..], "127.0.0.1:80"),
            (&["[::]:80", ":80"], "[::]:80 0.0.0.0:80"),
            (&["80", "[::]:80"], "0.0.0.0:80 [::]:80"),
            (&["80", "localhost:81"], "*:80 127.0.0.1:81"),
            (&["*:80", "[::1]:81", "[::]:82"], "*:80 [::1]:81 [::]:82"),
            (&["0.0.0.0:80", "[::1]:80"], "0.0.0.0:80 [::1]:80"),
            (&["[fe80::1%2]:80"], "[fe80::1%2]:80"),
            (&["0", ":0"], "*:0 *:0"),
        ] {
            assert_eq!(shown(&listen_all(texts).unwrap()), addresses, "{texts:?}");
        }
    }

    #[test]
    fn a_host_and_a_port_make_an_address() {
        for (host, port, address) in [
            ("*", "80", "*:80"),
            ("0.0.0.0", "80", "0.0.0.0:80"),
            ("localhost", "0", "127.0.0.1:0"),
            ("::1", "81", "[::1]:81"),
            ("[::]", "8080", "[::]:8080"),
        ] {
            let (mut host_first, mut port_first) = (vec![DEFAULT], vec![DEFAULT]);
            set_host(&mut host_first, host).and_then(|()| set_port(&mut host_first, port)).unwrap();
            set_port(&mut port_first, port).and_then(|()| set_host(&mut port_first, host)).unwrap();
            assert_eq!(shown(&host_first), address);
            assert_eq!(host_first, port_first, "{address}");
        }
    }

    #[test]
    fn a_host_name_has_no_port_and_is_compared_in_lower_case() {
        for (text, expected) in [
            ("status", Some("status")),
            ("Status.Example.ORG.", Some("status.example.org")),
            ("a-b_c.1", Some("a-b_c.1")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a:9000", None),
            ("http://a", None),
            ("a b", None),
            ("*.example.org", None),
            ("[::1]", None),
        ] {
            assert_eq!(host_name(text).ok().as_deref(), expected, "{text}");
        }
        assert!(host_name(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn the_admin_listener_is_local_unless_an_address_is_given() {
        for (text, address) in [
            ("9000", Ok(Some("127.0.0.1:9000"))),
            (":9000", Ok(Some("127.0.0.1:9000"))),
            ("0", Ok(Some("127.0.0.1:0"))),
            ("localhost:9000", Ok(Some("127.0.0.1:9000"))),
            ("0.0.0.0:9000", Ok(Some("0.0.0.0:9000"))),
            ("[::1]:9000", Ok(Some("[::1]:9000"))),
            ("*:9000", Ok(Some("[::]:9000"))),
            ("off", Ok(None)),
            ("example.org:1", Err("expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT, PORT or off")),
            ("on", Err("expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT, PORT or off")),
        ] {
            let expected = match address {
                Ok(address) => Ok(address.map(|address| address.parse().unwrap())),
                Err(why) => Err(why.to_owned()),
            };
            assert_eq!(admin(text), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_address_or_overlaps_is_told_with_its_number() {
        for (texts, nth, why) in [
            (&["example.org:80"][..], 0, "expected ADDR:PORT, [IPv6]:PORT, *:PORT, :PORT or PORT"),
            (&["80", "80", "::1:80"], 2, "expected ADDR:PORT"),
            (&["1.2.3.4"], 0, "expected ADDR:PORT"),
            (&["80:"], 0, "expected ADDR:PORT"),
            (&["80", ":80"], 1, "*:80 is given twice"),
            (&["0.0.0.0:80", "80"], 1, "*:80 overlaps 0.0.0.0:80"),
            (&["80", "[::1]:80"], 1, "[::1]:80 overlaps *:80"),
            (&["127.0.0.1:80", "0.0.0.0:80"], 1, "0.0.0.0:80 overlaps 127.0.0.1:80"),
        ] {
            let (found, reason) = listen_all(texts).unwrap_err();
            assert!(found == nth && reason.starts_with(why), "{texts:?}: {found} {reason}");
        }
        for text in ["65536", "+80", "", "http"] {
            assert_eq!(set_port(&mut vec![DEFAULT], text).unwrap_err(), "expected a number from 0 to 65535");
        }
        for text in ["example.org", "[127.0.0.1]", ""] {
            assert!(
                set_host(&mut vec![DEFAULT], text).unwrap_err().starts_with("expected an IP address or *")
            );
        }
    }

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        for (listening, reached) in [
            ("80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:81", "[::1]:81"),
            ("192.0.2.1:82", "192.0.2.1:82"),
        ] {
            assert_eq!(reachable(listen(listening).unwrap()).to_string(), reached);
        }
    }
}
