//! Requests by HTTP/2: whatever a site gives by HTTP/1.1 it gives by HTTP/2 too, to the field and the byte;
//! and what only HTTP/2 has, many streams on one connection.

use std::fs;
use std::time::Instant;

use rustix::process::Signal;

use crate::support::configured::{Configured, launched, serve, site};
use crate::support::exposition::Exposition;
use crate::support::h2::Failure;
use crate::support::h2_frames::*;
use crate::support::tree::{LARGE, PAGE, large, text};
use crate::support::{DEADLINE, H2, Launch, Response, Tree, eventually, every, pattern};

/// anna has "right" (SHA-256-crypt).
const ANNA: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n";
const RIGHT: &str = "Basic YW5uYTpyaWdodA==";
const WRONG: &str = "Basic YW5uYTp3cm9uZw==";

/// A site that has one of everything. The tree holds its users file and the root of another host.
fn rich() -> (Tree, Configured) {
    let (users, tree) = (Tree::empty(), Tree::site());
    users.file("users", ANNA);
    users.file("other/only.txt", "of the other host\n");
    tree.file("404.html", "<p>nothing here\n");
    tree.file("staff/s.txt", "for staff\n");
    tree.file("listed/one.txt", "1");
    tree.file("listed/deep/two.txt", "2");
    for (name, length) in [("a.js", 1000), ("a.js.br", 100), ("a.js.gz", 150), ("long.js", 300_000)] {
        tree.file(name, pattern(length as u64, length));
    }
    tree.file("long.js.gz", pattern(3, 120_000));
    let users_file = users.at("users");
    let other_root = users.at("other");
    let settings = format!(
        "http2_plain = true\nunknown_hosts = 'reject'\nerror_pages = {{ 404 = '/404.html' }}\n\
         headers = {{ X-Site = 'rich' }}\n\
         [[redirect]]\nfrom = '/blog/:year/*'\nto = '/archive/:year/:splat'\n\
         [[redirect]]\nfrom = '/gone'\nto = 'https://other.example/'\nstatus = 307\n\
         [[rewrite]]\nfrom = '/alias/*'\nto = '/:splat'\n\
         [[header]]\npath = '/one/*'\nset = {{ X-Rule = 'deep' }}\n\
         [[host]]\nnames = ['test']\n\
         [[host.location]]\npath = '/listed'\nlisting = true\n\
         [[host.location]]\npath = '/staff'\nauth = {{ realm = 'staff', users_file = {users_file:?} }}\n\
         [[host.location]]\npath = '/denied'\ndeny = ['all']\n\
         [[host.location]]\npath = '/fixed'\nreturn = {{ status = 410, body = 'was here', type = 'text/plain' }}\n\
         [[host.location]]\npath = '/kept'\nexpires = '1h'\n\
         [[host]]\nnames = ['other.example', '*.other.example']\nroot = {other_root:?}\n"
    );
    (users, serve(tree, &settings, &[]))
}

/// What two answers must have in common: the status, the fields but those of the connection, the body. The
/// boundary of several ranges may be any.
fn essence(response: &Response) -> (u16, Vec<(String, String)>, String) {
    let boundary = response.field("content-type").and_then(|media| media.split_once("boundary="));
    let boundary = boundary.map(|(_, boundary)| boundary.to_owned()).unwrap_or("\0none".into());
    let is_own = |name: &str| !matches!(name, "connection" | "date" | "keep-alive");
    let fields =
        response.fields.iter().map(|(name, value)| (name.to_lowercase(), value.replace(&boundary, "B")));
    let mut fields: Vec<_> = fields.filter(|(name, _)| is_own(name)).collect();
    fields.sort();
    let body = response.body.escape_ascii().to_string().replace(&boundary, "B");
    (response.status, fields, body)
}

