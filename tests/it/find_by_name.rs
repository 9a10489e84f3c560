//! Files that are found by their bare names: in which form they are asked for, which of several it is, what
//! is never found, that what comes, goes or moves shows soon, and that no request waits for it.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use rustix::process::Signal;

use crate::support::launch::run_with;
use crate::support::tree::{INDEX, PAGE, TEXT, text};
use crate::support::{
    Client, DEADLINE, Dice, Launch, Response, Server, Stop, Tree, eventually, every, skipped,
};

/// A location for the whole site, whose files are found by name.
const WHOLE: &str = "[[location]]\npath = \"/\"\nfind_by_name = true\n";

const ROUNDS: usize = 200;

/// A server with a settings file that can be written again.
struct Finder {
    tree: Arc<Tree>,
    server: Server,
    settings: Tree,
}

impl std::ops::Deref for Finder {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Finder {
    #[track_caller]
    fn of(tree: Tree, locations: &str, flags: &[&str]) -> Finder {
        let tree = Arc::new(tree);
        let launch = Launch::of(Arc::clone(&tree)).flags(flags.iter().copied());
        Finder::started(tree, locations, launch)
    }

    #[track_caller]
    fn started(tree: Arc<Tree>, locations: &str, launch: Launch) -> Finder {
        let settings = Tree::empty();
        let file = settings.file("may.toml", locations);
        let server = launch.flags(["-c", file.to_str().unwrap()]).start();
        Finder { tree, server, settings }
    }

