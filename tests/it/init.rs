//! `start`, `stop`, `restart` and `status`: a server in the background, found by its pid file and by nothing
//! else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::support::launch::Finished;
use crate::support::process::{Process, Stray};
use crate::support::tree::PAGE;
use crate::support::{Client, Launch, Tree, eventually, pattern, root, skipped};

/// Words for a server of its own: site, settings, log and pid file are in one directory.
struct Script {
    tree: Tree,
    flags: Vec<String>,
}

impl Script {
    fn new() -> Self {
        let tree = Tree::site();
        let place = |name: &str| tree.at(name).to_str().unwrap().to_owned();
        let mut flags = vec!["--workers=2".to_owned(), "--listen=127.0.0.1:0".to_owned()];
        flags.push(format!("--root={}", tree.path().to_str().unwrap()));
        flags.push(format!("--pid-file={}", place("run.pid")));
        flags.push(format!("--log-file={}", place("error.log")));
        Self { tree, flags }
    }

    fn pid_file(&self) -> PathBuf {
        self.tree.at("run.pid")
    }

    /// Runs it with a word behind its flags. That it ends at all shows that no process in the background
    /// holds its streams.
    #[track_caller]
    fn say(&self, word: &str) -> Finished {
        self.say_with(&[], word)
    }

    #[track_caller]
    fn say_with(&self, flags: &[&str], word: &str) -> Finished {
        let flags = self.flags.iter().map(String::as_str).chain(flags.iter().copied()).chain([word]);
        Launch::rootless().by_default().flags(flags).run()
    }

    /// Starts it, and the master is killed at the end of the test if it is there still.
    #[track_caller]
    fn start(&self) -> (Stray, SocketAddr) {
        let finished = self.say("start");
        assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{finished:?}");
        self.started(&finished)
    }

    #[track_caller]
    fn started(&self, finished: &Finished) -> (Stray, SocketAddr) {
        (Stray(master(&self.pid_file())), address(finished))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.tree.at("error.log")).unwrap_or_default()
    }
}

#[track_caller]
fn master(file: &Path) -> Process {
    let text = fs::read_to_string(file).unwrap();
    Process::of(text.trim().parse().unwrap()).expect("the pid file names no process")
}

/// Where a start says that it serves.
#[track_caller]
fn address(finished: &Finished) -> SocketAddr {
    let told =
        finished.output.lines().find_map(|line| line.trim().strip_prefix("http://")?.strip_suffix('/'));
    told.unwrap_or_else(|| panic!("no address: {finished:?}")).parse().unwrap()
}

