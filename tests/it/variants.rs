//! Files in content codings beside a file: which of them a client gets, and when a change of one shows.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::support::configured::{refused, serve};
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::{Caching, Operation};
use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Client, Launch, Response, Server, Tree, eventually, every, pattern};

const VARY: &str = "Accept-Encoding";

/// A tree with files and variants of them, all of one time.
fn tree() -> Tree {
    let tree = Tree::site();
    for (name, length) in [
        ("a.js", 1000),
        ("a.js.br", 100),
        ("a.js.zst", 120),
        ("a.js.gz", 150),
        ("only.css", 700),
        ("only.css.gz", 300),
        ("alike.css", 700),
        ("alike.css.br", 200),
        ("alike.css.zst", 200),
        ("alike.css.gz", 200),
        ("grown.txt", 50),
        ("grown.txt.gz", 70),
        ("grown.txt.br", 50),
        ("long.js", 300_000),
        ("long.js.br", 100_000),
        ("long.js.gz", 120_000),
        ("half.js", 200_000),
        ("half.js.zst", 30_000),
        ("plain.txt", 60),
        ("old.js", 500),
        ("old.js.gz", 90),
        ("old.js.br", 95),
        ("picture.png", 400),
        ("picture.png.gz", 300),
        ("drawing.svg", 400),
        ("drawing.svg.gz", 100),
        ("inner/index.html", 222),
        ("inner/index.html.gz", 111),
        ("inner/index.html.br", 112),
        ("orphan.js.gz", 30),
    ] {
        tree.file(name, content(name, length));
    }
    tree.modified("old.js.gz", SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED - 1));
    tree
}

/// Bytes that no other file has.
fn content(name: &str, length: usize) -> Vec<u8> {
    let seed = name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    pattern(seed, length)
}

fn file(server: &Server, name: &str) -> Vec<u8> {
    fs::read(server.tree().at(name)).unwrap()
}

/// The suffix of the file that an answer has, by its coding.
fn suffix(response: &Response) -> &'static str {
    match response.field("content-encoding") {
        None => "",
        Some("br") => ".br",
        Some("zstd") => ".zst",
        Some("gzip") => ".gz",
        Some(other) => panic!("coded as {other}"),
    }
}

fn accept(value: &str) -> String {
    format!("Accept-Encoding: {value}\r\n")
}

