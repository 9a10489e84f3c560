//! What is changed shows in the very next request: files and all that lies on the way to them, replaced,
//! edited, removed, linked again, while the cache would believe what it knows for an hour. No test here waits
//! for a change to show.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Client, Launch, Response, Server, Stop, Tree, eventually, pattern, skipped, within};

/// The cache believes what it doesn't see change for as long as it may.
const BELIEVE: [&str; 2] = ["--cache-valid", "1h"];

const ROUNDS: usize = 200;

/// How the request comes that must see the change.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// On a connection that is kept alive.
    Kept,
    /// On a connection made after the change.
    Fresh,
    /// On one made before it that has asked nothing yet.
    Opened,
    /// Twice in one piece.
    Pipelined,
    /// On a kept connection, begun before the change and completed after it.
    Split,
    /// On a connection that was answered just now for the first time, and waits for the first time.
    Second,
    /// Behind a request that came in two pieces, the second of which the server need not have waited for.
    AfterSplit,
}

const WAYS: [Way; 7] =
    [Way::Kept, Way::Fresh, Way::Opened, Way::Pipelined, Way::Split, Way::Second, Way::AfterSplit];

/// The file that most changes are about.
const TARGET: &str = "/dir/file.txt";

struct Bench {
    tree: Arc<Tree>,
    server: Server,
    kept: Client,
}

impl Bench {
    fn of(tree: Tree, flags: &[&str]) -> Bench {
        let tree = Arc::new(tree);
        Bench::started(Arc::clone(&tree), Launch::of(tree).flags(BELIEVE).flags(flags.iter().copied()))
    }

    fn started(tree: Arc<Tree>, launch: Launch) -> Bench {
        let server = launch.start();
        let kept = server.client();
        Bench { tree, server, kept }
    }

    /// Has `change` happen and asks right after it; the answers, of which there are several where it is asked
    /// in one piece.
    #[track_caller]
    fn ask_after(&mut self, way: Way, target: &str, change: impl FnOnce()) -> Vec<Response> {
        let request = ask(target);
        let (first, rest) = request.split_at(request.len() / 2);
        match way {
            Way::Kept => {
                change();
                self.kept.send(&request);
                vec![self.kept.response()]
            }
            Way::Fresh => {
                change();
                vec![self.server.get(target)]
            }
            Way::Opened => {
                let mut client = self.server.client();
                change();
                client.send(&request);
                vec![client.response()]
            }
            Way::Pipelined => {
                change();
                self.kept.send(request.repeat(2));
                vec![self.kept.response(), self.kept.response()]
            }
            Way::Split => {
                self.kept.send(first);
                change();
                self.kept.send(rest);
                vec![self.kept.response()]
            }
            Way::Second => {
                let mut client = self.server.client();
                client.still_serves();
                change();
                client.send(&request);
                vec![client.response()]
            }
            Way::AfterSplit => {
                self.kept.send(first);
                self.kept.send(rest);
                self.kept.response();
                change();
                self.kept.send(&request);
                vec![self.kept.response()]
            }
        }
    }

    /// Asks until the answer is cached and its file watched: the first request opens, the second looks again,
    /// the third watches.
    fn wait_until_watched(&mut self, target: &str) {
        for _ in 0..3 {
            self.kept.send(ask(target));
            self.kept.response();
        }
    }

    fn worker(&self) -> Process {
        self.server.workers()[0]
    }
}

fn ask(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// What is to be answered after a change.
enum Expected {
    Body(Vec<u8>),
    Status(u16),
}

impl Expected {
    fn is(&self, response: &Response) -> bool {
        match self {
            Body(body) => response.status == 200 && response.body == *body,
            Status(status) => response.status == *status,
        }
    }
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Body(body) => {
                write!(f, "{} bytes {:?}", body.len(), &body[..body.len().min(20)].escape_ascii().to_string())
            }
            Status(status) => write!(f, "{status}"),
        }
    }
}

use Expected::{Body, Status};

/// Makes change after change, each of which the very next request sees, however it comes.
#[track_caller]
fn shows(target: &str, prepare: impl FnOnce(&Tree), change: impl FnMut(&Tree, usize) -> Expected) {
    let tree = Tree::site();
    prepare(&tree);
    shows_on(&mut Bench::of(tree, &[]), target, ROUNDS, change);
}

#[track_caller]
fn shows_on(
    bench: &mut Bench,
    target: &str,
    rounds: usize,
    mut change: impl FnMut(&Tree, usize) -> Expected,
) {
    let (tree, mut watched) = (Arc::clone(&bench.tree), 0);
    for round in 0..rounds {
        let way = WAYS[round % WAYS.len()];
        bench.wait_until_watched(target);
        // Where this user may not look, the rounds have to do.
        watched = watched.max(watches(bench.worker()).unwrap_or(usize::MAX));
        let mut expected = None;
        let responses = bench.ask_after(way, target, || expected = Some(change(&tree, round)));
        let expected = expected.unwrap();
        for response in responses {
            assert!(expected.is(&response), "round {round}, {way:?}: {response:?} is not {expected:?}");
        }
    }
    assert!(watched > 1, "nothing was watched, so the rounds prove nothing");
}

/// How many watches a process has; none where this user may not look.
fn watches(process: Process) -> Option<usize> {
    let mut found = 0;
    for entry in fs::read_dir(format!("/proc/{}/fdinfo", process.pid)).ok()?.flatten() {
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        found += info.lines().filter(|line| line.starts_with("inotify ")).count();
    }
    Some(found)
}

