//! Whatever frames a client of HTTP/2 sends, the driver neither panics nor goes on for ever: once the client
//! has said all, the connection closes. What it has sent by then are whole frames. The connection is one of a
//! worker, over a socket pair, with a site that has a short file and a long one.

#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, Once, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mayhttpd::background::Background;
use mayhttpd::config::Settings;
use mayhttpd::connection::access_logs::AccessLogs;
use mayhttpd::connection::buffer_pool::BufferPool;
use mayhttpd::connection::client_address::TrustedProxies;
use mayhttpd::connection::context::Context;
use mayhttpd::connection::file_sending::FileSending;
use mayhttpd::connection::http2::{PREFACE, common_fields::CommonFields};
use mayhttpd::connection::leadership::{Leadership, Task};
use mayhttpd::connection::multiplexed::Served;
use mayhttpd::connection::permit::{ConnectionPermit, PermitIssuer};
use mayhttpd::connection::rendered_time::RenderedTime;
use mayhttpd::connection::socket_timers::SocketTimers;
use mayhttpd::connection::timeouts::Timeouts;
use mayhttpd::connection::{Accepted, Connection, service};
use mayhttpd::metrics::Row;
use mayhttpd::site::Site;
use mayhttpd::store::Store;
use mayhttpd::store::root::OpenedRoot;
use mayhttpd::sys::file::Root;
use mayhttpd::sys::socket::PeerAddress;

/// Bytes of the long file: more than the windows of a client that opens none, and than a socket takes.
const LONG: usize = 300_000;

/// Turns within which a connection closes whose client has sent its last byte.
const MAX_TURNS: u64 = 1000;

/// HEADERS in HPACK, without references to the dynamic table: GET of the short file, GET of the long one, and
/// the same with a range (RFC 7541, appendix A has the numbers).
const REQUESTS: [&[u8]; 3] = [
    b"\x82\x86\x04\x02/a\x01\x01h",
    b"\x82\x86\x04\x02/b\x01\x01h",
    b"\x82\x86\x04\x02/b\x01\x01h\x0f\x23\x09bytes=2-9",
];

/// In place of a worker.
struct Stub;

/// Answers that would wait; the worker has a coroutine for each.
static TASKS: Mutex<Vec<Task>> = Mutex::new(Vec::new());