#[test]
fn a_request_gets_the_form_that_its_field_says() {
    let server = Server::of(tree(), &[]);
    let rows: &[(&str, &str, &str)] = &[
        ("/a.js", "", ""),
        ("/a.js", "Accept-Encoding: \r\n", ""),
        ("/a.js", "gzip", ".gz"),
        ("/a.js", "x-gzip", ".gz"),
        ("/a.js", "GZip", ".gz"),
        ("/a.js", "br", ".br"),
        ("/a.js", "zstd", ".zst"),
        ("/a.js", "gzip, deflate, br, zstd", ".br"),
        ("/a.js", "gzip, deflate, zstd", ".zst"),
        ("/a.js", "gzip;q=1.0, br;q=0.9", ".gz"),
        ("/a.js", "gzip;q=0.5, zstd;q=0.501, br;q=0.5", ".zst"),
        ("/a.js", "gzip;q=0.001", ".gz"),
        ("/a.js", "*", ".br"),
        ("/a.js", "br;q=0, *", ".zst"),
        ("/a.js", "*;q=0.1, gzip", ".gz"),
        ("/a.js", "gzip;q=0", ""),
        ("/a.js", "identity", ""),
        ("/a.js", "identity, gzip;q=0.5", ""),
        ("/a.js", "identity;q=0.5, gzip", ".gz"),
        ("/a.js", "identity, gzip", ".gz"),
        ("/a.js", "identity;q=0", "406"),
        ("/a.js", "identity;q=0, gzip", ".gz"),
        ("/a.js", "identity;q=0, *", ".br"),
        ("/a.js", "*;q=0", "406"),
        ("/a.js", "*;q=0, gzip", ".gz"),
        ("/a.js", "*;q=0, identity;q=0.1", ""),
        ("/a.js", "deflate", ""),
        ("/a.js", "deflate, identity;q=0", "406"),
        ("/a.js", "gzip;q=2, br;q=x", ""),
        ("/a.js", "gzip;q=2, zstd", ".zst"),
        ("/a.js?query", "br", ".br"),
        ("/alike.css", "gzip, zstd, br", ".br"),
        ("/alike.css", "gzip, zstd", ".zst"),
        // As long as the file, or longer.
        ("/grown.txt", "gzip", ".gz"),
        ("/grown.txt", "identity, gzip", ""),
        ("/grown.txt", "identity, br", ".br"),
        ("/only.css", "br, zstd", ""),
        ("/only.css", "br, gzip;q=0.1", ".gz"),
        ("/only.css", "br, identity;q=0", "406"),
        ("/long.js", "gzip", ".gz"),
        ("/long.js", "gzip, br", ".br"),
        ("/long.js", "identity", ""),
        ("/half.js", "gzip, br, zstd", ".zst"),
        ("/half.js", "gzip", ""),
        ("/drawing.svg", "gzip", ".gz"),
        ("/inner/", "gzip", ".gz"),
        ("/inner/", "gzip, br", ".gz"),
        ("/inner/index.html", "br", ".br"),
        ("/old.js", "br", ".br"),
        ("/old.js", "gzip", ""),
        ("/old.js", "gzip, identity;q=0", "406"),
    ];
    every(rows.iter().map(|row| (format!("{row:?}"), row)), |(target, value, expected)| {
        let fields =
            if value.is_empty() || value.contains(':') { (*value).to_owned() } else { accept(value) };
        let path = target.trim_start_matches('/').trim_end_matches("?query");
        let path = if path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
        // From the disk, and then from the cache.
        for _ in 0..2 {
            let response = server.get_with(target, &fields);
            assert_eq!(response["vary"], VARY);
            if *expected == "406" {
                response.has_status(&[406]);
                assert_eq!(response.field("content-encoding"), None);
                continue;
            }
            assert_eq!(suffix(&response), *expected);
            response.is(200, file(&server, &format!("{path}{expected}")));
            let media_type = &server.get_with(target, "")["content-type"];
            assert_eq!(response["content-type"], *media_type);
        }
    });
}

#[test]
fn a_list_goes_on_over_several_fields() {
    let server = Server::of(tree(), &[]);
    let response = server.get_with("/a.js", "Accept-Encoding: deflate\r\nAccept-encoding: zstd\r\n");
    assert_eq!(suffix(&response), ".zst");
}

#[test]
fn files_without_variants_are_as_they_were() {
    let server = Server::of(tree(), &[]);
    for (target, path) in [
        ("/plain.txt", "plain.txt"),
        ("/picture.png", "picture.png"),
        ("/a.js.gz", "a.js.gz"),
        ("/a.js.br", "a.js.br"),
        ("/a.js.zst", "a.js.zst"),
        ("/picture.png.gz", "picture.png.gz"),
        ("/dir/", "dir/index.html"),
    ] {
        let response = server.get_with(target, &accept("gzip, br, zstd"));
        response.is(200, file(&server, path));
        assert_eq!((response.field("vary"), response.field("content-encoding")), (None, None), "{target}");
    }
    assert_eq!(server.get("/a.js.gz")["content-type"], "application/gzip");
    server.get_with("/orphan.js", &accept("gzip")).has_status(&[404]);
}

/// The entity-tag by the content: that of a file above 64 KiB comes with a job.
fn settled_tag(server: &Server, target: &str, coding: &str) -> String {
    let parts = if coding == "identity" { 2 } else { 3 };
    eventually("the entity-tag by the content", || {
        let tag = server.get_with(target, &accept(coding))["etag"].clone();
        (tag.split('-').count() == parts).then_some(tag)
    })
}

