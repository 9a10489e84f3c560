//! Clients that others have written, over TLS: curl, nghttp, Chromium, Python's ssl and h2, openssl, and
//! testssl.sh. A test says so where its program is not there.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::Signal;

use crate::support::authority::Authority;
use crate::support::balancer::is_missing;
use crate::support::browser::Browser;
use crate::support::configured::{Configured, launched};
use crate::support::tree::{LARGE, PAGE, large};
use crate::support::{DEADLINE, Launch, Tls, Tree, eventually, skipped};

/// A server with a certificate for `localhost`, the usual site, and what its clients trust.
struct Secured {
    server: Configured,
    authority: Authority,
    root: PathBuf,
}

impl std::ops::Deref for Secured {
    type Target = Configured;
    fn deref(&self) -> &Configured {
        &self.server
    }
}

impl Secured {
    #[track_caller]
    fn start(launch: Launch) -> Self {
        let authority = Authority::new();
        let table = authority.issue(&["localhost", "test", "127.0.0.1"]).table();
        let server = launched(launch.tls(), &table);
        let root = authority.file();
        Self { server, authority, root }
    }

    fn site(flags: &[&str]) -> Self {
        Self::start(Launch::site().flags(flags.iter().copied()))
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.tls_address().port())
    }

    /// Replaces all workers by a reload.
    #[track_caller]
    fn reload(&self) {
        let before = self.workers();
        self.signal(Signal::HUP);
        eventually("the workers are replaced", || {
            let now = self.workers();
            (now.len() == before.len() && now.iter().all(|worker| !before.contains(worker))).then_some(())
        });
    }
}

/// Runs a client to its end, which must be good.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {} {errors}", String::from_utf8_lossy(&output.stdout));
    output
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn curl_speaks_each_protocol_by_each_version() {
    if is_missing("curl", "curl_speaks_each_protocol_by_each_version") {
        return;
    }
    let server = Secured::site(&[]);
    for (version, protocol, told) in [
        (&["--tls-max", "1.2"][..], "--http1.1", "1.1 206"),
        (&["--tls-max", "1.2"], "--http2", "2 206"),
        (&["--tlsv1.3"], "--http1.1", "1.1 206"),
        (&["--tlsv1.3"], "--http2", "2 206"),
    ] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "30", "--cacert"]).arg(&server.root).args(version);
        let format = "%{stderr}%{http_version} %{response_code}";
        curl.args([protocol, "--range", "1000-99999", "-w", format, &server.url("/large.html")]);
        let output = run(&mut curl);
        assert_eq!(said(&output.stderr), told, "{version:?} {protocol}");
        assert!(output.stdout == large()[1000..100_000], "{version:?} {protocol}");
    }
}

#[test]
fn curl_has_many_streams_on_one_connection() {
    if is_missing("curl", "curl_has_many_streams_on_one_connection") {
        return;
    }
    let server = Secured::site(&[]);
    let out = Tree::empty();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "30", "--http2", "--parallel", "--parallel-max", "40", "--cacert"]);
    curl.arg(&server.root).args(["-w", "%{num_connects}\n"]);
    for number in 0..40 {
        let file = out.at(format!("{number}"));
        curl.arg("-o").arg(file).arg(server.url(&format!("/large.html?{number}")));
    }
    let output = run(&mut curl);
    let connections = said(&output.stdout).lines().map(|line| line.parse::<u32>().unwrap()).sum::<u32>();
    assert_eq!(connections, 1, "{}", said(&output.stdout));
    (0..40).for_each(|number| assert!(std::fs::read(out.at(format!("{number}"))).unwrap() == large()));
}

