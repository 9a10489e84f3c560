//! Clients of HTTP/2 that misbehave: each is ended or refused within a deadline, the worker's memory stays
//! bounded, and another client is answered meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::stream_with_small_window;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::h2::Failure;
use crate::support::h2_frames::*;
use crate::support::hpack::{block, indexed, literal};
use crate::support::process::Process;
use crate::support::transport::{End, Transport};
use crate::support::tree::PAGE;
use crate::support::{DEADLINE, H2, Launch, Stop, Tree, eventually, pattern, within};

/// By how much a worker's own memory may grow while it is attacked. The aim is less; allocators keep some.
const GROWTH: u64 = 8 << 20;

/// How much a client may send without any use before it has to be stopped. The server's own bound is 256 KiB;
/// what sockets hold comes on top.
const WASTE: usize = 24 << 20;

/// What is sent on a stream, or as the piece of this number.
type Piece = fn(u32) -> Vec<u8>;

struct Target {
    server: Configured,
    worker: Process,
    memory: u64,
}

impl std::ops::Deref for Target {
    type Target = Configured;
    fn deref(&self) -> &Configured {
        &self.server
    }
}

impl Target {
    /// A server that has been in use, so that its memory is what it is then.
    #[track_caller]
    fn start(flags: &[&str]) -> Self {
        let tree = Tree::site();
        tree.file("big.bin", pattern(1, 8 << 20));
        let launch = Launch::of(tree).flags(flags.iter().copied());
        let server = launched(launch, "http2_plain = true\n");
        let mut client = H2::connect(server.address());
        let streams: Vec<u32> = (0..100).map(|_| client.ask("GET", "/large.html", &[])).collect();
        streams.into_iter().for_each(|stream| client.response(stream).has_status(&[200]));
        client.get("/page.html").is(200, PAGE);
        drop(client);
        let worker = server.workers()[0];
        Self { memory: worker.memory(), worker, server }
    }

    /// Runs an attack while another client is answered again and again.
    #[track_caller]
    fn attacked(&self, attack: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        let answered = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut kept = H2::connect(self.address());
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) || count == 0 {
                    kept.get("/page.html").is(200, PAGE);
                    H2::connect(self.address()).get("/page.html").is(200, PAGE);
                    self.get("/page.html").is(200, PAGE);
                    count += 1;
                }
                count
            });
            let _stop = Stop(&stop);
            attack();
            stop.store(true, Ordering::Relaxed);
            other.join().unwrap()
        });
        assert!(answered > 0);
        self.unharmed();
    }

    #[track_caller]
    fn unharmed(&self) {
        assert_eq!(self.workers(), [self.worker], "the worker was replaced: {}", self.log());
        let bound = self.memory + GROWTH;
        let grown = || (self.worker.memory() < bound).then_some(());
        within(DEADLINE, "the memory of the worker is bounded", grown);
    }
}

/// Sends a piece again and again until the server has had enough; the connection has ended then.
#[track_caller]
fn flood(client: &mut H2, mut piece: impl FnMut(u32) -> Vec<u8>) {
    client.ask_freely();
    let begun = Instant::now();
    let (mut number, mut sent) = (0, 0);
    while client.end.is_none() {
        let mut pieces = Vec::new();
        while pieces.len() < 16 << 10 {
            pieces.extend(piece(number));
            number += 1;
        }
        sent += pieces.len();
        if !client.send(pieces) {
            break;
        }
        client.take_what_came();
        assert!(sent < WASTE && begun.elapsed() < DEADLINE, "{sent} bytes taken; {}", client.story());
    }
    client.until_end();
}

/// Holds a server to ending the connection for this: GOAWAY with one of these codes, or a bare end.
#[track_caller]
fn is_stopped(client: &mut H2, codes: &[u32]) {
    client.until_end();
    let code = client.goaway.as_ref().map(|goaway| goaway.code);
    assert!(code.is_none_or(|code| codes.contains(&code)), "{}", client.story());
    assert_ne!(client.end, Some(End::Cut));
}

const CALM: &[u32] = &[ENHANCE_YOUR_CALM];

#[test]
fn streams_that_are_reset_at_once() {
    let target = Target::start(&[]);
    for count in [1, 10, 50] {
        target.attacked(|| {
            let mut client = H2::connect(target.address());
            client.known(1);
            flood(&mut client, |number| {
                let streams = (0..count).map(|within| 1 + 2 * (number * count + within));
                streams.flat_map(|stream| [get(stream), rst_stream(stream, CANCEL)].concat()).collect()
            });
            is_stopped(&mut client, CALM);
        });
    }
}

