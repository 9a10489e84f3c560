//! Addresses to listen on: what may be written for one, and which of `--listen`, `--host`, `--port` counts.
//!
//! It makes no socket and asks no resolver. `localhost` is the only name it knows, as 127.0.0.1.
//!
//! `--listen` replaces the pair of host and port as a whole. In one layer the two contradict each other;
//! across layers the higher one decides which of the two ways is meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::layer::Layers;
use crate::error::StartupError;

/// Where the server listens when nothing is said: every IPv4 address of the machine.
pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);

/// The addresses that the layers ask for, at least one, in the order they were written.
///
/// # Errors
/// [`StartupError::Usage`] where one layer has both ways, [`StartupError::Config`] for an address that can't
/// be read or is given twice; [`StartupError::Line`] for either in a file.
pub fn settle(layers: &Layers<'_>) -> Result<Vec<SocketAddr>, StartupError> {
    for layer in layers.0 {
        let pair = match (&layer.raw.host, &layer.raw.port) {
            (Some(_), _) => Some("host"),
            (None, Some(_)) => Some("port"),
            (None, None) => None,
        };
        match (&layer.raw.listen, pair) {
            (Some(_), Some(part)) => {
                return Err(layer.origin.contradiction("listen", part));
            }
            (Some(list), None) => {
                return all(list, |nth, text, why| layer.origin.refuse("listen", nth, text, why));
            }
            (None, Some(_)) => break,
            (None, None) => {}
        }
    }
    let host = layers.read("host", |raw| &raw.host, host)?.unwrap_or(DEFAULT.ip());
    let port = layers.read("port", |raw| &raw.port, port)?.unwrap_or(DEFAULT.port());
    Ok(vec![SocketAddr::new(host, port)])
}

fn all(
    list: &[String],
    refuse: impl Fn(usize, &str, String) -> StartupError,
) -> Result<Vec<SocketAddr>, StartupError> {
    let mut addresses = Vec::with_capacity(list.len());
    for (nth, text) in list.iter().enumerate() {
        let address = listen(text).map_err(|why| refuse(nth, text, why))?;
        // Port 0 is a new port each time, so it can't collide.
        if address.port() != 0 && addresses.contains(&address) {
            return Err(refuse(nth, text, format!("{address} is given twice")));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// The address under which this machine reaches a listener: a wildcard is no address to go to.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The address of the admin listener, at 127.0.0.1 where only a port is given; `None` for off.
///
/// # Errors
/// What may be written instead.
pub fn admin(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    read(text, Ipv4Addr::LOCALHOST.into())
        .map(Some)
        .ok_or_else(|| "expected ADDR:PORT, [IPv6]:PORT, :PORT, PORT or off".to_owned())
}

/// An address to listen on, at every IPv4 address of the machine where only a port is given.
///
/// # Errors
/// What may be written instead.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    read(text, DEFAULT.ip()).ok_or_else(|| {
        "expected ADDR:PORT, [IPv6]:PORT, :PORT or PORT (no name but localhost is looked up)".to_owned()
    })
}

/// `ADDR:PORT`, `[IPv6]:PORT`, or `:PORT` or `PORT` of a default address.
fn read(text: &str, default: IpAddr) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let parsed = match text.rsplit_once(':') {
        None => port(text).ok().map(|port| (default, port)),
        Some(("", number)) => port(number).ok().map(|port| (default, port)),
        Some(("localhost", number)) => port(number).ok().map(|port| (Ipv4Addr::LOCALHOST.into(), port)),
        Some(_) => None,
    };
    parsed.map(SocketAddr::from)
}

/// An address of version 4 or 6, the latter with or without brackets, or `localhost`.
fn host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    // Brackets around an IPv4 address are a slip, not an address.
    let parsed = match bare {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| "expected an IP address (no name but localhost is looked up)".to_owned())
}

fn port(text: &str) -> Result<u16, String> {
    super::units::integer(text, 0..=u16::MAX.into()).map(|number| number as u16)
}

#[cfg(test)]
mod tests {
    use super::super::cli::Raw;
    use super::super::layer::{Layer, Origin};
    use super::*;

