//! The command `precompress`: which variants it writes, what it leaves alone, and what an end in the middle
//! leaves.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::launch::{Finished, run_with};
use crate::support::tree::CHANGED;
use crate::support::{DEADLINE, Tree, eventually, every, root, skipped};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mayhttpd");
const SUFFIXES: [&str; 3] = [".br", ".gz", ".zst"];

/// A script of about this many bytes.
fn script(length: usize) -> Vec<u8> {
    let line = |number: u32| format!("export const part{number} = {};\n", number.wrapping_mul(2_654_435_761));
    (0..).flat_map(|number| line(number).into_bytes()).take(length).collect()
}

/// Bytes that no coding makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}

fn precompress(tree: &Tree, flags: &[&str]) -> Finished {
    let mut words = vec!["precompress", tree.path().to_str().unwrap()];
    words.extend(flags);
    run_with(&words)
}

/// Runs it, and holds it to an exit code and its last line. Nothing stands on standard error.
#[track_caller]
fn expect(tree: &Tree, flags: &[&str], code: i32, counts: &str) -> Vec<String> {
    let finished = precompress(tree, flags);
    assert_eq!((finished.code, &*finished.errors), (Some(code), ""), "{finished:?}");
    let mut lines: Vec<String> = finished.output.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some(counts), "{finished:?}");
    let below = format!("{}/", tree.path().display());
    lines.iter().map(|line| line.replace(&below, "")).collect()
}

/// All names beneath a directory, but those of directories.
fn names(tree: &Tree) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut directories = vec![tree.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                let path = entry.path();
                found.push(path.strip_prefix(tree.path()).unwrap().as_os_str().as_bytes().to_vec());
            }
        }
    }
    found.sort();
    found
}

fn variants(tree: &Tree) -> Vec<Vec<u8>> {
    let mut names = names(tree);
    names.retain(|name| SUFFIXES.iter().any(|suffix| name.ends_with(suffix.as_bytes())));
    names
}

fn drafts(tree: &Tree) -> usize {
    names(tree).iter().filter(|name| name.windows(9).any(|part| part == b".mayhttpd")).count()
}

fn decoded(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut bytes = Vec::new();
    match path.extension().and_then(OsStr::to_str) {
        Some("br") => brotli::Decompressor::new(file, 4096).read_to_end(&mut bytes),
        Some("zst") => zstd::Decoder::new(file).unwrap().read_to_end(&mut bytes),
        _ => flate2::read::GzDecoder::new(file).read_to_end(&mut bytes),
    }
    .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes
}

/// Holds every variant in the tree to the content, mtime and permissions of its file.
#[track_caller]
fn all_are_whole(tree: &Tree) {
    for name in variants(tree) {
        let variant = tree.at(&name);
        let file = variant.with_extension("");
        let (made, like) = (fs::metadata(&variant).unwrap(), fs::metadata(&file).unwrap());
        assert!(decoded(&variant) == fs::read(&file).unwrap(), "{}", variant.display());
        let stamp = |of: &fs::Metadata| (of.mtime(), of.mtime_nsec(), of.mode(), of.uid(), of.gid());
        assert_eq!(stamp(&made), stamp(&like), "{}", variant.display());
        assert!(made.len() * 100 <= like.len() * 95, "{}", variant.display());
    }
}

