//! Opening files beneath a directory.
//!
//! **Invariant:** whatever names and symbolic links say, the kernel keeps the look-up beneath the root
//! (openat2(2) `RESOLVE_BENEATH`), unless the settings let links lead out of it. Only regular files and
//! directories are opened, because an open alone affects other processes: it lets the writer of a FIFO go on,
//! and a device may act on it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::directory::look_up;
use super::link_policy::{LinkPolicy, LinkRefusal};
use super::link_walk::{WalkRules, WalkedNode, walk};
use super::open_error::OpenError;
use super::stamp::{Kind, Stamp, stat, stat_cached};

/// How often an open is retried after a concurrent rename (`EAGAIN`, openat2(2)).
const RENAME_RETRIES: u32 = 16;

/// How a file or directory is opened that was seen to be one.
const TO_READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// How the kernel keeps a look-up beneath the root.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// A directory that look-ups never leave, unless links may lead out of it.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens `path` as a root.
    ///
    /// # Errors
    /// See open(2), such as `ENOENT`, `ENOTDIR` or `EACCES`.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root { directory: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// A second descriptor of the same directory.
    ///
    /// # Errors
    /// See fcntl(2), such as `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Root> {
        Ok(Root { directory: self.directory.try_clone()? })
    }

    /// Opens the regular file or directory at `relative` for reading, beneath this root.
    ///
    /// # Errors
    /// See [`Beneath::open`].
    pub fn open_beneath(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        self.beneath(LinkPolicy::Inside).open(relative)
    }

    /// What is beneath this root by way of these links.
    pub fn beneath(&self, links: LinkPolicy) -> Beneath<'_> {
        Beneath { root: self, links }
    }

    /// Opens `path` as a root if that takes no wait for a disk.
    ///
    /// # Errors
    /// [`OpenError::Cold`] where it would wait.
    pub fn reopen_cached(path: &Path) -> Result<Root, OpenError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            // Before Linux 5.12 there was no such flag.
            Err(Errno::AGAIN | Errno::INTR | Errno::INVAL) => Err(OpenError::Cold),
            other => Ok(Root { directory: other? }),
        }
    }

    /// Opens the directory at `relative`, without following symbolic links.
    ///
    /// # Errors
    /// See [`OpenError`]; a link in the path is one.
    pub fn open_directory(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_at(relative, flags, BENEATH | ResolveFlags::NO_SYMLINKS).map_err(not_any_link)
    }

    fn open_at(&self, relative: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, OpenError> {
        let path = or_dot(relative);
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < RENAME_RETRIES => tries += 1,
                other => return Ok(other?),
            }
        }
    }

    /// Kind and stamp of `relative` beneath this root, links followed. It is not opened (`O_PATH`).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn stat_beneath(&self, relative: &[u8]) -> Result<(Kind, Stamp), OpenError> {
        self.beneath(LinkPolicy::Inside).stat(relative)
    }

    /// Device and inode number of the root itself, which never change.
    ///
    /// # Errors
    /// See statx(2).
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        Ok(stat_cached(self.directory.as_fd())?.identity)
    }
}

/// What is beneath a root by way of some links.
#[derive(Clone, Copy, Debug)]
pub struct Beneath<'a> {
    /// The root.
    pub root: &'a Root,
    /// The links that are followed.
    pub links: LinkPolicy,
}

