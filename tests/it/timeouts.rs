//! What becomes of clients that let the server wait, and that each phase has a timeout of its own.

use std::time::{Duration, Instant};

use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Client, DEADLINE, Launch, Server, Tree, pattern, within};

/// Long enough that the other timeouts can't be what ended a wait in a test.
const NEVER: &str = "1h";

/// Timeouts that never pass but for the one under test.
fn only(flag: &str, value: &str) -> Server {
    let mut flags = vec!["--idle-timeout", NEVER, "--head-timeout", NEVER, "--send-timeout", NEVER];
    flags.extend([flag, value]);
    let kept = flags.iter().position(|word| *word == flag).unwrap();
    if kept + 2 < flags.len() {
        flags.drain(kept..kept + 2);
    }
    Launch::site().flags(flags).start()
}

#[test]
fn a_silent_client_is_let_go_without_a_word() {
    let server = Server::start(&["--idle-timeout", "1s", "--head-timeout", "1s"]);
    // A connection without data is taken up by the server only after a while of its own.
    let mut client = server.client().patient(DEADLINE * 3);
    client.closed();
}

#[test]
fn a_part_of_a_head_gets_408_and_the_end() {
    let server = only("--head-timeout", "500ms");
    for part in [
        "G",
        "GET /page",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: test\r\nX-",
        "GET / HTTP/1.1\r\nHost: test\r\n",
    ] {
        let mut client = server.client();
        client.send(part);
        let response = client.response();
        response.has_status(&[408]);
        assert!(response.closes());
        client.closed();
    }
}

#[test]
fn a_dripped_head_is_cut_at_its_deadline() {
    let server = only("--head-timeout", "1s");
    for drop in ["X: y\r\n", "\r\n"] {
        let mut client = server.client();
        if drop != "\r\n" {
            client.send("GET / HTTP/1.1\r\nHost: test\r\n");
        }
        let start = Instant::now();
        while !client.has_news() {
            client.send(drop);
            assert!(start.elapsed() < DEADLINE, "a drip of {drop:?} is waited for without end");
            // The pace of the drip, not a wait: each drop comes well within any timeout counted from the
            // last.
            std::thread::sleep(Duration::from_millis(100));
        }
        if let Some(response) = client.answer() {
            response.has_status(&[400, 408]);
        }
        client.closed();
    }
}

#[test]
fn the_head_of_a_later_request_has_its_deadline_too() {
    let server = only("--head-timeout", "500ms");
    let mut client = server.client();
    client.still_serves();
    client.send("GET /page.html HT");
    client.response().has_status(&[408]);
    client.closed();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = only("--idle-timeout", "500ms");
    let mut client = server.client();
    client.still_serves();
    client.closed();
}

#[test]
fn an_empty_line_begins_no_head() {
    let server = only("--head-timeout", "300ms");
    let mut idle = server.client();
    idle.still_serves();
    idle.send("\r\n");
    // Another client shows that the time has passed.
    let mut partial = server.client();
    partial.send("GET");
    partial.response().has_status(&[408]);
    idle.still_serves();
}

#[test]
fn an_idle_connection_with_an_empty_line_is_closed_without_a_word() {
    for head_timeout in ["300ms", NEVER] {
        let server = Server::start(&["--idle-timeout", "1s", "--head-timeout", head_timeout]);
        let mut client = server.client();
        client.still_serves();
        client.send("\r\n");
        client.closed();
    }
}

#[test]
fn empty_lines_again_and_again_gain_no_time() {
    for head_timeout in ["300ms", NEVER] {
        let server = Server::start(&["--idle-timeout", "1s", "--head-timeout", head_timeout]);
        let mut client = server.client();
        client.still_serves();
        let start = Instant::now();
        while !client.has_news() {
            client.send("\r\n");
            assert!(start.elapsed() < DEADLINE, "empty lines keep an idle connection without end");
            // The pace of the drip, not a wait: each comes well within the timeout counted from the last.
            std::thread::sleep(Duration::from_millis(50));
        }
        client.closed();
    }
}

