//! HTTP/2 as an operator sees it: room for new clients, what is counted, the lines of the access log, and the
//! memory of idle connections.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use crate::support::authority::Authority;
use crate::support::client::ASK_PAGE;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::h2_frames::*;
use crate::support::json::Json;
use crate::support::transport::End;
use crate::support::tree::{LARGE, PAGE, large};
use crate::support::{DEADLINE, H2, Launch, Tls, Tree, eventually, within};

#[track_caller]
fn start(flags: &[&str]) -> (Configured, SocketAddr) {
    let launch = Launch::site().flags(["--admin", "0"]).flags(flags.iter().copied());
    let server = launched(launch, "http2_plain = true\n");
    let admin = server.admin_address();
    (server, admin)
}

fn sum(admin: SocketAddr, name: &str, label: &str) -> usize {
    Exposition::of(admin).sum(&format!("mayhttpd_{name}"), label) as usize
}

/// A client with streams whose windows are closed.
#[track_caller]
fn stuck(server: &Configured, streams: usize) -> (H2, Vec<u32>) {
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 0)]).keeping_windows();
    client.open_window(0, 1 << 30);
    let streams: Vec<u32> = (0..streams).map(|_| client.ask("GET", "/large.html", &[])).collect();
    client.until("the heads", |client| streams.iter().all(|stream| client.streams[stream].head.is_some()));
    (client, streams)
}

/// A client that has been answered.
#[track_caller]
fn newcomer(server: &Configured) -> H2 {
    let mut client = H2::connect(server.address());
    client.get("/page.html").is(200, PAGE);
    client
}

/// Holds a server to ending a connection in order, with a word before.
#[track_caller]
fn made_room(mut client: H2) {
    assert_eq!(client.until_end(), End::Orderly, "{}", client.story());
    assert_eq!(client.goaway.as_ref().map(|goaway| goaway.code), Some(NO_ERROR), "{}", client.story());
}

#[test]
fn idle_connections_make_room_for_new_clients_and_those_with_streams_do_not() {
    let (server, admin) = start(&["--max-connections", "3", "--idle-timeout", "1h", "--send-timeout", "1h"]);
    let evicted = || sum(admin, "connections_ended_total", "reason=\"evicted\"");
    let (mut busy, streams) = stuck(&server, 2);
    // By the clock that the order goes by, so that the two are told apart.
    let first = newcomer(&server);
    std::thread::sleep(Duration::from_millis(250));
    let second = newcomer(&server);
    let _third = newcomer(&server);
    made_room(first);
    assert_eq!(evicted(), 1);
    std::thread::sleep(Duration::from_millis(250));
    let _fourth = newcomer(&server);
    made_room(second);
    assert_eq!(evicted(), 2);
    for stream in streams {
        busy.open_window(stream, LARGE as u32);
        busy.response(stream).is(200, large());
    }
}

#[test]
fn a_new_client_waits_where_each_connection_has_a_stream() {
    let (server, admin) = start(&["--max-connections", "2", "--idle-timeout", "1h", "--send-timeout", "1h"]);
    let [(mut first, streams), (mut second, _)] = [stuck(&server, 1), stuck(&server, 1)];
    let mut new = server.client();
    new.send(ASK_PAGE);
    // Some ticks of the server's clock pass: it may look again.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!new.has_news(), "a client was served beyond the limit");
    assert_eq!(sum(admin, "connections_ended_total", "reason=\"evicted\""), 0);
    first.open_window(streams[0], LARGE as u32);
    first.response(streams[0]).is(200, large());
    new.response().is(200, PAGE);
    made_room(first);
    second.ping();
}

#[test]
fn connections_streams_and_requests_are_counted() {
    let (server, admin) = start(&[]);
    let counts = || {
        let open = ["http2_connections_open", "http2_streams_open"].map(|name| sum(admin, name, ""));
        (open, sum(admin, "http2_requests_total", ""), sum(admin, "requests_total", ""))
    };
    let are = |what: &str, open: [usize; 2], of_http2: usize, all: usize| {
        eventually(&format!("{what}: {open:?}, {of_http2}, {all}"), || {
            (counts() == (open, of_http2, all)).then_some(())
        });
    };
    are("nothing", [0, 0], 0, 0);
    server.get("/page.html").is(200, PAGE);
    let mut kept = server.client();
    kept.still_serves();
    are("two by HTTP/1.1", [0, 0], 0, 2);
    let (mut first, streams) = stuck(&server, 5);
    let (second, _) = stuck(&server, 3);
    are("streams that wait", [2, 8], 8, 10);
    first.put(rst_stream(streams[0], CANCEL));
    are("one is reset", [2, 7], 8, 10);
    first.open_window(streams[1], LARGE as u32);
    first.response(streams[1]).is(200, large());
    are("one is done", [2, 6], 8, 10);
    let absent = first.ask("HEAD", "/absent", &[]);
    first.response(absent).has_status(&[404]);
    drop(second);
    are("a client has left", [1, 3], 9, 11);
    drop(first);
    are("both have left", [0, 0], 9, 11);
}

