//! The settings file, and the flags that check and print what all sources resolve to.

use std::net::TcpListener;

use crate::support::launch::run_with;
use crate::support::tree::INDEX;
use crate::support::{Launch, Tree, every};

/// A tree that holds this settings file, and the file's path.
fn file(text: &str) -> (Tree, String) {
    let tree = Tree::empty();
    tree.file("may.toml", text);
    let path = tree.at("may.toml").to_str().unwrap().to_owned();
    (tree, path)
}

#[test]
fn a_file_is_served_by() {
    let site = Tree::site();
    let (_tree, path) = file(&format!(
        "root = {:?}\nname = \"by-file\"\nmissing_index = 404\n",
        site.path().to_str().unwrap()
    ));
    let server = Launch::rootless().flags(["-c", &path]).start();
    let response = server.get("/");
    response.is(200, INDEX);
    assert_eq!(response["server"], "by-file");
    let named = Launch::rootless().environment("MAYHTTPD_CONFIG", &path).start();
    assert_eq!(named.get("/")["server"], "by-file");
}

#[test]
fn a_flag_wins_over_a_variable_and_that_over_the_file() {
    let (_tree, path) = file("name = \"by-file\"\n");
    let launch = || Launch::site().flags(["--config", &path]);
    assert_eq!(launch().start().get("/")["server"], "by-file");
    let varied = || launch().environment("MAYHTTPD_NAME", "by-variable");
    assert_eq!(varied().start().get("/")["server"], "by-variable");
    assert_eq!(varied().flags(["--name", "by-flag"]).start().get("/")["server"], "by-flag");
}

#[test]
fn the_defaults_of_a_packager_rank_below_all_else() {
    let (_tree, defaults) = file("name = \"by-packager\"\nport = 81\nadmin = \":82\"\n");
    let (_other, path) = file("name = \"by-file\"\nlisten = \"127.0.0.1:83\"\n");
    let dump = |flags: &[&str]| {
        let launch = Launch::rootless().listen(&[]).environment("MAYHTTPD_DEFAULTS", &defaults);
        let finished = launch.flags(["-T"]).flags(flags.iter().copied()).run();
        assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{finished:?}");
        finished.output
    };
    let (by_packager, by_file) = (|line| format!("{defaults}:{line}"), |line| format!("{path}:{line}"));
    let admin = format!("admin = \"127.0.0.1:82\"  # {}", by_packager(3));
    for (flags, lines) in [
        (
            &[][..],
            [
                format!("name = \"by-packager\"  # {}", by_packager(1)),
                format!("listen = [\"*:81\"]  # {}", by_packager(2)),
                admin.clone(),
            ],
        ),
        (
            &["-c", &path],
            [
                format!("name = \"by-file\"  # {}", by_file(1)),
                format!("listen = [\"127.0.0.1:83\"]  # {}", by_file(2)),
                admin.clone(),
            ],
        ),
        (
            &["-c", &path, "--name", "by-flag", "-p", "84"],
            [
                "name = \"by-flag\"  # --name".to_owned(),
                "listen = [\"*:84\"]  # --port".to_owned(),
                admin.clone(),
            ],
        ),
    ] {
        let output = dump(flags);
        for line in lines {
            assert!(output.lines().any(|found| found == line), "no {line:?} in\n{output}");
        }
    }
}

#[test]
fn the_defaults_of_a_packager_are_as_strict_as_the_file() {
    let (_tree, defaults) = file("workers = 0\n");
    for flags in [&["-t", "--defaults", &defaults][..], &["-t", "--defaults", &defaults, "-w", "1"]] {
        let finished = run_with(flags);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.errors.contains("may.toml:1:11: workers:"), "{finished:?}");
    }
    let finished = run_with(&["--defaults", "/absent"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.errors.starts_with("mayhttpd: cannot read the settings in /absent: "), "{finished:?}");
    let (_tree, nested) = file("defaults = \"x\"\n");
    let finished = run_with(&["-c", &nested]);
    assert!(finished.errors.contains(":1:1: defaults: is only a flag"), "{finished:?}");
}

#[test]
fn paths_in_a_file_start_where_the_server_was_started() {
    let site = Tree::site();
    let (_tree, path) = file("root = \".\"\n");
    let server = Launch::rootless().directory(site.path()).flags(["-c", &path]).start();
    server.get("/").is(200, INDEX);
}

#[test]
fn a_bad_file_is_refused_with_2_and_one_line_that_says_where() {
    every(
        [
            ("\nwrokers = 2\n", ":2:1: wrokers: unknown key (did you mean workers?)"),
            ("workers = true\n", ":1:11: workers: is a boolean (expected a number or a string: N|auto)"),
            (
                "workers = 0\n",
                ":1:11: workers: invalid value \"0\" (expected a number from 1 to 1024, or auto)",
            ),
            ("name = \"a\"\nname = \"b\"\n", ":2:1: name: duplicate key (each key may be given once)"),
            ("log_level = info\n", ":1:13: log_level: invalid value info"),
            ("name = \"a\n", ":1:10: invalid basic string"),
        ]
        .map(|row| (row.0, row)),
        |(text, words)| {
            let (_tree, path) = file(text);
            for flags in [&["-c", &path][..], &["-t", "-c", &path], &["-T", "-c", &path]] {
                let finished = run_with(flags);
                assert_eq!((finished.code, finished.output.as_str()), (Some(2), ""), "{finished:?}");
                assert!(finished.errors.starts_with(&format!("mayhttpd: {path}{words}")), "{finished:?}");
                assert_eq!(finished.errors.lines().count(), 1, "{finished:?}");
            }
        },
    );
}