#[test]
fn nghttp_has_small_windows_priorities_and_uploads() {
    if is_missing("nghttp", "nghttp_has_small_windows_priorities_and_uploads") {
        return;
    }
    let server = Secured::site(&["--http2-plain"]);
    let plain = format!("http://{}", server.address());
    for base in [server.url(""), plain] {
        // Windows of 1023 bytes for a stream and of 16383 for all.
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["--no-verify-peer", "-w", "10", "-W", "14", &format!("{base}/large.html")]);
        let output = run(&mut nghttp);
        assert!(output.stdout == large(), "{base}: {} bytes", output.stdout.len());
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["--no-verify-peer", "-nv", "-m", "30", "--weight", "7", "--padding", "100"]);
        let text =
            said(&run(nghttp.args(["--header-table-size", "100", &format!("{base}/page.html")])).stdout);
        assert_eq!(text.matches(":status: 200").count(), 30, "{text}");
        assert!(!text.contains("RST_STREAM") && text.contains("NO_ERROR(0x00)"), "{text}");
        // A body that the server reads and refuses.
        let upload = server.tree().at("large.html");
        let mut nghttp = Command::new("nghttp");
        nghttp.args(["--no-verify-peer", "-nv", "-d"]).arg(upload).arg(format!("{base}/page.html"));
        let text = said(&run(&mut nghttp).stdout);
        assert!(text.contains(":status: 405") && text.contains("allow: GET, HEAD"), "{text}");
    }
}

#[test]
fn chromium_loads_a_page_by_http2() {
    let Some(browser) = Browser::start_with(&["ignore-certificate-errors"]) else {
        skipped("chromium_loads_a_page_by_http2", "there is no chromium with its chromedriver");
        return;
    };
    let tree = Tree::empty();
    let scripts: String = (0..30).map(|number| format!("<script src=/s/{number}.js></script>")).collect();
    tree.file("index.html", format!("<title>secure</title><link rel=stylesheet href=/a.css>{scripts}"));
    tree.file("a.css", "body { color: rgb(1, 2, 3) }");
    (0..30).for_each(|number| drop(tree.file(format!("s/{number}.js"), "window.n = (window.n || 0) + 1\n")));
    let server = Secured::start(Launch::of(tree).flags(["--security-headers"]));
    for round in 0..2 {
        browser.open(&server.url(&format!("/?{round}")));
        let protocols = "return [...new Set(performance.getEntries().map(e => e.nextHopProtocol))]\
                         .filter(Boolean).join()";
        eventually("all scripts have run", || {
            (browser.text("return document.readyState + window.n") == "complete30").then_some(())
        });
        assert_eq!(browser.text("return getComputedStyle(document.body).color"), "rgb(1, 2, 3)");
        let first = "return performance.getEntriesByType('navigation')[0].nextHopProtocol";
        assert_eq!(browser.text(first), "h2");
        assert_eq!(browser.text(protocols), "h2");
    }
    browser.open(&server.url("/absent"));
    eventually("the page of an error", || {
        browser.text("return document.body.innerText").contains("404").then_some(())
    });
}

/// Debian's own Python, for which it has packages.
const PYTHON: &str = "/usr/bin/python3";

/// Runs a script with these arguments. None, with a word, where Python or a module is missing.
#[track_caller]
fn python(test: &str, module: &str, script: &str, arguments: &[&str]) -> Option<String> {
    let has = Command::new(PYTHON).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        skipped(test, &format!("there is no {PYTHON} with the module {module}"));
        return None;
    }
    Some(said(&run(Command::new(PYTHON).args(["-c", script]).args(arguments)).stdout))
}

const SSL_CLIENT: &str = r#"
import http.client, socket, ssl, sys, urllib.request

port, authority = int(sys.argv[1]), sys.argv[2]

def context(version):
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = context.maximum_version = version
    return context