    fn settled(layers: &[(Origin, &[&str])]) -> Result<String, String> {
        let layers: Vec<Layer> = layers
            .iter()
            .map(|(origin, flags)| {
                let raw = Raw::of(flags.iter().map(|flag| flag.into())).unwrap();
                Layer { origin: origin.clone(), raw }
            })
            .collect();
        match settle(&Layers(&layers)) {
            Ok(list) => Ok(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn an_address_may_be_written_in_these_ways() {
        for (flags, addresses) in [
            (&[][..], "0.0.0.0:8080"),
            (&["-p", "80"], "0.0.0.0:80"),
            (&["-a", "127.0.0.1"], "127.0.0.1:8080"),
            (&["-a", "localhost", "-p", "0"], "127.0.0.1:0"),
            (&["--host", "::1", "--port=81"], "[::1]:81"),
            (&["--host", "[::]"], "[::]:8080"),
            (&["--listen", "127.0.0.1:80"], "127.0.0.1:80"),
            (&["--listen", "[::]:80", "--listen", ":80"], "[::]:80 0.0.0.0:80"),
            (&["--listen", "80,localhost:81"], "0.0.0.0:80 127.0.0.1:81"),
            (&["--listen", "[fe80::1%2]:80"], "[fe80::1%2]:80"),
            (&["--listen", "0", "--listen", ":0"], "0.0.0.0:0 0.0.0.0:0"),
        ] {
            assert_eq!(settled(&[(Origin::Flag, flags)]).as_deref(), Ok(addresses), "{flags:?}");
        }
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
            ("off", Ok(None)),
            ("example.org:1", Err("expected ADDR:PORT, [IPv6]:PORT, :PORT, PORT or off")),
            ("on", Err("expected ADDR:PORT, [IPv6]:PORT, :PORT, PORT or off")),
        ] {
            let expected = match address {
                Ok(address) => Ok(address.map(|address| address.parse().unwrap())),
                Err(why) => Err(why.to_owned()),
            };
            assert_eq!(admin(text), expected, "{text}");
        }
    }

    #[test]
    fn a_bad_address_is_refused_with_its_flag() {
        for (flags, error) in [
            (&["-p", "65536"][..], "invalid value \"65536\" for --port: expected a number from 0 to 65535"),
            (&["-p", "+80"], "invalid value \"+80\" for --port: expected a number from 0 to 65535"),
            (&["-a", "example.org"], "invalid value \"example.org\" for --host: expected an IP address"),
            (&["-a", "[127.0.0.1]"], "invalid value \"[127.0.0.1]\" for --host: expected"),
            (&["--listen", "example.org:80"], "invalid value \"example.org:80\" for --listen: expected"),
            (&["--listen", "::1:80"], "invalid value \"::1:80\" for --listen: expected ADDR:PORT"),
            (&["--listen", "1.2.3.4"], "invalid value \"1.2.3.4\" for --listen: expected ADDR:PORT"),
            (&["--listen", "80:"], "invalid value \"80:\" for --listen: expected ADDR:PORT"),
            (
                &["--listen", "80", "--listen", ":80"],
                "invalid value \":80\" for --listen: 0.0.0.0:80 is given",
            ),
            (&["--listen", "80", "-a", "::"], "--listen and --host contradict each other"),
            (&["--listen", "80", "-p", "80"], "--listen and --port contradict each other"),
        ] {
            let found = settled(&[(Origin::Flag, flags)]).unwrap_err();
            assert!(found.starts_with(error), "{flags:?}: {found}");
        }
    }

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        for (listening, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:81", "[::1]:81"), ("192.0.2.1:82", "192.0.2.1:82")]
        {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn the_higher_layer_decides_between_listen_and_port() {
        let both = |flags, variables| settled(&[(Origin::Flag, flags), (Origin::Environment, variables)]);
        assert_eq!(both(&["-p", "81"], &["--host=::1"]).as_deref(), Ok("[::1]:81"));
        assert_eq!(both(&["-p", "81"], &["--listen=[::1]:80"]).as_deref(), Ok("0.0.0.0:81"));
        assert_eq!(both(&["--listen", "[::1]:80"], &["--port=81"]).as_deref(), Ok("[::1]:80"));
        assert_eq!(both(&["--listen", "80"], &["--port=bad"]).as_deref(), Ok("0.0.0.0:80"));
        assert_eq!(
            both(&[], &["--listen=80", "--port=80"]),
            Err("MAYHTTPD_LISTEN and MAYHTTPD_PORT contradict each other".to_owned())
        );
    }
}
