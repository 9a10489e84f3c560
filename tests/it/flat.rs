//! The flat settings file, the examples of both formats, and the variables that Kubernetes sets.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::support::launch::run_with;
use crate::support::tree::{INDEX, PAGE};
use crate::support::{Launch, Tree, eventually, every};

/// A tree that holds this file, and the file's path.
fn file(name: &str, text: &str) -> (Tree, String) {
    let tree = Tree::empty();
    let path = tree.file(name, text).to_str().unwrap().to_owned();
    (tree, path)
}

fn dump(flags: &[&str]) -> String {
    let finished = run_with(&[&["-T"], flags].concat());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.output
}

#[test]
fn a_file_named_conf_is_served_by() {
    let site = Tree::site();
    let root = site.path().to_str().unwrap();
    let text = format!(
        "# of another server\ncpu_limit 4       # maximum CPU count to use\nthread_limit 256\n\
         document_root {root}\t# where files are\nServerName example\n"
    );
    let (_tree, path) = file("httpd.conf", &text);
    let server = Launch::rootless().flags(["-c", &path]).start();
    server.get("/").is(200, INDEX);
    server.says("which key is ignored", |line| {
        line.contains(&format!("WARN [master] {path}:5:1: unknown key ServerName is ignored"))
    });
    let page = dump(&["-c", &path]);
    for line in [
        format!("workers = 4  # {path}:2"),
        format!("max_connections = 256  # {path}:3"),
        format!("root = {root:?}  # {path}:4"),
        "listen = [\"*:8080\"]  # default".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
    }
}

#[test]
fn an_address_is_written_in_these_ways() {
    every(
        [
            ("listen 80", "listen = [\"*:80\"]  # FILE:1"),
            ("listen 127.0.0.1:81 # local", "listen = [\"127.0.0.1:81\"]  # FILE:1"),
            ("listen 0.0.0.0:80\nlisten [::]:80", "listen = [\"0.0.0.0:80\", \"[::]:80\"]  # FILE:1"),
            ("port 82", "listen = [\"*:82\"]  # FILE:1"),
            ("host 127.0.0.1\nport 83", "listen = [\"127.0.0.1:83\"]  # FILE:1, FILE:2"),
        ]
        .map(|row| (row.0, row)),
        |(text, line)| {
            let (_tree, path) = file("httpd.conf", text);
            let page = dump(&["-c", &path]).replace(&path, "FILE");
            assert!(page.lines().any(|found| found == line), "no {line:?} in\n{page}");
        },
    );
}

#[test]
fn what_is_wrong_in_it_is_refused_with_its_place() {
    every(
        [
            ("\n cpu_limit", ":2:2: cpu_limit: has no value"),
            (
                "cpu_limit many",
                ":1:11: cpu_limit: invalid value \"many\" (expected a number from 1 to 1024, or auto)",
            ),
            ("port 80\nport 80", ":2:1: port: duplicate key (only listen may be repeated)"),
            ("port 80\nlisten 81", ":2:8: listen: can't be combined with port"),
            ("listen www:80", ":1:8: listen: invalid value \"www:80\" (expected ADDR:PORT"),
        ]
        .map(|row| (row.0, row)),
        |(text, words)| {
            let (_tree, path) = file("httpd.conf", text);
            let finished = run_with(&["-t", "-c", &path]);
            assert_eq!((finished.code, finished.errors.lines().count()), (Some(2), 1), "{finished:?}");
            assert!(finished.errors.starts_with(&format!("mayhttpd: {path}{words}")), "{finished:?}");
        },
    );
}

#[test]
fn a_reload_takes_up_what_it_says_now() {
    let (one, two) = (Tree::site(), Tree::empty());
    two.file("page.html", "of the other root\n");
    let text = |tree: &Tree| format!("document_root {}\n", tree.path().display());
    let (tree, path) = file("httpd.conf", &text(&one));
    let server = Launch::rootless().flags(["-c", &path]).start();
    server.get("/page.html").is(200, PAGE);
    tree.file("httpd.conf", text(&two));
    server.signal(Signal::HUP);
    eventually("the other root is served", || {
        (server.get("/page.html").body == b"of the other root\n").then_some(())
    });
}

fn example(name: &str) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name);
    (fs::read_to_string(&path).unwrap(), path.to_str().unwrap().to_owned())
}

