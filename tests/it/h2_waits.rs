//! Streams of HTTP/2 whose answers wait for a disk or for a sign-in: they alone wait, and hold nothing that
//! the others of their connection need.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::support::client::stream_from;
use crate::support::configured::{Configured, launched, serve};
use crate::support::exposition::Exposition;
use crate::support::h2_frames::*;
use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::{Caching, Operation};
use crate::support::transport::Transport;
use crate::support::tree::PAGE;
use crate::support::{Client, H2, Launch, Tree, eventually, pattern};

/// A file that the server keeps in memory, nearly as long as the window of a connection.
const WARM: usize = 60_000;

fn warm() -> Vec<u8> {
    pattern(1, WARM)
}

fn big(number: usize) -> Vec<u8> {
    pattern(number as u64, 400_000)
}

/// A server whose root is on a slow disk.
struct Site {
    // The disk goes first: no process could end that waits for it.
    disk: SlowDisk,
    server: Configured,
    admin: SocketAddr,
}

impl Site {
    /// With files that are in memory, some of which nothing is known, and large ones that are known and whose
    /// content is not.
    #[track_caller]
    fn start() -> Site {
        let tree = Tree::site();
        tree.file("warm.bin", warm());
        (0..50).for_each(|number| drop(tree.file(format!("{number}.txt"), format!("this is {number}\n"))));
        (0..2).for_each(|number| drop(tree.file(format!("{number}.bin"), big(number))));
        // A file that has just changed is opened again after a while, however it looks.
        let changed = fs::metadata(tree.at("1.bin")).unwrap().ctime();
        let aged = SystemTime::UNIX_EPOCH + Duration::from_secs(changed.cast_unsigned() + 3);
        eventually("the files have not changed lately", || (SystemTime::now() > aged).then_some(()));
        let disk = SlowDisk::of(tree, Caching::AllButOpens);
        let launch = Launch::of_path(disk.path()).flags(["--cache-valid", "1h", "--admin", "0"]);
        let server = launched(launch, "http2_plain = true\n");
        let admin = server.admin_address();
        server.get("/page.html").is(200, PAGE);
        server.get("/warm.bin").is(200, warm());
        for number in 0..2 {
            server.ask(format!("HEAD /{number}.bin HTTP/1.1\r\nHost: test\r\n\r\n")).has_status(&[200]);
            assert_eq!(disk.count_of(Operation::Read, format!("{number}.bin")), 0);
        }
        Site { disk, server, admin }
    }

    fn connect(&self) -> H2 {
        H2::connect(self.server.address())
    }

    /// Holds all reads, and asks for both large files. The heads come, and the content is waited for.
    #[track_caller]
    fn hold_and_ask(&self, client: &mut H2) -> [u32; 2] {
        self.disk.hold_only(Operation::Read);
        let streams = [0, 1].map(|number| client.ask("GET", &format!("/{number}.bin"), &[]));
        (0..2).for_each(|number| self.disk.until_asked(Operation::Read, &format!("{number}.bin")));
        client
            .until("the heads", |client| streams.iter().all(|stream| client.streams[stream].head.is_some()));
        streams
    }

    /// Waits until so many connections and streams of HTTP/2 are open.
    #[track_caller]
    fn until_open(&self, connections: usize, streams: usize) {
        eventually(&format!("{connections} connections with {streams} streams"), || {
            (open(self.admin) == (connections, streams)).then_some(())
        });
    }
}

/// The connections and streams of HTTP/2 that are open.
fn open(admin: SocketAddr) -> (usize, usize) {
    let metrics = Exposition::of(admin);
    let sum = |name| metrics.sum(name, "") as usize;
    (sum("mayhttpd_http2_connections_open"), sum("mayhttpd_http2_streams_open"))
}

#[test]
fn a_stream_that_waits_for_content_holds_nothing_of_the_window() {
    if !can_be_slow("a_stream_that_waits_for_content_holds_nothing_of_the_window") {
        return;
    }
    let site = Site::start();
    let mut client = site.connect().keeping_windows();
    let cold = site.hold_and_ask(&mut client);
    // All but some of what the window allows, at once.
    client.get("/warm.bin").is(200, warm());
    client.open_window(0, 1 << 30);
    for _ in 0..20 {
        client.get("/page.html").is(200, PAGE);
        client.get("/warm.bin").is(200, warm());
    }
    assert!(cold.iter().all(|stream| client.streams[stream].body.is_empty()) && site.disk.waiting() > 0);
    site.disk.release();
    for (number, stream) in cold.into_iter().enumerate() {
        client.open_window(stream, 1 << 30);
        client.response(stream).is(200, big(number));
    }
}

