//! Files that are compressed while serving: what a client gets before and after, that it happens once, and
//! what is never compressed.

use std::fs;
use std::io::Read;
use std::time::{Duration, SystemTime};

use crate::support::configured::{refused, serve};
use crate::support::exposition::Exposition;
use crate::support::tree::CHANGED;
use crate::support::{Client, Launch, Response, Server, Tree, eventually, every, pattern};

/// A script of this many bytes.
fn script(seed: u32, length: usize) -> Vec<u8> {
    let line =
        |number: u32| format!("export const part{number} = {};\n", (seed ^ number).wrapping_mul(40_503));
    (0..).flat_map(|number| line(number).into_bytes()).take(length).collect()
}

fn tree() -> Tree {
    let tree = Tree::empty();
    tree.file("short.js", script(1, 1023));
    tree.file("least.js", script(2, 1024));
    tree.file("a.js", script(3, 40_000));
    tree.file("long.css", script(4, 100_000));
    tree.file("index.html", script(5, 3000));
    tree.file("photo.png", script(6, 5000));
    tree.file("noise.txt", pattern(7, 5000));
    tree
}

fn accept(value: &str) -> String {
    format!("Accept-Encoding: {value}\r\n")
}

fn decoded(response: &Response) -> Vec<u8> {
    let (body, mut bytes) = (&*response.body, Vec::new());
    match response.field("content-encoding") {
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut bytes),
        Some("zstd") => zstd::Decoder::new(body).unwrap().read_to_end(&mut bytes),
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut bytes),
        None => std::io::Write::write(&mut bytes, body),
        Some(other) => panic!("coded as {other}"),
    }
    .unwrap();
    bytes
}

/// Asks until the file is compressed. Each answer before that has the file as it is.
#[track_caller]
fn compressed(server: &Server, target: &str, codings: &str) -> Response {
    let name = if target.ends_with('/') { format!("{target}index.html") } else { target.to_owned() };
    let file = fs::read(server.tree().at(&name[1..])).unwrap();
    eventually("it is compressed", || {
        let response = server.get_with(target, &accept(codings));
        response.has_status(&[200]);
        assert!(decoded(&response) == file, "{target}");
        assert_eq!(response.field("vary"), Some("Accept-Encoding"), "{target}");
        assert_eq!(response.length(), Some(response.body.len() as u64));
        response.field("content-encoding").is_some().then_some(response)
    })
}

#[test]
fn the_first_answer_is_the_file_as_it_is_and_later_ones_are_compressed() {
    let server = Server::of(tree(), &["--compress"]);
    let first = server.get_with("/a.js", &accept("gzip, br"));
    first.is(200, script(3, 40_000));
    assert_eq!((first.field("content-encoding"), first.field("vary")), (None, Some("Accept-Encoding")));
    every(
        [
            ("/a.js", "gzip, deflate, br, zstd", "br"),
            ("/a.js", "gzip, zstd", "zstd"),
            ("/a.js", "x-gzip", "gzip"),
            ("/a.js", "br;q=0.5, gzip", "gzip"),
            ("/a.js", "*", "br"),
            ("/long.css", "br", "br"),
            ("/long.css", "zstd", "zstd"),
            ("/long.css", "gzip", "gzip"),
            ("/least.js", "gzip", "gzip"),
            ("/", "gzip", "gzip"),
            ("/index.html", "br", "br"),
        ]
        .map(|row| (format!("{row:?}"), row)),
        |(target, codings, coding)| {
            let response = compressed(&server, target, codings);
            assert_eq!(response.field("content-encoding"), Some(coding));
            let plain = server.get(target);
            assert_ne!(plain.field("etag"), response.field("etag"));
            assert_eq!(plain.field("vary"), Some("Accept-Encoding"));
            for name in ["content-type", "last-modified", "accept-ranges"] {
                assert_eq!(plain.field(name), response.field(name), "{name}");
            }
            assert!(response.body.len() * 100 <= plain.body.len() * 95);
            let again = server.get_with(target, &accept(codings));
            assert!(again.body == response.body && again.field("etag") == response.field("etag"));
        },
    );
}

#[test]
fn who_does_not_accept_it_gets_the_file_as_it_is() {
    let server = Server::of(tree(), &["--compress"]);
    compressed(&server, "/a.js", "gzip");
    for codings in ["", "identity", "gzip;q=0", "gzip;q=0.5, identity", "deflate", "identity;q=0"] {
        let response = server.get_with("/a.js", &accept(codings));
        response.is(200, script(3, 40_000));
        let fields = (response.field("content-encoding"), response.field("vary"));
        assert_eq!(fields, (None, Some("Accept-Encoding")), "{codings}");
    }
}

