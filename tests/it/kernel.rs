//! The command `kernel`, and sysctl.conf: what it says of a made-up kernel, what it sets in a network
//! namespace of its own, and what the server says of a kernel that its settings outgrow.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::launch::{Finished, run_with};
use crate::support::network::Network;
use crate::support::proc::{Proc, settings};
use crate::support::{Launch, Tree, every, skipped};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sysctl.conf");
const PROGRAM: &str = env!("CARGO_BIN_EXE_mayhttpd");
const ETHERNET: u32 = 1500;

/// One row of the table: verdict, setting, running, recommended, scope, cost.
fn rows(output: &str) -> Vec<Vec<&str>> {
    let table = output.lines().skip(1).take_while(|line| !line.is_empty());
    table.map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect()
}

/// Runs a check and returns the row of this setting.
fn row(proc: &Proc, flags: &[&str], setting: &str) -> (Finished, Vec<String>) {
    let mut arguments = flags.to_vec();
    arguments.extend(["kernel", "check", "--proc", proc.path()]);
    let finished = run_with(&arguments);
    let found = rows(&finished.output).into_iter().find(|row| row[1] == setting);
    let row = found.unwrap_or_else(|| panic!("no {setting} in {finished:?}"));
    let row = row.into_iter().map(str::to_owned).collect();
    (finished, row)
}

/// Holds a setting's row to this verdict, and the exit code to the verdict.
#[track_caller]
fn check(proc: &Proc, flags: &[&str], setting: &str, verdict: &str) -> Vec<String> {
    let (finished, row) = row(proc, flags, setting);
    assert_eq!(row[0], verdict, "{finished:?}");
    let matters = verdict == "matters";
    assert_eq!(finished.code, Some(i32::from(matters)), "{finished:?}");
    let said = format!("mayhttpd: the kernel holds this server back: {setting}\n");
    assert_eq!(finished.errors, if matters { &said } else { "" }, "{finished:?}");
    assert!(verdict != "fine" || row.len() == 5, "it costs nothing: {row:?}");
    row
}

/// A namespace, or a word that there is none.
fn namespace(test: &str) -> Option<Network> {
    match Network::make(ETHERNET) {
        Ok(network) => Some(network),
        Err(why) => {
            skipped(test, &why);
            None
        }
    }
}

/// Where a key is in the /proc of the reading process.
fn place(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

/// The keys of the file's part of this name.
fn keys(part: &str) -> Vec<String> {
    let text = fs::read_to_string(FILE).unwrap();
    let parts: Vec<&str> = text.split("# ---- ").filter(|text| text.starts_with(part)).collect();
    assert_eq!(parts.len(), 1, "{part}");
    settings()
        .into_iter()
        .map(|(key, _)| key)
        .filter(|key| parts[0].contains(&format!("\n{key} =")))
        .collect()
}

#[test]
fn the_file_has_each_key_once_and_a_reason_for_it() {
    let settings = settings();
    let keys: BTreeSet<&String> = settings.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), settings.len(), "a key stands twice");
    let text = fs::read_to_string(FILE).unwrap();
    for block in text.split("\n\n").filter(|block| block.lines().any(|line| !line.starts_with('#'))) {
        let lines: Vec<&str> = block.trim_end().lines().collect();
        let (last, reason) = lines.split_last().unwrap();
        assert!(last.contains(" = ") && reason.len() >= 2, "{block}");
        assert!(reason.iter().all(|line| line.starts_with("# ")), "{block}");
        assert!(reason.iter().any(|line| line.starts_with("# Left as it is: ")), "{block}");
    }
    for (key, value) in &settings {
        // A comment behind a value would be part of it.
        assert!(value.split(' ').all(|number| number.parse::<u64>().is_ok()), "{key} = {value}");
    }
}

#[test]
fn the_file_sets_nothing_that_it_leaves_out() {
    let text = fs::read_to_string(FILE).unwrap();
    let (_, left_out) = text.split_once("# ---- Left out").unwrap();
    for (key, _) in settings() {
        assert!(!left_out.contains(&key), "{key}");
    }
    for key in
        ["tcp_tw_recycle", "tcp_tw_reuse", "tcp_max_tw_buckets", "rmem_default", "wmem_default", "tcp_mem"]
    {
        assert!(left_out.contains(key), "{key}");
    }
}

