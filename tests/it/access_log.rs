//! The access log: a line for each request in combined format, whole always, and not to be forged.

use std::fs;

use rustix::process::Signal;

use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Tree, eventually, pattern};

/// A server that logs to a file in a tree of the log's own.
fn logging(workers: usize) -> (Server, Tree) {
    log_of(Launch::site().workers(workers))
}

fn log_of(launch: Launch) -> (Server, Tree) {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    (launch.flags(["--access-log", path.to_str().unwrap()]).start(), logs)
}

/// The log's lines, once there are so many.
#[track_caller]
fn lines(logs: &Tree, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in the access log"), || {
        let text = String::from_utf8(fs::read(logs.at("access.log")).unwrap()).expect("the log is text");
        // A read may come between the pages of a write, so a last line that is cut has until the deadline.
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn every_request_is_a_line_in_combined_format() {
    let (server, logs) = logging(1);
    let mut client = server.client();
    client.send(
        "GET /page.html?a=b HTTP/1.1\r\nHost: test\r\nReferer: http://from/here\r\nUser-Agent: a test/1.0\r\n\r\n",
    );
    client.response().is(200, PAGE);
    client.send("HEAD /absent HTTP/1.0\r\n\r\n");
    client.response_to_head().has_status(&[404]);
    let lines = lines(&logs, 2);
    let (start, rest) = lines[0].split_once(" [").unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(start, "127.0.0.1 - -");
    // 21/Nov/2026:10:07:03 +0000
    assert!(
        time.len() == 26 && time.ends_with(" +0000") && &time[2..3] == "/" && &time[11..12] == ":",
        "{time}"
    );
    assert_eq!(rest, "\"GET /page.html?a=b HTTP/1.1\" 200 38 \"http://from/here\" \"a test/1.0\"");
    let rest = lines[1].split_once("] ").unwrap().1;
    assert!(rest.starts_with("\"HEAD /absent HTTP/1.0\" 404 "), "{rest}");
    assert!(rest.ends_with(" \"-\" \"-\""), "{rest}");
}

#[test]
fn a_client_can_not_forge_a_line() {
    let (server, logs) = logging(1);
    let asked: [&[u8]; 4] = [
        b"GET /a%0a1.2.3.4%20-%20forged HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /q?\"%20200%205 HTTP/1.1\r\nHost: test\r\nUser-Agent: \"quoted\" \\ \xff\xfe \t tab\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: test\r\nReferer: \x1b[31mred\r\n\r\n",
        b"GET /\xe2\x80\xae HTTP/1.1\r\nHost: test\r\nReferer: a\"b\r\n\r\n",
    ];
    for raw in asked {
        server.ask(raw);
    }
    for line in lines(&logs, asked.len()) {
        assert!(line.starts_with("127.0.0.1 - - ["), "a forged line: {line}");
        assert!(line.is_ascii() && !line.contains(char::is_control), "raw bytes in {line:?}");
        // Escaped quotes aside, a line has the six of its three quoted parts.
        let quotes = line.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        assert_eq!(quotes, 6, "{line}");
    }
}

#[test]
fn refused_requests_are_logged_too() {
    let (server, logs) = logging(1);
    server.refuses("GET /page.html HTTP/1.1\r\n\r\n", &[400]);
    server.refuses("\x16\x03\x01\x02 nonsense\r\n\r\n", &[400]);
    let lines = lines(&logs, 2);
    assert!(lines.iter().all(|line| line.contains("\" 400 ")), "{lines:?}");
}

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
const LENGTH: &str = "Content-Length: 1000\r\n\r\n";
/// What the log would take for a request, if it took it from within a body.
const FORGED: &str = "GET /forged HTTP/1.1\r\nHost: test\r\n\r\n";

/// Sends requests with these bodies, each on a connection of its own that `after` is done to, and holds the
/// answers to their status and the log to a line for each that is of the request, in order and with nothing
/// besides.
#[track_caller]
fn are_logged_by_their_own_lines(bodies: &[(String, u16)], after: impl Fn(&Client)) {
    let (server, logs) = log_of(Launch::site().flags(["--head-timeout", "500ms"]));
    for (number, (body, status)) in bodies.iter().enumerate() {
        let mut client = server.client();
        let head = format!("GET /page.html?{number} HTTP/1.1\r\nHost: test\r\nUser-Agent: a test\r\n");
        client.send(head + body);
        after(&client);
        let response = client.response();
        assert_eq!(response.status, *status, "row {number}");
        assert!(response.closes());
        client.closed();
    }
    let lines = lines(&logs, bodies.len());
    assert!(lines.iter().all(|line| !line.contains("forged")), "{lines:#?}");
    assert_eq!(lines.len(), bodies.len(), "{lines:#?}");
    for (number, (line, (_, status))) in lines.iter().zip(bodies).enumerate() {
        let request = format!("] \"GET /page.html?{number} HTTP/1.1\" {status} ");
        assert!(line.contains(&request) && line.ends_with(" \"-\" \"a test\""), "row {number}: {line}");
    }
}

#[test]
fn a_request_with_a_malformed_body_is_logged_by_its_own_line() {
    let bodies = [
        format!("{CHUNKED}{FORGED}"),
        format!("{CHUNKED}5\r\nhello\r\n{FORGED}"),
        format!("{CHUNKED}5\r\nhello{FORGED}"),
        format!("{CHUNKED}0\r\nGET /forged HTTP/1.1\r\n\r\n"),
    ];
    are_logged_by_their_own_lines(&bodies.map(|body| (body, 400)), |_| {});
}

#[test]
fn a_request_with_a_body_that_stalls_is_logged_by_its_own_line() {
    let bodies = [
        LENGTH.to_owned(),
        format!("{LENGTH}{FORGED}"),
        CHUNKED.to_owned(),
        format!("{CHUNKED}fff\r\n{FORGED}"),
        format!("{CHUNKED}5\r\nhello\r\nfff"),
    ];
    are_logged_by_their_own_lines(&bodies.map(|body| (body, 408)), |_| {});
}

#[test]
fn a_request_with_a_body_that_is_cut_off_gets_400_and_is_logged_by_its_own_line() {
    let bodies = [
        LENGTH.to_owned(),
        format!("{LENGTH}{FORGED}"),
        CHUNKED.to_owned(),
        format!("{CHUNKED}fff\r\n{FORGED}"),
        format!("{CHUNKED}5\r\nhello\r\n0\r\n"),
    ];
    are_logged_by_their_own_lines(&bodies.map(|body| (body, 400)), Client::half_close);
}

#[test]
fn the_length_logged_of_a_download_that_is_reset_is_what_was_sent() {
    const SIZE: u64 = 16 << 20;
    for sendfile in ["on", "off"] {
        let tree = Tree::site();
        tree.file("big.bin", pattern(1, SIZE as usize));
        let (server, logs) = log_of(Launch::of(tree).flags(["--sendfile", sendfile]));
        let mut client = Client::with_small_window(server.address());
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.head().unwrap().has_status(&[200]);
        let (mut got, mut buffer) = (0, [0; 4096]);
        while got < 100_000 {
            let count = client.read(&mut buffer) as u64;
            assert!(count > 0, "cut at {got}");
            got += count;
        }
        client.reset();
        let line = lines(&logs, 1).remove(0);
        let length = line.split_once("\" 200 ").unwrap().1.split(' ').next().unwrap();
        let length: u64 = length.parse().unwrap();
        assert!((got..SIZE).contains(&length), "{length} bytes of {SIZE} logged, {got} taken");
    }
}

#[test]
fn the_length_logged_is_what_was_sent() {
    let (server, logs) = logging(1);
    server.get_with("/text.txt", "Range: bytes=0-9\r\n").has_status(&[206]);
    server.get_with("/text.txt", "If-None-Match: *\r\n").has_status(&[304]);
    server.get("/large.html").has_status(&[200]);
    let lines = lines(&logs, 3);
    assert!(lines[0].contains("\" 206 10 "), "{}", lines[0]);
    assert!(lines[1].contains("\" 304 0 ") || lines[1].contains("\" 304 - "), "{}", lines[1]);
    assert!(lines[2].contains("\" 200 954824 "), "{}", lines[2]);
}

#[test]
fn lines_of_several_workers_are_whole() {
    let (server, logs) = logging(2);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..250 {
                    server.get(format!("/page.html?{thread}-{number}-{}", "x".repeat(100))).is(200, PAGE);
                }
            });
        }
    });
    let lines = lines(&logs, 1000);
    assert_eq!(lines.len(), 1000);
    for line in &lines {
        assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with(" 200 38 \"-\" \"-\""), "{line}");
    }
    for thread in 0..4 {
        for number in 0..250 {
            let asked = format!("?{thread}-{number}-x");
            assert_eq!(lines.iter().filter(|line| line.contains(&asked)).count(), 1, "{asked}");
        }
    }
}