#[test]
fn each_file_that_gets_shorter_has_three_variants_like_it() {
    let tree = Tree::empty();
    for name in ["index.html", "a/b/app.js", ".well-known/site.json", "UPPER.CSS", "font.ttf", "x.wasm"] {
        tree.file(name, script(5000));
    }
    tree.mode("index.html", 0o640);
    let nanoseconds = SystemTime::UNIX_EPOCH + Duration::new(CHANGED, 123_456_789);
    tree.modified("UPPER.CSS", nanoseconds);
    for (name, contents) in [
        ("photo.png", script(5000)),
        ("unknown", script(5000)),
        ("archive.tar.gz", script(5000)),
        ("page.html.br/inner.txt.gz", script(5000)),
        (".hidden/a.js", script(5000)),
        (".hidden.js", script(5000)),
        ("noise.js", noise(5000)),
        ("short.js", b"let a = 1;".to_vec()),
        ("empty.js", Vec::new()),
    ] {
        tree.file(name, contents);
    }
    tree.link("link.js", "index.html");
    tree.link("out", "/usr/share");
    tree.link("loop", ".");
    let before = names(&tree);
    let finished = precompress(&tree, &[]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    let counts = "9 files: 18 variants written (90000 bytes as ";
    assert!(finished.output.starts_with(counts), "{finished:?}");
    let rest = "), 0 up to date, 9 not worth it, 0 removed, 0 failed\n";
    assert!(finished.output.ends_with(rest), "{finished:?}");
    all_are_whole_but(&tree, &["archive.tar.gz", "page.html.br/inner.txt.gz"]);
    let made: Vec<_> = names(&tree).into_iter().filter(|name| !before.contains(name)).collect();
    assert_eq!(made.len(), 18, "{made:?}");

    // Nothing is written again, not even with the same contents.
    let inodes = || names(&tree).iter().map(|name| inode(&tree, name)).collect::<Vec<_>>();
    let first = inodes();
    let counts =
        "9 files: 0 variants written (0 bytes as 0), 18 up to date, 9 not worth it, 0 removed, 0 failed";
    expect(&tree, &[], 0, counts);
    assert_eq!(first, inodes());
    let counts =
        "9 files: 18 variants up to date, 0 missing, 0 outdated, 1 orphaned, 9 not worth it, 0 failed";
    assert_eq!(expect(&tree, &["--check"], 0, counts), ["orphaned page.html.br/inner.txt.gz"]);
}

fn inode(tree: &Tree, name: &[u8]) -> u64 {
    fs::symlink_metadata(tree.at(name)).unwrap().ino()
}

/// [`all_are_whole`], beside archives that are no variants.
#[track_caller]
fn all_are_whole_but(tree: &Tree, archives: &[&str]) {
    let kept: BTreeMap<_, _> =
        archives.iter().map(|name| (*name, fs::read(tree.at(name)).unwrap())).collect();
    kept.keys().for_each(|name| fs::remove_file(tree.at(name)).unwrap());
    all_are_whole(tree);
    for (name, contents) in kept {
        tree.file(name, contents);
    }
}

/// An access control list (acl(5)) as the kernel takes it: for another user than the owner, and for others.
fn access_list(user: u32, of_user: u16, of_others: u16) -> Vec<u8> {
    let none = u32::MAX;
    // Owner, user, group, mask, others.
    let entries = [
        (0x01, 6, none),
        (0x02, of_user, user),
        (0x04, 0, none),
        (0x10, of_user, none),
        (0x20, of_others, none),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(bits));
        bytes.extend(u32::to_le_bytes(id));
    }
    bytes
}

#[test]
fn variants_have_the_access_control_list_of_their_file_and_no_other() {
    let test = "variants_have_the_access_control_list_of_their_file_and_no_other";
    let tree = Tree::empty();
    tree.file("listed.js", script(2000));
    tree.file("plain.js", script(2000));
    tree.mode("plain.js", 0o640);
    let set = |name: &str, attribute: &str, list: &[u8]| {
        rustix::fs::setxattr(tree.at(name), attribute, list, rustix::fs::XattrFlags::empty())
    };
    let access = "system.posix_acl_access";
    let list = access_list(65_533, 4, 0);
    if set("listed.js", access, &list).is_err() {
        skipped(test, "the file system has no access control lists");
        return;
    }
    // What is new in the directory may be read by another user.
    set("", "system.posix_acl_default", &access_list(65_532, 4, 0)).unwrap();
    assert_eq!(fs::metadata(tree.at("listed.js")).unwrap().mode() & 0o777, 0o640, "the mask");
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    all_are_whole(&tree);
    let list_of = |name: &str| {
        let mut bytes = vec![0; 1000];
        let length = rustix::fs::getxattr(tree.at(name), access, &mut bytes[..])?;
        Ok(bytes[..length].to_vec())
    };
    for suffix in SUFFIXES {
        assert_eq!(list_of(&format!("listed.js{suffix}")), Ok(list.clone()), "{suffix}");
        let plain = list_of(&format!("plain.js{suffix}"));
        assert_eq!(plain, Err(rustix::io::Errno::NODATA), "{suffix}");
    }
}