/// An example with all in use that it has behind a number sign: `#key` begins such a line, `# ` a sentence.
fn in_use(text: &str) -> String {
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_in_toml_is_a_settings_file_and_has_every_key() {
    let (text, path) = example("mayhttpd.toml");
    let as_it_is = dump(&["-c", &path]);
    assert!(as_it_is.contains(&format!("# {path}:")), "{as_it_is}");
    let (_tree, all) = file("all.toml", &in_use(&text));
    let page = dump(&["-c", &all]);
    let missing: Vec<&str> = page.lines().filter(|line| line.ends_with("  # default")).collect();
    assert_eq!(missing, Vec::<&str>::new(), "not in dist/mayhttpd.toml");
    // Keys of a location, as an error tells them.
    let (_tree, unknown) = file("unknown.toml", "[[location]]\nzzzzzzzz = 1\n");
    let told = run_with(&["-t", "-c", &unknown]).errors;
    let keys = told.split_once("(expected ").unwrap().1.trim_end().trim_end_matches(')').split(", ");
    let is_used = |key: &str| {
        let table = format!("[[{key}]]");
        // `spa` is another word for one value of `fallback`.
        key == "spa"
            || page.lines().any(|line| line.starts_with(&table) || line.starts_with(&format!("{key} = ")))
    };
    let unused: Vec<&str> = keys.filter(|key| !is_used(key)).collect();
    assert_eq!(unused, Vec::<&str>::new(), "not in dist/mayhttpd.toml");
}

#[test]
fn the_flat_example_is_a_settings_file_and_has_every_key() {
    let (text, path) = example("httpd.conf");
    dump(&["-c", &path]);
    let keys = in_use(&text);
    let keys: Vec<&str> = keys.lines().filter(|line| !line.starts_with('#')).collect();
    for key in ["cpu_limit ", "thread_limit ", "document_root ", "listen ", "host ", "port "] {
        let line = keys.iter().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key}in it"));
        let (_tree, path) = file("one.conf", line);
        assert!(dump(&["-c", &path]).contains(&format!("# {path}:1")), "{line}");
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_of_this_name_is_ignored() {
    let server = Launch::site()
        .environment("MAYHTTPD_PORT", "tcp://10.0.0.1:80")
        .environment("MAYHTTPD_PORT_80_TCP", "tcp://10.0.0.1:80")
        .environment("MAYHTTPD_PORT_80_TCP_ADDR", "10.0.0.1")
        .environment("MAYHTTPD_PORT_80_TCP_PORT", "80")
        .environment("MAYHTTPD_PORT_80_TCP_PROTO", "tcp")
        .environment("MAYHTTPD_SERVICE_HOST", "10.0.0.1")
        .environment("MAYHTTPD_SERVICE_PORT", "80")
        .environment("MAYHTTPD_SERVICE_PORT_HTTP", "80")
        .environment("MAYHTTPD_NAME", "ours")
        .start();
    assert_eq!(server.get("/page.html")["server"], "ours");
    server.says("what is ignored", |line| {
        line.contains("WARN [master] MAYHTTPD_PORT, MAYHTTPD_PORT_80_TCP, MAYHTTPD_PORT_80_TCP_ADDR, ")
            && line.contains(
                "MAYHTTPD_SERVICE_PORT_HTTP belong to a Kubernetes service of this name and are ignored",
            )
    });
    assert_eq!(server.log().matches("WARN").count(), 1, "{}", server.log());
}

/// How often a process has read, where that may be known.
fn system_reads(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("syscr: "))?.parse().ok()
}

#[test]
fn the_index_and_the_chunk_are_settings() {
    let large = crate::support::tree::large();
    for (sendfile, chunk) in [("on", "8K"), ("off", "1K"), ("off", "1M"), ("on", "16M"), ("on", "auto")] {
        let tree = Tree::site();
        tree.file("start.htm", "start\n");
        let flags = ["--index", "start.htm", "--sendfile", sendfile, "--send-chunk", chunk];
        let server = Launch::of(tree).flags(flags).start();
        server.get("/").is(200, "start\n");
        server.get("/dir/").has_status(&[403]);
        server.get("/large.html").is(200, &large);
        server.get_with("/large.html", "Range: bytes=5-700000\r\n").is(206, &large[5..=700_000]);
    }
    let reads = |chunk: &str| {
        let server = Launch::site().flags(["--sendfile", "off", "--send-chunk", chunk]).start();
        let before = system_reads(server.workers()[0].pid)?;
        server.get("/large.html").is(200, &large);
        Some(system_reads(server.workers()[0].pid)? - before)
    };
    if let (Some(short), Some(long)) = (reads("1K"), reads("1M")) {
        // Of 954,824 bytes; and some for the request.
        assert!((933..1100).contains(&short) && long < 100, "{short} {long}");
    } else {
        crate::support::skipped(
            "the_index_and_the_chunk_are_settings",
            "a worker's /proc/PID/io can't be read",
        );
    }
    let refused = run_with(&["--send-chunk", "1"]);
    assert_eq!(
        refused.errors,
        "mayhttpd: invalid value \"1\" for --send-chunk: expected a size from 1KiB to 16MiB, for example 64KiB, or auto\n"
    );
    let refused = run_with(&["--index", "a/b"]);
    assert_eq!(
        refused.errors,
        "mayhttpd: invalid value \"a/b\" for --index: expected the name of a file, without a slash\n"
    );
}