    fn warnings(&self, about: &str) -> usize {
        self.log().lines().filter(|line| line.contains("WARN") && line.contains(about)).count()
    }
}

/// The site of most tests here, which believes for an hour what it can't see change.
#[track_caller]
fn site() -> Finder {
    Finder::of(Tree::site(), WHOLE, &["--cache-valid", "1h"])
}

fn ask(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Asks until the answer is as expected. Until then it is what was right before.
#[track_caller]
fn becomes(about: &str, expected: &Expected, mut ask: impl FnMut() -> Response) {
    let mut last = None;
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        let response = ask();
        if expected.is(&response) {
            return;
        }
        assert!([200, 404].contains(&response.status), "{about}: {response:?}");
        last = Some(response);
    }
    panic!("{about}: {last:?} is not {expected:?}");
}

/// [`becomes`] on connections of its own.
#[track_caller]
fn becomes_found(server: &Server, target: &str, body: impl AsRef<[u8]>) {
    becomes(target, &Body(body.as_ref().to_vec()), || server.get(target));
}

/// The answer on a connection that is kept.
#[track_caller]
fn on(client: &mut Client, target: &str) -> Response {
    client.send(ask(target));
    client.response()
}

#[test]
fn a_file_is_found_by_its_path_its_name_and_below_any_path() {
    let server = site();
    for target in [
        "/one/two/three/four/five/six/seven/deep.html",
        "/deep.html",
        "/?=deep.html",
        "/any/where/deep.html",
        "/dir/deep.html",
        "/page.html/deep.html",
        "/%64eep.html",
        "/?=%64eep.html",
        "/a/../deep.html?x=1",
    ] {
        // Before and after it is cached and watched.
        for _ in 0..4 {
            let response = server.get(target);
            response.is(200, "deep down\n");
            assert_eq!(response["content-type"], "text/html", "{target}");
        }
        let mut client = server.client();
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let head = client.response_to_head();
        head.has_status(&[200]);
        assert_eq!(head.length(), Some(10), "{target}");
        client.still_serves();
    }
    for target in ["/nothing.html", "/?=nothing.html", "/deep.html/", "/any/where/", "/DEEP.html", "/deep"] {
        server.get(target).has_status(&[404]);
    }
    server.get("/").is(200, INDEX);
    server.get("/?deep.html").is(200, INDEX);
    server.get("/?x=deep.html").is(200, INDEX);
    server.get("/dir/?=deep.html").is(200, "index of dir\n");
}

#[test]
fn without_the_key_nothing_is_found_by_its_name() {
    for locations in
        ["", "[[location]]\npath = \"/\"\n", "[[location]]\npath = \"/\"\nfind_by_name = false\n"]
    {
        let server = Finder::of(Tree::site(), locations, &[]);
        server.get("/deep.html").has_status(&[404]);
        server.get("/?=deep.html").is(200, INDEX);
    }
}

#[test]
fn a_name_that_a_query_asks_for_is_one_plain_name() {
    let tree = Tree::site();
    for name in [b"b&c=d+e".as_slice(), b"\xff\x01", b"sp ace", b"100%", b"q?q", b"a..b"] {
        tree.file([b"names/", name].concat(), name);
    }
    tree.file("names/.hidden", "hidden\n");
    let server = Finder::of(tree, WHOLE, &["--dotfiles", "serve"]);
    for (query, name) in [
        ("b&c=d+e", b"b&c=d+e".as_slice()),
        ("%FF%01", b"\xff\x01"),
        ("sp%20ace", b"sp ace"),
        ("100%25", b"100%"),
        ("q?q", b"q?q"),
        ("q%3fq", b"q?q"),
        ("a..b", b"a..b"),
        ("page.html", PAGE),
    ] {
        server.get(format!("/?={query}")).is(200, name);
    }
    for query in [
        "",
        ".",
        "..",
        ".hidden",
        "%2ehidden",
        "names/a..b",
        "names%2fa..b",
        "/page.html",
        "%2fpage.html",
        "../page.html",
        "page.html%00",
        "page.html%",
        "page.html%4",
        "%zz",
        "page.html/",
        "*",
        "page.*",
        "page.htm?",
        "[p]age.html",
        "names",
        "sp+ace",
    ] {
        let response = server.get(format!("/?={query}"));
        assert_eq!(response.status, 404, "{query}");
    }
}

#[test]
fn of_several_files_the_first_in_the_order_of_their_paths_is_found() {
    let tree = Tree::empty();
    // In this order: a dot is before a slash, and a slash before a digit.
    let order = ["B/x", "a.b/x", "a/b.c/x", "a/b/x", "a/b0/x", "a/x", "a0/x", "b/x"];
    for path in order.iter().rev() {
        tree.file(path, path);
    }
    let server = Finder::of(tree, WHOLE, &["--cache-valid", "1h"]);
    for path in order {
        for target in ["/x", "/?=x", "/no/where/x"] {
            server.get(target).is(200, path);
        }
        // What is gone is not found any more, and the next is known already.
        fs::remove_file(server.tree.at(path)).unwrap();
    }
    server.get("/x").has_status(&[404]);
    for path in order.iter().rev() {
        server.tree.file(path, path);
        becomes_found(&server, "/z/x", path);
    }
}

#[test]
fn what_lies_at_the_path_itself_comes_first() {
    let tree = Tree::empty();
    tree.file("a/x", "a\n");
    tree.file("z/x", "z\n");
    tree.file("a/name", "a file\n");
    tree.file("name/inner", "inner\n");
    tree.file("x", "top\n");
    tree.file("a/closed", "found elsewhere\n");
    tree.link("closed", "../outside");
    let server = Finder::of(tree, WHOLE, &["--cache-valid", "1h"]);
    for _ in 0..4 {
        server.get("/x").is(200, "top\n");
        server.get("/?=x").is(200, "top\n");
        server.get("/z/x").is(200, "z\n");
        server.get("/b/x").is(200, "a\n");
        // A directory answers at its path, and has no name that a query could ask for.
        assert_eq!(server.get("/name")["location"], "/name/");
        server.get("/?=name").is(200, "a file\n");
        server.get("/b/name").is(200, "a file\n");
        server.get("/name/").has_status(&[403]);
        server.get("/closed").has_status(&[403]);
        server.get("/b/closed").is(200, "found elsewhere\n");
    }
}

#[test]
fn names_with_a_dot_and_what_is_below_them_are_never_found() {
    let tree = Tree::empty();
    for path in
        [".git/config", "a/.env", "a/.hidden/deep", ".well-known/acme", "a/.well-known/deep2", "...", "..x"]
    {
        tree.file(path, "secret\n");
    }
    tree.file("a/shown", "shown\n");
    for dotfiles in ["hide", "serve"] {
        let locations = format!(
            "dotfiles = \"{dotfiles}\"\n[[location]]\npath = \"/\"\nroot = {:?}\nfind_by_name = true\n",
            tree.path().to_str().unwrap()
        );
        let server = Finder::of(Tree::empty(), &locations, &[]);
        server.get("/shown").is(200, "shown\n");
        for name in ["config", ".git", ".env", "deep", "acme", "deep2", ".well-known", "%2eenv"] {
            for target in [format!("/{name}"), format!("/?={name}"), format!("/b/{name}")] {
                let response = server.get(&target);
                let is_directory = dotfiles == "serve" || name == ".well-known";
                let expected: &[u16] =
                    if is_directory && target.starts_with("/.") { &[301, 404] } else { &[404] };
                assert!(expected.contains(&response.status), "{dotfiles} {target}: {response:?}");
            }
        }
        // By their own paths they are what they are everywhere.
        server.get("/.well-known/acme").is(200, "secret\n");
        server.get("/a/.env").has_status(if dotfiles == "serve" { &[200] } else { &[404] });
        // One that comes is none that is found either.
        fs::create_dir(tree.at("a/.new")).unwrap();
        tree.file("a/.new/inner", "secret\n");
        server.get("/inner").has_status(&[404]);
        fs::rename(tree.at("a/.new"), tree.at("a/new")).unwrap();
        becomes_found(&server, "/inner", "secret\n");
        fs::rename(tree.at("a/new"), tree.at("a/.new")).unwrap();
        server.get("/inner").has_status(&[404]);
        fs::remove_dir_all(tree.at("a/.new")).unwrap();
    }
}

#[test]
fn links_are_found_where_they_lead_to_files_beneath_the_root() {
    let place = Tree::empty();
    place.file("secret", "secret\n");
    place.file("away/deep", "secret\n");
    place.file("site/store/file", "file\n");
    place.dir("site/links");
    for (name, to) in [
        ("inside", "../store/file"),
        ("outside", "../../secret"),
        ("absolute", "/etc/hostname"),
        ("dangling", "nowhere"),
        ("round", "round"),
        ("directory", "../store"),
        ("awaylink", "../../away"),
    ] {
        place.link(format!("site/links/{name}"), to);
    }
    mknodat(CWD, place.at("site/links/fifo"), FileType::Fifo, Mode::from_bits_truncate(0o644), 0).unwrap();
    // The second of a name, where the first is none to serve.
    place.link("site/a", "../secret");
    place.file("site/store/a", "the other\n");
    for sandbox in ["on", "off"] {
        let root = place.at("site");
        let launch = Launch::of_path(root).flags(["--sandbox", sandbox, "--cache-valid", "1h"]);
        let server = Finder::started(Arc::new(Tree::empty()), WHOLE, launch);
        for _ in 0..4 {
            server.get("/inside").is(200, "file\n");
            server.get("/?=inside").is(200, "file\n");
            server.get("/b/a").is(200, "the other\n");
            // At its own path it is what it is everywhere.
            server.get("/a").has_status(&[403]);
        }
        for name in
            ["outside", "absolute", "dangling", "round", "directory", "deep", "awaylink", "fifo", "secret"]
        {
            for target in [format!("/{name}"), format!("/?={name}"), format!("/b/{name}")] {
                server.get(&target).has_status(&[404]);
            }
        }
        // Where a link on the way leads outside, nothing is said of what might be found by the name.
        server.get("/links/awaylink/deep").has_status(&[403]);
        // A directory is not found twice, by way of a link.
        server.get("/?=file").is(200, "file\n");
    }
}

#[test]
fn ranges_preconditions_and_fields_are_those_of_any_file() {
    let tree = Tree::empty();
    tree.file("deep/er/text.txt", text());
    let locations = format!("{WHOLE}expires = \"1h\"\nheaders = {{ X-A = \"b\" }}\n");
    let server = Finder::of(tree, &locations, &[]);
    let own = server.get("/deep/er/text.txt");
    for target in ["/text.txt", "/?=text.txt", "/x/text.txt"] {
        let whole = server.get(target);
        whole.is(200, text());
        for field in ["etag", "last-modified", "content-type", "cache-control", "x-a", "accept-ranges"] {
            assert_eq!(whole[field], own[field], "{target} {field}");
        }
        assert_eq!(whole["cache-control"], "max-age=3600");
        let part = server.get_with(target, "Range: bytes=10-19\r\n");
        part.is(206, &text()[10..20]);
        assert_eq!(part["content-range"], format!("bytes 10-19/{TEXT}"));
        server.get_with(target, "Range: bytes=5000-\r\n").has_status(&[416]);
        let tag = format!("If-None-Match: {}\r\n", &own["etag"]);
        let unchanged = server.get_with(target, &tag);
        unchanged.has_status(&[304]);
        assert_eq!(unchanged["x-a"], "b");
        server.get_with(target, "If-Match: \"other\"\r\n").has_status(&[412]);
    }
    assert_eq!(server.get("/none")["x-a"], "b");
    let mut client = server.client();
    client.send("POST /?=text.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    client.response().has_status(&[405]);
}

#[test]
fn each_location_finds_in_its_own_directory() {
    let (tree, assets) = (Tree::site(), Tree::empty());
    assets.file("css/deep/a.css", "a.css\n");
    assets.file("img/x/logo.png", "logo\n");
    assets.file("static/own.css", "own\n");
    let directory = assets.path().to_str().unwrap();
    let locations = format!(
        "[[location]]\npath = \"/static/\"\nroot = {directory:?}\nfind_by_name = true\n\
         [[location]]\npath = \"/files\"\nalias = {directory:?}\nfind_by_name = true\n\
         [[location]]\npath = \"/site\"\nfind_by_name = true\n"
    );
    let server = Finder::of(tree, &locations, &["--cache-valid", "1h"]);
    for _ in 0..4 {
        server.get("/static/a.css").is(200, "a.css\n");
        server.get("/static/?=a.css").is(200, "a.css\n");
        server.get("/static/own.css").is(200, "own\n");
        server.get("/static/x/y/own.css").is(200, "own\n");
        server.get("/files/logo.png").is(200, "logo\n");
        server.get("/files?=logo.png").is(200, "logo\n");
        server.get("/files/?=logo.png").is(200, "logo\n");
        server.get("/files/css/deep/a.css").is(200, "a.css\n");
        server.get("/site/deep.html").is(200, "deep down\n");
        server.get("/site?=deep.html").is(200, "deep down\n");
        for target in
            ["/static/deep.html", "/files/deep.html", "/site/a.css", "/a.css", "/deep.html", "/x/?=deep.html"]
        {
            server.get(target).has_status(&[404]);
        }
        server.get("/?=deep.html").is(200, INDEX);
    }
    assert_eq!(server.get("/files")["location"], "/files/");
}

#[test]
fn what_another_location_closes_is_not_found_by_its_name() {
    let tree = Tree::site();
    tree.file("private/secret.txt", "secret\n");
    tree.file("gone/old.txt", "old\n");
    tree.file("kept/kept.txt", "kept\n");
    tree.file("private/both.txt", "secret\n");
    tree.file("public/both.txt", "public\n");
    let locations = format!(
        "{WHOLE}[[location]]\npath = \"/private\"\nallow = [\"127.0.0.1\"]\ndeny = [\"all\"]\n\
         [[location]]\npath = \"/gone/\"\nreturn = {{ status = 410 }}\n\
         [[location]]\npath = \"/kept\"\nexpires = \"1h\"\n"
    );
    let server = Finder::of(tree, &locations, &[]);
    server.get("/private/secret.txt").is(200, "secret\n");
    server.get("/gone/old.txt").has_status(&[410]);
    for _ in 0..4 {
        for name in ["secret.txt", "old.txt"] {
            for target in [format!("/{name}"), format!("/?={name}"), format!("/x/{name}")] {
                server.get(&target).has_status(&[404]);
            }
        }
        server.get("/both.txt").is(200, "public\n");
        server.get("/kept.txt").is(200, "kept\n");
    }
    // A name at the path of another location is not that one's to give.
    server.get("/?=private").has_status(&[404]);
}

/// What a change leads to.
enum Expected {
    Body(Vec<u8>),
    Missing,
}

use Expected::{Body, Missing};

impl Expected {
    fn is(&self, response: &Response) -> bool {
        match self {
            Body(body) => response.status == 200 && response.body == *body,
            Missing => response.status == 404,
        }
    }
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body(body) => write!(f, "{:?}", body.escape_ascii().to_string()),
            Missing => f.write_str("404"),
        }
    }
}

