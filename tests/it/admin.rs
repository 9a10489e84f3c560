//! The admin listener: what it counts, what it says of the server's health, and that nothing done to it
//! reaches the workers.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicBool;

use rustix::process::Signal;

use crate::support::browser::Browser;
use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::network::Network;
use crate::support::plain;
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Server, Stop, Tree, eventually, skipped};

fn start(workers: usize) -> (Server, SocketAddr) {
    let server = Launch::site().workers(workers).flags(["--admin", "0"]).start();
    let admin = server.admin_address();
    (server, admin)
}

#[track_caller]
fn metrics(admin: SocketAddr) -> Exposition {
    Exposition::of(admin)
}

/// Waits until the health has this status and word.
#[track_caller]
fn becomes(admin: SocketAddr, status: u16, word: &str) {
    eventually(word, || (plain::get(admin, "/healthz")? == (status, format!("{word}\n"))).then_some(()));
}

#[test]
fn a_script_of_requests_is_counted_exactly() {
    let (server, admin) = start(2);
    let tag = server.get("/page.html")["etag"].clone();
    let before = eventually("the first connection has ended", || {
        let before = metrics(admin);
        (before.sum("mayhttpd_connections_ended_total", "") == 1.0).then_some(before)
    });
    let script = [
        ("GET /page.html", "", "GET", "2xx"),
        ("GET /page.html", "", "GET", "2xx"),
        ("GET /large.html", "", "GET", "2xx"),
        ("GET /page.html", "Range: bytes=0-3\r\n", "GET", "2xx"),
        ("GET /page.html", &format!("If-None-Match: {tag}\r\n"), "GET", "3xx"),
        ("GET /dir", "", "GET", "3xx"),
        ("HEAD /page.html", "", "HEAD", "2xx"),
        ("HEAD /nowhere", "", "HEAD", "4xx"),
        ("GET /nowhere", "", "GET", "4xx"),
        ("POST /page.html", "Content-Length: 0\r\n", "other", "4xx"),
        ("GET /page.html", "Host: two\r\n", "unread", "4xx"),
    ];
    let mut bytes = 0;
    for (line, fields, ..) in &script {
        let mut client = server.client();
        client.send(format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}Connection: close\r\n\r\n"));
        bytes += client.rest().len();
    }
    let after = eventually("every connection has ended", || {
        let after = metrics(admin);
        (after.sum("mayhttpd_connections_ended_total", "") == 1.0 + script.len() as f64).then_some(after)
    });
    let gain = |name: &str, label: &str| after.sum(name, label) - before.sum(name, label);
    for (.., method, status) in &script {
        let count = script.iter().filter(|(.., m, s)| (m, s) == (method, status)).count();
        let label = format!("method=\"{method}\",status=\"{status}\"");
        assert_eq!(gain("mayhttpd_requests_total", &label), count as f64, "{label}");
    }
    let count = script.len() as f64;
    assert_eq!(gain("mayhttpd_requests_total", ""), count);
    assert_eq!(gain("mayhttpd_connections_accepted_total", ""), count);
    assert_eq!(gain("mayhttpd_sent_bytes_total", ""), bytes as f64);
    // One head was never complete, so its request has no time.
    assert_eq!(gain("mayhttpd_request_duration_seconds_count", ""), count - 1.0);
    assert_eq!(gain("mayhttpd_connections_ended_total", "reason=\"rejected\""), 1.0);
    assert_eq!(
        gain("mayhttpd_cache_hits_total", "") + gain("mayhttpd_cache_misses_total", ""),
        9.0,
        "each GET and HEAD looks once"
    );
    assert_eq!(after.sum("mayhttpd_worker_up", ""), 2.0);
}

#[test]
fn what_connections_do_is_told_while_they_do_it() {
    let (server, admin) = start(1);
    // More than the kernel takes off the server's hands.
    server.tree().file("huge.bin", vec![0; 32 << 20]);
    let silent = server.client();
    let mut idle = server.client();
    idle.still_serves();
    let mut slow = server.client();
    slow.send("GET / HT");
    let mut reader = Client::with_small_window(server.address());
    reader.send("GET /huge.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    eventually("each is in its phase", || {
        let metrics = metrics(admin);
        let open = |phase| metrics.sum("mayhttpd_connections_open", &format!("phase=\"{phase}\""));
        (open("idle") == 1.0 && open("head") == 1.0 && open("send") == 1.0 && open("linger") == 0.0)
            .then_some(())
    });
    drop((silent, idle, slow, reader));
    eventually("none is open", || (metrics(admin).sum("mayhttpd_connections_open", "") == 0.0).then_some(()));
}

