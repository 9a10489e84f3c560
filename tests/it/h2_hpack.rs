//! Header compression (RFC 7541): what can't be decoded ends the connection, because no later block could be
//! decoded either. And the decoder of these tests, held to the examples of the RFC.

use crate::support::h2_frames::*;
use crate::support::h2_reactions::Expected::{Answer, Connection};
use crate::support::h2_reactions::{Case, hold};
use crate::support::hpack::{Decoder, block, indexed, integer, literal, string};
use crate::support::{H2, every};

#[test]
fn blocks_that_can_not_be_decoded_end_the_connection() {
    hold(FAULTS);
}

#[test]
fn blocks_of_every_form_are_decoded() {
    hold(FORMS);
}

/// A request for the page with more bytes behind its fields.
fn behind(bytes: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, [&block(PAGE_FIELDS), bytes].concat())
}

/// The same with bytes before its fields.
fn before(bytes: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, 1, [bytes, &block(PAGE_FIELDS)].concat())
}

/// A field with a value that is coded by these bytes.
fn coded(bytes: &[u8]) -> Vec<u8> {
    [vec![0], string("x"), integer(0x80, 7, bytes.len()), bytes.to_vec()].concat()
}

/// GET, http and the path of the page, with `:authority` left out.
fn short() -> Vec<u8> {
    [vec![0x82, 0x86, 0x04], string("/page.html")].concat()
}

const BROKEN: &[u32] = &[COMPRESSION_ERROR];

const FAULTS: &[Case] = &[
    ("2.3.3 an index beyond the static table", |client| client.put(behind(&[0x80 | 62])), Connection(BROKEN)),
    (
        "2.3.3 a name beyond the static table",
        |client| client.put(behind(&[0x40 | 62, 1, b'x'])),
        Connection(BROKEN),
    ),
    (
        "2.3.3 an index far beyond",
        |client| client.put(behind(&integer(0x80, 7, 1 << 20))),
        Connection(BROKEN),
    ),
    ("6.1 index 0", |client| client.put(behind(&[0x80])), Connection(BROKEN)),
    ("4.2 a size update behind a field", |client| client.put(behind(&[0x20])), Connection(BROKEN)),
    (
        "6.3 a size above the announced one",
        |client| client.put(before(&integer(0x20, 5, 4097))),
        Connection(BROKEN),
    ),
    ("6.3 a size far above", |client| client.put(before(&integer(0x20, 5, 1 << 27))), Connection(BROKEN)),
    ("5.1 an integer without end", |client| client.put(behind(&[0xff; 20])), Connection(BROKEN)),
    (
        "5.1 an integer beyond 2^64",
        |client| {
            client.put(behind(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]))
        },
        Connection(BROKEN),
    ),
    ("5.1 an integer that is cut", |client| client.put(behind(&[0xff, 0x80])), Connection(BROKEN)),
    (
        "5.2 a string longer than the block",
        |client| client.put(behind(&[0, 1, b'x', 100, b'y'])),
        Connection(BROKEN),
    ),
    (
        "5.2 a string of 2^27 bytes",
        |client| client.put(behind(&[0, 0x7f, 0x80, 0xff, 0xff, 0x3f])),
        Connection(BROKEN),
    ),
    ("5.2 a name without a value", |client| client.put(behind(&[0, 1, b'x'])), Connection(BROKEN)),
    ("5.2 a code that is cut", |client| client.put(behind(&[0, 1, b'x', 0x85, 0xff])), Connection(BROKEN)),
    ("5.2 padding of 8 bits", |client| client.put(behind(&coded(&[0x1f, 0xff]))), Connection(BROKEN)),
    (
        "5.2 padding of 24 bits",
        |client| client.put(behind(&coded(&[0x1f, 0xff, 0xff, 0xff]))),
        Connection(BROKEN),
    ),
    ("5.2 padding of zeros", |client| client.put(behind(&coded(&[0x18]))), Connection(BROKEN)),
    (
        "5.2 EOS in a string",
        |client| client.put(behind(&coded(&[0xff, 0xff, 0xff, 0xff]))),
        Connection(BROKEN),
    ),
    (
        "4.4 an entry that was evicted",
        |client| {
            client.put(behind(&indexed("x-a", "1")));
            client.until("an answer", |client| client.streams[&1].is_whole);
            let block = [vec![0x20, 0x3f, 0xe1, 0x1f], block(PAGE_FIELDS), vec![0x80 | 62]].concat();
            client.put(frame(HEADERS, WHOLE, 3, block));
        },
        Connection(BROKEN),
    ),
    (
        "4.4 an entry larger than the table, which empties it",
        |client| {
            client.put(behind(
                &[indexed("x-a", "1"), indexed("x-b", &"y".repeat(5000)), vec![0x80 | 62]].concat(),
            ));
        },
        Connection(BROKEN),
    ),
];

