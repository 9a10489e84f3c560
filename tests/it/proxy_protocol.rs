//! The PROXY protocol: whose a connection is by the header in front of it, and what becomes of one without.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::launch::run_with;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Dice, Launch, Server, Tree, eventually, every, within};

/// A header of version 1 for this client.
const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 80\r\n";

/// How a header of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

/// A header of version 2 for 192.0.2.9, with so many bytes of TLVs.
fn with_tlvs(count: usize) -> Vec<u8> {
    let addresses = [192, 0, 2, 9, 198, 51, 100, 1, 0x30, 0x39, 0, 80];
    let mut tlvs = Vec::new();
    while tlvs.len() + 3 <= count {
        let length = (count - tlvs.len() - 3).min(1000);
        tlvs.push(0xE0);
        tlvs.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        tlvs.resize(tlvs.len() + length, b'\n');
    }
    binary(0x21, 0x11, &[&addresses[..], &tlvs].concat())
}

/// A header of version 2 for 2001:db8::9.
fn inet6() -> Vec<u8> {
    let mut block = [0; 36];
    block[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    block[15] = 9;
    binary(0x21, 0x21, &block)
}

/// Headers, each with whose the connection is by it: the test's own where a balancer says nothing of a
/// client.
fn headers() -> Vec<(Vec<u8>, &'static str)> {
    let own = "127.0.0.1";
    vec![
        (LINE.into(), "192.0.2.7"),
        ("PROXY TCP6 2001:db8::7 ::1 56324 80\r\n".into(), "2001:db8::7"),
        ("PROXY TCP6 ::ffff:192.0.2.8 ::1 56324 80\r\n".into(), "192.0.2.8"),
        ("PROXY UNKNOWN\r\n".into(), own),
        ("PROXY UNKNOWN 192.0.2.7 198.51.100.1 56324 80\r\n".into(), own),
        (with_tlvs(0), "192.0.2.9"),
        (with_tlvs(7), "192.0.2.9"),
        (with_tlvs(4068), "192.0.2.9"),
        (inet6(), "2001:db8::9"),
        (binary(0x20, 0x00, b""), own),
        (binary(0x20, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 80]), own),
        (binary(0x21, 0x00, b"whatever"), own),
        (binary(0x21, 0x31, &[b'/'; 216]), own),
        (binary(0x21, 0x12, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 1, 0, 80]), own),
    ]
}

/// What is no header, whatever it may be besides.
fn no_headers() -> Vec<Vec<u8>> {
    let mut rows: Vec<Vec<u8>> = [
        &b"GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n"[..],
        b"\r\nGET /page.html HTTP/1.1\r\nHost: test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"x",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 80\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.1 56324 80\r\n",
        b"PROXY TCP4 example.org 198.51.100.1 56324 80\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 56324 80\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 65536\r\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    rows.push([b"PROXY UNKNOWN ", &[b'x'; 100][..]].concat());
    rows.push(binary(0x22, 0x11, &[0; 12]));
    rows.push(binary(0x31, 0x11, &[0; 12]));
    rows.push(binary(0x21, 0x11, &[0; 11]));
    rows.push(binary(0x21, 0x51, &[0; 216]));
    rows.push(with_tlvs(4069 + 3));
    rows
}

/// A server whose listener is marked, with an access log in a tree of its own.
fn start(flags: &[&str]) -> (Server, Tree) {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let all = ["--proxy-protocol", "all", "--access-log", path.to_str().unwrap()];
    (Launch::site().flags(all).flags(flags).start(), logs)
}

/// Whom the access log names in its lines, once there are so many.
#[track_caller]
fn logged(logs: &Tree, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in the access log"), || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let peers = || lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        (lines.len() >= count && text.ends_with('\n')).then(peers)
    })
}