#[test]
fn conditions_heads_and_ranges_are_of_the_form_that_is_sent() {
    let server = Server::of(tree(), &["--compress"]);
    for target in ["/a.js", "/long.css"] {
        let whole = compressed(&server, target, "gzip");
        let etag = whole.field("etag").unwrap();
        let plain = server.get(target);
        let plain_etag = plain.field("etag").unwrap();

        let mut client = server.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", accept("gzip")));
        let head = client.response_to_head();
        for name in ["etag", "content-length", "content-encoding", "vary", "last-modified"] {
            assert_eq!(head.field(name), whole.field(name), "{name}");
        }

        let ask = |fields: &str| server.get_with(target, &format!("{}{fields}", accept("gzip")));
        let not_modified = ask(&format!("If-None-Match: {etag}\r\n"));
        not_modified.has_status(&[304]);
        assert_eq!(not_modified.field("vary"), Some("Accept-Encoding"));
        assert_eq!(not_modified.field("etag"), Some(etag));
        ask(&format!("If-None-Match: {plain_etag}\r\n")).is(200, &whole.body);
        let failed = ask(&format!("If-Match: {plain_etag}\r\n"));
        failed.has_status(&[412]);
        assert_eq!(failed.field("vary"), Some("Accept-Encoding"));

        let part = ask("Range: bytes=10-29\r\n");
        part.is(206, &whole.body[10..30]);
        assert_eq!(part.field("content-encoding"), Some("gzip"));
        let range = format!("bytes 10-29/{}", whole.body.len());
        assert_eq!(part.field("content-range"), Some(&*range));
        ask(&format!("Range: bytes=-5\r\nIf-Range: {etag}\r\n")).is(206, &whole.body[whole.body.len() - 5..]);
        ask(&format!("Range: bytes=-5\r\nIf-Range: {plain_etag}\r\n")).is(200, &whole.body);
        // All forms have one date, which joins no parts.
        ask(&format!("Range: bytes=-5\r\nIf-Range: {}\r\n", whole["last-modified"])).is(200, &whole.body);
        let beyond = ask(&format!("Range: bytes={}-\r\n", whole.body.len()));
        beyond.has_status(&[416]);
        assert_eq!(beyond.field("vary"), Some("Accept-Encoding"));
        let several = ask("Range: bytes=0-0,5-6\r\n");
        several.has_status(&[206]);
        assert_eq!(several.field("content-encoding"), Some("gzip"));
    }
}

#[test]
fn what_is_short_or_compressed_already_or_not_worth_it_stays_as_it_is() {
    let server = Launch::of(tree()).flags(["--compress", "--admin", "127.0.0.1:0"]).start();
    for target in ["/short.js", "/photo.png"] {
        let response = server.get_with(target, &accept("gzip"));
        assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None), "{target}");
    }
    let tried = || {
        let response = server.get_with("/noise.txt", &accept("gzip"));
        response.is(200, pattern(7, 5000));
        assert_eq!(response.field("vary"), Some("Accept-Encoding"));
        jobs(&server, "done")
    };
    eventually("it was tried", || (tried() == 1.0).then_some(()));
    for _ in 0..20 {
        assert_eq!(tried(), 1.0, "and not again");
    }
}

#[test]
fn a_file_of_8_mib_is_compressed_and_a_longer_one_never() {
    const MOST: usize = 8 << 20;
    let text = |length| b"what repeats is soon compressed\n".repeat(MOST / 32 + 1)[..length].to_vec();
    let tree = Tree::empty();
    tree.file("most.js", text(MOST));
    tree.file("more.js", text(MOST + 1));
    let server = Launch::of(tree).flags(["--compress", "--admin", "127.0.0.1:0"]).start();
    let head = |target: &str, fields: &str| {
        let mut client = server.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n{}{fields}\r\n", accept("gzip")));
        client.response_to_head()
    };
    eventually("it is compressed", || head("/most.js", "").field("content-encoding").map(str::to_owned));
    compressed(&server, "/most.js", "gzip");
    let before = jobs(&server, "done");
    server.get_with("/more.js", &accept("gzip")).is(200, text(MOST + 1));
    for (fields, status) in [("", 200), ("If-None-Match: *\r\n", 304)] {
        let response = head("/more.js", fields);
        response.has_status(&[status]);
        assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
    }
    assert_eq!(jobs(&server, "done"), before);
}

