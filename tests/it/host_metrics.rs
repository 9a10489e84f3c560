//! Requests and bytes by host, as the admin listener tells them: exact, bounded, and never less after a
//! reload.

use std::net::SocketAddr;
use std::os::linux::fs::MetadataExt;

use rustix::process::Signal;

use crate::support::browser::Browser;
use crate::support::configured::{Configured, launched};
use crate::support::exposition::Exposition;
use crate::support::json::Json;
use crate::support::{Client, Launch, Server, eventually, pattern, plain, skipped};

const REQUESTS: &str = "mayhttpd_host_requests_total";
const SENT: &str = "mayhttpd_host_sent_bytes_total";

/// A server with these settings and an admin listener.
fn start(settings: &str, workers: usize) -> (Configured, SocketAddr) {
    let server = launched(Launch::site().workers(workers).flags(["--admin", "0"]), settings);
    let admin = server.admin_address();
    (server, admin)
}

/// Requests of a host by this class of status.
fn requests(metrics: &Exposition, host: &str, class: &str) -> f64 {
    metrics.value(&format!("{REQUESTS}{{host=\"{host}\",status=\"{class}\"}}"))
}

fn sent(metrics: &Exposition, host: &str) -> f64 {
    metrics.value(&format!("{SENT}{{host=\"{host}\"}}"))
}

/// Sends bytes on a connection of its own. Returns the number of bytes that came back.
fn exchange(server: &Server, raw: &str) -> usize {
    let mut client = server.client();
    client.send(raw);
    client.half_close();
    client.rest().len()
}

#[test]
fn a_script_of_requests_is_counted_by_host_exactly() {
    let settings = "unknown_hosts = 'reject'\n\
                    [[host]]\nnames = ['a.example', 'www.a.example']\n\
                    [[host.location]]\npath = '/gone'\nreturn = { status = 503 }\n\
                    [[host]]\nnames = ['*.b.example']\n";
    let (server, admin) = start(settings, 2);
    let get = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let chunked = |host: &str| {
        format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    };
    let script = [
        (get("/page.html", "a.example"), vec![("a.example", "2xx")]),
        (get("/large.html", "WWW.a.example.:80"), vec![("a.example", "2xx")]),
        (get("/absent", "a.example"), vec![("a.example", "4xx")]),
        (get("/gone", "a.example"), vec![("a.example", "5xx")]),
        (get("/dir", "x.b.example"), vec![("*.b.example", "3xx")]),
        (get("http://a.example/page.html", "x.b.example"), vec![("a.example", "2xx")]),
        ("HEAD /page.html HTTP/1.1\r\nHost: x.b.example\r\n\r\n".to_owned(), vec![("*.b.example", "2xx")]),
        ("POST / HTTP/1.1\r\nHost: x.b.example\r\n\r\n".to_owned(), vec![("*.b.example", "4xx")]),
        (get("/%zz", "x.b.example"), vec![("*.b.example", "4xx")]),
        // Of no host, and of none of these.
        (get("/page.html", "b.example"), vec![("(none)", "4xx")]),
        ("GET /page.html HTTP/1.0\r\n\r\n".to_owned(), vec![("(none)", "4xx")]),
        ("nonsense\r\n\r\n".to_owned(), vec![("(none)", "4xx")]),
        (get("/page.html", "a.example\r\nHost: a.example"), vec![("(none)", "4xx")]),
        // The host is known before its body turns out to be malformed.
        (chunked("a.example"), vec![("a.example", "4xx")]),
        // On one connection, and sent at once.
        (
            get("/page.html", "a.example") + &get("/text.txt", "x.b.example") + &get("/dir", "a.example"),
            vec![("a.example", "2xx"), ("*.b.example", "2xx"), ("a.example", "3xx")],
        ),
        (
            get("/page.html", "a.example") + &get("/page.html", "b.example") + "nonsense\r\n\r\n",
            vec![("a.example", "2xx"), ("(none)", "4xx"), ("(none)", "4xx")],
        ),
    ];
    let bytes: usize = script.iter().map(|(raw, _)| exchange(&server, raw)).sum();
    let expected: Vec<_> = script.iter().flat_map(|(_, counted)| counted).collect();
    let metrics = eventually("every request is counted", || {
        let metrics = Exposition::of(admin);
        (metrics.sum(REQUESTS, "") == expected.len() as f64).then_some(metrics)
    });
    for host in ["(none)", "a.example", "*.b.example"] {
        for class in ["2xx", "3xx", "4xx", "5xx"] {
            let count = expected.iter().filter(|counted| ***counted == (host, class)).count();
            assert_eq!(requests(&metrics, host, class), count as f64, "{host} {class}");
        }
    }
    assert_eq!(metrics.sum("mayhttpd_requests_total", ""), expected.len() as f64);
    assert_eq!(metrics.sum(SENT, ""), bytes as f64);
    assert_eq!(metrics.sum("mayhttpd_sent_bytes_total", ""), bytes as f64);
    assert!(sent(&metrics, "a.example") > 954_824.0 && sent(&metrics, "(none)") > 500.0);

    let (_, text) = plain::get(admin, "/status.json").unwrap();
    let document = Json::parse(text.trim_end());
    let Some(Json::Array(hosts)) = document.field("hosts") else { panic!("{text}") };
    let names: Vec<&str> = hosts.iter().map(|host| host.text("host")).collect();
    assert_eq!(names, ["(none)", "a.example", "*.b.example"]);
    for host in hosts {
        let name = host.text("host");
        assert_eq!(host.number("sent_bytes"), sent(&metrics, name));
        let classes = host.field("requests").unwrap();
        assert_eq!(classes.number("4xx"), requests(&metrics, name, "4xx"));
    }
}