#[test]
fn a_timeout_is_counted_with_its_phase() {
    let server = Launch::site().flags(["--admin", "0", "--head-timeout", "200ms"]).start();
    let admin = server.admin_address();
    let mut client = server.client();
    client.send("GET / HT");
    client.response().has_status(&[408]);
    client.closed();
    drop(client);
    eventually("the timeout is counted", || {
        let (_, text) = plain::get(admin, "/metrics")?;
        let metrics = Exposition::parse(&text);
        (metrics.value("mayhttpd_connection_timeouts_total{worker=\"0\",phase=\"head\"}") == 1.0
            && metrics.sum("mayhttpd_connections_ended_total", "reason=\"timed_out\"") == 1.0)
            .then_some(())
    });
}

#[test]
fn a_killed_worker_leaves_no_ghost_and_shows_as_a_restart() {
    let (server, admin) = start(2);
    let mut kept: Vec<_> = (0..40).map(|_| server.client()).collect();
    kept.iter_mut().for_each(Client::still_serves);
    let before = metrics(admin);
    assert_eq!(before.sum("mayhttpd_connections_open", ""), 40.0);
    let victim = server.workers()[0];
    victim.signal(Signal::KILL);
    eventually("the restart shows, and both are up", || {
        let metrics = metrics(admin);
        (metrics.sum("mayhttpd_worker_restarts_total", "") == 1.0
            && metrics.sum("mayhttpd_worker_up", "") == 2.0)
            .then_some(())
    });
    let alive = kept.iter_mut().filter_map(|client| (!client.is_closed()).then_some(())).count();
    let after = metrics(admin);
    assert_eq!(after.sum("mayhttpd_connections_open", ""), alive as f64);
    for name in
        ["mayhttpd_connections_accepted_total", "mayhttpd_requests_total", "mayhttpd_sent_bytes_total"]
    {
        assert!(after.sum(name, "") >= before.sum(name, ""), "{name} went back");
    }
}

#[test]
fn a_reload_changes_the_generation_and_no_count() {
    let (server, admin) = start(2);
    let process = server.admin().unwrap();
    let mut kept = server.client();
    kept.still_serves();
    let before = metrics(admin);
    server.signal(Signal::HUP);
    eventually("the next generation serves", || {
        let metrics = metrics(admin);
        (metrics.value("mayhttpd_generation") == 2.0
            && metrics.sum("mayhttpd_worker_generation", "") == 4.0
            && metrics.sum("mayhttpd_worker_up", "") == 2.0)
            .then_some(())
    });
    eventually("the one with the kept connection drains on", || {
        (metrics(admin).sum("mayhttpd_worker_draining", "") == 1.0).then_some(())
    });
    assert_eq!(metrics(admin).sum("mayhttpd_connections_open", ""), 1.0);
    kept.still_serves();
    kept.closed();
    eventually("the drained worker has gone", || {
        (metrics(admin).sum("mayhttpd_worker_draining", "") == 0.0).then_some(())
    });
    let after = metrics(admin);
    assert_eq!(after.sum("mayhttpd_requests_total", ""), before.sum("mayhttpd_requests_total", "") + 1.0);
    assert_eq!(after.sum("mayhttpd_connections_open", ""), 0.0);
    assert_eq!(after.sum("mayhttpd_worker_restarts_total", ""), 0.0);
    assert_eq!(server.admin(), Some(process));
    becomes(admin, 200, "ready");
}