/// A body that tells its round.
fn version(round: usize) -> Vec<u8> {
    format!("version {round}, {}", "x".repeat(round % 50)).into_bytes()
}

/// One that is too long for memory.
fn large_version(round: usize) -> Vec<u8> {
    pattern(round as u64, 100_000 + round)
}

fn open(path: impl AsRef<Path>) -> File {
    File::options().write(true).open(path).unwrap()
}

/// Puts a link in a file's or another link's place.
fn relink(tree: &Tree, name: &str, to: &str) {
    let draft = tree.at(".link");
    symlink(to, &draft).unwrap();
    fs::rename(draft, tree.at(name)).unwrap();
}

fn nothing(_: &Tree) {}

#[test]
fn a_file_replaced_by_a_rename() {
    for size in [version, large_version] {
        shows(TARGET, nothing, |tree, round| {
            tree.file("dir/file.txt", size(round));
            Body(size(round))
        });
    }
}

#[test]
fn a_file_edited_in_place() {
    for size in [version, large_version] {
        shows(
            TARGET,
            |tree| drop(tree.file("dir/file.txt", "")),
            |tree, round| {
                fs::write(tree.at("dir/file.txt"), size(round)).unwrap();
                Body(size(round))
            },
        );
    }
}

#[test]
fn a_file_written_over_without_a_change_of_length() {
    for length in [20, 100_000] {
        shows(
            TARGET,
            |tree| drop(tree.file("dir/file.txt", vec![0; length])),
            |tree, round| {
                let body = pattern(round as u64, length);
                open(tree.at("dir/file.txt")).write_all_at(&body, 0).unwrap();
                Body(body)
            },
        );
    }
}

#[test]
fn a_file_copied_over() {
    let source = Tree::empty();
    shows(
        TARGET,
        |tree| drop(tree.file("dir/file.txt", "")),
        |tree, round| {
            let body = if round % 2 == 0 { version(round) } else { large_version(round) };
            fs::copy(source.file("source", &body), tree.at("dir/file.txt")).unwrap();
            Body(body)
        },
    );
}

#[test]
fn a_file_appended_to_and_truncated() {
    for first in [10, 80_000] {
        let mut body = pattern(1, first);
        shows(
            TARGET,
            |tree| drop(tree.file("dir/file.txt", pattern(1, first))),
            |tree, round| {
                let mut file = File::options().append(true).open(tree.at("dir/file.txt")).unwrap();
                if round % 3 == 2 {
                    body.truncate(body.len() - 15);
                    file.set_len(body.len() as u64).unwrap();
                } else {
                    file.write_all(b"ten bytes.").unwrap();
                    body.extend_from_slice(b"ten bytes.");
                }
                Body(body.clone())
            },
        );
    }
}

#[test]
fn a_file_removed_and_made() {
    shows(TARGET, nothing, |tree, round| {
        if round % 2 == 0 {
            tree.file("dir/file.txt", version(round));
            return Body(version(round));
        }
        fs::remove_file(tree.at("dir/file.txt")).unwrap();
        Status(404)
    });
}

#[test]
fn a_file_renamed_away_and_back() {
    shows(
        TARGET,
        |tree| drop(tree.file("dir/file.txt", PAGE)),
        |tree, round| {
            let (here, there) = (tree.at("dir/file.txt"), tree.at("other.txt"));
            if round % 2 == 0 {
                fs::rename(here, there).unwrap();
                return Status(404);
            }
            fs::rename(there, here).unwrap();
            Body(PAGE.into())
        },
    );
}

#[test]
fn two_files_exchanged() {
    let prepare = |tree: &Tree| {
        tree.file("dir/file.txt", version(1));
        tree.file("other.txt", version(0));
    };
    shows(TARGET, prepare, |tree, round| {
        let (one, other) = (tree.at("dir/file.txt"), tree.at("other.txt"));
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
        Body(version(round % 2))
    });
}

#[test]
fn a_link_to_a_file_that_is_linked_again() {
    let prepare = |tree: &Tree| {
        tree.file("dir/0", version(0));
        tree.file("dir/1", version(1));
        tree.link("dir/file.txt", "0");
    };
    shows(TARGET, prepare, |tree, round| {
        relink(tree, "dir/file.txt", ["1", "../dir/0"][round % 2]);
        Body(version((round + 1) % 2))
    });
    // Removed first and made again, as other tools do it.
    shows(TARGET, prepare, |tree, round| {
        fs::remove_file(tree.at("dir/file.txt")).unwrap();
        tree.link("dir/file.txt", ["1", "0"][round % 2]);
        Body(version((round + 1) % 2))
    });
}

#[test]
fn a_link_on_the_way_that_is_linked_again() {
    let prepare = |tree: &Tree| {
        for release in 0..2 {
            tree.file(format!("releases/{release}/dir/file.txt"), version(release));
        }
        tree.link("current", "releases/1");
        tree.dir("deep/er");
        tree.link("deep/er/entry", "../../deep/../current/dir/");
    };
    for target in ["/current/dir/file.txt", "/deep/er/entry/file.txt"] {
        shows(target, prepare, |tree, round| {
            relink(tree, "current", ["releases/0", "./releases/1"][round % 2]);
            Body(version(round % 2))
        });
    }
}

#[test]
fn a_link_that_comes_to_lead_outside() {
    let prepare = |tree: &Tree| {
        tree.file("inside.txt", PAGE);
        tree.link("dir/file.txt", "../inside.txt");
    };
    shows(TARGET, prepare, |tree, round| {
        if round % 2 == 0 {
            relink(tree, "dir/file.txt", "../../outside");
            return Status(403);
        }
        relink(tree, "dir/file.txt", "../inside.txt");
        Body(PAGE.into())
    });
}