#[test]
fn a_host_keeps_its_counts_across_reloads_and_new_workers() {
    let (server, admin) = start("[[host]]\nnames = ['a']\n[[host]]\nnames = ['b']\n", 1);
    let get = |host: &str| exchange(&server, &format!("GET /page.html HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let reload = |generation: f64, settings: &str| {
        server.settings.file("may.toml", settings);
        server.signal(Signal::HUP);
        eventually("the next generation alone serves", || {
            let metrics = Exposition::of(admin);
            (metrics.value("mayhttpd_generation") == generation
                && metrics.sum("mayhttpd_worker_draining", "") == 0.0)
                .then_some(())
        });
    };
    let counts = |expected: &[(&str, f64)]| {
        let metrics = Exposition::of(admin);
        let found: Vec<f64> = expected.iter().map(|(host, _)| requests(&metrics, host, "2xx")).collect();
        let wanted: Vec<f64> = expected.iter().map(|(_, count)| *count).collect();
        assert_eq!(found, wanted, "{expected:?}");
    };
    ["a", "b", "b", "x"].into_iter().for_each(|host| {
        get(host);
    });
    counts(&[("(none)", 1.0), ("a", 1.0), ("b", 2.0)]);
    // Another order, one host less and one more.
    reload(2.0, "[[host]]\nnames = ['c']\n[[host]]\nnames = ['b', 'a']\n");
    ["a", "b", "c"].into_iter().for_each(|host| {
        get(host);
    });
    counts(&[("(none)", 1.0), ("a", 1.0), ("b", 4.0), ("c", 1.0)]);
    server.replace_worker();
    eventually("the next worker serves", || {
        (Exposition::of(admin).sum("mayhttpd_worker_up", "") == 1.0).then_some(())
    });
    get("c");
    counts(&[("a", 1.0), ("b", 4.0), ("c", 2.0)]);
    // Without hosts nothing is counted by them, and nothing is lost.
    reload(3.0, "listing = true\n");
    get("a");
    counts(&[("(none)", 1.0), ("a", 1.0), ("b", 4.0), ("c", 2.0)]);
}

#[test]
fn what_was_sent_counts_even_if_the_client_leaves() {
    const SIZE: u64 = 32 << 20;
    let (server, admin) = start("[[host]]\nnames = ['a']\n", 1);
    server.tree().file("big.bin", pattern(1, SIZE as usize));
    let mut client = Client::with_small_window(server.address());
    client.send("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    let (mut got, mut buffer) = (0, [0; 4096]);
    while got < 100_000 {
        got += client.read(&mut buffer);
    }
    client.reset();
    let metrics = eventually("the connection has ended", || {
        let metrics = Exposition::of(admin);
        (metrics.sum("mayhttpd_connections_ended_total", "") == 1.0).then_some(metrics)
    });
    assert!((got as f64..SIZE as f64).contains(&sent(&metrics, "a")), "{} sent", sent(&metrics, "a"));
    assert_eq!(sent(&metrics, "a"), metrics.sum("mayhttpd_sent_bytes_total", ""));
}

/// The memory of the table of counts, in bytes.
fn table_memory(server: &Server) -> u64 {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.master.pid)).unwrap();
    let is_table = |path: &std::path::Path| {
        std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("memfd:mayhttpd"))
    };
    let paths = descriptors.map(|entry| entry.unwrap().path()).filter(|path| is_table(path));
    paths.map(|path| std::fs::metadata(path).unwrap().st_blocks() * 512).sum()
}

