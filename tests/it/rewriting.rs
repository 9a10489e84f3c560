//! Rules by path: redirects, rewrites and header rules, of the settings and of `_redirects` and `_headers`.

use std::fs;
use std::sync::Arc;

use crate::support::configured::{refused, serve, site};
use crate::support::launch::run_with;
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Launch, Response, Server, Tree, eventually};

/// The response to a GET of this target, with this Host line.
#[track_caller]
fn get(server: &Server, host: &str, target: &str) -> Response {
    let mut client = server.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.response()
}

/// The status of a target, and its Location.
#[track_caller]
fn location(server: &Server, target: &str) -> (u16, String) {
    let response = server.get(target);
    (response.status, response.field("location").unwrap_or_default().to_owned())
}

#[test]
fn a_redirect_puts_captures_in_its_place() {
    let server = site(
        "[[redirect]]\nfrom = '/blog/:year/*'\nto = '/archive/:year/:splat'\n\
         [[redirect]]\nfrom = '/item'\nquery = { id = ':id' }\nto = '/items/:id?'\nstatus = 308\n\
         [[redirect]]\nfrom = '/a'\nhost = '*.example.org'\nto = '/wild'\nstatus = 302\n\
         [[redirect]]\nfrom = '/a'\nto = 'https://other.example/'\nstatus = 307\n\
         [[redirect]]\nfrom = '/out/*'\nto = '/:splat'\n",
    );
    for (target, status, expected) in [
        ("/blog/2024/a%20b/c", 301, "/archive/2024/a%20b/c"),
        ("/blog/2024/?q=1", 301, "/archive/2024/?q=1"),
        ("/item?x=1&id=a%2Bb", 308, "/items/a%2Bb"),
        ("/a", 307, "https://other.example/"),
        ("/out//evil.example", 301, "/evil.example"),
        ("/out/%5Cevil.example", 301, "/%5Cevil.example"),
        ("/out/%0d%0aX-Injected:%201", 301, "/%0D%0AX-Injected%3A%201"),
    ] {
        assert_eq!(location(&server, target), (status, expected.to_owned()), "{target}");
    }
    server.get("/blog").has_status(&[404]);
    server.get("/item").has_status(&[404]);
    assert_eq!(get(&server, "x.example.org:80", "/a")["location"], "/wild");
    let mut client = server.client();
    client.send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    client.response().has_status(&[405]);
}

#[test]
fn a_rewrite_answers_with_another_path_and_its_rules() {
    let server = site(
        "[[rewrite]]\nfrom = '/first'\nto = '/second'\n\
         [[rewrite]]\nfrom = '/second'\nto = '/page.html'\n\
         [[rewrite]]\nfrom = '/to-redirect'\nto = '/moved'\n\
         [[redirect]]\nfrom = '/moved'\nto = '/new'\n\
         [[rewrite]]\nfrom = '/gone/*'\nto = '/page.html'\nstatus = 410\n\
         [[rewrite]]\nfrom = '/lost'\nto = '/absent.html'\nstatus = 404\n\
         [[rewrite]]\nfrom = '/secret'\nto = '/private/page.html'\n\
         [[location]]\npath = '/private'\ndeny = ['all']\n",
    );
    server.get("/first").is(200, PAGE);
    assert_eq!(location(&server, "/to-redirect"), (301, "/new".to_owned()));
    server.get("/secret").has_status(&[403]);
    server.get("/lost").has_status(&[404]);
    // The status stays, whatever the client has or wants of the page.
    let gone = server.get("/gone/x");
    gone.is(410, PAGE);
    let fields = format!("If-None-Match: {}\r\nRange: bytes=0-1\r\n", gone["etag"]);
    server.get_with("/gone/x", &fields).is(410, PAGE);
    server.get_with("/first", "Range: bytes=0-1\r\n").is(206, &PAGE[..2]);
}

#[test]
fn the_first_rule_in_the_file_counts_whatever_its_kind() {
    let server = site(
        "[[rewrite]]\nfrom = '/a/b'\nto = '/page.html'\n\
         [[redirect]]\nfrom = '/a/*'\nto = '/x/:splat'\n\
         [[rewrite]]\nfrom = '/a/c'\nto = '/page.html'\n",
    );
    server.get("/a/b").is(200, PAGE);
    assert_eq!(location(&server, "/a/c"), (301, "/x/c".to_owned()));
}