#[test]
fn a_directory_renamed_away_and_another_put_in_its_place() {
    let prepare = |tree: &Tree| {
        tree.file("a/b/c/file.txt", version(1));
        tree.file("spare/c/file.txt", version(0));
    };
    shows("/a/b/c/file.txt", prepare, |tree, round| {
        fs::rename(tree.at("a/b"), tree.at("away")).unwrap();
        fs::rename(tree.at("spare"), tree.at("a/b")).unwrap();
        fs::rename(tree.at("away"), tree.at("spare")).unwrap();
        Body(version(round % 2))
    });
}

#[test]
fn a_directory_far_above_that_comes_and_goes() {
    let deep = "/one/two/three/four/five/six/seven/deep.html";
    shows(deep, nothing, |tree, round| {
        let (here, there) = (tree.at("one/two"), tree.at("two"));
        if round % 2 == 0 {
            fs::rename(here, there).unwrap();
            return Status(404);
        }
        fs::rename(there, here).unwrap();
        Body(b"deep down\n".into())
    });
}

#[test]
fn a_directory_removed_with_all_that_is_in_it() {
    shows("/gone/file.txt", nothing, |tree, round| {
        if round % 2 == 0 {
            tree.file("gone/file.txt", version(round));
            return Body(version(round));
        }
        fs::remove_dir_all(tree.at("gone")).unwrap();
        Status(404)
    });
}

#[test]
fn a_file_and_a_directory_that_are_closed_to_everyone() {
    for name in ["dir/file.txt", "dir"] {
        let open = if name == "dir" { 0o755 } else { 0o644 };
        shows(
            TARGET,
            |tree| drop(tree.file("dir/file.txt", PAGE)),
            |tree, round| {
                if round % 2 == 0 {
                    tree.mode(name, 0);
                    return Status(403);
                }
                tree.mode(name, open);
                Body(PAGE.into())
            },
        );
    }
}

#[test]
fn a_file_edited_by_its_other_name() {
    for size in [version, large_version] {
        let outside = Tree::empty();
        let other = outside.file("file.txt", "");
        let prepare = |tree: &Tree| fs::hard_link(&other, tree.at("dir/file.txt")).unwrap();
        shows(TARGET, prepare, |_, round| {
            fs::write(&other, size(round)).unwrap();
            Body(size(round))
        });
    }
}

#[test]
fn a_file_edited_by_a_name_that_it_got_when_it_was_cached_already() {
    let outside = Tree::empty();
    let mut bench = Bench::of(Tree::site(), &[]);
    bench.wait_until_watched("/text.txt");
    fs::hard_link(bench.tree.at("text.txt"), outside.at("other")).unwrap();
    shows_on(&mut bench, "/text.txt", ROUNDS, |_, round| {
        fs::write(outside.at("other"), version(round)).unwrap();
        Body(version(round))
    });
}

#[test]
fn an_index_that_appears_and_disappears() {
    for target in ["/bare/", "/"] {
        let name = format!("{}index.html", &target[1..]);
        shows(
            target,
            |tree| drop(fs::remove_file(tree.at(&name))),
            |tree, round| {
                if round % 2 == 0 {
                    tree.file(&name, version(round));
                    return Body(version(round));
                }
                fs::remove_file(tree.at(&name)).unwrap();
                Status(403)
            },
        );
    }
}

#[test]
fn a_file_that_becomes_a_directory_and_back() {
    shows("/both", nothing, |tree, round| {
        let path = tree.at("both");
        if round % 2 == 0 {
            let _ = fs::remove_dir(&path);
            tree.file("both", version(round));
            return Body(version(round));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        Status(301)
    });
}

#[test]
fn the_time_of_a_file() {
    for (target, name) in [("/page.html", "page.html"), ("/large.html", "large.html")] {
        let mut bench = Bench::of(Tree::site(), &[]);
        let tree = Arc::clone(&bench.tree);
        for round in 1..=ROUNDS as u64 {
            bench.wait_until_watched(target);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + round);
            let way = WAYS[round as usize % WAYS.len()];
            for response in bench.ask_after(way, target, || tree.modified(name, time)) {
                assert_eq!(response["last-modified"], httpdate::fmt_http_date(time), "{way:?}");
            }
        }
    }
}

#[test]
fn changes_show_outside_the_sandbox_too() {
    let mut bench = Bench::of(Tree::site(), &["--sandbox", "off"]);
    shows_on(&mut bench, TARGET, ROUNDS, |tree, round| {
        tree.file("dir/file.txt", version(round));
        Body(version(round))
    });
}

#[test]
fn changes_show_in_every_worker() {
    let tree = Arc::new(Tree::site());
    let launch = Launch::of(Arc::clone(&tree)).workers(3).flags(BELIEVE);
    let server = launch.start();
    let mut clients: Vec<_> = (0..12).map(|_| server.client()).collect();
    for round in 0..ROUNDS {
        tree.file("dir/file.txt", version(round));
        for client in &mut clients {
            for _ in 0..3 {
                client.send(ask(TARGET));
                client.response().is(200, version(round));
            }
        }
    }
}