#[test]
fn a_mistake_in_the_file_is_told_even_where_a_flag_hides_it() {
    let (_tree, path) = file("workers = 0\n");
    let finished = run_with(&["-t", "-c", &path, "-w", "1"]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.errors.contains("may.toml:1:11: workers:"), "{finished:?}");
}

#[test]
fn a_file_that_can_not_be_read_is_refused() {
    let tree = Tree::empty();
    for (path, cause) in [(tree.at("absent"), "no such file"), (tree.path().to_owned(), "is a directory")] {
        let path = path.to_str().unwrap();
        let finished = run_with(&["-c", path]);
        assert_eq!(finished.code, Some(2), "{finished:?}");
        let line = format!("mayhttpd: cannot read the settings in {path}: {cause}");
        assert!(finished.errors.starts_with(&line), "{finished:?}");
        assert_eq!(finished.errors.lines().count(), 1, "{finished:?}");
    }
}

#[test]
fn a_test_says_that_all_is_fine_and_serves_nothing() {
    // A port that is taken is no mistake in the settings: the server that is running may have it.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Tree::site();
    let listen = taken.local_addr().unwrap().to_string();
    let (_tree, path) = file(&format!("root = {:?}\nlisten = [{listen:?}]\n", site.path().to_str().unwrap()));
    for flag in ["-t", "--test"] {
        let finished = run_with(&[flag, "-c", &path]);
        assert_eq!((finished.code, finished.output.as_str()), (Some(0), ""), "{finished:?}");
        assert_eq!(finished.errors, "mayhttpd: the settings are fine\n");
    }
}

#[test]
fn a_test_tells_what_is_wrong_as_a_start_does() {
    let (tree, path) = file("root = \"/absent\"\n");
    let finished = run_with(&["-t", "-c", &path]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.errors, "mayhttpd: cannot serve /absent: no such file or directory\n");
    let finished = run_with(&["-t", &path]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.errors, format!("mayhttpd: cannot serve {path}: not a directory\n"));
    assert_eq!(run_with(&["-t", "-w", "0"]).code, Some(2));
    assert_eq!(run_with(&["-t", "-T"]).code, Some(2));
    if crate::support::root() {
        let finished = run_with(&["-t", "--user", "no-such-user", tree.path().to_str().unwrap()]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.errors.contains("no-such-user"), "{finished:?}");
    }
}

#[test]
fn a_test_tells_of_unknown_variables() {
    let finished = Launch::site().environment("MAYHTTPD_ROT", "x").flags(["-t"]).run();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: Vec<&str> = finished.errors.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("MAYHTTPD_ROT"), "{finished:?}");
}

#[test]
fn a_dump_names_every_value_and_its_origin() {
    let (_tree, path) = file("# mine\nlog_level = \"debug\"\nname = \"by-file\"\n");
    let finished = Launch::rootless()
        .environment("MAYHTTPD_IDLE_TIMEOUT", "5")
        .flags(["-T", "-c", &path, "--name", "by-flag"])
        .run();
    assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{finished:?}");
    for line in [
        "listen = [\"127.0.0.1:0\"]  # --listen",
        "workers = 1  # --workers",
        "name = \"by-flag\"  # --name",
        "idle_timeout = \"5s\"  # MAYHTTPD_IDLE_TIMEOUT",
        &format!("log_level = \"debug\"  # {path}:2"),
        "send_timeout = \"60s\"  # default",
    ] {
        assert!(finished.output.lines().any(|found| found == line), "no {line:?} in\n{}", finished.output);
    }
}

#[test]
fn a_dump_is_a_file_that_gives_the_same_dump() {
    let tree = Tree::empty();
    let dump = |flags: &[&str]| {
        let finished = run_with(&[&["--dump"], flags].concat());
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.output
    };
    let path = tree.at("dumped.toml").to_str().unwrap().to_owned();
    let flags: [&[&str]; 3] = [
        &[],
        &["/srv/\"quoted\" \\ é", "--listen=[::1]:80,81", "-w3", "--cache-size=1M", "--dotfiles=serve"],
        &["-p", "81", "--access-log", "-", "--max-connections=7", "--user=www", "--drain-timeout=1500ms"],
    ];
    every(flags.map(|row| (row.join(" "), row)), |flags| {
        let first = dump(flags);
        tree.file("dumped.toml", &first);
        assert_eq!(values(&dump(&["-c", &path])), values(&first));
    });
}

/// A dump without the origins, which differ once it is a file.
fn values(dump: &str) -> Vec<&str> {
    dump.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value)).collect()
}

#[test]
fn a_dump_that_can_not_be_written_fails() {
    let finished = Launch::rootless().flags(["-T"]).under(["sh", "-c", "exec \"$@\" >/dev/full", "sh"]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.errors, "mayhttpd: cannot write to standard output: no space left on device\n");
}
