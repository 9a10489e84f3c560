//! Clients that take their answers slowly or not at all: what they cost, what they get when the file changes
//! meanwhile, and what arrives when they have been waited for too long.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant, SystemTime};

use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::tree::CHANGED;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, pattern, within};

/// What a client that waits in the middle of a request may cost. Frames of a build without optimisation are
/// larger.
const WAITING_MEMORY: u64 = if cfg!(debug_assertions) { 40 << 10 } else { 16 << 10 };

/// How much more it may cost, without optimisation, with a long line for the log or several ranges: the line,
/// and what the allocator adds.
const FURTHER_MEMORY: u64 = 10 << 10;

/// More than the sockets between server and client take.
const LARGE: usize = 16 << 20;

const ASK_BIG: &str = "GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n";

/// A request for the large file with further fields.
fn ask_with(fields: &str) -> Vec<u8> {
    format!("GET /big.bin HTTP/1.1\r\nHost: test\r\n{fields}\r\n").into_bytes()
}

/// A request with a head of 30 KB.
fn ask_at_length(fields: &str) -> Vec<u8> {
    ask_with(&format!("{fields}X-Long: {}\r\n", "a".repeat(30_000)))
}

/// The same, whose line in a log is some 4000 bytes long: escaped, each byte of the value is `escaped` there.
fn ask_for_a_long_line(escaped: usize, fields: &str) -> Vec<u8> {
    let mut request = ask_at_length(fields);
    request.truncate(request.len() - 2);
    request.extend_from_slice(b"User-Agent: ");
    request.resize(request.len() + 3700 / escaped, 0xFF);
    request.extend_from_slice(b"\r\n\r\n");
    request
}

/// As many ranges as a request may have, in an order that is not that of the file.
fn many_ranges() -> String {
    let ranges = (0..32).rev().map(|number| format!("{}-{}", number * 500_000, number * 500_000 + 400_000));
    format!("Range: bytes={}\r\n", ranges.collect::<Vec<_>>().join(","))
}

fn big(contents: impl AsRef<[u8]>) -> Tree {
    let tree = Tree::site();
    tree.file("big.bin", contents);
    tree
}

