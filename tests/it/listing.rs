//! Listings: what a directory without an index shows to people and to programs, and what making it costs.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::configured::serve;
use crate::support::exposition::Exposition;
use crate::support::tree::CHANGED;
use crate::support::{Launch, Response, Server, Tree, eventually, every, skipped};

/// Files with these names are in every way odd; each with its link and its text on the page.
const HOSTILE: &[(&[u8], &str, &str)] = &[
    (b"<script>alert(1)", "%3Cscript%3Ealert%281%29", "&lt;script&gt;alert(1)"),
    (b"\" onclick=\"x", "%22%20onclick%3D%22x", "&quot; onclick=&quot;x"),
    (b"' onclick='x", "%27%20onclick%3D%27x", "&#39; onclick=&#39;x"),
    (b"javascript:alert(1)", "javascript%3Aalert%281%29", "javascript:alert(1)"),
    (b"data:text,x", "data%3Atext%2Cx", "data:text,x"),
    (b"&amp;&lt;", "%26amp%3B%26lt%3B", "&amp;amp;&amp;lt;"),
    (b"new\nline\r\ttab", "new%0Aline%0D%09tab", "new\u{fffd}line\u{fffd}\u{fffd}tab"),
    (b"\x1b[31m\x7f", "%1B%5B31m%7F", "\u{fffd}[31m\u{fffd}"),
    (b"latin-\xe9\xff", "latin-%E9%FF", "latin-\u{fffd}\u{fffd}"),
    (b"\\\\host\\share", "%5C%5Chost%5Cshare", "\\\\host\\share"),
    (b"a?b#c%2F", "a%3Fb%23c%252F", "a?b#c%2F"),
    (b"-- >", "--%20%3E", "-- &gt;"),
    ("\u{202e}gpj.exe".as_bytes(), "%E2%80%AEgpj.exe", "\u{fffd}gpj.exe"),
    ("\u{5e9}\u{5dc}\u{5d5}\u{5dd}".as_bytes(), "%D7%A9%D7%9C%D7%95%D7%9D", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}"),
    (b"~tilde_-.x", "~tilde_-.x", "~tilde_-.x"),
    (b" ", "%20", " "),
    (b"...", "...", "..."),
];

/// The names of a page's rows, in their order, as they are on the page.
#[track_caller]
fn names(page: &Response) -> Vec<String> {
    page.has_status(&[200]);
    let text = page.text();
    let Some((_, rows)) = text.split_once("<tbody>") else { return Vec::new() };
    let names = rows.split("<bdi>").skip(1).map(|rest| rest.split("</bdi>").next().unwrap().to_owned());
    names.collect()
}

#[track_caller]
fn json(page: &Response) -> Vec<Value> {
    page.has_status(&[200]);
    assert_eq!(page["content-type"], "application/json");
    match serde_json::from_slice(&page.body) {
        Ok(Value::Array(entries)) => entries,
        other => panic!("no array: {other:?} in {}", page.text()),
    }
}

/// The jobs for listings that have ended.
fn jobs(server: &Server) -> f64 {
    Exposition::of(server.admin_address()).sum("mayhttpd_background_jobs_ended_total", "kind=\"list\"")
}

/// A directory with two directories and three files, of different sizes and times.
fn sorted_tree() -> Tree {
    let tree = Tree::empty();
    tree.dir("list/beta");
    tree.dir("list/alpha");
    for (name, size, later) in [("b.txt", 3000, 1), ("a.txt", 20, 3), ("C.txt", 100_000, 2)] {
        tree.file(format!("list/{name}"), vec![b'x'; size]);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + later * 86_400);
        tree.modified(format!("list/{name}"), time);
    }
    tree
}

