//! Ways out of the root, which all end inside it.

use crate::support::tree::{INDEX, PAGE};
use crate::support::{Server, Tree, every};

const TARGETS: &[&str] = &[
    "/../../../../../../../../../../../../../etc/passwd",
    "/dir/../../../../../../etc/passwd",
    "/dir/./../../../../../etc/passwd",
    "/page.html/../../../../../etc/passwd",
    "/absent/../../../../../../etc/passwd",
    "/./../../../../etc/passwd",
    "//../../../../etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/dir/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/.%2e/.%2e/.%2e/.%2e/etc/passwd",
    "/%2e./%2E./%2e./%2E./etc/passwd",
    "/..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/dir/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/%2fetc%2fpasswd",
    "/..%5c..%5c..%5c..%5cetc%5cpasswd",
    "/..\\..\\..\\..\\etc\\passwd",
    "/dir/%2e%2e%5c%2e%2e%5c%2e%2e%5cetc%5cpasswd",
    "/%252e%252e/%252e%252e/%252e%252e/etc/passwd",
    "/..%252f..%252f..%252fetc/passwd",
    "/%25252e%25252e/etc/passwd",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "/..%c0%af..%c0%af..%c0%afetc/passwd",
    "/%e0%80%ae%e0%80%ae/%e0%80%ae%e0%80%ae/etc/passwd",
    "/%uff0e%uff0e/%uff0e%uff0e/etc/passwd",
    "/..%ef%bc%8f..%ef%bc%8fetc/passwd",
    "/....//....//....//....//etc/passwd",
    "/.../.../.../etc/passwd",
    "/..;/..;/..;/etc/passwd",
    "/dir/..;x/..;x/..;x/..;x/etc/passwd",
    "/%2e%2e%00/%2e%2e/etc/passwd",
    "/dir/%00/../../../../etc/passwd",
    "/dir/..%00/..%00/etc/passwd",
    "/dir/../..",
    "/dir/../../",
    "/..",
    "/../",
    "/%2e%2e",
    "/%2e%2e/",
    "/..?/etc/passwd",
];

#[test]
fn no_way_leads_out_of_the_root() {
    let server = Server::start(&[]);
    every(TARGETS.iter().map(|target| (*target, *target)), |target| {
        let response =
            server.answers(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"), &[301, 400, 403, 404]);
        assert!(!response.text().contains("root:"), "ESCAPED the root");
    });
    let query = server.get("/?/../../../../etc/passwd");
    query.is(200, INDEX);
}

#[test]
fn no_way_leads_out_by_absolute_form() {
    let server = Server::start(&[]);
    every(TARGETS.iter().map(|target| (*target, *target)), |target| {
        let raw = format!("GET http://test{target} HTTP/1.1\r\nHost: test\r\n\r\n");
        let response = server.answers(raw, &[301, 400, 403, 404]);
        assert!(!response.text().contains("root:"), "ESCAPED the root");
    });
}

#[test]
fn a_sibling_whose_name_begins_like_the_root_is_outside() {
    let tree = Tree::empty();
    tree.file("www/index.html", "inside\n");
    tree.file("www-private/key", "outside\n");
    let server = crate::support::Launch::of_path(tree.at("www")).start();
    server.get("/").is(200, "inside\n");
    for target in ["/../www-private/key", "/..%2fwww-private/key", "/-private/key", "-private/key"] {
        server.get(target).has_status(&[400, 403, 404]);
    }
}

#[test]
fn links_inside_the_root_are_followed_and_those_outside_refused() {
    let tree = Tree::empty();
    tree.file("outside/secret.txt", "secret\n");
    tree.file("www/page.html", PAGE);
    tree.file("www/dir/index.html", "index\n");
    tree.link("www/to-file", "page.html");
    tree.link("www/to-dir", "dir");
    tree.link("www/dir/up", "../page.html");
    tree.link("www/out", "../outside/secret.txt");
    tree.link("www/out-dir", "../outside");
    tree.link("www/absolute", "/etc/passwd");
    tree.link("www/absolute-dir", "/etc");
    tree.link("www/chain", "out-dir");
    tree.link("www/dangling", "nowhere");
    tree.link("www/loop", "loop");
    tree.link("www/zero", "/dev/zero");
    tree.link("www/proc", "/proc/self/environ");
    tree.link("www/root", "/");
    let server = crate::support::Launch::of_path(tree.at("www")).start();
    server.get("/to-file").is(200, PAGE);
    server.get("/to-dir/").is(200, "index\n");
    server.get("/dir/up").is(200, PAGE);
    server.get("/to-dir").has_status(&[301]);
    let refused = [
        "/out",
        "/out-dir/secret.txt",
        "/out-dir/",
        "/out-dir",
        "/absolute",
        "/absolute-dir/passwd",
        "/chain/secret.txt",
        "/dangling",
        "/loop",
        "/loop/x",
        "/zero",
        "/proc",
        "/root/etc/passwd",
        "/to-dir/../out",
    ];
    every(refused.map(|target| (target, target)), |target| {
        server.answers(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"), &[403, 404]);
    });
}

#[test]
fn a_root_that_is_a_link_itself_is_served() {
    let tree = Tree::empty();
    tree.file("real/index.html", "inside\n");
    tree.link("root", "real");
    let server = crate::support::Launch::of_path(tree.at("root")).start();
    server.get("/").is(200, "inside\n");
}