#[test]
fn streams_that_are_reset_when_their_answer_has_begun() {
    let target = Target::start(&[]);
    target.attacked(|| {
        let mut client = H2::connect(target.address());
        let begun = Instant::now();
        while client.goaway.is_none() && client.end.is_none() {
            let stream = client.ask("GET", "/big.bin", &[]);
            while client.streams[&stream].body.is_empty() && client.end.is_none() && client.goaway.is_none() {
                client.frame();
            }
            client.put(rst_stream(stream, CANCEL));
            assert!(begun.elapsed() < DEADLINE * 2, "resets without end; {}", client.story());
        }
        is_stopped(&mut client, CALM);
    });
}

#[test]
fn resets_that_the_server_is_made_to_send() {
    let target = Target::start(&[]);
    let provocations: [(&str, Piece); 4] = [
        ("windows that overflow", |stream| {
            [get(stream), window_update(stream, LARGEST_WINDOW), window_update(stream, 1)].concat()
        }),
        ("windows opened by 0", |stream| [get(stream), window_update(stream, 0)].concat()),
        ("bodies behind their end", |stream| [get(stream), data(stream, "x")].concat()),
        ("malformed requests", |stream| get_with(stream, &[("connection", "close")])),
    ];
    for (name, provocation) in provocations {
        target.attacked(|| {
            let mut client = H2::connect_with(target.address(), &[(INITIAL_WINDOW_SIZE, 1)]);
            flood(&mut client, |number| provocation(1 + 2 * number));
            let code = client.goaway.as_ref().map(|goaway| goaway.code);
            let fits = code.is_none_or(|code| {
                matches!(code, ENHANCE_YOUR_CALM | PROTOCOL_ERROR | FLOW_CONTROL_ERROR | STREAM_CLOSED)
            });
            assert!(fits, "{name}: {}", client.story());
        });
    }
}

/// Floods of frames that ask for nothing.
#[track_caller]
fn frames_without_use(piece: impl Fn(u32) -> Vec<u8> + Send + Sync, codes: &[u32]) {
    let target = Target::start(&[]);
    target.attacked(|| {
        let mut client = H2::connect(target.address());
        flood(&mut client, &piece);
        is_stopped(&mut client, codes);
    });
}

#[test]
fn pings_without_end() {
    frames_without_use(|number| ping(&u64::from(number).to_be_bytes()), CALM);
}

#[test]
fn settings_without_end() {
    frames_without_use(|number| settings(&[(INITIAL_WINDOW_SIZE, 60_000 + number % 2)]), CALM);
    frames_without_use(|_| settings(&[]), CALM);
}

#[test]
fn priorities_without_end() {
    frames_without_use(|number| priority(1 + 2 * (number % 1000), 0), CALM);
}

#[test]
fn windows_without_end() {
    frames_without_use(|_| window_update(0, 1), &[ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR]);
}

#[test]
fn unknown_frames_without_end() {
    frames_without_use(|_| frame(0x42, 0, 0, ""), CALM);
    frames_without_use(|_| frame(0x42, 0xff, 0, [0; LARGEST_PAYLOAD]), CALM);
}

#[test]
fn data_without_content_without_end() {
    let first = |number: u32, piece: Vec<u8>| if number == 0 { [post(1), piece].concat() } else { piece };
    let rows = [
        ("empty", data(1, "")),
        ("padding alone", padded(DATA, 0, 1, "", 255)),
        ("one byte", padded(DATA, 0, 1, "x", 200)),
    ];
    for (name, piece) in rows {
        let target = Target::start(&[]);
        target.attacked(|| {
            let mut client = H2::connect(target.address());
            client.known(1);
            flood(&mut client, |number| first(number, piece.clone()));
            let code = client.goaway.as_ref().map(|goaway| goaway.code);
            // What does not keep to the windows may be stopped for that.
            let known = [ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, STREAM_CLOSED, NO_ERROR];
            assert!(code.is_none_or(|code| known.contains(&code)), "{name}: {}", client.story());
        });
    }
}

#[test]
fn continuations_without_end() {
    let target = Target::start(&[]);
    let pieces: [Piece; 3] = [
        |_| Vec::new(),
        |number| literal(format!("x-{number}"), "y"),
        |number| literal(format!("x-{number}"), "y".repeat(8000)),
    ];
    for piece in pieces {
        target.attacked(|| {
            let mut client = H2::connect(target.address());
            flood(&mut client, |number| match number {
                0 => frame(HEADERS, END_STREAM, 1, block(PAGE_FIELDS)),
                number => frame(CONTINUATION, 0, 1, piece(number)),
            });
            let codes = [ENHANCE_YOUR_CALM, COMPRESSION_ERROR, PROTOCOL_ERROR];
            is_stopped(&mut client, &codes);
        });
    }
}

/// Holds a server to not answering a request as if nothing were wrong with it.
#[track_caller]
fn is_refused(mut client: H2, stream: u32) {
    match client.outcome(stream) {
        Ok(response) => response.has_status(&[400, 413, 431]),
        Err(Failure::Reset(_) | Failure::Ended(_) | Failure::Refused(_)) => {}
    }
}

