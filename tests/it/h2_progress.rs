//! Who takes something of the answers, however little, is waited for; who takes nothing is let go, whatever
//! else it sends.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::authority::Authority;
use crate::support::client::stream_with_small_window;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::h2_frames::*;
use crate::support::transport::{End, Transport};
use crate::support::tree::{PAGE, large};
use crate::support::{DEADLINE, H2, Launch, Tls, Tree, pattern, within};

/// The send timeout where it is what is tested.
const TIMEOUT: Duration = Duration::from_secs(3);

/// For how long a slow client is slow, so that its socket takes nothing for longer than the timeout.
const SLOW: Duration = Duration::from_secs(9);

/// Long enough that it ends nothing in a test.
const NEVER: Duration = Duration::from_secs(3600);

fn body() -> Vec<u8> {
    pattern(7, 6 << 20)
}

struct Subject {
    server: Configured,
    admin: SocketAddr,
    authority: Authority,
}

impl Subject {
    /// A server with HTTP/2 with and without TLS, and a large file.
    #[track_caller]
    fn start(send_timeout: Duration) -> Self {
        let (tree, authority) = (Tree::site(), Authority::new());
        tree.file("big.bin", body());
        let table = authority.issue(&["test"]).table();
        let timeout = format!("{}s", send_timeout.as_secs());
        let launch = Launch::of(tree).tls().flags(["--admin", "0", "--send-timeout", &timeout]);
        let server = launched(launch, &format!("http2_plain = true\n{table}"));
        let admin = server.admin_address();
        Self { server, admin, authority }
    }

    /// A client whose kernel takes little that it does not read, with windows of HTTP/2 that hold up nothing.
    #[track_caller]
    fn narrow(&self, has_tls: bool) -> H2 {
        let (transport, scheme) = if has_tls {
            let tls = Tls::trusting(&self.authority).offering(&["h2"]);
            (tls.over(stream_with_small_window(self.server.tls_address())).unwrap(), "https")
        } else {
            (Transport::plain(stream_with_small_window(self.server.address())), "http")
        };
        let mut client = H2::over(transport, scheme, &[(INITIAL_WINDOW_SIZE, LARGEST_WINDOW)]);
        client.open_window(0, 1 << 30);
        client.keeping_windows()
    }

    /// How many connections were ended for taking nothing.
    fn timeouts(&self) -> f64 {
        Exposition::of(self.admin).sum("mayhttpd_connection_timeouts_total", "phase=\"send\"")
    }
}

/// Reads frames slowly for so long, and then the rest of an answer.
#[track_caller]
fn read_slowly(client: &mut H2, stream: u32, slow: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < slow {
        // The reader's pace.
        std::thread::sleep(Duration::from_millis(300));
        assert!(client.frame().is_some(), "cut after {:?}; {}", begun.elapsed(), client.story());
    }
    assert!(!client.streams[&stream].is_whole, "it was not slow");
    client.response(stream).is(200, body());
}

#[test]
fn a_slow_but_steady_reader_outlasts_the_send_timeout_and_one_that_reads_nothing_does_not() {
    let subject = Subject::start(TIMEOUT);
    std::thread::scope(|scope| {
        for has_tls in [false, true] {
            let subject = &subject;
            scope.spawn(move || {
                let mut steady = subject.narrow(has_tls);
                let stream = steady.ask("GET", "/big.bin", &[]);
                read_slowly(&mut steady, stream, SLOW);
                steady.get("/page.html").is(200, PAGE);
            });
        }
        let mut silent = [false, true].map(|has_tls| subject.narrow(has_tls));
        silent.iter_mut().for_each(|client| _ = client.ask("GET", "/big.bin", &[]));
        within(DEADLINE * 2, "those that read nothing are ended", || {
            (subject.timeouts() == 2.0).then_some(())
        });
    });
    assert_eq!(subject.timeouts(), 2.0);
}