/// The answer by HTTP/1.1.
#[track_caller]
fn by_http1(server: &Configured, method: &str, host: &str, path: &str, fields: &[(&str, &str)]) -> Response {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    server.ask(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

/// Method, path, status and fields.
type Row<'a> = (&'a str, &'a str, u16, &'a [(&'a str, &'a str)]);

#[test]
fn each_answer_is_the_same_by_both_versions() {
    let (_users, server) = rich();
    let tag = by_http1(&server, "GET", "test", "/page.html", &[])["etag"].clone();
    let since = by_http1(&server, "GET", "test", "/page.html", &[])["last-modified"].clone();
    let rows: &[Row] = &[
        ("GET", "/", 200, &[]),
        ("GET", "/page.html", 200, &[]),
        ("GET", "/page.html?a=b", 200, &[]),
        ("GET", "/large.html", 200, &[]),
        ("GET", "/empty.txt", 200, &[]),
        ("GET", "/types/photo.jpg", 200, &[]),
        ("GET", "/one/two/three/four/five/six/seven/deep.html", 200, &[]),
        ("GET", "/kept/absent", 404, &[]),
        ("HEAD", "/page.html", 200, &[]),
        ("HEAD", "/large.html", 200, &[]),
        ("HEAD", "/absent", 404, &[]),
        ("GET", "/absent", 404, &[]),
        ("GET", "/dir", 301, &[]),
        ("GET", "/dir?q", 301, &[]),
        ("GET", "/bare/", 403, &[]),
        ("GET", "/.git/config", 404, &[]),
        ("POST", "/page.html", 405, &[("content-length", "0")]),
        ("DELETE", "/page.html", 405, &[]),
        ("OPTIONS", "/page.html", 204, &[]),
        ("GET", "/page.html", 304, &[("if-none-match", &tag)]),
        ("GET", "/page.html", 304, &[("if-modified-since", &since)]),
        ("GET", "/page.html", 412, &[("if-match", "\"x\"")]),
        ("HEAD", "/page.html", 304, &[("if-none-match", "*")]),
        ("GET", "/text.txt", 206, &[("range", "bytes=0-9")]),
        ("GET", "/text.txt", 206, &[("range", "bytes=-10")]),
        ("GET", "/text.txt", 416, &[("range", "bytes=5000-")]),
        ("GET", "/text.txt", 206, &[("range", "bytes=0-9,20-29,-5")]),
        ("GET", "/large.html", 206, &[("range", "bytes=100000-899999")]),
        ("GET", "/large.html", 206, &[("range", "bytes=0-99,500000-700000")]),
        ("GET", "/text.txt", 200, &[("range", "bytes=0-9"), ("if-range", "\"x\"")]),
        ("HEAD", "/text.txt", 200, &[("range", "bytes=0-9")]),
        ("GET", "/a.js", 200, &[("accept-encoding", "gzip, br")]),
        ("GET", "/a.js", 200, &[("accept-encoding", "gzip")]),
        ("GET", "/a.js", 200, &[("accept-encoding", "identity")]),
        ("GET", "/long.js", 200, &[("accept-encoding", "gzip")]),
        ("GET", "/blog/2020/a/b", 301, &[]),
        ("GET", "/gone", 307, &[]),
        ("GET", "/alias/page.html", 200, &[]),
        ("GET", "/listed/", 200, &[]),
        ("GET", "/listed/", 200, &[("accept", "application/json")]),
        ("GET", "/staff/s.txt", 401, &[]),
        ("GET", "/staff/s.txt", 401, &[("authorization", WRONG)]),
        ("GET", "/staff/s.txt", 200, &[("authorization", RIGHT)]),
        ("GET", "/denied/x", 403, &[]),
        ("GET", "/fixed", 410, &[]),
    ];
    let rows = rows.iter().map(|row| (format!("{} {} {:?}", row.0, row.1, row.3), row));
    every(rows, |(method, path, status, fields)| {
        let mut client = H2::connect(server.address());
        let begun = Instant::now();
        // The tag by the content of a longer file comes with a job, so it may change between the two.
        let (old, new) = loop {
            let old = by_http1(&server, method, "test", path, fields);
            let stream = client.ask(method, path, fields);
            let pair = (essence(&old), essence(&client.response(stream)));
            if pair.0 == pair.1 || begun.elapsed() > DEADLINE / 2 {
                break pair;
            }
        };
        assert_eq!((old.0, &old.1, new.0), (*status, &new.1, *status));
        assert!(old.2 == new.2, "another body: {} bytes for {}", new.2.len(), old.2.len());
        client.get("/page.html").is(200, PAGE);
    });
}

#[test]
fn one_connection_gives_all_of_it_in_turn() {
    let (_users, server) = rich();
    let mut client = H2::connect(server.address());
    for _ in 0..3 {
        client.get("/page.html").is(200, PAGE);
        client.get("/large.html").is(200, large());
        client.get("/absent").is(404, "<p>nothing here\n");
        client.get("/staff/s.txt").has_status(&[401]);
        client.get_with("/staff/s.txt", &[("authorization", RIGHT)]).is(200, "for staff\n");
        assert_eq!(client.get("/blog/1/2")["location"], "/archive/1/2");
        assert_eq!(client.get_with("/a.js", &[("accept-encoding", "br")])["content-encoding"], "br");
        client.get_with("/text.txt", &[("range", "bytes=10-19")]).is(206, &text()[10..20]);
    }
}

#[test]
fn a_request_belongs_to_the_host_of_its_authority() {
    let (_users, server) = rich();
    let mut client = H2::connect(server.address());
    for (authority, path, status) in [
        ("test", "/page.html", 200),
        ("TEST:8080", "/page.html", 200),
        ("other.example", "/only.txt", 200),
        ("x.other.example:81", "/only.txt", 200),
        ("other.example", "/page.html", 404),
        ("unknown.example", "/page.html", 421),
        ("127.0.0.1", "/page.html", 421),
        ("test", "/only.txt", 404),
    ] {
        let fields = client.pseudo("GET", path, authority);
        let stream = client.request(&fields);
        let response = client.response(stream);
        assert_eq!((authority, path, response.status), (authority, path, status));
    }
    // Host counts where there is no :authority.
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/only.txt"), ("host", "other.example")];
    let stream = client.request(&fields);
    client.response(stream).is(200, "of the other host\n");
}

/// A server with an access log; its lines go to the tree.
fn logging(format: &str) -> (Configured, Tree) {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let launch = Launch::site().flags(["--access-log", path.to_str().unwrap(), "--access-format", format]);
    (launched(launch, "http2_plain = true\n"), logs)
}

/// The log's lines, once there are so many.
#[track_caller]
fn lines(logs: &Tree, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in the access log"), || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn each_request_is_one_line_of_the_log() {
    let (server, logs) = logging("combined");
    let mut client = H2::connect(server.address());
    client.get_with("/page.html?a=b", &[("referer", "http://from/"), ("user-agent", "a test/1.0")]);
    let head = client.ask("HEAD", "/absent", &[]);
    client.response(head).has_status(&[404]);
    let streams: Vec<u32> = (0..20).map(|_| client.ask("GET", "/text.txt", &[])).collect();
    streams.into_iter().for_each(|stream| client.response(stream).is(200, text()));
    let lines = lines(&logs, 22);
    let rest = |line: &str| line.split_once("] ").unwrap().1.to_owned();
    assert_eq!(rest(&lines[0]), "\"GET /page.html?a=b HTTP/2.0\" 200 38 \"http://from/\" \"a test/1.0\"");
    assert!(rest(&lines[1]).starts_with("\"HEAD /absent HTTP/2.0\" 404 "), "{}", lines[1]);
    assert!(lines[2..].iter().all(|line| rest(line) == "\"GET /text.txt HTTP/2.0\" 200 1000 \"-\" \"-\""));
    drop(client);
    assert_eq!(self::lines(&logs, 22).len(), 22);
}

#[test]
fn a_field_of_http2_forges_no_line() {
    let (server, logs) = logging("combined");
    let mut client = H2::connect(server.address());
    client.get_with("/q?%22x%22", &[("user-agent", "\"quoted\" \\ \t tab"), ("referer", "\u{2028}")]);
    client.get_with("/%0a1.2.3.4", &[]);
    for line in lines(&logs, 2) {
        assert!(line.starts_with("127.0.0.1 - - ["), "a forged line: {line}");
        assert!(line.is_ascii() && !line.contains(char::is_control), "raw bytes in {line:?}");
    }
}

#[test]
fn a_request_with_a_body_is_answered_and_its_body_thrown_away() {
    let server = site("http2_plain = true\n");
    let mut client = H2::connect(server.address());
    for length in [0, 1, 5_000, 60_000] {
        let stream = client.begin(POST_FIELDS);
        client.put(post(stream));
        let body = vec![b'x'; length];
        body.chunks(LARGEST_PAYLOAD).for_each(|piece| client.put(data(stream, piece)));
        client.put(last_data(stream, ""));
        client.response(stream).has_status(&[405]);
        client.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_hundred_and_more_large_files_come_at_once() {
    let server = site("http2_plain = true\n");
    let body = large();
    let mut client = H2::connect(server.address());
    let streams: Vec<u32> = (0..128).map(|_| client.ask("GET", "/large.html", &[])).collect();
    client.until("a part of each", |client| {
        streams.iter().all(|stream| !client.streams[stream].body.is_empty())
    });
    streams.into_iter().for_each(|stream| client.response(stream).is(200, &body));
}

#[test]
fn streams_go_round_and_a_small_answer_overtakes_large_ones() {
    let server = site("http2_plain = true\n");
    let mut client = H2::connect(server.address());
    let streams: Vec<u32> = (0..20).map(|_| client.ask("GET", "/large.html", &[])).collect();
    let began = |client: &H2| streams.iter().all(|stream| !client.streams[stream].body.is_empty());
    client.until("a part of each", began);
    let most = streams.iter().map(|stream| client.streams[stream].body.len()).max().unwrap();
    assert!(most < LARGE, "one was sent whole before another began");
    let small = client.ask("GET", "/page.html", &[]);
    client.until("the small one", |client| client.streams[&small].is_whole);
    let whole = streams.iter().filter(|stream| client.streams[stream].is_whole).count();
    assert!(whole < 20, "the small one came last");
}

#[test]
fn large_files_come_whole_through_a_small_window_of_the_socket() {
    let tree = Tree::site();
    let body = pattern(9, 8 << 20);
    tree.file("big.bin", &body);
    let server = serve(tree, "http2_plain = true\n", &[]);
    let stream = crate::support::client::stream_with_small_window(server.address());
    let transport = crate::support::transport::Transport::plain(stream);
    let mut client = H2::over(transport, "http", &[]);
    let streams: Vec<u32> = (0..3).map(|_| client.ask("GET", "/big.bin", &[])).collect();
    streams.into_iter().for_each(|stream| client.response(stream).is(200, &body));
}

#[test]
fn a_changed_file_shows_on_a_connection_that_is_open() {
    let server = site("http2_plain = true\n");
    let mut client = H2::connect(server.address());
    for number in 0..5 {
        server.tree().file("changing.txt", format!("version {number}\n"));
        client.get("/changing.txt").is(200, format!("version {number}\n"));
    }
}

/// Asks for a large file and waits until it is on its way.
#[track_caller]
fn downloading(client: &mut H2) -> u32 {
    let stream = client.ask("GET", "/large.html", &[]);
    client.until("a part of the body", |client| !client.streams[&stream].body.is_empty());
    stream
}

#[test]
fn a_reload_says_goaway_and_streams_finish() {
    let server = site("http2_plain = true\n");
    let old = server.workers()[0];
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1000)]).keeping_windows();
    client.open_window(0, 1 << 30);
    let streams: Vec<u32> = (0..10).map(|_| downloading(&mut client)).collect();
    server.signal(Signal::HUP);
    client.until("GOAWAY", |client| client.goaway.is_some());
    assert_eq!(client.goaway.as_ref().unwrap().code, NO_ERROR);
    H2::connect(server.address()).get("/page.html").is(200, PAGE);
    let body = large();
    for stream in streams {
        client.open_window(stream, LARGE as u32);
        client.response(stream).is(200, &body);
    }
    client.until_end();
    eventually("the old worker leaves", || (!old.lives()).then_some(()));
}