/// Waits until so many connections have ended for this reason.
#[track_caller]
fn until_ended(admin: SocketAddr, reason: &str, count: usize) {
    let label = format!("reason=\"{reason}\"");
    eventually(&format!("{count} connections have ended: {reason}"), || {
        let ended = Exposition::of(admin).sum("mayhttpd_connections_ended_total", &label);
        (ended == count as f64).then_some(())
    });
}

#[track_caller]
fn until_idle(admin: SocketAddr, count: usize) {
    within(DEADLINE * 2, &format!("{count} connections are idle"), || {
        (Exposition::of(admin).sum("mayhttpd_connections_in_idle_set", "") == count as f64).then_some(())
    });
}

#[test]
fn the_header_says_whose_the_requests_are() {
    let (server, logs) = start(&[]);
    for (number, (header, peer)) in headers().into_iter().enumerate() {
        let shown = header[..header.len().min(80)].escape_ascii().to_string();
        let mut client = server.client();
        client.send([&header, ASK_PAGE].concat());
        client.response().is(200, PAGE);
        client.still_serves();
        let peers = logged(&logs, 2 * number + 2);
        assert_eq!(peers[2 * number..], [peer, peer], "{shown}");
    }
}

#[test]
fn a_header_may_come_alone_and_a_byte_at_a_time() {
    let (server, logs) = start(&[]);
    for (number, header) in [LINE.as_bytes().to_vec(), with_tlvs(7), inet6()].into_iter().enumerate() {
        let mut client = server.client();
        for byte in &header {
            client.send([*byte]);
            // The pace of the pieces, not a wait: faster ones would come together.
            std::thread::sleep(Duration::from_millis(2));
        }
        client.still_serves();
        assert_eq!(logged(&logs, number + 1).len(), number + 1);
        assert_ne!(logged(&logs, number + 1)[number], "127.0.0.1");
    }
}

#[test]
fn a_header_may_be_cut_anywhere() {
    let (server, _logs) = start(&["--access-format", "common"]);
    for header in [LINE.as_bytes().to_vec(), with_tlvs(0)] {
        let bytes = [&header, ASK_PAGE].concat();
        for cut in 1..header.len() + 3 {
            let mut client = server.client();
            client.send(&bytes[..cut]);
            std::thread::sleep(Duration::from_millis(1));
            client.send(&bytes[cut..]);
            client.response().is(200, PAGE);
        }
    }
}

#[test]
fn requests_may_come_right_behind_the_header() {
    let (server, logs) = start(&[]);
    for header in [LINE.as_bytes().to_vec(), with_tlvs(4068)] {
        let mut client = server.client();
        client.send([&header, ASK_PAGE, ASK_PAGE, ASK_PAGE, &ASK_PAGE[..9]].concat());
        (0..3).for_each(|_| client.response().is(200, PAGE));
        client.send(&ASK_PAGE[9..]);
        client.response().is(200, PAGE);
    }
    let peers = logged(&logs, 8);
    assert!(peers[..4].iter().all(|peer| peer == "192.0.2.7"), "{peers:?}");
    assert!(peers[4..].iter().all(|peer| peer == "192.0.2.9"), "{peers:?}");
}

#[test]
fn without_a_header_the_connection_is_closed_without_a_word() {
    let (server, logs) = start(&["--admin", "0", "--log-level", "debug"]);
    let admin = server.admin_address();
    let rows = no_headers();
    for (number, bytes) in rows.iter().enumerate() {
        let mut client = server.client();
        client.send([bytes, ASK_PAGE].concat());
        client.closed();
        until_ended(admin, "no_proxy_header", number + 1);
    }
    server.says("why", |line| line.contains("127.0.0.1: closed (no PROXY header)"));
    server.says("why", |line| line.contains("127.0.0.1: closed (bad address in a PROXY line)"));
    // No client has asked for anything.
    assert_eq!(Exposition::of(admin).sum("mayhttpd_requests_total", ""), 0.0);
    assert_eq!(fs::read_to_string(logs.at("access.log")).unwrap(), "");
}

