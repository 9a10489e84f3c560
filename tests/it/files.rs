//! What kinds of file are served, and how whole: sizes around every boundary, large ones, special ones,
//! unreadable ones.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use rustix::fs::OFlags;

use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Tree, eventually, every, pattern, root, skipped};

const SIZES: &[usize] = &[
    0, 1, 2, 511, 512, 1023, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384, 16385, 32767, 32768,
    65535, 65536, 65537, 131_071, 131_072, 131_073, 262_143, 262_145, 1_048_575, 1_048_577,
];

fn sizes() -> Tree {
    let tree = Tree::site();
    SIZES.iter().for_each(|size| drop(tree.file(format!("size/{size}"), pattern(*size as u64, *size))));
    tree
}

#[track_caller]
fn every_size_arrives(server: &Server) {
    let mut client = server.client();
    // Twice: the second time from the cache.
    for size in SIZES.iter().chain(SIZES) {
        client.send(format!("GET /size/{size} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.response().is(200, pattern(*size as u64, *size));
    }
}

#[test]
fn every_size_arrives_whole() {
    every_size_arrives(&Server::of(sizes(), &[]));
}

#[test]
fn every_size_arrives_whole_without_sendfile() {
    every_size_arrives(&Server::of(sizes(), &["--sendfile", "off"]));
}

#[test]
fn every_size_arrives_whole_without_a_cache() {
    every_size_arrives(&Server::of(sizes(), &["--cache-valid", "0"]));
    every_size_arrives(&Server::of(sizes(), &["--cache-entries", "2"]));
    every_size_arrives(&Server::of(sizes(), &["--cache-size", "64KiB"]));
}

#[test]
fn a_file_of_8_mib_goes_to_eight_clients_at_once() {
    let tree = Tree::site();
    let body = pattern(3, 8 << 20);
    tree.file("big.bin", &body);
    let server = Server::of(tree, &[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| server.get("/big.bin").is(200, &body));
        }
    });
}

#[test]
fn a_slow_reader_with_a_small_window_gets_every_byte() {
    for flags in [&[][..], &["--sendfile", "off"]] {
        let tree = Tree::site();
        let body = pattern(4, 4 << 20);
        tree.file("big.bin", &body);
        let server = Server::of(tree, flags);
        let mut client = Client::with_small_window(server.address());
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.head().unwrap().has_status(&[200]);
        let mut got = Vec::new();
        let mut buffer = [0; 16 << 10];
        while got.len() < body.len() {
            if got.len() < 100_000 {
                // Others are served while this one dawdles; that takes the place of a pause.
                server.get("/").has_status(&[200]);
            }
            let count = client.read(&mut buffer);
            assert!(count > 0, "cut at {}", got.len());
            got.extend_from_slice(&buffer[..count]);
        }
        assert!(got == body, "wrong content");
        client.still_serves();
    }
}

