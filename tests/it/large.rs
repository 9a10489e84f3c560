//! Large and many: files beyond what one system call moves, a real site of tens of thousands of files, a
//! network with the frames of a real one.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::network::Network;
use crate::support::tree::large;
use crate::support::{Client, Launch, Server, Tree, pattern, root, skipped};

/// A file of holes with marks in it; the marks are at these offsets.
const MARKS: &[(u64, &[u8])] =
    &[(0, b"the beginning"), ((2 << 30) - 6, b"across 2 GiB"), ((3 << 30) - 8, b"the end!")];

fn holes(length: u64) -> Tree {
    let tree = Tree::site();
    let path = tree.file("holes.bin", b"");
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length).unwrap();
    for (at, mark) in MARKS {
        file.write_all_at(mark, *at).unwrap();
    }
    tree
}

#[test]
fn ranges_reach_across_2_and_4_gib() {
    let tree = holes(5 << 30);
    let file = File::options().write(true).open(tree.at("holes.bin")).unwrap();
    file.write_all_at(b"across 4 GiB", (4 << 30) - 6).unwrap();
    let server = Server::of(tree, &[]);
    for (middle, mark) in [(2u64 << 30, "across 2 GiB"), (4 << 30, "across 4 GiB")] {
        let range = format!("Range: bytes={}-{}\r\n", middle - 6, middle + 5);
        let response = server.get_with("/holes.bin", &range);
        response.is(206, mark);
        assert_eq!(response["content-range"], format!("bytes {}-{}/5368709120", middle - 6, middle + 5));
    }
    server.get_with("/holes.bin", "Range: bytes=-5\r\n").is(206, [0; 5]);
    server.get_with("/holes.bin", "Range: bytes=5368709119-\r\n").is(206, [0; 1]);
    server.get_with("/holes.bin", "Range: bytes=5368709120-\r\n").has_status(&[416]);
    let head = server.ask("HEAD /holes.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(head.length(), Some(5 << 30));
}

#[test]
#[ignore = "moves 3 GiB three times; .ci/run runs it"]
fn a_file_of_3_gib_arrives_whole() {
    for flags in [&[][..], &["--sendfile", "off"]] {
        let server = Server::of(holes(3 << 30), flags);
        let mut client = server.client();
        client.send("GET /holes.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        let head = client.head().unwrap();
        head.has_status(&[200]);
        assert_eq!(head.length(), Some(3 << 30));
        holds_holes(&mut client, 0, 3 << 30);
        client.still_serves();
    }
}

#[test]
#[ignore = "moves over 2 GiB; .ci/run runs it"]
fn a_range_of_over_2_gib_arrives_whole() {
    let server = Server::of(holes(3 << 30), &[]);
    let (first, last) = (100u64, (3u64 << 30) - 1);
    let mut client = server.client();
    client.send(format!("GET /holes.bin HTTP/1.1\r\nHost: test\r\nRange: bytes={first}-{last}\r\n\r\n"));
    let head = client.head().unwrap();
    head.has_status(&[206]);
    assert_eq!(head.length(), Some(last - first + 1));
    holds_holes(&mut client, first, last + 1);
    client.still_serves();
}

/// Reads the bytes from `start` to `end` of the file of holes, and checks every one.
#[track_caller]
fn holds_holes(client: &mut Client, start: u64, end: u64) {
    let mut at = start;
    let mut buffer = vec![0; 1 << 20];
    let mut wanted = vec![0; buffer.len()];
    while at < end {
        let room = buffer.len().min((end - at) as usize);
        let count = client.read(&mut buffer[..room]);
        assert!(count > 0, "cut at {at}");
        wanted[..count].fill(0);
        for (place, mark) in MARKS {
            for (index, byte) in mark.iter().enumerate() {
                let offset = (place + index as u64).wrapping_sub(at) as usize;
                if offset < count {
                    wanted[offset] = *byte;
                }
            }
        }
        assert!(buffer[..count] == wanted[..count], "wrong content after {at}");
        at += count as u64;
    }
}

#[test]
#[ignore = "fetches tens of thousands of files; .ci/run runs it where the documentation is installed"]
fn the_documentation_of_rust_arrives_whole_over_64_connections() {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    let site = Path::new(&sysroot).join("share/doc/rust/html");
    if !site.join("index.html").exists() && skipped("the_documentation_of_rust…", "it is not installed") {
        return;
    }
    let mut files = Vec::new();
    walk(&site, &mut files);
    assert!(files.len() > 1000, "{} files", files.len());
    // The toolchain may lie where only its owner looks, so the workers stay the user that the test is.
    let user: &[&str] = if root() { &["--user", "root", "--group", "root"] } else { &[] };
    let launch = Launch::of_path(&site).workers(2).flags(user).flags(["--dotfiles", "serve"]);
    let server = launch.start();
    let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut client = server.client();
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = path.strip_prefix(&site).unwrap().to_str().unwrap();
                    client.send(format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", escaped(name)));
                    let response = client.response();
                    response.is(200, fs::read(path).unwrap());
                    bytes.fetch_add(response.body.len(), Ordering::Relaxed);
                }
            });
        }
    });
    eprintln!("{} files, {} MB compared", files.len(), bytes.into_inner() / 1_000_000);
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[test]
#[ignore = "makes a network namespace, which needs root; .ci/run runs it"]
fn a_late_reader_behind_frames_of_1500_bytes_gets_every_byte() {
    let network = match Network::make(1500) {
        Ok(network) => network,
        Err(why) => {
            assert!(!root(), "{why}");
            skipped("a_late_reader…", &why);
            return;
        }
    };
    network.enter(|| {
        for sendfile in ["on", "off"] {
            let tree = Tree::site();
            let body = pattern(1, 40 << 20);
            tree.file("big.bin", &body);
            let server = Launch::of(tree).flags(["--sendfile", sendfile]).start();
            for (target, body) in [("/large.html", &large()), ("/big.bin", &body)] {
                let mut clients: Vec<_> = (0..4).map(|_| server.client()).collect();
                for client in &mut clients {
                    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
                }
                // The case itself: the socket's buffer fills before anyone reads.
                std::thread::sleep(Duration::from_millis(200));
                for client in &mut clients {
                    client.response().is(200, body);
                    client.still_serves();
                }
            }
        }
    });
}