#[test]
fn files_of_more_than_64_mib_get_lower_levels() {
    let tree = Tree::empty();
    for (name, size) in [("long.sql", 64 << 20), ("longer.sql", (64 << 20) + 1)] {
        tree.file(name, "");
        // All zeros, without blocks on the disk.
        File::options().write(true).open(tree.at(name)).unwrap().set_len(size).unwrap();
    }
    assert_eq!(precompress(&tree, &["--zst"]).code, Some(0));
    let window = |name: &str| {
        let frame = fs::read(tree.at(name)).unwrap();
        // Magic number, a descriptor that announces a window, and the exponent of that (RFC 8878 §3.1.1.1).
        assert_eq!((&frame[..4], frame[4] & 0x20), (&[0x28, 0xb5, 0x2f, 0xfd][..], 0));
        1 << (10 + (frame[5] >> 3))
    };
    // That of level 19, and that of level 12.
    assert_eq!((window("long.sql.zst"), window("longer.sql.zst")), (8 << 20, 4 << 20));
}

#[test]
fn only_the_codings_that_are_named_are_written() {
    every(
        [
            (&["--br"][..], &["a.js.br"][..]),
            (&["--zst"], &["a.js.zst"]),
            (&["--gz"], &["a.js.gz"]),
            (&["--gz", "--br"], &["a.js.br", "a.js.gz"]),
        ]
        .map(|case| (format!("{:?}", case.0), case)),
        |(flags, expected)| {
            let tree = Tree::empty();
            tree.file("a.js", script(2000));
            assert_eq!(precompress(&tree, flags).code, Some(0));
            let names: Vec<_> = expected.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(variants(&tree), names);
        },
    );
}

#[test]
fn a_check_lists_what_is_to_do_and_writes_nothing() {
    let tree = Tree::empty();
    for name in ["a.js", "older.js", "newer.js", "gone.js", "noise.js"] {
        tree.file(name, script(2000));
    }
    tree.file("noise.js", noise(2000));
    assert_eq!(precompress(&tree, &["--gz"]).code, Some(0));
    tree.file("lone.tar.gz", "an archive");
    fs::remove_file(tree.at("gone.js")).unwrap();
    let counts =
        "4 files: 3 variants up to date, 0 missing, 0 outdated, 1 orphaned, 1 not worth it, 0 failed";
    assert_eq!(expect(&tree, &["--check", "--gz"], 0, counts), ["orphaned gone.js.gz"]);
    let second = Duration::from_secs(1);
    let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
    // The file was replaced by an older one: its variant is newer, and still not its own.
    tree.modified("older.js", changed - second);
    tree.modified("newer.js", changed + Duration::from_nanos(1));
    fs::remove_file(tree.at("a.js.gz")).unwrap();
    let before = names(&tree);
    let counts =
        "4 files: 0 variants up to date, 1 missing, 2 outdated, 1 orphaned, 1 not worth it, 0 failed";
    let found = expect(&tree, &["--check", "--gz"], 1, counts);
    let lines = ["missing a.js.gz", "orphaned gone.js.gz", "outdated newer.js.gz", "outdated older.js.gz"];
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(sorted, lines);
    assert_eq!(names(&tree), before);
    assert_eq!(precompress(&tree, &["--gz"]).code, Some(0));
    assert_eq!(precompress(&tree, &["--check", "--gz"]).code, Some(0));
    fs::remove_file(tree.at("gone.js.gz")).unwrap();
    fs::remove_file(tree.at("lone.tar.gz")).unwrap();
    all_are_whole(&tree);
}

/// Waits until the clock for files has moved on since this file was changed: before Linux 6.13 it stands
/// still for some milliseconds.
fn pass_the_time_of(tree: &Tree, name: &str) {
    let changed = |path: &Path| fs::metadata(path).map(|meta| (meta.ctime(), meta.ctime_nsec())).unwrap();
    let last = changed(&tree.at(name));
    let probe = Tree::empty();
    eventually("the clock for files moves on", || (changed(&probe.file("probe", "")) > last).then_some(()));
}

