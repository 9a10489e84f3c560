//! Symbolic links: which are followed, and that a change of one shows at once.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::sync::Arc;

use crate::support::configured::{Configured, serve};
use crate::support::{Tree, root, skipped};

/// A site with links, and a directory outside of it.
struct Linked {
    tree: Arc<Tree>,
    outside: Tree,
}

impl Linked {
    fn new() -> Linked {
        let (tree, outside) = (Tree::empty(), Tree::empty());
        tree.file("a", "a");
        tree.file("dir/b", "b");
        tree.file("dir/index.html", "index");
        outside.file("secret", "secret");
        let linked = Linked { tree: Arc::new(tree), outside };
        for (name, target) in [
            ("relative", "dir/b".to_owned()),
            ("absolute", linked.inside("dir/b")),
            ("to-dir", linked.inside("dir")),
            ("chain", linked.inside("absolute")),
            ("loop", linked.inside("loop")),
            ("dangling", linked.inside("absent")),
            ("out", linked.outside.path().join("secret").to_str().unwrap().to_owned()),
            ("up", "../".repeat(20) + "etc/hostname"),
        ] {
            linked.link(name, &target);
        }
        linked
    }

    fn inside(&self, name: &str) -> String {
        self.tree.path().canonicalize().unwrap().join(name).to_str().unwrap().to_owned()
    }

    fn link(&self, name: &str, target: &str) {
        let new = self.tree.path().join("new-link");
        symlink(target, &new).unwrap();
        fs::rename(new, self.tree.path().join(name)).unwrap();
    }

    #[track_caller]
    fn serve(&self, links: &str, flags: &[&str]) -> Configured {
        serve(Arc::clone(&self.tree), &format!("symlinks = {links:?}\n"), flags)
    }
}

#[track_caller]
fn check(server: &Configured, rows: &[(&str, u16)]) {
    // Two times more, for what the cache and its watches make of it.
    for (path, status) in rows.iter().cycle().take(rows.len() * 3) {
        server.get(path).has_status(&[*status]);
    }
}

#[test]
fn links_are_followed_as_the_settings_say() {
    let linked = Linked::new();
    check(
        &linked.serve("inside", &[]),
        &[
            ("/a", 200),
            ("/relative", 200),
            ("/absolute", 200),
            ("/to-dir/b", 200),
            ("/to-dir/", 200),
            ("/to-dir", 301),
            ("/chain", 200),
            ("/loop", 403),
            ("/dangling", 404),
            ("/out", 403),
            ("/up", 403),
        ],
    );
    check(
        &linked.serve("deny", &[]),
        &[
            ("/a", 200),
            ("/dir/", 200),
            ("/relative", 403),
            ("/absolute", 403),
            ("/to-dir/b", 403),
            ("/out", 403),
        ],
    );
    check(
        &linked.serve("same-owner", &[]),
        &[("/a", 200), ("/relative", 200), ("/absolute", 200), ("/to-dir/b", 200), ("/out", 403)],
    );
    check(
        &linked.serve("follow", &["--sandbox", "off"]),
        &[("/absolute", 200), ("/out", 200), ("/loop", 403)],
    );
    let file = linked.serve("inside", &["--disk-threads", "0"]);
    check(&file, &[("/absolute", 200), ("/out", 403)]);
    file.get("/absolute").is(200, b"b");
}

#[test]
fn a_link_of_another_owner_is_refused() {
    if !root() {
        skipped("a_link_of_another_owner_is_refused", "it takes root to give a file away");
        return;
    }
    let linked = Linked::new();
    let path = linked.tree.path();
    lchown(path.join("relative"), Some(12_345), None).unwrap();
    let server = linked.serve("same-owner", &[]);
    check(&server, &[("/relative", 403), ("/absolute", 200)]);
    lchown(path.join("dir/b"), Some(12_345), None).unwrap();
    check(&server, &[("/relative", 200), ("/absolute", 403)]);
}

#[test]
fn an_absolute_link_that_is_switched_shows_at_once() {
    let linked = Linked::new();
    let server = linked.serve("inside", &["--cache-valid", "1h"]);
    let mut client = server.client();
    for round in 0..20 {
        let (name, content) = [("a", "a"), ("dir/b", "b")][round % 2];
        linked.link("turn", &linked.inside(name));
        for _ in 0..4 {
            client.send("GET /turn HTTP/1.1\r\nHost: test\r\n\r\n");
            client.response().is(200, content.as_bytes());
        }
    }
    linked.link("turn", linked.outside.path().join("secret").to_str().unwrap());
    server.get("/turn").has_status(&[403]);
}

#[test]
fn a_refusal_says_why_in_the_log() {
    let linked = Linked::new();
    let path = linked.tree.path();
    // From 40 links one after another a file is reached, from one more it is not.
    linked.link("link1", "a");
    (2..=41).for_each(|number| linked.link(&format!("link{number}"), &format!("link{}", number - 1)));
    let mut rows = vec![
        ("deny", "/relative", "a symbolic link is on the way"),
        ("deny", "/to-dir/b", "a symbolic link is on the way"),
        ("deny", "/out", "a symbolic link is on the way"),
        ("inside", "/out", "a symbolic link leads outside the root"),
        ("inside", "/up", "a symbolic link leads outside the root"),
        ("same-owner", "/out", "a symbolic link leads outside the root"),
        ("inside", "/loop", "more than 40 symbolic links are on the way, or they lead in a circle"),
        ("inside", "/link41", "more than 40 symbolic links are on the way, or they lead in a circle"),
    ];
    if root() {
        lchown(path.join("absolute"), Some(12_345), None).unwrap();
        let other = "a symbolic link has another owner than what it leads to";
        rows.extend([("same-owner", "/absolute", other), ("same-owner", "/chain", other)]);
    } else {
        skipped("a_refusal_says_why_in_the_log of another owner", "it takes root to give a file away");
    }
    for links in ["deny", "inside", "same-owner"] {
        let server = linked.serve(links, &["--log-level", "debug"]);
        server.get("/a").has_status(&[200]);
        server.get("/link40").has_status(&[if links == "deny" { 403 } else { 200 }]);
        for (_, target, why) in rows.iter().filter(|(policy, _, _)| *policy == links) {
            server.get(target).has_status(&[403]);
            let words = format!("refused {:?}: {why}", &target[1..]);
            server.says(&words, |line| line.contains("DEBUG") && line.ends_with(&words));
        }
        assert!(!server.log().contains("refused \"a\""), "{}", server.log());
    }
}
