//! The words that the project does not use: metaphors that a reader would have to decode.

use std::fs;

use crate::none;
use crate::source::{SourceFile, root};

/// Words that are no names here, in any of these forms.
const RETIRED: &[&str] = &[
    "door doors",
    "guest guests",
    "crew crews",
    "seat seats seated",
    "lot lots",
    "baton batons",
    "turnstile turnstiles",
    "stir stirs stirred",
    "vital vitals",
    "presence presences",
    "visit visits visited",
    "parking parkings parked unparked",
    "inbox inboxes",
    "farewell farewells",
    "leftover leftovers",
    "exchange exchanges",
    "attend attends attended attendant attendants attendance unattended",
    "heed heeds heeded",
    "obey obeys obeyed",
    "perform performs performed",
    "condemn condemns condemned",
    "fate fates",
    "upkeep upkeeps",
    "trail trails",
    "notice notices noticed",
    "sight sights",
    "lease leases",
    "astray",
    "settle settles settled settling",
    "represent represents",
    "lent",
    "dress dresses dressed",
    "confess confesses confessed",
    "whoever",
    "somebody",
    "nobody",
    "anew",
    "farthest",
];

/// Turns of phrase that say what a plain word says.
const PHRASES: &[&str] = &["passed over", "told of", "subtle rule"];

/// A word in a file where it is the field's own word, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("Cargo.toml", "visit", "a feature of syn"),
    ("dist/mayhttpd.toml", "nobody", "the name of a user"),
    ("docs/settings.md", "nobody", "the name of a user"),
    ("src/config/dump.rs", "nobody", "the name of a user"),
    ("src/config/mod.rs", "nobody", "the name of a user"),
    ("src/config/table/workers.rs", "nobody", "the name of a user"),
    ("src/config/value.rs", "nobody", "the name of a user"),
    ("src/master/handover.rs", "lent", "what a program of an earlier version writes and reads"),
    ("src/master/identity.rs", "nobody", "the name of a user"),
];

/// The lower-case words of a text: identifiers fall apart at underscores and capitals.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in text.chars() {
        if !letter.is_ascii_alphabetic() || (letter.is_ascii_uppercase() && before.is_ascii_lowercase()) {
            words.push(String::new());
        }
        if letter.is_ascii_alphabetic() {
            words.last_mut().unwrap().push(letter.to_ascii_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn faults_in(name: &str, text: &str) -> Vec<String> {
    let retired = |word: &str| RETIRED.iter().any(|forms| forms.split(' ').any(|form| form == word));
    let excepted = |word: &str| EXCEPTIONS.iter().any(|(file, known, _)| *file == name && *known == word);
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = words(line);
        let at = format!("{name}:{}", index + 1);
        let found = words.iter().filter(|word| retired(word) && !excepted(word));
        faults.extend(found.map(|word| format!("{at}: {word}")));
        let line = words.join(" ");
        let phrases = PHRASES.iter().filter(|phrase| format!(" {line} ").contains(&format!(" {phrase} ")));
        faults.extend(phrases.map(|phrase| format!("{at}: {phrase}")));
    }
    faults
}

#[test]
fn the_source_uses_none_of_them() {
    none(SourceFile::all().iter().flat_map(|file| faults_in(&file.name(), &file.text)).collect());
}

#[test]
fn the_documents_use_none_of_them() {
    let mut faults = Vec::new();
    for folder in ["", "docs", "docs/design", "docs/examples", "docs/load", "deploy", "dist"] {
        let Ok(entries) = fs::read_dir(root().join(folder)) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "md" || extension == "toml") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                // The list of changes quotes what stood there before.
                if name == "CHANGELOG.md" {
                    continue;
                }
                faults.extend(faults_in(&name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    none(faults);
}

#[test]
fn words_are_found_within_names() {
    assert_eq!(words("let OldDoor = park_ing(HTTP2)"), ["let", "old", "door", "park", "ing", "http"]);
    assert_eq!(faults_in("x", "a GuestList\nwas passed over"), ["x:1: guest", "x:2: passed over"]);
    assert!(faults_in("x", "trailing indoor lottery").is_empty());
}
