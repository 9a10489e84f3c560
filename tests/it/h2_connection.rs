//! How a connection of HTTP/2 begins (RFC 9113 section 3.4), and what concerns all of it: PING, GOAWAY,
//! SETTINGS (sections 6.5, 6.7 and 6.8).

use std::time::{Duration, Instant};

use crate::support::configured::{launched, site};
use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Answer, Connection, Ignored};
use crate::support::h2_reactions::{Case, Subject, hold};
use crate::support::transport::End;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, H2, Launch, every};

#[test]
fn what_is_no_preface_is_no_connection_of_http2() {
    let subject = Subject::start();
    let mut wrong = PREFACE.to_vec();
    *wrong.last_mut().unwrap() = b'x';
    let rows: [(&str, Vec<u8>); 4] = [
        ("another text", b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec()),
        ("a wrong last byte", [&wrong[..], &settings(&[]), &get(1)].concat()),
        ("another version", b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n".to_vec()),
        ("a frame without a preface", [settings(&[]), get(1)].concat()),
    ];
    every(rows, |bytes| {
        let mut client = Client::connect(subject.address());
        client.send(bytes);
        // By HTTP/1.1 it may be refused; a server of HTTP/2 may say GOAWAY.
        let rest = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(!rest.contains("A sub page."), "answered: {rest}");
    });
}

#[test]
fn a_preface_that_is_cut_is_followed_by_the_end() {
    let subject = Subject::start();
    for length in 1..PREFACE.len() {
        let mut client = Client::connect(subject.address());
        client.send(&PREFACE[..length]);
        client.half_close();
        client.rest();
    }
    H2::connect(subject.address()).get("/page.html").is(200, PAGE);
}

/// Section 3.4 makes these an error of the connection. The crate h2 does not look which frame is the first,
/// and h2spec has no case of it; so what is held here is that no harm comes of it.
#[test]
fn frames_before_settings_end_the_connection_or_do_no_harm() {
    let subject = Subject::start();
    let rows: [(&str, Vec<u8>); 5] = [
        ("HEADERS", get(1)),
        ("PING", ping(b"12345678")),
        ("WINDOW_UPDATE", window_update(0, 1)),
        ("an acknowledgement of settings", frame(SETTINGS, ACK, 0, "")),
        ("an unknown frame", frame(0x42, 0, 0, "x")),
    ];
    every(rows, |bytes| {
        let mut client = H2::raw(subject.address());
        client.known(1);
        client.put([PREFACE, &bytes, &settings(&[])].concat());
        while client.end.is_none() && client.acknowledged == 0 {
            client.frame();
        }
        let stream = client.ask("GET", "/page.html", &[]);
        match client.outcome(stream) {
            Ok(response) => response.is(200, PAGE),
            Err(_) => client.reacts(&Connection(&[PROTOCOL_ERROR])),
        }
    });
}

#[test]
fn a_connection_may_begin_byte_by_byte_and_all_at_once() {
    let subject = Subject::start();
    let all = [PREFACE, &settings(&[]), &get(1)].concat();
    for size in [1, 5, 23, 24, 25, all.len()] {
        let mut client = H2::raw(subject.address());
        client.known(1);
        all.chunks(size).for_each(|piece| client.put(piece));
        client.response(1).is(200, PAGE);
    }
}

#[test]
fn the_server_begins_with_settings_that_are_legal() {
    let subject = Subject::start();
    let mut client = H2::raw(subject.address());
    client.put([PREFACE, &settings(&[])].concat());
    let first = client.frame().unwrap();
    assert!(first.kind == SETTINGS && !first.has(ACK), "{first:?}");
    let value = |name: u16, without: u32| client.settings.get(&name).copied().unwrap_or(without);
    assert_eq!(value(ENABLE_PUSH, 0), 0);
    assert!(value(INITIAL_WINDOW_SIZE, 65_535) <= LARGEST_WINDOW);
    assert!((1 << 14..1 << 24).contains(&value(MAX_FRAME_SIZE, 1 << 14)));
    // Clients may use a hundred streams before they know better (section 6.5.2).
    assert!(value(MAX_CONCURRENT_STREAMS, 100) >= 100);
    assert!(client.settings.contains_key(&MAX_CONCURRENT_STREAMS), "streams are not limited");
}

#[test]
fn http1_is_served_beside_http2_without_tls() {
    let server = site("http2_plain = true\n");
    server.get("/page.html").is(200, PAGE);
    H2::connect(server.address()).get("/page.html").is(200, PAGE);
    // RFC 9113 has no upgrade any more; the request is answered as it stands.
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    server.get_with("/page.html", upgrade).is(200, PAGE);
}

#[test]
fn without_being_told_a_plain_listener_speaks_no_http2() {
    let server = site("");
    let mut client = server.client();
    client.send([PREFACE, &settings(&[]), &get(1)].concat());
    let rest = client.rest();
    assert!(rest.starts_with(b"HTTP/1.1 "), "{:?}", rest.escape_ascii().to_string());
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_beginning_that_stays_half_is_not_waited_for_without_end() {
    let launch = Launch::site().flags(["--head-timeout", "500ms", "--idle-timeout", "1s"]);
    let server = launched(launch, "http2_plain = true\n");
    let whole = [PREFACE, &settings(&[]), &get(1)].concat();
    for length in [1, 18, PREFACE.len(), PREFACE.len() + 5, PREFACE.len() + 9, whole.len() - 1] {
        let mut client = Client::connect(server.address()).patient(DEADLINE * 2);
        client.send(&whole[..length]);
        client.rest();
    }
    H2::connect(server.address()).get("/page.html").is(200, PAGE);
}

#[test]
fn an_idle_connection_is_closed_with_goaway() {
    let server = launched(Launch::site().flags(["--idle-timeout", "500ms"]), "http2_plain = true\n");
    let mut client = H2::connect(server.address());
    client.get("/page.html").is(200, PAGE);
    assert_eq!(client.until_end(), End::Orderly);
    assert_eq!(client.goaway.as_ref().map(|goaway| goaway.code), Some(NO_ERROR), "{}", client.story());
}

#[test]
fn a_connection_with_pings_alone_is_idle() {
    let server = launched(Launch::site().flags(["--idle-timeout", "1s"]), "http2_plain = true\n");
    let mut client = H2::connect(server.address());
    client.get("/page.html").is(200, PAGE);
    let begun = Instant::now();
    while client.end.is_none() && client.goaway.is_none() {
        client.put(ping(b"12345678"));
        let pongs = client.pongs.len();
        while client.pongs.len() == pongs && client.frame().is_some() {}
        assert!(begun.elapsed() < DEADLINE * 2, "PINGs keep an idle connection without end");
        // The pace of the client, not a wait.
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn each_ping_is_answered_with_its_payload() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    (0..50).for_each(|_| client.ping());
    let stream = client.ask("GET", "/large.html", &[]);
    client.ping();
    client.response(stream).has_status(&[200]);
    let all: Vec<u8> = (0..20_u8).flat_map(|number| ping(&[number; 8])).collect();
    let before = client.pongs.len();
    client.put(all);
    client.until("all answers", |client| client.pongs.len() == before + 20);
    assert!(client.pongs[before..].iter().zip(0..).all(|(pong, number)| *pong == [number; 8]));
}

#[test]
fn each_settings_frame_is_acknowledged() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    let before = client.acknowledged;
    for _ in 0..10 {
        client.put(settings(&[(INITIAL_WINDOW_SIZE, 70_000), (0x4242, 7)]));
    }
    client.until("all acknowledgements", |client| client.acknowledged == before + 10);
    client.get("/page.html").is(200, PAGE);
}

#[test]
fn a_client_that_says_goaway_gets_what_it_has_asked_for() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    let streams: Vec<u32> = (0..5).map(|_| client.ask("GET", "/page.html", &[])).collect();
    client.put(goaway(0, NO_ERROR));
    streams.into_iter().for_each(|stream| client.response(stream).is(200, PAGE));
    let mut client = H2::connect(subject.address());
    let stream = client.ask("GET", "/large.html", &[]);
    client.put(goaway(0, 0xdead_beef));
    client.response(stream).has_status(&[200]);
}

#[test]
fn goaway_names_the_last_stream_that_was_taken_up() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    client.known(9);
    for stream in [1, 3, 9] {
        client.put(get(stream));
        client.response(stream).is(200, PAGE);
    }
    client.put([ping(b"12345678"), data(0, "x")].concat());
    client.reacts(&Connection(&[PROTOCOL_ERROR]));
    if let Some(goaway) = &client.goaway {
        assert!(goaway.last >= 9, "{goaway:?}");
    }
}