#[test]
fn an_idle_connection_outlives_the_head_timeout() {
    let server = only("--head-timeout", "300ms");
    let mut idle = server.client();
    idle.still_serves();
    // Another client shows that the time has passed.
    let mut partial = server.client();
    partial.send("GET");
    partial.response().has_status(&[408]);
    idle.still_serves();
}

#[test]
fn a_connection_that_is_used_is_never_idle() {
    let server = only("--idle-timeout", "1s");
    let mut client = server.client();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        client.still_serves();
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_body_that_stops_coming_ends_the_connection() {
    let server =
        Server::start(&["--head-timeout", "500ms", "--idle-timeout", "500ms", "--send-timeout", "500ms"]);
    for tail in ["Content-Length: 100\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nhe"] {
        let mut client = server.client();
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: test\r\n{tail}"));
        if let Some(response) = client.answer() {
            response.has_status(&[200, 400, 408]);
        }
        client.closed();
    }
}

#[test]
fn a_client_that_takes_nothing_is_dropped() {
    for sendfile in ["on", "off"] {
        let tree = Tree::site();
        tree.file("big.bin", pattern(1, 32 << 20));
        let server = Server::of(tree, &["--send-timeout", "500ms", "--sendfile", sendfile]);
        let worker = server.workers()[0];
        let mut other = server.client();
        other.still_serves();
        let before = worker.descriptors();
        let mut client = Client::with_small_window(server.address());
        client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        client.head().unwrap().has_status(&[200]);
        // The file stays open in the cache; the connection is what goes.
        let gone = || (worker.descriptors() <= before.map(|count| count + 1)).then_some(());
        let bound = Duration::from_millis(4 * 500) + Duration::from_secs(5);
        within(bound, "the connection is dropped", gone);
        let (mut got, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            match client.read(&mut buffer) {
                0 => break,
                count => got += count,
            }
            assert!(got < 32 << 20, "the whole body came");
        }
        other.still_serves();
    }
}

#[test]
fn a_slow_but_steady_reader_outlasts_the_send_timeout() {
    let tree = Tree::site();
    let body = pattern(2, 6 << 20);
    tree.file("big.bin", &body);
    let server = Server::of(tree, &["--send-timeout", "1s"]);
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap();
    let start = Instant::now();
    let (mut got, mut buffer) = (0, vec![0; 64 << 10]);
    while got < body.len() {
        if start.elapsed() < Duration::from_secs(3) {
            // The reader's pace.
            std::thread::sleep(Duration::from_millis(50));
        }
        let count = client.read(&mut buffer);
        assert!(count > 0, "cut at {got} after {:?}", start.elapsed());
        assert!(buffer[..count] == body[got..got + count], "wrong content at {got}");
        got += count;
    }
}

#[test]
fn clients_that_wait_hold_no_other_up() {
    let server = Server::start(&["--head-timeout", "30s"]);
    let mut waiting: Vec<_> = (0..50).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|client| assert!(client.send("GET /page.html HTTP/1.1\r\nHo")));
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    for client in &mut waiting {
        client.send("st: test\r\n\r\n");
        client.send(ASK_PAGE);
        client.response().is(200, PAGE);
        client.response().is(200, PAGE);
    }
}

