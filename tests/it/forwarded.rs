//! Requests that proxies pass on: whose word about the client is taken, in which field, and what goes by that
//! client.

use std::fs;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::unix::net::{UnixListener, UnixStream};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::configured::serve;
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, eventually, within};

/// Where the proxy that is trusted comes from, and where anybody else does.
const PROXY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.1";

/// Networks that are trusted in most tests.
const TRUSTED: &str = "127.0.0.2,10.0.0.0/8,fd00::/8";

/// A server that trusts the proxy and its kind, and its logs.
struct Behind {
    server: Server,
    logs: Tree,
}

impl Behind {
    fn start(flags: &[&str]) -> Self {
        Self::trusting(&["--trusted-proxies", TRUSTED], flags)
    }

    fn trusting(trust: &[&str], flags: &[&str]) -> Self {
        let logs = Tree::empty();
        let path = logs.at("access.log");
        let log = ["--access-log", path.to_str().unwrap()];
        Self { server: Launch::site().flags(log).flags(trust).flags(flags).start(), logs }
    }

    /// A connection from this address.
    #[track_caller]
    fn from(&self, address: &str) -> Client {
        let address: IpAddr = address.parse().unwrap();
        Client::from_address(address, self.server.address())
    }

    /// The lines of the access log, once there are so many.
    #[track_caller]
    fn lines(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines in the access log"), || {
            let text = fs::read_to_string(self.logs.at("access.log")).unwrap();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            (lines.len() >= count && (count == 0 || text.ends_with('\n'))).then_some(lines)
        })
    }

    /// Whom the access log names for each of these requests, which come on one connection from `address`.
    #[track_caller]
    fn clients(&self, address: &str, requests: &[&str]) -> Vec<String> {
        let before = fs::read_to_string(self.logs.at("access.log")).unwrap().lines().count();
        let mut client = self.from(address);
        for fields in requests {
            client.send(request("/page.html", fields));
            client.response().is(200, PAGE);
        }
        let lines = self.lines(before + requests.len()).split_off(before);
        lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

/// A request with these fields, each ended by CRLF.
fn request(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n")
}

/// Holds a server with these flags to naming a client for each row's fields.
#[track_caller]
fn names(flags: &[&str], rows: &[(&str, &str)]) {
    let behind = Behind::start(flags);
    let requests: Vec<&str> = rows.iter().map(|row| row.0).collect();
    for ((fields, expected), found) in rows.iter().zip(behind.clients(PROXY, &requests)) {
        assert_eq!(found, *expected, "{fields:?} by {flags:?}");
    }
}

#[test]
fn x_forwarded_for_is_read_from_the_right_unless_another_field_is_chosen() {
    let rows = [
        ("", PROXY),
        ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
        ("x-forwarded-FOR: 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.1.1.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.1,fd00::1\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 192.0.2.1:5000, [fd00::1]:443\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        // All are trusted: the left-most.
        ("X-Forwarded-For: 10.3.3.3, 10.2.2.2\r\n", "10.3.3.3"),
        ("X-Forwarded-For: 10.3.3.3\r\nX-Forwarded-For: 10.2.2.2\r\n", "10.3.3.3"),
        // Up to what can't be read.
        ("X-Forwarded-For: 192.0.2.1, unknown\r\n", PROXY),
        ("X-Forwarded-For: 192.0.2.1, example.org, 10.2.2.2\r\n", "10.2.2.2"),
        ("X-Forwarded-For: nonsense, 192.0.2.1\r\n", "192.0.2.1"),
        ("X-Forwarded-For:\r\n", PROXY),
        ("X-Forwarded-For: , ,\r\n", PROXY),
        // What a proxy does not set, a client may.
        ("Forwarded: for=192.0.2.66\r\nX-Real-IP: 192.0.2.67\r\n", PROXY),
        ("Forwarded: for=192.0.2.66\r\nX-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.67\r\n", "192.0.2.1"),
    ];
    names(&[], &rows);
    names(&["--real-ip-header", "x-forwarded-for"], &rows);
}

#[test]
fn forwarded_is_read_by_its_grammar_where_it_is_chosen() {
    names(
        &["--real-ip-header", "forwarded"],
        &[
            ("", PROXY),
            ("Forwarded: for=192.0.2.1\r\n", "192.0.2.1"),
            ("Forwarded: proto=https;For=192.0.2.1;by=203.0.113.43\r\n", "192.0.2.1"),
            ("Forwarded: for=198.51.100.1, for=192.0.2.1, for=10.1.1.1\r\n", "192.0.2.1"),
            ("Forwarded: for=198.51.100.1\r\nForwarded: for=192.0.2.1;by=_me\r\n", "192.0.2.1"),
            ("Forwarded: for=\"[2001:db8:cafe::17]:4711\"\r\n", "2001:db8:cafe::17"),
            ("Forwarded: for=\"[2001:db8:cafe::17]\", for=\"10.1.1.1:80\"\r\n", "2001:db8:cafe::17"),
            ("Forwarded: for=192.0.2.1;host=\"a, for=192.0.2.66\"\r\n", "192.0.2.1"),
            ("Forwarded: for=10.3.3.3, for=10.2.2.2\r\n", "10.3.3.3"),
            ("Forwarded: for=192.0.2.1, for=_hidden\r\n", PROXY),
            ("Forwarded: for=192.0.2.1, for=\"_gazonk:80\", for=10.2.2.2\r\n", "10.2.2.2"),
            ("Forwarded: for=192.0.2.1, for=unknown, for=10.2.2.2\r\n", "10.2.2.2"),
            ("Forwarded: for=192.0.2.1, proto=https, for=10.2.2.2\r\n", "10.2.2.2"),
            // An open quotation mark of a client's hides nothing that a proxy adds.
            ("Forwarded: for=\"x, for=192.0.2.1\r\n", "192.0.2.1"),
            ("Forwarded: for=\"x\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.66\r\nX-Real-IP: 192.0.2.67\r\n", PROXY),
        ],
    );
}

#[test]
fn x_real_ip_is_read_where_it_is_chosen() {
    names(
        &["--real-ip-header", "x-real-ip"],
        &[
            ("", PROXY),
            ("X-Real-IP: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Real-IP: 2001:db8::1\r\n", "2001:db8::1"),
            ("X-Real-IP: 198.51.100.1\r\nX-Real-IP: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Real-IP: unix:\r\n", PROXY),
            ("X-Forwarded-For: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\n", PROXY),
        ],
    );
}

#[test]
fn no_other_peer_is_trusted() {
    let fields = "X-Forwarded-For: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\nX-Real-IP: 192.0.2.66\r\n";
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let behind = Behind::start(&["--real-ip-header", header]);
        assert_eq!(behind.clients(STRANGER, &[fields, ""]), [STRANGER, STRANGER]);
    }
    for trust in [&[][..], &["--trusted-proxies", "off"]] {
        let behind = Behind::trusting(trust, &[]);
        assert_eq!(behind.clients(PROXY, &[fields]), [PROXY]);
    }
    let all = Behind::trusting(&["--trusted-proxies", "all"], &[]);
    assert_eq!(all.clients(STRANGER, &["X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n"]), ["192.0.2.1"]);
}

#[test]
fn each_request_of_a_connection_is_judged_by_its_own_fields() {
    let behind = Behind::start(&[]);
    let rows =
        ["X-Forwarded-For: 192.0.2.1\r\n", "", "X-Forwarded-For: 192.0.2.2\r\n", "X-Forwarded-For: x\r\n"];
    let expected = ["192.0.2.1", PROXY, "192.0.2.2", PROXY];
    assert_eq!(behind.clients(PROXY, &rows), expected);
    let mut client = behind.from(PROXY);
    client.send(rows.map(|fields| request("/page.html", fields)).concat());
    rows.iter().for_each(|_| client.response().is(200, PAGE));
    let lines = behind.lines(8).split_off(4);
    assert!(
        lines.iter().zip(expected).all(|(line, peer)| line.starts_with(&format!("{peer} - - ["))),
        "{lines:?}"
    );
}

#[test]
fn every_format_of_the_access_log_has_the_client() {
    let fields = "X-Forwarded-For: 192.0.2.1\r\n";
    for format in ["combined", "common"] {
        let behind = Behind::start(&["--access-format", format]);
        assert_eq!(behind.clients(PROXY, &[fields]), ["192.0.2.1"], "{format}");
    }
    let behind = Behind::start(&["--access-format", "json"]);
    let mut client = behind.from(PROXY);
    client.send(request("/page.html", fields));
    client.response().is(200, PAGE);
    drop(client);
    let lines: Vec<Json> = behind.lines(2).iter().map(|line| Json::parse(line)).collect();
    assert_eq!((lines[0].text("peer"), lines[0].number("request")), ("192.0.2.1", 1.0));
    // The connection is the proxy's.
    assert_eq!((lines[1].text("peer"), lines[1].text("end")), (PROXY, "peer_closed"));
}

#[test]
fn refused_requests_are_their_clients_as_far_as_they_can_be_read() {
    let behind = Behind::start(&["--log-level", "debug", "--head-timeout", "500ms"]);
    let fields = "X-Forwarded-For: 192.0.2.1\r\n";
    let bad_body = request("/page.html", &format!("{fields}Transfer-Encoding: chunked\r\n")) + "x\r\n";
    let slow_body = request("/page.html", &format!("{fields}Content-Length: 9\r\n"));
    let absent = request("/absent", fields);
    let good = request("/page.html", fields);
    for (asked, status, peer) in [
        (bad_body, 400, "192.0.2.1"),
        (slow_body, 408, "192.0.2.1"),
        (absent, 404, "192.0.2.1"),
        // Nothing is known of who sends these.
        (request("/page.html", &format!("{fields}Host: again\r\n")), 400, PROXY),
        (good.clone() + "nonsense\r\n\r\n", 400, PROXY),
        (good + "GET /page.html HT", 408, PROXY),
    ] {
        let count = behind.lines(0).len();
        let mut client = behind.from(PROXY);
        client.send(&asked);
        let mut response = client.response();
        let mut answers = 1;
        if response.status == 200 {
            (response, answers) = (client.response(), 2);
        }
        response.has_status(&[status]);
        let line = behind.lines(count + answers).pop().unwrap();
        assert!(line.starts_with(&format!("{peer} - - [")), "{asked:?}: {line}");
    }
    behind.server.says("whose it was", |line| line.contains("192.0.2.1: 400 (malformed chunked body)"));
    behind.server.says("whose it was", |line| line.contains("127.0.0.2: 400 ("));
}

/// Has a settings file with a location for one network.
fn guarded(settings: &Tree, above: &str) -> String {
    let location = "[[location]]\npath = \"/dir\"\nallow = [\"192.0.2.0/24\"]\ndeny = [\"all\"]\n";
    let file = settings.file("may.toml", format!("{above}\n{location}"));
    file.to_str().unwrap().to_owned()
}

#[track_caller]
fn status(mut client: Client, fields: &str) -> u16 {
    client.send(request("/dir/inner.txt", fields));
    client.response().status
}

#[test]
fn networks_of_locations_are_about_the_client() {
    let settings = Tree::empty();
    let file = guarded(&settings, "trusted_proxies = [\"127.0.0.2\", \"10.0.0.0/8\"]");
    let behind = Behind::trusting(&[], &["-c", &file]);
    let ask = |peer, fields| status(behind.from(peer), fields);
    assert_eq!(ask(PROXY, "X-Forwarded-For: 192.0.2.1\r\n"), 200);
    assert_eq!(ask(PROXY, "X-Forwarded-For: 192.0.2.1, 10.0.0.1\r\n"), 200);
    assert_eq!(ask(PROXY, "X-Forwarded-For: 198.51.100.1\r\n"), 403);
    assert_eq!(ask(PROXY, ""), 403);
    // What the client itself had written there.
    assert_eq!(ask(PROXY, "X-Forwarded-For: 192.0.2.1, 198.51.100.1\r\n"), 403);
    assert_eq!(ask(PROXY, "X-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"), 403);
    assert_eq!(ask(STRANGER, "X-Forwarded-For: 192.0.2.1\r\n"), 403);
    // On one connection too.
    let mut client = behind.from(PROXY);
    for (address, expected) in [("192.0.2.1", 200), ("198.51.100.1", 403), ("192.0.2.2", 200)] {
        client.send(request("/dir/inner.txt", &format!("X-Forwarded-For: {address}\r\n")));
        client.response().has_status(&[expected]);
    }
}

#[test]
fn wrong_passwords_are_counted_for_the_client_behind_a_proxy() {
    // The password of anna is "right".
    let users = Tree::empty();
    let file = users.file("users", "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n");
    let settings = format!("auth = {{ realm = 'staff', users_file = {:?} }}\n", file.to_str().unwrap());
    let server = serve(Tree::site(), &settings, &["--trusted-proxies", TRUSTED]);
    let sends = |client: &str, credentials: &str| {
        let credentials = BASE64.encode(credentials);
        let mut proxy = Client::from_address(PROXY.parse().unwrap(), server.address());
        let fields = format!("X-Forwarded-For: {client}\r\nAuthorization: Basic {credentials}\r\n");
        proxy.send(request("/page.html", &fields));
        proxy
    };
    for password in ["1", "2", "3"] {
        sends("192.0.2.1", &format!("anna:{password}")).response().has_status(&[401]);
    }
    let mut failing: Vec<Client> =
        (10..30).map(|password| sends("192.0.2.1", &format!("anna:{password}"))).collect();
    let sent_away = eventually("one is sent away", || {
        let answered = failing.iter_mut().filter_map(|client| client.has_news().then(|| client.response()));
        answered.into_iter().find(|response| response.status != 401)
    });
    sent_away.has_status(&[429]);
    // Of one line with the others at most one of these would not be sent away.
    let mut others: Vec<Client> =
        ["4", "5", "6"].map(|password| sends("192.0.2.2", &format!("anna:{password}"))).into();
    others.iter_mut().for_each(|client| client.response().has_status(&[401]));
    sends("192.0.2.3", "anna:right").response().is(200, PAGE);
}

#[test]
fn a_reload_changes_who_is_trusted() {
    let settings = Tree::empty();
    let file = guarded(&settings, "");
    let behind = Behind::trusting(&[], &["-c", &file]);
    let fields = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(status(behind.from(PROXY), fields), 403);
    for (generation, above, proxy, stranger) in [
        (2, "trusted_proxies = \"127.0.0.2\"", 200, 403),
        (3, "trusted_proxies = [\"127.0.0.1\", \"127.0.0.2\"]", 200, 200),
        (4, "trusted_proxies = [\"127.0.0.1\"]\nreal_ip_header = \"x-forwarded-for\"", 403, 200),
        (5, "trusted_proxies = [\"all\"]\nreal_ip_header = \"forwarded\"", 403, 403),
        (6, "trusted_proxies = \"off\"", 403, 403),
    ] {
        guarded(&settings, above);
        behind.server.signal(Signal::HUP);
        let done = format!("generation {generation} serves");
        eventually(&done, || behind.server.log().contains(&done).then_some(()));
        eventually("the old workers have gone", || (behind.server.workers().len() == 1).then_some(()));
        assert_eq!(status(behind.from(PROXY), fields), proxy, "{above}");
        assert_eq!(status(behind.from(STRANGER), fields), stranger, "{above}");
    }
    settings.file("may.toml", "trusted_proxies = [\"10.0.0.1/8\"]\n");
    behind.server.signal(Signal::HUP);
    behind
        .server
        .says("what is wrong", |line| line.contains("trusted_proxies: invalid value \"10.0.0.1/8\""));
    assert_eq!(status(behind.from(PROXY), fields), 403);
}

#[test]
fn fields_are_trusted_of_the_client_in_a_proxy_header() {
    let behind = Behind::start(&["--proxy-protocol", "all"]);
    let ask = |source: &str, fields: &str| {
        let count = behind.lines(0).len();
        // Trusted or not, the sender of the PROXY header has no say in what the request says.
        let mut client = behind.from(PROXY);
        client.send(format!("PROXY {source}\r\n") + &request("/page.html", fields));
        client.response().is(200, PAGE);
        behind.lines(count + 1)[count].split(' ').next().unwrap().to_owned()
    };
    let fields = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(ask("TCP4 10.1.1.1 10.2.2.2 1 2", fields), "192.0.2.1");
    assert_eq!(ask("TCP6 fd00::1 ::1 1 2", fields), "192.0.2.1");
    assert_eq!(ask("TCP4 198.51.100.1 10.2.2.2 1 2", fields), "198.51.100.1");
    assert_eq!(ask("TCP4 10.1.1.1 10.2.2.2 1 2", ""), "10.1.1.1");
    // A client that the balancer does not know is no trusted proxy.
    assert_eq!(ask("UNKNOWN", fields), PROXY);
}

#[test]
fn a_proxy_at_a_unix_socket_is_trusted_by_its_kind() {
    for (trusted, expected) in [("unix:", "192.0.2.1"), ("0.0.0.0/0", "unix:"), ("all", "192.0.2.1")] {
        let tree = Tree::empty();
        let (path, log) = (tree.at("socket"), tree.at("access.log"));
        let socket = UnixListener::bind(&path).unwrap();
        let flags = ["--trusted-proxies", trusted, "--access-log", log.to_str().unwrap()];
        let _server = Launch::site().listen(&[]).flags(flags).activated_by(socket, 1).start();
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let fields = "X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n";
        stream.write_all(request("/page.html", fields).as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        let text = eventually("the line is written", || {
            fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n'))
        });
        assert!(text.starts_with(&format!("{expected} - - [")), "{trusted}: {text}");
    }
}

#[test]
fn an_idle_connection_of_a_proxy_is_still_the_proxy_s() {
    let behind = Behind::start(&["--admin", "0"]);
    let admin = behind.server.admin_address();
    let mut client = behind.from(PROXY);
    for number in 0..3 {
        within(DEADLINE * 2, "it is idle", || {
            let idle = Exposition::of(admin).sum("mayhttpd_connections_in_idle_set", "");
            (idle == 1.0).then_some(())
        });
        client.send(request("/page.html", &format!("X-Forwarded-For: 192.0.2.{number}\r\n")));
        client.response().is(200, PAGE);
        assert!(behind.lines(number + 1)[number].starts_with(&format!("192.0.2.{number} - - [")));
    }
}

#[test]
fn fields_as_long_as_a_head_may_be_are_read_to_their_end() {
    let behind = Behind::start(&[]);
    let hops = "10.1.1.1,".repeat(3000);
    let commas = ",".repeat(30_000);
    let rows =
        [format!("X-Forwarded-For: 192.0.2.1,{hops}\r\n"), format!("X-Forwarded-For: 192.0.2.1{commas}\r\n")];
    assert_eq!(behind.clients(PROXY, &[&rows[0], &rows[1]]), ["192.0.2.1", "192.0.2.1"]);
    let behind = Behind::start(&["--real-ip-header", "forwarded"]);
    let rows = [
        format!("Forwarded: for=192.0.2.1, {}\r\n", "for=10.1.1.1,".repeat(2000)),
        format!("Forwarded: {}, for=192.0.2.1\r\n", "\\\"".repeat(15_000)),
        format!("Forwarded: for={}\r\n", "\\".repeat(30_000) + "\""),
    ];
    assert_eq!(behind.clients(PROXY, &[&rows[0], &rows[1], &rows[2]]), ["192.0.2.1", "192.0.2.1", PROXY]);
    let mut client = behind.from(PROXY);
    client.send(ASK_PAGE);
    client.response().is(200, PAGE);
}
