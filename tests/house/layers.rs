//! The architecture, held to its table: imports go strictly downward and never in a circle, each outside
//! crate stays in its place, every file says what it owns and is part of the module tree.

use std::collections::{BTreeMap, BTreeSet};

use crate::none;
use crate::source::{Module, SourceFile, imports};

/// A layer and those that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["commands", "master", "capacity", "config", "sys", "error"]),
    ("commands", &["master", "capacity", "tls", "config", "compression", "http", "sys", "error", "password"]),
    (
        "master",
        &[
            "worker", "admin", "tls", "capacity", "sandbox", "ipc", "config", "log", "metrics", "password",
            "http", "time", "sys", "error",
        ],
    ),
    (
        "worker",
        &[
            "connection",
            "site",
            "store",
            "background",
            "tls",
            "sandbox",
            "ipc",
            "config",
            "log",
            "metrics",
            "password",
            "http",
            "time",
            "sys",
            "error",
        ],
    ),
    ("admin", &["sandbox", "ipc", "config", "log", "metrics", "http", "time", "sys", "error"]),
    (
        "connection",
        &["site", "store", "background", "tls", "config", "log", "metrics", "http", "time", "sys"],
    ),
    (
        "site",
        &[
            "store",
            "background",
            "config",
            "metrics",
            "compression",
            "routing",
            "http",
            "time",
            "sys",
            "password",
        ],
    ),
    ("store", &["background", "config", "metrics", "compression", "routing", "http", "time", "sys"]),
    ("background", &["metrics", "time", "sys"]),
    ("tls", &["config", "metrics", "http", "time", "sys", "error"]),
    ("capacity", &["config", "sys", "error"]),
    ("sandbox", &["config", "sys"]),
    ("ipc", &["sys"]),
    ("log", &["config", "http", "time", "sys", "error"]),
    ("metrics", &["http", "time", "sys"]),
    ("config", &["routing", "http", "time", "error"]),
    ("compression", &["http"]),
    ("routing", &["http"]),
    ("password", &["http"]),
    ("http", &[]),
    ("time", &["sys"]),
    ("sys", &[]),
    ("error", &[]),
];

/// An outside crate and the places that may name it; a place is a beginning of a path below src.
const CRATES: &[(&str, &[&str])] = &[
    (
        "may",
        &[
            "connection/socket.rs",
            "connection/socket_timers.rs",
            "connection/job_wait.rs",
            "worker/",
            "admin/",
        ],
    ),
    ("may_minihttp", &["admin/"]),
    ("generator", &["worker/"]),
    ("httparse", &["http/request.rs"]),
    ("httpdate", &["http/", "log/timestamp.rs"]),
    ("percent_encoding", &["http/", "routing/escapes.rs", "site/listing/text.rs"]),
    ("new_mime_guess", &["http/mime.rs"]),
    ("brotli", &["compression/encoder.rs"]),
    ("zstd", &["compression/encoder.rs"]),
    ("flate2", &["compression/encoder.rs", "store/compressed_cache.rs"]),
    ("indicatif", &["commands/precompress/progress.rs"]),
    ("clap", &["config/", "commands/"]),
    ("clap_mangen", &["commands/generate/man.rs"]),
    ("clap_complete", &["commands/generate/"]),
    ("toml", &["config/source/toml"]),
    ("ipnet", &["config/network.rs"]),
    ("strsim", &["config/suggest.rs"]),
    ("serde", &["metrics/json.rs", "site/listing/json.rs"]),
    ("serde_json", &["metrics/json.rs", "site/listing/json.rs", "site/listing/text.rs"]),
    ("fern", &["log/"]),
    ("lru", &["store/", "site/auth/"]),
    ("twox_hash", &["store/entry.rs", "site/listing/page.rs", "store/"]),
    ("sha2", &["store/"]),
    ("base64", &["http/authorization.rs", "http/digest_fields.rs"]),
    ("sfv", &["http/digest_fields.rs"]),
    ("comfy_table", &["commands/kernel/table.rs"]),
    ("terminal_size", &["commands/kernel/table.rs"]),
    ("anstyle", &["commands/kernel/table.rs"]),
    ("procfs_core", &["capacity/", "sys/filesystem.rs"]),
    ("slab", &["worker/"]),
    ("rustix", &["sys/"]),
    ("nix", &["sys/"]),
    ("libc", &["sys/"]),
    ("seccompiler", &["sys/seccomp.rs"]),
    ("landlock", &["sandbox.rs"]),
    ("bcrypt", &["password/"]),
    ("argon2", &["password/"]),
    ("sha_crypt", &["password/"]),
    ("blake2", &["site/auth/"]),
    ("rustls", &["tls/", "commands/tls_client.rs"]),
    ("aws_lc_rs", &["tls/", "commands/tls_client.rs"]),
    ("h2", &["connection/http2/"]),
    ("http", &["connection/http2/"]),
    ("bytes", &["connection/http2/"]),
    ("tokio", &["connection/http2/pipe.rs"]),
    ("x509_parser", &["tls/certificate.rs"]),
    ("rcgen", &["commands/generate/certificate.rs"]),
];