#[test]
fn a_rule_for_missing_files_leaves_files_alone() {
    let server = site(
        "[[redirect]]\nfrom = '/page.html'\nto = '/never'\nif_missing = true\n\
         [[rewrite]]\nfrom = '/*'\nto = '/index.html'\nif_missing = true\n",
    );
    server.get("/page.html").is(200, PAGE);
    server.get("/app/deep/link").is(200, INDEX);
    server.get("/").is(200, INDEX);
}

#[test]
fn a_rule_of_a_location_counts_for_its_paths() {
    let tree = Tree::site();
    tree.file("docs/a.txt", "a");
    let server = serve(
        tree,
        "[[redirect]]\nfrom = '/:page'\nto = '/top/:page'\n\
         [[host]]\nnames = ['plain']\nredirect = []\n\
         [[location]]\npath = '/docs'\n\
         [[location.redirect]]\nfrom = '/docs/b.txt'\nto = '/docs/a.txt'\n\
         [[location.redirect]]\nfrom = '/*'\nto = '/in-docs'\n",
        &[],
    );
    assert_eq!(location(&server, "/docs/b.txt"), (301, "/docs/a.txt".to_owned()));
    assert_eq!(location(&server, "/docs/c.txt"), (301, "/in-docs".to_owned()));
    assert_eq!(location(&server, "/x"), (301, "/top/x".to_owned()));
    server.get("/x/y").has_status(&[404]);
    get(&server, "plain", "/page.html").is(200, PAGE);
}

#[test]
fn ten_thousand_rules_are_served() {
    let rules =
        (0..10_000).map(|number| format!("[[redirect]]\nfrom = '/old/{number}'\nto = '/new/{number}'\n"));
    let server = site(&rules.collect::<String>());
    for number in [0, 5000, 9999] {
        assert_eq!(location(&server, &format!("/old/{number}")), (301, format!("/new/{number}")));
    }
    server.get("/old/10000").has_status(&[404]);
}

#[test]
fn rules_that_can_not_be_are_refused_with_their_place() {
    for (rules, expected) in [
        (
            "[[redirect]]\nfrom = '/a'\nto = '/b'\n[[redirect]]\nfrom = '/b'\nto = '/a'\n",
            "FILE:4:1: redirect: redirect /b leads back to redirect /a",
        ),
        (
            "[[redirect]]\nfrom = '/a'\nto = '/b'\n[[location]]\npath = '/'\n\
             [[location.rewrite]]\nfrom = '/b'\nto = '/a'\n",
            "FILE:4:1: location: rewrite /b leads back to redirect /a",
        ),
        (
            "[[rewrite]]\nfrom = '/a/*'\nto = '/a/b/:splat'\n",
            "FILE:1:1: rewrite: rewrite /a/* begins more than 10 rewrites",
        ),
        (
            "[[redirect]]\nfrom = '/*'\nto = '//:splat'\n",
            "FILE:3:6: to: invalid value \"//:splat\" (a path begins",
        ),
        (
            "[[redirect]]\nfrom = '/:h'\nto = 'https://:h/'\n",
            "FILE:3:6: to: invalid value \"https://:h/\" (a placeh",
        ),
        (
            "[[redirect]]\nfrom = 'a'\nto = '/b'\n",
            "FILE:2:8: from: invalid value \"a\" (expected a path such as",
        ),
        (
            "[[redirect]]\nfrom = '/a'\nto = '/:b'\n",
            "FILE:3:6: to: invalid value \"/:b\" (has :b, which neither",
        ),
        (
            "[[redirect]]\nfrom = '/a'\nto = '/b'\nstatus = 200\n",
            "FILE:4:10: status: invalid value \"200\" (expected",
        ),
        (
            "[[rewrite]]\nfrom = '/a'\nto = 'https://b/'\n",
            "FILE:3:6: to: invalid value \"https://b/\" (a rewrite",
        ),
        ("[[redirect]]\nto = '/b'\n", "FILE:1:1: redirect: has no from (each redirect needs one)"),
        ("[[rewrite]]\nfrom = '/b'\n", "FILE:1:1: rewrite: has no to (each rewrite needs one)"),
        ("[[redirect]]\nfrm = '/b'\n", "FILE:2:1: frm: unknown key (did you mean from?)"),
        ("redirect = 1\n", "FILE:1:12: redirect: is an integer (expected [[redirect]] above"),
        (
            "[[redirect]]\nfrom = '/a'\nto = '/b'\nhost = 'a:80'\n",
            "FILE:4:8: host: invalid value \"a:80\" (expected",
        ),
        (
            "[[redirect]]\nfrom = '/a'\nto = '/b'\nquery = 1\n",
            "FILE:4:9: query: is an integer (expected a table",
        ),
        ("[[redirect]]\nfrom = '/a'\nto = '/b'\nquery = { a = 1 }\n", "FILE:4:15: query.a: is an integer"),
        ("[[redirect]]\nfrom = '/a'\nto = '/b'\nquery = { a = ':' }\n", "FILE:4:9: query: a: a capture is"),
        ("[[header]]\npath = '/a'\n", "FILE:1:1: header: changes nothing (expected set, add or remove)"),
        ("[[header]]\nset = { A = 'b' }\n", "FILE:1:1: header: has no path (each header needs one)"),
        (
            "[[header]]\npath = 'a'\nset = { A = 'b' }\n",
            "FILE:2:8: path: invalid value \"a\" (expected a path such",
        ),
        (
            "[[header]]\npath = '/'\nstatus = 'x'\nset = { A = 'b' }\n",
            "FILE:3:10: status: invalid value \"x\" (exp",
        ),
        ("[[header]]\npath = '/'\nset = { Date = 'b' }\n", "FILE:3:9: set.Date: is set by the server itself"),
        (
            "[[header]]\npath = '/'\nset = { A = \"b\\n\" }\n",
            "FILE:3:13: set.A: invalid value \"b\\n\" (a field",
        ),
        (
            "[[header]]\npath = '/'\nremove = ['A B']\n",
            "FILE:3:11: remove: invalid value \"A B\" (is not a valid",
        ),
    ] {
        let found = refused(rules);
        let found = found.strip_prefix("mayhttpd: ").unwrap_or(&found);
        assert!(found.starts_with(expected), "{rules}: {found}");
    }
}

