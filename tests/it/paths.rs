//! Which file a target names: decoded once, dots resolved, hidden names kept hidden.

use crate::support::tree::{INDEX, PAGE};
use crate::support::{Server, Tree, every};

/// A name on disk and the targets that name it.
const NAMES: &[(&[u8], &[&str])] = &[
    (b"with space.html", &["/with%20space.html"]),
    (b"two..dots.html", &["/two..dots.html", "/two%2e.dots.html"]),
    ("пример.html".as_bytes(), &["/%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.html"]),
    ("ünï.txt".as_bytes(), &["/%C3%BCn%C3%AF.txt", "/%c3%bcn%c3%af.txt"]),
    (b"l\xe9.txt", &["/l%E9.txt"]),
    (b"100%.html", &["/100%25.html"]),
    (b"pct%41.txt", &["/pct%2541.txt"]),
    (b"a+b.html", &["/a+b.html", "/a%2Bb.html"]),
    (b"what?.html", &["/what%3F.html", "/what%3f.html?query"]),
    (b"hash#tag.txt", &["/hash%23tag.txt"]),
    (b"semi;colon.txt", &["/semi;colon.txt", "/semi%3Bcolon.txt"]),
    (b"amp&x=1.txt", &["/amp&x=1.txt"]),
    (b"quo'te.txt", &["/quo'te.txt", "/quo%27te.txt"]),
    (b"at@colon:x.txt", &["/at@colon:x.txt"]),
    (b"til~de!$(x)*,.txt", &["/til~de!$(x)*,.txt", "/til%7Ede%21%24%28x%29%2A%2C.txt"]),
    (b"dq\"lt<gt>.txt", &["/dq%22lt%3Cgt%3E.txt"]),
    (b"br[ac]ke{t}s^`|.txt", &["/br%5Bac%5Dke%7Bt%7Ds%5E%60%7C.txt"]),
    (b"dots..in..name", &["/dots..in..name"]),
    (b"tr.", &["/tr."]),
    (b"UPPER.TXT", &["/UPPER.TXT"]),
    (b"back\\slash.txt", &["/back%5Cslash.txt"]),
    (b".well-known/security.txt", &["/.well-known/security.txt"]),
];

#[test]
fn every_name_on_disk_has_a_target() {
    let tree = Tree::empty();
    NAMES.iter().for_each(|(name, _)| drop(tree.file(name, [b"name: ", *name].concat())));
    let long = "n".repeat(250);
    tree.file(&long, "long");
    let server = Server::of(tree, &[]);
    let rows = NAMES
        .iter()
        .flat_map(|(name, targets)| targets.iter().map(move |target| (*target, (*name, *target))));
    every(rows, |(name, target)| server.get(target).is(200, [b"name: ", name].concat()));
    server.get(format!("/{long}")).is(200, "long");
}

#[test]
fn a_name_may_be_escaped_whole() {
    let server = Server::start(&[]);
    let escaped: String = b"page.html".iter().map(|byte| format!("%{byte:02x}")).collect();
    server.get(format!("/{escaped}")).is(200, PAGE);
    server.get(format!("/{}", escaped.to_uppercase())).is(200, PAGE);
}

#[test]
fn dots_inside_the_root_are_resolved() {
    let server = Server::start(&[]);
    let targets = [
        "/dir/../page.html",
        "/./page.html",
        "/%2e/page.html",
        "/dir/%2e%2e/page.html",
        "/dir/%2E./page.html",
        "/dir/./../page.html",
        "/one/two/../../page.html",
    ];
    every(targets.map(|target| (target, target)), |target| server.get(target).is(200, PAGE));
    // RFC 3986 §5.2.4: dots at the end name the directory itself.
    server.get("/dir/.").has_status(&[200, 301]);
    server.get("/one/two/..").has_status(&[301, 403]);
}

#[test]
fn a_doubled_slash_is_one_slash_or_nothing() {
    let server = Server::start(&[]);
    every(["//page.html", "/dir//inner.txt"].map(|target| (target, target)), |target| {
        let response = server.get(target);
        response.has_status(&[200, 301, 404]);
    });
}