def get(context, session):
    plain = socket.create_connection(("127.0.0.1", port), 30)
    secure = context.wrap_socket(
        plain, server_hostname="localhost", session=session, suppress_ragged_eofs=False)
    connection = http.client.HTTPConnection("localhost", port)
    connection.sock = secure
    for path in ["/page.html", "/large.html", "/absent"]:
        connection.request("GET", path)
        answer = connection.getresponse()
        print(path, answer.status, len(answer.read()))
    session, reused, version = secure.session, secure.session_reused, secure.version()
    # The end is told by close_notify; one without it would be an error here.
    secure.sendall(b"GET /page.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    while secure.recv(65536):
        pass
    print(version, "resumed" if reused else "full")
    return session

for version in [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]:
    one = context(version)
    session = get(one, None)
    for _ in range(4):
        session = get(one, session)

usual = ssl.create_default_context(cafile=authority)
with urllib.request.urlopen(f"https://localhost:{port}/large.html", context=usual, timeout=30) as answer:
    print("urllib", answer.status, len(answer.read()))
try:
    urllib.request.urlopen(f"https://localhost:{port}/", timeout=30)
except urllib.error.URLError as error:
    print("unknown authority:", type(error.reason).__name__)
"#;

#[test]
fn python_resumes_sessions_with_any_worker() {
    let server = Secured::start(Launch::site().workers(2));
    let (port, root) = (server.tls_address().port().to_string(), server.root.to_str().unwrap());
    let test = "python_resumes_sessions_with_any_worker";
    let Some(text) = python(test, "ssl", SSL_CLIENT, &[&port, root]) else { return };
    let count = |line: &str| text.lines().filter(|found| *found == line).count();
    for version in ["TLSv1.2", "TLSv1.3"] {
        assert_eq!(count(&format!("{version} full")), 1, "{text}");
        assert_eq!(count(&format!("{version} resumed")), 4, "{text}");
    }
    assert_eq!(count(&format!("/page.html 200 {}", PAGE.len())), 10, "{text}");
    assert_eq!(count(&format!("/large.html 200 {LARGE}")), 10, "{text}");
    assert_eq!(count(&format!("urllib 200 {LARGE}")), 1, "{text}");
    assert_eq!(count("unknown authority: SSLCertVerificationError"), 1, "{text}");
}

const H2_CLIENT: &str = r#"
import socket, ssl, sys
import h2.config, h2.connection, h2.errors, h2.events, h2.settings

port, authority = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=authority)
context.set_alpn_protocols(["h2"])
secure = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 30), server_hostname="localhost")
assert secure.selected_alpn_protocol() == "h2"
config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
connection = h2.connection.H2Connection(config)
connection.initiate_connection()
connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 20000})
answers, ended, reset, pings = {}, set(), set(), 0

def send():
    secure.sendall(connection.data_to_send())

def step():
    global pings
    send()
    data = secure.recv(65536)
    assert data, "the connection has ended"
    for event in connection.receive_data(data):
        if isinstance(event, h2.events.ResponseReceived):
            answers[event.stream_id] = [dict(event.headers), 0]
        elif isinstance(event, h2.events.DataReceived):
            answers[event.stream_id][1] += len(event.data)
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            reset.add(event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            pings += 1
        elif isinstance(event, h2.events.ConnectionTerminated):
            raise SystemExit(f"GOAWAY {event.error_code}")

def ask(method, path, *more, end=True):
    stream = connection.get_next_available_stream_id()
    pseudo = [(":method", method), (":path", path), (":scheme", "https"), (":authority", f"localhost:{port}")]
    connection.send_headers(stream, pseudo + list(more), end_stream=end)
    return stream

def wait(stream):
    while stream not in ended | reset:
        step()
    head, length = answers[stream]
    return head[":status"], length

print("page", *wait(ask("GET", "/page.html")))
streams = [ask("GET", "/large.html") for _ in range(50)]
for stream in streams:
    print("large", *wait(stream))
print("range", *wait(ask("GET", "/text.txt", ("range", "bytes=10-19"))))
print("head", *wait(ask("HEAD", "/large.html")))
tag = answers[1][0]["etag"]
print("unchanged", *wait(ask("GET", "/page.html", ("if-none-match", tag))))
cookies = [("cookie", "a=b"), ("cookie", "c=d"), ("te", "trailers"), ("priority", "u=1, i")]
print("fields", *wait(ask("GET", "/page.html", *cookies)))

# A body with an end that trailers tell.
stream = ask("POST", "/page.html", ("trailer", "x-sum"), end=False)
connection.send_data(stream, b"x" * 10000)
connection.send_headers(stream, [("x-sum", "1")], end_stream=True)
print("post", *wait(stream))

# One is given up in the middle, and the others go on.
given_up, kept = ask("GET", "/large.html"), ask("GET", "/large.html")
while answers.get(given_up, [0, 0])[1] == 0:
    step()
connection.reset_stream(given_up, h2.errors.ErrorCodes.CANCEL)
print("kept", *wait(kept))
connection.ping(b"12345678")
while pings == 0:
    step()
connection.close_connection()
send()
while secure.recv(65536):
    pass
print("end")
"#;

#[test]
fn h2_of_python_has_streams_trailers_resets_and_pings() {
    let server = Secured::site(&[]);
    let (port, root) = (server.tls_address().port().to_string(), server.root.to_str().unwrap());
    let test = "h2_of_python_has_streams_trailers_resets_and_pings";
    let Some(text) = python(test, "h2.connection", H2_CLIENT, &[&port, root]) else { return };
    let large = vec![format!("large 200 {LARGE}"); 50];
    let page = PAGE.len();
    let mut wanted = vec![format!("page 200 {page}")];
    wanted.extend(large);
    wanted.extend(["range 206 10", "head 200 0", "unchanged 304 0"].map(str::to_owned));
    wanted.push(format!("fields 200 {page}"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..wanted.len()], wanted);
    let [post, kept, end] = lines[wanted.len()..] else { panic!("{text}") };
    assert!(post.starts_with("post 405 "), "{post}");
    assert_eq!((kept, end), (&*format!("kept 200 {LARGE}"), "end"));
}

/// What openssl s_client says of a request with these flags.
#[track_caller]
fn s_client(server: &Secured, flags: &[&str]) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.tls_address().to_string(), "-servername", "test"]);
    command.arg("-CAfile").arg(&server.root).args(["-verify_return_error", "-ign_eof"]).args(flags);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // Where the handshake fails it may not be read.
    let _ = input.write_all(b"GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    drop(input);
    let output = child.wait_with_output().unwrap();
    said(&[output.stdout, output.stderr].concat())
}

