//! The syntax of a Host field and of the authority in an absolute target.
//!
//! It compares no names. A comma is legal in a name (RFC 3986 §3.2.2) but
//! refused here: a proxy that joins two Host lines makes `a, b` of them.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::str::{self, FromStr};

use memchr::memchr;

/// True if `value` is `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2), or empty.
///
/// An empty value means that the target has no host. A port without a host is refused.
pub fn is_valid(value: &[u8]) -> bool {
    if value.is_empty() {
        return true;
    }
    if let Some(rest) = value.strip_prefix(b"[") {
        return memchr(b']', rest).is_some_and(|end| is_ipv6(&rest[..end]) && is_port_part(&rest[end + 1..]));
    }
    let end = memchr(b':', value).unwrap_or(value.len());
    is_name(&value[..end]) && is_port_part(&value[end..])
}

/// The host of a valid authority as names are compared: without its port and a dot at its end, in lower case.
pub fn name(authority: &[u8]) -> Cow<'_, [u8]> {
    let end = match authority.first() {
        Some(b'[') => memchr(b']', authority).map_or(authority.len(), |end| end + 1),
        _ => memchr(b':', authority).unwrap_or(authority.len()),
    };
    let name = &authority[..end];
    let name = name.strip_suffix(b".").unwrap_or(name);
    match name.iter().any(u8::is_ascii_uppercase) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// RFC 3986 §3.2.3: the port may be empty after its colon.
fn is_port_part(part: &[u8]) -> bool {
    part.is_empty() || part.strip_prefix(b":").is_some_and(|port| port.iter().all(u8::is_ascii_digit))
}

/// `IPvFuture` and zones do not parse as an address, and are refused.
fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|address| Ipv6Addr::from_str(address).is_ok())
}

/// `reg-name`, which includes IPv4 addresses. Each `%` needs two hex digits.
fn is_name(name: &[u8]) -> bool {
    let mut parts = name.split(|&byte| byte == b'%');
    let plain = |part: &[u8]| part.iter().all(|&byte| is_plain(byte));
    let escaped = |part: &[u8]| match part {
        [high, low, rest @ ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && plain(rest),
        _ => false,
    };
    !name.is_empty() && parts.next().is_some_and(plain) && parts.all(escaped)
}

/// `unreserved / sub-delims`, except the comma.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: bool, values: &[&[u8]]) {
        for value in values {
            assert_eq!(is_valid(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn names_and_addresses_are_valid() {
        check(
            true,
            &[
                b"",
                b"x",
                b"example.com",
                b"EXAMPLE.Com",
                b"example.com.",
                b"foo_bar.example",
                b"xn--bcher-kva",
            ],
        );
        check(
            true,
            &[b"10.1.2.3", b"10.1.2.3:80", b"a-b~c", b"!$&'()*+;=", b"a%20b", b"%C3%bc.example:8080"],
        );
        check(true, &[b"[::1]", b"[::1]:80", b"[::1]:", b"[2001:db8::7]", b"[::ffff:10.1.2.3]:8080"]);
    }

    #[test]
    fn a_port_is_any_number_of_digits() {
        check(true, &[b"example.com:", b"example.com:8080", b"example.com:0", b"example.com:99999999"]);
        check(
            false,
            &[b"example.com:80x", b"example.com:-80", b"example.com:+80", b"example.com:80:80", b"a: 80"],
        );
        check(false, &[b":", b":80", b"[::1]80", b"[::1]:8x", b"[::1]::80"]);
    }

    #[test]
    fn what_belongs_to_other_parts_of_a_url_is_refused() {
        check(
            false,
            &[
                b"a/b",
                b"/",
                b"user@example.com",
                b"a?b",
                b"a#b",
                b"a\\b",
                b"http://a",
                b"a.example, b.example",
            ],
        );
        check(
            false,
            &[
                b"exa mple.com",
                b" ",
                b"a\tb",
                b"a\x01b",
                b"a\x00b",
                b"a\x7fb",
                b"a\xe9b",
                b"a,b",
                b"<a>",
                b"\"a\"",
            ],
        );
    }

    #[test]
    fn a_percent_sign_needs_two_digits() {
        check(false, &[b"a%zz", b"a%", b"a%2", b"a%2:80", b"%%20", b"a%2g", b"a%20%"]);
    }

    #[test]
    fn a_bracket_encloses_an_ipv6_address() {
        check(
            false,
            &[
                b"[::1",
                b"::1",
                b"[]",
                b"[::1]]",
                b"[[::1]]",
                b"[1.2.3.4]",
                b"[v1.fe80::a]",
                b"[fe80::1%25eth0]",
            ],
        );
        check(false, &[b"[:::1]", b"[12345::]", b"[example.com]", b"a[::1]", b"]", b"[", b"[\xff]"]);
    }
}