/// Makes change after change, each of which shows: on a kept connection, on a new one, and on one that was
/// opened before.
#[track_caller]
fn shows(target: &str, prepare: impl FnOnce(&Tree), change: impl FnMut(&Tree, usize) -> Expected) {
    let tree = Tree::site();
    prepare(&tree);
    let server = Finder::of(tree, WHOLE, &["--cache-valid", "1h"]);
    shows_on(&server, target, ROUNDS, change);
}

#[track_caller]
fn shows_on(server: &Finder, target: &str, rounds: usize, mut change: impl FnMut(&Tree, usize) -> Expected) {
    let mut kept = server.client();
    for round in 0..rounds {
        // Cached and watched, unless the round before was the first that asked.
        for _ in 0..round % 5 {
            on(&mut kept, target);
        }
        let mut opened = server.client();
        let expected = change(&server.tree, round);
        becomes(&format!("round {round}"), &expected, || match round % 3 {
            0 => on(&mut kept, target),
            1 => on(&mut opened, target),
            _ => server.get(target),
        });
    }
    assert_eq!(server.warnings("find_by_name"), 0, "{}", server.log());
}

fn version(round: usize) -> Vec<u8> {
    format!("version {round}, {}", "x".repeat(round % 50)).into_bytes()
}

#[test]
fn a_file_that_is_made_and_removed() {
    for target in ["/new.txt", "/?=new.txt", "/x/y/new.txt"] {
        shows(
            target,
            |_| {},
            |tree, round| {
                if round % 2 == 0 {
                    tree.file("dir/new.txt", version(round));
                    return Body(version(round));
                }
                fs::remove_file(tree.at("dir/new.txt")).unwrap();
                Missing
            },
        );
    }
}