#[test]
fn names_that_no_file_has_are_404() {
    let server = Server::start(&[]);
    let targets = [
        "/absent.txt".to_owned(),
        "/PAGE.HTML".into(),
        "/page.html.".into(),
        "/page.html%20".into(),
        "/%20page.html".into(),
        "/page.html::$DATA".into(),
        "/page.html/x".into(),
        "/page.html/".into(),
        "/index.html/".into(),
        "/page%252ehtml".into(),
        "/with+space.html".into(),
        "/absent/".into(),
        "/page.html;v=1".into(),
        "/~root".into(),
        "/...".into(),
        format!("/{}", "n".repeat(300)),
        format!("/{}x", "dir/".repeat(1000)),
        format!("/{}x", "d/".repeat(2500)),
    ];
    every(targets.iter().map(|target| (&target[..target.len().min(30)], target)), |target| {
        server.answers(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"), &[404]);
    });
}

#[test]
fn malformed_escapes_and_nul_are_refused() {
    let server = Server::start(&[]);
    let targets = [
        "/%",
        "/%4",
        "/%zz",
        "/%4z",
        "/%%41",
        "/page.html%",
        "/% 41",
        "/%u0041",
        "/page.html%00",
        "/page.html%00.txt",
        "/%00page.html",
        "/dir%00/inner.txt",
        "/dir/%00/../inner.txt",
    ];
    every(targets.map(|target| (target, target)), |target| {
        server.answers(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"), &[400, 404]);
    });
}

#[test]
fn an_escaped_slash_is_no_separator_that_opens_anything_new() {
    let server = Server::start(&[]);
    let response = server.get("/dir%2Finner.txt");
    response.has_status(&[200, 400, 404]);
    server.get("/dir%2F").has_status(&[200, 301, 400, 404]);
    server.get("/dir%5Cinner.txt").has_status(&[404]);
    server.get("/dir\\inner.txt").has_status(&[400, 404]);
}

#[test]
fn long_ways_round_end_somewhere_sane() {
    let server = Server::start(&[]);
    let rows = [
        ("dots", format!("/{}page.html", "./".repeat(1500))),
        ("dots up and down", format!("{}/page.html", "/dir/..".repeat(900))),
        ("slashes", format!("/{}page.html", "/".repeat(3000))),
    ];
    every(rows, |target| {
        let raw = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let response = server.answers(raw, &[200, 301, 400, 404, 414]);
        assert!(response.status != 200 || response.body == PAGE);
    });
}

#[test]
fn dot_files_are_hidden_unless_served_on_purpose() {
    let make = || {
        let tree = Tree::site();
        tree.file(".secret", "secret\n");
        tree.file(".git/config", "secret\n");
        tree.file("dir/.htpasswd", "secret\n");
        tree.file(".dir/index.html", "secret\n");
        tree.file(".well-known/acme", "known\n");
        tree.file(".well-known/.deep", "secret\n");
        tree
    };
    let targets =
        ["/.secret", "/%2esecret", "/.git/config", "/dir/.htpasswd", "/.dir/", "/.dir", "/dir/../.secret"];
    let hiding = Server::of(make(), &[]);
    every(targets.map(|target| (target, target)), |target| hiding.get(target).has_status(&[404]));
    hiding.get("/.well-known/acme").is(200, "known\n");
    hiding.get("/.well-known/.deep").has_status(&[404]);
    let serving = Server::of(make(), &["--dotfiles", "serve"]);
    serving.get("/.secret").is(200, "secret\n");
    serving.get("/.git/config").is(200, "secret\n");
    serving.get("/.dir/").is(200, "secret\n");
    serving.get("/.well-known/acme").is(200, "known\n");
}

#[test]
fn names_with_control_characters_inject_nothing() {
    let tree = Tree::site();
    tree.file(b"line\r\nX-Injected: 1", "odd\n");
    tree.file("a\x1bb.txt", "odd\n");
    let server = Server::of(tree, &[]);
    for target in ["/line%0d%0aX-Injected:%201", "/a%1bb.txt", "/page.html%0d%0aX-Injected:%20y"] {
        let response = server.get(target);
        response.has_status(&[200, 400, 404]);
        assert!(response.field("x-injected").is_none());
    }
    server.get("/").is(200, INDEX);
}
