//! Starts: what is refused ends with one line that names the step, the thing and the cause; exit code 1, or 2
//! for usage.

use std::net::TcpListener;

use crate::support::launch::run_with;
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Launch, Tree, every};

/// Holds a start to being refused with this code and one line that has all these words in it.
#[track_caller]
fn refused(launch: Launch, code: i32, words: &[&str]) {
    let finished = launch.run();
    assert_eq!(finished.code, Some(code), "{finished:?}");
    let line = finished.errors.lines().filter(|line| !line.contains("INFO")).collect::<Vec<_>>();
    assert_eq!(line.len(), 1, "not one line: {finished:?}");
    for word in words {
        assert!(line[0].contains(word), "no {word:?} in {:?}", line[0]);
    }
    assert!(!line[0].ends_with('.') && !finished.output.contains("http://"), "{finished:?}");
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(Launch::site().workers(2).listen(&[&address]), 1, &["listen", &address, "in use"]);
}

#[test]
fn a_port_that_another_mayhttpd_has_is_refused_too() {
    // SO_REUSEPORT would let it in, and take half of the clients.
    let first = Launch::site().workers(2).start();
    let address = first.address().to_string();
    refused(Launch::site().workers(2).listen(&[&address]), 1, &["listen", &address, "in use"]);
    (0..20).for_each(|_| first.get("/page.html").is(200, PAGE));
}

#[test]
fn one_taken_port_among_several_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(Launch::site().listen(&["127.0.0.1:0", &address]), 1, &["listen", &address]);
}

#[test]
fn a_port_is_free_again_once_its_server_has_gone() {
    let first = Launch::site().start();
    let address = first.address().to_string();
    // A connection that the server closed itself keeps the port busy for a while, which may not matter.
    let mut client = first.client();
    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.response().is(200, INDEX);
    client.closed();
    drop(first);
    Launch::site().listen(&[&address]).start().get("/").is(200, INDEX);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    refused(Launch::site().listen(&["192.0.2.1:0"]), 1, &["listen", "192.0.2.1"]);
}

#[test]
fn a_missing_root_is_refused() {
    let tree = Tree::empty();
    tree.file("file", "no directory\n");
    refused(Launch::of_path(tree.at("absent")), 1, &["absent", "o such file"]);
    refused(Launch::of_path(tree.at("file")), 1, &["file", "ot a directory"]);
}

#[test]
fn a_log_that_can_not_be_opened_is_refused() {
    let tree = Tree::empty();
    for flag in ["--log-file", "--access-log"] {
        let path = tree.at("absent/file.log").to_str().unwrap().to_owned();
        refused(Launch::site().flags([flag, &path]), 1, &["absent/file.log", "o such file"]);
    }
}

#[test]
fn an_unknown_user_is_refused() {
    if !crate::support::root()
        && crate::support::skipped("an_unknown_user_is_refused", "the server isn't started by root")
    {
        return;
    }
    refused(Launch::site().flags(["--user", "no-such-user"]), 1, &["no-such-user"]);
}

#[test]
fn usage_that_is_wrong_is_refused_with_2() {
    let rows: [&[&str]; 14] = [
        &["--no-such-flag"],
        &["--port", "70000"],
        &["--port", "http"],
        &["--workers", "0"],
        &["--workers", "many"],
        &["--listen", "nonsense"],
        &["--idle-timeout", "soon"],
        &["--idle-timeout=-1s"],
        &["--sendfile", "maybe"],
        &["--missing-index", "500"],
        &["--log-level", "loud"],
        &["--dotfiles", "some"],
        &["--max-connections", "0"],
        &["one", "two"],
    ];
    every(rows.map(|row| (row.join(" "), row)), |arguments| {
        let finished = run_with(arguments);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let last = arguments.last().unwrap().trim_start_matches('-').split('=').next().unwrap();
        assert!(finished.errors.contains(last), "{finished:?}");
        assert!(finished.output.is_empty(), "{finished:?}");
    });
}

#[test]
fn help_and_version_are_told_on_standard_output() {
    let help = run_with(&["--help"]);
    assert_eq!(help.code, Some(0));
    for flag in ["--root", "--listen", "--workers", "--idle-timeout", "--access-log", "--sendfile"] {
        assert!(help.output.contains(flag), "no {flag} in the help");
    }
    let version = run_with(&["--version"]);
    assert_eq!((version.code, version.errors.as_str()), (Some(0), ""));
    assert!(
        version.output.starts_with(concat!("mayhttpd ", env!("CARGO_PKG_VERSION"))),
        "{}",
        version.output
    );
}

#[test]
fn the_environment_counts_and_flags_come_before_it() {
    let tree = Tree::site();
    let root = tree.path().to_owned();
    let named =
        Launch::rootless().environment("MAYHTTPD_ROOT", &root).environment("MAYHTTPD_NAME", "by-environment");
    let server = named.start();
    let response = server.get("/");
    response.is(200, INDEX);
    assert_eq!(response["server"], "by-environment");
    let flagged = Launch::of_path(&root)
        .environment("MAYHTTPD_NAME", "by-environment")
        .flags(["--name", "by-flag"])
        .start();
    assert_eq!(flagged.get("/")["server"], "by-flag");
}

#[test]
fn an_unknown_variable_is_reported() {
    let server = Launch::site().environment("MAYHTTPD_NO_SUCH_THING", "1").start();
    server.says("which variable it doesn't know", |line| line.contains("MAYHTTPD_NO_SUCH_THING"));
    server.get("/").is(200, INDEX);
}

#[test]
fn a_wrong_value_in_the_environment_names_the_variable() {
    refused(
        Launch::site().environment("MAYHTTPD_IDLE_TIMEOUT", "soon"),
        2,
        &["MAYHTTPD_IDLE_TIMEOUT", "soon"],
    );
}

#[test]
fn the_root_may_be_given_in_every_way() {
    let tree = Tree::site();
    let root = tree.path().to_str().unwrap();
    every(
        [vec![root], vec!["-r", root], vec!["--root-document", root], vec!["--root_document", root]]
            .map(|row| (row.join(" "), row)),
        |flags| {
            Launch::rootless().flags(flags).start().get("/").is(200, INDEX);
        },
    );
}

#[test]
fn where_it_serves_is_said_once_all_workers_do() {
    let server = Launch::site().workers(4).listen(&["127.0.0.1:0", "127.0.0.1:0"]).start();
    assert_eq!(server.workers().len(), 4);
    let lines = server.output().lines().filter(|line| line.contains("http://")).count();
    assert_eq!(lines, 2, "{}", server.output());
    for address in &server.addresses {
        assert_ne!(address.port(), 0);
    }
}

#[test]
fn the_short_flags_mean_what_the_long_ones_do() {
    let tree = Tree::site();
    let log = tree.at("server.log");
    let flags = ["-a", "127.0.0.1", "-p", "0", "-l", "debug", "-f", log.to_str().unwrap()];
    let server =
        Launch::rootless().listen(&[]).flags(flags).flags(["-r", tree.path().to_str().unwrap()]).start();
    server.get("/").is(200, INDEX);
    assert!(server.address().ip().is_loopback());
    assert!(!std::fs::read_to_string(&log).unwrap().is_empty());
}

#[test]
fn the_old_names_of_flags_are_taken() {
    let tree = Tree::site();
    let log = tree.at("server.log");
    let flags = ["--level_log", "debug", "--file_log", log.to_str().unwrap()];
    Launch::of_path(tree.path()).flags(flags).start().get("/").is(200, INDEX);
    assert!(!std::fs::read_to_string(&log).unwrap().is_empty());
}