#[test]
fn what_was_served_is_in_the_log_when_the_server_has_ended() {
    for signal in [Signal::QUIT, Signal::TERM] {
        let (mut server, logs) = logging(2);
        (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
        server.signal(signal);
        assert_eq!(server.exit_code(), Some(0));
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        assert_eq!(text.lines().count(), 20, "after {signal:?}");
    }
}

#[test]
fn a_dash_logs_to_standard_output() {
    let server = Server::start(&["--access-log", "-"]);
    server.get("/page.html").is(200, PAGE);
    eventually("a line on standard output", || {
        server.output().contains("\"GET /page.html HTTP/1.1\" 200 38").then_some(())
    });
}

#[test]
fn a_standard_output_without_a_reader_holds_no_request_up() {
    let mut server = Launch::site().flags(["--access-log", "-"]).start_unread();
    let mut client = server.client();
    // Fifty times what the pipe holds.
    let long = format!("GET /page.html?{} HTTP/1.1\r\nHost: test\r\n\r\n", "x".repeat(1000));
    for _ in 0..3000 {
        client.send(&long);
        client.response().is(200, PAGE);
    }
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    // At once means by itself: a worker that hangs is killed, and the log says so before it says the end.
    server.says("that it stopped", |line| line.contains("stopped"));
    assert!(!server.log().contains("killed"), "{}", server.log());
}

#[test]
fn nothing_is_logged_unless_asked_for() {
    let server = Server::start(&[]);
    server.get("/page.html").is(200, PAGE);
    server.refuses("GET /page.html HTTP/1.1\r\n\r\n", &[400]);
    assert!(!server.output().contains("GET") && !server.log().contains("page.html"), "{}", server.log());
}

#[test]
fn an_address_of_ipv6_is_logged_without_brackets() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let server = Launch::site().listen(&["[::1]:0"]).flags(["--access-log", path.to_str().unwrap()]).start();
    server.get("/page.html").is(200, PAGE);
    assert!(lines(&logs, 1)[0].starts_with("::1 - - ["));
}

#[test]
fn the_error_log_has_a_time_a_level_and_a_process_in_each_line() {
    let tree = Tree::empty();
    let path = tree.at("error.log");
    let server = Launch::site().flags(["--log-file", path.to_str().unwrap()]).start();
    server.get("/page.html").is(200, PAGE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.is_empty() && server.log().is_empty(), "{text:?} {:?}", server.log());
    for line in text.lines() {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T', "{line}");
        assert!(["INFO [", "WARN ["].iter().any(|level| rest.starts_with(level)), "{line}");
        assert!(rest.contains("[master] ") || rest.contains("[worker 0] "), "{line}");
    }
}

#[test]
fn a_higher_level_says_less() {
    let server = Server::start(&["--log-level", "error"]);
    server.get("/page.html").is(200, PAGE);
    assert_eq!(server.log(), "");
}
