//! Another program on the same sockets (USR2), the pid file, and `--signal`.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::support::client::ASK_PAGE;
use crate::support::exposition::Exposition;
use crate::support::launch::run_with;
use crate::support::plain;
use crate::support::process::{Process, Stray};
use crate::support::tree::PAGE;
use crate::support::{Launch, Server, Tree, eventually, skipped};

/// A pid file's path that no other test has, and its removal.
pub struct PidFile(PathBuf);

impl PidFile {
    pub fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("mayhttpd-it-{}-{name}.pid", std::process::id())))
    }

    fn aside(&self) -> PathBuf {
        self.0.with_extension("pid.oldbin")
    }

    pub fn flag(&self) -> [&str; 2] {
        ["--pid-file", self.0.to_str().unwrap()]
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.aside());
    }
}

fn pid(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Sends USR2, and waits until the new program has its workers.
#[track_caller]
pub fn upgrade(server: &Server, file: &PidFile) -> Stray {
    server.signal(Signal::USR2);
    let new = eventually("the new program writes its pid", || {
        let pid = pid(&file.0).filter(|&pid| pid != server.master.pid)?;
        Process::of(pid)
    });
    eventually("the new program has workers", || (new.children().len() == 2).then_some(()));
    Stray(new)
}

#[test]
fn an_upgrade_goes_over_to_the_new_program() {
    let file = PidFile::new("upgrade");
    let mut server = Launch::site().workers(2).flags(file.flag()).start();
    let address = server.address();
    let mut kept = server.client();
    kept.still_serves();
    let new = upgrade(&server, &file);
    assert_eq!(pid(&file.aside()), Some(server.master.pid));
    for _ in 0..20 {
        server.get("/page.html").is(200, PAGE);
    }
    server.signal(Signal::QUIT);
    kept.send(ASK_PAGE);
    kept.response().is(200, PAGE);
    drop(kept);
    assert_eq!(server.exit_code(), Some(0));
    assert!(!file.aside().exists());
    assert_eq!(pid(&file.0), Some(new.0.pid));
    assert_eq!(server.address(), address);
    for _ in 0..20 {
        server.get("/page.html").is(200, PAGE);
    }
}

#[test]
fn a_new_program_with_fewer_workers_leaves_no_client_waiting() {
    let place = Tree::empty();
    let settings = place.at("mayhttpd.toml");
    fs::write(&settings, "workers = 4\n").unwrap();
    let server = Launch::site().by_file(&settings).start();
    // As many as it takes for each old worker to have one that keeps it.
    let kept: Vec<_> = (0..40)
        .map(|_| {
            let mut client = server.client();
            client.still_serves();
            client
        })
        .collect();
    let old = server.workers();
    fs::write(&settings, "workers = 2\n").unwrap();
    server.signal(Signal::USR2);
    let count = |what: &str| server.log().matches(what).count();
    eventually("the new program serves", || (count("generation 1 serves") == 2).then_some(()));
    let new = server.master.children().into_iter().find(|child| !old.contains(child)).map(Stray);
    server.signal(Signal::QUIT);
    eventually("the old workers drain", || (count("is draining") == 4).then_some(()));
    (0..50).for_each(|_| server.get("/page.html").is(200, PAGE));
    assert!(server.master.lives(), "it still drains");
    drop((kept, new));
}

#[test]
fn the_admin_listener_goes_over_as_well_and_one_answers_at_a_time() {
    let file = PidFile::new("admin");
    // The new program has to know the port.
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = ["--admin".to_owned(), admin.to_string()];
    let mut server = Launch::site().workers(2).flags(file.flag()).flags(flags).start();
    let started = || {
        let (_, text) = plain::get(admin, "/metrics")?;
        Some(Exposition::parse(&text).value("mayhttpd_start_time_seconds"))
    };
    let old = eventually("the old program's admin answers", started);
    let new = upgrade(&server, &file);
    assert_eq!(started(), Some(old));
    server.signal(Signal::QUIT);
    eventually("the new program's admin answers", || started().filter(|&start| start > old));
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(new.0.children().len(), 3);
}

#[test]
fn a_new_program_that_ends_leaves_the_old_one_in_service() {
    let file = PidFile::new("back-out");
    let server = Launch::site().workers(2).flags(file.flag()).start();
    let new = upgrade(&server, &file);
    new.0.signal(Signal::QUIT);
    eventually("the old program takes its file back", || {
        (pid(&file.0) == Some(server.master.pid) && !file.aside().exists()).then_some(())
    });
    for _ in 0..20 {
        server.get("/page.html").is(200, PAGE);
    }
    assert_eq!(server.workers().len(), 2);
}

#[test]
fn a_pid_file_lives_as_long_as_its_master() {
    let file = PidFile::new("life");
    let mut server = Launch::site().flags(file.flag()).start();
    assert_eq!(pid(&file.0), Some(server.master.pid));
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    assert!(!file.0.exists());
}

#[test]
fn the_signal_flag_speaks_to_the_running_master() {
    let file = PidFile::new("signal");
    let mut server = Launch::site().flags(file.flag()).start();
    let tell = |word: &str| run_with(&["--signal", word, "--pid-file", file.0.to_str().unwrap()]);
    let before = server.workers();
    assert_eq!(tell("reload").code, Some(0));
    eventually("the workers are replaced", || {
        let workers = server.workers();
        (workers.len() == 1 && workers != before).then_some(())
    });
    assert_eq!(tell("reopen").code, Some(0));
    eventually("the logs are reopened", || server.log().contains("logs reopened").then_some(()));
    assert_eq!(tell("quit").code, Some(0));
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn the_signal_flag_says_what_it_cannot_do() {
    let file = PidFile::new("absent");
    let path = file.0.to_str().unwrap();
    let finished = run_with(&["-s", "quit", "--pid-file", path]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.errors.contains(path), "{}", finished.errors);
    let finished = run_with(&["-s", "quit"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.errors.contains("--pid-file"), "{}", finished.errors);
    for word in ["dance", "STOP"] {
        let finished = run_with(&["-s", word, "--pid-file", path]);
        assert_eq!(finished.code, Some(2));
        assert!(finished.errors.contains("stop, quit, reload, reopen or upgrade"), "{}", finished.errors);
    }
}

#[test]
fn reopened_logs_lose_no_line() {
    let logs = Tree::empty();
    let (access, errors) = (logs.path().join("access"), logs.path().join("errors"));
    let flags = ["--access-log", access.to_str().unwrap(), "--log-file", errors.to_str().unwrap()];
    let mut server = Launch::site().workers(2).flags(flags).start();
    let mut asked = 0;
    for round in 0..3 {
        for _ in 0..50 {
            server.get("/page.html").is(200, PAGE);
            asked += 1;
        }
        fs::rename(&access, logs.path().join(format!("access.{round}"))).unwrap();
        fs::rename(&errors, logs.path().join(format!("errors.{round}"))).unwrap();
        server.signal(Signal::USR1);
        eventually("both logs are there again", || (access.exists() && errors.exists()).then_some(()));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), Some(0));
    let text = |name: &str| fs::read_to_string(logs.path().join(name)).unwrap();
    let names = ["access.0", "access.1", "access.2", "access"];
    let lines: Vec<String> =
        names.iter().flat_map(|name| text(name).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert_eq!(lines.len(), asked);
    assert!(lines.iter().all(|line| line.contains("\"GET /page.html HTTP/1.1\" 200 38")), "{lines:?}");
    assert!(!text("access.1").is_empty(), "the second file took its share");
    assert!(text("errors").contains("stopped"));
}

#[test]
fn a_reload_of_either_program_during_an_upgrade_replaces_its_workers() {
    let file = PidFile::new("reload");
    let server = Launch::site().workers(2).flags(file.flag()).start();
    let new = upgrade(&server, &file);
    // Its parent's children include it.
    let old = || server.workers().into_iter().filter(|child| *child != new.0).collect::<Vec<_>>();
    let (old_before, new_before) = (old(), new.0.children());
    server.signal(Signal::HUP);
    eventually("the old program's workers are replaced", || {
        let workers = old();
        (workers.len() == 2 && !workers.iter().any(|worker| old_before.contains(worker))).then_some(())
    });
    new.0.signal(Signal::HUP);
    eventually("the new program's workers are replaced", || {
        let workers = new.0.children();
        (workers.len() == 2 && !workers.iter().any(|worker| new_before.contains(worker))).then_some(())
    });
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
    server.signal(Signal::QUIT);
    eventually("the old program ends", || (!server.master.lives()).then_some(()));
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
}

#[test]
fn an_upgrade_during_a_reload_starts_the_new_program_after_it() {
    let file = PidFile::new("upgrade-reload");
    let server = Launch::site().workers(2).flags(file.flag()).start();
    server.signal(Signal::HUP);
    eventually("the reload begins", || server.log().contains("reloading: generation 2").then_some(()));
    let _new = upgrade(&server, &file);
    let log = server.log();
    let place = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words}: {log}"));
    assert!(place("generation 2 serves") < place("the new program starts beside this one"), "{log}");
    (0..20).for_each(|_| server.get("/page.html").is(200, PAGE));
}

#[test]
fn an_upgrade_that_is_taken_back_leaves_the_backlog_of_the_old_program() {
    let (file, place) = (PidFile::new("backlog"), Tree::empty());
    let settings = place.at("mayhttpd.toml");
    let pid_file = file.0.display();
    let write = |backlog: u32| {
        fs::write(&settings, format!("workers = 2\nbacklog = {backlog}\npid_file = \"{pid_file}\"\n"))
            .unwrap();
    };
    write(100);
    let server = Launch::site().by_file(&settings).start();
    if server.backlog().is_none() && skipped("an_upgrade_that_is_taken_back_…", "there is no ss(8)") {
        return;
    }
    write(77);
    let new = upgrade(&server, &file);
    eventually("the new program serves", || (server.backlog().unwrap() == "77").then_some(()));
    new.0.signal(Signal::QUIT);
    eventually("the old program's counts again", || (server.backlog().unwrap() == "100").then_some(()));
    server.get("/page.html").is(200, PAGE);
}