#[test]
fn without_hosts_there_are_no_lines_and_no_memory_is_taken() {
    let (server, admin) = start("listing = true\n", 2);
    if !server.master.shows_descriptors("without_hosts_there_are_no_lines…") {
        return;
    }
    exchange(&server, "GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_, text) = plain::get(admin, "/metrics").unwrap();
    assert!(!text.contains("mayhttpd_host_"), "{text}");
    let (_, text) = plain::get(admin, "/status.json").unwrap();
    assert!(Json::parse(text.trim_end()).field("hosts").is_none());
    // A worker that has ended, too.
    server.replace_worker();
    eventually("the next worker serves", || {
        (Exposition::of(admin).sum("mayhttpd_worker_up", "") == 2.0).then_some(())
    });
    // The head, and for each slot a row and a sum.
    let before = table_memory(&server);
    assert!(before <= 16 * 4096, "{before} bytes");
    server.settings.file("may.toml", "[[host]]\nnames = ['a']\n");
    server.signal(Signal::HUP);
    eventually("hosts are counted", || {
        exchange(&server, "GET /page.html HTTP/1.1\r\nHost: a\r\n\r\n");
        (Exposition::of(admin).sum(REQUESTS, "host=\"a\"") > 0.0).then_some(())
    });
    // Names, and rows of the next generation; the words of few hosts are on the same pages.
    let after = table_memory(&server);
    assert!(after <= before + 4 * 4096, "{before} and then {after} bytes");
}

#[test]
fn hosts_beyond_the_bound_are_counted_as_one() {
    let hosts: String = (0..1030).map(|number| format!("[[host]]\nnames = ['h{number}']\n")).collect();
    let (server, admin) = start(&hosts, 1);
    for number in [0, 1021, 1022, 1029] {
        exchange(&server, &format!("GET /page.html HTTP/1.1\r\nHost: h{number}\r\n\r\n"));
    }
    let metrics = Exposition::of(admin);
    for (host, count) in [("h0", 1.0), ("h1", 0.0), ("h1021", 1.0), ("(other)", 2.0), ("(none)", 0.0)] {
        assert_eq!(requests(&metrics, host, "2xx"), count, "{host}");
    }
    assert_eq!(metrics.lines().filter(|(series, _)| series.starts_with(SENT)).count(), 1024);
}

#[test]
fn the_status_page_has_a_table_of_hosts_in_a_browser() {
    let Some(browser) = Browser::start() else {
        skipped("the_status_page_has_a_table…", "there is no chromium with its chromedriver");
        return;
    };
    let (server, admin) = start("[[host]]\nnames = ['a.example']\n", 1);
    exchange(&server, "GET /page.html HTTP/1.1\r\nHost: a.example\r\n\r\n");
    browser.open(&format!("http://{admin}/status"));
    let rows = || {
        browser.text(
            "return [...document.querySelectorAll('#hosts tr')]\
             .map(r => r.cells[0].textContent + '=' + r.cells[2].textContent).join(' ')",
        )
    };
    eventually("the hosts show", || (rows() == "(none)=0 a.example=1").then_some(()));
    let hidden = || browser.text("return String(document.getElementById('hosts-part').hidden)");
    assert_eq!(hidden(), "false");
    let (_plain, admin) = start("listing = true\n", 1);
    browser.open(&format!("http://{admin}/status"));
    let health = || browser.text("return document.getElementById('health').textContent");
    eventually("the page renders", || (health() == "ready").then_some(()));
    assert_eq!(hidden(), "true");
}
