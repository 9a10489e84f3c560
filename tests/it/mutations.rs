//! Requests with random damage: whatever comes, the answer is well formed, the connection ends, and no file
//! outside the root is seen. A failure names its seed and number, from which the same bytes come again.

use crate::support::{Client, Dice, Server};

const SEEDS: &[&str] = &[
    "GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n",
    "GET /dir/ HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n",
    "GET /text.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9,20-29\r\nIf-Range: \"x\"\r\n\r\n",
    "GET /page.html HTTP/1.1\r\nHost: test\r\nIf-None-Match: \"a\", W/\"b\"\r\n\
     If-Modified-Since: Sun, 13 Sep 2020 12:26:40 GMT\r\n\r\n",
    "POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello",
    "GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n",
    "GET http://test/page.html HTTP/1.1\r\nHost: test\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: test\r\n\r\nGET /absent HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    "GET /../%2e%2e/..%2f../etc/passwd?a=b HTTP/1.1\r\nHost: test\r\n\r\n",
];

const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b"%00",
    b"%",
    b"../",
    b"%2e%2e%2f",
    b"//",
    b"Content-Length: 5\r\n",
    b"Content-Length: 70000\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: b\r\n",
    b"Expect: 100-continue\r\n",
    b"Range: bytes=0-0,-1\r\n",
    b"If-Match: *\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"\x16\x03\x01",
    b"\xff\xfe",
];

const ODD: &[u8] = b"\0\r\n\t :;,/%?#.-\x7f\x80\xff0159aZ\"*=";

fn mutate(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = dice.pick(SEEDS).as_bytes().to_vec();
    for _ in 0..*dice.pick(&[1, 1, 2, 3, 8]) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(8) {
            0 if at < bytes.len() => bytes[at] = dice.next() as u8,
            1 => bytes.insert(at, *dice.pick(ODD)),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let from = dice.below(at + 1);
                let copy = bytes[from..at].to_vec();
                bytes.splice(at..at, copy.into_iter().take(200));
            }
            4 => drop(bytes.splice(at..at, dice.pick(PIECES).iter().copied())),
            5 => bytes.truncate(at),
            6 => bytes.extend_from_slice(dice.pick(SEEDS).as_bytes()),
            _ => drop(bytes.splice(at..at, vec![*dice.pick(ODD); *dice.pick(&[40, 400, 9000])])),
        }
    }
    bytes
}

/// Sends damaged requests to their end; every answer is read strictly.
#[track_caller]
fn survives(seed: u64, count: usize) {
    let server = Server::start(&["--head-timeout", "5s", "--idle-timeout", "5s"]);
    let worker = server.workers()[0];
    let mut dice = Dice::new(seed);
    for number in 0..count {
        let bytes = mutate(&mut dice);
        let shown = bytes[..bytes.len().min(300)].escape_ascii().to_string();
        let mut client = server.client();
        client.send(&bytes);
        client.half_close();
        let answers = all_answers(&mut client);
        for (status, body) in answers {
            let expected = matches!(status, 100 | 200..=206 | 301 | 304 | 400..=431 | 501 | 505);
            assert!(expected, "{status} for input {number} of seed {seed}: {shown}");
            let escaped = memchr::memmem::find(&body, b"root:x:0").is_some();
            assert!(!escaped, "ESCAPED the root with input {number} of seed {seed}: {shown}");
        }
    }
    assert_eq!(server.workers(), [worker], "the worker died");
    server.get("/").has_status(&[200]);
}

/// Every answer up to the end. Which of them answer HEAD isn't known here, so bodies are found by the heads
/// that follow.
fn all_answers(client: &mut Client) -> Vec<(u16, Vec<u8>)> {
    let stream = client.rest();
    let starts: Vec<_> = memchr::memmem::find_iter(&stream, b"HTTP/1.1 ").collect();
    assert!(
        stream.is_empty() || starts.first() == Some(&0),
        "{}",
        stream[..stream.len().min(80)].escape_ascii()
    );
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let pieces = starts.iter().zip(ends).map(|(start, end)| &stream[*start..end]);
    pieces
        .map(|piece| {
            let end = memchr::memmem::find(piece, b"\r\n\r\n").expect("a head is whole");
            let response = crate::support::Response::parse(&piece[..end]);
            let body = &piece[end + 4..];
            let length = response.length().unwrap_or(0) as usize;
            assert!(body.is_empty() || body.len() == length, "{} bytes for {length}", body.len());
            (response.status, body.to_vec())
        })
        .collect()
}

#[test]
fn damaged_requests_of_the_first_seed_are_survived() {
    survives(1, 1500);
}

#[test]
fn damaged_requests_of_the_second_seed_are_survived() {
    survives(2, 1500);
}

#[test]
#[ignore = "takes a minute; .ci/run runs it"]
fn damaged_requests_of_many_seeds_are_survived() {
    (100..112).for_each(|seed| survives(seed, 3000));
}