const FORMS: &[Case] = &[
    (
        "6.1 entries of the static table",
        |client| {
            client.put(frame(HEADERS, WHOLE, 1, [short(), literal(":authority", "test")].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.2.1 a field that enters the table, and is used",
        |client| {
            client.put(behind(&[indexed("x-a", "1"), vec![0x80 | 62, 0x80 | 62]].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.2.1 the table outlives a request",
        |client| {
            let first =
                [&[0x82, 0x86][..], &indexed(":path", "/page.html"), &indexed(":authority", "test")].concat();
            client.put(frame(HEADERS, WHOLE, 1, first));
            client.put(frame(HEADERS, WHOLE, 3, [0x82, 0x86, 0x80 | 63, 0x80 | 62]));
        },
        Answer(3, 200),
    ),
    (
        "6.2.1 the table outlives a malformed request",
        |client| {
            client.put(behind(
                &[indexed("x-good", "1"), literal("connection", "close"), indexed("x-more", "2")].concat(),
            ));
            client.put(frame(HEADERS, WHOLE, 3, [&block(PAGE_FIELDS), &[0x80 | 62, 0x80 | 63][..]].concat()));
        },
        Answer(3, 200),
    ),
    (
        "6.2.1 the table outlives a stream that is reset",
        |client| {
            client.put([behind(&indexed("x-a", "1")), rst_stream(1, CANCEL)].concat());
            client.put(frame(HEADERS, WHOLE, 3, [block(PAGE_FIELDS), vec![0x80 | 62]].concat()));
        },
        Answer(3, 200),
    ),
    (
        "6.2.2 a name of the static table",
        |client| {
            client.put(behind(&[&[0x0f, 58 - 15][..], &string("a test")].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.2.3 a field that is never indexed",
        |client| {
            client.put(behind(&[vec![0x10], string("x-secret"), string("1")].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.2.3 a name of the static table, never indexed",
        |client| {
            client.put(behind(&[&[0x1f, 23 - 15][..], &string("Basic x")].concat()));
        },
        Answer(1, 200),
    ),
    (
        "6.3 a size update to nothing and back",
        |client| {
            client.put(before(&[vec![0x20], integer(0x20, 5, 4096)].concat()));
        },
        Answer(1, 200),
    ),
    (
        "4.3 a table of no size takes nothing",
        |client| {
            client.put(frame(HEADERS, WHOLE, 1, [&[0x20], &indexed("x-a", "1")[..], &[]].concat()));
            client.put(frame(HEADERS, WHOLE, 3, block(PAGE_FIELDS)));
        },
        Answer(3, 200),
    ),
    (
        "5.2 a coded string",
        |client| {
            // www.example.com, by the example of C.4.1.
            let name = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
            client.put(frame(HEADERS, WHOLE, 1, [&short()[..], &[0x01, 0x8c], &name].concat()));
        },
        Answer(1, 200),
    ),
    ("5.2 an empty coded string", |client| client.put(behind(&coded(&[]))), Answer(1, 200)),
    (
        "5.1 a length that takes two bytes",
        |client| {
            client.put(behind(&literal("x", "y".repeat(127))));
        },
        Answer(1, 200),
    ),
    (
        "5.1 a length that takes three bytes",
        |client| {
            client.put(behind(&literal("x", "y".repeat(5000))));
        },
        Answer(1, 200),
    ),
    (
        "4.4 entries that push out others",
        |client| {
            let value = |number: u32| format!("{number}{}", "y".repeat(70));
            let many: Vec<u8> = (0..80).flat_map(|number| indexed("x-a", &value(number))).collect();
            client.put(behind(&[many, vec![0x80 | 62]].concat()));
        },
        Answer(1, 200),
    ),
];

#[test]
fn a_table_that_a_client_wants_small_is_kept_small() {
    let subject = crate::support::h2_reactions::Subject::start();
    for size in [0, 64, 4096, 100_000] {
        // The decoder refuses what does not keep to the size.
        let mut client = H2::connect_with(subject.address(), &[(HEADER_TABLE_SIZE, size)]);
        for _ in 0..20 {
            client.get("/page.html").has_status(&[200]);
            client.get("/absent").has_status(&[404]);
        }
    }
}

/// Hexadecimal digits as bytes.
fn bytes(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn the_decoder_reads_the_examples_of_the_rfc() {
    let read = |decoder: &mut Decoder, digits: &str| {
        let fields = decoder.decode(&bytes(digits)).unwrap();
        fields.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
    };
    let mut decoder = Decoder::new(4096);
    let first = "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff";
    let wanted = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
    assert_eq!(read(&mut decoder, first), wanted);
    let second = read(&mut decoder, "8286 84be 5886 a8eb 1064 9cbf");
    assert_eq!(second[3..], [":authority: www.example.com", "cache-control: no-cache"]);
    let third = read(&mut decoder, "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    assert_eq!(third[2..], [":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"]);
    // C.5 and C.6: a table of 256 bytes, from which entries go.
    let mut decoder = Decoder::new(256);
    let first = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d \
                 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    let read_first = read(&mut decoder, first);
    assert_eq!(read_first[2], "date: Mon, 21 Oct 2013 20:13:21 GMT");
    assert_eq!(read(&mut decoder, "4883 640e ffc1 c0bf")[..2], [":status: 307", "cache-control: private"]);
    let third = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
                 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    let third = read(&mut decoder, third);
    assert_eq!(third[3..5], ["location: https://www.example.com", "content-encoding: gzip"]);
    assert_eq!(third[5], "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
}

#[test]
fn the_decoder_refuses_what_is_wrong() {
    let rows = [
        "80",
        "be",
        "3fe2 1f",
        "8220",
        "ff",
        "ffff ffff ffff ff",
        "0001",
        "0078",
        "0001 7803 61",
        "0001 7882 1fff",
        "0001 7881 18",
        "0001 7884 ffff ffff",
    ];
    every(rows.map(|digits| (digits, digits)), |digits| {
        assert!(Decoder::new(4096).decode(&bytes(digits)).is_err());
    });
    assert!(
        Decoder::new(100).decode(&bytes("3f45")).is_ok() && Decoder::new(100).decode(&bytes("3f46")).is_err()
    );
}
