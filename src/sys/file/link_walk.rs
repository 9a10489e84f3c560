//! The way from a root to a file, name by name, through symbolic links that the kernel alone would not follow
//! beneath the root: absolute ones.
//!
//! Opens nothing for reading: every name is opened with `O_PATH`, without following it. **Invariant:** the
//! result is only a proposal. What is served is opened once more beneath the root, by the path without links
//! that was found here, so no change meanwhile leads outside.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::directory::target;
use super::link_policy::LinkRefusal;
use super::open_error::OpenError;
use super::stamp::{Kind, stat};

/// The most links that the kernel follows in one look-up (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// A node on the way: its descriptor, its kind, and its device and inode number.
pub type WalkedNode = (OwnedFd, Kind, (u64, u64));

/// What a walk may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct WalkRules {
    /// True if it may end outside the root.
    pub may_leave: bool,
    /// True if a link and what it leads to must have the same owner.
    pub same_owner: bool,
}

/// Where a walk ended.
#[derive(Debug)]
pub struct WalkEnd {
    /// The path without links beneath the root, or `None` outside of it.
    pub path: Option<Vec<u8>>,
    /// What is there.
    pub kind: Kind,
    /// Its device and inode number.
    pub identity: (u64, u64),
    /// It, unless it is the root.
    pub node: Option<OwnedFd>,
}

/// What is still to be done, the next one last.
enum Step {
    Name(Vec<u8>),
    /// Everything that a link of this owner says has been walked.
    EndOfLink(u32),
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    root_identity: (u64, u64),
    rules: WalkRules,
    steps: Vec<Step>,
    links: u32,
    /// The directories beneath the root, with their names.
    inside: Vec<(Vec<u8>, OwnedFd)>,
    /// The present directory, if it is outside the root.
    outside: Option<OwnedFd>,
    /// What is no directory, with its name.
    end: Option<(Vec<u8>, OwnedFd)>,
}

/// Walks `path` from a root. `open` opens a name in a directory, as
/// [`look_up`](super::directory::look_up) does.
///
/// # Errors
/// Those of `open`, and [`OpenError`]. Outside the root each error is a [`LinkRefusal`], because
/// clients must not learn what is there.
pub fn walk<E: From<OpenError>>(
    root: BorrowedFd<'_>,
    path: &[u8],
    rules: WalkRules,
    mut open: impl FnMut(BorrowedFd<'_>, &[u8]) -> Result<WalkedNode, E>,
) -> Result<WalkEnd, E> {
    let (_, stamp) = stat(root).map_err(OpenError::from)?;
    let mut walk = Walk {
        root,
        root_identity: stamp.identity,
        rules,
        steps: Vec::new(),
        links: 0,
        inside: Vec::new(),
        outside: None,
        end: None,
    };
    walk.push(path);
    while let Some(step) = walk.steps.pop() {
        match step {
            Step::EndOfLink(owner) => walk.check_owner(owner)?,
            Step::Name(name) if name.is_empty() => {}
            Step::Name(_) if walk.end.is_some() => return Err(walk.hidden(OpenError::Missing).into()),
            Step::Name(name) if name == b"." => {}
            Step::Name(name) if name == b".." => walk.go_up()?,
            Step::Name(name) => {
                let node = match open(walk.directory(), &name) {
                    Err(_) if walk.outside.is_some() && !rules.may_leave => {
                        return Err(OpenError::Link(LinkRefusal::Unseen).into());
                    }
                    node => node?,
                };
                walk.enter(name, node)?;
            }
        }
    }
    Ok(walk.finish()?)
}

impl Walk<'_> {
    /// Pushes the names of a path, the first on top.
    fn push(&mut self, path: &[u8]) {
        self.steps.extend(path.rsplit(|byte| *byte == b'/').map(|name| Step::Name(name.to_vec())));
    }

    fn directory(&self) -> BorrowedFd<'_> {
        match (&self.outside, self.inside.last()) {
            (Some(outside), _) => outside.as_fd(),
            (None, Some((_, inside))) => inside.as_fd(),
            (None, None) => self.root,
        }
    }

    fn enter(&mut self, name: Vec<u8>, (node, kind, identity): WalkedNode) -> Result<(), OpenError> {
        match kind {
            Kind::Link => self.follow(&node)?,
            Kind::Directory if self.outside.is_none() => self.inside.push((name, node)),
            Kind::Directory => self.go_outside(node, identity),
            Kind::Regular | Kind::Special => self.end = Some((name, node)),
        }
        Ok(())
    }

    fn follow(&mut self, link: &OwnedFd) -> Result<(), OpenError> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(OpenError::Link(LinkRefusal::TooMany));
        }
        let target = target(link.as_fd())?;
        if self.rules.same_owner {
            self.steps.push(Step::EndOfLink(owner(link.as_fd())?));
        }
        self.push(&target);
        if target.first() == Some(&b'/') {
            let top = open_directory(rustix::fs::CWD, "/")?;
            let (_, stamp) = stat(top.as_fd())?;
            self.inside.clear();
            self.go_outside(top, stamp.identity);
        }
        Ok(())
    }

    /// Goes to a directory outside the root; or back into it, if it is the root itself.
    fn go_outside(&mut self, directory: OwnedFd, identity: (u64, u64)) {
        self.outside = (identity != self.root_identity).then_some(directory);
    }

    fn go_up(&mut self) -> Result<(), OpenError> {
        if self.outside.is_none() && self.inside.pop().is_some() {
            return Ok(());
        }
        // Above the root only an absolute link leads back beneath it.
        if self.outside.is_none() && !self.rules.may_leave {
            return Err(OpenError::Link(LinkRefusal::Outside));
        }
        let parent = open_directory(self.directory(), "..")?;
        let (_, stamp) = stat(parent.as_fd())?;
        self.go_outside(parent, stamp.identity);
        Ok(())
    }

    fn present(&self) -> BorrowedFd<'_> {
        self.end.as_ref().map_or_else(|| self.directory(), |(_, end)| end.as_fd())
    }

    fn check_owner(&self, owner_of_link: u32) -> Result<(), OpenError> {
        let is_same = owner(self.present())? == owner_of_link;
        if is_same { Ok(()) } else { Err(self.hidden(OpenError::Link(LinkRefusal::OtherOwner))) }
    }

    /// The error, or that of leaving the root, outside of which nothing more is told.
    fn hidden(&self, error: OpenError) -> OpenError {
        match self.outside {
            Some(_) if !self.rules.may_leave => OpenError::Link(LinkRefusal::Outside),
            _ => error,
        }
    }

    fn finish(self) -> Result<WalkEnd, OpenError> {
        if self.outside.is_some() && !self.rules.may_leave {
            return Err(OpenError::Link(LinkRefusal::Outside));
        }
        let (kind, stamp) = stat(self.present())?;
        let is_outside = self.outside.is_some();
        let (names, mut nodes): (Vec<_>, Vec<_>) = self.inside.into_iter().chain(self.end).unzip();
        let node = nodes.pop().or(self.outside);
        let path = (!is_outside).then(|| names.join(&b'/'));
        Ok(WalkEnd { path, kind, identity: stamp.identity, node })
    }
}

fn open_directory(from: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, OpenError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(from, path, flags, Mode::empty())?)
}

fn owner(node: BorrowedFd<'_>) -> Result<u32, OpenError> {
    Ok(rustix::fs::fstat(node)?.st_uid)
}