#[test]
fn special_files_are_refused_and_hold_no_request_up() {
    let tree = Tree::site();
    let fifo = tree.at("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    tree.mode("fifo", 0o666);
    let socket = tree.at("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    tree.mode("socket", 0o777);
    let mut names = vec!["/fifo", "/socket", "/fifo/", "/fifo/x"];
    if root() {
        assert!(Command::new("mknod").arg(tree.at("zero")).args(["c", "1", "5"]).status().unwrap().success());
        tree.mode("zero", 0o666);
        names.push("/zero");
    }
    let server = Server::of(tree, &[]);
    // All are asked at once before any is read, so that one that waits would stop those behind it.
    let mut clients: Vec<_> = names.iter().map(|_| server.client()).collect();
    for (client, name) in clients.iter_mut().zip(&names) {
        client.send(format!("GET {name} HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    (0..10).for_each(|_| server.get("/page.html").is(200, PAGE));
    for client in &mut clients {
        client.response().has_status(&[403, 404]);
        client.still_serves();
    }
}

#[test]
fn a_fifo_is_refused_unopened() {
    let tree = Tree::site();
    let fifo = tree.at("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    tree.mode("fifo", 0o666);
    tree.link("link", "fifo");
    tree.link("dir/upward", "../fifo");
    // The same FIFO by other names, so that one writer stands for all of them.
    for name in ["plain/index.html", "by-name/deep/pipe", "name"] {
        tree.dir(Path::new(name).parent().unwrap().as_os_str().as_bytes());
        std::fs::hard_link(&fifo, tree.at(name)).unwrap();
    }
    tree.dir("linked");
    tree.link("linked/index.html", "../fifo");
    let settings = tree.file("may.toml", "[[location]]\npath = \"/by-name\"\nfind_by_name = true\n");
    let server = Launch::of(tree).flags(["--listing", "-c", settings.to_str().unwrap()]).start();
    let targets = [
        "/fifo",
        "/fifo/",
        "/fifo/x",
        "/fifo/index.html",
        "/link",
        "/link/",
        "/dir/upward",
        "/plain/",
        "/plain/index.html",
        "/linked/",
        "/by-name/deep/pipe",
        "/by-name/pipe",
        "/name",
        "/name?query",
    ];
    every(targets.map(|target| (target, target)), |target| {
        let writer = Writer::start(&fifo);
        let refused = server.get(target);
        refused.has_status(&[403, 404]);
        let head = server.ask(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        head.has_status(&[refused.status]);
        let field = server.get_with(target, "Range: bytes=0-0\r\nIf-None-Match: *\r\n");
        field.has_status(&[refused.status]);
        assert!(writer.waits(), "the writer found a reader");
    });
    // A reader's open is seen as such.
    let writer = Writer::start(&fifo);
    let _reader =
        File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&fifo).unwrap();
    assert!(!writer.waits());
}

/// A thread that opens a FIFO for writing, which waits for a reader.
struct Writer {
    thread: Option<JoinHandle<()>>,
    id: u32,
    opened: Arc<AtomicBool>,
    fifo: PathBuf,
}

impl Writer {
    fn start(fifo: &Path) -> Writer {
        let (sender, receiver) = channel();
        let (opened, path) = (Arc::new(AtomicBool::new(false)), fifo.to_owned());
        let set = Arc::clone(&opened);
        let thread = std::thread::spawn(move || {
            sender.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
            let file = File::options().write(true).open(path);
            set.store(true, Ordering::Relaxed);
            drop(file);
        });
        let writer =
            Writer { thread: Some(thread), id: receiver.recv().unwrap(), opened, fifo: fifo.to_owned() };
        eventually("the writer waits", || writer.waits().then_some(()));
        writer
    }

    /// True while the thread sleeps in its open. A reader's open wakes it before that returns.
    fn waits(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", self.id));
        status.is_ok_and(|status| status.contains("\nState:\tS")) && !self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _reader =
            File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(&self.fifo);
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn what_can_not_be_read_is_403() {
    let tree = Tree::site();
    tree.file("unreadable.txt", "secret\n");
    tree.mode("unreadable.txt", 0o000);
    tree.file("closed/file.txt", "secret\n");
    tree.mode("closed", 0o000);
    tree.file("unindexed/index.html", "secret\n");
    tree.mode("unindexed/index.html", 0o600);
    if !root() {
        tree.mode("unindexed/index.html", 0o000);
    }
    let server = Server::of(tree, &[]);
    let targets = ["/unreadable.txt", "/closed/file.txt", "/closed/", "/unindexed/"];
    every(targets.map(|target| (target, target)), |target| {
        let response = server.get(target);
        response.has_status(&[403]);
        assert!(!response.text().contains("secret"));
    });
}

#[test]
fn files_for_root_alone_stay_unread_when_root_starts_the_server() {
    if !root() && skipped("files_for_root_alone…", "only root has such files") {
        return;
    }
    let tree = Tree::site();
    tree.file("for-root.txt", "secret\n");
    tree.mode("for-root.txt", 0o600);
    let server = Server::of(tree, &[]);
    server.get("/for-root.txt").has_status(&[403]);
}

#[test]
fn a_directory_that_may_be_searched_but_not_listed_serves_its_files() {
    let tree = Tree::site();
    tree.mode("dir", 0o711);
    let server = Server::of(tree, &[]);
    server.get("/dir/inner.txt").is(200, "in dir\n");
    server.get("/dir/").is(200, "index of dir\n");
}

#[test]
fn a_directory_that_may_be_searched_but_not_listed_is_redirected_to_its_slash() {
    if !root() && skipped("a_directory_that_may_be_searched…", "its owner may list it") {
        return;
    }
    let tree = Tree::site();
    tree.mode("dir", 0o711);
    tree.dir("closed");
    tree.mode("closed", 0o711);
    let server = Server::of(tree, &[]);
    let response = server.get("/dir");
    response.has_status(&[301]);
    assert_eq!(response["location"], "/dir/");
    server.get("/dir/").is(200, "index of dir\n");
    server.get("/closed").has_status(&[301]);
    server.get("/closed/").has_status(&[403]);
}

#[test]
fn an_index_that_is_a_directory_is_no_index() {
    let tree = Tree::site();
    tree.dir("odd/index.html");
    let server = Server::of(tree, &[]);
    server.get("/odd/").has_status(&[301, 403, 404]);
}

#[test]
fn validators_and_length_come_with_every_file() {
    let server = Server::start(&[]);
    for target in ["/", "/page.html", "/large.html", "/empty.txt"] {
        let response = server.get(target);
        assert_eq!(response["last-modified"], "Sun, 13 Sep 2020 12:26:40 GMT");
        assert_eq!(response["accept-ranges"], "bytes");
        assert!(response.field("etag").is_some() && response.length().is_some(), "{target}");
    }
}

#[test]
fn a_root_that_is_gone_and_back_is_no_end() {
    let outer = Tree::empty();
    outer.file("www/index.html", "first\n");
    let server = Launch::of_path(outer.at("www")).flags(["--cache-valid", "0"]).start();
    server.get("/").is(200, "first\n");
    std::fs::remove_file(outer.at("www/index.html")).unwrap();
    server.get("/").has_status(&[403]);
    outer.file("www/index.html", "second\n");
    server.get("/").is(200, "second\n");
}