#[test]
fn counts_are_exact_and_the_newest_worker_is_watched_however_many_generations_drain() {
    let place = Tree::empty();
    let file = place.file("mayhttpd.toml", "name = \"1\"\n");
    let flags =
        ["--admin", "0", "--drain-timeout", "5m", "--watchdog", "3s", "--config", file.to_str().unwrap()];
    let server = Launch::site().flags(flags).start();
    let admin = server.admin_address();
    let mut asked = 0.0;
    // A client whose connection is in this generation: the one before accepts until it has heard that it is
    // to drain.
    let mut client_of = |generation: u32| {
        eventually("the generation has a client", || {
            let mut client = server.client();
            client.send(ASK_PAGE);
            asked += 1.0;
            (client.response().field("Server") == Some(&generation.to_string())).then_some(client)
        })
    };
    let mut clients = Vec::new();
    for generation in 2..=9 {
        clients.push(client_of(generation - 1));
        std::fs::write(&file, format!("name = \"{generation}\"\n")).unwrap();
        server.signal(Signal::HUP);
        eventually("the next generation serves", || {
            (metrics(admin).value("mayhttpd_generation") == f64::from(generation)).then_some(())
        });
    }
    let newest = client_of(9);
    let workers = server.workers();
    assert_eq!(workers.len(), 9);
    let open = |found: &Exposition| found.sum("mayhttpd_connections_open", "");
    let found = eventually("other connections have ended", || {
        let found = metrics(admin);
        (found.sum("mayhttpd_connections_ended_total", "") == asked - 9.0).then_some(found)
    });
    assert_eq!(open(&found), 9.0);
    assert_eq!(found.sum("mayhttpd_worker_draining", ""), 8.0);
    assert_eq!(found.value("mayhttpd_worker_generation{worker=\"0\"}"), 9.0);
    assert_eq!(found.sum("mayhttpd_requests_total", ""), asked);

    let stopped = *workers.last().unwrap();
    stopped.stop();
    server.says("so", |line| line.contains("of generation 9 has had no heartbeat for 3 s and is killed"));
    eventually("another one serves", || {
        let found = metrics(admin);
        let restarted = found.sum("mayhttpd_worker_restarts_total", "") == 1.0;
        let newest = found.value("mayhttpd_worker_generation{worker=\"0\"}") == 9.0;
        (restarted && newest && found.sum("mayhttpd_worker_draining", "") == 8.0).then_some(())
    });
    drop(newest);
    for (number, mut client) in clients.into_iter().enumerate() {
        client.send(ASK_PAGE);
        assert!(client.response().closes());
        client.closed();
        let left = 7 - number;
        eventually("its worker has gone", || {
            let found = metrics(admin);
            (found.sum("mayhttpd_worker_draining", "") == left as f64).then_some(())
        });
        let found = metrics(admin);
        assert_eq!(open(&found), left as f64);
        assert_eq!(found.sum("mayhttpd_requests_total", ""), asked + 1.0 + number as f64);
    }
}

#[test]
fn health_is_ready_while_one_worker_is_well() {
    let (server, admin) = start(2);
    becomes(admin, 200, "ready");
    let workers = server.workers();
    workers[0].stop();
    eventually("the stopped worker is not up", || {
        (metrics(admin).sum("mayhttpd_worker_up", "") == 1.0).then_some(())
    });
    becomes(admin, 200, "ready");
    workers[1].stop();
    becomes(admin, 503, "failing");
    workers[0].signal(Signal::CONT);
    becomes(admin, 200, "ready");
    workers[1].signal(Signal::CONT);
}

#[test]
fn health_is_draining_until_the_last_client_has_gone() {
    let (mut server, admin) = start(1);
    let mut client = server.client();
    client.send("GET /page.html HTTP/1.1\r\n");
    eventually("the client has begun", || {
        (metrics(admin).sum("mayhttpd_connections_open", "phase=\"head\"") == 1.0).then_some(())
    });
    server.signal(Signal::QUIT);
    becomes(admin, 503, "draining");
    client.send("Host: test\r\n\r\n");
    // The master says so at once, and the worker may hear of it a moment later: until then it keeps the
    // connection.
    eventually("an answer closes the connection", || {
        let response = client.response();
        response.is(200, PAGE);
        if !response.closes() {
            client.send(ASK_PAGE);
        }
        response.closes().then_some(())
    });
    client.closed();
    drop(client);
    assert_eq!(server.exit_code(), Some(0));
    // Now and then a client of another test has the port for a moment.
    eventually("the admin listener ends with its master", || TcpListener::bind(admin).ok());
}

#[test]
fn a_killed_admin_comes_back_and_the_workers_go_on() {
    let (server, admin) = start(1);
    let mut client = server.client();
    client.still_serves();
    let workers = server.workers();
    let old = server.admin().unwrap();
    old.signal(Signal::KILL);
    eventually("another admin answers", || {
        let new = server.admin().filter(|new| *new != old)?;
        let (_, text) = plain::get(admin, "/metrics")?;
        Some((new, Exposition::parse(&text)))
            .filter(|(_, metrics)| metrics.value("mayhttpd_admin_restarts_total") == 1.0)
    });
    client.still_serves();
    assert_eq!(server.workers(), workers);
    assert!(server.log().contains("admin ended (signal 9, SIGKILL)"), "{}", server.log());
}

