//! Requests over TLS: bodies whole and in ranges, records of every size, how connections end, and what plain
//! listeners say beside it.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::support::authority::Authority;
use crate::support::balancer::is_missing;
use crate::support::client::{ASK_PAGE, stream_with_small_window};
use crate::support::configured::{Configured, launched};
use crate::support::h2_frames::*;
use crate::support::transport::End;
use crate::support::tree::{LARGE, PAGE, large, text};
use crate::support::{Client, DEADLINE, H2, Launch, Response, Tls, Tree, eventually, pattern, skipped};

/// A user whose password is `right`.
const USERS: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n";

/// The length of the file `big.bin`.
const BIG: usize = 8 << 20;

fn big() -> Vec<u8> {
    pattern(4, BIG)
}

struct Secured {
    server: Configured,
    tls: Tls,
    authority: Authority,
}

impl std::ops::Deref for Secured {
    type Target = Configured;
    fn deref(&self) -> &Configured {
        &self.server
    }
}

impl Secured {
    /// The usual site and a large file, with a certificate for `test` and `localhost`.
    #[track_caller]
    fn start(settings: &str, flags: &[&str]) -> Self {
        let (tree, authority) = (Tree::site(), Authority::new());
        tree.file("big.bin", big());
        let table = authority.issue(&["test", "localhost", "127.0.0.1"]).table();
        let server =
            launched(Launch::of(tree).tls().flags(flags.iter().copied()), &format!("{settings}{table}"));
        Self { server, tls: Tls::trusting(&authority), authority }
    }

    /// A client of HTTP/1.1 over TLS.
    #[track_caller]
    fn secured(&self) -> Client {
        self.tls.client(self.tls_address())
    }

    #[track_caller]
    fn http2(&self) -> H2 {
        H2::tls(&self.tls, self.tls_address())
    }

    /// Both versions of TLS, each as a client of HTTP/1.1.
    fn each(&self) -> [Client; 2] {
        [Tls::old(&self.authority), Tls::new(&self.authority)].map(|tls| tls.client(self.tls_address()))
    }
}

