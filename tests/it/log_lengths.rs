//! How long a line of either log may get: 4096 bytes with its end, whatever a client sends, and what is cut
//! says so.

use std::fs;

use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Launch, Tree, eventually};

/// The lines of a log, once there are so many.
#[track_caller]
fn lines(logs: &Tree, name: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines in the log"), || {
        let text = String::from_utf8(fs::read(logs.at(name)).unwrap()).expect("the log is text");
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= count && text.ends_with('\n')).then_some(lines)
    })
}

#[test]
fn a_line_has_4096_bytes_at_most_and_what_follows_the_client_stays_whole() {
    let fills: [&[u8]; 4] = [b"x", b"\\\"", b"\xff", "\u{80}\u{65e5}".as_bytes()];
    for format in ["combined", "common", "json"] {
        let logs = Tree::empty();
        let path = logs.at("access.log");
        let flags = ["--access-log", path.to_str().unwrap(), "--access-format", format];
        let server = Launch::site().flags(flags).start();
        let mut client = server.client();
        let mut sent = 0;
        for fill in fills {
            let long = |length: usize| fill.iter().copied().cycle().take(length).collect::<Vec<u8>>();
            for (query, referer, agent) in
                [(0, 0, 16_000), (0, 15_000, 15_000), (0, 30_000, 5), (5000, 5, 5), (6000, 10_000, 12_000)]
            {
                let mut head = b"GET /page.html?".to_vec();
                head.extend(b"q".repeat(query));
                head.extend(b" HTTP/1.1\r\nHost: test\r\nReferer: ");
                head.extend(long(referer));
                head.extend(b"\r\nUser-Agent: ");
                head.extend(long(agent));
                head.extend(b"\r\n\r\n");
                client.send(head);
                client.response().is(200, PAGE);
                sent += 1;
            }
        }
        let lines = lines(&logs, "access.log", sent);
        assert_eq!(lines.len(), sent);
        let total: usize = lines.iter().map(|line| line.len() + 1).sum();
        assert!(total <= sent * 4096, "{total} bytes for {sent} requests");
        for (number, line) in lines.iter().enumerate() {
            assert!(line.len() < 4096, "{format}: a line of {} bytes: {line}", line.len() + 1);
            let (query_is_long, is_cut) = (number % 5 > 2, format != "common" || number % 5 > 2);
            if format == "json" {
                let line = Json::parse(line);
                assert_eq!(line.field("truncated"), Some(&Json::Bool(true)), "{line:?}");
                let told =
                    (line.text("method"), line.text("protocol"), line.number("status"), line.number("bytes"));
                assert_eq!(told, ("GET", "HTTP/1.1", 200.0, 38.0));
                assert_eq!(line.number("request") as usize, number + 1);
                assert!(line.text("target") == "/page.html?" || query_is_long, "{line:?}");
            } else {
                assert!(line.contains(" HTTP/1.1\" 200 38"), "{line}");
                assert!(line.contains("\"GET /page.html? HTTP/1.1\"") || query_is_long, "{line}");
                assert_eq!(line.contains("..."), is_cut, "{line}");
                let quotes = line.matches('"').count();
                assert_eq!(quotes, if format == "combined" { 6 } else { 2 }, "{line}");
            }
        }
    }
}

#[test]
fn what_fits_is_not_cut() {
    for format in ["combined", "json"] {
        let logs = Tree::empty();
        let path = logs.at("access.log");
        let flags = ["--access-log", path.to_str().unwrap(), "--access-format", format];
        let server = Launch::site().flags(flags).start();
        let agent = "x".repeat(3700);
        server.get_with("/page.html", &format!("User-Agent: {agent}\r\n")).is(200, PAGE);
        let line = lines(&logs, "access.log", 1).remove(0);
        assert!(line.contains(&agent) && !line.contains("...") && !line.contains("truncated"), "{line}");
    }
}

#[test]
fn a_request_that_is_refused_for_its_length_is_a_line_of_4096_bytes_at_most() {
    for format in ["combined", "json"] {
        let logs = Tree::empty();
        let path = logs.at("access.log");
        let flags = ["--access-log", path.to_str().unwrap(), "--access-format", format];
        let server = Launch::site().flags(flags).start();
        server.refuses(format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "q".repeat(40_000)), &[414]);
        let junk = b"\xff\x01\"".repeat(2000);
        server.refuses([&junk[..], b"\r\n\r\n"].concat(), &[400, 414]);
        for line in lines(&logs, "access.log", 2) {
            assert!(line.len() < 4096 && line.len() > 4000, "a line of {} bytes: {line}", line.len() + 1);
            if format == "json" {
                assert_eq!(Json::parse(&line).field("truncated"), Some(&Json::Bool(true)), "{line}");
            } else {
                assert!(line.contains("...\" 4") || line.contains("... HTTP/1.1\" 4"), "{line}");
            }
        }
    }
}

#[test]
fn a_message_of_the_error_log_is_cut_too() {
    // The longest path that there can be, in names that each need escapes.
    for (format, fill) in [("text", "n"), ("text", "\u{1}"), ("json", "n"), ("json", "\u{1}")] {
        let logs = Tree::empty();
        let root = format!("/{}", format!("{}/", fill.repeat(250)).repeat(16));
        let log = logs.at("error.log");
        let file = logs.file("mayhttpd.toml", format!("workers = 1\nlog_format = \"{format}\"\n"));
        let server = Launch::site().by_file(&file).flags(["--log-file", log.to_str().unwrap()]).start();
        let settings = format!(
            "workers = 1\nlog_format = \"{format}\"\nlocation = [{{ path = \"/x/\", alias = {root:?} }}]\n"
        );
        let settings = settings.replace("\\u{1}", "\\u0001");
        fs::write(&file, settings).unwrap();
        server.signal(rustix::process::Signal::HUP);
        let line = eventually("the error is told", || {
            let text = fs::read_to_string(&log).unwrap();
            text.lines().find(|line| line.contains("the reload failed")).map(str::to_owned)
        });
        assert!(line.len() < 4096, "a line of {} bytes: {line}", line.len() + 1);
        if format == "json" {
            assert_eq!(Json::parse(&line).field("truncated"), Some(&Json::Bool(true)), "{line}");
        } else {
            assert!(line.ends_with("..."), "{line}");
        }
    }
}