#[test]
fn an_admin_port_that_is_taken_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_first, other) = start(1);
    for address in [taken.local_addr().unwrap(), other] {
        let finished = Launch::site().flags(["--admin", &address.to_string()]).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let expected =
            format!("cannot listen on {address}: address already in use (another process holds this port)");
        assert_eq!(finished.errors.lines().count(), 1, "{finished:?}");
        assert!(finished.errors.contains(&expected), "{finished:?}");
    }
    assert!(plain::get(other, "/healthz").is_some());
}

#[test]
fn requests_that_its_library_would_mistake_end_their_connection() {
    let (server, admin) = start(1);
    let close = "Connection: close\r\n";
    for (raw, status) in [
        ("GET /healthz HTTP/1.0\r\n\r\n".to_owned(), 200),
        (format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{close}\r\n"), 200),
        ("HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), 405),
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nGET / x".to_owned(), 405),
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n".to_owned(), 200),
    ] {
        let mut client = Client::connect(admin);
        client.send(&raw);
        let all = String::from_utf8_lossy(&client.rest()).into_owned();
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{raw:?} got {all:?}");
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{raw:?} got {all:?}");
        assert_eq!(all.ends_with("\r\n\r\n"), status == 405, "a body for {raw:?}: {all:?}");
    }
    let chunked = "GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for garbage in [chunked.as_bytes(), b"\x16\x03\x01\x02", b"\0\0\0\0\r\n\r\n", &[b'a'; 100_000]] {
        let mut client = Client::connect(admin);
        client.send(garbage);
        client.half_close();
        client.rest();
    }
    assert_eq!(plain::get(admin, "/nowhere").unwrap().0, 404);
    assert_eq!(plain::get(admin, "/").unwrap().0, 302);
    server.get("/page.html").is(200, PAGE);
    let log = server.log();
    assert!(!log.contains("ERROR") && !log.contains("httparse") && !log.contains("err ="), "{log}");
}

#[test]
fn thousands_of_idle_connections_close_the_oldest_and_nothing_else() {
    raise_descriptor_limit();
    for (backtrace, sent) in
        [("0", ""), ("1", ""), ("0", "GET /healthz HT"), ("1", "GET / HTTP/1.1\r\nHost: a\r\n")]
    {
        let server = Launch::site().flags(["--admin", "0"]).environment("RUST_BACKTRACE", backtrace).start();
        let admin = server.admin_address();
        let process = server.admin().unwrap();
        let mut first = Client::connect(admin);
        is_ready(&mut first);
        let mut clients: Vec<_> = (0..2000).map(|_| Client::connect(admin)).collect();
        for client in &mut clients {
            client.send(sent);
        }
        assert_eq!(plain::get(admin, "/healthz"), Some((200, "ready\n".to_owned())), "after {sent:?}");
        assert_eq!(server.admin(), Some(process), "after {sent:?}: {}", server.log());
        eventually("the oldest are closed", || {
            (first.is_closed() && clients[..1900].iter_mut().all(Client::is_closed)).then_some(())
        });
        let newest = &mut clients[1999];
        assert!(!newest.is_closed());
        if sent.is_empty() {
            is_ready(newest);
        }
        let memory = process.memory();
        assert!(memory < 32 << 20, "{memory} bytes");
        if let Some(descriptors) = process.descriptors() {
            assert!(descriptors < 128, "{descriptors} descriptors");
        }
        let (status, text) = plain::get(admin, "/metrics").unwrap();
        assert_eq!(status, 200);
        assert_eq!(Exposition::parse(&text).value("mayhttpd_admin_restarts_total"), 0.0);
    }
}

#[test]
fn a_request_makes_a_connection_younger_than_idle_ones() {
    let (_server, admin) = start(1);
    let mut busy = Client::connect(admin);
    let mut idle: Vec<Client> = Vec::new();
    for _ in 0..300 {
        is_ready(&mut busy);
        idle.push(Client::connect(admin));
        // Accepted in this order.
        plain::get(admin, "/healthz").unwrap();
    }
    is_ready(&mut busy);
    assert!(idle[0].is_closed());
}

#[test]
fn an_admin_with_few_descriptors_survives_a_flood_of_connections() {
    for limit in [64, 80, 256] {
        let server =
            Launch::site().flags(["--admin", "0", "--log-level", "debug"]).descriptors(limit).start();
        let admin = server.admin_address();
        let process = server.admin().unwrap();
        let clients: Vec<_> = (0..500).map(|_| Client::connect(admin)).collect();
        assert_eq!(plain::get(admin, "/healthz"), Some((200, "ready\n".to_owned())), "{limit}");
        assert!(plain::get(admin, "/metrics").unwrap().1.contains("mayhttpd_worker_resident_memory_bytes{"));
        assert_eq!(server.admin(), Some(process), "{}", server.log());
        drop(clients);
        assert_eq!(plain::get(admin, "/healthz"), Some((200, "ready\n".to_owned())), "{limit}");
    }
}

#[test]
fn the_log_names_the_want_of_memory_and_not_the_sandbox() {
    let server = Launch::site().flags(["--admin", "0"]).environment("RUST_BACKTRACE", "1").start();
    let admin = server.admin_address();
    let mut client = Client::connect(admin);
    client.send("GET / HTTP/1.1\r\nX: ");
    let piece = vec![b'x'; 1 << 20];
    (0..1024).find(|_| !client.send(&piece));
    server.says("how it ended", |line| line.contains("admin ended"));
    assert!(server.log().contains("admin ended (signal 6, SIGABRT)"), "{}", server.log());
}

/// Asks for the health on a connection that stays open. The library's status line is not that of the strict
/// client.
#[track_caller]
fn is_ready(client: &mut Client) {
    client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\r\n\r\nready\n") {
        let count = client.read(&mut piece);
        assert!(count > 0, "closed after {:?}", answer.escape_ascii().to_string());
        answer.extend_from_slice(&piece[..count]);
    }
}