#[test]
fn openssl_resumes_with_another_worker_and_across_a_reload() {
    if is_missing("openssl", "openssl_resumes_with_another_worker_and_across_a_reload") {
        return;
    }
    let server = Secured::start(Launch::site().workers(2));
    let page = said(PAGE);
    for (flag, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let session = server.settings.at(version);
        let session = session.to_str().unwrap();
        let text = s_client(&server, &[flag, "-sess_out", session]);
        assert!(text.contains(&format!("New, {version}")) && text.contains(page.trim_end()), "{text}");
        for round in 0..8 {
            if round == 6 {
                server.reload();
            }
            // Each worker has a queue of its own, and eight clients meet both.
            let text = s_client(&server, &[flag, "-sess_in", session]);
            assert!(text.contains(&format!("Reused, {version}")), "round {round}: {text}");
            assert!(text.contains(page.trim_end()), "round {round}: {text}");
        }
    }
}

#[test]
fn openssl_gets_no_weak_suite_group_or_signature() {
    if is_missing("openssl", "openssl_gets_no_weak_suite_group_or_signature") {
        return;
    }
    let server = Secured::site(&[]);
    // What a client of today may offer beside what is good.
    for flags in [
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0"][..],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "PSK:SRP:@SECLEVEL=0"],
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"],
        &["-tls1_3", "-groups", "ffdhe2048"],
        &["-tls1_2", "-sigalgs", "ECDSA+SHA1", "-cipher", "DEFAULT:@SECLEVEL=0"],
    ] {
        let text = s_client(&server, flags);
        assert!(!text.contains("200 OK"), "{flags:?}: {text}");
        assert!(text.contains("alert handshake failure") || text.contains("no cipher"), "{flags:?}: {text}");
    }
    let text = s_client(&server, &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]);
    assert!(text.contains("200 OK") && text.contains("Cipher is TLS_CHACHA20_POLY1305_SHA256"), "{text}");
}

/// How much of a client's handshake gets through, for its hello and for its second flight.
type Share = fn(usize) -> usize;

/// Passes on a part of what a client sends, and all that the server does, until the server ends it.
fn relay(client: &TcpStream, server: SocketAddr, (of_hello, of_second): (Share, Option<Share>)) {
    let upstream = TcpStream::connect_timeout(&server, DEADLINE).unwrap();
    upstream.set_read_timeout(Some(DEADLINE)).unwrap();
    let flight = |share: Share| {
        let mut buffer = [0; 4096];
        let count = { client }.read(&mut buffer).unwrap();
        { &upstream }.write_all(&buffer[..share(count)]).unwrap();
    };
    flight(of_hello);
    std::thread::scope(|scope| {
        let downstream = upstream.try_clone().unwrap();
        let ended = scope.spawn(|| std::io::copy(&mut { downstream }, &mut { client }));
        of_second.into_iter().for_each(flight);
        ended.join().unwrap().expect("the server does not end it");
    });
    let _ = client.shutdown(Shutdown::Both);
}

