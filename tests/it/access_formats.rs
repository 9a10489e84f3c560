//! The formats of the access log: common, and JSON with its numbers and the connection's end.

use std::fs;
use std::net::Shutdown;

use crate::support::json::Json;
use crate::support::launch::run_with;
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Tree, eventually};

/// A server that logs in this format to a file in a tree of the log's own.
fn logging(format: &str, flags: &[&str]) -> (Server, Tree) {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let log = ["--access-log", path.to_str().unwrap(), "--access-format", format];
    let server = Launch::site().flags(log).flags(flags).start();
    (server, logs)
}

#[track_caller]
fn lines(logs: &Tree, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in the access log"), || {
        let text = String::from_utf8(fs::read(logs.at("access.log")).unwrap()).expect("the log is text");
        assert!(text.is_empty() || text.ends_with('\n'), "a line was cut: {text}");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count).then_some(lines)
    })
}

#[track_caller]
fn objects(logs: &Tree, count: usize) -> Vec<Json> {
    lines(logs, count).iter().map(|line| Json::parse(line)).collect()
}

#[test]
fn common_has_no_client_fields() {
    let (server, logs) = logging("common", &[]);
    server.get_with("/page.html", "Referer: http://from/here\r\nUser-Agent: a test\r\n").is(200, PAGE);
    let line = &lines(&logs, 1)[0];
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.ends_with("] \"GET /page.html HTTP/1.1\" 200 38"), "{line}");
}

#[test]
fn a_line_of_json_tells_all_of_a_request() {
    let (server, logs) = logging("json", &[]);
    let mut client = server.client();
    client.send("GET /page.html?a=b HTTP/1.1\r\nHost: test\r\nReferer: http://from/\r\n\r\n");
    client.response().is(200, PAGE);
    client.send("HEAD /absent HTTP/1.1\r\nHost: test\r\nUser-Agent: x/1\r\nConnection: close\r\n\r\n");
    client.response_to_head().has_status(&[404]);
    let found = objects(&logs, 2);
    for (number, line) in found.iter().enumerate() {
        let time = line.text("time");
        // 2026-11-21T10:07:03Z
        assert!(time.len() == 20 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
        assert_eq!(line.text("peer"), "127.0.0.1");
        assert_eq!((line.number("worker"), line.number("request")), (0.0, number as f64 + 1.0));
        assert_eq!(line.number("connection"), found[0].number("connection"));
        assert_eq!(line.text("protocol"), "HTTP/1.1");
        assert!((0.0..5.0).contains(&line.number("duration")), "{line:?}");
    }
    let (first, second) = (&found[0], &found[1]);
    assert_eq!((first.text("method"), first.text("target")), ("GET", "/page.html?a=b"));
    assert_eq!((first.number("status"), first.number("bytes")), (200.0, 38.0));
    assert_eq!((first.text("referer"), first.field("user_agent")), ("http://from/", Some(&Json::Null)));
    assert_eq!(first.field("end"), None);
    assert_eq!((second.text("method"), second.text("target")), ("HEAD", "/absent"));
    assert_eq!((second.number("status"), second.number("bytes")), (404.0, 0.0));
    assert_eq!((second.field("referer"), second.text("user_agent")), (Some(&Json::Null), "x/1"));
    assert_eq!(second.text("end"), "finished");
}

#[test]
fn a_duration_is_that_of_the_request_and_not_of_the_wait_before_it() {
    let (server, logs) = logging("json", &[]);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\nHo");
    server.get("/page.html").is(200, PAGE);
    let before = objects(&logs, 1).len();
    client.send("st: test\r\n\r\n");
    client.response().is(200, PAGE);
    let last = objects(&logs, before + 1).pop().unwrap();
    assert!(last.number("duration") < 1.0, "{last:?}");
}

#[test]
fn the_end_of_a_connection_is_in_its_last_line_or_in_one_of_its_own() {
    let (server, logs) = logging("json", &["--idle-timeout", "200ms", "--head-timeout", "200ms"]);
    let ask = "GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n";
    // 1: leaves after two requests. 2: is refused. 3: is too slow. 4: says nothing more.
    let mut client = server.client();
    client.send(ask.repeat(2));
    client.response().is(200, PAGE);
    client.response().is(200, PAGE);
    client.half_close();
    client.closed();
    server.refuses("GET /page.html HTTP/1.1\r\n\r\n", &[400]);
    let mut slow = server.client();
    slow.send("GET /pa");
    slow.response().has_status(&[408]);
    slow.closed();
    let mut idle = server.client();
    idle.still_serves();
    idle.closed();
    // One that asks nothing leaves no line.
    std::net::TcpStream::connect(server.address()).unwrap().shutdown(Shutdown::Both).unwrap();
    server.get_with("/page.html", "Connection: close\r\n").is(200, PAGE);

    let found = objects(&logs, 8);
    let told: Vec<_> = found
        .iter()
        .map(|line| {
            let status = line.field("status").map(|_| line.number("status") as u16);
            let end = line.field("end").map(|_| line.text("end"));
            let requests = line.field("requests").map(|_| line.number("requests") as u32);
            (status, end, requests)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(200), None, None),
            (Some(200), None, None),
            (None, Some("peer_closed"), Some(2)),
            (Some(400), Some("rejected"), None),
            (Some(408), Some("head_timeout"), None),
            (Some(200), None, None),
            (None, Some("idle_timeout"), Some(1)),
            (Some(200), Some("finished"), None),
        ]
    );
    let connections: Vec<_> = found.iter().map(|line| line.number("connection")).collect();
    assert!(connections[..3].iter().all(|number| *number == connections[0]), "{connections:?}");
    assert!(connections[3] != connections[0] && connections[5] == connections[6], "{connections:?}");
}

