//! Files that change while they are served: replaced, rewritten, cut short, deleted. An answer is one version
//! whole, or it ends short and the connection with it; it is never padded and never mixed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Client, Response, Server, Stop, Tree, pattern};

const BIG: usize = 24 << 20;

fn server_of_big(flags: &[&str]) -> (Server, Vec<u8>) {
    let tree = Tree::site();
    let body = pattern(1, BIG);
    tree.file("big.bin", &body);
    (Server::of(tree, flags), body)
}

/// A download that has begun and can't get far, since its client doesn't read.
#[track_caller]
fn begin(server: &Server) -> (Client, Response) {
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.head().unwrap();
    head.has_status(&[200]);
    assert_eq!(head.length(), Some(BIG as u64));
    (client, head)
}

/// Everything that comes of a body, up to its length or the end of the stream.
fn rest_of_body(client: &mut Client, length: usize) -> Vec<u8> {
    let mut body = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    while body.len() < length {
        match client.read(&mut buffer) {
            0 => break,
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    body
}

#[test]
fn a_file_replaced_between_requests_is_seen_at_once_without_a_cache() {
    let server = Server::start(&["--cache-valid", "0"]);
    let mut client = server.client();
    for round in 0..50 {
        let body = format!("version {round}, {}", "x".repeat(round));
        server.tree().file("changing.txt", &body);
        client.send("GET /changing.txt HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().is(200, body);
    }
}

#[test]
fn a_file_made_and_deleted_between_requests_comes_and_goes() {
    let server = Server::start(&["--cache-valid", "0"]);
    let mut client = server.client();
    for _ in 0..20 {
        client.send("GET /fleeting.txt HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().has_status(&[404]);
        let path = server.tree().file("fleeting.txt", "here\n");
        client.send("GET /fleeting.txt HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().is(200, "here\n");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_that_becomes_a_directory_and_back_is_followed() {
    let server = Server::start(&["--cache-valid", "0"]);
    for _ in 0..5 {
        let path = server.tree().file("both", "a file\n");
        server.get("/both").is(200, "a file\n");
        fs::remove_file(&path).unwrap();
        server.tree().file("both/index.html", "an index\n");
        server.get("/both").has_status(&[301]);
        server.get("/both/").is(200, "an index\n");
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_directory_swapped_for_a_link_to_the_outside_is_not_followed() {
    let tree = Tree::empty();
    tree.file("outside/secret.txt", "secret\n");
    tree.file("www/dir/secret.txt", "public\n");
    tree.file("www/page.html", PAGE);
    let stop = AtomicBool::new(false);
    let server = crate::support::Launch::of_path(tree.at("www")).flags(["--cache-valid", "0"]).start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, kept) = (tree.at("www/dir"), tree.at("kept"));
            while !stop.load(Ordering::Relaxed) {
                fs::rename(&dir, &kept).unwrap();
                tree.link("www/dir", "../outside");
                fs::remove_file(&dir).unwrap();
                fs::rename(&kept, &dir).unwrap();
            }
        });
        let _stop = Stop(&stop);
        let mut client = server.client();
        for _ in 0..2000 {
            client.send("GET /dir/secret.txt HTTP/1.1\r\nHost: test\r\n\r\n");
            let response = client.response();
            let fine = matches!(response.status, 403 | 404) || response.body == b"public\n";
            assert!(fine, "{}: {}", response.status, response.text());
        }
    });
}

#[test]
fn a_file_replaced_while_it_is_sent_arrives_as_it_was() {
    for flags in [&[][..], &["--sendfile", "off"]] {
        let (server, body) = server_of_big(flags);
        let (mut client, _) = begin(&server);
        server.tree().file("big.bin", pattern(2, BIG / 2));
        assert!(rest_of_body(&mut client, BIG) == body, "another file's bytes were mixed in");
        client.still_serves();
    }
}

#[test]
fn a_file_deleted_while_it_is_sent_arrives_whole() {
    let (server, body) = server_of_big(&["--cache-valid", "0"]);
    let (mut client, _) = begin(&server);
    fs::remove_file(server.tree().at("big.bin")).unwrap();
    assert!(rest_of_body(&mut client, BIG) == body, "wrong content");
    client.still_serves();
    server.get("/big.bin").has_status(&[404]);
}

#[test]
fn a_file_cut_short_while_it_is_sent_ends_the_connection() {
    for flags in [&[][..], &["--sendfile", "off"]] {
        let (server, body) = server_of_big(flags);
        let (mut client, _) = begin(&server);
        File::options()
            .write(true)
            .open(server.tree().at("big.bin"))
            .unwrap()
            .set_len(BIG as u64 / 2)
            .unwrap();
        let got = rest_of_body(&mut client, BIG);
        assert!(got.len() <= BIG / 2 && body.starts_with(&got), "padded to {} bytes", got.len());
        client.closed();
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_file_cut_to_nothing_while_it_is_sent_ends_the_connection() {
    let (server, body) = server_of_big(&[]);
    let (mut client, _) = begin(&server);
    File::create(server.tree().at("big.bin")).unwrap();
    let got = rest_of_body(&mut client, BIG);
    assert!(got.len() < BIG && body.starts_with(&got));
    client.closed();
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_file_that_grows_while_it_is_sent_keeps_its_announced_length() {
    use std::io::Write;
    let (server, body) = server_of_big(&[]);
    let (mut client, _) = begin(&server);
    let mut file = File::options().append(true).open(server.tree().at("big.bin")).unwrap();
    file.write_all(b"more and more").unwrap();
    assert!(rest_of_body(&mut client, BIG) == body, "wrong content");
    client.still_serves();
}

#[test]
fn a_file_replaced_again_and_again_is_never_torn() {
    // Each version is a single repeated letter, and its length tells the letter.
    let version = |number: usize| vec![b'a' + (number % 26) as u8; 1000 * (number % 26 + 1)];
    for flags in [&["--cache-valid", "0"][..], &["--cache-valid", "20ms"], &[]] {
        let server = Server::of(Tree::site(), flags);
        server.tree().file("torn.txt", version(0));
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (1..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|number| {
                    server.tree().file("torn.txt", version(number));
                });
            });
            let _stop = Stop(&stop);
            let mut client = server.client();
            for _ in 0..3000 {
                client.send("GET /torn.txt HTTP/1.1\r\nHost: test\r\n\r\n");
                let response = client.response();
                response.has_status(&[200]);
                let number = response.body.len() / 1000 - 1;
                assert!(response.body == version(number), "torn at {} bytes", response.body.len());
            }
        });
    }
}

#[test]
fn a_file_rewritten_in_place_never_crashes_the_worker() {
    // In place nothing promises one version, but the length announced is the length that comes, or the end.
    let tree = Tree::site();
    let path = tree.file("inplace.bin", pattern(3, 300_000));
    let server = Server::of(tree, &["--cache-valid", "0"]);
    let worker = server.workers()[0];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            (0usize..).take_while(|_| !stop.load(Ordering::Relaxed)).for_each(|round| {
                file.set_len(if round % 2 == 0 { 10 } else { 300_000 }).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            });
        });
        let _stop = Stop(&stop);
        for _ in 0..500 {
            let mut client = server.client();
            client.send("GET /inplace.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
            if let Some(head) = client.head() {
                let body = client.rest();
                let too_much = head.status == 200 && body.len() as u64 > head.length().unwrap();
                assert!(!too_much, "{} bytes for {:?}", body.len(), head.length());
            }
        }
    });
    assert_eq!(server.workers(), [worker], "the worker died");
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_large_file_changed_in_place_is_served_by_its_length_and_tag_of_now() {
    for sendfile in ["on", "off"] {
        let tree = Tree::site();
        let first = pattern(4, 300_000);
        let path = tree.file("inplace.bin", &first);
        // The cache would believe what it knows for an hour.
        let server = Server::of(tree, &["--cache-valid", "1h", "--sendfile", sendfile]);
        let file = File::options().write(true).open(path).unwrap();
        let mut client = server.client();
        let mut tags = HashSet::new();
        let mut last = "\"none\"".to_owned();
        let mut check = |body: &[u8]| {
            // A client that has the last version is sent the new one.
            client.send(format!("GET /inplace.bin HTTP/1.1\r\nHost: test\r\nIf-None-Match: {last}\r\n\r\n"));
            let response = client.response();
            assert_eq!(response.length(), Some(body.len() as u64));
            response.is(200, body);
            last = response["etag"].clone();
            assert!(tags.insert(last.clone()), "{last} was the tag of other bytes");
        };
        check(&first);
        for length in [200_000, 70_000] {
            file.set_len(length as u64).unwrap();
            check(&first[..length]);
        }
        // Written over: twice without a change of length, then longer, then so short that memory holds it.
        for (round, length) in [70_000, 70_000, 300_000, 1000].into_iter().enumerate() {
            let body = pattern(10 + round as u64, length);
            file.set_len(length as u64).unwrap();
            file.write_all_at(&body, 0).unwrap();
            let seconds = CHANGED + 1 + round as u64;
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
            check(&body);
        }
    }
}
