//! What every static server is asked first.

use std::time::{Duration, SystemTime};

use crate::support::tree::{INDEX, LARGE, PAGE, large};
use crate::support::{Launch, Server, Tree, every};

#[test]
fn the_index_is_served_with_its_exact_length() {
    let server = Server::start(&[]);
    let response = server.ask("GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    response.is(200, INDEX);
    assert_eq!(response.length(), Some(34));
    assert_eq!(response["content-type"], "text/html");
    assert_eq!(response["connection"], "keep-alive");
    assert_eq!(response.reason, "OK");
}

#[test]
fn a_page_a_nested_file_and_an_index_below_are_served() {
    let server = Server::start(&[]);
    server.get("/page.html").is(200, PAGE);
    server.get("/one/two/three/four/five/six/seven/deep.html").is(200, "deep down\n");
    server.get("/dir/").is(200, "index of dir\n");
    server.get("/empty.txt").is(200, "");
}

#[test]
fn the_large_page_arrives_byte_for_byte() {
    let server = Server::start(&[]);
    let response = server.get("/large.html");
    assert_eq!(response.length(), Some(LARGE as u64));
    response.is(200, large());
}

#[test]
fn what_is_absent_is_404_and_a_directory_without_index_403() {
    let server = Server::start(&[]);
    server.get("/absent.html").has_status(&[404]);
    server.get("/no/such/directory/").has_status(&[404]);
    server.get("/page.html/").has_status(&[404]);
    server.get("/bare/").has_status(&[403]);
    server.get("/bare/file.txt").has_status(&[200]);
}

#[test]
fn missing_index_can_be_404() {
    let server = Server::start(&["--missing-index", "404"]);
    server.get("/bare/").has_status(&[404]);
    server.get("/dir/").has_status(&[200]);
}

#[test]
fn a_listing_where_switched_on_names_the_entries_escaped() {
    let tree = Tree::site();
    tree.file("bare/<b>&\"quoted\".txt", "odd\n");
    tree.file("bare/with space?.txt", "odd too\n");
    tree.file("bare/.hidden", "not for all\n");
    tree.dir("bare/below");
    let server = Server::of(tree, &["--listing", "on"]);
    let response = server.get("/bare/");
    response.has_status(&[200]);
    assert_eq!(response["content-type"].split(';').next(), Some("text/html"));
    let text = response.text();
    assert!(text.contains("file.txt") && text.contains("below/"), "{text}");
    assert!(text.contains("&lt;b&gt;&amp;") && !text.contains("<b>&"), "{text}");
    assert!(text.contains("with%20space%3F.txt"), "{text}");
    assert!(!text.contains(".hidden"), "{text}");
    server.get("/dir/").is(200, "index of dir\n");
}

#[test]
fn the_query_is_no_part_of_the_name() {
    let server = Server::start(&[]);
    every(
        [
            "/page.html?",
            "/page.html?a=b&c=%zz",
            "/page.html?/../../etc/passwd",
            "/page.html?a?b",
            "/page.html?%23",
        ]
        .map(|target| (target, target)),
        |target| server.get(target).is(200, PAGE),
    );
    server.get("/?page=2").is(200, INDEX);
}

#[test]
fn the_server_field_is_on_every_status() {
    let server = Server::start(&[]);
    let asked = [
        (200, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"),
        (206, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=0-3\r\n\r\n"),
        (301, "GET /dir HTTP/1.1\r\nHost: test\r\n\r\n"),
        (304, "GET / HTTP/1.1\r\nHost: test\r\nIf-None-Match: *\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (403, "GET /bare/ HTTP/1.1\r\nHost: test\r\n\r\n"),
        (404, "GET /absent HTTP/1.1\r\nHost: test\r\n\r\n"),
        (405, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"),
        (412, "GET / HTTP/1.1\r\nHost: test\r\nIf-Match: \"other\"\r\n\r\n"),
        (416, "GET /page.html HTTP/1.1\r\nHost: test\r\nRange: bytes=100-\r\n\r\n"),
    ];
    every(asked.map(|(status, raw)| (status, (status, raw))), |(status, raw)| {
        let response = server.ask(raw);
        response.has_status(&[status]);
        assert_eq!(response["server"], "mayhttpd");
    });
}

#[test]
fn the_server_field_says_the_name_that_was_given() {
    let server = Server::start(&["--name", "a name/2.0"]);
    assert_eq!(server.get("/")["server"], "a name/2.0");
    assert_eq!(server.get("/absent")["server"], "a name/2.0");
}

#[test]
fn the_date_is_now() {
    let server = Server::start(&[]);
    let before = SystemTime::now() - Duration::from_secs(2);
    let date = httpdate::parse_http_date(&server.get("/")["date"]).unwrap();
    assert!(before <= date && date <= SystemTime::now() + Duration::from_secs(1));
}

#[test]
fn head_over_http_1_0_gets_a_head_alone_and_the_end() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("HEAD /page.html HTTP/1.0\r\n\r\n");
    let response = client.response_to_head();
    response.has_status(&[200]);
    assert_eq!(response.length(), Some(38));
    assert!(response.closes());
    client.closed();
}

#[test]
fn http_1_0_keep_alive_as_ab_sends_it_is_kept_and_said_so() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for _ in 0..5 {
        client.send(
            "GET /page.html HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: localhost:8080\r\n\
             User-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n",
        );
        let response = client.response();
        response.is(200, PAGE);
        assert_eq!(response["connection"], "keep-alive");
    }
}

#[test]
fn an_empty_line_and_then_the_end_harms_nothing() {
    let server = Server::start(&[]);
    for raw in ["\n", "\r\n", "", "\r\n\r\n\r\n"] {
        let mut client = server.client();
        client.send(raw);
        client.half_close();
        // A lone line feed may be answered with a refusal; what matters is that the stream ends.
        client.rest();
    }
    server.get("/").is(200, INDEX);
}

#[test]
fn a_request_line_that_ends_in_a_bare_line_feed_and_then_the_end_is_no_hang() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send("GET / HTTP/1.1\n");
    client.half_close();
    if let Some(response) = client.answer() {
        response.has_status(&[400, 408]);
    }
    client.closed();
    server.get("/").is(200, INDEX);
}

#[test]
fn every_listening_address_serves_ipv6_too() {
    let server = Launch::site().workers(2).listen(&["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"]).start();
    assert_eq!(server.addresses.len(), 3);
    for &address in &server.addresses {
        let mut client = crate::support::Client::connect(address);
        client.send(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        client.response().is(200, INDEX);
    }
}

#[test]
fn without_a_root_there_is_a_welcome_page() {
    let empty = Tree::empty();
    let server = Launch::rootless().directory(empty.path()).start();
    let response = server.get("/");
    response.has_status(&[200]);
    assert_eq!(response["content-type"].split(';').next(), Some("text/html"));
    assert!(response.text().to_lowercase().contains("<html"), "{}", response.text());
    server.get("/absent").has_status(&[404]);
    server.get("/../../etc/passwd").has_status(&[400, 403, 404]);
}

#[test]
fn without_a_root_document_root_is_served_where_it_exists() {
    let tree = Tree::empty();
    tree.file("DOCUMENT_ROOT/index.html", "this one\n");
    let server = Launch::rootless().directory(tree.path()).start();
    server.get("/").is(200, "this one\n");
}
