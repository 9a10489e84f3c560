//! The files for systemd, read by systemd's own tools where they are installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::launch::run_with;
use crate::support::{Tree, skipped};

fn dist(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name)).unwrap()
}

/// What the tool says; None, with a word, where it is not installed.
fn run(test: &str, tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(test, &format!("{tool}: {error}"));
            None
        }
    }
}

#[test]
fn systemd_takes_the_units() {
    let tree = Tree::empty();
    // It looks whether the program and the user are there.
    let service = dist("mayhttpd.service").replace("/usr/bin/mayhttpd", env!("CARGO_BIN_EXE_mayhttpd"));
    let service = tree.file("mayhttpd.service", service);
    let socket = tree.file("mayhttpd.socket", dist("mayhttpd.socket"));
    let arguments = ["verify", "--man=no", service.to_str().unwrap(), socket.to_str().unwrap()];
    let Some(output) = run("systemd_takes_the_units", "systemd-analyze", &arguments) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("mayhttpd.")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_service_starts_the_server_with_flags_that_it_has() {
    let service = dist("mayhttpd.service");
    let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/mayhttpd ")).unwrap();
    let flags: Vec<&str> = start.split(' ').chain(["--version"]).collect();
    assert_eq!(run_with(&flags).code, Some(0), "{flags:?}");
    let stop = service.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    assert!(stop.trim_end_matches('s').parse::<u32>().unwrap() > 30, "a drain is cut after {stop}");
}

#[test]
fn systemd_takes_the_user_and_the_directory() {
    let tree = Tree::empty();
    let users = tree.file("mayhttpd.conf", dist("mayhttpd.sysusers.conf"));
    let test = "systemd_takes_the_user_and_the_directory";
    if let Some(output) = run(test, "systemd-sysusers", &["--dry-run", users.to_str().unwrap()]) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let directories = tree.file("tmpfiles.conf", dist("mayhttpd.tmpfiles.conf"));
    let root = format!("--root={}", tree.dir("root").display());
    let arguments = [&root, "--create", directories.to_str().unwrap()];
    if !crate::support::root() && skipped(test, "to give a directory to root needs root") {
        return;
    }
    if let Some(output) = run(test, "systemd-tmpfiles", &arguments) {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(tree.at("root/var/www/html").is_dir());
    }
}
