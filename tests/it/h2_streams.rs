//! The states of streams of HTTP/2 (RFC 9113 section 5): what may come when, which numbers streams have, how
//! many there may be.

use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Answer, Connection, Ignored, Stream};
use crate::support::h2_reactions::{Case, Subject, hold};
use crate::support::hpack::{block, literal};
use crate::support::tree::{PAGE, large};
use crate::support::{H2, eventually};

#[test]
fn frames_are_judged_by_the_state_of_their_stream() {
    hold(STATES);
}

#[test]
fn streams_are_judged_by_their_numbers() {
    hold(NUMBERS);
}

/// Waits until a stream is answered, and so closed.
fn answered(client: &mut H2, stream: u32) {
    client.put(get(stream));
    client.until("the answer", |client| client.streams[&stream].is_whole);
}

const STATES: &[Case] = &[
    ("5.1 idle: DATA", |client| client.put(data(1, "x")), Connection(&[PROTOCOL_ERROR, STREAM_CLOSED])),
    ("5.1 idle: WINDOW_UPDATE", |client| client.put(window_update(1, 1)), Connection(&[PROTOCOL_ERROR])),
    (
        "5.1 idle: CONTINUATION",
        |client| client.put(frame(CONTINUATION, END_HEADERS, 1, block(PAGE_FIELDS))),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "5.1 half closed: DATA",
        |client| {
            client.hold_an_answer();
            client.put(data(1, "x"));
        },
        Stream(&[STREAM_CLOSED]),
    ),
    (
        "5.1 half closed: HEADERS",
        |client| {
            client.hold_an_answer();
            client.put(frame(HEADERS, WHOLE, 1, block(PAGE_FIELDS)));
        },
        Stream(&[STREAM_CLOSED]),
    ),
    (
        "5.1 half closed: CONTINUATION",
        |client| {
            client.hold_an_answer();
            client.put(frame(CONTINUATION, END_HEADERS, 1, literal("x", "y")));
        },
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
    ),
    (
        "5.1 half closed: WINDOW_UPDATE",
        |client| {
            client.hold_an_answer();
            client.open_window(0, 1 << 20);
            client.open_window(1, 1 << 20);
        },
        Answer(1, 200),
    ),
    (
        "5.1 half closed: PRIORITY",
        |client| {
            client.hold_an_answer();
            client.put(priority(1, 0));
            client.open_window(0, 1 << 20);
            client.open_window(1, 1 << 20);
        },
        Answer(1, 200),
    ),
    (
        "5.1 half closed: RST_STREAM",
        |client| {
            client.hold_an_answer();
            client.put(rst_stream(1, CANCEL));
        },
        Ignored,
    ),
    (
        "5.1 closed by RST_STREAM: DATA",
        |client| client.put([post(1), rst_stream(1, CANCEL), data(1, "x")].concat()),
        Stream(&[STREAM_CLOSED]),
    ),
    (
        "5.1 closed by RST_STREAM: HEADERS",
        |client| client.put([post(1), rst_stream(1, CANCEL), get(1)].concat()),
        Stream(&[STREAM_CLOSED, PROTOCOL_ERROR]),
    ),
    (
        "5.1 closed by RST_STREAM: CONTINUATION",
        |client| {
            let late = frame(CONTINUATION, END_HEADERS, 1, literal("x", "y"));
            client.put([post(1), rst_stream(1, CANCEL), late].concat());
        },
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
    ),
    (
        "5.1 closed by its answer: DATA",
        |client| {
            answered(client, 1);
            client.put(data(1, "x"));
        },
        Stream(&[STREAM_CLOSED]),
    ),
    (
        "5.1 closed by its answer: HEADERS",
        |client| {
            answered(client, 1);
            client.put(get(1));
        },
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
    ),
    (
        "5.1 closed by its answer: CONTINUATION",
        |client| {
            answered(client, 1);
            client.put(frame(CONTINUATION, END_HEADERS, 1, literal("x", "y")));
        },
        Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
    ),
    (
        "5.1 closed by its answer: WINDOW_UPDATE",
        |client| {
            answered(client, 1);
            client.put(window_update(1, 100));
        },
        Ignored,
    ),
    (
        "5.1 closed by its answer: PRIORITY",
        |client| {
            answered(client, 1);
            client.put(priority(1, 0));
        },
        Ignored,
    ),
    (
        "5.1 closed by its answer: RST_STREAM",
        |client| {
            answered(client, 1);
            client.put(rst_stream(1, NO_ERROR));
        },
        Ignored,
    ),
];