#[test]
fn a_listing_has_name_size_and_time() {
    let server = Server::of(sorted_tree(), &["--listing"]);
    let page = server.get("/list/");
    let text = page.text();
    assert_eq!(page["content-type"], "text/html; charset=utf-8");
    for part in [
        "<title>Index of /list/</title>",
        "<caption>2 folders, 3 files, 101 KiB</caption>",
        "<a class=\"d\" href=\"alpha/\"><bdi>alpha/</bdi></a></th><td></td>",
        "<a href=\"b.txt\"><bdi>b.txt</bdi></a></th><td title=\"3,000 bytes\">2.9 KiB</td>\
         <td><time datetime=\"2020-09-14T12:26:40Z\">2020-09-14 12:26</time></td>",
        "<li><a href=\"../\"><bdi>Home</bdi></a></li>",
        "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name</a></th>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(names(&server.get("/")), ["list/"]);
}

#[test]
fn without_a_script_a_page_has_links_and_no_box_to_filter_by() {
    let server = Server::of(sorted_tree(), &["--listing"]);
    let text = server.get("/list/").text();
    // The script makes the box, because nothing else could use it.
    assert!(!text.contains("<input") && !text.contains("<form") && !text.contains("onclick"), "{text}");
    let rows: Vec<&str> = text.split("<tr>").filter(|row| row.starts_with("<th scope=\"row\">")).collect();
    assert_eq!(rows.len(), 5);
    for row in rows {
        assert_eq!((row.matches("<a ").count(), row.matches(" href=\"").count()), (1, 1), "{row}");
    }
}

#[test]
fn the_query_sorts_and_folders_are_first() {
    let server = Server::of(sorted_tree(), &["--listing"]);
    let by_name = ["alpha/", "beta/", "C.txt", "a.txt", "b.txt"];
    let rows = [
        ("", by_name),
        ("?sort=name", by_name),
        ("?sort=name&order=desc", ["beta/", "alpha/", "b.txt", "a.txt", "C.txt"]),
        ("?sort=size", ["alpha/", "beta/", "a.txt", "b.txt", "C.txt"]),
        ("?sort=size&order=desc", ["alpha/", "beta/", "C.txt", "b.txt", "a.txt"]),
        ("?sort=colour&order=sideways", by_name),
        ("?utm_source=x&sort=size&&", ["alpha/", "beta/", "a.txt", "b.txt", "C.txt"]),
        ("?<script>", by_name),
    ];
    every(rows.map(|(query, expected)| (query, (query, expected))), |(query, expected)| {
        assert_eq!(names(&server.get(format!("/list/{query}"))), expected);
    });
    // The directories are of this moment and may have the same time.
    for (query, expected) in [("asc", ["b.txt", "C.txt", "a.txt"]), ("desc", ["a.txt", "C.txt", "b.txt"])] {
        assert_eq!(names(&server.get(format!("/list/?sort=time&order={query}")))[2..], expected);
        let entries = json(&server.get(format!("/list/?format=json&sort=time&order={query}")));
        let files: Vec<_> = entries[2..].iter().map(|entry| entry["name"].as_str().unwrap()).collect();
        assert_eq!(files, expected);
    }
}

#[test]
fn json_has_name_type_size_and_time() {
    let tree = sorted_tree();
    let _socket = UnixListener::bind(tree.at("list/socket")).unwrap();
    for (name, target) in
        [("to-file", "a.txt"), ("to-dir", "alpha"), ("out", "/etc/passwd"), ("lost", "absent")]
    {
        tree.link(format!("list/{name}"), target);
    }
    tree.file(b"list/l\xe9", b"1");
    let server = Server::of(tree, &["--listing"]);
    let page = server.get("/list/?format=json");
    assert_eq!(page.field("vary"), None);
    let entries = json(&page);
    let found = |name: &str| {
        let entry = entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        (entry["type"].as_str().unwrap().to_owned(), entry["size"].as_u64())
    };
    let rows = [
        ("alpha", "directory", None),
        ("a.txt", "file", Some(20)),
        ("C.txt", "file", Some(100_000)),
        ("to-file", "file", Some(20)),
        ("to-dir", "directory", None),
        ("out", "link", None),
        ("lost", "link", None),
        ("socket", "other", None),
        ("l\u{fffd}", "file", Some(1)),
    ];
    every(rows.map(|row| (row.0, row)), |(name, kind, size)| {
        assert_eq!(found(name), (kind.to_owned(), size))
    });
    assert_eq!(entries.len(), rows.len() + 2);
    let time = |name: &str| entries.iter().find(|entry| entry["name"] == name).unwrap()["mtime"].clone();
    assert_eq!((time("b.txt"), time("to-file")), ("2020-09-14T12:26:40Z".into(), time("a.txt")));
    let with_link: Vec<_> = entries.iter().filter_map(|entry| entry["href"].as_str()).collect();
    assert_eq!(with_link, ["l%E9"]);
    // On the page, what can't be got has no link.
    let text = server.get("/list/").text();
    for name in ["out", "lost", "socket"] {
        assert!(text.contains(&format!("<span><bdi>{name}</bdi></span>")), "{name}");
    }
}

#[test]
fn accept_decides_the_form_unless_the_query_does() {
    let server = Server::of(sorted_tree(), &["--listing"]);
    let rows = [
        ("", "", false),
        ("", "Accept: */*\r\n", false),
        ("", "Accept: application/json\r\n", true),
        ("", "Accept: application/json, text/plain, */*\r\n", true),
        ("", "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n", false),
        ("", "Accept: text/html;q=0.5\r\nAccept: application/json;q=0.6\r\n", true),
        ("", "Accept: application/json;q=0\r\n", false),
        ("", "Accept: ;;;,\"\r\n", false),
        ("?format=html", "Accept: application/json\r\n", false),
        ("?format=json", "Accept: text/html\r\n", true),
        ("?format=yaml", "Accept: application/json\r\n", true),
    ];
    every(rows.map(|row| (format!("{} {}", row.0, row.1), row)), |(query, fields, is_json)| {
        let page = server.get_with(format!("/list/{query}"), fields);
        page.has_status(&[200]);
        assert_eq!(page["content-type"] == "application/json", is_json);
        let decides = !matches!(query, "?format=html" | "?format=json");
        assert_eq!(page.field("vary"), decides.then_some("Accept"));
        assert_eq!(page.field("content-security-policy").is_some(), !is_json);
        assert_eq!(
            (page["x-content-type-options"].as_str(), page["cache-control"].as_str()),
            ("nosniff", "no-cache")
        );
    });
}

#[test]
fn hostile_names_are_text_and_their_links_lead_to_them() {
    let tree = Tree::empty();
    for (name, _, text) in HOSTILE {
        tree.file([b"odd/", *name].concat(), text);
    }
    tree.file(b"odd/d <i>\n/x", "");
    let server = Server::of(tree, &["--listing", "--dotfiles", "serve"]);
    let text = server.get("/odd/").text();
    every(HOSTILE.iter().map(|row| (row.1, row)), |(_, href, shown)| {
        let row = format!("<a href=\"{href}\"><bdi>{shown}</bdi></a>");
        assert!(text.contains(&row), "{row} in {text}");
        server.get(format!("/odd/{href}")).is(200, shown);
    });
    let below = server.get("/odd/d%20%3Ci%3E%0A/").text();
    assert!(below.contains("<title>Index of /odd/d &lt;i&gt;\u{fffd}/</title>"), "{below}");
    assert!(text.contains("<a class=\"d\" href=\"d%20%3Ci%3E%0A/\">"), "{text}");
    assert_eq!(json(&server.get("/odd/?format=json")).len(), HOSTILE.len() + 1);
    let control = |page: &str| page.chars().any(|letter| letter.is_control() && letter != '\n');
    assert!(!control(&text) && !control(&below));
}

#[test]
fn what_is_hidden_is_not_listed() {
    let tree = Tree::empty();
    for name in [".env", ".git/config", ".well-known/x", "shown"] {
        tree.file(name, "");
    }
    let tree = std::sync::Arc::new(tree);
    let server = Server::of(std::sync::Arc::clone(&tree), &["--listing"]);
    assert_eq!(names(&server.get("/")), [".well-known/", "shown"]);
    assert_eq!(json(&server.get("/?format=json")).len(), 2);
    server.get("/.git/").has_status(&[404]);
    let server = Server::of(tree, &["--listing", "--dotfiles", "serve"]);
    assert_eq!(names(&server.get("/")), [".git/", ".well-known/", ".env", "shown"]);
}

#[test]
fn without_the_setting_nothing_is_listed() {
    let server = Server::of(sorted_tree(), &[]);
    for target in ["/list/", "/list/?format=json", "/list/?sort=size"] {
        server.get_with(target, "Accept: application/json\r\n").has_status(&[403]);
    }
    let server = Server::of(sorted_tree(), &["--listing"]);
    assert_eq!(server.get("/list?sort=size").field("location"), Some("/list/?sort=size"));
    server.get("/absent/").has_status(&[404]);
    assert!(server.get("/list/alpha/").text().contains("No entries."));
    assert!(json(&server.get("/list/alpha/?format=json")).is_empty());
}

#[test]
fn a_listing_has_a_tag_and_is_not_sent_twice() {
    let server = Server::of(sorted_tree(), &["--listing"]);
    for target in ["/list/", "/list/?format=json", "/list/?sort=time&order=desc"] {
        let page = server.get(target);
        let tag = &page["etag"];
        let head = server.ask(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        for name in ["etag", "content-length", "content-type", "vary", "cache-control"] {
            assert_eq!(head.field(name), page.field(name), "{name}");
        }
        assert!(page.field("last-modified").is_none() && page.field("accept-ranges").is_none());
        let fields = format!("If-None-Match: {tag}\r\n");
        let known = server.get_with(target, &fields);
        known.is(304, "");
        for name in ["etag", "vary", "cache-control"] {
            assert_eq!(known.field(name), page.field(name), "{name}");
        }
        server.get_with(target, "If-None-Match: \"other\"\r\n").is(200, &page.body);
        server.get_with(target, "If-Match: \"other\"\r\n").has_status(&[412]);
        server.get_with(target, "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n").is(200, &page.body);
        server.get_with(target, "Range: bytes=0-9\r\n").is(200, &page.body);
    }
    let tags: std::collections::BTreeSet<_> = ["", "?format=json", "?sort=size", "?order=desc", "?x=y"]
        .map(|query| server.get(format!("/list/{query}"))["etag"].clone())
        .into();
    assert_eq!(tags.len(), 4, "a tag for each content");
}

#[test]
fn a_change_of_names_shows_at_once_and_one_of_a_file_after_the_time_that_is_set() {
    let tree = sorted_tree();
    let server = Server::of(tree, &["--listing", "--cache-valid", "1s"]);
    let tree = server.tree();
    let before = server.get("/list/");
    for number in 0..20 {
        tree.file(format!("list/new-{number}"), "");
        let now = server.get("/list/");
        assert!(names(&now).contains(&format!("new-{number}")) && now["etag"] != before["etag"]);
        fs::remove_file(tree.at(format!("list/new-{number}"))).unwrap();
        assert!(!names(&server.get("/list/")).contains(&format!("new-{number}")));
    }
    assert_eq!(server.get("/list/").body, before.body);
    fs::OpenOptions::new().append(true).open(tree.at("list/a.txt")).unwrap().set_len(21).unwrap();
    eventually("the size is seen", || server.get("/list/").text().contains("21 bytes").then_some(()));
}

#[test]
fn a_hundred_requests_for_one_listing_are_one_job() {
    let memory = Path::new("/dev/shm");
    let tree = if memory.is_dir() { Tree::empty_in(memory) } else { Tree::empty() };
    for number in 0..2000 {
        tree.dir("many");
        fs::write(tree.at(format!("many/{number}.txt")), b"").unwrap();
    }
    (0..201).for_each(|number| drop(tree.file(format!("later/{number}"), b"")));
    let server =
        Launch::of(tree).workers(1).flags(["--listing", "--admin", "0", "--cache-valid", "1h"]).start();
    // What has changed within a second is not kept, which is over for both when it is for one.
    eventually("a listing is kept", || {
        server.get("/later/");
        let before = jobs(&server);
        server.get("/later/");
        (jobs(&server) == before).then_some(())
    });
    let before = jobs(&server);
    let mut clients: Vec<_> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("GET /many/ HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    let first = clients[0].response();
    assert_eq!(names(&first).len(), 2000);
    clients[1..].iter_mut().for_each(|client| client.response().is(200, &first.body));
    assert_eq!(jobs(&server) - before, 1.0);
    // Another order is another page; the same one once more is none.
    for _ in 0..10 {
        assert_eq!(names(&server.get("/many/?order=desc")).len(), 2000);
    }
    assert_eq!(jobs(&server) - before, 2.0);
}

#[test]
fn of_more_than_a_hundred_thousand_entries_the_rest_is_counted() {
    let name = "of_more_than_a_hundred_thousand_entries_the_rest_is_counted";
    let memory = Path::new("/dev/shm");
    if !memory.is_dir() {
        skipped(name, "there is no /dev/shm");
        return;
    }
    let tree = Tree::empty_in(memory);
    let first = tree.file("many/first", b"x");
    for number in 1..100_003 {
        if let Err(error) = fs::hard_link(&first, tree.at(format!("many/{number}"))) {
            skipped(name, &format!("/dev/shm is too small: {error}"));
            return;
        }
    }
    tree.file("many/.hidden", b"");
    let server = Server::of(tree, &["--listing"]);
    let page = server.get("/many/");
    assert_eq!(names(&page).len(), 100_000);
    assert!(page.text().contains("Not all entries are listed: 3 are left out."));
    assert_eq!(page["listing-left-out"], "3");
    let page = server.get("/many/?format=json");
    assert_eq!((json(&page).len(), page["listing-left-out"].as_str()), (100_000, "3"));
    let tree = server.tree();
    (1..=3).for_each(|number| fs::remove_file(tree.at(format!("many/{number}"))).unwrap());
    let page = server.get("/many/");
    assert_eq!((names(&page).len(), page.field("listing-left-out")), (100_000, None));
}

#[test]
fn a_location_says_itself_how_long_its_listings_are_kept() {
    let settings = Tree::empty();
    let file = settings
        .file("may.toml", "[[location]]\npath = \"/list/\"\ncache_control = \"private\"\nexpires = \"1m\"\n");
    let server = Launch::of(sorted_tree()).flags(["--listing", "-c", file.to_str().unwrap()]).start();
    let values = |target: &str| server.get(target).all("cache-control").join("|");
    assert_eq!(values("/list/"), "private, max-age=60");
    assert_eq!(values("/"), "no-cache");
}

#[test]
fn each_host_and_location_says_whether_its_directories_are_listed() {
    let other = Tree::empty();
    other.file("in/other.txt", "");
    let text = format!(
        "missing_index = 404\n\
         [[location]]\npath = '/list/'\nlisting = true\n\
         [[location]]\npath = '/list/beta/'\nlisting = false\n\
         [[host]]\nnames = ['other.example']\nroot = {root:?}\nlisting = true\n\
         [[host.location]]\npath = '/alias/'\nalias = {root:?}\n\
         [[host]]\nnames = ['same.example']\nlisting = true\nmissing_index = 403\n\
         [[host.location]]\npath = '/list/'\nlisting = false\n",
        root = other.path().to_str().unwrap()
    );
    let server = serve(sorted_tree(), &text, &[]);
    let get = |host: &str, target: &str| server.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let all = ["alpha/", "beta/", "C.txt", "a.txt", "b.txt"].as_slice();
    let rows = [
        ("test", "/", Err(404)),
        ("test", "/list/", Ok(all)),
        ("test", "/list/beta/", Err(404)),
        ("other.example", "/", Ok(&["in/"])),
        ("other.example", "/in/", Ok(&["other.txt"])),
        ("other.example", "/alias/", Ok(&["in/"])),
        ("other.example", "/alias/in/", Ok(&["other.txt"])),
        ("same.example", "/", Ok(&["list/"])),
        ("same.example", "/list/", Err(403)),
    ];
    // Twice: what one host is shown is not kept for another.
    every(
        rows.iter().chain(&rows).map(|row| (format!("{} {}", row.0, row.1), row)),
        |(host, target, expected)| {
            let page = get(host, target);
            match expected {
                Ok(expected) => assert_eq!(names(&page), *expected),
                Err(status) => page.has_status(&[*status]),
            }
        },
    );
    // Where links are followed to is the root of the host.
    other.link("in/up", "../top.txt");
    other.file("top.txt", "12");
    let entries = json(&get("other.example", "/alias/in/?format=json"));
    assert_eq!((&entries[1]["name"], &entries[1]["size"]), (&"up".into(), &2.into()));
}

#[test]
fn the_script_of_the_page_filters_its_rows() {
    let Some(browser) = Browser::start() else {
        skipped("the_script_of_the_page_filters_its_rows", "there is no chromium with its chromedriver");
        return;
    };
    let server = Server::of(sorted_tree(), &["--listing"]);
    browser.open(&format!("http://{}/list/", server.address()));
    let shown = |wanted: &str| {
        browser.text(&format!(
            "const i = document.querySelector('input[type=search]'); i.value = '{wanted}'; \
             i.dispatchEvent(new Event('input')); \
             return [...document.querySelectorAll('tbody tr')].filter(r => r.offsetHeight > 0)\
             .map(r => r.cells[0].textContent).join(' ') + '|' + document.querySelector('output').textContent"
        ))
    };
    assert_eq!(shown(""), "alpha/ beta/ C.txt a.txt b.txt|");
    assert_eq!(shown(" TXT "), "C.txt a.txt b.txt|3 of 5");
    assert_eq!(shown("alp"), "alpha/|1 of 5");
    assert_eq!(shown("absent"), "|0 of 5");
    // The style sheet is allowed as well.
    assert_eq!(
        browser.text("return getComputedStyle(document.querySelector('nav ol')).listStyleType"),
        "none"
    );
}
