//! The settings file, as a layer below flags and variables.

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
            ("\nwrokers = 2\n", ":2:1: wrokers: unknown key (the nearest known one is workers)"),
            ("workers = true\n", ":1:11: workers: is a boolean (expected a number or a string: N|auto)"),
            (
                "workers = 0\n",
                ":1:11: workers: invalid value \"0\" (expected a number from 1 to 1024, or auto)",
            ),
            ("name = \"a\"\nname = \"b\"\n", ":2:1: name: stands here again (each key may stand once)"),
            ("log_level = info\n", ":1:13: log_level: info is no value"),
            ("name = \"a\n", ":1:10: invalid basic string"),
        ]
        .map(|row| (row.0, row)),
        |(text, words)| {
            let (_tree, path) = file(text);
            for flags in [&["-c", &path][..], &["--config", &path]] {
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
    let finished = run_with(&["-c", &path, "-w", "1"]);
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