#[test]
fn imports_go_strictly_downward() {
    let files = SourceFile::all();
    let known: BTreeSet<String> = files.iter().map(SourceFile::layer).collect();
    let mut faults = Vec::new();
    for file in &files {
        let Some((layer, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == file.layer()) else {
            faults.push(format!("{} is in no layer of the table", file.name()));
            continue;
        };
        for path in file.paths() {
            let [first, name, ..] = &*path else { continue };
            let ours = first == "crate" && known.contains(name) && name != layer;
            if ours && !allowed.contains(&name.as_str()) {
                faults.push(format!("{} imports {name}, which {layer} may not", file.name()));
            }
        }
    }
    none(faults);
}

#[test]
fn the_table_has_no_cycle() {
    // Each layer stands above all that it may import, so that "downward" means something.
    let position = |name: &str| LAYERS.iter().position(|(layer, _)| *layer == name);
    for (index, (layer, allowed)) in LAYERS.iter().enumerate() {
        for name in allowed.iter().filter_map(|name| position(name)) {
            assert!(name > index, "{layer} and {} stand in the wrong order", LAYERS[name].0);
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let imports = imports(&SourceFile::all());
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|name| (name, reached_from(name, &imports))).collect();
    let mut faults = Vec::new();
    for (name, from) in &imports {
        let circle: Vec<&str> =
            from.iter().filter(|other| reached[other].contains(name)).map(String::as_str).collect();
        if !circle.is_empty() {
            faults.push(format!("{name} imports {}, which come back to it", circle.join(", ")));
        }
    }
    none(faults);
}

/// The files that a file needs, directly or through others.
fn reached_from<'a>(
    name: &'a String,
    imports: &'a BTreeMap<String, BTreeSet<String>>,
) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(name) = waiting.pop() {
        waiting.extend(imports[name].iter().filter(|other| reached.insert(*other)));
    }
    reached
}

#[test]
fn outside_crates_stay_in_their_places() {
    let mut faults = Vec::new();
    for file in SourceFile::all() {
        let path = file.path.to_str().unwrap();
        let named: BTreeSet<String> = file.paths().iter().map(|path| path[0].clone()).collect();
        for (name, places) in CRATES.iter().filter(|(name, _)| named.contains(*name)) {
            if !places.iter().any(|place| path.starts_with(place)) {
                faults.push(format!("src/{path} names {name}, which belongs to {}", places.join(" and ")));
            }
        }
    }
    none(faults);
}

#[test]
fn unsafe_code_lives_in_sys_alone() {
    let files = SourceFile::all();
    let outside = files.iter().filter(|file| file.layer() != "sys" && file.has_word("unsafe"));
    none(outside.map(|file| format!("{} is unsafe", file.name())).collect());
}

#[test]
fn every_file_says_first_what_it_owns() {
    let files = SourceFile::all();
    let silent = files.iter().filter(|file| !file.text.starts_with("//! "));
    none(silent.map(|file| format!("{} has no head", file.name())).collect());
}

#[test]
fn every_file_is_in_the_module_tree() {
    let files = SourceFile::all();
    let by_module: BTreeMap<Module, &SourceFile> = files.iter().map(|file| (file.module(), file)).collect();
    let mut reached: BTreeSet<Module> = [Module::new()].into();
    let mut waiting = vec![Module::new()];
    while let Some(module) = waiting.pop() {
        let tops = files.iter().filter(|file| file.module() == module);
        for child in tops.flat_map(SourceFile::declared).collect::<Vec<_>>() {
            if reached.insert(child.clone()) {
                waiting.push(child);
            }
        }
    }
    let lost = by_module.iter().filter(|(module, _)| !reached.contains(*module));
    none(lost.map(|(_, file)| format!("{} is declared nowhere", file.name())).collect());
}