/// Two thousand clients need as many descriptors.
fn raise_descriptor_limit() {
    mayhttpd::sys::limits::raise_descriptor_limit();
}

#[test]
fn at_a_loopback_address_a_request_is_for_an_address_localhost_or_an_allowed_name() {
    let flags = ["--admin", "0", "--admin-hosts", "status.example,Other.Example."];
    let server = Launch::site().flags(flags).start();
    let admin = server.admin_address();
    let port = admin.port();
    let own = format!("127.0.0.1:{port}");
    let ask = |raw: &str| plain::ask(admin, raw).unwrap_or_else(|| panic!("no answer to {raw:?}")).0;
    for (hosts, status) in [
        (&[&*own][..], 200),
        (&["localhost"], 200),
        (&["LOCALHOST.:1"], 200),
        (&["[::1]:9000"], 200),
        (&["192.0.2.1"], 200),
        (&["status.example"], 200),
        (&["other.example:9000"], 200),
        (&["evil.example"], 421),
        (&["sub.status.example"], 421),
        (&["foo.localhost"], 421),
        (&["127.0.0.1.evil.example"], 421),
        (&[""], 421),
        (&["local host"], 400),
        (&["localhost", "localhost"], 400),
        (&["localhost", "evil.example"], 400),
        (&[], 400),
    ] {
        let fields: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        for path in ["/healthz", "/status", "/status.json", "/metrics"] {
            assert_eq!(ask(&format!("GET {path} HTTP/1.1\r\n{fields}\r\n")), status, "{path} {hosts:?}");
        }
    }
    for (line, status) in [
        ("GET http://evil.example/healthz HTTP/1.1", 421),
        ("GET http://localhost/healthz HTTP/1.1", 200),
        ("GET HTTP://localhost:1/nowhere HTTP/1.1", 404),
        ("GET http:///healthz HTTP/1.1", 400),
        ("HEAD http://evil.example/healthz HTTP/1.1", 421),
        ("POST http://evil.example/healthz HTTP/1.1", 421),
    ] {
        assert_eq!(ask(&format!("{line}\r\nHost: localhost\r\n\r\n")), status, "{line}");
    }
    assert_eq!(ask("GET /healthz HTTP/1.0\r\n\r\n"), 200);
    assert_eq!(ask("GET /healthz HTTP/1.0\r\nHost: evil.example\r\n\r\n"), 421);
    assert!(
        !plain::ask(admin, "GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n")
            .unwrap()
            .1
            .contains("workers")
    );
}