#[test]
fn streams_that_wait_for_their_files_keep_no_other_waiting() {
    if !can_be_slow("streams_that_wait_for_their_files_keep_no_other_waiting") {
        return;
    }
    let site = Site::start();
    let mut client = site.connect();
    client.get("/page.html").is(200, PAGE);
    site.disk.hold();
    // More than may wait at a time; the rest waits for those.
    let cold: Vec<u32> = (0..50).map(|number| client.ask("GET", &format!("/{number}.txt"), &[])).collect();
    // The kernel looks up one name of a directory at a time, whichever comes first.
    site.disk.until_waiting(1);
    for _ in 0..20 {
        client.get("/page.html").is(200, PAGE);
        client.get("/warm.bin").is(200, warm());
    }
    assert!(cold.iter().all(|stream| client.streams[stream].head.is_none()));
    site.until_open(1, 50);
    site.disk.release();
    for (number, stream) in cold.into_iter().enumerate() {
        client.response(stream).is(200, format!("this is {number}\n"));
    }
    site.until_open(1, 0);
}

#[test]
fn a_stream_that_waits_is_reset_and_the_others_go_on() {
    if !can_be_slow("a_stream_that_waits_is_reset_and_the_others_go_on") {
        return;
    }
    let site = Site::start();
    let mut client = site.connect();
    let cold = site.hold_and_ask(&mut client);
    // One whose head has come, and one that is not answered at all.
    let unknown = [0, 1].map(|number| client.ask("GET", &format!("/{number}.txt"), &[]));
    site.until_open(1, 4);
    client.put([rst_stream(cold[0], CANCEL), rst_stream(unknown[0], CANCEL)].concat());
    client.get("/warm.bin").is(200, warm());
    client.ping();
    site.disk.release();
    client.response(cold[1]).is(200, big(1));
    client.response(unknown[1]).is(200, "this is 1\n");
    client.ping();
    for stream in [cold[0], unknown[0]] {
        assert!(client.streams[&stream].body.is_empty(), "a stream that was reset is answered");
    }
    site.until_open(1, 0);
    client.get("/0.bin").is(200, big(0));
    client.get("/0.txt").is(200, "this is 0\n");
}

#[test]
fn clients_that_leave_while_streams_wait_leave_no_connection() {
    if !can_be_slow("clients_that_leave_while_streams_wait_leave_no_connection") {
        return;
    }
    let site = Site::start();
    let worker = site.server.workers()[0];
    let mut stays = site.connect();
    stays.get("/page.html").is(200, PAGE);
    let mut first = site.connect();
    site.hold_and_ask(&mut first);
    let mut others: Vec<H2> = (0..10).map(|_| site.connect()).collect();
    for client in &mut others {
        (0..20).for_each(|number| _ = client.ask("GET", &format!("/{number}.txt"), &[]));
    }
    site.until_open(12, 2 + 10 * 20);
    drop((first, others));
    site.until_open(1, 0);
    stays.get("/warm.bin").is(200, warm());
    site.disk.release();
    (0..50).for_each(|number| stays.get(&format!("/{number}.txt")).is(200, format!("this is {number}\n")));
    assert_eq!(site.server.workers(), [worker], "{}", site.server.log());
}

/// anna has "right", by SHA-256-crypt.
const ANNA: &str = "anna:$5$rounds=1000$right$r2egymy6H9DAes98MXhT0pxgEXaMlrzxdYP28.M1orB\n";

/// Failures of an address after which its attempts wait for 3.2 s each: of those that come at once, so many
/// wait, and the others would have to wait for more than 10 s.
const FAILURES: usize = 5;
const WAITING: usize = 3;
const AT_ONCE: usize = 8;

/// A site one half of which needs a sign-in, and the directory of its users file.
#[track_caller]
fn protected() -> (Tree, Configured) {
    let (users, tree) = (Tree::empty(), Tree::site());
    users.file("users", ANNA);
    tree.file("staff/s.txt", "for staff\n");
    let file = users.at("users");
    let settings = format!(
        "http2_plain = true\n[[location]]\npath = '/staff'\nauth = {{ realm = 'staff', users_file = {file:?} }}\n"
    );
    (users, serve(tree, &settings, &["--admin", "0"]))
}

/// The value of the field, by which anna signs in.
fn credentials(password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("anna:{password}")))
}

/// A client that signs in, by either version.
trait SignsIn {
    /// Sends an attempt.
    fn attempt(&mut self, password: &str);
    /// The statuses of the answers so far, without those that were taken before.
    fn statuses(&mut self) -> Vec<u16>;
}

