//! The documents and all text beside them: one width, links that lead somewhere, names of files that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{LineColumn, TokenStream, TokenTree};

use crate::none;
use crate::source::root;

/// Columns of a line of code, of a comment and of a document.
const WIDTH: usize = 110;

/// Lines of documents that a reader should get through at once.
const LENGTHS: &[(&str, usize)] = &[("README.md", 150), ("ARCHITECTURE.md", 200)];

/// Folders that are not the project's own text.
const FOREIGN: &[&str] = &[".git", "target", "corpus", "artifacts"];

/// Every file below `folder`, relative to the root.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !FOREIGN.iter().any(|foreign| *foreign == name) {
                files(&path, found);
            }
        } else {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

/// The files with one of these extensions; a file without one is known by its name.
fn texts(kinds: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(root(), &mut found);
    found.sort();
    let is_one = |path: &PathBuf| {
        let kind = path.extension().or(path.file_name()).unwrap();
        kinds.iter().any(|known| *known == kind)
    };
    let found = found.into_iter().filter(is_one);
    found
        .map(|path| (path.to_str().unwrap().to_owned(), fs::read_to_string(root().join(&path)).unwrap()))
        .collect()
}

/// The lines of a document outside its code blocks, each with its number from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            lines.push((index + 1, line));
        }
    }
    lines
}

fn too_wide(name: &str, number: usize, line: &str) -> Option<String> {
    let width = line.chars().count();
    (width > WIDTH).then(|| format!("{name}:{number} has {width} columns"))
}

/// Where the text literals of Rust code begin and end.
fn literals(code: TokenStream, found: &mut Vec<(LineColumn, LineColumn)>) {
    for token in code {
        match token {
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) => found.push((literal.span().start(), literal.span().end())),
            _ => {}
        }
    }
}

/// Rust code without its literals.
fn without_literals(text: &str) -> String {
    let mut spans = Vec::new();
    literals(text.parse().unwrap(), &mut spans);
    let mut lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    // From the last one on, so that the columns of those before stay right.
    for (start, end) in spans.into_iter().rev() {
        // A comment of documentation is a literal too.
        if lines[start.line - 1][start.column] == '/' {
            continue;
        }
        for number in (start.line..=end.line).rev() {
            let line = &mut lines[number - 1];
            let from = if number == start.line { start.column } else { 0 };
            let to = if number == end.line { end.column } else { line.len() };
            line.drain(from..to);
        }
    }
    lines.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
}

#[test]
fn documents_are_narrow() {
    // A row of a table can't be wrapped, nor can what has no space in it. Code blocks are as wide as they
    // must be.
    let may_be_wide = |line: &str| line.starts_with('|') || !line.trim_start_matches("- ").contains(' ');
    let mut faults = Vec::new();
    for (name, text) in texts(&["md"]) {
        let lines = prose(&text).into_iter().filter(|(_, line)| !may_be_wide(line));
        faults.extend(lines.filter_map(|(number, line)| too_wide(&name, number, line)));
    }
    none(faults);
}

#[test]
fn source_is_narrow() {
    // A text literal is left as it is, so that a message can be searched for, and so does rustfmt.
    let mut faults = Vec::new();
    for (name, text) in texts(&["rs"]) {
        for (index, line) in without_literals(&text).lines().enumerate() {
            // A drawing in a comment.
            let is_drawing = line.trim_start().starts_with("//") && line.matches(" | ").count() > 2;
            faults.extend(too_wide(&name, index + 1, line).filter(|_| !is_drawing));
        }
    }
    none(faults);
}

#[test]
fn comments_of_other_files_are_narrow() {
    let kinds = ["toml", "conf", "cfg", "yaml", "service", "socket", "logrotate", "sh", "run", "Dockerfile"];
    let mut faults = Vec::new();
    for (name, text) in texts(&kinds) {
        let comments = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with('#'));
        faults.extend(comments.filter_map(|(index, line)| too_wide(&name, index + 1, line)));
    }
    none(faults);
}

#[test]
fn the_first_documents_are_short() {
    let long = LENGTHS.iter().filter_map(|(name, most)| {
        let lines = fs::read_to_string(root().join(name)).unwrap().lines().count();
        (lines > *most).then(|| format!("{name} has {lines} lines, more than {most}"))
    });
    none(long.collect());
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter_map(|(_, line)| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
            kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
        })
        .collect()
}

