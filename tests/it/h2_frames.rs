//! Frames of HTTP/2 by their form (RFC 9113 section 4) and by their kind (section 6): sizes, streams,
//! padding.

use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Answer, Connection, Harmless, Ignored, Stream};
use crate::support::h2_reactions::{Case, hold};
use crate::support::hpack::{block, literal};

#[test]
fn frames_are_judged_by_their_form() {
    hold(FORM);
}

#[test]
fn header_blocks_are_judged_by_their_frames() {
    hold(BLOCKS);
}

#[test]
fn frames_of_data_and_headers_are_judged() {
    hold(DATA_AND_HEADERS);
}

#[test]
fn frames_of_other_kinds_are_judged() {
    hold(OTHERS);
}

/// The block of a request for the page.
fn page() -> Vec<u8> {
    block(PAGE_FIELDS)
}

const FORM: &[Case] = &[
    ("4.1 an unknown kind", |client| client.put(frame(0x42, 0, 0, "unknown")), Ignored),
    ("4.1 an unknown kind with all flags", |client| client.put(frame(0xff, 0xff, 0, [0; 100])), Ignored),
    ("4.1 an unknown kind on an idle stream", |client| client.put(frame(0x42, 0, 7, "")), Ignored),
    ("4.1 flags that PING has not", |client| client.put(frame(PING, 0xfe, 0, [0; 8])), Ignored),
    (
        "4.1 flags that HEADERS has not",
        |client| client.put(frame(HEADERS, WHOLE | 0xc2, 1, page())),
        Answer(1, 200),
    ),
    (
        "4.1 the reserved bit of the stream",
        |client| client.put(frame(HEADERS, WHOLE, 1 | 1 << 31, page())),
        Answer(1, 200),
    ),
    ("4.1 the reserved bit of a PING", |client| client.put(frame(PING, 0, 1 << 31, [0; 8])), Ignored),
    ("4.1 the reserved bit of a window", |client| client.put(window_update(0, 1 | 1 << 31)), Ignored),
    (
        "4.2 DATA as large as can be",
        |client| client.put([post(1), last_data(1, [0; LARGEST_PAYLOAD])].concat()),
        Answer(1, 405),
    ),
    (
        "4.2 DATA that is too large",
        |client| client.put([post(1), last_data(1, [0; LARGEST_PAYLOAD + 1])].concat()),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "4.2 HEADERS that is too large",
        |client| {
            let long = literal("x-long", "x".repeat(LARGEST_PAYLOAD));
            client.put(frame(HEADERS, WHOLE, 1, [page(), long].concat()));
        },
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "4.2 SETTINGS that is too large",
        |client| client.put(frame(SETTINGS, 0, 0, [0; 6 * 2731])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "4.2 an unknown kind that is too large",
        |client| client.put(frame(0x42, 0, 0, [0; LARGEST_PAYLOAD + 1])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "4.2 the largest length that can be said",
        |client| client.put(head((1 << 24) - 1, DATA, 0, 1)),
        Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
    ),
];

const BLOCKS: &[Case] = &[
    (
        "4.3 a block that can't be decoded",
        |client| client.put(frame(HEADERS, WHOLE, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        Connection(&[COMPRESSION_ERROR]),
    ),
    (
        "4.3 PRIORITY within a block",
        |client| {
            client.put(frame(HEADERS, END_STREAM, 1, page()));
            client.put([priority(1, 0), frame(CONTINUATION, END_HEADERS, 1, "")].concat());
        },
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "4.3 HEADERS of another stream within a block",
        |client| client.put([frame(HEADERS, END_STREAM, 1, page()), get(3)].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "4.3 DATA within a block",
        |client| client.put([frame(HEADERS, 0, 1, page()), data(1, "x")].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "4.3 PING within a block",
        |client| client.put([frame(HEADERS, END_STREAM, 1, page()), ping(&[0; 8])].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "5.5 an unknown kind within a block",
        |client| client.put([frame(HEADERS, END_STREAM, 1, page()), frame(0x42, 0, 1, "")].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.10 a block in two frames",
        |client| {
            let (first, second) = (page()[..10].to_vec(), page()[10..].to_vec());
            client.put(frame(HEADERS, END_STREAM, 1, first));
            client.put(frame(CONTINUATION, END_HEADERS, 1, second));
        },
        Answer(1, 200),
    ),
    (
        "6.10 a block cut within names and values",
        |client| {
            let page = page();
            let pieces: Vec<&[u8]> = page.chunks(page.len().div_ceil(4)).collect();
            client.put(frame(HEADERS, END_STREAM, 1, pieces[0]));
            pieces[1..3].iter().for_each(|piece| client.put(frame(CONTINUATION, 0, 1, piece)));
            client.put(frame(CONTINUATION, END_HEADERS, 1, pieces[3]));
        },
        Answer(1, 200),
    ),
    (
        "6.10 an empty CONTINUATION",
        |client| {
            client.put(frame(HEADERS, END_STREAM, 1, page()));
            client.put(frame(CONTINUATION, END_HEADERS, 1, ""));
        },
        Answer(1, 200),
    ),
    (
        "6.10 CONTINUATION behind a whole block",
        |client| client.put([post(1), frame(CONTINUATION, END_HEADERS, 1, literal("x", "y"))].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.10 CONTINUATION behind the last CONTINUATION",
        |client| {
            client.put(frame(HEADERS, 0, 1, page()));
            client.put(frame(CONTINUATION, END_HEADERS, 1, ""));
            client.put(frame(CONTINUATION, END_HEADERS, 1, ""));
        },
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.10 CONTINUATION behind DATA",
        |client| client.put([post(1), data(1, "x"), frame(CONTINUATION, END_HEADERS, 1, "")].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.10 CONTINUATION on stream 0",
        |client| {
            client.put([frame(HEADERS, 0, 1, page()), frame(CONTINUATION, END_HEADERS, 0, "")].concat());
        },
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.10 CONTINUATION on another stream",
        |client| {
            client.put([frame(HEADERS, 0, 1, page()), frame(CONTINUATION, END_HEADERS, 3, "")].concat());
        },
        Connection(&[PROTOCOL_ERROR]),
    ),
];

const DATA_AND_HEADERS: &[Case] = &[
    ("6.1 DATA on stream 0", |client| client.put(data(0, "x")), Connection(&[PROTOCOL_ERROR])),
    (
        "6.1 DATA with padding",
        |client| client.put([post(1), padded(DATA, END_STREAM, 1, "x", 200)].concat()),
        Answer(1, 405),
    ),
    (
        "6.1 DATA of padding alone",
        |client| client.put([post(1), padded(DATA, END_STREAM, 1, "", 255)].concat()),
        Answer(1, 405),
    ),
    (
        "6.1 padding of DATA as long as the frame",
        |client| client.put([post(1), frame(DATA, END_STREAM | PADDED, 1, [5, 0, 0, 0, 0])].concat()),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.1 padded DATA without a length of padding",
        |client| client.put([post(1), frame(DATA, END_STREAM | PADDED, 1, "")].concat()),
        Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
    ),
    (
        "6.2 HEADERS on stream 0",
        |client| client.put(frame(HEADERS, WHOLE, 0, page())),
        Connection(&[PROTOCOL_ERROR]),
    ),
    ("6.2 HEADERS with padding", |client| client.put(padded(HEADERS, WHOLE, 1, page(), 100)), Answer(1, 200)),
    (
        "6.2 padding of HEADERS longer than the frame",
        |client| client.put(frame(HEADERS, WHOLE | PADDED, 1, [&[255], &page()[..]].concat())),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.2 HEADERS with a priority",
        |client| {
            client.put(frame(HEADERS, WHOLE | WEIGHTED, 1, [&[0x80, 0, 0, 0, 255], &page()[..]].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.2 HEADERS with padding and a priority",
        |client| {
            let payload = [&[0, 0, 0, 11, 15], &page()[..]].concat();
            client.put(padded(HEADERS, WHOLE | WEIGHTED, 1, payload, 3));
        },
        Answer(1, 200),
    ),
    (
        "6.2 HEADERS with a part of a priority",
        |client| client.put(frame(HEADERS, WHOLE | WEIGHTED, 1, [0; 3])),
        Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
    ),
    (
        "7540: 5.3.1 HEADERS that depends on itself",
        |client| client.put(frame(HEADERS, WHOLE | WEIGHTED, 1, [&[0, 0, 0, 1, 15], &page()[..]].concat())),
        Harmless,
    ),
];

const OTHERS: &[Case] = &[
    ("6.3 PRIORITY on stream 0", |client| client.put(priority(0, 1)), Connection(&[PROTOCOL_ERROR])),
    (
        "6.3 PRIORITY of 4 bytes",
        |client| client.put(frame(PRIORITY, 0, 1, [0; 4])),
        Stream(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.3 PRIORITY of 6 bytes",
        |client| client.put(frame(PRIORITY, 0, 1, [0; 6])),
        Stream(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.3 PRIORITY of an idle stream",
        |client| client.put([priority(5, 3), get(7)].concat()),
        Answer(7, 200),
    ),
    ("7540: 5.3.1 PRIORITY that depends on itself", |client| client.put(priority(1, 1)), Harmless),
    ("6.4 RST_STREAM on stream 0", |client| client.put(rst_stream(0, CANCEL)), Connection(&[PROTOCOL_ERROR])),
    (
        "6.4 RST_STREAM of an idle stream",
        |client| client.put(rst_stream(1, CANCEL)),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.4 RST_STREAM of 3 bytes",
        |client| client.put([post(1), frame(RST_STREAM, 0, 1, [0; 3])].concat()),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.4 RST_STREAM of 5 bytes",
        |client| client.put([post(1), frame(RST_STREAM, 0, 1, [0; 5])].concat()),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    ("6.4 RST_STREAM", |client| client.put([post(1), rst_stream(1, CANCEL)].concat()), Ignored),
    (
        "7 RST_STREAM with an unknown code",
        |client| client.put([post(1), rst_stream(1, 0xff)].concat()),
        Ignored,
    ),
    (
        "6.6 PUSH_PROMISE of a client",
        |client| client.put(frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2], &page()[..]].concat())),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.6 PUSH_PROMISE of a client on its own stream",
        |client| {
            let promise = frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2], &page()[..]].concat());
            client.put([post(1), promise].concat());
        },
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.9 WINDOW_UPDATE of 3 bytes",
        |client| client.put(frame(WINDOW_UPDATE, 0, 0, [0, 0, 1])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.9 WINDOW_UPDATE of 5 bytes",
        |client| client.put(frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1, 0])),
        Connection(&[FRAME_SIZE_ERROR]),
    ),
    (
        "6.9 WINDOW_UPDATE by 0 on the connection",
        |client| client.put(window_update(0, 0)),
        Connection(&[PROTOCOL_ERROR]),
    ),
    (
        "6.9.1 a window of the connection above 2^31 - 1",
        |client| client.put([window_update(0, LARGEST_WINDOW), window_update(0, LARGEST_WINDOW)].concat()),
        Connection(&[FLOW_CONTROL_ERROR]),
    ),
];
