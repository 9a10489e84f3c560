//! Which requests the admin process answers, by their host.
//!
//! A page of any site can have a browser ask for http://its-name:9000/, after its name server has named
//! 127.0.0.1 as the address (DNS rebinding). The browser then lets the page read the answer, since the name
//! is the page's own, and sends that name in Host. So at a loopback address a request has to be for an IP
//! address, for localhost, or for a name that the settings allow.

use std::net::Ipv4Addr;

use crate::http::host;

/// Whether a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Answer,
    /// 400: it has no valid host (RFC 9112 §3.2).
    Bad,
    /// 421: it is for another server (RFC 9110 §15.5.20).
    Misdirected,
}

/// The authority and the path of a target. An origin form has no authority (RFC 9112 §3.2).
pub fn split(target: &str) -> (Option<&str>, &str) {
    let Some(rest) =
        ["http://", "https://"].iter().find_map(|scheme| strip_prefix_of_any_case(target, scheme))
    else {
        return (None, target);
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = if rest[end..].starts_with('/') { &rest[end..] } else { "/" };
    (Some(&rest[..end]), path)
}

/// Judges a request by the authority of its target, its Host fields, and the version of HTTP/1 that it is in.
/// `names` are the names that a connection to a loopback address may be for; `None` for a connection to
/// another address.
pub fn judge<'a>(
    authority: Option<&str>,
    mut hosts: impl Iterator<Item = &'a [u8]>,
    version: u8,
    names: Option<&[String]>,
) -> Verdict {
    let (host, second) = (hosts.next(), hosts.next());
    let valid = host.is_none_or(host::is_valid)
        && authority.is_none_or(|authority| !authority.is_empty() && host::is_valid(authority.as_bytes()));
    if second.is_some() || !valid || (host.is_none() && version > 0) {
        return Verdict::Bad;
    }
    // A target's authority counts, whatever Host says (RFC 9112 §3.2.2). HTTP/1.0 has no Host, and no browser
    // sends it.
    let meant = authority.map(str::as_bytes).or(host);
    match (meant, names) {
        (Some(meant), Some(names)) if !is_ours(meant, names) => Verdict::Misdirected,
        _ => Verdict::Answer,
    }
}

/// True for an IP address, for localhost and for one of `names`, with or without a port.
fn is_ours(host: &[u8], names: &[String]) -> bool {
    // A valid host begins with a bracket where it is an IPv6 address.
    let Ok(host) = std::str::from_utf8(host) else { return false };
    if host.starts_with('[') {
        return true;
    }
    let name = host.split(':').next().unwrap_or_default();
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    let name = name.strip_suffix('.').unwrap_or(name);
    is_address
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn strip_prefix_of_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, hosts: &[&str], version: u8, expected: Verdict) {
        let names = ["status.example".to_owned()];
        let (authority, _) = split(target);
        let found = judge(authority, hosts.iter().map(|host| host.as_bytes()), version, Some(&names));
        assert_eq!(found, expected, "{target} {hosts:?} HTTP/1.{version}");
    }

    #[test]
    fn ip_addresses_localhost_and_allowed_names_are_answered_with_any_port() {
        for name in [
            "127.0.0.1",
            "10.1.2.3",
            "[::1]",
            "[2001:db8::7]",
            "localhost",
            "LocalHost",
            "localhost.",
            "status.example",
        ] {
            for port in ["", ":", ":9000", ":1"] {
                check("/status", &[&format!("{name}{port}")], 1, Verdict::Answer);
            }
        }
        check("/", &["STATUS.example."], 1, Verdict::Answer);
    }

    #[test]
    fn other_names_are_misdirected() {
        for host in [
            "",
            "evil.example",
            "evil.example:9000",
            "foo.localhost",
            "localhost.evil.example",
            "xlocalhost",
            "localhost..",
            "127.0.0.1.",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.evil.example",
            "example",
            "other.status.example",
            "%6cocalhost",
        ] {
            check("/", &[host], 1, Verdict::Misdirected);
            check("/", &[host], 0, Verdict::Misdirected);
        }
    }

    #[test]
    fn a_request_has_one_valid_host() {
        check("/", &[], 1, Verdict::Bad);
        check("/", &[], 0, Verdict::Answer);
        for hosts in [
            &["localhost", "localhost"][..],
            &["localhost", "evil.example"],
            &["localhost, evil.example"],
            &["user@localhost"],
            &["localhost:x"],
            &["::1"],
            &["[::1"],
            &["[localhost]"],
            &["local host"],
        ] {
            check("/", hosts, 1, Verdict::Bad);
            check("/", hosts, 0, Verdict::Bad);
        }
    }

    #[test]
    fn the_authority_of_the_target_counts_where_there_is_one() {
        check("http://evil.example/", &["localhost"], 1, Verdict::Misdirected);
        check("HTTP://evil.example:9000?x", &["localhost"], 1, Verdict::Misdirected);
        check("http://localhost:9000/status", &["localhost:9000"], 1, Verdict::Answer);
        check("http://localhost@evil.example/", &["localhost"], 1, Verdict::Bad);
        check("http:///status", &["localhost"], 1, Verdict::Bad);
        check("http://localhost/", &["localhost", "localhost"], 1, Verdict::Bad);
        for (target, authority, path) in [
            ("/status?x", None, "/status?x"),
            ("http://a/status", Some("a"), "/status"),
            ("hTTps://a:1", Some("a:1"), "/"),
            ("http://a?x", Some("a"), "/"),
            ("ftp://a/", None, "ftp://a/"),
            ("*", None, "*"),
        ] {
            assert_eq!(split(target), (authority, path), "{target}");
        }
    }

    #[test]
    fn any_name_is_answered_at_an_address_that_is_no_loopback() {
        for host in ["evil.example", "status:9000", ""] {
            assert_eq!(judge(None, [host.as_bytes()].into_iter(), 1, None), Verdict::Answer, "{host}");
        }
        assert_eq!(judge(None, std::iter::empty(), 1, None), Verdict::Bad);
    }
}