impl Leadership for Stub {
    fn hand_over(&'static self) {}

    fn give_way(&'static self) {}

    fn wake(&'static self, _: usize) {}

    fn spawn(&'static self, task: Task) {
        TASKS.lock().unwrap().push(task);
    }
}

impl PermitIssuer for Stub {
    fn release(&self) {}
}

/// What all connections share, made once. Without background threads: their jobs are done at once.
fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("mayhttpd-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("a"), "short").unwrap();
        std::fs::write(directory.join("b"), "x".repeat(LONG)).unwrap();
        let settings = Settings { http2_plain: true, ..Settings::default() };
        let metrics = Row::alone().unwrap();
        let background = Box::leak(Box::new(Background::start(0, 0, metrics).unwrap()));
        let root = OpenedRoot::new((Root::open(&directory).unwrap(), directory));
        let timers = SocketTimers::start(0);
        let now = timers.clock.now();
        let store = Store::new(&settings, Some(root), Vec::new(), metrics, background, now);
        Context {
            site: Site::new(&settings, &[], store),
            timers,
            rendered_time: RenderedTime::at(now.wall),
            trusted_proxies: TrustedProxies::new(&settings),
            timeouts: Timeouts::new(&settings),
            file_sending: FileSending { sendfile: settings.sendfile, chunk: settings.send_chunk },
            server: settings.name.clone().into_bytes(),
            access: AccessLogs::new(&settings, Vec::new()),
            access_format: settings.access_format,
            slot: 0,
            accepted: AtomicU64::new(0),
            read_buffers: BufferPool::for_reading(),
            write_buffers: BufferPool::for_writing(),
            frame_buffers: BufferPool::for_frames(),
            piece: Mutex::default(),
            metrics,
            http2_plain: settings.http2_plain,
            common_fields: CommonFields::new(settings.name.as_bytes()),
            tls: None,
            draining: AtomicBool::new(false),
        }
    })
}

/// Serves the connection until it closes. It is called in a coroutine, which may wait for the client.
fn serve(socket: OwnedFd) {
    let accepted = Accepted {
        socket,
        peer: PeerAddress::Unix,
        proxy_header: false,
        tls: false,
        permit: ConnectionPermit::new(&Stub),
    };
    let mut connection = Connection::accept(context(), &Stub, accepted);
    let mut turns = 0;
    while service::serve(&mut connection) == Served::Idle {
        turns += 1;
        assert!(turns < MAX_TURNS, "the connection does not close");
        let tasks = std::mem::take(&mut *TASKS.lock().unwrap());
        tasks.into_iter().for_each(|task| task());
        // In place of the idle set: the client may have had no time to run.
        std::thread::sleep(Duration::from_micros(10 * turns));
        connection.resume(false);
    }
}

/// Serves a client that sends these bytes and then nothing more; what it gets.
fn served(bytes: &[u8]) -> Vec<u8> {
    static CONFIGURED: Once = Once::new();
    // The stack of a worker's coroutines, with room for what instruments the code.
    CONFIGURED.call_once(|| {
        may::config().set_workers(1).set_stack_size(1 << 16);
    });
    let (mut client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    std::thread::scope(|scope| {
        let mut reader = client.try_clone().unwrap();
        let received = scope.spawn(move || {
            let mut bytes = Vec::new();
            // A reset ends it too.
            let _ = reader.read_to_end(&mut bytes);
            bytes
        });
        scope.spawn(move || {
            // A connection that is closed early takes no more.
            let _ = client.write_all(bytes);
            let _ = client.shutdown(Shutdown::Write);
        });
        may::go!(move || serve(server.into())).join().unwrap();
        received.join().unwrap()
    })
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    bytes.extend_from_slice(payload);
    bytes
}

/// The types of the frames that these bytes are; the last one may be cut by a close.
fn kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        kinds.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}

/// What the input stands for: each four bytes are a frame. Most are right: requests, each on the next stream,
/// and what may follow them. Of the others type, flags, stream and length are random, and the payload is the
/// input's next bytes. Some are no frames at all.
fn frames(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
    let mut next = 1;
    while let [kind, value, stream, length, rest @ ..] = input {
        input = rest;
        let (kind, value, length) = (kind % 24, *value, length % 64);
        // That of a request, or the next one's. 0 is the connection.
        let known = (u32::from(*stream) % next) | 1;
        let either = if stream % 4 == 0 { 0 } else { known };
        bytes.extend(match kind {
            10..=15 => {
                next += 2;
                frame(1, 5, next - 2, REQUESTS[usize::from(kind) % REQUESTS.len()])
            }
            16 => frame(8, 0, either, &[0, 0, value, length]),
            17 => frame(3, 0, known, &[0, 0, 0, value]),
            18 => frame(4, 0, 0, &[0, length % 7, 0, 0, value, length]),
            19 => frame(6, value & 1, 0, &[length; 8]),
            _ => {
                let (payload, rest) = rest.split_at(usize::from(length).min(rest.len()));
                input = rest;
                match kind {
                    20.. => payload.to_vec(),
                    _ => frame(kind, value, u32::from(stream % 32), payload),
                }
            }
        });
    }
    bytes
}

fuzz_target!(|input: &[u8]| {
    let answer = served(&frames(input));
    // All types that a server sends are known (RFC 9113 §6), and it pushes nothing.
    let known = |kind: &u8| matches!(kind, 0 | 1 | 3 | 4 | 6 | 7 | 8 | 9);
    assert!(kinds(&answer).iter().all(known), "{answer:?}");
});