#[test]
fn openssl_that_gets_no_further_in_its_handshake_is_let_go() {
    if is_missing("openssl", "openssl_that_gets_no_further_in_its_handshake_is_let_go") {
        return;
    }
    let server = Secured::site(&["--head-timeout", "500ms"]);
    let worker = server.workers()[0];
    let all: Share = |length| length;
    let cases: [(Share, Option<Share>); 4] = [
        (|length| length / 2, None),
        (|length| length - 1, None),
        (all, Some(|_| 3)),
        // Without its last byte, which is within Finished.
        (all, Some(|length| length - 1)),
    ];
    for (flag, case) in cases.iter().flat_map(|case| [("-tls1_2", *case), ("-tls1_3", *case)]) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut command = Command::new("openssl");
        command.args(["s_client", flag, "-connect", &address.to_string(), "-servername", "test"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (client, _) = listener.accept().unwrap();
        relay(&client, server.tls_address(), case);
        child.wait().unwrap();
    }
    Tls::trusting(&server.authority).client(server.tls_address()).still_serves();
    assert_eq!(server.workers(), [worker], "{}", server.log());
}

/// Findings that are about the certificate of the test or about DNS, and not about the server.
const OF_THE_TEST: &[&str] = &[
    // No certificate store has its authority.
    "cert_trust",
    "cert_chain_of_trust",
    // The authority publishes neither.
    "cert_revocation",
    "DNS_CAArecord",
    // It is valid for days and was issued long ago.
    "cert_validityPeriod",
    "cert_expirationStatus",
    "cert_notAfter",
    // The tool's own surroundings.
    "engine_problem",
    "scanTime",
];

#[test]
#[ignore = "takes minutes; .ci/run runs it"]
fn testssl_finds_nothing_above_low() {
    const TEST: &str = "testssl_finds_nothing_above_low";
    // Debian's name, and that of the project.
    let Some(program) = ["testssl", "testssl.sh"].into_iter().find(|name| {
        let found = |directory: PathBuf| directory.join(name).is_file();
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(found)
    }) else {
        skipped(TEST, "there is no testssl.sh");
        return;
    };
    let server = Secured::site(&["--security-headers"]);
    let out = Tree::empty();
    let report = out.at("report.json");
    let mut command = Command::new(program);
    command.args(["--quiet", "--color", "0", "--warnings", "off", "--severity", "LOW", "--jsonfile"]);
    command.arg(&report).arg(server.tls_address().to_string()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = std::fs::read_to_string(&report).unwrap_or_default();
    assert!(text.trim_end().ends_with(']'), "no report: {}", said(&output.stdout));
    let findings = findings(&text);
    assert!(findings.iter().any(|(id, _)| id == "cert_chain_of_trust"), "it found nothing at all: {text}");
    let bad: Vec<_> = findings
        .iter()
        .filter(|(id, severity)| {
            !["OK", "INFO", "LOW", "WARN"].contains(&severity.as_str()) && !OF_THE_TEST.contains(&id.as_str())
        })
        .collect();
    assert!(bad.is_empty(), "{bad:?} in {text}");
    let handshakes = said(&output.stdout);
    assert!(handshakes.contains("TLS 1.3    offered (OK)") && handshakes.contains("h2"), "{handshakes}");
}

/// The ids and severities of a report.
fn findings(report: &str) -> Vec<(String, String)> {
    let value = |line: &str| line.split('"').nth(3).map(str::to_owned);
    let of = |key: &str| -> Vec<String> {
        let key = format!("\"{key}\"");
        report.lines().filter(|line| line.trim_start().starts_with(&key)).filter_map(value).collect()
    };
    let (ids, severities) = (of("id"), of("severity"));
    assert_eq!(ids.len(), severities.len(), "{report}");
    ids.into_iter().zip(severities).collect()
}
