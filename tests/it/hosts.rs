//! Hosts: which one a request belongs to, and what it has of its own.

use rustix::process::Signal;

use crate::support::configured::{refused, serve, site};
use crate::support::tree::PAGE;
use crate::support::{Response, Server, Tree, eventually};

/// The response to a GET of this target, with this Host line.
#[track_caller]
fn get(server: &Server, host: &str, target: &str) -> Response {
    let mut client = server.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

/// A root with a page that has this text.
fn root(text: &str) -> Tree {
    let tree = Tree::empty();
    tree.file("index.html", text);
    tree.file("only.txt", text);
    tree
}

/// The `root` key for a directory.
fn key(tree: &Tree) -> String {
    format!("root = {:?}\n", tree.path().to_str().unwrap())
}

#[test]
fn a_request_belongs_to_the_host_that_it_names() {
    let (first, second, third) = (root("first"), root("second"), root("third"));
    let settings = format!(
        "[[host]]\nnames = ['example.org', 'www.example.org']\n{}\
         [[host]]\nnames = ['*.example.org', 'b\u{fc}cher.example']\n{}\
         [[host]]\nnames = ['*.deep.example.org', '[::1]']\n{}",
        key(&first),
        key(&second),
        key(&third)
    );
    let server = site(&settings);
    for (host, body) in [
        ("example.org", "first"),
        ("EXAMPLE.org:8080", "first"),
        ("www.example.org.", "first"),
        ("x.example.org", "second"),
        ("x.y.example.org", "second"),
        ("xn--bcher-kva.example", "second"),
        ("XN--BCHER-KVA.example", "second"),
        ("x.deep.example.org", "third"),
        ("deep.example.org", "second"),
        ("[::1]:80", "third"),
    ] {
        get(&server, host, "/only.txt").is(200, body);
        get(&server, host, "/page.html").has_status(&[404]);
    }
    for host in ["", "example.com", "org", "127.0.0.1"] {
        get(&server, host, "/page.html").is(200, PAGE);
        get(&server, host, "/only.txt").has_status(&[404]);
    }
    // The authority of a whole URL counts, whatever Host says (RFC 9112 §3.2.2).
    get(&server, "example.com", "http://example.org/only.txt").is(200, "first");
    get(&server, "example.org", "http://x.deep.example.org:81/only.txt").is(200, "third");
    let mut old = server.client();
    old.send("GET /page.html HTTP/1.0\r\n\r\n");
    old.response().is(200, PAGE);
}

#[test]
fn one_path_has_other_files_and_fields_in_each_host() {
    let (first, second) = (root("first"), root("second"));
    let settings = format!(
        "headers = {{ X-A = 'all', X-B = 'all' }}\nlisting = true\n\
         [[host]]\nnames = ['a']\n{}headers = {{ X-B = 'a' }}\n\
         [[host.location]]\npath = '/only.txt'\nheaders = {{ X-A = '' }}\n\
         [[host]]\nnames = ['b']\nlisting = false\n{}[[host.location]]\npath = '/only.txt'\nexpires = '1h'\n",
        key(&first),
        key(&second)
    );
    let server = site(&settings);
    // Cached in between, and several times.
    for _ in 0..3 {
        let first = get(&server, "a", "/only.txt");
        first.is(200, "first");
        assert_eq!((first.field("x-a"), first.field("x-b")), (None, Some("a")));
        let second = get(&server, "b", "/only.txt");
        second.is(200, "second");
        assert_eq!((second.field("x-a"), second.field("x-b")), (Some("all"), Some("all")));
        assert_eq!(second.field("cache-control"), Some("max-age=3600"));
    }
    first.dir("empty");
    second.dir("empty");
    get(&server, "a", "/empty/").has_status(&[200]);
    get(&server, "b", "/empty/").has_status(&[403]);
    second.file("only.txt", "changed");
    eventually("the change shows", || (get(&server, "b", "/only.txt").body == b"changed").then_some(()));
    get(&server, "a", "/only.txt").is(200, "first");
}

#[test]
fn a_host_without_a_root_has_that_of_the_server_with_locations_of_its_own() {
    let settings = "[[location]]\npath = '/page.html'\nreturn = { status = 410 }\n\
                    [[host]]\nnames = ['a']\n[[host.location]]\npath = '/x'\nreturn = { body = 'x' }\n";
    let server = site(settings);
    get(&server, "a", "/page.html").is(200, PAGE);
    get(&server, "a", "/x").is(200, "x");
    get(&server, "b", "/page.html").has_status(&[410]);
    get(&server, "b", "/x").has_status(&[404]);
}

#[test]
fn files_are_found_by_name_in_a_location_of_a_host() {
    let (first, second) = (Tree::empty(), Tree::empty());
    first.file("deep/name.txt", "first");
    second.file("deeper/name.txt", "second");
    let host = |name: &str, tree: &Tree| {
        let location = "[[host.location]]\npath = '/'\nfind_by_name = true\n";
        format!("[[host]]\nnames = [{name:?}]\n{}{location}", key(tree))
    };
    let server = site(&(host("a", &first) + &host("b", &second)));
    get(&server, "a", "/name.txt").is(200, "first");
    get(&server, "b", "/x/name.txt").is(200, "second");
    get(&server, "b", "/?=name.txt").is(200, "second");
    get(&server, "c", "/name.txt").has_status(&[404]);
}

#[test]
fn requests_that_name_no_host_may_be_rejected() {
    let settings = "unknown_hosts = 'reject'\n[[host]]\nnames = ['a']\n";
    let server = site(settings);
    get(&server, "a", "/page.html").is(200, PAGE);
    let mut client = server.client();
    for (host, status) in [("b", 421), ("", 421), ("a", 200)] {
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response().has_status(&[status]);
    }
    client.send("GET /page.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client.response().has_status(&[421]);
    client.send("POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n");
    client.response().has_status(&[421]);
    // As balancers check.
    for raw in ["OPTIONS / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n"] {
        let response = server.ask(raw);
        response.is(204, "");
        assert_eq!(response["allow"], "GET, HEAD, OPTIONS");
    }
}

#[test]
fn a_reload_takes_up_hosts() {
    let server = serve(Tree::site(), "[[host]]\nnames = ['a']\nheaders = { X-A = '1' }\n", &[]);
    assert_eq!(get(&server, "a", "/").field("x-a"), Some("1"));
    server.settings.file("may.toml", "[[host]]\nnames = ['b']\nheaders = { X-A = '2' }\n");
    server.signal(Signal::HUP);
    let has = |host: &str| get(&server, host, "/").field("x-a").map(str::to_owned);
    eventually("the reload shows", || (has("b").as_deref() == Some("2")).then_some(()));
    assert_eq!(has("a"), None);
}

#[test]
fn a_mistake_in_a_host_is_named_with_its_line() {
    assert_eq!(
        refused("[[host]]\nnames = ['a']\n[[host]]\nnames = ['b', 'A']\n"),
        "mayhttpd: FILE:4:15: names: a is a name of another host already (line 2)\n"
    );
}
