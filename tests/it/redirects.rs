//! A directory asked for without its slash: 301 to where it is, by a path alone, to no other host.

use crate::support::{Server, Tree, every};

#[test]
fn a_directory_without_its_slash_is_redirected_by_a_path() {
    let server = Server::start(&[]);
    let response = server.get("/dir");
    response.has_status(&[301]);
    assert_eq!(response["location"], "/dir/");
    assert_eq!(server.get("/one/two")["location"], "/one/two/");
    assert_eq!(server.get("/bare")["location"], "/bare/");
}

#[test]
fn a_redirect_keeps_the_query() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/dir?x=1&y=%20")["location"], "/dir/?x=1&y=%20");
    assert_eq!(server.get("/dir?a?b/")["location"], "/dir/?a?b/");
}

#[test]
fn a_redirect_escapes_what_the_name_holds() {
    let tree = Tree::empty();
    for name in ["with space", "per%cent", "quest?ion", "ha#sh", "ünï", "a+b", "<b>"] {
        tree.file(format!("{name}/index.html"), name);
    }
    let server = Server::of(tree, &[]);
    let targets =
        ["/with%20space", "/per%25cent", "/quest%3Fion", "/ha%23sh", "/%C3%BCn%C3%AF", "/a+b", "/%3Cb%3E"];
    every(targets.map(|target| (target, target)), |target| {
        let response = server.get(target);
        response.has_status(&[301]);
        let location = response["location"].clone();
        assert!(location.is_ascii() && !location.contains([' ', '<', '#']), "{location}");
        // What it points at is the directory that was asked for.
        server.get(&location).is(200, server.get(format!("{target}/")).body);
    });
}

#[test]
fn a_redirect_over_absolute_form_stays_a_path() {
    let server = Server::start(&[]);
    let response = server.ask("GET http://other.example/dir HTTP/1.1\r\nHost: other.example\r\n\r\n");
    response.has_status(&[301]);
    assert_eq!(response["location"], "/dir/");
}

#[test]
fn no_redirect_leads_to_another_host() {
    let tree = Tree::site();
    tree.file("example.com/index.html", "not a host\n");
    let server = Server::of(tree, &[]);
    let targets = [
        "//example.com",
        "///example.com",
        "//example.com/",
        "/\\example.com",
        "/%5Cexample.com",
        "/.//example.com",
        "//dir",
        "///dir",
        "/dir//..//dir",
        "//dir/..//dir",
        "/%2Fexample.com",
        "/%2F%2Fexample.com/..",
        "//example.com/%2e%2e/dir",
        "/%09/example.com",
    ];
    every(targets.map(|target| (target, target)), |target| {
        let response = server.get(target);
        if let Some(location) = response.field("location") {
            assert!(location.starts_with('/'), "{location}");
            assert!(!location.starts_with("//") && !location.starts_with("/\\"), "{location}");
        }
    });
}

#[test]
fn a_redirect_injects_no_field() {
    let tree = Tree::empty();
    tree.file("line\r\nX-Injected: 1/index.html", "odd\n");
    let server = Server::of(tree, &[]);
    for target in ["/line%0d%0aX-Injected:%201", "/line%0d%0aX-Injected:%201?x%0d%0aY:%20z"] {
        let response = server.get(target);
        response.has_status(&[301, 400, 404]);
        assert!(response.field("x-injected").is_none() && response.field("y").is_none());
    }
}
