//! Logs whose reader is slow, has stopped, has gone or was never there: they cost lines, and stop no process.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::json::Json;
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Stop, Tree, eventually, root};

/// A FIFO in a tree of its own.
struct Fifo {
    path: PathBuf,
    _tree: Tree,
}

impl Fifo {
    fn new() -> Self {
        let tree = Tree::empty();
        let path = tree.at("log");
        make_fifo(&path);
        Self { path, _tree: tree }
    }

    /// A reader, which does not wait for writers.
    fn reader(&self) -> File {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        File::from(rustix::fs::open(&self.path, flags, Mode::empty()).unwrap())
    }

    fn text(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn make_fifo(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// What there is to be read now.
fn drain(reader: &mut File) -> String {
    let mut bytes = Vec::new();
    // It ends with an error where a writer is there.
    let _ = reader.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Standard output of another user than the server's, as after `su`: the server can't open it a second time.
fn wrappers() -> Vec<Vec<&'static str>> {
    let as_other_user = vec!["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    if root() { vec![Vec::new(), as_other_user] } else { vec![Vec::new()] }
}

/// Rewrites `/changing.txt` in place 200 times a second, of which a worker that has it cached is told by a
/// signal each time, while `work` is under way.
fn with_changes(server: &Server, work: impl FnOnce()) {
    let file = server.tree().file("changing.txt", "a");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::write(&file, "b").unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        work();
    });
}

const ASK_CHANGING: &str = "GET /changing.txt HTTP/1.1\r\nHost: test\r\n\r\n";

#[test]
fn a_line_longer_than_the_room_in_a_pipe_whose_reader_has_stopped_stops_no_worker() {
    for (format, wrapper) in
        ["combined", "json"].into_iter().flat_map(|f| wrappers().into_iter().map(move |w| (f, w)))
    {
        let launch = Launch::site().flags(["--access-log", "-", "--access-format", format]).under(wrapper);
        let mut server = launch.start_unread();
        let workers = server.workers();
        let long = format!("User-Agent: {}\r\n", "x".repeat(20_000));
        for _ in 0..100 {
            server.get_with("/page.html", &long).is(200, PAGE);
        }
        server.says("that lines are lost", |line| line.contains("the access log could not be written: "));
        assert_eq!(server.workers(), workers);
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
        assert!(!server.log().contains("killed"), "{}", server.log());
    }
}

#[test]
fn changes_of_files_do_not_prolong_the_wait_for_a_reader_that_has_stopped() {
    for wrapper in wrappers() {
        let mut server = Launch::site().flags(["--access-log", "-"]).under(wrapper).start_unread();
        let workers = server.workers();
        let mut client = server.client();
        let long = format!("GET /page.html?{} HTTP/1.1\r\nHost: test\r\n\r\n", "x".repeat(1000));
        with_changes(&server, || {
            for _ in 0..500 {
                client.send(&long);
                client.response().is(200, PAGE);
                client.send(ASK_CHANGING);
                client.response().has_status(&[200]);
            }
        });
        assert_eq!(server.workers(), workers);
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
        assert!(!server.log().contains("killed"), "{}", server.log());
    }
}

#[test]
fn an_error_log_that_has_no_reader_any_more_stops_neither_worker_nor_master() {
    // Standard error leads to a pipe that the test holds open and does not read.
    let fifo = Fifo::new();
    let _reader = fifo.reader();
    let script = format!("exec 2>{}; exec \"$@\"", fifo.text());
    let launch = Launch::site().flags(["--log-level", "trace", "--admin", "127.0.0.1:0"]);
    let mut server = launch.under(["sh", "-c", &script, "sh"]).start();
    // The admin process is told from workers by its name, which it takes some time to set.
    let workers = eventually("the admin process has its name", || {
        Some(server.workers()).filter(|workers| workers.len() == 1)
    });
    with_changes(&server, || {
        for _ in 0..2000 {
            server.get("/changing.txt").has_status(&[200]);
        }
    });
    assert_eq!(server.workers(), workers);
    let successor = server.replace_worker();
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    server.signal(Signal::HUP);
    eventually("the next generation serves", || {
        (!successor.lives() && !server.workers().is_empty()).then_some(())
    });
    server.get("/page.html").is(200, PAGE);
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_full_standard_output_holds_up_no_start() {
    let place = Tree::empty();
    let (log, fifo) = (place.at("error.log"), Fifo::new());
    let _reader = fifo.reader();
    let output = OwnedFd::from(File::options().write(true).open(&fifo.path).unwrap());
    let size = rustix::pipe::fcntl_getpipe_size(&output).unwrap();
    assert_eq!(rustix::io::write(&output, &vec![b'x'; size]).unwrap(), size);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mayhttpd"));
    command
        .args(["--listen", "127.0.0.1:0", "--workers", "1", "--log-file"])
        .arg(&log)
        .current_dir(place.path());
    let mut child = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn().unwrap();
    let serves = || fs::read_to_string(&log).ok()?.contains("generation 1 serves").then_some(());
    let started = std::panic::catch_unwind(|| eventually("it serves", serves));
    let _ = kill_process(Pid::from_raw(child.id() as i32).unwrap(), Signal::TERM);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("it ends", || child.try_wait().unwrap())
    }));
    let _ = child.kill();
    assert!(started.is_ok());
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[test]
fn long_lines_of_two_workers_into_one_pipe_are_whole() {
    for wrapper in wrappers() {
        let flags = ["--access-log", "-", "--access-format", "json"];
        let mut server = Launch::site().workers(2).flags(flags).under(wrapper).start();
        let text = "\\\"\u{e9}x".repeat(1500);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (server, text) = (&server, &text);
                scope.spawn(move || {
                    for number in 0..120 {
                        let length = if number % 3 == 0 { 10 } else { number * 60 };
                        let agent: String = text.chars().take(length).collect();
                        let fields = format!("User-Agent: {agent}\r\nReferer: {agent}\r\n");
                        server.get_with(format!("/page.html?{thread}-{number}-"), &fields).is(200, PAGE);
                    }
                });
            }
        });
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
        let output = server.output();
        let lines: Vec<&str> = output.lines().filter(|line| !line.contains("http://127")).collect();
        let objects: Vec<Json> = lines[1..].iter().map(|line| Json::parse(line)).collect();
        let requests = objects.iter().filter(|line| line.field("status").is_some());
        // A line that found no room is missing as a whole.
        let lost = requests.clone().count() != 480;
        assert!(!lost || server.log().contains("the access log could not be written"), "{}", server.log());
        for request in requests {
            assert!(request.text("target").starts_with("/page.html?"));
            assert_eq!((request.number("status"), request.number("bytes")), (200.0, 38.0));
        }
        assert!(lines.iter().all(|line| line.len() < 4096));
    }
}