#[test]
fn each_form_has_validators_of_its_own() {
    let tree = tree();
    // The same bytes in each form.
    for name in ["same.txt", "same.txt.gz", "same.txt.br"] {
        tree.file(name, PAGE);
    }
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + 3600);
    tree.modified("a.js.gz", later);
    let server = Server::of(tree, &[]);
    for target in ["/a.js", "/long.js", "/same.txt"] {
        let tags = ["identity", "gzip", "br"].map(|coding| settled_tag(&server, target, coding));
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
        for (index, coding) in ["identity", "gzip", "br"].into_iter().enumerate() {
            for (of, tag) in tags.iter().enumerate() {
                let fields = format!("{}If-None-Match: {tag}\r\n", accept(coding));
                let response = server.get_with(target, &fields);
                response.has_status(&[if of == index { 304 } else { 200 }]);
                assert_eq!((&*response["etag"], &*response["vary"]), (&*tags[index], VARY), "{coding} {tag}");
                let fields = format!("{}If-Match: {tag}\r\n", accept(coding));
                let response = server.get_with(target, &fields);
                response.has_status(&[if of == index { 200 } else { 412 }]);
                assert_eq!(response["vary"], VARY);
            }
        }
    }
    let date = httpdate::fmt_http_date(later);
    let response = server.get_with("/a.js", &accept("gzip"));
    assert_eq!(response["last-modified"], date);
    let since = |coding| {
        let when = httpdate::fmt_http_date(later - Duration::from_secs(1));
        server.get_with("/a.js", &format!("{}If-Modified-Since: {when}\r\n", accept(coding)))
    };
    since("gzip").is(200, file(&server, "a.js.gz"));
    let response = since("br");
    response.has_status(&[304]);
    assert_eq!((&*response["vary"], response.field("content-encoding")), (VARY, None));
    // A date is a condition of the chosen form as well.
    let unmodified =
        format!("If-Unmodified-Since: {}\r\n", httpdate::fmt_http_date(later - Duration::from_secs(1)));
    server.get_with("/a.js", &(accept("gzip") + &unmodified)).has_status(&[412]);
    server.get_with("/a.js", &(accept("br") + &unmodified)).has_status(&[200]);
}

