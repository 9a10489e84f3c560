//! Where a request ends: Content-Length and chunks. What is ambiguous is refused and the connection closed,
//! so that no byte of a body is ever taken for a request.

use crate::support::tree::PAGE;
use crate::support::{Server, every};

const HEAD: &str = "GET /page.html HTTP/1.1\r\nHost: test\r\n";

#[test]
fn a_body_is_skipped_and_the_next_request_answered() {
    let server = Server::start(&[]);
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let rows = [
        ("length", "Content-Length: 5\r\n\r\nhello".to_owned()),
        ("no length", "Content-Length: 0\r\n\r\n".to_owned()),
        ("leading zeros", "Content-Length: 0005\r\n\r\nhello".to_owned()),
        ("a chunk", format!("{chunked}5\r\nhello\r\n0\r\n\r\n")),
        ("no chunk", format!("{chunked}0\r\n\r\n")),
        (
            "sizes of every form",
            format!("{chunked}A\r\n0123456789\r\n01\r\nx\r\nc\r\nABCDEFGHIJKL\r\n000\r\n\r\n"),
        ),
        ("extensions", format!("{chunked}5;a=b;c=\"d\"\r\nhello\r\n0;z\r\n\r\n")),
        ("trailers", format!("Trailer: X-T\r\n{chunked}5\r\nhello\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n")),
        ("other case", "TRANSFER-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned()),
        (
            "a request inside",
            "Content-Length: 36\r\n\r\nGET /absent HTTP/1.1\r\nHost: test\r\n\r\n".to_owned(),
        ),
        ("line ends inside", format!("{chunked}6\r\n\r\n0\r\n\r\r\n0\r\n\r\n")),
        ("up to 64 KiB", format!("Content-Length: 60000\r\n\r\n{}", "z".repeat(60_000))),
        (
            "60 KB in chunks",
            format!("{chunked}{}0\r\n\r\n", format!("3e8\r\n{}\r\n", "z".repeat(1000)).repeat(60)),
        ),
    ];
    every(rows, |tail| {
        let mut client = server.client();
        client.send(format!("{HEAD}{tail}"));
        client.still_serves_after(|response| response.is(200, PAGE));
    });
}

#[test]
fn a_body_is_skipped_after_every_kind_of_answer() {
    let server = Server::start(&[]);
    let rows = [
        ("404", 404, "GET /absent HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
        (
            "304",
            304,
            "GET /page.html HTTP/1.1\r\nHost: test\r\nIf-None-Match: *\r\nContent-Length: 5\r\n\r\nhello",
        ),
        ("405", 405, "POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
        (
            "405 in chunks",
            405,
            "PUT /page.html HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        ("301", 301, "GET /dir HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"),
    ];
    every(rows.map(|(name, status, raw)| (name, (status, raw))), |(status, raw)| {
        let mut client = server.client();
        client.send(raw);
        client.still_serves_after(|response| response.has_status(&[status]));
    });
}

#[test]
fn a_body_that_comes_late_is_still_no_request() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send(format!("{HEAD}Content-Length: 36\r\n\r\nGET /absent"));
    client.send(" HTTP/1.1\r\nHost: test");
    client.send("\r\n\r\n");
    client.still_serves_after(|response| response.is(200, PAGE));
}

#[test]
fn ambiguous_lengths_are_refused() {
    let server = Server::start(&[]);
    let rows = [
        ("length and coding", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
        ("coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG"),
        ("coding and no length", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        ("two lengths, one empty", "Content-Length: 5\r\nContent-Length:\r\n\r\nhello"),
        ("a list of lengths", "Content-Length: 5, 6\r\n\r\nhello"),
        ("a space before the colon", "Content-Length : 5\r\n\r\nhello"),
        ("coding, space before the colon", "Transfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ("a fold", "Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ];
    every(rows, |tail| drop(server.refuses(format!("{HEAD}{tail}"), &[400])));
}

#[test]
fn a_length_said_twice_alike_is_one_length_or_refused() {
    // RFC 9112 §6.3 leaves the choice; what may not happen is to take the body for a request.
    let server = Server::start(&[]);
    for tail in ["Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "Content-Length: 5, 5\r\n\r\nhello"] {
        server.answers(format!("{HEAD}{tail}"), &[200, 400]);
    }
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    let server = Server::start(&[]);
    let bad: [&[u8]; 18] = [
        b"+5",
        b"-5",
        b"-0",
        b"0x5",
        b"5 5",
        b"",
        b"5.0",
        b"five",
        b"5e0",
        b"1_0",
        b"5,",
        b",5",
        b"5;",
        b"\"5\"",
        b"5\xa0",
        b"\x0b5",
        b"18446744073709551621",
        b"99999999999999999999999999999999999999999999999999",
    ];
    every(bad.map(|length| (length.escape_ascii().to_string(), length)), |length| {
        let raw = [HEAD.as_bytes(), b"Content-Length: ", length, b"\r\n\r\nhello"].concat();
        server.refuses(raw, &[400, 413]);
    });
}

#[test]
fn an_unknown_coding_is_refused() {
    let server = Server::start(&[]);
    let bad: [&[u8]; 15] = [
        b"gzip",
        b"identity",
        b"chunked, gzip",
        b"xchunked",
        b"chunkedx",
        b"chunked, chunked",
        b"\"chunked\"",
        b"\x0bchunked",
        b"chunked;q=1",
        b"chunked x",
        b"chunked\x00",
        b"",
        b"gzip, chunked",
        b"chunked,",
        b"chunked, identity",
    ];
    every(bad.map(|coding| (coding.escape_ascii().to_string(), coding)), |coding| {
        let tail = b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let raw = [HEAD.as_bytes(), b"Transfer-Encoding: ", coding, tail].concat();
        server.refuses(raw, &[400, 501]);
    });
}

#[test]
fn a_coding_said_twice_or_over_http_1_0_is_refused() {
    let server = Server::start(&[]);
    let body = "\r\n5\r\nhello\r\n0\r\n\r\n";
    for second in ["chunked", "identity", "gzip"] {
        let raw = format!("{HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: {second}\r\n{body}");
        server.refuses(raw, &[400, 501]);
    }
    let old = "GET /page.html HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n";
    server.refuses(format!("{old}{body}"), &[400, 501]);
}

#[test]
fn malformed_chunks_end_the_connection() {
    let server = Server::start(&[]);
    let bad: [(&str, &[u8]); 19] = [
        ("letters", b"xyz\r\nhello\r\n0\r\n\r\n"),
        ("a prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("plus", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("an underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
        ("a space before", b" 5\r\nhello\r\n0\r\n\r\n"),
        ("no size", b"\r\nhello\r\n0\r\n\r\n"),
        ("only an extension", b";a=b\r\nhello\r\n0\r\n\r\n"),
        ("17 digits", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("2^64 and 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("more data than said", b"3\r\nhello\r\n0\r\n\r\n"),
        ("no line end after data", b"5\r\nhelloX0\r\n\r\n"),
        ("bare CR after the size", b"5\rhello\r\n0\r\n\r\n"),
        ("bare LF after the size", b"5\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", b"5;a\x00b\r\nhello\r\n0\r\n\r\n"),
        ("LF in an extension", b"5;a\nhello\r\n0\r\n\r\n"),
        ("LF after the data", b"5\r\nhello\n0\r\n\r\n"),
        ("a malformed trailer", b"5\r\nhello\r\n0\r\nX Y\r\n\r\n"),
        ("LF in the trailers", b"5\r\nhello\r\n0\r\nX: Y\n\r\n"),
    ];
    every(bad, |body| {
        let mut client = server.client();
        let head = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n");
        client.send([head.as_bytes(), body, b"GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"].concat());
        // The request itself was whole, so its answer may already have been on its way; only one comes.
        if let Some(response) = client.answer() {
            response.has_status(&[200, 400]);
        }
        client.closed();
    });
}

#[test]
fn endless_chunk_extensions_and_trailers_end_the_connection() {
    let server = Server::start(&[]);
    let rows = [
        ("extension", format!("5;{}", "x".repeat(300 << 10))),
        ("leading zeros", "0".repeat(300 << 10)),
        ("trailers", format!("0\r\n{}", "X: y\r\n".repeat(60_000))),
        ("tiny chunks", "1\r\nx\r\n".repeat(200_000)),
    ];
    every(rows, |body| {
        let mut client = server.client();
        client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n"));
        client.send(body);
        if let Some(response) = client.answer() {
            response.has_status(&[200, 400, 413, 431]);
        }
        client.closed();
    });
}

#[test]
fn a_client_that_sends_a_large_body_can_read_its_refusal() {
    let server = Server::start(&[]);
    for length in [100_000, 600_000, 5_000_000] {
        let mut client = server.client();
        client.send(format!("POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n"));
        let piece = [b'z'; 10_000];
        for _ in 0..length / piece.len() {
            if !client.send(piece) {
                break;
            }
        }
        let response = client.response();
        response.has_status(&[405, 413]);
        client.ends_as(&response);
    }
}

#[test]
fn a_length_beyond_all_bounds_is_answered_at_once() {
    let server = Server::start(&[]);
    for length in ["100000000000", "9223372036854775808", "18446744073709551615"] {
        let mut client = server.client();
        client.send(format!("POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\nabc"));
        let response = client.response();
        response.has_status(&[400, 405, 413]);
        assert!(response.closes());
        client.closed();
    }
}

#[test]
fn a_body_cut_short_by_the_client_ends_the_connection() {
    let server = Server::start(&[]);
    for tail in ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"] {
        let mut client = server.client();
        client.send(format!("{HEAD}{tail}"));
        client.half_close();
        if let Some(response) = client.answer() {
            response.has_status(&[200, 400]);
        }
        client.closed();
    }
}

#[test]
fn garbage_after_a_request_is_refused_after_its_answer() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send([HEAD.as_bytes(), b"\r\n\x00\x01garbage\r\n\r\n"].concat());
    client.response().is(200, PAGE);
    client.response().has_status(&[400]);
    client.closed();
}
