//! Requests of HTTP/2 that are malformed, and what is only unusual (RFC 9113 section 8). A malformed one is a
//! stream error, and the connection goes on.

use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Answer, Late, Malformed, Stream};
use crate::support::h2_reactions::{Case, hold};
use crate::support::hpack::{block, literal};

#[test]
fn fields_are_judged_by_their_names_and_values() {
    hold(FIELDS);
}

#[test]
fn fields_of_a_connection_are_malformed() {
    hold(OF_A_CONNECTION);
}

#[test]
fn pseudo_fields_are_judged() {
    hold(PSEUDO);
}

#[test]
fn authorities_and_paths_are_judged() {
    hold(TARGETS);
}

#[test]
fn bodies_are_held_to_their_lengths() {
    hold(BODIES);
}

/// A request on stream 1 for the page with a field of these bytes.
fn with(name: &[u8], value: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, [block(PAGE_FIELDS), literal(name, value)].concat())
}

/// The request for the page without one of its fields.
fn without(name: &str) -> Vec<u8> {
    let left: Vec<_> = PAGE_FIELDS.iter().copied().filter(|(own, _)| *own != name).collect();
    request(1, &left)
}

/// The request for the page with another value of one of its fields.
fn replaced(name: &str, value: &str) -> Vec<u8> {
    let fields: Vec<_> =
        PAGE_FIELDS.iter().map(|(own, old)| (*own, if *own == name { value } else { *old })).collect();
    request(1, &fields)
}

/// The beginning of a request with a body of a told length.
fn post_of(length: &str) -> Vec<u8> {
    open(1, &[POST_FIELDS, &[("content-length", length)]].concat())
}

/// What the crate h2 does not take for a field at all; to it that is an error of the connection.
const MALFORMED: &[u32] = &[PROTOCOL_ERROR];

const FIELDS: &[Case] = &[
    ("8.2.1 a capital in a name", |client| client.put(with(b"X-Upper", b"1")), Stream(MALFORMED)),
    ("8.2.1 a space in a name", |client| client.put(with(b"x y", b"1")), Stream(MALFORMED)),
    ("8.2.1 a colon in a name", |client| client.put(with(b"x:y", b"1")), Stream(MALFORMED)),
    ("8.2.1 a control character in a name", |client| client.put(with(b"x\x01", b"1")), Stream(MALFORMED)),
    ("8.2.1 a byte above ASCII in a name", |client| client.put(with(b"x\xe4", b"1")), Stream(MALFORMED)),
    ("8.2.1 DEL in a name", |client| client.put(with(b"x\x7f", b"1")), Stream(MALFORMED)),
    ("8.2.1 an empty name", |client| client.put(with(b"", b"1")), Stream(MALFORMED)),
    ("8.2.1 NUL in a value", |client| client.put(with(b"x-a", b"a\0b")), Stream(MALFORMED)),
    ("8.2.1 a line feed in a value", |client| client.put(with(b"x-a", b"a\nx-b: c")), Stream(MALFORMED)),
    ("8.2.1 a carriage return in a value", |client| client.put(with(b"x-a", b"a\rb")), Stream(MALFORMED)),
    ("8.2.1 a space before a value", |client| client.put(with(b"x-a", b" b")), Malformed(1)),
    ("8.2.1 a tab behind a value", |client| client.put(with(b"x-a", b"b\t")), Malformed(1)),
    ("8.2.1 a tab within a value", |client| client.put(with(b"x-a", b"b\tc")), Answer(1, 200)),
    ("8.2.1 an empty value", |client| client.put(with(b"x-a", b"")), Answer(1, 200)),
    ("8.2.1 a value above ASCII", |client| client.put(with(b"x-a", b"\xe4\xff")), Answer(1, 200)),
    (
        "8.2.3 cookies in several fields",
        |client| client.put(get_with(1, &[("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e")])),
        Answer(1, 200),
    ),
    (
        "8.2.1 a field of unusual characters",
        |client| client.put(get_with(1, &[("x!#$%&'*+-.^_`|~9", "1")])),
        Answer(1, 200),
    ),
];

const OF_A_CONNECTION: &[Case] = &[
    ("8.2.2 connection", |client| client.put(get_with(1, &[("connection", "keep-alive")])), Malformed(1)),
    ("8.2.2 keep-alive", |client| client.put(get_with(1, &[("keep-alive", "timeout=5")])), Malformed(1)),
    (
        "8.2.2 proxy-connection",
        |client| client.put(get_with(1, &[("proxy-connection", "keep-alive")])),
        Malformed(1),
    ),
    (
        "8.2.2 transfer-encoding",
        |client| client.put(get_with(1, &[("transfer-encoding", "chunked")])),
        Malformed(1),
    ),
    ("8.2.2 upgrade", |client| client.put(get_with(1, &[("upgrade", "websocket")])), Malformed(1)),
    ("8.2.2 te of gzip", |client| client.put(get_with(1, &[("te", "gzip")])), Malformed(1)),
    (
        "8.2.2 te of trailers and more",
        |client| client.put(get_with(1, &[("te", "trailers, deflate")])),
        Malformed(1),
    ),
    ("8.2.2 te of trailers", |client| client.put(get_with(1, &[("te", "trailers")])), Answer(1, 200)),
];