#[test]
fn a_request_that_crosses_the_goaway_is_answered_or_may_be_sent_again() {
    let server = site("http2_plain = true\n");
    for _ in 0..5 {
        let mut client = H2::connect(server.address());
        client.get("/page.html").is(200, PAGE);
        server.signal(Signal::HUP);
        loop {
            let stream = client.ask("GET", "/page.html", &[]);
            match client.outcome(stream) {
                Ok(response) => response.is(200, PAGE),
                // Not taken up, so that a client repeats it elsewhere.
                Err(Failure::Refused(NO_ERROR) | Failure::Reset(REFUSED_STREAM)) => break,
                Err(failure) => {
                    let last = client.goaway.as_ref().map(|goaway| goaway.last);
                    assert!(last.is_some_and(|last| last < stream), "{failure:?}; {}", client.story());
                    break;
                }
            }
        }
        // The server waits a while for a client to end the connection too.
        drop(client);
        eventually("one worker is left", || (server.workers().len() == 1).then_some(()));
    }
}

#[test]
fn quit_lets_streams_finish() {
    let mut server = site("http2_plain = true\n");
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1000)]).keeping_windows();
    client.open_window(0, 1 << 30);
    let streams: Vec<u32> = (0..5).map(|_| downloading(&mut client)).collect();
    server.signal(Signal::QUIT);
    client.until("GOAWAY", |client| client.goaway.is_some());
    let body = large();
    for stream in streams {
        client.open_window(stream, LARGE as u32);
        client.response(stream).is(200, &body);
    }
    client.until_end();
    assert_eq!(server.server.exit_code(), Some(0));
}

