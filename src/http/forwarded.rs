//! The addresses of clients in the fields that proxies add: `Forwarded` (RFC 7239), `X-Forwarded-For`,
//! `X-Real-IP`.
//!
//! It reads addresses and trusts none. Which proxies are trusted is decided in `connection`.
//!
//! Each proxy adds to the right of the list, so a list is read from the right. **Invariant:** what a client
//! wrote to the left, such as an open quotation mark, does not change what is read on the right.

use std::net::{IpAddr, Ipv6Addr};

use crate::http::fields::{self, Fields};

/// A field in which a proxy writes the address of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardingField {
    /// `Forwarded`, RFC 7239. Its parameter `for` is read.
    Forwarded,
    /// `X-Forwarded-For`: a list of addresses, the client's first.
    XForwardedFor,
    /// `X-Real-IP`: one address.
    XRealIp,
}

impl ForwardingField {
    fn name(self) -> &'static str {
        match self {
            ForwardingField::Forwarded => "Forwarded",
            ForwardingField::XForwardedFor => "X-Forwarded-For",
            ForwardingField::XRealIp => "X-Real-IP",
        }
    }

    /// The addresses in the field, the right-most first. All lines are one list. `None` is a member without a
    /// readable address. Empty members are skipped (RFC 9110 §5.6.1.2).
    pub fn nodes<'a>(self, fields: &Fields<'a>) -> impl Iterator<Item = Option<IpAddr>> {
        let members = fields.lines_named(self.name()).rev().flat_map(move |value| match self {
            ForwardingField::Forwarded => Members { rest: Some(value), quotes: true },
            _ => Members { rest: Some(value), quotes: false },
        });
        members.filter(|member| !member.is_empty()).map(move |member| match self {
            ForwardingField::Forwarded => parameter_for(member).and_then(node),
            _ => bare_or_node(member),
        })
    }
}

/// The members of a list, the last first, without surrounding white space.
struct Members<'a> {
    rest: Option<&'a [u8]>,
    /// True if members may have quoted strings, which may contain commas (RFC 9110 §5.6.4).
    quotes: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let comma = if self.quotes { last_comma(rest) } else { memchr::memrchr(b',', rest) };
        self.rest = comma.map(|at| &rest[..at]);
        Some(fields::trim(&rest[comma.map_or(0, |at| at + 1)..]))
    }
}

/// The last comma outside of quoted strings, read from the right.
fn last_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut at = list.len();
    while at > 0 {
        at -= 1;
        match list[at] {
            b'"' => {
                let escapes = list[..at].iter().rev().take_while(|&&byte| byte == b'\\').count();
                if escapes % 2 == 0 {
                    quoted = !quoted;
                }
                at -= escapes;
            }
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The value of the parameter `for` of one element (RFC 7239 §4), without quotation marks. `None` if the
/// element has no such parameter, has two, or is malformed. Escapes are kept, because no address needs any.
fn parameter_for(element: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    let pairs = Pairs { rest: element };
    for pair in pairs {
        let (name, value) = pair?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    found
}

/// The names and values of one element: `forwarded-pair *( ";" [ forwarded-pair ] )`. A malformed pair yields
/// `None` and ends the iteration. White space around a semicolon is accepted.
struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Option<(&'a [u8], &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [b' ' | b'\t' | b';', rest @ ..] = self.rest {
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.pair();
        if pair.is_none() {
            self.rest = &[];
        }
        Some(pair)
    }
}

impl<'a> Pairs<'a> {
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let equals = memchr::memchr(b'=', self.rest)?;
        let (name, rest) = (&self.rest[..equals], &self.rest[equals + 1..]);
        let (value, rest) = match rest.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = closing_quote(quoted)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = rest.iter().position(|&byte| !fields::is_token_byte(byte)).unwrap_or(rest.len());
                rest.split_at(end)
            }
        };
        self.rest = rest;
        let ends = matches!(fields::trim(rest), [] | [b';', ..]);
        (fields::is_token(name) && !value.is_empty() && ends).then_some((name, value))
    }
}

/// The index of the closing quotation mark. `bytes` begins after the opening one.
fn closing_quote(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The address of a node (RFC 7239 §6): IPv4, or IPv6 in brackets, with or without a port. `unknown` and
/// obfuscated names are no addresses.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return address.parse::<Ipv6Addr>().ok().filter(|_| whole).map(IpAddr::V6);
    }
    let (address, port) = text.split_once(':').map_or((text, None), |(address, port)| (address, Some(port)));
    let whole = port.is_none_or(is_port);
    address.parse().ok().filter(|_| whole).map(IpAddr::V4)
}

/// The form in fields without a specification: a node, or an IPv6 address without brackets.
fn bare_or_node(text: &[u8]) -> Option<IpAddr> {
    let bare = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    bare.or_else(|| node(text))
}