const PSEUDO: &[Case] = &[
    ("8.3 an unknown one", |client| client.put(get_with(1, &[])), Answer(1, 200)),
    (
        "8.3 an unknown one among the others",
        |client| client.put(request(1, &[&[(":test", "ok")], PAGE_FIELDS].concat())),
        Stream(MALFORMED),
    ),
    (
        "8.3 one of answers",
        |client| client.put(request(1, &[PAGE_FIELDS, &[(":status", "200")]].concat())),
        Malformed(1),
    ),
    (
        "8.3 one behind a field",
        |client| {
            let (first, last) = PAGE_FIELDS.split_at(3);
            client.put(request(1, &[first, &[("x-a", "b")], last].concat()));
        },
        Malformed(1),
    ),
    (
        "8.3 one in trailers",
        |client| client.put([post(1), request(1, &[(":method", "GET")])].concat()),
        Late(1),
    ),
    ("8.3.1 no :method", |client| client.put(without(":method")), Malformed(1)),
    ("8.3.1 no :scheme", |client| client.put(without(":scheme")), Malformed(1)),
    ("8.3.1 no :path", |client| client.put(without(":path")), Malformed(1)),
    (
        "8.3.1 :method twice",
        |client| client.put(request(1, &[&PAGE_FIELDS[..1], PAGE_FIELDS].concat())),
        Malformed(1),
    ),
    (
        "8.3.1 :scheme twice",
        |client| client.put(request(1, &[&PAGE_FIELDS[1..2], PAGE_FIELDS].concat())),
        Malformed(1),
    ),
    (
        "8.3.1 :path twice",
        |client| client.put(request(1, &[&PAGE_FIELDS[2..3], PAGE_FIELDS].concat())),
        Malformed(1),
    ),
    (
        "8.3.1 :authority twice",
        |client| client.put(request(1, &[&PAGE_FIELDS[3..], PAGE_FIELDS].concat())),
        Malformed(1),
    ),
    ("8.3.1 no field at all", |client| client.put(frame(HEADERS, WHOLE, 1, "")), Malformed(1)),
    ("8.3.1 an empty :method", |client| client.put(replaced(":method", "")), Stream(MALFORMED)),
    ("8.3.1 a space in :method", |client| client.put(replaced(":method", "GET /x")), Stream(MALFORMED)),
    ("8.3.1 a method of the client's own", |client| client.put(replaced(":method", "BREW")), Late(1)),
    (
        "8.3.1 another order",
        |client| {
            let mut fields = PAGE_FIELDS.to_vec();
            fields.reverse();
            client.put(request(1, &fields));
        },
        Answer(1, 200),
    ),
];