#[test]
fn hostile_bytes_stay_within_their_field() {
    let (server, logs) = logging("json", &[]);
    let asked: [(&[u8], &str, &str); 6] = [
        (b"GET /\",\"status\":200,\"x\":\" HTTP/1.1", "target", "/\",\"status\":200,\"x\":\""),
        (b"GET /a\\u0022\\ HTTP/1.1", "target", "/a\\u0022\\"),
        (b"GET /caf\xc3\xa9 HTTP/1.1", "target", "/caf\u{e9}"),
        (b"GET /caf\xe9\xff HTTP/1.1", "target", "/caf\u{e9}\u{ff}"),
        (b"GET / HTTP/1.1\r\nUser-Agent: \xff\xfe \"}\t{\"", "user_agent", "\u{ff}\u{fe} \"}\t{\""),
        (b"GET / HTTP/1.1\r\nReferer: \xe2\x80\xa8\xc2\x85", "referer", "\u{2028}\u{85}"),
    ];
    for (head, ..) in asked {
        let head = [head, b"\r\nHost: test\r\nConnection: close\r\n\r\n"].concat();
        server.ask(head);
    }
    let found = objects(&logs, asked.len());
    assert_eq!(found.len(), asked.len(), "{found:?}");
    let raw = lines(&logs, asked.len());
    for ((line, raw), (head, field, value)) in found.iter().zip(&raw).zip(asked) {
        let head = head.escape_ascii().to_string();
        if line.number("status") == 400.0 && line.text("method").is_empty() {
            assert!(line.text("target").contains(value), "{head}: {line:?}");
        } else if line.number("status") != 400.0 || field == "target" {
            assert_eq!(line.text(field), value, "{head}");
        }
        let breaks = ['\u{85}', '\u{2028}', '\u{2029}'];
        assert!(!raw.contains(|c: char| c.is_control() || breaks.contains(&c)), "{raw:?}");
    }
}

#[test]
fn what_is_no_http_is_a_valid_line_too() {
    let (server, logs) = logging("json", &[]);
    server.refuses(b"\x16\x03\x01\x02\"\\\xff nonsense\r\n\r\n", &[400]);
    let line = &objects(&logs, 1)[0];
    assert_eq!((line.text("method"), line.text("protocol")), ("", ""));
    assert_eq!(line.text("target"), "\u{16}\u{3}\u{1}\u{2}\"\\\u{ff} nonsense");
    assert_eq!((line.number("status"), line.text("end")), (400.0, "rejected"));
}

#[test]
fn an_unknown_format_is_refused() {
    let finished = run_with(&["--access-format", "xml"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.errors.contains("combined, common or json"), "{finished:?}");
}