#[test]
fn a_kernel_that_is_tuned_is_fine() {
    let proc = Proc::tuned();
    let finished = run_with(&["kernel", "check", "--proc", proc.path()]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    let known: Vec<String> = settings().into_iter().map(|(key, _)| key).collect();
    let rows = rows(&finished.output);
    let subjects: Vec<&str> = rows.iter().map(|row| row[1]).collect();
    assert_eq!(subjects[..known.len()], known);
    let limits =
        ["open files", "CPU quota", "memory limit", "task limit", "congestion control", "listen overflows"];
    assert_eq!(subjects[known.len()..], limits);
    assert!(rows.iter().all(|row| row[0] == "fine" && row.len() == 5), "{}", finished.output);
}

#[test]
fn a_value_that_is_larger_is_fine() {
    let proc = Proc::tuned();
    every(
        [
            ("net.core.somaxconn", "65535"),
            ("net.ipv4.tcp_wmem", "4096\t87380\t33554432"),
            ("net.ipv4.ip_local_port_range", "1024\t65535"),
            ("vm.max_map_count", "2147483642"),
            ("fs.nr_open", "1073741816"),
            ("net.core.netdev_max_backlog", "250000"),
        ]
        .map(|case| (case.0, case)),
        |(key, value)| {
            proc.key(key, value);
            let row = check(&proc, &[], key, "fine");
            assert_eq!(row[2].split_whitespace().collect::<Vec<_>>(), value.split('\t').collect::<Vec<_>>());
        },
    );
}

#[test]
fn a_value_that_is_smaller_is_low_and_no_failure() {
    every(
        [
            ("net.core.somaxconn", "4096", "16384"),
            ("net.ipv4.tcp_slow_start_after_idle", "1", "0"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304", "4096 16384 16777216"),
            ("vm.max_map_count", "65530", "1048576"),
            ("fs.nr_open", "524288", "1048576"),
            ("net.core.netdev_max_backlog", "1000", "16384"),
        ]
        .map(|case| (case.0, case)),
        |(key, running, wanted)| {
            let row = check(&Proc::tuned().with(key, running), &[], key, "low");
            assert_eq!((&*row[2], &*row[3]), (running, wanted));
        },
    );
}

#[test]
fn the_port_range_is_the_client_s_affair() {
    let proc = Proc::tuned().with("net.ipv4.ip_local_port_range", "32768 60999");
    let row = check(&proc, &[], "net.ipv4.ip_local_port_range", "client");
    assert!(row[5].contains("load generator"), "{row:?}");
}

#[test]
fn what_the_settings_outgrow_matters() {
    let backlog = Proc::tuned().with("net.core.somaxconn", "128");
    let row = check(&backlog, &[], "net.core.somaxconn", "matters");
    assert!(row[5].starts_with("--backlog 4096 needs 4096."), "{row:?}");
    check(&backlog, &["--backlog", "128"], "net.core.somaxconn", "low");
    check(&backlog, &["--backlog", "129"], "net.core.somaxconn", "matters");

    // More than the file wants is wanted where the settings ask for it.
    let row = check(&Proc::tuned(), &["--backlog", "20000"], "net.core.somaxconn", "matters");
    assert_eq!(row[3], "20000");

    let maps = Proc::tuned().with("vm.max_map_count", "65530");
    check(&maps, &["--max-connections", "32202"], "vm.max_map_count", "low");
    let row = check(&maps, &["--max-connections", "32203"], "vm.max_map_count", "matters");
    assert!(row[5].starts_with("--max-connections 32203 needs 65532."), "{row:?}");

    let files = Proc::tuned().descriptors("2048");
    let row = check(&files, &[], "open files", "low");
    assert!(row[5].starts_with("A worker holds 1471 connections;"), "{row:?}");
    check(&files, &["--max-connections", "1471"], "open files", "fine");
    check(&files, &["--max-connections", "1472"], "open files", "matters");
    check(&Proc::tuned().descriptors("unlimited"), &[], "open files", "fine");

    let most = Proc::tuned().with("fs.nr_open", "4096");
    check(&most, &["--max-connections", "4000", "--cache-entries", "1"], "fs.nr_open", "low");
    check(&most, &["--max-connections", "4050", "--cache-entries", "1"], "fs.nr_open", "matters");
}

#[test]
fn what_a_low_value_has_cost_already_matters() {
    let queue = Proc::tuned().with("net.core.somaxconn", "4096").overflows(12);
    let row = check(&queue, &[], "net.core.somaxconn", "matters");
    assert!(row[5].starts_with("Clients that found an accept queue full since boot: 12."), "{row:?}");
    // Where the value is as wanted, the past alone is no failure.
    let row = check(&Proc::tuned().overflows(12), &[], "listen overflows", "low");
    assert_eq!(row[2], "12");

    let packets = Proc::tuned().with("net.core.netdev_max_backlog", "1000").drops(&[0, 0x4ab]);
    let row = check(&packets, &[], "net.core.netdev_max_backlog", "matters");
    assert!(row[5].starts_with("Packets dropped for it since boot: 1195."), "{row:?}");
    check(&Proc::tuned().drops(&[1, 2]), &[], "net.core.netdev_max_backlog", "fine");
}

#[test]
fn the_variables_and_the_file_of_the_server_count_as_well() {
    let proc = Proc::tuned();
    let variable = Launch::rootless().listen(&[]).environment("MAYHTTPD_BACKLOG", "20000");
    let finished = variable.flags(["kernel", "check", "--proc", proc.path()]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let tree = Tree::empty();
    let file = tree.file("may.toml", "backlog = 20000\n");
    let finished = run_with(&["-c", file.to_str().unwrap(), "kernel", "check", "--proc", proc.path()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let finished = run_with(&["--backlog", "0", "kernel", "check", "--proc", proc.path()]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
}

#[test]
fn a_key_that_is_not_there_is_absent_and_no_failure() {
    let proc = Proc::tuned().without("net.core.netdev_max_backlog").without("net.ipv4.tcp_wmem");
    let row = check(&proc, &[], "net.core.netdev_max_backlog", "absent");
    assert_eq!(row[2..], ["-", "16384", "host", "A key of the host: check and set it there."]);
    check(&proc, &[], "net.ipv4.tcp_wmem", "absent");
}

#[test]
fn what_can_not_be_understood_is_unknown() {
    for (key, value) in [("net.core.somaxconn", "many"), ("net.ipv4.tcp_wmem", "4096"), ("fs.nr_open", "")] {
        check(&Proc::tuned().with(key, value), &[], key, "unknown");
    }
    let none = Tree::empty();
    let finished = run_with(&["kernel", "check", "--proc", none.path().to_str().unwrap()]);
    assert_eq!((finished.code, &*finished.output), (Some(1), ""), "{finished:?}");
    let place = none.at("sys");
    let said = format!(
        "mayhttpd: cannot read the kernel's settings in {}: no such file or directory\n",
        place.display()
    );
    assert_eq!(finished.errors, said);
}

#[test]
fn the_quota_of_a_control_group_is_held_against_the_workers() {
    let v2 = |above, leaf| Proc::tuned().unified(&[("cpu.max", above)], &[("cpu.max", leaf)]);
    let v1 = |quota| {
        Proc::tuned().separate(&[("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", "100000\n")], &[])
    };
    for (proc, workers, running, verdict) in [
        (v2("max 100000\n", "max 100000\n"), "64", "none", "fine"),
        (v2("max 100000\n", "150000 100000\n"), "2", "1.50 CPUs", "fine"),
        (v2("max 100000\n", "150000 100000\n"), "3", "1.50 CPUs", "low"),
        (v2("50000 100000\n", "400000 100000\n"), "2", "0.50 CPUs", "low"),
        (v1("-1\n"), "64", "none", "fine"),
        (v1("200000\n"), "2", "2.00 CPUs", "fine"),
        (v1("200000\n"), "3", "2.00 CPUs", "low"),
    ] {
        let row = check(&proc, &["--workers", workers], "CPU quota", verdict);
        assert_eq!((&*row[2], &*row[4]), (running, "cgroup"));
    }
}

#[test]
fn the_memory_of_a_control_group_is_held_against_caches_and_connections() {
    let v2 = |above: &str, leaf: &str| {
        Proc::tuned().unified(&[("memory.max", above)], &[("memory.max", leaf), ("memory.high", "max\n")])
    };
    let high = |above: &str, leaf: &str| {
        Proc::tuned().unified(&[("memory.high", above)], &[("memory.max", "max\n"), ("memory.high", leaf)])
    };
    let v1 = |limit: &str| Proc::tuned().separate(&[], &[("memory.limit_in_bytes", limit)]);
    let ram = |mebibytes: u64| {
        let proc = Proc::tuned();
        proc.file("meminfo", &format!("MemTotal:       {} kB\nMemFree:        1000 kB\n", mebibytes << 10));
        proc
    };
    let mib = |count: u64| format!("{}\n", count << 20);
    // Two workers with 64 MiB of cache, 4096 open files of 4 KiB, 1024 connections of 32 KiB and 16
    // background threads of 64 KiB, of two generations.
    let flags = ["--workers", "2", "--max-connections", "1024", "--disk-threads", "15", "--cpu-threads", "1"];
    for (proc, running, scope, verdict) in [
        (v2("max\n", "max\n"), "none", "cgroup", "fine"),
        (v2("max\n", &mib(470)), "470 MiB", "cgroup", "fine"),
        // The caches are made smaller.
        (v2("max\n", &mib(469)), "469 MiB", "cgroup", "low"),
        (v2(&mib(300), &mib(512)), "300 MiB", "cgroup", "low"),
        // The connections that were asked for are too many.
        (v2(&mib(129), &mib(512)), "129 MiB", "cgroup", "low"),
        (high(&mib(129), "max\n"), "129 MiB", "cgroup", "low"),
        (high("max\n", &mib(130)), "130 MiB", "cgroup", "low"),
        // There is no room for the processes.
        (v2("max\n", &mib(23)), "23 MiB", "cgroup", "matters"),
        (v1("9223372036854771712\n"), "none", "cgroup", "fine"),
        (v1(&mib(470)), "470 MiB", "cgroup", "fine"),
        (v1(&mib(100)), "100 MiB", "cgroup", "low"),
        (v1(&mib(23)), "23 MiB", "cgroup", "matters"),
        (ram(512), "512 MiB", "host", "fine"),
        (ram(100), "100 MiB", "host", "low"),
    ] {
        let row = check(&proc, &flags, "memory limit", verdict);
        assert_eq!((&*row[2], &*row[3], &*row[4]), (running, "470 MiB", scope));
    }
    // A cache that was asked for is not made smaller.
    let flags = ["--workers", "1", "--cache-size", "64MiB"];
    check(&v2("max\n", &mib(100)), &flags, "memory limit", "matters");
}

#[test]
fn the_tasks_of_a_control_group_are_held_against_the_threads() {
    let v2 = |above: &str, leaf: &str| Proc::tuned().unified(&[("pids.max", above)], &[("pids.max", leaf)]);
    // The master, and two workers with three threads of the scheduler and five others; twice in a reload.
    let flags = ["--workers", "2", "--disk-threads", "4", "--cpu-threads", "1"];
    for (proc, running, verdict) in [
        (Proc::tuned(), "none", "fine"),
        (v2("max\n", "max\n"), "none", "fine"),
        (v2("max\n", "34\n"), "34", "fine"),
        (v2("33\n", "max\n"), "33", "low"),
        (v2("40\n", "17\n"), "17", "low"),
        (v2("16\n", "40\n"), "16", "matters"),
    ] {
        let row = check(&proc, &flags, "task limit", verdict);
        assert_eq!((&*row[2], &*row[3], &*row[4]), (running, "34", "cgroup"));
    }
    let row = check(&v2("max\n", "34\n"), &["--workers", "2"], "task limit", "matters");
    assert!(row[5].contains("fewer --disk-threads need less"), "{row:?}");
}

#[test]
fn the_check_says_what_a_small_limit_makes_of_the_defaults() {
    let proc = Proc::tuned().unified(&[], &[("memory.max", &format!("{}\n", 32 << 20))]);
    let row = check(&proc, &["--workers", "1"], "memory limit", "low");
    assert_eq!(row[5], "Each worker is limited to 3 MiB of cache and 143 connections.");
}

#[test]
fn congestion_control_is_a_choice_with_exceptions() {
    for (name, verdict) in [("cubic", "fine"), ("bbr", "fine"), ("reno", "low"), ("dctcp", "low")] {
        let proc = Proc::tuned().with("net.ipv4.tcp_congestion_control", name);
        check(&proc, &[], "congestion control", verdict);
    }
}

#[test]
fn without_a_word_the_running_kernel_is_checked() {
    let (bare, said) = (run_with(&["kernel"]), run_with(&["kernel", "check"]));
    assert!(matches!(bare.code, Some(0 | 1)), "{bare:?}");
    assert_eq!(bare.code, said.code);
    let subjects = |finished: &Finished| -> Vec<String> {
        rows(&finished.output).iter().map(|row| row[1].to_owned()).collect()
    };
    assert_eq!(subjects(&bare), subjects(&said));
    let real = fs::read_to_string(place("vm.max_map_count")).unwrap();
    assert!(rows(&bare.output).iter().any(|row| row[1] == "vm.max_map_count" && row[2] == real.trim()));
}

/// What `kernel check` shows on a terminal of so many columns. None, with a word, where there is no terminal
/// to be had.
fn on_a_terminal(test: &str, columns: usize, environment: &str) -> Option<String> {
    let proc = Proc::tuned().with("net.core.somaxconn", "128").with("net.ipv4.tcp_wmem", "1 2 3");
    let check = format!("{environment} {PROGRAM} kernel check --proc {}", proc.path());
    let line = format!("stty cols {columns} rows 50; TERM=xterm {check}");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(std::process::Stdio::null()).env_remove("NO_COLOR");
    match command.output() {
        Ok(output) => {
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            // The terminal shows standard error as well.
            Some(text.split("mayhttpd: ").next().unwrap().replace('\r', ""))
        }
        Err(error) => {
            skipped(test, &format!("script: {error}"));
            None
        }
    }
}

#[test]
fn the_table_fits_the_terminal() {
    for columns in [50, 80, 100, 132, 250] {
        let Some(text) = on_a_terminal("the_table_fits_the_terminal", columns, "NO_COLOR=1") else { return };
        let widest = text.lines().map(str::len).max().unwrap();
        assert!(widest <= columns, "{widest} in {columns}:\n{text}");
        assert!(text.lines().any(|line| line.starts_with("matters  net.core")), "{text}");
        assert!(text.split_whitespace().any(|word| word == "dropped,"), "the costs are missing: {text}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let test = "colours_are_for_terminals_that_want_them";
    let Some(coloured) = on_a_terminal(test, 140, "") else { return };
    assert!(coloured.contains("\x1b["), "{coloured:?}");
    // The columns stand as they do without.
    let plain = on_a_terminal(test, 140, "NO_COLOR=1").unwrap();
    assert!(!plain.contains('\x1b'), "{plain:?}");
    assert_eq!(without_colours(&coloured), plain);
    assert!(on_a_terminal(test, 140, "NO_COLOR=").unwrap().contains('\x1b'));
    assert!(!on_a_terminal(test, 140, "TERM=dumb").unwrap().contains('\x1b'));
    let finished = run_with(&["kernel", "check", "--proc", Proc::tuned().path()]);
    assert!(!finished.output.contains('\x1b'), "{finished:?}");
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

#[test]
fn print_writes_the_file() {
    let finished = run_with(&["kernel", "print"]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""));
    assert_eq!(finished.output, fs::read_to_string(FILE).unwrap());
}

/// The flags for docker, read by a shell as they are meant to be.
fn docker_flags() -> Vec<(String, String)> {
    let line = format!(r#"eval "set -- $({PROGRAM} kernel print --docker)"; printf '%s\n' "$@""#);
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.lines().collect();
    let pairs = words.chunks(2).map(|pair| {
        assert_eq!((pair[0], pair.len()), ("--sysctl", 2), "{words:?}");
        let (key, value) = pair[1].split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    });
    pairs.collect()
}

#[test]
fn the_flags_for_docker_are_the_first_part_of_the_file() {
    let flags = docker_flags();
    let names: Vec<&String> = flags.iter().map(|(key, _)| key).collect();
    assert_eq!(names, keys("Per network namespace").iter().collect::<Vec<_>>());
    assert!(flags.iter().all(|setting| settings().contains(setting) && setting.0.starts_with("net.")));
}

#[test]
fn the_parts_of_the_file_are_what_a_namespace_has_and_has_not() {
    let test = "the_parts_of_the_file_are_what_a_namespace_has_and_has_not";
    let Some(network) = namespace(test) else { return };
    network.enter(|| {
        for (key, value) in docker_flags() {
            // This is what a container's runtime does with the flag.
            fs::write(place(&key), &value).unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        for key in keys("Host only").iter().filter(|key| key.starts_with("net.")) {
            assert!(!Path::new(&place(key)).exists(), "{key} is the namespace's");
        }
    });
    for key in keys("Host only") {
        assert!(Path::new(&place(&key)).exists(), "this kernel has no {key}");
    }
}

#[test]
fn sysctl_takes_the_part_of_a_namespace() {
    let test = "sysctl_takes_the_part_of_a_namespace";
    let Some(network) = namespace(test) else { return };
    let text = fs::read_to_string(FILE).unwrap();
    // Without the host's part, which would be the real host's.
    let (part, _) = text.split_once("# ---- Host only").unwrap();
    let tree = Tree::empty();
    let file = tree.file("sysctl.conf", part);
    let proc = Proc::tuned().on_the_real_network();
    network.enter(|| {
        let output = match Command::new("sysctl").arg("-p").arg(&file).output() {
            Ok(output) => output,
            Err(error) => {
                skipped(test, &format!("sysctl: {error}"));
                return;
            }
        };
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        for key in keys("Per network namespace") {
            check(&proc, &[], &key, "fine");
        }
    });
}

#[test]
fn apply_sets_what_is_low_and_lowers_nothing() {
    let proc = Proc::tuned()
        .with("net.core.somaxconn", "4096")
        .with("net.ipv4.tcp_slow_start_after_idle", "1")
        .with("net.ipv4.tcp_wmem", "8192\t16384\t4194304")
        .with("net.ipv4.ip_local_port_range", "1024\t60999")
        .with("fs.nr_open", "1073741816")
        .without("net.core.netdev_max_backlog");
    let apply = ["kernel", "apply", "--proc", proc.path()];
    let finished = run_with(&apply);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    let (said, _) = finished.output.split_once("The values hold until").unwrap();
    assert_eq!(
        said,
        "net.core.somaxconn: set to 16384, was 4096\n\
         net.ipv4.tcp_slow_start_after_idle: set to 0, was 1\n\
         net.ipv4.tcp_wmem: set to 8192 16384 16777216, was 8192 16384 4194304\n\
         net.ipv4.ip_local_port_range: set to 1024 65535, was 1024 60999\n\
         vm.max_map_count: left at 1048576\n\
         fs.nr_open: left at 1073741816\n\
         net.core.netdev_max_backlog: skipped: a key of the host\n"
    );
    assert_eq!(proc.value("net.ipv4.tcp_wmem"), "8192 16384 16777216");
    assert_eq!(proc.value("fs.nr_open"), "1073741816");
    let again = run_with(&apply).output;
    assert_eq!(again.matches(": left at ").count(), settings().len() - 1, "{again}");
}

#[test]
fn apply_raises_to_what_the_settings_ask_for() {
    let proc = Proc::tuned();
    let flags = ["--backlog", "20000", "--max-connections", "600000"];
    let arguments = |task| [&flags[..], &["kernel", task, "--proc", proc.path()]].concat();
    assert_eq!(run_with(&arguments("apply")).code, Some(0));
    assert_eq!(proc.value("net.core.somaxconn"), "20000");
    assert_eq!(proc.value("vm.max_map_count"), "1201126");
    let (finished, _) = row(&proc, &flags, "net.core.somaxconn");
    assert_eq!(finished.errors, "mayhttpd: the kernel holds this server back: open files\n");
}

#[test]
fn apply_fails_with_all_that_could_not_be_set() {
    // A directory in the place of a key can't be read as one, root or not.
    let proc = Proc::tuned().with("net.ipv4.tcp_wmem", "4096 16384").without("fs.nr_open");
    fs::create_dir(Path::new(proc.path()).join("sys/fs/nr_open")).unwrap();
    let finished = run_with(&["kernel", "apply", "--proc", proc.path()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.errors,
        "mayhttpd: cannot set net.ipv4.tcp_wmem: the value 4096 16384 has an unexpected form, fs.nr_open: is a directory\n"
    );
    assert!(finished.output.contains("fs.nr_open: is a directory\n"), "{finished:?}");
}

#[test]
fn apply_says_what_a_container_may_not_set() {
    let test = "apply_says_what_a_container_may_not_set";
    let able = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    if !able.is_ok_and(|output| output.status.success()) && skipped(test, "namespaces need root and unshare")
    {
        return;
    }
    // As a container has it without further rights: a network namespace of its own, and /proc/sys to read
    // alone.
    let line = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec \"$@\"";
    let proc = Proc::tuned().on_the_real_network();
    let launch = Launch::rootless().listen(&[]).flags(["kernel", "apply", "--proc", proc.path()]);
    let finished = launch.under(["unshare", "--net", "--mount", "sh", "-c", line, "sh"]).run();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = "mayhttpd: cannot set net.core.somaxconn: read-only file system, net.ipv4.tcp_slow_start_after_idle: ";
    assert!(finished.errors.starts_with(said), "{finished:?}");
    assert!(finished.output.contains("net.core.somaxconn: read-only file system\n"), "{finished:?}");
    assert!(!finished.output.contains("The values hold until"), "{finished:?}");
}

#[test]
fn apply_works_in_a_namespace() {
    let test = "apply_works_in_a_namespace";
    let Some(network) = namespace(test) else { return };
    let outside =
        || keys("Per network namespace").iter().map(|key| fs::read(place(key)).unwrap()).collect::<Vec<_>>();
    let before = outside();
    // The network is the namespace's, and what is the host's is made up, so that this can't reach the host.
    let proc = Proc::tuned().on_the_real_network().with("vm.max_map_count", "65530");
    network.enter(|| {
        assert!(!Path::new(&place("net.core.netdev_max_backlog")).exists(), "not in the namespace");
        for (key, value) in [
            ("net.core.somaxconn", "128"),
            ("net.ipv4.tcp_slow_start_after_idle", "1"),
            ("net.ipv4.tcp_wmem", "4096 16384 33554432"),
        ] {
            fs::write(place(key), value).unwrap();
        }
        let finished = run_with(&["kernel", "apply", "--proc", proc.path()]);
        assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
        for line in [
            "net.core.somaxconn: set to 16384, was 128\n",
            "net.ipv4.tcp_slow_start_after_idle: set to 0, was 1\n",
            "net.ipv4.tcp_wmem: left at 4096 16384 33554432\n",
            "net.core.netdev_max_backlog: skipped: a key of the host\n",
        ] {
            assert!(finished.output.contains(line), "{line}in {finished:?}");
        }
        let finished = run_with(&["kernel", "check", "--proc", proc.path()]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
    });
    assert_eq!(proc.value("vm.max_map_count"), "1048576");
    assert_eq!(outside(), before, "the host's own values have changed");
}

#[test]
fn a_start_says_once_what_the_backlog_has_outgrown() {
    let test = "a_start_says_once_what_the_backlog_has_outgrown";
    let Some(network) = namespace(test) else { return };
    network.enter(|| {
        fs::write(place("net.core.somaxconn"), "512").unwrap();
        let said = |launch: Launch| {
            let log = launch.workers(2).start().log();
            log.lines().filter(|line| line.contains("somaxconn")).map(str::to_owned).collect::<Vec<_>>()
        };
        let lines = said(Launch::site());
        assert_eq!(lines.len(), 1, "{lines:?}");
        let words = "--backlog lowered from 4096 to 512, since net.core.somaxconn is 512";
        assert!(lines[0].ends_with(words), "{lines:?}");
        assert_eq!(said(Launch::site().flags(["--backlog", "512"])), Vec::<String>::new());
    });
}

#[test]
fn wrong_usage_is_refused_with_2() {
    for arguments in [
        &["kernel", "chekc"][..],
        &["kernel", "print", "--proc", "/proc"],
        &["kernel", "check", "--docker"],
        &["kernel", "check", "x"],
    ] {
        assert_eq!(run_with(arguments).code, Some(2), "{arguments:?}");
    }
}