impl Beneath<'_> {
    /// Opens the regular file or directory at `relative` for reading.
    ///
    /// # Errors
    /// See [`OpenError`] and openat2(2). Anything else than a file or directory is `Denied`, and is not
    /// opened.
    pub fn open(&self, relative: &[u8]) -> Result<OwnedFd, OpenError> {
        if matches!(self.kind(relative)?, Kind::Special | Kind::Link) {
            return Err(OpenError::Denied);
        }
        // Only /proc could make the `O_PATH` descriptor readable, so the name is resolved again. It may lead
        // to a FIFO by now. Then `O_NONBLOCK` keeps the open from waiting for a writer, and the caller sees
        // the kind by `stat`.
        self.open_at(relative, TO_READ)
    }

    /// The kind of what is at `relative`, links followed, even if it may not be read. It is not opened
    /// (`O_PATH`).
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn kind(&self, relative: &[u8]) -> Result<Kind, OpenError> {
        self.stat(relative).map(|(kind, _)| kind)
    }

    /// Kind and stamp of what is at `relative`, as [`Beneath::kind`].
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn stat(&self, relative: &[u8]) -> Result<(Kind, Stamp), OpenError> {
        let seen = self.open_at(relative, OFlags::PATH | OFlags::CLOEXEC)?;
        stat(seen.as_fd()).map_err(OpenError::Other)
    }

    /// [`Beneath::open`] on the root's own mount alone; with `cached` also without a wait for a disk
    /// (openat2(2) `RESOLVE_CACHED`).
    ///
    /// # Errors
    /// [`OpenError::Cold`] where it would leave the mount, or wait, or if a link has to be looked at closely.
    pub fn open_on_mount(&self, relative: &[u8], cached: bool) -> Result<OwnedFd, OpenError> {
        if matches!(self.kind_on_mount(relative, cached)?, Kind::Special | Kind::Link) {
            return Err(OpenError::Denied);
        }
        self.open_at_once(relative, TO_READ, cached)
    }

    /// [`Beneath::kind`] as [`Beneath::open_on_mount`] looks it up.
    ///
    /// # Errors
    /// See [`Beneath::open_on_mount`].
    pub fn kind_on_mount(&self, relative: &[u8], cached: bool) -> Result<Kind, OpenError> {
        self.stat_on_mount(relative, cached).map(|(kind, _)| kind)
    }

    /// [`Beneath::stat`] as [`Beneath::open_on_mount`] looks it up.
    ///
    /// # Errors
    /// See [`Beneath::open_on_mount`].
    pub fn stat_on_mount(&self, relative: &[u8], cached: bool) -> Result<(Kind, Stamp), OpenError> {
        let seen = self.open_at_once(relative, OFlags::PATH | OFlags::CLOEXEC, cached)?;
        stat(seen.as_fd()).map_err(OpenError::Other)
    }

    fn open_at_once(&self, relative: &[u8], flags: OFlags, cached: bool) -> Result<OwnedFd, OpenError> {
        let cached = if cached { ResolveFlags::CACHED } else { ResolveFlags::empty() };
        let resolve = self.resolve() | ResolveFlags::NO_XDEV | cached;
        let directory = &self.root.directory;
        match rustix::fs::openat2(directory, or_dot(relative), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR | Errno::XDEV) => Err(OpenError::Cold),
            Err(Errno::LOOP) if self.links == LinkPolicy::SameOwner => Err(OpenError::Cold),
            Err(Errno::LOOP) if self.links == LinkPolicy::Deny => Err(OpenError::Link(LinkRefusal::IsLink)),
            other => Ok(other?),
        }
    }

    fn open_at(&self, relative: &[u8], flags: OFlags) -> Result<OwnedFd, OpenError> {
        let opened = self.root.open_at(relative, flags, self.resolve());
        match (self.links, opened) {
            (LinkPolicy::Deny, opened) => opened.map_err(not_any_link),
            (LinkPolicy::Inside, Err(OpenError::Link(LinkRefusal::Outside))) => {
                self.open_walked(relative, flags, WalkRules::default())
            }
            (LinkPolicy::SameOwner, Err(OpenError::Link(_))) => {
                self.open_walked(relative, flags, WalkRules { same_owner: true, ..WalkRules::default() })
            }
            (_, opened) => opened,
        }
    }

    /// How the kernel resolves paths where that alone is enough.
    fn resolve(&self) -> ResolveFlags {
        match self.links {
            LinkPolicy::Inside => BENEATH,
            LinkPolicy::Deny | LinkPolicy::SameOwner => BENEATH | ResolveFlags::NO_SYMLINKS,
            LinkPolicy::Follow => ResolveFlags::NO_MAGICLINKS,
        }
    }

    /// Opens what a walk finds, by its path without links; a link that comes there meanwhile is not followed.
    fn open_walked(&self, relative: &[u8], flags: OFlags, rules: WalkRules) -> Result<OwnedFd, OpenError> {
        for _ in 0..RENAME_RETRIES {
            let look_up = |parent: BorrowedFd<'_>, name: &[u8]| -> Result<WalkedNode, OpenError> {
                let node = look_up(parent, name)?;
                let (kind, stamp) = stat(node.as_fd()).map_err(OpenError::from)?;
                Ok((node, kind, stamp.identity))
            };
            let end = walk(self.root.as_fd(), relative, rules, look_up)?;
            let path = end.path.ok_or(OpenError::Link(LinkRefusal::Outside))?;
            match self.root.open_at(&path, flags, BENEATH | ResolveFlags::NO_SYMLINKS) {
                Ok(opened) if stat(opened.as_fd())?.1.identity == end.identity => return Ok(opened),
                // Something has changed since the walk.
                Ok(_) | Err(OpenError::Link(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(OpenError::Denied)
    }
}

/// The error of a look-up that follows no link.
fn not_any_link(error: OpenError) -> OpenError {
    match error {
        OpenError::Link(LinkRefusal::TooMany) => OpenError::Link(LinkRefusal::IsLink),
        error => error,
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// A path for openat2(2), which takes no empty one.
fn or_dot(relative: &[u8]) -> &[u8] {
    if relative.is_empty() { b"." } else { relative }
}

/// True if this kernel has openat2(2) (Linux 5.6), without which no path can be opened safely.
pub fn kernel_has_openat2() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL))
}

/// True if this kernel can look up names without a wait for a disk (openat2(2) `RESOLVE_CACHED`, Linux 5.12).
pub fn kernel_has_cached_lookups() -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", flags, Mode::empty(), ResolveFlags::CACHED);
    !matches!(answer, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};
    use std::path::PathBuf;

    use super::*;

    /// A root with files, and a directory beside it, removed at the end.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let top = std::env::temp_dir().canonicalize().unwrap();
            let top = top.join(format!("mayhttpd-root-{name}-{}", std::process::id()));
            fs::create_dir_all(top.join("root/dir/deep")).unwrap();
            fs::create_dir_all(top.join("beside")).unwrap();
            for (path, text) in
                [("root/a", "a"), ("root/dir/b", "b"), ("root/dir/deep/c", "c"), ("beside/secret", "s")]
            {
                fs::write(top.join(path), text).unwrap();
            }
            symlink(top.join("root"), top.join("alias")).unwrap();
            Tree(top)
        }

        fn root(&self) -> Root {
            Root::open(&self.0.join("root")).unwrap()
        }

        /// Makes a link; `{}` in its target is the directory that the root is in.
        fn link(&self, name: &str, target: &str) {
            symlink(target.replace("{}", self.0.to_str().unwrap()), self.0.join("root").join(name)).unwrap();
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// What opening comes to: the content of a file, or why there is none.
    fn read(root: &Root, links: LinkPolicy, path: &str) -> String {
        match root.beneath(links).open(path.as_bytes()) {
            Ok(file) => {
                let mut content = String::new();
                match std::io::Read::read_to_string(&mut fs::File::from(file), &mut content) {
                    Ok(_) => content,
                    Err(_) => "directory".to_owned(),
                }
            }
            Err(OpenError::Link(refusal)) => format!("{refusal:?}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn links_are_followed_as_the_policy_says() {
        let tree = Tree::new("policies");
        for (name, target) in [
            ("relative", "dir/b"),
            ("absolute", "{}/root/dir/b"),
            ("dots", "{}/beside/../root/./dir//b"),
            ("above", "{}/root/../root/a"),
            ("by-alias", "{}/alias/dir/b"),
            ("to-directory", "{}/root/dir"),
            ("dir/up", "../a"),
            ("chain", "{}/root/absolute"),
            ("out-and-in", "../root/a"),
            ("outside", "{}/beside/secret"),
            ("outside-relative", "../beside/secret"),
            ("outside-absent", "{}/beside/absent"),
            ("etc", "/etc/hostname"),
            ("through-secret", "{}/beside/secret/x"),
            ("dangling", "{}/root/absent"),
            ("dangling-relative", "absent"),
            ("loop", "{}/root/loop"),
            ("loop-relative", "loop-relative"),
            ("to-root", "{}/root"),
            ("through-file", "{}/root/a/x"),
        ] {
            tree.link(name, target);
        }
        let root = tree.root();
        use LinkPolicy::{Deny, Follow, Inside};
        for (path, deny, inside, follow) in [
            ("a", "a", "a", "a"),
            ("dir/deep/c", "c", "c", "c"),
            ("absent", "Missing", "Missing", "Missing"),
            ("relative", "IsLink", "b", "b"),
            ("absolute", "IsLink", "b", "b"),
            ("dots", "IsLink", "b", "b"),
            ("by-alias", "IsLink", "b", "b"),
            ("to-directory", "IsLink", "directory", "directory"),
            ("to-directory/deep/c", "IsLink", "c", "c"),
            ("to-directory/up", "IsLink", "a", "a"),
            ("to-root/to-root/absolute", "IsLink", "b", "b"),
            ("dir/up", "IsLink", "a", "a"),
            ("chain", "IsLink", "b", "b"),
            ("above", "IsLink", "Outside", "a"),
            ("out-and-in", "IsLink", "Outside", "a"),
            ("outside", "IsLink", "Outside", "s"),
            ("outside-relative", "IsLink", "Outside", "s"),
            ("outside-absent", "IsLink", "Unseen", "Missing"),
            ("through-secret", "IsLink", "Outside", "Missing"),
            ("dangling", "IsLink", "Missing", "Missing"),
            ("dangling-relative", "IsLink", "Missing", "Missing"),
            ("loop", "IsLink", "TooMany", "TooMany"),
            ("loop-relative", "IsLink", "TooMany", "TooMany"),
            ("to-root", "IsLink", "directory", "directory"),
            ("through-file", "IsLink", "Missing", "Missing"),
        ] {
            for (links, expected) in [(Deny, deny), (Inside, inside), (Follow, follow)] {
                assert_eq!(read(&root, links, path), expected, "{path} {links:?}");
            }
            // All belongs to one user.
            assert_eq!(read(&root, LinkPolicy::SameOwner, path), inside, "{path} same owner");
        }
        assert_eq!(read(&root, Inside, "etc"), "Outside");
    }

    #[test]
    fn what_a_link_leads_to_must_have_its_owner() {
        let tree = Tree::new("owners");
        let path = |name: &str| tree.0.join("root").join(name);
        for (name, target) in [
            ("foreign", "a"),
            ("foreign-directory", "dir"),
            ("own", "a"),
            ("chain", "foreign"),
            ("foreign-file", "dir/b"),
        ] {
            tree.link(name, target);
        }
        let foreign = ["foreign", "foreign-directory", "dir/b"];
        if foreign.iter().any(|name| lchown(path(name), Some(12_345), None).is_err()) {
            eprintln!("SKIPPED what_a_link_leads_to_must_have_its_owner: not root");
            return;
        }
        let root = tree.root();
        for (name, expected) in [
            ("own", "a"),
            ("foreign", "OtherOwner"),
            ("foreign-directory/deep/c", "OtherOwner"),
            ("chain", "OtherOwner"),
            ("foreign-file", "OtherOwner"),
            ("dir/b", "b"),
        ] {
            assert_eq!(read(&root, LinkPolicy::SameOwner, name), expected, "{name}");
        }
        lchown(path("foreign-file"), Some(12_345), None).unwrap();
        assert_eq!(read(&root, LinkPolicy::SameOwner, "foreign-file"), "b");
        assert_eq!(read(&root, LinkPolicy::Inside, "foreign"), "a");
    }

    #[test]
    fn a_root_that_was_moved_is_still_found_by_absolute_links() {
        let tree = Tree::new("moved");
        let root = tree.root();
        fs::rename(tree.0.join("root"), tree.0.join("moved")).unwrap();
        symlink(tree.0.join("moved/a"), tree.0.join("moved/link")).unwrap();
        assert_eq!(read(&root, LinkPolicy::Inside, "link"), "a");
    }

    #[test]
    fn no_race_leads_outside() {
        let tree = Tree::new("race");
        tree.link("entry", "{}/root/turn/c");
        symlink(tree.0.join("beside"), tree.0.join("outside")).unwrap();
        fs::write(tree.0.join("beside/c"), "s").unwrap();
        let (root, turn) = (tree.root(), tree.0.join("root/turn"));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let new = tree.0.join("new");
                for target in ["root/dir/deep", "beside"].iter().cycle() {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    symlink(tree.0.join(target), &new).unwrap();
                    fs::rename(&new, &turn).unwrap();
                }
            });
            for _ in 0..2000 {
                let found = read(&root, LinkPolicy::Inside, "entry");
                assert_ne!(found, "s");
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
