//! Document trees on disk, made by the test and removed with it. Directories are 0755 and files 0644 whatever
//! the umask, because a server that root started serves as nobody.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::contents::pattern;

/// The index: 34 bytes.
pub const INDEX: &[u8] = b"<html><body>Welcome</body></html>\n";
/// The page: 38 bytes.
pub const PAGE: &[u8] = b"<html><body>A sub page.</body></html>\n";
/// The size of the large page, 955 KB.
pub const LARGE: usize = 954_824;
/// A text of 1000 bytes, for ranges.
pub const TEXT: usize = 1000;
/// When the files of a site were last changed: Sun, 13 Sep 2020 12:26:40 GMT.
pub const CHANGED: u64 = 1_600_000_000;

/// Every media type that the tree holds: the name, the length, the Content-Type it must have.
pub const TYPES: &[(&str, usize, &str)] = &[
    ("types/plain.html", 301, "text/html"),
    ("types/style.css", 1_207, "text/css"),
    ("types/script.js", 5_003, "text/javascript"),
    ("types/photo.jpg", 98_620, "image/jpeg"),
    ("types/photo.jpeg", 71_999, "image/jpeg"),
    ("types/picture.png", 1_754, "image/png"),
    ("types/moving.gif", 4_161, "image/gif"),
    ("types/film.swf", 15_033, "application/x-shockwave-flash"),
    ("types/SHOUT.JPG", 267, "image/jpeg"),
    ("types/Mixed.HtMl", 99, "text/html"),
    ("types/words.txt", 12, "text/plain"),
    ("types/data.json", 13, "application/json"),
    ("types/drawing.svg", 14, "image/svg+xml"),
];

pub struct Tree {
    path: PathBuf,
}

impl Tree {
    /// An empty directory.
    pub fn empty() -> Self {
        Self::empty_in(&std::env::temp_dir())
    }

    /// The same, beneath another directory than that of the system for temporary files.
    pub fn empty_in(parent: &Path) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("mayhttpd-it-{}-{number}", std::process::id());
        let path = fs::canonicalize(parent).unwrap().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        Self { path }
    }

    /// The site that most tests ask: the shapes that servers of this kind are graded on.
    pub fn site() -> Self {
        let tree = Self::empty();
        tree.file("index.html", INDEX);
        tree.file("page.html", PAGE);
        tree.file("text.txt", text());
        tree.file("empty.txt", b"");
        tree.file("large.html", large());
        tree.file("one/two/three/four/five/six/seven/deep.html", b"deep down\n");
        tree.file("dir/index.html", b"index of dir\n");
        tree.file("dir/inner.txt", b"in dir\n");
        tree.file("bare/file.txt", b"a directory without an index\n");
        for (name, length, _) in TYPES {
            tree.file(name, pattern(*length as u64, *length));
        }
        tree
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` below the tree; a name is bytes, as on disk.
    pub fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.path.join(OsStr::from_bytes(name.as_ref()))
    }

    /// Makes a file, and the directories that it needs. One that is there already is replaced by a rename, so
    /// that a server never sees it half written.
    pub fn file(&self, name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        self.make_dirs(path.parent().unwrap());
        let draft = path.with_file_name(".draft");
        let mut file = File::create(&draft).unwrap();
        file.write_all(contents.as_ref()).unwrap();
        file.set_permissions(Permissions::from_mode(0o644)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED)).unwrap();
        fs::rename(&draft, &path).unwrap();
        path
    }

    pub fn dir(&self, name: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        self.make_dirs(&path);
        path
    }

    pub fn mode(&self, name: impl AsRef<[u8]>, mode: u32) {
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
    }

    pub fn link(&self, name: impl AsRef<[u8]>, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.at(name)).unwrap();
    }

    pub fn modified(&self, name: impl AsRef<[u8]>, when: SystemTime) {
        File::options().write(true).open(self.at(name)).unwrap().set_modified(when).unwrap();
    }

    fn make_dirs(&self, path: &Path) {
        if path.is_dir() {
            return;
        }
        self.make_dirs(path.parent().unwrap());
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // A directory that a test closed to everyone must open again, or its owner can't empty it.
        if fs::remove_dir_all(&self.path).is_err() {
            open_up(&self.path);
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o755));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// What `text.txt` holds.
pub fn text() -> Vec<u8> {
    pattern(7, TEXT)
}

/// What `large.html` holds.
pub fn large() -> Vec<u8> {
    pattern(8, LARGE)
}