#[test]
fn header_rules_that_cost_each_request_too_much_are_refused() {
    let tables = |path: &str, count: usize| {
        format!("[[header]]\npath = '{path}'\nset = {{ A = 'b' }}\n").repeat(count)
    };
    let wildcards = tables(&"/*".repeat(9), 1);
    for (text, expected) in [
        (wildcards, "(has more than 8 wildcards)"),
        (tables("/a", 1001), "FILE:3001:1: header: is one more than 1000 tables"),
        (
            tables("/*", 201) + &tables("/**", 1),
            "FILE:601:1: header: is one more than 200 with a wildcard before the end of its path",
        ),
    ] {
        let error = refused(&text);
        assert!(error.contains(expected), "{error}");
    }
    site(&(tables("/*", 200) + &tables("/a/**", 800))).get("/page.html").is(200, PAGE);
}

#[test]
fn a_dump_of_rules_is_a_file_of_the_same_rules() {
    let rules = "\
[[rewrite]]
from = \"/a/:b\"
to = \"/c/:b\"

[[redirect]]
from = \"/d\"
to = \"/e\"
status = 302
host = \"*.example.org\"
query = { \"id\" = \":id\" }
if_missing = true

[[header]]
path = \"/**\"
status = [\"404\", \"5xx\"]
set = { \"X-A\" = \"1\" }
add = { \"Link\" = [\"<1>\", \"<2>\"] }
remove = [\"X-B\"]
";
    let settings = Tree::empty();
    let text = format!("site_files = true\n{rules}\n[[location]]\npath = \"/x\"\nredirect = []\n");
    let file = settings.file("may.toml", text);
    let dump = |file: &std::path::Path| run_with(&["-T", "-c", file.to_str().unwrap()]).output;
    let first = dump(&file);
    assert!(first.contains(rules), "{first}");
    assert!(first.contains("path = \"/x\"\nredirect = []\n"), "{first}");
    let again = dump(&settings.file("again.toml", &first));
    assert!(again.contains(rules), "{again}");
}

#[test]
fn header_rules_change_fields_by_path_and_status() {
    let server = site(
        "[[header]]\npath = '/**'\nset = { X-All = '1', Cache-Control = 'private' }\n\
         [[header]]\npath = '/*.html'\nadd = { X-All = '2' }\n\
         [[header]]\npath = '/**'\nstatus = [404, '3xx']\nset = { X-Error = 'yes' }\nremove = ['Vary']\n",
    );
    let page = server.get("/page.html");
    page.is(200, PAGE);
    assert_eq!(page.all("x-all"), ["1", "2"]);
    assert_eq!((page.field("x-error"), page.field("cache-control")), (None, Some("private")));
    let not_modified = server.get_with("/page.html", &format!("If-None-Match: {}\r\n", page["etag"]));
    not_modified.has_status(&[304]);
    // What a cache keeps of a 304 is that of the 200.
    assert_eq!(not_modified.field("cache-control"), Some("private"));
    assert_eq!((not_modified.field("x-all"), not_modified.field("x-error")), (None, Some("yes")));
    let missing = server.get("/absent");
    assert_eq!((missing.status, missing.field("x-all"), missing.field("x-error")), (404, None, Some("yes")));
    assert_eq!(server.get("/").all("x-all"), ["1"]);
}

#[test]
fn a_header_rule_leaves_caches_what_the_server_says_in_vary() {
    let server = site(
        "fallback = '/index.html'\n[[header]]\npath = '/a'\nset = { Vary = 'Cookie' }\n\
         [[header]]\npath = '/b'\nremove = ['Vary']\n",
    );
    for (target, expected) in [("/a", &["Cookie", "Accept"][..]), ("/b", &["Accept"]), ("/c", &["Accept"])] {
        let response = server.get_with(target, "Accept: text/html\r\n");
        response.is(200, INDEX);
        assert_eq!(response.all("vary"), expected, "{target}");
    }
}

#[test]
fn site_files_are_rules_and_hidden() {
    let tree = Tree::site();
    tree.file(
        "_redirects",
        "/old/* /new/:splat 302\n/page.html /never\n/index.html /forced 303!\n/* /page.html 200\n",
    );
    tree.file("_headers", "/*\n  X-Site: a\n  ! ETag-Not\n/page.html\n  X-Site: b\n");
    let server = serve(tree, "site_files = true\n[[location]]\npath = '/plain'\nsite_files = false\n", &[]);
    assert_eq!(location(&server, "/old/a/b"), (302, "/new/a/b".to_owned()));
    assert_eq!(location(&server, "/index.html"), (303, "/forced".to_owned()));
    let page = server.get("/page.html");
    page.is(200, PAGE);
    assert_eq!(page.all("x-site"), ["a, b"]);
    let deep = server.get("/app/link");
    deep.is(200, PAGE);
    assert_eq!(deep.all("x-site"), ["a"]);
    for hidden in ["/_redirects", "/_headers", "/%5Fheaders", "//_redirects"] {
        // The last rule shows the page in its place.
        server.get(hidden).is(200, PAGE);
    }
    let plain = server.get("/plain/x");
    assert_eq!((plain.status, plain.field("x-site")), (404, None));
}

#[test]
fn site_files_are_taken_up_when_they_change() {
    let tree = Arc::new(Tree::site());

    let server = Launch::of(Arc::clone(&tree)).workers(2).flags(["--site-files"]).start();
    server.get("/_headers").has_status(&[404]);
    server.get("/a").has_status(&[404]);
    tree.file("_redirects", "/a /b\n");
    let leads = |to: &str| (location(&server, "/a").1 == to).then_some(());
    for _ in 0..4 {
        eventually("the new rule", || leads("/b"));
    }
    tree.file("_redirects", "/a /c\n");
    eventually("the changed rule", || leads("/c"));
    tree.file("_headers", "/*\n X-Site: 1\n");
    eventually("the new field", || server.get("/").field("x-site").map(drop));
    fs::remove_file(tree.at("_redirects")).unwrap();
    eventually("no rule", || leads(""));
    server.get("/").has_status(&[200]);
}

#[test]
fn what_is_not_understood_in_site_files_is_logged_once_with_its_line() {
    let tree = Arc::new(Tree::site());
    tree.file("_redirects", "# x\n/a /b 301 Country=de\n/c /d\n/e /f!\n");
    tree.file("_headers", "/a\n  Content-Length: 5\n");
    let server = Launch::of(Arc::clone(&tree)).workers(2).flags(["--site-files"]).start();
    let redirects = tree.at("_redirects").display().to_string();
    let headers = tree.at("_headers").display().to_string();
    let count = |what: &str| server.log().matches(what).count();
    server.says("the condition", |log| log.contains(&format!("{redirects}:2: conditions such as Country=")));
    server
        .says("the field", |log| log.contains(&format!("{headers}:2: Content-Length is set by the server")));
    assert_eq!(location(&server, "/c"), (301, "/d".to_owned()));
    server.get("/a").has_status(&[404]);
    tree.file("_redirects", "/c /e\n/e /x bad\n");
    server.says("the new version", |log| log.contains(&format!("{redirects}:2: expected a status such as")));
    eventually("the new rule", || (location(&server, "/c").1 == "/e").then_some(()));
    assert_eq!((count("conditions such as"), count("Content-Length is set")), (1, 1));
}

#[test]
fn a_rule_that_leads_back_leaves_the_others_alone() {
    let tree = Tree::site();
    tree.file(
        "_redirects",
        "/d /e 301!\n/e /d 301!\n/e /index.html 301!\n/a /b\n/b /a\n/page.html /x\n/x /page.html\n",
    );
    let redirects = tree.at("_redirects").display().to_string();
    let server = serve(tree, "site_files = true\n", &[]);
    assert_eq!(location(&server, "/d"), (301, "/e".to_owned()));
    assert_eq!(location(&server, "/e"), (301, "/index.html".to_owned()));
    let told = format!("{redirects}:2: line 2 leads back to line 1");
    server.says("the rule that is not used", |log| log.contains(&told));
    let told = format!("{redirects}:5: line 5 leads back to line 4 where there is no file");
    server.says("the rules that lead in a circle", |log| log.contains(&told));
    server.says("the last line", |log| log.contains(&format!("{redirects}:7: line 7 leads back to line 6")));
    assert_eq!(server.log().matches("_redirects:").count(), 3);
    // A file ends the same rules.
    assert_eq!(location(&server, "/x"), (301, "/page.html".to_owned()));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn site_files_are_hidden_by_each_way_to_their_directory() {
    let tree = Tree::site();
    tree.file("_redirects", "/a /b\n");
    tree.file("deep/_headers", "/*\n  X-A: b\n");
    let (root, empty) = (tree.path().to_str().unwrap().to_owned(), Tree::empty());
    let server = serve(
        tree,
        &format!(
            "site_files = true\n[[location]]\npath = '/alias'\nalias = {root:?}\n\
             [[location]]\npath = '/deep'\nroot = {root:?}\n\
             [[location]]\npath = '/_redirects'\nroot = {:?}\nfallback_roots = [{root:?}]\n",
            empty.path().to_str().unwrap(),
        ),
        &[],
    );
    server.get("/alias/page.html").is(200, PAGE);
    for hidden in ["/_redirects", "/alias/_redirects", "/alias//%5Fredirects"] {
        server.get(hidden).has_status(&[404]);
    }
    // Beneath another directory it is a file like others.
    server.get("/deep/_headers").has_status(&[200]);
}

#[test]
fn each_host_has_the_site_files_of_its_root() {
    let (first, second) = (Tree::site(), Tree::site());
    first.file("_redirects", "/a /first\n");
    second.file("_redirects", "/a /second\n");
    let key = |tree: &Tree| format!("root = {:?}\n", tree.path().to_str().unwrap());
    let settings = format!(
        "site_files = true\n[[host]]\nnames = ['one']\n{}[[host]]\nnames = ['two']\n{}\
         [[host]]\nnames = ['off']\nsite_files = false\n{}",
        key(&first),
        key(&second),
        key(&first)
    );
    let server = site(&settings);
    assert_eq!(get(&server, "one", "/a")["location"], "/first");
    assert_eq!(get(&server, "two", "/a")["location"], "/second");
    get(&server, "off", "/a").has_status(&[404]);
    get(&server, "off", "/_redirects").is(200, "/a /first\n");
    get(&server, "three", "/a").has_status(&[404]);
}

#[test]
fn a_loop_that_no_sample_shows_ends_with_500_and_a_line_in_the_log() {
    let server = site(
        "[[rewrite]]\nfrom = '/m/sample'\nto = '/page.html'\n\
         [[rewrite]]\nfrom = '/l/:x'\nto = '/m/:x'\n\
         [[rewrite]]\nfrom = '/m/:x'\nto = '/l/:x'\n",
    );
    server.get("/l/sample").is(200, PAGE);
    server.get("/l/other").has_status(&[500]);
    server.says("the loop", |log| log.contains("more than 10 rewrites of /l/other"));
    // A client can't fill the log.
    server.get("/l/next").has_status(&[500]);
    assert!(!server.log().contains("/l/next"));
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn a_rewrite_shows_no_hidden_file_and_no_file_of_rules() {
    let tree = Tree::site();
    tree.file(".env", "secret");
    tree.file("_headers", "/*\n  X-A: b\n");
    let server = serve(
        tree,
        "site_files = true\n[[rewrite]]\nfrom = '/x/*'\nto = '/:splat'\nstatus = 404\n\
         [[rewrite]]\nfrom = '/y/*'\nto = '/:splat'\n",
        &[],
    );
    server.get("/x/page.html").is(404, PAGE);
    for target in ["/x/.env", "/y/.env", "/x/_headers", "/y/_headers", "/_headers", "/%2e%65nv"] {
        let response = server.get(target);
        response.has_status(&[404]);
        assert!(!response.text().contains("secret") && !response.text().contains("X-A"), "{target}");
    }
}