#[test]
fn who_leaves_before_the_header_is_whole_has_left() {
    let (server, _logs) = start(&["--admin", "0"]);
    let admin = server.admin_address();
    for (number, part) in [&b""[..], b"PROXY TCP4 192.0.2.7", &SIGNATURE[..5]].into_iter().enumerate() {
        let mut client = server.client();
        client.send(part);
        client.half_close();
        client.closed();
        until_ended(admin, "peer_closed", number + 1);
    }
}

#[test]
fn a_header_has_the_time_of_a_head() {
    let (server, logs) = start(&["--admin", "0", "--head-timeout", "500ms", "--idle-timeout", "1h"]);
    let admin = server.admin_address();
    let parts = [&b"P"[..], b"PROXY TCP4 192.0.2.7", &SIGNATURE[..5], &with_tlvs(100)[..90]];
    for (number, part) in parts.iter().enumerate() {
        let mut client = server.client();
        client.send(part);
        client.closed();
        until_ended(admin, "timed_out", number + 1);
    }
    let mut silent = server.client().patient(DEADLINE * 3);
    silent.closed();
    assert_eq!(Exposition::of(admin).sum("mayhttpd_requests_total", ""), 0.0);
    // A client that is known by a header is told.
    let mut client = server.client();
    client.send([LINE.as_bytes(), b"GET / HTTP/1.1\r\n"].concat());
    client.response().has_status(&[408]);
    client.closed();
    assert_eq!(logged(&logs, 1), ["192.0.2.7"]);
    let mut marked = server.client();
    marked.send(LINE);
    marked.closed();
}

#[test]
fn a_dripped_header_is_cut_at_its_deadline() {
    let (server, _logs) = start(&["--head-timeout", "1s"]);
    let mut client = server.client();
    client.send("PROXY UNKNOWN ");
    let start = Instant::now();
    while !client.has_news() {
        client.send("x");
        assert!(start.elapsed() < DEADLINE, "a drip is waited for without end");
        // The pace of the drip, not a wait: each drop comes well within any timeout counted from the last.
        std::thread::sleep(Duration::from_millis(100));
    }
    client.closed();
}

#[test]
fn a_listener_that_is_not_marked_takes_a_header_for_a_bad_request() {
    let server = Server::start(&[]);
    server.refuses(LINE, &[400]);
    server.refuses("PROXY UNKNOWN\r\n", &[400]);
    server.refuses(with_tlvs(0), &[400]);
}

#[test]
fn a_second_header_is_a_bad_request_of_the_first_one_s_client() {
    let (server, logs) = start(&["--log-level", "debug"]);
    let mut client = server.client();
    client.send([LINE.as_bytes(), &with_tlvs(0)].concat());
    client.response().has_status(&[400]);
    client.closed();
    let mut client = server.client();
    client.send([LINE, "PROXY UNKNOWN\r\n"].concat());
    client.response().has_status(&[400]);
    client.closed();
    assert_eq!(logged(&logs, 2), ["192.0.2.7", "192.0.2.7"]);
    server.says("whose it was", |line| line.contains("192.0.2.7: 400 ("));
}

#[test]
fn only_listeners_that_are_named_are_marked() {
    let launch = Launch::site().listen(&["127.0.0.1:0", "127.0.0.2:0"]);
    let server = launch.flags(["--proxy-protocol", "127.0.0.2:0"]).start();
    let [plain, marked] = server.addresses[..] else { panic!("{:?}", server.addresses) };
    Client::connect(plain).still_serves();
    let mut client = Client::connect(marked);
    client.send(LINE);
    client.still_serves();
    let mut client = Client::connect(marked);
    client.send(ASK_PAGE);
    client.closed();
    let mut client = Client::connect(plain);
    client.send(LINE);
    client.response().has_status(&[400]);
}

