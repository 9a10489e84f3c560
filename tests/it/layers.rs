//! The architecture, held to its table: imports go strictly downward, each outside crate stays in its place, every
//! file says what it owns and is part of the module tree.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::support::source::SourceFile;

/// A layer and those that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &[]),
    (
        "lib",
        &[
            "generate",
            "healthcheck",
            "init",
            "master",
            "admin",
            "worker",
            "connection",
            "kernel",
            "site",
            "sandbox",
            "config",
            "log",
            "metrics",
            "http",
            "sys",
            "error",
        ],
    ),
    ("generate", &["config", "error"]),
    ("healthcheck", &["error"]),
    ("init", &["master", "config", "sys", "error"]),
    ("master", &["worker", "admin", "sandbox", "config", "log", "metrics", "kernel", "sys", "error"]),
    ("worker", &["connection", "site", "sandbox", "config", "log", "metrics", "http", "sys", "error"]),
    ("admin", &["metrics", "sandbox", "log", "config", "sys", "error"]),
    ("connection", &["site", "tls", "metrics", "log", "config", "http", "sys"]),
    ("kernel", &["config", "error"]),
    ("site", &["http", "sys", "config", "metrics"]),
    ("sandbox", &["config", "sys"]),
    ("log", &["config", "sys", "error"]),
    ("metrics", &["sys"]),
    ("config", &["error"]),
    ("http", &[]),
    ("sys", &[]),
    ("error", &[]),
];

/// An outside crate and the places that may name it; a place is a beginning of a path below src.
const CRATES: &[(&str, &[&str])] = &[
    ("may", &["connection/transport.rs", "worker/", "admin/"]),
    ("may_minihttp", &["admin/"]),
    ("generator", &["worker/"]),
    ("httparse", &["http/request.rs"]),
    ("httpdate", &["http/", "log/line.rs"]),
    ("percent_encoding", &["http/", "site/listing.rs"]),
    ("mime_guess", &["http/"]),
    ("clap", &["config/", "generate/"]),
    ("clap_mangen", &["generate/man.rs"]),
    ("clap_complete", &["generate/"]),
    ("toml", &["config/file.rs", "config/location.rs"]),
    ("ipnet", &["config/access.rs"]),
    ("fern", &["log/"]),
    ("lru", &["site/"]),
    ("comfy_table", &["kernel/table.rs"]),
    ("terminal_size", &["kernel/table.rs"]),
    ("anstyle", &["kernel/table.rs"]),
    ("procfs_core", &["kernel/"]),
    ("slab", &["worker/"]),
    ("rustix", &["sys/", "log/"]),
    ("nix", &["sys/"]),
    ("libc", &["sys/"]),
];

/// Fails with all the faults at once.
#[track_caller]
fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n  {}", faults.join("\n  "));
}

#[test]
fn imports_go_strictly_downward() {
    let files = SourceFile::all();
    assert!(files.len() > 20, "only {} files were found", files.len());
    let known: BTreeSet<&str> = files.iter().map(SourceFile::layer).collect();
    let mut faults = Vec::new();
    for file in &files {
        let Some((layer, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer()) else {
            faults.push(format!("src/{} is in no layer of the table", file.path.display()));
            continue;
        };
        for name in file.names_layers() {
            let ours = known.contains(name.as_str()) && name != *layer;
            if ours && !allowed.contains(&name.as_str()) {
                faults.push(format!("src/{} imports {name}, which {layer} may not", file.path.display()));
            }
        }
    }
    none(faults);
}

#[test]
fn the_table_has_no_cycle() {
    // Each layer stands above all that it may import, so that "downward" means something.
    let place = |name: &str| LAYERS.iter().position(|(layer, _)| *layer == name);
    for (index, (layer, allowed)) in LAYERS.iter().enumerate() {
        for name in allowed.iter().filter_map(|name| place(name)) {
            assert!(name > index, "{layer} and {} stand in the wrong order", LAYERS[name].0);
        }
    }
}

#[test]
fn outside_crates_stay_in_their_places() {
    let mut faults = Vec::new();
    for file in SourceFile::all() {
        let path = file.path.to_str().unwrap();
        for (name, places) in CRATES {
            if file.names_crate(name) && !places.iter().any(|place| path.starts_with(place)) {
                faults.push(format!("src/{path} names {name}, which belongs to {}", places.join(" and ")));
            }
        }
    }
    none(faults);
}

#[test]
fn the_log_uses_the_system_only_to_write() {
    let uses = SourceFile::all().into_iter().filter(|file| file.layer() == "log");
    let other =
        ["fs", "net", "process", "event", "thread", "time", "pipe"].map(|part| format!("rustix::{part}"));
    let named = |file: &SourceFile| other.iter().any(|part| file.text.contains(part));
    none(
        uses.filter(named)
            .map(|file| format!("src/{} names more of rustix than io", file.path.display()))
            .collect(),
    );
}

#[test]
fn unsafe_code_lives_in_sys_alone() {
    let outside =
        SourceFile::all().into_iter().filter(|file| file.layer() != "sys" && file.has_word("unsafe"));
    none(outside.map(|file| format!("src/{} is unsafe", file.path.display())).collect());
}

#[test]
fn every_file_says_first_what_it_owns() {
    let silent = SourceFile::all().into_iter().filter(|file| !file.text.starts_with("//! "));
    none(silent.map(|file| format!("src/{} has no head", file.path.display())).collect());
}

#[test]
fn every_file_is_in_the_module_tree() {
    let files = SourceFile::all();
    let mut reached: BTreeSet<PathBuf> = ["main.rs", "lib.rs"].map(PathBuf::from).into();
    let mut waiting: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(path) = waiting.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        for forms in file.modules() {
            let target = forms.into_iter().find(|form| files.iter().any(|file| file.path == *form));
            if let Some(target) = target.filter(|target| reached.insert(target.clone())) {
                waiting.push(target);
            }
        }
    }
    let lost = files.iter().filter(|file| !reached.contains(&file.path));
    none(lost.map(|file| format!("src/{} is declared nowhere", file.path.display())).collect());
}

#[test]
fn sources_are_read_as_the_compiler_reads_them() {
    let text = r##"//! Names crate::nothing in a comment.
/* unsafe */ use crate::{alpha, beta::{self, gamma}};
fn f<'a>(x: &'a str) -> char { super::super::delta::g("crate::no \" unsafe", r#"may::no"#, '"', 'u', b'"'); '\'' }
use ::fern::Dispatch; fn g() { other::clap::x(); nix::y(); let may = 1; }
mod inner; mod tests { use super::*; }
"##;
    let file = SourceFile::of("log/access.rs", text);
    assert_eq!(file.layer(), "log");
    assert_eq!(file.names_layers(), ["alpha", "beta", "delta"]);
    assert_eq!(
        file.modules(),
        [[PathBuf::from("log/access/inner.rs"), PathBuf::from("log/access/inner/mod.rs")]]
    );
    assert!(file.names_crate("fern") && file.names_crate("nix"));
    assert!(!file.names_crate("clap") && !file.names_crate("may") && !file.has_word("unsafe"));
    let file = SourceFile::of("log/mod.rs", "use super::master::x; pub mod access;");
    assert_eq!(file.names_layers(), ["master"]);
    assert_eq!(file.modules()[0][0], PathBuf::from("log/access.rs"));
}