/// Connections that ask one thing after the other until the guard goes.
fn load<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    server: &'scope Server,
    stop: &'scope AtomicBool,
) {
    for pieces in [1, 8] {
        scope.spawn(move || {
            let mut client = server.client();
            while !stop.load(Ordering::Relaxed) {
                client.send(ask("/page.html").repeat(pieces));
                for _ in 0..pieces {
                    client.response().is(200, PAGE);
                }
            }
        });
    }
    scope.spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            server.get("/text.txt").has_status(&[200]);
            server.get("/large.html").has_status(&[200]);
        }
    });
}

#[test]
fn changes_show_while_others_keep_the_worker_busy() {
    let tree = Arc::new(Tree::site());
    let server = Launch::of(Arc::clone(&tree)).flags(BELIEVE).start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        load(scope, &server, &stop);
        let mut kept = server.client();
        for round in 0..5 * ROUNDS {
            // The first connection of the round waits for its second request, and the worker has much to do.
            let mut client = server.client();
            for client in [&mut kept, &mut client] {
                client.send(ask(TARGET).repeat(2));
                let expected = if round == 0 { vec![404] } else { vec![200] };
                client.response().has_status(&expected);
                client.response().has_status(&expected);
            }
            tree.file("dir/file.txt", version(round));
            let order: [&mut Client; 2] =
                if round % 2 == 0 { [&mut kept, &mut client] } else { [&mut client, &mut kept] };
            for client in order {
                client.send(ask(TARGET));
                client.response().is(200, version(round));
            }
        }
    });
}

#[test]
fn more_changes_than_the_kernel_keeps() {
    let Ok(kept) = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events") else {
        skipped("more_changes_than_the_kernel_keeps", "/proc doesn't tell how many events the kernel keeps");
        return;
    };
    let kept: u32 = kept.trim().parse().unwrap();
    let mut bench = Bench::of(Tree::site(), &[]);
    for round in 0..3 {
        for target in ["/page.html", "/text.txt", TARGET] {
            bench.wait_until_watched(target);
        }
        let worker = bench.worker();
        worker.stop();
        // Two files in turn, or the kernel would make one event of all.
        for number in 0..=kept / 2 {
            bench.tree.mode("page.html", 0o644 + (number & 1));
            bench.tree.mode("text.txt", 0o644 + (number & 1));
        }
        // Of this there can be no event any more.
        bench.tree.file("dir/file.txt", version(round));
        worker.signal(Signal::CONT);
        bench.kept.send(ask(TARGET));
        bench.kept.response().is(200, version(round));
    }
    // Nor is anything amiss afterwards.
    shows_on(&mut bench, TARGET, 20, |tree, round| {
        tree.file("dir/file.txt", version(1000 + round));
        Body(version(1000 + round))
    });
    assert!(!bench.server.log().contains("ERROR"), "{}", bench.server.log());
}

#[test]
fn files_that_left_the_cache_are_not_watched() {
    let tree = Tree::site();
    for number in 0..200 {
        // Long enough to be kept open.
        tree.file(format!("many/{}/{number}.txt", number % 20), "x".repeat(65_537 + number));
    }
    let mut bench = Bench::of(tree, &["--cache-entries", "10"]);
    if watches(bench.worker()).is_none() {
        skipped("files_that_left_the_cache_are_not_watched", "this user may not look at the worker");
        return;
    }
    for _ in 0..3 {
        for number in 0..200 {
            bench.wait_until_watched(&format!("/many/{}/{number}.txt", number % 20));
        }
    }
    // Ten files in ten directories, the one above and the root.
    assert_eq!(watches(bench.worker()), Some(22));
    fs::remove_dir_all(bench.tree.at("many")).unwrap();
    eventually("nothing is watched where nothing is left", || {
        (watches(bench.worker()) == Some(0)).then_some(())
    });
    for round in 0..ROUNDS {
        bench.tree.file("dir/file.txt", version(round));
        bench.wait_until_watched(TARGET);
    }
    assert_eq!(watches(bench.worker()), Some(3));
}

#[test]
fn a_removed_file_is_let_go_of_without_being_asked_for() {
    let mut bench = Bench::of(Tree::site(), &[]);
    bench.wait_until_watched("/large.html");
    let Some(before) = bench.worker().descriptors() else {
        skipped(
            "a_removed_file_is_let_go_of_without_being_asked_for",
            "this user may not look at the worker",
        );
        return;
    };
    fs::remove_file(bench.tree.at("large.html")).unwrap();
    eventually("its descriptor is closed", || (bench.worker().descriptors().unwrap() < before).then_some(()));
}

#[test]
fn without_watches_every_request_looks_again_and_the_log_says_it_once() {
    // There is room for one entry of each kind, and the bound is four watches for each, which a deep file
    // exceeds.
    let mut bench = Bench::of(Tree::site(), &["--cache-entries", "1", "--cache-size", "2047"]);
    let deep = "one/two/three/four/five/six/seven/deep.html";
    for round in 0..ROUNDS {
        bench.wait_until_watched(&format!("/{deep}"));
        let tree = Arc::clone(&bench.tree);
        let way = WAYS[round % WAYS.len()];
        let change = || drop(tree.file(deep, version(round)));
        for response in bench.ask_after(way, &format!("/{deep}"), change) {
            response.is(200, version(round));
        }
    }
    assert!(watches(bench.worker()).is_none_or(|count| count <= 8));
    warns_of_a_shortage(&bench.server);
}

#[track_caller]
fn warns_of_a_shortage(server: &Server) {
    let is_warning = |line: &str| line.contains("WARN") && line.contains("inotify");
    server.says("that watches have run out", is_warning);
    assert_eq!(server.log().lines().filter(|line| is_warning(line)).count(), 1);
}