#[test]
fn a_name_that_is_no_listener_s_ends_the_start() {
    let absent = |name: &str| {
        let finished = Launch::site().flags(["--proxy-protocol", name]).run();
        assert_eq!((finished.code, finished.output.as_str()), (Some(1), ""), "{finished:?}");
        let words = format!("cannot take PROXY headers on {name}: no listener is there");
        assert!(finished.errors.trim_end().ends_with(&words), "{finished:?}");
    };
    every(["127.0.0.1:81", "0.0.0.0:0", "unix:/run/absent.sock"].map(|name| (name, name)), absent);
    let names = "127.0.0.1:81,unix:/run/a.sock,127.0.0.1:82";
    let tested = run_with(&["-t", "--listen", "127.0.0.1:81", "--proxy-protocol", names]);
    let told: Vec<&str> = tested.errors.lines().collect();
    assert_eq!((tested.code, told.len()), (Some(0), 3), "{tested:?}");
    assert!(
        told[0].contains("names unix:/run/a.sock, ") && told[1].contains("names 127.0.0.1:82, "),
        "{tested:?}"
    );
    let bad = run_with(&["--proxy-protocol", "off,80"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
}

#[test]
fn sockets_that_were_passed_on_can_be_marked() {
    let tree = Tree::empty();
    let (path, log) = (tree.at("socket"), tree.at("access.log"));
    let socket = UnixListener::bind(&path).unwrap();
    let name = format!("unix:{}", path.display());
    let flags = ["--proxy-protocol", &name, "--access-log", log.to_str().unwrap()];
    let _server =
        Launch::site().listen(&[]).flags(flags).activated_by(socket.try_clone().unwrap(), 1).start();
    let ask = |bytes: &[u8]| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.write_all(b"GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // Closed with bytes unread, it is reset.
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    for header in [LINE.as_bytes(), &inet6(), b"PROXY UNKNOWN\r\n"] {
        assert!(ask(header).starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    assert_eq!(logged(&tree, 3), ["192.0.2.7", "2001:db8::9", "unix:"]);
    assert_eq!(ask(b""), b"");

    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = socket.local_addr().unwrap().to_string();
    let launch = Launch::site().listen(&[]).flags(["--proxy-protocol", &name]);
    let server = launch.activated_by(socket.try_clone().unwrap(), 1).start();
    let mut client = server.client();
    client.send(LINE);
    client.still_serves();
    let mut client = server.client();
    client.send(ASK_PAGE);
    client.closed();
}

#[test]
fn a_reload_marks_and_unmarks_listeners() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "proxy_protocol = [\"127.0.0.1:0\"]\n");
    let server = Launch::site().flags(["-c", file.to_str().unwrap()]).start();
    let reload = |text: &str| {
        let before = server.workers();
        settings.file("may.toml", text);
        server.signal(Signal::HUP);
        eventually("another worker serves", || {
            let workers = server.workers();
            (workers.len() == 1 && workers != before).then_some(())
        });
    };
    let mut kept = server.client();
    kept.send(LINE);
    kept.still_serves();
    drop(kept);
    reload("proxy_protocol = \"off\"\n");
    server.get("/page.html").is(200, PAGE);
    settings.file("may.toml", "proxy_protocol = [\"127.0.0.1:1\"]\n");
    server.signal(Signal::HUP);
    server
        .says("what is wrong", |line| line.contains("cannot take PROXY headers on 127.0.0.1:1: no listener"));
    server.get("/page.html").is(200, PAGE);
    reload("proxy_protocol = \"all\"\n");
    let mut client = server.client();
    client.send(LINE);
    client.still_serves();
}

#[test]
fn an_upgrade_keeps_the_marks() {
    let launch = Launch::site().listen(&["127.0.0.1:0", "127.0.0.2:0"]);
    let mut server = launch.flags(["--proxy-protocol", "127.0.0.2:0"]).start();
    let [plain, marked] = server.addresses[..] else { panic!("{:?}", server.addresses) };
    let serves = || server.log().matches("generation 1 serves").count();
    server.signal(Signal::USR2);
    eventually("the new program serves", || (serves() == 2).then_some(()));
    let successor = eventually("it has a worker", || {
        server.master.children().into_iter().find(|child| child.children().len() == 1)
    });
    server.signal(Signal::QUIT);
    assert_eq!(server.exit_code(), Some(0));
    Client::connect(plain).still_serves();
    let mut client = Client::connect(marked);
    client.send(LINE);
    client.still_serves();
    let mut client = Client::connect(marked);
    client.send(ASK_PAGE);
    client.closed();
    successor.signal(Signal::TERM);
    eventually("the new program ends", || (!successor.lives()).then_some(()));
}

#[test]
fn a_connection_that_waits_for_its_header_or_its_request_is_idle() {
    let (server, logs) = start(&["--admin", "0"]);
    let admin = server.admin_address();
    let mut marked = server.client();
    marked.send(LINE);
    until_idle(admin, 1);
    for request in 1..4 {
        marked.still_serves();
        assert_eq!(logged(&logs, request), vec!["192.0.2.7"; request]);
        until_idle(admin, 1);
    }
    // The kernel lets a silent client in after a second or so.
    let mut silent = server.client();
    until_idle(admin, 2);
    silent.send([&with_tlvs(0), ASK_PAGE].concat());
    silent.response().is(200, PAGE);
    assert_eq!(logged(&logs, 4)[3], "192.0.2.9");
    let late = server.client();
    until_idle(admin, 3);
    drop(late);
    until_ended(admin, "peer_closed", 1);
    let mut stranger = server.client();
    until_idle(admin, 3);
    stranger.send(ASK_PAGE);
    stranger.closed();
    until_ended(admin, "no_proxy_header", 1);
}

#[test]
fn the_last_line_of_a_connection_names_its_client() {
    let (server, logs) = start(&["--access-format", "json"]);
    let mut client = server.client();
    client.send(LINE);
    client.still_serves();
    drop(client);
    eventually("its end is logged", || {
        let text = fs::read_to_string(logs.at("access.log")).unwrap();
        let end = "\"requests\":1,\"peer\":\"192.0.2.7\",\"end\":\"peer_closed\"}\n";
        text.ends_with(end).then_some(())
    });
}

#[test]
fn a_healthcheck_by_the_same_settings_is_announced() {
    let (server, logs) = start(&[]);
    let address = server.address().to_string();
    let finished = run_with(&["--listen", &address, "--proxy-protocol", &address, "healthcheck"]);
    assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(logged(&logs, 1), ["127.0.0.1"]);
    assert_eq!(run_with(&["--listen", &address, "healthcheck"]).code, Some(1));
}

#[test]
fn damaged_headers_are_survived() {
    let (server, _logs) = start(&["--head-timeout", "5s", "--idle-timeout", "5s"]);
    let worker = server.workers()[0];
    let samples = headers();
    let mut dice = Dice::new(7);
    for number in 0..1500 {
        let mut bytes = dice.pick(&samples).0.clone();
        for _ in 0..*dice.pick(&[0, 1, 1, 2, 8]) {
            let at = dice.below(bytes.len());
            match dice.below(6) {
                0 => bytes[at] = dice.next() as u8,
                1 => bytes.insert(at, *dice.pick(b"\r\n \0\xff:.9")),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                4 => bytes.extend_from_slice(&dice.pick(&samples).0.clone()),
                _ => drop(bytes.splice(at..at, vec![b'x'; 5000])),
            }
        }
        bytes.extend_from_slice(ASK_PAGE);
        let shown = bytes[..bytes.len().min(300)].escape_ascii().to_string();
        let mut client = server.client();
        client.send(&bytes);
        client.half_close();
        // Served, refused by the parser of requests, or closed without a word.
        while let Some(answer) = client.answer() {
            let status = answer.status;
            assert!(matches!(status, 200 | 400..=431 | 501 | 505), "{status} for input {number}: {shown}");
        }
    }
    assert_eq!(server.workers(), [worker], "the worker died");
    let mut client = server.client();
    client.send(LINE);
    client.still_serves();
}
