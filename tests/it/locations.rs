//! Locations: what is different for the paths beneath one, key by key, and what can't be said.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::configured::{refused, serve, site};
use crate::support::launch::run_with;
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Client, Launch, Response, Tree, eventually, every};

/// A location with these keys, of `path` and a directory.
fn at(path: &str, key: &str, directory: &Tree) -> String {
    format!("[[location]]\npath = {path:?}\n{key} = {:?}\n", directory.path().to_str().unwrap())
}

#[test]
fn a_root_gets_the_whole_path_and_an_alias_what_follows_the_location() {
    let assets = Tree::empty();
    assets.file("static/a.txt", "by root\n");
    assets.file("a.txt", "by alias\n");
    assets.file("index.html", "index by alias\n");
    assets.file("deep/b.txt", "deep by alias\n");
    let server = site(&(at("/static/", "root", &assets) + &at("/files", "alias", &assets)));
    server.get("/static/a.txt").is(200, "by root\n");
    server.get("/files/a.txt").is(200, "by alias\n");
    server.get("/files/").is(200, "index by alias\n");
    server.get("/files/deep/b.txt").is(200, "deep by alias\n");
    server.get("/static/deep/b.txt").has_status(&[404]);
    server.get("/a.txt").has_status(&[404]);
    server.get("/").is(200, INDEX);
    let redirect = server.get("/files?q=1");
    redirect.has_status(&[301]);
    assert_eq!(redirect["location"], "/files/?q=1");
    assert_eq!(server.get("/files/deep")["location"], "/files/deep/");
}

#[test]
fn the_longest_path_counts_whatever_the_order_and_of_two_the_first() {
    let response =
        |path: &str, body: &str| format!("[[location]]\npath = {path:?}\nreturn = {{ body = {body:?} }}\n");
    let server = site(
        &[("/a", "a"), ("/a/b/c", "abc"), ("/a/b", "ab"), ("/a/b", "never"), ("/d/", "d")]
            .map(|(path, body)| response(path, body))
            .concat(),
    );
    for (target, body) in [
        ("/a", "a"),
        ("/a/", "a"),
        ("/a/x", "a"),
        ("/a/bc", "a"),
        ("/a/b", "ab"),
        ("/a/b/cd", "ab"),
        ("/a/b/c/d", "abc"),
        ("/d/", "d"),
        ("/d/x", "d"),
        // As decoded and resolved.
        ("/%61/b", "ab"),
        ("/a%2Fb", "ab"),
        ("/x/..//a/./b/", "ab"),
    ] {
        assert_eq!((target, server.get(target).text().as_str()), (target, body));
    }
    for target in ["/ab", "/d", "/a.html", "/A"] {
        server.get(target).has_status(&[404]);
    }
    server.says("that one never answers", |line| {
        line.contains("may.toml:10: this location never answers: ")
            && line.contains("may.toml:7 has the same path, /a/b")
    });
}

#[test]
fn the_same_names_under_several_roots_never_mix() {
    let own = Tree::empty();
    let others = [Tree::empty(), Tree::empty()];
    own.file("x.txt", "own\n");
    own.file("one/x.txt", "never\n");
    own.file("two/x.txt", "never\n");
    others[0].file("x.txt", "one\n");
    others[0].file("two/x.txt", "one's two\n");
    others[1].file("x.txt", "two\n");
    let locations = at("/one", "alias", &others[0]) + &at("/two/", "alias", &others[1]);
    let server = serve(own, &locations, &[]);
    // Several rounds, so that each is asked for before and after it is cached and watched.
    for _ in 0..6 {
        server.get("/x.txt").is(200, "own\n");
        server.get("/one/x.txt").is(200, "one\n");
        server.get("/two/x.txt").is(200, "two\n");
        server.get("/one/two/x.txt").is(200, "one's two\n");
    }
    others[0].file("x.txt", "one again\n");
    server.get("/one/x.txt").is(200, "one again\n");
    server.get("/x.txt").is(200, "own\n");
    server.get("/two/x.txt").is(200, "two\n");
}

