//! What is changed shows in the very next request: files and all that lies on the way to them, replaced, edited,
//! removed, linked anew, while the cache would believe what it knows for an hour. No test here waits for a change
//! to show.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;

use crate::support::process::Process;
use crate::support::tree::{CHANGED, PAGE};
use crate::support::{Client, Launch, Response, Server, Stop, Tree, eventually, pattern, skipped};

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

    /// Has `change` happen and asks right after it; the answers, of which there are several where it is asked in one
    /// piece.
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

    /// Asks until the answer is cached and its file watched: the first request opens, the second looks again, the
    /// third watches.
    fn settle(&mut self, target: &str) {
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
        bench.settle(target);
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
fn a_link_to_a_file_that_is_linked_anew() {
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
fn a_link_on_the_way_that_is_linked_anew() {
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
    bench.settle("/text.txt");
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
            bench.settle(target);
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
            bench.settle(target);
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
fn files_that_nobody_caches_any_more_are_not_watched() {
    let tree = Tree::site();
    for number in 0..200 {
        // Long enough to be kept open.
        tree.file(format!("many/{}/{number}.txt", number % 20), "x".repeat(65_537 + number));
    }
    let mut bench = Bench::of(tree, &["--cache-entries", "10"]);
    if watches(bench.worker()).is_none() {
        skipped("files_that_nobody_caches_any_more_are_not_watched", "this user may not look at the worker");
        return;
    }
    for _ in 0..3 {
        for number in 0..200 {
            bench.settle(&format!("/many/{}/{number}.txt", number % 20));
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
        bench.settle(TARGET);
    }
    assert_eq!(watches(bench.worker()), Some(3));
}

#[test]
fn a_removed_file_is_let_go_of_without_being_asked_for() {
    let mut bench = Bench::of(Tree::site(), &[]);
    bench.settle("/large.html");
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
    // There is room for one entry of each kind, and the bound is four watches for each, which a deep file exceeds.
    let mut bench = Bench::of(Tree::site(), &["--cache-entries", "1", "--cache-size", "2047"]);
    let deep = "one/two/three/four/five/six/seven/deep.html";
    for round in 0..ROUNDS {
        bench.settle(&format!("/{deep}"));
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
            bench.settle(TARGET);
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
fn what_cannot_be_watched_is_believed_for_as_long_as_it_may() {
    // Nobody may read this directory, so nobody may watch it; its files can be opened.
    let closed = |tree: &Tree| {
        tree.file("closed/file.txt", "old\n");
        tree.mode("closed", 0o311);
    };
    let tree = Tree::site();
    closed(&tree);
    let mut bench = Bench::of(tree, &[]);
    if crate::support::root() && bench.worker().user() == 0 {
        skipped("what_cannot_be_watched_is_believed_for_as_long_as_it_may", "the worker may read anything");
        return;
    }
    bench.settle("/closed/file.txt");
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
    bench.settle(TARGET);
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