/// What the links of a line lead to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut faults = Vec::new();
    for (name, text) in texts(&["md"]) {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for (number, line) in prose(&text) {
            for link in links(line).filter(|link| !link.starts_with("https://")) {
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { root().join(&name) } else { folder.join(file) };
                let has_anchor =
                    || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
                if !target.exists() || (!anchor.is_empty() && !has_anchor()) {
                    faults.push(format!("{name}:{number}: {link} leads nowhere"));
                }
            }
        }
    }
    none(faults);
}

/// Folders whose files documents name from the root.
const FOLDERS: &[&str] = &["src", "tests", "benches", "fuzz", "docs", "deploy", "dist"];

/// What stands between back quotes in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// True for what is written like the path of a file of the project, such as `http/date.rs`.
fn is_path(word: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-".contains(letter);
    let (first, is_ours) = (word.split('/').next().unwrap(), word.ends_with(".rs"));
    word.contains('/') && word.chars().all(is_plain) && (is_ours || FOLDERS.contains(&first))
}

#[test]
fn files_that_documents_name_exist() {
    let mut faults = Vec::new();
    for (name, text) in texts(&["md"]) {
        // The list of changes names what is gone.
        if name == "CHANGELOG.md" {
            continue;
        }
        let folder = Path::new(&name).parent().unwrap();
        let places = [Path::new(""), Path::new("src"), folder].map(|place| root().join(place));
        for (number, line) in prose(&text) {
            let absent = quoted(line)
                .filter(|word| is_path(word) && !places.iter().any(|place| place.join(word).exists()));
            faults.extend(absent.map(|word| format!("{name}:{number}: {word} does not exist")));
        }
    }
    none(faults);
}

/// True for what is written like a name of the source: `Site::answer`, `open_logs`.
fn is_name(word: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_:".contains(letter);
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.chars().all(is_plain)
        && (word.contains("::") || (word.contains('_') && word.to_lowercase() == word))
}

#[test]
fn names_that_documents_use_are_in_the_source() {
    let sources: String = texts(&["rs", "toml", "conf"]).into_iter().map(|(_, text)| text).collect();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let known: BTreeSet<&str> = sources.split(|letter| !is_part(letter)).collect();
    let mut faults = Vec::new();
    for (name, text) in texts(&["md"]) {
        if name != "ARCHITECTURE.md" && name != "CONTRIBUTING.md" && !name.starts_with("docs/design/") {
            continue;
        }
        for (number, line) in prose(&text) {
            let unknown = quoted(line)
                .filter(|word| is_name(word) && word.split("::").any(|part| !known.contains(part)));
            faults.extend(unknown.map(|word| format!("{name}:{number}: {word} is not in the source")));
        }
    }
    none(faults);
}

#[test]
fn the_layout_of_the_architecture_is_the_real_one() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split("\n## Layout\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut faults = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let columns: Vec<&str> = line.split(" | ").collect();
        let folder = quoted(columns[1]).next().unwrap().trim_end_matches('/');
        let names = quoted(columns[2]).filter(|name| name.ends_with(".rs") || name.ends_with('/'));
        let absent = names.filter(|name| !root().join("src").join(folder).join(name).exists());
        faults.extend(absent.map(|name| format!("src/{folder} has no {name}")));
    }
    none(faults);
}

#[test]
fn documents_are_read_as_they_are_meant() {
    assert_eq!(prose("a\n```sh\nb\n```\nc"), [(1, "a"), (5, "c")]);
    assert_eq!(links("[a](b.md#c) and [d](#e)").collect::<Vec<_>>(), ["b.md#c", "#e"]);
    assert!(anchors("## What a worker may do\n### Flat").contains("what-a-worker-may-do"));
    assert!(is_path("http/date.rs") && is_path("docs/x.md") && !is_path("/etc/x.conf") && !is_path("mod.rs"));
    assert!(is_name("Site::answer") && is_name("open_logs") && !is_name("Settings") && !is_name("a_b c"));
    assert_eq!(without_literals("f(\"a\\nb\", 'x'); // \"c\""), "f(, ); // \"c\"\n");
}