#[test]
fn pings_do_not_keep_streams_that_are_stuck() {
    let subject = Subject::start(TIMEOUT);
    let mut client = H2::connect_with(subject.server.address(), &[(INITIAL_WINDOW_SIZE, 0)]);
    (0..3).for_each(|_| _ = client.ask("GET", "/big.bin", &[]));
    let begun = Instant::now();
    while client.end.is_none() && client.goaway.is_none() {
        assert!(begun.elapsed() < DEADLINE, "PINGs keep streams without end; {}", client.story());
        let pongs = client.pongs.len();
        client.put(ping(b"12345678"));
        while client.pongs.len() == pongs && client.frame().is_some() {}
        // The pace of the client, not a wait: many times in the timeout, and no flood.
        std::thread::sleep(TIMEOUT / 50);
    }
    client.until_end();
    // What was sent meanwhile may have the end overtake the word.
    let is_flood = client.goaway.as_ref().is_some_and(|goaway| goaway.code != NO_ERROR);
    assert!(!is_flood && subject.timeouts() == 1.0, "{}", client.story());
    assert!(begun.elapsed() >= TIMEOUT, "ended after {:?}", begun.elapsed());
}

#[test]
fn a_client_that_says_goaway_while_its_socket_is_full_gets_the_rest() {
    let subject = Subject::start(NEVER);
    for has_tls in [false, true] {
        let mut client = subject.narrow(has_tls);
        let stream = client.ask("GET", "/big.bin", &[]);
        client.until("a part of the body", |client| !client.streams[&stream].body.is_empty());
        // By then the worker has had so many turns that the socket has taken what it takes.
        for _ in 0..30 {
            H2::connect(subject.server.address()).get("/page.html").is(200, PAGE);
            client.frame();
        }
        client.put(goaway(0, NO_ERROR));
        read_slowly(&mut client, stream, Duration::from_secs(2));
        assert_eq!(client.until_end(), End::Orderly, "{}", client.story());
    }
    assert_eq!(subject.timeouts(), 0.0);
}

#[test]
fn a_client_that_says_goaway_right_behind_its_requests_gets_all_before_the_end() {
    let subject = Subject::start(NEVER);
    for has_tls in [false, true] {
        let mut client = subject.narrow(has_tls);
        let streams = ["/big.bin", "/large.html"].map(|path| client.ask("GET", path, &[]));
        client.put(goaway(0, NO_ERROR));
        read_slowly(&mut client, streams[0], Duration::from_secs(2));
        client.response(streams[1]).is(200, large());
        assert_eq!(client.until_end(), End::Orderly, "{}", client.story());
    }
}

/// What the kernel holds of a connection's bytes on the server's side.
fn queued(client: &H2) -> usize {
    let ports = [client.stream().peer_addr(), client.stream().local_addr()]
        .map(|address| format!(":{:04X}", address.unwrap().port()));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[1].ends_with(&ports[0]) && fields[2].ends_with(&ports[1])).then(|| fields[4].to_owned())
    });
    let queue = line.and_then(|queues| usize::from_str_radix(queues.split(':').next()?, 16).ok());
    queue.unwrap_or(0)
}

/// The same, once it has not changed for a while, which is no promise that it stays.
fn settled_queue(client: &H2) -> usize {
    let (mut last, mut same) = (0, 0);
    for _ in 0..500 {
        let now = queued(client);
        same = if now == last && now > 0 { same + 1 } else { 0 };
        last = now;
        if same > 20 {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    last
}

#[test]
fn the_last_bytes_before_the_end_are_not_lost_when_the_socket_does_not_take_them() {
    let subject = Subject::start(NEVER);
    let body = body();
    let mut client = subject.narrow(false);
    client.ask("GET", "/big.bin", &[]);
    let taken = settled_queue(&client);
    drop(client);
    // Of some of these the socket takes all but the last chunk while nothing is read.
    for more in 0..24 {
        let length = (taken + more * 8000).saturating_sub(64 << 10).clamp(1, body.len());
        let mut client = subject.narrow(false);
        let range = format!("bytes=0-{}", length - 1);
        let stream = client.ask("GET", "/big.bin", &[("range", &range)]);
        client.put(goaway(0, NO_ERROR));
        settled_queue(&client);
        client.response(stream).is(206, &body[..length]);
        assert_eq!(client.until_end(), End::Orderly, "{}", client.story());
    }
}