const TARGETS: &[Case] = &[
    ("8.3.1 an empty :path", |client| client.put(replaced(":path", "")), Malformed(1)),
    ("8.3.1 a :path without a slash", |client| client.put(replaced(":path", "page.html")), Malformed(1)),
    (
        "8.3.1 a whole URL as :path",
        |client| client.put(replaced(":path", "http://test/page.html")),
        Malformed(1),
    ),
    ("8.3.1 a space in :path", |client| client.put(replaced(":path", "/page.html HTTP/1.1")), Malformed(1)),
    ("8.3.1 a fragment in :path", |client| client.put(replaced(":path", "/page.html#x")), Late(1)),
    (
        "8.3.1 a control character in :path",
        |client| client.put(replaced(":path", "/page\r\n.html")),
        Malformed(1),
    ),
    ("8.3.1 a bad escape in :path", |client| client.put(replaced(":path", "/%zz")), Malformed(1)),
    ("8.3.1 NUL escaped in :path", |client| client.put(replaced(":path", "/page.html%00")), Malformed(1)),
    (
        "8.3.1 a path above the root",
        |client| client.put(replaced(":path", "/../../etc/passwd")),
        Malformed(1),
    ),
    ("8.3.1 an asterisk as :path of GET", |client| client.put(replaced(":path", "*")), Malformed(1)),
    ("8.3.1 a query", |client| client.put(replaced(":path", "/page.html?a=b&c")), Answer(1, 200)),
    ("8.3.1 an escaped path", |client| client.put(replaced(":path", "/%70age.html")), Answer(1, 200)),
    (
        "8.3.1 OPTIONS of an asterisk",
        |client| {
            let fields =
                [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "test")];
            client.put(request(1, &fields));
        },
        Answer(1, 204),
    ),
    ("8.3.1 neither :authority nor Host", |client| client.put(without(":authority")), Malformed(1)),
    (
        "8.3.1 Host in place of :authority",
        |client| {
            client.put(request(1, &[&PAGE_FIELDS[..3], &[("host", "test")]].concat()));
        },
        Answer(1, 200),
    ),
    ("8.3.1 Host like :authority", |client| client.put(get_with(1, &[("host", "test")])), Answer(1, 200)),
    ("8.3.1 Host unlike :authority", |client| client.put(get_with(1, &[("host", "other")])), Malformed(1)),
    (
        "8.3.1 Host twice",
        |client| client.put(get_with(1, &[("host", "test"), ("host", "other")])),
        Malformed(1),
    ),
    ("8.3.1 a user in :authority", |client| client.put(replaced(":authority", "user@test")), Malformed(1)),
    ("8.3.1 a slash in :authority", |client| client.put(replaced(":authority", "test/x")), Malformed(1)),
    ("8.3.1 a space in :authority", |client| client.put(replaced(":authority", "te st")), Malformed(1)),
    ("8.3.1 a port in :authority", |client| client.put(replaced(":authority", "test:8080")), Answer(1, 200)),
    (
        "8.3.1 an address as :authority",
        |client| client.put(replaced(":authority", "[::1]:80")),
        Answer(1, 200),
    ),
    ("8.5 CONNECT with :path", |client| client.put(replaced(":method", "CONNECT")), Malformed(1)),
    (
        "8.5 CONNECT without :authority",
        |client| client.put(request(1, &[(":method", "CONNECT")])),
        Malformed(1),
    ),
    (
        "8.5 CONNECT",
        |client| {
            client.put(request(1, &[(":method", "CONNECT"), (":authority", "test:80")]));
        },
        Late(1),
    ),
];

const BODIES: &[Case] = &[
    (
        "8.1 a body where no file takes one",
        |client| client.put([post(1), last_data(1, "x")].concat()),
        Answer(1, 405),
    ),
    (
        "8.1 trailers",
        |client| {
            client.put([post(1), data(1, "x"), request(1, &[("x-checksum", "1")])].concat());
        },
        Answer(1, 405),
    ),
    (
        "8.1 trailers that do not end the stream",
        |client| {
            client.put([post(1), data(1, "x"), open(1, &[("x-checksum", "1")])].concat());
        },
        Late(1),
    ),
    (
        "8.1.1 less than Content-Length",
        |client| client.put([post_of("5"), last_data(1, "x")].concat()),
        Late(1),
    ),
    (
        "8.1.1 more than Content-Length",
        |client| client.put([post_of("1"), last_data(1, "xyz")].concat()),
        Late(1),
    ),
    (
        "8.1.1 more than Content-Length in several frames",
        |client| {
            client.put([post_of("3"), data(1, "xy"), last_data(1, "zz")].concat());
        },
        Late(1),
    ),
    (
        "8.1.1 Content-Length without a body",
        |client| client.put(get_with(1, &[("content-length", "5")])),
        Malformed(1),
    ),
    (
        "8.1.1 Content-Length of 0 without a body",
        |client| {
            client.put(get_with(1, &[("content-length", "0")]));
        },
        Answer(1, 200),
    ),
    (
        "8.1.1 Content-Length that is no number",
        |client| {
            client.put(get_with(1, &[("content-length", "zero")]));
        },
        Malformed(1),
    ),
    (
        "8.1.1 Content-Length below zero",
        |client| {
            client.put(get_with(1, &[("content-length", "-1")]));
        },
        Malformed(1),
    ),
    (
        "8.1.1 two values of Content-Length",
        |client| {
            client.put(get_with(1, &[("content-length", "0"), ("content-length", "1")]));
        },
        Malformed(1),
    ),
    (
        "8.1.1 Content-Length that fits",
        |client| client.put([post_of("3"), last_data(1, "xyz")].concat()),
        Answer(1, 405),
    ),
    (
        "8.1.1 padding does not count",
        |client| {
            client.put([post_of("3"), padded(DATA, END_STREAM, 1, "xyz", 9)].concat());
        },
        Answer(1, 405),
    ),
    (
        "8.1 a body of GET",
        |client| {
            client.put([open(1, PAGE_FIELDS), data(1, "x"), last_data(1, "y")].concat());
        },
        Answer(1, 200),
    ),
    (
        "8.1 a body that ends by an empty frame",
        |client| {
            client.put([post(1), data(1, "xyz"), last_data(1, "")].concat());
        },
        Answer(1, 405),
    ),
];