/// The flags that make `path` the log of one kind.
fn flag_of(log: &str) -> String {
    format!("--{}", log.replace('_', "-"))
}

const LOGS: [&str; 2] = ["access_log", "log_file"];

#[test]
fn a_fifo_without_a_reader_ends_the_start_with_an_error() {
    for log in LOGS {
        let fifo = Fifo::new();
        let finished = Launch::site().flags([&flag_of(log), fifo.text()]).run();
        assert_eq!(finished.code, Some(1), "{finished:?}");
        let words = format!("cannot open the log {}: it is a FIFO without a reader", fifo.text());
        assert!(finished.errors.contains(&words), "{finished:?}");
        assert_eq!(Launch::site().flags([&flag_of(log), fifo.text(), "-t"]).run().code, Some(0));
    }
}

#[test]
fn a_path_that_can_take_no_log_ends_the_start_with_an_error() {
    let place = Tree::empty();
    let _socket = UnixListener::bind(place.at("socket")).unwrap();
    place.dir("directory");
    for log in LOGS {
        for (name, words) in
            [("socket", "it is a socket"), ("directory", "is a directory"), ("none/log", "no such file")]
        {
            let path = place.at(name);
            let finished = Launch::site().flags([&flag_of(log), path.to_str().unwrap()]).run();
            assert_eq!(finished.code, Some(1), "{finished:?}");
            let start = format!("cannot open the log {}: ", path.display());
            let error = finished.errors.split_once(&start).unwrap_or_else(|| panic!("{finished:?}")).1;
            assert!(error.starts_with(words), "{finished:?}");
        }
        let server = Launch::site().flags([&flag_of(log), "/dev/null"]).start();
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_fifo_without_a_reader_ends_a_reload_and_changes_nothing() {
    for log in LOGS {
        let (place, fifo) = (Tree::empty(), Fifo::new());
        let file = place.file("mayhttpd.toml", "workers = 1\n");
        let mut server = Launch::site().by_file(&file).start();
        let workers = server.workers();
        place.file("mayhttpd.toml", format!("workers = 1\n{log} = \"{}\"\n", fifo.text()));
        server.signal(Signal::HUP);
        server.says("that it has no reader", |line| {
            line.contains("the reload failed")
                && line.contains(fifo.text())
                && line.ends_with("it is a FIFO without a reader")
        });
        assert_eq!(server.workers(), workers);
        server.get("/page.html").is(200, PAGE);
        // With a reader it is a log like any other.
        let mut reader = fifo.reader();
        server.signal(Signal::HUP);
        eventually("the next generation has taken over", || {
            (!workers[0].lives() && !server.workers().is_empty()).then_some(())
        });
        server.get("/page.html").is(200, PAGE);
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
        let text = drain(&mut reader);
        assert!(text.contains(if log == "log_file" { "stopped" } else { "GET /page.html" }), "{text}");
    }
}

#[test]
fn a_fifo_without_a_reader_in_place_of_a_log_stops_no_master_that_reopens_it() {
    for log in LOGS {
        let place = Tree::empty();
        let path = place.at("log");
        let mut server =
            Launch::site().flags([&flag_of(log), path.to_str().unwrap()]).flags(["-l", "debug"]).start();
        server.get("/page.html").is(200, PAGE);
        let moved = place.at("log.1");
        fs::rename(&path, &moved).unwrap();
        make_fifo(&path);
        server.signal(Signal::USR1);
        let words =
            format!("ERROR [master] cannot open the log {}: it is a FIFO without a reader", path.display());
        let error_log = || if log == "log_file" { fs::read_to_string(&moved).unwrap() } else { server.log() };
        eventually("the error is told", || error_log().contains(&words).then_some(()));
        // The master goes on with its work, and the log as it was.
        server.replace_worker();
        server.get("/page.html?again").is(200, PAGE);
        server.refuses("GET / HTTP/1.1\r\n\r\n", &[400]);
        let last = if log == "log_file" { "127.0.0.1: 400" } else { "/page.html?again" };
        eventually("the log goes on", || fs::read_to_string(&moved).unwrap().contains(last).then_some(()));
        server.signal(Signal::TERM);
        assert_eq!(server.exit_code(), Some(0));
    }
}

#[test]
fn a_log_that_becomes_a_fifo_takes_whole_lines_and_its_reader_may_stop() {
    let place = Tree::empty();
    let path = place.at("access.log");
    let mut server = Launch::site().flags(["--access-log", path.to_str().unwrap()]).start();
    let workers = server.workers();
    server.get("/page.html").is(200, PAGE);
    fs::remove_file(&path).unwrap();
    make_fifo(&path);
    let reader = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    server.signal(Signal::USR1);
    server.says("that the logs are reopened", |line| line.contains("logs reopened"));
    let long = format!("User-Agent: {}\r\n", "x".repeat(20_000));
    (0..100).for_each(|_| server.get_with("/page.html", &long).is(200, PAGE));
    server.says("that lines are lost", |line| line.contains("the access log could not be written: "));
    assert_eq!(server.workers(), workers);
    let text = drain(&mut File::from(reader));
    assert!(text.len() >= 10 * 4096 && text.lines().all(|line| line.ends_with("xxx...\"")), "{text}");
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn a_reader_that_leaves_costs_lines_and_one_that_comes_gets_those_after() {
    for log in LOGS {
        let fifo = Fifo::new();
        let reader = fifo.reader();
        let server = Launch::site().flags([&flag_of(log), fifo.text()]).flags(["-l", "trace"]).start();
        let workers = server.workers();
        server.get("/page.html").is(200, PAGE);
        drop(reader);
        (0..20).for_each(|_| server.get("/page.html?between").is(200, PAGE));
        if log == "access_log" {
            server.says("that lines are lost", |line| line.contains("the access log could not be written: "));
        }
        let mut reader = fifo.reader();
        let mut text = String::new();
        let last = if log == "log_file" { "this log could not be written: " } else { "/page.html?after" };
        eventually("lines come again", || {
            server.get("/page.html?after").is(200, PAGE);
            text.push_str(&drain(&mut reader));
            text.contains(last).then_some(())
        });
        assert_eq!(server.workers(), workers);
    }
}