#[test]
fn quit_ends_an_idle_connection() {
    let mut server = site("http2_plain = true\n");
    let mut client = H2::connect(server.address());
    client.get("/page.html").is(200, PAGE);
    server.signal(Signal::QUIT);
    client.until_end();
    assert_eq!(client.goaway.as_ref().map(|goaway| goaway.code), Some(NO_ERROR), "{}", client.story());
    assert_eq!(server.server.exit_code(), Some(0));
}

#[test]
fn term_ends_streams_at_once() {
    let mut server = site("http2_plain = true\n");
    let mut client = H2::connect_with(server.address(), &[(INITIAL_WINDOW_SIZE, 1000)]).keeping_windows();
    client.open_window(0, 1 << 30);
    downloading(&mut client);
    server.signal(Signal::TERM);
    assert_eq!(server.server.exit_code(), Some(0));
    client.until_end();
}

#[test]
fn requests_are_counted() {
    let server = launched(Launch::site().flags(["--admin", "0"]), "http2_plain = true\n");
    let admin = server.admin_address();
    let mut client = H2::connect(server.address());
    (0..10).for_each(|_| client.get("/page.html").is(200, PAGE));
    eventually("ten requests are counted", || {
        (Exposition::of(admin).sum("mayhttpd_requests_total", "") >= 10.0).then_some(())
    });
}