#[test]
fn a_file_that_is_replaced_and_edited() {
    shows(
        "/deep.html",
        |_| {},
        |tree, round| {
            let path = "one/two/three/four/five/six/seven/deep.html";
            if round % 2 == 0 {
                tree.file(path, version(round));
            } else {
                fs::write(tree.at(path), version(round)).unwrap();
            }
            Body(version(round))
        },
    );
}

#[test]
fn a_file_that_is_renamed_and_back() {
    shows(
        "/here",
        |tree| drop(tree.file("dir/here", PAGE)),
        |tree, round| {
            let (here, there) = (tree.at("dir/here"), tree.at("bare/there"));
            if round % 2 == 0 {
                fs::rename(here, there).unwrap();
                return Missing;
            }
            fs::rename(there, here).unwrap();
            Body(PAGE.into())
        },
    );
}

#[test]
fn a_file_of_the_same_name_that_comes_before_it() {
    let prepare = |tree: &Tree| drop(tree.file("m/x", "the other\n"));
    shows("/x", prepare, |tree, round| {
        if round % 2 == 0 {
            tree.file("a/b/x", version(round));
            return Body(version(round));
        }
        fs::remove_dir_all(tree.at("a")).unwrap();
        Body(b"the other\n".into())
    });
}

#[test]
fn a_file_that_comes_to_be_at_the_path_itself() {
    let prepare = |tree: &Tree| drop(tree.file("a/x", "found\n"));
    shows("/m/n/x", prepare, |tree, round| {
        let released = tree.at("m");
        match round % 4 {
            0 => tree.file("m/n/x", version(round)),
            2 => {
                tree.file("z/n/x", version(round));
                tree.link("m", "z");
                return Body(version(round));
            }
            1 => {
                fs::remove_dir_all(released).unwrap();
                return Body(b"found\n".into());
            }
            _ => {
                fs::remove_file(released).unwrap();
                return Body(b"found\n".into());
            }
        };
        Body(version(round))
    });
}