#[test]
fn a_file_and_a_directory_of_one_name_keep_apart_where_only_the_slash_tells_them() {
    let (own, other) = (Tree::empty(), Tree::empty());
    own.file("x", "the file\n");
    other.file("index.html", "the index\n");
    let server = serve(own, &at("/x/", "alias", &other), &[]);
    for _ in 0..4 {
        server.get("/x").is(200, "the file\n");
        server.get("/x/").is(200, "the index\n");
    }
}

#[test]
fn an_alias_can_not_be_left() {
    let place = Tree::empty();
    place.file("secret.txt", "secret\n");
    place.file("public2/secret.txt", "secret\n");
    place.file("public/a.txt", "public\n");
    place.link("public/out.txt", "../secret.txt");
    let alias = place.at("public");
    let locations = format!("[[location]]\npath = \"/p\"\nalias = {:?}\n", alias.to_str().unwrap());
    for sandbox in ["on", "off"] {
        let server = serve(Tree::site(), &locations, &["--sandbox", sandbox]);
        server.get("/p/a.txt").is(200, "public\n");
        server.get("/p/out.txt").has_status(&[403]);
        for target in
            ["/p/../secret.txt", "/p../secret.txt", "/p/..%2fsecret.txt", "/p2/secret.txt", "/p//../../x"]
        {
            let response = server.get(target);
            response.has_status(&[400, 404]);
            assert!(!response.text().contains("secret\n"), "{target}");
        }
    }
}

#[test]
fn a_location_has_an_index_of_its_own() {
    let tree = Tree::site();
    tree.file("one/start.htm", "start\n");
    tree.file("one/two/index.html", "index\n");
    let server = serve(tree, "[[location]]\npath = \"/one\"\nindex = \"start.htm\"\n", &[]);
    let response = server.get("/one/");
    response.is(200, "start\n");
    assert_eq!(response["content-type"], "text/html");
    server.get("/one/two/").has_status(&[403]);
    server.get("/").is(200, INDEX);
}

#[test]
fn what_may_be_kept_says_how_long_and_nothing_else_does() {
    let server = site("[[location]]\npath = \"/\"\nexpires = \"30d\"\n");
    let page = server.get("/page.html");
    page.is(200, PAGE);
    let text = page["last-modified"].clone();
    let date = |response: &Response, name: &str| httpdate::parse_http_date(&response[name]).unwrap();
    let asked = |fields: &str| server.get_with("/page.html", fields);
    for (response, status) in [
        (page, 200),
        (asked("Range: bytes=0-3\r\n"), 206),
        (asked("Range: bytes=0-3,6-7\r\n"), 206),
        (asked(&format!("If-Modified-Since: {text}\r\n")), 304),
    ] {
        response.has_status(&[status]);
        assert_eq!(response.all("cache-control"), ["max-age=2592000"], "{status}");
        // The date is of the second that was last begun.
        let ahead = date(&response, "expires").duration_since(date(&response, "date")).unwrap();
        assert!(ahead.abs_diff(Duration::from_secs(2_592_000)) <= Duration::from_secs(1), "{ahead:?}");
    }
    for (response, status) in [
        (server.get("/absent"), 404),
        (server.get("/dir"), 301),
        (server.get("/bare/"), 403),
        (asked("If-Match: \"x\"\r\n"), 412),
        (asked("Range: bytes=99999-\r\n"), 416),
        (server.ask("POST /page.html HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"), 405),
    ] {
        response.has_status(&[status]);
        assert!(response.field("expires").is_none() && response.field("cache-control").is_none(), "{status}");
    }
}

#[test]
fn cache_control_is_one_field_with_the_age_in_it() {
    let server = site(
        "[[location]]\npath = \"/page.html\"\ncache_control = \"public, immutable\"\nexpires = 60\n\
         [[location]]\npath = \"/text.txt\"\ncache_control = \"no-cache\"\n\
         [[location]]\npath = \"/dir\"\nexpires = 0\n",
    );
    assert_eq!(server.get("/page.html").all("cache-control"), ["public, immutable, max-age=60"]);
    let text = server.get("/text.txt");
    assert_eq!((text.all("cache-control"), text.field("expires")), (vec!["no-cache"], None));
    assert_eq!(server.get("/dir/")["cache-control"], "max-age=0");
    assert_eq!(server.get("/").all("cache-control"), ["no-cache"], "a page");
}