#[test]
fn files_come_whole_and_in_ranges() {
    let server = Secured::start("", &[]);
    let body = big();
    for mut client in server.each() {
        for (range, from, to) in
            [("0-0", 0, 1), ("16383-16385", 16_383, 16_386), ("5000000-", 5_000_000, BIG)]
        {
            client.send(format!("GET /big.bin HTTP/1.1\r\nHost: test\r\nRange: bytes={range}\r\n\r\n"));
            client.response().is(206, &body[from..to]);
        }
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.response().is(200, &body);
        client.send("GET /text.txt HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9,20-29\r\n\r\n");
        client.response().has_status(&[206]);
        client.send("HEAD /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(client.response_to_head().length(), Some(BIG as u64));
        client.still_serves();
    }
}

#[test]
fn files_come_whole_by_http2() {
    let server = Secured::start("", &[]);
    let (body, small) = (big(), large());
    let mut client = server.http2();
    let streams: Vec<u32> = (0..3).map(|_| client.ask("GET", "/big.bin", &[])).collect();
    let others: Vec<u32> = (0..40).map(|_| client.ask("GET", "/large.html", &[])).collect();
    client.get("/page.html").is(200, PAGE);
    others.into_iter().for_each(|stream| client.response(stream).is(200, &small));
    streams.into_iter().for_each(|stream| client.response(stream).is(200, &body));
    client.get_with("/big.bin", &[("range", "bytes=100-200")]).is(206, &body[100..201]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Secured::start("", &[]);
    for mut client in server.each() {
        client.send(ASK_PAGE.repeat(200));
        (0..200).for_each(|_| client.response().is(200, PAGE));
        let pair =
            "GET /large.html HTTP/1.1\r\nHost: test\r\n\r\nGET /text.txt HTTP/1.1\r\nHost: test\r\n\r\n";
        client.send(pair.repeat(3));
        for _ in 0..3 {
            client.response().is(200, large());
            client.response().is(200, text());
        }
    }
}

#[test]
fn a_request_may_come_in_records_of_a_byte() {
    let server = Secured::start("", &[]);
    for mut client in server.each() {
        for byte in ASK_PAGE {
            client.send([*byte]);
        }
        client.response().is(200, PAGE);
        let long = format!("GET /page.html HTTP/1.1\r\nHost: test\r\nX-Long: {}\r\n\r\n", "y".repeat(6000));
        client.send(long);
        client.response().is(200, PAGE);
        client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 40000\r\n\r\n");
        client.send("x".repeat(40_000));
        client.response().has_status(&[405]);
    }
    let mut client = server.http2();
    for byte in get(1) {
        client.put([byte]);
    }
    client.known(1).response(1).is(200, PAGE);
}

#[test]
fn new_keys_in_the_middle_change_nothing() {
    let server = Secured::start("", &[]);
    let mut client = Tls::new(&server.authority).client(server.tls_address());
    for _ in 0..20 {
        client.refresh_keys();
        client.still_serves();
    }
}

#[test]
fn a_connection_ends_with_close_notify() {
    let server = Secured::start("", &["--idle-timeout", "500ms"]);
    for mut client in server.each() {
        client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        client.response().is(200, PAGE);
        client.closed();
        assert_eq!(client.end(), Some(End::Orderly));
    }
    // By the idle timeout, by a request that is refused, by the client's own close_notify.
    for mut client in server.each() {
        client.still_serves();
        client.closed();
        assert_eq!(client.end(), Some(End::Orderly));
    }
    for mut client in server.each() {
        client.send("GET / HTTP/1.1\r\nHost : test\r\n\r\n");
        client.response().has_status(&[400]);
        client.closed();
        assert_eq!(client.end(), Some(End::Orderly));
    }
    for mut client in server.each() {
        client.still_serves();
        client.send_close_notify();
        client.closed();
        assert_eq!(client.end(), Some(End::Orderly));
    }
    let mut client = server.http2();
    client.get("/page.html").is(200, PAGE);
    assert_eq!(client.until_end(), End::Orderly);
}

#[test]
fn a_request_before_close_notify_is_answered() {
    let server = Secured::start("", &[]);
    for mut client in server.each() {
        client.send(ASK_PAGE.repeat(3));
        client.send_close_notify();
        (0..3).for_each(|_| client.response().is(200, PAGE));
        client.closed();
    }
}

#[test]
fn a_client_that_is_cut_off_does_no_harm() {
    let server = Secured::start("", &[]);
    let worker = server.workers()[0];
    for length in [0, 10, ASK_PAGE.len()] {
        for mut client in server.each() {
            client.send(&ASK_PAGE[..length]);
            // A FIN without close_notify.
            client.half_close();
            client.rest();
        }
    }
    for mut client in server.each() {
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.head().unwrap().has_status(&[200]);
        client.reset();
    }
    server.secured().still_serves();
    assert_eq!(server.workers(), [worker]);
}

#[test]
fn a_record_that_was_altered_ends_the_connection() {
    let server = Secured::start("", &[]);
    let rows: [&[u8]; 4] = [
        &[0x17, 3, 3, 0, 40, 1, 2, 3],
        &[0x17, 3, 3, 0, 4, 1, 2, 3, 4],
        &[0x16, 3, 3, 0, 4, 0, 0, 0, 0],
        b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    ];
    for bytes in rows {
        for mut client in server.each() {
            client.still_serves();
            client.send_raw(bytes);
            client.send_raw(&[0; 100]);
            client.rest();
            assert!(client.end().is_some());
        }
    }
    server.secured().still_serves();
}

#[test]
fn a_slow_reader_gets_all_and_keeps_no_other_waiting() {
    let server = Secured::start("", &[]);
    let body = big();
    for tls in [Tls::old(&server.authority), Tls::new(&server.authority)] {
        let stream = stream_with_small_window(server.tls_address());
        let mut slow = Client::from(tls.over(stream).unwrap());
        slow.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        slow.head().unwrap().has_status(&[200]);
        (0..20).for_each(|_| server.secured().still_serves());
        let (mut got, mut piece) = (0, vec![0; 64 << 10]);
        while got < BIG {
            let count = slow.read(&mut piece);
            assert!(count > 0 && piece[..count] == body[got..got + count], "cut or wrong at {got}");
            got += count;
        }
        slow.still_serves();
    }
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let server = Secured::start("", &["--send-timeout", "1s"]);
    let worker = server.workers()[0];
    server.secured().still_serves();
    let descriptors = worker.descriptors().map(|count| count + 2);
    let clients: Vec<Client> = (0..20)
        .map(|_| {
            let stream = stream_with_small_window(server.tls_address());
            let mut client = Client::from(server.tls.over(stream).unwrap());
            client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
            client
        })
        .collect();
    crate::support::within(DEADLINE * 2, "the connections are let go", || {
        (worker.descriptors() <= descriptors).then_some(())
    });
    drop(clients);
}

#[test]
fn hundreds_of_idle_connections_are_served_again() {
    let server = Secured::start("", &[]);
    let mut clients: Vec<Client> = (0..200).map(|_| server.secured()).collect();
    clients.iter_mut().for_each(Client::still_serves);
    let mut streams: Vec<H2> = (0..50).map(|_| server.http2()).collect();
    streams.iter_mut().for_each(|client| client.get("/page.html").is(200, PAGE));
    clients.iter_mut().rev().for_each(Client::still_serves);
    streams.iter_mut().rev().for_each(|client| client.get("/page.html").is(200, PAGE));
}

#[test]
fn a_drain_lets_downloads_finish() {
    let mut server = Secured::start("", &[]);
    let body = big();
    let stream = stream_with_small_window(server.tls_address());
    let mut client = Client::from(server.tls.over(stream).unwrap());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    let mut idle = server.secured();
    idle.still_serves();
    server.signal(Signal::QUIT);
    let rest = client.rest();
    assert!(rest == body, "{} bytes of {BIG}", rest.len());
    assert_eq!(client.end(), Some(End::Orderly));
    idle.send(ASK_PAGE);
    assert!(idle.response().closes());
    idle.closed();
    assert_eq!(server.server.server.exit_code(), Some(0));
}

#[test]
fn a_host_with_another_certificate_is_misdirected() {
    let authority = Authority::new();
    let [one, other] = [authority.issue(&["one.test", "too.test"]), authority.issue(&["other.test"])];
    let settings = "[[host]]\nnames = ['one.test']\n[[host]]\nnames = ['too.test']\n\
                    [[host]]\nnames = ['other.test']\n";
    let text = [settings, &one.table(), &other.table()].concat();
    let server = launched(Launch::site().tls(), &text);
    let tls = Tls::trusting(&authority).named("one.test");
    for (host, status) in [("one.test", 200), ("too.test", 200), ("other.test", 421), ("one.test", 200)] {
        let mut client = tls.client(server.tls_address());
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response().has_status(&[status]);
        let mut client = H2::tls(&tls, server.tls_address());
        let fields = client.pseudo("GET", "/page.html", host);
        let stream = client.request(&fields);
        client.response(stream).has_status(&[status]);
        // Another request of the same connection.
        let fields = client.pseudo("GET", "/page.html", "one.test");
        let stream = client.request(&fields);
        client.response(stream).is(200, PAGE);
    }
}

#[test]
fn a_host_without_a_certificate_is_misdirected_where_its_name_would_be_rejected() {
    let server = Secured::start("tls_unknown_names = 'reject'\n", &[]);
    for (host, status) in [("test", 200), ("localhost", 200), ("unknown.example", 421), ("192.0.2.9", 421)] {
        for mut client in server.each() {
            client.send(format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            client.response().has_status(&[status]);
        }
    }
}

#[test]
fn conditions_of_header_rules_and_passwords_hold_over_tls() {
    let users = Tree::empty();
    let file = users.file("users", USERS);
    let settings = format!(
        "auth = {{ realm = 'a', users_file = {file:?}, https = true }}\n\
         [[header]]\npath = '/**'\nhttps = false\nset = {{ X-Plain = '1' }}\n\
         [[header]]\npath = '/**'\nhttps = true\nset = {{ X-Tls = '1' }}\n"
    );
    let server = Secured::start(&settings, &[]);
    let has_fields = |response: &Response| {
        assert_eq!((response.field("x-plain"), response.field("x-tls")), (None, Some("1")));
    };
    for mut client in server.each() {
        client.send(ASK_PAGE);
        let response = client.response();
        response.has_status(&[401]);
        assert!(response.field("www-authenticate").is_some());
        let right = "Authorization: Basic YW5uYTpyaWdodA==";
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: test\r\n{right}\r\n\r\n"));
        let response = client.response();
        response.is(200, PAGE);
        has_fields(&response);
    }
    let mut client = server.http2();
    client.get("/page.html").has_status(&[401]);
    let response = client.get_with("/page.html", &[("authorization", "Basic YW5uYTpyaWdodA==")]);
    response.is(200, PAGE);
    has_fields(&response);
    server.get("/page.html").has_status(&[308]);
}

#[test]
fn plain_listeners_redirect_where_they_are_told_to() {
    let challenges = Tree::empty();
    challenges.file(".well-known/acme-challenge/token", "the answer");
    challenges.file("token", "the answer");
    let settings =
        format!("https_redirect = true\nacme_challenges = {:?}\n", challenges.path().to_str().unwrap());
    let server = Secured::start(&settings, &[]);
    for target in ["/page.html", "/page.html?a=b", "/absent", "/"] {
        let response = server.get(target);
        response.has_status(&[308]);
        let place = &response["location"];
        assert!(place.starts_with("https://test") && place.ends_with(target), "{place}");
    }
    server.get("/.well-known/acme-challenge/token").is(200, "the answer");
    server.get("/.well-known/acme-challenge/absent").has_status(&[404]);
    server.secured().still_serves();
    server.http2().get("/page.html").is(200, PAGE);
}

#[test]
fn strict_transport_security_is_said_over_tls_alone() {
    let server = Secured::start("hsts = '365d'\n", &[]);
    let field = "strict-transport-security";
    assert_eq!(server.get("/page.html").field(field), None);
    let mut client = server.secured();
    for target in ["/page.html", "/absent", "/dir", "/large.html"] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(client.response()[field], "max-age=31536000", "{target}");
        assert_eq!(server.http2().get(target)[field], "max-age=31536000", "{target}");
    }
    let without = Secured::start("", &[]);
    assert_eq!(without.http2().get("/page.html").field(field), None);
}

#[test]
fn each_request_is_one_line_of_the_log() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let server = Secured::start("", &["--access-log", path.to_str().unwrap()]);
    server.secured().still_serves();
    server.http2().get("/page.html").is(200, PAGE);
    let lines = eventually("two lines in the access log", || {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= 2).then_some(lines)
    });
    assert!(lines[0].contains("\"GET /page.html HTTP/1.1\" 200 38 "), "{lines:?}");
    assert!(lines[1].contains("\"GET /page.html HTTP/2.0\" 200 38 "), "{lines:?}");
}

#[test]
fn curl_fetches_by_each_version() {
    const TEST: &str = "curl_fetches_by_each_version";
    if is_missing("curl", TEST) {
        return;
    }
    let server = Secured::start("", &[]);
    let root = server.authority.file();
    let url = |path: &str| format!("https://localhost:{}{path}", server.tls_address().port());
    let place = format!("localhost:{}:127.0.0.1", server.tls_address().port());
    let version = Command::new("curl").arg("--version").output().unwrap();
    let has_http2 = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    if !has_http2 {
        skipped(TEST, "this curl has no HTTP/2");
    }
    for flags in [&["--http1.1"][..], &["--http1.1", "--tls-max", "1.2"], &["--http2"]] {
        if flags == ["--http2"] && !has_http2 {
            continue;
        }
        let told = "%{stderr}%{http_code} %{http_version}";
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "30", "--resolve", &place, "--cacert"]).arg(&root);
        let output = command.args(flags).args(["-w", told, &url("/large.html")]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let wanted = if flags == ["--http2"] { "200 2" } else { "200 1.1" };
        assert!(errors.starts_with(wanted) && output.stdout.len() == LARGE, "{flags:?}: {errors}");
        assert!(output.stdout == large(), "{flags:?}: other bytes");
    }
}