/// A server in a user namespace where its user may have so many of something.
fn limited(tree: &Arc<Tree>, limit: &str) -> Option<Bench> {
    let inner = "exec unshare --user --map-user=1000 \"$@\"";
    let under = ["unshare", "--user", "--map-root-user", "sh", "-c"];
    let script = format!("echo {limit} && {inner}");
    let words = under.into_iter().chain([script.as_str(), "sh"]);
    let works = std::process::Command::new("unshare")
        .args(words.clone().skip(1))
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    works.then(|| {
        let launch = Launch::of(Arc::clone(tree)).under(words.clone()).flags(BELIEVE);
        Bench::started(Arc::clone(tree), launch)
    })
}

#[test]
fn where_the_user_has_no_watch_or_instance_left_every_request_looks_again() {
    for limit in ["2 > /proc/sys/user/max_inotify_watches", "0 > /proc/sys/user/max_inotify_instances"] {
        let tree = Arc::new(Tree::site());
        let Some(mut bench) = limited(&tree, limit) else {
            skipped(
                "where_the_user_has_no_watch_or_instance_left_every_request_looks_again",
                "no user namespace to be had",
            );
            return;
        };
        for round in 0..ROUNDS {
            bench.wait_until_watched(TARGET);
            let way = WAYS[round % WAYS.len()];
            let change = || drop(tree.file("dir/file.txt", version(round)));
            for response in bench.ask_after(way, TARGET, change) {
                response.is(200, version(round));
            }
        }
        warns_of_a_shortage(&bench.server);
    }
}

#[test]
fn what_cannot_be_watched_is_fresh_for_as_long_as_it_may() {
    // No user may read this directory, so none may watch it; its files can be opened.
    let closed = |tree: &Tree| {
        tree.file("closed/file.txt", "old\n");
        tree.mode("closed", 0o311);
    };
    let tree = Tree::site();
    closed(&tree);
    let mut bench = Bench::of(tree, &[]);
    if crate::support::root() && bench.worker().user() == 0 {
        skipped("what_cannot_be_watched_is_fresh_for_as_long_as_it_may", "the worker may read anything");
        return;
    }
    bench.wait_until_watched("/closed/file.txt");
    bench.tree.file("closed/file.txt", "new\n");
    bench.kept.send(ask("/closed/file.txt"));
    bench.kept.response().is(200, "old\n");

    let tree = Tree::site();
    closed(&tree);
    let server = Server::of(tree, &["--cache-valid", "200ms"]);
    server.get("/closed/file.txt").is(200, "old\n");
    server.get("/closed/file.txt").is(200, "old\n");
    server.tree().file("closed/file.txt", "new\n");
    eventually("the new file is served", || (server.get("/closed/file.txt").body == b"new\n").then_some(()));
}

#[test]
fn no_watch_is_held_where_every_request_looks_again_by_wish() {
    let tree = Arc::new(Tree::site());
    let launch = Launch::of(Arc::clone(&tree)).flags(["--cache-valid", "0"]);
    let mut bench = Bench::started(tree, launch);
    bench.wait_until_watched(TARGET);
    assert!(watches(bench.worker()).is_none_or(|count| count == 0));
    for round in 0..ROUNDS {
        bench.tree.file("dir/file.txt", version(round));
        bench.kept.send(ask(TARGET));
        bench.kept.response().is(200, version(round));
    }
}

#[test]
fn a_file_appended_to_while_it_is_asked_for_has_the_length_that_is_sent() {
    let tree = Tree::site();
    let path = tree.file("growing.bin", pattern(1, 70_000));
    let bench = Bench::of(tree, &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&path).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(&[b'x'; 100]).unwrap();
                std::thread::yield_now();
                if file.metadata().unwrap().len() > 4 << 20 {
                    file.set_len(70_000).unwrap();
                }
            }
        });
        let _stop = Stop(&stop);
        for _ in 0..2 {
            // A cut connection is the truth about a file that was cut; padding would not be.
            let mut client = bench.server.client();
            let mut last = 0;
            for _ in 0..500 {
                client.send("GET /growing.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=0-70099\r\n\r\n");
                let Some(head) = client.head() else { break };
                assert!(matches!(head.status, 200 | 206));
                let length = head.length().unwrap() as usize;
                let mut body = Vec::new();
                let mut buffer = vec![0; length];
                while body.len() < length {
                    let count = client.read(&mut buffer[..length - body.len()]);
                    if count == 0 {
                        break;
                    }
                    body.extend_from_slice(&buffer[..count]);
                }
                assert!(body.starts_with(&pattern(1, 70_000)) || body.len() < 70_000);
                assert!(body.iter().skip(70_000).all(|&byte| byte == b'x'), "padded");
                last += 1;
                if body.len() < length {
                    break;
                }
            }
            assert!(last > 0);
        }
    });
}

/// A location whose files are beneath a root of their own.
struct Beside {
    server: Server,
    own: Arc<Tree>,
    other: Arc<Tree>,
}

impl Beside {
    /// Serves `own`, and beneath `/priv` what `other` has, by the location's key `alias` or `root`.
    fn new(own: Tree, other: Tree, key: &str) -> Beside {
        let (own, other) = (Arc::new(own), Arc::new(other));
        let path = other.path().to_str().unwrap();
        let locations = format!("[[location]]\npath = \"/priv\"\n{key} = {path:?}\n");
        let file = own.file(".settings.toml", locations);
        let launch = Launch::of(Arc::clone(&own)).flags(BELIEVE);
        let server = launch.flags(["--config", file.to_str().unwrap()]).start();
        Beside { server, own, other }
    }
}

