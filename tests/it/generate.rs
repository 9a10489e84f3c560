//! What packages have beside the program: the manual page as man(1) reads it, and completions as a shell uses
//! them. Certificates have a file of their own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::launch::run_with;
use crate::support::{Tree, skipped};

#[track_caller]
fn generated(words: &[&str]) -> String {
    let words: Vec<&str> = ["generate"].iter().chain(words).copied().collect();
    let finished = run_with(&words);
    assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{words:?}");
    finished.output
}

/// The long flags of the help, and those of the commands' own.
fn flags() -> Vec<String> {
    let commands: [&[&str]; 6] = [
        &["--help"],
        &["healthcheck", "--help"],
        &["kernel", "check", "--help"],
        &["precompress", "--help"],
        &["generate", "--help"],
        &["generate", "certificate", "--help"],
    ];
    let mut found = Vec::new();
    for words in commands {
        let help = run_with(words).output;
        let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
        let longs = lines.filter_map(|line| line.split([' ', ',', '[']).find(|word| word.starts_with("--")));
        found.extend(longs.map(str::to_owned));
    }
    assert!(found.len() > 40, "{found:?}");
    found
}

/// What the tool says; None, with a word, where it is not installed.
fn run(test: &str, tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").output() {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(test, &format!("{tool}: {error}"));
            None
        }
    }
}

#[test]
fn the_manual_page_names_every_flag_and_man_has_no_complaint() {
    let test = "the_manual_page_names_every_flag_and_man_has_no_complaint";
    let page = generated(&["man"]);
    let plain = page.replace("\\-", "-");
    for flag in flags() {
        assert!(plain.contains(&flag), "no {flag} on the page");
    }
    for heading in ["NAME", "SYNOPSIS", "COMMANDS", "ENVIRONMENT", "FILES", "SIGNALS", "EXAMPLES"] {
        assert!(page.contains(&format!(".SH {heading}\n")), "no {heading}");
    }
    let tree = Tree::empty();
    let path = tree.file("mayhttpd.8", page);
    let path = path.to_str().unwrap();
    if let Some(output) = run(test, "man", &["--warnings", "-l", path]) {
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.is_empty(), "{said}");
        assert!(text.is_empty() || text.starts_with("mayhttpd(8)"), "{text}");
        for flag in flags() {
            assert!(text.is_empty() || text.contains(&flag), "no {flag} in what man shows:\n{text}");
        }
    }
    if let Some(output) = run(test, "mandoc", &["-T", "lint", "-W", "warning", path]) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn bash_completes_flags_and_commands() {
    let test = "bash_completes_flags_and_commands";
    let tree = Tree::empty();
    let path = tree.file("mayhttpd", generated(&["completions", "bash"]));
    let path = path.to_str().unwrap();
    let Some(output) = run(test, "bash", &["-n", path]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (line, expected) in [
        ("mayhttpd --drain", vec!["--drain-timeout"]),
        ("mayhttpd sta", vec!["start", "status"]),
        ("mayhttpd start --pid", vec!["--pid-file"]),
        ("mayhttpd kernel ap", vec!["apply"]),
        ("mayhttpd generate completions f", vec!["fish"]),
        ("mayhttpd generate certificate --fo", vec!["--force"]),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let (current, previous) = (words[words.len() - 1], words[words.len() - 2]);
        // As bash itself calls what `complete -F` names (bash(1), Programmable Completion).
        let script = format!(
            "source '{path}'; COMP_WORDS=({line}); COMP_CWORD={}; _mayhttpd mayhttpd '{current}' '{previous}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"; complete -p mayhttpd >&2",
            words.len() - 1
        );
        let Some(output) = run(test, "bash", &["--norc", "-c", &script]) else { return };
        let (offered, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("-F _mayhttpd"), "{said}");
        let mut offered: Vec<&str> = offered.split_whitespace().collect();
        offered.sort_unstable();
        assert_eq!(offered, expected, "{line}: {said}");
    }
}

#[test]
fn other_shells_take_their_completions() {
    let test = "other_shells_take_their_completions";
    let tree = Tree::empty();
    for shell in ["zsh", "fish"] {
        let text = generated(&["completions", shell]);
        assert!(text.contains("drain-timeout"), "{shell}");
        let path = tree.file(shell, text);
        if let Some(output) = run(test, shell, &["-n", path.to_str().unwrap()]) {
            assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn a_directory_gets_the_files_under_their_usual_names() {
    let tree = Tree::empty();
    let directory = tree.at("new/place");
    let out = directory.to_str().unwrap();
    for (words, name) in [
        (vec!["man", "--out", out], "mayhttpd.8"),
        (vec!["--out", out, "completions", "bash"], "mayhttpd"),
        (vec!["completions", "zsh", "--out", out], "_mayhttpd"),
        (vec!["completions", "fish", "--out", out], "mayhttpd.fish"),
    ] {
        assert_eq!(generated(&words), "", "{words:?}");
        let words: Vec<&str> = words.into_iter().filter(|word| *word != "--out" && *word != out).collect();
        assert_eq!(fs::read_to_string(directory.join(name)).unwrap(), generated(&words));
    }
    let file = tree.file("file", "");
    let finished = run_with(&["generate", "man", "--out", file.to_str().unwrap()]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.errors.contains("cannot write") && Path::new(&file).is_file(), "{finished:?}");
    let finished = run_with(&["generate", "completions", "tcsh"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.errors.contains("bash, zsh, fish"), "{finished:?}");
}