#[test]
fn a_file_that_is_replaced_by_one_with_the_same_mtime_is_compressed_again() {
    let tree = Tree::empty();
    tree.file("a.js", script(2000));
    let written = |count, up_to_date| {
        let finished = precompress(&tree, &["--gz"]);
        let lines =
            (format!("1 files: {count} variants written"), format!("), {up_to_date} up to date, 0 not"));
        let is_as_expected = finished.output.starts_with(&lines.0) && finished.output.contains(&lines.1);
        assert!(finished.code == Some(0) && is_as_expected, "{finished:?}");
        pass_the_time_of(&tree, "a.js.gz");
    };
    written(1, 0);
    // With the same size too.
    let other = script(4000)[2000..].to_vec();
    tree.file("a.js", &other);
    let counts =
        "1 files: 0 variants up to date, 0 missing, 1 outdated, 0 orphaned, 0 not worth it, 0 failed";
    assert_eq!(expect(&tree, &["--check", "--gz"], 1, counts), ["outdated a.js.gz"]);
    written(1, 0);
    assert_eq!(decoded(&tree.at("a.js.gz")), other);
    // Other permissions look like another content, once.
    tree.mode("a.js", 0o640);
    written(1, 0);
    written(0, 1);
    // Those of a variant do not.
    tree.mode("a.js.gz", 0o600);
    written(0, 1);
    tree.mode("a.js.gz", 0o640);
    all_are_whole(&tree);
}

#[test]
fn only_variants_whose_file_is_there_are_removed() {
    let tree = Tree::empty();
    tree.file("dir/a.js", script(2000));
    tree.file("dir/b.css", script(2000));
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    let kept = ["backup.sql.gz", "lone.js.br", "photo.png", "photo.png.gz", "site.tar", "site.tar.zst"];
    for name in kept {
        tree.file(name, "kept");
    }
    tree.dir("dir/c.js.gz");
    tree.file("dir/c.js", script(2000));
    expect(&tree, &["--remove", "--zst"], 0, "3 files: 2 variants removed, 0 failed");
    expect(&tree, &["--remove"], 0, "3 files: 4 variants removed, 0 failed");
    let mut expected: Vec<_> = kept.iter().map(|name| name.as_bytes().to_vec()).collect();
    expected.extend([b"dir/a.js".to_vec(), b"dir/b.css".to_vec(), b"dir/c.js".to_vec()]);
    expected.sort();
    assert_eq!(names(&tree), expected);
}

#[test]
fn a_variant_that_is_not_worth_it_any_more_is_removed() {
    let tree = Tree::empty();
    tree.file("a.js", script(2000));
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    tree.file("a.js", noise(2000));
    tree.modified("a.js", SystemTime::now());
    let counts =
        "1 files: 0 variants written (0 bytes as 0), 0 up to date, 3 not worth it, 3 removed, 0 failed";
    expect(&tree, &[], 0, counts);
    assert_eq!(names(&tree), [b"a.js".to_vec()]);
}