/// By HTTP/2, all on one connection.
struct Streams(H2, Vec<u32>);

impl SignsIn for Streams {
    fn attempt(&mut self, password: &str) {
        self.1.push(self.0.ask("GET", "/staff/s.txt", &[("authorization", &credentials(password))]));
    }

    fn statuses(&mut self) -> Vec<u16> {
        self.0.get("/page.html").is(200, PAGE);
        let whole: Vec<u32> =
            self.1.iter().copied().filter(|stream| self.0.streams[stream].is_whole).collect();
        self.1.retain(|stream| !whole.contains(stream));
        whole.into_iter().map(|stream| self.0.response(stream).status).collect()
    }
}

/// By HTTP/1.1, each on a connection of its own.
struct Connections(SocketAddr, [u8; 4], Vec<Client>);

impl SignsIn for Connections {
    fn attempt(&mut self, password: &str) {
        let mut client = Client::from_address(self.1.into(), self.0);
        let field = credentials(password);
        client.send(format!("GET /staff/s.txt HTTP/1.1\r\nHost: test\r\nAuthorization: {field}\r\n\r\n"));
        self.2.push(client);
    }

    fn statuses(&mut self) -> Vec<u16> {
        let mut statuses = Vec::new();
        self.2.retain_mut(|client| {
            let is_answered = client.has_news();
            statuses.extend(is_answered.then(|| client.response().status));
            !is_answered
        });
        statuses
    }
}

/// Fails some times, one after the other, and then some times at once: so many are sent away, and the others
/// wait. The name makes passwords that no one else tries, which would be the same guess.
#[track_caller]
fn fails(name: &str, single: &mut dyn SignsIn, crowd: &mut dyn SignsIn) {
    let begun = Instant::now();
    for number in 0..FAILURES {
        single.attempt(&format!("{name} single {number}"));
        let status = eventually("an answer", || single.statuses().first().copied());
        assert_eq!(status, 401);
    }
    // 0, 200, 400, 800 and 1600 ms, in ticks of 100 ms.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?} for all", begun.elapsed());
    (0..AT_ONCE).for_each(|number| crowd.attempt(&format!("{name} crowd {number}")));
    let mut sent_away = Vec::new();
    eventually("some are sent away", || {
        sent_away.extend(crowd.statuses());
        (sent_away.len() >= AT_ONCE - WAITING).then_some(())
    });
    assert_eq!(sent_away, [429; AT_ONCE - WAITING]);
    assert_eq!(eventually("the next", || crowd.statuses().first().copied()), 401);
}

#[test]
fn wrong_passwords_are_counted_and_delayed_alike_by_both_versions() {
    let (_users, server) = protected();
    let address = server.address();
    let streams = |source: [u8; 4]| {
        let transport = Transport::plain(stream_from(source.into(), address));
        Streams(H2::over(transport, "http", &[]), Vec::new())
    };
    let connections = |source| Connections(address, source, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| fails("a", &mut connections([127, 0, 0, 2]), &mut connections([127, 0, 0, 2])));
        scope.spawn(|| fails("b", &mut streams([127, 0, 0, 3]), &mut streams([127, 0, 0, 3])));
        // It is the address that fails, by whichever version.
        scope.spawn(|| fails("c", &mut connections([127, 0, 0, 4]), &mut streams([127, 0, 0, 4])));
    });
    let mut client = H2::connect(address);
    client.get_with("/staff/s.txt", &[("authorization", &credentials("right"))]).is(200, "for staff\n");
}

#[test]
fn clients_that_leave_while_they_sign_in_leave_no_connection() {
    let (_users, server) = protected();
    let admin = server.admin_address();
    let mut other = H2::connect(server.address());
    other.get_with("/staff/s.txt", &[("authorization", &credentials("right"))]).is(200, "for staff\n");
    let transport = Transport::plain(stream_from([127, 0, 0, 2].into(), server.address()));
    let mut leaver = Streams(H2::over(transport, "http", &[]), Vec::new());
    for number in 0..FAILURES - 1 {
        leaver.attempt(&format!("{number}"));
        eventually("an answer", || leaver.statuses().first().copied());
    }
    (0..3).for_each(|number| leaver.attempt(&format!("last {number}")));
    leaver.0.get("/page.html").is(200, PAGE);
    assert_eq!(open(admin), (2, 3));
    drop(leaver);
    eventually("its connection is closed", || (open(admin) == (1, 0)).then_some(()));
    other.get_with("/staff/s.txt", &[("authorization", &credentials("right"))]).is(200, "for staff\n");
}