#[track_caller]
fn serves(address: SocketAddr) {
    let mut client = Client::connect(address);
    client.send("GET /page.html HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.response().is(200, PAGE);
}

#[track_caller]
fn gone(process: &Process) {
    eventually("the process has gone", || (!process.lives()).then_some(()));
}

/// The session and the controlling terminal of a process, by its stat(5).
fn session_and_terminal(process: &Process) -> (String, String) {
    let text = fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap();
    let fields: Vec<&str> = text[text.rfind(')').unwrap() + 2..].split(' ').collect();
    (fields[3].to_owned(), fields[4].to_owned())
}

#[test]
fn start_returns_when_it_serves_and_stop_when_it_has_gone() {
    let script = Script::new();
    let finished = script.say("status");
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let (server, address) = script.start();
    serves(address);
    let finished = script.say("status");
    assert_eq!(finished.code, Some(0));
    assert!(finished.output.contains(&format!("process {}", server.0.pid)), "{finished:?}");

    let finished = script.say("start");
    assert_eq!(finished.code, Some(0));
    assert!(finished.output.contains(&format!("runs already, process {}", server.0.pid)), "{finished:?}");
    assert_eq!(master(&script.pid_file()), server.0);

    let workers = server.0.children();
    assert_eq!(workers.len(), 2);
    let finished = script.say("stop");
    assert_eq!(
        (finished.code, finished.output.as_str()),
        (Some(0), "mayhttpd has stopped\n"),
        "{finished:?}"
    );
    assert!(!server.0.lives() && !workers.iter().any(Process::lives));
    assert!(!script.pid_file().exists());
    assert_eq!(script.say("status").code, Some(3));
    let finished = script.say("stop");
    assert_eq!(finished.code, Some(0));
    assert!(finished.output.contains("does not run"), "{finished:?}");
}

#[test]
fn a_server_in_the_background_has_a_session_and_no_terminal() {
    let script = Script::new();
    let (server, _) = script.start();
    let (session, terminal) = session_and_terminal(&server.0);
    assert_ne!(session, session_and_terminal(&Process::own()).0);
    assert_ne!(session, server.0.pid.to_string(), "the leader of a session can get a terminal");
    assert_eq!(terminal, "0");
    let name = "a_server_in_the_background_has_a_session_and_no_terminal, descriptors of";
    let may_see = |process: &Process| process.shows_descriptors(&format!("{name} {}", process.pid));
    let workers: Vec<Process> = server.0.children().into_iter().filter(may_see).collect();
    for process in workers.iter().chain([&server.0]) {
        for number in 0..3 {
            let place = fs::read_link(format!("/proc/{}/fd/{number}", process.pid)).unwrap();
            assert_eq!(place, Path::new("/dev/null"), "descriptor {number} of {process:?}");
        }
    }
    // The descriptor by which the master holds its pid file is no business of a worker.
    for worker in workers {
        let open = fs::read_dir(format!("/proc/{}/fd", worker.pid)).unwrap().flatten();
        let names: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        assert!(!names.contains(&script.pid_file()), "{names:?}");
    }
}

#[test]
fn relative_paths_mean_the_same_in_the_background() {
    let tree = Tree::empty();
    tree.file("site/page.html", PAGE);
    let config =
        "root = \"site\"\nlisten = [\"127.0.0.1:0\"]\npid_file = \"run.pid\"\nlog_file = \"error.log\"\n";
    tree.file("may.toml", config);
    let say = |words: &[&str]| Launch::rootless().by_default().directory(tree.path()).flags(words).run();
    // Flags may stand behind the word too.
    let finished = say(&["start", "-c", "may.toml", "-w", "1"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let server = Stray(master(&tree.at("run.pid")));
    serves(address(&finished));
    let before = server.0.children();
    tree.file("may.toml", format!("{config}name = \"other\"\n"));
    assert_eq!(say(&["-c", "may.toml", "restart"]).code, Some(0));
    eventually("other workers", || {
        let now = server.0.children();
        (now.len() == 1 && now != before).then_some(())
    });
    serves(address(&finished));
    let log = fs::read_to_string(tree.at("error.log")).unwrap();
    assert!(log.contains("generation 2 serves site"), "{log}");
    assert_eq!(say(&["stop", "--config=may.toml"]).code, Some(0));
    gone(&server.0);
}

#[test]
fn a_root_may_stand_behind_the_word() {
    let tree = Tree::site();
    let pid_file = format!("--pid-file={}", tree.at("run.pid").to_str().unwrap());
    let words = ["--listen=127.0.0.1:0", "--workers=1", &pid_file, "start", tree.path().to_str().unwrap()];
    let finished = Launch::rootless().by_default().flags(words).run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let _server = Stray(master(&tree.at("run.pid")));
    serves(address(&finished));
    assert!(finished.errors.contains("no error log is kept"), "{finished:?}");
    let finished = Launch::rootless().by_default().flags(["--root=a", "start", "b"]).run();
    assert_eq!((finished.code, finished.output.as_str()), (Some(2), ""), "{finished:?}");
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    let script = Script::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--listen={}", taken.local_addr().unwrap());
    let absent = script.tree.at("absent/x");
    let with = |flag: &str| format!("--{flag}={}", absent.display());
    for (flags, code, error) in [
        (vec![address], 1, "mayhttpd: cannot listen on 127.0.0.1:"),
        (vec![with("log-file")], 1, "mayhttpd: cannot open the log "),
        (vec![with("access-log")], 1, "mayhttpd: cannot open the log "),
        (vec![with("config")], 2, "mayhttpd: cannot read the settings in "),
        (vec!["--access-log=-".to_owned()], 2, "mayhttpd: a server in the background has no standard output"),
        (vec!["--workers=x".to_owned()], 2, "mayhttpd: invalid value \"x\" for --workers"),
    ] {
        // Of two flags of the same name the parser takes none.
        let mut script = Script { tree: Tree::empty(), flags: script.flags.clone() };
        let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
        script.flags.retain(|flag| !flags.iter().any(|other| name(other) == name(flag)));
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let finished = script.say_with(&flags, "start");
        assert_eq!((finished.code, finished.output.as_str()), (Some(code), ""), "{flags:?} {finished:?}");
        let said = finished.errors.lines().last().unwrap_or_default();
        assert!(said.starts_with(error), "{flags:?} {finished:?}");
    }
    assert!(!script.pid_file().exists());
    // What went wrong in the background stands in the log as well.
    assert!(script.log().contains("ERROR [master] cannot listen on 127.0.0.1:"), "{}", script.log());
    assert_eq!(script.say("status").code, Some(3));
}

#[test]
fn a_pid_that_another_process_has_got_is_left_alone() {
    let script = Script::new();
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(script.pid_file(), format!("{}\n", stranger.id())).unwrap();
    let named = format!("process {}", stranger.id());
    let finished = script.say("status");
    assert_eq!(finished.code, Some(1));
    assert!(finished.output.contains(&named), "{finished:?}");
    let finished = script.say("stop");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let file = script.pid_file();
    let signal = ["--signal", "stop", "--pid-file", file.to_str().unwrap()];
    let finished = Launch::rootless().by_default().flags(signal).run();
    assert_eq!(finished.code, Some(1));
    assert!(finished.errors.contains(&named), "{finished:?}");
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was signalled");
    // It is in no one's way.
    let finished = script.say("restart");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let (server, address) = script.started(&finished);
    assert_ne!(server.0.pid, stranger.id());
    serves(address);
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger was signalled");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_dead_server_leaves_its_pid_file_and_can_be_started_again() {
    let script = Script::new();
    let (server, _) = script.start();
    let workers = server.0.children();
    server.0.signal(Signal::KILL);
    gone(&server.0);
    let finished = script.say("status");
    assert_eq!(finished.code, Some(1), "{finished:?}");
    workers.iter().for_each(gone);
    let (again, address) = script.start();
    assert_ne!(again.0, server.0);
    serves(address);
}

#[test]
fn another_server_does_not_take_the_pid_file_of_one_that_lives() {
    let script = Script::new();
    let (server, address) = script.start();
    let flags = script.flags.iter().filter(|flag| !flag.starts_with("--log-file"));
    let finished = Launch::rootless().by_default().flags(flags).run();
    assert_eq!(finished.code, Some(1));
    let words = format!("process {}, which serves already, has it", server.0.pid);
    assert!(finished.errors.contains(&words), "{finished:?}");
    assert_eq!(master(&script.pid_file()), server.0);
    serves(address);
}

#[test]
fn restart_has_the_running_server_reload() {
    let mut script = Script::new();
    let config = script.tree.file("may.toml", "name = \"one\"\n");
    script.flags.push(format!("--config={}", config.display()));
    let finished = script.say("restart");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let (server, address) = script.started(&finished);
    let before = server.0.children();
    let finished = script.say("restart");
    assert_eq!(finished.code, Some(0));
    assert!(finished.output.contains(&format!("process {}", server.0.pid)), "{finished:?}");
    eventually("other workers", || {
        let now = server.0.children();
        (now.len() == 2 && !now.iter().any(|worker| before.contains(worker))).then_some(())
    });
    serves(address);
    let before = server.0.children();
    script.tree.file("may.toml", "wrokers = 2\n");
    let finished = script.say("restart");
    assert_eq!(finished.code, Some(2));
    assert!(finished.errors.contains("may.toml:1:1: wrokers: unknown key"), "{finished:?}");
    assert_eq!(server.0.children(), before);
}

#[test]
fn stop_ends_a_drain_that_takes_longer_than_it_should() {
    let mut script = Script::new();
    script.tree.file("big.bin", pattern(5, 24 << 20));
    script.flags.push("--send-timeout=1h".to_owned());
    let finished = script.say_with(&["--drain-timeout=1h"], "start");
    let (server, address) = script.started(&finished);
    let mut client = Client::with_small_window(address);
    client.send("GET /big.bin HTTP/1.1\r\nHost: test\r\n\r\n");
    client.head().unwrap().has_status(&[200]);
    let finished = script.say_with(&["--drain-timeout=100ms"], "stop");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(!server.0.lives());
}

#[test]
fn a_server_in_the_background_is_upgraded_and_stop_ends_both() {
    let script = Script::new();
    let (old, address) = script.start();
    old.0.signal(Signal::USR2);
    let new = eventually("the new program writes its pid", || {
        let pid = fs::read_to_string(script.pid_file()).ok()?.trim().parse().ok()?;
        Process::of(pid).filter(|process| *process != old.0)
    });
    let new = Stray(new);
    eventually("the new program has workers", || (new.0.children().len() == 2).then_some(()));
    serves(address);
    let finished = script.say("status");
    let both = format!("process {} and process {}", old.0.pid, new.0.pid);
    assert!(finished.code == Some(0) && finished.output.contains(&both), "{finished:?}");
    assert_eq!(script.say("stop").code, Some(0));
    assert!(!old.0.lives() && !new.0.lives());
    assert_eq!(script.say("status").code, Some(3));
}

#[test]
fn without_a_pid_file_there_is_one_in_the_users_runtime_directory() {
    let test = "without_a_pid_file_there_is_one_in_the_users_runtime_directory";
    if !root() && skipped(test, "to become another user needs root") {
        return;
    }
    let tree = Tree::site();
    tree.dir("runtime");
    tree.mode("runtime", 0o777);
    let as_other_user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let say = |directory: &str, word: &str| {
        let flags = ["--listen=127.0.0.1:0", "--workers=1", "--root", tree.path().to_str().unwrap(), word];
        let launch = Launch::rootless().by_default().flags(flags).under(as_other_user);
        launch.environment("XDG_RUNTIME_DIR", directory).run()
    };
    let directory = tree.at("runtime");
    let directory = directory.to_str().unwrap();
    let finished = say(directory, "start");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let server = Stray(master(&tree.at("runtime/mayhttpd.pid")));
    assert_eq!(server.0.user(), 65534);
    serves(address(&finished));
    assert_eq!(say(directory, "stop").code, Some(0));
    gone(&server.0);
    let finished = say("", "start");
    assert_eq!(finished.code, Some(2));
    assert!(finished.errors.contains("--pid-file"), "{finished:?}");
}

#[test]
fn a_wrong_word_is_answered_with_the_right_ones() {
    let finished = Launch::rootless().by_default().flags(["strat"]).run();
    assert_eq!((finished.code, finished.output.as_str()), (Some(2), ""), "{finished:?}");
    for word in ["start", "stop", "restart", "status", "healthcheck", "kernel", "password", "generate"] {
        assert!(finished.errors.contains(word), "no {word} in {}", finished.errors);
    }
}
