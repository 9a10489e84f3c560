//! The error log as text, as JSON and for the journal, and both logs where they can't be written.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Tree, eventually, root, skipped};

#[test]
fn a_line_of_json_tells_when_who_how_important_and_what() {
    let tree = Tree::empty();
    let path = tree.at("error.log");
    let flags = ["--log-format", "json", "--log-level", "debug", "--log-file", path.to_str().unwrap()];
    let server = Launch::site().flags(flags).start();
    server.refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: \"b\r\n\r\n", &[400]);
    let complete = |text: &String| text.ends_with('\n') && text.contains("generation 1 serves ");
    let text = eventually("the start is logged", || fs::read_to_string(&path).ok().filter(complete));
    let lines: Vec<Json> = text.lines().map(Json::parse).collect();
    for line in &lines {
        assert!(line.text("time").len() == 20 && line.text("time").ends_with('Z'), "{line:?}");
        assert!(["info", "warn", "debug"].contains(&line.text("level")), "{line:?}");
        match line.text("process") {
            "master" => assert_eq!(line.field("worker"), None),
            other => assert_eq!((other, line.number("worker")), ("worker", 0.0)),
        }
    }
    assert!(lines.iter().any(|line| line.text("message").starts_with("127.0.0.1: 400")), "{text}");
}

#[test]
fn only_the_journal_gets_a_priority() {
    let journal = "export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); exec \"$@\"";
    let another = "export JOURNAL_STREAM=1:2; exec \"$@\"";
    let start = |script: &str| {
        let surroundings = ["sh", "-c", script, "sh"];
        let server = Launch::site().environment("MAYHTTPD_WORKRES", "1").under(surroundings).start();
        let complete = |text: &String| text.ends_with('\n') && text.contains("generation 1 serves ");
        eventually("the start is logged", || Some(server.log()).filter(complete))
    };
    let log = start(journal);
    assert!(log.lines().any(|line| line.starts_with("<4>") && line.contains("WARN")), "{log}");
    assert!(log.lines().all(|line| line.starts_with("<4>") || line.starts_with("<6>")), "{log}");
    let log = start(another);
    assert!(!log.is_empty() && !log.lines().any(|line| line.starts_with('<')), "{log}");
}

#[test]
fn a_log_file_that_is_deleted_stops_nothing() {
    let logs = Tree::empty();
    let (access, error) = (logs.at("access.log"), logs.at("error.log"));
    let flags = ["--access-log", access.to_str().unwrap(), "--log-file", error.to_str().unwrap()];
    let server = Launch::site().flags(flags).flags(["--log-level", "trace"]).start();
    fs::remove_file(&access).unwrap();
    fs::remove_file(&error).unwrap();
    (0..200).for_each(|_| server.get("/page.html").is(200, PAGE));
    assert!(!access.exists() && !error.exists());
}

/// A file system of 64 KiB, which is gone with the value.
struct SmallDisk(Tree);

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        if !root() {
            return Err("to mount a file system needs root".into());
        }
        let tree = Tree::empty();
        let made =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(tree.path()).output();
        match made {
            Ok(output) if output.status.success() => Ok(Self(tree)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("mount: {error}")),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that has not quite gone yet may hold a log on it.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Asks until the disk holds no more, and a good while longer.
#[track_caller]
fn fill(server: &Server, log: &Path) {
    let mut client = server.client();
    let size = || fs::metadata(log).unwrap().len();
    eventually("the disk is full", || {
        (0..50).for_each(|_| client.still_serves());
        server.get("/page.html").is(200, PAGE);
        (size() >= 60 * 1024).then_some(())
    });
    (0..1000).for_each(|_| client.still_serves());
}

/// Makes room, and asks until `line` shows in the log.
#[track_caller]
fn lines_after_room_was_made(server: &Server, log: &Path, line: &str) -> String {
    File::options().write(true).open(log).unwrap().set_len(0).unwrap();
    eventually("lines are written again", || {
        server.get("/page.html").is(200, PAGE);
        fs::read_to_string(log).ok().filter(|text| text.contains(line) && text.ends_with('\n'))
    })
}

#[test]
fn a_full_disk_costs_lines_of_the_access_log_and_nothing_else() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => {
            skipped("a_full_disk_costs_lines_of_the_access_log…", &why);
            return;
        }
    };
    let log = disk.0.at("access.log");
    let server = Launch::site().flags(["--access-log", log.to_str().unwrap()]).start();
    fill(&server, &log);
    eventually("the loss is told", || {
        server.log().contains("the access log could not be written").then_some(())
    });
    let text = lines_after_room_was_made(&server, &log, "GET /page.html HTTP/1.1\" 200 38");
    // The end of a line that had broken off comes first, and stands alone.
    let whole = text.lines().filter(|line| !line.is_empty());
    whole.for_each(|line| {
        assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with("\"-\" \"-\""), "{line}")
    });
}

#[test]
fn a_full_disk_costs_lines_of_the_error_log_and_nothing_else() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => {
            skipped("a_full_disk_costs_lines_of_the_error_log…", &why);
            return;
        }
    };
    let log = disk.0.at("error.log");
    let server = Launch::site().flags(["--log-file", log.to_str().unwrap(), "-l", "trace"]).start();
    eventually("the disk is full", || {
        (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
        (fs::metadata(&log).unwrap().len() >= 60 * 1024).then_some(())
    });
    (0..500).for_each(|_| server.get("/page.html").is(200, PAGE));
    let text = lines_after_room_was_made(&server, &log, "lost");
    let told = text.lines().find(|line| line.contains("this log could not be written: ")).unwrap();
    assert!(told.contains("WARN [worker 0] ") && told.ends_with(" lines lost"), "{text}");
}