#[test]
fn further_fields_are_on_every_answer_of_the_location() {
    let server = site(
        "[[location]]\npath = \"/\"\nheaders = { X-Frame-Options = \"DENY\", Link = [\"<a>\", \"<b>\"] }\n\
         [[location]]\npath = \"/dir/\"\nheaders.X-Name = \"ü\"\n",
    );
    let text = server.get("/page.html")["etag"].clone();
    for (response, status) in [
        (server.get("/page.html"), 200),
        (server.get_with("/page.html", "Range: bytes=1-2\r\n"), 206),
        (server.get_with("/page.html", &format!("If-None-Match: {text}\r\n")), 304),
        (server.get("/dir"), 301),
        (server.get("/bare/"), 403),
        (server.get("/absent"), 404),
        (server.ask("HEAD /page.html HTTP/1.1\r\nHost: test\r\n\r\n"), 200),
    ] {
        response.has_status(&[status]);
        assert_eq!(response.all("x-frame-options"), ["DENY"], "{status}");
        assert_eq!(response.all("link"), ["<a>", "<b>"], "{status}");
    }
    let other = server.get("/dir/");
    other.is(200, "index of dir\n");
    assert_eq!((other["x-name"].as_str(), other.field("link")), ("ü", None));
}

#[test]
fn a_fixed_response_is_sent_as_it_is_written() {
    let server = site(
        "[[location]]\npath = \"/info\"\nreturn = { status = 200, body = \"test 成功\" }\n\
         [[location]]\npath = \"/data\"\nreturn = { body = '{\"a\":1}', type = \"application/json\" }\n\
         [[location]]\npath = \"/gone\"\nreturn = { status = 410 }\n\
         [[location]]\npath = \"/nothing\"\nreturn = { status = 204 }\n\
         [[location]]\npath = \"/empty\"\nreturn = { status = 200 }\n\
         [[location]]\npath = \"/old\"\nreturn = { status = 308 }\nheaders = { Location = \"/page.html\" }\n\
         [[location]]\npath = \"/busy\"\nreturn = { status = 503, body = \"later\" }\nexpires = 5\n",
    );
    let info = server.get("/info");
    info.is(200, "test 成功");
    assert_eq!(info["content-type"], "text/plain; charset=utf-8");
    assert_eq!(info["content-length"], "11");
    let data = server.get("/data/x?y");
    data.is(200, "{\"a\":1}");
    assert_eq!(data["content-type"], "application/json");
    let gone = server.get("/gone");
    assert!(gone.status == 410 && gone.text().contains("410 Gone"), "{}", gone.text());
    let nothing = server.get("/nothing");
    assert_eq!(
        (nothing.status, nothing.field("content-length"), nothing.field("content-type")),
        (204, None, None)
    );
    server.get("/empty").is(200, "");
    let old = server.get("/old");
    old.has_status(&[308]);
    assert_eq!(old.all("location"), ["/page.html"]);
    let busy = server.get("/busy");
    busy.is(503, "later");
    assert_eq!(busy.field("expires"), None);
    server.get("/information").has_status(&[404]);

    // One after the other on one connection, pipelined, with a HEAD in between.
    let mut client = server.client();
    let ask = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    client
        .send(ask("GET", "/nothing") + &ask("HEAD", "/info") + &ask("GET", "/info") + &ask("POST", "/info"));
    client.response().has_status(&[204]);
    let head = client.response_to_head();
    assert_eq!((head.status, head["content-length"].as_str()), (200, "11"));
    client.response().is(200, "test 成功");
    client.response().has_status(&[405]);
    client.still_serves();
}

