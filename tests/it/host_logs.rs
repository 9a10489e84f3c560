//! Access logs by host: whose line goes where, rotation and reload of many logs.

use std::fs;
use std::process::Command;

use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::support::configured::serve;
use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Tree, eventually};

/// Requests a target of a host.
#[track_caller]
fn get(server: &Server, host: &str, target: &str) {
    let mut client = server.client();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    client.response();
    client.closed();
}

/// The `access_log` key for a file in `logs`.
fn key(logs: &Tree, name: &str) -> String {
    format!("access_log = {:?}\n", logs.at(name).to_str().unwrap())
}

/// The lines of a log, once there are so many.
#[track_caller]
fn lines(logs: &Tree, name: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in {name}"), || {
        let text = fs::read_to_string(logs.at(name)).unwrap();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && (text.is_empty() || text.ends_with('\n'))).then_some(lines)
    })
}

/// Checks that a log gets the lines of requests for these targets, or with these request lines, in order, and
/// no others.
#[track_caller]
fn has(logs: &Tree, name: &str, targets: &[&str]) {
    let lines = lines(logs, name, targets.len());
    let asked = |line: &String| line.split('"').nth(1).unwrap().to_owned();
    let found: Vec<String> = lines.iter().map(asked).collect();
    let is_target = |text: &str| text.starts_with('/') || text.starts_with("http:");
    let line = |text: &str| if is_target(text) { format!("GET {text} HTTP/1.1") } else { text.to_owned() };
    let expected: Vec<String> = targets.iter().map(|text| line(text)).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn each_host_has_its_lines_in_its_own_log() {
    let logs = Tree::empty();
    let settings = key(&logs, "server.log")
        + "[[location]]\npath = '/quiet'\naccess_log = false\n"
        + "[[host]]\nnames = ['a', '*.a']\n"
        + &key(&logs, "a.log")
        + "[[host.location]]\npath = '/muted'\naccess_log = false\n"
        + "[[host]]\nnames = ['b']\n"
        + &key(&logs, "b.log")
        + "[[host]]\nnames = ['off']\naccess_log = false\n"
        + "[[host]]\nnames = ['plain']\n"
        + "[[host]]\nnames = ['same']\n"
        + &key(&logs, "b.log");
    let mut server = serve(Tree::site(), &settings, &[]);
    for (host, target) in [
        ("a", "/a1"),
        ("b", "/b1"),
        ("off", "/off"),
        ("plain", "/plain"),
        ("nobody", "/nobody"),
        ("nobody", "/quiet"),
        ("x.a", "/a2"),
        ("a", "/muted/x"),
        ("a", "/quiet"),
        ("b", "http://a/a3"),
        ("same", "/b2"),
        ("b", "/%zz"),
    ] {
        get(&server, host, target);
    }
    // One connection, three hosts.
    let mut client = server.client();
    for (host, target) in [("a", "/a4"), ("nobody", "/n2"), ("b", "/b3"), ("off", "/off"), ("a", "/muted")] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response();
    }
    // What names no host that could be read.
    client.send("nonsense\r\n\r\n");
    client.response().has_status(&[400]);
    server.refuses("GET /two HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", &[400]);
    server.server.signal(Signal::TERM);
    assert_eq!(server.server.exit_code(), Some(0));
    has(&logs, "a.log", &["/a1", "/a2", "/quiet", "http://a/a3", "/a4"]);
    has(&logs, "b.log", &["/b1", "/b2", "/%zz", "/b3"]);
    has(&logs, "server.log", &["/plain", "/nobody", "/n2", "nonsense", "/two"]);
}

#[test]
fn a_host_may_log_where_the_server_does_not() {
    let logs = Tree::empty();
    let settings = "[[host]]\nnames = ['a']\n".to_owned()
        + &key(&logs, "a.log")
        + "[[host]]\nnames = ['b']\naccess_log = '-'\n";
    let server = serve(Tree::site(), &settings, &[]);
    get(&server, "nobody", "/nobody");
    server.refuses("nonsense\r\n\r\n", &[400]);
    get(&server, "b", "/b");
    get(&server, "a", "/a");
    has(&logs, "a.log", &["/a"]);
    eventually("a line on standard output", || {
        server.output().contains("\"GET /b HTTP/1.1\" 404").then_some(())
    });
    assert!(!server.output().contains("nobody") && !server.output().contains("nonsense"));
}