#[test]
fn directories_of_one_path_beneath_two_roots_are_watched_each() {
    // The path of the directory beneath both roots; empty for the roots themselves.
    for directory in ["sub", "sub/er", ""] {
        for (key, before) in [("alias", ""), ("root", "priv/")] {
            let name = format!("{before}{directory}{}a.txt", if directory.is_empty() { "" } else { "/" });
            let place = name.strip_suffix("/a.txt").unwrap_or("").to_owned();
            let (own, other) = (Tree::empty(), Tree::empty());
            own.file(&name, "own");
            other.file(&name, "0");
            let Beside { server, own, other } = Beside::new(own, other, key);
            let mut kept = server.client();
            let mut get = |target: &str| {
                kept.send(ask(target));
                kept.response()
            };
            let (first, second) = (format!("/{name}"), format!("/priv/{}", &name[before.len()..]));
            let is_apart = first != second;
            for round in 0..20 {
                for _ in 0..3 {
                    if is_apart {
                        get(&first).is(200, "own");
                    }
                    get(&second).is(200, round.to_string());
                }
                if place.is_empty() {
                    other.file(&name, (round + 1).to_string());
                } else {
                    // The directory is moved away, and another one put in its place.
                    let away = other.at(format!("away{round}"));
                    fs::rename(other.at(&place), away).unwrap();
                    other.file(&name, (round + 1).to_string());
                }
                get(&second).is(200, (round + 1).to_string());
            }
            (0..3).for_each(|_| get(&second).is(200, "20"));
            other.mode(&place, 0);
            if server.workers()[0].user() != 0 {
                get(&second).has_status(&[403]);
            }
            other.mode(&place, 0o755);
            get(&second).is(200, "20");
            if is_apart {
                get(&first).is(200, "own");
                own.mode(&place, 0);
                get(&second).is(200, "20");
                own.mode(&place, 0o755);
            }
        }
    }
}

#[test]
fn a_root_that_leads_elsewhere_shows_though_its_files_are_watched() {
    for sandbox in ["on", "off"] {
        let tree = Arc::new(Tree::empty());
        for release in ["old", "new"] {
            tree.file(format!("releases/{release}/page.html"), release);
        }
        tree.link("current", "releases/old");
        let flags = ["--sandbox", sandbox, "--cache-valid", "100ms"];
        let server = Launch::of_path(tree.at("current")).flags(flags).start();
        for _ in 0..3 {
            server.get("/page.html").is(200, "old");
        }
        relink(&tree, "current", "releases/new");
        eventually("the new root is served", || (server.get("/page.html").body == b"new").then_some(()));
    }
}

/// The files that a process has open, by what the kernel calls them; none where this user may not look.
fn open_files(process: Process) -> Option<Vec<String>> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.pid)).ok()?.flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(links.map(|link| link.to_string_lossy().into_owned()).collect())
}

fn has_open(process: Process, path: &Path) -> bool {
    open_files(process).unwrap().iter().any(|open| open.starts_with(path.to_str().unwrap()))
}

#[test]
fn a_file_is_closed_soon_after_its_last_request_whether_it_was_deleted_or_not() {
    let name = "a_file_is_closed_soon_after_its_last_request_whether_it_was_deleted_or_not";
    for requests in 1..=4 {
        for delete in [true, false] {
            let mut bench = Bench::of(Tree::site(), &[]);
            if open_files(bench.worker()).is_none() {
                skipped(name, "this user may not look at the worker");
                return;
            }
            let path = bench.tree.at("large.html");
            for _ in 0..requests {
                bench.kept.send(ask("/large.html"));
                bench.kept.response().is(200, crate::support::tree::large());
            }
            if delete {
                fs::remove_file(&path).unwrap();
            }
            eventually("the file is closed", || (!has_open(bench.worker(), &path)).then_some(()));
            bench.kept.send(ask("/large.html"));
            bench.kept.response().has_status(&[if delete { 404 } else { 200 }]);
        }
    }
}

#[test]
fn many_files_that_were_asked_for_once_are_closed_soon() {
    let tree = Tree::empty();
    for number in 0..600 {
        tree.file(format!("{number}.bin"), vec![b'x'; 65_537]);
    }
    let mut bench = Bench::of(tree, &[]);
    if open_files(bench.worker()).is_none() {
        skipped(
            "many_files_that_were_asked_for_once_are_closed_soon",
            "this user may not look at the worker",
        );
        return;
    }
    for number in 0..600 {
        bench.kept.send(ask(&format!("/{number}.bin")));
        bench.kept.response().has_status(&[200]);
    }
    let path = bench.tree.path().join("");
    eventually("all files are closed", || (!has_open(bench.worker(), &path)).then_some(()));
}