#[test]
fn a_location_may_stay_out_of_the_access_log() {
    let quiet = "[[location]]\npath = \"/health\"\naccess_log = false\nreturn = { status = 204 }\n\
                 [[location]]\npath = \"/dir\"\naccess_log = false\n";
    for format in ["combined", "json"] {
        let logs = Tree::empty();
        let log = logs.at("access.log");
        let flags = ["--access-log", log.to_str().unwrap(), "--access-format", format];
        let server = serve(Tree::site(), quiet, &flags);
        // A connection that asks for nothing else leaves no line, not even of its end.
        server.get_with("/health", "Connection: close\r\n").has_status(&[204]);
        let mut client = server.client();
        for target in ["/health", "/page.html", "/dir/", "/dir/absent", "/text.txt"] {
            client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
            client.response();
        }
        drop(client);
        let last = if format == "json" { "\"end\"" } else { "/text.txt" };
        let text = eventually("the last line is written", || {
            let text = fs::read_to_string(&log).unwrap();
            text.ends_with('\n').then_some(text).filter(|text| text.contains(last))
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), if format == "json" { 3 } else { 2 }, "{text}");
        assert!(lines[0].contains("/page.html") && lines[1].contains("/text.txt"), "{text}");
        assert!(format != "json" || lines[2].contains("\"requests\":2"), "{text}");
    }
}