/// Number of files that threads have compressed, or have refused to.
fn jobs(server: &Server, outcome: &str) -> f64 {
    let series = "mayhttpd_background_jobs_ended_total";
    Exposition::of(server.admin_address())
        .value(&format!("{series}{{worker=\"0\",kind=\"compress\",outcome=\"{outcome}\"}}"))
}

#[test]
fn a_content_is_compressed_once_however_many_ask_and_under_whatever_names() {
    let tree = tree();
    for name in ["one.js", "two.js", "dir/three.js"] {
        tree.file(name, script(9, 50_000));
    }
    for name in ["long/one.js", "long/two.js"] {
        tree.file(name, script(10, 100_000));
    }
    let server = Launch::of(tree).flags(["--compress", "--admin", "127.0.0.1:0"]).start();
    let mut clients: Vec<Client> = (0..50).map(|_| server.client()).collect();
    let request = format!("GET /one.js HTTP/1.1\r\nHost: a\r\n{}\r\n", accept("br"));
    assert!(clients.iter_mut().all(|client| client.send(&request)));
    for client in &mut clients {
        assert!(decoded(&client.response()) == script(9, 50_000));
    }
    let first = compressed(&server, "/one.js", "br");
    for target in ["/two.js", "/dir/three.js"] {
        let response = server.get_with(target, &accept("br"));
        assert!(response.body == first.body, "at once");
        assert_eq!(response.field("content-encoding"), Some("br"));
    }
    assert_eq!(jobs(&server, "done"), 1.0);
    let long = compressed(&server, "/long/one.js", "br");
    let other = compressed(&server, "/long/two.js", "br");
    assert!(long.body == other.body && long.field("etag") == other.field("etag"));
    eventually("memory is counted", || {
        let metrics = Exposition::of(server.admin_address());
        let of = |name: &str| metrics.value(&format!("mayhttpd_compressed_{name}{{worker=\"0\"}}"));
        let bytes = (first.body.len() + long.body.len()) as f64;
        let is_counted = (bytes..bytes + 4000.0).contains(&of("bytes"));
        (of("entries") == 2.0 && of("hits_total") >= 3.0 && is_counted).then_some(())
    });
}

#[test]
fn a_changed_file_never_has_what_it_was() {
    let server = Server::of(tree(), &["--compress"]);
    for target in ["/a.js", "/long.css"] {
        for round in 0..5 {
            compressed(&server, target, "br");
            let bytes = script(100 + round, 40_000 * (1 + usize::from(target != "/a.js") * 5));
            server.tree().file(&target[1..], &bytes);
            let when = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + 1 + u64::from(round));
            server.tree().modified(&target[1..], when);
            assert!(decoded(&server.get_with(target, &accept("br"))) == bytes);
        }
    }
}