#[test]
fn head_says_what_get_would() {
    let server = Server::of(tree(), &[]);
    for target in ["/a.js", "/long.js", "/half.js", "/only.css"] {
        for coding in ["identity", "gzip", "br", "zstd", "gzip, br", "identity;q=0"] {
            let ask = |method| {
                server.ask(format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{}\r\n", accept(coding)))
            };
            // The tag of a file above 64 KiB changes once, when a job has read it.
            let (head, get) = eventually("one tag of HEAD and GET", || {
                let (head, get) = (ask("HEAD"), ask("GET"));
                (head.field("etag") == get.field("etag")).then_some((head, get))
            });
            assert_eq!(head.status, get.status, "{target} {coding}");
            for name in ["content-length", "content-type", "content-encoding", "last-modified", "vary"] {
                assert_eq!(head.field(name), get.field(name), "{target} {coding} {name}");
            }
            assert_eq!(get.length(), Some(get.body.len() as u64));
        }
    }
}

#[test]
fn ranges_are_of_the_chosen_form() {
    let server = Server::of(tree(), &[]);
    for (target, name) in [("/a.js", "a.js"), ("/long.js", "long.js")] {
        for (coding, suffix) in [("br", ".br"), ("gzip", ".gz"), ("identity", "")] {
            let whole = file(&server, &format!("{name}{suffix}"));
            let with = |more: &str| server.get_with(target, &(accept(coding) + more));
            let response = with("Range: bytes=10-19\r\n");
            response.is(206, &whole[10..20]);
            assert_eq!(response["content-range"], format!("bytes 10-19/{}", whole.len()));
            assert_eq!(response.field("content-encoding"), (coding != "identity").then_some(coding));
            assert_eq!(response["vary"], VARY);
            let tag = response["etag"].clone();
            with("Range: bytes=-5\r\n").is(206, &whole[whole.len() - 5..]);

            let response = with("Range: bytes=0-1,90-91\r\n");
            response.has_status(&[206]);
            assert!(response["content-type"].starts_with("multipart/byteranges"), "{response:?}");
            assert_eq!(response.field("content-encoding"), (coding != "identity").then_some(coding));
            assert_eq!(response["vary"], VARY);
            for (part, at) in [(0..2, "bytes 0-1"), (90..92, "bytes 90-91")] {
                let head = format!("Content-Range: {at}/{}\r\n\r\n", whole.len()).into_bytes();
                let expected = [&head[..], &whole[part]].concat();
                assert!(memchr::memmem::find(&response.body, &expected).is_some(), "{coding} {at}");
            }

            let response = with(&format!("Range: bytes={}-\r\n", whole.len()));
            response.has_status(&[416]);
            assert_eq!(response["content-range"], format!("bytes */{}", whole.len()));
            assert_eq!((&*response["vary"], response.field("content-encoding")), (VARY, None));

            with(&format!("Range: bytes=0-3\r\nIf-Range: {tag}\r\n")).is(206, &whole[..4]);
            let other = server.get_with(target, &accept("identity, gzip;q=0"))["etag"].clone();
            if coding != "identity" {
                with(&format!("Range: bytes=0-3\r\nIf-Range: {other}\r\n")).is(200, &whole);
                let date = server.get(target)["last-modified"].clone();
                with(&format!("Range: bytes=0-3\r\nIf-Range: {date}\r\n")).is(200, &whole);
            }
        }
    }
}

#[test]
fn files_of_locations_and_files_found_by_name_have_variants() {
    let (tree, settings) = (tree(), Tree::empty());
    tree.file("deep/found.js", "found");
    tree.file("deep/found.js.gz", "coded");
    let alias = tree.dir("deep");
    let text = format!(
        "[[location]]\npath = \"/by-name\"\nfind_by_name = true\n\
         [[location]]\npath = \"/other\"\nalias = {:?}\nexpires = \"1h\"\n",
        alias.to_str().unwrap()
    );
    tree.file("by-name/deep/named.js", "named");
    tree.file("by-name/deep/named.js.gz", "coded");
    let settings = settings.file("may.toml", text);
    let server = Launch::of(tree).flags(["-c", settings.to_str().unwrap()]).start();
    for target in ["/other/found.js", "/by-name/named.js", "/by-name/deep/named.js"] {
        let response = server.get_with(target, &accept("gzip"));
        response.is(200, "coded");
        assert_eq!((&*response["content-encoding"], &*response["vary"]), ("gzip", VARY), "{target}");
    }
    let response = server.get_with("/other/found.js", &accept("gzip"));
    assert_eq!(response["cache-control"], "max-age=3600");
    server.get_with("/by-name/named.js.gz", &accept("gzip")).is(200, "coded");
}

#[test]
fn the_setting_nearest_to_a_request_counts() {
    let variants = |server: &Server, host: &str, target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n");
        let response = server.ask(request);
        response.has_status(&[200]);
        let is_coded = response.field("content-encoding").is_some();
        assert_eq!(response.field("vary").is_some(), is_coded, "{host}{target}");
        is_coded
    };
    let text = "[[location]]\npath = '/inner/'\nprecompressed = true\n\
                [[location]]\npath = '/by-name'\nfind_by_name = true\n\
                [[host]]\nnames = ['on.example']\nprecompressed = true\n\
                [[host.location]]\npath = '/inner'\nprecompressed = false\n";
    let make = || {
        let tree = tree();
        tree.file("by-name/deep/named.js", "named");
        tree.file("by-name/deep/named.js.gz", "coded");
        tree
    };
    let off = serve(make(), text, &["--precompressed=off"]);
    for (host, target, coded) in [
        ("test", "/a.js", false),
        ("test", "/inner/", true),
        ("test", "/by-name/named.js", false),
        ("on.example", "/a.js", true),
        ("on.example", "/inner/", false),
    ] {
        assert_eq!(variants(&off, host, target), coded, "{host}{target}");
    }
    let on = serve(make(), text, &["--precompressed"]);
    for (target, coded) in [("/a.js", true), ("/inner/", true), ("/by-name/named.js", true)] {
        assert_eq!(variants(&on, "test", target), coded, "{target}");
    }
    let variable = Launch::of(make()).environment("MAYHTTPD_PRECOMPRESSED", "off").start();
    assert!(!variants(&variable, "test", "/a.js"));
    assert!(refused("precompressed = 1").contains("precompressed: "));
}