#[test]
fn a_location_stays_out_of_the_access_log_however_a_request_there_ends() {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";
    const LENGTH: &str = "Content-Length: 1000\r\n\r\n";
    let quiet = "[[location]]\npath = \"/quiet\"\naccess_log = false\nreturn = { status = 204 }\n";
    type After = fn(Client) -> Option<Client>;
    let nothing: After = Some;
    let end: After = |client| {
        client.half_close();
        Some(client)
    };
    let reset: After = |client| {
        client.reset();
        None
    };
    // What follows the head's first lines, what the client does then, and the answer, where it hears one.
    let rows: [(String, After, Option<u16>); 10] = [
        (format!("{CHUNKED}GET /page.html HTTP/1.1\r\n\r\n"), nothing, Some(400)),
        (format!("{CHUNKED}5\r\nhelloGET /page.html HTTP/1.1\r\n\r\n"), nothing, Some(400)),
        (format!("{CHUNKED}5\r\nhello\r\n"), nothing, Some(408)),
        (LENGTH.to_owned(), nothing, Some(408)),
        (format!("{LENGTH}a"), end, Some(400)),
        (format!("{CHUNKED}5\r\nhe"), end, Some(400)),
        (format!("{LENGTH}a"), reset, None),
        ("Content-Length: 100000\r\n\r\n".to_owned(), nothing, Some(204)),
        (format!("{CHUNKED}fffff\r\n{}", "x".repeat(80_000)), nothing, Some(204)),
        ("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_owned(), nothing, Some(204)),
    ];
    for format in ["combined", "json"] {
        let logs = Tree::empty();
        let log = logs.at("access.log");
        let flags = ["--access-log", log.to_str().unwrap(), "--access-format", format];
        let server = serve(Tree::site(), quiet, &[&flags[..], &["--head-timeout", "300ms"]].concat());
        for (rest, after, status) in &rows {
            let mut client = server.client();
            client.send(format!("GET /quiet HTTP/1.1\r\nHost: test\r\n{rest}"));
            if let (Some(mut client), Some(status)) = (after(client), status) {
                client.response().has_status(&[*status]);
            }
        }
        for method in ["POST", "DELETE", "BREW"] {
            let mut client = server.client();
            client.send(format!("{method} /quiet HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"));
            client.response().has_status(&[405]);
        }
        // Behind a request that is logged the end is told, and the count is that of lines.
        let mut client = server.client();
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().has_status(&[200]);
        client.send(format!("GET /quiet HTTP/1.1\r\nHost: test\r\n{}", rows[0].0));
        client.response().has_status(&[400]);
        client.half_close();
        client.closed();
        // A head that is malformed belongs to no location, and a muted request before it mutes it not.
        let mut client = server.client();
        client.send("GET /quiet HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        client.response().has_status(&[204]);
        client.response().has_status(&[400]);
        let count = if format == "json" { 3 } else { 2 };
        let text = eventually("the last line is written", || {
            let text = fs::read_to_string(&log).unwrap();
            (text.ends_with('\n') && text.lines().count() >= count).then_some(text)
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), count, "{text}");
        assert!(!text.contains("quiet") && lines[0].contains("/page.html"), "{text}");
        assert!(
            lines[count - 1].contains(if format == "json" { "\"status\":400" } else { "\" 400 " }),
            "{text}"
        );
        if format == "json" {
            assert!(
                lines[1].contains("\"requests\":1,") && lines[1].contains("\"end\":\"rejected\""),
                "{text}"
            );
            assert!(lines[2].contains("\"request\":1,"), "{text}");
        }
    }
}

#[test]
fn networks_say_who_is_answered() {
    let server = site(
        "[[location]]\npath = \"/own\"\nallow = [\"127.0.0.1\"]\ndeny = [\"all\"]\nreturn = { body = \"ok\" }\n\
         [[location]]\npath = \"/not\"\ndeny = [\"127.0.0.2\", \"127.1.0.0/16\"]\nreturn = { body = \"ok\" }\n\
         [[location]]\npath = \"/page.html\"\ndeny = [\"0.0.0.0/0\"]\nheaders = { X-A = \"b\" }\n\
         [[location]]\npath = \"/text.txt\"\ndeny = [\"::/0\"]\n",
    );
    for (source, target, status) in [
        ("127.0.0.1", "/own", 200),
        ("127.0.0.2", "/own", 403),
        ("127.0.0.1", "/not", 200),
        ("127.0.0.2", "/not", 403),
        ("127.1.2.3", "/not", 403),
        ("127.2.0.0", "/not", 200),
        ("127.0.0.1", "/page.html", 403),
        ("127.0.0.1", "//page.html", 403),
        ("127.0.0.1", "/x/../%70age.html", 403),
        ("127.0.0.1", "/text.txt", 200),
        ("127.0.0.2", "/", 200),
    ] {
        let mut client = Client::from_address(source.parse().unwrap(), server.address());
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let response = client.response();
        assert_eq!((source, target, response.status), (source, target, status));
        assert_eq!(response.field("x-a").is_some(), target.ends_with("age.html"));
    }
}

#[test]
fn an_ipv4_client_of_a_socket_for_both_families_is_one() {
    let locations = "[[location]]\npath = \"/\"\nallow = [\"127.0.0.1\"]\ndeny = [\"all\"]\n";
    let settings = Tree::empty();
    let file = settings.file("may.toml", locations);
    let server = Launch::site().listen(&["*:0"]).flags(["-c", file.to_str().unwrap()]).start();
    let port = server.address().port();
    for (address, status) in [("[::1]", 403), ("127.0.0.1", 200)] {
        let mut client = Client::connect(format!("{address}:{port}").parse().unwrap());
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.response().status, status, "{address}");
    }
}

#[test]
fn a_network_of_mapped_addresses_counts_for_ipv4_clients() {
    let settings = Tree::empty();
    let file = settings.file("may.toml", "[[location]]\npath = \"/\"\ndeny = [\"::ffff:127.0.0.0/104\"]\n");
    let flags = ["-c", file.to_str().unwrap()];
    let server = Launch::site().listen(&["*:0"]).flags(flags).start();
    let port = server.address().port();
    for (address, status) in [("127.0.0.1", 403), ("[::1]", 200)] {
        let mut client = Client::connect(format!("{address}:{port}").parse().unwrap());
        client.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.response().status, status, "{address}");
    }
    let dumped = run_with(&["-T", flags[0], flags[1]]).output;
    assert!(dumped.contains("deny = [\"127.0.0.0/8\"]"), "{dumped}");
}

#[test]
fn a_network_of_ipv4_addresses_and_others_is_an_error_with_file_line_and_key() {
    let settings = Tree::empty();
    for network in ["::ffff:0:0/95", "::ffff:127.0.0.0/90", "::/80", "::/8"] {
        for (text, line, key) in [
            (format!("[[location]]\npath = \"/\"\ndeny = [\"{network}\"]\n"), 3, "deny"),
            (format!("[[location]]\npath = \"/\"\nallow = [\"::1\", \"{network}\"]\n"), 3, "allow"),
            (format!("port = 80\ntrusted_proxies = [\"{network}\"]\n"), 2, "trusted_proxies"),
        ] {
            let file = settings.file("may.toml", text);
            let finished = run_with(&["-t", "-c", file.to_str().unwrap()]);
            let place = format!("{}:{line}:", file.display());
            assert_eq!(finished.code, Some(2), "{network}: {finished:?}");
            let told = finished.errors.contains(&place)
                && finished.errors.contains(&format!("{key}: invalid value"));
            assert!(told, "{network}: {finished:?}");
        }
        let finished = run_with(&["-t", "--trusted-proxies", network]);
        assert!(finished.code == Some(2) && finished.errors.contains("--trusted-proxies"), "{finished:?}");
    }
}