#[test]
fn heads_that_are_too_long() {
    let target = Target::start(&[]);
    for length in [17_000, 56_000, 1 << 20] {
        target.attacked(|| {
            let mut client = H2::connect(target.address());
            let values: Vec<String> = (0..length / 1000).map(|_| "y".repeat(1000)).collect();
            let mut fields = client.pseudo("GET", "/page.html", "test");
            fields.extend(values.iter().map(|value| ("x-long", value.as_str())));
            let stream = client.request(&fields);
            is_refused(client, stream);
        });
    }
    let mut client = H2::connect(target.address());
    let value = "y".repeat(6000);
    client.get_with("/page.html", &[("x-long", &value)]).is(200, PAGE);
}

#[test]
fn a_short_block_of_a_long_head() {
    let target = Target::start(&[]);
    target.attacked(|| {
        for count in [100, 3000, 12_000] {
            let mut client = H2::connect(target.address());
            let stream = client.begin(PAGE_FIELDS);
            let references = vec![0x80 | 62; count];
            let bytes = [block(PAGE_FIELDS), indexed("x-bomb", &"y".repeat(4000)), references].concat();
            client.put(frame(HEADERS, WHOLE, stream, bytes));
            is_refused(client, stream);
        }
    });
}

#[test]
fn more_streams_than_allowed_without_end() {
    let target = Target::start(&[]);
    target.attacked(|| {
        let mut client = H2::connect_with(target.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
        flood(&mut client, |number| get(1 + 2 * number));
        is_stopped(&mut client, &[ENHANCE_YOUR_CALM, PROTOCOL_ERROR, REFUSED_STREAM]);
    });
}

#[test]
fn answers_that_nothing_is_taken_of() {
    let target = Target::start(&["--send-timeout", "3s"]);
    for window in [0, 1000, FIRST_WINDOW as u32] {
        target.attacked(|| {
            let mut client = H2::connect_with(target.address(), &[(INITIAL_WINDOW_SIZE, window)])
                .keeping_windows()
                .patient(DEADLINE * 2);
            (0..100).for_each(|_| _ = client.ask("GET", "/big.bin", &[]));
            client.until_end();
        });
    }
}

#[test]
fn a_socket_that_nothing_is_read_from() {
    let target = Target::start(&["--send-timeout", "3s", "--admin", "0"]);
    let admin = target.admin_address();
    let open = || Exposition::of(admin).sum("mayhttpd_connections_open", "");
    eventually("no connection is open", || (open() == 0.0).then_some(()));
    let transport = Transport::plain(stream_with_small_window(target.address()));
    let mut client = H2::over(transport, "http", &[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]);
    client.open_window(0, 1 << 30);
    (0..100).for_each(|_| _ = client.ask("GET", "/big.bin", &[]));
    assert_eq!(open(), 1.0);
    within(DEADLINE * 2, "the connection is ended", || (open() == 0.0).then_some(()));
    target.unharmed();
}

#[test]
fn a_window_that_is_opened_byte_by_byte() {
    let target = Target::start(&["--send-timeout", "3s"]);
    target.attacked(|| {
        let mut client = H2::connect_with(target.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
        let stream = client.ask("GET", "/big.bin", &[]);
        let begun = Instant::now();
        while client.end.is_none() && client.goaway.is_none() {
            client.open_window(stream, 1);
            client.take_what_came();
            assert!(begun.elapsed() < DEADLINE * 4, "a drip without end; {}", client.story());
            std::thread::sleep(Duration::from_micros(100));
        }
        client.until_end();
    });
}

#[test]
fn hundreds_that_begin_and_leave() {
    let target = Target::start(&[]);
    target.attacked(|| {
        for round in 0..300 {
            let mut client = H2::raw(target.address());
            let begin = [PREFACE, &settings(&[]), &get(1), &post(3), &head(100, HEADERS, 0, 5)].concat();
            client.put(&begin[..begin.len() * (round % 10 + 1) / 10]);
        }
    });
}

#[test]
fn two_floods_at_once_keep_no_other_from_its_answers() {
    let target = Target::start(&[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for kind in 0..2 {
            let (address, stop) = (target.address(), &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = H2::connect(address);
                    flood(&mut client, |number| match kind {
                        0 => priority(1 + 2 * (number % 1000), 0),
                        _ => ping(&[7; 8]),
                    });
                }
            });
        }
        let _stop = Stop(&stop);
        let mut kept = H2::connect(target.address());
        for _ in 0..200 {
            kept.get("/page.html").is(200, PAGE);
        }
        H2::connect(target.address()).get("/page.html").is(200, PAGE);
    });
    target.unharmed();
}