/// Holds a server to ending each connection that `begin` has begun no sooner than `timeout` after that began,
/// and soon afterwards. The connections begin at all parts of a tick of the server's clock.
#[track_caller]
fn never_early(server: &Server, timeout: Duration, begin: impl Fn(&mut Client)) {
    let begun: Vec<_> = (0..40)
        .map(|_| {
            let mut client = server.client();
            std::thread::sleep(Duration::from_millis(7));
            let start = Instant::now();
            begin(&mut client);
            (client, start)
        })
        .collect();
    let taken: Vec<_> = std::thread::scope(|scope| {
        let wait = |(mut client, start): (Client, Instant)| {
            scope.spawn(move || {
                client.rest();
                start.elapsed()
            })
        };
        let threads: Vec<_> = begun.into_iter().map(wait).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (least, most) = (taken.iter().min().unwrap(), taken.iter().max().unwrap());
    assert!(*least >= timeout, "one ended after {least:?}, which is before {timeout:?}");
    assert!(*most < timeout + DEADLINE, "one ended after {most:?}");
}

#[test]
fn no_timeout_ends_early() {
    let timeout = Duration::from_millis(1500);
    let server = only("--idle-timeout", "1500ms");
    never_early(&server, timeout, Client::still_serves);
    // One that had to be waited for keeps its coroutine for a while.
    never_early(&server, timeout, |client| {
        client.send("GET /page.html HTTP/1.1\r\nHo");
        std::thread::sleep(Duration::from_millis(20));
        client.send("st: test\r\n\r\n");
        client.response().is(200, PAGE);
    });
    let server = only("--head-timeout", "1500ms");
    never_early(&server, timeout, |client| assert!(client.send("GET /page.html HTTP/1.1\r\nHo")));
    never_early(&server, timeout, |client| {
        assert!(client.send("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc"));
    });
}

#[test]
fn a_worker_that_was_held_up_ends_no_connection_early() {
    let timeout = Duration::from_millis(1500);
    let server = only("--idle-timeout", "1500ms");
    let worker = server.workers()[0];
    for _ in 0..5 {
        let mut client = server.client();
        client.still_serves();
        worker.stop();
        client.send(ASK_PAGE);
        // The worker's clock stands still meanwhile.
        std::thread::sleep(Duration::from_millis(700));
        let start = Instant::now();
        worker.signal(rustix::process::Signal::CONT);
        client.response().is(200, PAGE);
        client.closed();
        assert!(start.elapsed() >= timeout, "ended after {:?}", start.elapsed());
    }
}

#[test]
fn a_client_that_never_closes_after_the_last_response_is_let_go_and_counted() {
    let logs = Tree::empty();
    let path = logs.at("access.log");
    let log = ["--access-log", path.to_str().unwrap(), "--access-format", "json"];
    let server = Launch::site().flags(["--admin", "0"]).flags(log).start();
    let admin = server.admin_address();
    let until = |what: &str, phase: &str, open: f64, timeouts: f64| {
        within(DEADLINE * 2, what, || {
            let metrics = Exposition::of(admin);
            let label = format!("phase=\"{phase}\"");
            (metrics.sum("mayhttpd_connections_open", &label) == open
                && metrics.sum("mayhttpd_connection_timeouts_total", &label) == timeouts)
                .then_some(())
        });
    };
    // A body too long to be skipped, and a request that is refused.
    let long = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 999999999\r\n\r\n";
    let refused = "GET / HTTP/1.1\r\n\r\n";
    for (count, request) in [long, refused].iter().enumerate() {
        let mut client = server.client().patient(DEADLINE * 2);
        let start = Instant::now();
        client.send(request);
        let response = client.response();
        response.has_status(&[400, 405]);
        assert!(response.closes());
        until("it lingers", "linger", 1.0, count as f64);
        until("it has lingered for long enough", "linger", 0.0, count as f64 + 1.0);
        assert!(start.elapsed() >= Duration::from_secs(5), "let go after {:?}", start.elapsed());
        client.closed();
    }
    let ended = |reason: &str| {
        Exposition::of(admin).sum("mayhttpd_connections_ended_total", &format!("reason=\"{reason}\""))
    };
    assert_eq!((ended("timed_out"), ended("rejected"), ended("finished")), (1.0, 1.0, 0.0));
    let ends = within(DEADLINE, "the ends in the access log", || {
        let text = std::fs::read_to_string(logs.at("access.log")).unwrap();
        let ends: Vec<_> = text.lines().map(|line| Json::parse(line).text("end").to_owned()).collect();
        (ends.len() == 3).then_some(ends)
    });
    assert_eq!(ends, ["finished", "linger_timeout", "rejected"]);
}