#[test]
fn a_directory_that_is_moved_in_and_out_with_all_that_is_in_it() {
    let outside = Tree::empty();
    outside.file("tree/a/b/c/inner", PAGE);
    shows(
        "/inner",
        |_| {},
        |tree, round| {
            let (here, there) = (tree.at("one/tree"), outside.at("tree"));
            if round % 2 == 0 {
                fs::rename(there, here).unwrap();
                return Body(PAGE.into());
            }
            fs::rename(here, there).unwrap();
            Missing
        },
    );
}

#[test]
fn a_directory_that_is_moved_within_the_root_and_is_found_at_its_new_path() {
    let prepare = |tree: &Tree| {
        tree.file("m/x", "the other\n");
        tree.file("a/sub/dir/x", "x\n");
    };
    shows("/x", prepare, |tree, round| {
        // From before the other to behind it and back, with a change within at each place.
        let (from, to) = if round % 2 == 0 { ("a/sub", "z") } else { ("z", "a/sub") };
        fs::rename(tree.at(from), tree.at(to)).unwrap();
        tree.file(format!("{to}/dir/x"), version(round));
        tree.file(format!("{to}/more/{round}/y{round}"), version(round));
        if round % 2 == 0 { Body(b"the other\n".into()) } else { Body(version(round)) }
    });
    let mut last = 0;
    shows("/y", prepare, |tree, round| {
        let (from, to) = if round % 2 == 0 { ("a/sub", "z") } else { ("z", "a/sub") };
        let _ = fs::remove_file(tree.at(format!("{from}/dir/y")));
        fs::rename(tree.at(from), tree.at(to)).unwrap();
        if round % 3 == 0 {
            return Missing;
        }
        last += 1;
        tree.file(format!("{to}/dir/y"), version(last));
        Body(version(last))
    });
}

#[test]
fn two_directories_that_are_exchanged() {
    let prepare = |tree: &Tree| {
        tree.file("a/one/x", version(0));
        tree.file("m/two/x", version(1));
    };
    shows("/x", prepare, |tree, round| {
        renameat_with(CWD, tree.at("a"), CWD, tree.at("m"), RenameFlags::EXCHANGE).unwrap();
        Body(version((round + 1) % 2))
    });
}

#[test]
fn a_tree_that_is_made_and_removed_at_once() {
    shows(
        "/leaf",
        |_| {},
        |tree, round| {
            if round % 2 == 0 {
                for branch in 0..5 {
                    tree.file(format!("grown/{branch}/b/c/leaf"), version(round + branch));
                }
                return Body(version(round));
            }
            fs::remove_dir_all(tree.at("grown")).unwrap();
            Missing
        },
    );
}

#[test]
fn a_directory_that_becomes_a_file_and_back() {
    shows(
        "/a/thing",
        |_| {},
        |tree, round| {
            let path = tree.at("dir/thing");
            if round % 2 == 0 {
                let _ = fs::remove_dir_all(&path);
                tree.file("dir/thing", version(round));
                return Body(version(round));
            }
            fs::remove_file(&path).unwrap();
            tree.file("dir/thing/thing2", "other\n");
            Missing
        },
    );
}

#[test]
fn a_link_that_is_made_and_leads_elsewhere() {
    let prepare = |tree: &Tree| {
        tree.file("dir/0", version(0));
        tree.file("dir/1", version(1));
    };
    shows("/linked", prepare, |tree, round| {
        let draft = tree.at("dir/.draft-link");
        symlink(["0", "../dir/1", "../../outside", "nowhere"][round % 4], &draft).unwrap();
        fs::rename(draft, tree.at("dir/linked")).unwrap();
        if round % 4 < 2 { Body(version(round % 4)) } else { Missing }
    });
}

/// All directories beneath one, itself first, and all files.
fn walk(top: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut directories, mut files, mut next) = (vec![top.to_owned()], Vec::new(), 0);
    while let Some(directory) = directories.get(next) {
        next += 1;
        for entry in fs::read_dir(directory.clone()).unwrap().flatten() {
            let is_directory = entry.file_type().unwrap().is_dir();
            if is_directory { &mut directories } else { &mut files }.push(entry.path());
        }
    }
    (directories, files)
}

