//! What stands in front of the server: which listeners a balancer announces its clients on, which proxies may speak for
//! others, and in which field they do.
//!
//! It knows names of listeners, not sockets; whether there is one of that name is found out where they are opened.

use std::fmt;
use std::net::SocketAddr;

use super::address;

/// A name of listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenerName {
    /// All of them.
    All,
    /// The one at this address, as it is asked for; port 0 names all at that address that have it from the kernel.
    Address(SocketAddr),
    /// A unix(7) socket that was passed on, by the path of its file, or by `@` and its abstract name.
    Unix(String),
}

/// The field in which trusted proxies say whom they pass a request on for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum RealIpHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
    /// `X-Real-IP`.
    XRealIp,
}

impl ListenerName {
    /// A name as it is written: `all`, an address as `--listen` has it, or `unix:PATH`.
    ///
    /// # Errors
    /// What may be written instead.
    pub fn read(text: &str) -> Result<ListenerName, String> {
        if text.eq_ignore_ascii_case("all") {
            return Ok(ListenerName::All);
        }
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with(['/', '@']) => Ok(ListenerName::Unix(path.to_owned())),
            Some(_) => Err("expected unix:/PATH, or unix:@NAME".to_owned()),
            None => address::listen(text).map(ListenerName::Address).map_err(|_| {
                "expected ADDR:PORT, [IPv6]:PORT, :PORT or PORT of a listener, unix:/PATH, all, or off alone".to_owned()
            }),
        }
    }

    /// Whether it is the name of the listener that is asked for at `address`.
    pub fn is_of(&self, address: SocketAddr) -> bool {
        match self {
            ListenerName::All => true,
            ListenerName::Address(named) => *named == address,
            ListenerName::Unix(_) => false,
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

impl RealIpHeader {
    /// A field's name, in any case.
    ///
    /// # Errors
    /// What may be written instead.
    pub fn read(text: &str) -> Result<RealIpHeader, String> {
        match text.to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(RealIpHeader::XForwardedFor),
            "forwarded" => Ok(RealIpHeader::Forwarded),
            "x-real-ip" => Ok(RealIpHeader::XRealIp),
            _ => Err("expected x-forwarded-for, forwarded or x-real-ip".to_owned()),
        }
    }

    /// The name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            RealIpHeader::XForwardedFor => "x-forwarded-for",
            RealIpHeader::Forwarded => "forwarded",
            RealIpHeader::XRealIp => "x-real-ip",
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
            ("80", "0.0.0.0:80"),
            (":80", "0.0.0.0:80"),
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
    fn a_field_is_named_in_any_case() {
        for field in [RealIpHeader::XForwardedFor, RealIpHeader::Forwarded, RealIpHeader::XRealIp] {
            assert_eq!(RealIpHeader::read(field.name()), Ok(field));
            assert_eq!(RealIpHeader::read(&field.name().to_uppercase()), Ok(field));
        }
        assert!(RealIpHeader::read("x_real_ip").is_err() && RealIpHeader::read("").is_err());
    }
}
