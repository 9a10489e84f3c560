//! Entity-tags by content or by stamp, and digest fields.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::support::{Launch, Response, Server, Tree, eventually, pattern};

const MB: usize = 1 << 20;

/// A tree with one file of this content that was last changed so many days ago.
fn tree(content: &[u8], days: u64) -> Tree {
    let tree = Tree::empty();
    // Another inode number.
    (0..days).for_each(|day| drop(tree.file(&format!("other{day}"), "")));
    tree.file("file.bin", content);
    let file = File::options().write(true).open(tree.path().join("file.bin")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
    tree
}

fn head(server: &Server, path: &str, fields: &str) -> Response {
    let mut client = server.client();
    client.send(format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    client.response_to_head()
}

/// The entity-tag that stays, which a request may have to wait for.
fn settled_tag(server: &Server) -> String {
    eventually("the digest of the content is known", || {
        let tag = server.get("/file.bin")["etag"].clone();
        (tag.matches('-').count() == 1).then_some(tag)
    })
}

#[test]
fn copies_of_a_file_have_one_tag_whatever_their_inodes_and_times() {
    for size in [100, 64 << 10, (64 << 10) + 1, MB, 16 * MB] {
        let content = pattern(1, size);
        let servers = [1, 5].map(|days| Launch::of(tree(&content, days)).start());
        let tags = servers.each_ref().map(settled_tag);
        assert_eq!(tags[0], tags[1], "{size} bytes");
        assert!(tags[0].starts_with('"'), "{}", tags[0]);
        let other = Launch::of(tree(&pattern(2, size), 1)).start();
        assert_ne!(settled_tag(&other), tags[0], "{size} bytes");
        let [first, second] = servers;
        let condition = format!("If-None-Match: {}\r\n", tags[0]);
        second.get_with("/file.bin", &condition).has_status(&[304]);
        assert_eq!(first.get_with("/file.bin", &condition)["etag"], tags[0]);
        let range = format!("Range: bytes=10-19\r\nIf-Range: {}\r\n", tags[0]);
        second.get_with("/file.bin", &range).is(206, &content[10..20]);
    }
}

#[test]
fn a_file_above_the_limit_has_a_tag_by_its_stamp() {
    let content = pattern(1, 16 * MB + 1);
    let servers = [1, 5].map(|days| Launch::of(tree(&content, days)).start());
    let tags = servers.each_ref().map(|server| head(server, "/file.bin", "")["etag"].clone());
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn new_content_has_a_new_tag_and_old_content_the_old_one() {
    let tree = std::sync::Arc::new(tree(&pattern(1, MB), 1));
    let server = Launch::of(std::sync::Arc::clone(&tree)).start();
    let before = settled_tag(&server);
    fs::set_permissions(tree.path().join("file.bin"), Permissions::from_mode(0o444)).unwrap();
    assert_eq!(settled_tag(&server), before, "new permissions");
    tree.file("new", pattern(2, MB));
    fs::rename(tree.path().join("new"), tree.path().join("file.bin")).unwrap();
    let between = settled_tag(&server);
    assert_ne!(between, before);
    server.get("/file.bin").is(200, &pattern(2, MB));
    fs::write(tree.path().join("file.bin"), pattern(1, MB)).unwrap();
    assert_eq!(settled_tag(&server), before, "a rollback");
}

#[test]
fn without_threads_for_disks_a_long_file_has_a_tag_by_its_content_too() {
    let content = pattern(1, MB);
    let server = Launch::of(tree(&content, 1)).flags(["--disk-threads", "0"]).start();
    settled_tag(&server);
    server.get("/file.bin").is(200, &content);
}

/// `sha-256=` of the empty content, and of `abc` (FIPS 180-4).
const EMPTY: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
const ABC: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";

#[test]
fn digests_are_sent_where_a_request_wants_them() {
    let tree = Tree::empty();
    tree.file("abc", "abc");
    tree.file("empty", "");
    tree.file("long", [b"abc".as_slice(), &pattern(3, MB)].concat());
    tree.file("huge", [b"abc".as_slice(), &pattern(3, 16 * MB)].concat());
    let server = Launch::of(tree).start();
    let (repr, content) = ("Want-Repr-Digest: sha-256=5\r\n", "Want-Content-Digest: sha-256=1\r\n");
    let of = |path: &str, fields: &str| {
        let response = server.get_with(path, fields);
        let digest = |name: &str| response.field(name).map(str::to_owned);
        (digest("repr-digest"), digest("content-digest"))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("/abc", ""), (None, None));
    assert_eq!(of("/abc", "Want-Repr-Digest: sha-512=5, md5=1\r\n"), (None, None));
    assert_eq!(of("/abc", "Want-Repr-Digest: sha-256=0\r\n"), (None, None));
    assert_eq!(of("/abc", "Want-Repr-Digest: ,,=\"\r\n"), (None, None));
    for _ in 0..3 {
        assert_eq!(of("/abc", repr), (some(ABC), None));
        assert_eq!(of("/abc", content), (None, some(ABC)));
        assert_eq!(of("/empty", &format!("{repr}{content}")), (some(EMPTY), some(EMPTY)));
    }
    let (whole, same) = of("/long", &format!("{repr}{content}"));
    assert!(whole.is_some() && whole == same && whole != some(ABC));
    let part = format!("Range: bytes=0-2\r\n{repr}{content}");
    assert_eq!(of("/long", &part), (whole, some(ABC)));
    assert_eq!(of("/huge", &part), (None, some(ABC)));
    assert_eq!(of("/huge", &format!("{repr}{content}")), (None, None));
    // Several ranges, a precondition that fails, and errors have none.
    for (path, fields) in [
        ("/long", "Range: bytes=0-2,9-11\r\n"),
        ("/long", "If-None-Match: *\r\n"),
        ("/long", "If-Match: \"x\"\r\n"),
        ("/long", "Range: bytes=9999999-\r\n"),
        ("/absent", ""),
    ] {
        assert_eq!(of(path, &format!("{fields}{repr}{content}")), (None, None), "{path} {fields}");
    }
    let head = head(&server, "/abc", &format!("{repr}{content}"));
    assert_eq!((head.field("repr-digest"), head.field("content-digest")), (Some(ABC), None));
}

#[test]
fn a_hundred_first_requests_for_a_file_get_one_content() {
    let content = pattern(9, 4 * MB);
    let server = Launch::of(tree(&content, 1)).start();
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("HEAD /file.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for client in &mut clients {
        client.response_to_head().has_status(&[200]);
    }
    settled_tag(&server);
}