/// Whatever is made, moved and removed, each name leads where a walk over the whole tree finds it first.
#[test]
fn a_long_random_history_agrees_with_a_walk() {
    let (server, outside) = (Finder::of(Tree::empty(), WHOLE, &["--cache-valid", "1h"]), Tree::empty());
    let mut client = server.client();
    let mut dice = Dice::new(7);
    let names = ["x", "y", "d", "e"];
    for round in 0..3 * ROUNDS {
        let (directories, files) = walk(server.tree.path());
        let at = dice.pick(&directories).join(dice.pick(&names));
        // What is in the way, or makes no sense, fails; the walk tells what came of it.
        let _ = match dice.below(16) {
            0..=3 => {
                let draft = server.tree.file(".made", version(round));
                fs::rename(&draft, &at).inspect_err(|_| fs::remove_file(&draft).unwrap())
            }
            4..=6 => {
                fs::create_dir(&at).and_then(|()| fs::set_permissions(&at, Permissions::from_mode(0o755)))
            }
            7..=11 if directories.len() == 1 => Ok(()),
            7..=10 => fs::rename(dice.pick(&directories[1..]), &at),
            11 => fs::rename(dice.pick(&directories[1..]), outside.at(dice.pick(&names))),
            12..=13 => fs::rename(outside.at(dice.pick(&names)), &at),
            14 if dice.below(4) == 0 => fs::remove_dir_all(&at),
            _ if files.is_empty() => Ok(()),
            _ => fs::remove_file(dice.pick(&files)),
        };
        let (_, files) = walk(server.tree.path());
        for name in names {
            let here = files.iter().filter(|path| path.file_name().unwrap() == name);
            let first = here.min_by_key(|path| path.as_os_str().as_bytes());
            let expected = first.map_or(Missing, |path| Body(fs::read(path).unwrap()));
            let about = format!("round {round}, {name}, {first:?}");
            becomes(&about, &expected, || on(&mut client, &format!("/no/where/{name}")));
        }
    }
    assert!(walk(server.tree.path()).0.len() > 10, "the tree is too small to prove much");
}

#[test]
fn a_directory_that_is_opened_to_the_server() {
    let tree = Tree::site();
    tree.file("dir/closed/inner", PAGE);
    tree.mode("dir/closed", 0);
    let server = Finder::of(tree, WHOLE, &["--cache-valid", "1h"]);
    if crate::support::root() && server.workers()[0].user() == 0 {
        skipped("a_directory_that_is_opened_to_the_server", "the worker may read anything");
        return;
    }
    server.get("/inner").has_status(&[404]);
    server.tree.mode("dir/closed", 0o755);
    becomes_found(&server, "/inner", PAGE);
    server.tree.mode("dir/closed/inner", 0);
    server.get("/inner").has_status(&[403]);
    server.tree.mode("dir/closed/inner", 0o644);
    server.get("/inner").is(200, PAGE);
    // What was found once is closed with its directory.
    server.tree.mode("dir/closed", 0);
    server.get("/inner").has_status(&[403]);
    assert_eq!(server.warnings("find_by_name"), 0, "{}", server.log());
}

#[test]
fn what_changes_shows_in_every_worker_and_in_every_sandbox() {
    for sandbox in ["on", "off", "require"] {
        let tree = Arc::new(Tree::site());
        let launch =
            Launch::of(Arc::clone(&tree)).workers(2).flags(["--cache-valid", "1h", "--sandbox", sandbox]);
        if sandbox == "require" && run_with(&["-t", "--sandbox", "require"]).code != Some(0) {
            skipped(
                "what_changes_shows_in_every_worker_and_in_every_sandbox",
                "the kernel has not all of the sandbox",
            );
            continue;
        }
        let server = Finder::started(tree, WHOLE, launch);
        let before = server.workers();
        let mut clients: Vec<_> = (0..8).map(|_| server.client()).collect();
        for round in 0..40 {
            if round % 2 == 0 {
                server.tree.file("grown/a/b/new", version(round));
            } else {
                fs::remove_dir_all(server.tree.at("grown")).unwrap();
            }
            for client in &mut clients {
                for target in ["/new", "/?=new"] {
                    let expected = if round % 2 == 0 { Body(version(round)) } else { Missing };
                    becomes(&format!("round {round}"), &expected, || on(client, target));
                }
            }
        }
        assert_eq!(server.workers(), before, "no worker was killed for a system call");
    }
}

#[test]
fn a_large_tree_that_comes_and_goes_shows_and_holds_no_request_up() {
    let outside = Tree::empty();
    for directory in 0..40 {
        outside.dir(format!("tree/{directory}"));
        for file in 0..250 {
            fs::write(outside.at(format!("tree/{directory}/{directory}-{file}")), b"x\n").unwrap();
        }
    }
    outside.file("tree/39/last", PAGE);
    let server = site();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for (target, statuses) in [("/page.html", &[200][..]), ("/last", &[200, 404]), ("/39-1", &[200, 404])]
        {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || {
                let mut client = server.client();
                while !stop.load(Ordering::Relaxed) {
                    on(&mut client, target).has_status(statuses);
                }
            });
        }
        let mut client = server.client();
        for round in 0..20 {
            let (here, there) = (server.tree.at("dir/tree"), outside.at("tree"));
            if round % 2 == 0 {
                fs::rename(there, here).unwrap();
                becomes(&format!("round {round}"), &Body(PAGE.into()), || on(&mut client, "/last"));
                becomes_found(&server, "/17-249", "x\n");
            } else {
                fs::rename(here, there).unwrap();
                on(&mut client, "/last").has_status(&[404]);
            }
        }
    });
}