#[test]
fn a_file_that_is_sent_to_slow_clients_is_open_once() {
    let tree = Tree::empty();
    let path = tree.file("huge.bin", vec![b'x'; 16 << 20]);
    let bench = Bench::of(tree, &[]);
    if open_files(bench.worker()).is_none() {
        skipped("a_file_that_is_sent_to_slow_clients_is_open_once", "this user may not look at the worker");
        return;
    }
    // A file that has just changed is read again at each look.
    let changed =
        SystemTime::UNIX_EPOCH + Duration::from_secs(path.metadata().unwrap().ctime().cast_unsigned());
    let is_old = || changed.elapsed().ok().filter(|age| age.as_secs() >= 3);
    eventually("the file was not changed lately", is_old);
    let path = path.to_str().unwrap();
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = bench.server.client();
        client.send(ask("/huge.bin"));
        client.head().unwrap();
        slow.push(client);
        // Another file comes and goes in the meantime: as long as it takes for an unused one to be closed.
        let other = bench.tree.file("other.bin", vec![b'x'; 65_537]);
        bench.server.get("/other.bin").has_status(&[200]);
        eventually("the other file is closed", || (!has_open(bench.worker(), &other)).then_some(()));
    }
    let open = open_files(bench.worker()).unwrap();
    assert_eq!(open.iter().filter(|open| *open == path).count(), 1, "{open:?}");
    drop(slow);
    eventually("the file is closed", || (!has_open(bench.worker(), Path::new(path))).then_some(()));
}

#[test]
fn a_file_system_beneath_the_root_can_be_unmounted_soon_after_the_last_request() {
    let name = "a_file_system_beneath_the_root_can_be_unmounted_soon_after_the_last_request";
    for requests in [1, 2, 4] {
        let tree = Arc::new(Tree::site());
        let mount = tree.dir("mounted");
        let mount = mount.to_str().unwrap();
        // A view of its own, so that the mount is gone with the server whatever happens here.
        let script = format!(
            "mount -t tmpfs -o mode=755 none {mount} && head -c 100000 /dev/zero > {mount}/large && echo small > {mount}/small \
             && chmod 644 {mount}/* && exec \"$@\""
        );
        let under = ["unshare", "--mount", "sh", "-c", &script, "sh"];
        let works = std::process::Command::new("unshare").args(&under[1..]).arg("true").output();
        if !works.is_ok_and(|output| output.status.success()) {
            skipped(name, "this user may not mount");
            return;
        }
        let mut bench = Bench::started(Arc::clone(&tree), Launch::of(tree).under(under).flags(BELIEVE));
        for target in ["/mounted/large", "/mounted/small"] {
            for _ in 0..requests {
                bench.kept.send(ask(target));
                bench.kept.response().has_status(&[200]);
            }
        }
        let unmount = || {
            let namespace = format!("--mount=/proc/{}/ns/mnt", bench.server.master.pid);
            let output = std::process::Command::new("nsenter").args([&namespace, "umount", mount]).output();
            output.unwrap().status.success().then_some(())
        };
        eventually("the file system is unmounted", unmount);
        for target in ["/mounted/large", "/mounted/small"] {
            bench.kept.send(ask(target));
            bench.kept.response().has_status(&[404]);
        }
    }
}

/// A root whose path is a link, and how it is served.
struct Switched {
    tree: Arc<Tree>,
    server: Server,
    target: &'static str,
}

impl Switched {
    /// Serves `parent/current` as the root, or beneath `/app` as a location's directory. `parent` has this
    /// mode.
    fn new(mode: u32, is_location: bool, flags: &[&str]) -> Switched {
        let tree = Arc::new(Tree::empty());
        for release in ["old", "new"] {
            tree.file(format!("parent/releases/{release}/page.html"), release);
            tree.file(format!("parent/releases/{release}/large.bin"), release.repeat(50_000));
        }
        tree.link("parent/current", "releases/old");
        tree.file("www/page.html", PAGE);
        tree.mode("parent", mode);
        let current = tree.at("parent/current");
        let launch = if is_location {
            let path = current.to_str().unwrap();
            let locations = format!("[[location]]\npath = \"/app\"\nalias = {path:?}\n");
            let file = tree.file("settings.toml", locations);
            Launch::of_path(tree.at("www")).flags(["--config", file.to_str().unwrap()])
        } else {
            Launch::of_path(&current)
        };
        let server = launch.flags(flags.iter().copied()).start();
        Switched { tree, server, target: if is_location { "/app/page.html" } else { "/page.html" } }
    }

    fn switch(&self, release: &str) {
        relink(&self.tree, "parent/current", &format!("releases/{release}"));
    }

    #[track_caller]
    fn serves(&self, release: &str) {
        eventually("the new root is served", || {
            let response = self.server.get(self.target);
            assert!(matches!(&response.body[..], b"old" | b"new"), "{response:?}");
            (response.body == release.as_bytes()).then_some(())
        });
    }
}

#[test]
fn a_root_that_leads_elsewhere_shows_soon_whatever_the_age_of_cached_files() {
    for sandbox in ["on", "off"] {
        for is_location in [false, true] {
            let flags = ["--sandbox", sandbox, "--cache-valid", "24h"];
            let site = Switched::new(0o755, is_location, &flags);
            for release in ["new", "old", "new"] {
                // Once, and often enough that the file is watched.
                let large = site.target.replace("page.html", "large.bin");
                (0..3).for_each(|_| site.server.get(site.target).has_status(&[200]));
                site.server.get(large).has_status(&[200]);
                site.switch(release);
                site.serves(release);
            }
        }
    }
}

#[test]
fn a_root_that_leads_elsewhere_is_followed_without_a_request() {
    for sandbox in ["on", "off"] {
        for is_location in [false, true] {
            let flags = ["--sandbox", sandbox, "--cache-valid", "24h"];
            let site = Switched::new(0o755, is_location, &flags);
            let first = site.server.workers()[0];
            if open_files(first).is_none() {
                skipped("a_root_that_leads_elsewhere_is_followed_without_a_request", "no look at the worker");
                return;
            }
            site.switch("new");
            let new = site.tree.at("parent/releases/new");
            eventually("a worker has the new root open", || {
                site.server
                    .workers()
                    .iter()
                    .any(|&worker| open_files(worker).is_some() && has_open(worker, &new))
                    .then_some(())
            });
        }
    }
}