#[test]
fn frames_of_the_connection_are_judged() {
    hold(CASES);
}

const CASES: &[Case] = &[
    (
        "6.5 SETTINGS: an acknowledgement with a payload",
        |client| client.put(frame(SETTINGS, ACK, 0, [0; 6])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.5 SETTINGS: on a stream",
        |client| client.put(frame(SETTINGS, 0, 1, [0, 3, 0, 0, 0, 100])),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.5 SETTINGS: of 5 bytes",
        |client| client.put(frame(SETTINGS, 0, 0, [0; 5])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.5 SETTINGS: of 7 bytes",
        |client| client.put(frame(SETTINGS, 0, 0, [0; 7])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    ("6.5 SETTINGS: empty", |client| client.put(settings(&[])), Ignored),
    (
        "6.5.2 ENABLE_PUSH of 2",
        |client| client.put(settings(&[(ENABLE_PUSH, 2)])),
        Connection(&[PROTOCOL_ERROR]),
    ),
    ("6.5.2 ENABLE_PUSH of 0", |client| client.put(settings(&[(ENABLE_PUSH, 0)])), Ignored),
    (
        "6.5.2 INITIAL_WINDOW_SIZE of 2^31",
        |client| client.put(settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)])),
        Connection(&[FLOW_CONTROL_ERROR]),
    ),
    (
        "6.5.2 INITIAL_WINDOW_SIZE of 2^31 - 1",
        |client| client.put([settings(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]), get(1)].concat()),
        Answer(1, 200),
    ),
    (
        "6.5.2 MAX_FRAME_SIZE below 2^14",
        |client| client.put(settings(&[(MAX_FRAME_SIZE, (1 << 14) - 1)])),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.5.2 MAX_FRAME_SIZE of 2^24",
        |client| client.put(settings(&[(MAX_FRAME_SIZE, 1 << 24)])),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.5.2 MAX_FRAME_SIZE of 2^24 - 1",
        |client| client.put(settings(&[(MAX_FRAME_SIZE, (1 << 24) - 1)])),
        Ignored,
    ),
    ("6.5.2 an unknown setting", |client| client.put(settings(&[(0xff, 0xffff_ffff)])), Ignored),
    (
        "6.5.2 HEADER_TABLE_SIZE of 0",
        |client| client.put([settings(&[(HEADER_TABLE_SIZE, 0)]), get(1)].concat()),
        Answer(1, 200),
    ),
    (
        "6.5.2 HEADER_TABLE_SIZE of 2^32 - 1",
        |client| client.put([settings(&[(HEADER_TABLE_SIZE, u32::MAX)]), get(1)].concat()),
        Answer(1, 200),
    ),
    (
        "6.5.2 MAX_CONCURRENT_STREAMS of 0 and MAX_HEADER_LIST_SIZE",
        |client| {
            client.put(settings(&[(MAX_CONCURRENT_STREAMS, 0), (MAX_HEADER_LIST_SIZE, 4096)]));
            client.put(get(1));
        },
        Answer(1, 200),
    ),
    (
        "6.5.3 the last of two values counts",
        |client| {
            client.put(settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 65_535)]));
            client.put(get(1));
        },
        Answer(1, 200),
    ),
    ("6.7 PING: an acknowledgement", |client| client.put(frame(PING, ACK, 0, [7; 8])), Ignored),
    ("6.7 PING: on a stream", |client| client.put(frame(PING, 0, 1, [0; 8])), Connection(&[PROTOCOL_ERROR])),
    ("6.7 PING: of 6 bytes", |client| client.put(frame(PING, 0, 0, [0; 6])), Connection(&[FRAME_SIZE_ERROR])),
    ("6.7 PING: of 9 bytes", |client| client.put(frame(PING, 0, 0, [0; 9])), Connection(&[FRAME_SIZE_ERROR])),
    ("6.7 PING: empty", |client| client.put(frame(PING, 0, 0, "")), Connection(&[FRAME_SIZE_ERROR])),
    (
        "6.8 GOAWAY: on a stream",
        |client| client.put(frame(GOAWAY, 0, 1, [0; 8])),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.8 GOAWAY: of 7 bytes",
        |client| client.put(frame(GOAWAY, 0, 0, [0; 7])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
];