#[test]
fn pages_of_other_paths_have_variants_and_error_pages_have_none() {
    let (tree, before) = (tree(), Tree::empty());
    tree.file("about.html", "about");
    tree.file("about.html.gz", "coded");
    tree.file("404.html", "missing");
    tree.file("404.html.gz", "coded");
    before.file("former.js", "former");
    before.file("former.js.gz", "coded");
    let text = format!(
        "clean_urls = true\nfallback = '/about.html'\nerror_pages = {{ 404 = '/404.html' }}\n\
         fallback_roots = [{:?}]\n",
        before.path().to_str().unwrap()
    );
    let server = serve(tree, &text, &[]);
    for (target, varies) in [
        ("/about", "Accept-Encoding"),
        ("/former.js", "Accept-Encoding"),
        ("/a/b", "Accept-Encoding, Accept"),
    ] {
        let response = server.get_with(target, &accept("gzip"));
        response.is(200, "coded");
        assert_eq!(
            (&*response["content-encoding"], response.all("vary").join(", ")),
            ("gzip", varies.into())
        );
    }
    let response = server.get_with("/absent.js", &accept("gzip"));
    response.is(404, "missing");
    assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
}

#[test]
fn what_is_no_readable_file_counts_as_absent() {
    let tree = Tree::empty();
    for name in ["directory.js", "secret.js", "dangling.js", "outside.js", "pipe.js", "linked.js"] {
        tree.file(name, content(name, 100));
    }
    tree.file("directory.js.br/inner", "inner");
    tree.file("secret.js.br", "secret");
    tree.mode("secret.js.br", 0);
    tree.link("dangling.js.br", "nowhere");
    tree.link("outside.js.br", "/etc/passwd");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.at("pipe.js.br"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    tree.file("pool/linked", "behind a link");
    tree.link("linked.js.br", "pool/linked");
    let server = Server::of(tree, &["--cache-valid", "1h"]);
    for round in 0..5 {
        for name in ["directory.js", "secret.js", "dangling.js", "outside.js", "pipe.js"] {
            let response = server.get_with(format!("/{name}"), &accept("br"));
            response.is(200, file(&server, name));
            assert_eq!(response.field("vary"), None, "{name} {round}");
        }
        let response = server.get_with("/linked.js", &accept("br"));
        response.is(200, "behind a link");
        assert_eq!(response["content-encoding"], "br");
    }
    // Each of them becomes one that can be read.
    let tree = server.tree();
    fs::remove_dir_all(tree.at("directory.js.br")).unwrap();
    tree.file("directory.js.br", "coded");
    fs::set_permissions(tree.at("secret.js.br"), fs::Permissions::from_mode(0o644)).unwrap();
    tree.file("nowhere", "coded");
    fs::remove_file(tree.at("pipe.js.br")).unwrap();
    tree.file("pipe.js.br", "coded");
    for (name, body) in
        [("directory.js", "coded"), ("secret.js", "secret"), ("dangling.js", "coded"), ("pipe.js", "coded")]
    {
        server.get_with(format!("/{name}"), &accept("br")).is(200, body);
    }
}

/// A change to a tree, and then what a client that accepts `br, gzip` gets.
type Change = (&'static str, fn(&Tree), &'static str);

const CHANGES: &[Change] = &[
    ("a variant appears by a rename", |tree| drop(tree.file("dir/x.js.gz", "gz 1")), "gz 1"),
    ("a preferred one is written", |tree| fs::write(tree.at("dir/x.js.br"), "br").unwrap(), "br"),
    ("it is written over", |tree| fs::write(tree.at("dir/x.js.br"), "b2").unwrap(), "b2"),
    ("it is replaced", |tree| drop(tree.file("dir/x.js.br", "b3")), "b3"),
    ("it becomes longer than the other", |tree| drop(tree.file("dir/x.js.br", "longer")), "gz 1"),
    ("the other is removed", |tree| fs::remove_file(tree.at("dir/x.js.gz")).unwrap(), "longer"),
    (
        "it is renamed away",
        |tree| fs::rename(tree.at("dir/x.js.br"), tree.at("dir/other")).unwrap(),
        "the file itself",
    ),
    ("a link takes its place", |tree| tree.link("dir/x.js.br", "other"), "longer"),
    ("what it leads to is replaced", |tree| drop(tree.file("dir/other", "b4")), "b4"),
    ("what it leads to is edited", |tree| fs::write(tree.at("dir/other"), "b5").unwrap(), "b5"),
    ("what it leads to goes", |tree| fs::remove_file(tree.at("dir/other")).unwrap(), "the file itself"),
    ("what it leads to comes", |tree| drop(tree.file("dir/other", "b6")), "b6"),
    (
        "the file becomes newer",
        |tree| tree.modified("dir/x.js", SystemTime::now() + Duration::from_secs(9)),
        "the file itself",
    ),
    (
        "the variant becomes as new",
        |tree| tree.modified("dir/other", SystemTime::now() + Duration::from_secs(99)),
        "b6",
    ),
    (
        "the variant becomes older",
        |tree| tree.modified("dir/other", SystemTime::UNIX_EPOCH + Duration::from_secs(9)),
        "the file itself",
    ),
    (
        "the file is replaced by an old one",
        |tree| drop(tree.file("dir/x.js", "the file itself")),
        "the file itself",
    ),
    (
        "the directory is replaced",
        |tree| {
            tree.file("next/x.js", "next");
            tree.file("next/x.js.gz", "n");
            fs::rename(tree.at("dir"), tree.at("before")).unwrap();
            fs::rename(tree.at("next"), tree.at("dir")).unwrap();
        },
        "n",
    ),
    ("a variant beneath it goes", |tree| fs::remove_file(tree.at("dir/x.js.gz")).unwrap(), "next"),
    ("one that is long appears", |tree| drop(tree.file("dir/x.js.gz", "long".repeat(50_000))), "long"),
    ("it is truncated", |tree| fs::write(tree.at("dir/x.js.gz"), "short").unwrap(), "short"),
];

#[track_caller]
fn ask(client: &mut Client, target: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nAccept-Encoding: br, gzip\r\n\r\n"));
    client.response()
}

#[test]
fn a_change_of_a_variant_shows_in_the_next_request() {
    for disk_threads in ["16", "0"] {
        let tree = Tree::empty();
        tree.file("dir/x.js", "the file itself");
        // Another entry in the directory, whose names are of no interest.
        tree.file("dir/picture.png", "a picture");
        let flags = ["--cache-valid", "1h", "--disk-threads", disk_threads];
        let server = Server::of(tree, &flags);
        let (mut client, mut other) = (server.client(), server.client());
        for &(what, change, expected) in CHANGES {
            for _ in 0..4 {
                ask(&mut other, "/dir/x.js");
                ask(&mut other, "/dir/picture.png");
            }
            change(server.tree());
            let response = ask(&mut client, "/dir/x.js");
            assert!(response.text().starts_with(expected), "{what}: {:?} {}", response, response.text());
            let is_whole = response.body.len() == expected.len() || expected == "long";
            assert!(is_whole, "{what}: {response:?}");
        }
    }
}

#[test]
fn names_that_no_variant_has_leave_the_cached_entry() {
    let (tree, server_flags) = (Tree::empty(), ["--cache-valid", "1h", "--admin", "127.0.0.1:0"]);
    tree.file("x.js", "x");
    tree.file("x.js.gz", "g");
    let server = Server::of(tree, &server_flags);
    let admin = server.admin_address();
    let misses = || {
        let exposition = crate::support::exposition::Exposition::of(admin);
        exposition.sum("mayhttpd_cache_misses_total", "")
    };
    let mut client = server.client();
    (0..4).for_each(|_| assert_eq!(ask(&mut client, "/x.js").text(), "g"));
    let before = misses();
    for round in 0..50 {
        for name in ["y.js", "y.js.gz", "x.gz", "x.js.gz.part", "x.js.bz2"] {
            server.tree().file(name, format!("{round}"));
        }
        assert_eq!(ask(&mut client, "/x.js").text(), "g");
    }
    // It is looked at again where this takes longer than a watched entry counts as fresh.
    assert!(misses() - before <= 2.0, "{} misses", misses() - before);
}

#[test]
fn files_that_are_not_used_are_closed_with_their_variants() {
    let server = Server::of(tree(), &[]);
    let worker = server.workers()[0];
    let names = || {
        let directory = fs::read_dir(format!("/proc/{}/fd", worker.pid)).unwrap();
        let targets = directory.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.filter(|path| path.starts_with(server.tree().at("")) && path.is_file()).count()
    };
    let mut client = server.client();
    assert_eq!(suffix(&ask(&mut client, "/long.js")), ".br");
    eventually("all forms are closed", || (names() == 0).then_some(()));
    ask(&mut client, "/long.js");
}

#[test]
fn a_long_variant_that_is_edited_while_it_is_sent_is_cut() {
    let tree = Tree::empty();
    let bytes = pattern(3, 8 << 20);
    tree.file("x.js", "x");
    tree.file("x.js.gz", &bytes);
    let server = Server::of(tree, &[]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /x.js HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = client.head().unwrap();
    assert_eq!(head.length(), Some(bytes.len() as u64));
    fs::write(server.tree().at("x.js.gz"), vec![0; bytes.len()]).unwrap();
    let rest = client.rest();
    assert!(rest.len() < bytes.len(), "{} bytes", rest.len());
    server.get_with("/x.js", &accept("gzip")).is(200, vec![0; bytes.len()]);
}

#[test]
fn a_slow_disk_with_variants_holds_up_nobody_else() {
    if !can_be_slow("a_slow_disk_with_variants_holds_up_nobody_else") {
        return;
    }
    let disk = SlowDisk::of(tree(), Caching::All);
    let server = Launch::of_path(disk.path()).flags(["--cache-valid", "1h"]).start();
    let mut warm = server.client();
    assert_eq!(suffix(&ask(&mut warm, "/a.js")), ".br");
    disk.hold();
    let mut cold = server.client();
    cold.send("GET /long.js HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip\r\n\r\n");
    disk.until_asked(Operation::Lookup, "long.js");
    for _ in 0..10 {
        assert_eq!(suffix(&ask(&mut warm, "/a.js")), ".br");
    }
    assert!(!cold.has_news() && disk.waiting() > 0);
    disk.release();
    let response = cold.response();
    response.is(200, fs::read(disk.tree().at("long.js.gz")).unwrap());
    assert_eq!(suffix(&response), ".gz");
}