#[test]
fn a_root_whose_path_the_workers_may_not_look_at_is_followed() {
    if !crate::support::root() {
        skipped(
            "a_root_whose_path_the_workers_may_not_look_at_is_followed",
            "the workers are the master's user",
        );
        return;
    }
    for mode in [0o750, 0o700] {
        for sandbox in ["on", "off"] {
            for is_location in [false, true] {
                let flags = ["--sandbox", sandbox, "--cache-valid", "24h"];
                let site = Switched::new(mode, is_location, &flags);
                for release in ["new", "old"] {
                    site.server.get(site.target).has_status(&[200]);
                    site.switch(release);
                    site.serves(release);
                }
                assert!(!site.server.log().contains("ERROR"), "{}", site.server.log());
            }
        }
    }
}

#[test]
fn a_root_that_can_not_be_followed_is_logged_once_by_its_name_and_holds_up_no_other() {
    let tree = Arc::new(Tree::empty());
    for release in ["0", "1", "2", "3"] {
        tree.file(format!("releases/{release}/v.txt"), release);
    }
    for name in ["site", "good", "bad"] {
        tree.link(name, "releases/0");
    }
    let location = |name: &str| {
        let alias = tree.at(name);
        format!("[[location]]\npath = \"/{name}\"\nalias = {:?}\n", alias.to_str().unwrap())
    };
    let target = |name: &str| if name == "site" { "/v.txt".to_owned() } else { format!("/{name}/v.txt") };
    for gone in ["bad", "site"] {
        for name in ["site", "good", "bad"] {
            relink(&tree, name, "releases/0");
        }
        let file = tree.file("settings.toml", format!("{}{}", location("good"), location("bad")));
        let launch = Launch::of_path(tree.at("site")).workers(4);
        let flags = ["--config", file.to_str().unwrap(), "--cache-valid", "100ms"];
        let start = std::time::Instant::now();
        let server = launch.flags(flags).start();
        // It leads elsewhere, and then nowhere.
        relink(&tree, gone, "releases/1");
        eventually("its new directory is served", || (server.get(target(gone)).body == b"1").then_some(()));
        relink(&tree, gone, "absent");
        for release in ["1", "2", "3"] {
            for name in ["site", "good", "bad"].into_iter().filter(|name| *name != gone) {
                relink(&tree, name, &format!("releases/{release}"));
                eventually("another root is followed", || {
                    server.get(target(gone)).has_status(&[200]);
                    (server.get(target(name)).body == release.as_bytes()).then_some(())
                });
            }
        }
        // No worker of the first generation is left by now.
        server.get(target(gone)).is(200, "1");
        let log = server.log();
        let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
        let most = 1 + start.elapsed().as_secs() / 60;
        assert!(!errors.is_empty() && errors.len() as u64 <= most, "{log}");
        let named = format!("cannot serve {}: no such file or directory", tree.at(gone).display());
        assert!(errors.iter().all(|line| line.contains(&named)), "{log}");
    }
}

#[test]
fn without_descriptors_a_cached_file_is_served_for_ten_seconds_and_then_there_is_503() {
    let tree = Arc::new(Tree::site());
    // The worker stays the user that the test is, which may change its limits.
    let user = if crate::support::root() { &["--user", "root", "--group", "root"][..] } else { &[] };
    let launch = Launch::of(Arc::clone(&tree)).flags(["--admin", "127.0.0.1:0"]).flags(user.iter().copied());
    let mut bench = Bench::started(Arc::clone(&tree), launch);
    let admin = bench.server.admin_address();
    let targets = ["/page.html", "/text.txt", "/dir/"];
    let get = |bench: &mut Bench, target: &str| {
        bench.kept.send(ask(target));
        bench.kept.response()
    };
    // Once each: what is not watched is looked at again at each request.
    for target in targets {
        get(&mut bench, target).has_status(&[200]);
    }
    let worker = bench.worker();
    let (soft, _) = worker.descriptor_limit();
    worker.set_soft_descriptor_limit(3);
    for name in ["page.html", "text.txt", "dir/index.html"] {
        tree.file(name, "new\n");
    }
    // What is not cached can't be had, and that costs the cached files nothing.
    get(&mut bench, "/empty.txt").has_status(&[503]);
    let mut stale = 0;
    for target in targets {
        let response = get(&mut bench, target);
        assert!(response.status == 200 && response.body != b"new\n", "{target}: {response:?}");
        stale += 1;
    }
    for target in targets {
        within(Duration::from_secs(60), "it is not served for ever", || {
            let response = get(&mut bench, target);
            response.has_status(&[200, 503]);
            stale += u64::from(response.status == 200);
            (response.status == 503).then_some(())
        });
    }
    let counted = || {
        let (_, text) = crate::support::plain::get(admin, "/metrics")?;
        let line = text.lines().find(|line| line.starts_with("mayhttpd_cache_stale_total{"))?;
        line.rsplit(' ').next()?.parse::<u64>().ok()
    };
    eventually("the answers are counted", || (counted() == Some(stale)).then_some(()));
    let is_warning = |line: &str| line.contains("WARN") && line.contains("have run out");
    bench.server.says("that descriptors have run out", is_warning);
    worker.set_soft_descriptor_limit(soft);
    for target in targets {
        get(&mut bench, target).is(200, "new\n");
    }
}
