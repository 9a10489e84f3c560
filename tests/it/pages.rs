//! Pages: those for errors, the one of a single-page application, and paths without an extension.

use std::fs;

use crate::support::configured::{Configured, refused, serve, site};
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Tree, eventually, every};

/// A site of pages.
fn tree() -> Tree {
    let tree = Tree::empty();
    tree.file("index.html", "home");
    tree.file("404.html", "not here");
    tree.file("about.html", "about");
    tree.file("team/index.html", "team");
    tree.file("both", "file");
    tree.file("both.html", "page");
    tree.file("data.json", "{}");
    tree.dir("bare");
    tree.dir("bare2");
    tree.file("bare2.html", "bare2");
    tree
}

#[track_caller]
fn redirects(server: &Configured, target: &str, location: &str) {
    let response = server.get(target);
    response.has_status(&[301]);
    assert_eq!(response["location"], location, "{target}");
}

#[test]
fn an_error_has_the_page_of_its_status_or_of_its_class() {
    let settings = "error_pages = { 404 = '/404.html', 4xx = { body = 'no', type = 'text/x-no' } }\n\
                    [[location]]\npath = '/gone'\nreturn = { status = 410 }\n\
                    [[location]]\npath = '/text'\nreturn = { status = 404, body = 'own text' }\n\
                    [[location]]\npath = '/own/'\nerror_pages = { 404 = { body = '<p>', type = 'text/html' } }\n\
                    [[location]]\npath = '/none/'\nerror_pages = {}\n";
    let server = serve(tree(), settings, &[]);
    let absent = server.get("/absent");
    absent.is(404, "not here");
    assert_eq!(absent["content-type"], "text/html");
    assert_eq!((absent.field("etag"), absent.field("last-modified")), (None, None));
    let refused = server.get("/bare/");
    refused.is(403, "no");
    assert_eq!(refused["content-type"], "text/x-no");
    server.get("/gone").is(410, "no");
    server.get("/text").is(404, "own text");
    server.get("/own/x").is(404, "<p>");
    assert!(server.get("/none/x").text().contains("<h1>404 Not Found</h1>"));
    // The page has no conditions and no ranges of its own.
    let fields =
        "If-None-Match: *\r\nIf-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT\r\nRange: bytes=0-1\r\n";
    server.get_with("/absent", fields).is(404, "not here");
    let mut client = server.client();
    client.send("HEAD /absent HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.response_to_head();
    head.has_status(&[404]);
    assert_eq!(head.length(), Some(8));
    // Fields of the error stay.
    let unsatisfiable = server.get_with("/data.json", "Range: bytes=9-\r\n");
    unsatisfiable.is(416, "no");
    assert_eq!(unsatisfiable["content-range"], "bytes */2");
    // The page itself is an ordinary file.
    server.get("/404.html").is(200, "not here");
}

#[test]
fn an_error_of_the_server_has_the_page_of_its_class() {
    let tree = tree();
    tree.file("sorry.html", "sorry");
    let settings = "error_pages = { 5xx = '/sorry.html', 500 = { body = 'broken' } }\n\
                    [[location]]\npath = '/down'\nreturn = { status = 503 }\nheaders = { Retry-After = '60' }\n\
                    [[location]]\npath = '/broken'\nreturn = { status = 500 }\n\
                    [[location]]\npath = '/gone'\nreturn = { status = 410 }\n";
    let server = serve(tree, settings, &[]);
    for _ in 0..3 {
        let down = server.get("/down");
        down.is(503, "sorry");
        assert_eq!((down["content-type"].as_str(), down["retry-after"].as_str()), ("text/html", "60"));
        assert_eq!((down.field("etag"), down.field("last-modified")), (None, None));
        server.get("/broken").is(500, "broken");
        assert!(server.get("/gone").text().contains("410 Gone"));
        assert!(server.get("/absent").text().contains("404 Not Found"));
    }
    let mut client = server.client();
    client.send("HEAD /down HTTP/1.1\r\nHost: test\r\n\r\n");
    let head = client.response_to_head();
    assert_eq!((head.status, head.length()), (503, Some(5)));
}

#[test]
fn a_request_that_is_refused_before_its_file_is_looked_for_has_the_page_too() {
    let settings = "error_pages = { 4xx = '/404.html' }\nunknown_hosts = 'reject'\nheaders = { X-Top = 'a' }\n\
                    [[header]]\npath = '/**'\nstatus = [405]\nset = { X-Rule = 'b' }\n\
                    [[host]]\nnames = ['test']\n\
                    [[host.location]]\npath = '/text/'\nerror_pages = { 405 = { body = 'no' } }\n";
    let server = serve(tree(), settings, &[]);
    for (raw, status, body) in [
        ("POST /absent HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", 405, "not here"),
        ("POST /text/x HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", 405, "no"),
        ("GET /%zz HTTP/1.1\r\nHost: test\r\n\r\n", 400, "not here"),
        ("GET /absent HTTP/1.1\r\nHost: other\r\n\r\n", 421, "not here"),
    ] {
        let response = server.ask(raw);
        response.is(status, body);
        assert_eq!(response.field("x-top"), Some("a"), "{raw}");
        assert_eq!(response.field("x-rule"), (status == 405).then_some("b"), "{raw}");
        assert_eq!(response.field("allow").is_some(), status == 405, "{raw}");
    }
}

#[test]
fn a_changed_error_page_shows_and_a_missing_one_is_logged_once() {
    let server = serve(tree(), "error_pages = { 404 = '/404.html' }\n", &[]);
    server.get("/absent").is(404, "not here");
    server.server.tree().file("404.html", "new");
    eventually("the new page", || (server.get("/absent").body == b"new").then_some(()));
    fs::remove_file(server.server.tree().at("404.html")).unwrap();
    eventually("the built-in page", || server.get("/absent").text().contains("404 Not Found").then_some(()));
    (0..5).for_each(|_| server.get("/absent").has_status(&[404]));
    server.says("the missing page", |log| log.contains("no error page at /404.html: there is no such file"));
    assert_eq!(server.log().matches("no error page").count(), 1, "{}", server.log());
}

#[test]
fn a_large_error_page_is_sent_whole() {
    let tree = tree();
    let large = vec![b'x'; 300_000];
    tree.file("large.html", &large);
    let server = serve(tree, "error_pages = { 404 = '/large.html' }\n", &[]);
    for _ in 0..3 {
        server.get("/absent").is(404, &large);
    }
}

#[test]
fn a_path_without_a_file_is_the_application_for_browsers_alone() {
    for flags in [&["--spa"][..], &["--fallback", "/index.html"]] {
        let server = serve(tree(), "", flags);
        let page = server.get_with("/deep/link", "Accept: text/html,*/*;q=0.8\r\n");
        page.is(200, "home");
        assert_eq!(page["vary"], "Accept");
        server.get("/deep/link/").is(200, "home");
        server.get("/bare/").is(200, "home");
        let etag = page["etag"].to_owned();
        let unchanged = server.get_with("/other", &format!("If-None-Match: {etag}\r\n"));
        unchanged.has_status(&[304]);
        let data = server.get_with("/api/users", "Accept: application/json\r\n");
        data.has_status(&[404]);
        assert_eq!(data["vary"], "Accept");
        for target in ["/app.js", "/x/y.css", "/.env"] {
            let missing = server.get_with(target, "Accept: text/html\r\n");
            missing.has_status(&[404]);
            assert_eq!(missing.field("vary"), None);
        }
        server.get("/about.html").is(200, "about");
        redirects(&server, "/team", "/team/");
        server.ask("POST /deep/link HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").has_status(&[405]);
        let mut client = server.client();
        client.send("HEAD /deep/link HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response_to_head().has_status(&[200]);
    }
}

#[test]
fn a_location_may_have_another_application_or_none() {
    let settings = "spa = true\n[[location]]\npath = '/about'\nfallback = '/about.html'\n\
                    [[location]]\npath = '/api'\nspa = false\n[[location]]\npath = '/raw'\nfallback = false\n";
    let server = serve(tree(), settings, &[]);
    server.get("/x/y").is(200, "home");
    server.get("/about/y").is(200, "about");
    server.get("/api/y").has_status(&[404]);
    server.get("/raw/y").has_status(&[404]);
}

#[test]
fn pages_have_paths_without_their_extension() {
    let server = serve(tree(), "", &["--clean-urls"]);
    for _ in 0..3 {
        server.get("/about").is(200, "about");
        server.get("/team").is(200, "team");
        server.get("/team/").is(200, "team");
        server.get("/").is(200, "home");
        redirects(&server, "/about.html", "/about");
        redirects(&server, "/about.html?a=b&c", "/about?a=b&c");
        redirects(&server, "/team/index.html", "/team/");
        redirects(&server, "/index.html", "/");
        redirects(&server, "/about/", "/about");
        // Another file has the path without the extension.
        server.get("/both").is(200, "file");
        server.get("/both.html").is(200, "page");
        server.get("/bare2").is(200, "bare2");
        redirects(&server, "/bare", "/bare/");
        server.get("/data.json").is(200, "{}");
        for target in
            ["/absent", "/absent.html", "/absent/", "/about.html.html", "/data", "/data.json.html", "/.html"]
        {
            server.get(target).has_status(&[404]);
        }
    }
    assert_eq!(server.get("/about")["content-type"], "text/html");
    server.server.tree().file("new.html", "new");
    server.get("/new").is(200, "new");
    fs::remove_file(server.server.tree().at("new.html")).unwrap();
    eventually("the page is gone", || (server.get("/new").status == 404).then_some(()));
}

#[test]
fn a_clean_path_is_answered_from_its_own_location_alone() {
    let (tree, docs, other) = (tree(), Tree::empty(), Tree::empty());
    tree.file("staff/index.html", "secret");
    tree.file("x", "file of the root");
    tree.file("x.html", "page of the root");
    tree.file("report.html", "report");
    docs.file(".html", "hidden");
    other.file("x", "file of the location");
    let settings = format!(
        "clean_urls = true\n[[location]]\npath = '/staff/'\ndeny = ['all']\n\
         [[location]]\npath = '/docs'\nalias = {:?}\n[[location]]\npath = '/x'\nroot = {:?}\n\
         [[location]]\npath = '/report.html'\nheaders = {{ X-A = '1' }}\n",
        docs.path().to_str().unwrap(),
        other.path().to_str().unwrap()
    );
    let server = serve(tree, &settings, &[]);
    for _ in 0..3 {
        server.get("/staff/").has_status(&[403]);
        redirects(&server, "/staff", "/staff/");
        server.get("/docs").has_status(&[301, 403, 404]);
        server.get("/docs/").has_status(&[403, 404]);
        server.get("/x.html").is(200, "page of the root");
        server.get("/x").is(200, "file of the location");
        // Without its extension it would belong to another location.
        server.get("/report.html").is(200, "report");
    }
}

#[test]
fn a_page_that_a_rewrite_leads_to_is_sent_for_the_path_that_was_asked_for() {
    let settings = "clean_urls = true\n[[rewrite]]\nfrom = '/'\nto = '/index.html'\n\
                    [[rewrite]]\nfrom = '/*'\nto = '/about.html'\nif_missing = true\n";
    let server = serve(tree(), settings, &[]);
    server.get("/").is(200, "home");
    server.get("/deep/link").is(200, "about");
    redirects(&server, "/about.html", "/about");
}

#[test]
fn a_redirect_to_a_clean_path_stays_on_the_site() {
    let tree = Tree::empty();
    tree.file("evil.example/x.html", "x");
    let server = serve(tree, "clean_urls = true\n", &[]);
    redirects(&server, "//evil.example/x.html", "/evil.example/x");
    redirects(&server, "/%2F/evil.example/x.html", "/evil.example/x");
}

#[test]
fn a_file_of_the_release_before_is_found_but_no_page() {
    let previous = Tree::empty();
    previous.file("assets/app-1a2b3c4d.js", "old");
    previous.file("page.html", "old page");
    previous.file("old.html", "old page");
    previous.file("index.html", "old index");
    let before = Tree::empty();
    before.file("assets/app-00000000.js", "older");
    let roots = [&previous, &before].map(|tree| format!("{:?}", tree.path().to_str().unwrap())).join(", ");
    let settings =
        format!("fallback_roots = [{roots}]\n[[location]]\npath = '/none/'\nfallback_roots = []\n");
    let server = site(&settings);
    for _ in 0..3 {
        server.get("/assets/app-1a2b3c4d.js").is(200, "old");
        server.get("/assets/app-00000000.js").is(200, "older");
        server.get("/page.html").is(200, PAGE);
        server.get("/").is(200, INDEX);
        server.get("/old.html").has_status(&[404]);
        server.get("/assets/").has_status(&[404]);
        server.get("/assets/absent.js").has_status(&[404]);
        server.get("/none/assets/app-1a2b3c4d.js").has_status(&[404]);
    }
    let ranged = server.get_with("/assets/app-1a2b3c4d.js", "Range: bytes=1-1\r\n");
    ranged.is(206, "l");
    server.server.tree().file("assets/app-1a2b3c4d.js", "new");
    eventually("the file of this release", || {
        (server.get("/assets/app-1a2b3c4d.js").body == b"new").then_some(())
    });
}

#[test]
fn security_fields_stand_on_every_response_and_give_way_to_headers() {
    let server = serve(tree(), "headers = { Referrer-Policy = 'no-referrer' }\n", &["--security-headers"]);
    for target in ["/", "/absent", "/bare/"] {
        let response = server.get(target);
        assert_eq!(response["x-content-type-options"], "nosniff");
        assert_eq!(response["content-security-policy"], "frame-ancestors 'self'");
        assert_eq!(response["cross-origin-opener-policy"], "same-origin");
        assert_eq!(response.all("referrer-policy"), ["no-referrer"]);
        assert!(response["permissions-policy"].contains("geolocation=()"));
        assert_eq!(response.field("strict-transport-security"), None);
    }
    assert_eq!(serve(tree(), "", &[]).get("/").field("x-content-type-options"), None);
}

#[test]
fn scripts_of_allowed_sites_may_read() {
    let settings = "cors = { origins = ['https://app.example'], headers = ['Authorization'], credentials = true, \
                    max_age = '1d' }\n[[location]]\npath = '/open/'\ncors = { origins = ['*'] }\n\
                    [[location]]\npath = '/closed/'\ncors = false\n";
    let server = serve(tree(), settings, &[]);
    let allowed = server.get_with("/data.json", "Origin: https://app.example\r\n");
    allowed.is(200, "{}");
    assert_eq!(allowed["access-control-allow-origin"], "https://app.example");
    assert_eq!(allowed["access-control-allow-credentials"], "true");
    assert_eq!(allowed["vary"], "Origin");
    for fields in ["", "Origin: https://evil.example\r\n", "Origin: null\r\n"] {
        let response = server.get_with("/data.json", fields);
        response.is(200, "{}");
        assert_eq!(
            (response.field("access-control-allow-origin"), response.field("vary")),
            (None, Some("Origin"))
        );
    }
    let preflight = |target: &str, origin: &str| {
        server.ask(format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\
             Access-Control-Request-Headers: authorization\r\n\r\n"
        ))
    };
    let response = preflight("/data.json", "https://app.example");
    response.is(204, "");
    assert_eq!(response["access-control-allow-methods"], "GET, HEAD");
    assert_eq!(response["access-control-allow-headers"], "authorization");
    assert_eq!(response["access-control-max-age"], "86400");
    assert_eq!(preflight("/data.json", "https://x.example").field("access-control-allow-methods"), None);
    assert_eq!(preflight("/open/x", "https://x.example")["access-control-allow-origin"], "*");
    assert_eq!(preflight("/closed/x", "https://app.example").field("access-control-allow-origin"), None);
    let missing = server.get_with("/absent", "Origin: https://app.example\r\n");
    missing.has_status(&[404]);
    assert_eq!(missing["access-control-allow-origin"], "https://app.example");
}

#[test]
fn whatever_is_wrong_is_named_with_its_line() {
    every(
        [
            ("error_pages = 1", "1:15: error_pages: is an integer (expected a table: { 404 = \"/PATH\", "),
            (
                "error_pages = { 200 = '/x' }",
                "1:17: error_pages.200: is no status of an error (expected 400 to ",
            ),
            ("error_pages = { 4x = '/x' }", "1:17: error_pages.4x: is no status of an error"),
            (
                "error_pages = { 404 = 'x' }",
                "1:23: error_pages.404: invalid value \"x\" (expected a path of the ",
            ),
            (
                "error_pages = { 404 = '/x?y' }",
                "1:23: error_pages.404: invalid value \"/x?y\" (expected a path ",
            ),
            (
                "error_pages = { 404 = '/../x' }",
                "1:23: error_pages.404: invalid value \"/../x\" (expected a path ",
            ),
            (
                "error_pages = { 404 = 1 }",
                "1:23: error_pages.404: is an integer (expected a string or a table: ",
            ),
            ("error_pages = { 404 = {} }", "1:17: error_pages.404: has no body"),
            ("error_pages = { 404 = { bdy = 'x' } }", "1:25: bdy: unknown key (did you mean body?)"),
            (
                "fallback = 'x'",
                "1:12: fallback: invalid value \"x\" (expected a path of the site, for example ",
            ),
            ("fallback = true", "1:12: fallback: is a boolean (expected false or a string: PATH|off)"),
            ("spa = true\nfallback = '/x'", "2:12: fallback: can't be combined with spa"),
            ("fallback_roots = '/x'", "1:18: fallback_roots: is a string (expected a list of strings: DIR)"),
            ("fallback_roots = ['']", "1:19: fallback_roots: invalid value \"\" (expected a directory)"),
            ("cors = true", "1:8: cors: is a boolean (expected false or a table: { origins, methods, "),
            ("cors = {}", "1:8: cors: has no origins"),
            (
                "cors = { origins = ['app.example'] }",
                "1:21: origins: invalid value \"app.example\" (expected an origin as ",
            ),
            (
                "cors = { origins = ['https://a/'] }",
                "1:21: origins: invalid value \"https://a/\" (expected an origin as ",
            ),
            ("cors = { origins = ['*', 'https://a'] }", "1:10: origins: \"*\" stands alone"),
            (
                "cors = { origins = ['*'], credentials = true }",
                "1:27: credentials: can't be combined with origins = ",
            ),
            (
                "cors = { origins = ['https://a'], methods = ['PUT'] }",
                "1:46: methods: invalid value \"PUT\" (expected ",
            ),
            (
                "cors = { origins = ['https://a'], headers = ['a b'] }",
                "1:46: headers: invalid value \"a b\" (expected ",
            ),
        ]
        .map(|row| (row.0, row)),
        |(text, words)| {
            let found = refused(text);
            assert!(found.starts_with(&format!("mayhttpd: FILE:{words}")), "{found}");
        },
    );
}