#[test]
fn hidden_names_stay_hidden_unless_the_location_names_them_and_their_files() {
    let (own, other) = (Tree::site(), Tree::empty());
    own.file(".git/config", "secret\n");
    own.file(".env", "secret\n");
    other.file("a.txt", "shown\n");
    other.file(".env", "secret\n");
    other.file("sub/.env", "secret\n");
    let locations = at("/.files/", "alias", &other)
        + "[[location]]\npath = \"/.env\"\naccess_log = false\n[[location]]\npath = \"/.git/\"\ndeny = [\"all\"]\n";
    let server = serve(own, &locations, &[]);
    server.get("/.files/a.txt").is(200, "shown\n");
    for target in ["/.files/.env", "/.files/sub/.env", "/.env"] {
        server.get(target).has_status(&[404]);
    }
    server.get("/.git/config").has_status(&[403]);
    let all = serve(Tree::site(), &at("/f", "alias", &other), &["--dotfiles", "serve"]);
    all.get("/f/sub/.env").is(200, "secret\n");
}

#[test]
fn a_directory_of_a_location_is_listed_under_its_path() {
    let other = Tree::empty();
    other.file("a b.txt", "x");
    let server = serve(Tree::site(), &at("/files/", "alias", &other), &["--listing"]);
    let page = server.get("/files/").text();
    assert!(page.contains("Index of /files/") && page.contains("href=\"a%20b.txt\""), "{page}");
}

#[test]
fn locations_stand_beside_the_welcome_page_too() {
    let (settings, other) = (Tree::empty(), Tree::empty());
    other.file("a.txt", "a\n");
    let file = settings.file("may.toml", at("/files", "alias", &other));
    let server = Launch::rootless().flags(["-c", file.to_str().unwrap()]).start();
    server.get("/files/a.txt").is(200, "a\n");
    assert!(server.get("/").text().contains("mayhttpd"));
    server.get("/files").has_status(&[301]);
    server.get("/a.txt").has_status(&[404]);
}

#[test]
fn a_reload_takes_up_the_locations_and_a_bad_one_changes_nothing() {
    let other = Tree::empty();
    other.file("a.txt", "a\n");
    let server = site("[[location]]\npath = \"/info\"\nreturn = { body = \"before\" }\n");
    server.get("/info").is(200, "before");
    server.settings.file("may.toml", "[[location]]\npath = \"/info\"\nretrun = { body = \"after\" }\n");
    server.signal(Signal::HUP);
    server.says("what is wrong", |line| {
        line.contains("the reload failed")
            && line.contains("may.toml:3:1: retrun: unknown key (did you mean return?)")
    });
    server.get("/info").is(200, "before");
    server.settings.file("may.toml", at("/files", "alias", &other));
    server.signal(Signal::HUP);
    eventually("the new locations are there", || (server.get("/files/a.txt").status == 200).then_some(()));
    // The worker of before may still take who comes while it is being told.
    eventually("the old ones are gone", || (server.get("/info").status == 404).then_some(()));
    server.get("/files/a.txt").is(200, "a\n");
    // A directory that is gone is told before anything changes.
    server.settings.file("may.toml", "[[location]]\npath = \"/x\"\nroot = \"/absent/dir\"\n");
    server.signal(Signal::HUP);
    server.says("which directory is not there", |line| {
        line.contains("the reload failed") && line.contains("cannot serve /absent/dir: no such file")
    });
    server.get("/files/a.txt").is(200, "a\n");
}