#[test]
fn a_body_that_stalls_or_is_malformed_is_in_the_log_of_its_host() {
    let logs = Tree::empty();
    let settings = key(&logs, "server.log") + "[[host]]\nnames = ['a']\n" + &key(&logs, "a.log");
    let server = serve(Tree::site(), &settings, &["--head-timeout", "500ms"]);
    for (body, status) in
        [("Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400), ("Content-Length: 9\r\n\r\n", 408)]
    {
        let mut client = server.client();
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: a\r\n{body}"));
        client.response().has_status(&[status]);
        client.closed();
    }
    has(&logs, "a.log", &["/page.html", "/page.html"]);
    assert_eq!(fs::read_to_string(logs.at("server.log")).unwrap(), "");
}

/// The objects of a log in JSON.
#[track_caller]
fn objects(logs: &Tree, name: &str, count: usize) -> Vec<Json> {
    lines(logs, name, count).iter().map(|line| Json::parse(line)).collect()
}

#[test]
fn the_end_of_a_connection_is_in_the_log_of_its_last_request() {
    let hosts = |logs: &Tree| {
        "[[host]]\nnames = ['a']\n".to_owned()
            + &key(logs, "a.log")
            + "[[host.location]]\npath = '/muted'\naccess_log = false\n"
            + "[[host]]\nnames = ['b']\n"
            + &key(logs, "b.log")
            + "[[host]]\nnames = ['off']\naccess_log = false\n"
    };
    let logs = Tree::empty();
    let settings = "access_format = 'json'\n".to_owned() + &key(&logs, "server.log") + &hosts(&logs);
    let server = serve(Tree::site(), &settings, &[]);
    let mut client = server.client();
    let ask = |client: &mut crate::support::Client, host: &str, target: &str| {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.response();
    };
    ask(&mut client, "b", "/b");
    ask(&mut client, "a", "/a");
    // These leave no line, and don't take the end away.
    ask(&mut client, "a", "/muted");
    ask(&mut client, "off", "/off");
    drop(client);
    let found = objects(&logs, "a.log", 2);
    assert_eq!((found[0].text("target"), found[0].number("request")), ("/a", 2.0));
    assert_eq!((found[1].text("end"), found[1].number("requests")), ("peer_closed", 2.0));
    assert_eq!(found[0].number("connection"), found[1].number("connection"));
    // A request that names no host is the last one here.
    let mut client = server.client();
    ask(&mut client, "b", "/b");
    client.send("nonsense\r\n\r\n");
    client.response().has_status(&[400]);
    client.closed();
    let found = objects(&logs, "server.log", 1);
    assert_eq!((found[0].text("end"), found[0].number("request")), ("rejected", 2.0));
    assert_eq!(objects(&logs, "b.log", 2).len(), 2, "no end besides");

    // Without a log of the server, the log of the host has it.
    let logs = Tree::empty();
    let server = serve(Tree::site(), &("access_format = 'json'\n".to_owned() + &hosts(&logs)), &[]);
    let mut client = server.client();
    ask(&mut client, "a", "/a");
    client.send("nonsense\r\n\r\n");
    client.response().has_status(&[400]);
    client.closed();
    let found = objects(&logs, "a.log", 2);
    assert_eq!((found[1].text("end"), found[1].number("requests")), ("rejected", 1.0));
}

#[test]
fn all_logs_are_opened_again_even_by_a_worker_without_a_descriptor_to_spare() {
    const HOSTS: usize = 150;
    let logs = Tree::empty();
    let name = |host: usize| format!("{host}.log");
    let host = |host: usize| format!("[[host]]\nnames = ['h{host}']\n{}", key(&logs, &name(host)));
    let settings = Tree::empty();
    let text = key(&logs, "server.log") + &(0..HOSTS).map(host).collect::<String>();
    let file = settings.file("may.toml", text);
    // Connections take all descriptors that nothing else may need.
    let launch = Launch::site().flags(["--cache-entries", "1", "--disk-threads", "0"]);
    let server = launch.flags(["-c", file.to_str().unwrap()]).descriptors(300).start();
    let ask = |client: &mut crate::support::Client, host: usize| {
        client.send(format!("GET /page.html HTTP/1.1\r\nHost: h{host}\r\n\r\n"));
        client.response().is(200, PAGE);
    };
    // As many connections as the worker holds; some more make it close the oldest ones.
    let mut clients: Vec<_> = (0..130).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| ask(client, 0));
    let evicted = clients.iter_mut().filter_map(|client| client.is_closed().then_some(())).count();
    assert!(evicted > 0, "the logs take descriptors of connections");
    let client = clients.last_mut().unwrap();
    (1..HOSTS).for_each(|host| ask(client, host));
    (0..HOSTS).for_each(|host| assert!(!lines(&logs, &name(host), 1).is_empty()));
    for log in (0..HOSTS).map(name).chain(["server.log".to_owned()]) {
        fs::rename(logs.at(&log), logs.at(format!("{log}.1"))).unwrap();
    }
    server.signal(Signal::USR1);
    server.says("that the logs were reopened", |line| line.contains("logs reopened"));
    eventually("every host logs to its new file", || {
        (0..HOSTS).for_each(|host| ask(client, host));
        let has_lines = |host| fs::read_to_string(logs.at(name(host))).unwrap().contains("GET /page.html");
        (0..HOSTS).all(has_lines).then_some(())
    });
    assert!(!server.log().contains("cannot change"), "{}", server.log());
}

#[test]
fn a_reload_adds_and_removes_a_log() {
    let logs = Tree::empty();
    let server = serve(Tree::site(), &(key(&logs, "server.log") + "[[host]]\nnames = ['a']\n"), &[]);
    get(&server, "a", "/before");
    has(&logs, "server.log", &["/before"]);
    server
        .settings
        .file("may.toml", key(&logs, "server.log") + "[[host]]\nnames = ['a']\n" + &key(&logs, "a.log"));
    server.signal(Signal::HUP);
    eventually("the host has a log", || {
        get(&server, "a", "/after");
        let text = fs::read_to_string(logs.at("a.log")).unwrap_or_default();
        text.contains("/after").then_some(())
    });
    server.settings.file("may.toml", key(&logs, "server.log"));
    server.signal(Signal::HUP);
    eventually("it has none any more", || {
        get(&server, "a", "/last");
        fs::read_to_string(logs.at("server.log")).unwrap().contains("/last").then_some(())
    });
}

#[test]
fn logs_whose_readers_have_stopped_keep_no_worker_from_its_end() {
    const HOSTS: usize = 20;
    let logs = Tree::empty();
    let mut settings = key(&logs, "server.log");
    let mut readers = Vec::new();
    for number in 0..HOSTS {
        let name = format!("{number}.fifo");
        assert!(Command::new("mkfifo").arg(logs.at(&name)).status().unwrap().success());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let reader = rustix::fs::open(logs.at(&name), flags, rustix::fs::Mode::empty()).unwrap();
        rustix::pipe::fcntl_setpipe_size(&reader, 4096).unwrap();
        readers.push(reader);
        settings += &format!("[[host]]\nnames = ['h{number}']\n{}", key(&logs, &name));
    }
    let server = serve(Tree::site(), &settings, &[]);
    let long = format!("/{}", "x".repeat(3000));
    for number in 0..HOSTS {
        (0..3).for_each(|_| get(&server, &format!("h{number}"), &long));
    }
    get(&server, "none", "/last");
    server.signal(Signal::TERM);
    server.says("that it stopped", |log| log.contains("stopped"));
    assert!(!server.log().contains("is killed"), "{}", server.log());
    has(&logs, "server.log", &["/last"]);
}

#[test]
fn a_log_that_can_not_be_opened_is_named() {
    let (logs, settings) = (Tree::empty(), Tree::empty());
    let path = logs.at("absent/a.log");
    let text = key(&logs, "server.log") + "[[host]]\nnames = ['a']\n" + &key(&logs, "absent/a.log");
    let file = settings.file("may.toml", &text);
    let finished = Launch::site().flags(["-c", file.to_str().unwrap()]).run();
    assert_ne!(finished.code, Some(0));
    assert!(finished.errors.contains(path.to_str().unwrap()), "{}", finished.errors);

    let server = serve(Tree::site(), &key(&logs, "server.log"), &[]);
    server.settings.file("may.toml", &text);
    server.signal(Signal::HUP);
    server.says("which log it is", |line| {
        line.contains("the reload failed") && line.contains(path.to_str().unwrap())
    });
    get(&server, "a", "/page.html");
    has(&logs, "server.log", &["/page.html"]);
}
