//! Entity-tags by content or by stamp, and digest fields.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::support::configured::{refused, serve};
use crate::support::exposition::Exposition;
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::Caching;
use crate::support::{Launch, Response, Server, Tree, eventually, pattern};

const MB: usize = 1 << 20;

/// A tree with one file of this content that was last changed so many days ago.
fn tree(content: &[u8], days: u64) -> Tree {
    let tree = Tree::empty();
    // Another inode number.
    (0..days).for_each(|day| drop(tree.file(format!("other{day}"), "")));
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

#[test]
fn copies_of_a_file_have_one_tag_whatever_their_inodes_and_times() {
    for size in [100, 64 << 10, (64 << 10) + 1, MB, 16 * MB] {
        let content = pattern(1, size);
        let servers = [1, 5].map(|days| Launch::of(tree(&content, days)).start());
        let tags = servers.each_ref().map(|server| server.settled_tag("/file.bin"));
        assert_eq!(tags[0], tags[1], "{size} bytes");
        assert!(tags[0].starts_with('"'), "{}", tags[0]);
        let other = Launch::of(tree(&pattern(2, size), 1)).start();
        assert_ne!(other.settled_tag("/file.bin"), tags[0], "{size} bytes");
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
    let before = server.settled_tag("/file.bin");
    fs::set_permissions(tree.path().join("file.bin"), Permissions::from_mode(0o444)).unwrap();
    assert_eq!(server.settled_tag("/file.bin"), before, "new permissions");
    tree.file("new", pattern(2, MB));
    fs::rename(tree.path().join("new"), tree.path().join("file.bin")).unwrap();
    let between = server.settled_tag("/file.bin");
    assert_ne!(between, before);
    server.get("/file.bin").is(200, pattern(2, MB));
    fs::write(tree.path().join("file.bin"), pattern(1, MB)).unwrap();
    assert_eq!(server.settled_tag("/file.bin"), before, "a rollback");
}

#[test]
fn the_tag_of_the_first_moments_stays_good_for_conditions() {
    let content = pattern(4, MB);
    let tree = std::sync::Arc::new(tree(&content, 1));
    let server = Launch::of(std::sync::Arc::clone(&tree)).start();
    // The rename changes the file, so nothing is digested for the next 20 ms.
    let (path, away) = (tree.path().join("file.bin"), tree.path().join("away"));
    let first = eventually("a tag of the first 20 ms", || {
        fs::rename(&path, &away).unwrap();
        fs::rename(&away, &path).unwrap();
        let tag = server.get("/file.bin")["etag"].clone();
        (tag.matches('-').count() == 3).then_some(tag)
    });
    server.settled_tag("/file.bin");
    // With a coarse clock for files other bytes might have had it, so it joins no parts.
    let range = server.get_with("/file.bin", &format!("Range: bytes=10-19\r\nIf-Range: {first}\r\n"));
    match first.starts_with("W/") {
        true => range.is(200, &content),
        false => range.is(206, &content[10..20]),
    }
    assert_eq!(range["etag"], first);
    let response = server.get_with("/file.bin", &format!("If-None-Match: \"x\", {first}\r\n"));
    assert_eq!((response.status, response["etag"].as_str()), (304, first.as_str()));
}

#[test]
fn while_no_thread_can_digest_a_file_it_has_a_tag_by_its_stamp() {
    if !can_be_slow("while_no_thread_can_digest_a_file_it_has_a_tag_by_its_stamp") {
        return;
    }
    let content = pattern(6, MB);
    let disk = SlowDisk::of(Tree::site(), Caching::All);
    // Without a look-up of variants, which are not there and would take the thread.
    let text = format!(
        "precompressed = false\n[[location]]\npath = '/held/'\nalias = {:?}\n",
        disk.path().to_str().unwrap()
    );
    // The only thread waits for the disk while that is held; the file itself is on another one.
    let server = serve(tree(&content, 1), &text, &["--disk-threads", "1", "--admin", "127.0.0.1:0"]);
    // Of a tuple the first is dropped first, and the server could not end while its disk is held.
    let (disk, server) = &(disk, server);
    disk.hold();
    let mut held = server.client();
    held.send("GET /held/text.txt HTTP/1.1\r\nHost: test\r\n\r\n");
    disk.until_waiting(1);
    let stamped = eventually("a digest waits for the thread", || {
        let response = head(server, "/file.bin", "");
        response.has_status(&[200]);
        let waiting = "mayhttpd_background_jobs_waiting{worker=\"0\",kind=\"hash\"}";
        (Exposition::of(server.admin_address()).value(waiting) == 1.0).then_some(response)
    });
    assert_eq!(stamped["etag"].matches('-').count(), 3, "{}", stamped["etag"]);
    // Later requests find the same job, and do not wait for it.
    for method in ["HEAD", "GET", "HEAD"] {
        let mut client = server.client();
        client.send(format!("{method} /file.bin HTTP/1.1\r\nHost: test\r\n\r\n"));
        let head = client.head().unwrap();
        // With a coarse clock for files it may have been weak at first.
        let [tag, first] = [&head, &stamped].map(|response| response["etag"].trim_start_matches("W/"));
        assert_eq!((head.status, tag), (200, first), "{method}");
    }
    disk.release();
    let settled = server.settled_tag("/file.bin");
    assert_eq!(Launch::of(tree(&content, 5)).start().settled_tag("/file.bin"), settled);
    held.response().is(200, fs::read(disk.tree().at("text.txt")).unwrap());
}

#[test]
fn without_threads_for_disks_a_long_file_has_a_tag_by_its_content_too() {
    let content = pattern(1, MB);
    let server = Launch::of(tree(&content, 1)).flags(["--disk-threads", "0"]).start();
    server.settled_tag("/file.bin");
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
    server.settled_tag("/file.bin");
}

#[test]
fn a_version_of_a_file_is_digested_once() {
    let content = pattern(10, 4 * MB);
    let server = Launch::of(tree(&content, 1)).flags(["--admin", "127.0.0.1:0"]).start();
    let digested = || {
        let series = "mayhttpd_background_jobs_ended_total";
        Exposition::of(server.admin_address()).sum(series, "kind=\"hash\",outcome=\"done\"")
    };
    let mut first = None;
    for version in 1..=3 {
        let when = SystemTime::now() - Duration::from_secs(version * 1000);
        server.tree().modified("file.bin", when);
        let since = httpdate::fmt_http_date(when);
        let shown = || head(&server, "/file.bin", "")["last-modified"] == since;
        eventually("the new time", || shown().then_some(()));
        let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
        for client in &mut clients {
            client.send("HEAD /file.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        }
        for client in &mut clients {
            client.response_to_head().has_status(&[200]);
        }
        let tag = server.settled_tag("/file.bin");
        // The content is the same.
        assert_eq!(*first.get_or_insert(tag.clone()), tag);
        // The tag is known a little before its job has ended.
        eventually("its job is counted", || (digested() == version as f64).then_some(()));
    }
    for _ in 0..10 {
        head(&server, "/file.bin", "").has_status(&[200]);
    }
    assert_eq!(digested(), 3.0);
}

/// The Cache-Control of a response.
fn cache_control(server: &Server, path: &str) -> Option<String> {
    server.get(path).field("cache-control").map(str::to_owned)
}

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Pages, scripts and a picture, some with a content hash in the name.
fn bundle() -> Tree {
    let tree = Tree::empty();
    for name in [
        "index.html",
        "page.3f2a1b9c.html",
        "assets/index-4xK9dQ2b.css",
        "assets/main.3f2a1b9c.js",
        "assets/logo.png",
        "assets/report-20241128.pdf",
        "assets/jquery-3.7.1.js",
        "short/main.3f2a1b9c.js",
        "short/index.html",
        "short/a.js",
    ] {
        tree.file(name, "content");
    }
    tree
}

#[test]
fn pages_are_checked_at_each_use_unless_something_else_is_said() {
    let server = Launch::of(bundle()).start();
    for path in ["/", "/index.html", "/page.3f2a1b9c.html", "/short/"] {
        assert_eq!(cache_control(&server, path).as_deref(), Some("no-cache"), "{path}");
    }
    assert_eq!(cache_control(&server, "/assets/main.3f2a1b9c.js"), None);
    assert_eq!(cache_control(&server, "/absent.html"), None);
    let tag = server.get("/")["etag"].clone();
    let response = server.get_with("/", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((response.status, response.field("cache-control")), (304, Some("no-cache")));
    assert_eq!(head(&server, "/", "").field("cache-control"), Some("no-cache"));
    let off = Launch::of(bundle()).flags(["--page-cache-control", ""]).start();
    assert_eq!(cache_control(&off, "/"), None);
    let other = Launch::of(bundle()).flags(["--page-cache-control", "private, max-age=5"]).start();
    assert_eq!(cache_control(&other, "/").as_deref(), Some("private, max-age=5"));
}

#[test]
fn names_with_a_content_hash_are_immutable_where_the_settings_say_so() {
    let text = "[[location]]\npath = \"/assets/\"\nimmutable_names = true\n\
                [[location]]\npath = \"/short/\"\nimmutable_names = true\nexpires = \"60s\"\n\
                [[host]]\nnames = [\"example.org\"]\nimmutable_names = true\npage_cache_control = \"\"\n";
    let server = serve(bundle(), text, &[]);
    for (path, expected) in [
        ("/", Some("no-cache")),
        ("/page.3f2a1b9c.html", Some("no-cache")),
        ("/assets/index-4xK9dQ2b.css", Some(IMMUTABLE)),
        ("/assets/main.3f2a1b9c.js", Some(IMMUTABLE)),
        ("/assets/logo.png", None),
        ("/assets/report-20241128.pdf", None),
        ("/assets/jquery-3.7.1.js", None),
        ("/assets/absent.3f2a1b9c.js", None),
        ("/short/main.3f2a1b9c.js", Some(IMMUTABLE)),
        ("/short/", Some("max-age=60")),
        ("/short/a.js", Some("max-age=60")),
    ] {
        let response = server.get(path);
        assert_eq!(response.field("cache-control"), expected, "{path}");
        let lines = response.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"));
        assert_eq!(lines.count(), usize::from(expected.is_some()), "{path}");
        assert_eq!(response.field("expires").is_some(), expected == Some("max-age=60"), "{path}");
    }
    let of_host = |path: &str| {
        let mut client = server.client();
        client.send(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        client.response().field("cache-control").map(str::to_owned)
    };
    assert_eq!((of_host("/"), of_host("/assets/main.3f2a1b9c.js").as_deref()), (None, Some(IMMUTABLE)));
}

#[test]
fn text_types_have_a_charset_where_the_settings_say_so() {
    let tree = Tree::empty();
    for name in ["a.html", "a.js", "a.txt", "a.json", "a.svg", "a.xml", "a.png", "a.iso"] {
        tree.file(name, "content");
    }
    let text = "charset = \"utf-8\"\n[types]\n\".iso\" = \"text/plain; charset=iso-8859-1\"\n\
                [[location]]\npath = \"/a.txt\"\ncharset = \"off\"\n";
    let server = serve(tree, text, &[]);
    for (path, expected) in [
        ("/a.html", "text/html; charset=utf-8"),
        ("/a.js", "text/javascript; charset=utf-8"),
        ("/a.txt", "text/plain"),
        ("/a.json", "application/json"),
        ("/a.svg", "image/svg+xml"),
        ("/a.xml", "text/xml"),
        ("/a.png", "image/png"),
        ("/a.iso", "text/plain; charset=iso-8859-1"),
    ] {
        assert_eq!(server.get(path)["content-type"], expected, "{path}");
    }
}

#[test]
fn tags_are_made_of_the_stamp_where_the_settings_say_so() {
    let content = pattern(1, 1000);
    let text = "etag_content_limit = \"500\"\n[[location]]\npath = \"/file.bin\"\netag = \"stamp\"\n";
    let servers = [1, 5].map(|days| serve(tree(&content, days), text, &[]));
    let tags = servers.each_ref().map(|server| server.get("/file.bin")["etag"].clone());
    assert_ne!(tags[0], tags[1]);
    let by_limit = |size: usize| {
        let server = Launch::of(tree(&pattern(1, size), 1)).flags(["--etag-content-limit", "500"]).start();
        server.get("/file.bin")["etag"].matches('-').count()
    };
    assert_eq!((by_limit(500), by_limit(501)), (1, 3));
    let off = Launch::of(tree(&content, 1)).flags(["--etag", "stamp"]).start();
    let response = off.get("/file.bin");
    assert_eq!(response["etag"].matches('-').count(), 3);
    off.get_with("/file.bin", &format!("If-None-Match: {}\r\n", response["etag"])).has_status(&[304]);
}

#[test]
fn names_with_a_dot_are_hidden_as_the_settings_say() {
    let text = "[[location]]\npath = \"/none\"\nhidden = \"deny\"\n\
                [[location]]\npath = \"/all\"\nhidden = \"serve\"\n";
    let tree = Tree::empty();
    for directory in ["", "none/", "all/"] {
        for name in ["a", ".env", ".well-known/x", ".git/config"] {
            tree.file(format!("{directory}{name}"), "content");
        }
    }
    let server = serve(tree, text, &[]);
    for (path, status) in [
        ("/a", 200),
        ("/.env", 404),
        ("/.well-known/x", 200),
        ("/.git/config", 404),
        ("/none/a", 200),
        ("/none/.env", 404),
        ("/none/.well-known/x", 404),
        ("/all/.env", 200),
        ("/all/.well-known/x", 200),
        ("/all/.git/config", 200),
    ] {
        server.get(path).has_status(&[status]);
    }
    for text in ["dotfiles = \"hide\"", "hidden = \"well-known\""] {
        serve(Tree::site(), text, &[]).get("/page.html").has_status(&[200]);
    }
    assert!(refused("hidden = \"some\"").contains("expected deny, well-known or serve"));
    assert!(refused("symlinks = \"some\"").contains("expected deny, inside, same-owner or follow"));
    assert!(refused("etag = \"md5\"").contains("expected content or stamp"));
}