#[test]
fn a_location_follows_its_directory_to_where_the_path_leads() {
    for sandbox in ["on", "off"] {
        let place = Tree::empty();
        place.file("releases/1/v.txt", "old\n");
        place.file("releases/2/v.txt", "new\n");
        place.link("current", "releases/1");
        place.link("next", "releases/2");
        let alias = place.at("current");
        let locations = format!("[[location]]\npath = \"/app\"\nalias = {:?}\n", alias.to_str().unwrap());
        let server = serve(Tree::site(), &locations, &["--sandbox", sandbox, "--cache-valid", "0"]);
        server.get("/app/v.txt").is(200, "old\n");
        server.get("/page.html").is(200, PAGE);
        fs::rename(place.at("next"), &alias).unwrap();
        eventually("the new directory is served", || {
            let response = server.get("/app/v.txt");
            assert!(matches!(response.body.as_slice(), b"old\n" | b"new\n"), "{}", response.text());
            (response.body == b"new\n").then_some(())
        });
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_changed_file_of_a_location_shows_in_the_next_request() {
    let other = Tree::empty();
    other.file("a.txt", "1\n");
    let server = site(&at("/files", "alias", &other));
    for round in 0..20 {
        let body = format!("{round}\n");
        other.file("a.txt", &body);
        // Often enough that it is cached and watched.
        (0..4).for_each(|_| server.get("/files/a.txt").is(200, &body));
    }
    fs::remove_file(other.at("a.txt")).unwrap();
    server.get("/files/a.txt").has_status(&[404]);
}

#[test]
fn a_directory_that_is_not_there_ends_the_start() {
    let finished = refused("[[location]]\npath = \"/x\"\nalias = \"/absent/dir\"\n");
    assert_eq!(finished, "mayhttpd: cannot serve /absent/dir: no such file or directory\n");
}

#[test]
fn what_a_location_can_not_say_is_told_with_its_place() {
    every(
        [
            ("pth = \"/\"", "2:1: pth: unknown key (did you mean path?)"),
            ("root = \"/srv\"", "1:1: location: has no path (each location needs one)"),
            ("path = \"/\"\nexpires = \"30 dys\"", "3:11: expires: invalid value \"30 dys\" (expected a time from 0"),
            ("path = \"/\"\nroot = \"/a\"\nalias = \"/b\"", "4:1: alias: can't be combined with root"),
            (
                "path = \"/\"\nheaders.X-A = \"b\\r\\nX-C: d\"",
                "3:15: headers.X-A: invalid value \"b\\r\\nX-C: d\" (a field is one line, without control characters)",
            ),
            (
                "path = \"/\"\nheaders = { Content-Length = \"1\" }",
                "3:13: headers.Content-Length: is set by the server itself",
            ),
            (
                "path = \"/\"\ndeny = [\"all\"]\nallow = [\"10.0.0.0/8\"]",
                "4:10: allow: invalid value \"10.0.0.0/8\" (never applies: deny has all before it)",
            ),
            ("path = \"/\"\nworkers = 2", "3:1: workers: is not allowed in a location (put it above the first "),
        ]
        .map(|row| (row.0, row)),
        |(keys, words)| {
            let found = refused(&format!("[[location]]\n{keys}\n"));
            assert!(found.starts_with(&format!("mayhttpd: FILE:{words}")), "{found}");
        },
    );
}

#[test]
fn a_dump_has_the_locations_and_is_a_file_of_the_same() {
    let settings = Tree::empty();
    let text = "[[location]]\npath = \"/a\"\nexpires = \"1d\"\nallow = [\"::1\"]\ndeny = [\"all\"]\n";
    let file = settings.file("may.toml", text);
    let dump = |file: &std::path::Path| run_with(&["-T", "-c", file.to_str().unwrap()]).output;
    let first = dump(&file);
    let origin = format!("\n[[location]]  # {}:1\npath = \"/a\"\nallow = [\"::1\"]\n", file.display());
    assert!(first.contains(&origin) && first.contains("\nexpires = \"86400s\"\n"), "{first}");
    let again = settings.file("again.toml", &first);
    let tables =
        |dump: &str| dump.split("[[location]]").nth(1).unwrap().split_once('\n').unwrap().1.to_owned();
    assert_eq!(tables(&dump(&again)), tables(&first));
}
