//! The files for systemd, read by systemd's own tools and used by a systemd of the test's own, where that is
//! installed; and what compose.yaml and the image's settings say, held to what the program says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::launch::run_with;
use crate::support::{Tree, eventually, skipped};

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
    tree.file("mayhttpd.service.d/tls.conf", dist("mayhttpd-tls.conf"));
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
fn compose_sets_what_the_program_asks_of_a_container() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().skip_while(|line| line.trim() != "sysctls:").skip(1);
    let set = lines.map_while(|line| line.strip_prefix("      ")?.split_once(": "));
    let set: Vec<_> = set.map(|(key, value)| format!("{key}={}", value.trim_matches('"'))).collect();
    let asked = run_with(&["kernel", "print", "--docker"]).output;
    let asked = asked.split("--sysctl ").map(|part| part.trim().trim_matches('\''));
    assert_eq!(set, asked.filter(|part| !part.is_empty()).collect::<Vec<_>>());
}

#[test]
fn the_image_is_made_without_tests_and_its_dependencies_before_the_code() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let text = read("Dockerfile");
    let stages: Vec<&str> = text.split("\nFROM ").skip(1).collect();
    let name = |stage: &&str| stage.lines().next().unwrap().split(" AS ").nth(1).map(str::to_owned);
    let names: Vec<_> = stages.iter().map(name).collect();
    // The last stage is the image, because the classic builder knows no other default.
    assert_eq!(names, [Some("dependencies".into()), Some("build".into()), Some("test".into()), None]);
    let tests: Vec<bool> = stages.iter().map(|stage| stage.contains("cargo test")).collect();
    assert_eq!(tests, [false, false, true, false]);
    let copies =
        |stage: &str| stage.lines().any(|line| line.starts_with("COPY src") || line.starts_with("COPY ."));
    assert!(
        !copies(stages[0]) && copies(stages[1]),
        "a change of the code must leave the dependencies alone"
    );
    // What README.md has is what tests/docker/run.sh builds.
    assert!(read("README.md").contains("\ndocker build -t mayhttpd .\n"));
    let run = read("tests/docker/run.sh");
    assert!(
        run.contains("docker build --network host \"$@\" .") && run.contains("\nbuild -t mayhttpd\n"),
        "{run}"
    );
}

#[test]
fn the_version_is_the_same_everywhere() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let rows = [
        ("Dockerfile", format!("org.opencontainers.image.version=\"{version}\"")),
        ("dist/debian/changelog", format!("mayhttpd ({version}-1) ")),
        ("CHANGELOG.md", format!("\n## {version} – 20")),
        ("tests/package/plain.sh", format!("\"ii {version}-$1\"")),
    ];
    for (name, text) in rows {
        assert!(read(name).contains(&text), "no {text:?} in {name}");
    }
    assert!(run_with(&["generate", "man"]).output.contains(&format!("mayhttpd {version}")));
}

#[test]
fn the_settings_of_the_image_are_understood() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/docker");
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let dumped = run_with(&["-T", "--config", &path("httpd.conf"), "--defaults", &path("defaults.toml")]);
    assert_eq!((dumped.code, dumped.errors.as_str()), (Some(0), ""), "{dumped:?}");
    for line in ["root = \"/var/www/html\"", "listen = [\"*:80\"]", "admin = \"127.0.0.1:9480\""] {
        assert!(dumped.output.lines().any(|found| found.starts_with(line)), "no {line} in {}", dumped.output);
    }
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

/// The means of a systemd of its own, or what is missing.
fn bootable() -> Result<String, String> {
    if !crate::support::root() {
        return Err("to boot a systemd needs root".to_owned());
    }
    for program in ["/lib/systemd/systemd", "/usr/bin/curl", "/usr/bin/unshare", "/usr/bin/pgrep"] {
        if !Path::new(program).exists() {
            return Err(format!("{program} is not there"));
        }
    }
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let mut mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let groups = mounts.find(|mount| mount.get(2) == Some(&"cgroup2") && Path::new(mount[1]).exists());
    groups.map(|mount| mount[1].to_owned()).ok_or("there is no cgroup2 to make a group in".to_owned())
}

/// A control group, which is removed when no process is left in it.
struct Group(PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        eventually("the control group is empty", || {
            // systemd makes groups below it.
            let below = fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
            below.filter(|path| path.is_dir()).for_each(|path| remove_groups(&path));
            fs::remove_dir(&self.0).ok()
        });
    }
}

fn remove_groups(path: &Path) {
    let below = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    below.filter(|path| path.is_dir()).for_each(|path| remove_groups(&path));
    let _ = fs::remove_dir(path);
}

#[test]
fn the_units_do_their_work_under_systemd() {
    let test = "the_units_do_their_work_under_systemd";
    let groups = match bootable() {
        Ok(groups) => groups,
        Err(why) => {
            skipped(test, &why);
            return;
        }
    };
    let group = Group(Path::new(&groups).join(format!("mayhttpd-it-{}", std::process::id())));
    if let Err(error) = fs::create_dir(&group.0) {
        skipped(test, &format!("no control group can be made: {error}"));
        std::mem::forget(group);
        return;
    }
    let tree = Tree::empty();
    let out = tree.dir("out");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = here.join("tests/systemd");
    let enter = format!(
        "echo $$ >{}/cgroup.procs && exec timeout -s KILL 120 unshare --mount --pid --fork --kill-child --ipc --uts --net \
         --cgroup bash {tests}/boot.sh {} {tests}/drive.sh {tests}/units.sh {} {}/dist",
        group.0.display(),
        out.display(),
        env!("CARGO_BIN_EXE_mayhttpd"),
        here.display(),
        tests = tests.display(),
    );
    let output = Command::new("bash").args(["-c", &enter]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let results = fs::read_to_string(out.join("results")).unwrap_or_default();
    if results.is_empty() && !output.status.success() && said.contains("mount") {
        skipped(test, &format!("its file systems can't be mounted here: {said}"));
        return;
    }
    let failed: Vec<_> = results.lines().filter(|line| line.starts_with("not ok")).collect();
    assert!(failed.is_empty() && results.ends_with("--- end\n"), "{failed:?} {results} {said}");
}
