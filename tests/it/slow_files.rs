//! The slow disk of these tests: what it shows is right, what it is told to hold waits, what it counts came.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::slow_disk::{SlowDisk, can_be_slow};
use crate::support::slow_files::{Caching, Operation};
use crate::support::{Tree, eventually, pattern};

/// A process that reads a file to its end. The test itself must not, as the disk is a thread of its own.
fn reader(path: &Path) -> Child {
    Command::new("cat").arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn reads(child: Child, wanted: &[u8]) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == wanted, "{}", output.status);
}

#[test]
fn all_of_a_tree_is_there() {
    if !can_be_slow("all_of_a_tree_is_there") {
        return;
    }
    for caching in [Caching::All, Caching::AllButOpens, Caching::Nothing] {
        let tree = Tree::site();
        tree.link("link.html", "page.html");
        tree.file("big.bin", pattern(3, 3 << 20));
        (0..500).for_each(|number| drop(tree.file(format!("many/{number:0>40}.txt"), b"")));
        let disk = SlowDisk::of(tree, caching);
        // Cold, and once more.
        for _ in 0..2 {
            same(disk.tree().path(), disk.path());
            let absent = fs::metadata(disk.path().join("absent")).unwrap_err();
            assert_eq!(absent.kind(), std::io::ErrorKind::NotFound);
        }
        assert!(fs::write(disk.path().join("new"), b"").is_err(), "it can be written");
    }
}

/// Compares two directories with all beneath them.
#[track_caller]
fn same(one: &Path, other: &Path) {
    let names = |path: &Path| {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(one), names(other));
    for name in names(one) {
        let (one, other) = (one.join(&name), other.join(&name));
        let [left, right] = [&one, &other].map(|path| fs::symlink_metadata(path).unwrap());
        let facts =
            |of: &fs::Metadata| (of.mode(), of.uid(), of.gid(), of.size(), of.mtime(), of.mtime_nsec());
        assert_eq!(facts(&left), facts(&right), "{}", other.display());
        if left.is_dir() {
            same(&one, &other);
        } else if left.is_symlink() {
            assert_eq!(fs::read_link(&one).unwrap(), fs::read_link(&other).unwrap());
        } else {
            assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap(), "{}", other.display());
        }
    }
}

#[test]
fn what_is_held_waits_until_it_is_released() {
    if !can_be_slow("what_is_held_waits_until_it_is_released") {
        return;
    }
    let disk = SlowDisk::of(Tree::site(), Caching::All);
    disk.hold();
    let mut child = reader(&disk.path().join("text.txt"));
    disk.until_waiting(1);
    assert_eq!((child.try_wait().unwrap(), disk.waiting()), (None, 1));
    disk.release();
    reads(child, &fs::read(disk.tree().at("text.txt")).unwrap());
    assert_eq!(disk.waiting(), 0);
}

#[test]
fn each_operation_is_counted_by_kind_and_file() {
    use Operation::{Lookup, Open, Read, ReadDir, ReadLink};
    if !can_be_slow("each_operation_is_counted_by_kind_and_file") {
        return;
    }
    for (caching, opens, again) in
        [(Caching::All, 1, [0, 1, 0]), (Caching::AllButOpens, 0, [0, 0, 0]), (Caching::Nothing, 1, [1, 1, 1])]
    {
        let tree = Tree::site();
        tree.link("link", "dir");
        let disk = SlowDisk::of(tree, caching);
        let counts = || [Lookup, Open, Read].map(|operation| disk.count_of(operation, "dir/inner.txt"));
        let path = disk.path().join("dir/inner.txt");
        let first = [1, opens, 1];
        assert_eq!((fs::read(&path).unwrap(), counts()), (b"in dir\n".to_vec(), first), "{caching:?}");
        // The size that it asks for before is an attribute, and no read.
        let second: Vec<_> = first.iter().zip(again).map(|(one, more)| one + more).collect();
        assert_eq!((fs::read(&path).unwrap(), counts().to_vec()), (b"in dir\n".to_vec(), second));
        assert_eq!((disk.count_of(Lookup, "link"), disk.count(ReadLink)), (0, 0));
        fs::read_dir(disk.path().join("link")).unwrap().for_each(drop);
        assert_eq!((disk.count_of(Lookup, "link"), disk.count_of(ReadLink, "link")), (1, 1));
        assert!(disk.count_of(ReadDir, "dir") > 0 && disk.count(ReadDir) == disk.count_of(ReadDir, "dir"));
    }
}

#[test]
fn each_operation_takes_as_long_as_it_is_told() {
    if !can_be_slow("each_operation_takes_as_long_as_it_is_told") {
        return;
    }
    let disk = SlowDisk::of(Tree::site(), Caching::All);
    fs::metadata(disk.path()).unwrap();
    let delay = Duration::from_millis(20);
    disk.set_delay(delay);
    let start = Instant::now();
    // A look-up, an open and a read.
    fs::read(disk.path().join("text.txt")).unwrap();
    assert!(start.elapsed() >= delay * 3, "{:?}", start.elapsed());
    disk.set_delay(Duration::ZERO);
}

#[test]
fn a_process_that_waits_is_let_go_with_an_error_when_the_disk_is_gone() {
    if !can_be_slow("a_process_that_waits_is_let_go…") {
        return;
    }
    let disk = SlowDisk::of(Tree::site(), Caching::All);
    disk.hold();
    let mut child = reader(&disk.path().join("text.txt"));
    disk.until_waiting(1);
    let path = disk.path().to_owned();
    drop(disk);
    let status = eventually("the reader ends", || child.try_wait().unwrap());
    assert!(!status.success());
    assert!(!path.exists());
}
