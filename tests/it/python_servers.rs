//! The table of docs/python-servers.md, line by line: what it says on the left does what it says on the
//! right.

use std::fs;
use std::path::Path;

use crate::support::launch::run_with;
use crate::support::{Tree, every};

/// What the dump must say for a line of the table: how ours is said, and the settings that come of it.
struct Line {
    there: &'static str,
    here: &'static str,
    /// Command lines, all of which mean the same.
    flags: &'static [&'static [&'static str]],
    settings: &'static [&'static str],
}

const fn line(
    there: &'static str,
    here: &'static str,
    flags: &'static [&'static [&'static str]],
    settings: &'static [&'static str],
) -> Line {
    Line { there, here, flags, settings }
}

/// The table, and a command line for each of its lines.
const TABLE: &[Line] = &[
    line("`httpd.py -p PORT`", "`-p PORT`", &[&["-p", "81"]], &["listen = [\"*:81\"]"]),
    line("`httpd.py -w N`, `--wqty N`", "the same", &[&["-w", "3"], &["--wqty", "3"]], &["workers = 3"]),
    line(
        "`httpd.py -r DIR`, `--root-document`, `--root_document`",
        "the same",
        &[&["-r", "/srv"], &["--root-document", "/srv"], &["--root_document", "/srv"]],
        &["root = \"/srv\""],
    ),
    line(
        "`httpd.py -l LEVEL`, `--level_log`",
        "the same; `WARNING` is taken for `warn`",
        &[&["-l", "WARNING"], &["--level_log", "WARNING"]],
        &["log_level = \"warn\""],
    ),
    line(
        "`httpd.py -f FILE`, `--file_log`",
        "the same",
        &[&["-f", "/tmp/x.log"], &["--file_log", "/tmp/x.log"]],
        &["log_file = \"/tmp/x.log\""],
    ),
    line("`config.py` `base_dir`", "`-r DIR`", &[&["-r", "/srv"]], &["root = \"/srv\""]),
    line(
        "`config.py` `index_filename`",
        "`--index NAME`",
        &[&["--index", "home.html"]],
        &["index = \"home.html\""],
    ),
    line(
        "`config.py` `addr`, `port`",
        "`-a ADDR`, `-p PORT`",
        &[&["-a", "127.0.0.1", "-p", "81"]],
        &["listen = [\"127.0.0.1:81\"]"],
    ),
    line(
        "`config.py` `max_connections` (the backlog)",
        "`--backlog N`",
        &[&["--backlog", "100"]],
        &["backlog = 100"],
    ),
    line(
        "`config.py` `sendfile`",
        "`--sendfile on\\|off`",
        &[&["--sendfile", "off"], &["--sendfile", "False"]],
        &["sendfile = false"],
    ),
    line(
        "`config.py` `bytes_per_send`",
        "`--send-chunk SIZE`",
        &[&["--send-chunk", "8192"]],
        &["send_chunk = \"8KiB\""],
    ),
    line("`config.py` `workers_process_amount`", "`-w N`", &[&["-w", "3"]], &["workers = 3"]),
    line("`config.py` `log_level`", "`-l LEVEL`", &[&["-l", "DEBUG"]], &["log_level = \"debug\""]),
    // No flag says it; `find_by_name.rs` has it.
    line(
        "a request for a file by its name, `/?=NAME`",
        "`find_by_name = true` in a [location](settings.md#found-by-name)",
        &[],
        &[],
    ),
    line("`httpd.conf` `cpu_limit N`", "`-c httpd.conf`, or `-w N`", &[&["-w", "4"]], &["workers = 4"]),
    line(
        "`httpd.conf` `thread_limit N`",
        "`-c httpd.conf`, or `--max-connections N`, each worker",
        &[&["--max-connections", "256"]],
        &["max_connections = 256"],
    ),
    line(
        "`httpd.conf` `document_root DIR`",
        "`-c httpd.conf`, or `-r DIR`",
        &[&["-r", "/srv"]],
        &["root = \"/srv\""],
    ),
    line(
        "`httpd.conf` `listen PORT`",
        "`-c httpd.conf`, or `--listen PORT`",
        &[&["--listen", "80"]],
        &["listen = [\"*:80\"]"],
    ),
];

/// The values that a command line resolves to, without their origins.
fn resolved(flags: &[&str]) -> Vec<String> {
    let finished = run_with(&[&["-T"], flags].concat());
    assert_eq!((finished.code, finished.errors.as_str()), (Some(0), ""), "{finished:?}");
    let lines = finished.output.lines().filter_map(|line| line.rsplit_once("  # "));
    lines.map(|(value, _)| value.to_owned()).collect()
}

#[test]
fn each_line_of_the_table_is_true() {
    let defaults = resolved(&[]);
    every(TABLE.iter().map(|line| (line.there, line)), |line| {
        for flags in line.flags {
            let found = resolved(flags);
            let changed: Vec<&String> = found.iter().filter(|value| !defaults.contains(value)).collect();
            assert_eq!(changed, line.settings, "{flags:?}");
        }
    });
}

#[test]
fn the_flat_file_means_what_its_lines_say() {
    let defaults = resolved(&[]);
    let tree = Tree::empty();
    let rows = TABLE.iter().filter_map(|line| Some((line, line.there.strip_prefix("`httpd.conf` `")?)));
    every(rows.map(|(line, rest)| (line.there, (line, rest))), |(line, rest)| {
        let key = rest.split(' ').next().unwrap();
        let value = line.flags[0][1];
        let file = tree.file(format!("{key}.conf"), format!("{key} {value} # as it was\n"));
        let found = resolved(&["-c", file.to_str().unwrap()]);
        let changed: Vec<&String> = found.iter().filter(|value| !defaults.contains(value)).collect();
        assert_eq!(changed, line.settings);
    });
}

#[test]
fn the_table_is_that_of_the_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/python-servers.md");
    let document = fs::read_to_string(path).unwrap();
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let tested: Vec<String> =
        TABLE.iter().map(|line| format!("| {} | {} |", line.there, line.here)).collect();
    assert_eq!(rows, tested);
}