#[test]
fn a_file_that_is_too_short_for_a_variant_is_not_even_read() {
    let test = "a_file_that_is_too_short_for_a_variant_is_not_even_read";
    let tree = Tree::empty();
    let repeated = "a".repeat(64);
    tree.file("empty.js", "");
    tree.file("short.js", &repeated);
    tree.file("short.js.gz", "of another content");
    tree.modified("short.js.gz", SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED + 1));
    let counts =
        "2 files: 0 variants up to date, 0 missing, 1 outdated, 0 orphaned, 5 not worth it, 0 failed";
    assert_eq!(expect(&tree, &["--check"], 1, counts), ["outdated short.js.gz"]);
    let counts =
        "2 files: 0 variants written (0 bytes as 0), 0 up to date, 6 not worth it, 1 removed, 0 failed";
    expect(&tree, &[], 0, counts);
    assert_eq!(names(&tree), [b"empty.js".to_vec(), b"short.js".to_vec()]);
    // To read them would fail.
    tree.mode("empty.js", 0);
    tree.mode("short.js", 0);
    let mut command = if root() { as_nobody(&tree, &[]) } else { command(&tree, &[]) };
    let Ok(child) = command.spawn() else {
        skipped(test, "another user can't run the program here");
        return;
    };
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn hostile_names_are_names_like_any_other() {
    let tree = Tree::empty();
    let names: [&[u8]; 9] = [
        b"two\nlines.js",
        b"\xff\xfe.css",
        b"--remove.js",
        b"-",
        b"a b\t'\"$(x).html",
        b"dir \n\xff/inner.txt",
        "ümläut-\u{202e}.svg".as_bytes(),
        b"...js",
        b"%2e%2e.json",
    ];
    for name in names {
        tree.file(name, script(2000));
    }
    // Hidden, and without a type.
    let count = names.len() - 2;
    let finished = precompress(&tree, &[]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    all_are_whole(&tree);
    assert_eq!(variants(&tree).len(), 3 * count);
    fs::remove_file(tree.at(b"two\nlines.js.gz")).unwrap();
    let finished = precompress(&tree, &["--check"]);
    assert_eq!((finished.code, finished.output.lines().count()), (Some(1), 2), "{finished:?}");
    assert!(finished.output.starts_with("missing \"") && finished.output.contains("two\\nlines.js.gz"));
}

#[test]
fn a_variant_whose_name_would_be_too_long_is_not_missing() {
    let tree = Tree::empty();
    let file = |length: usize| format!("{}.js", "x".repeat(length - 3));
    for length in [251, 252, 253, 255] {
        tree.file(file(length), script(2000));
    }
    let finished = precompress(&tree, &[]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    let rest = "), 0 up to date, 7 not worth it, 0 removed, 0 failed\n";
    assert!(finished.output.ends_with(rest), "{finished:?}");
    let made = [(251, ".br"), (251, ".gz"), (251, ".zst"), (252, ".br"), (252, ".gz")];
    let mut expected = made.map(|(length, suffix)| (file(length) + suffix).into_bytes());
    expected.sort();
    assert_eq!(variants(&tree), expected);
    all_are_whole(&tree);
    let counts =
        "4 files: 5 variants up to date, 0 missing, 0 outdated, 0 orphaned, 7 not worth it, 0 failed";
    expect(&tree, &["--check"], 0, counts);
}

#[test]
fn what_fails_is_told_and_the_rest_goes_on() {
    let tree = Tree::empty();
    for name in ["a.js", "linked.js", "dir.js", "pipe.js"] {
        tree.file(name, script(2000));
    }
    let outside = Tree::empty();
    let target = outside.file("target", "kept");
    tree.link("linked.js.br", &target);
    tree.dir("dir.js.br");
    let pipe = tree.at("pipe.js.br");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    let finished = precompress(&tree, &["--br"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let mut lines: Vec<&str> = finished.errors.lines().collect();
    lines.sort_unstable();
    let below = tree.path().display();
    let expected = [
        format!("mayhttpd: cannot replace {below}/dir.js.br: it is no regular file"),
        format!("mayhttpd: cannot replace {below}/linked.js.br: it is no regular file"),
        format!("mayhttpd: cannot replace {below}/pipe.js.br: it is no regular file"),
    ];
    assert_eq!(lines, expected);
    assert!(
        finished.output.ends_with(" 0 up to date, 0 not worth it, 0 removed, 3 failed\n"),
        "{finished:?}"
    );
    assert_eq!(decoded(&tree.at("a.js.br")), script(2000));
    assert_eq!((fs::read(target).unwrap(), drafts(&tree)), (b"kept".to_vec(), 0));
}

#[test]
fn what_the_user_may_not_read_or_write_is_told() {
    let test = "what_the_user_may_not_read_or_write_is_told";
    let tree = Tree::empty();
    for name in ["a.js", "secret.js", "closed/b.js", "fixed/c.js"] {
        tree.file(name, script(2000));
    }
    let mut command = command(&tree, &["--gz"]);
    if root() {
        for name in ["", "a.js", "secret.js", "closed", "closed/b.js", "fixed", "fixed/c.js"] {
            std::os::unix::fs::chown(tree.at(name), Some(65_534), Some(65_534)).unwrap();
        }
        command.uid(65_534).gid(65_534);
    }
    tree.mode("secret.js", 0);
    tree.mode("closed", 0);
    tree.mode("fixed", 0o555);
    let Ok(child) = command.spawn() else {
        skipped(test, "another user can't run the program here");
        return;
    };
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 3), "{errors}");
    for name in ["closed", "secret.js.gz", "fixed/c.js.gz"] {
        let line = format!("/{name}: permission denied\n");
        assert!(errors.replace("/closed/:", "/closed:").contains(&line), "{errors}");
    }
    tree.mode("secret.js", 0o644);
    tree.mode("closed", 0o755);
    assert_eq!(variants(&tree), [b"a.js.gz".to_vec()]);
    all_are_whole(&tree);
}

/// The user and the group of tests with few rights.
const NOBODY: u32 = 65_534;

/// The command as [`NOBODY`], who owns the directory.
fn as_nobody(tree: &Tree, flags: &[&str]) -> Command {
    std::os::unix::fs::chown(tree.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = command(tree, flags);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn a_group_that_the_user_may_not_give_gets_what_all_may_do() {
    let test = "a_group_that_the_user_may_not_give_gets_what_all_may_do";
    if !root() {
        skipped(test, "only root has files of another group");
        return;
    }
    let tree = Tree::empty();
    let modes =
        [("a.js", 0o644, 0o644), ("b.js", 0o444, 0o444), ("c.js", 0o604, 0o600), ("d.js", 0o664, 0o644)];
    for (name, mode, _) in modes {
        tree.file(name, script(2000));
        tree.mode(name, mode);
    }
    let Ok(child) = as_nobody(&tree, &["--gz"]).spawn() else {
        skipped(test, "another user can't run the program here");
        return;
    };
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, _, expected) in modes {
        let made = fs::metadata(tree.at(format!("{name}.gz"))).unwrap();
        assert_eq!((made.mode() & 0o777, made.gid()), (expected, NOBODY), "{name}");
    }
}

#[test]
fn a_directory_that_is_not_there_and_flags_that_exclude_each_other_are_refused() {
    let finished = run_with(&["precompress", "/none/there"]);
    let words = "mayhttpd: cannot compress the files of /none/there: no such file or directory\n";
    assert_eq!((finished.code, &*finished.errors, &*finished.output), (Some(1), words, ""));
    for words in [&["precompress"][..], &["precompress", "/", "--check", "--remove"]] {
        assert_eq!(run_with(words).code, Some(2), "{words:?}");
    }
}

#[test]
fn the_types_of_the_settings_count() {
    let tree = Tree::empty();
    tree.file("a.data", script(2000));
    tree.file("b.js", script(2000));
    let settings = Tree::empty();
    let types = "[types]\n\".data\" = \"text/x-data\"\n\".js\" = \"application/octet-stream\"\n";
    let file = settings.file("may.toml", types);
    let finished = precompress(&tree, &["--gz", "--config", file.to_str().unwrap()]);
    assert_eq!((finished.code, &*finished.errors), (Some(0), ""), "{finished:?}");
    assert_eq!(variants(&tree), [b"a.data.gz".to_vec()]);
}

fn command(tree: &Tree, flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("precompress").arg(tree.path()).args(flags).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A site of so many files that take a while.
fn busy_tree(files: usize) -> Tree {
    let tree = Tree::empty();
    for number in 0..files {
        tree.file(format!("dir{}/{number}.js", number % 7), script(20_000 + number));
    }
    tree
}

/// A run that has written something.
fn when_busy(tree: &Tree, child: Child) -> Child {
    eventually("variants are written", || (variants(tree).len() > 2).then_some(()));
    child
}

/// A site of so many files, and a run that has written something of it and is not done.
fn busy(files: usize) -> (Tree, Child) {
    let tree = busy_tree(files);
    let child = command(&tree, &[]).spawn().unwrap();
    let child = when_busy(&tree, child);
    (tree, child)
}

#[test]
fn a_run_that_is_killed_leaves_whole_variants_and_the_next_one_cleans_up() {
    let (tree, mut child) = busy(14);
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9), "it was not done before");
    all_are_whole(&tree);
    // One that surely was left, and one that a process still writes.
    let abandoned = tree.at("dir1/.mayhttpd-precompress-1-0");
    let held = tree.at("dir2/.mayhttpd-precompress-1-0");
    fs::write(&abandoned, "half").unwrap();
    let holder = File::create(&held).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    assert!(!abandoned.exists() && held.exists());
    drop(holder);
    assert_eq!(precompress(&tree, &["--check"]).code, Some(0));
    assert_eq!(drafts(&tree), 1, "a check changes nothing");
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    assert_eq!((drafts(&tree), variants(&tree).len()), (0, 42));
    all_are_whole(&tree);
}

#[test]
fn a_draft_that_was_left_read_only_is_removed() {
    let test = "a_draft_that_was_left_read_only_is_removed";
    let tree = Tree::empty();
    for name in ["left", "held"] {
        let draft = tree.file(format!(".mayhttpd-precompress-1-{name}"), "whole");
        tree.mode(format!(".mayhttpd-precompress-1-{name}"), 0o444);
        if root() {
            std::os::unix::fs::chown(draft, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    let holder = File::open(tree.at(".mayhttpd-precompress-1-held")).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let mut command = if root() { as_nobody(&tree, &[]) } else { command(&tree, &[]) };
    let Ok(child) = command.spawn() else {
        skipped(test, "another user can't run the program here");
        return;
    };
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(names(&tree), [b".mayhttpd-precompress-1-held".to_vec()]);
}

#[test]
fn a_run_that_is_told_to_stop_leaves_no_draft() {
    let test = "a_run_that_is_told_to_stop_leaves_no_draft";
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        if is_ignored(std::process::id(), signal) {
            skipped(test, &format!("the tests were started to ignore {signal:?}"));
            continue;
        }
        let (tree, mut child) = busy(30);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = eventually("it ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code));
        assert_eq!(drafts(&tree), 0);
        all_are_whole(&tree);
    }
}

/// True if a process has been started to ignore a signal.
fn is_ignored(process: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

#[test]
fn a_run_that_was_started_to_ignore_signals_goes_on_and_ends_at_others() {
    for ending in [None, Some((Signal::TERM, 143))] {
        let tree = busy_tree(12);
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' HUP INT QUIT; exec \"$0\" precompress \"$1\"", PROGRAM])
            .arg(tree.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = when_busy(&tree, child.unwrap());
        for signal in [Signal::HUP, Signal::INT, Signal::QUIT] {
            assert!(is_ignored(child.id(), signal));
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
        if let Some((signal, _)) = ending {
            kill_process(Pid::from_child(&child), signal).unwrap();
        }
        let status = eventually("it ends", || child.try_wait().unwrap());
        assert_eq!(status.code(), Some(ending.map_or(0, |(_, code)| code)));
        assert_eq!((drafts(&tree), variants(&tree).len() == 36), (0, ending.is_none()));
        all_are_whole(&tree);
    }
}

#[test]
fn a_signal_stops_a_run_in_the_middle_of_a_directory() {
    let tree = Tree::empty();
    let one = tree.file("one", "");
    let count = 20_000;
    for name in (0..count).flat_map(|number| [format!("{number:05}.js"), format!("{number:05}.js.gz")]) {
        fs::hard_link(&one, tree.at(name)).unwrap();
    }
    let mut child = command(&tree, &["--remove"]).spawn().unwrap();
    // They are removed in order of their names.
    let (first, last) = (tree.at("00000.js.gz"), tree.at(format!("{:05}.js.gz", count - 1)));
    let start = std::time::Instant::now();
    while first.exists() {
        assert!(start.elapsed() < DEADLINE, "nothing is removed");
    }
    let process = Pid::from_child(&child);
    kill_process(process, Signal::STOP).unwrap();
    kill_process(process, Signal::TERM).unwrap();
    kill_process(process, Signal::CONT).unwrap();
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(143));
    assert!(last.exists(), "it went on to the end");
}

#[test]
fn a_run_goes_on_with_the_threads_that_it_may_have() {
    let test = "a_run_goes_on_with_the_threads_that_it_may_have";
    if !root() {
        skipped(test, "only root can run it as a user who has no other threads");
        return;
    }
    let tree = Tree::empty();
    for number in 0..8 {
        tree.file(format!("{number}.js"), script(20_000));
    }
    // Of this process's own, so that no other test runs something as this user.
    let user = 1_000_000 + std::process::id();
    std::os::unix::fs::chown(tree.path(), Some(user), Some(user)).unwrap();
    // One thread waits for signals; each CPU's would be one more.
    for (limit, code, made) in [(1, 1, 0), (2, 0, 24)] {
        let mut command = Command::new("prlimit");
        command.args([&format!("--nproc={limit}"), PROGRAM, "precompress"]).arg(tree.path());
        command.uid(user).gid(user).current_dir("/");
        let Ok(output) = command.output() else {
            skipped(test, "there is no prlimit, or another user can't run it");
            return;
        };
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), variants(&tree).len()), (Some(code), made), "{errors}");
        assert_eq!((errors.contains("cannot start the threads"), drafts(&tree)), (code == 1, 0), "{errors}");
    }
}

#[test]
fn two_runs_at_once_do_not_disturb_each_other() {
    let (tree, child) = busy(12);
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    all_are_whole(&tree);
    assert_eq!((drafts(&tree), variants(&tree).len()), (0, 36));
}

#[test]
fn a_file_that_changes_meanwhile_gets_no_variant_of_what_it_was() {
    let tree = Tree::empty();
    tree.file("a.js", script(20_000));
    let mut child = command(&tree, &[]).spawn().unwrap();
    let mut second = CHANGED;
    let finished = eventually("it ends", || {
        second += 1;
        tree.file("a.js", script(20_000 + (second % 100) as usize));
        tree.modified("a.js", SystemTime::UNIX_EPOCH + Duration::from_secs(second));
        child.try_wait().unwrap()
    });
    // It gave up, or a pause was long enough.
    assert!(matches!(finished.code(), Some(0 | 1)));
    let current = fs::metadata(tree.at("a.js")).unwrap().mtime();
    for name in variants(&tree) {
        let variant = tree.at(&name);
        let is_current = fs::metadata(&variant).unwrap().mtime() == current;
        assert!(!is_current || decoded(&variant) == fs::read(tree.at("a.js")).unwrap());
    }
    assert_eq!(precompress(&tree, &[]).code, Some(0));
    assert_eq!((drafts(&tree), variants(&tree).len()), (0, 3));
    all_are_whole(&tree);
}

#[test]
fn a_full_disk_leaves_no_draft_and_no_part() {
    let test = "a_full_disk_leaves_no_draft_and_no_part";
    let tree = Tree::empty();
    tree.file("source.js", script(60_000));
    let place = tree.dir("mount");
    let script = format!(
        "mount -t tmpfs -o size=68k none '{0}' || exit 77; cp '{1}' '{0}/a.js'; '{PROGRAM}' precompress '{0}'; \
         echo \"code $?\"; ls -A '{0}'",
        place.display(),
        tree.at("source.js").display()
    );
    let output = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output();
    let Some(output) = output.ok().filter(|output| output.status.code() == Some(0)) else {
        skipped(test, "no file system can be mounted");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("code 1\n") && errors.contains(": no space left on device\n"), "{text}{errors}");
    let mut names: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("code")).skip(1).collect();
    names.retain(|name| *name != "a.js");
    assert!(names.iter().all(|name| SUFFIXES.iter().any(|end| *name == format!("a.js{end}"))), "{text}");
    assert!(names.len() < 3, "{text}");
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let test = "a_terminal_shows_how_far_it_is";
    let tree = Tree::empty();
    tree.file("a.js", script(20_000));
    let Some((master, terminal)) = terminal() else {
        skipped(test, "no pseudo-terminal");
        return;
    };
    let mut child = command(&tree, &[]).stderr(terminal).spawn().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // It ends with an error when the last other end is closed.
        let _ = File::from(master).read_to_end(&mut bytes);
        bytes
    });
    let status = eventually("it ends", || child.try_wait().unwrap());
    assert!(status.success());
    let text = String::from_utf8_lossy(&reader.join().unwrap()).into_owned();
    assert!(text.contains("100 % of 58.59 KiB, 3 of 3 variants"), "{text:?}");
}

fn terminal() -> Option<(std::os::fd::OwnedFd, File)> {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let master = rustix::pty::openpt(flags).ok()?;
    rustix::pty::grantpt(&master).and_then(|()| rustix::pty::unlockpt(&master)).ok()?;
    let name = rustix::pty::ptsname(&master, Vec::new()).ok()?;
    let terminal = File::options().write(true).open(OsStr::from_bytes(name.to_bytes())).ok()?;
    Some((master, terminal))
}