/// While a directory is replaced, the files that both have are found all the time.
#[test]
fn a_tree_that_takes_the_place_of_another_is_never_half_there() {
    let tree = Tree::empty();
    for release in ["site/live", "next"] {
        for directory in 0..40 {
            tree.dir(format!("{release}/{directory}"));
            for file in 0..100 {
                fs::write(tree.at(format!("{release}/{directory}/{directory}-{file}")), release).unwrap();
            }
        }
        tree.file(format!("{release}/39/{}", release.replace('/', "-")), release);
    }
    let tree = Arc::new(tree);
    let launch = Launch::of_path(tree.at("site")).flags(["--cache-valid", "1h"]);
    let server = Finder::started(Arc::clone(&tree), WHOLE, launch);
    let mut client = server.client();
    for round in 0..20 {
        renameat_with(CWD, tree.at("site/live"), CWD, tree.at("next"), RenameFlags::EXCHANGE).unwrap();
        let shown = if round % 2 == 0 { "/next" } else { "/site-live" };
        eventually("the other tree is there", || {
            for name in ["/39-99", "/x/0-0"] {
                on(&mut client, name).has_status(&[200]);
            }
            (on(&mut client, shown).status == 200).then_some(())
        });
    }
}

#[test]
fn the_thread_that_reads_names_stands_back_once_the_worker_serves() {
    let server = site();
    server.get("/deep.html").has_status(&[200]);
    let worker = server.workers()[0];
    assert_eq!(worker.niceness_of(worker.thread_named("names")), 19);
}

#[test]
fn a_change_while_descriptors_have_run_out_shows_when_there_are_some_again() {
    // The worker stays the user that the test is, which may change its limits.
    let user = if crate::support::root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let server = Finder::of(Tree::site(), WHOLE, &[&["--cache-valid", "1h"], user].concat());
    let worker = server.workers()[0];
    let names = worker.thread_named("names");
    let mut client = server.client();
    on(&mut client, "/page.html").is(200, PAGE);
    let (limit, _) = worker.descriptor_limit();
    worker.set_soft_descriptor_limit(1);
    let waits = worker.waits_of(names);
    server.tree.file("dir/new", PAGE);
    // Its tries are apart by waits.
    eventually("the thread has tried", || (worker.waits_of(names) > waits + 1).then_some(()));
    on(&mut client, "/new").has_status(&[404, 503]);
    worker.set_soft_descriptor_limit(limit);
    becomes("descriptors are left", &Body(PAGE.into()), || on(&mut client, "/new"));
}

#[test]
fn more_changes_than_the_kernel_keeps() {
    let Ok(kept) = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events") else {
        skipped(
            "find_by_name::more_changes_than_the_kernel_keeps",
            "/proc doesn't tell how many events the kernel keeps",
        );
        return;
    };
    let kept: usize = kept.trim().parse().unwrap();
    let server = site();
    let worker = server.workers()[0];
    for round in 0..3 {
        worker.stop();
        for _ in 0..kept / 2 + 10 {
            fs::write(server.tree.at("dir/churn"), "").unwrap();
            fs::remove_file(server.tree.at("dir/churn")).unwrap();
        }
        // Of these there can be no event any more.
        server.tree.file(format!("bare/a/b/new{round}"), version(round));
        if round > 0 {
            fs::remove_dir_all(server.tree.at("old")).unwrap();
        }
        server.tree.file("old/x", version(round));
        worker.signal(Signal::CONT);
        becomes_found(&server, &format!("/new{round}"), version(round));
        becomes_found(&server, "/x", version(round));
        server.get("/churn").has_status(&[404]);
    }
    shows_on(&server, "/after", 20, |tree, round| {
        tree.file("bare/a/after", version(round));
        Body(version(round))
    });
}

#[test]
fn where_changes_can_not_be_seen_names_are_read_again_when_they_are_old() {
    let tree = Arc::new(Tree::site());
    for limit in ["4 > /proc/sys/user/max_inotify_watches", "0 > /proc/sys/user/max_inotify_instances"] {
        let script = format!("echo {limit} && exec unshare --user --map-user=1000 \"$@\"");
        let words = ["unshare", "--user", "--map-root-user", "sh", "-c", script.as_str(), "sh"];
        let works = std::process::Command::new("unshare").args(&words[1..]).arg("true").output();
        if !works.is_ok_and(|output| output.status.success()) {
            skipped(
                "where_changes_can_not_be_seen_names_are_read_again_when_they_are_old",
                "no user namespace to be had",
            );
            return;
        }
        let launch = Launch::of(Arc::clone(&tree)).under(words).flags(["--cache-valid", "100ms"]);
        let server = Finder::started(Arc::clone(&tree), WHOLE, launch);
        server.says("that changes are not reported", |line| {
            line.contains("WARN") && line.contains("find_by_name in") && line.contains("not reported")
        });
        for round in 0..5 {
            tree.file("dir/x/new", version(round));
            eventually("it is found", || (server.get("/new").status == 200).then_some(()));
            server.get("/y/new").is(200, version(round));
            // A file that is gone is never found, however old the names are.
            fs::remove_dir_all(tree.at("dir/x")).unwrap();
            server.get("/new").has_status(&[404]);
        }
        assert_eq!(server.warnings("not reported"), 1, "{}", server.log());
    }
    // Where each request looks again by wish, names are watched all the same.
    let server = Finder::of(Tree::site(), WHOLE, &["--cache-valid", "0"]);
    shows_on(&server, "/new", 50, |tree, round| {
        tree.file("dir/new", version(round));
        Body(version(round))
    });
}