const NUMBERS: &[Case] = &[
    ("5.1.1 an even number", |client| client.put(get(2)), Connection(&[PROTOCOL_ERROR])),
    (
        "5.1.1 a lower number than before",
        |client| {
            answered(client, 5);
            client.put(get(3));
        },
        Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
    ),
    ("5.1.1 numbers that are left out", |client| client.put([get(11), get(101)].concat()), Answer(101, 200)),
    (
        "5.1.1 DATA on a number that was left out",
        |client| {
            answered(client, 5);
            client.put(data(3, "x"));
        },
        Stream(&[PROTOCOL_ERROR, STREAM_CLOSED]),
    ),
];

#[test]
fn more_streams_than_allowed_are_refused_and_the_others_answered() {
    let subject = Subject::start();
    let mut client = H2::connect_with(subject.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    let most = client.settings[&MAX_CONCURRENT_STREAMS];
    let streams: Vec<u32> = (0..most).map(|_| client.ask("GET", "/page.html", &[])).collect();
    client.ping();
    let late = client.ask("GET", "/page.html", &[]);
    client.until("a refusal", |client| client.streams[&late].reset.is_some());
    let code = client.streams[&late].reset.unwrap();
    assert!(matches!(code, REFUSED_STREAM | PROTOCOL_ERROR), "{code}");
    for stream in streams {
        client.open_window(stream, 1000);
        client.response(stream).is(200, PAGE);
    }
    // A refused request may be asked again.
    let again = client.ask("GET", "/page.html", &[]);
    client.open_window(again, 1000);
    client.response(again).is(200, PAGE);
}

#[test]
fn answers_on_many_streams_are_all_right_in_whatever_order() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    for round in 0..4 {
        let streams: Vec<(u32, bool)> = (0..100)
            .map(|number| {
                let is_large = (number + round) % 10 == 0;
                (client.ask("GET", if is_large { "/large.html" } else { "/page.html" }, &[]), is_large)
            })
            .collect();
        let body = large();
        for (stream, is_large) in streams {
            client.response(stream).is(200, if is_large { &body[..] } else { PAGE });
        }
    }
}

#[test]
fn a_stream_that_is_reset_ends_alone() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    let body = large();
    for code in [CANCEL, NO_ERROR, REFUSED_STREAM, 0xffff_ffff] {
        let leaving = client.ask("GET", "/large.html", &[]);
        let staying = client.ask("GET", "/large.html", &[]);
        client.until("a part of the body", |client| !client.streams[&leaving].body.is_empty());
        client.put(rst_stream(leaving, code));
        client.response(staying).is(200, &body);
        // What was under way when the reset was sent has come by now.
        client.ping();
        let came = client.streams[&leaving].body.len();
        client.ping();
        assert_eq!(client.streams[&leaving].body.len(), came, "a reset stream goes on");
        assert!(!client.streams[&leaving].is_whole, "a reset stream was sent whole");
    }
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    let subject = Subject::start();
    for count in [1, 10, 100] {
        let mut client = H2::connect(subject.address());
        let streams: Vec<u32> = (0..count).map(|_| client.ask("GET", "/large.html", &[])).collect();
        client.until("a part of a body", |client| !client.streams[&streams[0]].body.is_empty());
        drop(client);
    }
    let answer = || (H2::connect(subject.address()).get("/page.html").body == PAGE).then_some(());
    eventually("others are served", answer);
}