/// What the worker's memory grows by for each of many clients that send `request` and read nothing.
#[track_caller]
fn memory_of_each(flags: &[&str], request: &[u8], phase: &str) -> u64 {
    const MANY: usize = 200;
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let flags: Vec<&str> =
        flags.iter().map(|flag| if *flag == "LOG" { path.to_str().unwrap() } else { flag }).collect();
    let server = Launch::of(big(pattern(1, LARGE)))
        .flags(["--admin", "0", "--send-timeout", "1h", "--head-timeout", "1h"])
        .flags(flags)
        .start();
    let (admin, worker) = (server.admin_address(), server.workers()[0]);
    // The first requests wait for the digest of the content, which makes the entity-tag, and hold more.
    let head = || {
        let mut client = server.client();
        client.send("HEAD /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response_to_head()
    };
    eventually("the digest", || (head()["etag"].matches('-').count() == 1).then_some(()));
    let wait = |count: usize| {
        within(DEADLINE * 2, &format!("{count} connections are in the phase {phase}"), || {
            let open = Exposition::of(admin).sum("mayhttpd_connections_open", &format!("phase=\"{phase}\""));
            (open == count as f64).then_some(())
        });
    };
    let client = || {
        let mut client = Client::with_small_window(server.address());
        assert!(client.send(request));
        client
    };
    let mut clients: Vec<_> = (0..5).map(|_| client()).collect();
    wait(clients.len());
    let before = worker.memory();
    clients.extend((0..MANY).map(|_| client()));
    wait(clients.len());
    worker.memory().saturating_sub(before) / MANY as u64
}

#[test]
fn a_client_that_reads_nothing_costs_little_memory_whatever_it_asked() {
    let plain = memory_of_each(&[], ASK_BIG.as_bytes(), "send");
    assert!(plain <= WAITING_MEMORY, "{plain} bytes for each");
    let combined = ["--access-log", "LOG"];
    let json = ["--access-log", "LOG", "--access-format", "json"];
    let ranges = ask_with(&many_ranges());
    let pipelined = [ask_at_length(""), ASK_BIG.repeat(100).into_bytes()].concat();
    let body = ask_for_a_long_line(6, "Content-Length: 60000\r\n");
    let cases: [(&str, &[&str], Vec<u8>, &str); 9] = [
        ("a long head", &[], ask_at_length(""), "send"),
        ("a long line in combined", &combined, ask_for_a_long_line(4, ""), "send"),
        ("a long line in JSON", &json, ask_for_a_long_line(6, ""), "send"),
        ("many ranges", &[], ranges, "send"),
        ("many ranges and a long line", &json, ask_for_a_long_line(6, &many_ranges()), "send"),
        ("requests behind a long head", &[], pipelined, "send"),
        ("a body that does not come", &json, body, "body"),
        ("copies", &["--sendfile", "off"], ASK_BIG.into(), "send"),
        ("large copies", &["--sendfile", "off", "--send-chunk", "16MiB"], ASK_BIG.into(), "send"),
    ];
    let mut faults = Vec::new();
    for (what, flags, request, phase) in cases {
        let each = memory_of_each(flags, &request, phase);
        eprintln!("{what}: {each} bytes, {plain} without");
        // What a client has sent ahead is kept for it, up to 8 KiB.
        let ahead = if what.starts_with("requests") { 12 << 10 } else { 0 };
        let limit = if cfg!(debug_assertions) { plain + FURTHER_MEMORY } else { WAITING_MEMORY };
        if each > limit + ahead {
            faults.push(format!("{what}: {each} bytes"));
        }
    }
    assert!(faults.is_empty(), "{plain} bytes for each, but {faults:?}");
}

#[test]
fn copies_in_any_piece_arrive_whole_at_a_client_that_has_to_be_waited_for() {
    let body = pattern(3, 8 << 20);
    for chunk in ["1KiB", "100KB", "16MiB", "auto"] {
        let server = Server::of(big(&body), &["--sendfile", "off", "--send-chunk", chunk]);
        let mut client = Client::with_small_window(server.address());
        client.send(ASK_BIG);
        client.response().is(200, &body);
        client.still_serves();
    }
}

/// A large file, and a client with the beginning of its answer that reads no further for now.
struct Download {
    server: Server,
    client: Client,
    old: Vec<u8>,
    promised: usize,
    got: Vec<u8>,
}

impl Download {
    #[track_caller]
    fn begin(flags: &[&str], fields: &str) -> Self {
        let old = pattern(5, LARGE);
        let server = Server::of(big(&old), flags);
        let mut client = Client::with_small_window(server.address());
        client.send(ask_with(fields));
        let head = client.head().unwrap();
        head.has_status(&[200, 206]);
        let promised = head.length().unwrap() as usize;
        let mut got = vec![0; 64 << 10];
        let count = client.read(&mut got);
        got.truncate(count);
        Self { server, client, old, promised, got }
    }

    /// Reads all that still comes, up to what was promised.
    fn finish(&mut self) {
        let mut buffer = vec![0; 256 << 10];
        while self.got.len() < self.promised {
            let count = self.client.read(&mut buffer);
            if count == 0 {
                break;
            }
            self.got.extend_from_slice(&buffer[..count]);
        }
    }

    fn open(&self) -> File {
        File::options().write(true).open(self.server.tree().at("big.bin")).unwrap()
    }
}

const WAYS: [&[&str]; 2] = [&["--sendfile", "on"], &["--sendfile", "off", "--send-chunk", "64KiB"]];

#[test]
fn a_file_overwritten_in_place_is_not_sent_as_if_it_were_one() {
    let several = format!("Range: bytes=0-{},100-{}\r\n", LARGE - 10_000_000, LARGE - 1);
    for way in WAYS {
        for fields in ["", "Range: bytes=1000-\r\n", &several] {
            for keeps_time in [false, true] {
                let mut download = Download::begin(way, fields);
                let file = download.open();
                file.write_all_at(&pattern(6, LARGE), 0).unwrap();
                if keeps_time {
                    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED)).unwrap();
                }
                download.finish();
                let (got, promised) = (download.got.len(), download.promised);
                assert!(got < promised, "{way:?}, {fields:?}, {keeps_time}: all {promised} bytes came");
                if way[1] == "off" && !fields.contains(',') {
                    let start = if fields.is_empty() { 0 } else { 1000 };
                    assert!(download.got == download.old[start..start + got], "{fields:?}: of both versions");
                }
                // The next answer is the new version.
                download.server.get("/big.bin").is(200, pattern(6, LARGE));
            }
        }
    }
}

