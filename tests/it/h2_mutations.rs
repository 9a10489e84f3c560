//! Frames of HTTP/2 with random damage: whatever comes, the worker lives, answers no request by a 5xx status,
//! and ends the connection. A failure names its seed, from which the same frames come again.

use std::fs;

use crate::support::h2_frames::*;
use crate::support::hpack::block;
use crate::support::{Dice, Launch, Tree, eventually};

/// Frames of one connection.
const FRAMES: usize = 20;

const FIELDS: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/page.html"), (":authority", "test")];

/// A right frame.
fn right(dice: &mut Dice) -> Vec<u8> {
    let stream = 1 + 2 * dice.below(12) as u32;
    match dice.below(14) {
        0..=3 => get_with(stream, &[("range", "bytes=0-3,7-9"), ("accept-encoding", "br, gzip")]),
        4 => open(stream, FIELDS),
        5 => frame(CONTINUATION, END_HEADERS, stream, block(FIELDS)),
        6 => frame(HEADERS, *dice.pick(&[0, END_STREAM]), stream, block(FIELDS)),
        7 => data(stream, [b'x'; 40]),
        8 => rst_stream(stream, CANCEL),
        9 => priority(stream, 0),
        10 => ping(b"12345678"),
        11 => window_update(*dice.pick(&[0, stream]), 1 + dice.below(70_000) as u32),
        12 => settings(&[(*dice.pick(&[1, 2, 3, 4, 5, 6, 9]), dice.below(100_000) as u32)]),
        _ => frame(dice.below(256) as u8, dice.below(256) as u8, stream, vec![7; dice.below(300)]),
    }
}

fn damaged(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = right(dice);
    for _ in 0..*dice.pick(&[0, 0, 1, 1, 2, 5]) {
        let at = dice.below(bytes.len() + 1).min(bytes.len().saturating_sub(1));
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.next() as u8,
            // The length, and the frames after it are read from another place.
            2 => bytes[2] = bytes[2].wrapping_add(dice.below(5) as u8),
            3 => bytes.truncate(at.max(9)),
            4 => bytes.extend_from_within(at..),
            _ => bytes.insert(at, dice.next() as u8),
        }
    }
    bytes
}

#[track_caller]
fn survives(seed: u64, connections: usize) {
    let logs = Tree::empty();
    let log = logs.at("access.log");
    let flags = ["--http2-plain", "--access-log", log.to_str().unwrap(), "--head-timeout", "5s"];
    let server = Launch::site().flags(flags).start();
    let worker = server.workers();
    let mut dice = Dice::new(seed);
    for number in 0..connections {
        let mut bytes = [PREFACE, &settings(&[])].concat();
        (0..FRAMES).for_each(|_| bytes.extend(damaged(&mut dice)));
        let mut client = server.client();
        client.send(&bytes);
        client.half_close();
        // It ends, or the deadline of the client does.
        client.rest();
        assert_eq!(server.workers(), worker, "the worker died of connection {number} of seed {seed}");
    }
    server.get("/page.html").has_status(&[200]);
    let logged = eventually("the log is written", || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("HTTP/1.1\" 200").then_some(text)
    });
    let failed = logged.lines().find(|line| line.contains("HTTP/2.0\" 5"));
    assert_eq!(failed, None, "seed {seed}");
    assert!(logged.contains("HTTP/2.0\" 2"), "no request was answered");
}

#[test]
fn damaged_frames_are_survived() {
    survives(1, 500);
}

#[test]
#[ignore = "sends a million frames; .ci/run runs it"]
fn a_million_damaged_frames_are_survived() {
    (10..20).for_each(|seed| survives(seed, 5000));
}