#[test]
fn more_names_than_may_be_held_are_none_and_the_log_and_the_answers_say_so() {
    let tree = Tree::empty();
    // The root, ten files and a directory.
    for number in 0..10 {
        tree.file(format!("dir/{number}"), "x\n");
    }
    let server = Finder::of(tree, WHOLE, &["--find-limit", "12"]);
    server.get("/3").is(200, "x\n");
    assert_eq!(server.warnings("--find-limit"), 0);
    server.tree.file("dir/more", "more\n");
    eventually("there are too many", || (server.get("/nothing").status == 503).then_some(()));
    for target in ["/3", "/?=3", "/more", "/x/more", "/nothing"] {
        server.get(target).has_status(&[503]);
    }
    // By their paths they are there.
    server.get("/dir/3").is(200, "x\n");
    server.get("/dir/more").is(200, "more\n");
    server.get("/dir").has_status(&[301]);
    server.says("that there are too many", |line| {
        line.contains("WARN") && line.contains("more than 12 names (--find-limit)")
    });
    assert_eq!(server.warnings("--find-limit"), 1, "{}", server.log());
    // A start says it as well.
    server.signal(Signal::HUP);
    eventually("the next generation says it", || (server.warnings("--find-limit") == 2).then_some(()));
    server.get("/3").has_status(&[503]);
    server.says("that the reload is over", |line| line.contains("generation 2 serves"));
    fs::remove_file(server.tree.at("dir/more")).unwrap();
    server.signal(Signal::HUP);
    eventually("they are found again", || (server.get("/3").status == 200).then_some(()));
}

#[test]
fn a_reload_turns_it_on_and_off() {
    let server = Finder::of(Tree::site(), "", &[]);
    server.get("/deep.html").has_status(&[404]);
    for generation in [2, 4, 6] {
        server.settings.file("may.toml", WHOLE);
        server.signal(Signal::HUP);
        let serves = |number: usize| format!("generation {number} serves");
        server.says("that it reloads", |line| line.contains(&serves(generation)));
        eventually("it is found", || (server.get("/deep.html").status == 200).then_some(()));
        server.settings.file("may.toml", "[[location]]\npath = \"/\"\n");
        server.signal(Signal::HUP);
        server.says("that it reloads", |line| line.contains(&serves(generation + 1)));
        eventually("it is not found", || (server.get("/deep.html").status == 404).then_some(()));
    }
}

#[test]
fn a_root_that_leads_elsewhere_is_read_again() {
    for sandbox in ["on", "off"] {
        let tree = Tree::empty();
        for release in ["old", "new"] {
            tree.file(format!("releases/{release}/a/{release}"), release);
            tree.file(format!("releases/{release}/a/both"), release);
        }
        tree.link("current", "releases/old");
        let launch =
            Launch::of_path(tree.at("current")).flags(["--sandbox", sandbox, "--cache-valid", "100ms"]);
        let server = Finder::started(Arc::new(tree), WHOLE, launch);
        for _ in 0..3 {
            server.get("/both").is(200, "old");
        }
        fs::remove_file(server.tree.at("current")).unwrap();
        server.tree.link("current", "releases/new");
        eventually("the new root is served", || (server.get("/both").body == b"new").then_some(()));
        becomes_found(&server, "/new", "new");
        server.get("/old").has_status(&[404]);
        server.tree.file("releases/new/b/more", "more");
        becomes_found(&server, "/more", "more");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_is_right_is_dumped() {
    let settings = Tree::empty();
    every(
        [
            ("find_by_name = \"yes\"", "3:16: find_by_name: is a string (expected true or false)"),
            ("find_by_name = 1", "3:16: find_by_name: is an integer (expected true or false)"),
            (
                "find_by_name = true\nreturn = { status = 404 }",
                "4:1: return: can't be combined with find_by_name",
            ),
        ]
        .map(|row| (row.0, row)),
        |(keys, error)| {
            let file = settings.file("may.toml", format!("[[location]]\npath = \"/\"\n{keys}\n"));
            let finished = run_with(&["-t", "-c", file.to_str().unwrap()]);
            assert_eq!(finished.code, Some(2), "{finished:?}");
            assert!(finished.errors.contains(error), "{finished:?}");
        },
    );
    for limit in ["0", "10000001", "x"] {
        let finished = run_with(&["-t", "--find-limit", limit]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
    }
    let file = settings.file("may.toml", format!("find_limit = 77\n{WHOLE}"));
    let finished = run_with(&["-T", "-c", file.to_str().unwrap()]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.output.contains("\nfind_limit = 77  # "), "{}", finished.output);
    assert!(finished.output.ends_with("path = \"/\"\nfind_by_name = true\n"), "{}", finished.output);
}
