//! What the cache keeps, by its counts of hits and misses: no request that finds nothing costs another path
//! its entry.

use std::net::SocketAddr;

use crate::support::exposition::Exposition;
use crate::support::{Client, Launch, Tree, every};

/// Requests for a good path, and as many for a bad one between them.
const ROUNDS: u32 = 20;

fn request(line: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: test\r\n\r\n")
}

#[track_caller]
fn ask(client: &mut Client, line: &str) -> u16 {
    client.send(request(line));
    if line.starts_with("HEAD ") { client.response_to_head().status } else { client.response().status }
}

fn hits(admin: SocketAddr) -> f64 {
    Exposition::of(admin).sum("mayhttpd_cache_hits_total", "")
}

#[test]
fn a_request_that_finds_nothing_leaves_the_entries_of_other_paths() {
    let tree = Tree::site();
    tree.link("link.txt", "text.txt");
    tree.file("by-name/deep/found.txt", "found\n");
    tree.file("alias/file.txt", "aliased\n");
    let alias = tree.at("alias");
    let settings = tree.file(
        "may.toml",
        format!(
            "workers = 1\nadmin = \"127.0.0.1:0\"\n[[location]]\npath = \"/by-name\"\nfind_by_name = true\n\
             [[location]]\npath = \"/other\"\nalias = \"{}\"\n",
            alias.display()
        ),
    );
    let server = Launch::of(tree).flags(["-c", settings.to_str().unwrap()]).start();
    let admin = server.admin_address();
    let rows = [
        // What looks like a directory, or a path below, is a file.
        ("GET /text.txt", "GET /text.txt/", 404),
        ("GET /text.txt", "HEAD /text.txt/", 404),
        ("HEAD /text.txt", "GET /text.txt/", 404),
        ("GET /text.txt", "GET /text.txt//", 404),
        ("GET /text.txt", "GET /text.txt/.", 404),
        ("GET /text.txt", "GET /text.txt/x/..", 404),
        ("GET /text.txt", "GET /%74ext.txt/", 404),
        ("GET /text.txt", "GET /text.txt%2f", 404),
        ("GET /text.txt", "GET /./dir/../text.txt/", 404),
        ("GET /text.txt", "GET /text.txt/?query", 404),
        ("GET /text.txt", "GET /text.txt/x", 404),
        ("GET /text.txt", "GET /text.txt/x/", 404),
        ("GET /text.txt", "GET /text.txt/index.html", 404),
        ("GET /large.html", "GET /large.html/", 404),
        ("GET /empty.txt", "GET /empty.txt/", 404),
        ("GET /link.txt", "GET /link.txt/", 404),
        (
            "GET /one/two/three/four/five/six/seven/deep.html",
            "GET /one/two/three/four/five/six/seven/deep.html/",
            404,
        ),
        // An index, and its directory without the slash.
        ("GET /dir/", "GET /dir", 301),
        ("GET /dir/", "HEAD /dir", 301),
        ("GET /dir/", "GET /%64ir", 301),
        ("GET /dir/", "GET /dir/absent", 404),
        ("GET /dir/", "GET /dir/index.html/", 404),
        ("GET /", "GET /absent", 404),
        ("GET /", "GET /absent/", 404),
        ("GET /", "GET /index.html/", 404),
        ("GET /", "POST /", 405),
        ("GET /", "GET /..", 400),
        // Locations.
        ("GET /other/file.txt", "GET /other/file.txt/", 404),
        ("GET /other/file.txt", "GET /other/absent.txt", 404),
        ("GET /by-name/deep/found.txt", "GET /by-name/deep/found.txt/", 404),
        ("GET /by-name/deep/found.txt", "GET /by-name/absent.txt", 404),
        ("GET /by-name/found.txt", "GET /by-name/deep/found.txt/", 404),
        ("GET /by-name/found.txt", "GET /by-name/deep/absent.txt", 404),
        ("GET /by-name/found.txt", "GET /by-name/found.txt/", 404),
    ];
    every(rows.map(|row| (format!("{row:?}"), row)), |(good, bad, status)| {
        let mut client = server.client();
        // Opened, looked at again, watched.
        (0..3).for_each(|_| assert_eq!(ask(&mut client, good), 200));
        let before = hits(admin);
        for _ in 0..ROUNDS {
            assert_eq!(ask(&mut client, bad), status);
            assert_eq!(ask(&mut client, good), 200);
        }
        // One is looked at again where this takes longer than a watched entry counts as fresh.
        let gained = hits(admin) - before;
        assert!(gained + 2.0 >= f64::from(ROUNDS), "{gained} hits of {ROUNDS} requests");
    });
}