/// True for a port, also an obfuscated one.
fn is_port(text: &str) -> bool {
    let hidden = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(hidden),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses in the lines of a field, the right-most first.
    fn read(field: ForwardingField, lines: &[&str]) -> Vec<String> {
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|line| (field.name(), line.as_bytes())).collect();
        let fields = Fields::from_pairs(&lines);
        field.nodes(&fields).map(|node| node.map_or("-".to_owned(), |address| address.to_string())).collect()
    }

    #[track_caller]
    fn check(field: ForwardingField, lines: &[&str], expected: &[&str]) {
        assert_eq!(read(field, lines), expected, "{field:?} {lines:?}");
    }

    #[test]
    fn addresses_are_read_from_the_right_over_all_lines() {
        for field in [ForwardingField::XForwardedFor, ForwardingField::XRealIp] {
            for (lines, expected) in [
                (&[][..], &[][..]),
                (&["192.0.2.1"], &["192.0.2.1"]),
                (&["192.0.2.1, 198.51.100.2,203.0.113.3"], &["203.0.113.3", "198.51.100.2", "192.0.2.1"]),
                (&["192.0.2.1, 192.0.2.2", "192.0.2.3"], &["192.0.2.3", "192.0.2.2", "192.0.2.1"]),
                (&["2001:db8::1,[2001:db8::2]"], &["2001:db8::2", "2001:db8::1"]),
                (&["192.0.2.1:80, [2001:db8::2]:8080"], &["2001:db8::2", "192.0.2.1"]),
                (&["::ffff:192.0.2.1"], &["::ffff:192.0.2.1"]),
                (&["", " , ,\t", "192.0.2.1,, "], &["192.0.2.1"]),
                (&["192.0.2.1, unknown"], &["-", "192.0.2.1"]),
                (&["unix:"], &["-"]),
                (&["192.0.2.1 192.0.2.2"], &["-"]),
                (&["\"192.0.2.1\""], &["-"]),
                (&["192.0.2.01"], &["-"]),
                (&["192.0.2.1:"], &["-"]),
                (&["192.0.2.1:123456"], &["-"]),
                (&["[192.0.2.1]"], &["-"]),
                (&["[2001:db8::1"], &["-"]),
                (&["[2001:db8::1]80"], &["-"]),
                (&["fe80::1%eth0"], &["-"]),
                (&["for=192.0.2.1"], &["-"]),
                (&["192.0.2.1\u{e9}"], &["-"]),
            ] {
                check(field, lines, expected);
            }
        }
    }

    #[test]
    fn elements_of_forwarded_name_their_client_by_for() {
        for (lines, expected) in [
            (&["for=192.0.2.60"][..], &["192.0.2.60"][..]),
            (&["FOR=192.0.2.60;proto=http;by=203.0.113.43"], &["192.0.2.60"]),
            (&["proto=https ; For=192.0.2.60;"], &["192.0.2.60"]),
            (&[";;for=192.0.2.60;;"], &["192.0.2.60"]),
            (&["for=192.0.2.43, for=198.51.100.17"], &["198.51.100.17", "192.0.2.43"]),
            (&["for=192.0.2.43", "for=198.51.100.17;by=_x"], &["198.51.100.17", "192.0.2.43"]),
            (&["for=\"192.0.2.43:47011\""], &["192.0.2.43"]),
            (&["for=\"192.0.2.43:_hidden.1\""], &["192.0.2.43"]),
            (&["for=\"[2001:db8:cafe::17]\""], &["2001:db8:cafe::17"]),
            (&["For=\"[2001:db8:cafe::17]:4711\""], &["2001:db8:cafe::17"]),
            (&["host=\"a, for=192.0.2.9; \\\" b\";for=192.0.2.1"], &["192.0.2.1"]),
            (&["for=192.0.2.1;host=\"a, for=192.0.2.9\\\\\""], &["192.0.2.1"]),
            // No address, or not a readable one.
            (&["proto=https"], &["-"]),
            (&["for=unknown"], &["-"]),
            (&["for=_hidden"], &["-"]),
            (&["for=\"_gazonk:1\""], &["-"]),
            (&["for=\"\""], &["-"]),
            (&["for="], &["-"]),
            (&["for"], &["-"]),
            (&["192.0.2.1"], &["-"]),
            (&["for = 192.0.2.1"], &["-"]),
            (&["for=192.0.2.1;for=192.0.2.2"], &["-"]),
            (&["for=192.0.2.1:80"], &["-"]),
            (&["for=[2001:db8::1]"], &["-"]),
            (&["for=\"2001:db8::1\""], &["-"]),
            (&["for=\"192.0.2.\\1\""], &["-"]),
            (&["for=\"192.0.2.1\"x"], &["-"]),
            (&["for=192.0.2.1 x"], &["-"]),
            (&["a b=c;for=192.0.2.1"], &["-"]),
            (&["for=192.0.2.1;host=\"a"], &["-"]),
        ] {
            check(ForwardingField::Forwarded, lines, expected);
        }
    }

    #[test]
    fn nothing_to_the_left_changes_what_a_proxy_has_added() {
        let added = ", for=192.0.2.1;host=\"a,b\", for=\"[2001:db8::1]:80\"";
        for left in
            ["", "for=\"", "for=\"x\\", "for=\\\"", "\"\\\\\\", ",\",", "for=198.51.100.1;host=\"", "\\"]
        {
            let line = format!("{left}{added}");
            let found = read(ForwardingField::Forwarded, &[&line]);
            assert_eq!(found[..2], ["2001:db8::1", "192.0.2.1"], "{line}");
            let found = read(ForwardingField::Forwarded, &[left, &added[2..]]);
            assert_eq!(found[..2], ["2001:db8::1", "192.0.2.1"], "{left} on a line of its own");
        }
    }
}