#[test]
fn a_variant_comes_first_and_codings_that_it_lacks_are_made() {
    let tree = tree();
    let made = tree.at("a.js.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &script(3, 40_000)).unwrap();
    let variant = encoder.finish().unwrap();
    tree.file("a.js.gz", &variant);
    let server = Launch::of(tree).flags(["--compress", "--admin", "127.0.0.1:0"]).start();
    for codings in ["gzip", "gzip, br", "*"] {
        server.get_with("/a.js", &accept(codings)).is(200, &variant);
    }
    assert_eq!(jobs(&server, "done"), 0.0);
    assert_eq!(compressed(&server, "/a.js", "br").field("content-encoding"), Some("br"));
    server.get_with("/a.js", &accept("identity;q=0, zstd;q=0.1, gzip")).is(200, &variant);
    fs::remove_file(made).unwrap();
    assert!(compressed(&server, "/a.js", "gzip").body != variant);
    let coded = server.get_with("/a.js.gz", &accept("gzip"));
    coded.has_status(&[404]);
}

#[test]
fn the_setting_nearest_to_a_request_counts_and_it_is_off_by_default() {
    let plain = Server::of(tree(), &[]);
    let response = plain.get_with("/a.js", &accept("gzip"));
    assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
    let tree = tree();
    tree.file("off/a.js", script(3, 40_000));
    tree.file("off/on/a.js", script(8, 40_000));
    let text = "compress = true\ncompress_cache = '1MiB'\n[[location]]\npath = '/off/'\ncompress = false\n\
                [[location]]\npath = '/off/on/'\ncompress = true\n\
                [[host]]\nnames = ['off.example']\ncompress = false\n";
    let server = serve(tree, text, &[]);
    compressed(&server, "/a.js", "gzip");
    compressed(&server, "/off/on/a.js", "gzip");
    let response = server.get_with("/off/a.js", &accept("gzip"));
    assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
    let request = format!("GET /a.js HTTP/1.1\r\nHost: off.example\r\n{}\r\n", accept("gzip"));
    let response = server.ask(request);
    assert_eq!((response.field("content-encoding"), response.field("vary")), (None, None));
    assert!(refused("compress = 1").contains("compress: "));
    assert!(refused("[[location]]\npath = '/a'\ncompress_cache = '1M'").contains("compress_cache"));
}

#[test]
fn listings_are_compressed_where_files_are() {
    let memory = std::path::Path::new("/dev/shm");
    let trees = [Tree::empty()].into_iter().chain(memory.is_dir().then(|| Tree::empty_in(memory)));
    for tree in trees {
        (0..60).for_each(|number| drop(tree.file(format!("on/{number}.txt"), "")));
        (0..60).for_each(|number| drop(tree.file(format!("off/{number}.txt"), "")));
        let text = "compress = true\nlisting = true\n[[location]]\npath = '/off/'\ncompress = false\n";
        let server = serve(tree, text, &[]);
        for target in ["/on/", "/on/?sort=size&order=desc", "/on/?format=json"] {
            let plain = server.get(target);
            plain.has_status(&[200]);
            assert_eq!(plain.field("content-encoding"), None);
            for (codings, coding) in [("gzip, br", "br"), ("gzip", "gzip"), ("br;q=0.5, zstd", "zstd")] {
                let ask = |fields: &str| server.get_with(target, &format!("{}{fields}", accept(codings)));
                let page = ask("");
                assert_eq!(page.field("content-encoding"), Some(coding), "{target}");
                assert!(decoded(&page) == plain.body && page.body.len() * 4 < plain.body.len());
                let tag = &page["etag"];
                assert_ne!(plain["etag"], *tag);
                let mut client = server.client();
                client.send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n{}\r\n", accept(codings)));
                let head = client.response_to_head();
                for name in ["etag", "content-length", "content-encoding", "content-type", "vary"] {
                    assert_eq!(head.field(name), page.field(name), "{name}");
                }
                let known = ask(&format!("If-None-Match: {tag}\r\n"));
                known.is(304, "");
                assert_eq!(known["etag"], *tag);
                ask(&format!("If-None-Match: {}\r\n", plain["etag"])).is(200, &page.body);
                let failed = ask("If-Match: \"other\"\r\n");
                failed.has_status(&[412]);
                for response in [&plain, &page, &known, &failed] {
                    let named = response.all("vary");
                    let by_accept = (!target.contains("format")).then_some("Accept");
                    let expected: Vec<_> = by_accept.into_iter().chain(["Accept-Encoding"]).collect();
                    assert_eq!(named, expected);
                }
            }
            for codings in ["identity", "gzip;q=0", "gzip;q=0.5, identity", "deflate"] {
                server.get_with(target, &accept(codings)).is(200, &plain.body);
            }
        }
        let page = server.get_with("/off/", &accept("gzip"));
        assert_eq!((page.field("content-encoding"), page.field("vary")), (None, Some("Accept")));
    }
}

#[test]
fn memory_is_bounded() {
    let server =
        Launch::of(tree()).flags(["--compress", "--compress-cache=0", "--admin", "127.0.0.1:0"]).start();
    for _ in 0..20 {
        server.get_with("/a.js", &accept("gzip")).is(200, script(3, 40_000));
    }
    assert_eq!(jobs(&server, "done"), 0.0, "what could not be kept is not made");
    let tree = Tree::empty();
    for number in 0..20 {
        tree.file(format!("{number}.js"), script(number, 60_000));
    }
    let flags = ["--compress", "--compress-cache=64KiB", "--admin", "127.0.0.1:0"];
    let server = Launch::of(tree).flags(flags).start();
    for number in 0..20 {
        compressed(&server, &format!("/{number}.js"), "gzip");
    }
    let metrics = Exposition::of(server.admin_address());
    let bytes = metrics.value("mayhttpd_compressed_bytes{worker=\"0\"}");
    let entries = metrics.value("mayhttpd_compressed_entries{worker=\"0\"}");
    assert!(bytes <= 65_536.0 && (1.0..20.0).contains(&entries), "{bytes} {entries}");
}