#[test]
fn at_another_address_a_request_may_be_for_any_name() {
    let name = "at_another_address_a_request_may_be_for_any_name";
    let network = match Network::make(65536) {
        Ok(network) => network,
        Err(why) => {
            skipped(name, &why);
            return;
        }
    };
    network.enter(|| {
        let added =
            std::process::Command::new("ip").args(["address", "add", "192.0.2.7/32", "dev", "lo"]).status();
        assert!(added.unwrap().success());
        let server = Launch::site().flags(["--admin", "0.0.0.0:9000"]).start();
        server.admin_address();
        for (host, status) in [("127.0.0.1", 421), ("192.0.2.7", 200)] {
            let raw = "GET /healthz HTTP/1.1\r\nHost: status.example:9000\r\n\r\n";
            let address = format!("{host}:9000").parse().unwrap();
            assert_eq!(plain::ask(address, raw).unwrap().0, status, "{host}");
        }
        drop(server);
        let server = Launch::site().flags(["--admin", "[::]:9000"]).start();
        eventually("it answers", || plain::get("127.0.0.1:9000".parse().unwrap(), "/healthz"));
        for (address, status) in [("127.0.0.1:9000", 421), ("[::1]:9000", 421), ("192.0.2.7:9000", 200)] {
            let raw = "GET /healthz HTTP/1.1\r\nHost: status.example:9000\r\n\r\n";
            assert_eq!(plain::ask(address.parse().unwrap(), raw).unwrap().0, status, "{address}");
        }
        drop(server);
    });
}

#[test]
fn an_admin_flooded_with_one_head_dies_alone() {
    let (server, admin) = start(1);
    let workers = server.workers();
    let old = server.admin().unwrap();
    let mut client = Client::connect(admin);
    client.send("GET / HTTP/1.1\r\nX: ");
    let piece = vec![b'x'; 1 << 20];
    // Far more memory than it may have.
    (0..1024).find(|_| !client.send(&piece));
    eventually("another admin answers", || {
        server.admin().filter(|new| *new != old)?;
        plain::get(admin, "/healthz")
    });
    assert_eq!(server.workers(), workers);
    server.get("/page.html").is(200, PAGE);
}

#[test]
fn the_status_page_shows_load_and_sick_workers_in_a_browser() {
    let Some(browser) = Browser::start() else {
        skipped("the_status_page_shows_load…", "there is no chromium with its chromedriver");
        return;
    };
    let (server, admin) = start(2);
    browser.open(&format!("http://{admin}/"));
    let text = |id: &str| browser.text(&format!("return document.getElementById('{id}').textContent"));
    let states = || {
        browser
            .text("return [...document.querySelectorAll('#workers tr')].map(r => r.dataset.state).join(' ')")
    };
    eventually("the page renders", || (text("health") == "ready" && states() == "well well").then_some(()));
    let pids = || {
        browser.text(
            "return [...document.querySelectorAll('#workers tr')].map(r => r.cells[2].textContent).join(' ')",
        )
    };
    let mut expected: Vec<_> = server.workers().iter().map(|worker| worker.pid.to_string()).collect();
    let mut shown: Vec<_> = pids().split(' ').map(str::to_owned).collect();
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
    let kinds = browser
        .text("return [...document.querySelectorAll('#jobs tr')].map(r => r.cells[0].textContent).join(' ')");
    assert_eq!(kinds, "open read hash list root close compress password");

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ending = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                server.get("/page.html").is(200, PAGE);
            }
        });
        eventually("numbers move under load", || {
            let moved = |text: String| text.chars().any(|letter| ('1'..='9').contains(&letter));
            (moved(text("rate")) && moved(text("bytes")) && text("p99").ends_with('s')).then_some(())
        });
        drop(ending);
    });
    let line = browser.text("return document.querySelector('#rate-chart path:last-child').getAttribute('d')");
    assert!(line.starts_with('M') && line.contains('L'), "{line}");

    let workers = server.workers();
    workers[0].stop();
    eventually("a worker without a heartbeat shows", || {
        (states().contains("silent") && text("alarm").contains("is silent")).then_some(())
    });
    workers[0].signal(Signal::CONT);
    eventually("it is well again", || (states() == "well well" && text("alarm").is_empty()).then_some(()));

    workers[0].signal(Signal::KILL);
    eventually("a killed worker shows", || {
        let restarts = browser.text(
            "return [...document.querySelectorAll('#workers tr')].map(r => r.cells[8].textContent).join(' ')",
        );
        (restarts.contains('1') && text("alarm").contains("Replaced") && states() == "well well")
            .then_some(())
    });
    let outside = browser.text(
        "return performance.getEntriesByType('resource').map(e => new URL(e.name)).filter(u => u.host != location.host).length + ''",
    );
    assert_eq!(outside, "0", "the page asks others for something");
}