/// A server with an access log in JSON, and where that is.
#[track_caller]
fn logging(flags: &[&str]) -> (Configured, Tree) {
    let logs = Tree::empty();
    let log = ["--access-log".to_owned(), logs.at("access.log").to_str().unwrap().to_owned()];
    let launch = Launch::site().flags(["--access-format", "json"]).flags(log).flags(flags.iter().copied());
    (launched(launch, "http2_plain = true\n"), logs)
}

/// The ends of the requests in the log, once it has the lines of so many; an empty one for those that are
/// whole. The end of the connection has a line of its own.
#[track_caller]
fn ends(logs: &Tree, count: usize) -> Vec<String> {
    within(DEADLINE, &format!("{count} requests in the access log"), || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let lines: Vec<Json> =
            whole.lines().map(Json::parse).filter(|line| line.field("status").is_some()).collect();
        let end = |line: &Json| line.field("end").map_or(String::new(), |_| line.text("end").to_owned());
        (lines.len() >= count).then(|| lines.iter().map(end).collect())
    })
}

#[test]
fn a_stream_that_the_client_resets_has_its_line() {
    let (server, logs) = logging(&[]);
    let (mut client, streams) = stuck(&server, 3);
    client.put(rst_stream(streams[1], CANCEL));
    client.ping();
    assert_eq!(ends(&logs, 1), ["peer_closed"]);
    for stream in [streams[0], streams[2]] {
        client.open_window(stream, LARGE as u32);
        client.response(stream).is(200, large());
    }
    assert_eq!(ends(&logs, 3), ["peer_closed", "", ""]);
}

#[test]
fn streams_that_end_with_their_connection_have_their_lines() {
    let (server, logs) = logging(&[]);
    drop(stuck(&server, 3));
    assert_eq!(ends(&logs, 3), ["peer_closed"; 3]);

    let (server, logs) = logging(&["--send-timeout", "1s"]);
    let (mut client, _) = stuck(&server, 2);
    client.until_end();
    assert_eq!(ends(&logs, 2), ["send_timeout"; 2]);

    let (server, logs) = logging(&[]);
    let (mut client, _) = stuck(&server, 2);
    client.put(data(0, "x"));
    client.until_end();
    assert_eq!(ends(&logs, 2), ["rejected"; 2]);
}

/// What an idle connection over TLS may take. h2 keeps 28 KiB of buffers.
const IDLE_MEMORY: u64 = 36 << 10;

/// What h2 keeps besides of a hundred streams that were open at a time.
const STREAM_MEMORY: u64 = 56 << 10;

/// Connections that are measured.
const MANY: usize = 60;

#[test]
fn idle_connections_take_little_memory_also_after_many_streams() {
    let authority = Authority::new();
    let table = authority.issue(&["test"]).table();
    let server = launched(Launch::site().tls().flags(["--idle-timeout", "1h"]), &table);
    let tls = Tls::trusting(&authority);
    let (worker, body) = (server.workers()[0], &large()[1000..21_000]);
    let connect = || {
        let transport = tls.offering(&["h2"]).connect(server.tls_address());
        H2::over(transport, "https", &[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)])
    };
    // A hundred large bodies are under way at once: the window of the connection is closed before.
    let many_streams = |client: &mut H2| {
        client.keep_windows();
        let fields = [("range", "bytes=1000-20999")];
        let streams: Vec<u32> = (0..100).map(|_| client.ask("GET", "/large.html", &fields)).collect();
        client
            .until("the heads", |client| streams.iter().all(|stream| client.streams[stream].head.is_some()));
        client.open_window(0, 4 << 20);
        streams.into_iter().for_each(|stream| client.response(stream).is(206, body));
    };
    let mut first = connect();
    many_streams(&mut first);
    let before = worker.memory();
    let each = || worker.memory().saturating_sub(before) / MANY as u64;
    let mut clients: Vec<H2> = (0..MANY).map(|_| connect()).collect();
    clients.iter_mut().for_each(|client| client.get("/page.html").is(200, PAGE));
    let fresh = each();
    clients.iter_mut().for_each(many_streams);
    let used = each();
    eprintln!("{fresh} bytes for an idle connection, {used} after a hundred streams");
    // Nothing of it is on stacks, which are larger in debug builds.
    assert!(fresh <= IDLE_MEMORY, "{fresh} bytes for an idle connection");
    assert!(used <= IDLE_MEMORY + STREAM_MEMORY, "{used} bytes after a hundred streams");
    clients.iter_mut().for_each(|client| client.get("/page.html").is(200, PAGE));
}