#[test]
fn a_file_overwritten_while_the_body_of_a_request_is_waited_for_is_not_sent() {
    for (way, fields) in WAYS.into_iter().flat_map(|way| [(way, ""), (way, "Range: bytes=10-20\r\n")]) {
        let server = Launch::of(big(pattern(8, 100_000))).flags(["--admin", "0"]).flags(way).start();
        let admin = server.admin_address();
        let mut client = server.client();
        client.send(ask_with(&format!("{fields}Content-Length: 1\r\n")));
        eventually("the body is waited for", || {
            let waiting = Exposition::of(admin).sum("mayhttpd_connections_open", "phase=\"body\"");
            (waiting == 1.0).then_some(())
        });
        let file = File::options().write(true).open(server.tree().at("big.bin")).unwrap();
        file.write_all_at(&pattern(9, 100_000), 0).unwrap();
        client.send("x");
        let rest = client.rest();
        assert!(rest.len() < 1000, "{way:?}, {fields:?}: {} bytes came", rest.len());
        server.get("/big.bin").is(200, pattern(9, 100_000));
    }
}

#[test]
fn a_file_that_becomes_shorter_is_cut() {
    for way in WAYS {
        let mut download = Download::begin(way, "");
        download.open().set_len(LARGE as u64 - 1).unwrap();
        download.finish();
        assert!(download.got.len() < download.promised, "{way:?}: all came");
    }
}

#[test]
fn a_file_that_grows_is_sent_to_the_promised_length() {
    for way in WAYS {
        let mut download = Download::begin(way, "");
        let file = download.open();
        file.write_all_at(b"more", LARGE as u64).unwrap();
        download.finish();
        assert!(download.got == download.old, "{way:?}: {} bytes came", download.got.len());
        download.client.still_serves();
    }
}

#[test]
fn a_file_that_is_replaced_removed_or_linked_is_sent_to_the_end_as_it_was() {
    let replace = |tree: &Tree| drop(tree.file("big.bin", pattern(7, 100_000)));
    let remove = |tree: &Tree| fs::remove_file(tree.at("big.bin")).unwrap();
    let link = |tree: &Tree| fs::hard_link(tree.at("big.bin"), tree.at("second.bin")).unwrap();
    type Change<'a> = (&'a str, &'a dyn Fn(&Tree));
    let changes: [Change<'_>; 3] = [("replaced", &replace), ("removed", &remove), ("linked", &link)];
    for way in WAYS {
        for (what, change) in changes {
            let mut download = Download::begin(way, "");
            change(download.server.tree());
            download.finish();
            assert!(download.got == download.old, "{way:?}, {what}: {} bytes came", download.got.len());
            download.client.still_serves();
        }
    }
}

/// A plain socket whose kernel takes little, which tells an orderly end from a reset.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&socket, 4096).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

#[test]
fn what_was_sent_before_the_send_timeout_arrives_and_then_an_orderly_end() {
    for sendfile in ["on", "off"] {
        // What the server has not read of its client must not turn the end into a reset.
        for more in ["", ASK_BIG, "GET /x"] {
            let logs = Tree::empty();
            let path = logs.at("access.log");
            let log = ["--access-log", path.to_str().unwrap(), "--access-format", "json"];
            let server = Launch::of(big(pattern(1, LARGE)))
                .flags(log)
                .flags(["--send-timeout", "500ms", "--sendfile", sendfile])
                .start();
            let mut client = connect(server.address());
            let asked = Instant::now();
            client.write_all(ASK_BIG.as_bytes()).unwrap();
            let mut got = vec![0; 1000];
            client.read_exact(&mut got).unwrap();
            client.write_all(more.as_bytes()).unwrap();
            let line = eventually("the timeout is in the log", || {
                let text = fs::read_to_string(&path).unwrap();
                text.lines().map(Json::parse).find(|line| line.text("end") == "send_timeout")
            });
            assert!(asked.elapsed() >= Duration::from_millis(500), "{sendfile}, {more:?}: too early");
            let mut buffer = vec![0; 1 << 20];
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => got.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => panic!("{sendfile}, {more:?}: {error} after {} bytes", got.len()),
                }
            }
            let head = memchr::memmem::find(&got, b"\r\n\r\n").unwrap() + 4;
            assert_eq!((got.len() - head) as f64, line.number("bytes"), "{sendfile}, {more:?}");
            assert!(got[head..] == pattern(1, LARGE)[..got.len() - head]);
        }
    }
}
