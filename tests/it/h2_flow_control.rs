//! The windows of HTTP/2 (RFC 9113 section 6.9): never more is sent than they allow, and all of it once they
//! do. The client itself holds the server to each window.

use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Connection, Stream};
use crate::support::h2_reactions::{Case, Subject, hold};
use crate::support::tree::{LARGE, PAGE, large};
use crate::support::{Dice, H2};

/// Asks for a file with a window of the stream that is closed.
#[track_caller]
fn held(subject: &Subject, path: &str) -> (H2, u32) {
    let mut client = H2::connect_with(subject.address(), &[(INITIAL_WINDOW_SIZE, 0)]).keeping_windows();
    let stream = client.ask("GET", path, &[]);
    client.until("a head", |client| client.streams[&stream].head.is_some());
    (client, stream)
}

/// Waits until so much of a body has come, and holds the server to no more.
#[track_caller]
fn comes(client: &mut H2, stream: u32, length: usize) {
    client.until("a part of the body", |client| client.streams[&stream].body.len() >= length);
    client.ping();
    assert_eq!(client.streams[&stream].body.len(), length, "{}", client.story());
}

#[test]
fn a_closed_window_lets_nothing_through_but_the_head() {
    let subject = Subject::start();
    let (mut client, stream) = held(&subject, "/page.html");
    comes(&mut client, stream, 0);
    client.open_window(stream, 1000);
    client.response(stream).is(200, PAGE);
}

#[test]
fn a_window_of_one_byte_lets_one_byte_through() {
    let subject = Subject::start();
    let (mut client, stream) = held(&subject, "/page.html");
    for length in 1..PAGE.len() {
        client.open_window(stream, 1);
        comes(&mut client, stream, length);
    }
    client.open_window(stream, 1);
    client.response(stream).is(200, PAGE);
}

#[test]
fn an_empty_body_needs_no_window() {
    let subject = Subject::start();
    let (mut client, stream) = held(&subject, "/empty.txt");
    client.response(stream).is(200, "");
    let head = client.ask("HEAD", "/large.html", &[]);
    assert_eq!(client.response(head).length(), Some(LARGE as u64));
}

#[test]
fn settings_open_the_windows_of_streams_that_there_are() {
    let subject = Subject::start();
    let (mut client, first) = held(&subject, "/page.html");
    let second = client.ask("GET", "/page.html", &[]);
    client.change_initial_window(10);
    comes(&mut client, first, 10);
    comes(&mut client, second, 10);
    client.change_initial_window(20);
    comes(&mut client, first, 20);
    comes(&mut client, second, 20);
    client.change_initial_window(1000);
    client.response(first).is(200, PAGE);
    client.response(second).is(200, PAGE);
}

#[test]
fn a_window_may_be_below_zero() {
    let subject = Subject::start();
    let (mut client, stream) = held(&subject, "/page.html");
    client.change_initial_window(10);
    comes(&mut client, stream, 10);
    // Ten bytes are used, so that five are owed.
    client.change_initial_window(5);
    client.open_window(stream, 5);
    comes(&mut client, stream, 10);
    client.open_window(stream, 2);
    comes(&mut client, stream, 12);
    client.open_window(stream, 1000);
    client.response(stream).is(200, PAGE);
}

#[test]
fn the_window_of_the_connection_holds_all_streams() {
    let subject = Subject::start();
    let mut client = H2::connect_with(subject.address(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]).keeping_windows();
    let streams: Vec<u32> = (0..3).map(|_| client.ask("GET", "/large.html", &[])).collect();
    let came = |client: &H2| streams.iter().map(|stream| client.streams[stream].body.len()).sum::<usize>();
    client.until("all of the window", |client| came(client) == FIRST_WINDOW as usize);
    client.ping();
    assert_eq!(came(&client), FIRST_WINDOW as usize);
    client.open_window(0, 1);
    client.until("a byte more", |client| came(client) == FIRST_WINDOW as usize + 1);
    // What needs no window is not held up.
    let empty = client.ask("GET", "/empty.txt", &[]);
    client.response(empty).is(200, "");
    client.open_window(0, 4 * LARGE as u32);
    let body = large();
    streams.iter().for_each(|stream| client.response(*stream).is(200, &body));
}

#[test]
fn one_stream_with_a_closed_window_holds_up_no_other() {
    let subject = Subject::start();
    let mut client = H2::connect_with(subject.address(), &[(INITIAL_WINDOW_SIZE, 1000)]).keeping_windows();
    let stuck: Vec<u32> = (0..50).map(|_| client.ask("GET", "/large.html", &[])).collect();
    for stream in &stuck {
        client.until("the whole window", |client| client.streams[stream].body.len() == 1000);
    }
    for _ in 0..20 {
        client.get("/page.html").is(200, PAGE);
    }
    client.open_window(0, 1 << 30);
    let body = large();
    for stream in stuck {
        client.open_window(stream, LARGE as u32);
        client.response(stream).is(200, &body);
    }
}

#[test]
fn bodies_come_whole_through_windows_of_any_size() {
    let subject = Subject::start();
    let body = large();
    for seed in 0..6 {
        let mut dice = Dice::new(seed);
        let (mut client, stream) = held(&subject, "/large.html");
        client.open_window(0, 1 << 30);
        let mut opened = 0;
        while opened < LARGE {
            let more = 1 + dice.below(40_000);
            opened += more;
            client.open_window(stream, more as u32);
            if dice.below(3) == 0 {
                comes(&mut client, stream, opened.min(LARGE));
            }
        }
        client.response(stream).is(200, &body);
    }
}

#[test]
fn bodies_that_no_file_takes_do_not_close_the_window_of_the_connection() {
    let subject = Subject::start();
    let mut client = H2::connect(subject.address());
    // Twice the window of the connection in all, as far as the server opens it.
    for _ in 0..200 {
        let stream = client.begin(POST_FIELDS);
        client.put(post(stream));
        let room = client.send_window.min(client.streams[&stream].send_window).min(700);
        client.send_window -= room;
        client.put(last_data(stream, vec![b'x'; room.max(0) as usize]));
        client.response(stream).has_status(&[405]);
    }
    client.get("/page.html").is(200, PAGE);
    client.ping();
    assert!(client.send_window > 0, "the window of the connection is never opened again");
}

#[test]
fn windows_that_are_not_kept_are_errors() {
    hold(CASES);
}

const CASES: &[Case] = &[
    (
        "6.9 WINDOW_UPDATE by 0 on a stream",
        |client| {
            client.hold_an_answer();
            client.put(window_update(1, 0));
        },
        Stream(&[PROTOCOL_ERROR]),
    ),
    (
        "6.9.1 a window of a stream above 2^31 - 1",
        |client| {
            client.hold_an_answer();
            client.open_window(1, LARGEST_WINDOW);
            client.put(window_update(1, LARGEST_WINDOW));
        },
        Stream(&[FLOW_CONTROL_ERROR]),
    ),
    (
        "6.9.2 settings that push a window above 2^31 - 1",
        |client| {
            client.hold_an_answer();
            // The window of the connection keeps the body from being sent whole.
            client.open_window(1, LARGEST_WINDOW - 1);
            client.put(settings(&[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]));
        },
        Connection(&[FLOW_CONTROL_ERROR]),
    ),
];
